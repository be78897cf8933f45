//! The tile kernel: logits of a few queries against a block of keys, folded at once into running sums.
//!
//! One generic source serves every instruction set. The order of all sums depends on the row alone, so results have
//! the same bits whatever the tiling and the number of threads.

use std::any::TypeId;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::profile::runs_by_bucket;
use super::{DISTANCE_BUCKETS, FarMass, FarRegion, ProfiledMass};
use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};

/// Keys that lie side by side in a panel of packed keys.
pub(super) const PANEL: usize = 16;

/// Numbers of a query that lie side by side in a strip of packed queries.
pub(super) const RUN: usize = 16;

/// Adding it to a number of less than 2²² leaves the nearest integer in the low bits of the sum.
pub(super) const ROUNDING: f32 = 12_582_912.0;

/// Keys whose logits are held at a time; also the step at which the running maximum is updated.
const BLOCK: usize = 256;

/// Vector instructions for the streaming kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// The widest that this machine has.
    Auto,
    /// Plain Rust, for any machine; without fused multiply-add.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512.
    Avx512,
    /// 64-bit Arm.
    Neon,
}

impl InstructionSet {
    /// Every one that this machine has, `Auto` left out.
    pub fn available() -> impl Iterator<Item = Self> {
        let sets = Self::NAMES.iter().map(|row| row.1);
        sets.filter(|set| *set != Self::Auto && Kernel::new(*set).is_ok())
    }

    /// The widest that this machine has, which `Auto` stands for.
    pub fn widest() -> Self {
        [Self::Avx512, Self::Avx2, Self::Neon]
            .into_iter()
            .find(|set| Kernel::detect(*set).is_some())
            .unwrap_or(Self::Portable)
    }
}

impl Choice for InstructionSet {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("portable", Self::Portable),
        ("avx2", Self::Avx2),
        ("avx512", Self::Avx512),
        ("neon", Self::Neon),
    ];
}

/// In what numbers queries and keys are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Float32,
    /// 16-bit integers, scaled for each query and each key, with exact 32-bit sums: faster, and the product of a query and a
    /// key is off by about the product of their lengths divided by 110,000 (root mean square).
    Int16,
}

impl Choice for Precision {
    const NAMES: &'static [(&'static str, Self)] = &[("float32", Self::Float32), ("int16", Self::Int16)];
}

/// An [`InstructionSet`] that this machine was found to have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Kernel {
    /// Finds the kernel for a setting.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where this machine lacks the instructions asked for.
    pub(super) fn new(wanted: InstructionSet) -> Result<Self> {
        let found = match wanted {
            InstructionSet::Auto => Self::detect(InstructionSet::widest()),
            _ => Self::detect(wanted),
        };
        found.ok_or_else(|| {
            let message = format!("this machine has no {}: leave instruction_set at auto", wanted.name());
            Error::new(ErrorKind::InvalidSetting, message)
        })
    }

    fn detect(wanted: InstructionSet) -> Option<Self> {
        match wanted {
            InstructionSet::Portable => Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => pulp::x86::V3::try_new().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => pulp::x86::V4::try_new().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => pulp::aarch64::Neon::try_new().map(Self::Neon),
            _ => None,
        }
    }

    pub(super) fn run<Operation: WithSimd>(self, operation: Operation) -> Operation::Output {
        match self {
            Self::Portable => Simd::vectorize(pulp::Scalar256b, operation),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, operation),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, operation),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, operation),
        }
    }
}

/// One query of a tile: its position and its numbers.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) row: usize,
    pub(super) numbers: &'a [f32],
}

impl Query<'_> {
    /// Its numbers in runs, the last with zeros for what it lacks.
    #[inline(always)]
    pub(super) fn runs(&self) -> impl Iterator<Item = [f32; RUN]> {
        let (whole, rest) = self.numbers.as_chunks::<RUN>();
        let mut last = [0.0; RUN];
        last[..rest.len()].copy_from_slice(rest);
        whole.iter().copied().chain((!rest.is_empty()).then_some(last))
    }
}

/// Queries that share their keys, in order of their rows.
pub(super) struct Tile<'a, Keys, Sums> {
    pub(super) queries: &'a [Query<'a>],
    /// Factor from the product of a query and a key to a logit to base two.
    pub(super) scale: f32,
    /// Bound on those logits.
    pub(super) softcap: Option<f32>,
    /// Those of one head.
    pub(super) keys: Keys,
    pub(super) far: FarRegion,
    /// What the sums of every row begin with.
    pub(super) none: Sums,
}

