//! Tokenizers made from the metadata of GGUF files.

use tokenizers::Tokenizer;
use tokenizers::models::bpe::{Merges, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use super::byte_level::{self, split_merge};
use super::frame::{Token, framed};
use super::vocabulary::{TokenType, Vocabulary};
use super::{sentence_piece, splitters};
use crate::error::{Error, ErrorKind, Result};
use crate::export::gguf::Gguf;

const MODEL: &str = "tokenizer.ggml.model";
const SPLITTER: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
const BEGIN: &str = "tokenizer.ggml.bos_token_id";
const ADD_BEGIN: &str = "tokenizer.ggml.add_bos_token";
const END: &str = "tokenizer.ggml.eos_token_id";
const ADD_END: &str = "tokenizer.ggml.add_eos_token";

/// The special tokens of WordPiece vocabularies: the key that may hold the id, and the usual token.
const CLASS: (&str, &str) = ("tokenizer.ggml.cls_token_id", "[CLS]");
const SEPARATOR: (&str, &str) = ("tokenizer.ggml.seperator_token_id", "[SEP]");
const UNKNOWN_WORD: (&str, &str) = (UNKNOWN, "[UNK]");
const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";

/// Stands for the beginning of a word in WordPiece vocabularies.
const WORD: &str = "▁";

/// Stands before the endings of words in WordPiece vocabularies of `tokenizer.json`.
const ENDING: &str = "##";

/// Makes the tokenizer that the checkpoint describes; gives the text of its `tokenizer.json` as well.
pub(in crate::export) fn from_gguf(checkpoint: &Gguf) -> Result<(Tokenizer, String)> {
    let model = checkpoint.required(MODEL, checkpoint.text(MODEL)?)?;
    let vocabulary = read_vocabulary(checkpoint)?;
    let tokenizer = match model {
        "gpt2" => byte_level(checkpoint, &vocabulary)?,
        "llama" => sentence_piece(checkpoint, &vocabulary)?,
        "bert" => word_piece(checkpoint, &vocabulary)?,
        _ => return Err(unsupported(checkpoint, MODEL, model, &["gpt2", "llama", "bert"])),
    };
    let json = tokenizer.to_string(false).map_err(|cause| malformed(checkpoint, cause))?;
    Ok((tokenizer, json))
}

fn read_vocabulary(checkpoint: &Gguf) -> Result<Vocabulary<'_>> {
    let tokens = checkpoint.required(TOKENS, checkpoint.texts(TOKENS)?)?;
    let types = checkpoint.numbers(TYPES)?.unwrap_or_else(|| vec![TokenType::Normal as u8 as f64; tokens.len()]);
    check_length(checkpoint, TYPES, types.len(), tokens.len())?;
    let vocabulary = Vocabulary { tokens, types };
    match vocabulary.repeated() {
        Some(token) => Err(malformed(checkpoint, format_args!("the token {token:?} stands twice in it"))),
        None => Ok(vocabulary),
    }
}

/// The token whose id the metadata key holds.
fn token<'a>(checkpoint: &Gguf, vocabulary: &Vocabulary<'a>, key: &str) -> Result<Option<Token<'a>>> {
    let Some(id) = checkpoint.whole(key)? else { return Ok(None) };
    let token = vocabulary.tokens.get(id).ok_or_else(|| {
        let message = format!("the metadata key {key} is {id}, but there are {} tokens", vocabulary.tokens.len());
        checkpoint.invalid(message)
    })?;
    Ok(Some((id as u32, token)))
}

fn byte_level(checkpoint: &Gguf, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    let name = checkpoint.text(SPLITTER)?.unwrap_or("default");
    let splitter = splitters::find(name).ok_or_else(|| unsupported(checkpoint, SPLITTER, name, &splitters::names()))?;
    let merges = checkpoint.required(MERGES, checkpoint.texts(MERGES)?)?;
    let pair = |merge: &str| {
        split_merge(merge).ok_or_else(|| checkpoint.invalid(format!("the merge {merge:?} is no pair of tokens")))
    };
    let merges = merges.into_iter().map(pair).collect::<Result<Merges>>()?;
    let tokenizer = byte_level::byte_level(vocabulary.ids(), merges, &splitter.into());
    let tokenizer = tokenizer.map_err(|cause| malformed(checkpoint, cause))?;
    finish(tokenizer, checkpoint, vocabulary, splitter.begin)
}

