use std::ffi::{c_char, c_void};
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex};

use super::argument::{Output, array, exclusive, optional, path, reference};
use super::cancel::{longattn_cancel, token_of};
use super::config::longattn_config;
use super::error::{Status, longattn_error};
use super::scorer::longattn_scorer;
use super::{first, free, get, guard, handle};
use crate::config::Config;
use crate::corpus::Reject;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{CategorySelection, Job, Observer, Progress, Results, Selection, Stage, Summary};
use crate::process::OfProcess;

/// Reading the corpus and scoring its windows; the amount is bytes of the input files as they are on disk.
pub const LONGATTN_STAGE_READING: i32 = 0;
/// Scoring windows in doubt on more rows; the amount is tokens.
pub const LONGATTN_STAGE_REFINING: i32 = 1;
/// Scoring the windows of a calibration; the amount is tokens.
pub const LONGATTN_STAGE_SCORING: i32 = 2;
/// Looking up the texts of what was selected; the amount is windows.
pub const LONGATTN_STAGE_WRITING: i32 = 3;

/// The whole work on a corpus: documents are read, cut into windows, scored and selected, and the results are written into a
/// directory, as `longattn run` does it and with the same bytes. It may be killed at any moment, and goes on where it was.
/// docs/c.md lists the files.
///
/// Made by longattn_job_open(); the caller's, to be freed with longattn_job_free(). Until then it owns its directory,
/// which no other job, of this process or another, can open; and it keeps its scorer alive, which may be freed before. One
/// thread at a time may use it, and it computes on many of its own. After fork() the child may free it, and must open one
/// of its own.
pub struct longattn_job {
    job: OfProcess<Job>,
    categories: Vec<CategorySelection>,
}

// The header promises that it may be moved from thread to thread.
const _: fn() = || {
    fn movable<T: Send>() {}
    movable::<longattn_job>();
};

/// A path of a file or folder: the bytes that the operating system knows it by, which need be UTF-8 on Windows alone.
#[repr(C)]
pub struct longattn_path {
    /// The first byte.
    pub data: *const c_char,
    /// Bytes.
    pub length: usize,
}

/// How far a job has come. Its size never changes.
#[repr(C)]
pub struct longattn_job_progress {
    /// LONGATTN_STAGE_READING, LONGATTN_STAGE_REFINING, LONGATTN_STAGE_SCORING or LONGATTN_STAGE_WRITING; later versions
    /// may add some.
    pub stage: i32,
    /// Whether `total` is known.
    pub has_total: bool,
    /// How much of the stage is done, in its amount.
    pub done: u64,
    /// The whole of the stage, in its amount.
    pub total: u64,
    /// Windows scored in this call.
    pub windows: u64,
    /// Tokens scored in this call.
    pub tokens: u64,
    /// 0 until a later version gives it a meaning.
    pub reserved: [u64; 4],
}

/// A record, a file or a window that could not be used. Its texts are in UTF-8, not NUL-terminated, and live only for the
/// call that tells of it. Its size never changes.
#[repr(C)]
pub struct longattn_reject {
    /// The input file, `-` for standard input.
    pub file: *const c_char,
    /// Bytes of `file`.
    pub file_length: usize,
    /// The line or row, from 1; 0 where the whole file is meant.
    pub line: u64,
    /// The id of the record or window; NULL where it is not known.
    pub id: *const c_char,
    /// Bytes of `id`.
    pub id_length: usize,
    /// Why it could not be used, and what to do about it.
    pub reason: *const c_char,
    /// Bytes of `reason`.
    pub reason_length: usize,
    /// The record as it was read, or its beginning; NULL where there is none to show.
    pub record: *const c_char,
    /// Bytes of `record`.
    pub record_length: usize,
    /// 0 until a later version gives it a meaning.
    pub reserved: [u64; 4],
}

/// Is told how far a job has come, several times a second.
pub type longattn_progress_callback =
    Option<unsafe extern "C" fn(progress: *const longattn_job_progress, user_data: *mut c_void)>;

/// Is told of each reject when it has been written to rejects.jsonl.
pub type longattn_reject_callback =
    Option<unsafe extern "C" fn(reject: *const longattn_reject, user_data: *mut c_void)>;

/// Is told, in a sentence of `length` bytes of UTF-8, what a user should know while the work goes on. It is not
/// NUL-terminated, and lives only for the call.
pub type longattn_notice_callback =
    Option<unsafe extern "C" fn(notice: *const c_char, length: usize, user_data: *mut c_void)>;

