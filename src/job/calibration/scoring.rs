//! Scoring the windows that were drawn.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::CalibrationJob;
use super::drawing::DrawnWindows;
use crate::calibrate::{ScoredTestWindow, Side, TestWindow, Truth};
use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::corpus::{Journal, Place, Reject};
use crate::digest::{Digest, Hasher};
use crate::error::Result;
use crate::job::batches::is_fatal;
use crate::job::keeping::{Keeping, finite_gain};
use crate::job::observer::{Progress, Stage};
use crate::job::reading::Unit;
use crate::job::summary::count;
use crate::model::{ContextLosses, Scorer};
use crate::rivals::{Column, Columns, Gain, ShortContext, columns, short_contexts};
use crate::score::LayerScore;

/// The scores of a window, whatever documents it is made of.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WindowScores {
    /// Of its token ids.
    tokens: Digest,
    #[serde(flatten)]
    gain: Option<TimedGain>,
    /// By the model that is scored, where another tells the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own_gain: Option<TimedGain>,
    /// Of one pass through the model.
    model_seconds: f64,
    /// Of the statistics for one setting of sinks.
    statistics_seconds: f64,
    scores: Vec<LayerScores>,
}

/// The gain of a window, and what it took.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct TimedGain {
    #[serde(flatten)]
    gain: Gain,
    gain_seconds: f64,
}

impl TimedGain {
    fn measure(gain: impl FnOnce() -> Result<Gain>) -> Result<Self> {
        let begun = Instant::now();
        let gain = gain()?;
        Ok(Self { gain, gain_seconds: begun.elapsed().as_secs_f64() })
    }
}

/// The scores of all layers for one setting of sinks, in the package's order.
#[derive(Clone, Serialize, Deserialize)]
struct LayerScores {
    sink_tokens: usize,
    layers: Vec<LayerScore>,
}

/// A line of the journal: scores, and for its readers what they are of.
#[derive(Serialize)]
struct ScoreLine<'a> {
    category: &'a str,
    /// Its place among the windows of the category.
    number: usize,
    side: Side,
    documents: &'a [String],
    #[serde(flatten)]
    scores: &'a WindowScores,
}

/// The scores in the journal, by the windows' token ids.
pub(super) struct KnownScores(HashMap<Digest, WindowScores>);

impl KnownScores {
    /// Opens a journal, or makes a new one.
    pub fn open(path: &Path) -> Result<(Journal, Self)> {
        let mut known = HashMap::new();
        let journal = match path.exists() {
            false => Journal::create(path)?,
            true => Journal::resume(path, |scores: WindowScores, _| {
                // The first ones count, as they did in the call that made them.
                known.entry(scores.tokens).or_insert(scores);
                Ok(())
            })?,
        };
        Ok((journal, Self(known)))
    }
}

/// A window that was drawn, its category and its place there.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    category: &'a str,
    number: usize,
    window: &'a TestWindow,
    tokens: Digest,
}

/// Scores windows that have no scores yet.
pub(super) struct Scoring<'a, 'k> {
    pub job: &'a CalibrationJob,
    pub known: KnownScores,
    pub keeping: &'a mut Keeping<'k>,
}

impl Scoring<'_, '_> {
    pub fn run(mut self, drawn: &DrawnWindows) -> Result<ScoredWindows> {
        let wanted = wanted(drawn, self.job.config.truth);
        let unscored = wanted.iter().filter(|wanted| !self.known.0.contains_key(&wanted.tokens));
        let unscored: Vec<_> = unscored.map(|wanted| wanted.window.ids.len() as u64).collect();
        if unscored.len() < wanted.len() {
            let known = count((wanted.len() - unscored.len()) as u64, "window");
            self.keeping.rejecting.observer.notice(&format!("{known} scored by an earlier call"));
        }
        let total = Some(unscored.iter().sum());
        let mut progress = Progress { stage: Stage::Scoring, total, ..Progress::default() };
        let has_truth_model = self.job.truth_model.is_some();
        let mut scored = ScoredWindows { has_truth_model, ..ScoredWindows::default() };
        for wanted in wanted {
            let scores = match self.known.0.get(&wanted.tokens) {
                Some(scores) => scores.clone(),
                None => {
                    let tokens = wanted.window.ids.len() as u64;
                    progress.windows += 1;
                    progress.tokens += tokens;
                    progress.done += tokens;
                    let result = self.score(wanted);
                    self.keeping.rejecting.observer.progress(&progress);
                    match result {
                        Ok(scores) => scores,
                        Err(error) if is_fatal(&error, Unit::Windows) => return Err(error),
                        Err(error) => {
                            scored.rejected += 1;
                            self.keeping.rejecting.reject(&reject(self.job, drawn, wanted, error.to_string()))?;
                            continue;
                        }
                    }
                }
            };
            scored.add(wanted, scores);
        }
        Ok(scored)
    }

