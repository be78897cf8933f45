//! `tokenizer.json`: as it is, or made from the metadata of a GGUF file.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::replace::Replace;
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Sequence as NormalizerSequence};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizerSequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, Tokenizer};

use super::gguf::Gguf;
use crate::error::{Error, ErrorKind, Result};

const MODEL: &str = "tokenizer.ggml.model";
const SPLITTER: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
const BEGIN: &str = "tokenizer.ggml.bos_token_id";
const ADD_BEGIN: &str = "tokenizer.ggml.add_bos_token";
const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";

/// Stands for a space in SentencePiece vocabularies.
const SPACE: &str = "▁";

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How a family of byte-level tokenizers cuts text into words.
struct Splitter {
    names: &'static [&'static str],
    /// Applied one after the other, each to the pieces that the ones before it left.
    patterns: &'static [&'static str],
    /// Whether a word that is a token as a whole is taken without merging.
    whole_words: bool,
    /// Whether texts begin with a token of their own where the checkpoint does not say.
    begin: bool,
}

const SPLITTERS: &[Splitter] = &[
    Splitter {
        names: &["default"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        whole_words: false,
        begin: false,
    },
    Splitter { names: &["gpt-2", "gpt2"], patterns: &[GPT2], whole_words: false, begin: false },
    Splitter {
        names: &["smollm", "starcoder", "refact", "command-r"],
        patterns: &[r"\p{N}", GPT2],
        whole_words: false,
        begin: false,
    },
    Splitter { names: &["llama-bpe", "llama3", "llama-v3"], patterns: &[LLAMA3], whole_words: true, begin: true },
    Splitter { names: &["qwen2"], patterns: &[QWEN2], whole_words: false, begin: false },
    Splitter { names: &["tekken"], patterns: &[TEKKEN], whole_words: true, begin: true },
];

/// Reads a `tokenizer.json`; gives its text as well.
pub(super) fn load(path: &Path) -> Result<(Tokenizer, String)> {
    let failed = |cause| Error::io(format_args!("read the tokenizer {}", path.display()), cause);
    parse(fs::read(path).map_err(failed)?, path.display())
}

/// Reads the bytes of the `tokenizer.json` at `place`; gives its text as well.
pub(super) fn parse(bytes: Vec<u8>, place: impl Display) -> Result<(Tokenizer, String)> {
    let parsed = String::from_utf8(bytes).map_err(tokenizers::Error::from);
    let parsed = parsed.and_then(|json| Ok((json.parse()?, json)));
    parsed.map_err(|cause| {
        let message = format!("not a tokenizer.json that can be read: {cause}");
        Error::new(ErrorKind::InvalidModel, message).at(place)
    })
}

/// Makes the tokenizer that the checkpoint describes; gives the text of its `tokenizer.json` as well.
pub(super) fn from_gguf(checkpoint: &Gguf) -> Result<(Tokenizer, String)> {
    let model = checkpoint.required(MODEL, checkpoint.text(MODEL)?)?;
    let vocabulary = Vocabulary::read(checkpoint)?;
    let tokenizer = match model {
        "gpt2" => byte_level(checkpoint, &vocabulary)?,
        "llama" => sentence_piece(checkpoint, &vocabulary)?,
        _ => return Err(unsupported(checkpoint, MODEL, model, &["gpt2", "llama"])),
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
    let splitter = SPLITTERS.iter().find(|splitter| splitter.names.contains(&name));
    let splitter = splitter.ok_or_else(|| {
        let known: Vec<&str> = SPLITTERS.iter().flat_map(|splitter| splitter.names).copied().collect();
        unsupported(checkpoint, SPLITTER, name, &known)
    })?;
    let merges = checkpoint.required(MERGES, checkpoint.texts(MERGES)?)?;
    let merges = merges.into_iter().map(|merge| split_merge(checkpoint, merge)).collect::<Result<Merges>>()?;
    let model = BPE::builder().vocab_and_merges(vocabulary.ids(), merges).ignore_merges(splitter.whole_words);
    let model = model.build().map_err(|cause| malformed(checkpoint, cause))?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer(splitter).map_err(|cause| malformed(checkpoint, cause))?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    finish(tokenizer, checkpoint, vocabulary, splitter.begin)
}

fn split_merge(checkpoint: &Gguf, merge: &str) -> Result<(String, String)> {
    let (left, right) =
        merge.split_once(' ').ok_or_else(|| checkpoint.invalid(format!("the merge {merge:?} is no pair of tokens")))?;
    Ok((left.to_owned(), right.to_owned()))
}

fn pre_tokenizer(splitter: &Splitter) -> tokenizers::Result<PreTokenizerWrapper> {
    let mut steps = Vec::new();
    for &pattern in splitter.patterns {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        steps.push(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into());
    }
    steps.push(ByteLevel::new(false, true, false).into());
    Ok(PreTokenizerSequence::new(steps).into())
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

/// Adds the special tokens, and the token that texts begin with where they do.
fn finish(mut tokenizer: Tokenizer, checkpoint: &Gguf, vocabulary: &Vocabulary, begin: bool) -> Result<Tokenizer> {
    tokenizer.add_tokens(vocabulary.added()).map_err(|cause| malformed(checkpoint, cause))?;
    if !checkpoint.flag(ADD_BEGIN)?.unwrap_or(begin) {
        return Ok(tokenizer);
    }
    let (id, token) = checkpoint.required(BEGIN, vocabulary.token(checkpoint, BEGIN)?)?;
    let framing = begin_with(id, token).map_err(|cause| malformed(checkpoint, cause))?;
    tokenizer.with_post_processor(Some(framing));
    Ok(tokenizer)
}

fn begin_with(id: u32, token: &str) -> tokenizers::Result<TemplateProcessing> {
    // The template names the token by a word of its own, because tokens may hold characters that templates give a
    // meaning to.
    let token = SpecialToken::new("BEGIN".to_owned(), vec![id], vec![token.to_owned()])?;
    let mut builder = TemplateProcessing::builder();
    builder.try_single("BEGIN $A")?.try_pair("BEGIN $A BEGIN:1 $B:1")?.special_tokens(vec![token]);
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