/// Keys of one head in panels of [`PANEL`], and how vectors multiply them.
pub(super) trait Panels<S: Simd>: Copy {
    /// Room for `STRIP` packed queries.
    type Strip<const STRIP: usize>: Default;

    /// Packs up to `STRIP` queries. Places past them keep earlier ones, whose logits mean nothing.
    fn pack<const STRIP: usize>(&self, queries: &[Query], scale: f32, strip: &mut Self::Strip<STRIP>);

    /// The logits of a strip of queries and some panels of keys, from `first` on, each of as many vectors.
    fn logits<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        queries: &Self::Strip<STRIP>,
        first: usize,
    ) -> [[[S::f32s; VECTORS]; PANELS]; STRIP];

    /// Writes the logits of a strip of queries and a run of panels, as many panels at a time as there are.
    #[inline(always)]
    fn write_logits<const STRIP: usize, const PANELS: usize, const VECTORS: usize, const COUNT: usize>(
        &self,
        simd: S,
        queries: &Self::Strip<STRIP>,
        panels: Range<usize>,
        logits: &mut [[f32; COUNT]; STRIP],
    ) {
        let together = panels.len() / PANELS * PANELS;
        for place in (0..together).step_by(PANELS) {
            let products = self.logits::<STRIP, PANELS, VECTORS>(simd, queries, panels.start + place);
            write_panels::<S, STRIP, PANELS, VECTORS, COUNT>(&products, place, logits);
        }
        for place in together..panels.len() {
            let products = self.logits::<STRIP, 1, VECTORS>(simd, queries, panels.start + place);
            write_panels::<S, STRIP, 1, VECTORS, COUNT>(&products, place, logits);
        }
    }
}

#[inline(always)]
fn write_panels<S: Simd, const STRIP: usize, const PANELS: usize, const VECTORS: usize, const COUNT: usize>(
    products: &[[[S::f32s; VECTORS]; PANELS]; STRIP],
    place: usize,
    logits: &mut [[f32; COUNT]; STRIP],
) {
    for (logits, products) in logits.iter_mut().zip(products) {
        let columns = &mut logits[place * PANEL..][..PANELS * PANEL];
        S::as_mut_simd_f32s(columns).0.copy_from_slice(products.as_flattened());
    }
}

/// Work on strips of queries and panels of keys, of which [`run_strips`] chooses the sizes.
pub(super) trait Strips<S: Simd> {
    /// What it gives.
    type Output;

    /// Works on `STRIP` queries and `PANELS` panels at a time, with `VECTORS` vectors for the keys of a panel.
    fn run<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(self, simd: S) -> Self::Output;
}

/// Runs work with accumulators for most of the registers, beside which the panels' keys and a query's number find room.
#[inline(always)]
pub(super) fn run_strips<S: Simd, Work: Strips<S>>(simd: S, work: Work) -> Work::Output {
    match S::F32_LANES {
        16 => work.run::<12, 2, 1>(simd),
        8 => work.run::<6, 1, 2>(simd),
        _ => work.run::<6, 1, 4>(simd),
    }
}

impl<Sums: RowSums> WithSimd for Tile<'_, Float32Panels<'_>, Sums> {
    type Output = Vec<Sums::Mass>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        self.masses(simd)
    }
}

impl<Keys, Sums: RowSums> Tile<'_, Keys, Sums> {
    #[inline(always)]
    pub(super) fn masses<S: Simd>(&self, simd: S) -> Vec<Sums::Mass>
    where
        Keys: Panels<S>,
    {
        run_strips(simd, self)
    }
}

