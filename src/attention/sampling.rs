//! Far mass estimated from a sample of the rows.
//!
//! Every row's far mass is predicted from clusters of keys, which is cheap, and known exactly for a sample. The total is the
//! regression estimator of survey sampling (Särndal, Swensson and Wretman, *Model Assisted Survey Sampling*, 1992,
//! chapter 6): the predictions of all rows, scaled by what the sample teaches, and corrected by what they miss in the
//! sample. Each head has a sample of its own, the larger the more of the far attention it has. Samples are systematic,
//! with probabilities proportional to size, in the order of groups of alike rows: in a first layer rows of one token are
//! alike, so each token gets its share of the sample.

use std::ops::RangeInclusive;

use ndarray::{Array2, Axis, CowArray, Ix3, Slice, concatenate};
use rayon::prelude::*;

use super::clusters::{ClusteredAttention, MOST_CLUSTERS};
use super::{FarMass, FarRegion, StreamingAttention};
use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;

/// Rows whose queries are asked for at a time.
const ROWS_AT_A_TIME: usize = 4096;

/// Rows whose queries are enough to tell which keys are alike.
const ROWS_FOR_CLUSTERS: usize = 256;

/// There is one cluster of keys for so many rows that are drawn, so that predictions cost a fixed share of the work.
const ROWS_PER_CLUSTER: usize = 8;

/// Fewest and most clusters.
const CLUSTERS: RangeInclusive<usize> = 32..=MOST_CLUSTERS;

/// Fewest rows that are drawn for a head on average. Few rows hold much of the square mass: smaller samples often miss these,
/// and take the error for smaller than it is.
const MIN_DRAWN: usize = 320;

/// Any number: the same windows get the same samples for ever.
const SEED: u64 = 0x4c6f_6e67_4174_746e;

/// The far mass of each head over all rows, estimated from some.
pub struct Estimate {
    /// The totals, in the model's order of heads.
    pub heads: Vec<FarMass>,
    /// Rows that were computed, averaged over heads, and those that are known to have no far mass.
    pub rows: usize,
    samples: Vec<Corrected>,
}

/// What one head's sample taught.
struct Corrected {
    /// What each drawn row adds to what is predicted, in the order of drawing.
    corrections: Vec<FarMass>,
    /// How probable it was that each was drawn.
    probabilities: Vec<f64>,
}

impl Estimate {
    /// The standard error of `Σ weights(h).mass · S1[h] + weights(h).square_mass · S2[h]`, by the differences of
    /// neighbours in the order of drawing, as is usual for systematic samples (Wolter, *Introduction to Variance
    /// Estimation*, 2007, chapter 8). It rather errs on the large side.
    pub fn standard_error(&self, weights: impl Fn(usize) -> FarMass) -> f64 {
        let variances = self.samples.iter().enumerate().map(|(head, sample)| sample.variance(weights(head)));
        variances.sum::<f64>().sqrt()
    }
}

impl Corrected {
    fn variance(&self, weights: FarMass) -> f64 {
        let combined =
            |correction: &FarMass| correction.mass * weights.mass + correction.square_mass * weights.square_mass;
        let combined: Vec<_> = self.corrections.iter().map(combined).collect();
        let drawn = combined.len();
        let differences = combined.windows(2).zip(&self.probabilities[1.min(drawn)..]);
        let squares: f64 =
            differences.map(|(pair, probability)| (pair[1] - pair[0]).powi(2) * (1.0 - probability)).sum();
        squares * drawn as f64 / (2.0 * (drawn.max(2) - 1) as f64)
    }
}

/// How many of the rows with far keys to draw for each head, where a score is to be estimated from about `count` rows of
/// a window of `length` tokens, evenly among them: those without far keys have no far mass and count as known. At least
/// 320. `None` where that leaves no row out.
pub fn rows_to_draw(length: usize, far: FarRegion, count: usize) -> Option<usize> {
    let rows = length - first_row(length, far);
    let drawn = (count as f64 * rows as f64 / length as f64).round() as usize;
    Some(drawn.max(MIN_DRAWN)).filter(|drawn| *drawn < rows)
}

/// The first row with a far key.
fn first_row(length: usize, far: FarRegion) -> usize {
    (0..length).find(|row| !far.keys(*row).is_empty()).unwrap_or(length)
}

