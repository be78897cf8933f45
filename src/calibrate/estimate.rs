//! Estimates with intervals, from windows of which those of one document may be alike.

use serde::Serialize;

/// Standard deviations from the mean to the ends of a 95% interval of the normal distribution.
pub(super) const DEVIATIONS: f64 = 1.959_964;

/// A number and its 95% confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IntervalEstimate {
    /// The number as measured.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl IntervalEstimate {
    /// The length of the interval.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// The mean of independent estimates, by the method of Zou and Donner (2008): the distances to the ends of the
    /// intervals add up like standard errors.
    pub(super) fn mean(estimates: &[Self]) -> Self {
        let count = estimates.len() as f64;
        let value = estimates.iter().map(|estimate| estimate.value).sum::<f64>() / count;
        let reach = |reach: fn(&Self) -> f64| {
            estimates.iter().map(|estimate| reach(estimate).powi(2)).sum::<f64>().sqrt() / count
        };
        let low = value - reach(|estimate| estimate.value - estimate.low);
        Self { value, low, high: value + reach(|estimate| estimate.high - estimate.value) }
    }
}

/// What a statistic says of the windows of one category, and what is true of them.
pub(super) struct Sample {
    pub values: Vec<f64>,
    /// 1 for a real window and 0 for a spliced one, or the information gain.
    pub targets: Vec<f64>,
    /// The cluster of each window, from 0: windows of one cluster may be alike.
    pub clusters: Vec<usize>,
}

impl Sample {
    pub fn cluster_count(&self) -> usize {
        self.clusters.iter().max().map_or(0, |last| last + 1)
    }
}

/// How well a statistic agrees with the truth.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// By category.
    pub categories: Vec<IntervalEstimate>,
    pub overall: IntervalEstimate,
    /// How far each cluster of each category moves the overall value, to first order.
    pub influences: Vec<f64>,
}

impl Measured {
    /// The standard error of the difference of two statistics on the same windows.
    pub fn error_of_difference(&self, other: &Self) -> f64 {
        let pairs = self.influences.iter().zip(&other.influences);
        pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }
}

/// The sums of values by cluster.
pub(super) fn sums_by_cluster(values: impl Iterator<Item = f64>, sample: &Sample) -> Vec<f64> {
    let mut sums = vec![0.0; sample.cluster_count()];
    values.zip(&sample.clusters).for_each(|(value, cluster)| sums[*cluster] += value);
    sums
}

/// The ranks of values from 1, the mean rank for equal ones.
pub(super) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = below as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|place| ranks[*place] = rank);
        below += equal.len();
    }
    ranks
}

/// How alike the values of one cluster are: the intraclass correlation, by the analysis of variance (Donner, 1986), from 0
/// for not at all to 1 for equal. Nothing is known from clusters of one value each, which count as not alike, nor from a
/// single cluster, which counts as one value.
pub(super) fn intraclass_correlation(values: &[f64], clusters: &[usize]) -> f64 {
    let sizes = cluster_sizes(clusters);
    let (count, groups) = (values.len() as f64, sizes.iter().filter(|size| **size > 0.0).count() as f64);
    if groups == count {
        return 0.0;
    }
    if groups == 1.0 {
        return 1.0;
    }
    let mut means = vec![0.0; sizes.len()];
    values.iter().zip(clusters).for_each(|(value, cluster)| means[*cluster] += value / sizes[*cluster]);
    let mean = values.iter().sum::<f64>() / count;
    let within: f64 = values.iter().zip(clusters).map(|(value, cluster)| (value - means[*cluster]).powi(2)).sum();
    let between: f64 = sizes.iter().zip(&means).map(|(size, of_cluster)| size * (of_cluster - mean).powi(2)).sum();
    let (within, between) = (within / (count - groups), between / (groups - 1.0));
    let usual_size = (count - sizes.iter().map(|size| size * size).sum::<f64>() / count) / (groups - 1.0);
    let total = between + (usual_size - 1.0) * within;
    if total > 0.0 { ((between - within) / total).clamp(0.0, 1.0) } else { 1.0 }
}

/// The number of independent values that tell as much as these, whose intraclass correlation is given.
pub(super) fn effective_count(clusters: &[usize], correlation: f64) -> f64 {
    let count = clusters.len() as f64;
    let mean_size = cluster_sizes(clusters).iter().map(|size| size * size).sum::<f64>() / count;
    count / (1.0 + (mean_size - 1.0) * correlation)
}

fn cluster_sizes(clusters: &[usize]) -> Vec<f64> {
    let mut sizes = vec![0.0; clusters.iter().max().map_or(0, |last| last + 1)];
    clusters.iter().for_each(|cluster| sizes[*cluster] += 1.0);
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, low: f64, high: f64) -> IntervalEstimate {
        IntervalEstimate { value, low, high }
    }

    #[test]
    fn the_interval_of_a_mean_is_narrower() {
        let mean = IntervalEstimate::mean(&[estimate(0.8, 0.5, 0.9), estimate(0.6, 0.2, 1.0)]);
        // 0.7 minus half the root of 0.3² + 0.4², plus half the root of 0.1² + 0.4².
        assert!((mean.value - 0.7).abs() < 1e-12 && (mean.low - 0.45).abs() < 1e-12);
        assert!((mean.high - (0.7 + 0.17f64.sqrt() / 2.0)).abs() < 1e-12);
        let alone = estimate(0.8, 0.5, 0.9);
        let mean = IntervalEstimate::mean(&[alone]);
        assert!((mean.low - alone.low).abs() < 1e-12 && (mean.high - alone.high).abs() < 1e-12);
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ranks(&[5.0, 5.0, 5.0]), [2.0, 2.0, 2.0]);
    }

    #[test]
    fn clusters_of_equal_values_count_as_one_value_each() {
        let clusters = [0, 0, 0, 1, 1, 1];
        let correlation = intraclass_correlation(&[1.0, 1.0, 1.0, 5.0, 5.0, 5.0], &clusters);
        assert_eq!(correlation, 1.0);
        assert_eq!(effective_count(&clusters, correlation), 2.0);
        assert_eq!(effective_count(&clusters, 0.0), 6.0);
    }

    #[test]
    fn the_intraclass_correlation_is_that_of_the_textbook() {
        // Within clusters the mean square is (0.5 + 0.5 + 0.5) / 3, between them 2 · (4 + 0 + 4) / 2.
        let correlation = intraclass_correlation(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0, 0, 1, 1, 2, 2]);
        assert!((correlation - (8.0 - 0.5) / (8.0 + 0.5)).abs() < 1e-12);
        // Values that differ within clusters more than between them are not alike.
        assert_eq!(intraclass_correlation(&[1.0, 9.0, 2.0, 8.0], &[0, 0, 1, 1]), 0.0);
    }

    #[test]
    fn lone_and_single_clusters_have_their_convention() {
        assert_eq!(intraclass_correlation(&[1.0, 2.0, 4.0], &[0, 1, 2]), 0.0);
        let correlation = intraclass_correlation(&[1.0, 2.0, 4.0], &[0, 0, 0]);
        assert_eq!(effective_count(&[0, 0, 0], correlation), 1.0);
    }
}
