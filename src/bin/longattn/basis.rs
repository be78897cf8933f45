//! What the results of a call depend on: it is only resumed by one that would give the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use longattn::corpus::Fields;
use longattn::model::Scorer;
use longattn::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What all scores of a corpus depend on.
#[derive(PartialEq, Serialize, Deserialize)]
pub struct Basis {
    model: String,
    model_bytes: u64,
    settings: BTreeMap<String, String>,
    inputs: Vec<String>,
    input_bytes: Option<u64>,
    fields: [Option<String>; 3],
}

impl Basis {
    pub fn new(scorer: &Scorer, inputs: &[PathBuf], fields: &Fields, input_bytes: Option<u64>) -> Self {
        let description = scorer.description();
        let absolute = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string();
        let settings =
            ["window", "min_distance", "sink_tokens", "rows", "profile", "variance_domain", "layer", "precision"];
        let value = |key: &str| scorer.config().get(key).unwrap_or_default();
        Self {
            model: absolute(&description.model),
            model_bytes: description.model_bytes,
            settings: settings.iter().map(|key| ((*key).to_owned(), value(key))).collect(),
            inputs: inputs.iter().map(absolute).collect(),
            input_bytes,
            fields: [fields.text.clone(), fields.id.clone(), fields.category.clone()],
        }
    }
}

/// Compares with the call that is to be resumed, whose basis is at `path`, or notes the basis of a new one and removes
/// earlier results.
pub fn check<T: PartialEq + Serialize + DeserializeOwned>(
    matches: &ArgMatches,
    path: &Path,
    results: &[&Path],
    basis: &T,
) -> Result<()> {
    if matches.get_flag("resume") && results.iter().any(|path| path.is_file()) {
        let text = fs::read(path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))?;
        let earlier: Option<T> = serde_json::from_slice(&text).ok();
        if earlier.as_ref() == Some(basis) {
            return Ok(());
        }
        let message = format!(
            "the run in {} cannot be resumed: its model, inputs or settings were others, see {}; use --overwrite or another -o",
            path.parent().unwrap_or(Path::new("")).display(),
            path.display()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    for path in results.iter().filter(|path| path.is_file()) {
        fs::remove_file(path).map_err(|cause| Error::io(format!("replace {}", path.display()), cause))?;
    }
    let text = serde_json::to_string_pretty(basis).expect("text and numbers have a form in JSON");
    fs::write(path, text + "\n").map_err(|cause| Error::io(format!("write {}", path.display()), cause))
}
