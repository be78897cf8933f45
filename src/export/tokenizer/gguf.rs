//! Tokenizers made from the metadata of GGUF files.

use std::collections::HashSet;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::replace::Replace;
use tokenizers::normalizers::{BertNormalizer, NFC, NormalizerWrapper, Prepend, Sequence as NormalizerSequence};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizerSequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, Tokenizer};

use super::splitters::{self, Splitter};
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

/// Stands for a space in SentencePiece vocabularies, and for the beginning of a word in those of WordPiece.
const SPACE: &str = "▁";

/// Stands before the endings of words in WordPiece vocabularies of `tokenizer.json`.
const ENDING: &str = "##";

/// Makes the tokenizer that the checkpoint describes; gives the text of its `tokenizer.json` as well.
pub(in crate::export) fn from_gguf(checkpoint: &Gguf) -> Result<(Tokenizer, String)> {
    let model = checkpoint.required(MODEL, checkpoint.text(MODEL)?)?;
    let vocabulary = Vocabulary::read(checkpoint)?;
    let tokenizer = match model {
        "gpt2" => byte_level(checkpoint, &vocabulary)?,
        "llama" => sentence_piece(checkpoint, &vocabulary)?,
        "bert" => word_piece(checkpoint, &vocabulary)?,
        _ => return Err(unsupported(checkpoint, MODEL, model, &["gpt2", "llama", "bert"])),
    };
    let json = tokenizer.to_string(false).map_err(|cause| malformed(checkpoint, cause))?;
    Ok((tokenizer, json))
}

/// What a token is for, as GGUF numbers it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenType {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
}

struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    /// One a token.
    types: Vec<f64>,
}

impl<'a> Vocabulary<'a> {
    fn read(checkpoint: &'a Gguf) -> Result<Self> {
        let tokens = checkpoint.required(TOKENS, checkpoint.texts(TOKENS)?)?;
        let types = checkpoint.numbers(TYPES)?.unwrap_or_else(|| vec![TokenType::Normal as u8 as f64; tokens.len()]);
        check_length(checkpoint, TYPES, types.len(), tokens.len())?;
        let mut known = HashSet::new();
        if let Some(token) = tokens.iter().find(|token| !known.insert(**token)) {
            return Err(malformed(checkpoint, format_args!("the token {token:?} stands twice in it")));
        }
        Ok(Self { tokens, types })
    }

    fn is(&self, id: usize, token_type: TokenType) -> bool {
        self.types[id] == f64::from(token_type as u8)
    }

    fn ids(&self) -> Vocab {
        self.tokens.iter().enumerate().map(|(id, &token)| (token.to_owned(), id as u32)).collect()
    }

    /// Tokens that are found in text before it is cut into words.
    fn added(&self) -> Vec<AddedToken> {
        let ids = 0..self.tokens.len();
        ids.filter_map(|id| {
            let special = self.is(id, TokenType::Control) || self.is(id, TokenType::Unknown);
            let added = special || self.is(id, TokenType::UserDefined);
            added.then(|| AddedToken::from(self.tokens[id], special).normalized(false))
        })
        .collect()
    }

    /// The token whose id the metadata key holds.
    fn token(&self, checkpoint: &Gguf, key: &str) -> Result<Option<(u32, &'a str)>> {
        let Some(id) = checkpoint.whole(key)? else { return Ok(None) };
        let token = self.tokens.get(id).ok_or_else(|| {
            let message = format!("the metadata key {key} is {id}, but there are {} tokens", self.tokens.len());
            checkpoint.invalid(message)
        })?;
        Ok(Some((id as u32, token)))
    }
}

fn byte_level(checkpoint: &Gguf, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    let name = checkpoint.text(SPLITTER)?.unwrap_or("default");
    let splitter = splitters::find(name).ok_or_else(|| unsupported(checkpoint, SPLITTER, name, &splitters::names()))?;
    let merges = checkpoint.required(MERGES, checkpoint.texts(MERGES)?)?;
    let merges = merges.into_iter().map(|merge| split_merge(checkpoint, merge)).collect::<Result<Merges>>()?;
    let model = BPE::builder().vocab_and_merges(vocabulary.ids(), merges).ignore_merges(splitter.whole_words);
    let model = model.build().map_err(|cause| malformed(checkpoint, cause))?;
    let mut tokenizer = Tokenizer::new(model);
    if splitter.composed {
        tokenizer.with_normalizer(Some(NFC)).map_err(|cause| malformed(checkpoint, cause))?;
    }
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer(splitter).map_err(|cause| malformed(checkpoint, cause))?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    finish(tokenizer, checkpoint, vocabulary, splitter.begin)
}

/// The parts of a merge, of which the first may begin with the blank that otherwise stands between them.
fn split_merge(checkpoint: &Gguf, merge: &str) -> Result<(String, String)> {
    let blank = merge.char_indices().skip(1).find(|(_, letter)| *letter == ' ');
    let (place, _) = blank.ok_or_else(|| checkpoint.invalid(format!("the merge {merge:?} is no pair of tokens")))?;
    Ok((merge[..place].to_owned(), merge[place + 1..].to_owned()))
}

fn pre_tokenizer(splitter: &Splitter) -> tokenizers::Result<PreTokenizerWrapper> {
    let split = |pattern: &&str| {
        let pattern = SplitPattern::Regex((*pattern).to_owned());
        Ok(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into())
    };
    let bytes = ByteLevel::new(false, true, false).into();
    let before = splitter.patterns.iter().map(split);
    let behind = splitter.letter_patterns.iter().map(split);
    let steps: tokenizers::Result<Vec<_>> = before.chain([Ok(bytes)]).chain(behind).collect();
    Ok(PreTokenizerSequence::new(steps?).into())
}

