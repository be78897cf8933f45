//! Which layer, sinks and weight of uniformity to use.
//!
//! The best of many is best partly by luck, so it must not be judged by the windows that it was picked on. Documents are
//! therefore split into halves: what is picked on one half is measured on the other, both ways, and the mean of both tells
//! how well a layer does that is picked in this way (cross-fitting).

use super::estimate::{IntervalEstimate, Measured};

/// A cheaper layer is preferred where it is not worse by more than this.
pub const TOLERATED_LOSS: f64 = 0.02;

/// Standard deviations below which 95% of the normal distribution lie.
const ONE_SIDED: f64 = 1.644_854;

/// The place of the candidate to use: of those that are with 95% confidence at most [`TOLERATED_LOSS`] worse than the one
/// with the highest lower bound, the one of the lowest layer, and of these again the one with the highest lower bound.
/// Candidates come in the order of their layers, which `layers` names.
pub(super) fn pick(candidates: &[Measured], layers: &[usize]) -> usize {
    let low = |place: &usize| candidates[*place].overall.low;
    // The first of equal ones is the cheapest.
    let highest = |places: &[usize]| places.iter().copied().reduce(|a, b| if low(&b) > low(&a) { b } else { a });
    let all: Vec<_> = (0..candidates.len()).collect();
    let best = highest(&all).expect("there are candidates");
    let is_near = |place: &usize| {
        let loss = candidates[best].overall.value - candidates[*place].overall.value;
        loss + ONE_SIDED * candidates[best].error_of_difference(&candidates[*place]) <= TOLERATED_LOSS
    };
    let near: Vec<_> = all.into_iter().filter(is_near).collect();
    let of_lowest_layer: Vec<_> = near.iter().copied().filter(|place| layers[*place] == layers[near[0]]).collect();
    highest(&of_lowest_layer).unwrap_or(best)
}

/// How well what is picked on one half of the documents does on the other half.
pub(super) struct CrossFit {
    /// By category.
    pub categories: Vec<IntervalEstimate>,
    pub overall: IntervalEstimate,
    /// The places of the candidates that the halves picked.
    pub picked: [usize; 2],
}

/// Picks on each half and measures on the other; both halves hold the same candidates.
pub(super) fn cross_fit(halves: [&[Measured]; 2], layers: &[usize]) -> CrossFit {
    let picked = halves.map(|half| pick(half, layers));
    let [first, second] = [&halves[0][picked[1]], &halves[1][picked[0]]];
    let pairs = first.categories.iter().zip(&second.categories);
    CrossFit {
        categories: pairs.map(|(a, b)| IntervalEstimate::mean(&[*a, *b])).collect(),
        overall: IntervalEstimate::mean(&[first.overall, second.overall]),
        picked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A candidate whose influences are `spread` apart in two clusters.
    fn candidate(value: f64, spread: f64) -> Measured {
        let overall = IntervalEstimate { value, low: value - 0.1, high: value + 0.1 };
        Measured { categories: vec![overall], overall, influences: vec![spread, -spread] }
    }

    #[test]
    fn the_cheapest_that_is_surely_not_much_worse_is_picked() {
        let layers = [0, 4, 8];
        let pick = |values: [(f64, f64); 3]| pick(&values.map(|(value, spread)| candidate(value, spread)), &layers);
        assert_eq!(pick([(0.5, 0.0), (0.9, 0.0), (0.95, 0.0)]), 2);
        assert_eq!(pick([(0.5, 0.0), (0.94, 0.0), (0.95, 0.0)]), 1);
        // As good by its number, but with an error of the difference of 0.014.
        assert_eq!(pick([(0.5, 0.0), (0.94, 0.01), (0.95, 0.0)]), 2);
        assert_eq!(pick([(0.95, 0.0), (0.95, 0.0), (0.95, 0.0)]), 0);
    }

    #[test]
    fn within_a_layer_the_better_is_picked() {
        let candidates = [0.5, 0.95, 0.96, 0.96].map(|value| candidate(value, 0.0));
        assert_eq!(pick(&candidates, &[4, 4, 4, 9]), 2);
    }

    #[test]
    fn what_one_half_picks_is_measured_on_the_other() {
        let first = [candidate(0.9, 0.0), candidate(0.6, 0.0)];
        let second = [candidate(0.5, 0.0), candidate(0.8, 0.0)];
        let fit = cross_fit([&first, &second], &[0, 1]);
        assert_eq!(fit.picked, [0, 1]);
        assert!((fit.overall.value - 0.55).abs() < 1e-12);
        assert_eq!(fit.categories, [fit.overall]);
    }
}
