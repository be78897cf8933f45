//! Long-distance dependency scores and the selection of the best windows of each category.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};

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

/// Which windows of a category, from the highest score down, are selected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// This share of the windows, rounded down.
    Ratio(f64),
    /// This many windows.
    Count(usize),
    /// The windows down to the first that would bring their tokens together over this many.
    TokenBudget(u64),
    /// The windows whose long-distance dependency score is at least this.
    Threshold(f64),
}

/// A scored window that takes part in a selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Names the window; unique within its category.
    pub id: String,
    /// Windows compete within their category.
    pub category: String,
    /// Tokens of the window.
    pub token_count: u64,
    /// `DS` of the window.
    pub dependency_strength: f64,
    /// `DU` of the window.
    pub distribution_uniformity: f64,
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

/// Collects candidates and selects the best of each category.
///
/// Selectors of parts of a corpus can be merged in any order: a selection depends on the set of candidates alone.
///
/// ```
/// use longattn::select::{Candidate, Cut, Selector, Standardize};
///
/// let mut selector = Selector::default();
/// for (id, dependency_strength) in [("a", 0.1), ("b", 0.3), ("c", 0.2)] {
///     selector.add(Candidate {
///         id: id.to_owned(),
///         category: "books".to_owned(),
///         token_count: 8192,
///         dependency_strength,
///         distribution_uniformity: -1e-7,
///     })?;
/// }
/// let ranking = selector.rank(Standardize::ZScore, 0.5, Cut::Count(1))?;
/// let best = &ranking["books"][0];
/// assert_eq!((best.candidate.id.as_str(), best.selected), ("b", true));
/// # Ok::<(), longattn::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    categories: BTreeMap<String, Vec<Candidate>>,
}

/// The version of the form that [`Selector::to_json`] gives.
const FORM_VERSION: u32 = 1;

#[derive(Serialize)]
struct FormOut<'a> {
    version: u32,
    candidates: Vec<&'a Candidate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormIn {
    version: u32,
    candidates: Vec<Candidate>,
}

impl Selector {
    /// Adds a candidate.
    ///
    /// # Errors
    /// [`ErrorKind::NonFinite`] where a score is NaN or infinite.
    pub fn add(&mut self, candidate: Candidate) -> Result<()> {
        if !(candidate.dependency_strength + candidate.distribution_uniformity).is_finite() {
            let message = format!("window {} has a score that is NaN or infinite", candidate.id);
            return Err(Error::new(ErrorKind::NonFinite, message));
        }
        match self.categories.get_mut(&candidate.category) {
            Some(candidates) => candidates.push(candidate),
            None => _ = self.categories.insert(candidate.category.clone(), vec![candidate]),
        }
        Ok(())
    }

    /// Adds all candidates of another selector.
    pub fn merge(&mut self, other: Self) {
        for (category, mut candidates) in other.categories {
            self.categories.entry(category).or_default().append(&mut candidates);
        }
    }

    /// The candidates as versioned JSON, to be merged on another machine. Every number keeps its bits.
    pub fn to_json(&self) -> String {
        let candidates = self.categories.values().flatten().collect();
        let form = FormOut { version: FORM_VERSION, candidates };
        serde_json::to_string(&form).expect("strings and finite numbers are valid JSON")
    }

