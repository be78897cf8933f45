//! Which layer tells the truth about a corpus: scores of its own windows, compared with what is known of these.
//!
//! There are two truths. By the **spliced-window test** a good score is higher for a real window, a run of one document,
//! than for one spliced of pieces of several documents; the measure is the AUC. The **information gain** of a real window is
//! how much better the model predicts its tokens from the whole window than from the last few of them; the measure is the
//! rank correlation. [`Sampler`] makes the windows, whoever calls scores them, [`Calibration`] compares, and [`Fit`] learns to
//! predict the gain.

mod correlation;
mod estimate;
mod fit;
mod recommend;
mod separation;
mod windows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};
use crate::rivals::{Column, Columns, Gain};
use crate::score::LayerScore;
use crate::select::{Standardize, long_distance_dependency_scores};

pub use estimate::IntervalEstimate;
pub use fit::{
    Feature, Fit, FittedScore, LayerFeature, MIN_FIT_DOCUMENTS, MIN_FIT_WINDOWS, PredictedGain, WeightedFeature,
    check_fit,
};
pub use recommend::TOLERATED_LOSS;
pub use windows::{LeftOut, Plan, Sampler, Side, TestCategory, TestWindow};

use estimate::{Measured, Sample};
use recommend::CrossFit;

/// What scores are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// Real windows against spliced ones. The measure is the AUC: 1 for a score that is always higher for the real one,
    /// 0.5 for guessing.
    Spliced,
    /// The information gain of real windows. The measure is Spearman's rank correlation, 0 for none.
    Gain,
}

impl Choice for Truth {
    const NAMES: &'static [(&'static str, Self)] = &[("spliced", Self::Spliced), ("gain", Self::Gain)];
}

impl Truth {
    fn measure(self, samples: &[Sample]) -> Measured {
        match self {
            Self::Spliced => separation::measure(samples),
            Self::Gain => correlation::measure(samples),
        }
    }

    /// What a score that knows nothing measures.
    pub fn chance(self) -> f64 {
        match self {
            Self::Spliced => 0.5,
            Self::Gain => 0.0,
        }
    }

    /// The longest interval by which a layer is recommended.
    pub fn widest_interval(self) -> f64 {
        match self {
            Self::Spliced => 0.1,
            Self::Gain => 0.4,
        }
    }
}

/// A layer, and the first positions that do not count as far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSetting {
    /// The layer, from 0.
    pub layer: usize,
    /// The setting `sink_tokens`.
    pub sink_tokens: usize,
}

/// A window, what is known of it, and what each setting says of it.
#[derive(Clone, Debug)]
pub struct ScoredTestWindow {
    /// Windows are compared within their category.
    pub category: String,
    /// Whether it is whole.
    pub side: Side,
    /// The document of a real window; those of one document may be alike.
    pub document: String,
    /// The information gain and LongFilter's score, where the gain is the truth.
    pub gain: Option<Gain>,
    /// Scores that need no model.
    pub columns: Columns,
    /// Scores by the losses of the model, by their names, where they are to be compared with the truth.
    pub losses: BTreeMap<&'static str, f64>,
    /// One for each setting, in their order.
    pub scores: Vec<LayerScore>,
}

/// How well a statistic agrees with the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Over all categories: the mean of their AUCs, or the correlation of ranks within categories.
    pub overall: IntervalEstimate,
    /// By category.
    pub categories: BTreeMap<String, IntervalEstimate>,
}

/// What a setting was found to be worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The setting.
    #[serde(flatten)]
    pub setting: LayerSetting,
    /// Of dependency strength.
    pub dependency_strength: Agreement,
    /// Of distribution uniformity.
    pub distribution_uniformity: Agreement,
    /// Of both together, with the calibration's `alpha`.
    pub long_distance_dependency_score: Agreement,
    /// Of far square mass.
    pub far_square_mass: Agreement,
    /// Of the proportion of each head.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<Agreement>,
}

