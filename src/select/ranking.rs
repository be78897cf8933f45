//! Candidates ranked and cut, category by category.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use rayon::prelude::*;

use super::budget::{Claim, share};
use super::selector::Selector;
use super::{Cut, Filter, Method, MixedLengths, Ranked, Standardize, document_of};
use crate::error::{Error, ErrorKind, Result};

/// Measures this share apart are those of windows cut at one length, whose texts were tokenized again.
const SAME_LENGTH_SHARE: u64 = 16;

/// Categories that a message lists.
const MOST_NAMES: usize = 20;

/// The candidates of a selector by category, in the order of bytes, and by id.
pub struct Sorted<'a> {
    pub(super) selector: &'a Selector,
    /// Of each category its name and the ordinals of its candidates in the order of their ids.
    pub(super) categories: Vec<(&'a str, Vec<usize>)>,
    /// The column that ranks and the number of each candidate there; none for the long-distance dependency score.
    pub(super) by: Option<(String, Vec<f64>)>,
}

/// A candidate whose id another one of its category had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The ordinal of the later one.
    pub ordinal: usize,
    /// The ordinal of the first one with the id.
    pub first: usize,
}

/// The windows of one category in the order of their ranks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking<'a> {
    /// The category.
    pub category: &'a str,
    /// The highest [`Standing::score`] first, and equal ones by id.
    pub windows: Vec<Standing>,
    /// The first so many make the cut, but for those that were passed over.
    pub end: usize,
    /// Places among these, counted from 0, whose documents have as many better windows as [`Method::max_per_document`]
    /// allows.
    pub passed_over: Vec<usize>,
}

/// A candidate with its long-distance dependency score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The candidate's place in the order of adding to the [`Selector`].
    pub ordinal: usize,
    /// `LDS = Std(DS) + α·Std(DU)`, Eq. 8, relative to the category.
    pub long_distance_dependency_score: f64,
    /// What it is ranked and cut by: the same, or its number in the column of [`Sorted::rank_by`].
    pub score: f64,
}

impl Ranking<'_> {
    /// The windows that make the cut, the highest score first.
    pub fn selected(&self) -> impl Iterator<Item = &Standing> {
        let mut passed_over = self.passed_over.iter().peekable();
        let is_selected = move |place: &usize| passed_over.next_if_eq(&place).is_none();
        (0..self.end).filter(is_selected).map(|place| &self.windows[place])
    }

    /// How many windows make the cut.
    pub fn count_selected(&self) -> usize {
        self.end - self.passed_over.len()
    }

    /// Whether the window at a place, counted from 0, makes the cut.
    pub fn is_selected(&self, place: usize) -> bool {
        place < self.end && self.passed_over.binary_search(&place).is_err()
    }
}

impl<'a> Sorted<'a> {
    pub(super) fn new(selector: &'a Selector) -> Self {
        let mut counts = vec![0; selector.categories().len()];
        selector.category_numbers().iter().for_each(|number| counts[*number as usize] += 1);
        let mut members: Vec<_> = counts.into_iter().map(Vec::with_capacity).collect();
        for (ordinal, number) in selector.category_numbers().iter().enumerate() {
            members[*number as usize].push(ordinal);
        }
        members.par_iter_mut().for_each(|ordinals| sort_by_id(selector, ordinals));
        let names = selector.categories().iter().map(String::as_str);
        let mut categories: Vec<_> = names.zip(members).collect();
        categories.sort_unstable_by_key(|(name, _)| *name);
        Self { selector, categories, by: None }
    }

    /// Leaves out all but the first added of the candidates of one category that have one id, and gives those that were
    /// left out, in the order of adding.
    pub fn remove_duplicates(&mut self) -> Vec<Duplicate> {
        let selector = self.selector;
        let mut duplicates = Vec::new();
        for (_, ordinals) in &mut self.categories {
            // Those of one id are in the order of adding.
            ordinals.dedup_by(|ordinal, first| {
                let is_same = selector.id(*ordinal) == selector.id(*first);
                if is_same {
                    duplicates.push(Duplicate { ordinal: *ordinal, first: *first });
                }
                is_same
            });
        }
        duplicates.sort_unstable_by_key(|duplicate| duplicate.ordinal);
        duplicates
    }

