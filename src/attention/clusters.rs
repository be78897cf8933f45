//! Far mass predicted from clusters of keys.

use ndarray::{Array1, Array2, Array3, ArrayView3, Axis, s};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::kernel::{Float32Panels, Kernel, PANEL, Panels, Query, Strips, cap_logits, exponential, run_strips};
use super::packed::PackedKeys;
use super::streaming::{Keys, StreamingAttention, with_whole_rows};
use super::{FarMass, FarRegion};

/// Keys that a cluster is found from, on average.
const KEYS_PER_CLUSTER: usize = 16;

/// Rounds of k-means on these; more hardly move the centres.
const ROUNDS: usize = 3;

/// One key in so many is counted in the end, and one more round done on them.
const COUNTED: usize = 2;

/// Places in a window up to which the keys of each cluster are counted; in between they are interpolated.
const STEPS: usize = 64;

/// Most clusters, a multiple of [`PANEL`].
pub(super) const MOST_CLUSTERS: usize = 256;

/// Rows that one thread predicts at a time.
const AT_A_TIME: usize = 512;

/// A window whose keys all stand for the mean of their cluster.
///
/// Clusters are those of k-means (Lloyd, *Least squares quantization in PCM*, 1982) among keys drawn evenly from the window,
/// where the distance of two keys is the mean square difference of the logits that the window's queries give them.
pub(super) struct ClusteredAttention {
    /// One key for each cluster.
    centres: PackedKeys,
    /// Keys of each cluster before each of the steps, `[key_value_heads, STEPS + 1, clusters]`.
    counts: Array3<f32>,
    length: usize,
    /// Brings the product of a query and a key to a logit to base two.
    scale: f32,
    softcap: Option<f32>,
    far: FarRegion,
    kernel: Kernel,
}

impl ClusteredAttention {
    /// A window's attention with keys in about `clusters` clusters for each head of at least [`STEPS`] keys,
    /// [`MOST_CLUSTERS`] at most, found with some of its queries `[heads, any, head_size]`.
    pub(super) fn new(attention: &StreamingAttention, queries: ArrayView3<f32>, clusters: usize) -> Self {
        let &StreamingAttention { ref keys, scale, softcap, far, kernel, .. } = attention;
        let (key_heads, length, head_size) = keys.dim();
        let clusters = clusters.min(length / KEYS_PER_CLUSTER).next_multiple_of(PANEL);
        let group = queries.dim().0 / key_heads;
        let found = (0..key_heads).into_par_iter().map(|head| {
            let metric = second_moment(queries.slice(s![head * group..(head + 1) * group, .., ..]));
            self::clusters(keys, head, clusters, &metric, kernel)
        });
        let mut centres = Array3::zeros((key_heads, clusters, head_size));
        let mut counts = Array3::zeros((key_heads, STEPS + 1, clusters));
        for (head, (head_centres, head_counts)) in found.collect::<Vec<_>>().into_iter().enumerate() {
            centres.index_axis_mut(Axis(0), head).assign(&head_centres);
            counts.index_axis_mut(Axis(0), head).assign(&head_counts);
        }
        Self { centres: PackedKeys::new(centres.view()), counts, length, scale, softcap, far, kernel }
    }

