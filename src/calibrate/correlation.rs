//! Rank correlation of a statistic with the information gain of real windows.
//!
//! The measure is Spearman's correlation within categories; the overall one pools the ranks that windows have within their
//! categories, so that differences between categories play no part. Intervals are by Fisher's transformation with the
//! standard error of Bonett and Wright (2000). Windows of one document may be alike; so windows count as the number of
//! independent ones that tell as much, by the geometric mean of the intraclass correlations of both ranks.

use super::estimate::{
    DEVIATIONS, IntervalEstimate, Measured, Sample, effective_count, intraclass_correlation, ranks, sums_by_cluster,
};

/// Closer to 1, Fisher's transformation leaves the numbers.
const MOST: f64 = 0.999_999;

/// A smaller share of a sum of squares is rounding.
const ROUNDING: f64 = 1e-12;

/// The rank correlation by category, and of the pooled ranks.
pub(super) fn measure(samples: &[Sample]) -> Measured {
    correlate(&samples.iter().map(Ranked::new).collect::<Vec<_>>())
}

/// The partial rank correlation by category, and pooled: of what is left of the ranks of both once what they owe to those of a
/// control is taken away, by a regression within each category. It tells what a statistic knows that the control does not.
pub(super) fn measure_given(samples: &[Sample], controls: &[Sample]) -> Measured {
    let pairs = samples.iter().zip(controls);
    correlate(&pairs.map(|(sample, control)| Ranked::new(sample).given(&control.values)).collect::<Vec<_>>())
}

fn correlate(ranked: &[Ranked]) -> Measured {
    let correlation_of = |ranked: &[Ranked]| {
        let moments: Moments = ranked.iter().map(Ranked::moments).fold(Moments::default(), Moments::plus);
        let freedom = ranked.iter().map(Ranked::freedom).sum();
        (moments, interval(moments.correlation(), freedom))
    };
    let (moments, overall) = correlation_of(ranked);
    Measured {
        categories: ranked.iter().map(|ranked| correlation_of(std::slice::from_ref(ranked)).1).collect(),
        overall,
        influences: ranked.iter().flat_map(|ranked| ranked.influences(&moments)).collect(),
    }
}

/// The ranks of both in a category, centred, as shares of the category, or what a control leaves of them.
struct Ranked<'a> {
    sample: &'a Sample,
    values: Vec<f64>,
    targets: Vec<f64>,
    /// Statistics that were taken away.
    controls: usize,
}

/// Sums of products.
#[derive(Clone, Copy, Default)]
struct Moments {
    values: f64,
    targets: f64,
    both: f64,
}

impl Moments {
    fn plus(self, other: Self) -> Self {
        Self { values: self.values + other.values, targets: self.targets + other.targets, both: self.both + other.both }
    }