    /// Ranks each category's candidates by their long-distance dependency score, highest first and equal ones by id, and
    /// cuts. Categories come in the order of their bytes, each computed when it is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] where two candidates of a category have the same id, and, with
    /// [`MixedLengths::Refuse`], where they were measured differently; [`ErrorKind::InvalidSetting`] where a cut or a weight
    /// is of a category that is not there.
    pub fn rankings(&self, method: &Method) -> impl Iterator<Item = Result<Ranking<'a>>> {
        let method = method.clone();
        let (failure, cuts) = match self.cuts(&method) {
            Ok(cuts) => (None, cuts),
            Err(error) => (Some(Err(error)), Vec::new()),
        };
        let rankings = self.categories.iter().zip(cuts).map(move |((name, ordinals), cut)| {
            self.check(name, ordinals, &method)?;
            Ok(self.rank(name, ordinals, &method, cut))
        });
        failure.into_iter().chain(rankings)
    }

    /// All rankings at once, with candidates of their own.
    ///
    /// # Errors
    /// Those of [`Sorted::rankings`].
    pub fn ranked(&self, method: &Method) -> Result<BTreeMap<String, Vec<Ranked>>> {
        let owned = |ranking: Ranking<'_>| {
            let ranked = ranking.windows.iter().enumerate().map(|(place, standing)| Ranked {
                candidate: self.selector.candidate(standing.ordinal).to_owned(),
                long_distance_dependency_score: standing.long_distance_dependency_score,
                selected: ranking.is_selected(place),
            });
            (ranking.category.to_owned(), ranked.collect())
        };
        self.rankings(method).map(|ranking| ranking.map(owned)).collect()
    }

    /// Leaves out the candidates for which a filter does not hold, or that have no number in one of its columns, as if they
    /// had not been added, and tells how many. `column` gives the numbers of the candidate with an ordinal.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where no candidate has numbers in all columns; those of `column`.
    pub fn filter(
        &mut self,
        filter: &Filter,
        mut column: impl FnMut(usize, &str) -> Result<Option<f64>>,
    ) -> Result<usize> {
        let (mut left_out, mut has_columns) = (0, filter.is_empty() || self.selector.is_empty());
        for (_, ordinals) in &mut self.categories {
            let mut kept = Vec::new();
            for ordinal in ordinals.drain(..) {
                let holds = filter.holds(|name| column(ordinal, name))?;
                has_columns |= holds.is_some();
                match holds {
                    Some(true) => kept.push(ordinal),
                    _ => left_out += 1,
                }
            }
            *ordinals = kept;
        }
        self.categories.retain(|(_, ordinals)| !ordinals.is_empty());
        if has_columns {
            return Ok(left_out);
        }
        let columns: Vec<_> = filter.columns().collect();
        let message = format!("the filter asks for {}, and no window has numbers there", columns.join(", "));
        Err(Error::new(ErrorKind::InvalidSetting, message))
    }

    /// Ranks and cuts by a column from now on, the highest number first, in place of the long-distance dependency score. Leaves
    /// out the candidates that have no number there, as if they had not been added, and tells how many. `number` gives that of
    /// the candidate with an ordinal.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where no candidate has a number; those of `number`.
    pub fn rank_by(&mut self, column: &str, mut number: impl FnMut(usize) -> Result<Option<f64>>) -> Result<usize> {
        let mut by = vec![f64::NAN; self.selector.len()];
        for (_, ordinals) in &self.categories {
            for ordinal in ordinals {
                by[*ordinal] = number(*ordinal)?.unwrap_or(f64::NAN);
            }
        }
        let count = |categories: &[(&str, Vec<usize>)]| categories.iter().map(|(_, all)| all.len()).sum::<usize>();
        let before = count(&self.categories);
        self.categories.iter_mut().for_each(|(_, ordinals)| ordinals.retain(|ordinal| by[*ordinal].is_finite()));
        self.categories.retain(|(_, ordinals)| !ordinals.is_empty());
        self.by = Some((column.to_owned(), by));
        let kept = count(&self.categories);
        if kept == 0 && before > 0 {
            let message = format!("windows are to be ranked by {column}, and none has a number there");
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        Ok(before - kept)
    }

    /// The cut of each category.
    pub(super) fn cuts(&self, method: &Method) -> Result<Vec<Cut>> {
        self.check_names(method)?;
        let cuts = self.categories.iter().map(|(name, _)| method.cut_of(name)).collect();
        let Cut::TotalTokenBudget(budget) = method.cut else { return Ok(cuts) };
        let claim = |(name, ordinals): &(&str, Vec<usize>)| {
            let all = self.rank(name, ordinals, method, Cut::Ratio(1.0));
            let tokens = all.selected().map(|standing| self.selector.measure(standing.ordinal).token_count).sum();
            Claim { weight: method.weights.get(*name).copied().unwrap_or(1.0), tokens }
        };
        let claims: Vec<_> = self.categories.iter().map(claim).collect();
        Ok(share(budget, &claims).into_iter().map(Cut::TokenBudget).collect())
    }

    /// Refuses cuts and weights of categories that are not there.
    fn check_names(&self, method: &Method) -> Result<()> {
        let names = || self.categories.iter().map(|(name, _)| *name);
        let mut asked = method.category_cuts.keys().chain(method.weights.keys());
        let Some(unknown) = asked.find(|asked| names().all(|name| name != *asked)) else { return Ok(()) };
        let known: Vec<_> = names().take(MOST_NAMES).collect();
        let more = if self.categories.len() > MOST_NAMES { ", …" } else { "" };
        let message = format!("there is no category {unknown}: there are {}{more}", known.join(", "));
        Err(Error::new(ErrorKind::InvalidSetting, message))
    }

    /// The categories with their ordinals in the order of ids, checked as for a ranking.
    pub(super) fn checked(&self, method: &Method) -> Result<&[(&'a str, Vec<usize>)]> {
        self.categories.iter().try_for_each(|(name, ordinals)| self.check(name, ordinals, method))?;
        Ok(&self.categories)
    }

    pub(super) fn check(&self, category: &str, ordinals: &[usize], method: &Method) -> Result<()> {
        let selector = self.selector;
        let is_twice = |pair: &&[usize]| selector.id(pair[0]) == selector.id(pair[1]);
        if let Some(twins) = ordinals.par_windows(2).find_first(is_twice) {
            let message = format!("window {} of category {category} was given twice", selector.id(twins[0]));
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        match method.mixed_lengths {
            MixedLengths::Refuse => check_measures(selector, category, ordinals),
            MixedLengths::Allow => Ok(()),
        }
    }

    pub(super) fn rank(&self, category: &'a str, ordinals: &[usize], method: &Method, cut: Cut) -> Ranking<'a> {
        let selector = self.selector;
        // Sums of floats depend on their order, and that of ids does not depend on the input's.
        let strength = Scale::of(ordinals.iter().map(|ordinal| selector.strength(*ordinal)), method.standardize);
        let uniformity = Scale::of(ordinals.iter().map(|ordinal| selector.uniformity(*ordinal)), method.standardize);
        let standing = |ordinal: &usize| {
            let long_distance_dependency_score = strength.apply(selector.strength(*ordinal))
                + method.alpha * uniformity.apply(selector.uniformity(*ordinal));
            let score = self.by.as_ref().map_or(long_distance_dependency_score, |(_, by)| by[*ordinal]);
            Standing { ordinal: *ordinal, long_distance_dependency_score, score }
        };
        let mut windows: Vec<_> = ordinals.par_iter().map(standing).collect();
        // A stable sort: equal scores stay in the order of ids.
        windows.par_sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut passed_over = match method.max_per_document {
            Some(most) => beyond_document_limit(selector, &windows, most),
            None => Vec::new(),
        };
        let places = || {
            let mut passed = passed_over.iter().peekable();
            (0..windows.len()).filter(move |place| passed.next_if_eq(&place).is_none())
        };
        let ranked = places().map(|place| {
            let Standing { ordinal, score, .. } = windows[place];
            (score, selector.measure(ordinal).token_count)
        });
        let selected = cut.selected(windows.len(), ranked).min(windows.len() - passed_over.len());
        let last = selected.checked_sub(1).and_then(|before| places().nth(before));
        let end = last.map_or(0, |last| last + 1);
        passed_over.truncate(passed_over.partition_point(|place| *place < end));
        Ranking { category, windows, end, passed_over }
    }
}

/// The places of windows whose documents have so many better ones already.
fn beyond_document_limit(selector: &Selector, windows: &[Standing], most: NonZeroUsize) -> Vec<usize> {
    let mut taken: HashMap<&str, usize> = HashMap::new();
    let mut is_beyond = |place: &usize| {
        let count = taken.entry(document_of(selector.id(windows[*place].ordinal))).or_default();
        *count += 1;
        *count > most.get()
    };
    (0..windows.len()).filter(&mut is_beyond).collect()
}

impl Cut {
    /// How many of the windows make the cut that are given by rank, with scores and token counts, of a category with so many
    /// windows. A budget for all categories must have been shared out.
    pub(super) fn selected(self, windows: usize, ranked: impl Iterator<Item = (f64, u64)>) -> usize {
        match self {
            // 0.29 of 100 is 29, though its product in floating point is a little less.
            Self::Ratio(ratio) => ((windows as f64 * ratio * (1.0 + 1e-12)) as usize).min(windows),
            Self::Count(count) => count.min(windows),
            Self::TokenBudget(budget) | Self::TotalTokenBudget(budget) => {
                let mut tokens = 0u64;
                let fits = |(_, token_count): &(f64, u64)| {
                    tokens = tokens.saturating_add(*token_count);
                    tokens <= budget
                };
                ranked.take_while(fits).count()
            }
            Self::Threshold(threshold) => ranked.take_while(|(score, _)| *score >= threshold).count(),
        }
    }
}

/// Refuses windows of one category that were measured differently. What is not known of a window is not compared.
fn check_measures(selector: &Selector, category: &str, ordinals: &[usize]) -> Result<()> {
    let measures = || ordinals.iter().map(|ordinal| (*ordinal, selector.measure(*ordinal)));
    let tokens = measures().map(|(ordinal, measure)| (measure.token_count, ordinal)).filter(|known| known.0 > 0);
    let regions = || measures().filter_map(|(ordinal, measure)| Some((measure.far?, ordinal)));
    let distances = regions().map(|(far, ordinal)| (far.min_distance as u64, ordinal));
    let sinks = regions().map(|(far, ordinal)| (far.sink_tokens as u64, ordinal));
    let like_lengths = |largest: u64| largest.div_ceil(SAME_LENGTH_SHARE);
    let apart = (farthest(tokens, like_lengths).map(|pair| (pair, "tokens")))
        .or_else(|| farthest(distances, like_lengths).map(|pair| (pair, "tokens as minimum distance")))
        .or_else(|| farthest(sinks, |_| 0).map(|pair| (pair, "sink tokens")));
    let Some(([smallest, largest], name)) = apart else { return Ok(()) };
    let message = format!(
        "windows of category {category} were measured differently, so that their scores cannot be compared: {} with {} \
         {name} and {} with {}; cut them at one length, keep them in categories of their own, or set \
         mixed_lengths=allow",
        selector.id(smallest.1),
        smallest.0,
        selector.id(largest.1),
        largest.0
    );
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// The smallest and the largest of some sizes, with their ordinals, where they are farther apart than is tolerated.
fn farthest(
    sizes: impl Iterator<Item = (u64, usize)> + Clone,
    tolerated: impl Fn(u64) -> u64,
) -> Option<[(u64, usize); 2]> {
    let smallest = sizes.clone().min_by_key(|size| size.0)?;
    let largest = sizes.max_by_key(|size| size.0)?;
    (largest.0 - smallest.0 > tolerated(largest.0)).then_some([smallest, largest])
}

/// Sorts candidates by id, and those of one id by ordinal.
fn sort_by_id(selector: &Selector, ordinals: &mut [usize]) {
    let Some(first) = ordinals.first().map(|ordinal| selector.id(*ordinal).as_bytes()) else { return };
    let shared = |ordinal: &usize| {
        let id = selector.id(*ordinal).as_bytes();
        first.iter().zip(id).take_while(|(a, b)| a == b).count()
    };
    let shared = ordinals.iter().map(shared).min().unwrap_or_default();
    // The next eight bytes decide most comparisons, without a look at ids that lie anywhere in memory.
    let key = |ordinal: usize| {
        let mut bytes = [0; 8];
        let rest = &selector.id(ordinal).as_bytes()[shared..];
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        u64::from_be_bytes(bytes)
    };
    let mut keyed: Vec<_> = ordinals.iter().map(|ordinal| (key(*ordinal), *ordinal)).collect();
    keyed.par_sort_unstable_by(|(a_key, a), (b_key, b)| {
        a_key.cmp(b_key).then_with(|| selector.id(*a).cmp(selector.id(*b))).then(a.cmp(b))
    });
    ordinals.iter_mut().zip(keyed).for_each(|(place, (_, ordinal))| *place = ordinal);
}

/// How the values of one category are brought to one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Values less an offset, in a unit.
    Linear { offset: f64, unit: f64 },
    /// All are equal, and become this.
    Equal(f64),
}

impl Scale {
    /// The scale of some values, whose sums are made in the order in which they come.
    pub fn of(values: impl Iterator<Item = f64> + Clone, standardize: Standardize) -> Self {
        let (offset, unit, where_equal) = match standardize {
            Standardize::ZScore => {
                let count = values.clone().count() as f64;
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
        let first = values.clone().next();
        if unit == 0.0 || values.map(Some).all(|value| value == first) {
            return Self::Equal(where_equal);
        }
        Self::Linear { offset, unit }
    }

    pub fn apply(self, value: f64) -> f64 {
        match self {
            Self::Linear { offset, unit } => (value - offset) / unit,
            Self::Equal(standardized) => standardized,
        }
    }
}

/// `LDS = Std(DS) + α·Std(DU)`, Eq. 8, of the windows of one category, whose `DS` and `DU` are given in the same order.
pub fn long_distance_dependency_scores(
    strengths: &[f64],
    uniformities: &[f64],
    standardize: Standardize,
    alpha: f64,
) -> Vec<f64> {
    let strength = Scale::of(strengths.iter().copied(), standardize);
    let uniformity = Scale::of(uniformities.iter().copied(), standardize);
    let both = strengths.iter().zip(uniformities);
    both.map(|(ds, du)| strength.apply(*ds) + alpha * uniformity.apply(*du)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attention::FarRegion;
    use crate::select::Candidate;

    fn candidate(id: &str, dependency_strength: f64, distribution_uniformity: f64) -> Candidate {
        let (id, category) = (id.to_owned(), "books".to_owned());
        Candidate { id, category, token_count: 100, far: None, dependency_strength, distribution_uniformity }
    }

    fn selector(candidates: &[Candidate]) -> Selector {
        let mut selector = Selector::default();
        candidates.iter().for_each(|candidate| selector.add(candidate.clone()).unwrap());
        selector
    }

    fn rank(candidates: &[Candidate], standardize: Standardize, cut: Cut) -> Vec<Ranked> {
        let ranking = selector(candidates).rank(&Method::new(standardize, 0.5, cut));
        ranking.unwrap().remove("books").unwrap_or_default()
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
        let twins = selector.rank(&Method::new(Standardize::ZScore, 0.5, Cut::Count(1))).unwrap_err();
        assert!(twins.to_string().contains("window a of category books"));
    }

    #[test]
    fn the_first_of_duplicates_is_kept() {
        let given = [("b", 0.3), ("a", 0.1), ("b", 0.9), ("c", 0.2), ("a", 0.8), ("b", 0.7)];
        let selector = selector(&given.map(|(id, strength)| candidate(id, strength, 0.0)));
        let mut sorted = selector.sorted();
        let duplicates = sorted.remove_duplicates().into_iter().map(|twins| (twins.ordinal, twins.first));
        assert_eq!(duplicates.collect::<Vec<_>>(), [(2, 0), (4, 1), (5, 0)]);
        let ranking = sorted.rankings(&Method::new(Standardize::ZScore, 0.5, Cut::Count(2))).next().unwrap().unwrap();
        let ordinals = |windows: &[Standing]| windows.iter().map(|window| window.ordinal).collect::<Vec<_>>();
        assert_eq!(
            (ordinals(&ranking.windows), ordinals(&ranking.selected().copied().collect::<Vec<_>>())),
            (vec![0, 3, 1], vec![0, 3])
        );
    }

    #[test]
    fn windows_measured_differently_do_not_compete() {
        let measured = |id, token_count, far: Option<(usize, usize)>| Candidate {
            token_count,
            far: far.map(|(min_distance, sink_tokens)| FarRegion { min_distance, sink_tokens }),
            ..candidate(id, 0.1, -0.1)
        };
        let method = Method::new(Standardize::ZScore, 0.5, Cut::Count(1));
        let refused = |a, b| {
            let error = selector(&[a, b]).rank(&method).err()?;
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            Some(error.to_string())
        };
        let window = || measured("a", 4096, Some((1024, 4)));
        let message = refused(measured("b", 3, Some((0, 4))), window()).unwrap();
        assert!(message.contains("books") && message.contains("b with 3 tokens and a with 4096"), "{message}");
        assert!(
            refused(window(), measured("b", 4096, Some((512, 4))))
                .unwrap()
                .contains("512 tokens as minimum distance and a with 1024")
        );
        assert!(refused(window(), measured("b", 4096, Some((1024, 0)))).unwrap().contains("0 sink tokens"));
        // Tokenized again, or not known.
        assert_eq!(refused(window(), measured("b", 4091, Some((1022, 4)))), None);
        assert_eq!(refused(window(), measured("b", 0, None)), None);
        let allowed = Method { mixed_lengths: MixedLengths::Allow, ..method.clone() };
        selector(&[measured("b", 3, None), window()]).rank(&allowed).unwrap();
    }

    #[test]
    fn the_first_form_is_still_read() {
        let json = r#"{"version":1,"candidates":[{"id":"a","category":"books","token_count":100,
            "dependency_strength":0.1,"distribution_uniformity":-4.0}]}"#;
        assert_eq!(Selector::from_json(json).unwrap(), selector(&[candidate("a", 0.1, -4.0)]));
    }

    #[test]
    fn ordinals_stay_through_merging_json_and_new_scores() {
        let mut first = selector(&[candidate("b", 0.1, -4.0)]);
        let far = Some(FarRegion { min_distance: 25, sink_tokens: 4 });
        let other = Candidate { category: "code".to_owned(), far, ..candidate("a", 0.2, -3.0) };
        first.merge(selector(&[other.clone(), candidate("c", 0.3, -2.0)]));
        let mut merged = Selector::from_json(&first.to_json()).unwrap();
        assert_eq!(merged, first);
        assert_eq!(merged.candidate(1).to_owned(), other);
        merged.rescore(2, 0.5, -1.0).unwrap();
        assert_eq!(merged.candidate(2).to_owned(), candidate("c", 0.5, -1.0));
        assert_eq!(merged.rescore(0, f64::NAN, 0.0).unwrap_err().kind(), ErrorKind::NonFinite);
    }

    #[test]
    fn json_that_is_no_selector_is_refused() {
        let kind = |json: &str| Selector::from_json(json).unwrap_err().kind();
        assert_eq!(kind(""), ErrorKind::InvalidRecord);
        assert_eq!(kind(r#"{"version":1}"#), ErrorKind::InvalidRecord);
        assert_eq!(kind(r#"{"version":3,"candidates":[]}"#), ErrorKind::Unsupported);
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
            let merged = first.rank(&Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.3))).unwrap().remove("books").unwrap();
            prop_assert_eq!(whole, merged);
        }
    }
}
