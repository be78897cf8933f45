//! Far mass predicted from clusters of keys.

use std::mem;

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, Zip, s};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::kernel::{Kernel, cap_logits, exponential};
use super::streaming::Keys;
use super::{FarMass, FarRegion};

/// Clusters come in multiples of this, for the widest vectors.
const LANES: usize = 16;

/// Keys that the centre of a cluster is found from, on average.
const KEYS_PER_CLUSTER: usize = 16;

/// Rounds of k-means; more hardly move the centres.
const ROUNDS: usize = 4;

/// Places in a window up to which the keys of each cluster are counted; in between they are interpolated.
const STEPS: usize = 64;

/// Keys that one thread assigns, or rows that it predicts, at a time.
const AT_A_TIME: usize = 512;

/// A window whose keys all stand for the mean of their cluster.
///
/// Clusters are those of k-means (Lloyd, *Least squares quantization in PCM*, 1982), where the distance of two keys is the
/// mean square difference of the logits that the window's queries give them.
pub(super) struct ClusteredAttention {
    /// Scaled so that logits are to base two, `[key_value_heads, head_size, clusters]`.
    centres: Array3<f32>,
    /// Keys of each cluster before each of the steps, `[key_value_heads, STEPS + 1, clusters]`.
    counts: Array3<f32>,
    length: usize,
    softcap: Option<f32>,
    far: FarRegion,
    kernel: Kernel,
}

impl ClusteredAttention {
    /// About `clusters` clusters for each head of at least `STEPS` keys. `queries` `[heads, any, head_size]` are some of
    /// the window's, and `scale` brings the product of a query and a key to a logit to base two, which `softcap` bounds.
    pub(super) fn new(
        keys: &Keys,
        queries: ArrayView3<f32>,
        clusters: usize,
        scale: f32,
        softcap: Option<f32>,
        far: FarRegion,
        kernel: Kernel,
    ) -> Self {
        let (key_heads, length, head_size) = keys.dim();
        let clusters = clusters.min(length / KEYS_PER_CLUSTER).next_multiple_of(LANES);
        let group = queries.dim().0 / key_heads;
        let found = (0..key_heads).into_par_iter().map(|head| {
            let metric = second_moment(queries.slice(s![head * group..(head + 1) * group, .., ..]));
            self::clusters(keys, head, clusters, &metric)
        });
        let mut centres = Array3::zeros((key_heads, head_size, clusters));
        let mut counts = Array3::zeros((key_heads, STEPS + 1, clusters));
        for (head, (head_centres, head_counts)) in found.collect::<Vec<_>>().into_iter().enumerate() {
            centres.index_axis_mut(Axis(0), head).assign(&(&head_centres.t() * scale));
            counts.index_axis_mut(Axis(0), head).assign(&head_counts);
        }
        Self { centres, counts, length, softcap, far, kernel }
    }

    /// The far mass of some rows as [`StreamingAttention::far_masses`](super::StreamingAttention::far_masses) gives it,
    /// for queries of the same shape.
    pub(super) fn far_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Array2<FarMass> {
        let heads = queries.dim().0;
        let group = heads / self.centres.dim().0;
        let mut far_masses = Array2::default((heads, rows.len()));
        let parts: Vec<_> = far_masses
            .outer_iter_mut()
            .enumerate()
            .flat_map(|(head, row_masses)| {
                let parts = row_masses.into_slice().expect("a new array is contiguous").chunks_mut(AT_A_TIME);
                parts.enumerate().map(move |(part, masses)| (head, part * AT_A_TIME, masses))
            })
            .collect();
        parts.into_par_iter().for_each(|(head, first, masses)| {
            let last = first + masses.len();
            let queries = queries.slice(s![head, first..last, ..]);
            let mut logits = queries.dot(&self.centres.index_axis(Axis(0), head / group));
            self.kernel.run(Rows {
                logits: logits.as_slice_mut().expect("a new array is contiguous"),
                rows: &rows[first..last],
                counts: self.counts.index_axis(Axis(0), head / group).to_slice().expect("a new array is contiguous"),
                clusters: self.centres.dim().2,
                length: self.length,
                softcap: self.softcap,
                far: self.far,
                masses,
            });
        });
        far_masses
    }
}

/// `Σ q·qᵀ` over queries `[heads, any, head_size]`.
fn second_moment(queries: ArrayView3<f32>) -> Array2<f32> {
    let size = queries.dim().2;
    queries.outer_iter().fold(Array2::zeros((size, size)), |sum, queries| sum + queries.t().dot(&queries))
}

