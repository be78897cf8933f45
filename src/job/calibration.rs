//! A calibration: windows of a corpus are drawn, scored by every layer, and compared with what is known of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::directory::ResultDirectory;
use super::identity::Identity;
use super::observer::{Observer, Progress, Stage};
use super::reading::{Unit, reject};
use super::scoring::{Keeping, is_fatal};
use super::summary::EarlySigns;
use super::{CALIBRATION, CALIBRATION_CHART, CALIBRATION_JOURNAL, REJECTS, kept_in, open_results};
use crate::calibrate::{
    Calibration, LeftOut, Plan, Sampler, Scored, Setting, Side, TestCategory, TestWindow, Truth, comparable_categories,
};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::corpus::{Corpus, Journal, RawDocument, Reject, Rejects, Seen, Spot, write_whole};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{MIN_GAIN_TOKENS, Scorer};
use crate::report;
use crate::score::LayerScore;

/// What the scores of a calibration depend on, beside what those of every job do.
const DRAWING_SETTINGS: [&str; 5] = ["truth", "calibration_windows", "pieces", "seed", "calibration_sinks"];

/// A calibration on a corpus, and the owner of its result directory.
///
/// It draws windows of every category, scores them by all layers of a scorer package, and finds out which layer's scores
/// agree with the setting `truth`. It may be killed at any moment, and goes on with what it has scored.
///
/// | file | what it holds |
/// | --- | --- |
/// | `calibration.json` | what was found: [`Calibrated`] |
/// | `calibration.svg` | the chart |
/// | `windows.jsonl` | the scores of every window, as they were made |
/// | `rejects.jsonl` | what could not be used, with its reason |
///
/// ```no_run
/// use std::sync::Arc;
///
/// use longattn::{Cancel, Config, job::CalibrationJob, model::Scorer};
///
/// let mut config = Config::default();
/// config.set("window", "1024")?;
/// let scorer = Arc::new(Scorer::open("all-layers".as_ref(), &config)?);
/// let mut job = CalibrationJob::open(scorer, &["corpus"], "calibration".as_ref(), &config)?;
/// let found = job.run(&(), &Cancel::default())?;
/// println!("layer {}", found.calibration.verdict.candidate.setting.layer);
/// # Ok::<(), longattn::Error>(())
/// ```
pub struct CalibrationJob {
    scorer: Arc<Scorer>,
    config: Config,
    corpus: Corpus,
    directory: ResultDirectory,
}

/// What a calibration has found. Serialised, it is what `calibration.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibrated {
    /// Where the model is.
    pub model: String,
    /// Its layers, in its order.
    pub layers: Vec<usize>,
    /// Which windows were drawn.
    #[serde(flatten)]
    pub plan: Plan,
    /// What was compared.
    pub categories: Vec<CalibratedCategory>,
    /// What was not, since too few of its windows could be drawn or scored.
    pub left_out: Vec<LeftOut>,
    /// Records that could not be used, of the files that are whole.
    pub records_rejected: u64,
    /// Files that could not be read to their end, of which nothing counts.
    pub files_rejected: u64,
    /// Windows that could not be scored.
    pub windows_rejected: u64,
    /// About what a window takes by a package of this layer alone, by layer, as measured on this machine.
    pub seconds_per_window: BTreeMap<usize, f64>,
    /// What the scores are worth.
    #[serde(flatten)]
    pub calibration: Calibration,
}

/// The size of a category that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CalibratedCategory {
    /// The category.
    pub name: String,
    /// Documents that its windows were drawn from.
    pub documents: usize,
    /// Real windows that have scores.
    pub real_windows: usize,
    /// Spliced windows that were drawn, scored or not.
    pub spliced_windows: usize,
}

impl Calibrated {
    /// As `calibration.json` has it.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("finite numbers have a form in JSON")
    }
}

impl CalibrationJob {
    /// Opens a calibration on inputs (files, folders, `-` for standard input) and a result directory, which is made where
    /// it is missing. The settings of the scores, `window` among them, are the scorer's; `config` has those of the
    /// calibration and of the job.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where windows cannot be spliced, have nothing far or are too short for a gain;
    /// [`ErrorKind::Unsupported`] where the gain is the truth and the package tells no losses;
    /// [`ErrorKind::InvalidArgument`] where the directory has results and the setting `earlier_results` refuses them, or
    /// where they are to be gone on with and scores depend on something that has changed; [`ErrorKind::Io`] where an input
    /// is missing, the directory cannot be written to, or another process is at work in it.
    pub fn open<P: AsRef<Path>>(scorer: Arc<Scorer>, inputs: &[P], directory: &Path, config: &Config) -> Result<Self> {
        let mut config = Config { window: scorer.config().window, ..config.clone() };
        config.calibration_sinks.sort_unstable();
        config.calibration_sinks.dedup();
        check(&scorer, &config)?;
        let mut identity = Identity::new("calibration", &scorer, &config, "all".to_owned())?;
        for key in DRAWING_SETTINGS {
            identity = identity.with(key, config.get(key)?);
        }
        let inputs: Vec<PathBuf> = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
        let (directory, corpus) = open_results(&inputs, directory, &config, &identity)?;
        Ok(Self { scorer, config, corpus, directory })
    }

    /// Draws windows, scores those that have no scores yet, compares, and writes what was found.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; [`ErrorKind::Io`] where the result directory cannot be written to;
    /// [`ErrorKind::InvalidArgument`] where no category has two documents of at least a window, and
    /// [`ErrorKind::InvalidRecord`] where too few windows could be scored or the setting `on_error` says so; what would
    /// befall every window: [`ErrorKind::Runtime`], [`ErrorKind::MemoryLimit`]. Scored windows are kept in any case.
    pub fn run(&mut self, observer: &dyn Observer, cancel: &Cancel) -> Result<Calibrated> {
        let (mut journal, mut scores) = self.open_journal()?;
        let mut rejects = Rejects::new(self.directory.file(REJECTS))?;
        rejects.clear()?;
        let on_error = self.config.on_error;
        let keeping = Keeping { journal: &mut journal, rejects: &mut rejects, observer, cancel, on_error };
        let mut drawing = Drawing::new(self, keeping)?;
        drawing.read()?;
        let Drawing { sampler, seen, mut keeping, records_rejected, files_rejected, .. } = drawing;
        let (categories, left_out) = self.draw(sampler, observer)?;
        let scoring = Scoring { job: self, seen: &seen, keeping: &mut keeping, scores: &mut scores, rejected: 0 };
        let windows_rejected = scoring.run(&categories).map_err(|error| kept_in(&self.directory, error))?;
        journal.sync()?;
        let rejected = Calibrated { records_rejected, files_rejected, windows_rejected, ..self.compare(categories, left_out, &scores, observer)? };
        self.write(&rejected)?;
        Ok(rejected)
    }

    /// Where the results are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
