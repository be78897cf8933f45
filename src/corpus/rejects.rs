//! The file of rejects.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::lines::json_line;
use super::writable::{check_writable, write_error};
use super::{Reject, STANDARD_STREAM};
use crate::error::{Error, ErrorKind, Result};

/// Writes rejects as JSON lines with the fields `file`, `line`, `id`, `reason` and `record`. The file is created, or an older
/// one replaced, at the first reject; without any, nothing is touched.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    file: Option<File>,
    count: u64,
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
        Ok(Self { path, file: None, count: 0 })
    }

    /// Writes one reject, through to the operating system.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io).
    pub fn write(&mut self, reject: &Reject) -> Result<()> {
        let row = Row {
            file: &reject.place.file,
            line: reject.place.line,
            id: reject.id.as_deref(),
            reason: &reject.reason,
            record: &reject.record,
        };
        let line = json_line(&row)?;
        self.write_line(&line)
            .map_err(|cause| write_error(self.path.display(), cause, "name another file of rejects"))?;
        self.count += 1;
        Ok(())
    }

    fn write_line(&mut self, line: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path)?),
        };
        file.write_all(line)
    }

    /// How many rejects were written.
    pub fn count(&self) -> u64 {
        self.count
    }
}