/// What a score of any kind was found to be worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// Its name among the scores of a window.
    pub score: &'static str,
    /// The layer and the sinks, where it is one of attention.
    #[serde(flatten)]
    pub setting: Option<LayerSetting>,
    /// With the truth.
    pub agreement: Agreement,
    /// Rank correlation with LongFilter's score, where the gain is the truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longfilter_score: Option<Agreement>,
    /// What it knows that the n-gram gain does not: the partial rank correlation with the gain, given `ngram_gain`, where the
    /// gain is the truth and this another score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_ngram_gain: Option<Agreement>,
    /// The share that the best quarters of each category, by this score and by the gain, have in common, where the gain is the
    /// truth: a quarter by guessing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_quarter: Option<f64>,
}

/// What attention tells of the gain that the n-gram gain does not tell for next to nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Addition {
    /// The score of attention that adds most, picked by all windows.
    pub score: &'static str,
    /// Its layer and sinks.
    #[serde(flatten)]
    pub setting: LayerSetting,
    /// The partial rank correlation of one that is picked in this way: picked on one half of the documents and measured on the
    /// other, both ways.
    pub cross_fitted: Agreement,
}

impl Addition {
    /// Whether attention surely adds something: where not, it adds nothing that these windows can show.
    pub fn is_shown(&self) -> bool {
        self.cross_fitted.overall.low > 0.0
    }
}

/// What to score and select with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CandidateSetting {
    /// The layer and the sinks.
    #[serde(flatten)]
    pub setting: LayerSetting,
    /// The setting `alpha`: 0 for dependency strength alone.
    pub alpha: f64,
}

/// Whether the best candidate can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Better than guessing, by an interval that is narrow enough.
    Recommended,
    /// The interval is too wide to say.
    TooWide {
        /// About as many real windows of each category would do, from as many more documents.
        windows_needed: usize,
    },
    /// Not surely better than guessing.
    NoBetterThanChance,
}

/// The best candidate: the cheapest that is surely not much worse than any other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Picked by all windows.
    #[serde(flatten)]
    pub candidate: CandidateSetting,
    /// What a candidate that is picked in this way is worth: picked on one half of the documents and measured on the other,
    /// both ways.
    pub cross_fitted: Agreement,
    /// What the two halves picked.
    pub picked_by_halves: [CandidateSetting; 2],
    /// Whether to trust it.
    pub finding: Finding,
}

/// What windows say of settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// What scores were compared with.
    pub truth: Truth,
    /// The weight of distribution uniformity in the long-distance dependency score.
    pub alpha: f64,
    /// The settings in the order of their layers.
    pub rows: Vec<Row>,
    /// All scores on the same windows: those without a model first, LongFilter's where the gain is the truth, then strength,
    /// both terms and far square mass of each setting.
    pub scores: Vec<ScoreRow>,
    /// What attention adds to the n-gram gain, where the gain is the truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_ngram_gain: Option<Addition>,
    /// Which to use.
    pub verdict: Verdict,
}

impl Calibration {
    /// Compares the scores of windows with the truth. Every category needs real windows of two documents, and by the truth
    /// [`Truth::Spliced`] as many spliced ones.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] without settings, for a window with another number of scores, and for a category
    /// with fewer windows.
    pub fn new(
        truth: Truth,
        settings: &[LayerSetting],
        windows: &[ScoredTestWindow],
        standardize: Standardize,
        alpha: f64,
    ) -> Result<Self> {
        check(truth, settings, windows)?;
        let mut order: Vec<_> = (0..settings.len()).collect();
        order.sort_by_key(|place| (settings[*place].layer, settings[*place].sink_tokens));
        let all = Groups::new(truth, windows, |_| true);
        let statistics: Vec<_> =
            order.iter().map(|place| Statistics::new(windows, *place, &all, standardize, alpha)).collect();
        let row = |(place, statistics): (&usize, &Statistics)| {
            let agreement = |values: &[f64]| all.agreement(&truth.measure(&all.samples(values)));
            Row {
                setting: settings[*place],
                dependency_strength: agreement(&statistics.strengths),
                distribution_uniformity: agreement(&statistics.uniformities),
                long_distance_dependency_score: agreement(&statistics.both),
                far_square_mass: agreement(&statistics.far_square_masses),
                heads: statistics.heads.iter().map(|head| agreement(head)).collect(),
            }
        };
        let rows: Vec<_> = order.iter().zip(&statistics).map(row).collect();

        let mut candidates = Vec::new();
        for (row, statistics) in rows.iter().zip(&statistics) {
            candidates.push((CandidateSetting { setting: row.setting, alpha: 0.0 }, &statistics.strengths));
            if alpha != 0.0 {
                candidates.push((CandidateSetting { setting: row.setting, alpha }, &statistics.both));
            }
        }
        let verdict = verdict(truth, windows, &candidates, &all);
        let mut named = without_layer(windows);
        for (row, statistics) in rows.iter().zip(statistics) {
            let Statistics { strengths, both, far_square_masses, .. } = statistics;
            let setting = Some(row.setting);
            named.push(("dependency_strength", setting, strengths));
            named.push(("long_distance_dependency_score", setting, both));
            named.push(("far_square_mass", setting, far_square_masses));
        }
        let scores = score_rows(truth, windows, &all, &named);
        let beyond_ngram_gain = addition(truth, windows, &all, &named);
        Ok(Self { truth, alpha, rows, scores, beyond_ngram_gain, verdict })
    }
}

