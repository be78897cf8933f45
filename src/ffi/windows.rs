use std::num::NonZeroUsize;
use std::sync::Arc;

use super::argument::{Output, reference};
use super::error::{Status, longattn_error};
use super::tokens::longattn_tokens;
use super::{free, get, guard, handle};
use crate::error::{Error, ErrorKind};
use crate::tokenizer::Tokens;
use crate::window::{Window, windows};

/// The windows that a document is cut into by Algorithm 1 of the paper. A document shorter than one window gives none;
/// windows may overlap.
///
/// Made by longattn_windows_cut() or longattn_scorer_cut(); the caller's, to be freed with longattn_windows_free(). It
/// never changes, so any threads may read it at once. It needs nothing that it was made of any more.
pub struct longattn_windows {
    tokens: Arc<Tokens>,
    windows: Vec<Window>,
}

impl longattn_windows {
    pub fn new(tokens: Arc<Tokens>, window: NonZeroUsize) -> Self {
        Self { windows: windows(&tokens, window), tokens }
    }
}

/// One window of a document: which tokens and bytes of it, both without special tokens.
#[repr(C)]
pub struct longattn_window {
    /// The first token, as an index into the document's.
    pub token_start: usize,
    /// The number of tokens.
    pub token_count: usize,
    /// The first byte of the text, as an offset into the document, at a character boundary.
    pub byte_start: usize,
    /// The byte after the last.
    pub byte_end: usize,
    /// The token ids, `token_count` of them, for longattn_scorer_score_tokens(). They live as long as the windows.
    pub ids: *const u32,
}

/// Cuts a document into windows of `window` tokens. `*windows` is the caller's to free.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where `window` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_windows_cut(
    tokens: *const longattn_tokens,
    window: usize,
    windows: *mut *mut longattn_windows,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles and a place to write to.
        let (tokens, windows) = unsafe { (reference(tokens, "tokens")?, Output::one(windows, "windows")?) };
        let window = NonZeroUsize::new(window)
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "window is 0: it takes a whole number from 1"))?;
        windows.set([handle(longattn_windows::new(tokens.tokens.clone(), window))]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// The number of windows. For NULL, 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_windows_count(windows: *const longattn_windows) -> usize {
    // SAFETY: the header asks for NULL or live windows.
    unsafe { get(windows, 0, |windows| windows.windows.len()) }
}

/// Gives one window, in the order of Algorithm 1: from the front and the back in turn, and then what is left between them
/// from front to back.
///
/// LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_windows_count().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_windows_get(
    windows: *const longattn_windows,
    index: usize,
    window: *mut longattn_window,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for live handles and a place to write to.
        let (document, place) = unsafe { (reference(windows, "windows")?, Output::one(window, "window")?) };
        let Some(window) = document.windows.get(index) else {
            let message = format!("there is no window {index}: there are {}", document.windows.len());
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        place.set([longattn_window {
            token_start: window.tokens.start,
            token_count: window.tokens.len(),
            byte_start: window.bytes.start,
            byte_end: window.bytes.end,
            ids: document.tokens.ids()[window.tokens.clone()].as_ptr(),
        }]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Frees windows. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_windows_free(windows: *mut longattn_windows) {
    // SAFETY: the header asks for NULL or windows that nobody uses any more.
    unsafe { free(windows) }
}
