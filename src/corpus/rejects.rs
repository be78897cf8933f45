//! The file of rejects.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, IntoInnerError, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::json::json_line;
use super::whole::Unfinished;
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
    pub fn clear(&mut self) -> Result<()> {
        self.keep(&[]).map_err(|cause| self.failure(cause))
    }

    /// Goes on with a file of rejects. Of what it holds the given ranges of bytes stay, each of whole lines, in the order of the
    /// file; the rest is dropped. Where nothing stays, the file is removed.
    ///
    /// Where anything but the end is dropped, a new file takes the place of the old one when it is whole and on the disk.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the path cannot be written to; of kind [`InvalidRecord`](ErrorKind::InvalidRecord)
    /// where the file does not have these lines.
    pub fn resume(path: impl Into<PathBuf>, kept: &[Range<u64>]) -> Result<Self> {
        let mut rejects = Self::new(path)?;
        rejects.keep(&joined(kept)).map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidData => {
                let message =
                    format!("the rejects {} are not those that were written: {cause}", rejects.path.display());
                Error::new(ErrorKind::InvalidRecord, message)
            }
            _ => rejects.failure(cause),
        })?;
        Ok(rejects)
    }

    fn keep(&mut self, kept: &[Range<u64>]) -> io::Result<()> {
        if kept.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
                _ => Ok(()),
            };
        }
        let older = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.bytes = kept.iter().map(|range| range.end - range.start).sum();
        let mut file = match kept {
            [Range { start: 0, .. }] => {
                self.count = copy_lines(&older, kept, &mut io::sink())?;
                older.set_len(self.bytes)?;
                older
            }
            _ => {
                let mut whole = BufWriter::new(Unfinished::beside(&self.path)?);
                self.count = copy_lines(&older, kept, &mut whole)?;
                whole.into_inner().map_err(IntoInnerError::into_error)?.finish()?
            }
        };
        file.seek(SeekFrom::Start(self.bytes))?;
        self.file = Some(file);
        Ok(())
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

    /// Waits until all rejects are on the disk, where they survive a power cut.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io).
    pub fn sync(&mut self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let synced = file.metadata().and_then(|metadata| if metadata.is_file() { file.sync_data() } else { Ok(()) });
        synced.map_err(|cause| self.failure(cause))
    }

    fn failure(&self, cause: io::Error) -> Error {
        write_error(self.path.display(), cause, "name another file of rejects")
    }

    /// How many rejects were written, those that stayed on resuming included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of these.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Ranges without the empty ones, and with those that follow each other directly made one.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range.clone()),
        }
    }
    joined
}

/// Copies ranges of whole lines, and tells how many lines these are.
fn copy_lines(file: &File, ranges: &[Range<u64>], target: &mut impl Write) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    let mut count = 0;
    let mut line = Vec::new();
    for range in ranges {
        let no_lines = || {
            let message = format!("the bytes {} to {} are no whole lines", range.start, range.end);
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        reader.seek(SeekFrom::Start(range.start.saturating_sub(1)))?;
        if range.start > 0 && reader.by_ref().bytes().next().transpose()? != Some(b'\n') {
            return Err(no_lines());
        }
        let mut lines = reader.by_ref().take(range.end - range.start);
        while lines.limit() > 0 {
            line.clear();
            lines.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                return Err(no_lines());
            }
            target.write_all(&line)?;
            count += 1;
        }
    }
    Ok(count)
}
