//! Text to token ids with byte ranges.

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// The tokens of a text, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    /// Where each token begins in the text, and the text's length; rising, at character boundaries.
    boundaries: Vec<usize>,
}

impl Tokens {
    /// The token ids.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where each token begins in the text, and the text's length: one more than there are tokens, rising, at character
    /// boundaries.
    pub fn boundaries(&self) -> &[usize] {
        &self.boundaries
    }

    /// The bytes of the text that some tokens stand for. Neighbouring ranges of tokens tile the text without gap or
    /// overlap; a character whose bytes are split among tokens belongs to the token after the split.
    ///
    /// # Panics
    /// Where `tokens` does not lie within the text's.
    pub fn bytes(&self, tokens: &Range<usize>) -> Range<usize> {
        self.boundaries[tokens.start]..self.boundaries[tokens.end]
    }
}

/// A `tokenizer.json` of the `tokenizers` library.
pub struct Tokenizer {
    tokenizer: tokenizers::Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
}

impl Tokenizer {
    /// Opens a `tokenizer.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the file cannot be read, [`ErrorKind::InvalidModel`] where it is not a tokenizer.
    pub fn open(path: &Path) -> Result<Self> {
        let json = std::fs::read(path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(json).map_err(|cause| {
            let message = format!("{} is not a tokenizer of the tokenizers library: {cause}", path.display());
            Error::new(ErrorKind::InvalidModel, message)
        })?;
        // Windows are cut and padded by nobody but us.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(tokenizer_error)?;
        // The library keeps what it caches in each thread, even after the tokenizer is gone: too much for a process that
        // opens one after the other.
        let mut model = tokenizer.get_model().clone();
        model.resize_cache(0);
        tokenizer.with_model(model);
        let (prefix, suffix) = frame_of(&tokenizer)?;
        Ok(Self { tokenizer, prefix, suffix })
    }

    /// The number of token ids, added tokens included: ids run from 0 to one less.
    pub fn vocabulary_size(&self) -> usize {
        let largest = self.tokenizer.get_vocab(true).into_values().max();
        largest.map_or(0, |id| id as usize + 1)
    }

    /// Splits a text, without adding special tokens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where the tokenizer cannot split it.
    pub fn tokenize(&self, text: &str) -> Result<Tokens> {
        let encoding = self.tokenizer.encode(text, false).map_err(tokenizer_error)?;
        let mut boundaries = Vec::with_capacity(encoding.len() + 1);
        boundaries.push(0);
        for (start, _) in encoding.get_offsets().iter().skip(1) {
            let floor = text.floor_char_boundary(*start);
            boundaries.push(floor.max(boundaries[boundaries.len() - 1]));
        }
        if encoding.is_empty() {
            boundaries.clear();
        }
        boundaries.push(text.len());
        Ok(Tokens { ids: encoding.get_ids().to_vec(), boundaries })
    }

    /// The special tokens that the tokenizer's post-processor puts before a text.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
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

fn tokenizer_error(cause: tokenizers::Error) -> Error {
    Error::new(ErrorKind::InvalidModel, format!("the tokenizer failed: {cause}"))
}
