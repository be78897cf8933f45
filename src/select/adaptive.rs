//! Which estimated scores must be known better before a selection by them can be trusted.
//!
//! How probable it is that a selection by estimates differs from the exact one is found by drawing (a parametric
//! bootstrap): all scores are moved by errors drawn from their standard errors, and the category is standardised and cut
//! anew. The share of draws that select other windows is the risk. So every error counts that can change a selection: a
//! window's own, and those of the mean and deviation or of the extremes, which all windows share; and every kind of
//! cut is served alike. Ties stay ties only among exact scores.
//!
//! Real errors have heavier tails than normal ones, and real standard errors are themselves estimates, so errors are
//! drawn from Student's distribution with 8 degrees of freedom: 8 of 100 exceed two standard errors, and one in 250
//! exceeds four. Those of `DS` and `DU` are drawn independently: real ones hardly correlate, and rather negatively, which
//! makes the error of their sum smaller.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Candidate, Cut, Method, Scores, Standardize, scale};
use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;

/// Draws that may select other windows: fewer would leave the estimated risk to chance.
const TOLERATED_DRAWS: f64 = 10.0;

/// Standard errors are not known well enough to promise more, and draws would be very many.
pub const MOST_CONFIDENCE: f64 = 0.999;

/// Any number: the same scores get the same draws for ever.
const SEED: u64 = 0x4164_6170_7469_7665;

/// A candidate whose scores may be estimates.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimated {
    /// The window with its scores.
    pub candidate: Candidate,
    /// Standard error of `DS`; 0 where it is exact.
    pub dependency_strength_error: f64,
    /// Standard error of `DU`; 0 where it is exact.
    pub distribution_uniformity_error: f64,
}

impl Estimated {
    fn is_exact(&self) -> bool {
        self.dependency_strength_error == 0.0 && self.distribution_uniformity_error == 0.0
    }
}

/// The places of the windows to score more exactly next, until the selection of all categories together equals that by
/// exact scores with a probability of `confidence`, at most [`MOST_CONFIDENCE`]; none where it does. Windows that are exact
/// are never among them.
///
/// ```
/// use longattn::select::{Candidate, Cut, Estimated, Standardize, in_doubt};
///
/// let estimated = |id: &str, dependency_strength: f64, dependency_strength_error: f64| Estimated {
///     candidate: Candidate {
///         id: id.to_owned(),
///         category: "books".to_owned(),
///         token_count: 8192,
///         dependency_strength,
///         distribution_uniformity: -1e-7,
///     },
///     dependency_strength_error,
///     distribution_uniformity_error: 0.0,
/// };
/// let windows = [estimated("a", 0.1, 0.001), estimated("b", 0.3, 0.01), estimated("c", 0.29, 0.01)];
/// // Either of the last two may be the best; one of them known better may settle it.
/// let doubted = in_doubt(&windows, Standardize::ZScore, 0.5, Cut::Count(1), 0.99)?;
/// assert_eq!(doubted, [1]);
/// # Ok::<(), longattn::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] where two windows of one category have the same id, or for another confidence.
pub fn in_doubt(
    windows: &[Estimated],
    standardize: Standardize,
    alpha: f64,
    cut: Cut,
    confidence: f64,
) -> Result<Vec<usize>> {
    if !(0.0..=MOST_CONFIDENCE).contains(&confidence) {
        let message = format!("a confidence of {confidence} is not from 0 to {MOST_CONFIDENCE}");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let mut categories: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, window) in windows.iter().enumerate() {
        categories.entry(&window.candidate.category).or_default().push(place);
    }
    let risk = (1.0 - confidence) / categories.len() as f64;
    let mut doubted = Vec::new();
    for places in categories.values_mut() {
        places.sort_unstable_by_key(|place| &windows[*place].candidate.id);
        super::check_ids(places.iter().map(|place| &windows[*place].candidate))?;
        let members = places.iter().map(|place| &windows[*place]).collect();
        let category = Category { members, method: Method { standardize, alpha, cut } };
        doubted.extend(category.in_doubt(risk).into_iter().map(|member| places[member]));
    }
    doubted.sort_unstable();
    Ok(doubted)
}

/// The windows of one category in the order of their ids.
struct Category<'a> {
    members: Vec<&'a Estimated>,
    method: Method,
}

