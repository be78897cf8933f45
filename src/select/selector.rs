//! Candidates in columns.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::{Candidate, Method, Ranked, Sorted};
use crate::attention::FarRegion;
use crate::error::{Error, ErrorKind, Result};

/// Collects candidates and selects the best of each category.
///
/// A candidate's *ordinal* is its place in the order of adding, from 0. Selectors of parts of a corpus can be merged in any
/// order: a selection depends on the set of candidates alone.
///
/// ```
/// use longattn::attention::FarRegion;
/// use longattn::select::{Candidate, Cut, Method, Selector, Standardize};
///
/// let mut selector = Selector::default();
/// for (id, dependency_strength) in [("a", 0.1), ("b", 0.3), ("c", 0.2)] {
///     selector.add(Candidate {
///         id,
///         category: "books",
///         token_count: 8192,
///         far: Some(FarRegion { min_distance: 2048, sink_tokens: 0 }),
///         dependency_strength,
///         distribution_uniformity: -1e-7,
///     })?;
/// }
/// let ranking = selector.rank(&Method::new(Standardize::ZScore, 0.5, Cut::Count(1)))?;
/// let best = &ranking["books"][0];
/// assert_eq!((best.candidate.id.as_str(), best.selected), ("b", true));
/// # Ok::<(), longattn::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// All ids, one after the other.
    ids: String,
    /// Where each id ends.
    id_ends: Vec<usize>,
    categories: Interned<String>,
    measures: Interned<Measure>,
    /// Of each candidate its number among the categories.
    category_numbers: Vec<u32>,
    /// Of each candidate its number among the measures.
    measure_numbers: Vec<u32>,
    strengths: Vec<f64>,
    uniformities: Vec<f64>,
}

/// What the scores of a window were measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Measure {
    pub token_count: u64,
    pub far: Option<FarRegion>,
}

/// The version of the form that [`Selector::to_json`] gives. Version 1 did not tell what counted as far.
const FORM_VERSION: u32 = 2;

#[derive(Serialize)]
struct FormOut<'a> {
    version: u32,
    candidates: Vec<Candidate<&'a str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormIn {
    version: u32,
    candidates: Vec<Candidate>,
}

impl Selector {
    /// Adds a candidate, whose ordinal is the number of those added before. Its texts are copied.
    ///
    /// # Errors
    /// [`ErrorKind::NonFinite`] where a score is NaN or infinite.
    pub fn add<S: AsRef<str>>(&mut self, candidate: Candidate<S>) -> Result<()> {
        let Candidate { id, category, token_count, far, dependency_strength, distribution_uniformity } = candidate;
        check_finite(id.as_ref(), dependency_strength, distribution_uniformity)?;
        self.ids.push_str(id.as_ref());
        self.id_ends.push(self.ids.len());
        self.category_numbers.push(self.categories.number(category.as_ref()));
        self.measure_numbers.push(self.measures.number(&Measure { token_count, far }));
        self.strengths.push(dependency_strength);
        self.uniformities.push(distribution_uniformity);
        Ok(())
    }

    /// Adds all candidates of another selector. Their ordinals follow those that are here, in their order.
    pub fn merge(&mut self, other: Self) {
        let before = self.ids.len();
        self.ids.push_str(&other.ids);
        self.id_ends.extend(other.id_ends.iter().map(|end| before + end));
        self.category_numbers.extend(self.categories.renumbered(&other.categories, &other.category_numbers));
        self.measure_numbers.extend(self.measures.renumbered(&other.measures, &other.measure_numbers));
        self.strengths.extend(other.strengths);
        self.uniformities.extend(other.uniformities);
    }

    /// The candidates as versioned JSON, to be merged on another machine. Every number keeps its bits.
    pub fn to_json(&self) -> String {
        let candidates = (0..self.len()).map(|ordinal| self.candidate(ordinal)).collect();
        let form = FormOut { version: FORM_VERSION, candidates };
        serde_json::to_string(&form).expect("strings and finite numbers are valid JSON")
    }

