//! Scores windows of text by how much and how evenly a language model's attention reaches far back.

pub mod choice;
pub mod error;
pub mod export;
pub mod model;

pub use error::{Error, ErrorKind, Result};
