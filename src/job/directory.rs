//! The directory that a job keeps its results in, owned by one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::choice::Choice;
use crate::corpus::{Layout, OutputFormat, has_no_locks, holds_results, is_remote, shown, written_at};
use crate::error::{Error, ErrorKind, Result};

const LOCK: &str = "job.lock";

/// A directory of results. Nothing in it is read, written or removed but by the process that holds this.
#[derive(Debug)]
pub struct ResultDirectory {
    path: PathBuf,
    lock: File,
}

impl ResultDirectory {
    /// Makes the directory where it is missing, and takes its lock.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the directory cannot be made or written to, or another process holds it;
    /// [`ErrorKind::InvalidArgument`] for a URL.
    pub fn open(path: &Path) -> Result<Self> {
        if is_remote(path) {
            let message = format!(
                "results cannot grow in {}, since a journal is locked and appended to: name a directory on this machine, and \
                 have its outputs copied there at the end with upload",
                shown(path)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        fs::create_dir_all(path).map_err(|cause| Error::io(format!("make the directory {}", path.display()), cause))?;
        let lock_path = path.join(LOCK);
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(|cause| Error::io(format!("write {}", lock_path.display()), cause))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another process is at work in {}: wait for it, stop it, or use another directory",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Io, message));
            }
            Err(TryLockError::Error(cause)) if has_no_locks(&cause) => {
                log::warn!("this file system has no locks: do not use {} from two processes", path.display());
            }
            Err(TryLockError::Error(cause)) => return Err(Error::io(format!("lock {}", lock_path.display()), cause)),
        }
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Whether a folder is the result directory of a job.
    pub fn is_one(path: &Path) -> bool {
        holds_results(path)
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where a table is written, which is called `name` and has the suffix of its format.
    pub fn table(&self, name: &str, layout: Layout) -> PathBuf {
        self.file(&table_name(name, layout))
    }

    /// The files of a table in it, whatever format they have.
    pub fn tables(&self, name: &str) -> Vec<PathBuf> {
        let paths = OutputFormat::NAMES.iter().map(|(suffix, _)| self.file(&format!("{name}.{suffix}")));
        paths.flat_map(|path| written_at(&path).unwrap_or_default()).collect()
    }

    /// Removes what earlier calls wrote of a table, but for what is written at a path.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn remove_other_tables(&self, name: &str, kept: &Path) -> Result<()> {
        let kept = written_at(kept).unwrap_or_default();
        let others = self.tables(name).into_iter().filter(|path| !kept.contains(path));
        others.into_iter().try_for_each(|path| remove(&path))
    }

    /// Removes files of it, where they are there.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn remove(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| remove(&self.file(name)))
    }
}

/// What a table's file is called.
pub(super) fn table_name(name: &str, layout: Layout) -> String {
    format!("{name}.{}", layout.format.map_or("jsonl", OutputFormat::name))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()), cause))
        }
        _ => Ok(()),
    }
}

impl Drop for ResultDirectory {
    fn drop(&mut self) {
        // A child process that is just being started holds the open file too, so closing it may leave it locked.
        let _ = self.lock.unlock();
    }
}
