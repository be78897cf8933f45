//! Keys and queries as 16-bit integers.
//!
//! Each vector is scaled by itself, as long as 32-bit sums allow: by the inequality of Cauchy and Schwarz no sum of products,
//! not even one over some of the columns, exceeds the product of two lengths. Products and sums are exact, so results have
//! the same bits on all machines up to the exponentials.

use ndarray::Array2;
use pulp::{Scalar256b, Simd};
use rayon::prelude::*;

use super::kernel::{Kernel, PANEL, Panels, Query, ROUNDING, RUN, RowSums, Tile};
use super::packed::PackedKeys;

/// The square of what a vector's length rounds to stays below 2³¹.
const LONGEST: f32 = 46_000.0;

/// Pairs of integers in a run of a query.
const PAIRS: usize = RUN / 2;

/// What a vector is multiplied by before it is rounded, by the sum of its numbers' squares and the largest of their sizes.
fn factor(squares: f32, largest: f32) -> f32 {
    /// Squares of shorter vectors lose their digits; such vectors become 0.
    const SHORTEST: f32 = 1e-18;

    match squares.sqrt() {
        length if length < SHORTEST => 1.0,
        // Stays what it is, in what the integers are worth.
        length if !length.is_finite() => f32::NAN,
        length => (LONGEST / length).min(f32::from(i16::MAX) / largest),
    }
}

/// Lane by lane, the sum of the squares of some numbers and the largest of their sizes.
#[inline(always)]
fn squares_and_largest<const WIDTH: usize>(
    numbers: impl Iterator<Item = [f32; WIDTH]>,
) -> ([f32; WIDTH], [f32; WIDTH]) {
    let (mut squares, mut largest) = ([0.0; WIDTH], [0.0; WIDTH]);
    for numbers in numbers {
        for lane in 0..WIDTH {
            squares[lane] += numbers[lane] * numbers[lane];
            largest[lane] = numbers[lane].abs().max(largest[lane]);
        }
    }
    (squares, largest)
}

/// Two numbers as a pair of integers.
#[inline(always)]
fn pair([first, second]: [f32; 2], factor: f32) -> u32 {
    let integer = |number: f32| (number * factor + ROUNDING).to_bits();
    integer(first) & 0xffff | integer(second) << 16
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
        let size = head_size.div_ceil(2) * PANEL;
        let mut pairs = vec![0; heads * panels * size];
        let mut scales = vec![0.0; heads * panels * PANEL];
        let packed = pairs.par_chunks_mut(size.max(1)).zip(scales.par_chunks_mut(PANEL));
        packed.enumerate().for_each(|(index, (pairs, scales))| {
            let columns = keys.panel(index / panels, index % panels);
            let (squares, largest) = squares_and_largest(columns.iter().copied());
            let factors: [f32; PANEL] = std::array::from_fn(|key| factor(squares[key], largest[key]));
            for (pairs, columns) in pairs.as_chunks_mut::<PANEL>().0.iter_mut().zip(columns.chunks(2)) {
                let [first, second] = [&columns[0], columns.get(1).unwrap_or(&[0.0; PANEL])];
                *pairs = std::array::from_fn(|key| pair([first[key], second[key]], factors[key]));
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

impl Kernel {
    /// What [`run`](Self::run) does, with products of 16-bit integers, for which there is AVX2, AVX-512 and portable code.
    pub(super) fn run_int16<'a, Sums: RowSums>(self, tile: Tile<'a, Int16Panels<'a>, Sums>) -> Vec<Sums::Mass> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(OnIntegers { simd, tile }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.vectorize(OnIntegers { simd, tile }),
            _ => tile.masses(pulp::Scalar256b),
        }
    }
}

/// A tile that is compiled as a whole for vectors that multiply integers.
#[cfg(target_arch = "x86_64")]
struct OnIntegers<'a, S, Sums> {
    simd: S,
    tile: Tile<'a, Int16Panels<'a>, Sums>,
}

#[cfg(target_arch = "x86_64")]
impl<'a, S: Simd, Sums: RowSums> pulp::NullaryFnOnce for OnIntegers<'a, S, Sums>
where
    Int16Panels<'a>: Panels<S>,
{
    type Output = Vec<Sums::Mass>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        self.tile.masses(self.simd)
    }
}

/// Packed queries.
pub(super) struct Int16Strip<const STRIP: usize> {
    /// `[run][STRIP][pair]`.
    runs: Vec<[[u32; PAIRS]; STRIP]>,
    scales: [f32; STRIP],
}

impl<const STRIP: usize> Default for Int16Strip<STRIP> {
    fn default() -> Self {
        Self { runs: Vec::new(), scales: [0.0; STRIP] }
    }
}

impl<const STRIP: usize> Int16Strip<STRIP> {
    #[inline(always)]
    fn pack(&mut self, queries: &[Query], scale: f32, pairs_per_query: usize) {
        self.runs.resize(pairs_per_query.div_ceil(PAIRS), [[0; PAIRS]; STRIP]);
        for (place, query) in queries.iter().enumerate() {
            let (squares, largest) = squares_and_largest(query.runs());
            let factor = factor(squares.into_iter().sum(), largest.into_iter().fold(0.0, f32::max));
            self.scales[place] = factor.recip() * scale;
            for (run, numbers) in self.runs.iter_mut().zip(query.runs()) {
                for (packed, numbers) in run[place].iter_mut().zip(numbers.as_chunks().0) {
                    *packed = pair(*numbers, factor);
                }
            }
        }
    }
}

impl Int16Panels<'_> {
    #[inline(always)]
    fn panel(&self, panel: usize) -> (&[u32], &[f32]) {
        let size = self.pairs_per_key * PANEL;
        (&self.pairs[panel * size..][..size], &self.scales[panel * PANEL..][..PANEL])
    }
}