/// Who watches a job or a calibration. Begin with all zeros; any callback may be NULL. The struct is read during the call that is given it,
/// and not kept. Its size never changes.
///
/// Callbacks run on threads of the job, one call at a time, and work waits for them: they must be quick, must not use the
/// job, and must return: no C++ exception and no longjmp may leave them. They may call longattn_cancel_request().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct longattn_observer {
    /// Unless NULL, is told how far the job has come.
    pub progress: longattn_progress_callback,
    /// Unless NULL, is told of each reject.
    pub reject: longattn_reject_callback,
    /// Unless NULL, is told what a user should know.
    pub notice: longattn_notice_callback,
    /// Is passed to the callbacks.
    pub user_data: *mut c_void,
    /// NULL: for callbacks of later versions.
    pub reserved: [*mut c_void; 4],
}

impl Default for longattn_observer {
    fn default() -> Self {
        Self { progress: None, reject: None, notice: None, user_data: ptr::null_mut(), reserved: [ptr::null_mut(); 4] }
    }
}

/// What a job has found, of all its calls together, those of earlier processes included, where nothing else is said. Its
/// size never changes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct longattn_summary {
    /// Documents that gave at least one window.
    pub documents_windowed: u64,
    /// Documents with fewer tokens than a window.
    pub documents_too_short: u64,
    /// Records that could not be used.
    pub records_rejected: u64,
    /// Of those, the records whose id was another document's.
    pub duplicates: u64,
    /// Files that could not be read to their end, of which nothing counts.
    pub files_rejected: u64,
    /// Windows that could not be scored.
    pub windows_rejected: u64,
    /// Tokens of the longest document.
    pub longest_document: u64,
    /// Windows that have scores.
    pub windows: u64,
    /// Of those, the windows whose scores are of an earlier call.
    pub windows_known: u64,
    /// Of those, the windows whose scores are exact; of an adaptive job alone.
    pub windows_exact: u64,
    /// Windows that made the cut.
    pub windows_selected: u64,
    /// Tokens of the windows that made the cut.
    pub tokens_selected: u64,
    /// Tokens that went through the model.
    pub tokens_scored: u64,
    /// Rows of attention that were computed, of an adaptive job.
    pub rows_computed: u64,
    /// Rows of attention that exact scores of all windows take, of an adaptive job.
    pub rows_of_exact_scores: u64,
    /// The calls that scored.
    pub calls: u64,
    /// Time that the calls took, in seconds.
    pub seconds: f64,
    /// Of the windows that have scores, those that the setting filter left out of the selection.
    pub windows_filtered: u64,
    /// 0 until a later version gives it a meaning.
    pub reserved: [u64; 14],
}

/// What was selected of one category. Its size never changes.
#[repr(C)]
pub struct longattn_job_category {
    /// In UTF-8, not NUL-terminated; the job's, and lives until the next call that changes it.
    pub name: *const c_char,
    /// Bytes of `name`.
    pub name_length: usize,
    /// Windows with scores.
    pub windows: u64,
    /// Those that made the cut.
    pub selected: u64,
    /// 0 until a later version gives it a meaning.
    pub reserved: [u64; 4],
}

