//! Long-distance dependency scores and the selection of the best windows of each category.
//!
//! A [`Selector`] collects [`Candidate`]s in columns, about 32 bytes a window and its id. [`Selector::rank`] gives all of
//! them ranked and owned; [`Selector::sorted`] ranks category by category, and names windows by their ordinals alone.

mod adaptive;
mod budget;
mod explanation;
mod filter;
mod forecast;
mod ranking;
mod selector;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::attention::FarRegion;
use crate::choice::Choice;

pub use adaptive::{MOST_CONFIDENCE, StandardErrors, in_doubt};
pub use explanation::{Explanation, Fate, Neighbour};
pub use filter::{Filter, NoFilter};
pub use forecast::{Forecast, Rounds, forecast};
pub use ranking::{Duplicate, Ranking, Sorted, Standing, long_distance_dependency_scores};
pub use selector::Selector;

/// `α` as the paper has it.
pub const PAPER_ALPHA: f64 = 0.5;

/// `α` as measured for layers that see context: with the default model, attention that is concentrated goes with the information
/// gain of a window, and evenness against it.
const DEEP_ALPHA: f64 = -1.0;

/// `α` for scores of some layers: the paper's for the first layer alone and where layers are not known.
pub fn default_alpha(layers: &[usize]) -> f64 {
    if layers.iter().any(|layer| *layer > 0) { DEEP_ALPHA } else { PAPER_ALPHA }
}

/// How dependency strength and distribution uniformity are brought to one scale within a category, `Std` of Eq. 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standardize {
    /// `(x − mean) / population standard deviation`, 0 where the deviation is 0; as in Eq. 8.
    ZScore,
    /// `(x − min) / (max − min)`, 0.5 where they are equal; as in the released code.
    MinMax,
}

impl Choice for Standardize {
    const NAMES: &'static [(&'static str, Self)] = &[("z-score", Self::ZScore), ("min-max", Self::MinMax)];
}

/// Which windows of a category, from the highest score down, are selected. Those of a document that has given as many as
/// [`Method::max_per_document`] allows are passed over, and their places go to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// This share of the windows, rounded down.
    Ratio(f64),
    /// This many windows.
    Count(usize),
    /// The windows down to the first that would bring their tokens together over this many.
    TokenBudget(u64),
    /// As [`Cut::TokenBudget`], with this many tokens for all categories together, shared out by [`Method::weights`]. What a
    /// category is too small for goes to the others.
    TotalTokenBudget(u64),
    /// The windows whose long-distance dependency score is at least this.
    Threshold(f64),
}

/// Whether windows may compete in one category that were measured differently: with token counts or minimum distances more
/// than a sixteenth apart, or with different sink tokens.
///
/// `DS` of a short window is not comparable with that of a long one: a text of three tokens can have a `DS` near 1. Windows
/// cut at one length differ by a few tokens at most, where their texts were tokenized again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixedLengths {
    /// They are an error.
    Refuse,
    /// They compete.
    Allow,
}

impl Choice for MixedLengths {
    const NAMES: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("allow", Self::Allow)];
}

/// How windows are ranked and cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// `Std` of Eq. 8.
    pub standardize: Standardize,
    /// `α` of Eq. 8.
    pub alpha: f64,
    /// Which of the ranked windows are selected.
    pub cut: Cut,
    /// Categories with a cut of their own, which takes the place of `cut`.
    pub category_cuts: BTreeMap<String, Cut>,
    /// Of [`Cut::TotalTokenBudget`]: the weights of categories, 1 for those that are not named.
    pub weights: BTreeMap<String, f64>,
    /// How many windows of one document, by [`document_of`], may be selected in a category; none for any number.
    pub max_per_document: Option<NonZeroUsize>,
    /// Whether windows that were measured differently may compete.
    pub mixed_lengths: MixedLengths,
}

impl Method {
    /// A method that refuses mixed lengths.
    pub fn new(standardize: Standardize, alpha: f64, cut: Cut) -> Self {
        Self {
            standardize,
            alpha,
            cut,
            category_cuts: BTreeMap::new(),
            weights: BTreeMap::new(),
            max_per_document: None,
            mixed_lengths: MixedLengths::Refuse,
        }
    }

    /// The cut of a category.
    pub fn cut_of(&self, category: &str) -> Cut {
        self.category_cuts.get(category).copied().unwrap_or(self.cut)
    }

    /// Whether the tokens of windows must be known.
    pub fn needs_token_counts(&self) -> bool {
        let needs = |cut: &Cut| matches!(cut, Cut::TokenBudget(_) | Cut::TotalTokenBudget(_));
        needs(&self.cut) || self.category_cuts.values().any(needs)
    }
}

/// The document of a window: its id up to the `#` before its number, or the whole id where there is none.
pub fn document_of(id: &str) -> &str {
    match id.rsplit_once('#') {
        Some((document, number)) if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => {
            document
        }
        _ => id,
    }
}

/// A scored window that takes part in a selection. Its texts are owned, or borrowed in a `Candidate<&str>`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate<S = String> {
    /// Names the window; unique within its category.
    pub id: S,
    /// Windows compete within their category.
    pub category: S,
    /// Tokens of the window; 0 where they are not known.
    pub token_count: u64,
    /// What counted as far; none where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far: Option<FarRegion>,
    /// `DS` of the window.
    pub dependency_strength: f64,
    /// `DU` of the window.
    pub distribution_uniformity: f64,
}

impl<S: AsRef<str>> Candidate<S> {
    /// The same with borrowed texts.
    pub fn as_str(&self) -> Candidate<&str> {
        let Self { id, category, token_count, far, dependency_strength, distribution_uniformity } = self;
        Candidate {
            id: id.as_ref(),
            category: category.as_ref(),
            token_count: *token_count,
            far: *far,
            dependency_strength: *dependency_strength,
            distribution_uniformity: *distribution_uniformity,
        }
    }
}

impl<S> Candidate<S> {
    /// The number in a column of scores, by the name that it has in files; none for other names, and where it is not known.
    pub fn column(&self, name: &str) -> Option<f64> {
        match name {
            "token_count" => Some(self.token_count as f64).filter(|count| *count > 0.0),
            "min_distance" => self.far.map(|far| far.min_distance as f64),
            "sink_tokens" => self.far.map(|far| far.sink_tokens as f64),
            "dependency_strength" => Some(self.dependency_strength),
            "distribution_uniformity" => Some(self.distribution_uniformity),
            _ => None,
        }
    }
}

impl Candidate<&str> {
    /// The same with texts of its own.
    pub fn to_owned(self) -> Candidate {
        let Self { id, category, token_count, far, dependency_strength, distribution_uniformity } = self;
        let (id, category) = (id.to_owned(), category.to_owned());
        Candidate { id, category, token_count, far, dependency_strength, distribution_uniformity }
    }
}

/// A candidate with its long-distance dependency score.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The window.
    pub candidate: Candidate,
    /// `LDS = Std(DS) + α·Std(DU)`, Eq. 8, relative to the window's category.
    pub long_distance_dependency_score: f64,
    /// Whether the window made the cut.
    pub selected: bool,
}
