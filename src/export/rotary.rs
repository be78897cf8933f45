//! Rotary position embeddings: frequencies, their scalings for longer contexts, and the order of rows they expect.

use std::f64::consts::TAU;

use crate::error::{Error, ErrorKind, Result};

/// Far more numbers than any head has, and few enough to be allocated for.
const LARGEST_HEAD: usize = 1 << 16;

/// How fast each pair of numbers of a head turns with the position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rotary {
    pub theta: f64,
    /// Numbers of a head that turn, an even number.
    pub rotated: usize,
    pub frequencies: Frequencies,
    /// Factor on the numbers that turn.
    pub attention_factor: f64,
}

/// Radians per position of the `rotated / 2` pairs that turn, in the float32 arithmetic of `transformers`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frequencies {
    Fixed(Vec<f32>),
    /// One set for windows of up to `limit` tokens, another for longer ones.
    ByLength {
        limit: usize,
        short: Vec<f32>,
        long: Vec<f32>,
    },
    /// For a window of `L` tokens, each times `(factor · max(L, limit) / limit − (factor − 1))` to its exponent.
    Dynamic {
        limit: usize,
        factor: f64,
        base: Vec<f32>,
        exponents: Vec<f32>,
    },
}

/// A scaling of the rotary embedding, as `rope_type` in a configuration names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scaling {
    None,
    Linear {
        factor: f64,
    },
    Dynamic {
        factor: f64,
        max_positions: usize,
    },
    Yarn {
        factor: f64,
        range: CorrectionRange,
        attention_factor: f64,
    },
    LongRope {
        original_positions: usize,
        short: Vec<f32>,
        long: Vec<f32>,
        attention_factor: f64,
    },
    Llama3 {
        factor: f64,
        low_frequency_factor: f64,
        high_frequency_factor: f64,
        original_positions: usize,
    },
    /// Divides the frequencies one by one.
    Factors(Vec<f32>),
}

/// Every `rope_type` that works.
pub(super) const SCALINGS: [&str; 6] = ["default", "linear", "dynamic", "yarn", "longrope", "llama3"];

/// Which frequencies YaRN leaves as they are, and which it divides: by how often they turn within the original positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CorrectionRange {
    pub beta_fast: f64,
    pub beta_slow: f64,
    pub original_positions: usize,
    /// Whether the range is widened to whole pairs.
    pub truncate: bool,
}

impl Rotary {
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where `rotated` numbers of a head cannot turn in pairs, or frequencies are not finite.
    pub(super) fn new(theta: f64, rotated: usize, head_size: usize, scaling: &Scaling) -> Result<Self> {
        let pairs = head_size.is_multiple_of(2) && rotated.is_multiple_of(2);
        if !pairs || rotated == 0 || rotated > head_size || head_size > LARGEST_HEAD {
            let message = format!("a head of {head_size} numbers cannot have {rotated} of them rotated in pairs");
            return Err(Error::new(ErrorKind::InvalidModel, message));
        }
        let plain = inverse_frequencies(theta, rotated);
        let divided = |factors: &[f32]| plain.iter().zip(factors).map(|(plain, factor)| plain / factor).collect();
        let frequencies = match scaling {
            Scaling::None => Frequencies::Fixed(plain),
            Scaling::Linear { factor } => Frequencies::Fixed(divided(&vec![*factor as f32; plain.len()])),
            Scaling::Factors(factors) => Frequencies::Fixed(divided(factors)),
            Scaling::Dynamic { factor, max_positions } => Frequencies::Dynamic {
                limit: *max_positions,
                factor: *factor,
                exponents: (0..rotated / 2).map(|pair| -(2.0 * pair as f32) / (rotated as f32 - 2.0)).collect(),
                base: plain,
            },
            Scaling::Yarn { factor, range, .. } => Frequencies::Fixed(yarn(&plain, theta, rotated, *factor, *range)),
            Scaling::LongRope { original_positions, short, long, .. } => {
                Frequencies::ByLength { limit: *original_positions, short: divided(short), long: divided(long) }
            }
            Scaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_positions } => {
                let original = *original_positions as f64;
                let scaled = |&frequency: &f32| {
                    let turns = original * f64::from(frequency) / TAU;
                    let kept = (turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
                    let kept = kept.clamp(0.0, 1.0);
                    (f64::from(frequency) * (kept + (1.0 - kept) / factor)) as f32
                };
                Frequencies::Fixed(plain.iter().map(scaled).collect())
            }
        };
        let attention_factor = match scaling {
            Scaling::Yarn { attention_factor, .. } | Scaling::LongRope { attention_factor, .. } => *attention_factor,
            _ => 1.0,
        };
        let rotary = Self { theta, rotated, frequencies, attention_factor };
        if !rotary.is_finite() {
            let message = "the rotary embedding has frequencies that are not finite: get an intact checkpoint";
            return Err(Error::new(ErrorKind::InvalidModel, message));
        }
        Ok(rotary)
    }

