//! Scores from what a language model says of the tokens of a window.
//!
//! A loss is the negative log-likelihood of a token in nats. The scores of one window compare the losses of its tokens from
//! [`SHORT_CONTEXT`] on, with the whole window before them and with a short context.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Tokens of a short context, of which the second half counts: a token sees the last 128 to 255 of its window.
pub const SHORT_CONTEXT: usize = 256;

/// From one short context to the next.
pub const STRIDE: usize = SHORT_CONTEXT / 2;

/// Fewest tokens of a window that has a gain: the first of its tokens that may gain from the whole window is the one behind a
/// short context.
pub const MIN_GAIN_TOKENS: usize = SHORT_CONTEXT + 1;

/// A part of a window that is read by itself, to tell what little context tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortContext {
    /// Where it begins.
    pub start: usize,
    /// Which of it counts, up to its end.
    pub counted: Range<usize>,
}

/// The short contexts of a window of `length` tokens, by their places: one begins every [`STRIDE`] tokens, and of its
/// [`SHORT_CONTEXT`] tokens the second half counts, so that every token from [`SHORT_CONTEXT`] on does once. None below
/// [`MIN_GAIN_TOKENS`].
///
/// ```
/// use longattn::rivals::short_contexts;
///
/// let counted: Vec<_> = short_contexts(400).map(|context| (context.start, context.counted)).collect();
/// assert_eq!(counted, [(128, 256..384), (256, 384..400)]);
/// ```
pub fn short_contexts(length: usize) -> impl Iterator<Item = ShortContext> {
    let starts = (STRIDE..length.saturating_sub(STRIDE)).step_by(STRIDE);
    starts.map(move |start| ShortContext { start, counted: start + STRIDE..length.min(start + SHORT_CONTEXT) })
}

/// What the losses of a window's tokens say of it, in nats a token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// As [`information_gain`].
    pub information_gain: f64,
    /// As [`longfilter_score`].
    pub longfilter_score: f64,
}

impl Gain {
    /// Of the losses of the same tokens with the whole window before them and with a short context. `None` without tokens.
    ///
    /// # Panics
    /// Where there are not as many losses of both kinds.
    pub fn new(whole: &[f32], short: &[f32]) -> Option<Self> {
        let information_gain = information_gain(whole, short)?;
        Some(Self { information_gain, longfilter_score: longfilter_score(whole, short)? })
    }

    /// Whether both are numbers.
    pub fn is_finite(&self) -> bool {
        self.information_gain.is_finite() && self.longfilter_score.is_finite()
    }
}

/// The information gain, in nats a token: the mean of `short − whole`, by how much a token's loss is lower with the whole
/// window before it than with a short context. It may be negative. `None` without tokens.
///
/// # Panics
/// Where there are not as many losses of both kinds.
pub fn information_gain(whole: &[f32], short: &[f32]) -> Option<f64> {
    mean(whole, short, |whole, short| short - whole)
}

/// LongFilter's score (arXiv 2510.25804), in nats a token: the mean of `e^(−whole)·(short − whole)`. The weight is the
/// probability of the token given the whole window, so that gains on tokens that stay unlikely hardly count. It is the one term
/// of the Kullback–Leibler divergence between both predictions that the window's own token is. `None` without tokens.
///
/// ```
/// use longattn::rivals::{information_gain, longfilter_score};
///
/// let (whole, short) = ([0.0, 2.0], [1.0, 4.0]);
/// assert_eq!(information_gain(&whole, &short), Some(1.5));
/// assert_eq!(longfilter_score(&whole, &short), Some((1.0 + 2.0 * (-2.0_f64).exp()) / 2.0));
/// ```
///
/// # Panics
/// Where there are not as many losses of both kinds.
pub fn longfilter_score(whole: &[f32], short: &[f32]) -> Option<f64> {
    mean(whole, short, |whole, short| libm::exp(-whole) * (short - whole))
}

/// ProLong's delta perplexity of a pair of segments (arXiv 2405.17915), its dependency strength: by which share the perplexity
/// of the later segment falls once the earlier one stands before it, `(P(alone) − P(given)) / P(alone)` with
/// `P = e^(mean loss)`. At most 1, and below 0 where the earlier one misleads. Its authors take segments of 128 tokens, and
/// count pairs above 0.1. `None` without tokens.
///
/// ```
/// use longattn::rivals::delta_perplexity;
///
/// let half = delta_perplexity(&[2.0, 4.0], &[3.0 - 2.0_f32.ln(); 2]).unwrap();
/// assert!((half - 0.5).abs() < 1e-6);
/// ```
///
/// # Panics
/// Where there are not as many losses of both kinds.
pub fn delta_perplexity(alone: &[f32], given: &[f32]) -> Option<f64> {
    Some(1.0 - libm::exp(-information_gain(given, alone)?))
}

fn mean(whole: &[f32], short: &[f32], of: impl Fn(f64, f64) -> f64) -> Option<f64> {
    assert_eq!(whole.len(), short.len(), "losses of the same tokens");
    let pairs = whole.iter().zip(short).map(|(whole, short)| of(f64::from(*whole), f64::from(*short)));
    (!whole.is_empty()).then(|| pairs.sum::<f64>() / whole.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_on_an_unlikely_token_hardly_counts_for_longfilter() {
        let likely = longfilter_score(&[0.1], &[1.1]).unwrap();
        let unlikely = longfilter_score(&[9.0], &[10.0]).unwrap();
        assert!(likely > 0.9 && unlikely < 1e-3);
    }

    #[test]
    fn the_delta_of_perplexities_is_that_of_their_formula() {
        let (alone, given) = ([1.0_f32, 3.0], [0.5_f32, 2.0]);
        let perplexity = |losses: [f32; 2]| f64::from((losses[0] + losses[1]) / 2.0).exp();
        let expected = (perplexity(alone) - perplexity(given)) / perplexity(alone);
        assert!((delta_perplexity(&alone, &given).unwrap() - expected).abs() < 1e-12);
        assert!(delta_perplexity(&given, &alone).unwrap() < 0.0);
    }

    #[test]
    fn no_tokens_have_no_score() {
        for score in [information_gain, longfilter_score, delta_perplexity] {
            assert_eq!(score(&[], &[]), None);
        }
    }
}