    fn score(&mut self, wanted: Wanted) -> Result<WindowScores> {
        let Wanted { category, number, window, tokens } = wanted;
        let CalibrationJob { scorer, config, .. } = self.job;
        let cancel = self.keeping.cancel;
        let layers = scorer.layers().len();
        let found = scorer.score_sinks(&window.ids, &config.calibration_sinks, cancel)?;
        let own_gain = || TimedGain::measure(|| finite_gain(&scorer.context_losses(&window.ids, cancel)?)).map(Some);
        let (gain, own_gain) = match &self.job.truth_model {
            _ if config.truth == Truth::Spliced => (None, None),
            None => (own_gain()?, None),
            Some(model) => {
                let gain = TimedGain::measure(|| finite_gain(&losses_of(model, window, cancel)?))?;
                (Some(gain), if scorer.check_losses().is_ok() { own_gain()? } else { None })
            }
        };
        let scores = WindowScores {
            tokens,
            gain,
            own_gain,
            model_seconds: found.model_time.as_secs_f64(),
            statistics_seconds: found.statistics_time.as_secs_f64(),
            scores: config
                .calibration_sinks
                .iter()
                .zip(&found.scores)
                .map(|(sink_tokens, score)| LayerScores { sink_tokens: *sink_tokens, layers: score.layers(layers) })
                .collect(),
        };
        let line = ScoreLine { category, number, side: window.side, documents: &window.documents, scores: &scores };
        self.keeping.journal.append(&line)?;
        self.known.0.insert(tokens, scores.clone());
        Ok(scores)
    }
}

/// The losses of a window by a model whose tokens may be others: its short contexts are the same bytes.
fn losses_of(model: &Scorer, window: &TestWindow, cancel: &Cancel) -> Result<ContextLosses> {
    let byte = |token: usize| window.boundaries[token];
    let of_bytes = |ShortContext { start, counted }| ShortContext {
        start: byte(start),
        counted: byte(counted.start)..byte(counted.end),
    };
    let contexts: Vec<_> = short_contexts(window.ids.len()).map(of_bytes).collect();
    model.context_losses_of_text(&window.text, &contexts, cancel)
}

/// The windows that the truth tells of. Categories take turns, so that what an interrupted call leaves tells of all of them.
fn wanted(drawn: &DrawnWindows, truth: Truth) -> Vec<Wanted<'_>> {
    let mut wanted: Vec<_> = drawn
        .categories
        .iter()
        .flat_map(|category| {
            category.windows.iter().enumerate().map(|(number, window)| (&category.name, number, window))
        })
        .filter(|(_, _, window)| truth == Truth::Spliced || window.side == Side::Real)
        .map(|(category, number, window)| Wanted { category, number, window, tokens: digest(&window.ids) })
        .collect();
    wanted.sort_by_key(|wanted| wanted.number);
    wanted
}

fn digest(ids: &[u32]) -> Digest {
    let mut hasher = Hasher::default();
    ids.iter().for_each(|id| hasher.update(id.to_le_bytes()));
    hasher.finish()
}

fn reject(job: &CalibrationJob, drawn: &DrawnWindows, wanted: Wanted, reason: String) -> Reject {
    let Wanted { category, number, window, .. } = wanted;
    let place = drawn.place(job, &window.documents[0]);
    Reject {
        place: place.unwrap_or_else(|| Place { file: category.into(), line: None }),
        id: Some(window.documents.join(" + ")),
        reason: match window.side {
            Side::Real => format!("window {number} of {category}: {reason}"),
            Side::Spliced => format!("window {number} of {category}, spliced: {reason}"),
        },
        record: String::new(),
    }
}

/// The windows that have scores, in the order in which they were scored.
#[derive(Default)]
pub(super) struct ScoredWindows {
    windows: Vec<(ScoredTestWindow, Seconds)>,
    /// Whether another model than the one that is scored tells the truth.
    has_truth_model: bool,
    /// Windows that could not be scored.
    pub rejected: u64,
    /// What each score without a layer took for all windows.
    score_seconds: BTreeMap<&'static str, f64>,
    /// What the truth took for all windows.
    truth_seconds: f64,
    tokens: usize,
}

#[derive(Clone, Copy)]
struct Seconds {
    model: f64,
    statistics: f64,
}

