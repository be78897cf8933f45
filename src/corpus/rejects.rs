//! The file of rejects.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::json::json_line;
use super::name::STANDARD_STREAM;
use super::place::Reject;
use super::writable::{check_writable, write_error};
use crate::error::{Error, ErrorKind, Result};

/// Writes rejects as JSON lines with the fields `file`, `line`, `id`, `reason` and `record`. The file is created, or an older
/// one replaced, at the first reject; without any, nothing is touched.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    file: Option<File>,
    count: u64,
    /// Of whole lines.
    bytes: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    line: Option<u64>,
    id: Option<&'a str>,
    reason: &'a str,
    record: &'a str,
}

impl Rejects {
    /// Prepares a file of rejects and checks that it could be written.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the path cannot be written to, of kind
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for `-`.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if path == Path::new(STANDARD_STREAM) {
            let message = "rejects cannot go to standard output, which is for results: name a file";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        check_writable(&path)?;
        Ok(Self { path, file: None, count: 0, bytes: 0 })
    }

    /// Removes an older file of rejects, where there is one.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io).
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(self.failure(cause)),
            _ => Ok(()),
        }
    }

    /// Writes one reject, through to the operating system.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io); no part of the reject stays then.
    pub fn write(&mut self, reject: &Reject) -> Result<()> {
        let row = Row {
            file: &reject.place.file,
            line: reject.place.line,
            id: reject.id.as_deref(),
            reason: &reject.reason,
            record: &reject.record,
        };
        let line = json_line(&row)?;
        self.write_line(&line).map_err(|cause| self.failure(cause))?;
        self.count += 1;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path)?),
        };
        let written = file.write_all(line);
        if written.is_err() {
            // A pipe or device cannot be cut, and keeps what it got.
            let _ = file.set_len(self.bytes).and_then(|()| file.seek(SeekFrom::Start(self.bytes)));
        }
        written
    }

    fn failure(&self, cause: io::Error) -> Error {
        write_error(self.path.display(), cause, "name another file of rejects")
    }

    /// How many rejects were written.
    pub fn count(&self) -> u64 {
        self.count
    }
}
