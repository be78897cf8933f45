//! Scores windows of text by how far and how evenly a language model's attention reaches back, and selects the best for
//! long-context training.
//!
//! The method is LongAttn (Wu et al., *LongAttn: Selecting Long-context Training Data via Token-level Attention*,
//! arXiv 2502.16860). A window is read with the first attention layer of a language model. Its **dependency strength**
//! is the mean share of attention that a token gives to tokens at least `min_distance` before it; its **distribution
//! uniformity** is minus the variance of that attention. Both together, standardised within a category, are the
//! **long-distance dependency score** by which the best windows are selected.
//!
//! | the paper | here |
//! | --- | --- |
//! | Algorithm 1, windows | [`window::window_starts`] |
//! | Eq. 5 and 6, far mass | [`attention::FarMass`] |
//! | Eq. 5, dependency strength | [`score::Score::dependency_strength`] |
//! | Eq. 7, distribution uniformity | [`score::Score::distribution_uniformity`], [`score::VarianceDomain`] |
//! | Eq. 8, long-distance dependency score | [`select::Ranked::long_distance_dependency_score`] |
//! | `Std` of Eq. 8 | [`select::Standardize`] |
//!
//! The attention map is never built: the statistics are streamed from queries and keys
//! ([`attention::StreamingAttention`]), so memory grows with the length of a window and not with its square.
//!
//! Score a document with a scorer package, as `longattn export` makes it:
//!
//! ```no_run
//! use longattn::{Config, model::Scorer};
//!
//! let mut config = Config::default();
//! config.set("window", "8192")?;
//! let scorer = Scorer::open("model".as_ref(), &config)?;
//! let score = scorer.score_text("A long document …")?;
//! println!("{} {}", score.dependency_strength, score.distribution_uniformity);
//! # Ok::<(), longattn::Error>(())
//! ```
//!
//! Which layer of a model to trust with a corpus, [`calibrate`] measures.
//!
//! [`attention`], [`score`], [`window`], [`select`] and [`calibrate`] need neither a model nor ONNX Runtime nor files:
//!
//! ```
//! use longattn::attention::{FarRegion, map_far_mass};
//! use longattn::score::{Score, VarianceDomain};
//!
//! // One head over three tokens; each row is a token's attention.
//! let map = ndarray::array![[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.6, 0.2, 0.2]]];
//! let far = FarRegion { min_distance: 2, sink_tokens: 0 };
//! let score = Score::new(&map_far_mass(map.view(), far), 3, far, VarianceDomain::Map)?;
//! assert!((score.dependency_strength - 0.2).abs() < 1e-7);
//! # Ok::<(), longattn::Error>(())
//! ```

pub mod attention;
pub mod calibrate;
pub mod cancel;
pub mod choice;
#[cfg(feature = "cli")]
pub mod command;
pub mod config;
pub mod corpus;
pub mod digest;
pub mod error;
pub mod export;
mod ffi;
mod guarded;
pub mod job;
pub mod model;
mod process;
mod random;
pub mod report;
pub mod rivals;
pub mod score;
pub mod select;
pub mod tokenizer;
pub mod window;

pub use cancel::Cancel;
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
