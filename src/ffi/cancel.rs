use std::time::{Duration, Instant};

use super::{free, get, handle};
use crate::cancel::Cancel;

/// Asks running work to stop. Once asked, it stays asked: use a new one for the next work.
///
/// The caller's, to be freed with longattn_cancel_free() when no call uses it any more. Any threads may use it at once.
pub struct longattn_cancel(pub Cancel);

/// The token, or one that is never asked for NULL.
pub fn token_of(cancel: Option<&longattn_cancel>) -> Cancel {
    cancel.map(|cancel| cancel.0.clone()).unwrap_or_default()
}

/// Makes a token that has not been asked to stop. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_cancel_new() -> *mut longattn_cancel {
    handle(longattn_cancel(Cancel::default()))
}

/// Asks every call that was given this token to stop. Those calls give LONGATTN_STATUS_CANCELLED within a second, also while
/// the model runs; this one does not wait for them. Safe from any thread and from a signal handler. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_cancel_request(cancel: *const longattn_cancel) {
    // SAFETY: the header asks for NULL or a live token.
    unsafe { get(cancel, (), |cancel| cancel.0.cancel()) }
}

/// Asks every call that was given this token to stop `milliseconds` from now, in the place of an earlier such moment. Those
/// calls then give LONGATTN_STATUS_CANCELLED within a second. Safe from any thread. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_cancel_set_deadline(cancel: *const longattn_cancel, milliseconds: u64) {
    // A moment that no clock will show never comes.
    let Some(deadline) = Instant::now().checked_add(Duration::from_millis(milliseconds)) else { return };
    // SAFETY: the header asks for NULL or a live token.
    unsafe { get(cancel, (), |cancel| cancel.0.set_deadline(deadline)) }
}

/// Whether longattn_cancel_request() was called, or the moment of longattn_cancel_set_deadline() has come. For NULL, false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_cancel_is_requested(cancel: *const longattn_cancel) -> bool {
    // SAFETY: the header asks for NULL or a live token.
    unsafe { get(cancel, false, |cancel| cancel.0.is_cancelled()) }
}

/// Frees a token. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_cancel_free(cancel: *mut longattn_cancel) {
    // SAFETY: the header asks for NULL or a token that nobody uses any more.
    unsafe { free(cancel) }
}