impl Category<'_> {
    fn in_doubt(&self, risk: f64) -> Vec<usize> {
        if self.members.iter().all(|member| member.is_exact()) {
            return Vec::new();
        }
        let selection = self.selection(|value, _| value);
        let draws = (TOLERATED_DRAWS / risk).ceil() as u64;
        let changes = (0..draws).into_par_iter().map(|draw| {
            let mut random = Random(SEED ^ draw.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let drawn =
                self.selection(|value, error| if error > 0.0 { value + error * random.student() } else { value });
            let members = 0..self.members.len();
            members.filter(|member| drawn[*member] != selection[*member]).collect::<Vec<_>>()
        });
        let changes: Vec<_> = changes.filter(|changed| !changed.is_empty()).collect();
        let tolerated = TOLERATED_DRAWS as usize;
        if changes.len() <= tolerated {
            return Vec::new();
        }
        // Half of the risk is left for what remains of the errors of those that are scored again.
        let doubted = self.unsettled(&changes, tolerated / 2);
        if doubted.is_empty() { self.deciding_the_scales() } else { doubted }
    }

    /// Which windows are selected where `move_value` moves each value, given with its standard error.
    fn selection(&self, mut move_value: impl FnMut(f64, f64) -> f64) -> Vec<bool> {
        let mut scores = Scores::default();
        for Estimated { candidate, dependency_strength_error, distribution_uniformity_error } in &self.members {
            scores.strengths.push(move_value(candidate.dependency_strength, *dependency_strength_error));
            scores.uniformities.push(move_value(candidate.distribution_uniformity, *distribution_uniformity_error));
            scores.token_counts.push(candidate.token_count);
        }
        let ranking = scores.rank(&self.method);
        let mut selected = vec![false; self.members.len()];
        ranking.order[..ranking.selected].iter().for_each(|member| selected[*member] = true);
        selected
    }

    /// The fewest inexact windows, those that changed sides most often first, without which at most `tolerated` of
    /// the draws have one that changed sides.
    fn unsettled(&self, changes: &[Vec<usize>], tolerated: usize) -> Vec<usize> {
        let mut counts = vec![0usize; self.members.len()];
        changes.iter().flatten().for_each(|member| counts[*member] += 1);
        let mut order: Vec<_> = (0..counts.len()).filter(|member| !self.members[*member].is_exact()).collect();
        order.sort_by_key(|member| std::cmp::Reverse(counts[*member]));
        let mut ranks = vec![None; counts.len()];
        order.iter().enumerate().for_each(|(rank, member)| ranks[*member] = Some(rank));
        let first_rank = |changed: &Vec<usize>| changed.iter().filter_map(|member| ranks[*member]).min();
        let mut first_ranks: Vec<_> = changes.iter().filter_map(first_rank).collect();
        first_ranks.sort_unstable_by(|a, b| b.cmp(a));
        order.truncate(first_ranks.get(tolerated).map_or(0, |rank| rank + 1));
        order
    }

    /// The windows that together make half of the error of the category's scales: where no window is in doubt by its
    /// own error, their error tilts the ranking of exact scores.
    fn deciding_the_scales(&self) -> Vec<usize> {
        let mut influences = vec![0.0; self.members.len()];
        let strength = |member: &Estimated| (member.candidate.dependency_strength, member.dependency_strength_error);
        let uniformity =
            |member: &Estimated| (member.candidate.distribution_uniformity, member.distribution_uniformity_error);
        self.add_influences(&mut influences, strength, 1.0);
        self.add_influences(&mut influences, uniformity, self.method.alpha);
        let inexact = (0..self.members.len()).filter(|member| !self.members[*member].is_exact());
        let mut order: Vec<_> = inexact.collect();
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
        order
    }

    /// To first order an error moves a deviation in proportion to how far from the mean it is. Extremes are farthest.
    fn add_influences(&self, influences: &mut [f64], axis: fn(&Estimated) -> (f64, f64), weight: f64) {
        let pairs = self.members.iter().map(|member| axis(member));
        let values: Vec<_> = pairs.clone().map(|(value, _)| value).collect();
        let Some((mean, deviation)) = scale(&values, Standardize::ZScore) else { return };
        // By rank, only differences matter; a threshold is also compared with the mean.
        let by_mean = if matches!(self.method.cut, Cut::Threshold(_)) { 1.0 } else { 0.0 };
        for (influence, (value, error)) in influences.iter_mut().zip(pairs) {
            let distance = (value - mean) / deviation;
            *influence += (weight * error / deviation).powi(2) * (distance * distance + by_mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Selector;
    use proptest::prelude::*;

    /// Standard errors of both scores in three rounds, the last of which is exact. Scores have a deviation of 1.
    const ERRORS: [f64; 3] = [0.2, 0.05, 0.0];

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
            dependency_strength,
            distribution_uniformity,
        }
    }

    impl Corpus {
        fn new(windows: usize, seed: u64) -> Self {
            let mut random = Random(seed);
            let exact: Vec<_> = (0..windows).map(|place| candidate(place, random.normal(), random.student())).collect();
            let mut estimate = |exact: &Candidate, error: f64| Estimated {
                candidate: Candidate {
                    dependency_strength: exact.dependency_strength + error * random.student(),
                    distribution_uniformity: exact.distribution_uniformity + error * random.student(),
                    ..exact.clone()
                },
                dependency_strength_error: error,
                distribution_uniformity_error: error,
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
        let ranked = selector.rank(standardize, 0.5, cut).unwrap().into_values().flatten();
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
            window.distribution_uniformity_error = 0.0;
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
                (windows[place].dependency_strength_error, windows[place].distribution_uniformity_error) = (0.0, 0.0);
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
