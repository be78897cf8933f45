//! What it takes to be a format of documents.

use std::ops::Range;

use super::kind::Kind;
use super::record::Fields;
use super::source::{Content, Source};
use crate::digest::Stamp;

/// A document as it was read, not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDocument {
    /// The line or row that it is, from 1; 0 where it is a whole file.
    pub line: u64,
    /// Where it begins: its first byte in the decompressed file, or in Parquet and Arrow its row from 0.
    pub offset: u64,
    /// A text, or a JSON object.
    pub(super) bytes: Result<Vec<u8>, Unread>,
}

/// Why no bytes are held of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than the limit.
    OverLimit,
    /// It is what was left over behind the end of compressed data.
    Leftover,
}

impl RawDocument {
    /// Bytes that are held of it: all, without the line's end and a byte order mark; none where it is over the limit.
    pub fn len(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }

    /// Whether no bytes are held of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One format: a row of the table in `formats`.
#[derive(Debug)]
pub(super) struct Format {
    /// As messages call it.
    pub name: &'static str,
    /// What names of such files end in, whatever their case and without the suffix of a compression.
    pub suffixes: &'static [&'static str],
    /// Whether each file is one text, rather than many records.
    pub is_one_text: bool,
    /// Whether reading can begin in the middle of a file that is not compressed.
    pub has_parts: bool,
    /// Whether a file is of this format by its first bytes, which are all of them where the second argument is true.
    pub begins: fn(&[u8], bool) -> bool,
    /// Opens a file, or gives the reason why it cannot be read.
    pub open: fn(Source, &Asked) -> Opened,
}

/// The documents of a file, or the reason why it cannot be read.
pub(super) type Opened = Result<Box<dyn Documents>, String>;

/// What is asked for of each document.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The fields that documents are made of; none where rows need not be documents.
    pub fields: Option<Fields>,
    /// Whether all other fields are needed too.
    pub every_field: bool,
    /// Whether rows must tell the types of these fields: then bytes are hexadecimal, also where they could be a text, but for
    /// those of the fields that documents are made of.
    pub is_typed: bool,
    /// Bytes that a document may have.
    pub limit: u64,
}

/// The documents of one file, in order.
pub(super) trait Documents: Send {
    /// What all rows are, where that was asked for; none where the format does not tell.
    fn kind(&self) -> Option<Kind> {
        None
    }

    /// The next document; none at the end of a file that is whole.
    ///
    /// # Errors
    /// The reason why the file cannot be read on.
    fn next(&mut self) -> Result<Option<RawDocument>, String>;

    /// Goes to a document that lies ahead.
    ///
    /// # Errors
    /// The reason why the file cannot be read on.
    fn skip_to(&mut self, offset: u64, line: u64) -> Result<(), String>;

    /// Goes to the first document that begins in some bytes of the file, and gives the offset of the first behind these, or
    /// one at which none begins. Only where the format has parts.
    ///
    /// # Errors
    /// The reason why the file cannot be read in parts.
    fn enter(&mut self, part: &Range<u64>) -> Result<u64, String>;

    /// Where the next document may begin.
    fn offset(&self) -> u64;

    /// The line or row that was begun last, from 1; none where there is none, or the file is one text.
    fn line(&self) -> Option<u64>;

    /// Bytes taken from the file so far, as they are on disk.
    fn consumed_bytes(&self) -> u64;

    /// What the whole file held, once the end was reached.
    ///
    /// # Errors
    /// The reason why it does not hold it any more.
    fn content(&mut self) -> Result<Content, String>;

    /// The stamp that the file has had since it was opened; none for what is no regular file.
    ///
    /// # Errors
    /// How it was changed.
    fn unchanged_stamp(&mut self) -> Result<Option<Stamp>, String>;
}

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Refuses other encodings than UTF-8 that a file's first bytes tell.
pub(super) fn check_encoding(head: &[u8]) -> Result<(), String> {
    let encoding = match head {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => "UTF-32",
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "UTF-16",
        _ => return Ok(()),
    };
    Err(format!("is text in {encoding}, and must be in UTF-8: convert it with iconv -f {encoding} -t UTF-8"))
}

/// Bytes without the mark that some programs begin a file with.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}
