//! Text to token ids with byte ranges.

mod boundaries;
mod byte_level;
mod give_up;
mod merges;
mod pieces;
mod plain_words;
mod recent_words;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;
use std::path::Path;

use boundaries::Boundaries;
use byte_level::ByteLevelEncoder;
pub(crate) use byte_level::letters as byte_letters;
use bytesize::ByteSize;
use pieces::Token;
pub use plain_words::words;
use tokenizers::models::ModelWrapper;
use tokenizers::processors::PostProcessorWrapper;

use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};
use crate::guarded::guarded;

/// The tokens of a text, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    /// Where each token begins in the text, and the text's length; at character boundaries.
    boundaries: Boundaries,
}

impl Tokens {
    /// Tokens by their ids and the places where they begin in a text of `length` bytes.
    pub(crate) fn new(tokens: impl IntoIterator<Item = (u32, usize)>, length: usize) -> Self {
        let mut all = Self::default();
        for (id, start) in tokens {
            all.ids.push(id);
            all.boundaries.push(start);
        }
        all.boundaries.push(length);
        all
    }

    /// The token ids.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where each token begins in the text, and the text's length: one more than there are tokens, rising, at character
    /// boundaries.
    pub fn boundaries(&self) -> impl Iterator<Item = usize> {
        self.boundaries.iter()
    }

    /// The bytes of the text that some tokens stand for. Neighbouring ranges of tokens tile the text without gap or
    /// overlap; a character whose bytes are split among tokens belongs to the token after the split.
    ///
    /// # Panics
    /// Where `tokens` does not lie within the text's.
    pub fn bytes(&self, tokens: &Range<usize>) -> Range<usize> {
        self.boundaries.get(tokens.start)..self.boundaries.get(tokens.end)
    }

    fn extend(&mut self, tokens: &[Token]) {
        self.ids.extend(tokens.iter().map(|token| token.id));
        tokens.iter().for_each(|token| self.boundaries.push(token.start));
    }
}

/// What becomes of a special token's name, such as `<|endoftext|>`, that is written in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialTokens {
    /// The text is split at it, and it becomes the token, as the `tokenizers` and `transformers` libraries do unless told
    /// otherwise.
    #[default]
    Split,
    /// It is text like any other, as `tiktoken` encodes ordinary text, and as the two
    /// libraries do by `encode_special_tokens` and `split_special_tokens`.
    AsText,
}

impl Choice for SpecialTokens {
    const NAMES: &'static [(&'static str, Self)] = &[("split", Self::Split), ("as-text", Self::AsText)];
}

/// What the setting `memory_limit` is unless it is set.
pub(crate) const MEMORY_LIMIT: ByteSize = ByteSize::gib(8);

/// A `tokenizer.json` of the `tokenizers` library.
pub struct Tokenizer {
    tokenizer: tokenizers::Tokenizer,
    /// Gives the same tokens sooner, where the tokenizer is of its kind.
    encoder: Option<ByteLevelEncoder>,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    memory_limit: ByteSize,
}

