//! Entries as JSON, and why they are none.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};

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
