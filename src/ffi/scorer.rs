use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use super::argument::{Output, array, optional, reference, text};
use super::cancel::{longattn_cancel, token_of};
use super::config::longattn_config;
use super::details::{DetailsOutput, check_profile, longattn_details};
use super::error::{Status, longattn_error};
use super::score::{ScoreOutput, longattn_distance_profile, longattn_head_score, longattn_score};
use super::text::longattn_text;
use super::tokens::longattn_tokens;
use super::windows::longattn_windows;
use super::{free, get, guard, handle};
use crate::cancel::Cancel;
use crate::config::{Config, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::job::score_identity;
use crate::model::{Input, Progress, Scorer};
use crate::score::Score;

/// An open scorer package: a model, its tokenizer, and a pool of threads.
///
/// Made by longattn_scorer_open(); the caller's, to be freed with longattn_scorer_free() when no call uses it any more.
/// Any threads may use one scorer at once, and get the same bits as one thread alone. Open it once and keep it: it needs its
/// files no more, but they must not be cut or written to in their places. A child made by fork() has none of its threads: there
/// its calls give LONGATTN_STATUS_RUNTIME, and it may be freed.
pub struct longattn_scorer(pub Arc<Scorer>);

// The header promises it.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<longattn_scorer>();
};

/// One window to score: a text, or token ids without special ones. Exactly one of `text` and `ids` may be other than NULL;
/// both NULL is the empty text. What is longer than the setting window is cut there.
#[repr(C)]
pub struct longattn_input {
    /// UTF-8, or NULL.
    pub text: *const c_char,
    /// Bytes of `text`.
    pub text_length: usize,
    /// Token ids, or NULL.
    pub ids: *const u32,
    /// The number of `ids`.
    pub id_count: usize,
}

/// What became of one of many windows.
#[repr(C)]
pub struct longattn_result {
    /// LONGATTN_STATUS_OK, or why this window has no score.
    pub status: Status,
    /// The error, NULL where there is none; the caller's, to be freed with longattn_results_free() or one by one.
    pub error: *mut longattn_error,
    /// The score; all 0 where there is none.
    pub score: longattn_score,
}

/// Is told how far longattn_scorer_score_many() has come: `windows` that are scored or have failed, and `tokens` of those
/// that are scored. It is called on threads of the scorer, one call at a time, after each window; it must be quick, must
/// not use the scorer, and must return: no C++ exception and no longjmp may leave it.
pub type longattn_progress = Option<unsafe extern "C" fn(windows: u64, tokens: u64, user_data: *mut c_void)>;

