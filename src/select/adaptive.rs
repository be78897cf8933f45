//! Which estimated scores must be known better before a selection by them can be trusted.
//!
//! How probable it is that a selection by estimates differs from the exact one is found by drawing (a parametric
//! bootstrap): all scores of all categories are moved by errors drawn from their standard errors, and each category is
//! standardised and cut anew. The share of draws that select other windows in any category is the risk. So every error
//! counts that can change a selection: a window's own, and those of the mean and deviation or of the extremes, which all
//! windows of a category share; and every kind of cut is served alike. Ties stay ties only among exact scores.
//!
//! Real errors have heavier tails than normal ones, and real standard errors are themselves estimates, so errors are
//! drawn from Student's distribution. `DS` gets 8 degrees of freedom: 8 of 100 exceed two standard errors, and one in 250
//! exceeds four. `DU` hangs on few rows, and a sample that misses these tells too small an error; it gets 4: 12 of 100
//! exceed two standard errors, and 16 of 1000 exceed four, as in samples of a quarter of the rows of 2048 tokens, the
//! worst that `benches/adaptive.rs` has met. Those of `DS` and `DU` are drawn independently: real ones hardly correlate,
//! and rather negatively, which makes the error of their sum smaller.

use rayon::prelude::*;

use super::ranking::Scale;
use super::{Cut, Method, Selector, Standardize};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;

/// Draws that may select other windows: fewer would leave the estimated risk to chance.
const TOLERATED_DRAWS: usize = 10;

/// Draws that are made at once, before those that select other windows are counted.
const DRAWS_AT_ONCE: usize = 32;

/// Standard errors are not known well enough to promise more, and draws would be very many.
pub const MOST_CONFIDENCE: f64 = 0.999;

/// Any number: the same scores get the same draws for ever.
const SEED: u64 = 0x4164_6170_7469_7665;

/// How far a candidate's scores may be from the exact ones; both 0 where they are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StandardErrors {
    /// Of `DS`.
    pub dependency_strength: f64,
    /// Of `DU`.
    pub distribution_uniformity: f64,
}

impl StandardErrors {
    /// Whether the scores are exact.
    pub fn is_exact(&self) -> bool {
        self.dependency_strength == 0.0 && self.distribution_uniformity == 0.0
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            dependency_strength: self.dependency_strength * factor,
            distribution_uniformity: self.distribution_uniformity * factor,
        }
    }
}

