//! How far the statistics of a package stray from double precision.

use super::metadata::Contract;
use crate::choice::Choice;
use crate::score::Score;

/// The largest relative difference from double precision that passes.
pub const TOLERANCE: f64 = 1e-4;

/// One way to the statistics of a window, compared with double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The contract by which the model was asked.
    pub contract: Contract,
    /// How the statistics were computed from what it gave.
    pub computed_by: String,
    /// Largest relative difference of a head's proportion, the share that dependency strength is the mean of.
    pub proportion: f64,
    /// Largest relative difference of a head's variance.
    pub variance: f64,
}

impl Comparison {
    pub(super) fn new(contract: Contract, computed_by: String, found: &Score, reference: &Score) -> Self {
        let largest = |number: fn(&crate::score::HeadScore) -> f64| {
            let heads = found.heads.iter().zip(&reference.heads);
            heads.map(|(found, reference)| relative(number(found), number(reference))).fold(0.0, f64::max)
        };
        let (proportion, variance) = (largest(|head| head.proportion), largest(|head| head.variance));
        Self { contract, computed_by, proportion, variance }
    }

    /// Whether the differences are within [`TOLERANCE`].
    pub fn agrees(&self) -> bool {
        self.proportion <= TOLERANCE && self.variance <= TOLERANCE
    }
}

fn relative(found: f64, reference: f64) -> f64 {
    if found == reference { 0.0 } else { (found - reference).abs() / reference.abs() }
}

/// What [`Scorer::verify`](super::Scorer::verify) found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// Tokens of the window, special ones included.
    pub token_count: usize,
    /// Every way to the statistics that there is for this package on this machine.
    pub comparisons: Vec<Comparison>,
}

impl Verification {
    /// Whether all ways agree with double precision.
    pub fn agrees(&self) -> bool {
        self.comparisons.iter().all(Comparison::agrees)
    }

    /// Everything found as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        let comparison = |comparison: &Comparison| {
            serde_json::json!({
                "contract": comparison.contract.name(),
                "computed_by": comparison.computed_by,
                "proportion_difference": comparison.proportion,
                "variance_difference": comparison.variance,
                "agrees": comparison.agrees(),
            })
        };
        serde_json::json!({
            "token_count": self.token_count,
            "tolerance": TOLERANCE,
            "comparisons": self.comparisons.iter().map(comparison).collect::<Vec<_>>(),
            "agrees": self.agrees(),
        })
    }
}
