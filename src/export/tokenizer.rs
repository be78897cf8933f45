//! `tokenizer.json`: as it is, or made from the metadata of a GGUF file.

#[cfg(test)]
mod conformance;
mod gguf;
mod splitters;

use std::fmt::Display;
use std::fs;
use std::path::Path;

use tokenizers::Tokenizer;

pub(super) use gguf::from_gguf;

use super::gguf::Gguf;
use crate::error::{Error, ErrorKind, Result};

/// Reads a `tokenizer.json`, or makes one of the GGUF file that is in its place; gives its text as well.
pub(super) fn load(path: &Path) -> Result<(Tokenizer, String)> {
    let failed = |cause| Error::io(format_args!("read the tokenizer {}", path.display()), cause);
    if Gguf::is_one(path).map_err(failed)? {
        return from_gguf(&Gguf::open(path)?);
    }
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
