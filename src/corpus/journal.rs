//! An append-only file that tells, after any interruption, what was done before it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::lines::{json_line, json_reason};
use super::writable::{check_writable, sync_folder, write_error};
use crate::error::{Error, ErrorKind, Result};

const OTHERWISE: &str = "start a journal elsewhere";

/// JSON lines that survive an interruption, a killed process and a power cut: whole lines stay, a torn last line is dropped
/// on resuming. One process at a time holds a journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
}

impl Journal {
    /// Starts a journal.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the file exists already or cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        check_writable(path)?;

        let created = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = created.map_err(|cause| create_error(path, cause))?;
        lock(&file, path)?;
        sync_folder(path);
        Ok(Self { path: path.to_owned(), file, length: 0 })
    }

    /// Goes on with a journal, and gives the entries that are in it. A torn last line is cut off.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the file is missing, cannot be written or is in use by another process; of kind
    /// [`InvalidRecord`](ErrorKind::InvalidRecord), with file and line, where a whole line is not a `T`.
    pub fn resume<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<(Self, Vec<T>)> {
        let path = path.as_ref();
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|cause| Error::io(format!("resume the journal {}", path.display()), cause))?;
        lock(&file, path)?;
        let mut journal = Self { path: path.to_owned(), file, length: 0 };
        let (entries, length) = read_entries(&journal.file, path)?;
        journal.length = length;
        journal.cut_to_whole_lines().map_err(|cause| journal.write_error(cause))?;
        Ok((journal, entries))
    }

    /// Appends one entry, through to the operating system: it survives the end of this process. See [`sync`](Self::sync) for
    /// power cuts.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io), the journal being as it was before; of kind
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) where the entry has no form in JSON.
    pub fn append<T: Serialize + ?Sized>(&mut self, entry: &T) -> Result<()> {
        let line = json_line(entry).map_err(|error| error.at(self.path.display()))?;
        if let Err(cause) = self.file.write_all(&line) {
            // Half a line must not stay in the middle, should the caller free space and go on.
            let _ = self.cut_to_whole_lines();
            return Err(self.write_error(cause));
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Waits until all entries are on the disk, where they survive a power cut.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io).
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|cause| self.write_error(cause))
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn cut_to_whole_lines(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    fn write_error(&self, cause: io::Error) -> Error {
        write_error(self.path.display(), cause, OTHERWISE)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A child process that is just being started holds the open file too, so closing it may leave it locked.
        let _ = self.file.unlock();
    }
}

fn create_error(path: &Path, cause: io::Error) -> Error {
    let name = path.display();
    if cause.kind() == io::ErrorKind::AlreadyExists {
        let message = format!("the journal {name} exists already: resume it, or delete it to start again");
        return Error::new(ErrorKind::Io, message);
    }
    write_error(name, cause, OTHERWISE)
}

fn lock(file: &File, path: &Path) -> Result<()> {
    let name = path.display();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let message = format!("the journal {name} is in use by another process: wait for it, or stop it first");
            Err(Error::new(ErrorKind::Io, message))
        }
        Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => {
            log::warn!("this file system has no locks: do not use the journal {name} from two processes");
            Ok(())
        }
        Err(TryLockError::Error(cause)) => Err(Error::io(format!("lock the journal {name}"), cause)),
    }
}

/// The entries of all whole lines, and how many bytes these take.
fn read_entries<T: DeserializeOwned>(file: &File, path: &Path) -> Result<(Vec<T>, u64)> {
    let mut reader = BufReader::new(file);
    let mut entries = Vec::new();
    let mut length = 0;
    let mut line = Vec::new();
    loop {
        let place = || format!("{}:{}", path.display(), entries.len() + 1);
        let read = reader.read_until(b'\n', &mut line);
        read.map_err(|cause| Error::io(format!("read {}", place()), cause))?;
        if line.last() != Some(&b'\n') {
            check_torn(&line).map_err(|error| error.at(place()))?;
            return Ok((entries, length));
        }
        let entry = serde_json::from_slice(line.trim_ascii_end()).map_err(|error| invalid(&error).at(place()))?;
        entries.push(entry);
        length += line.len() as u64;
        line.clear();
    }
}

/// Refuses to cut off what is not the beginning of an entry: the file may be no journal at all.
fn check_torn(line: &[u8]) -> Result<()> {
    // A power cut may leave zeros where the end of a line was to be.
    let written = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match serde_json::from_slice::<IgnoredAny>(&line[..written]) {
        Err(error) if error.column() < written => Err(invalid(&error)),
        _ => Ok(()),
    }
}

fn invalid(error: &serde_json::Error) -> Error {
    let reason = json_reason(error);
    Error::new(
        ErrorKind::InvalidRecord,
        format!("not an entry of this journal: {reason}; delete the line, or start again"),
    )
}