fn sentence_piece(checkpoint: &Gguf, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    let scores = checkpoint.required(SCORES, checkpoint.numbers(SCORES)?)?;
    check_length(checkpoint, SCORES, scores.len(), vocabulary.tokens.len())?;
    let unknown = token(checkpoint, vocabulary, UNKNOWN)?.map(|(_, unknown)| unknown);
    let prefixed = checkpoint.flag(ADD_SPACE)?.unwrap_or(true);
    let tokenizer = sentence_piece::byte_pair(vocabulary, &scores, unknown, prefixed);
    let tokenizer = tokenizer.map_err(|cause| malformed(checkpoint, cause))?;
    finish(tokenizer, checkpoint, vocabulary, true)
}

/// Words and their endings. GGUF files mark the beginnings of words instead of the endings, which `tokenizer.json` marks.
fn word_piece(checkpoint: &Gguf, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    // Of special tokens not all files tell that they are.
    let is_special = |token: &str| token.starts_with('[') && token.ends_with(']');
    let marked = |(id, token): (usize, &&str)| {
        let token = match token.strip_prefix(WORD) {
            Some(word) => word.to_owned(),
            None if is_special(token) => (*token).to_owned(),
            None => format!("{ENDING}{token}"),
        };
        (token, id as u32)
    };
    let vocab: Vocab = vocabulary.tokens.iter().enumerate().map(marked).collect();
    let mut words = vocabulary.tokens.iter().filter(|token| !is_special(token));
    let has_capitals = words.any(|token| token.to_lowercase() != *token);
    let special = |(key, usual): (&str, &str)| {
        let stands = || vocabulary.tokens.iter().position(|token| *token == usual);
        let usual = || stands().map(|id| (id as u32, vocabulary.tokens[id]));
        checkpoint.required(key, token(checkpoint, vocabulary, key)?.or_else(usual))
    };
    let (_, unknown) = special(UNKNOWN_WORD)?;
    let model = WordPiece::builder().vocab(vocab).unk_token(unknown.to_owned()).build();
    let mut tokenizer = Tokenizer::new(model.map_err(|cause| malformed(checkpoint, cause))?);
    let normalizer = BertNormalizer::new(true, true, None, !has_capitals);
    tokenizer.with_normalizer(Some(normalizer)).map_err(|cause| malformed(checkpoint, cause))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    frame(tokenizer, checkpoint, vocabulary, Some(special(CLASS)?), Some(special(SEPARATOR)?))
}

/// Adds the special tokens, and those that texts begin and end with where they do.
fn finish(tokenizer: Tokenizer, checkpoint: &Gguf, vocabulary: &Vocabulary, begins: bool) -> Result<Tokenizer> {
    let begin = begin(checkpoint, vocabulary, begins)?;
    let end = match checkpoint.flag(ADD_END)? {
        Some(true) => Some(checkpoint.required(END, token(checkpoint, vocabulary, END)?)?),
        _ => None,
    };
    frame(tokenizer, checkpoint, vocabulary, begin, end)
}

/// The token that texts begin with, where they do.
fn begin<'a>(checkpoint: &Gguf, vocabulary: &Vocabulary<'a>, usual: bool) -> Result<Option<Token<'a>>> {
    match checkpoint.flag(ADD_BEGIN)?.unwrap_or(usual) {
        true => checkpoint.required(BEGIN, token(checkpoint, vocabulary, BEGIN)?).map(Some),
        false => Ok(None),
    }
}

fn frame(
    tokenizer: Tokenizer,
    checkpoint: &Gguf,
    vocabulary: &Vocabulary,
    begin: Option<Token>,
    end: Option<Token>,
) -> Result<Tokenizer> {
    framed(tokenizer, vocabulary.added(), begin, end).map_err(|cause| malformed(checkpoint, cause))
}

fn check_length(checkpoint: &Gguf, key: &str, length: usize, tokens: usize) -> Result<()> {
    if length == tokens {
        return Ok(());
    }
    Err(checkpoint.invalid(format!("the metadata key {key} has {length} entries for {tokens} tokens")))
}

fn unsupported(checkpoint: &Gguf, key: &str, found: &str, known: &[&str]) -> Error {
    let known = known.join(", ");
    let message =
        format!("{key} is {found:?}, and only {known} are known: pass the model's own tokenizer.json with --tokenizer");
    checkpoint.error(ErrorKind::Unsupported, message)
}

fn malformed(checkpoint: &Gguf, cause: impl std::fmt::Display) -> Error {
    let message = format!("no tokenizer can be made of it ({cause}): pass a tokenizer.json with --tokenizer");
    checkpoint.invalid(message)
}