impl<S: Simd, Keys: Panels<S>, Sums: RowSums> Strips<S> for &Tile<'_, Keys, Sums> {
    type Output = Vec<Sums::Mass>;

    #[inline(always)]
    fn run<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(self, simd: S) -> Vec<Sums::Mass> {
        let mut strips = Vec::with_capacity(self.queries.len().div_ceil(STRIP));
        for queries in self.queries.chunks(STRIP) {
            let mut packed = Keys::Strip::<STRIP>::default();
            self.keys.pack(queries, self.scale, &mut packed);
            strips.push((queries, packed));
        }
        let mut sums = vec![self.none; self.queries.len()];
        let mut logits = [[0.0; BLOCK]; STRIP];

        let end = self.queries.last().map_or(0, |query| query.row + 1);
        for start in (0..end).step_by(BLOCK) {
            for ((queries, packed), sums) in strips.iter().zip(sums.chunks_mut(STRIP)) {
                let last = queries[queries.len() - 1].row;
                if last < start {
                    continue;
                }
                let panels = start / PANEL..last.min(start + BLOCK - 1) / PANEL + 1;
                self.keys.write_logits::<STRIP, PANELS, VECTORS, BLOCK>(simd, packed, panels, &mut logits);
                for ((query, logits), sums) in queries.iter().zip(&mut logits).zip(sums) {
                    if query.row >= start {
                        if let Some(cap) = self.softcap {
                            cap_logits(simd, logits, cap);
                        }
                        sums.add_block(simd, logits, start, query.row, self.far);
                    }
                }
            }
        }
        sums.into_iter().map(Sums::mass).collect()
    }
}

/// Keys as they are, `[panel][head_size][PANEL]`.
#[derive(Clone, Copy)]
pub(super) struct Float32Panels<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) head_size: usize,
}

impl<S: Simd> Panels<S> for Float32Panels<'_> {
    /// `[run][STRIP][RUN]`.
    type Strip<const STRIP: usize> = Vec<[[f32; RUN]; STRIP]>;

    #[inline(always)]
    fn pack<const STRIP: usize>(&self, queries: &[Query], scale: f32, strip: &mut Vec<[[f32; RUN]; STRIP]>) {
        strip.resize(self.head_size.div_ceil(RUN), [[0.0; RUN]; STRIP]);
        for (place, query) in queries.iter().enumerate() {
            for (run, numbers) in strip.iter_mut().zip(query.runs()) {
                for (packed, number) in run[place].iter_mut().zip(numbers) {
                    *packed = finite_or_nan(number) * scale;
                }
            }
        }
    }

    #[inline(always)]
    fn logits<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        queries: &Vec<[[f32; RUN]; STRIP]>,
        first: usize,
    ) -> [[[S::f32s; VECTORS]; PANELS]; STRIP] {
        let size = self.head_size * PANEL;
        let mut panels: [&[[S::f32s; VECTORS]]; PANELS] = [&[]; PANELS];
        for (index, panel) in panels.iter_mut().enumerate() {
            *panel = S::as_simd_f32s(&self.numbers[(first + index) * size..][..size]).0.as_chunks().0;
        }
        let mut products = [[[simd.splat_f32s(0.0); VECTORS]; PANELS]; STRIP];
        for (run, queries) in queries.iter().enumerate() {
            for place in 0..RUN.min(self.head_size - run * RUN) {
                for (products, numbers) in products.iter_mut().zip(queries) {
                    let number = simd.splat_f32s(numbers[place]);
                    for (products, panel) in products.iter_mut().zip(&panels) {
                        for (product, key) in products.iter_mut().zip(&panel[run * RUN + place]) {
                            *product = simd.mul_add_e_f32s(number, *key, *product);
                        }
                    }
                }
            }
        }
        products
    }
}

/// Makes each logit `x`, which is to base two as `cap` is, `cap · tanh(x / cap)`. Those after the last whole vector stay.
#[inline(always)]
pub(super) fn cap_logits<S: Simd>(simd: S, logits: &mut [f32], cap: f32) {
    /// Below it the series is the better, because the quotient's numerator is a small difference.
    const SMALL: f32 = 0.1;
    const SERIES: [f32; 2] = [-1.0 / 3.0, 2.0 / 15.0];

    let inverse = simd.splat_f32s(cap.recip());
    let exponent = simd.splat_f32s(-2.0 * std::f32::consts::LOG2_E);
    let one = simd.splat_f32s(1.0);
    let [cubic, quintic] = SERIES.map(|coefficient| simd.splat_f32s(coefficient));
    for logit in S::as_mut_simd_f32s(logits).0 {
        let part = simd.mul_f32s(*logit, inverse);
        let size = simd.abs_f32s(part);
        let power = exponential(simd, simd.mul_f32s(size, exponent));
        let quotient = simd.div_f32s(simd.sub_f32s(one, power), simd.add_f32s(one, power));
        let square = simd.mul_f32s(size, size);
        let polynomial = simd.mul_add_e_f32s(simd.mul_add_e_f32s(quintic, square, cubic), square, one);
        let is_small = simd.less_than_f32s(size, simd.splat_f32s(SMALL));
        let tanh = simd.select_f32s(is_small, simd.mul_f32s(size, polynomial), quotient);
        let capped = simd.mul_f32s(simd.splat_f32s(cap), tanh);
        let is_negative = simd.less_than_f32s(part, simd.splat_f32s(0.0));
        *logit = simd.select_f32s(is_negative, simd.neg_f32s(capped), capped);
    }
}

