//! Failing before the work rather than after it, with an error that says what to do.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind as Cause};
use std::path::Path;

use super::STANDARD_STREAM;
use crate::error::{Error, ErrorKind, Result};

/// Checks, before any work, that a file could be written at a path. An existing file is left as it is.
///
/// # Errors
/// Of kind [`Io`](ErrorKind::Io) where the path is a folder, or its folder is missing or may not be written to.
pub fn check_writable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    if path == Path::new(STANDARD_STREAM) {
        return Ok(());
    }
    let name = path.display();
    if path.is_dir() {
        return Err(Error::new(ErrorKind::Io, format!("cannot write {name}: it is a folder; name a file in it")));
    }
    let tried = if path.exists() {
        OpenOptions::new().append(true).open(path).map(drop)
    } else {
        tempfile::tempfile_in(folder(path)).map(drop)
    };
    tried.map_err(|cause| write_error(name, cause, "name another file"))
}

/// The folder that a path's file is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a new file's name survive a power cut, as syncing the file does for its content.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        return File::open(folder(path))?.sync_all();
    }
    Ok(())
}

/// A failed write: what to do about its cause, or else the other way out.
pub(super) fn write_error(name: impl Display, cause: io::Error, otherwise: &str) -> Error {
    let remedy = match cause.kind() {
        Cause::StorageFull | Cause::QuotaExceeded => "free some space there",
        Cause::NotFound | Cause::NotADirectory => "create its folder first",
        Cause::PermissionDenied | Cause::ReadOnlyFilesystem => "get leave to write there",
        _ => "check the disk",
    };
    Error::new(ErrorKind::Io, format!("cannot write {name}: {cause}; {remedy} or {otherwise}"))
}