/// Estimates the far mass of each head of a window from `drawn` rows for each on average, as many as [`rows_to_draw`] says.
///
/// `groups` names for each row those that are alike: token ids in a first layer, and the same number for all rows in
/// deeper ones. `get` gives the queries `[heads, rows, head_size]` of rows in rising order; where they are `at_hand`, so that
/// those of a run of rows cost nothing, it is asked for nothing but runs.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] where no row or not one row less than those with far keys is to be drawn,
/// [`ErrorKind::NonFinite`] where attention is NaN or infinite, and those of `get` and
/// [`StreamingAttention::far_masses`].
pub fn estimate<'a>(
    attention: &StreamingAttention,
    groups: &[u32],
    drawn: usize,
    at_hand: bool,
    get: impl FnMut(&[usize]) -> Result<CowArray<'a, f32, Ix3>>,
) -> Result<Estimate> {
    let length = groups.len();
    let rows: Vec<_> = (first_row(length, attention.far)..length).collect();
    if drawn == 0 || drawn >= rows.len() {
        let message = format!("{drawn} rows are no sample of {} with far keys", rows.len());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let mut queries = Queries { at_hand, get };
    let predictions = Predictions::new(attention, &rows, drawn, &mut queries)?;
    let samples = predictions.draw(groups, drawn)?;
    let exact = ExactRows::compute(attention, &rows, &samples, &mut queries)?;
    Ok(predictions.estimate(samples, &exact))
}

/// Where queries come from.
struct Queries<Get> {
    at_hand: bool,
    get: Get,
}

impl<'a, Get: FnMut(&[usize]) -> Result<CowArray<'a, f32, Ix3>>> Queries<Get> {
    /// Those of every so many of a run of rows.
    fn every(&mut self, step: usize, run: &[usize]) -> Result<CowArray<'a, f32, Ix3>> {
        if !self.at_hand {
            return (self.get)(&run.iter().copied().step_by(step).collect::<Vec<_>>());
        }
        let mut queries = (self.get)(run)?;
        queries.slice_axis_inplace(Axis(1), Slice::new(0, None, step as isize));
        Ok(queries)
    }

    /// Those of some rows, and of all between them where that saves a copy, with their rows.
    fn covering(&mut self, rows: Vec<usize>) -> Result<(CowArray<'a, f32, Ix3>, Vec<usize>)> {
        let rows = if self.at_hand { (rows[0]..=rows[rows.len() - 1]).collect() } else { rows };
        Ok(((self.get)(&rows)?, rows))
    }
}

/// What the regression of far mass runs on: what is predicted for a row, and that times its place in the window.
type Regressors = [f64; 2];

fn regressors(predicted: f64, row: usize, length: usize) -> Regressors {
    [predicted, predicted * row as f64 / length as f64]
}

/// Predicted far masses, `[heads, rows]`, of all rows from the first with a far key to the last.
struct Predictions {
    far_masses: Array2<FarMass>,
    first: usize,
}

impl Predictions {
    fn new<'a>(
        attention: &StreamingAttention,
        rows: &[usize],
        wanted: usize,
        queries: &mut Queries<impl FnMut(&[usize]) -> Result<CowArray<'a, f32, Ix3>>>,
    ) -> Result<Self> {
        let some = queries.every(rows.len().div_ceil(ROWS_FOR_CLUSTERS), rows)?;
        let clusters = (wanted / ROWS_PER_CLUSTER).clamp(*CLUSTERS.start(), *CLUSTERS.end());
        let clustered = ClusteredAttention::new(attention, some.view(), clusters);
        let parts = rows.chunks(ROWS_AT_A_TIME).map(|rows| Ok(clustered.far_masses((queries.get)(rows)?.view(), rows)));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
        let far_masses = concatenate(Axis(1), &parts).expect("parts of the same heads");
        Ok(Self { far_masses: far_masses.as_standard_layout().into_owned(), first: rows[0] })
    }

    fn length(&self) -> usize {
        self.first + self.far_masses.ncols()
    }

    /// A sample of `wanted` rows for each head on average, or one more or less.
    fn draw(&self, groups: &[u32], wanted: usize) -> Result<Vec<Sample>> {
        let total: FarMass = self.far_masses.iter().copied().sum();
        if !(total.mass + total.square_mass).is_finite() {
            let message = "attention is NaN or infinite: the model's weights are damaged";
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        let (heads, rows) = self.far_masses.dim();
        let by_group = || {
            let mut order: Vec<_> = (0..rows).collect();
            order.sort_unstable_by_key(|index| (groups[self.first + index], *index));
            order
        };
        let (order, probabilities) =
            rayon::join(by_group, || inclusion_probabilities(&self.sizes(total), wanted * heads));
        let of_heads = probabilities.par_chunks(rows).enumerate();
        Ok(of_heads
            .map(|(head, probabilities)| Sample::draw(probabilities, &order, random_fraction(groups, head)))
            .collect())
    }

    /// What the rows' probabilities are in proportion to, `[heads][rows]`: a row's share of all predicted square mass and,
    /// for half as much each, its share of the mass and of the number of rows of all heads; and, as in Neyman's
    /// allocation, the inverse root of its cost, which is the number of its keys.
    fn sizes(&self, total: FarMass) -> Vec<f64> {
        let share = |total: f64| if total > 0.0 { total.recip() } else { 0.0 };
        let (mass_share, square_share) = (share(total.mass), share(total.square_mass));
        let even = 1.0 / self.far_masses.len() as f64;
        let costs = (1..=self.far_masses.ncols()).map(|keys| ((self.first + keys) as f64).sqrt());
        let costs: Vec<_> = costs.collect();
        let size = |(row, cost): (&FarMass, &f64)| {
            ((even + row.mass * mass_share) / 2.0 + row.square_mass * square_share) / cost
        };
        self.far_masses.outer_iter().flat_map(|head| head.into_iter().zip(&costs).map(size)).collect()
    }

    fn estimate(&self, samples: Vec<Sample>, exact: &ExactRows) -> Estimate {
        let of_heads = samples.into_par_iter().enumerate();
        let (heads, samples): (Vec<_>, Vec<_>) =
            of_heads.map(|(head, sample)| self.estimate_head(head, sample, exact)).unzip();
        let drawn: usize = samples.iter().map(|sample| sample.corrections.len()).sum();
        Estimate { rows: self.first + (drawn as f64 / heads.len() as f64).round() as usize, heads, samples }
    }

    fn estimate_head(&self, head: usize, sample: Sample, exact: &ExactRows) -> (FarMass, Corrected) {
        let predicted = self.far_masses.row(head);
        let estimated = |value: fn(&FarMass) -> f64| {
            let terms = |index: usize| regressors(value(&predicted[index]), self.first + index, self.length());
            let mut total = Regressors::default();
            for index in 0..predicted.len() {
                total.iter_mut().zip(terms(index)).for_each(|(total, term)| *total += term);
            }
            let terms: Vec<_> = sample.drawn.iter().map(|index| terms(*index)).collect();
            let values: Vec<_> = sample.drawn.iter().map(|index| value(exact.far_mass(head, *index))).collect();
            regression_estimate(total, &terms, &values, &sample.probabilities)
        };
        let (mass, mass_corrections) = estimated(|far_mass| far_mass.mass);
        let (square_mass, square_mass_corrections) = estimated(|far_mass| far_mass.square_mass);
        let both = mass_corrections.into_iter().zip(square_mass_corrections);
        let corrections = both.map(|(mass, square_mass)| FarMass { mass, square_mass }).collect();
        (FarMass { mass, square_mass }, Corrected { corrections, probabilities: sample.probabilities })
    }
}