/// A score by its name and, where it is one of attention, its setting, with its value for each window.
type NamedScore = (&'static str, Option<LayerSetting>, Vec<f64>);

/// The scores that every window has without one of the layers.
fn without_layer(windows: &[ScoredTestWindow]) -> Vec<NamedScore> {
    let of_column = |(name, column): &(&'static str, Column)| {
        let values: Option<Vec<_>> = windows.iter().map(|window| window.columns.0.get(column).copied()).collect();
        Some((*name, None, values?))
    };
    let of_losses = |name: &&'static str| {
        let values: Option<Vec<_>> = windows.iter().map(|window| window.losses.get(name).copied()).collect();
        Some((*name, None, values?))
    };
    let columns = Column::NAMES.iter().filter_map(of_column);
    columns.chain(windows[0].losses.keys().filter_map(of_losses)).collect()
}

/// The values of the n-gram gain, which what others know is compared with.
fn ngram_gains(named: &[NamedScore]) -> Option<&[f64]> {
    let name = Column::NgramGain.name();
    named.iter().find(|(score, _, _)| *score == name).map(|(_, _, values)| values.as_slice())
}

/// What the score of attention adds to the n-gram gain that adds most.
fn addition(truth: Truth, windows: &[ScoredTestWindow], all: &Groups, named: &[NamedScore]) -> Option<Addition> {
    let control = ngram_gains(named).filter(|_| truth == Truth::Gain)?;
    let of_attention: Vec<_> =
        named.iter().filter_map(|(score, setting, values)| Some((*score, (*setting)?, values))).collect();
    let measured = |groups: &Groups| -> Vec<_> {
        let measure = |values| correlation::measure_given(&groups.samples(values), &groups.samples(control));
        of_attention.iter().map(|(_, _, values)| measure(values)).collect()
    };
    let layers: Vec<_> = of_attention.iter().map(|(_, setting, _)| setting.layer).collect();
    let fit = cross_fit(truth, windows, &layers, measured);
    let (score, setting, _) = of_attention[recommend::pick(&measured(all), &layers)];
    Some(Addition { score, setting, cross_fitted: all.named(fit.overall, fit.categories) })
}

/// What a candidate is worth that is picked on one half of the documents and measured on the other, both ways.
fn cross_fit(
    truth: Truth,
    windows: &[ScoredTestWindow],
    layers: &[usize],
    measured: impl Fn(&Groups) -> Vec<Measured>,
) -> CrossFit {
    let halves = halves(windows);
    let [first, second] = [0, 1].map(|half| measured(&Groups::new(truth, windows, |place| halves[place] == half)));
    recommend::cross_fit([&first, &second], layers)
}

