//! Scorer packages: contracts, ONNX Runtime, sessions.
//!
//! A scorer package is a directory with `model.onnx` (and `model.onnx.data` where weights are external) and
//! `tokenizer.json`. A [`Scorer`] opens one and scores windows with it. Where there is `loss.onnx` beside them, it also tells
//! the information gain of windows.

mod attentions;
mod describe;
mod fitted_score;
mod layer;
pub(crate) mod losses;
pub mod metadata;
mod native;
mod operator;
mod package;
mod provider;
mod query_key;
mod runner;
mod runtime;
mod scorer;
mod session;
mod start;
mod statistics;
mod survey;
mod verify;
mod weights;

pub use crate::rivals::MIN_GAIN_TOKENS;
pub(crate) use fitted_score::FILE as FITTED_SCORE;
pub use fitted_score::PackagedFittedScore;
pub use losses::ContextLosses;
pub use metadata::{Contract, Metadata};
pub use native::Placement;
pub(crate) use operator::{DOMAIN, FAR_MASS};
pub use provider::{BuiltIn, ExecutionProvider, ProviderOptions};
pub(crate) use query_key::WINDOW_LENGTH;
pub use runtime::{loaded_from, loaded_version};
pub use scorer::{Description, Input, NO_MODEL, Progress, Scorer, SinkScores};
pub use session::Port;
pub use survey::{Survey, Tried, survey};
pub use verify::{Comparison, TOLERANCE, Verification};
pub use weights::tell_of_cut_weights;
