//! What adaptive rounds of scoring will cost, told from the scores that are known so far.
//!
//! The rounds are rehearsed: the windows in doubt are taken to be scored on more rows, whereby their estimates stay where
//! they are and their standard errors shrink with the sample as sampling theory says, until nothing is in doubt. The
//! result is a function of the scores alone.

use super::{Method, Selector, StandardErrors, in_doubt};
use crate::attention::{FarRegion, rows_to_draw};
use crate::cancel::Cancel;
use crate::error::Result;

/// How many times as many rows a window gets from one of its rounds to the next.
const STEP: usize = 4;

/// What scoring a window from a sample costs beside the rows that are drawn, in exact rows: finding clusters of keys and
/// predicting every row from them. `benches/adaptive.rs` measured on the default model, rows as shares of those with far
/// keys: of 8192 tokens 1/16, 1/8, 1/4 and 1/2 take 0.12, 0.20, 0.32 and 0.54 of an exact score's time; of 4096 tokens a
/// tenth takes 0.23, and of 2048 a quarter takes 0.5.
const WINDOW_COST: f64 = 400.0;

/// What a row that is drawn costs, in exact rows.
const ROW_COST: f64 = 1.0;

/// The rounds in which windows of one length are scored, each on more rows than the one before, and the last on all.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounds {
    length: usize,
    /// Rows with far keys.
    rows: usize,
    /// About how many rows of a window each round but the last asks for, and how many of those with far keys it draws.
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    asked: usize,
    drawn: usize,
}

impl Rounds {
    /// Rounds for windows of `length` tokens, the first on about `first` rows, each later one on four times as many. A round
    /// that costs more than a third of an exact score is left out, since it can hardly pay; so short windows are scored
    /// exactly at once.
    pub fn new(length: usize, far: FarRegion, first: usize) -> Self {
        let asked = std::iter::successors(Some(first.max(1)), |asked| asked.checked_mul(STEP));
        let mut rounds = Self::on(length, far, asked);
        let most = rounds.rows as f64 / 3.0;
        let paying = rounds.samples.iter().take_while(|sample| Self::sample_cost(**sample) <= most).count();
        rounds.samples.truncate(paying);
        rounds
    }

    /// Rounds on about so many rows of windows of `length` tokens, rising, up to the first that leaves no row out.
    pub fn on(length: usize, far: FarRegion, asked: impl IntoIterator<Item = usize>) -> Self {
        let rows = (0..length).filter(|row| !far.keys(*row).is_empty()).count();
        let drawn =
            asked.into_iter().map_while(|asked| Some(Sample { asked, drawn: rows_to_draw(length, far, asked)? }));
        let mut samples: Vec<Sample> = drawn.collect();
        // The fewest rows that are drawn may be more than were asked for.
        samples.dedup_by_key(|sample| sample.drawn);
        Self { length, rows, samples }
    }

    /// The number of rounds, the exact one included.
    pub fn count(&self) -> usize {
        self.samples.len() + 1
    }

    /// About how many rows a round, counted from 0, asks for; all of a window's in the last round and beyond.
    pub fn asked(&self, round: usize) -> usize {
        self.samples.get(round).map_or(self.length, |sample| sample.asked)
    }

    /// What scoring one window costs in a round, in rows of an exact score.
    pub fn cost(&self, round: usize) -> f64 {
        self.samples.get(round).map_or(self.rows as f64, |sample| Self::sample_cost(*sample))
    }

    fn sample_cost(sample: Sample) -> f64 {
        WINDOW_COST + ROW_COST * sample.drawn as f64
    }

    /// By what standard errors of one round become those of the next: the variance of a sample of `n` of `N` rows is in
    /// proportion to `1/n − 1/N`.
    fn shrinkage(&self, round: usize) -> f64 {
        let variance = |sample: &Sample| 1.0 / sample.drawn as f64 - 1.0 / self.rows as f64;
        match (self.samples.get(round), self.samples.get(round + 1)) {
            (Some(now), Some(next)) => (variance(next) / variance(now)).sqrt(),
            _ => 0.0,
        }
    }
}

/// What is left to do, in rows of an exact score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// By rounds, each of the windows that are then in doubt. No more than a little over `exact` is ever told: there the
    /// rehearsal ends.
    pub adaptive: f64,
    /// By scoring all windows exactly that are not exact yet.
    pub exact: f64,
}

