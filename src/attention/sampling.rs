//! Far mass estimated from a sample of the rows.
//!
//! Every row's far mass is predicted from the means of blocks of keys, which is cheap, and known exactly for a sample.
//! The total is the regression estimator of survey sampling (Särndal, Swensson and Wretman, *Model Assisted Survey
//! Sampling*, 1992, chapter 6): the predictions of all rows, scaled by what the sample teaches, and corrected by what
//! they miss in the sample. The sample is systematic, with probabilities proportional to size, in the order of groups
//! of alike rows: in a first layer rows of one token are alike, so each token gets its share of the sample.

use ndarray::{Array2, Array3, s};

use super::{FarMass, StreamingAttention};
use crate::error::{Error, ErrorKind, Result};

/// Rows whose queries are asked for at a time.
const ROWS_AT_A_TIME: usize = 2048;

/// Fewest rows that are drawn. Few rows hold much of the square mass: smaller samples often miss these, and take the error
/// for smaller than it is.
const MIN_DRAWN: usize = 320;

/// Any number: the same windows get the same samples for ever.
const SEED: u64 = 0x4c6f_6e67_4174_746e;

/// The far mass of each head over all rows, estimated from some.
pub struct Estimate {
    /// The totals, in the model's order of heads.
    pub heads: Vec<FarMass>,
    /// Rows that were computed, and those that are known to have no far mass.
    pub rows: usize,
    /// What each drawn row adds to the correction of its head, `[heads, drawn]`, in the order of drawing.
    corrections: Array2<FarMass>,
    /// How probable it was that each was drawn.
    probabilities: Vec<f64>,
}

impl Estimate {
    /// The standard error of `Σ weights(h).mass · S1[h] + weights(h).square_mass · S2[h]`, by the differences of
    /// neighbours in the order of drawing, as is usual for systematic samples (Wolter, *Introduction to Variance
    /// Estimation*, 2007, chapter 8). It rather errs on the large side.
    pub fn standard_error(&self, weights: impl Fn(usize) -> FarMass) -> f64 {
        let (heads, drawn) = self.corrections.dim();
        let weights: Vec<_> = (0..heads).map(weights).collect();
        let combined = |row: usize| -> f64 {
            let corrections = self.corrections.column(row);
            let products = corrections.iter().zip(&weights);
            products.map(|(a, b)| a.mass * b.mass + a.square_mass * b.square_mass).sum()
        };
        let combined: Vec<_> = (0..drawn).map(combined).collect();
        let differences = combined.windows(2).zip(&self.probabilities[1.min(drawn)..]);
        let squares: f64 =
            differences.map(|(pair, probability)| (pair[1] - pair[0]).powi(2) * (1.0 - probability)).sum();
        (squares * drawn as f64 / (2.0 * (drawn.max(2) - 1) as f64)).sqrt()
    }
}

/// Estimates the far mass of each head of a window from about `count` rows, evenly among its rows: those before the
/// first with a far key have no far mass, so they count as known and are not computed. At least 320 are. `None` where
/// that leaves no row out.
///
/// `groups` names for each row those that are alike: token ids in a first layer, and the same number for all rows in
/// deeper ones. `queries` gives the queries `[heads, rows, head_size]` of rows in rising order.
///
/// # Errors
/// [`ErrorKind::NonFinite`] where attention is NaN or infinite, and those of `queries` and
/// [`StreamingAttention::far_masses`].
pub fn estimate(
    attention: &StreamingAttention,
    groups: &[u32],
    count: usize,
    mut queries: impl FnMut(&[usize]) -> Result<Array3<f32>>,
) -> Result<Option<Estimate>> {
    let length = groups.len();
    let first = (0..length).find(|row| !attention.far().keys(*row).is_empty()).unwrap_or(length);
    let rows: Vec<_> = (first..length).collect();
    let wanted = (count as f64 * rows.len() as f64 / length as f64).round() as usize;
    let wanted = wanted.max(MIN_DRAWN);
    if wanted >= rows.len() {
        return Ok(None);
    }
    let blocks = attention.blocks();
    let predictions = Predictions::new(&rows, |rows| Ok(blocks.far_masses(queries(rows)?.view(), rows)))?;
    let sample = Sample::draw(&predictions.sizes()?, groups, &rows, wanted);
    let drawn = sample.drawn_rows(&rows);

    let mut exact = Array2::default((predictions.totals.len(), drawn.len()));
    let mut predicted = exact.clone();
    for (part, rows) in drawn.chunks(ROWS_AT_A_TIME).enumerate() {
        let queries = queries(rows)?;
        let columns = s![.., part * ROWS_AT_A_TIME..part * ROWS_AT_A_TIME + rows.len()];
        exact.slice_mut(columns).assign(&attention.far_masses(queries.view(), rows)?);
        predicted.slice_mut(columns).assign(&blocks.far_masses(queries.view(), rows));
    }
    Ok(Some(sample.estimate(&predictions.totals, &drawn, length, first, &predicted, &exact)))
}

