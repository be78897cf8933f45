//! Far mass of an attention map in memory.

use ndarray::{ArrayView1, ArrayView2, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::profile::runs_by_bucket;
use super::{FarMass, FarRegion, ProfiledMass};
use crate::error::{Error, ErrorKind, Result};

/// How far from 1 the sum of a row may be: bfloat16 rounds a weight by up to 0.4 %, and float16 drops very small ones.
const SUM_TOLERANCE: f32 = 0.02;

/// Checks that a map `[heads, L, L]` holds softmax weights: none is negative, and those of a row sum to 1, up to the diagonal or,
/// as in encoders, in all.
///
/// # Errors
/// [`ErrorKind::NonFinite`] for NaN or infinity up to the diagonal, [`ErrorKind::InvalidArgument`] for other weights.
pub fn check_map(map: ArrayView3<f32>) -> Result<()> {
    let check_row = |head: usize, row: usize, weights: ArrayView1<f32>| {
        let is_near_one = |sum: f32| (sum - 1.0).abs() <= SUM_TOLERANCE;
        let seen = weights.slice(s![..=row]);
        let sum = seen.sum();
        if !sum.is_finite() {
            let message = format!("head {head} gave NaN or infinite attention, from row {row}");
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        if let Some(weight) = seen.iter().find(|weight| **weight < 0.0) {
            let message = format!("row {row} of head {head} holds {weight}, and no weight of a softmax is negative");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if is_near_one(sum) || is_near_one(weights.sum()) {
            return Ok(());
        }
        let message = format!("row {row} of head {head} sums to {sum:.3}, where the weights of a softmax sum to 1");
        Err(Error::new(ErrorKind::InvalidArgument, message))
    };
    let check_head = |(head, rows): (usize, ArrayView2<f32>)| {
        rows.outer_iter().enumerate().try_for_each(|(row, weights)| check_row(head, row, weights))
    };
    let heads: Vec<_> = map.axis_iter(Axis(0)).enumerate().collect();
    heads.into_par_iter().map(check_head).collect::<Vec<_>>().into_iter().collect()
}

/// The far mass of every head of a map `[heads, L, L]` of softmax weights; row `n` holds what token `n` gives.
///
/// Entries above the diagonal are never far, so maps of encoders are read by their lower half.
pub fn map_far_mass(map: ArrayView3<f32>, far: FarRegion) -> Vec<FarMass> {
    let heads: Vec<_> = map.axis_iter(Axis(0)).collect();
    let head_far_mass = |head: &ArrayView2<f32>| {
        let mut total = FarMass::default();
        for (row, weights) in head.outer_iter().enumerate() {
            let weights = weights.slice(s![far.keys(row)]);
            let mass = weights.iter().map(|weight| f64::from(*weight)).sum();
            let square_mass = weights.iter().map(|weight| f64::from(*weight).powi(2)).sum();
            total += FarMass { mass, square_mass };
        }
        total
    };
    heads.par_iter().map(head_far_mass).collect()
}

/// The far mass of every head of a map as [`map_far_mass`] gives it, with each row divided by its sum in double precision,
/// so that what rounding took from a row or added to it counts no more.
pub fn normalized_map_far_mass(map: ArrayView3<f32>, far: FarRegion) -> Vec<FarMass> {
    let heads: Vec<_> = map.axis_iter(Axis(0)).collect();
    let head_far_mass = |head: &ArrayView2<f32>| {
        let row_far_mass = |(row, weights): (usize, ArrayView1<f32>)| {
            let weights = weights.mapv(f64::from);
            let far = weights.slice(s![far.keys(row)]);
            let sum = weights.sum();
            FarMass { mass: far.sum() / sum, square_mass: far.dot(&far) / sum.powi(2) }
        };
        head.outer_iter().enumerate().map(row_far_mass).sum()
    };
    heads.par_iter().map(head_far_mass).collect()
}

/// The far mass of every head of a map as [`map_far_mass`] gives it, and its mass by distance, but for the sinks.
pub fn map_profiled_mass(map: ArrayView3<f32>, far: FarRegion) -> Vec<ProfiledMass> {
    let heads: Vec<_> = map_far_mass(map, far).into_iter().zip(map.axis_iter(Axis(0))).collect();
    let head_profiled_mass = |(far_mass, head): &(FarMass, ArrayView2<f32>)| {
        let mut total = ProfiledMass { far: *far_mass, ..ProfiledMass::default() };
        for (row, weights) in head.outer_iter().enumerate() {
            for (bucket, run) in runs_by_bucket(row, far.sink_tokens..row + 1) {
                let weights = weights.slice(s![run]);
                total.by_distance[bucket] += weights.iter().map(|weight| f64::from(*weight)).sum::<f64>();
            }
        }
        total
    };
    heads.par_iter().map(head_profiled_mass).collect()
}