    /// The far mass of some rows as [`StreamingAttention::far_masses`] gives it,
    /// for queries of the same shape.
    pub(super) fn far_masses(&self, queries: ArrayView3<f32>, rows: &[usize]) -> Array2<FarMass> {
        let queries = with_whole_rows(queries);
        let (key_heads, clusters, _) = self.centres.dim();
        let heads = queries.dim().0;
        let group = heads / key_heads;
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
            let counts = self.counts.index_axis(Axis(0), head / group).to_slice().expect("a new array is contiguous");
            let query = |index: usize| {
                let numbers = queries.index_axis(Axis(0), head).index_axis_move(Axis(0), index);
                Query { row: rows[index], numbers: numbers.to_slice().expect("whole rows") }
            };
            self.kernel.run(Rows {
                queries: (first..first + masses.len()).map(query).collect(),
                scale: self.scale,
                centres: self.centres.panels(head / group),
                counts: Counts { counts, clusters, length: self.length },
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

/// The centres of one head's keys, `[clusters, head_size]`, and about how many keys of each come before each step,
/// `[STEPS + 1, clusters]`.
fn clusters(
    keys: &Keys,
    head: usize,
    clusters: usize,
    metric: &Array2<f32>,
    kernel: Kernel,
) -> (Array2<f32>, Array2<f32>) {
    let few = SomeKeys::evenly(keys, head, clusters * KEYS_PER_CLUSTER);
    let mut centres = few.numbers.slice(s![KEYS_PER_CLUSTER / 2..;KEYS_PER_CLUSTER, ..]).to_owned();
    for _ in 0..ROUNDS {
        few.assign(&mut centres, metric, kernel);
    }

    let length = keys.dim().1;
    let many = SomeKeys::evenly(keys, head, length / COUNTED);
    let assigned = many.assign(&mut centres, metric, kernel);
    let mut counts = Array2::zeros((STEPS + 1, clusters));
    for (cluster, position) in assigned.into_iter().zip(&many.positions) {
        counts[[position * STEPS / length + 1, cluster]] += COUNTED as f32;
    }
    counts.accumulate_axis_inplace(Axis(0), |before, count| *count += before);
    (centres, counts)
}

/// Some keys of one head.
struct SomeKeys {
    positions: Vec<usize>,
    /// `[positions, head_size]`.
    numbers: Array2<f32>,
    packed: PackedKeys,
}

impl SomeKeys {
    /// So many, from one end of the window to the other.
    fn evenly(keys: &Keys, head: usize, count: usize) -> Self {
        let positions: Vec<_> = (0..count).map(|key| key * keys.dim().1 / count).collect();
        let numbers = keys.select(head, positions.iter().copied());
        let packed = PackedKeys::new(numbers.view().insert_axis(Axis(0)));
        Self { positions, numbers, packed }
    }

    /// The nearest centre of each key. Centres then move to the means of the keys that are assigned to them, if any are.
    fn assign(&self, centres: &mut Array2<f32>, metric: &Array2<f32>, kernel: Kernel) -> Vec<usize> {
        let nearest = self.nearest(centres, metric, kernel);
        let mut sums = Array2::zeros(centres.dim());
        let mut counts = vec![0.0; centres.nrows()];
        for (key, cluster) in self.numbers.outer_iter().zip(&nearest) {
            let sum = sums.row_mut(*cluster).into_slice().expect("a new array is contiguous");
            sum.iter_mut().zip(key.to_slice().expect("so is this")).for_each(|(sum, number)| *sum += number);
            counts[*cluster] += 1.0;
        }
        for ((mut centre, sum), count) in centres.outer_iter_mut().zip(sums.outer_iter()).zip(counts) {
            if count > 0.0 {
                centre.assign(&(&sum / count));
            }
        }
        nearest
    }

    fn nearest(&self, centres: &Array2<f32>, metric: &Array2<f32>, kernel: Kernel) -> Vec<usize> {
        let weighted = centres.dot(metric);
        let half_norms = (&weighted * centres).sum_axis(Axis(1)) / 2.0;
        let weighted: Vec<_> = weighted.outer_iter().map(|centre| centre.to_vec()).collect();
        let centres = weighted.iter().map(|numbers| Query { row: 0, numbers }).collect();
        let length = self.positions.len();
        let mut nearest = kernel.run(Nearest { keys: self.packed.panels(0), length, centres, half_norms });
        nearest.truncate(length);
        nearest
    }
}

/// For each key of whole panels, the centre with the least `(k − c)ᵀ·A·(k − c)`, that is the least `cᵀ·A·c / 2 − kᵀ·A·c`.
struct Nearest<'a> {
    keys: Float32Panels<'a>,
    length: usize,
    /// `A·c` of each centre.
    centres: Vec<Query<'a>>,
    /// `cᵀ·A·c / 2`.
    half_norms: Array1<f32>,
}

impl WithSimd for Nearest<'_> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<usize> {
        run_strips(simd, self)
    }
}

impl<S: Simd> Strips<S> for Nearest<'_> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn run<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(self, simd: S) -> Vec<usize> {
        let mut strips = Vec::with_capacity(self.centres.len().div_ceil(STRIP));
        for centres in self.centres.chunks(STRIP) {
            let mut packed = Vec::new();
            Panels::<S>::pack::<STRIP>(&self.keys, centres, 1.0, &mut packed);
            strips.push(packed);
        }
        let mut nearest = Vec::with_capacity(self.length.next_multiple_of(PANEL));
        for panel in 0..self.length.div_ceil(PANEL) {
            let mut least = [simd.splat_f32s(f32::INFINITY); VECTORS];
            let mut clusters = [simd.splat_f32s(0.0); VECTORS];
            for (index, strip) in strips.iter().enumerate() {
                // One panel at a time leaves registers for the nearest centres.
                let products = self.keys.logits::<STRIP, 1, VECTORS>(simd, strip, panel);
                let centres = (index * STRIP..self.centres.len()).zip(products);
                for (cluster, [products]) in centres {
                    let half_norm = simd.splat_f32s(self.half_norms[cluster]);
                    let cluster = simd.splat_f32s(cluster as f32);
                    for ((least, clusters), product) in least.iter_mut().zip(&mut clusters).zip(products) {
                        let distance = simd.sub_f32s(half_norm, product);
                        *clusters = simd.select_f32s(simd.less_than_f32s(distance, *least), cluster, *clusters);
                        *least = simd.min_f32s(distance, *least);
                    }
                }
            }
            let mut numbers = [0.0; PANEL];
            S::as_mut_simd_f32s(&mut numbers).0.copy_from_slice(&clusters);
            nearest.extend(numbers.map(|cluster: f32| cluster as usize));
        }
        nearest
    }
}