fn sentence_piece(checkpoint: &Gguf, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    let scores = checkpoint.required(SCORES, checkpoint.numbers(SCORES)?)?;
    check_length(checkpoint, SCORES, scores.len(), vocabulary.tokens.len())?;
    let mut model = BPE::builder()
        .vocab_and_merges(vocabulary.ids(), merges_by_score(vocabulary, &scores))
        .fuse_unk(true)
        .byte_fallback(true);
    if let Some((_, unknown)) = vocabulary.token(checkpoint, UNKNOWN)? {
        model = model.unk_token(unknown.to_owned());
    }
    let mut tokenizer = Tokenizer::new(model.build().map_err(|cause| malformed(checkpoint, cause))?);
    let prefixed = checkpoint.flag(ADD_SPACE)?.unwrap_or(true);
    let normalizer = space_normalizer(prefixed).map_err(|cause| malformed(checkpoint, cause))?;
    tokenizer.with_normalizer(Some(normalizer)).map_err(|cause| malformed(checkpoint, cause))?;
    tokenizer.with_decoder(Some(space_decoder(prefixed).map_err(|cause| malformed(checkpoint, cause))?));
    finish(tokenizer, checkpoint, vocabulary, true)
}

/// Every way to make a normal token of two others, the tokens with the highest score first: SentencePiece keeps no
/// merges, it always makes the token with the highest score.
fn merges_by_score(vocabulary: &Vocabulary, scores: &[f64]) -> Merges {
    let ids = vocabulary.ids();
    let mut merges = Vec::new();
    for (id, token) in vocabulary.tokens.iter().enumerate().filter(|(id, _)| vocabulary.is(*id, TokenType::Normal)) {
        for (cut, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(cut);
            if let (Some(&left_id), Some(&right_id)) = (ids.get(left), ids.get(right)) {
                let rank = [scores[id], scores[left_id as usize], scores[right_id as usize]];
                merges.push((rank, (left.to_owned(), right.to_owned())));
            }
        }
    }
    merges.sort_by(|(one, _), (other, _)| {
        let order = |place: usize| other[place].total_cmp(&one[place]);
        order(0).then(order(1)).then(order(2))
    });
    merges.into_iter().map(|merge| merge.1).collect()
}

fn space_normalizer(prefixed: bool) -> tokenizers::Result<NormalizerWrapper> {
    let mut steps = Vec::new();
    if prefixed {
        steps.push(Prepend::new(SPACE.to_owned()).into());
    }
    steps.push(Replace::new(" ", SPACE)?.into());
    Ok(NormalizerSequence::new(steps).into())
}

fn space_decoder(prefixed: bool) -> tokenizers::Result<DecoderWrapper> {
    let mut steps = vec![Replace::new(SPACE, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefixed {
        steps.push(Strip::new(' ', 1, 0).into());
    }
    Ok(DecoderSequence::new(steps).into())
}

/// Words and their endings. GGUF files mark the beginnings of words instead of the endings, which `tokenizer.json` marks.
fn word_piece(checkpoint: &Gguf, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    // Of special tokens not all files tell that they are.
    let is_special = |token: &str| token.starts_with('[') && token.ends_with(']');
    let marked = |(id, token): (usize, &&str)| {
        let token = match token.strip_prefix(SPACE) {
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
        checkpoint.required(key, vocabulary.token(checkpoint, key)?.or_else(usual))
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
        Some(true) => Some(checkpoint.required(END, vocabulary.token(checkpoint, END)?)?),
        _ => None,
    };
    frame(tokenizer, checkpoint, vocabulary, begin, end)
}

/// The token that texts begin with, where they do.
fn begin<'a>(checkpoint: &Gguf, vocabulary: &Vocabulary<'a>, usual: bool) -> Result<Option<(u32, &'a str)>> {
    match checkpoint.flag(ADD_BEGIN)?.unwrap_or(usual) {
        true => checkpoint.required(BEGIN, vocabulary.token(checkpoint, BEGIN)?).map(Some),
        false => Ok(None),
    }
}

fn frame(
    mut tokenizer: Tokenizer,
    checkpoint: &Gguf,
    vocabulary: &Vocabulary,
    begin: Option<(u32, &str)>,
    end: Option<(u32, &str)>,
) -> Result<Tokenizer> {
    tokenizer.add_tokens(vocabulary.added()).map_err(|cause| malformed(checkpoint, cause))?;
    if begin.is_some() || end.is_some() {
        let framing = template(begin, end).map_err(|cause| malformed(checkpoint, cause))?;
        tokenizer.with_post_processor(Some(framing));
    }
    Ok(tokenizer)
}

fn template(begin: Option<(u32, &str)>, end: Option<(u32, &str)>) -> tokenizers::Result<TemplateProcessing> {
    // The template names tokens by words of its own, because tokens may hold characters that templates give a meaning to.
    let named = |name: &str, token: Option<(u32, &str)>| {
        token.map(|(id, token)| SpecialToken::new(name.to_owned(), vec![id], vec![token.to_owned()])).transpose()
    };
    let around = |text: &str| {
        let before = begin.map_or("", |_| "BEGIN ");
        let behind = end.map_or("", |_| " END");
        format!("{before}{text}{behind}")
    };
    let pair =
        around("$A") + " " + &around("$B").replace("BEGIN", "BEGIN:1").replace("$B", "$B:1").replace("END", "END:1");
    let tokens: Vec<_> = [named("BEGIN", begin)?, named("END", end)?].into_iter().flatten().collect();
    let mut builder = TemplateProcessing::builder();
    builder.try_single(around("$A"))?.try_pair(pair)?.special_tokens(tokens);
    Ok(builder.build()?)
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
