use std::ffi::c_char;
use std::sync::Arc;

use super::argument::{Output, exclusive, optional, path, reference};
use super::cancel::{longattn_cancel, token_of};
use super::config::longattn_config;
use super::error::{Status, longattn_error};
use super::job::{Callbacks, longattn_observer, longattn_path, paths};
use super::scorer::longattn_scorer;
use super::text::longattn_text;
use super::{free, guard, handle};
use crate::job::CalibrationJob;
use crate::process::OfProcess;

/// Finds out which of a model's layers to trust on a corpus, as `longattn calibrate` does: windows of every category are
/// drawn, scored by all layers of the package, and compared with a truth that needs no labels.
///
/// Made by longattn_calibration_open(); the caller's, to be freed with longattn_calibration_free(). As a job it owns its
/// directory, keeps its scorer alive, is used by one thread at a time, and goes on where it was stopped.
pub struct longattn_calibration(OfProcess<CalibrationJob>);

/// Opens a calibration on files and folders, or `-` for standard input, and on a directory for its results, which is made
/// where it is missing. Nothing is scored yet. `*calibration` is the caller's to free.
///
/// `config` is read once; NULL stands for the settings that the scorer was opened with. What scores depend on are the
/// scorer's settings in any case; docs/calibrate.md tells of the others.
///
/// LONGATTN_STATUS_UNSUPPORTED for a package that does not tell its layers, or not what the setting truth asks for, and the
/// errors of longattn_job_open().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_calibration_open(
    scorer: *const longattn_scorer,
    inputs: *const longattn_path,
    input_count: usize,
    directory: *const c_char,
    directory_length: usize,
    config: *const longattn_config,
    calibration: *mut *mut longattn_calibration,
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
                Output::one(calibration, "calibration")?,
            )
        };
        let config = config.map_or_else(|| scorer.0.config(), |config| &config.0);
        let job = CalibrationJob::open(Arc::clone(&scorer.0), &inputs, directory, config)?;
        output.set([handle(longattn_calibration(OfProcess::new(job)))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Scores what has no score yet, compares, and writes calibration.json and its chart. `observer` and `cancel` may be NULL.
///
/// `*json` is set to what calibration.json holds, of which the key `verdict` has the layer and the settings to use; it is
/// the caller's to free. NULL where it is not wanted.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT for a corpus that gives too few windows, and the errors of longattn_job_score().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_calibration_run(
    calibration: *mut longattn_calibration,
    observer: *const longattn_observer,
    cancel: *const longattn_cancel,
    json: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles and a place to write to.
        let (calibration, observer, cancel, output) = unsafe {
            (
                exclusive(calibration, "calibration")?,
                optional(observer, "observer")?,
                optional(cancel, "cancel")?,
                Output::optional(json, "json")?,
            )
        };
        let found = calibration.0.get_mut()?.run(&Callbacks::new(observer)?, &token_of(cancel))?;
        if output.capacity() > 0 {
            output.set([found.to_json().into()]);
        }
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees a calibration, and lets others have its directory. Results stay there. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_calibration_free(calibration: *mut longattn_calibration) {
    // SAFETY: the header asks for NULL or a calibration that nobody uses any more.
    unsafe { free(calibration) }
}