/// What the regression of far mass runs on: a row's predicted mass, and that times its place in the window.
type Regressors = [f64; 2];

fn regressors(predicted_mass: f64, row: usize, length: usize) -> Regressors {
    [predicted_mass, predicted_mass * row as f64 / length as f64]
}

/// Predicted far masses of all rows.
struct Predictions {
    /// The regressors' sums over all rows, for each head.
    totals: Vec<Regressors>,
    /// The sum over heads, for each row.
    rows: Vec<FarMass>,
}

impl Predictions {
    fn new(rows: &[usize], mut predict: impl FnMut(&[usize]) -> Result<Array2<FarMass>>) -> Result<Self> {
        let length = rows.last().map_or(0, |last| last + 1);
        let mut predictions = Self { totals: Vec::new(), rows: Vec::with_capacity(rows.len()) };
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            let far_masses = predict(rows)?;
            predictions.totals.resize(far_masses.nrows(), Regressors::default());
            for (total, far_masses) in predictions.totals.iter_mut().zip(far_masses.outer_iter()) {
                for (far_mass, row) in far_masses.iter().zip(rows) {
                    let terms = regressors(far_mass.mass, *row, length);
                    total.iter_mut().zip(terms).for_each(|(total, term)| *total += term);
                }
            }
            predictions
                .rows
                .extend(far_masses.columns().into_iter().map(|heads| heads.iter().copied().sum::<FarMass>()));
        }
        Ok(predictions)
    }

    /// How probable rows should be in a sample, in proportion: a third each by number, by mass and by square mass.
    fn sizes(&self) -> Result<Vec<f64>> {
        let total: FarMass = self.rows.iter().copied().sum();
        if !(total.mass + total.square_mass).is_finite() {
            let message = "attention is NaN or infinite: the model's weights are damaged";
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        let share = |part: f64, total: f64| if total > 0.0 { part / total } else { 0.0 };
        let even = 1.0 / self.rows.len() as f64;
        let size = |row: &FarMass| even + share(row.mass, total.mass) + share(row.square_mass, total.square_mass);
        Ok(self.rows.iter().map(size).collect())
    }
}

/// A systematic sample of rows.
struct Sample {
    /// Places among the rows that could be drawn, in the order of drawing.
    drawn: Vec<usize>,
    probabilities: Vec<f64>,
}

