//! Ranges of remote files that were fetched, kept until the export is done so that none is fetched twice.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// A directory beside the target: `COMMIT/FILE/START-END` holds a range, and with `.part` at the end of its name what
/// has come of one so far.
pub(super) struct Ranges {
    root: PathBuf,
    commit: PathBuf,
}

impl Ranges {
    /// The ranges of one commit, for a package at `target`.
    pub(super) fn new(target: &Path, commit: &str) -> Self {
        let mut name = target.file_name().unwrap_or("model".as_ref()).to_owned();
        name.push(".download");
        let root = target.with_file_name(name);
        Self { commit: root.join(commit), root }
    }

    /// The directory, for messages.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A range that has come whole.
    pub(super) fn whole(&self, file: &str, range: &Range<u64>) -> Option<File> {
        File::open(self.path(file, range)).ok()
    }

    /// What has come of a range, to be gone on with by this process alone.
    pub(super) fn begin(&self, file: &str, range: &Range<u64>) -> Result<Part> {
        let whole = self.path(file, range);
        let path = whole.with_added_extension("part");
        let open = || {
            fs::create_dir_all(whole.parent().expect("has a parent"))?;
            OpenOptions::new().create(true).append(true).open(&path)
        };
        let file = open().map_err(|cause| Error::io(format_args!("write {}", path.display()), cause))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("another export writes {}: wait for it, or end it", path.display());
                return Err(Error::new(ErrorKind::Io, message));
            }
            Err(TryLockError::Error(cause)) => return Err(Error::io(format_args!("lock {}", path.display()), cause)),
        }
        let part = Part { path, whole, file };
        match part.length()? <= range.end - range.start {
            true => Ok(part),
            false => part.emptied(),
        }
    }

    /// Removes what was kept.
    pub(super) fn remove(&self) {
        // What is left takes space and does no other harm.
        let _ = fs::remove_dir_all(&self.commit);
        let _ = fs::remove_dir(&self.root);
    }

    fn path(&self, file: &str, range: &Range<u64>) -> PathBuf {
        self.commit.join(file).join(format!("{}-{}", range.start, range.end))
    }
}

/// A range on its way.
pub(super) struct Part {
    path: PathBuf,
    whole: PathBuf,
    file: File,
}

impl Part {
    /// Bytes that have come.
    pub(super) fn length(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|cause| self.failed(cause))
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|cause| self.failed(cause))
    }

    /// Gives the range its name, once all of it has come.
    pub(super) fn finish(self) -> Result<()> {
        let named = self.file.sync_all().and_then(|()| fs::rename(&self.path, &self.whole));
        named.map_err(|cause| self.failed(cause))
    }

    fn emptied(self) -> Result<Self> {
        self.file.set_len(0).map_err(|cause| self.failed(cause))?;
        Ok(self)
    }

    fn failed(&self, cause: io::Error) -> Error {
        let full = matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let remedy = if full { "; free some space there and run the command again" } else { "" };
        Error::new(ErrorKind::Io, format!("cannot write {}: {cause}{remedy}", self.path.display()))
    }
}
