//! Failing before the work rather than after it, with an error that says what to do.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind as Cause};
use std::path::Path;

use super::name::STANDARD_STREAM;
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
    let folder = folder(path);
    if !folder.is_dir() {
        let message = format!("cannot write {name}: there is no folder {}; create it first", folder.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    try_writing(path, folder).map_err(|cause| write_error(name, cause, "name another file"))
}

fn try_writing(path: &Path, folder: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(existing) if existing.is_file() => OpenOptions::new().append(true).open(path).map(drop),
        // Opening a pipe and closing it again would end it for its reader.
        Ok(_) => Ok(()),
        Err(_) => tempfile::tempfile_in(folder).map(drop).map_err(without_path),
    }
}

/// Leaves out the random name that the cause of a failed temporary file carries.
pub(super) fn without_path(cause: io::Error) -> io::Error {
    cause.kind().into()
}

/// The folder that a path's file is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a new file's name survive a power cut, as syncing the file does for its content, where the system can.
pub(super) fn sync_folder(path: &Path) {
    let _ = File::open(folder(path)).and_then(|folder| folder.sync_all());
}

/// A failed write: what to do about its cause, or else the other way out.
pub(super) fn write_error(name: impl Display, cause: io::Error, otherwise: &str) -> Error {
    let remedy = match cause.kind() {
        Cause::StorageFull | Cause::QuotaExceeded => "free some space there",

        Cause::PermissionDenied | Cause::ReadOnlyFilesystem => "get leave to write there",
        _ => "check the disk",
    };
    Error::new(ErrorKind::Io, format!("cannot write {name}: {cause}; {remedy} or {otherwise}"))
}
