//! The fitted score of a package: a file beside the model.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::attention::FarRegion;
use crate::calibrate::{FittedScore, PredictedGain};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::rivals::Columns;
use crate::score::Score;

/// The file, beside `model.onnx`. The digest of a package leaves it out: no score of attention depends on it.
pub(crate) const FILE: &str = "fitted_score.json";

/// A fitted score, and the windows that it is good for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackagedFittedScore {
    /// The digest of the package that it was fitted with.
    package: Digest,
    /// The layers of the package, in its order.
    layers: Vec<usize>,
    /// Tokens of a window, special ones included.
    window: usize,
    min_distance: usize,
    sink_tokens: usize,
    /// What predicts the gain.
    pub fitted_score: FittedScore,
}

impl PackagedFittedScore {
    pub(super) fn new(
        package: Digest,
        layers: &[usize],
        window: usize,
        far: FarRegion,
        fitted_score: FittedScore,
    ) -> Self {
        let FarRegion { min_distance, sink_tokens } = far;
        Self { package, layers: layers.to_vec(), window, min_distance, sink_tokens, fitted_score }
    }

    /// That of the package of a model, where it has one.
    pub(super) fn read(model_file: &Path) -> Result<Option<Self>> {
        let path = file_beside(model_file);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        let read = serde_json::from_slice(&text).ok();
        let sound = read.filter(|read: &Self| read.fitted_score.is_sound());
        let damaged = || {
            let message = format!(
                "{} is not a fitted score of this version: remove it, or fit one again with `longattn calibrate --fit`",
                path.display()
            );
            Error::new(ErrorKind::InvalidModel, message)
        };
        sound.map(Some).ok_or_else(damaged)
    }

    /// What the file holds.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("finite numbers have a form in JSON")
    }

    /// Refuses another model and other windows than those that it was fitted to.
    pub(super) fn check(&self, package: Digest, layers: &[usize], window: usize, far: FarRegion) -> Result<()> {
        let wrong = |message| Err(Error::new(ErrorKind::InvalidSetting, message));
        if package != self.package || layers != self.layers {
            return wrong(
                "predicted_gain was fitted to other weights or layers than those that are scored: fit it again with \
                 `longattn calibrate --fit`"
                    .to_owned(),
            );
        }
        let due = FarRegion { min_distance: self.min_distance, sink_tokens: self.sink_tokens };
        if window != self.window || far != due {
            return wrong(format!(
                "predicted_gain was fitted to windows of {} tokens with min_distance {} and sink_tokens {}: set these, or fit \
                 it again with `longattn calibrate --fit`",
                self.window, self.min_distance, self.sink_tokens
            ));
        }
        Ok(())
    }

    /// The gain of a window with this score and these columns. `None` for one of another length.
    pub fn predict(&self, score: &Score, columns: &Columns) -> Option<PredictedGain> {
        let is_due = score.token_count == self.window;
        is_due.then(|| self.fitted_score.predict(columns, &self.layers, &score.layers(self.layers.len())))?
    }
}

/// Where the fitted score of the package of a model is.
pub(super) fn file_beside(model_file: &Path) -> PathBuf {
    model_file.with_file_name(FILE)
}