fn score_rows(truth: Truth, windows: &[ScoredTestWindow], all: &Groups, named: &[NamedScore]) -> Vec<ScoreRow> {
    let by_longfilter = (truth == Truth::Gain).then(|| all.by_longfilter_score(windows));
    let control = ngram_gains(named).filter(|_| truth == Truth::Gain).map(|values| all.samples(values));
    let beyond = |score: &str, values: &[f64]| {
        let control = control.as_ref().filter(|_| score != Column::NgramGain.name())?;
        Some(all.agreement(&correlation::measure_given(&all.samples(values), control)))
    };
    let row = |(score, setting, values): &NamedScore| ScoreRow {
        score,
        setting: *setting,
        agreement: all.agreement(&truth.measure(&all.samples(values))),
        longfilter_score: by_longfilter
            .as_ref()
            .map(|groups| groups.agreement(&correlation::measure(&groups.samples(values)))),
        beyond_ngram_gain: beyond(score, values),
        best_quarter: (truth == Truth::Gain).then(|| best_quarter(&all.samples(values))),
    };
    named.iter().map(row).collect()
}

/// The share that the best quarters by values and by targets have in common.
fn best_quarter(samples: &[Sample]) -> f64 {
    let best = |values: &[f64]| -> BTreeSet<usize> {
        let mut places: Vec<_> = (0..values.len()).collect();
        places.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        places.truncate(values.len().div_ceil(4));
        places.into_iter().collect()
    };
    let quarters: Vec<_> = samples.iter().map(|sample| (best(&sample.values), best(&sample.targets))).collect();
    let common: usize = quarters.iter().map(|(by_values, by_targets)| by_values.intersection(by_targets).count()).sum();
    common as f64 / quarters.iter().map(|(_, by_targets)| by_targets.len()).sum::<usize>() as f64
}

fn verdict(
    truth: Truth,
    windows: &[ScoredTestWindow],
    candidates: &[(CandidateSetting, &Vec<f64>)],
    all: &Groups,
) -> Verdict {
    let layers: Vec<_> = candidates.iter().map(|(candidate, _)| candidate.setting.layer).collect();
    let measured = |groups: &Groups| -> Vec<_> {
        candidates.iter().map(|(_, values)| truth.measure(&groups.samples(values))).collect()
    };
    let fit = cross_fit(truth, windows, &layers, measured);
    let candidate = |place: usize| candidates[place].0;
    let width = fit.overall.width() / truth.widest_interval();
    let finding = match () {
        _ if width > 1.0 => {
            let real = windows.iter().filter(|window| window.side == Side::Real).count() as f64;
            let of_a_category = real / all.categories.len() as f64;
            Finding::TooWide { windows_needed: (of_a_category * width * width).ceil() as usize }
        }
        _ if fit.overall.low <= truth.chance() => Finding::NoBetterThanChance,
        _ => Finding::Recommended,
    };
    Verdict {
        candidate: candidate(recommend::pick(&measured(all), &layers)),
        picked_by_halves: fit.picked.map(candidate),
        cross_fitted: all.named(fit.overall, fit.categories),
        finding,
    }
}

fn check(truth: Truth, settings: &[LayerSetting], windows: &[ScoredTestWindow]) -> Result<()> {
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    if settings.is_empty() || windows.is_empty() {
        return wrong("a calibration needs settings and windows".to_owned());
    }
    if let Some(window) = windows.iter().find(|window| window.scores.len() != settings.len()) {
        return wrong(format!("a window of {} scores where {} are due", window.scores.len(), settings.len()));
    }
    let lacks_gain = |window: &ScoredTestWindow| window.side == Side::Real && window.gain.is_none();
    if truth == Truth::Gain && windows.iter().any(lacks_gain) {
        return wrong("a real window without a gain, where that is the truth".to_owned());
    }
    match by_category(windows).iter().find(|(_, windows)| !suffice(truth, windows)) {
        Some((category, _)) => {
            wrong(format!("the category {category} needs real windows of 2 documents and 2 spliced windows"))
        }
        None => Ok(()),
    }
}

/// The categories whose windows [`Calibration::new`] can compare.
pub fn comparable_categories(truth: Truth, windows: &[ScoredTestWindow]) -> BTreeSet<&str> {
    let categories = by_category(windows).into_iter().filter(|(_, windows)| suffice(truth, windows));
    categories.map(|(category, _)| category).collect()
}

fn suffice(truth: Truth, windows: &[&ScoredTestWindow]) -> bool {
    let of = |side| windows.iter().filter(move |window| window.side == side);
    let documents: BTreeSet<_> = of(Side::Real).map(|window| &window.document).collect();
    documents.len() >= 2 && (truth == Truth::Gain || of(Side::Spliced).count() >= 2)
}

