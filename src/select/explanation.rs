//! Why a window was taken or left.

use std::fmt;

use super::ranking::{Scale, Sorted};
use super::{Cut, Method, document_of};
use crate::error::Result;

/// Where a window stands among those of its category. Displayed as a few lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The window.
    pub id: String,
    /// Its category.
    pub category: String,
    /// Its rank, from 1, the best.
    pub rank: usize,
    /// The windows of the category.
    pub windows: usize,
    /// `DS`, and `Std(DS)`.
    pub dependency_strength: [f64; 2],
    /// `DU`, and `Std(DU)`.
    pub distribution_uniformity: [f64; 2],
    /// `α` of Eq. 8.
    pub alpha: f64,
    /// `LDS`.
    pub long_distance_dependency_score: f64,
    /// The column that windows are ranked by; none for `LDS`.
    pub by: Option<String>,
    /// What it is ranked by.
    pub score: f64,
    /// Tokens of the window; 0 where they are not known.
    pub token_count: u64,
    /// The cut of the category. A budget for all categories is the share of this one.
    pub cut: Cut,
    /// The windows of the category that make it.
    pub selected: usize,
    /// What became of the window.
    pub fate: Fate,
    /// The last window that makes the cut; none where none does.
    pub last: Option<Neighbour>,
    /// The window one rank better.
    pub above: Option<Neighbour>,
    /// The window one rank worse.
    pub below: Option<Neighbour>,
}

/// What becomes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It makes the cut.
    Selected,
    /// It comes behind the last window that makes the cut.
    BelowCut,
    /// Its document has as many better windows as [`Method::max_per_document`] allows.
    PassedOver,
}

/// A window near another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Its rank, from 1.
    pub rank: usize,
    /// The window.
    pub id: String,
    /// What it is ranked by.
    pub score: f64,
    /// Whether it makes the cut.
    pub selected: bool,
}

