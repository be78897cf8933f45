//! SentencePiece: `tokenizer.model`, and the vocabularies of GGUF files that were made of one.

use prost::Message;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::strip::Strip as StripDecoder;
use tokenizers::models::bpe::{BPE, Merges};
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{NormalizerWrapper, Precompiled, Prepend, Sequence as NormalizerSequence, Strip};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{Result, Tokenizer};

use super::frame::framed;
use super::tokenizer_config::TokenizerConfig;
use super::vocabulary::{TokenType, Vocabulary};
use crate::error::{Error, ErrorKind};

/// Stands for a space.
const SPACE: &str = "▁";

/// The parts of `sentencepiece_model.proto` that tokens depend on.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(float, tag = "2")]
    score: f32,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Trainer {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
    #[prost(int32, optional, tag = "40")]
    unknown: Option<i32>,
    #[prost(int32, optional, tag = "41")]
    begin: Option<i32>,
    #[prost(int32, optional, tag = "42")]
    end: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Normalizer {
    #[prost(bytes = "vec", optional, tag = "2")]
    characters: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

/// How `model_type` is numbered.
const UNIGRAM: i32 = 1;
const BYTE_PAIR: i32 = 2;

/// Makes the tokenizer of a `tokenizer.model`.
pub(super) fn from_model(bytes: &[u8], config: &TokenizerConfig, place: &str) -> crate::Result<Tokenizer> {
    let malformed = |cause: String| {
        let message = format!("not a tokenizer that can be read ({cause}): get the file again");
        Error::new(ErrorKind::InvalidModel, message).at(place)
    };
    let model = Model::decode(bytes).map_err(|cause| malformed(cause.to_string()))?;
    let trainer = model.trainer.clone().unwrap_or_default();
    let pieces = model.pieces.iter();
    let vocabulary = Vocabulary {
        tokens: pieces.clone().map(|piece| piece.piece.as_str()).collect(),
        types: pieces.map(|piece| f64::from(piece.kind.unwrap_or(TokenType::Normal as i32))).collect(),
    };
    if vocabulary.tokens.is_empty() {
        return Err(malformed("it has no tokens".to_owned()));
    }
    if let Some(token) = vocabulary.repeated() {
        return Err(malformed(format!("the token {token:?} stands twice in it")));
    }
    if trainer.treat_whitespace_as_suffix == Some(true) {
        let message = "its words end with a blank instead of beginning with one, which is not supported";
        return Err(Error::new(ErrorKind::Unsupported, message).at(place));
    }
    let tokenizer = match trainer.model_type.unwrap_or(UNIGRAM) {
        UNIGRAM => unigram(&model, &trainer),
        BYTE_PAIR => byte_pair_of_model(&model, &trainer, &vocabulary),
        other => {
            let message = format!("model_type is {other}: only those with unigrams (1) and byte pairs (2) are known");
            return Err(Error::new(ErrorKind::Unsupported, message).at(place));
        }
    };
    let token = |id: i32| {
        let id = usize::try_from(id).ok()?;
        Some((id as u32, *vocabulary.tokens.get(id)?))
    };
    let tokenizer = tokenizer.map_err(|cause| malformed(cause.to_string()))?;
    let begin = token(trainer.begin.unwrap_or(1)).filter(|_| config.flag("add_bos_token").unwrap_or(true));
    let end = token(trainer.end.unwrap_or(2)).filter(|_| config.flag("add_eos_token").unwrap_or(false));
    let added = config.added_to(vocabulary.added());
    framed(tokenizer, added, begin, end).map_err(|cause| malformed(cause.to_string()))
}

fn byte_pair_of_model(model: &Model, trainer: &Trainer, vocabulary: &Vocabulary) -> Result<Tokenizer> {
    let scores: Vec<_> = model.pieces.iter().map(|piece| f64::from(piece.score)).collect();
    let unknown = usize::try_from(trainer.unknown.unwrap_or(0)).ok().and_then(|id| vocabulary.tokens.get(id));
    let mut tokenizer = byte_pair(vocabulary, &scores, unknown.copied(), model.is_prefixed())?;
    let mut steps = model.cleaning()?;
    if !steps.is_empty() {
        steps.extend(spaces(model.is_prefixed())?);
        tokenizer.with_normalizer(Some(NormalizerSequence::new(steps)))?;
    }
    Ok(tokenizer)
}

fn unigram(model: &Model, trainer: &Trainer) -> Result<Tokenizer> {
    let vocabulary = model.pieces.iter().map(|piece| (piece.piece.clone(), f64::from(piece.score))).collect();
    let unknown = usize::try_from(trainer.unknown.unwrap_or(0)).ok();
    let mut tokenizer = Tokenizer::new(Unigram::from(vocabulary, unknown, trainer.byte_fallback.unwrap_or(false))?);
    let steps = model.cleaning()?;
    if !steps.is_empty() {
        tokenizer.with_normalizer(Some(NormalizerSequence::new(steps)))?;
    }
    let scheme = if model.is_prefixed() { PrependScheme::Always } else { PrependScheme::Never };
    let words = Metaspace::new('▁', scheme, true);
    tokenizer.with_pre_tokenizer(Some(words.clone()));
    tokenizer.with_decoder(Some(words));
    Ok(tokenizer)
}

impl Model {
    fn is_prefixed(&self) -> bool {
        self.normalizer.as_ref().and_then(|normalizer| normalizer.add_dummy_prefix).unwrap_or(true)
    }

    /// What is changed in a text before its blanks become letters.
    fn cleaning(&self) -> Result<Vec<NormalizerWrapper>> {
        let Some(normalizer) = &self.normalizer else { return Ok(Vec::new()) };
        let mut steps = Vec::new();
        if let Some(characters) = normalizer.characters.as_ref().filter(|characters| !characters.is_empty()) {
            steps.push(Precompiled::from(characters)?.into());
        }
        if normalizer.remove_extra_whitespaces.unwrap_or(true) {
            steps.push(Strip::new(true, true).into());
            steps.push(Replace::new(ReplacePattern::Regex(" {2,}".to_owned()), " ")?.into());
        }
        Ok(steps)
    }
}

/// The tokenizer of a vocabulary of byte pairs, without added tokens.
pub(super) fn byte_pair(
    vocabulary: &Vocabulary,
    scores: &[f64],
    unknown: Option<&str>,
    prefixed: bool,
) -> Result<Tokenizer> {
    let mut model = BPE::builder()
        .vocab_and_merges(vocabulary.ids(), merges_by_score(vocabulary, scores))
        .fuse_unk(true)
        .byte_fallback(true);
    if let Some(unknown) = unknown {
        model = model.unk_token(unknown.to_owned());
    }
    let mut tokenizer = Tokenizer::new(model.build()?);
    tokenizer.with_normalizer(Some(NormalizerSequence::new(spaces(prefixed)?)))?;
    tokenizer.with_decoder(Some(space_decoder(prefixed)?));
    Ok(tokenizer)
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

fn spaces(prefixed: bool) -> Result<Vec<NormalizerWrapper>> {
    let mut steps = Vec::new();
    if prefixed {
        steps.push(Prepend::new(SPACE.to_owned()).into());
    }
    steps.push(Replace::new(" ", SPACE)?.into());
    Ok(steps)
}

fn space_decoder(prefixed: bool) -> Result<DecoderWrapper> {
    let mut steps = vec![Replace::new(SPACE, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefixed {
        steps.push(StripDecoder::new(' ', 1, 0).into());
    }
    Ok(DecoderSequence::new(steps).into())
}
