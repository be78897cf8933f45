//! An append-only file that tells, after any interruption, what was done before it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::json::{json_line, json_reason};
use super::writable::{check_writable, sync_folder, write_error};
use crate::digest::Stamp;
use crate::error::{Error, ErrorKind, Result};

const OTHERWISE: &str = "start a journal elsewhere";

/// How long entries may be on their way to the disk while others follow.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// JSON lines that survive interruptions. One process at a time holds a journal.
///
/// - **A killed process** loses nothing that was appended: each append hands its lines to the operating system whole. Of an
///   append that was under way some lines may stay; half a line is cut off on resuming.
/// - **A power cut**, or a crash of the system, loses nothing that was appended before the last [`sync`](Self::sync). An append
///   syncs what was before it where the last sync is more than 5 seconds ago, so that at most the entries of these 5 seconds
///   and of one append can be lost. What was lost at the end is cut off on resuming; where the file system left something
///   else in its place, resuming names the line.
/// - **A removed file**, or one that another took the place of, is an error of the next append or sync; no entry counts then.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    /// Of these, how many are known to be on the disk.
    synced: u64,
    last_sync: Instant,
    ahead: Mutex<ReadAhead>,
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
        Ok(Self::new(path, file))
    }

    /// Goes on with a journal. Each entry that is in it is given to `entry` with the offset of its first byte; no more than one
    /// is held in memory. A torn last line is cut off.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the file is missing, cannot be written or is in use by another process; of kind
    /// [`InvalidRecord`](ErrorKind::InvalidRecord), with file and line, where a whole line is not a `T`; those of `entry`. The
    /// file is as it was then.
    pub fn resume<T: DeserializeOwned>(
        path: impl AsRef<Path>,
        entry: impl FnMut(T, u64) -> Result<()>,
    ) -> Result<Self> {
        let path = path.as_ref();
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|cause| Error::io(format!("resume the journal {}", path.display()), cause))?;
        lock(&file, path)?;
        let mut journal = Self::new(path, file);
        journal.length = read_entries(&journal.file, path, entry)?;
        journal.cut_to_whole_lines().map_err(|cause| journal.write_error(cause))?;
        Ok(journal)
    }

    fn new(path: &Path, file: File) -> Self {
        let ahead = Mutex::default();
        Self { path: path.to_owned(), file, length: 0, synced: 0, last_sync: Instant::now(), ahead }
    }

    /// Appends one entry, and gives the offset of its first byte. See [`Journal`] for what it survives.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io), the journal being as it was before, or removed; of kind
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) where the entry has no form in JSON.
    pub fn append<T: Serialize + ?Sized>(&mut self, entry: &T) -> Result<u64> {
        let line = json_line(entry).map_err(|error| error.at(self.path.display()))?;
        self.append_lines(&line)
    }

    /// Appends entries in one write, all or none, and gives the offsets of their first bytes. See [`Journal`] for what they
    /// survive.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_all<T: Serialize>(&mut self, entries: &[T]) -> Result<Vec<u64>> {
        let mut lines = Vec::new();
        let mut offsets = Vec::with_capacity(entries.len());
        for entry in entries {
            offsets.push(self.length + lines.len() as u64);
            lines.extend(json_line(entry).map_err(|error| error.at(self.path.display()))?);
        }
        self.append_lines(&lines).map(|_| offsets)
    }

    fn append_lines(&mut self, lines: &[u8]) -> Result<u64> {
        self.check_in_place()?;
        if self.synced < self.length && self.last_sync.elapsed() > SYNC_INTERVAL {
            self.sync()?;
        }
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(lines));
        if let Err(cause) = written {
            // Half a line must not stay in the middle, should the caller free space and go on.
            let _ = self.cut_to_whole_lines();
            return Err(self.write_error(cause));
        }
        let offset = self.length;
        self.length += lines.len() as u64;
        Ok(offset)
    }

    /// Waits until all entries are on the disk, where they survive a power cut.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io), also where the journal was removed.
    pub fn sync(&mut self) -> Result<()> {
        self.check_in_place()?;
        self.file.sync_data().map_err(|cause| self.write_error(cause))?;
        self.synced = self.length;
        self.last_sync = Instant::now();
        Ok(())
    }

    /// Reads the entry whose first byte is at an offset, in any order and from any thread; fast where the next offset follows
    /// the last.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the file cannot be read; of kind [`InvalidRecord`](ErrorKind::InvalidRecord) where
    /// there is no `T` at the offset.
    pub fn read<T: DeserializeOwned>(&self, offset: u64) -> Result<T> {
        let place = || format!("{} at byte {offset}", self.path.display());
        serde_json::from_slice(&self.line(offset)?).map_err(|error| invalid(&error).at(place()))
    }

    /// As [`read`](Self::read), without a look at what the entry says: its bytes.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the file cannot be read.
    pub fn line(&self, offset: u64) -> Result<Box<[u8]>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let line = ahead.line(&self.file, offset);
        let place = || format!("read {} at byte {offset}", self.path.display());
        line.map(Box::from).map_err(|cause| Error::io(place(), cause))
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to go on with a file that nobody will find again.
    fn check_in_place(&self) -> Result<()> {
        let stamps = Stamp::of(&self.path).and_then(|named| Ok((named, Stamp::of_open_file(&self.file)?)));
        match stamps {
            Ok((named, open)) if named.is_same_file(&open) => Ok(()),
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(self.write_error(cause)),
            _ => {
                let name = self.path.display();
                let message = format!("the journal {name} was removed while it was in use: what it held is lost");
                Err(Error::new(ErrorKind::Io, message))
            }
        }
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

/// A piece of the journal, which never changes once it is written.
#[derive(Debug, Default)]
struct ReadAhead {
    start: u64,
    bytes: Vec<u8>,
}

impl ReadAhead {
    const FAR: usize = 1 << 18;
    const NEAR: usize = 1 << 12;

    /// The line that begins at an offset, without its end.
    fn line(&mut self, file: &File, offset: u64) -> io::Result<&[u8]> {
        let mut step = Self::FAR;
        if !(self.start..=self.start + self.bytes.len() as u64).contains(&offset) {
            (self.start, step) = (offset, Self::NEAR);
            self.bytes.clear();
        }
        let line = loop {
            let from = (offset - self.start) as usize;
            if let Some(length) = self.bytes[from..].iter().position(|byte| *byte == b'\n') {
                break from..from + length;
            }
            self.bytes.drain(..from);
            self.start = offset;
            self.extend(file, step)?;
            step = self.bytes.len().max(Self::FAR);
        };
        Ok(&self.bytes[line])
    }

    fn extend(&mut self, file: &File, step: usize) -> io::Result<()> {
        let known = self.bytes.len();
        self.bytes.resize(known + step, 0);
        let read = read_at(file, &mut self.bytes[known..], self.start + known as u64);
        self.bytes.truncate(known + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no whole line is there")),
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

fn create_error(path: &Path, cause: io::Error) -> Error {
    let name = path.display();
    if cause.kind() == io::ErrorKind::AlreadyExists {
        let message = format!("the journal {name} exists already: resume it, or delete it to start again");
        return Error::new(ErrorKind::Io, message);
    }
    write_error(name, cause, OTHERWISE)
}

/// Whether a file could not be locked because its file system knows no locks, as NFS mostly does without its lock daemon.
pub(crate) fn has_no_locks(cause: &io::Error) -> bool {
    const ENOLCK: i32 = 37;
    cause.kind() == io::ErrorKind::Unsupported || cfg!(target_os = "linux") && cause.raw_os_error() == Some(ENOLCK)
}

fn lock(file: &File, path: &Path) -> Result<()> {
    let name = path.display();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let message = format!("the journal {name} is in use by another process: wait for it, or stop it first");
            Err(Error::new(ErrorKind::Io, message))
        }
        Err(TryLockError::Error(cause)) if has_no_locks(&cause) => {
            log::warn!("this file system has no locks: do not use the journal {name} from two processes");
            Ok(())
        }
        Err(TryLockError::Error(cause)) => Err(Error::io(format!("lock the journal {name}"), cause)),
    }
}

/// Gives the entries of all whole lines with their offsets, and tells how many bytes these lines take.
fn read_entries<T: DeserializeOwned>(
    file: &File,
    path: &Path,
    mut entry: impl FnMut(T, u64) -> Result<()>,
) -> Result<u64> {
    let mut reader = BufReader::new(file);
    let mut number = 0u64;
    let mut length = 0;
    let mut line = Vec::new();
    loop {
        number += 1;
        let place = || format!("{}:{number}", path.display());
        let read = reader.read_until(b'\n', &mut line);
        read.map_err(|cause| Error::io(format!("read {}", place()), cause))?;
        if line.last() != Some(&b'\n') {
            check_torn(&line).map_err(|error| error.at(place()))?;
            return Ok(length);
        }
        let parsed = serde_json::from_slice(line.trim_ascii_end()).map_err(|error| invalid(&error).at(place()))?;
        entry(parsed, length)?;
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