impl Sample {
    /// Draws `wanted` of `rows`, or one more or less, neighbours of one group after each other.
    fn draw(sizes: &[f64], groups: &[u32], rows: &[usize], wanted: usize) -> Self {
        let mut order: Vec<_> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|index| (groups[rows[*index]], *index));
        let probabilities = inclusion_probabilities(sizes, wanted);
        let mut next = random_fraction(groups);
        let mut reached = 0.0;
        let mut sample = Self { drawn: Vec::new(), probabilities: Vec::new() };
        for index in order {
            reached += probabilities[index];
            if reached > next {
                next += 1.0;
                sample.drawn.push(index);
                sample.probabilities.push(probabilities[index]);
            }
        }
        sample
    }

    /// The rows that were drawn, rising.
    fn drawn_rows(&self, rows: &[usize]) -> Vec<usize> {
        let mut drawn: Vec<_> = self.drawn.iter().map(|index| rows[*index]).collect();
        drawn.sort_unstable();
        drawn
    }

    /// `predicted` and `exact` are `[heads, drawn]` in the order of `drawn`, and `totals` the sums of the regressors over
    /// all rows from `first` on.
    fn estimate(
        self,
        totals: &[Regressors],
        drawn: &[usize],
        length: usize,
        first: usize,
        predicted: &Array2<FarMass>,
        exact: &Array2<FarMass>,
    ) -> Estimate {
        let columns: Vec<_> = self
            .drawn
            .iter()
            .map(|index| drawn.binary_search(&(index + first)).expect("a row that was drawn"))
            .collect();
        let mut corrections = Array2::default((totals.len(), drawn.len()));
        let mut heads = Vec::new();
        for (head, total) in totals.iter().enumerate() {
            let terms: Vec<_> = columns
                .iter()
                .map(|column| regressors(predicted[[head, *column]].mass, drawn[*column], length))
                .collect();
            let estimated = |value: fn(&FarMass) -> f64| {
                let values: Vec<_> = columns.iter().map(|column| value(&exact[[head, *column]])).collect();
                regression_estimate(*total, &terms, &values, &self.probabilities)
            };
            let (mass, mass_corrections) = estimated(|exact| exact.mass);
            let (square_mass, square_mass_corrections) = estimated(|exact| exact.square_mass);
            heads.push(FarMass { mass, square_mass });
            let both = mass_corrections.into_iter().zip(square_mass_corrections);
            for (correction, (mass, square_mass)) in corrections.row_mut(head).iter_mut().zip(both) {
                *correction = FarMass { mass, square_mass };
            }
        }
        Estimate { heads, rows: first + drawn.len(), corrections, probabilities: self.probabilities }
    }
}

/// Probabilities in proportion to `sizes`, none above 1, that add up to `wanted`.
fn inclusion_probabilities(sizes: &[f64], wanted: usize) -> Vec<f64> {
    let mut certain = vec![false; sizes.len()];
    loop {
        let rest: f64 = sizes.iter().zip(&certain).filter(|(_, certain)| !**certain).map(|(size, _)| size).sum();
        let certain_count = certain.iter().filter(|certain| **certain).count();
        let scale = (wanted - certain_count) as f64 / rest;
        let mut grown = false;
        for (size, certain) in sizes.iter().zip(&mut certain) {
            let reached = !*certain && size * scale >= 1.0;
            *certain |= reached;
            grown |= reached;
        }
        if !grown {
            let probability = |(size, certain): (&f64, &bool)| if *certain { 1.0 } else { size * scale };
            return sizes.iter().zip(&certain).map(probability).collect();
        }
    }
}

/// The total of what `values` are a sample of, and how much each of them adds to what is predicted from `total`, the sum
/// of the terms over all rows.
fn regression_estimate(
    total: Regressors,
    terms: &[Regressors],
    values: &[f64],
    probabilities: &[f64],
) -> (f64, Vec<f64>) {
    let coefficients = regression(terms, values, probabilities);
    let sampled = values.iter().zip(terms).zip(probabilities);
    let correction = |((value, terms), probability): ((&f64, &Regressors), &f64)| {
        (value - fitted(coefficients, *terms)) / probability
    };
    let corrections: Vec<_> = sampled.map(correction).collect();
    (fitted(coefficients, total) + corrections.iter().sum::<f64>(), corrections)
}

/// Least squares of `values` on `terms`, each weighted by how many rows it stands for.
fn regression(terms: &[Regressors], values: &[f64], probabilities: &[f64]) -> Regressors {
    let (mut xx, mut xz, mut zz, mut xy, mut zy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (([x, z], y), probability) in terms.iter().zip(values).zip(probabilities) {
        xx += x * x / probability;
        xz += x * z / probability;
        zz += z * z / probability;
        xy += x * y / probability;
        zy += z * y / probability;
    }
    let determinant = xx * zz - xz * xz;
    if determinant > 1e-9 * xx * zz {
        return [(zz * xy - xz * zy) / determinant, (xx * zy - xz * xy) / determinant];
    }
    if xx > 0.0 { [xy / xx, 0.0] } else { [0.0, 0.0] }
}

fn fitted(coefficients: Regressors, terms: Regressors) -> f64 {
    coefficients[0] * terms[0] + coefficients[1] * terms[1]
}

/// A number from 0 to 1 that a window's groups decide, by the mixing function of SplitMix64 (Steele, Lea and Flood, 2014).
fn random_fraction(groups: &[u32]) -> f64 {
    let mixed = groups.iter().fold(SEED, |state, group| {
        let mut mixed = state.wrapping_add(u64::from(*group)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}
