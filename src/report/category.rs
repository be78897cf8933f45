//! What is kept of the windows of one category.

use std::cmp::Reverse;

use crate::report::bars::{Bar, bars};
use crate::report::points::Points;
use crate::report::scale::Scale;
use crate::report::statistics::{Counts, Spread, cut};
use crate::report::text;
use crate::report::whole_text::WholeText;

/// Characters of a name.
pub const NAME_LENGTH: usize = 80;
/// Characters of an id or a source.
pub const PLACE_LENGTH: usize = 200;
const EXCERPT_LENGTH: usize = 200;
/// Examples of one kind.
const MOST_EXAMPLES: usize = 5;
/// Points that are kept of either kind.
pub const MOST_POINTS_OF_A_KIND: usize = 500;

/// What a report tells of windows that competed with each other. It takes some 20 KB at most and its whole texts, however many
/// windows there are and however long their ids.
#[derive(Clone, Debug, Default)]
pub struct CategoryReport {
    pub(super) name: String,
    pub(super) counts: Counts,
    /// None where there is no window.
    pub(super) spreads: Option<Spreads>,
    /// The lowest score that was selected.
    pub(super) cut: Option<f64>,
    /// The histogram of the scores, on the axis that their spread gives.
    pub(super) bars: Vec<Bar>,
    pub(super) points: Points,
    pub(super) best: Vec<Example>,
    pub(super) worst: Vec<Example>,
    /// The last windows that were taken, the nearest to the cut last.
    pub(super) above_cut: Vec<Example>,
    /// The first windows that were left, the nearest to the cut first.
    pub(super) below_cut: Vec<Example>,
}

/// The spread of each of a window's numbers.
#[derive(Clone, Copy, Debug)]
pub struct Spreads {
    pub dependency_strength: Spread,
    pub distribution_uniformity: Spread,
    pub long_distance_dependency_score: Spread,
}

/// One window's numbers. They must be finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowPoint {
    /// DS: the mean share of attention that goes far back.
    pub dependency_strength: f64,
    /// DU: minus the variance of the far attention; at most 0.
    pub distribution_uniformity: f64,
    /// LDS: both together, standardised within the category.
    pub long_distance_dependency_score: f64,
    /// Tokens of the window.
    pub tokens: u64,
    /// Whether the window was selected.
    pub selected: bool,
}

/// A window to show in words.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// The window's id.
    pub id: String,
    /// Where it comes from, such as the corpus file and the place of the document in it.
    pub source: String,
    /// The window's text or its beginning; the first 200 characters are kept.
    pub text: String,
    /// The text that the page opens; by default none.
    pub whole_text: WholeText,
    /// The mean share of a token's attention that goes to the distances 0, 1, 2 to 3, 4 to 7 and so on; empty where it was
    /// not measured.
    pub distance_profile: Vec<f64>,
    /// From how many tokens on attention is far.
    pub min_distance: u64,
    /// The window's numbers.
    pub window: WindowPoint,
}

/// What there is to read of a window.
#[derive(Clone, Debug, Default)]
pub struct WindowText {
    /// As [`Example::text`].
    pub excerpt: String,
    /// As [`Example::whole_text`].
    pub whole_text: WholeText,
    /// As [`Example::distance_profile`].
    pub distance_profile: Vec<f64>,
    /// As [`Example::min_distance`].
    pub min_distance: u64,
}

impl CategoryReport {
    /// Sums up a category: its name, every window of it in any order, and a few windows with the highest scores, best first,
    /// and with the lowest, worst first. Of the examples of either kind the first five are kept.
    pub fn new(name: String, windows: &[WindowPoint], best: Vec<Example>, worst: Vec<Example>) -> Self {
        let spreads = Spreads::of(windows);
        let cut = cut(windows);
        let histogram = |spreads: Spreads| {
            let scale = spreads.score_scale();
            bars(windows, &scale, cut.map(|cut| scale.place(cut)))
        };
        Self {
            name: text::name(&name, NAME_LENGTH),
            counts: Counts::of(windows),
            spreads,
            cut,
            bars: spreads.map(histogram).unwrap_or_default(),
            points: Points::of(windows, MOST_POINTS_OF_A_KIND),
            best: shortened(best),
            worst: shortened(worst),
            above_cut: Vec::new(),
            below_cut: Vec::new(),
        }
    }