    /// Reads what [`Selector::to_json`] gave.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRecord`] for malformed JSON, and [`ErrorKind::Unsupported`] for a form of a later version.
    pub fn from_json(json: &str) -> Result<Self> {
        let form: FormIn = serde_json::from_str(json)
            .map_err(|cause| Error::new(ErrorKind::InvalidRecord, format!("this is no selector: {cause}")))?;
        if form.version != FORM_VERSION {
            let message = format!("a selector of form {}, where {FORM_VERSION} is known here", form.version);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut selector = Self::default();
        form.candidates.into_iter().try_for_each(|candidate| selector.add(candidate))?;
        Ok(selector)
    }

    /// The number of candidates in all categories.
    pub fn len(&self) -> usize {
        self.categories.values().map(Vec::len).sum()
    }

    /// Whether there are no candidates.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// Ranks the candidates of each category by their long-distance dependency score, highest first and equal ones by
    /// id, and cuts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where two candidates of one category have the same id.
    pub fn rank(self, standardize: Standardize, alpha: f64, cut: Cut) -> Result<BTreeMap<String, Vec<Ranked>>> {
        let ranked = self.categories.into_iter().map(|(category, candidates)| {
            let ranking = rank_category(candidates, standardize, alpha, cut)?;
            Ok((category, ranking))
        });
        ranked.collect()
    }
}

fn rank_category(
    mut candidates: Vec<Candidate>,
    standardize: Standardize,
    alpha: f64,
    cut: Cut,
) -> Result<Vec<Ranked>> {
    // Sums of floats depend on their order, so the order must not depend on the input's.
    candidates.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    if let Some(twins) = candidates.windows(2).find(|pair| pair[0].id == pair[1].id) {
        let message = format!("window {} of category {} was given twice", twins[0].id, twins[0].category);
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let strengths = standardized(&candidates, |candidate| candidate.dependency_strength, standardize);
    let uniformities = standardized(&candidates, |candidate| candidate.distribution_uniformity, standardize);
    let score = |(candidate, (strength, uniformity))| Ranked {
        candidate,
        long_distance_dependency_score: strength + alpha * uniformity,
        selected: false,
    };
    let mut ranking: Vec<_> = candidates.into_iter().zip(strengths.into_iter().zip(uniformities)).map(score).collect();
    ranking.sort_by(highest_first);
    let selected = count_selected(&ranking, cut);
    ranking[..selected].iter_mut().for_each(|ranked| ranked.selected = true);
    Ok(ranking)
}

fn highest_first(a: &Ranked, b: &Ranked) -> Ordering {
    let by_score = b.long_distance_dependency_score.total_cmp(&a.long_distance_dependency_score);
    by_score.then_with(|| a.candidate.id.cmp(&b.candidate.id))
}

fn standardized(candidates: &[Candidate], value: fn(&Candidate) -> f64, standardize: Standardize) -> Vec<f64> {
    let values = candidates.iter().map(value);
    let first = candidates.first().map(value);
    let count = candidates.len() as f64;
    let (offset, scale, where_equal) = match standardize {
        Standardize::ZScore => {
            let mean = values.clone().sum::<f64>() / count;
            let variance = values.clone().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt(), 0.0)
        }
        Standardize::MinMax => {
            let min = values.clone().fold(f64::INFINITY, f64::min);
            let max = values.clone().fold(f64::NEG_INFINITY, f64::max);
            (min, max - min, 0.5)
        }
    };
    // The mean of equal values can differ from them by rounding; they are still equal.
    let all_equal = values.clone().all(|value| Some(value) == first);
    if scale == 0.0 || all_equal {
        return vec![where_equal; candidates.len()];
    }
    values.map(|value| (value - offset) / scale).collect()
}

fn count_selected(ranking: &[Ranked], cut: Cut) -> usize {
    match cut {
        // 0.29 of 100 is 29, though its product in floating point is a little less.
        Cut::Ratio(ratio) => (ranking.len() as f64 * ratio * (1.0 + 1e-12)) as usize,
        Cut::Count(count) => count,
        Cut::TokenBudget(budget) => {
            let mut tokens = 0u64;
            let fits = |ranked: &&Ranked| {
                tokens = tokens.saturating_add(ranked.candidate.token_count);
                tokens <= budget
            };
            ranking.iter().take_while(fits).count()
        }
        Cut::Threshold(threshold) => {
            ranking.partition_point(|ranked| ranked.long_distance_dependency_score >= threshold)
        }
    }
    .min(ranking.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(id: &str, dependency_strength: f64, distribution_uniformity: f64) -> Candidate {
        let (id, category) = (id.to_owned(), "books".to_owned());
        Candidate { id, category, token_count: 100, dependency_strength, distribution_uniformity }
    }

    fn rank(candidates: &[Candidate], standardize: Standardize, cut: Cut) -> Vec<Ranked> {
        let mut selector = Selector::default();
        candidates.iter().for_each(|candidate| selector.add(candidate.clone()).unwrap());
        selector.rank(standardize, 0.5, cut).unwrap().remove("books").unwrap_or_default()
    }

    fn selected(candidates: &[Candidate], cut: Cut) -> Vec<String> {
        let ranking = rank(candidates, Standardize::ZScore, cut);
        ranking.into_iter().filter(|ranked| ranked.selected).map(|ranked| ranked.candidate.id).collect()
    }

    fn four() -> Vec<Candidate> {
        vec![candidate("a", 0.1, -4.0), candidate("b", 0.3, -2.0), candidate("c", 0.2, -3.0), candidate("d", 0.4, -9.0)]
    }

    #[test]
    fn scores_follow_the_formulas() {
        let ranking = rank(&four(), Standardize::ZScore, Cut::Count(0));
        let deviation = 0.0125f64.sqrt();
        let d = ranking.iter().find(|ranked| ranked.candidate.id == "d").unwrap();
        let expected = 0.15 / deviation + 0.5 * -4.5 / 7.25f64.sqrt();
        assert!((d.long_distance_dependency_score - expected).abs() < 1e-12);

        let ranking = rank(&four(), Standardize::MinMax, Cut::Count(0));
        let b = ranking.iter().find(|ranked| ranked.candidate.id == "b").unwrap();
        assert!((b.long_distance_dependency_score - (2.0 / 3.0 + 0.5)).abs() < 1e-12);
    }

    #[test]
    fn cuts_take_the_highest() {
        assert_eq!(selected(&four(), Cut::Count(2)), ["b", "d"]);
        assert_eq!(selected(&four(), Cut::Count(9)).len(), 4);
        assert_eq!(selected(&four(), Cut::Ratio(0.5)), ["b", "d"]);
        assert_eq!(selected(&four(), Cut::Ratio(0.49)), ["b"]);
        assert_eq!(selected(&four(), Cut::Ratio(1.0)).len(), 4);
        assert_eq!(selected(&four(), Cut::TokenBudget(299)), ["b", "d"]);
        assert_eq!(selected(&four(), Cut::TokenBudget(u64::MAX)).len(), 4);
        assert_eq!(selected(&four(), Cut::Threshold(0.6)), ["b"]);
        assert_eq!(selected(&[], Cut::Ratio(0.5)), [""; 0]);
    }

    #[test]
    fn a_ratio_is_not_cheated_by_rounding() {
        let many: Vec<_> = (0..100).map(|index| candidate(&index.to_string(), f64::from(index), 0.0)).collect();
        assert_eq!(selected(&many, Cut::Ratio(0.29)).len(), 29);
    }

    #[test]
    fn equal_scores_go_to_the_smaller_id() {
        let equal: Vec<_> = ["c", "a", "b"].map(|id| candidate(id, 0.1, -0.1)).into();
        assert_eq!(selected(&equal, Cut::Count(2)), ["a", "b"]);
        for (standardize, expected) in [(Standardize::ZScore, 0.0), (Standardize::MinMax, 0.75)] {
            let ranking = rank(&equal, standardize, Cut::Count(1));
            assert!(ranking.iter().all(|ranked| ranked.long_distance_dependency_score == expected));
        }
    }

    #[test]
    fn twins_and_nan_are_refused() {
        let mut selector = Selector::default();
        selector.add(candidate("a", 0.1, 0.0)).unwrap();
        assert_eq!(selector.add(candidate("b", f64::NAN, 0.0)).unwrap_err().kind(), ErrorKind::NonFinite);
        selector.add(candidate("a", 0.2, 0.0)).unwrap();
        let twins = selector.rank(Standardize::ZScore, 0.5, Cut::Count(1)).unwrap_err();
        assert!(twins.to_string().contains("window a of category books"));
    }

    #[test]
    fn json_that_is_no_selector_is_refused() {
        let kind = |json: &str| Selector::from_json(json).unwrap_err().kind();
        assert_eq!(kind(""), ErrorKind::InvalidRecord);
        assert_eq!(kind(r#"{"version":1}"#), ErrorKind::InvalidRecord);
        assert_eq!(kind(r#"{"version":2,"candidates":[]}"#), ErrorKind::Unsupported);
        let huge = Selector::default().to_json().replace("[]", r#"[{"id":"a","dependency_strength":1e999}]"#);
        assert_eq!(kind(&huge), ErrorKind::InvalidRecord);
    }

    proptest! {
        #[test]
        fn a_selection_does_not_depend_on_order_or_parts(
            values in prop::collection::vec((0.0..1.0f64, -1.0..0.0f64), 1..40),
            split in 0usize..40,
            rotation in 0usize..40,
        ) {
            let candidates = values.iter().enumerate();
            let candidates: Vec<_> = candidates.map(|(id, (ds, du))| candidate(&format!("{id}"), *ds, *du)).collect();
            let whole = rank(&candidates, Standardize::ZScore, Cut::Ratio(0.3));

            let mut shuffled = candidates.clone();
            shuffled.rotate_left(rotation % candidates.len());
            let mut parts = [Selector::default(), Selector::default()];
            for (index, candidate) in shuffled.into_iter().enumerate() {
                parts[usize::from(index < split)].add(candidate).unwrap();
            }
            let [mut first, second] = parts;
            first.merge(Selector::from_json(&second.to_json()).unwrap());
            let merged = first.rank(Standardize::ZScore, 0.5, Cut::Ratio(0.3)).unwrap().remove("books").unwrap();
            prop_assert_eq!(whole, merged);
        }
    }
}
