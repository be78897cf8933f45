//! Keys and queries as 16-bit integers.
//!
//! Each vector is scaled by itself, as long as 32-bit sums allow: by the inequality of Cauchy and Schwarz no sum of products,
//! not even one over some of the columns, exceeds the product of two lengths. Products and sums are exact, so results have
//! the same bits on all machines up to the exponentials.

use ndarray::Array2;
use pulp::{Scalar256b, Simd, cast};
use rayon::prelude::*;

use super::PackedKeys;
use super::kernel::{PANEL, Panels, Query, ROUNDING};

/// The square of what a vector's length rounds to stays below 2³¹.
const LONGEST: f32 = 46_000.0;

/// What vectors that lie side by side, column by column, are multiplied by before they are rounded.
fn factors<const WIDTH: usize>(columns: &[[f32; WIDTH]]) -> [f32; WIDTH] {
    let (mut squares, mut largest) = ([0.0; WIDTH], [0.0; WIDTH]);
    for column in columns {
        for lane in 0..WIDTH {
            squares[lane] += column[lane] * column[lane];
            largest[lane] = column[lane].abs().max(largest[lane]);
        }
    }
    std::array::from_fn(|lane| match squares[lane].sqrt() {
        0.0 => 1.0,
        // Stays what it is, in what the integers are worth.
        length if !length.is_finite() => f32::NAN,
        length => (LONGEST / length).min(f32::from(i16::MAX) / largest[lane]),
    })
}

/// Two columns of vectors that lie side by side, or their last one, as pairs of integers.
fn pairs<const WIDTH: usize>(columns: &[[f32; WIDTH]], factors: &[f32; WIDTH]) -> [u32; WIDTH] {
    let [first, second] = [columns.first(), columns.get(1)].map(|column| column.unwrap_or(&[0.0; WIDTH]));
    let integer = |number: f32, lane: usize| (number * factors[lane] + ROUNDING).to_bits();
    std::array::from_fn(|lane| integer(first[lane], lane) & 0xffff | integer(second[lane], lane) << 16)
}

/// The keys of one window, laid out for the kernel.
pub(super) struct Int16Keys {
    /// `[key_value_heads][panel][pair of columns][PANEL]`.
    pairs: Vec<u32>,
    /// `[key_value_heads][panel][PANEL]`.
    scales: Vec<f32>,
    dim: (usize, usize, usize),
}

impl Int16Keys {
    pub(super) fn new(keys: &PackedKeys) -> Self {
        let (heads, length, head_size) = keys.dim();
        let panels = length.div_ceil(PANEL);
        let mut pairs = vec![0; heads * panels * head_size.div_ceil(2) * PANEL];
        let mut scales = vec![0.0; heads * panels * PANEL];
        let packed = pairs.par_chunks_mut((head_size.div_ceil(2) * PANEL).max(1)).zip(scales.par_chunks_mut(PANEL));
        packed.enumerate().for_each(|(index, (pairs, scales))| {
            let columns = keys.panel(index / panels, index % panels);
            let factors = factors(columns);
            for (pairs, columns) in pairs.as_chunks_mut::<PANEL>().0.iter_mut().zip(columns.chunks(2)) {
                *pairs = self::pairs(columns, &factors);
            }
            scales.copy_from_slice(&factors.map(f32::recip));
        });
        Self { pairs, scales, dim: keys.dim() }
    }

    pub(super) fn dim(&self) -> (usize, usize, usize) {
        self.dim
    }

    pub(super) fn head(&self, head: usize) -> Int16Panels<'_> {
        let (heads, _, head_size) = self.dim;
        let (pairs, scales) = (self.pairs.len() / heads, self.scales.len() / heads);
        Int16Panels {
            pairs: &self.pairs[head * pairs..][..pairs],
            scales: &self.scales[head * scales..][..scales],
            pairs_per_key: head_size.div_ceil(2),
        }
    }

    /// Some keys of one head as they were but for rounding, `[positions, head_size]`.
    pub(super) fn select(&self, head: usize, positions: impl ExactSizeIterator<Item = usize>) -> Array2<f32> {
        let Int16Panels { pairs, scales, pairs_per_key } = self.head(head);
        let mut keys = Array2::zeros((positions.len(), self.dim.2));
        for (mut key, position) in keys.outer_iter_mut().zip(positions) {
            let panel = &pairs[position / PANEL * pairs_per_key * PANEL..];
            let integers = panel[position % PANEL..].iter().step_by(PANEL).flat_map(|pair| integers(*pair));
            key.iter_mut().zip(integers).for_each(|(number, integer)| *number = integer as f32 * scales[position]);
        }
        keys
    }
}

/// The two integers of a pair.
fn integers(pair: u32) -> [i32; 2] {
    [i32::from(pair as i16), i32::from((pair >> 16) as i16)]
}