/// A systematic sample of one head's rows.
struct Sample {
    /// Places among the rows that could be drawn, in the order of drawing.
    drawn: Vec<usize>,
    probabilities: Vec<f64>,
}

impl Sample {
    /// Goes through rows in `order`, and draws one whenever the sum of their probabilities passes a whole number and
    /// `fraction`.
    fn draw(probabilities: &[f64], order: &[usize], fraction: f64) -> Self {
        let mut next = fraction;
        let mut reached = 0.0;
        let mut sample = Self { drawn: Vec::new(), probabilities: Vec::new() };
        for index in order {
            reached += probabilities[*index];
            if reached > next {
                next += 1.0;
                sample.drawn.push(*index);
                sample.probabilities.push(probabilities[*index]);
            }
        }
        sample
    }
}

/// The far masses of the rows that were drawn.
struct ExactRows {
    /// Places among the rows that could be drawn of those that any head drew, rising.
    indices: Vec<usize>,
    /// `[heads, indices]`; 0 where a head did not draw the row.
    far_masses: Array2<FarMass>,
}

impl ExactRows {
    fn compute<'a>(
        attention: &StreamingAttention,
        rows: &[usize],
        samples: &[Sample],
        queries: &mut Queries<impl FnMut(&[usize]) -> Result<CowArray<'a, f32, Ix3>>>,
    ) -> Result<Self> {
        let mut drawn = Array2::from_elem((samples.len(), rows.len()), false);
        for (mut drawn, sample) in drawn.outer_iter_mut().zip(samples) {
            sample.drawn.iter().for_each(|index| drawn[*index] = true);
        }
        let indices: Vec<_> = (0..rows.len()).filter(|index| drawn.column(*index).iter().any(|drawn| *drawn)).collect();
        let mut far_masses = Array2::default((samples.len(), indices.len()));
        for (part, indices) in indices.chunks(ROWS_AT_A_TIME).enumerate() {
            let (queries, asked) = queries.covering(indices.iter().map(|index| rows[*index]).collect())?;
            let wanted = |head: usize, place: usize| drawn[[head, asked[place] - rows[0]]];
            let computed = attention.far_masses_of(queries.view(), &asked, wanted)?;
            for (place, index) in indices.iter().enumerate() {
                let computed =
                    computed.column(asked.binary_search(&rows[*index]).expect("what was drawn is asked for"));
                far_masses.column_mut(part * ROWS_AT_A_TIME + place).assign(&computed);
            }
        }
        Ok(Self { indices, far_masses })
    }

    fn far_mass(&self, head: usize, index: usize) -> &FarMass {
        let place = self.indices.binary_search(&index).expect("a row that was drawn");
        &self.far_masses[[head, place]]
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

/// A number from 0 to 1 that a window's groups and a head decide.
fn random_fraction(groups: &[u32], head: usize) -> f64 {
    let mix = |state: u64, group: &u32| Random(state.wrapping_add(u64::from(*group))).next();
    let mixed = groups.iter().fold(SEED ^ head as u64, mix);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}