fn by_category(windows: &[ScoredTestWindow]) -> BTreeMap<&str, Vec<&ScoredTestWindow>> {
    let mut categories: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    windows.iter().for_each(|window| categories.entry(&window.category).or_default().push(window));
    categories
}

/// The half of each window, 0 or 1.
fn halves(windows: &[ScoredTestWindow]) -> Vec<usize> {
    parts(windows, 2)
}

/// The part of each window, from 0. Those of one document are in one part; documents and spliced windows take turns.
fn parts(windows: &[ScoredTestWindow], parts: usize) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    let mut counts: HashMap<(&str, Side), usize> = HashMap::new();
    let mut of_windows = Vec::with_capacity(windows.len());
    for (place, window) in windows.iter().enumerate() {
        let group = (window.category.as_str(), window.side);
        // A spliced window is a document of its own.
        let own = (window.side == Side::Spliced).then_some(place);
        let number = numbers.entry((group.0, window.document.as_str(), own)).or_insert_with(|| {
            let count = counts.entry(group).or_default();
            *count += 1;
            *count
        });
        of_windows.push(*number % parts);
    }
    of_windows
}

/// Some of the windows by category, ready to be measured.
struct Groups {
    categories: Vec<String>,
    /// The places of each category's windows among all.
    members: Vec<Vec<usize>>,
    targets: Vec<Vec<f64>>,
    clusters: Vec<Vec<usize>>,
}

impl Groups {
    /// Windows whose places are wanted, of the sides that the truth tells of.
    fn new(truth: Truth, windows: &[ScoredTestWindow], wanted: impl Fn(usize) -> bool) -> Self {
        let mut by_category: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, window) in windows.iter().enumerate() {
            if wanted(place) && (truth == Truth::Spliced || window.side == Side::Real) {
                by_category.entry(&window.category).or_default().push(place);
            }
        }
        let (categories, members): (Vec<_>, Vec<_>) =
            by_category.into_iter().map(|(name, members)| (name.to_owned(), members)).unzip();
        let target = |place: &usize| match (truth, windows[*place].side) {
            (Truth::Gain, _) => windows[*place].gain.map_or(0.0, |gain| gain.information_gain),
            (Truth::Spliced, Side::Real) => 1.0,
            (Truth::Spliced, Side::Spliced) => 0.0,
        };
        let targets = members.iter().map(|members| members.iter().map(target).collect()).collect();
        let clusters = members.iter().map(|members| clusters(windows, members)).collect();
        Self { categories, members, targets, clusters }
    }

    /// The same with LongFilter's score of each window as its target.
    fn by_longfilter_score(&self, windows: &[ScoredTestWindow]) -> Self {
        let target = |place: &usize| windows[*place].gain.map_or(0.0, |gain| gain.longfilter_score);
        let targets = self.members.iter().map(|members| members.iter().map(target).collect()).collect();
        let Self { categories, members, clusters, .. } = self;
        Self { categories: categories.clone(), members: members.clone(), targets, clusters: clusters.clone() }
    }

    fn samples(&self, values: &[f64]) -> Vec<Sample> {
        let sample = |(group, members): (usize, &Vec<usize>)| Sample {
            values: members.iter().map(|place| values[*place]).collect(),
            targets: self.targets[group].clone(),
            clusters: self.clusters[group].clone(),
        };
        self.members.iter().enumerate().map(sample).collect()
    }

    fn agreement(&self, measured: &Measured) -> Agreement {
        self.named(measured.overall, measured.categories.clone())
    }

    fn named(&self, overall: IntervalEstimate, categories: Vec<IntervalEstimate>) -> Agreement {
        Agreement { overall, categories: self.categories.iter().cloned().zip(categories).collect() }
    }
}

/// A number for each document and for each spliced window.
fn clusters(windows: &[ScoredTestWindow], members: &[usize]) -> Vec<usize> {
    let mut documents = HashMap::new();
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        count - 1
    };
    let cluster = |place: &usize| {
        let window = &windows[*place];
        match window.side {
            Side::Real => *documents.entry(&window.document).or_insert_with(&mut fresh),
            Side::Spliced => fresh(),
        }
    };
    members.iter().map(cluster).collect()
}

