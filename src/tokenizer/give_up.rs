//! Panics of the `tokenizers` library as errors.
//!
//! Its regular expressions give up after so many retries in one match, and their wrapper then panics. It also panics over some
//! files that are no tokenizers.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Error, ErrorKind, Result};

thread_local! {
    /// Whether a panic of this thread is told by an error.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What a call gives for a text, or an error where it panics. Nothing is printed then.
///
/// # Errors
/// [`ErrorKind::InvalidRecord`] where the call panics.
pub(super) fn or_error<T>(call: impl FnOnce() -> T) -> Result<T> {
    or_reason(call)
        .map_err(|reason| Error::new(ErrorKind::InvalidRecord, format!("the tokenizer gave up on this text: {reason}")))
}

/// What a call gives, or the reason why it panics. Nothing is printed then.
pub(super) fn or_reason<T>(call: impl FnOnce() -> T) -> std::result::Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(silence_guarded_threads);
    let outer = IS_GUARDED.replace(true);
    // What the call used is read alone, so that a panic leaves nothing half done.
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(outer);
    result.map_err(|panic| message_of(panic.as_ref()).to_owned())
}

/// Puts a hook before the process's own that keeps it from guarded threads.
fn silence_guarded_threads() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_GUARDED.get() {
            usual(info);
        }
    }));
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}
