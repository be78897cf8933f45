//! The points of a scatter chart: a bounded number of a category's windows.

use std::cmp::Ordering;

use crate::report::WindowPoint;

/// A window's place in a scatter chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub dependency_strength: f64,
    pub distribution_uniformity: f64,
}

/// Windows of both kinds, each in the order of their scores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    pub selected: Vec<Point>,
    pub others: Vec<Point>,
}

impl Points {
    /// At most `limit` windows of each kind, evenly spaced in the order of their scores.
    pub fn of(windows: &[WindowPoint], limit: usize) -> Self {
        let (selected, others): (Vec<_>, Vec<_>) = windows.iter().partition(|window| window.selected);
        let [selected, others] = [selected, others].map(|mut kind: Vec<&WindowPoint>| {
            kind.sort_unstable_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(Ordering::Equal));
            evenly_spaced(&kind, limit).map(|window| Point::of(window)).collect()
        });
        Self { selected, others }
    }

    /// At most `limit` of the points of each kind, evenly spaced.
    pub fn thinned(&self, limit: usize) -> Self {
        let [selected, others] =
            [&self.selected, &self.others].map(|kind| evenly_spaced(kind, limit).copied().collect());
        Self { selected, others }
    }

    pub fn len(&self) -> usize {
        self.selected.len() + self.others.len()
    }
}

impl Point {
    fn of(window: &WindowPoint) -> Self {
        Self {
            dependency_strength: window.dependency_strength,
            distribution_uniformity: window.distribution_uniformity,
        }
    }
}

fn evenly_spaced<T>(sorted: &[T], limit: usize) -> impl Iterator<Item = &T> {
    let count = sorted.len().min(limit);
    (0..count).map(move |place| &sorted[place * (sorted.len() - 1) / (count - 1).max(1)])
}

fn order(window: &WindowPoint) -> [f64; 3] {
    [window.long_distance_dependency_score, window.dependency_strength, window.distribution_uniformity]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of which those with strengths from 10 up are selected.
    fn windows(strengths: impl Iterator<Item = u32>) -> Vec<WindowPoint> {
        let window = |strength: f64| WindowPoint {
            dependency_strength: strength,
            long_distance_dependency_score: strength,
            selected: strength >= 10.0,
            ..WindowPoint::default()
        };
        strengths.map(f64::from).map(window).collect()
    }

    fn strengths(points: &[Point]) -> Vec<f64> {
        points.iter().map(|point| point.dependency_strength).collect()
    }

    #[test]
    fn thinning_keeps_both_ends_of_both_kinds_whatever_the_order() {
        let points = Points::of(&windows(0..100), 4);
        assert_eq!(strengths(&points.selected), [10.0, 39.0, 69.0, 99.0]);
        assert_eq!(strengths(&points.others), [0.0, 3.0, 6.0, 9.0]);
        assert_eq!(Points::of(&windows((0..100).rev()), 4), points);
    }

    #[test]
    fn few_points_are_all_kept_and_can_be_thinned_later() {
        let points = Points::of(&windows(0..14), 10);
        assert_eq!(points.len(), 14);
        assert_eq!(points.thinned(10), points);
        assert_eq!(strengths(&points.thinned(3).others), [0.0, 4.0, 9.0]);
        assert_eq!(strengths(&points.thinned(1).selected), [10.0]);
    }
}