impl Forecast {
    /// Whether rounds are the cheaper way.
    pub fn favours_rounds(&self) -> bool {
        self.adaptive < self.exact
    }
}

/// Predicts what adaptive rounds will cost from here, and what exact scores of all windows.
///
/// `errors` and `reached`, the round that each window was scored in last, are those of the candidates by their ordinals.
///
/// # Errors
/// Those of [`in_doubt`].
pub fn forecast(
    selector: &Selector,
    errors: &[StandardErrors],
    reached: &[u8],
    rounds: &Rounds,
    method: &Method,
    confidence: f64,
    cancel: &Cancel,
) -> Result<Forecast> {
    let (mut errors, mut reached) = (errors.to_vec(), reached.to_vec());
    let inexact = errors.iter().filter(|errors| !errors.is_exact()).count();
    let exact = inexact as f64 * rounds.cost(rounds.count());
    let mut adaptive = 0.0;
    while adaptive < exact {
        let doubted = in_doubt(selector, &errors, method, confidence, cancel)?;
        if doubted.is_empty() {
            break;
        }
        for ordinal in doubted {
            let round = usize::from(reached[ordinal]);
            adaptive += rounds.cost(round + 1);
            errors[ordinal] = errors[ordinal].times(rounds.shrinkage(round));
            reached[ordinal] += 1;
        }
    }
    Ok(Forecast { adaptive, exact })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::{Candidate, Cut, Standardize};

    const FAR: FarRegion = FarRegion { min_distance: 8192, sink_tokens: 0 };

    /// Windows whose scores lie so far apart, each with a standard error of 1.
    fn told(distance: f64) -> Forecast {
        let mut selector = Selector::default();
        for place in 0..40 {
            selector
                .add(Candidate {
                    id: place.to_string(),
                    category: "books".to_owned(),
                    token_count: 32768,
                    far: Some(FAR),
                    dependency_strength: distance * f64::from(place),
                    distribution_uniformity: 0.0,
                })
                .unwrap();
        }
        let errors = [StandardErrors { dependency_strength: 1.0, distribution_uniformity: 0.0 }; 40];
        let method = Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25));
        let rounds = Rounds::new(32768, FAR, 2048);
        forecast(&selector, &errors, &[0; 40], &rounds, &method, 0.99, &Cancel::default()).unwrap()
    }

    #[test]
    fn rounds_are_favoured_where_few_windows_are_in_doubt() {
        let apart = told(1000.0);
        assert_eq!((apart.adaptive, apart.favours_rounds()), (0.0, true));
        let near = told(2.0);
        assert!(near.adaptive > 0.0 && near.favours_rounds(), "{near:?}");
        assert!(!told(0.001).favours_rounds());
        assert_eq!(apart.exact, 40.0 * (32768.0 - 8192.0));
    }

    #[test]
    fn rounds_that_cannot_pay_are_left_out() {
        let rounds = |length, first| Rounds::new(length, FarRegion { min_distance: length / 4, sink_tokens: 0 }, first);
        let asked = |rounds: Rounds| (0..rounds.count()).map(|round| rounds.asked(round)).collect::<Vec<_>>();
        assert_eq!(asked(rounds(32768, 2048)), [2048, 8192, 32768]);
        assert_eq!(asked(rounds(8192, 512)), [512, 2048, 8192]);
        assert_eq!(asked(rounds(2048, 128)), [2048]);
        assert_eq!(asked(rounds(8, 1)), [8]);
        let far = FarRegion { min_distance: 512, sink_tokens: 0 };
        assert_eq!(asked(Rounds::on(2048, far, [1, 2, 512, 4096])), [1, 512, 2048]);
    }

    #[test]
    fn errors_are_told_to_shrink_as_samples_grow() {
        let rounds = Rounds::new(32768, FAR, 2048);
        let expected = f64::sqrt((1.0 / 6144.0 - 1.0 / 24576.0) / (1.0 / 1536.0 - 1.0 / 24576.0));
        assert!((rounds.shrinkage(0) - expected).abs() < 1e-12);
        assert_eq!(rounds.shrinkage(1), 0.0);
    }
}
