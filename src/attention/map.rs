//! Far mass of an attention map in memory.

use ndarray::{ArrayView3, Axis, s};
use rayon::prelude::*;

use super::{FarMass, FarRegion};

/// The far mass of every head of a map `[heads, L, L]` of softmax weights; row `n` holds what token `n` gives.
///
/// Entries above the diagonal are never far, so maps of encoders are read by their lower half.
pub fn map_far_mass(map: ArrayView3<f32>, far: FarRegion) -> Vec<FarMass> {
    let heads: Vec<_> = map.axis_iter(Axis(0)).collect();
    let head_far_mass = |head: &ndarray::ArrayView2<f32>| {
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
