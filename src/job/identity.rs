//! What all scores of a job depend on: results are only gone on with where it is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rows_text;
use crate::choice::Choice;
use crate::config::Config;
use crate::corpus::write_whole;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Scorer, loaded_version};

/// The settings that a score depends on.
pub(super) const SCORE_SETTINGS: [&str; 10] = [
    "window",
    "min_distance",
    "sink_tokens",
    "profile",
    "variance_domain",
    "layer",
    "precision",
    "execution_provider",
    "device_id",
    "provider_options",
];

/// The settings of a job that its results depend on.
const JOB_SETTINGS: [&str; 6] = ["adaptive", "per_head", "text_field", "id_field", "category_field", "document_limit"];

/// What the scores of a scorer depend on, beside their inputs, as JSON: texts are equal where scores are.
///
/// # Errors
/// Those of [`Scorer::package_digest`].
pub fn score_identity(scorer: &Scorer) -> Result<String> {
    let config = scorer.config();
    let identity =
        Identity { model: String::new(), ..Identity::new("scores", scorer, config, rows_text(config.rows))? };
    Ok(serde_json::to_string(&identity).expect("text has a form in JSON"))
}

/// What scores depend on, beside the inputs themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The version of the library; its presence also marks a directory as one of results.
    longattn: String,
    kind: String,
    /// Where the package was; not compared, since a package may move.
    model: String,
    package: String,
    onnxruntime: String,
    instruction_set: String,
    rows: String,
    settings: BTreeMap<String, String>,
    /// What further this kind of job depends on.
    #[serde(default)]
    further: BTreeMap<String, String>,
}

impl Identity {
    /// `rows` are those of the first scores.
    pub fn new(kind: &str, scorer: &Scorer, config: &Config, rows: String) -> Result<Self> {
        let of = |config: &Config, keys: &[&str]| -> BTreeMap<String, String> {
            keys.iter().map(|key| ((*key).to_owned(), config.get(key).unwrap_or_default())).collect()
        };
        let mut settings = of(scorer.config(), &SCORE_SETTINGS);
        settings.extend(of(config, &JOB_SETTINGS));
        Ok(Self {
            longattn: env!("CARGO_PKG_VERSION").to_owned(),
            kind: kind.to_owned(),
            model: scorer.description().model.display().to_string(),
            package: scorer.package_digest()?.to_string(),
            onnxruntime: loaded_version().unwrap_or_default(),
            instruction_set: scorer.instruction_set().name().to_owned(),
            rows,
            settings,
            further: BTreeMap::new(),
        })
    }

    /// Adds something that this kind of job depends on.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.further.insert(key.to_owned(), value.to_string());
        self
    }

    /// Writes it down for later calls.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("text has a form in JSON");
        write_whole(path, (text + "\n").as_bytes())
    }

    /// Refuses to go on with results of another identity, and names what differs.
    pub fn check(&self, path: &Path) -> Result<()> {
        let text = fs::read(path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        let Ok(earlier) = serde_json::from_slice::<Self>(&text) else {
            let message = format!(
                "{} is not of this version of longattn: begin anew with --overwrite, or use another directory",
                path.display()
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        let differences = self.differences(&earlier);
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the results in {} cannot be gone on with: {}; use what they were made with, begin anew with --overwrite, or \
             use another directory",
            path.parent().unwrap_or(Path::new("")).display(),
            differences.join("; ")
        );
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    fn differences(&self, earlier: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, now: &str, then: &str| {
            if now != then {
                differences.push(format!("{what} was {then} and is {now}"));
            }
        };
        compare("the kind of results", &self.kind, &earlier.kind);
        compare("longattn", &self.longattn, &earlier.longattn);
        compare("the digest of the model's package", &self.package, &earlier.package);
        compare("ONNX Runtime", &self.onnxruntime, &earlier.onnxruntime);
        compare("instruction_set", &self.instruction_set, &earlier.instruction_set);
        compare("rows", &self.rows, &earlier.rows);
        for (now, then) in [(&self.settings, &earlier.settings), (&self.further, &earlier.further)] {
            let keys: std::collections::BTreeSet<_> = now.keys().chain(then.keys()).collect();
            for key in keys {
                let value = |of: &BTreeMap<String, String>| of.get(key).map_or("not set", String::as_str).to_owned();
                compare(key, &value(now), &value(then));
            }
        }
        differences
    }
}