/// The running sums of one row, each relative to the exponential of the running maximum.
pub(super) trait RowSums: Copy {
    /// What they come to.
    type Mass;

    /// The sums over no keys.
    const NONE: Self;

    /// Adds the keys from `start` on that the query at `row` sees.
    fn add_block<S: Simd>(&mut self, simd: S, logits: &[f32; BLOCK], start: usize, row: usize, far: FarRegion);

    fn mass(self) -> Self::Mass;
}

/// What far mass needs.
#[derive(Clone, Copy)]
pub(super) struct FarSums {
    maximum: f32,
    /// `Z`, over all keys up to the row.
    normalizer: f64,
    /// `F1`, over the far keys.
    far: f64,
    /// `F2`, over the far keys.
    far_square: f64,
}

impl RowSums for FarSums {
    type Mass = FarMass;

    const NONE: Self = Self { maximum: f32::NEG_INFINITY, normalizer: 0.0, far: 0.0, far_square: 0.0 };

    #[inline(always)]
    fn add_block<S: Simd>(&mut self, simd: S, logits: &[f32; BLOCK], start: usize, row: usize, far: FarRegion) {
        self.add(simd, logits, start, row, far);
    }

    fn mass(self) -> FarMass {
        let mass = self.far / self.normalizer;
        FarMass { mass, square_mass: self.far_square / (self.normalizer * self.normalizer) }
    }
}

impl FarSums {
    /// Adds a block, and gives the sum over all its keys.
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, logits: &[f32; BLOCK], start: usize, row: usize, far: FarRegion) -> f64 {
        let visible = BLOCK.min(row + 1 - start);
        let keys = far.keys(row);
        let far_start = keys.start.saturating_sub(start).min(visible);
        let far_end = keys.end.saturating_sub(start).clamp(far_start, visible);

        self.raise_maximum(maximum(simd, &logits[..visible]));
        let sinks = exponential_sums(simd, &logits[..far_start], self.maximum);
        let far = exponential_sums(simd, &logits[far_start..far_end], self.maximum);
        let near = exponential_sums(simd, &logits[far_end..visible], self.maximum);
        let block_sum = f64::from(sinks.0) + f64::from(far.0) + f64::from(near.0);
        self.normalizer += block_sum;
        self.far += f64::from(far.0);
        self.far_square += f64::from(far.1);
        block_sum
    }

    #[inline(always)]
    fn raise_maximum(&mut self, maximum: f32) {
        if maximum > self.maximum {
            let factor = f64::from(self.maximum - maximum).exp2();
            self.normalizer *= factor;
            self.far *= factor;
            self.far_square *= factor * factor;
            self.maximum = maximum;
        }
    }
}

/// Far mass as ever, and beside it the sums over the keys of each bucket of distances.
#[derive(Clone, Copy)]
pub(super) struct ProfileSums {
    far: FarSums,
    by_distance: [f64; DISTANCE_BUCKETS],
}

impl RowSums for ProfileSums {
    type Mass = ProfiledMass;

    const NONE: Self = Self { far: FarSums::NONE, by_distance: [0.0; DISTANCE_BUCKETS] };

    #[inline(always)]
    fn add_block<S: Simd>(&mut self, simd: S, logits: &[f32; BLOCK], start: usize, row: usize, far: FarRegion) {
        let earlier_maximum = self.far.maximum;
        let block_sum = self.far.add(simd, logits, start, row, far);
        let maximum = self.far.maximum;
        if maximum > earlier_maximum {
            let factor = f64::from(earlier_maximum - maximum).exp2();
            self.by_distance.iter_mut().for_each(|sum| *sum *= factor);
        }
        let block = start..(row + 1).min(start + BLOCK);
        let keys = start.max(far.sink_tokens)..block.end;
        for (bucket, run) in runs_by_bucket(row, keys) {
            // Most blocks of a long row lie in one bucket, and their sum is known already.
            self.by_distance[bucket] += if run == block {
                block_sum
            } else {
                f64::from(exponential_sums(simd, &logits[run.start - start..run.end - start], maximum).0)
            };
        }
    }