/// Keys of one head.
#[derive(Clone, Copy)]
pub(super) struct Int16Panels<'a> {
    /// `[panel][pair of columns][PANEL]`.
    pairs: &'a [u32],
    /// `[panel][PANEL]`.
    scales: &'a [f32],
    pairs_per_key: usize,
}

/// Queries side by side.
pub(super) struct Int16Strip<const STRIP: usize> {
    /// `[pair of columns][STRIP]`.
    pairs: Vec<[u32; STRIP]>,
    scales: [f32; STRIP],
}

impl Int16Panels<'_> {
    fn pack_strip<const STRIP: usize>(&self, queries: &[Query], scale: f32) -> Int16Strip<STRIP> {
        let columns = Query::columns::<STRIP>(queries);
        let factors = factors(&columns);
        Int16Strip {
            pairs: columns.chunks(2).map(|columns| pairs(columns, &factors)).collect(),
            scales: factors.map(|factor| factor.recip() * scale),
        }
    }

    #[inline(always)]
    fn panel(&self, panel: usize) -> (&[u32], &[f32]) {
        let size = self.pairs_per_key * PANEL;
        (&self.pairs[panel * size..][..size], &self.scales[panel * PANEL..][..PANEL])
    }
}

#[cfg(target_arch = "x86_64")]
impl Panels<pulp::x86::V3> for Int16Panels<'_> {
    type Strip<const STRIP: usize> = Int16Strip<STRIP>;

    fn pack<const STRIP: usize>(&self, queries: &[Query], scale: f32) -> Int16Strip<STRIP> {
        self.pack_strip(queries, scale)
    }

    #[inline(always)]
    fn logits<const STRIP: usize, const VECTORS: usize>(
        &self,
        simd: pulp::x86::V3,
        queries: &Int16Strip<STRIP>,
        panel: usize,
    ) -> [[pulp::f32x8; VECTORS]; STRIP] {
        let (keys, key_scales) = self.panel(panel);
        let keys = pulp::x86::V3::as_simd_u32s(keys).0.as_chunks::<VECTORS>().0;
        let key_scales = pulp::x86::V3::as_simd_f32s(key_scales).0;
        let mut sums = [[simd.splat_u32s(0); VECTORS]; STRIP];
        for (pairs, key) in queries.pairs.iter().zip(keys) {
            for (sums, pair) in sums.iter_mut().zip(pairs) {
                let pair = cast(simd.splat_u32s(*pair));
                for (sum, key) in sums.iter_mut().zip(key) {
                    let products = simd.multiply_wrapping_add_adjacent_i16x16(pair, cast(*key));
                    *sum = simd.add_u32s(*sum, cast(products));
                }
            }
        }
        let mut logits = [[simd.splat_f32s(0.0); VECTORS]; STRIP];
        for ((logits, sums), scale) in logits.iter_mut().zip(&sums).zip(&queries.scales) {
            for ((logit, sum), key_scale) in logits.iter_mut().zip(sums).zip(key_scales) {
                let scale = simd.mul_f32s(*key_scale, simd.splat_f32s(*scale));
                *logit = simd.mul_f32s(simd.convert_i32x8_to_f32x8(cast(*sum)), scale);
            }
        }
        logits
    }
}

impl Panels<Scalar256b> for Int16Panels<'_> {
    type Strip<const STRIP: usize> = Int16Strip<STRIP>;

    fn pack<const STRIP: usize>(&self, queries: &[Query], scale: f32) -> Int16Strip<STRIP> {
        self.pack_strip(queries, scale)
    }

    #[inline(always)]
    fn logits<const STRIP: usize, const VECTORS: usize>(
        &self,
        simd: Scalar256b,
        queries: &Int16Strip<STRIP>,
        panel: usize,
    ) -> [[<Scalar256b as Simd>::f32s; VECTORS]; STRIP] {
        let (keys, key_scales) = self.panel(panel);
        let mut logits = [[simd.splat_f32s(0.0); VECTORS]; STRIP];
        for (index, logits) in logits.iter_mut().enumerate() {
            let mut sums = [0i32; PANEL];
            for (pairs, keys) in queries.pairs.iter().zip(keys.as_chunks::<PANEL>().0) {
                let [first, second] = integers(pairs[index]);
                for (sum, key) in sums.iter_mut().zip(keys) {
                    let [key_first, key_second] = integers(*key);
                    *sum += first * key_first + second * key_second;
                }
            }
            let scaled = sums.iter().zip(key_scales).map(|(sum, scale)| *sum as f32 * (scale * queries.scales[index]));
            let mut numbers = [0.0; PANEL];
            numbers.iter_mut().zip(scaled).for_each(|(number, scaled)| *number = scaled);
            logits.copy_from_slice(Scalar256b::as_simd_f32s(&numbers).0);
        }
        logits
    }
}
