//! JSON lines, one bad line never more than one reject.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::documents::{RawDocument, RawDocuments};
use super::name::shown;
use super::object::{RawObject, parse_tolerantly};
use super::{Place, Reject};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// Reads a file of JSON lines, each line an object. Blank lines are skipped; a byte order mark and CRLF are tolerated; lines
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
    /// Opens a file, or standard input for `-`; names that end in `.gz` and `.zst` are decompressed. `NaN` and infinities, as
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
        let documents =
            RawDocuments::open(path, true, u64::MAX, Cancel::default()).map_err(|reject| failure(&reject))?;
        Ok(Self { documents, file: Place { file: shown(path).into(), line: None }, parse })
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

fn failure(reject: &Reject) -> Error {
    Error::new(ErrorKind::Io, reject.to_string())
}

/// The reject of a line.
pub(super) fn rejected_line(place: &Place, id: Option<String>, reason: String, line: &[u8]) -> Reject {
    Reject { place: place.clone(), id, reason, record: String::from_utf8_lossy(line).into_owned() }
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

/// An entry as one JSON line with its end.
pub(super) fn json_line<T: Serialize + ?Sized>(entry: &T) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry).map_err(|error| no_form(&error))?;
    line.push(b'\n');
    Ok(line)
}

pub(super) fn no_form(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("an entry has no form in JSON: {error}"))
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
