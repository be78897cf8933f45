//! Scorer packages: contracts, ONNX Runtime, sessions.

pub mod metadata;