    fn is_finite(&self) -> bool {
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        self.attention_factor.is_finite()
            && match &self.frequencies {
                Frequencies::Fixed(fixed) => finite(fixed),
                Frequencies::ByLength { short, long, .. } => finite(short) && finite(long),
                Frequencies::Dynamic { base, exponents, .. } => finite(base) && finite(exponents),
            }
    }
}

fn inverse_frequencies(theta: f64, rotated: usize) -> Vec<f32> {
    let frequency = |pair: usize| {
        let exponent = (2 * pair) as f32 / rotated as f32;
        (theta.powf(f64::from(exponent)) as f32).recip()
    };
    (0..rotated / 2).map(frequency).collect()
}

fn yarn(plain: &[f32], theta: f64, rotated: usize, factor: f64, range: CorrectionRange) -> Vec<f32> {
    // The pair that turns so often within the original positions.
    let pair =
        |turns: f64| rotated as f64 * (range.original_positions as f64 / (turns * TAU)).ln() / (2.0 * theta.ln());
    let (mut first, mut last) = (pair(range.beta_fast), pair(range.beta_slow));
    if range.truncate {
        (first, last) = (first.floor(), last.ceil());
    }
    (first, last) = (first.max(0.0), last.min(rotated as f64 - 1.0));
    if first == last {
        last += 0.001;
    }
    let scaled = |(pair, &frequency): (usize, &f32)| {
        let divided = ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0);
        (f64::from(frequency) * (divided / factor + (1.0 - divided))) as f32
    };
    plain.iter().enumerate().map(scaled).collect()
}

/// How a checkpoint orders the rows of one head's projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOrder {
    /// As the head's numbers come, where nothing turns.
    Plain,
    /// The pairs that turn as two halves, then the rest.
    Halves,
    /// Pairs side by side, those that turn and then the rest.
    Interleaved,
}

impl RowOrder {
    /// Where a head's row lies that belongs at `row` in the order of this library: two halves of `head_size / 2` rows, a pair's
    /// rows at the same place of each, the pairs that turn before those that do not.
    pub(super) fn stored_row(self, row: usize, head_size: usize, rotated: usize) -> usize {
        let half_and_pair = |pairs: usize| (row / pairs, row % pairs);
        match self {
            Self::Plain => row,
            Self::Interleaved => {
                let (half, pair) = half_and_pair(head_size / 2);
                2 * pair + half
            }
            Self::Halves => {
                let (half, pair) = half_and_pair(head_size / 2);
                let (turning, still) = (rotated / 2, (head_size - rotated) / 2);
                if pair < turning { half * turning + pair } else { rotated + half * still + pair - turning }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(rotated: usize, scaling: &Scaling) -> Vec<f32> {
        match Rotary::new(10_000.0, rotated, rotated, scaling).unwrap().frequencies {
            Frequencies::Fixed(frequencies) => frequencies,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frequencies_fall_from_one_by_equal_ratios() {
        assert_eq!(fixed(4, &Scaling::None), [1.0, 0.01]);
        assert_eq!(fixed(4, &Scaling::Linear { factor: 2.0 }), [0.5, 0.005]);
        assert_eq!(fixed(4, &Scaling::Factors(vec![1.0, 8.0])), [1.0, 0.01 / 8.0]);
    }

    #[test]
    fn rows_of_each_head_are_regrouped_into_halves() {
        let rows =
            |order: RowOrder, rotated| -> Vec<usize> { (0..8).map(|row| order.stored_row(row, 8, rotated)).collect() };
        assert_eq!(rows(RowOrder::Plain, 0), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(rows(RowOrder::Interleaved, 8), [0, 2, 4, 6, 1, 3, 5, 7]);
        assert_eq!(rows(RowOrder::Halves, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(rows(RowOrder::Halves, 4), [0, 1, 4, 5, 2, 3, 6, 7]);
    }
}
