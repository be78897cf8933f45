//! Algorithm 1: cutting a document into windows of exactly `W` tokens.

use std::num::NonZeroUsize;
use std::ops::Range;

use crate::tokenizer::Tokens;

/// A run of tokens of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Place among the document's windows in the order of [`window_starts`], from 0.
    pub number: usize,
    /// The tokens, as indices into the document's.
    pub tokens: Range<usize>,
    /// The text, as byte offsets into the document, at character boundaries.
    pub bytes: Range<usize>,
}

/// The first token of each window of `window` tokens that a document of `token_count` tokens gives.
///
/// While more than three windows remain, one is cut from the front and one from the back. A remainder of more than
/// one window and at most two gives front and back, which may overlap; one of more than two gives front, middle and
/// back. A document of exactly one window is that window; the paper's listing gives none there.
///
/// ```
/// use std::num::NonZeroUsize;
/// use longattn::window::window_starts;
///
/// let starts = |tokens| window_starts(tokens, NonZeroUsize::new(4).unwrap());
/// assert!(starts(3).is_empty());
/// assert_eq!(starts(4), [0]);
/// assert_eq!(starts(7), [0, 3]);
/// assert_eq!(starts(11), [0, 3, 7]);
/// assert_eq!(starts(15), [0, 11, 4, 7]);
/// ```
pub fn window_starts(token_count: usize, window: NonZeroUsize) -> Vec<usize> {
    let window = window.get();
    let (mut front, mut back) = (0, token_count);
    let mut starts = Vec::new();
    while back - front > 3 * window {
        starts.extend([front, back - window]);
        front += window;
        back -= window;
    }
    let remaining = back - front;
    if remaining < window {
        return starts;
    }
    starts.push(front);
    if remaining > 2 * window {
        starts.push(front + (remaining - window) / 2);
    }
    if remaining > window {
        starts.push(back - window);
    }
    starts
}

/// Cuts a document into windows.
pub fn windows(document: &Tokens, window: NonZeroUsize) -> Vec<Window> {
    let starts = window_starts(document.ids().len(), window);
    let cut = |(number, start): (usize, usize)| {
        let tokens = start..start + window.get();
        Window { number, bytes: document.bytes(&tokens), tokens }
    };
    starts.into_iter().enumerate().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn starts(token_count: usize, window: usize) -> Vec<usize> {
        window_starts(token_count, NonZeroUsize::new(window).unwrap())
    }

    #[test]
    fn windows_are_those_of_the_released_code() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../tests/data/windows.json")).unwrap();
        for (name, expected) in golden["cases"].as_object().unwrap() {
            let (window, tokens) = name.strip_prefix("W=").unwrap().split_once(" n=").unwrap();
            let (window, tokens) = (window.parse().unwrap(), tokens.parse().unwrap());
            let expected: Vec<usize> = serde_json::from_value(expected.clone()).unwrap();
            // A document of exactly one window is ours alone.
            let expected = if tokens == window { vec![0] } else { expected };
            assert_eq!(starts(tokens, window), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn windows_cover_the_document(window in 1usize..50, tokens in 0usize..2000) {
            let mut starts = starts(tokens, window);
            prop_assert_eq!(starts.is_empty(), tokens < window);
            starts.sort_unstable();
            prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= window));
            prop_assert!(starts.first().is_none_or(|first| *first == 0));
            prop_assert!(starts.last().is_none_or(|last| last + window == tokens));
        }
    }
}