/// Opens a scorer package: a directory with model.onnx and tokenizer.json, as `longattn export` makes it, or a bare
/// model.onnx, which scores token ids alone unless a tokenizer.json lies beside it. `path` is in UTF-8; `config` is read
/// once, NULL stands for the defaults. `*scorer` is the caller's to free. Any threads may call it at once.
///
/// The path `none` opens a scorer without a model or ONNX Runtime, for jobs whose windows have the setting columns alone, cut by
/// the setting tokenizer.
///
/// LONGATTN_STATUS_RUNTIME where ONNX Runtime cannot be found or loaded: the message says what was tried.
/// LONGATTN_STATUS_INVALID_SETTING for settings that contradict each other or the package, such as a layer that it lacks.
/// LONGATTN_STATUS_IO, LONGATTN_STATUS_INVALID_MODEL or LONGATTN_STATUS_UNSUPPORTED for a package that is missing,
/// damaged, or of a kind that this version cannot use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_open(
    path: *const c_char,
    path_length: usize,
    config: *const longattn_config,
    scorer: *mut *mut longattn_scorer,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the length says, and a place to write to.
        let (path, config, scorer) =
            unsafe { (text(path, path_length, "path")?, optional(config, "config")?, Output::one(scorer, "scorer")?) };
        let defaults = Config::default();
        let opened = Scorer::open(Path::new(path), config.map_or(&defaults, |config| &config.0))?;
        scorer.set([handle(longattn_scorer(Arc::new(opened)))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees a scorer and stops its threads, which a job on it keeps until it is freed too. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_free(scorer: *mut longattn_scorer) {
    // SAFETY: the header asks for NULL or a scorer that nobody uses any more.
    unsafe { free(scorer) }
}

/// Describes the package as one JSON object: contract, heads, inputs and outputs, files, and what the model says of itself.
/// Later versions may add keys. `*json` is the caller's to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_describe(
    scorer: *const longattn_scorer,
    json: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle and a place to write to.
        let (scorer, json) = unsafe { (reference(scorer, "scorer")?, Output::one(json, "json")?) };
        json.set([scorer.0.description().to_json().to_string().into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Tells what scores depend on beside their inputs, as one JSON object: the digest of the package, the versions of the library
/// and of ONNX Runtime, the instruction set, and every setting that a score depends on. Scorers whose texts are equal give
/// the same bits, so it serves as the key of a cache. `*json` is the caller's to free. The package is read for it once.
///
/// LONGATTN_STATUS_INVALID_MODEL where a file of the package has changed since it was opened, LONGATTN_STATUS_IO where one
/// cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_identity(
    scorer: *const longattn_scorer,
    json: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle and a place to write to.
        let (scorer, json) = unsafe { (reference(scorer, "scorer")?, Output::one(json, "json")?) };
        json.set([score_identity(&scorer.0)?.into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// A copy of the settings that the scorer was opened with; the caller's to free. For NULL, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_config(scorer: *const longattn_scorer) -> *mut longattn_config {
    let config = |scorer: &longattn_scorer| handle(longattn_config(scorer.0.config().clone()));
    // SAFETY: the header asks for NULL or a live scorer.
    unsafe { get(scorer, std::ptr::null_mut(), config) }
}

/// The number of heads that each window is scored by; 0 where the model does not tell before it is run, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_head_count(scorer: *const longattn_scorer) -> usize {
    // SAFETY: the header asks for NULL or a live scorer.
    unsafe { get(scorer, 0, |scorer| scorer.0.description().heads.unwrap_or(0)) }
}

/// Scores a text as one window: its first tokens, up to the setting window, special ones included.
///
/// The errors are those of longattn_scorer_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_text(
    scorer: *const longattn_scorer,
    text: *const c_char,
    text_length: usize,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle, memory that holds what the length says, and a place to write to.
        let (scorer, text, output) = unsafe {
            (
                reference(scorer, "scorer")?,
                self::text(text, text_length, "text")?,
                ScoreOutput::new(score, std::ptr::null_mut(), 0)?,
            )
        };
        output.set(&scorer.0.score_text(text)?)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Scores token ids as one window. They are framed by the special tokens that the tokenizer adds, and cut to the setting
/// window in all.
///
/// The errors are those of longattn_scorer_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_tokens(
    scorer: *const longattn_scorer,
    ids: *const u32,
    id_count: usize,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle, memory that holds what the length says, and a place to write to.
        let (scorer, ids, output) = unsafe {
            (
                reference(scorer, "scorer")?,
                array(ids, id_count, "ids")?,
                ScoreOutput::new(score, std::ptr::null_mut(), 0)?,
            )
        };
        output.set(&scorer.0.score_tokens(ids)?)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Scores one window, until `cancel`, unless NULL, is asked to stop; and tells what each head says.
///
/// `heads` is a buffer of the caller's for `head_capacity` heads, set to the first `score->head_count` of them in the
/// model's order; NULL and 0 where they are not wanted. longattn_scorer_head_count() says how many to expect.
///
/// LONGATTN_STATUS_UNSUPPORTED for a text where the package has no tokenizer, LONGATTN_STATUS_INVALID_UTF8 for a text that
/// is not valid, LONGATTN_STATUS_TOO_SHORT below 2 tokens, LONGATTN_STATUS_INVALID_ARGUMENT for an id outside the model's
/// vocabulary or a buffer that is too small, LONGATTN_STATUS_MEMORY_LIMIT for attention maps larger than the setting
/// memory_limit, LONGATTN_STATUS_NON_FINITE for damaged weights, LONGATTN_STATUS_RUNTIME where ONNX Runtime fails,
/// LONGATTN_STATUS_INVALID_RECORD for a text on which the tokenizer gives up, LONGATTN_STATUS_CANCELLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score(
    scorer: *const longattn_scorer,
    input: *const longattn_input,
    cancel: *const longattn_cancel,
    heads: *mut longattn_head_score,
    head_capacity: usize,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and places to write to.
        let (scorer, input, cancel, output) = unsafe {
            (
                reference(scorer, "scorer")?,
                input_of(reference(input, "input")?)?,
                optional(cancel, "cancel")?,
                ScoreOutput::new(score, heads, head_capacity)?,
            )
        };
        output.check_heads(scorer.0.description().heads.unwrap_or(0))?;
        output.set(&scorer.0.score(input, &token_of(cancel))?)
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Scores one window, until `cancel`, unless NULL, is asked to stop; and tells how far back its attention reaches. The
/// scorer must have been opened with the setting profile at true.
///
/// `profile` is set. So is `score`, unless it is NULL, to the same bits as by longattn_scorer_score(). Both are the
/// caller's memory, and hold nothing to be freed.
///
/// LONGATTN_STATUS_INVALID_SETTING where profile was false, and the errors of longattn_scorer_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_profile(
    scorer: *const longattn_scorer,
    input: *const longattn_input,
    cancel: *const longattn_cancel,
    profile: *mut longattn_distance_profile,
    score: *mut longattn_score,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and places to write to.
        let (scorer, input, cancel, profile_output, score_output) = unsafe {
            (
                reference(scorer, "scorer")?,
                input_of(reference(input, "input")?)?,
                optional(cancel, "cancel")?,
                Output::one(profile, "profile")?,
                Output::optional(score, "score")?,
            )
        };
        check_profile(&scorer.0)?;
        let score = scorer.0.score(input, &token_of(cancel))?;
        let profile = score.profile.as_ref().expect("the setting profile is true");
        profile_output.set([profile.into()]);
        score_output.set([(&score).into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Scores many windows on all threads of the scorer, each with its own result. `results` is an array of the caller's for
/// as many results as there are inputs, in their order; give them back with longattn_results_free(). A score has the same
/// bits as that of longattn_scorer_score().
///
/// `progress` is called with `user_data` as windows finish, unless it is NULL. After `cancel`, unless NULL, is asked to
/// stop, the windows that are not finished give LONGATTN_STATUS_CANCELLED.
///
/// A window that cannot be scored is no failure of the call: its own status says why, with the values that
/// longattn_scorer_score() gives. Unless this call itself returns LONGATTN_STATUS_OK, `results` is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_many(
    scorer: *const longattn_scorer,
    inputs: *const longattn_input,
    count: usize,
    cancel: *const longattn_cancel,
    progress: longattn_progress,
    user_data: *mut c_void,
    results: *mut longattn_result,
    error: *mut *mut longattn_error,
) -> Status {
    // SAFETY: the header asks for what `score_many` asks for.
    unsafe {
        score_many(scorer, &longattn_details::default(), inputs, count, cancel, progress, user_data, results, error)
    }
}

/// Scores many windows as longattn_scorer_score_many() does, but on about `rows` rows of attention, at least 320, or on all
/// for 0, whatever the setting rows says: for rounds on more rows of what longattn_selector_in_doubt() names. Only a package of
/// the contract query-key takes less time for fewer rows; the others compute all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_many_on(
    scorer: *const longattn_scorer,
    rows: usize,
    inputs: *const longattn_input,
    count: usize,
    cancel: *const longattn_cancel,
    progress: longattn_progress,
    user_data: *mut c_void,
    results: *mut longattn_result,
    error: *mut *mut longattn_error,
) -> Status {
    let details = longattn_details::on_rows(rows);
    // SAFETY: the header asks for what `score_many` asks for.
    unsafe { score_many(scorer, &details, inputs, count, cancel, progress, user_data, results, error) }
}

/// Scores many windows as longattn_scorer_score_many() does, on as many rows as `details` says, and tells what it asks for
/// beside their scores.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where a buffer is too small, LONGATTN_STATUS_UNSUPPORTED for layers of a model that does not
/// tell them, LONGATTN_STATUS_INVALID_SETTING for profiles where the setting profile was false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_score_many_details(
    scorer: *const longattn_scorer,
    details: *const longattn_details,
    inputs: *const longattn_input,
    count: usize,
    cancel: *const longattn_cancel,
    progress: longattn_progress,
    user_data: *mut c_void,
    results: *mut longattn_result,
    error: *mut *mut longattn_error,
) -> Status {
    // SAFETY: the header asks for NULL, which `score_many` refuses, or live details, and for what that asks for.
    unsafe { score_many(scorer, details, inputs, count, cancel, progress, user_data, results, error) }
}

/// Frees the errors of results and sets them to NULL; the array stays the caller's. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_results_free(results: *mut longattn_result, count: usize) {
    if results.is_null() {
        return;
    }
    for index in 0..count {
        // SAFETY: the header asks for an array of `count` results that nobody else uses.
        let result = unsafe { &mut *results.add(index) };
        let error = std::mem::replace(&mut result.error, std::ptr::null_mut());
        // SAFETY: the error is NULL or came from `handle`, and is no longer in the array.
        unsafe { free(error) };
    }
}

/// Splits a text into tokens, without special ones, in pieces that share the cores where it is long. `*tokens` is the caller's
/// to free.
///
/// LONGATTN_STATUS_UNSUPPORTED where the package has no tokenizer, LONGATTN_STATUS_INVALID_UTF8 for a text that is not
/// valid, LONGATTN_STATUS_INVALID_RECORD for one on which the tokenizer gives up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_tokenize(
    scorer: *const longattn_scorer,
    text: *const c_char,
    text_length: usize,
    tokens: *mut *mut longattn_tokens,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle, memory that holds what the length says, and a place to write to.
        let (scorer, text, tokens) = unsafe {
            (reference(scorer, "scorer")?, self::text(text, text_length, "text")?, Output::one(tokens, "tokens")?)
        };
        tokens.set([handle(longattn_tokens::new(scorer.0.tokenize(text)?))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Splits a document into tokens and cuts it into windows of as many tokens as the setting window says. `*windows` is the
/// caller's to free. The errors are those of longattn_scorer_tokenize().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_scorer_cut(
    scorer: *const longattn_scorer,
    text: *const c_char,
    text_length: usize,
    windows: *mut *mut longattn_windows,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle, memory that holds what the length says, and a place to write to.
        let (scorer, text, windows) = unsafe {
            (reference(scorer, "scorer")?, self::text(text, text_length, "text")?, Output::one(windows, "windows")?)
        };
        let tokens = Arc::new(scorer.0.tokenize(text)?);
        windows.set([handle(longattn_windows::new(tokens, scorer.0.config().window))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// # Safety
/// The pointers are NULL, or valid for reads or writes of what the lengths say; `progress` may be called from any thread.
#[allow(clippy::too_many_arguments)] // They are those of the C functions.
unsafe fn score_many(
    scorer: *const longattn_scorer,
    details: *const longattn_details,
    inputs: *const longattn_input,
    count: usize,
    cancel: *const longattn_cancel,
    progress: longattn_progress,
    user_data: *mut c_void,
    results: *mut longattn_result,
    error: *mut *mut longattn_error,
) -> Status {
    // A pointer that is only passed on, to threads of the scorer too, as the header says.
    let user_data = user_data as usize;
    let tell = |progress_so_far: Progress| {
        let Some(progress) = progress else { return };
        // SAFETY: the header asks for a function that may be called so, from any thread, one call at a time.
        unsafe { progress(progress_so_far.windows as u64, progress_so_far.tokens, user_data as *mut c_void) }
    };
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and places to write to.
        let (scorer, details, inputs, cancel, output) = unsafe {
            (
                reference(scorer, "scorer")?,
                reference(details, "details")?,
                array(inputs, count, "inputs")?,
                optional(cancel, "cancel")?,
                Output::many(results, count, "results")?,
            )
        };
        // SAFETY: the header asks for buffers that hold so much of as many windows.
        let details_output = unsafe { DetailsOutput::new(details, count, &scorer.0) }?;
        // SAFETY: the header asks for memory that holds what the lengths say.
        let inputs: Vec<_> = inputs.iter().map(|input| unsafe { input_of(input) }).collect();
        let results = score_valid(&scorer.0, details.rows(scorer.0.config().rows), inputs, &token_of(cancel), tell);
        details_output.set(&results)?;
        output.set(results.into_iter().map(Into::into));
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// # Safety
/// The input's pointers are NULL, or valid for reads of what its lengths say for as long as the result lives.
pub unsafe fn input_of<'a>(input: &longattn_input) -> Result<Input<'a>> {
    let longattn_input { text, text_length, ids, id_count } = *input;
    if !text.is_null() && !ids.is_null() {
        return Err(Error::new(ErrorKind::InvalidArgument, "text and ids are both set: one of them must be NULL"));
    }
    // SAFETY: the same promise.
    unsafe {
        if ids.is_null() && id_count == 0 {
            return self::text(text, text_length, "text").map(Input::Text);
        }
        array(ids, id_count, "ids").map(Input::Tokens)
    }
}

/// Scores the inputs that are valid, and gives the errors of the others in their places.
fn score_valid(
    scorer: &Scorer,
    rows: Rows,
    inputs: Vec<Result<Input>>,
    cancel: &Cancel,
    tell: impl Fn(Progress) + Sync,
) -> Vec<Result<Score>> {
    let valid: Vec<_> = inputs.iter().flatten().copied().collect();
    let invalid = inputs.len() - valid.len();
    let tell = |progress: Progress| tell(Progress { windows: progress.windows + invalid, ..progress });
    let mut scores = scorer.score_many_on(rows, &valid, cancel, tell).into_iter();
    inputs.into_iter().map(|input| input.and_then(|_| scores.next().expect("a score for every input"))).collect()
}

impl From<Result<Score>> for longattn_result {
    fn from(result: Result<Score>) -> Self {
        match result {
            Ok(score) => Self { status: Status::OK, error: std::ptr::null_mut(), score: (&score).into() },
            Err(error) => Self {
                status: error.kind().into(),
                error: handle(longattn_error::from(error)),
                score: longattn_score::default(),
            },
        }
    }
}
