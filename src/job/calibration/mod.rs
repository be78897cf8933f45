//! A calibration as a job: windows of a corpus are drawn, scored by every layer, and compared with what is known of them.

mod drawing;
mod scoring;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::directory::ResultDirectory;
use super::identity::Identity;
use super::keeping::{Keeping, Rejecting};
use super::observer::Observer;
use super::{CALIBRATION, CALIBRATION_CHART, CALIBRATION_JOURNAL, REJECTS, kept_in, open_results};
use crate::calibrate::{
    Calibration, Fit, LayerSetting, LeftOut, Plan, ScoredTestWindow, Side, TestCategory, Truth, check_fit,
    comparable_categories,
};
use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::config::Config;
use crate::corpus::{Corpus, Rejects, write_whole};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{MIN_GAIN_TOKENS, Scorer};
use crate::report;
use crate::rivals::Column;
use crate::select::default_alpha;

use drawing::{Drawing, DrawnWindows};
use scoring::{KnownScores, ScoredWindows, Scoring};

/// What the scores of a calibration depend on, beside what those of every job do.
const DRAWING_SETTINGS: [&str; 5] = ["truth", "calibration_windows", "pieces", "seed", "calibration_sinks"];

/// A calibration on a corpus, and the owner of its result directory.
///
/// It draws windows of every category, scores them by all layers of a scorer package, and finds out which layer's scores
/// agree with the setting `truth`. It may be killed at any moment, and goes on with what it has scored.
///
/// | file | what it holds |
/// | --- | --- |
/// | `calibration.json` | what was found, as [`Calibrated::to_json`] gives it |
/// | `calibration.svg` | its chart |
/// | `windows.jsonl` | the scores of all windows, as they were made |
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
    /// The model that tells the gain, where it is another.
    truth_model: Option<Scorer>,
    config: Config,
    corpus: Corpus,
    directory: ResultDirectory,
}

/// What a calibration has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibrated {
    /// Where the model is.
    pub model: String,
    /// Its layers, in its order.
    pub layers: Vec<usize>,
    /// Where the model is that tells the gain, if it is another.
    pub truth_model: Option<String>,
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
    /// About what a window takes by a package of one layer alone, by layer, as measured on this machine.
    pub seconds_per_window: BTreeMap<usize, f64>,
    /// What each score that is not of a layer takes for a billion tokens on this machine, in hours: those without a model on one
    /// thread, those by the losses of the model as it ran.
    pub hours_per_billion_tokens: BTreeMap<&'static str, f64>,
    /// What the gain takes that is the truth, in the same unit; 0 where it is not.
    pub truth_hours_per_billion_tokens: f64,
    /// What the scores are worth.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// The fitted score, where one was asked for. It is in the package where it is better than its best feature.
    pub fit: Option<Fit>,
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
    /// Spliced windows that have scores; none where the truth is the gain.
    pub spliced_windows: usize,
}

impl Calibrated {
    /// What `calibration.json` holds.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("finite numbers have a form in JSON")
    }

    /// Everything that was told as a reject.
    pub fn rejects(&self) -> u64 {
        self.records_rejected + self.files_rejected + self.windows_rejected
    }
}

impl CalibrationJob {
    /// Opens a calibration on inputs (files, folders, URLs, `-` for standard input) and a result directory, which is made where
    /// it is missing. The settings of the scores, `window` among them, are the scorer's; `config` has those of the
    /// calibration and of the job.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where windows cannot be spliced, have nothing far or are too short for a gain;
    /// [`ErrorKind::Unsupported`] where the gain is the truth and the package, or that of the setting `truth_model`, tells no
    /// losses; the errors of [`Scorer::open`] for that of `truth_model`;
    /// [`ErrorKind::InvalidArgument`] where the directory has results and the setting `earlier_results` refuses them, or
    /// where they are to be gone on with and scores depend on something that has changed; [`ErrorKind::Io`] where an input
    /// is missing, the directory cannot be written to, or another process is at work in it.
    pub fn open<P: AsRef<Path>>(scorer: Arc<Scorer>, inputs: &[P], directory: &Path, config: &Config) -> Result<Self> {
        let mut config = Config { window: scorer.config().window, ..config.clone() };
        config.calibration_sinks.sort_unstable();
        config.calibration_sinks.dedup();
        config.plan().check()?;
        scorer.check_sinks(&config.calibration_sinks, config.window.get())?;
        let truth_model = open_truth_model(&scorer, &config)?;
        check_gain(truth_model.as_ref().unwrap_or(&scorer), &config)?;
        if config.fit {
            check_fittable(&scorer, &config)?;
        }
        let mut identity = Identity::new("calibration", &scorer, &config, "all".to_owned())?;
        for key in DRAWING_SETTINGS {
            identity = identity.with(key, config.get(key)?);
        }
        if let Some(model) = &truth_model {
            identity = identity.with("the digest of truth_model", model.package_digest()?);
        }
        let inputs: Vec<PathBuf> = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
        let (directory, corpus) = open_results(&inputs, directory, &config, &identity)?;
        Ok(Self { scorer, truth_model, config, corpus, directory })
    }