/// The ordinals of the windows to score more exactly next, until the selection of all categories together equals that by
/// exact scores with a probability of `confidence`, at most [`MOST_CONFIDENCE`]; none where it does. Windows that are exact
/// are never among them. `errors` are those of the candidates by their ordinals.
///
/// Takes at most `10 / (1 − confidence)` draws, each of a time in proportion to the number of windows whose selection an
/// error can change, and fewer the graver the doubt.
///
/// ```
/// use longattn::Cancel;
/// use longattn::select::{Candidate, Cut, Method, Selector, StandardErrors, Standardize, in_doubt};
///
/// let mut selector = Selector::default();
/// let mut errors = Vec::new();
/// for (id, dependency_strength, error) in [("a", 0.1, 0.001), ("b", 0.3, 0.01), ("c", 0.29, 0.01)] {
///     selector.add(Candidate {
///         id,
///         category: "books",
///         token_count: 8192,
///         far: None,
///         dependency_strength,
///         distribution_uniformity: -1e-7,
///     })?;
///     errors.push(StandardErrors { dependency_strength: error, distribution_uniformity: 0.0 });
/// }
/// let method = Method::new(Standardize::ZScore, 0.5, Cut::Count(1));
/// // Either of the last two may be the best; one of them known better may settle it.
/// let doubted = in_doubt(&selector, &errors, &method, 0.99, &Cancel::default())?;
/// assert_eq!(doubted, [1]);
/// # Ok::<(), longattn::Error>(())
/// ```
///
/// # Errors
/// Those of [`Sorted::rankings`](super::Sorted::rankings), [`ErrorKind::InvalidArgument`] for another confidence or
/// another number of errors than of candidates, and [`ErrorKind::Cancelled`] soon after `cancel` was asked.
pub fn in_doubt(
    selector: &Selector,
    errors: &[StandardErrors],
    method: &Method,
    confidence: f64,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    if !(0.0..=MOST_CONFIDENCE).contains(&confidence) {
        let message = format!("a confidence of {confidence} is not from 0 to {MOST_CONFIDENCE}");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    if errors.len() != selector.len() {
        let message = format!("{} standard errors of {} windows", errors.len(), selector.len());
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    if method.max_per_document.is_some() || matches!(method.cut, Cut::TotalTokenBudget(_)) {
        let message =
            "doubts are told of cuts of each category by itself: not with max_per_document or total_token_budget";
        return Err(Error::new(ErrorKind::InvalidSetting, message));
    }
    let sorted = selector.sorted();
    let all = sorted.checked(method)?;
    let starts = all.iter().scan(0, |next, (_, ordinals)| Some(std::mem::replace(next, *next + ordinals.len())));
    let starts: Vec<_> = starts.collect();
    let categories = all.par_iter().zip(starts).filter_map(|((name, ordinals), start)| {
        Category::new(selector, errors, ordinals, start, method, method.cut_of(name)).filter(Category::can_change)
    });
    let categories: Vec<_> = categories.collect();
    let most_draws = (TOLERATED_DRAWS as f64 / (1.0 - confidence)).ceil() as usize;
    let mut draws = 0;
    let mut changes = Vec::new();
    while draws < most_draws && changes.len() <= TOLERATED_DRAWS {
        let next = (draws + DRAWS_AT_ONCE).min(most_draws);
        changes.extend(changes_of(&categories, draws..next, cancel)?);
        draws = next;
    }
    if changes.len() <= TOLERATED_DRAWS {
        return Ok(Vec::new());
    }
    // Half of the risk is left for what remains of the errors of those that are scored again.
    let tolerated = TOLERATED_DRAWS / 2 * draws / most_draws;
    let ordinals: Vec<_> = all.iter().flat_map(|(_, ordinals)| ordinals).copied().collect();
    let mut doubted = unsettled(&changes, ordinals.len(), tolerated, |place| !errors[ordinals[place]].is_exact());
    if doubted.is_empty() {
        let changed = categories.iter().filter(|category| category.is_among(&changes));
        doubted = changed.flat_map(|category| category.deciding_the_scales()).collect();
    }
    doubted.iter_mut().for_each(|place| *place = ordinals[*place]);
    doubted.sort_unstable();
    Ok(doubted)
}

/// The places of the windows that changed sides in a draw, among all by category and id.
type Changed = Vec<usize>;

/// The draws in which any window changed sides.
fn changes_of(categories: &[Category], draws: std::ops::Range<usize>, cancel: &Cancel) -> Result<Vec<Changed>> {
    let of_draw = |draw: usize| -> Result<Changed> {
        let changed = categories.par_iter().map(|category| {
            cancel.check()?;
            Ok(category.changed(draw as u64))
        });
        let changed = changed.collect::<Result<Vec<_>>>()?;
        Ok(changed.into_iter().flatten().collect())
    };
    let changes = draws.into_par_iter().map(of_draw).collect::<Result<Vec<_>>>()?;
    Ok(changes.into_iter().filter(|changed| !changed.is_empty()).collect())
}

/// The fewest inexact ones of a number of windows, those that changed sides most often first, that are at least half of
/// those that changed sides in each draw but `tolerated`: once these are known better, many of the others are settled too.
fn unsettled(changes: &[Changed], windows: usize, tolerated: usize, is_inexact: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut counts = vec![0u32; windows];
    changes.iter().flatten().for_each(|place| counts[*place] += 1);
    let mut order: Vec<_> = (0..windows).filter(|place| counts[*place] > 0 && is_inexact(*place)).collect();
    order.sort_by_key(|place| std::cmp::Reverse(counts[*place]));
    let mut ranks = vec![None; windows];
    order.iter().enumerate().for_each(|(rank, place)| ranks[*place] = Some(rank));
    let needed = |changed: &Changed| {
        let mut ranks: Vec<_> = changed.iter().filter_map(|place| ranks[*place]).collect();
        let half = ranks.len().div_ceil(2).checked_sub(1)?;
        Some(*ranks.select_nth_unstable(half).1)
    };
    let mut needed: Vec<usize> = changes.iter().filter_map(needed).collect();
    needed.sort_unstable_by(|a, b| b.cmp(a));
    order.truncate(needed.get(tolerated).map_or(0, |rank| rank + 1));
    order
}

/// The windows of one category in the order of their ids.
struct Category<'a> {
    /// The place of its first window among all by category and id.
    start: usize,
    ordinals: &'a [usize],
    strengths: Estimates,
    uniformities: Estimates,
    token_counts: Vec<u64>,
    standardize: Standardize,
    alpha: f64,
    cut: Cut,
    /// Which windows the estimates select.
    selection: Vec<bool>,
}

/// One score of each window, and its standard error.
struct Estimates {
    values: Vec<f64>,
    errors: Vec<f64>,
}

impl Estimates {
    /// Scores moved by errors that are drawn.
    fn drawn(&self, mut student: impl FnMut() -> f64) -> Vec<f64> {
        let both = self.values.iter().zip(&self.errors);
        both.map(|(value, error)| if *error > 0.0 { value + error * student() } else { *value }).collect()
    }

    /// Adds to each window's influence on a deviation. To first order an error moves it in proportion to how far from the
    /// mean it is. Extremes are farthest.
    fn add_influences(&self, influences: &mut [f64], weight: f64, cut: Cut) {
        let Scale::Linear { offset, unit } = Scale::of(self.values.iter().copied(), Standardize::ZScore) else {
            return;
        };
        // By rank, only differences matter; a threshold is also compared with the mean.
        let by_mean = if matches!(cut, Cut::Threshold(_)) { 1.0 } else { 0.0 };
        for (influence, (value, error)) in influences.iter_mut().zip(self.values.iter().zip(&self.errors)) {
            let distance = (value - offset) / unit;
            *influence += (weight * error / unit).powi(2) * (distance * distance + by_mean);
        }
    }
}

impl<'a> Category<'a> {
    /// `None` where all scores are exact.
    fn new(
        selector: &Selector,
        errors: &[StandardErrors],
        ordinals: &'a [usize],
        start: usize,
        method: &Method,
        cut: Cut,
    ) -> Option<Self> {
        if ordinals.iter().all(|ordinal| errors[*ordinal].is_exact()) {
            return None;
        }
        let strengths = Estimates {
            values: ordinals.iter().map(|ordinal| selector.strength(*ordinal)).collect(),
            errors: ordinals.iter().map(|ordinal| errors[*ordinal].dependency_strength).collect(),
        };
        let uniformities = Estimates {
            values: ordinals.iter().map(|ordinal| selector.uniformity(*ordinal)).collect(),
            errors: ordinals.iter().map(|ordinal| errors[*ordinal].distribution_uniformity).collect(),
        };
        let token_counts = match cut {
            Cut::TokenBudget(_) => ordinals.iter().map(|ordinal| selector.measure(*ordinal).token_count).collect(),
            _ => Vec::new(),
        };
        let selection = Vec::new();
        let Method { standardize, alpha, .. } = *method;
        let mut category =
            Self { start, ordinals, strengths, uniformities, token_counts, standardize, alpha, cut, selection };
        category.selection = category.select(&category.strengths.values, &category.uniformities.values);
        Some(category)
    }

    /// Whether errors can change the selection: not where the cut takes all windows or none, whatever their scores.
    fn can_change(&self) -> bool {
        let windows = self.ordinals.len();
        match self.cut {
            Cut::Threshold(_) => true,
            Cut::Ratio(_) | Cut::Count(_) => {
                let count = self.cut.selected(windows, std::iter::repeat_n((0.0, 0), windows));
                count > 0 && count < windows
            }
            Cut::TokenBudget(budget) | Cut::TotalTokenBudget(budget) => {
                let all = self.token_counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
                all > budget && self.token_counts.iter().any(|count| *count <= budget)
            }
        }
    }

    /// The places of the windows that change sides in a draw.
    fn changed(&self, draw: u64) -> Changed {
        let mut random = Random(SEED ^ draw.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut random = Random(random.next() ^ self.start as u64);
        let strengths = self.strengths.drawn(|| random.student8());
        let uniformities = self.uniformities.drawn(|| random.student4());
        let drawn = self.select(&strengths, &uniformities);
        let members = 0..self.ordinals.len();
        members.filter(|member| drawn[*member] != self.selection[*member]).map(|member| self.start + member).collect()
    }

    /// Which windows are selected by some scores.
    fn select(&self, strengths: &[f64], uniformities: &[f64]) -> Vec<bool> {
        let Self { standardize, alpha, cut, .. } = *self;
        let scores = super::long_distance_dependency_scores(strengths, uniformities, standardize, alpha);
        if let Cut::Threshold(threshold) = cut {
            return scores.iter().map(|score| *score >= threshold).collect();
        }
        let mut order: Vec<_> = scores.iter().copied().enumerate().collect();
        let by_rank = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let count = match cut {
            Cut::TokenBudget(_) => {
                order.sort_unstable_by(by_rank);
                cut.selected(order.len(), order.iter().map(|(member, score)| (*score, self.token_counts[*member])))
            }
            _ => cut.selected(order.len(), order.iter().map(|(_, score)| (*score, 0))),
        };
        if count < order.len() {
            order.select_nth_unstable_by(count, by_rank);
        }
        let mut selected = vec![false; scores.len()];
        order[..count].iter().for_each(|(member, _)| selected[*member] = true);
        selected
    }

    /// Whether any of its windows changed sides.
    fn is_among(&self, changes: &[Changed]) -> bool {
        let places = self.start..self.start + self.ordinals.len();
        changes.iter().flatten().any(|place| places.contains(place))
    }

    /// The windows that together make half of the error of the category's scales: where no window is in doubt by its
    /// own error, their error tilts the ranking of exact scores.
    fn deciding_the_scales(&self) -> Vec<usize> {
        let mut influences = vec![0.0; self.ordinals.len()];
        self.strengths.add_influences(&mut influences, 1.0, self.cut);
        self.uniformities.add_influences(&mut influences, self.alpha, self.cut);
        let is_inexact =
            |member: &usize| self.strengths.errors[*member] > 0.0 || self.uniformities.errors[*member] > 0.0;
        let mut order: Vec<_> = (0..influences.len()).filter(is_inexact).collect();
        order.sort_by(|a, b| influences[*b].total_cmp(&influences[*a]));
        let half = influences.iter().sum::<f64>() / 2.0;
        let mut sum = 0.0;
        let needed = order.iter().take_while(|member| {
            let needed = sum < half;
            sum += influences[**member];
            needed
        });
        let needed = needed.count();
        // Influences may all be 0, or too great for numbers.
        order.truncate(if needed == 0 { order.len() } else { needed });
        order.into_iter().map(|member| self.start + member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Candidate;
    use proptest::prelude::*;

    /// Standard errors of both scores in three rounds, the last of which is exact. Scores have a deviation of 1.
    const ERRORS: [f64; 3] = [0.2, 0.05, 0.0];

    /// A candidate whose scores may be estimates.
    #[derive(Clone)]
    struct Estimated {
        candidate: Candidate,
        errors: StandardErrors,
    }

    impl Estimated {
        fn is_exact(&self) -> bool {
            self.errors.is_exact()
        }
    }

    fn in_doubt(
        windows: &[Estimated],
        standardize: Standardize,
        alpha: f64,
        cut: Cut,
        confidence: f64,
    ) -> Result<Vec<usize>> {
        let mut selector = Selector::default();
        windows.iter().try_for_each(|window| selector.add(window.candidate.clone()))?;
        let errors: Vec<_> = windows.iter().map(|window| window.errors).collect();
        super::in_doubt(&selector, &errors, &Method::new(standardize, alpha, cut), confidence, &Cancel::default())
    }

    /// Windows whose exact scores are known to the test alone.
    struct Corpus {
        exact: Vec<Candidate>,
        /// What each round of each window tells.
        estimates: Vec<[Estimated; 3]>,
    }

    fn candidate(place: usize, dependency_strength: f64, distribution_uniformity: f64) -> Candidate {
        Candidate {
            id: format!("{place:03}"),
            category: ["books", "code"][place % 2].to_owned(),
            token_count: 100 + place as u64 % 3,
            far: None,
            dependency_strength,
            distribution_uniformity,
        }
    }

    impl Corpus {
        fn new(windows: usize, seed: u64) -> Self {
            let mut random = Random(seed);
            let exact: Vec<_> =
                (0..windows).map(|place| candidate(place, random.normal(), random.student8())).collect();
            let mut estimate = |exact: &Candidate, error: f64| Estimated {
                candidate: Candidate {
                    dependency_strength: exact.dependency_strength + error * random.student8(),
                    distribution_uniformity: exact.distribution_uniformity + error * random.student8(),
                    ..exact.clone()
                },
                errors: StandardErrors { dependency_strength: error, distribution_uniformity: error },
            };
            let estimates = exact.iter().map(|exact| ERRORS.map(|error| estimate(exact, error))).collect();
            Self { exact, estimates }
        }

        fn known(&self, rounds: &[usize]) -> Vec<Estimated> {
            self.estimates.iter().zip(rounds).map(|(estimates, round)| estimates[*round].clone()).collect()
        }

        /// Scores again what is in doubt until nothing is, and gives each window's round.
        fn refine(&self, standardize: Standardize, alpha: f64, cut: Cut, confidence: f64) -> Vec<usize> {
            let mut rounds = vec![0; self.exact.len()];
            loop {
                let doubted = in_doubt(&self.known(&rounds), standardize, alpha, cut, confidence).unwrap();
                if doubted.is_empty() {
                    return rounds;
                }
                doubted.into_iter().for_each(|place| rounds[place] += 1);
            }
        }
    }

    fn selected(candidates: impl Iterator<Item = Candidate>, standardize: Standardize, cut: Cut) -> Vec<String> {
        let mut selector = Selector::default();
        candidates.for_each(|candidate| selector.add(candidate).unwrap());
        let ranked = selector.rank(&Method::new(standardize, 0.5, cut)).unwrap().into_values().flatten();
        let mut ids: Vec<_> = ranked.filter(|ranked| ranked.selected).map(|ranked| ranked.candidate.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn selections_equal_the_exact_ones_as_often_as_promised() {
        const TRIALS: u64 = 50;
        for (standardize, cut) in [
            (Standardize::ZScore, Cut::Ratio(0.25)),
            (Standardize::ZScore, Cut::Count(30)),
            (Standardize::ZScore, Cut::TokenBudget(1234)),
            (Standardize::ZScore, Cut::Threshold(1.5)),
            (Standardize::MinMax, Cut::Ratio(0.25)),
            (Standardize::MinMax, Cut::Threshold(0.8)),
        ] {
            let (mut wrong, mut wrong_at_first, mut exact) = (0, 0, 0);
            for trial in 0..TRIALS {
                let corpus = Corpus::new(80, trial);
                let expected = selected(corpus.exact.iter().cloned(), standardize, cut);
                let by = |rounds: &[usize]| {
                    let known = corpus.known(rounds).into_iter();
                    selected(known.map(|estimated| estimated.candidate), standardize, cut) == expected
                };
                let rounds = corpus.refine(standardize, 0.5, cut, 0.9);
                wrong += usize::from(!by(&rounds));
                wrong_at_first += usize::from(!by(&[0; 80]));
                exact += rounds.iter().filter(|round| **round == 2).count();
            }
            println!("{standardize:?} {cut:?}: {wrong} wrong, {wrong_at_first} at first, {exact} exact");
            assert!(wrong <= 9, "{standardize:?} {cut:?}: {wrong} of {TRIALS} are wrong");
            assert!(wrong_at_first >= 40, "{standardize:?} {cut:?}: only {wrong_at_first} were wrong at first");
            assert!(exact < 80 * 30, "{standardize:?} {cut:?}: {exact} exact scores saved little");
        }
    }

    #[test]
    fn windows_far_from_the_cut_are_left_alone() {
        let mut windows = Corpus::new(40, 1).known(&[0; 40]);
        windows.retain(|window| window.candidate.category == "books");
        for (place, window) in windows.iter_mut().enumerate() {
            window.candidate.dependency_strength = if place < 5 { 40.0 } else { 0.0 } + place as f64 / 10.0;
            window.candidate.distribution_uniformity = 0.0;
            window.errors.distribution_uniformity = 0.0;
        }
        let doubted = |cut| in_doubt(&windows, Standardize::ZScore, 0.5, cut, 0.99).unwrap();
        assert_eq!(doubted(Cut::Count(5)), [0; 0]);
        let close = doubted(Cut::Count(2));
        assert!(close.contains(&2) && close.contains(&3) && close.iter().all(|place| *place < 5), "{close:?}");
    }

    #[test]
    fn twins_end_as_exact() {
        let mut windows = Corpus::new(10, 2).known(&[0; 10]);
        for window in &mut windows {
            window.candidate.category = "twins".to_owned();
            (window.candidate.dependency_strength, window.candidate.distribution_uniformity) = (1.0, -1.0);
        }
        loop {
            let doubted = in_doubt(&windows, Standardize::ZScore, 0.5, Cut::Ratio(0.5), 0.99).unwrap();
            if doubted.is_empty() {
                break;
            }
            for place in doubted {
                windows[place].errors = StandardErrors::default();
            }
        }
        let inexact = windows.iter().filter(|window| !window.is_exact()).count();
        assert_eq!(inexact, 0);
    }

    #[test]
    fn what_is_selected_in_any_case_is_in_no_doubt() {
        let windows = Corpus::new(12, 3).known(&[0; 12]);
        for cut in [Cut::Ratio(1.0), Cut::Count(0), Cut::Count(6), Cut::TokenBudget(99), Cut::Threshold(f64::MIN)] {
            assert_eq!(in_doubt(&windows, Standardize::ZScore, 0.5, cut, 0.99).unwrap(), [0; 0], "{cut:?}");
        }
        assert_eq!(in_doubt(&[], Standardize::ZScore, 0.5, Cut::Ratio(0.5), 0.99).unwrap(), [0; 0]);
        assert_eq!(in_doubt(&windows[..1], Standardize::ZScore, 0.5, Cut::Ratio(0.5), 0.99).unwrap(), [0; 0]);
    }

    #[test]
    fn many_categories_take_no_more_draws_than_one() {
        let mut windows = Corpus::new(8000, 5).known(&[0; 8000]);
        for (place, window) in windows.iter_mut().enumerate() {
            window.candidate.category = format!("category {}", place / 8);
            // Far apart, but in one category.
            let spread = if place < 8 { 0.01 } else { 10.0 };
            window.candidate.dependency_strength = spread * (place % 8) as f64;
            window.errors = StandardErrors { dependency_strength: 0.1, distribution_uniformity: 0.0 };
        }
        let doubted = in_doubt(&windows, Standardize::ZScore, 0.0, Cut::Count(2), 0.99).unwrap();
        assert!(!doubted.is_empty() && doubted.iter().all(|place| *place < 8), "{doubted:?}");
    }

    #[test]
    fn draws_can_be_cancelled() {
        let cancel = Cancel::default();
        cancel.cancel();
        let mut selector = Selector::default();
        let windows = Corpus::new(20, 6).known(&[0; 20]);
        windows.iter().for_each(|window| selector.add(window.candidate.as_str()).unwrap());
        let errors: Vec<_> = windows.iter().map(|window| window.errors).collect();
        let method = Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.5));
        let cancelled = super::in_doubt(&selector, &errors, &method, 0.99, &cancel).unwrap_err();
        assert_eq!(cancelled.kind(), ErrorKind::Cancelled);
        let fewer = super::in_doubt(&selector, &errors[1..], &method, 0.99, &Cancel::default()).unwrap_err();
        assert_eq!(fewer.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn twins_by_id_and_too_much_confidence_are_refused() {
        let window = Corpus::new(1, 4).known(&[0]).remove(0);
        let refused = |windows: &[Estimated], confidence| {
            in_doubt(windows, Standardize::ZScore, 0.5, Cut::Count(1), confidence).unwrap_err().to_string()
        };
        assert!(refused(&[window.clone(), window.clone()], 0.9).contains("given twice"));
        assert!(refused(&[window], 1.0).contains("from 0 to 0.999"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rounds_end_and_never_doubt_what_is_exact(
            seed: u64,
            windows in 0usize..30,
            alpha in -2.0..2.0f64,
            share in 0.0..1.0f64,
            min_max: bool,
        ) {
            let corpus = Corpus::new(windows, seed);
            let standardize = if min_max { Standardize::MinMax } else { Standardize::ZScore };
            // Places of exact windows would lie beyond the last round.
            for cut in [Cut::Ratio(share), Cut::Threshold(share), Cut::TokenBudget((share * 2000.0) as u64)] {
                let rounds = corpus.refine(standardize, alpha, cut, 0.95);
                prop_assert!(rounds.iter().all(|round| *round <= 2));
            }
        }

        #[test]
        fn doubts_depend_on_neither_order_nor_threads(seed: u64, rotation in 0usize..20) {
            let windows = Corpus::new(20, seed).known(&[0; 20]);
            let doubted = |windows: &[Estimated], threads| -> Vec<String> {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let places = pool.install(|| in_doubt(windows, Standardize::ZScore, 0.5, Cut::Ratio(0.3), 0.9)).unwrap();
                let mut ids: Vec<_> = places.into_iter().map(|place| windows[place].candidate.id.clone()).collect();
                ids.sort_unstable();
                ids
            };
            let mut rotated = windows.clone();
            rotated.rotate_left(rotation);
            prop_assert_eq!(doubted(&windows, 1), doubted(&rotated, 3));
        }
    }
}
