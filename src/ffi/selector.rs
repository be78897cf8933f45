use std::ffi::c_char;

use super::argument::{Output, array, exclusive, optional, reference, text};
use super::cancel::{longattn_cancel, token_of};
use super::config::longattn_config;
use super::error::{Status, longattn_error};
use super::score::longattn_score;
use super::text::longattn_text;
use super::{free, get, guard, handle};
use crate::attention::FarRegion;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::select::{Candidate, Ranked, Selector, StandardErrors, in_doubt};

/// Collects scored windows, and selects the best of each category. The selection depends on the set of windows alone, not
/// on the order in which they were added or merged.
///
/// The caller's, to be freed with longattn_selector_free(). Threads may read a selector at once; none may use it while
/// another adds or merges. Give each thread its own, and merge them at the end.
pub struct longattn_selector(Selector);

/// A finished selection: every window with its long-distance dependency score.
///
/// Made by longattn_selector_finish(); the caller's, to be freed with longattn_selection_free(). It never changes, so any
/// threads may read it at once.
pub struct longattn_selection(Vec<(usize, Ranked)>);

/// One window of a selection. Its texts are in UTF-8, not NUL-terminated, and live as long as the selection.
#[repr(C)]
pub struct longattn_ranked {
    /// The id that the window was added with.
    pub id: *const c_char,
    /// Bytes of `id`.
    pub id_length: usize,
    /// The category that it was added with.
    pub category: *const c_char,
    /// Bytes of `category`.
    pub category_length: usize,
    /// Place in the category, 0 for the best.
    pub rank: u64,
    /// Tokens of the window.
    pub token_count: u64,
    /// DS of the window.
    pub dependency_strength: f64,
    /// DU of the window.
    pub distribution_uniformity: f64,
    /// LDS = Std(DS) + alpha * Std(DU), Eq. 8, relative to the category; larger is better.
    pub long_distance_dependency_score: f64,
    /// Whether the window made the cut.
    pub selected: bool,
}

/// Makes a selector without windows. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_selector_new() -> *mut longattn_selector {
    handle(longattn_selector(Selector::default()))
}

/// Adds a window. `id` names it, and must be unique within `category`, whose windows compete with each other. Of `score`
/// its token_count, min_distance, sink_tokens, dependency_strength and distribution_uniformity are read. Everything is copied.
///
/// LONGATTN_STATUS_NON_FINITE where a score is NaN or infinite; LONGATTN_STATUS_INVALID_UTF8 for a text that is not valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_add(
    selector: *mut longattn_selector,
    id: *const c_char,
    id_length: usize,
    category: *const c_char,
    category_length: usize,
    score: *const longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles and for memory that holds what the lengths say.
        let (selector, id, category, score) = unsafe {
            (
                exclusive(selector, "selector")?,
                text(id, id_length, "id")?,
                text(category, category_length, "category")?,
                reference(score, "score")?,
            )
        };
        selector.0.add(Candidate {
            id,
            category,
            token_count: score.token_count,
            far: far_region(score),
            dependency_strength: score.dependency_strength,
            distribution_uniformity: score.distribution_uniformity,
        })
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Callers that know of a score only what a selection ranks by leave the rest 0.
fn far_region(score: &longattn_score) -> Option<FarRegion> {
    let far = FarRegion { min_distance: score.min_distance as usize, sink_tokens: score.sink_tokens as usize };
    (far.min_distance > 0).then_some(far)
}

/// The number of windows in all categories. For NULL, 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_count(selector: *const longattn_selector) -> usize {
    // SAFETY: the header asks for NULL or a live selector.
    unsafe { get(selector, 0, |selector| selector.0.len()) }
}

