//! Far mass predicted from the means of blocks of keys.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::{FarMass, FarRegion, PackedKeys};

/// Blocks that the keys of a window are summed up in, whatever its length.
const BLOCKS: usize = 32;

/// Rows that one thread predicts at a time.
const ROWS_AT_A_TIME: usize = 256;

/// A window whose keys all stand for the mean of their block.
///
/// What attention within a block looks like is lost, and so is much of the square mass, but not how a row's attention
/// is spread over the window: predictions explain all but a hundredth of how the far masses of rows differ.
pub(super) struct BlockAttention {
    /// `[key_value_heads, head_size, blocks]`.
    means: Array3<f32>,
    block_length: usize,
    scale: f32,
    far: FarRegion,
}

impl BlockAttention {
    /// `scale` brings the product of a query and a key to a logit to base two.
    pub(super) fn new(keys: &PackedKeys, scale: f32, far: FarRegion) -> Self {
        let block_length = keys.dim().1.div_ceil(BLOCKS);
        Self { means: keys.block_means(block_length), block_length, scale, far }
    }

    /// The far mass of some rows as [`StreamingAttention::far_masses`](super::StreamingAttention::far_masses) gives it,
    /// for queries of the same shape.
    pub(super) fn far_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Array2<FarMass> {
        let heads = queries.dim().0;
        let group = heads / self.means.dim().0;
        let mut far_masses = Array2::default((heads, rows.len()));
        let parts: Vec<_> = far_masses
            .outer_iter_mut()
            .enumerate()
            .flat_map(|(head, row_masses)| {
                let parts = row_masses.into_slice().expect("a new array is contiguous").chunks_mut(ROWS_AT_A_TIME);
                parts.enumerate().map(move |(part, masses)| (head, part * ROWS_AT_A_TIME, masses))
            })
            .collect();
        parts.into_par_iter().for_each(|(head, first, masses)| {
            let last = first + masses.len();
            let queries = queries.index_axis(Axis(0), head);
            let queries = queries.slice_axis(Axis(0), (first..last).into());
            let logits = queries.dot(&self.means.index_axis(Axis(0), head / group));
            self.fill(masses, logits.view(), &rows[first..last]);
        });
        far_masses
    }

    fn fill(&self, far_masses: &mut [FarMass], logits: ArrayView2<f32>, rows: &[usize]) {
        for ((far_mass, logits), row) in far_masses.iter_mut().zip(logits.outer_iter()).zip(rows) {
            *far_mass = self.row_far_mass(logits.to_slice().expect("a new array is contiguous"), *row);
        }
    }

    fn row_far_mass(&self, logits: &[f32], row: usize) -> FarMass {
        let far = self.far.keys(row);
        let logits = &logits[..row / self.block_length + 1];
        let maximum = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut normalizer, mut mass, mut square_mass) = (0.0, 0.0, 0.0);
        for (block, logit) in logits.iter().enumerate() {
            let keys = block * self.block_length..(row + 1).min((block + 1) * self.block_length);
            let far_keys = far.end.min(keys.end).saturating_sub(far.start.max(keys.start)) as f32;
            let weight = ((logit - maximum) * self.scale).exp2();
            normalizer += weight * keys.len() as f32;
            mass += weight * far_keys;
            square_mass += weight * weight * far_keys;
        }
        let (mass, square_mass) = (mass / normalizer, square_mass / (normalizer * normalizer));
        FarMass { mass: f64::from(mass), square_mass: f64::from(square_mass) }
    }
}