    /// Draws windows, scores those that have no scores yet, compares, and writes what was found.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; [`ErrorKind::Io`] where the result directory cannot be written to;
    /// [`ErrorKind::InvalidArgument`] where no category has two documents of at least a window;
    /// [`ErrorKind::InvalidRecord`] where too few windows could be scored, or the setting `on_error` says so; and what would
    /// befall every window: [`ErrorKind::Runtime`], [`ErrorKind::MemoryLimit`]. Finished windows are kept in any case.
    pub fn run(&mut self, observer: &dyn Observer, cancel: &Cancel) -> Result<Calibrated> {
        let (mut journal, known) = KnownScores::open(&self.directory.file(CALIBRATION_JOURNAL))?;
        let mut rejects = Rejects::new(self.directory.file(REJECTS))?;
        rejects.clear()?;
        let rejecting = Rejecting { rejects: &mut rejects, observer, on_error: self.config.on_error };
        let mut keeping = Keeping { journal: &mut journal, rejecting, cancel };
        let drawn = Drawing::new(self)?.run(&mut keeping)?;
        if self.config.fit {
            check_fit(drawn.categories.iter().map(fit_size))?;
        }
        let scoring = Scoring { job: self, known, keeping: &mut keeping };
        let scored = scoring.run(&drawn).map_err(|error| kept_in(&self.directory, error))?;
        journal.sync()?;
        let found = self.compare(drawn, &scored, observer)?;
        write_whole(self.directory.file(CALIBRATION), (found.to_json() + "\n").as_bytes())?;
        let chart = report::calibration_chart(&found.calibration)?;
        write_whole(self.directory.file(CALIBRATION_CHART), chart.as_bytes())?;
        if let Some(fit) = found.fit.as_ref().filter(|fit| fit.is_better()) {
            let (file, packaged) = self.scorer.packaged(fit.fitted_score.clone())?;
            write_whole(file, (packaged.to_json() + "\n").as_bytes())?;
        }
        Ok(found)
    }