    /// Reads what [`Selector::to_json`] gave, here or in an earlier version.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRecord`] for malformed JSON, and [`ErrorKind::Unsupported`] for a form of a later version.
    pub fn from_json(json: &str) -> Result<Self> {
        let form: FormIn = serde_json::from_str(json)
            .map_err(|cause| Error::new(ErrorKind::InvalidRecord, format!("this is no selector: {cause}")))?;
        if !(1..=FORM_VERSION).contains(&form.version) {
            let message = format!("a selector of form {}, where {FORM_VERSION} is known here", form.version);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut selector = Self::default();
        form.candidates.into_iter().try_for_each(|candidate| selector.add(candidate))?;
        Ok(selector)
    }

    /// The number of candidates in all categories.
    pub fn len(&self) -> usize {
        self.id_ends.len()
    }

    /// Whether there are no candidates.
    pub fn is_empty(&self) -> bool {
        self.id_ends.is_empty()
    }

    /// A candidate by its ordinal.
    ///
    /// # Panics
    /// Where the ordinal is not below [`len`](Self::len).
    pub fn candidate(&self, ordinal: usize) -> Candidate<&str> {
        let Measure { token_count, far } = self.measure(ordinal);
        Candidate {
            id: self.id(ordinal),
            category: self.category(self.category_numbers[ordinal]),
            token_count,
            far,
            dependency_strength: self.strengths[ordinal],
            distribution_uniformity: self.uniformities[ordinal],
        }
    }

    /// Gives a candidate other scores.
    ///
    /// # Errors
    /// [`ErrorKind::NonFinite`] where a score is NaN or infinite.
    ///
    /// # Panics
    /// Where the ordinal is not below [`len`](Self::len).
    pub fn rescore(&mut self, ordinal: usize, dependency_strength: f64, distribution_uniformity: f64) -> Result<()> {
        check_finite(self.id(ordinal), dependency_strength, distribution_uniformity)?;
        self.strengths[ordinal] = dependency_strength;
        self.uniformities[ordinal] = distribution_uniformity;
        Ok(())
    }

    /// Leaves out all but the first candidates.
    pub fn truncate(&mut self, count: usize) {
        self.id_ends.truncate(count);
        self.ids.truncate(self.id_ends.last().copied().unwrap_or_default());
        self.category_numbers.truncate(count);
        self.measure_numbers.truncate(count);
        self.strengths.truncate(count);
        self.uniformities.truncate(count);
    }

    /// Ranks the candidates of each category by their long-distance dependency score, highest first and equal ones by
    /// id, and cuts. [`Selector::sorted`] does it in less memory.
    ///
    /// # Errors
    /// Those of [`Sorted::rankings`].
    pub fn rank(&self, method: &Method) -> Result<BTreeMap<String, Vec<Ranked>>> {
        self.sorted().ranked(method)
    }

    /// Sorts the candidates by category and id, from which they can be ranked. Takes 8 bytes a candidate.
    pub fn sorted(&self) -> Sorted<'_> {
        Sorted::new(self)
    }

    pub(super) fn id(&self, ordinal: usize) -> &str {
        let start = ordinal.checked_sub(1).map_or(0, |before| self.id_ends[before]);
        &self.ids[start..self.id_ends[ordinal]]
    }

    pub(super) fn categories(&self) -> &[String] {
        &self.categories.values
    }

    pub(super) fn category(&self, number: u32) -> &str {
        &self.categories.values[number as usize]
    }

    pub(super) fn category_numbers(&self) -> &[u32] {
        &self.category_numbers
    }

    pub(super) fn measure(&self, ordinal: usize) -> Measure {
        self.measures.values[self.measure_numbers[ordinal] as usize]
    }

    pub(super) fn strength(&self, ordinal: usize) -> f64 {
        self.strengths[ordinal]
    }

    pub(super) fn uniformity(&self, ordinal: usize) -> f64 {
        self.uniformities[ordinal]
    }
}

fn check_finite(id: &str, dependency_strength: f64, distribution_uniformity: f64) -> Result<()> {
    if dependency_strength.is_finite() && distribution_uniformity.is_finite() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NonFinite, format!("window {id} has a score that is NaN or infinite")))
}

/// Values that many candidates share, each kept once and known by its number.
#[derive(Clone, Debug, PartialEq)]
struct Interned<T: Eq + Hash> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
    /// The number that was asked for last: neighbours mostly share their values.
    last: u32,
}

impl<T: Eq + Hash> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new(), last: 0 }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    fn number<Q: ToOwned<Owned = T> + Eq + Hash + ?Sized>(&mut self, value: &Q) -> u32
    where
        T: std::borrow::Borrow<Q>,
    {
        if self.values.get(self.last as usize).is_some_and(|last| last.borrow() == value) {
            return self.last;
        }
        self.last = match self.numbers.get(value) {
            Some(number) => *number,
            None => self.insert(value.to_owned()),
        };
        self.last
    }

    fn insert(&mut self, value: T) -> u32 {
        let number = u32::try_from(self.values.len()).expect("fewer than 2^32 categories");
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    /// Numbers of another's values as they are here.
    fn renumbered<'a>(&mut self, other: &Self, numbers: &'a [u32]) -> impl Iterator<Item = u32> + use<'a, T> {
        let here: Vec<_> = other.values.iter().map(|value| self.number::<T>(value)).collect();
        numbers.iter().map(move |number| here[*number as usize])
    }
}
