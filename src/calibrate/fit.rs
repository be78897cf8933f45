//! A fitted score: the information gain of a window as other scores predict it.
//!
//! It is a ridge regression of the gain on standardised features. The strength of its penalty is chosen by cross-validation over
//! documents. What the fit is worth is measured on documents that it has not seen, and on categories that it has not seen: each
//! part is predicted by a fit to the others, which chooses its own strength.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Formatter};

use ndarray::{Array1, Array2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};

use super::{Agreement, Groups, LayerSetting, ScoredTestWindow, Side, Truth, correlation, parts};
use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};
use crate::rivals::{Column, Columns};
use crate::score::LayerScore;

/// Fewest real windows of a category that a score is fitted to.
pub const MIN_FIT_WINDOWS: usize = 20;

/// Fewest documents that they come from. As many parts are held out in turn.
pub const MIN_FIT_DOCUMENTS: usize = 5;

/// Columns that a score is fitted to.
const COLUMNS: [Column; 5] = [
    Column::NgramGain,
    Column::WeightedNgramGain,
    Column::BigramRecurrence,
    Column::TrigramRecurrence,
    Column::CompressionGain,
];

/// Strengths that are tried, as powers of ten, in units of the variance of a feature.
const STRENGTHS: std::ops::RangeInclusive<i32> = -4..=2;

/// A number of a window that its gain is predicted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Feature {
    /// A score of the attention of one layer.
    Layer {
        /// Which.
        score: LayerFeature,
        /// Of which layer, from 0.
        layer: usize,
    },
    /// A score that needs no model.
    Column {
        /// Which.
        score: Column,
    },
}

/// A score of the attention of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerFeature {
    /// Dependency strength.
    DependencyStrength,
    /// Far square mass.
    FarSquareMass,
}

impl Feature {
    /// The number of a window with these columns and these scores of `layers`, in their order. `None` where it has none.
    pub fn value(self, columns: &Columns, layers: &[usize], scores: &[LayerScore]) -> Option<f64> {
        match self {
            Self::Column { score } => columns.0.get(&score).copied(),
            Self::Layer { score, layer } => {
                let of_layer = scores.get(layers.iter().position(|known| *known == layer)?)?;
                Some(match score {
                    LayerFeature::DependencyStrength => of_layer.dependency_strength,
                    LayerFeature::FarSquareMass => of_layer.far_square_mass,
                })
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        match self {
            Self::Column { score } => formatter.write_str(score.name()),
            Self::Layer { score: LayerFeature::DependencyStrength, layer } => {
                write!(formatter, "dependency_strength of layer {layer}")
            }
            Self::Layer { score: LayerFeature::FarSquareMass, layer } => {
                write!(formatter, "far_square_mass of layer {layer}")
            }
        }
    }
}

/// A feature and its part in a fitted score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedFeature {
    /// The feature.
    #[serde(flatten)]
    pub feature: Feature,
    /// Its mean over the windows that the score was fitted to.
    pub mean: f64,
    /// Its standard deviation over them.
    pub deviation: f64,
    /// Nats a token for each deviation above the mean.
    pub weight: f64,
}

/// Weights by which the features of a window predict its information gain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedScore {
    /// The features.
    pub features: Vec<WeightedFeature>,
    /// The gain of a window whose features are the means, in nats a token.
    pub intercept: f64,
    /// Root mean square error of the gain of held-out documents, in nats a token.
    pub error: f64,
    /// Windows that it was fitted to.
    pub windows: usize,
    /// How unsure weights make the gain of a window: the inverse of the matrix of the normal equations, for each window.
    spread: Vec<Vec<f64>>,
}

/// The gain of a window as it is predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictedGain {
    /// In nats a token.
    pub gain: f64,
    /// Its standard error: that of held-out documents, and more for a window unlike those that the score was fitted to.
    pub error: f64,
}

