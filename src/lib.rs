//! Scores windows of text by how much and how evenly a language model's attention reaches far back.

pub mod attention;
pub mod cancel;
pub mod choice;
pub mod config;
pub mod corpus;
pub mod error;
pub mod export;
pub mod model;
pub mod report;
pub mod score;
pub mod select;
pub mod tokenizer;
pub mod window;

pub use cancel::Cancel;
pub use config::Config;
pub use error::{Error, ErrorKind, Result};