    /// 0 where one side is the same for all.
    fn correlation(&self) -> f64 {
        let scale = (self.values * self.targets).sqrt();
        if scale > 0.0 { (self.both / scale).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

impl<'a> Ranked<'a> {
    fn new(sample: &'a Sample) -> Self {
        Self { sample, values: centred_ranks(&sample.values), targets: centred_ranks(&sample.targets), controls: 0 }
    }

    /// What a control leaves of the ranks.
    fn given(self, control: &[f64]) -> Self {
        let control = centred_ranks(control);
        let [values, targets] = [&self.values, &self.targets].map(|ranks| residuals(ranks, &control));
        Self { values, targets, controls: self.controls + 1, ..self }
    }

    /// Degrees of freedom of Fisher's transformation.
    fn freedom(&self) -> f64 {
        self.effective_count() - 3.0 - self.controls as f64
    }

    fn moments(&self) -> Moments {
        Moments {
            values: product(&self.values, &self.values),
            targets: product(&self.targets, &self.targets),
            both: product(&self.values, &self.targets),
        }
    }

    fn effective_count(&self) -> f64 {
        let clusters = &self.sample.clusters;
        let correlations = [&self.values, &self.targets].map(|ranks| intraclass_correlation(ranks, clusters));
        effective_count(clusters, (correlations[0] * correlations[1]).sqrt())
    }

    /// `(x·y − r/2 · (x² + y²)) / n` in units of the deviations.
    fn influences(&self, moments: &Moments) -> Vec<f64> {
        if moments.values * moments.targets == 0.0 {
            return vec![0.0; self.sample.cluster_count()];
        }
        let half = moments.correlation() / 2.0;
        let pairs = self.values.iter().zip(&self.targets);
        let influence = pairs.map(|(value, target)| {
            value * target / (moments.values * moments.targets).sqrt()
                - half * (value * value / moments.values + target * target / moments.targets)
        });
        sums_by_cluster(influence, self.sample)
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Ranks around their mean, as shares of their number.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    ranks(values).into_iter().map(|rank| (rank - (count + 1.0) / 2.0) / count).collect()
}

/// What the control leaves of centred ranks, by least squares; nothing where that is no more than rounding.
fn residuals(ranks: &[f64], control: &[f64]) -> Vec<f64> {
    let spread = product(control, control);
    if spread == 0.0 {
        return ranks.to_vec();
    }
    let slope = product(ranks, control) / spread;
    let left: Vec<_> = ranks.iter().zip(control).map(|(rank, control)| rank - slope * control).collect();
    match product(&left, &left) > ROUNDING * product(ranks, ranks) {
        true => left,
        false => vec![0.0; ranks.len()],
    }
}

fn interval(correlation: f64, freedom: f64) -> IntervalEstimate {
    let error = ((1.0 + correlation.powi(2) / 2.0) / freedom.max(1.0)).sqrt();
    let centre = correlation.clamp(-MOST, MOST).atanh();
    let [low, high] = [-DEVIATIONS, DEVIATIONS].map(|deviations| (centre + deviations * error).tanh());
    IntervalEstimate { value: correlation, low: low.min(correlation), high: high.max(correlation) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn sample(values: &[f64], targets: &[f64]) -> Sample {
        Sample { values: values.to_vec(), targets: targets.to_vec(), clusters: (0..values.len()).collect() }
    }

    #[test]
    fn correlations_are_those_of_ranks() {
        let values = [0.1, 0.2, 0.3, 4.0, 500.0];
        let measured = measure(&[sample(&values, &[1.0, 2.0, 3.0, 5.0, 4.0])]);
        // 1 − 6 · (1 + 1) / (5 · 24).
        assert!((measured.overall.value - 0.9).abs() < 1e-12);
        assert!(measured.influences.iter().sum::<f64>().abs() < 1e-12);
        assert_eq!(measure(&[sample(&values, &[1.0; 5])]).overall.value, 0.0);
    }

    #[test]
    fn pooling_ignores_differences_between_categories() {
        // Within each category the order is reversed, though the second is higher in both.
        let [low, high] = [0.0, 100.0].map(|shift| sample(&[shift + 1.0, shift + 2.0], &[shift + 2.0, shift + 1.0]));
        let measured = measure(&[low, high]);
        assert!((measured.overall.value + 1.0).abs() < 1e-12);
        assert_eq!(measured.categories.len(), 2);
    }

    #[test]
    fn the_interval_is_fishers_with_the_error_of_bonett_and_wright() {
        let IntervalEstimate { low, high, .. } = interval(0.6, 100.0);
        let reach = 1.959_964 * (1.18f64 / 100.0).sqrt();
        assert!((high - (0.6f64.atanh() + reach).tanh()).abs() < 1e-12);
        assert!((low - (0.6f64.atanh() - reach).tanh()).abs() < 1e-12);
        // Of hardly any windows nothing is known.
        assert!(interval(0.0, -2.0).width() > 1.9);
        assert_eq!(interval(1.0, 100.0).high, 1.0);
    }

    #[test]
    fn a_partial_correlation_is_that_of_its_formula() {
        let (values, targets) = ([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0], [2.0, 7.0, 1.0, 8.0, 2.8, 1.9, 5.0]);
        let control = [1.0, 4.0, 2.0, 3.0, 7.0, 5.0, 6.0];
        let between = |a: &[f64], b: &[f64]| measure(&[sample(a, b)]).overall.value;
        let (vt, vc, tc) = (between(&values, &targets), between(&values, &control), between(&targets, &control));
        let expected = (vt - vc * tc) / ((1.0 - vc * vc) * (1.0 - tc * tc)).sqrt();
        let found = measure_given(&[sample(&values, &targets)], &[sample(&control, &targets)]);
        assert!((found.overall.value - expected).abs() < 1e-12, "{} {expected}", found.overall.value);
        assert!(
            found.overall.width() > measure(&[sample(&values, &targets)]).overall.width(),
            "a control costs freedom"
        );
        // The control itself, in another unit, knows nothing more.
        let itself = measure_given(&[sample(&control.map(f64::exp), &targets)], &[sample(&control, &targets)]);
        assert!(itself.overall.value == 0.0 && itself.overall.low < 0.0 && itself.overall.high > 0.0);
    }

    #[test]
    fn partial_intervals_cover_the_truth_as_often_as_they_say() {
        let mut random = Random(6);
        // How the value and the target hang on the control, and the target on what else the value is.
        for (value, target, own) in [(0.0, 0.0, 0.0), (0.9, 0.8, 0.0), (0.7, 0.6, 0.5), (0.5, 0.0, 0.8)] {
            let spearman = |pearson: f64| 6.0 / std::f64::consts::PI * (pearson / 2.0).asin();
            let rest = |share: f64| (1.0 - share * share).sqrt();
            let (vc, tc) = (spearman(value), spearman(target));
            let vt = spearman(value * target + rest(value) * rest(target) * own);
            let truth = (vt - vc * tc) / (rest(vc) * rest(tc));
            let mut covers = || {
                let mut all = [sample(&[], &[]), sample(&[], &[])];
                for window in 0..40 {
                    let [control, more, noise] = [random.normal(), random.normal(), random.normal()];
                    all[0].values.push(value * control + rest(value) * more);
                    all[0].targets.push(target * control + rest(target) * (own * more + rest(own) * noise));
                    all[1].values.push(control);
                    all.iter_mut().for_each(|sample| sample.clusters.push(window));
                }
                let [sample, control] = all;
                let IntervalEstimate { low, high, .. } = measure_given(&[sample], &[control]).overall;
                low <= truth && truth <= high
            };
            let share = (0..400).filter(|_| covers()).count() as f64 / 400.0;
            assert!(share > 0.917, "{share} of {value} {target} {own}");
        }
    }

    /// Two normal numbers with a correlation between documents and one within them.
    fn simulated(documents: usize, each: usize, correlations: [f64; 2], alike: f64, random: &mut Random) -> Sample {
        let mut pair = |correlation: f64, variance: f64| {
            let first = random.normal();
            let second = correlation * first + (1.0 - correlation * correlation).sqrt() * random.normal();
            [variance.sqrt() * first, variance.sqrt() * second]
        };
        let shared: Vec<_> = (0..documents).map(|_| pair(correlations[0], alike)).collect();
        let mut sample = sample(&[], &[]);
        for window in 0..documents * each {
            let own = pair(correlations[1], 1.0 - alike);
            sample.clusters.push(window % documents);
            sample.values.push(shared[window % documents][0] + own[0]);
            sample.targets.push(shared[window % documents][1] + own[1]);
        }
        sample
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut random = Random(4);
        for (categories, documents, each) in [(1, 5, 8), (1, 20, 2), (1, 40, 1), (3, 10, 4)] {
            for (correlations, alike) in [([0.0, 0.0], 0.3), ([0.7, 0.7], 0.7), ([0.9, 0.2], 0.7), ([0.0, 0.8], 0.6)] {
                // Pearson's correlation of normal numbers, and from it Spearman's.
                let pearson: f64 = correlations[0] * alike + correlations[1] * (1.0 - alike);
                let truth = 6.0 / std::f64::consts::PI * (pearson / 2.0).asin();
                let draws = 400;
                let covers = |_| {
                    let samples = (0..categories).map(|_| simulated(documents, each, correlations, alike, &mut random));
                    let IntervalEstimate { low, high, .. } = measure(&samples.collect::<Vec<_>>()).overall;
                    low <= truth && truth <= high
                };
                let share = (0..draws).map(covers).filter(|covers| *covers).count() as f64 / f64::from(draws);
                // 0.95 less three standard errors of a share of 400.
                assert!(share > 0.917, "{share} of {categories} by {documents} by {each}, {correlations:?} {alike}");
            }
        }
    }
}
