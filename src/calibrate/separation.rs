//! The spliced-window test: how often a statistic is higher for a real window than for a spliced one.
//!
//! The measure is the area under the ROC curve, AUC: over all pairs of a real and a spliced window, the share in which the
//! real one has the higher value, ties counting half (Mann and Whitney). Its interval is Newcombe's (2006, method 5): the
//! AUCs from which the measured one is not more than 1.96 standard errors away, the standard error being that of Hanley and
//! McNeil at each of them. So it has a width even where all pairs are in order, where bootstrap intervals and DeLong's have
//! none. Windows of one document may be alike; so the real windows count as the number of independent ones that tell as
//! much, by the intraclass correlation of their ranks.

use super::estimate::{
    DEVIATIONS, IntervalEstimate, Measured, Sample, effective_count, intraclass_correlation, ranks, sums_by_cluster,
};

/// AUC by category, and the mean over categories: pairs are only formed within a category.
pub(super) fn measure(samples: &[Sample]) -> Measured {
    let separations: Vec<_> = samples.iter().map(Separation::new).collect();
    let categories: Vec<_> = separations.iter().map(Separation::estimate).collect();
    let share = (samples.len() as f64).recip();
    let influences = separations.iter().flat_map(Separation::influences).map(|influence| influence * share);
    Measured { overall: IntervalEstimate::mean(&categories), influences: influences.collect(), categories }
}

struct Separation<'a> {
    sample: &'a Sample,
    real: Vec<usize>,
    auc: f64,
    /// For each window the share of the other side's that it is in the right order with.
    placements: Vec<f64>,
}

