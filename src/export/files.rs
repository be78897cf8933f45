//! The files of a checkpoint, wherever they lie.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};

/// How a pointer of Git LFS begins.
pub(super) const LFS_POINTER: &[u8] = b"version https://git-lfs";

pub(super) const NOT_FETCHED: &str = "a pointer of Git LFS, not the file itself: get it with `git lfs pull`";

/// The files of one checkpoint by their names, such as `config.json`.
pub(super) trait Files {
    /// The checkpoint's own name.
    fn name(&self) -> String;

    /// Where a file lies, for messages.
    fn place(&self, name: &str) -> String;

    /// Bytes of a file; `None` where there is none of this name.
    fn size(&self, name: &str) -> Result<Option<u64>>;

    /// The bytes of a range that lies within the file, from front to back.
    ///
    /// A reader that gives fewer bytes has reached the end of a file that was cut short.
    fn read(&self, name: &str, range: Range<u64>) -> Result<Box<dyn Read + '_>>;
}

impl dyn Files + '_ {
    /// A whole file of at most `limit` bytes; `None` where there is none of this name.
    pub(super) fn whole(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(size) = self.size(name)? else { return Ok(None) };
        if size > limit {
            let message = format!("{size} bytes are too many for such a file: at most {limit} are read");
            return Err(self.invalid(name, message));
        }
        self.bytes(name, 0..size).map(Some)
    }

    /// The bytes of a range that is known to be small enough for memory.
    pub(super) fn bytes(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let mut reader = self.read(name, range)?;
        reader.read_exact(&mut bytes).map_err(|cause| self.unreadable(name, cause))?;
        Ok(bytes)
    }

    /// An error about a file that contradicts itself or others.
    pub(super) fn invalid(&self, name: &str, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidModel, message).at(self.place(name))
    }

    /// The error of a reader.
    pub(super) fn unreadable(&self, name: &str, cause: io::Error) -> Error {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => self.invalid(name, "the file was cut short: get it again"),
            _ => Error::io(format_args!("read {}", self.place(name)), cause),
        }
    }
}

/// Files in a local directory.
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn failed(&self, name: &str, cause: io::Error) -> Error {
        Error::io(format_args!("read {}", self.place(name)), cause)
    }
}

impl Files for Directory {
    fn name(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn place(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.path.join(name).metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(self.failed(name, io::Error::other("it is no file"))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(self.failed(name, cause)),
        }
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Box<dyn Read + '_>> {
        let open = || {
            let mut file = File::open(self.path.join(name))?;
            file.seek(SeekFrom::Start(range.start))?;
            Ok(file.take(range.end - range.start))
        };
        open().map(|reader| Box::new(reader) as Box<dyn Read>).map_err(|cause| self.failed(name, cause))
    }
}