/// Gives a window other scores, such as those on more rows of attention. `ordinal` is the number of windows that were added
/// before it; those that were merged count in their order.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where `ordinal` is not below longattn_selector_count(), LONGATTN_STATUS_NON_FINITE where
/// a score is NaN or infinite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_rescore(
    selector: *mut longattn_selector,
    ordinal: usize,
    score: *const longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles.
        let (selector, score) = unsafe { (exclusive(selector, "selector")?, reference(score, "score")?) };
        if ordinal >= selector.0.len() {
            let message = format!("there is no window {ordinal}: there are {}", selector.0.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        selector.0.rescore(ordinal, score.dependency_strength, score.distribution_uniformity)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Tells which windows to score on more rows, until the selection equals that by exact scores with the probability of the
/// setting confidence. `scores` are those that the windows were added or last rescored with, in their order, as many as
/// longattn_selector_count(); their standard errors are read.
///
/// `ordinals` is a buffer of the caller's for as many, set to the windows in doubt, in ascending order; `*count` is set to
/// how many there are, 0 where the selection can be trusted. Exact scores are never in doubt. `config`, or the defaults for
/// NULL, gives the settings of longattn_selector_finish() and confidence. `cancel` may be NULL.
///
/// LONGATTN_STATUS_CANCELLED, and the errors of longattn_selector_finish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_in_doubt(
    selector: *const longattn_selector,
    scores: *const longattn_score,
    config: *const longattn_config,
    cancel: *const longattn_cancel,
    ordinals: *mut usize,
    count: *mut usize,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle.
        let selector = unsafe { reference(selector, "selector") }?;
        let windows = selector.0.len();
        // SAFETY: the header asks for live handles, memory for as many windows, and places to write to.
        let (scores, config, cancel, ordinals, count) = unsafe {
            (
                array(scores, windows, "scores")?,
                optional(config, "config")?,
                optional(cancel, "cancel")?,
                Output::many(ordinals, windows, "ordinals")?,
                Output::one(count, "count")?,
            )
        };
        let defaults = Config::default();
        let config = config.map_or(&defaults, |config| &config.0);
        let errors: Vec<_> = scores.iter().map(StandardErrors::from).collect();
        let (method, confidence) = (config.method()?, config.confidence.get());
        let doubted = in_doubt(&selector.0, &errors, &method, confidence, &token_of(cancel))?;
        count.set([doubted.len()]);
        ordinals.set(doubted);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

impl From<&longattn_score> for StandardErrors {
    fn from(score: &longattn_score) -> Self {
        Self {
            dependency_strength: score.dependency_strength_error,
            distribution_uniformity: score.distribution_uniformity_error,
        }
    }
}

/// Moves all windows of `other` into `selector`. `other` is empty afterwards, and still the caller's to free.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where both are the same selector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_merge(
    selector: *mut longattn_selector,
    other: *mut longattn_selector,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        if !selector.is_null() && selector == other {
            return Err(Error::new(ErrorKind::InvalidArgument, "a selector cannot be merged with itself"));
        }
        // SAFETY: the header asks for live handles, and they are not the same.
        let (selector, other) = unsafe { (exclusive(selector, "selector")?, exclusive(other, "other")?) };
        selector.0.merge(std::mem::take(&mut other.0));
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Gives the windows as versioned JSON, to be merged on another machine. Every number keeps its bits. `*json` is the
/// caller's to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_to_json(
    selector: *const longattn_selector,
    json: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle and a place to write to.
        let (selector, json) = unsafe { (reference(selector, "selector")?, Output::one(json, "json")?) };
        json.set([selector.0.to_json().into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Makes a selector from what longattn_selector_to_json() gave. `*selector` is the caller's to free.
///
/// LONGATTN_STATUS_INVALID_RECORD for malformed JSON, LONGATTN_STATUS_UNSUPPORTED for the form of a later version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_from_json(
    json: *const c_char,
    json_length: usize,
    selector: *mut *mut longattn_selector,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for memory that holds what the length says and a place to write to.
        let (json, selector) = unsafe { (text(json, json_length, "json")?, Output::one(selector, "selector")?) };
        selector.set([handle(longattn_selector(Selector::from_json(json)?))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Ranks the windows of each category by their long-distance dependency score, and cuts. The selector is as before: more
/// windows may be added, and it may be finished again. `*selection` is the caller's to free.
///
/// `config`, or the defaults for NULL, gives the settings alpha, standardize, mixed_lengths, category_cuts, max_per_document,
/// filter (whose columns are those of longattn_selector_add(); windows that it leaves out are not in the selection),
/// category_weights, and one of ratio, count, token_budget, total_token_budget and threshold.
///
/// LONGATTN_STATUS_INVALID_SETTING where more than one cut is set, a cut or weight is of a category that is not there, or
/// the filter asks for a column that is not there; LONGATTN_STATUS_INVALID_ARGUMENT where two windows of one
/// category have the same id, or were measured on different lengths or distances while mixed_lengths is refuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_finish(
    selector: *const longattn_selector,
    config: *const longattn_config,
    selection: *mut *mut longattn_selection,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles and a place to write to.
        let (selector, config, selection) = unsafe {
            (reference(selector, "selector")?, optional(config, "config")?, Output::one(selection, "selection")?)
        };
        let defaults = Config::default();
        let config = config.map_or(&defaults, |config| &config.0);
        let mut sorted = selector.0.sorted();
        if let Some(filter) = &config.filter {
            sorted.filter(filter, |ordinal, column| Ok(selector.0.candidate(ordinal).column(column)))?;
        }
        let ranking = sorted.ranked(&config.method()?)?;
        let ranked = ranking.into_values().flat_map(|category| category.into_iter().enumerate());
        selection.set([handle(longattn_selection(ranked.collect()))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees a selector. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selector_free(selector: *mut longattn_selector) {
    // SAFETY: the header asks for NULL or a selector that nobody uses any more.
    unsafe { free(selector) }
}

/// The number of windows in a selection, whether they made the cut or not. For NULL, 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selection_count(selection: *const longattn_selection) -> usize {
    // SAFETY: the header asks for NULL or a live selection.
    unsafe { get(selection, 0, |selection| selection.0.len()) }
}

/// Gives one window: by category in the order of their bytes, and within a category the best first. Equal scores go to the
/// smaller id.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_selection_count().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selection_get(
    selection: *const longattn_selection,
    index: usize,
    ranked: *mut longattn_ranked,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle and a place to write to.
        let (selection, place) = unsafe { (reference(selection, "selection")?, Output::one(ranked, "ranked")?) };
        let Some((rank, ranked)) = selection.0.get(index) else {
            let message = format!("there is no window {index}: there are {}", selection.0.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        let candidate = &ranked.candidate;
        place.set([longattn_ranked {
            id: candidate.id.as_ptr().cast(),
            id_length: candidate.id.len(),
            category: candidate.category.as_ptr().cast(),
            category_length: candidate.category.len(),
            rank: *rank as u64,
            token_count: candidate.token_count,
            dependency_strength: candidate.dependency_strength,
            distribution_uniformity: candidate.distribution_uniformity,
            long_distance_dependency_score: ranked.long_distance_dependency_score,
            selected: ranked.selected,
        }]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees a selection. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_selection_free(selection: *mut longattn_selection) {
    // SAFETY: the header asks for NULL or a selection that nobody uses any more.
    unsafe { free(selection) }
}
