//! Long-distance dependency scores and the selection of the best windows of each category.

mod adaptive;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};

pub use adaptive::{Estimated, MOST_CONFIDENCE, in_doubt};

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
            let ranking = rank_category(candidates, &Method { standardize, alpha, cut })?;
            Ok((category, ranking))
        });
        ranked.collect()
    }
}

/// How windows are ranked and cut.
#[derive(Clone, Copy)]
struct Method {
    standardize: Standardize,
    alpha: f64,
    cut: Cut,
}

fn rank_category(mut candidates: Vec<Candidate>, method: &Method) -> Result<Vec<Ranked>> {
    // Sums of floats depend on their order, so the order must not depend on the input's.
    candidates.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    check_ids(candidates.iter())?;
    let mut scores = Scores::default();
    for candidate in &candidates {
        scores.strengths.push(candidate.dependency_strength);
        scores.uniformities.push(candidate.distribution_uniformity);
        scores.token_counts.push(candidate.token_count);
    }
    let Ranking { scores, order, selected } = scores.rank(method);
    let mut candidates: Vec<_> = candidates.into_iter().map(Some).collect();
    let ranked = order.into_iter().enumerate().filter_map(|(rank, place)| {
        let candidate = candidates[place].take()?;
        Some(Ranked { candidate, long_distance_dependency_score: scores[place], selected: rank < selected })
    });
    Ok(ranked.collect())
}

/// Refuses windows of one category, in the order of their ids, of which two have the same.
fn check_ids<'a>(mut candidates: impl Iterator<Item = &'a Candidate>) -> Result<()> {
    let mut last: Option<&Candidate> = None;
    candidates.try_for_each(|candidate| match last.replace(candidate) {
        Some(twin) if twin.id == candidate.id => {
            let message = format!("window {} of category {} was given twice", twin.id, twin.category);
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
        _ => Ok(()),
    })
}

/// The scores of the windows of one category, in the order of their ids.
#[derive(Default)]
struct Scores {
    strengths: Vec<f64>,
    uniformities: Vec<f64>,
    token_counts: Vec<u64>,
}

/// Windows by their long-distance dependency scores.
struct Ranking {
    scores: Vec<f64>,
    /// Places of windows, the highest score first and equal ones by id.
    order: Vec<usize>,
    /// How many of the highest make the cut.
    selected: usize,
}

impl Scores {
    fn rank(&self, method: &Method) -> Ranking {
        let Method { standardize, alpha, .. } = *method;
        let scores = long_distance_dependency_scores(&self.strengths, &self.uniformities, standardize, alpha);
        let mut order: Vec<_> = (0..scores.len()).collect();
        order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let selected = self.count_selected(&scores, &order, method.cut);
        Ranking { scores, order, selected }
    }

    fn count_selected(&self, scores: &[f64], order: &[usize], cut: Cut) -> usize {
        match cut {
            // 0.29 of 100 is 29, though its product in floating point is a little less.
            Cut::Ratio(ratio) => (order.len() as f64 * ratio * (1.0 + 1e-12)) as usize,
            Cut::Count(count) => count,
            Cut::TokenBudget(budget) => {
                let mut tokens = 0u64;
                let fits = |place: &&usize| {
                    tokens = tokens.saturating_add(self.token_counts[**place]);
                    tokens <= budget
                };
                order.iter().take_while(fits).count()
            }
            Cut::Threshold(threshold) => order.partition_point(|place| scores[*place] >= threshold),
        }
        .min(order.len())
    }
}

/// `LDS = Std(DS) + α·Std(DU)`, Eq. 8, of the windows of one category, whose `DS` and `DU` are given in the same order.
pub fn long_distance_dependency_scores(
    strengths: &[f64],
    uniformities: &[f64],
    standardize: Standardize,
    alpha: f64,
) -> Vec<f64> {
    let both = standardized(strengths, standardize).into_iter().zip(standardized(uniformities, standardize));
    both.map(|(strength, uniformity)| strength + alpha * uniformity).collect()
}

fn standardized(values: &[f64], standardize: Standardize) -> Vec<f64> {
    let where_equal = match standardize {
        Standardize::ZScore => 0.0,
        Standardize::MinMax => 0.5,
    };
    match scale(values, standardize) {
        Some((offset, scale)) => values.iter().map(|value| (value - offset) / scale).collect(),
        None => vec![where_equal; values.len()],
    }
}

/// What standardised values are counted from, and their unit; `None` where all values are equal.
fn scale(values: &[f64], standardize: Standardize) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let (offset, scale) = match standardize {
        Standardize::ZScore => {
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        }
        Standardize::MinMax => {
            let min = values.iter().copied().fold(f64::INFINITY, f64::min);
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (min, max - min)
        }
    };
    // The mean of equal values can differ from them by rounding; they are still equal.
    let all_equal = values.iter().all(|value| *value == values[0]);
    (scale != 0.0 && !all_equal).then_some((offset, scale))
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
