//! Directories that appear whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, ErrorKind, Result};
use crate::model::FITTED_SCORE;

/// Files of a scorer package.
pub(super) const MODEL: &str = "model.onnx";
pub(super) const LOSS: &str = "loss.onnx";
pub(super) const WEIGHTS: &str = "model.onnx.data";
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// A scorer package being written beside its place; dropped unfinished, it leaves nothing behind.
pub(super) struct Draft {
    target: PathBuf,
    scratch: TempDir,
}

impl Draft {
    pub(super) fn begin(target: &Path) -> Result<Self> {
        let failed = |cause| Error::io(format_args!("create a directory for {}", target.display()), cause);
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(failed)?;
        let scratch = tempfile::Builder::new().prefix(".longattn-export-").tempdir_in(parent).map_err(failed)?;
        let draft = Self { target: target.to_owned(), scratch };
        fs::create_dir(draft.directory()).map_err(failed)?;
        Ok(draft)
    }

    /// Where a file of the package is to be written.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// Writes a whole file and puts it on the disk.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let written = fs::File::create(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|cause| Error::io(format_args!("write {}", path.display()), cause))
    }

    /// Moves the package to its place, and what it replaces out of the way.
    pub(super) fn finish(self) -> Result<()> {
        let failed = |cause| Error::io(format_args!("put the package at {}", self.target.display()), cause);
        let old = self.scratch.path().join("old");
        let replaces = self.target.symlink_metadata().is_ok();
        if replaces {
            fs::rename(&self.target, &old).map_err(failed)?;
        }
        fs::rename(self.directory(), &self.target).map_err(|cause| {
            if replaces {
                // Nothing better can be done where even this fails; the first failure is the one to tell.
                let _ = fs::rename(&old, &self.target);
            }
            failed(cause)
        })
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path().join("new")
    }
}

/// # Errors
/// [`ErrorKind::InvalidArgument`] where something is at `target` that must not be replaced.
pub(super) fn check_target(target: &Path, overwrite: bool) -> Result<()> {
    if target.symlink_metadata().is_err() {
        return Ok(());
    }
    let refused = |message: &str| Err(Error::new(ErrorKind::InvalidArgument, message).at(target.display()));
    if !overwrite {
        return refused("already exists: choose another place, or replace it with --overwrite");
    }
    let entries = fs::read_dir(target).map_err(|cause| Error::io(format_args!("list {}", target.display()), cause))?;
    let foreign =
        |name: &std::ffi::OsStr| ![MODEL, LOSS, WEIGHTS, TOKENIZER, FITTED_SCORE].iter().any(|known| name == *known);
    if entries.flatten().any(|entry| foreign(&entry.file_name())) {
        return refused("holds other files than a scorer package, so it is not replaced: choose another place");
    }
    Ok(())
}