impl Tokenizer {
    /// Opens a `tokenizer.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the file cannot be read, [`ErrorKind::InvalidModel`] where it is not a tokenizer.
    pub fn open(path: &Path) -> Result<Self> {
        let json = std::fs::read(path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        let no_tokenizer = |cause: String| {
            let message = format!("{} is not a tokenizer of the tokenizers library: {cause}", path.display());
            Error::new(ErrorKind::InvalidModel, message)
        };
        guarded(|| {
            let tokenizer = tokenizers::Tokenizer::from_bytes(json).map_err(|cause| no_tokenizer(cause.to_string()))?;
            Self::of(tokenizer)
        })
        .unwrap_or_else(|reason| Err(no_tokenizer(reason)))
    }

    fn of(mut tokenizer: tokenizers::Tokenizer) -> Result<Self> {
        // Windows are cut and padded by nobody but us.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(tokenizer_error)?;
        // The library keeps what it caches in each thread, even after the tokenizer is gone: too much for a process that
        // opens one after the other.
        let mut model = tokenizer.get_model().clone();
        model.resize_cache(0);
        // Merges are left out at random to train with, never to score.
        if let ModelWrapper::BPE(model) = &mut model {
            model.dropout = None;
        }
        tokenizer.with_model(model);
        let (prefix, suffix) = frame_of(&tokenizer)?;
        // Windows are framed by nobody but us. Post-processors may also trim blanks off byte ranges, which would then belong to
        // the window before.
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        let encoder = ByteLevelEncoder::of(&tokenizer);
        Ok(Self { tokenizer, encoder, prefix, suffix, memory_limit: MEMORY_LIMIT })
    }

    /// The tokenizer with another limit for the memory of one text's tokens, eight bytes each, than the setting
    /// `memory_limit` has unless it is set.
    #[must_use]
    pub fn with_memory_limit(self, memory_limit: ByteSize) -> Self {
        Self { memory_limit, ..self }
    }

    /// The tokenizer with another way to take special tokens that are written in a text. Frames are the same with any.
    #[must_use]
    pub fn with_special_tokens(mut self, special_tokens: SpecialTokens) -> Self {
        self.tokenizer.set_encode_special_tokens(special_tokens == SpecialTokens::AsText);
        self
    }

    /// The number of token ids, added tokens included: ids run from 0 to one less.
    pub fn vocabulary_size(&self) -> usize {
        let largest = self.tokenizer.get_vocab(true).into_values().max();
        largest.map_or(0, |id| id as usize + 1)
    }

    /// The number of token ids without added tokens, which a model may have no embedding for.
    pub(crate) fn own_vocabulary_size(&self) -> usize {
        own_vocabulary_size(&self.tokenizer)
    }

    /// Splits a text, without adding special tokens.
    ///
    /// # Errors
    /// Those of [`Tokenizer::tokenize_until`].
    pub fn tokenize(&self, text: &str) -> Result<Tokens> {
        self.tokenize_until(text, &Cancel::default())
    }

    /// Splits a text, without adding special tokens, until `cancel` says stop.
    ///
    /// A long text is split in pieces that are joined to the tokens of the whole, so that memory beside the result, of eight
    /// bytes a token, does not grow with it. They are shared among the threads of the `rayon` pool that calls, else among one
    /// for each core.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where the tokenizer cannot split it; [`ErrorKind::InvalidRecord`] where it gives up, as
    /// regular expressions do on some texts, and where 16 MiB without a place to cut, such as one letter again and again,
    /// stand in a longer text; [`ErrorKind::MemoryLimit`] where the tokens take more than the memory limit;
    /// [`ErrorKind::Cancelled`].
    pub fn tokenize_until(&self, text: &str, cancel: &Cancel) -> Result<Tokens> {
        pieces::tokenize(self, text, pieces::SIZES, cancel)
    }

    /// The tokens of a part of a text that begins at the byte `offset` of the whole.
    fn tokens(&self, part: &str, offset: usize) -> Result<Vec<Token>> {
        match &self.encoder {
            Some(encoder) => give_up::or_error(|| encoder.tokens(&self.tokenizer, part, offset))?,
            None => library_tokens(&self.tokenizer, part, offset),
        }
    }

    /// The special tokens that the tokenizer's post-processor puts before a text.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// The special tokens that the tokenizer's post-processor puts behind a text.
    pub fn suffix(&self) -> &[u32] {
        &self.suffix
    }

    /// Frames a window as the tokenizer's own post-processor does, and truncates it to `window` tokens in all.
    pub fn frame(&self, ids: &[u32], window: usize) -> Vec<u32> {
        let special = self.prefix.len() + self.suffix.len();
        let kept = ids.len().min(window.saturating_sub(special));
        let mut framed = [&self.prefix, &ids[..kept], &self.suffix].concat();
        framed.truncate(window);
        framed
    }
}

/// The number of token ids of a tokenizer without added tokens, whether or not these stand in its vocabulary, too.
pub(crate) fn own_vocabulary_size(tokenizer: &tokenizers::Tokenizer) -> usize {
    let added = tokenizer.get_added_tokens_decoder();
    let own = tokenizer.get_vocab(false).into_values().filter(|id| !added.contains_key(id));
    own.max().map_or(0, |id| id as usize + 1)
}

/// The special tokens that the post-processor puts before and after a text.
fn frame_of(tokenizer: &tokenizers::Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    let marker = 0;
    let bare = tokenizers::Encoding::from_tokens(
        vec![tokenizers::Token { id: marker, value: String::new(), offsets: (0, 1) }],
        0,
    );
    let framed = tokenizer.post_process(bare, None, true).map_err(tokenizer_error)?;
    let is_text = |special: &u32| *special == 0;
    let position = framed.get_special_tokens_mask().iter().position(is_text).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "the tokenizer's post-processor drops the text it should frame")
    })?;
    let ids = framed.get_ids();
    Ok((ids[..position].to_vec(), ids[position + 1..].to_vec()))
}

/// The tokens that the library gives for a part of a text that begins at the byte `offset` of the whole.
fn library_tokens(tokenizer: &tokenizers::Tokenizer, part: &str, offset: usize) -> Result<Vec<Token>> {
    let encoding = give_up::or_error(|| tokenizer.encode(part, false))?.map_err(tokenizer_error)?;
    let (ids, offsets, words) = (encoding.get_ids(), encoding.get_offsets(), encoding.get_word_ids());
    let mut tokens: Vec<Token> = Vec::with_capacity(ids.len());
    for (index, (id, (start, _))) in ids.iter().zip(offsets).enumerate() {
        let start = tokens.last().map_or(offset, |last| last.start.max(offset + part.floor_char_boundary(*start)));
        tokens.push(Token { id: *id, start, begins_word: index == 0 || words[index] != words[index - 1] });
    }
    Ok(tokens)
}

fn tokenizer_error(cause: tokenizers::Error) -> Error {
    Error::new(ErrorKind::InvalidModel, format!("the tokenizer failed: {cause}"))
}
