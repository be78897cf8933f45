//! Whether adaptive rounds pay, by the first windows of a corpus.

use super::table::WindowRow;
use crate::cancel::Cancel;
use crate::config::{Config, DEFAULT_RATIO};
use crate::error::Result;
use crate::select::{Cut, Method, Rounds, Selector, StandardErrors, forecast};

/// Windows whose first scores tell whether rounds pay.
const PILOT: usize = 256;

/// The first windows of a corpus, by which it is decided whether the others are scored in rounds. No time plays a part, so
/// that the answer is the same each time.
#[derive(Default)]
pub(super) struct Pilot {
    selector: Selector,
    errors: Vec<StandardErrors>,
    decided: bool,
}

impl Pilot {
    /// Takes in one more window, unless there are enough.
    pub fn add(&mut self, category: &str, row: &WindowRow) -> Result<()> {
        if self.errors.len() == PILOT {
            return Ok(());
        }
        let id = format!("{:03}", self.errors.len());
        self.selector.add(row.candidate(&id, category))?;
        self.errors.push(row.errors());
        Ok(())
    }

    /// Whether it has just become clear that exact scores of all windows are cheaper.
    pub fn favours_exact_scores(&mut self, rounds: &Rounds, config: &Config, cancel: &Cancel) -> Result<bool> {
        if self.decided || self.errors.len() < PILOT {
            return Ok(false);
        }
        self.decided = true;
        let method = config.method()?;
        // Of how many windows these are the first, nobody knows yet.
        let cut = match method.cut {
            Cut::Count(_) | Cut::TokenBudget(_) => Cut::Ratio(DEFAULT_RATIO),
            cut => cut,
        };
        let method = Method { cut, ..method };
        let reached = vec![0; self.errors.len()];
        let confidence = config.confidence.get();
        let forecast = forecast(&self.selector, &self.errors, &reached, rounds, &method, confidence, cancel)?;
        Ok(!forecast.favours_rounds())
    }
}
