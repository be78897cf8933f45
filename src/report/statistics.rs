//! What the page says of many windows at once.

use crate::report::WindowPoint;

/// The ends and the middle of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub smallest: f64,
    pub median: f64,
    pub largest: f64,
}

impl Spread {
    /// The spread of one quantity, none where there is no window.
    pub fn of(windows: &[WindowPoint], quantity: impl Fn(&WindowPoint) -> f64) -> Option<Self> {
        let mut values: Vec<f64> = windows.iter().map(quantity).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (smallest, largest) = (*values.first()?, *values.last()?);
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { smallest, median: below / 2.0 + above / 2.0, largest })
    }
}

/// The lowest score that was selected.
pub fn cut(windows: &[WindowPoint]) -> Option<f64> {
    let selected = windows.iter().filter(|window| window.selected);
    selected.map(|window| window.long_distance_dependency_score).min_by(f64::total_cmp)
}

/// How many windows were selected.
pub fn selected_count(windows: &[WindowPoint]) -> u64 {
    windows.iter().filter(|window| window.selected).count() as u64
}

/// At most `limit` windows of each kind, evenly spaced in the order of their scores: the selected and the others.
pub fn thinned(windows: &[WindowPoint], limit: usize) -> [Vec<WindowPoint>; 2] {
    let (selected, others) = windows.iter().partition(|window| window.selected);
    [selected, others].map(|kind| evenly_spaced(kind, limit))
}

fn evenly_spaced(mut windows: Vec<WindowPoint>, limit: usize) -> Vec<WindowPoint> {
    windows.sort_unstable_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal));
    if windows.len() <= limit {
        return windows;
    }
    let last = windows.len() - 1;
    (0..limit).map(|place| windows[place * last / (limit - 1).max(1)]).collect()
}

fn order(window: &WindowPoint) -> [f64; 3] {
    [window.long_distance_dependency_score, window.dependency_strength, window.distribution_uniformity]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(scores: &[f64]) -> Vec<WindowPoint> {
        let window = |&score: &f64| WindowPoint {
            long_distance_dependency_score: score,
            selected: score >= 10.0,
            ..WindowPoint::default()
        };
        scores.iter().map(window).collect()
    }

    fn scores(windows: &[WindowPoint]) -> Vec<f64> {
        windows.iter().map(|window| window.long_distance_dependency_score).collect()
    }

    #[test]
    fn a_spread_has_ends_and_a_middle() {
        let spread = |values: &[f64]| Spread::of(&windows(values), |window| window.long_distance_dependency_score);
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { smallest: 3.0, median: 3.0, largest: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { smallest: 1.0, median: 3.0, largest: 9.0 }));
    }

    #[test]
    fn the_cut_is_the_lowest_selected_score() {
        assert_eq!(cut(&windows(&[12.0, 3.0, 10.5])), Some(10.5));
        assert_eq!(cut(&windows(&[3.0])), None);
    }

    #[test]
    fn thinning_keeps_both_ends_of_both_kinds_whatever_the_order() {
        let mut values: Vec<f64> = (0..100).map(f64::from).collect();
        let [selected, others] = thinned(&windows(&values), 4);
        assert_eq!(scores(&selected), [10.0, 39.0, 69.0, 99.0]);
        assert_eq!(scores(&others), [0.0, 3.0, 6.0, 9.0]);
        values.reverse();
        assert_eq!(thinned(&windows(&values), 4), [selected, others]);
    }
}
