//! What is measured on a window.

use crate::rivals::Columns;
use crate::score::Score;

/// The score and the columns of one window.
pub(super) struct Measurement {
    /// Those that were scored, special ones included; without a model, those of the window.
    pub token_count: usize,
    /// None without a model.
    pub score: Option<Score>,
    pub columns: Columns,
}