/// Some rows of one head.
struct Rows<'a> {
    queries: Vec<Query<'a>>,
    scale: f32,
    centres: Float32Panels<'a>,
    counts: Counts<'a>,
    softcap: Option<f32>,
    far: FarRegion,
    /// What is found, for each query.
    masses: &'a mut [FarMass],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        run_strips(simd, self);
    }
}

impl<S: Simd> Strips<S> for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const STRIP: usize, const PANELS: usize, const VECTORS: usize>(self, simd: S) {
        let Self { queries, scale, centres, counts, softcap, far, masses } = self;
        let mut strip = Vec::new();
        let mut logits = [[0.0; MOST_CLUSTERS]; STRIP];
        for (queries, masses) in queries.chunks(STRIP).zip(masses.chunks_mut(STRIP)) {
            Panels::<S>::pack::<STRIP>(&centres, queries, scale, &mut strip);
            let panels = 0..counts.clusters / PANEL;
            centres.write_logits::<STRIP, PANELS, VECTORS, MOST_CLUSTERS>(simd, &strip, panels, &mut logits);
            for ((query, logits), mass) in queries.iter().zip(&mut logits).zip(masses) {
                let logits = &mut logits[..counts.clusters];
                if let Some(cap) = softcap {
                    cap_logits(simd, logits, cap);
                }
                *mass = counts.far_mass(simd, logits, query.row, far);
            }
        }
    }
}

/// How many keys each of one head's clusters has.
struct Counts<'a> {
    /// Before each step, `[STEPS + 1, clusters]`.
    counts: &'a [f32],
    clusters: usize,
    length: usize,
}

impl Counts<'_> {
    /// Far mass of a row with a logit for each cluster.
    #[inline(always)]
    fn far_mass<S: Simd>(&self, simd: S, logits: &[f32], row: usize, far: FarRegion) -> FarMass {
        let far = far.keys(row);
        let logits = S::as_simd_f32s(logits).0;
        // A cluster of later keys alone may be the highest; it weighs nothing below.
        let lowest = simd.splat_f32s(f32::NEG_INFINITY);
        let highest = logits.iter().fold(lowest, |highest, logit| simd.max_f32s(highest, *logit));
        let highest = simd.splat_f32s(simd.reduce_max_f32s(highest));

        let zero = simd.splat_f32s(0.0);
        let (mut normalizer, mut mass, mut square_mass) = (zero, zero, zero);
        let up_to_row = self.keys_before(simd, row + 1);
        let up_to_far = self.keys_before(simd, far.end);
        let before_far = self.keys_before(simd, far.start);
        for (((logit, up_to_row), up_to_far), before_far) in logits.iter().zip(up_to_row).zip(up_to_far).zip(before_far)
        {
            let weight = exponential(simd, simd.sub_f32s(*logit, highest));
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
    fn keys_before<S: Simd>(&self, simd: S, position: usize) -> impl Iterator<Item = S::f32s> {
        let step = (position * STEPS / self.length).min(STEPS - 1);
        let fraction = (position * STEPS - step * self.length) as f32 / self.length as f32;
        let fraction = simd.splat_f32s(fraction);
        let (before, after) = self.counts[step * self.clusters..][..2 * self.clusters].split_at(self.clusters);
        let steps = S::as_simd_f32s(before).0.iter().zip(S::as_simd_f32s(after).0);
        steps.map(move |(before, after)| simd.mul_add_e_f32s(fraction, simd.sub_f32s(*after, *before), *before))
    }
}
