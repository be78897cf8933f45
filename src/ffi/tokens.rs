use std::sync::{Arc, OnceLock};

use super::{first, free, get};
use crate::tokenizer::Tokens;

/// The tokens of a text, without special ones.
///
/// Made by longattn_scorer_tokenize(); the caller's, to be freed with longattn_tokens_free(). It never changes, so any
/// threads may read it at once. It needs neither the text nor the scorer any more.
pub struct longattn_tokens {
    pub(super) tokens: Arc<Tokens>,
    /// Those of the tokens, from when they are first asked for.
    boundaries: OnceLock<Vec<usize>>,
}

impl longattn_tokens {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self { tokens: Arc::new(tokens), boundaries: OnceLock::new() }
    }

    fn boundaries(&self) -> &[usize] {
        self.boundaries.get_or_init(|| self.tokens.boundaries().collect())
    }
}

/// The number of tokens. For NULL, 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_tokens_count(tokens: *const longattn_tokens) -> usize {
    // SAFETY: the header asks for NULL or live tokens.
    unsafe { get(tokens, 0, |tokens| tokens.tokens.ids().len()) }
}

/// The token ids, longattn_tokens_count() of them; NULL where there are none. They are the tokens' and live as long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_tokens_ids(tokens: *const longattn_tokens) -> *const u32 {
    // SAFETY: the header asks for NULL or live tokens.
    unsafe { get(tokens, std::ptr::null(), |tokens| first(tokens.tokens.ids())) }
}

/// Where the tokens begin and end in the text, in bytes: token `i` stands for the bytes from `boundaries[i]` up to, not
/// including, `boundaries[i + 1]`. There are longattn_tokens_count() + 1 of them; they do not fall, and lie at character
/// boundaries. They are the tokens' and live as long. For NULL, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_tokens_boundaries(tokens: *const longattn_tokens) -> *const usize {
    // SAFETY: the header asks for NULL or live tokens.
    unsafe { get(tokens, std::ptr::null(), |tokens| first(tokens.boundaries())) }
}

/// Frees tokens. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_tokens_free(tokens: *mut longattn_tokens) {
    // SAFETY: the header asks for NULL or tokens that nobody uses any more.
    unsafe { free(tokens) }
}
