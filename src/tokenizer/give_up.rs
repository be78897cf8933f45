//! Panics of the `tokenizers` library as errors of one text.
//!
//! Its regular expressions give up after so many retries in one match, and their wrapper then panics.

use crate::error::{Error, ErrorKind, Result};
use crate::guarded::guarded;

/// What a call gives for a text, which it only reads, or an error where it panics.
///
/// # Errors
/// [`ErrorKind::InvalidRecord`] where the call panics.
pub(super) fn or_error<T>(call: impl FnOnce() -> T) -> Result<T> {
    guarded(call)
        .map_err(|reason| Error::new(ErrorKind::InvalidRecord, format!("the tokenizer gave up on this text: {reason}")))
}