/// Opens a job on files and folders, or `-` for standard input, and on a directory for its results, which is made where it
/// is missing. Nothing is scored yet. `*job` is the caller's to free.
///
/// `config` is read once; NULL stands for the settings that the scorer was opened with. What scores depend on are the
/// scorer's settings in any case; of `config` the job takes adaptive, confidence, per_head, columns, text_field, id_field,
/// category_field, document_limit, on_error, earlier_results and threads, and for longattn_job_run() by, alpha, standardize,
/// mixed_lengths and one of ratio, count, token_budget and threshold.
///
/// LONGATTN_STATUS_IO where an input is missing, the directory cannot be written to, or another job is at work in it;
/// LONGATTN_STATUS_INVALID_ARGUMENT without inputs, where the directory has results and earlier_results is refuse, or where
/// it is resume and the results depend on something that has changed; LONGATTN_STATUS_INVALID_SETTING where more than
/// one cut is set; LONGATTN_STATUS_UNSUPPORTED for an adaptive job on a model that computes all rows in any case.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_open(
    scorer: *const longattn_scorer,
    inputs: *const longattn_path,
    input_count: usize,
    directory: *const c_char,
    directory_length: usize,
    config: *const longattn_config,
    job: *mut *mut longattn_job,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and a place to write to.
        let (scorer, inputs, directory, config, output) = unsafe {
            (
                reference(scorer, "scorer")?,
                paths(inputs, input_count)?,
                path(directory, directory_length, "directory")?,
                optional(config, "config")?,
                Output::one(job, "job")?,
            )
        };
        let config = config.map_or_else(|| scorer.0.config(), |config| &config.0);
        let job = Job::open(Arc::clone(&scorer.0), &inputs, directory, config)?;
        output.set([handle(longattn_job { job: OfProcess::new(job), categories: Vec::new() })]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Does everything: scores what has no score yet, selects by the settings that the job was opened with, and writes the
/// results. With the setting shard it only scores: longattn_results_select() selects from all shards. `observer`, `cancel`
/// and `summary` may be NULL; `summary` is set at the end.
///
/// The errors are those of longattn_job_score() and longattn_job_select(). Whatever they are, finished windows are kept, but
/// for two seconds of work at most: the job may be run again, or opened again with earlier_results at resume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_run(
    job: *mut longattn_job,
    observer: *const longattn_observer,
    cancel: *const longattn_cancel,
    summary: *mut longattn_summary,
    error: *mut *mut longattn_error,
) -> Status {
    // SAFETY: the header asks for what `step` asks for.
    unsafe {
        step(job, observer, cancel, summary, error, |job, observer, cancel| {
            let selection = job.job.get_mut()?.run(observer, &token_of(cancel))?;
            Ok(job.keep(selection))
        })
    }
}

/// Scores what has no score yet, and writes no result but rejects.jsonl. `observer`, `cancel` and `summary` may be NULL;
/// `summary` is set at the end.
///
/// A record, file or window that cannot be used is a reject, and the rest goes on; LONGATTN_STATUS_INVALID_RECORD where
/// on_error is fail, and where there were nothing but rejects. LONGATTN_STATUS_CANCELLED within a second after `cancel` was
/// asked, LONGATTN_STATUS_IO where the directory cannot be written to, and what would befall every window:
/// LONGATTN_STATUS_RUNTIME, LONGATTN_STATUS_MEMORY_LIMIT, LONGATTN_STATUS_INVALID_SETTING.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_score(
    job: *mut longattn_job,
    observer: *const longattn_observer,
    cancel: *const longattn_cancel,
    summary: *mut longattn_summary,
    error: *mut *mut longattn_error,
) -> Status {
    // SAFETY: the header asks for what `step` asks for.
    unsafe {
        step(job, observer, cancel, summary, error, |job, observer, cancel| {
            job.job.get_mut()?.score(observer, &token_of(cancel))
        })
    }
}

/// Selects, and writes selected.jsonl, scores.jsonl and the report; scores first what has no score yet, and of an
/// adaptive job what is in doubt. May be called again with other settings: nothing is scored twice.
///
/// `config` gives the settings by, alpha, standardize, mixed_lengths, confidence, category_cuts, max_per_document, filter, explain
/// (told as a notice), category_weights, and one of ratio, count, token_budget, total_token_budget and threshold; NULL stands
/// for those that the job was opened with. `observer`, `cancel` and `summary` may be NULL; `summary` is set at the end.
///
/// LONGATTN_STATUS_INVALID_SETTING where more than one cut is set, LONGATTN_STATUS_INVALID_RECORD where an input has changed
/// since it was scored, LONGATTN_STATUS_INVALID_ARGUMENT for windows that cannot be compared, and the errors of
/// longattn_job_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_select(
    job: *mut longattn_job,
    config: *const longattn_config,
    observer: *const longattn_observer,
    cancel: *const longattn_cancel,
    summary: *mut longattn_summary,
    error: *mut *mut longattn_error,
) -> Status {
    // SAFETY: the header asks for what `step` asks for, and for NULL or a live config.
    unsafe {
        step(job, observer, cancel, summary, error, |job, observer, cancel| {
            let config = optional(config, "config")?.map(|config| config.0.clone());
            let work = job.job.get_mut()?;
            let config: Config = config.unwrap_or_else(|| work.config().clone());
            let selection = work.select(&config, observer, &token_of(cancel))?;
            Ok(job.keep(selection))
        })
    }
}