/// Some keys of one head, assigned to the nearest centres.
struct Assigned {
    /// `[clusters]`.
    counts: Array1<f32>,
    /// `[clusters, head_size]`.
    sums: Array2<f32>,
}

impl Assigned {
    fn none((clusters, head_size): (usize, usize)) -> Self {
        Self { counts: Array1::zeros(clusters), sums: Array2::zeros((clusters, head_size)) }
    }

    /// Adds keys `[any, head_size]`.
    fn add(&mut self, keys: ArrayView2<f32>, centres: &Centres) {
        for (key, cluster) in keys.outer_iter().zip(centres.nearest(keys)) {
            self.counts[cluster] += 1.0;
            let mut sum = self.sums.row_mut(cluster);
            sum += &key;
        }
    }

    fn append(&mut self, other: &Self) {
        self.counts += &other.counts;
        self.sums += &other.sums;
    }
}

/// Centres of clusters, and what finding the nearest takes: `(k − c)ᵀ·A·(k − c)` is `cᵀ·A·c − 2·kᵀ·A·c` and a term that
/// is the same for all centres.
struct Centres<'a> {
    /// `A`, `[head_size, head_size]`.
    metric: &'a Array2<f32>,
    /// `c`, `[clusters, head_size]`.
    centres: Array2<f32>,
    /// `A·c`, `[head_size, clusters]`.
    weighted: Array2<f32>,
    /// `cᵀ·A·c / 2`, `[clusters]`.
    half_norms: Array1<f32>,
}

impl<'a> Centres<'a> {
    fn new(centres: Array2<f32>, metric: &'a Array2<f32>) -> Self {
        let weighted = metric.dot(&centres.t());
        let half_norms = (&weighted.t() * &centres).sum_axis(Axis(1)) / 2.0;
        Self { metric, centres, weighted, half_norms }
    }

    /// The cluster of each key.
    fn nearest(&self, keys: ArrayView2<f32>) -> Vec<usize> {
        let products = keys.dot(&self.weighted);
        let mut distances = Array1::zeros(self.half_norms.len());
        let nearest = |products: ArrayView1<f32>| {
            Zip::from(&mut distances)
                .and(&self.half_norms)
                .and(products)
                .for_each(|distance, norm, product| *distance = norm - product);
            let least = distances.iter().copied().fold(f32::INFINITY, f32::min);
            distances.iter().position(|distance| *distance == least).unwrap_or(0)
        };
        products.outer_iter().map(nearest).collect()
    }

    /// The same centres at the means of what is assigned to them, if anything is.
    fn moved(mut self, assigned: &Assigned) -> Self {
        let means = self.centres.outer_iter_mut().zip(assigned.sums.outer_iter()).zip(&assigned.counts);
        for ((mut centre, sum), count) in means {
            if *count > 0.0 {
                centre.assign(&(&sum / *count));
            }
        }
        Self::new(self.centres, self.metric)
    }
}

/// The centres of one head's keys, `[clusters, head_size]`, and the keys of each before each step, `[STEPS + 1, clusters]`.
fn clusters(keys: &Keys, head: usize, clusters: usize, metric: &Array2<f32>) -> (Array2<f32>, Array2<f32>) {
    let (_, length, head_size) = keys.dim();
    let sample = clusters * KEYS_PER_CLUSTER;
    let sample = keys.select(head, (0..sample).map(|key| key * length / sample));
    let first = sample.slice(s![KEYS_PER_CLUSTER / 2..;KEYS_PER_CLUSTER, ..]);
    let mut centres = Centres::new(first.to_owned(), metric);
    for _ in 0..ROUNDS {
        let mut assigned = Assigned::none((clusters, head_size));
        assigned.add(sample.view(), &centres);
        centres = centres.moved(&assigned);
    }

    let step = |step| {
        let mut assigned = Assigned::none((clusters, head_size));
        let end = step_start(step + 1, length);
        for start in (step_start(step, length)..end).step_by(AT_A_TIME) {
            assigned.add(keys.select(head, start..end.min(start + AT_A_TIME)).view(), &centres);
        }
        assigned
    };
    let steps: Vec<_> = (0..STEPS).into_par_iter().map(step).collect();
    let mut all = Assigned::none((clusters, head_size));
    let mut counts = Array2::zeros((STEPS + 1, clusters));
    for (step, assigned) in steps.iter().enumerate() {
        all.append(assigned);
        counts.row_mut(step + 1).assign(&all.counts);
    }
    (centres.moved(&all).centres, counts)
}

