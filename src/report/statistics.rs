//! What the page says of many windows at once.

use std::iter::Sum;
use std::ops::Add;

use crate::report::WindowPoint;
use crate::report::scale::Scale;

/// How many windows and tokens there are, and how many of them were selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub windows: u64,
    pub selected: u64,
    pub tokens: u64,
    pub selected_tokens: u64,
}

impl Counts {
    pub fn of(windows: &[WindowPoint]) -> Self {
        let count = |window: &WindowPoint| Self {
            windows: 1,
            selected: u64::from(window.selected),
            tokens: window.tokens,
            selected_tokens: if window.selected { window.tokens } else { 0 },
        };
        windows.iter().map(count).sum()
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            selected: self.selected + other.selected,
            tokens: self.tokens + other.tokens,
            selected_tokens: self.selected_tokens + other.selected_tokens,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Self::add)
    }
}

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

    /// An axis with room for all the numbers.
    pub fn scale(&self, name: &'static str) -> Scale {
        Scale::of(name, [self.smallest, self.largest].into_iter())
    }

    /// Whether every number is finite: those that are not sort to the ends.
    pub fn is_finite(&self) -> bool {
        self.smallest.is_finite() && self.largest.is_finite()
    }
}

/// The lowest score that was selected.
pub fn cut(windows: &[WindowPoint]) -> Option<f64> {
    let selected = windows.iter().filter(|window| window.selected);
    selected.map(|window| window.long_distance_dependency_score).min_by(f64::total_cmp)
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

    #[test]
    fn a_spread_has_ends_and_a_middle() {
        let spread = |values: &[f64]| Spread::of(&windows(values), |window| window.long_distance_dependency_score);
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { smallest: 3.0, median: 3.0, largest: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { smallest: 1.0, median: 3.0, largest: 9.0 }));
    }

    #[test]
    fn a_spread_knows_of_numbers_that_are_not_finite() {
        for broken in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let spread = Spread::of(&windows(&[1.0, broken, 2.0]), |window| window.long_distance_dependency_score);
            assert!(!spread.unwrap().is_finite(), "{broken}");
        }
    }

    #[test]
    fn counts_add_up() {
        let window = |tokens, selected| WindowPoint { tokens, selected, ..WindowPoint::default() };
        let counts = Counts::of(&[window(5, true), window(7, false)]);
        assert_eq!(counts, Counts { windows: 2, selected: 1, tokens: 12, selected_tokens: 5 });
        assert_eq!([counts, counts].into_iter().sum::<Counts>().tokens, 24);
    }

    #[test]
    fn the_cut_is_the_lowest_selected_score() {
        assert_eq!(cut(&windows(&[12.0, 3.0, 10.5])), Some(10.5));
        assert_eq!(cut(&windows(&[3.0])), None);
    }
}
