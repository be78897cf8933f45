//! JSON lines, and the rows of tables as such, one bad line never more than one reject.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::documents::RawDocuments;
use super::format::{Asked, RawDocument};
use super::formats::JSON_LINES;
use super::json::json_reason;
use super::name::shown;
use super::object::{RawObject, parse_tolerantly};
use super::place::{Place, Reject};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// Reads a file of JSON lines, each line an object, or a table of Parquet or Arrow, each row an object. Blank lines are skipped; a byte order mark and CRLF are tolerated; lines
/// may have any length, and memory stays near that of one line.
///
/// A line that is not UTF-8, not a JSON object or not a `T` comes as a [`Reject`], and reading goes on. A file that cannot
/// be read, or decompressed, gives an error of kind [`Io`](crate::ErrorKind::Io) with file and line, and ends the iteration:
/// damage may show long after it began, so what came before is not to be trusted either.
pub struct Lines<T> {
    documents: RawDocuments,
    file: Place,
    parse: fn(&str) -> Result<T, String>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// Opens a file, or standard input for `-`; it is decompressed where it is compressed. `NaN` and infinities, as
    /// Python writes them, come as empty objects.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::parsed_by(path.as_ref(), |line| parse_tolerantly(line, |line| serde_json::from_str(line)))
    }
}

impl Lines<RawObject> {
    /// Opens a file as [`open`](Lines::open) does, every value to be kept as it is written.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be opened.
    pub fn objects(path: impl AsRef<Path>) -> Result<Self> {
        Self::parsed_by(path.as_ref(), RawObject::parse)
    }
}

impl<T> Lines<T> {
    fn parsed_by(path: &Path, parse: fn(&str) -> Result<T, String>) -> Result<Self> {
        Ok(Self { documents: open(path)?, file: Place { file: shown(path).into(), line: None }, parse })
    }

    fn entry(&self, document: &RawDocument) -> (Place, Result<T, Reject>) {
        let place = Place { line: Some(document.line), ..self.file.clone() };
        let bytes = document.bytes.as_deref().unwrap_or_default();
        let entry =
            object_text(bytes).and_then(self.parse).map_err(|reason| rejected_line(&place, None, reason, bytes));
        (place, entry)
    }
}

impl<T> Iterator for Lines<T> {
    type Item = Result<(Place, Result<T, Reject>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let document = self.documents.next()?;
        Some(document.map(|document| self.entry(&document)).map_err(|reject| failure(&reject)))
    }
}

/// The lines of a file that are not blank, one at a time, as they were read; of a table, its rows as JSON objects.
pub struct RawLines {
    documents: RawDocuments,
    file: Arc<str>,
    line: RawDocument,
}

impl RawLines {
    /// Opens a file, or standard input for `-`; it is decompressed where it is compressed.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::kept_in(path.as_ref(), path.as_ref())
    }

    /// Opens the file `kept` for what `path` said, a stream that could be read only once.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be opened.
    pub fn kept_in(kept: &Path, path: &Path) -> Result<Self> {
        let line = RawDocument { line: 0, offset: 0, bytes: Ok(Vec::new()) };
        Ok(Self { documents: open(kept)?, file: shown(path).into(), line })
    }

    /// Reads up to the next line that is not blank; false at the end.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be read or decompressed; nothing that came from it may be
    /// trusted then.
    pub fn advance(&mut self) -> Result<bool> {
        let Some(next) = self.documents.next() else { return Ok(false) };
        self.line = next.map_err(|reject| failure(&reject))?;
        Ok(true)
    }

    /// Reads up to the line with a number; false where it is blank or behind the end.
    ///
    /// # Errors
    /// Those of [`advance`](Self::advance).
    pub fn skip_to(&mut self, number: u64) -> Result<bool> {
        while self.line.line < number {
            if !self.advance()? {
                return Ok(false);
            }
        }
        Ok(self.line.line == number)
    }

    /// The line, without its end and without a byte order mark.
    pub fn line(&self) -> &[u8] {
        self.line.bytes.as_deref().unwrap_or_default()
    }

    /// The line as a JSON object, or the reason why it is none.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, String> {
        serde_json::from_str(object_text(self.line())?).map_err(|error| json_reason(&error))
    }

    /// The number of the line, from 1.
    pub fn number(&self) -> u64 {
        self.line.line
    }

    /// Where the line stands.
    pub fn place(&self) -> Place {
        Place { file: self.file.clone(), line: Some(self.line.line) }
    }

    /// The line with the reason why it was left out.
    pub fn reject(&self, id: Option<String>, reason: String) -> Reject {
        rejected_line(&self.place(), id, reason, self.line())
    }
}

fn open(path: &Path) -> Result<RawDocuments> {
    let asked = Asked { fields: None, every_field: true, is_typed: false, limit: u64::MAX };
    RawDocuments::open(path, JSON_LINES, &asked, Cancel::default()).map_err(|reject| failure(&reject))
}

fn failure(reject: &Reject) -> Error {
    Error::new(ErrorKind::Io, reject.to_string())
}

/// Bytes of a line that its reject shows: enough to know it by, and little enough for a corpus of nothing but rejects.
const SHOWN_BYTES: usize = 4096;

/// The reject of a line.
pub(super) fn rejected_line(place: &Place, id: Option<String>, reason: String, line: &[u8]) -> Reject {
    let shown = line.get(..SHOWN_BYTES).unwrap_or(line);
    let more = if shown.len() < line.len() { "…" } else { "" };
    Reject { place: place.clone(), id, reason, record: format!("{}{more}", String::from_utf8_lossy(shown)) }
}

/// The text of a line that may hold an object, or the reason why it holds none.
pub(super) fn object_text(line: &[u8]) -> Result<&str, String> {
    let text =
        std::str::from_utf8(line).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to() + 1))?;
    // serde would also take an array for a struct.
    if !text.trim_ascii_start().starts_with('{') {
        return Err("not a JSON object: each line must be one object, {…}".to_owned());
    }
    Ok(text)
}
