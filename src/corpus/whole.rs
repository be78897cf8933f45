//! Files that appear whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::writable::{check_writable, folder, sync_folder, without_path, write_error};
use crate::error::Result;

/// Writes a small file that appears, or replaces an older one, only when it is whole and on the disk: a temporary file beside
/// it is written and synced, takes its name, and then the folder is synced. A link stays a link, and an older file's
/// permissions stay.
///
/// # Errors
/// Of kind [`Io`](crate::ErrorKind::Io); nothing is left behind then, and an older file is as it was.
pub fn write_whole(path: impl AsRef<Path>, content: &[u8]) -> Result<()> {
    let path = path.as_ref();
    check_writable(path)?;
    let write = || {
        let mut unfinished = Unfinished::beside(path)?;
        unfinished.write_all(content)?;
        unfinished.finish().map(drop)
    };
    write().map_err(|cause| write_error(path.display(), cause, "write elsewhere"))
}

/// A file that is being written beside the path where it is to appear. Dropped, it leaves nothing.
pub(super) struct Unfinished {
    file: NamedTempFile,
    path: PathBuf,
}

impl Unfinished {
    pub fn beside(path: &Path) -> io::Result<Self> {
        let (path, permissions) = match fs::metadata(path) {
            // A link stays a link: the file that it points to is replaced.
            Ok(older) => (path.canonicalize()?, Some(older.permissions())),
            Err(_) => (path.to_owned(), new_file_permissions()),
        };
        let mut builder = tempfile::Builder::new();
        if let Some(permissions) = permissions {
            builder.permissions(permissions);
        }
        let builder = builder.prefix(".longattn-").suffix(".unfinished");
        Ok(Self { file: builder.tempfile_in(folder(&path)).map_err(without_path)?, path })
    }

    /// Puts the file in its place.
    pub fn finish(self) -> io::Result<File> {
        let path = self.path.clone();
        self.finish_as(&path)
    }

    /// Puts the file in another place of the same folder.
    pub fn finish_as(self, path: &Path) -> io::Result<File> {
        self.file.as_file().sync_all()?;
        let file = self.file.persist(path)?;
        sync_folder(path);
        Ok(file)
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// What the system gives any new file, where temporary files would be closed to others.
#[cfg(unix)]
fn new_file_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn new_file_permissions() -> Option<Permissions> {
    None
}