    /// Adds the windows next to the cut, at most five of either kind: the last ones that were taken and the first ones that
    /// were left, each with the better first.
    pub fn set_next_to_cut(&mut self, above: Vec<Example>, below: Vec<Example>) {
        (self.above_cut, self.below_cut) = (shortened(above), shortened(below));
    }

    /// Gives the examples their texts, each with as much of the whole as has room: the best ones first, then the worst, those
    /// above the cut and those below, each in their order.
    pub fn set_texts(&mut self, texts: impl IntoIterator<Item = WindowText>) {
        for (example, text) in self.examples_mut().zip(texts) {
            example.text = text::clean(&text.excerpt, EXCERPT_LENGTH);
            example.whole_text = text.whole_text;
            (example.distance_profile, example.min_distance) = (text.distance_profile, text.min_distance);
        }
    }

    fn examples_mut(&mut self) -> impl Iterator<Item = &mut Example> {
        [&mut self.best, &mut self.worst, &mut self.above_cut, &mut self.below_cut].into_iter().flatten()
    }

    /// All examples, some of them twice.
    pub(super) fn examples(&self) -> impl Iterator<Item = &Example> {
        [&self.best, &self.worst, &self.above_cut, &self.below_cut].into_iter().flatten()
    }

    pub(super) fn is_finite(&self) -> bool {
        self.spreads.is_none_or(|spreads| spreads.are_finite()) && self.examples().all(Example::is_finite)
    }
}

/// The categories in their order or, where they are more than `shown`, those with the most windows first.
pub fn in_order_to_show(categories: &[CategoryReport], shown: usize) -> Vec<&CategoryReport> {
    let mut ordered: Vec<_> = categories.iter().collect();
    if ordered.len() > shown {
        ordered.sort_by_key(|category| Reverse(category.counts.windows));
    }
    ordered
}

fn shortened(mut examples: Vec<Example>) -> Vec<Example> {
    examples.truncate(MOST_EXAMPLES);
    examples.iter().map(Example::shortened).collect()
}

impl Example {
    fn is_finite(&self) -> bool {
        self.window.is_finite() && self.distance_profile.iter().all(|share| share.is_finite())
    }

    fn shortened(&self) -> Self {
        Self {
            id: text::clean(&self.id, PLACE_LENGTH),
            source: text::clean(&self.source, PLACE_LENGTH),
            text: text::clean(&self.text, EXCERPT_LENGTH),
            whole_text: self.whole_text.clone(),
            distance_profile: self.distance_profile.clone(),
            min_distance: self.min_distance,
            window: self.window,
        }
    }
}

impl Spreads {
    fn of(windows: &[WindowPoint]) -> Option<Self> {
        Some(Self {
            dependency_strength: Spread::of(windows, |window| window.dependency_strength)?,
            distribution_uniformity: Spread::of(windows, |window| window.distribution_uniformity)?,
            long_distance_dependency_score: Spread::of(windows, |window| window.long_distance_dependency_score)?,
        })
    }

    /// The axis of the scores.
    pub fn score_scale(&self) -> Scale {
        self.long_distance_dependency_score.scale("long-distance dependency score")
    }

    fn are_finite(&self) -> bool {
        let spreads = [self.dependency_strength, self.distribution_uniformity, self.long_distance_dependency_score];
        spreads.iter().all(Spread::is_finite)
    }
}

impl WindowPoint {
    fn is_finite(&self) -> bool {
        self.dependency_strength.is_finite()
            && self.distribution_uniformity.is_finite()
            && self.long_distance_dependency_score.is_finite()
    }
}
