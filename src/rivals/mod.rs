//! Other published scores of long dependency, on the same windows.
//!
//! Each takes token ids or text and nothing else: no model, no files. Those that a model is needed for take what the model has
//! said, its losses. `docs/scores.md` tells what each was measured to find, and at what price.
//!
//! | score | of | source |
//! | --- | --- | --- |
//! | [`compression_ratio`] | bytes | OLMo 3 |
//! | [`long_range_compression_gain`] | bytes | |
//! | [`recurrence`] | token ids | |
//! | [`ngram_gain`] | token ids | |
//! | [`information_gain`] | losses | the truth of [`calibrate`](crate::calibrate) |
//! | [`longfilter_score`] | losses | LongFilter |
//! | [`delta_perplexity`] | losses | ProLong |
//!
//! A [`Column`] names those that a job can add to the scores of its windows.
//!
//! LADM (Chen et al., ACL 2025, arXiv 2503.02502) is not here. It sums attention over every pair of spans of a window, where the
//! streaming kernels keep three sums a row: it would take a kernel that keeps one sum for each row and span of keys.

mod column;
mod compression;
mod losses;
mod ngram;
mod recurrence;

pub use column::{Column, Columns, columns};
pub use compression::{Compressor, compression_ratio, long_range_compression_gain};
pub use losses::{
    Gain, MIN_GAIN_TOKENS, SHORT_CONTEXT, STRIDE, ShortContext, delta_perplexity, information_gain, longfilter_score,
    short_contexts,
};
pub use ngram::{NgramGain, ngram_gain};
pub use recurrence::recurrence;