/// What a setting says of all windows.
struct Statistics {
    strengths: Vec<f64>,
    uniformities: Vec<f64>,
    both: Vec<f64>,
    far_square_masses: Vec<f64>,
    heads: Vec<Vec<f64>>,
}

impl Statistics {
    fn new(
        windows: &[ScoredTestWindow],
        setting: usize,
        groups: &Groups,
        standardize: Standardize,
        alpha: f64,
    ) -> Self {
        let of = |value: &dyn Fn(&LayerScore) -> f64| -> Vec<_> {
            windows.iter().map(|window| value(&window.scores[setting])).collect()
        };
        let strengths = of(&|score| score.dependency_strength);
        let uniformities = of(&|score| score.distribution_uniformity);
        let far_square_masses = of(&|score| score.far_square_mass);
        let mut both = vec![0.0; windows.len()];
        for members in &groups.members {
            let [strengths, uniformities] = [&strengths, &uniformities]
                .map(|values| members.iter().map(|place| values[*place]).collect::<Vec<_>>());
            let scores = long_distance_dependency_scores(&strengths, &uniformities, standardize, alpha);
            members.iter().zip(scores).for_each(|(place, score)| both[*place] = score);
        }
        let heads = windows.iter().map(|window| window.scores[setting].head_proportions.len()).min().unwrap_or(0);
        let heads = (0..heads).map(|head| of(&|score| score.head_proportions[head])).collect();
        Self { strengths, uniformities, both, far_square_masses, heads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const SETTINGS: [LayerSetting; 2] =
        [LayerSetting { layer: 7, sink_tokens: 4 }, LayerSetting { layer: 0, sink_tokens: 0 }];

    /// Windows of `documents` documents in each of two categories. By the first setting real windows have more dependency
    /// strength by `shift` deviations, and so much less uniformity; the second setting knows nothing.
    fn windows(documents: usize, shift: f64) -> Vec<ScoredTestWindow> {
        let mut random = Random(1);
        let mut window = |place: usize| {
            let (side, shift) = if place.is_multiple_of(2) { (Side::Real, shift) } else { (Side::Spliced, 0.0) };
            let mut score = |shift: f64| LayerScore {
                dependency_strength: random.normal() + shift,
                distribution_uniformity: random.normal() - shift,
                far_square_mass: shift,
                head_proportions: vec![random.normal(), shift],
            };
            let scores = vec![score(shift), score(0.0)];
            ScoredTestWindow {
                category: ["books", "code"][place / 2 % 2].to_owned(),
                side,
                document: format!("{}", place / 4 % documents),
                gain: Some(Gain {
                    information_gain: scores[0].dependency_strength + random.normal(),
                    longfilter_score: -scores[0].dependency_strength,
                }),
                columns: Columns([(Column::NgramGain, scores[0].dependency_strength)].into()),
                losses: [("longfilter_score", -scores[0].dependency_strength)].into(),
                scores,
            }
        };
        (0..8 * documents).map(&mut window).collect()
    }

    fn calibration(windows: &[ScoredTestWindow], alpha: f64) -> Calibration {
        Calibration::new(Truth::Spliced, &SETTINGS, windows, Standardize::ZScore, alpha).unwrap()
    }

    #[test]
    fn the_layer_that_knows_is_recommended() {
        let Calibration { rows, verdict, .. } = calibration(&windows(30, 4.0), 0.5);
        assert_eq!([rows[0].setting, rows[1].setting], [SETTINGS[1], SETTINGS[0]]);
        assert_eq!(verdict.candidate, CandidateSetting { setting: SETTINGS[0], alpha: 0.0 });
        assert_eq!(verdict.finding, Finding::Recommended);
        assert!(verdict.cross_fitted.overall.value > 0.95);
        assert!(rows[1].dependency_strength.overall.value > 0.95);
        assert!(rows[1].distribution_uniformity.overall.value < 0.05);
        assert_eq!(rows[1].heads[1].overall.value, 1.0);
        assert_eq!(rows[0].heads[1].overall.value, 0.5);
        assert_eq!(rows[0].dependency_strength.categories.keys().collect::<Vec<_>>(), ["books", "code"]);
    }

    #[test]
    fn all_scores_are_compared_on_the_same_windows() {
        let windows = windows(40, 1.0);
        let of = |truth| Calibration::new(truth, &SETTINGS, &windows, Standardize::ZScore, 0.5).unwrap();
        let spliced = of(Truth::Spliced);
        let names: Vec<_> = spliced.scores.iter().map(|row| (row.score, row.setting)).collect();
        assert_eq!(names[..2], [("ngram_gain", None), ("longfilter_score", None)]);
        assert_eq!((names[2], names.len()), (("dependency_strength", Some(SETTINGS[1])), 2 + 3 * 2));
        // The column is the strength of the first setting, which is the second in the order of layers.
        assert_eq!(spliced.scores[0].agreement, spliced.rows[1].dependency_strength);
        assert_eq!(spliced.scores[7].agreement, spliced.rows[1].far_square_mass);
        assert_eq!((&spliced.scores[0].longfilter_score, spliced.scores[0].best_quarter), (&None, None));
        let gain = of(Truth::Gain);
        assert!(spliced.beyond_ngram_gain.is_none() && spliced.scores[0].beyond_ngram_gain.is_none());
        let with_longfilter = |row: &ScoreRow| row.longfilter_score.as_ref().unwrap().overall.value;
        assert!((with_longfilter(&gain.scores[0]) + 1.0).abs() < 1e-9, "the column is its opposite");
        assert!((with_longfilter(&gain.scores[1]) - 1.0).abs() < 1e-9);
        assert!(gain.scores[0].best_quarter.unwrap() > 0.4 && gain.scores[1].best_quarter.unwrap() < 0.1);
    }

    #[test]
    fn the_best_quarters_are_those_of_each_category() {
        let sample = |values: [f64; 5], targets: [f64; 5]| Sample {
            values: values.to_vec(),
            targets: targets.to_vec(),
            clusters: (0..5).collect(),
        };
        let one = sample([5.0, 4.0, 3.0, 2.0, 1.0], [5.0, 1.0, 2.0, 4.0, 3.0]);
        let other = sample([5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(best_quarter(&[one, other]), 0.25);
    }

    #[test]
    fn what_attention_adds_to_the_n_gram_gain_is_told_or_that_it_is_nothing() {
        let mut windows = windows(40, 0.0);
        let mut random = Random(2);
        // What both scores of the first setting say the column says too.
        let found = |windows: &[ScoredTestWindow]| {
            Calibration::new(Truth::Gain, &SETTINGS, windows, Standardize::ZScore, 0.5).unwrap()
        };
        let nothing = found(&windows);
        assert!(!nothing.beyond_ngram_gain.as_ref().unwrap().is_shown(), "{:?}", nothing.beyond_ngram_gain);
        assert_eq!(nothing.scores[0].beyond_ngram_gain, None);
        let strength = |found: &Calibration| found.scores[5].beyond_ngram_gain.as_ref().unwrap().overall;
        assert_eq!((nothing.scores[5].score, strength(&nothing).value), ("dependency_strength", 0.0));
        // The column says half of it.
        for window in &mut windows {
            window.columns.0.values_mut().for_each(|value| *value += random.normal());
        }
        let something = found(&windows);
        let Addition { score, setting, cross_fitted } = something.beyond_ngram_gain.as_ref().unwrap();
        assert!(something.beyond_ngram_gain.as_ref().unwrap().is_shown(), "{cross_fitted:?}");
        assert_eq!((*score, *setting), ("dependency_strength", SETTINGS[0]));
        assert!(strength(&something).low > 0.2, "{:?}", strength(&something));
    }

    #[test]
    fn few_windows_are_not_enough() {
        let verdict = calibration(&windows(4, 4.0), 0.5).verdict;
        let Finding::TooWide { windows_needed } = verdict.finding else { panic!("{verdict:?}") };
        assert!(windows_needed > 8, "{windows_needed}");
    }

    #[test]
    fn what_knows_nothing_is_not_recommended() {
        let verdict = calibration(&windows(800, 0.0), 0.5).verdict;
        assert_eq!(verdict.finding, Finding::NoBetterThanChance);
    }

    #[test]
    fn what_is_picked_by_luck_is_not_believed() {
        // Of settings that know nothing, the best looks better on the windows that it was picked on than on others.
        let (mut looks, mut is) = (0.0, 0.0);
        for seed in 0..20 {
            let mut random = Random(seed);
            let mut windows = windows(20, 0.0);
            for window in &mut windows {
                window.scores = (0..60)
                    .map(|_| LayerScore {
                        dependency_strength: random.normal(),
                        distribution_uniformity: random.normal(),
                        far_square_mass: 0.0,
                        head_proportions: Vec::new(),
                    })
                    .collect();
            }
            let settings: Vec<_> = (0..60).map(|layer| LayerSetting { layer, sink_tokens: 0 }).collect();
            let found = Calibration::new(Truth::Spliced, &settings, &windows, Standardize::ZScore, 0.0).unwrap();
            let best = found.rows.iter().map(|row| row.dependency_strength.overall.value).fold(0.0, f64::max);
            (looks, is) = (looks + best / 20.0, is + found.verdict.cross_fitted.overall.value / 20.0);
        }
        assert!(looks > 0.58 && (is - 0.5).abs() < 0.03, "looks like {looks}, is {is}");
    }

    #[test]
    fn without_uniformity_only_strength_is_a_candidate() {
        let Calibration { rows, verdict, .. } = calibration(&windows(30, 4.0), 0.0);
        assert_eq!(verdict.candidate.alpha, 0.0);
        let row = &rows[1];
        assert_eq!(row.long_distance_dependency_score, row.dependency_strength);
    }

    #[test]
    fn the_gain_is_correlated_with_real_windows_alone() {
        let mut windows = windows(40, 0.0);
        windows.iter_mut().filter(|window| window.side == Side::Spliced).for_each(|window| window.gain = None);
        let found = Calibration::new(Truth::Gain, &SETTINGS, &windows, Standardize::ZScore, 0.5).unwrap();
        // The gain is the first setting's strength and as much noise: the correlation is √½.
        assert!((found.rows[1].dependency_strength.overall.value - 0.7).abs() < 0.15);
        assert!(found.rows[0].dependency_strength.overall.value.abs() < 0.25);
        assert_eq!(found.verdict.candidate.setting, SETTINGS[0]);
    }

    #[test]
    fn windows_that_cannot_be_compared_are_refused() {
        let refused = |truth, settings: &[LayerSetting], windows: &[ScoredTestWindow]| {
            Calibration::new(truth, settings, windows, Standardize::ZScore, 0.5).unwrap_err().to_string()
        };
        let windows = windows(4, 0.0);
        assert!(refused(Truth::Spliced, &[], &windows).contains("needs settings"));
        assert!(refused(Truth::Spliced, &SETTINGS[..1], &windows).contains("2 scores where 1"));
        let real: Vec<_> = windows.iter().filter(|window| window.side == Side::Real).cloned().collect();
        assert!(refused(Truth::Spliced, &SETTINGS, &real).contains("2 spliced windows"));
        assert!(comparable_categories(Truth::Spliced, &real).is_empty());
        assert_eq!(comparable_categories(Truth::Gain, &real).into_iter().collect::<Vec<_>>(), ["books", "code"]);
        let mut alone = windows;
        alone.iter_mut().for_each(|window| window.document = "one".to_owned());
        assert!(refused(Truth::Gain, &SETTINGS, &alone).contains("2 documents"));
        assert!(comparable_categories(Truth::Gain, &alone).is_empty());
    }

    #[test]
    fn halves_share_no_document() {
        let windows = windows(5, 0.0);
        let halves = halves(&windows);
        let mut of_document = HashMap::new();
        for (window, half) in windows.iter().zip(&halves).filter(|pair| pair.0.side == Side::Real) {
            assert_eq!(*of_document.entry((&window.category, &window.document)).or_insert(*half), *half);
        }
        let spliced = windows.iter().zip(&halves).filter(|pair| pair.0.side == Side::Spliced);
        assert_eq!(spliced.filter(|pair| *pair.1 == 0).count(), 10);
    }
}
