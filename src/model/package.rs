//! The files of a scorer package, and whether they are what they were.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::fitted_score;
use crate::digest::{Digest, Hasher, Stamp};
use crate::error::{Error, ErrorKind, Result};

/// The files of a package as they were when it was opened.
pub(super) struct PackageFiles {
    files: Vec<(PathBuf, Stamp)>,
    digest: OnceLock<Digest>,
}

impl PackageFiles {
    /// All files of a package but its fitted score, or of a bare model those that belong to it by their names.
    pub(super) fn of(package: &Path, model: &Path) -> Result<Self> {
        let folder = match model.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let failed = |cause| Error::io(format!("read {}", folder.display()), cause);
        let model_name = name(model);
        let belongs = |path: &Path| {
            let name = name(path);
            package.is_dir()
                || name.starts_with(&model_name)
                || name.starts_with("loss.onnx")
                || name == "tokenizer.json"
        };
        let mut files = Vec::new();
        for entry in folder.read_dir().map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_file() && belongs(&path) && name(&path) != fitted_score::FILE {
                let stamp = Stamp::of(&path).map_err(failed)?;
                files.push((path, stamp));
            }
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { files, digest: OnceLock::new() })
    }

    /// SHA-256 over the name and content of each file.
    pub(super) fn digest(&self) -> Result<Digest> {
        if let Some(digest) = self.digest.get() {
            return Ok(*digest);
        }
        let mut hasher = Hasher::default();
        for (path, stamp) in &self.files {
            let failed = |cause| Error::io(format!("read {}", path.display()), cause);
            let content = Digest::of_file(path).map_err(failed)?;
            if Stamp::of(path).map_err(failed)? != *stamp {
                let message = format!("{} was changed after it was opened: open the package again", path.display());
                return Err(Error::new(ErrorKind::InvalidModel, message));
            }
            hasher.update(name(path).as_bytes());
            hasher.update(content.to_string().as_bytes());
        }
        Ok(*self.digest.get_or_init(|| hasher.finish()))
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