impl ScoredWindows {
    fn add(&mut self, wanted: Wanted, scores: WindowScores) {
        let Wanted { category, window, .. } = wanted;
        let WindowScores { gain, own_gain, model_seconds, statistics_seconds, scores, .. } = scores;
        self.tokens += window.ids.len();
        self.truth_seconds += gain.map_or(0.0, |gain| gain.gain_seconds);
        let scored = ScoredTestWindow {
            category: category.to_owned(),
            side: window.side,
            document: window.documents[0].clone(),
            gain: gain.map(|timed| timed.gain),
            columns: self.columns(window),
            losses: self.scores_of_losses(gain, own_gain),
            scores: scores.into_iter().flat_map(|scores| scores.layers).collect(),
        };
        self.windows.push((scored, Seconds { model: model_seconds, statistics: statistics_seconds }));
    }

    /// All columns of a window. They are not kept: they cost less than to be read again.
    fn columns(&mut self, window: &TestWindow) -> Columns {
        let mut all = Columns::default();
        for (name, column) in Column::NAMES {
            let begun = Instant::now();
            let found = columns(&[*column].into(), Some(&window.text), &window.ids).0;
            if !found.is_empty() {
                *self.score_seconds.entry(*name).or_default() += begun.elapsed().as_secs_f64();
            }
            all.0.extend(found);
        }
        all
    }

    /// The scores by the losses of the model that is scored. Where it tells the truth, its gain is not compared with itself.
    fn scores_of_losses(&mut self, truth: Option<TimedGain>, own: Option<TimedGain>) -> BTreeMap<&'static str, f64> {
        let gain = if self.has_truth_model { own } else { truth };
        let Some(TimedGain { gain, gain_seconds }) = gain else { return BTreeMap::new() };
        let Gain { information_gain, longfilter_score } = gain;
        let mut scores = BTreeMap::from([("longfilter_score", longfilter_score)]);
        if self.has_truth_model {
            scores.insert("information_gain", information_gain);
        }
        scores.keys().for_each(|name| *self.score_seconds.entry(*name).or_default() += gain_seconds);
        scores
    }

    /// What each score without a layer takes for a billion tokens, in hours: columns on one thread.
    pub fn hours(&self) -> BTreeMap<&'static str, f64> {
        self.score_seconds.iter().map(|(score, seconds)| (*score, self.hours_of(*seconds))).collect()
    }

    /// What the truth takes for a billion tokens, in hours.
    pub fn truth_hours(&self) -> f64 {
        self.hours_of(self.truth_seconds)
    }

    fn hours_of(&self, seconds: f64) -> f64 {
        seconds / self.tokens.max(1) as f64 * 1e9 / 3600.0
    }

    /// What is compared, with what each head says or without.
    pub fn compared(&self, heads: bool) -> Vec<ScoredTestWindow> {
        let mut windows: Vec<_> = self.windows.iter().map(|(scored, _)| scored.clone()).collect();
        if !heads {
            let scores = windows.iter_mut().flat_map(|window| &mut window.scores);
            scores.for_each(|score| score.head_proportions.clear());
        }
        windows
    }

    /// What the columns and the layers of a fitted score take for a billion tokens, in hours.
    pub fn hours_of_fit(&self, columns: &BTreeSet<Column>) -> f64 {
        let attention = self.windows.iter().map(|(_, seconds)| seconds.model + seconds.statistics).sum::<f64>();
        let of_columns = columns.iter().filter_map(|column| self.score_seconds.get(column.name())).sum::<f64>();
        self.hours_of(attention + of_columns)
    }

    /// About what a window costs by a package of one layer alone: its part of the layers that the model ran, which are those
    /// up to the deepest, and of the statistics. Medians, since now and then the machine has other work.
    pub fn seconds_per_window(&self, layers: &[usize]) -> BTreeMap<usize, f64> {
        let median = |seconds: fn(&Seconds) -> f64| {
            let mut seconds: Vec<_> = self.windows.iter().map(|(_, of_window)| seconds(of_window)).collect();
            seconds.sort_unstable_by(f64::total_cmp);
            seconds.get(seconds.len() / 2).copied().unwrap_or_default()
        };
        let (model, statistics) = (median(|seconds| seconds.model), median(|seconds| seconds.statistics));
        let deepest = layers.iter().max().copied().unwrap_or(0);
        let seconds =
            |layer: usize| model * (layer + 1) as f64 / (deepest + 1) as f64 + statistics / layers.len() as f64;
        layers.iter().map(|layer| (*layer, seconds(*layer))).collect()
    }
}