/// Vectors that multiply pairs of 16-bit integers.
pub(super) trait PairProducts: Simd {
    /// To each sum, 32-bit integers as those of a pair are, adds the products of the first and of the second integers of two
    /// pairs.
    fn add_pair_products(self, sums: Self::u32s, pairs: Self::u32s, others: Self::u32s) -> Self::u32s;

    fn sums_to_f32s(self, sums: Self::u32s) -> Self::f32s;
}

#[cfg(target_arch = "x86_64")]
impl PairProducts for pulp::x86::V3 {
    #[inline(always)]
    fn add_pair_products(self, sums: Self::u32s, pairs: Self::u32s, others: Self::u32s) -> Self::u32s {
        self.add_u32s(
            sums,
            pulp::cast(self.multiply_wrapping_add_adjacent_i16x16(pulp::cast(pairs), pulp::cast(others))),
        )
    }

    #[inline(always)]
    fn sums_to_f32s(self, sums: Self::u32s) -> Self::f32s {
        self.convert_i32x8_to_f32x8(pulp::cast(sums))
    }
}

#[cfg(target_arch = "x86_64")]
impl PairProducts for pulp::x86::V4 {
    #[inline(always)]
    fn add_pair_products(self, sums: Self::u32s, pairs: Self::u32s, others: Self::u32s) -> Self::u32s {
        self.add_u32s(
            sums,
            pulp::cast(self.multiply_wrapping_add_adjacent_i16x32(pulp::cast(pairs), pulp::cast(others))),
        )
    }

    #[inline(always)]
    fn sums_to_f32s(self, sums: Self::u32s) -> Self::f32s {
        self.convert_i32x16_to_f32x16(pulp::cast(sums))
    }
}

impl<S: PairProducts> Panels<S> for Int16Panels<'_> {
    type Strip<const STRIP: usize> = Int16Strip<STRIP>;

    #[inline(always)]
    fn pack<const STRIP: usize>(&self, queries: &[Query], scale: f32, strip: &mut Int16Strip<STRIP>) {
        strip.pack(queries, scale, self.pairs_per_key);
    }

    #[inline(always)]
    fn logits<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        queries: &Int16Strip<STRIP>,
        first: usize,
    ) -> [[[S::f32s; VECTORS]; PANELS]; STRIP] {
        let mut panels: [&[[S::u32s; VECTORS]]; PANELS] = [&[]; PANELS];
        let mut key_scales: [&[S::f32s]; PANELS] = [&[]; PANELS];
        for (index, (panel, key_scales)) in panels.iter_mut().zip(&mut key_scales).enumerate() {
            let (pairs, scales) = self.panel(first + index);
            *panel = S::as_simd_u32s(pairs).0.as_chunks().0;
            *key_scales = S::as_simd_f32s(scales).0;
        }
        let mut sums = [[[simd.splat_u32s(0); VECTORS]; PANELS]; STRIP];
        for (run, queries) in queries.runs.iter().enumerate() {
            for place in 0..PAIRS.min(self.pairs_per_key - run * PAIRS) {
                for (sums, pairs) in sums.iter_mut().zip(queries) {
                    let pair = simd.splat_u32s(pairs[place]);
                    for (sums, panel) in sums.iter_mut().zip(&panels) {
                        for (sum, keys) in sums.iter_mut().zip(&panel[run * PAIRS + place]) {
                            *sum = simd.add_pair_products(*sum, pair, *keys);
                        }
                    }
                }
            }
        }
        let mut logits = [[[simd.splat_f32s(0.0); VECTORS]; PANELS]; STRIP];
        for ((logits, sums), scale) in logits.iter_mut().zip(&sums).zip(&queries.scales) {
            for ((logits, sums), key_scales) in logits.iter_mut().zip(sums).zip(&key_scales) {
                for ((logit, sum), key_scale) in logits.iter_mut().zip(sums).zip(*key_scales) {
                    let scale = simd.mul_f32s(*key_scale, simd.splat_f32s(*scale));
                    *logit = simd.mul_f32s(simd.sums_to_f32s(*sum), scale);
                }
            }
        }
        logits
    }
}

impl Panels<Scalar256b> for Int16Panels<'_> {
    type Strip<const STRIP: usize> = Int16Strip<STRIP>;

    #[inline(always)]
    fn pack<const STRIP: usize>(&self, queries: &[Query], scale: f32, strip: &mut Int16Strip<STRIP>) {
        strip.pack(queries, scale, self.pairs_per_key);
    }

    #[inline(always)]
    fn logits<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(
        &self,
        _: Scalar256b,
        queries: &Int16Strip<STRIP>,
        first: usize,
    ) -> [[[<Scalar256b as Simd>::f32s; VECTORS]; PANELS]; STRIP] {
        std::array::from_fn(|index| {
            std::array::from_fn(|panel| {
                let (keys, key_scales) = self.panel(first + panel);
                let mut sums = [0i32; PANEL];
                let pairs = queries.runs.iter().flat_map(|run| &run[index]);
                for (pair, keys) in pairs.zip(keys.as_chunks::<PANEL>().0) {
                    let [first, second] = integers(*pair);
                    for (sum, key) in sums.iter_mut().zip(keys) {
                        let [key_first, key_second] = integers(*key);
                        *sum += first * key_first + second * key_second;
                    }
                }
                let scaled = |key: usize| sums[key] as f32 * (key_scales[key] * queries.scales[index]);
                let logits: [f32; PANEL] = std::array::from_fn(scaled);
                std::array::from_fn(|vector| Scalar256b::as_simd_f32s(&logits).0[vector])
            })
        })
    }
}