impl FittedScore {
    /// Predicts the gain of a window with these columns and these scores of `layers`. `None` where it lacks a feature.
    pub fn predict(&self, columns: &Columns, layers: &[usize], scores: &[LayerScore]) -> Option<PredictedGain> {
        let standardized = |weighted: &WeightedFeature| {
            let value = weighted.feature.value(columns, layers, scores)?;
            Some((value - weighted.mean) / weighted.deviation)
        };
        let values: Vec<_> = self.features.iter().map(standardized).collect::<Option<_>>()?;
        let gain = self.features.iter().zip(&values).map(|(weighted, value)| weighted.weight * value).sum::<f64>();
        let row = |row: &Vec<f64>| row.iter().zip(&values).map(|(spread, value)| spread * value).sum::<f64>();
        let leverage: f64 = self.spread.iter().map(row).zip(&values).map(|(row, value)| row * value).sum();
        let error = self.error * (1.0 + 1.0 / self.windows as f64 + leverage).sqrt();
        Some(PredictedGain { gain: self.intercept + gain, error })
    }

    /// The columns that it takes.
    pub fn columns(&self) -> BTreeSet<Column> {
        let column = |weighted: &WeightedFeature| match weighted.feature {
            Feature::Column { score } => Some(score),
            Feature::Layer { .. } => None,
        };
        self.features.iter().filter_map(column).collect()
    }

    /// The layers that it takes.
    pub fn layers(&self) -> BTreeSet<usize> {
        let layer = |weighted: &WeightedFeature| match weighted.feature {
            Feature::Layer { layer, .. } => Some(layer),
            Feature::Column { .. } => None,
        };
        self.features.iter().filter_map(layer).collect()
    }

    /// Whether it can predict anything: weights and the matrix behind the errors belong together.
    pub fn is_sound(&self) -> bool {
        let count = self.features.len();
        let is_square = self.spread.len() == count && self.spread.iter().all(|row| row.len() == count);
        is_square && self.windows > 0 && self.features.iter().all(|weighted| weighted.deviation > 0.0)
    }
}

/// A fitted score, and what it was found to be worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Fitted to all windows.
    pub fitted_score: FittedScore,
    /// The strength of its penalty, in units of the variance of a feature.
    pub strength: f64,
    /// Rank correlation with the gain of the windows of documents that were held out.
    pub held_out_documents: Agreement,
    /// The same with LongFilter's score, which it was not fitted to.
    pub longfilter_score: Agreement,
    /// With the gain of categories that were held out; `None` where there is one.
    pub held_out_categories: Option<Agreement>,
    /// The best of the features by itself, picked by all windows.
    pub best_feature: Feature,
    /// Its rank correlation with the gain.
    pub best_feature_agreement: Agreement,
}

impl Fit {
    /// Fits a score to the gain of the real windows, from their columns and their scores by the settings of `sink_tokens`.
    ///
    /// # Errors
    /// Those of [`check_fit`]; [`ErrorKind::InvalidArgument`] where a window has no gain, and where no feature varies.
    pub fn new(settings: &[LayerSetting], windows: &[ScoredTestWindow], sink_tokens: usize) -> Result<Self> {
        let windows: Vec<_> = windows.iter().filter(|window| window.side == Side::Real).cloned().collect();
        let mut sizes: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
        for window in &windows {
            let (count, documents) = sizes.entry(&window.category).or_default();
            *count += 1;
            documents.insert(&window.document);
        }
        check_fit(sizes.iter().map(|(name, (count, documents))| (*name, *count, documents.len())))?;
        let examples = Examples::new(settings, &windows, sink_tokens)?;

        let folds = parts(&windows, MIN_FIT_DOCUMENTS);
        let predicted = examples.held_out(&folds, &folds);
        let names: Vec<_> = sizes.keys().copied().collect();
        let categories: Vec<_> =
            windows.iter().map(|window| names.partition_point(|name| *name < window.category.as_str())).collect();
        let all = Groups::new(Truth::Gain, &windows, |_| true);
        let by_longfilter = all.by_longfilter_score(&windows);
        let agreement = |values: &[f64]| all.agreement(&correlation::measure(&all.samples(values)));
        let of_features: Vec<_> =
            examples.values.axis_iter(Axis(1)).map(|column| agreement(&column.to_vec())).collect();
        let best = (0..of_features.len())
            .reduce(|a, b| if of_features[b].overall.value > of_features[a].overall.value { b } else { a })
            .expect("some feature varies");
        let every: Vec<_> = (0..windows.len()).collect();
        let strength = examples.strength(&every, &folds);
        let squares = predicted.iter().zip(&examples.gains).map(|(predicted, gain)| (predicted - gain).powi(2));
        let error = (squares.sum::<f64>() / windows.len() as f64).sqrt();
        Ok(Self {
            fitted_score: examples.normal(&every).solve(strength).fitted(&examples.features, error, windows.len()),
            strength,
            held_out_documents: agreement(&predicted),
            longfilter_score: by_longfilter.agreement(&correlation::measure(&by_longfilter.samples(&predicted))),
            held_out_categories: (names.len() > 1).then(|| agreement(&examples.held_out(&categories, &folds))),
            best_feature: examples.features[best],
            best_feature_agreement: of_features[best].clone(),
        })
    }