/// Position at which a step begins.
fn step_start(step: usize, length: usize) -> usize {
    step * length / STEPS
}

/// Some rows of one head: their far masses from their logits to base two before they are capped, `[rows, clusters]`.
struct Rows<'a> {
    logits: &'a mut [f32],
    rows: &'a [usize],
    /// Keys of each cluster before each step, `[STEPS + 1, clusters]`.
    counts: &'a [f32],
    clusters: usize,
    length: usize,
    softcap: Option<f32>,
    far: FarRegion,
    masses: &'a mut [FarMass],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (logits, masses) = (mem::take(&mut self.logits), mem::take(&mut self.masses));
        if let Some(cap) = self.softcap {
            cap_logits(simd, logits, cap);
        }
        let rows = logits.chunks_exact(self.clusters).zip(self.rows);
        for (mass, (logits, row)) in masses.iter_mut().zip(rows) {
            *mass = self.far_mass(simd, logits, *row);
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn far_mass<S: Simd>(&self, simd: S, logits: &[f32], row: usize) -> FarMass {
        let far = self.far.keys(row);
        let (before_far, up_to_far, up_to_row) =
            (self.keys_before(far.start), self.keys_before(far.end), self.keys_before(row + 1));
        let zero = simd.splat_f32s(0.0);
        let lowest = simd.splat_f32s(f32::NEG_INFINITY);
        let logits = S::as_simd_f32s(logits).0;

        let mut highest = lowest;
        for (logit, count) in logits.iter().zip(up_to_row.vectors(simd)) {
            let visible = simd.less_than_f32s(zero, count);
            highest = simd.max_f32s(highest, simd.select_f32s(visible, *logit, lowest));
        }
        let highest = simd.splat_f32s(simd.reduce_max_f32s(highest));
        let (mut normalizer, mut mass, mut square_mass) = (zero, zero, zero);
        let far_counts = before_far.vectors(simd).zip(up_to_far.vectors(simd));
        for (logit, (up_to_row, (before_far, up_to_far))) in logits.iter().zip(up_to_row.vectors(simd).zip(far_counts))
        {
            // Clusters of later keys may be above the highest, and count for nothing.
            let weight = exponential(simd, simd.min_f32s(simd.sub_f32s(*logit, highest), zero));
            let far_weight = simd.mul_f32s(weight, simd.sub_f32s(up_to_far, before_far));
            normalizer = simd.mul_add_e_f32s(weight, up_to_row, normalizer);
            mass = simd.add_f32s(mass, far_weight);
            square_mass = simd.mul_add_e_f32s(weight, far_weight, square_mass);
        }
        let normalizer = f64::from(simd.reduce_sum_f32s(normalizer));
        FarMass {
            mass: f64::from(simd.reduce_sum_f32s(mass)) / normalizer,
            square_mass: f64::from(simd.reduce_sum_f32s(square_mass)) / (normalizer * normalizer),
        }
    }

    /// How many keys of each cluster come before a position, interpolated between steps.
    #[inline(always)]
    fn keys_before(&self, position: usize) -> KeysBefore<'_> {
        let step = (position * STEPS / self.length).min(STEPS - 1);
        let (start, end) = (step_start(step, self.length), step_start(step + 1, self.length));
        let counts = &self.counts[step * self.clusters..];
        let (before, after) = counts[..2 * self.clusters].split_at(self.clusters);
        KeysBefore { before, after, fraction: (position - start) as f32 / (end - start) as f32 }
    }
}

/// Numbers of keys at a fraction of the way from one step to the next.
struct KeysBefore<'a> {
    before: &'a [f32],
    after: &'a [f32],
    fraction: f32,
}

impl KeysBefore<'_> {
    #[inline(always)]
    fn vectors<S: Simd>(&self, simd: S) -> impl Iterator<Item = S::f32s> {
        let fraction = simd.splat_f32s(self.fraction);
        let steps = S::as_simd_f32s(self.before).0.iter().zip(S::as_simd_f32s(self.after).0);
        steps.map(move |(before, after)| simd.mul_add_e_f32s(fraction, simd.sub_f32s(*after, *before), *before))
    }
}
