//! `tokenizer.json`: as it is, or made of whatever else a vocabulary lies in.

mod byte_level;
#[cfg(test)]
mod conformance;
mod frame;
mod gguf;
#[cfg(test)]
mod published;
mod sentence_piece;
mod splitters;
#[cfg(test)]
mod tests;
mod tokenizer_config;
mod vocabulary;

use std::fmt::Display;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokenizers::Tokenizer;

pub(super) use gguf::from_gguf;
use tokenizer_config::TokenizerConfig;

use super::files::{Directory, Files};
use super::gguf::Gguf;
use super::package;
use crate::error::{Error, ErrorKind, Result};

/// The largest have some ten megabytes.
const LIMIT: u64 = 500_000_000;

/// What a tokenizer can be made of, the first that is there.
const NAMES: [&str; 6] =
    [package::TOKENIZER, "tekken.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json"];

/// Reads a `tokenizer.json`, or makes one of the GGUF file or other vocabulary that is in its place; gives its text as well.
pub(super) fn load(path: &Path) -> Result<(Tokenizer, String)> {
    let failed = |cause| Error::io(format_args!("read the tokenizer {}", path.display()), cause);
    if Gguf::is_one(path).map_err(failed)? {
        return from_gguf(&Gguf::open(path)?);
    }
    let bytes = fs::read(path).map_err(failed)?;
    let directory = Directory::new(path.parent().unwrap_or(Path::new("")));
    convert(bytes, &directory, &path.display().to_string())
}

/// The tokenizer among the files of a checkpoint, with the text of its `tokenizer.json`; `None` where there is none.
pub(super) fn find(files: &dyn Files) -> Result<Option<(Tokenizer, String)>> {
    for name in NAMES {
        if let Some(bytes) = files.whole(name, LIMIT)? {
            return convert(bytes, files, &files.place(name)).map(Some);
        }
    }
    Ok(None)
}

/// What tells kinds of JSON files apart: a vocabulary may have tokens of these names.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    config: Option<&'a RawValue>,
}

impl Shape<'_> {
    fn is_object(value: Option<&RawValue>) -> bool {
        value.is_some_and(|value| value.get().starts_with('{'))
    }
}

/// Reads a tokenizer of any kind, which may have further files beside it.
fn convert(bytes: Vec<u8>, files: &dyn Files, place: &str) -> Result<(Tokenizer, String)> {
    if place.ends_with(package::TOKENIZER) {
        return parse(bytes, place);
    }
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    let config = || TokenizerConfig::read(files);
    let tokenizer = match serde_json::from_slice::<Shape>(&bytes) {
        Err(_) if !is_json => sentence_piece::from_model(&bytes, &config()?, place)?,
        Ok(shape) if Shape::is_object(shape.config) => byte_level::from_tekken(&bytes, place)?,
        Ok(shape) if !Shape::is_object(shape.model) => byte_level::from_vocabulary(&bytes, &config()?, files, place)?,
        _ => return parse(bytes, place),
    };
    let json =
        tokenizer.to_string(false).map_err(|cause| Error::new(ErrorKind::Internal, cause.to_string()).at(place))?;
    Ok((tokenizer, json))
}

/// Reads the bytes of the `tokenizer.json` at `place`; gives its text as well.
fn parse(bytes: Vec<u8>, place: impl Display) -> Result<(Tokenizer, String)> {
    let parsed = String::from_utf8(bytes).map_err(tokenizers::Error::from);
    let parsed = parsed.and_then(|json| Ok((json.parse()?, json)));
    parsed.map_err(|cause| {
        let message = format!("not a tokenizer.json that can be read: {cause}");
        Error::new(ErrorKind::InvalidModel, message).at(place)
    })
}