    /// Where the results are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn compare(&self, drawn: DrawnWindows, scored: &ScoredWindows, observer: &dyn Observer) -> Result<Calibrated> {
        let Config { truth, standardize, heads, .. } = self.config;
        let alpha = self.config.alpha.unwrap_or_else(|| default_alpha(&self.scorer.layers()));
        let DrawnWindows { categories, mut left_out, records_rejected, files_rejected, .. } = drawn;
        let mut windows = scored.compared(heads);
        let comparable = comparable_categories(truth, &windows);
        let comparable: BTreeSet<_> = comparable.into_iter().map(str::to_owned).collect();
        windows.retain(|window| comparable.contains(&window.category));
        let (categories, dropped): (Vec<_>, Vec<_>) =
            categories.into_iter().partition(|category| comparable.contains(&category.name));
        for TestCategory { name, documents, .. } in dropped {
            observer.notice(&format!("left out: too few windows of {name} could be scored"));
            left_out.push(LeftOut { category: name, documents, long_documents: documents });
        }
        if categories.is_empty() {
            let message = format!("too few windows could be scored: see {}", self.directory.file(REJECTS).display());
            return Err(Error::new(ErrorKind::InvalidRecord, message));
        }
        let layers = self.scorer.layers();
        let settings: Vec<_> = self
            .config
            .calibration_sinks
            .iter()
            .flat_map(|sink_tokens| {
                layers.iter().map(|layer| LayerSetting { layer: *layer, sink_tokens: *sink_tokens })
            })
            .collect();
        let far = self.scorer.far_region(self.config.window.get());
        let fit = self.config.fit.then(|| Fit::new(&settings, &windows, far.sink_tokens)).transpose()?;
        let mut hours_per_billion_tokens = scored.hours();
        if let Some(fit) = &fit {
            let hours = scored.hours_of_fit(&fit.fitted_score.columns());
            hours_per_billion_tokens.insert(Column::PredictedGain.name(), hours);
        }
        Ok(Calibrated {
            model: name(&self.scorer),
            truth_model: self.truth_model.as_ref().map(name),
            plan: self.config.plan(),
            categories: categories.into_iter().map(|category| size(category, &windows)).collect(),
            left_out,
            records_rejected,
            files_rejected,
            windows_rejected: scored.rejected,
            seconds_per_window: scored.seconds_per_window(&layers),
            hours_per_billion_tokens,
            truth_hours_per_billion_tokens: scored.truth_hours(),
            calibration: Calibration::new(truth, &settings, &windows, standardize, alpha)?,
            fit,
            layers,
        })
    }
}

fn size(category: TestCategory, windows: &[ScoredTestWindow]) -> CalibratedCategory {
    let TestCategory { name, documents, .. } = category;
    let of = |side| windows.iter().filter(|window| window.category == name && window.side == side).count();
    let (real_windows, spliced_windows) = (of(Side::Real), of(Side::Spliced));
    CalibratedCategory { name, documents, real_windows, spliced_windows }
}

/// Where the model of a package is.
fn name(scorer: &Scorer) -> String {
    scorer.description().model.display().to_string()
}

/// Opens the package that tells the gain, where it is another. It runs as the one that scores does.
fn open_truth_model(scorer: &Scorer, config: &Config) -> Result<Option<Scorer>> {
    let Some(package) = &config.truth_model else { return Ok(None) };
    if config.truth == Truth::Spliced {
        let message = "truth_model tells the information gain: set truth to gain, or leave it out";
        return Err(Error::new(ErrorKind::InvalidSetting, message));
    }
    let Config { threads, memory_limit, weights_in_memory, device_id, .. } = *scorer.config();
    let Config { onnxruntime, execution_provider, provider_options, .. } = scorer.config().clone();
    let settings = Config {
        threads,
        memory_limit,
        weights_in_memory,
        onnxruntime,
        execution_provider,
        device_id,
        provider_options,
        ..Config::default()
    };
    let model = Scorer::open(package, &settings)?;
    if model.description().tokenizer_vocabulary.is_none() {
        let message = format!("{} has no tokenizer.json beside it, so it cannot tell the gain of texts", name(&model));
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(Some(model))
}

/// What a fit needs to know of a category.
fn fit_size(category: &TestCategory) -> (&str, usize, usize) {
    (&category.name, category.side(Side::Real).count(), category.documents)
}

fn check_fittable(scorer: &Scorer, config: &Config) -> Result<()> {
    let wrong = |message| Err(Error::new(ErrorKind::InvalidSetting, message));
    if config.truth == Truth::Spliced {
        return wrong("fit learns from the information gain: set truth to gain, or leave it out".to_owned());
    }
    let sink_tokens = scorer.far_region(config.window.get()).sink_tokens;
    if !config.calibration_sinks.contains(&sink_tokens) {
        return wrong(format!(
            "fit takes the sinks that are left out when windows are scored: add {sink_tokens} to calibration_sinks"
        ));
    }
    Ok(())
}

fn check_gain(scorer: &Scorer, config: &Config) -> Result<()> {
    if config.truth == Truth::Spliced {
        return Ok(());
    }
    scorer.check_losses()?;
    let window = config.window.get();
    if window >= MIN_GAIN_TOKENS {
        return Ok(());
    }
    let message =
        format!("windows of {window} tokens have no information gain: set window to {MIN_GAIN_TOKENS} or more");
    Err(Error::new(ErrorKind::InvalidSetting, message))
}
