//! What all scores of a job depend on: results are only gone on with where it is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rows_text;
use crate::choice::Choice;
use crate::config::{Config, Rows};
use crate::corpus::{Shard, write_whole};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Scorer, loaded_version};

/// The settings that a score depends on.
pub(super) const SCORE_SETTINGS: [&str; 11] = [
    "special_tokens",
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
const JOB_SETTINGS: [&str; 8] =
    ["columns", "adaptive", "per_head", "text_field", "id_field", "category_field", "ids_from_place", "document_limit"];

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

/// Under this name stands the share of the corpus.
const SHARD: &str = "shard";

/// Under this name stands that by which gains are predicted.
const FITTED_SCORE: &str = "the digest of the fitted score";

/// What scores depend on, beside the inputs themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The version of the library; its presence also marks a directory as one of results.
    longattn: String,
    kind: String,
    /// Where the package was; not compared, since a package may move.
    model: String,
    package: String,
    /// Empty without a model, and so is the instruction set.
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
        // Columns come out the same everywhere.
        let of_model = |what: Option<String>| what.filter(|_| scorer.has_model()).unwrap_or_default();
        let shard = config.shard.map(|shard| (SHARD.to_owned(), shard.to_string()));
        let fitted_score = match config.columns.iter().any(|column| column.is_predicted()) {
            true => Some((FITTED_SCORE.to_owned(), Digest::of(scorer.fitted_score()?.to_json()).to_string())),
            false => None,
        };
        Ok(Self {
            longattn: env!("CARGO_PKG_VERSION").to_owned(),
            kind: kind.to_owned(),
            model: scorer.description().model.display().to_string(),
            package: scorer.package_digest()?.to_string(),
            onnxruntime: of_model(loaded_version()),
            instruction_set: of_model(Some(scorer.instruction_set().name().to_owned())),
            rows,
            settings,
            further: shard.into_iter().chain(fitted_score).collect(),
        })
    }

    /// Reads what was written down.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        serde_json::from_slice(&text).map_err(|_| {
            let message = format!(
                "{} is not of this version of longattn: begin anew with --overwrite, or use another directory",
                path.display()
            );
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }

    /// What kind of results it is of.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The share of the corpus that it is of; none where it is of all.
    pub fn shard(&self) -> Option<Shard> {
        self.further.get(SHARD)?.parse().ok()
    }

    /// Whether the scores are good for one cut alone.
    pub fn is_adaptive(&self) -> bool {
        self.settings.get("adaptive").is_some_and(|value| value == true.name())
    }

    /// The rows of the first scores.
    pub fn rows(&self) -> Rows {
        match self.rows.parse() {
            Ok(count) => Rows::Sample(count),
            Err(_) => Rows::All,
        }
    }

    /// The version of the library.
    pub fn version(&self) -> &str {
        &self.longattn
    }

    /// The digest of the package.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The version of ONNX Runtime.
    pub fn onnxruntime(&self) -> &str {
        &self.onnxruntime
    }

    /// The same of another kind of results of the whole corpus.
    pub fn of_kind(&self, kind: &str) -> Self {
        let mut identity = Self { kind: kind.to_owned(), ..self.clone() };
        identity.further.remove(SHARD);
        identity
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
        let differences = self.differences(&Self::read(path)?);
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
        self.compare(earlier, |what, now, then| format!("{what} was {then} and is {now}"))
    }

    /// Tells of everything that another does not have alike, with its value here and there.
    pub fn compare(&self, other: &Self, tell: impl Fn(&str, &str, &str) -> String) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, here: &str, there: &str| {
            if here != there {
                differences.push(tell(what, here, there));
            }
        };
        compare("the kind of results", &self.kind, &other.kind);
        compare("longattn", &self.longattn, &other.longattn);
        compare("the digest of the model's package", &self.package, &other.package);
        compare("ONNX Runtime", &self.onnxruntime, &other.onnxruntime);
        compare("instruction_set", &self.instruction_set, &other.instruction_set);
        compare("rows", &self.rows, &other.rows);
        for (here, there) in [(&self.settings, &other.settings), (&self.further, &other.further)] {
            let keys: std::collections::BTreeSet<_> = here.keys().chain(there.keys()).collect();
            for key in keys {
                let value = |of: &BTreeMap<String, String>| of.get(key).map_or("not set", String::as_str).to_owned();
                compare(key, &value(here), &value(there));
            }
        }
        differences
    }
}
