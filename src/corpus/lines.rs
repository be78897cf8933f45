//! JSON lines, one bad line never more than one reject.

use std::io::{BufRead, Read};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::source::Source;
use super::{Place, Reject};
use crate::error::{Error, ErrorKind, Result};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a file of JSON lines, each line an object. Blank lines are skipped; a byte order mark and CRLF are tolerated; lines
/// may have any length, and memory stays near that of one line.
///
/// A line that is not UTF-8, not a JSON object or not a `T` comes as a [`Reject`], and reading goes on. A file that cannot
/// be read, or decompressed, gives an error of kind [`Io`](crate::ErrorKind::Io) with file and line, and ends the iteration.
pub struct Lines<T> {
    lines: Option<RawLines>,
    entry: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// Opens a file, or standard input for `-`; names that end in `.gz` and `.zst` are decompressed.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let source = Source::open(path.as_ref(), Arc::new(AtomicU64::new(0)))?;
        Ok(Self { lines: Some(RawLines::new(source)), entry: PhantomData })
    }
}

impl<T: DeserializeOwned> Iterator for Lines<T> {
    type Item = Result<(Place, Result<T, Reject>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let lines = self.lines.as_mut()?;
        match lines.advance() {
            Ok(true) => {
                let entry = parse_object(lines.line()).map_err(|reason| lines.reject(None, reason));
                Some(Ok((lines.place(), entry)))
            }
            Ok(false) => {
                self.lines = None;
                None
            }
            Err(error) => {
                self.lines = None;
                Some(Err(error))
            }
        }
    }
}

/// One JSON object, or the reason why a line is none.
pub(super) fn parse_object<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    let text =
        std::str::from_utf8(line).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to() + 1))?;
    // serde would also take an array for a struct.
    if !text.trim_ascii_start().starts_with('{') {
        return Err("not a JSON object: each line must be one object, {…}".to_owned());
    }
    serde_json::from_str(text).map_err(|error| json_reason(&error))
}

/// An entry as one JSON line with its end.
pub(super) fn json_line<T: Serialize + ?Sized>(entry: &T) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)
        .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("an entry has no form in JSON: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

/// The message of serde_json with its own line number, always 1 here, left out.
pub(super) fn json_reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match message.strip_suffix(&position) {
        Some(reason) => format!("{reason} at column {}", error.column()),
        None => message,
    }
}

/// The non-blank lines of a source, as bytes.
pub struct RawLines {
    source: Source,
    number: u64,
    buffer: Vec<u8>,
}

impl RawLines {
    pub(super) fn new(source: Source) -> Self {
        Self { source, number: 0, buffer: Vec::new() }
    }

    /// Opens a file, or standard input for `-`; names that end in `.gz` and `.zst` are decompressed.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(Source::open(path.as_ref(), Arc::new(AtomicU64::new(0)))?))
    }

    /// Reads what a file held, from elsewhere and decompressed.
    pub fn of(path: &Path, bytes: impl Read + Send + 'static) -> Self {
        Self::new(Source::of(path, bytes))
    }

    /// What is left of the source, decompressed.
    pub fn into_bytes(self) -> impl Read {
        self.source.bytes
    }

    /// Reads up to the line with a number; false where the source has ended before it.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the source cannot be read or decompressed.
    pub fn skip_to(&mut self, number: u64) -> Result<bool> {
        while self.number < number {
            if !self.read_line()? {
                return Ok(false);
            }
        }
        Ok(self.number == number)
    }

    /// Reads up to the next line that is not blank; false at the end.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the source cannot be read or decompressed.
    pub fn advance(&mut self) -> Result<bool> {
        while self.read_line()? {
            if !self.line().trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_line(&mut self) -> Result<bool> {
        self.buffer.clear();
        self.number += 1;
        let read = self.source.bytes.read_until(b'\n', &mut self.buffer);
        let count = read.map_err(|cause| self.source.failure(&self.place(), cause))?;
        Ok(count > 0)
    }

    /// The line, without its end and without a byte order mark.
    pub fn line(&self) -> &[u8] {
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number > 1 {
            return line;
        }
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    /// The line as a JSON object, or the reason why it is none.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, String> {
        parse_object(self.line())
    }

    /// The number of the line, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where the line stands.
    pub fn place(&self) -> Place {
        Place { file: self.source.file.clone(), line: Some(self.number) }
    }

    /// The line with the reason why it was left out.
    pub fn reject(&self, id: Option<String>, reason: String) -> Reject {
        Reject { place: self.place(), id, reason, record: String::from_utf8_lossy(self.line()).into_owned() }
    }
}
