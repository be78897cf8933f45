//! The bars of a histogram.

use std::collections::BTreeMap;

use crate::report::WindowPoint;
use crate::report::scale::Scale;

/// How many windows have a score between two places of the axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bar {
    pub from: f64,
    pub to: f64,
    pub selected: u64,
    pub others: u64,
}

/// The bars that are not empty, from left to right; the cut is where one of them begins.
pub fn bars(windows: &[WindowPoint], scale: &Scale, cut: Option<f64>) -> Vec<Bar> {
    let wanted = (1.5 * (windows.len() as f64).sqrt()).clamp(6.0, 40.0).round();
    let width = (scale.range.end - scale.range.start) / wanted;
    let origin = cut.unwrap_or(scale.range.start);
    let mut bars: BTreeMap<i64, Bar> = BTreeMap::new();
    for window in windows {
        let steps = ((scale.place(window.long_distance_dependency_score) - origin) / width).floor();
        let (from, to) = (origin + steps * width, origin + (steps + 1.0) * width);
        let bar = bars.entry(steps as i64).or_insert(Bar { from, to, ..Bar::default() });
        bar.selected += u64::from(window.selected);
        bar.others += u64::from(!window.selected);
    }
    bars.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(scores: &[f64], cut: f64) -> Vec<WindowPoint> {
        let window = |&score: &f64| WindowPoint {
            long_distance_dependency_score: score,
            selected: score >= cut,
            ..WindowPoint::default()
        };
        scores.iter().map(window).collect()
    }

    fn bars_of(scores: &[f64], cut: f64) -> Vec<Bar> {
        let scale = Scale::of("score", scores.iter().copied());
        bars(&windows(scores, cut), &scale, Some(cut))
    }

    #[test]
    fn every_window_is_in_one_bar() {
        let scores: Vec<f64> = (0..1000).map(|place| (f64::from(place) * 0.7).sin()).collect();
        let bars = bars_of(&scores, 0.3);
        let selected = scores.iter().filter(|&&score| score >= 0.3).count() as u64;
        assert_eq!(bars.iter().map(|bar| bar.selected).sum::<u64>(), selected);
        assert_eq!(bars.iter().map(|bar| bar.others).sum::<u64>(), 1000 - selected);
        assert!(bars.is_sorted_by(|left, right| left.to <= right.from + 1e-9));
    }

    #[test]
    fn no_bar_holds_windows_from_both_sides_of_the_cut() {
        let scores: Vec<f64> = (0..200).map(|place| f64::from(place) * 0.1).collect();
        for cut in &scores {
            assert!(bars_of(&scores, *cut).iter().all(|bar| bar.selected == 0 || bar.others == 0), "{cut}");
        }
    }

    #[test]
    fn equal_scores_share_one_visible_bar() {
        let bars = bars_of(&[0.0; 5], 0.0);
        assert_eq!((bars.len(), bars[0].selected), (1, 5));
        assert!(bars[0].to - bars[0].from > 0.01);
    }
}