/// What became of everything so far; all 0 before the first call that scored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_summary(
    job: *const longattn_job,
    summary: *mut longattn_summary,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle and a place to write to.
        let (job, output) = unsafe { (reference(job, "job")?, Output::one(summary, "summary")?) };
        output.set([job.job.get()?.summary().into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// The number of categories of the last selection; 0 before the first, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_category_count(job: *const longattn_job) -> usize {
    // SAFETY: the header asks for NULL or a live job.
    unsafe { get(job, 0, |job| job.categories.len()) }
}

/// Gives one category of the last selection, in the order of the bytes of their names.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_job_category_count().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_category_get(
    job: *const longattn_job,
    index: usize,
    category: *mut longattn_job_category,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for a live handle and a place to write to.
        let (job, output) = unsafe { (reference(job, "job")?, Output::one(category, "category")?) };
        let Some(category) = job.categories.get(index) else {
            let message = format!("there is no category {index}: there are {}", job.categories.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        let (name, name_length) = text_parts(&category.name);
        let CategorySelection { windows, selected, .. } = *category;
        output.set([longattn_job_category { name, name_length, windows, selected, reserved: [0; 4] }]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees a job, and lets others have its directory. Results and what was scored stay there. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_job_free(job: *mut longattn_job) {
    // SAFETY: the header asks for NULL or a job that nobody uses any more.
    unsafe { free(job) }
}

/// Selects from the results of one job that has ended, or of the jobs on all shards of one corpus (the setting shard), in any
/// order, as if one job had scored them: no model is needed. `output` is the directory for what longattn_job_run() would have
/// written into its own, with the same bytes; it is made where it is missing, and may hold an earlier selection. The inputs
/// must be where they were.
///
/// `config`, or the defaults for NULL, gives the settings of longattn_job_select(), output_format, output_shard_size,
/// attributes, upload, keep_fields and metrics. `observer`, `cancel` and `summary` may be NULL; `summary` is set at the end.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT, with all of them named, for shards that are missing, were given twice, did not end, or
/// were scored with other settings, packages or inputs than the rest; where `output` holds something else; and for windows that
/// cannot be compared. LONGATTN_STATUS_INVALID_SETTING where more than one cut is set, LONGATTN_STATUS_INVALID_RECORD where an
/// input has changed since it was scored, LONGATTN_STATUS_IO, LONGATTN_STATUS_CANCELLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_results_select(
    directories: *const longattn_path,
    directory_count: usize,
    output: *const c_char,
    output_length: usize,
    config: *const longattn_config,
    observer: *const longattn_observer,
    cancel: *const longattn_cancel,
    summary: *mut longattn_summary,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles, memory that holds what the lengths say, and a place to write to.
        let (directories, output, config, observer, cancel, place) = unsafe {
            (
                paths(directories, directory_count)?,
                path(output, output_length, "output")?,
                optional(config, "config")?,
                optional(observer, "observer")?,
                optional(cancel, "cancel")?,
                Output::optional(summary, "summary")?,
            )
        };
        let defaults = Config::default();
        let config = config.map_or(&defaults, |config| &config.0);
        let cancel = token_of(cancel);
        let results = Results::open(&directories, &cancel)?;
        let selection = results.select(output, config, &Callbacks::new(observer)?, &cancel)?;
        place.set([selection.summary.into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// The paths of inputs.
///
/// # Safety
/// `inputs` is NULL, or valid for reads of `count` paths and of their bytes for as long as the result lives.
pub unsafe fn paths<'a>(inputs: *const longattn_path, count: usize) -> Result<Vec<&'a Path>> {
    // SAFETY: the same promise.
    let inputs = unsafe { array(inputs, count, "inputs") }?;
    // SAFETY: the same promise.
    inputs.iter().map(|input| unsafe { path(input.data, input.length, "an input") }).collect()
}

/// Does one of a job's steps under the eyes of an observer, and gives its summary.
///
/// # Safety
/// `job` is NULL or used by nobody else meanwhile; the others are NULL or valid for reads, or for writes, meanwhile.
unsafe fn step(
    job: *mut longattn_job,
    observer: *const longattn_observer,
    cancel: *const longattn_cancel,
    summary: *mut longattn_summary,
    error: *mut *mut longattn_error,
    work: impl FnOnce(&mut longattn_job, &dyn Observer, Option<&longattn_cancel>) -> Result<Summary>,
) -> Status {
    let call = || {
        // SAFETY: the same promise.
        let (job, observer, cancel, output) = unsafe {
            (
                exclusive(job, "job")?,
                optional(observer, "observer")?,
                optional(cancel, "cancel")?,
                Output::optional(summary, "summary")?,
            )
        };
        output.set([work(job, &Callbacks::new(observer)?, cancel)?.into()]);
        Ok(())
    };
    // SAFETY: the same promise.
    unsafe { guard(error, call) }
}

impl longattn_job {
    fn keep(&mut self, selection: Selection) -> Summary {
        self.categories = selection.categories;
        selection.summary
    }
}

/// The callbacks of a caller, called one at a time.
pub struct Callbacks(Mutex<longattn_observer>);

// SAFETY: the pointers are only passed on, to any thread, as the header says, and one call at a time.
unsafe impl Send for Callbacks {}
// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Callbacks {
    /// None are those of no observer.
    pub fn new(observer: Option<&longattn_observer>) -> Result<Self> {
        let observer = observer.copied().unwrap_or_default();
        if observer.reserved.iter().any(|pointer| !pointer.is_null()) {
            let message = "the reserved pointers of the observer are not all NULL: begin with a struct of zeros";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Self(Mutex::new(observer)))
    }

    fn tell(&self, call: impl FnOnce(&longattn_observer)) {
        call(&self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    }
}

impl Observer for Callbacks {
    fn progress(&self, progress: &Progress) {
        let progress = longattn_job_progress::from(progress);
        self.tell(|observer| {
            let Some(callback) = observer.progress else { return };
            // SAFETY: the header asks for a function that may be called so, from any thread, one call at a time.
            unsafe { callback(&progress, observer.user_data) }
        });
    }

    fn reject(&self, reject: &Reject) {
        let reject = longattn_reject::from(reject);
        self.tell(|observer| {
            let Some(callback) = observer.reject else { return };
            // SAFETY: the header asks for a function that may be called so, from any thread, one call at a time.
            unsafe { callback(&reject, observer.user_data) }
        });
    }

    fn notice(&self, notice: &str) {
        let (text, length) = text_parts(notice);
        self.tell(|observer| {
            let Some(callback) = observer.notice else { return };
            // SAFETY: the header asks for a function that may be called so, from any thread, one call at a time.
            unsafe { callback(text, length, observer.user_data) }
        });
    }
}

/// A text for as long as it lives; NULL for the empty one.
fn text_parts(text: &str) -> (*const c_char, usize) {
    (first(text.as_bytes()).cast(), text.len())
}

impl From<&Progress> for longattn_job_progress {
    fn from(progress: &Progress) -> Self {
        let Progress { stage, done, total, windows, tokens } = *progress;
        let stage = match stage {
            Stage::Reading => LONGATTN_STAGE_READING,
            Stage::Refining => LONGATTN_STAGE_REFINING,
            Stage::Scoring => LONGATTN_STAGE_SCORING,
            Stage::Writing => LONGATTN_STAGE_WRITING,
        };
        let (has_total, total) = (total.is_some(), total.unwrap_or(0));
        Self { stage, has_total, done, total, windows, tokens, reserved: [0; 4] }
    }
}

/// Lives no longer than the reject.
impl From<&Reject> for longattn_reject {
    fn from(reject: &Reject) -> Self {
        let (file, file_length) = text_parts(&reject.place.file);
        let (id, id_length) = text_parts(reject.id.as_deref().unwrap_or_default());
        let (reason, reason_length) = text_parts(&reject.reason);
        let (record, record_length) = text_parts(&reject.record);
        Self {
            file,
            file_length,
            line: reject.place.line.unwrap_or(0),
            id,
            id_length,
            reason,
            reason_length,
            record,
            record_length,
            reserved: [0; 4],
        }
    }
}

impl From<Summary> for longattn_summary {
    fn from(summary: Summary) -> Self {
        Self {
            documents_windowed: summary.counts.windowed,
            documents_too_short: summary.counts.too_short,
            records_rejected: summary.counts.rejected,
            duplicates: summary.duplicates,
            files_rejected: summary.files_rejected,
            windows_rejected: summary.counts.windows_rejected,
            longest_document: summary.counts.longest_document,
            windows: summary.windows,
            windows_known: summary.counts.windows_known,
            windows_exact: summary.windows_exact,
            windows_selected: summary.windows_selected,
            tokens_selected: summary.tokens_selected,
            tokens_scored: summary.tokens_scored,
            rows_computed: summary.rows_computed,
            rows_of_exact_scores: summary.rows_of_exact_scores,
            calls: summary.calls,
            seconds: summary.seconds,
            windows_filtered: summary.windows_filtered,
            reserved: [0; 14],
        }
    }
}