    /// Whether it is worth using: on documents that it has not seen it agrees better with the gain than the best of its
    /// features.
    pub fn is_better(&self) -> bool {
        self.held_out_documents.overall.value > self.best_feature_agreement.overall.value
    }
}

/// Refuses to fit a score to too few windows, given the names of the categories, their real windows and the documents of these.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for fewer than [`MIN_FIT_WINDOWS`] windows or [`MIN_FIT_DOCUMENTS`] documents.
pub fn check_fit<'a>(categories: impl IntoIterator<Item = (&'a str, usize, usize)>) -> Result<()> {
    let is_small =
        |(_, windows, documents): &(&str, usize, usize)| *windows < MIN_FIT_WINDOWS || *documents < MIN_FIT_DOCUMENTS;
    let Some((name, windows, documents)) = categories.into_iter().find(is_small) else { return Ok(()) };
    let message = format!(
        "no score can be fitted to {name}, which has real windows: {windows}, and documents with windows: {documents}. It takes \
         {MIN_FIT_WINDOWS} windows of {MIN_FIT_DOCUMENTS} documents of each category: set calibration_windows to \
         {MIN_FIT_WINDOWS} or more, add documents, or leave the category out"
    );
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// What is learnt from: a row for each window.
struct Examples {
    features: Vec<Feature>,
    values: Array2<f64>,
    gains: Vec<f64>,
}

impl Examples {
    /// All features that every window has and that are not the same for all.
    fn new(settings: &[LayerSetting], windows: &[ScoredTestWindow], sink_tokens: usize) -> Result<Self> {
        let of_sinks = |place: &usize| settings[*place].sink_tokens == sink_tokens;
        let places: Vec<_> = (0..settings.len()).filter(of_sinks).collect();
        let columns = COLUMNS.into_iter().map(|score| Feature::Column { score });
        let of_layers = places.iter().flat_map(|place| {
            [LayerFeature::DependencyStrength, LayerFeature::FarSquareMass]
                .map(|score| Feature::Layer { score, layer: settings[*place].layer })
        });
        let layers: Vec<_> = places.iter().map(|place| settings[*place].layer).collect();
        let layer_scores = |window: &ScoredTestWindow| -> Vec<_> {
            places.iter().map(|place| window.scores[*place].clone()).collect()
        };
        let known: Vec<_> = windows.iter().map(|window| (&window.columns, layer_scores(window))).collect();
        let (mut features, mut values) = (Vec::new(), Vec::new());
        for feature in columns.chain(of_layers) {
            let value = |(columns, scores): &(&Columns, Vec<_>)| feature.value(columns, &layers, scores);
            let column: Option<Vec<_>> = known.iter().map(value).collect();
            if let Some(column) = column.filter(|column| column.iter().any(|value| *value != column[0])) {
                features.push(feature);
                values.extend(column);
            }
        }
        let gains: Option<Vec<_>> =
            windows.iter().map(|window| window.gain.map(|gain| gain.information_gain)).collect();
        let wrong = |message| Error::new(ErrorKind::InvalidArgument, message);
        let gains = gains.ok_or_else(|| wrong("a score is fitted to the gain, which not all windows have"))?;
        if features.is_empty() {
            return Err(wrong("no score can be fitted: all windows are alike in every feature"));
        }
        let by_feature =
            Array2::from_shape_vec((features.len(), windows.len()), values).expect("a value of each window");
        Ok(Self { features, values: by_feature.reversed_axes(), gains })
    }

    /// What is predicted of each part, which `held_out` numbers, by a fit to the others. All fits agree on the window that has the
    /// mean of every feature: the gain that they learnt for it is the lower the higher that of the part is, which would turn
    /// ranks around.
    fn held_out(&self, held_out: &[usize], folds: &[usize]) -> Vec<f64> {
        let means = self.values.mean_axis(Axis(0)).expect("there are windows");
        let mean_gain = self.gains.iter().sum::<f64>() / self.gains.len() as f64;
        let mut predicted = vec![0.0; self.gains.len()];
        for part in held_out.iter().collect::<BTreeSet<_>>() {
            let (tested, learnt): (Vec<_>, Vec<_>) = (0..self.gains.len()).partition(|place| held_out[*place] == *part);
            let solution = self.normal(&learnt).solve(self.strength(&learnt, folds));
            let shift = mean_gain - solution.predict(means.view());
            tested.into_iter().for_each(|place| predicted[place] = solution.predict(self.values.row(place)) + shift);
        }
        predicted
    }

    /// The strength by which the folds of some windows, each predicted by the others, come closest to their gains.
    fn strength(&self, places: &[usize], folds: &[usize]) -> f64 {
        let strengths: Vec<_> = STRENGTHS.map(|power| 10f64.powi(power)).collect();
        let mut squares = vec![0.0; strengths.len()];
        for fold in places.iter().map(|place| folds[*place]).collect::<BTreeSet<_>>() {
            let (tested, learnt): (Vec<usize>, Vec<usize>) = places.iter().partition(|place| folds[**place] == fold);
            let normal = self.normal(&learnt);
            for (strength, squares) in strengths.iter().zip(&mut squares) {
                let solution = normal.solve(*strength);
                let error = |place: &usize| solution.predict(self.values.row(*place)) - self.gains[*place];
                *squares += tested.iter().map(|place| error(place).powi(2)).sum::<f64>();
            }
        }
        let best =
            (0..strengths.len()).min_by(|a, b| squares[*a].total_cmp(&squares[*b])).expect("there are strengths");
        strengths[best]
    }

    fn normal(&self, places: &[usize]) -> NormalEquations {
        let count = places.len() as f64;
        let mut values = self.values.select(Axis(0), places);
        let gains: Array1<f64> = places.iter().map(|place| self.gains[*place]).collect();
        let means = values.mean_axis(Axis(0)).expect("there are windows");
        // What is the same for all windows has no weight.
        let deviations = values.std_axis(Axis(0), 0.0).mapv(|deviation| if deviation > 0.0 { deviation } else { 1.0 });
        values -= &means;
        values /= &deviations;
        let mean_gain = gains.sum() / count;
        NormalEquations {
            matrix: values.t().dot(&values) / count,
            target: values.t().dot(&(gains - mean_gain)) / count,
            means,
            deviations,
            mean_gain,
        }
    }
}

/// The normal equations of standardised features, for each window.
struct NormalEquations {
    matrix: Array2<f64>,
    target: Array1<f64>,
    means: Array1<f64>,
    deviations: Array1<f64>,
    mean_gain: f64,
}

/// Weights of standardised features.
struct Solution {
    weights: Array1<f64>,
    inverse: Array2<f64>,
    means: Array1<f64>,
    deviations: Array1<f64>,
    intercept: f64,
}

impl NormalEquations {
    fn solve(&self, strength: f64) -> Solution {
        let inverse = inverse(&self.matrix + strength * Array2::<f64>::eye(self.matrix.nrows()));
        Solution {
            weights: inverse.dot(&self.target),
            inverse,
            means: self.means.clone(),
            deviations: self.deviations.clone(),
            intercept: self.mean_gain,
        }
    }
}

impl Solution {
    fn predict(&self, values: ArrayView1<f64>) -> f64 {
        self.intercept + ((&values - &self.means) / &self.deviations).dot(&self.weights)
    }

    fn fitted(&self, features: &[Feature], error: f64, windows: usize) -> FittedScore {
        let weighted = |(place, feature): (usize, &Feature)| WeightedFeature {
            feature: *feature,
            mean: self.means[place],
            deviation: self.deviations[place],
            weight: self.weights[place],
        };
        FittedScore {
            features: features.iter().enumerate().map(weighted).collect(),
            intercept: self.intercept,
            error,
            windows,
            spread: (&self.inverse / windows as f64).outer_iter().map(|row| row.to_vec()).collect(),
        }
    }
}

/// The inverse of a symmetric positive definite matrix, by Gauss and Jordan's elimination in place, which needs no pivots there.
fn inverse(mut matrix: Array2<f64>) -> Array2<f64> {
    for pivot in 0..matrix.nrows() {
        let scale = matrix[[pivot, pivot]].recip();
        matrix[[pivot, pivot]] = 1.0;
        matrix.row_mut(pivot).mapv_inplace(|value| value * scale);
        let pivot_row = matrix.row(pivot).to_owned();
        for other in (0..matrix.nrows()).filter(|row| *row != pivot) {
            let factor = std::mem::replace(&mut matrix[[other, pivot]], 0.0);
            matrix.row_mut(other).scaled_add(-factor, &pivot_row);
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::rivals::Gain;

    const SETTINGS: [LayerSetting; 3] = [
        LayerSetting { layer: 7, sink_tokens: 0 },
        LayerSetting { layer: 7, sink_tokens: 4 },
        LayerSetting { layer: 9, sink_tokens: 4 },
    ];

    /// Real windows of two categories, 12 documents each. The gain is `own · strength of layer 7 + shared · n-gram gain` and noise.
    fn windows(count: usize, own: f64, shared: f64, noise: f64) -> Vec<ScoredTestWindow> {
        let mut random = Random(5);
        let window = |place: usize| {
            let mut normal = || random.normal();
            let [known, strength, other] = [normal(), normal(), normal()];
            let layer = |strength: f64| LayerScore {
                dependency_strength: strength,
                distribution_uniformity: 0.0,
                far_square_mass: 0.25,
                head_proportions: Vec::new(),
            };
            let gain = 2.0 + own * strength + shared * known + noise * normal();
            ScoredTestWindow {
                category: ["books", "code"][place % 2].to_owned(),
                side: Side::Real,
                document: (place / 2 % 12).to_string(),
                gain: Some(Gain { information_gain: gain, longfilter_score: 0.0 }),
                columns: Columns([(Column::NgramGain, 5.0 + 0.1 * known), (Column::CompressionRatio, gain)].into()),
                losses: BTreeMap::new(),
                scores: vec![layer(gain), layer(strength), layer(other)],
            }
        };
        (0..count).map(window).collect()
    }

    #[test]
    fn what_two_features_tell_together_beats_the_best_of_them() {
        let windows = windows(120, 0.3, 0.4, 0.1);
        let fit = Fit::new(&SETTINGS, &windows, 4).unwrap();
        assert!(fit.is_better(), "{fit:?}");
        assert_eq!(fit.best_feature, Feature::Column { score: Column::NgramGain });
        assert!(fit.held_out_documents.overall.value > 0.9 && fit.best_feature_agreement.overall.value < 0.85);
        assert!(fit.held_out_categories.as_ref().unwrap().overall.value > 0.9);
        // Far square mass is the same for all, other sinks are not asked, and not every column is a feature.
        let fitted = &fit.fitted_score;
        let names: Vec<_> = fitted.features.iter().map(|weighted| weighted.feature.to_string()).collect();
        assert_eq!(names, ["ngram_gain", "dependency_strength of layer 7", "dependency_strength of layer 9"]);
        assert_eq!((fitted.columns(), fitted.layers()), ([Column::NgramGain].into(), [7, 9].into()));
        let weights: Vec<_> = fitted.features.iter().map(|weighted| weighted.weight).collect();
        assert!((weights[0] - 0.4).abs() < 0.1 && (weights[1] - 0.3).abs() < 0.1 && weights[2].abs() < 0.05);
        assert!((fitted.error - 0.1).abs() < 0.03, "{}", fitted.error);
    }

    #[test]
    fn predictions_are_as_sure_as_they_say() {
        let fit = Fit::new(&SETTINGS, &windows(120, 0.3, 0.4, 0.1), 4).unwrap();
        let (mut within, all) = (0, windows(400, 0.3, 0.4, 0.1));
        for window in &all[120..] {
            let predicted = fit.fitted_score.predict(&window.columns, &[7, 9], &window.scores[1..]).unwrap();
            let gain = window.gain.unwrap().information_gain;
            within += usize::from((predicted.gain - gain).abs() <= 2.0 * predicted.error);
        }
        assert!((250..=280).contains(&within), "{within} of 280 within two standard errors");
        // A window unlike all others is less sure, and one that lacks a feature has no gain.
        let score = &fit.fitted_score;
        let usual = score.predict(&all[0].columns, &[7, 9], &all[0].scores[1..]).unwrap();
        let far = Columns([(Column::NgramGain, 500.0)].into());
        assert!(score.predict(&far, &[7, 9], &all[0].scores[1..]).unwrap().error > 2.0 * usual.error);
        assert_eq!(score.predict(&Columns::default(), &[7, 9], &all[0].scores[1..]), None);
        assert_eq!(score.predict(&all[0].columns, &[7], &all[0].scores[1..2]), None);
    }

    #[test]
    fn what_one_feature_tells_alone_is_not_beaten() {
        // The ranks of the feature are those of the gain, so that nothing can be better.
        let mut windows = windows(60, 0.0, 0.4, 0.0);
        for window in &mut windows {
            window.scores.iter_mut().for_each(|score| score.dependency_strength *= 0.01);
        }
        let fit = Fit::new(&SETTINGS, &windows, 4).unwrap();
        assert!(!fit.is_better() && (fit.best_feature_agreement.overall.value - 1.0).abs() < 1e-12, "{fit:?}");
    }

    #[test]
    fn noise_is_not_believed() {
        let better = (0..10).filter(|shift| {
            let mut windows = windows(60, 0.0, 0.0, 1.0);
            windows.rotate_left(6 * shift);
            let fit = Fit::new(&SETTINGS, &windows, 4).unwrap();
            assert!(fit.held_out_documents.overall.low < 0.1, "{fit:?}");
            fit.is_better()
        });
        assert!(better.count() <= 1);
    }

    #[test]
    fn too_few_windows_are_refused_with_how_many_it_takes() {
        let refused = |windows: &[ScoredTestWindow]| Fit::new(&SETTINGS, windows, 4).unwrap_err().to_string();
        let few = refused(&windows(20, 0.3, 0.4, 0.1));
        assert!(few.contains("real windows: 10") && few.contains("takes 20 windows of 5 documents"), "{few}");
        let mut of_one = windows(60, 0.3, 0.4, 0.1);
        of_one.iter_mut().for_each(|window| window.document = "one".to_owned());
        assert!(refused(&of_one).contains("documents with windows: 1"));
        let mut without = windows(60, 0.3, 0.4, 0.1);
        without[3].gain = None;
        assert!(refused(&without).contains("not all windows have"));
    }

    #[test]
    fn a_fitted_score_is_read_as_it_is_written() {
        let score = Fit::new(&SETTINGS, &windows(60, 0.3, 0.4, 0.1), 4).unwrap().fitted_score;
        let text = serde_json::to_string(&score).unwrap();
        assert!(text.contains(r#"{"score":"ngram_gain","mean""#), "{text}");
        assert!(text.contains(r#"{"score":"dependency_strength","layer":7,"mean""#), "{text}");
        let read: FittedScore = serde_json::from_str(&text).unwrap();
        assert!(read == score && read.is_sound());
        assert!(!FittedScore { spread: Vec::new(), ..read }.is_sound());
    }

    #[test]
    fn an_inverse_times_its_matrix_is_the_identity() {
        let matrix = ndarray::array![[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]];
        let product = inverse(matrix.clone()).dot(&matrix);
        assert!((product - Array2::<f64>::eye(3)).iter().all(|entry| entry.abs() < 1e-12));
    }
}