    fn mass(self) -> ProfiledMass {
        let by_distance = self.by_distance.map(|sum| sum / self.far.normalizer);
        ProfiledMass { far: self.far.mass(), by_distance }
    }
}

#[inline(always)]
pub(super) fn maximum<S: Simd>(simd: S, logits: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(logits);
    let lowest = simd.splat_f32s(f32::NEG_INFINITY);
    let maximum = vectors.iter().fold(lowest, |maximum, logit| simd.max_f32s(maximum, *logit));
    rest.iter().copied().fold(simd.reduce_max_f32s(maximum), f32::max)
}

/// The sums of `2^(x − maximum)` and of its square.
#[inline(always)]
fn exponential_sums<S: Simd>(simd: S, logits: &[f32], maximum: f32) -> (f32, f32) {
    if logits.is_empty() {
        return (0.0, 0.0);
    }
    let maximum = simd.splat_f32s(maximum);
    let mut sum = simd.splat_f32s(0.0);
    let mut square_sum = sum;
    let (vectors, rest) = S::as_simd_f32s(logits);
    for logit in vectors {
        let weight = exponential(simd, simd.sub_f32s(*logit, maximum));
        sum = simd.add_f32s(sum, weight);
        square_sum = simd.mul_add_e_f32s(weight, weight, square_sum);
    }
    if !rest.is_empty() {
        let weight = exponential(simd, simd.sub_f32s(simd.partial_load_f32s(rest), maximum));
        let present = simd.mask_between_m32s(0, rest.len() as u32).mask();
        let weight = simd.select_f32s(present, weight, simd.splat_f32s(0.0));
        sum = simd.add_f32s(sum, weight);
        square_sum = simd.mul_add_e_f32s(weight, weight, square_sum);
    }
    (simd.reduce_sum_f32s(sum), simd.reduce_sum_f32s(square_sum))
}

/// `2^x` for `x ≤ 0`, to 1 unit in the last place; below `2^-125` it stays there, and NaN without a payload
/// stays NaN.
///
/// `x` is split into its nearest integer, which goes into the exponent's bits, and a fraction of at most one half,
/// for which a polynomial of degree 6 that is minimax in relative error serves.
#[inline(always)]
pub(super) fn exponential<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LOWEST: f32 = -125.0;
    const MANTISSA_BITS: u32 = 23;
    const POLYNOMIAL: [f32; 7] =
        [1.0, std::f32::consts::LN_2, 0.2402265, 0.05550327, 0.009618057, 0.0013400428, 0.00015461445];

    let x = at_least(simd, simd.splat_f32s(LOWEST), x);
    let rounding = simd.splat_f32s(ROUNDING);
    let shifted = simd.add_f32s(x, rounding);
    let fraction = simd.sub_f32s(x, simd.sub_f32s(shifted, rounding));
    let mut power = simd.splat_f32s(POLYNOMIAL[6]);
    for coefficient in POLYNOMIAL[..6].iter().rev() {
        power = simd.mul_add_e_f32s(power, fraction, simd.splat_f32s(*coefficient));
    }
    let integer = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(integer, simd.splat_u32s(MANTISSA_BITS));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(power), exponent))
}

/// A finite number as it is. All else becomes the NaN without a payload, which [`exponential`] keeps as it does those that
/// sums of infinities make.
#[inline(always)]
pub(super) fn finite_or_nan(number: f32) -> f32 {
    if number.is_finite() { number } else { f32::NAN }
}

/// The larger of both; NaN where `x` is.
#[inline(always)]
fn at_least<S: Simd>(simd: S, bound: S::f32s, x: S::f32s) -> S::f32s {
    // Of a number and NaN, the larger is the second on x86, NaN on Arm, and the number in plain Rust.
    if TypeId::of::<S>() == TypeId::of::<pulp::Scalar256b>() {
        return simd.select_f32s(simd.less_than_f32s(x, bound), bound, x);
    }
    simd.max_f32s(bound, x)
}