impl Sorted<'_> {
    /// Why a window is taken or left; none where no candidate has the id. Of windows of several categories with one id the
    /// first category's is explained.
    ///
    /// # Errors
    /// Those of [`Sorted::rankings`].
    pub fn explain(&self, id: &str, method: &Method) -> Result<Option<Explanation>> {
        let selector = self.selector;
        let found = self.categories.iter().zip(self.cuts(method)?).find_map(|((category, ordinals), cut)| {
            let place = ordinals.binary_search_by(|ordinal| selector.id(*ordinal).cmp(id)).ok()?;
            Some((*category, ordinals, ordinals[place], cut))
        });
        let Some((category, ordinals, ordinal, cut)) = found else { return Ok(None) };
        self.check(category, ordinals, method)?;
        let ranking = self.rank(category, ordinals, method, cut);
        let place = ranking.windows.iter().position(|window| window.ordinal == ordinal).unwrap_or_default();
        let neighbour = |place: usize| {
            let window = ranking.windows.get(place)?;
            Some(Neighbour {
                rank: place + 1,
                id: selector.id(window.ordinal).to_owned(),
                score: window.score,
                selected: ranking.is_selected(place),
            })
        };
        let candidate = selector.candidate(ordinal);
        let standardized = |value: f64, of: &dyn Fn(usize) -> f64| {
            let values: Vec<_> = ordinals.iter().map(|ordinal| of(*ordinal)).collect();
            [value, Scale::of(values.iter().copied(), method.standardize).apply(value)]
        };
        Ok(Some(Explanation {
            id: id.to_owned(),
            category: category.to_owned(),
            rank: place + 1,
            windows: ranking.windows.len(),
            dependency_strength: standardized(candidate.dependency_strength, &|ordinal| selector.strength(ordinal)),
            distribution_uniformity: standardized(candidate.distribution_uniformity, &|ordinal| {
                selector.uniformity(ordinal)
            }),
            alpha: method.alpha,
            long_distance_dependency_score: ranking.windows[place].long_distance_dependency_score,
            by: self.by.as_ref().map(|(column, _)| column.clone()),
            score: ranking.windows[place].score,
            token_count: candidate.token_count,
            cut,
            selected: ranking.count_selected(),
            fate: match (ranking.is_selected(place), place < ranking.end) {
                (true, _) => Fate::Selected,
                (false, true) => Fate::PassedOver,
                (false, false) => Fate::BelowCut,
            },
            last: ranking.end.checked_sub(1).and_then(neighbour),
            above: place.checked_sub(1).and_then(neighbour),
            below: neighbour(place + 1),
        }))
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(ratio) => write!(formatter, "the best {}%", 100.0 * ratio),
            Self::Count(count) => write!(formatter, "the best {count}"),
            Self::TokenBudget(tokens) => write!(formatter, "the best with {tokens} tokens together"),
            Self::TotalTokenBudget(tokens) => {
                write!(formatter, "the best with {tokens} tokens together in all categories")
            }
            Self::Threshold(threshold) => write!(formatter, "all of at least {threshold}"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, category, rank, windows, alpha, cut, selected, .. } = self;
        let [ds, standard_ds] = self.dependency_strength;
        let [du, standard_du] = self.distribution_uniformity;
        let lds = self.long_distance_dependency_score;
        writeln!(formatter, "{id}: rank {rank} of {windows} in the category {category}")?;
        if let Some(column) = &self.by {
            writeln!(formatter, "  {column} {:+.6}", self.score)?;
        } else {
            writeln!(
                formatter,
                "  LDS {lds:+.6} = {standard_ds:+.6} {alpha:+} × {standard_du:+.6}, from DS {ds:.6} and DU {du:.6e}"
            )?;
        }
        match self.fate {
            Fate::Selected => write!(formatter, "  selected: {selected} make the cut, {cut}")?,
            Fate::BelowCut => write!(formatter, "  not selected: {selected} make the cut, {cut}")?,
            Fate::PassedOver => {
                let document = document_of(id);
                write!(formatter, "  passed over: {document} has as many better windows as max_per_document allows")?;
            }
        }
        for (name, neighbour) in [("last to make it", &self.last), ("above", &self.above), ("below", &self.below)] {
            if let Some(Neighbour { rank, id, score, selected }) = neighbour {
                let fate = if *selected { "selected" } else { "not selected" };
                let by = self.by.as_deref().unwrap_or("LDS");
                write!(formatter, "\n  {name}: rank {rank}, {by} {score:+.6}, {id}, {fate}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::{Candidate, Selector, Standardize};

    #[test]
    fn a_window_is_taken_left_or_passed_over() {
        let mut selector = Selector::default();
        for (id, dependency_strength) in [("a#0", 0.5), ("a#1", 0.4), ("b#0", 0.3), ("c#0", 0.2)] {
            let category = "books";
            let (token_count, far, distribution_uniformity) = (10, None, -1.0);
            selector
                .add(Candidate { id, category, token_count, far, dependency_strength, distribution_uniformity })
                .unwrap();
        }
        let mut method = Method::new(Standardize::ZScore, 0.5, Cut::Count(2));
        method.max_per_document = std::num::NonZeroUsize::new(1);
        let explain = |id: &str| selector.sorted().explain(id, &method).unwrap();
        let fates = ["a#0", "a#1", "b#0", "c#0"].map(|id| explain(id).unwrap().fate);
        assert_eq!(fates, [Fate::Selected, Fate::PassedOver, Fate::Selected, Fate::BelowCut]);
        assert_eq!(explain("d#0"), None);
        let mut sorted = selector.sorted();
        sorted.rank_by("far", |ordinal| Ok([Some(1.0), None, Some(2.0), Some(3.0)][ordinal])).unwrap();
        let told = sorted.explain("a#0", &method).unwrap().unwrap().to_string();
        assert!(told.contains("rank 3 of 3") && told.contains("above: rank 2, far +2.000000, b#0"), "{told}");
        assert_eq!(sorted.explain("a#1", &method).unwrap(), None);
        let told = explain("c#0").unwrap().to_string();
        assert!(told.contains("rank 4 of 4") && told.contains("the best 2") && told.contains("rank 3, LDS"), "{told}");
    }
}