impl<'a> Separation<'a> {
    fn new(sample: &'a Sample) -> Self {
        let places = 0..sample.values.len();
        let (real, spliced): (Vec<_>, Vec<_>) = places.partition(|place| sample.targets[*place] > 0.5);
        let sorted = |side: &[usize]| {
            let mut values: Vec<_> = side.iter().map(|place| sample.values[*place]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let mut placements = vec![0.0; sample.values.len()];
        let others = sorted(&spliced);
        real.iter().for_each(|place| placements[*place] = share_below(sample.values[*place], &others));
        let others = sorted(&real);
        spliced.iter().for_each(|place| placements[*place] = 1.0 - share_below(sample.values[*place], &others));
        let auc = real.iter().map(|place| placements[*place]).sum::<f64>() / real.len() as f64;
        Self { sample, real, auc, placements }
    }

    fn estimate(&self) -> IntervalEstimate {
        let all_ranks = ranks(&self.sample.values);
        let ranks: Vec<_> = self.real.iter().map(|place| all_ranks[*place]).collect();
        let clusters: Vec<_> = self.real.iter().map(|place| self.sample.clusters[*place]).collect();
        let real = effective_count(&clusters, intraclass_correlation(&ranks, &clusters));
        interval(self.auc, real, (self.placements.len() - self.real.len()) as f64)
    }

    fn influences(&self) -> Vec<f64> {
        let (real, all) = (self.real.len() as f64, self.placements.len() as f64);
        let pairs = self.placements.iter().zip(&self.sample.targets);
        let influence = pairs.map(|(placement, target)| {
            let side = if *target > 0.5 { real } else { all - real };
            (placement - self.auc) / side
        });
        sums_by_cluster(influence, self.sample)
    }
}

/// The share of sorted values that are lower, equal ones counting half.
fn share_below(value: f64, sorted: &[f64]) -> f64 {
    let below = sorted.partition_point(|other| *other < value);
    let not_above = sorted.partition_point(|other| *other <= value);
    (below + not_above) as f64 / (2 * sorted.len()) as f64
}

fn interval(auc: f64, real: f64, spliced: f64) -> IntervalEstimate {
    let is_possible = |candidate: f64| {
        let size = (real + spliced) / 2.0;
        let ties = (1.0 - candidate) / (2.0 - candidate) + candidate / (1.0 + candidate);
        let variance = candidate * (1.0 - candidate) * (1.0 + (size - 1.0) * ties) / (real * spliced);
        (candidate - auc).abs() <= DEVIATIONS * variance.sqrt()
    };
    IntervalEstimate { value: auc, low: end(auc, 0.0, is_possible), high: end(auc, 1.0, is_possible) }
}

/// Where between `inside` and `outside` what is possible ends, by bisection.
fn end(inside: f64, outside: f64, is_possible: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, outside);
    for _ in 0..60 {
        let middle = (inside + outside) / 2.0;
        *(if is_possible(middle) { &mut inside } else { &mut outside }) = middle;
    }
    (inside + outside) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sample(real: &[f64], spliced: &[f64]) -> Sample {
        Sample {
            values: [real, spliced].concat(),
            targets: [vec![1.0; real.len()], vec![0.0; spliced.len()]].concat(),
            clusters: (0..real.len() + spliced.len()).collect(),
        }
    }

    fn auc(real: &[f64], spliced: &[f64]) -> f64 {
        measure(&[sample(real, spliced)]).overall.value
    }

    #[test]
    fn pairs_in_order_count_and_ties_count_half() {
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        assert_eq!(auc(&[1.0], &[2.0]), 0.0);
        // Of the six pairs 2>1, 4>1, 4>2, 4>3 are in order, 2 and 2 are equal, 2<3 is not.
        assert_eq!(auc(&[2.0, 4.0], &[1.0, 2.0, 3.0]), 4.5 / 6.0);
        assert_eq!(auc(&[7.0; 3], &[7.0; 5]), 0.5);
    }

    #[test]
    fn the_interval_is_newcombes() {
        // All of 10 by 10 pairs in order: 1 − A = 1.96² · A(1 − A)/100 · (1 + 9 · ((1 − A)/(2 − A) + A/(1 + A))) at the end.
        let IntervalEstimate { value, low, high } = interval(1.0, 10.0, 10.0);
        assert_eq!((value, high), (1.0, 1.0));
        let ties = (1.0 - low) / (2.0 - low) + low / (1.0 + low);
        let variance = low * (1.0 - low) / 100.0 * (1.0 + 9.0 * ties);
        assert!((1.0 - low - 1.959_964 * variance.sqrt()).abs() < 1e-9);
        assert!((0.80..0.90).contains(&low), "{low}");
        let reversed = interval(0.0, 10.0, 10.0);
        assert!((reversed.high - (1.0 - low)).abs() < 1e-9 && reversed.low == 0.0);
    }

    #[test]
    fn alike_windows_of_a_document_widen_the_interval() {
        let mut sample = sample(&[9.0, 9.0, 9.0, 3.0, 3.0, 3.0], &[1.0, 2.0, 4.0, 5.0, 6.0, 7.0]);
        let independent = measure(std::slice::from_ref(&sample)).overall;
        sample.clusters[..6].copy_from_slice(&[0, 0, 0, 1, 1, 1]);
        let alike = measure(&[sample]).overall;
        assert_eq!(alike.value, independent.value);
        assert!(alike.width() > 1.2 * independent.width(), "{alike:?} {independent:?}");
    }

    #[test]
    fn the_influences_are_delongs() {
        let [a, b] =
            [sample(&[2.0, 4.0], &[1.0, 2.0, 3.0]), sample(&[5.0, 4.0], &[1.0, 2.0, 3.0])].map(|s| measure(&[s]));
        // Placements of the real windows are 0.5 and 1 with mean 0.75, of the spliced ones 1, 0.75 and 0.5.
        let expected = [-0.125, 0.125, 0.25 / 3.0, 0.0, -0.25 / 3.0];
        assert!(a.influences.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", a.influences);
        assert!(b.influences.iter().all(|influence| *influence == 0.0));
        let error = expected.iter().map(|influence| influence * influence).sum::<f64>().sqrt();
        assert!((a.error_of_difference(&b) - error).abs() < 1e-12);
        assert_eq!(a.error_of_difference(&a), 0.0);
    }

    /// Windows of documents that share a random part, against windows that mix the parts of many documents.
    fn simulated(documents: usize, each: usize, shift: f64, alike: f64, random: &mut Random) -> Sample {
        let shared: Vec<_> = (0..documents).map(|_| alike.sqrt() * random.normal()).collect();
        let own = (1.0 - alike).sqrt();
        let count = documents * each;
        let mut sample = Sample { values: Vec::new(), targets: Vec::new(), clusters: Vec::new() };
        for window in 0..2 * count {
            let is_real = window < count;
            let document = window % documents;
            let pieces = 8;
            let common = match is_real {
                true => shift + shared[document],
                false => (0..pieces).map(|_| shared[random.below(documents)]).sum::<f64>() / f64::from(pieces),
            };
            sample.values.push(common + own * random.normal());
            sample.targets.push(if is_real { 1.0 } else { 0.0 });
            sample.clusters.push(if is_real { document } else { documents + window - count });
        }
        sample
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut random = Random(3);
        for (documents, each) in [(4, 8), (8, 4), (33, 1), (33, 3)] {
            for shift in [0.0, 0.9, 2.0, 3.0] {
                for alike in [0.1, 0.5] {
                    let many = simulated(4000, 1, shift, alike, &mut random);
                    let truth = measure(&[many]).overall.value;
                    let draws = 400;
                    let covers = |_| {
                        let IntervalEstimate { low, high, .. } =
                            measure(&[simulated(documents, each, shift, alike, &mut random)]).overall;
                        low <= truth && truth <= high
                    };
                    let share = (0..draws).map(covers).filter(|covers| *covers).count() as f64 / f64::from(draws);
                    // 0.95 less three standard errors of a share of 400.
                    assert!(share > 0.917, "{share} of {documents} by {each}, shift {shift}, alike {alike}");
                }
            }
        }
    }
}
