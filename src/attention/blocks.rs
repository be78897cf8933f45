//! Far mass predicted from the means of blocks of keys.

use ndarray::{Array2, Array3, ArrayView3, Axis};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::kernel::{Kernel, PANEL, cap_logits, exponential, maximum};
use super::{FarMass, FarRegion, PackedKeys};

/// Blocks that the keys of a window are summed up in, whatever its length.
const BLOCKS: usize = 32;

/// Rows that one thread predicts at a time.
const ROWS_AT_A_TIME: usize = 256;

/// A window whose keys all stand for the mean of their block.
///
/// What attention within a block looks like is lost, and so is much of the square mass, but not how a row's attention
/// is spread over the window: predictions explain all but one or two hundredths
/// of how the far masses of rows differ.
pub(super) struct BlockAttention {
    /// `[key_value_heads, head_size, BLOCKS]`; 0 where a short window has fewer.
    means: Array3<f32>,
    block_length: usize,
    scale: f32,
    softcap: Option<f32>,
    far: FarRegion,
    kernel: Kernel,
}

impl BlockAttention {
    /// `scale` brings the product of a query and a key to a logit to base two, which `softcap` bounds.
    pub(super) fn new(keys: &PackedKeys, scale: f32, softcap: Option<f32>, far: FarRegion, kernel: Kernel) -> Self {
        let panels_per_block = keys.dim().1.div_ceil(BLOCKS * PANEL);
        let means = keys.block_means(panels_per_block, BLOCKS);
        Self { means, block_length: panels_per_block * PANEL, scale, softcap, far, kernel }
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
            self.kernel.run(Rows {
                attention: self,
                logits: logits.as_slice().expect("a new array is contiguous"),
                rows: &rows[first..last],
                masses,
            });
        });
        far_masses
    }
}

/// Some rows of one head: their far masses from their logits `[rows, BLOCKS]`.
struct Rows<'a> {
    attention: &'a BlockAttention,
    logits: &'a [f32],
    rows: &'a [usize],
    masses: &'a mut [FarMass],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.logits.chunks_exact(BLOCKS).zip(self.rows);
        for (mass, (logits, row)) in self.masses.iter_mut().zip(rows) {
            let mut scaled = [0.0; BLOCKS];
            scaled.iter_mut().zip(logits).for_each(|(scaled, logit)| *scaled = logit * self.attention.scale);
            if let Some(cap) = self.attention.softcap {
                cap_logits(simd, &mut scaled, cap);
            }
            *mass = self.attention.row_far_mass(simd, scaled, *row);
        }
    }
}

impl BlockAttention {
    #[inline(always)]
    fn row_far_mass<S: Simd>(&self, simd: S, mut logits: [f32; BLOCKS], row: usize) -> FarMass {
        let visible = row / self.block_length + 1;
        let highest = maximum(simd, &logits[..visible]);
        // Blocks of no visible keys count for nothing, but must not overflow.
        logits[visible..].fill(highest);
        let far = self.far.keys(row);
        let (before_far, up_to_far, up_to_row) =
            (self.keys_before(far.start), self.keys_before(far.end), self.keys_before(row + 1));
        let zero = simd.splat_f32s(0.0);
        let (mut normalizer, mut mass, mut square_mass) = (zero, zero, zero);
        let vectors = |numbers| S::as_simd_f32s(numbers).0;
        let counts = vectors(&before_far).iter().zip(vectors(&up_to_far)).zip(vectors(&up_to_row));
        for (logit, ((before_far, up_to_far), up_to_row)) in vectors(&logits).iter().zip(counts) {
            let weight = exponential(simd, simd.sub_f32s(*logit, simd.splat_f32s(highest)));
            let far_weight = simd.mul_f32s(weight, simd.sub_f32s(*up_to_far, *before_far));
            normalizer = simd.mul_add_e_f32s(weight, *up_to_row, normalizer);
            mass = simd.add_f32s(mass, far_weight);
            square_mass = simd.mul_add_e_f32s(weight, far_weight, square_mass);
        }
        let normalizer = f64::from(simd.reduce_sum_f32s(normalizer));
        FarMass {
            mass: f64::from(simd.reduce_sum_f32s(mass)) / normalizer,
            square_mass: f64::from(simd.reduce_sum_f32s(square_mass)) / (normalizer * normalizer),
        }
    }

    /// How many keys of each block come before a position.
    #[inline(always)]
    fn keys_before(&self, position: usize) -> [f32; BLOCKS] {
        let (position, length) = (position as f32, self.block_length as f32);
        let mut counts = [0.0; BLOCKS];
        for (block, count) in counts.iter_mut().enumerate() {
            *count = (position - block as f32 * length).max(0.0).min(length);
        }
        counts
    }
}
