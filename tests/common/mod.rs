//! What the integration tests share: the default model, ONNX Runtime, and a scorer package made of them.

#![allow(dead_code)] // Each test binary uses its own part.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longattn::export::{ExportOptions, export};

/// The GGUF file of the default model.
pub fn default_model() -> PathBuf {
    fetched("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The shared library of ONNX Runtime.
pub fn onnxruntime() -> PathBuf {
    fetched("libonnxruntime.so")
}

/// The default model as a scorer package of the contract `query-key` in `f32`, made once in each test process.
pub fn scorer_package() -> PathBuf {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!(env!("CARGO_CRATE_NAME"), "-package"));
        let options = ExportOptions { overwrite: true, ..ExportOptions::default() };
        export(&default_model(), &package, &options).expect("the default model can be exported");
        package
    };
    PACKAGE.get_or_init(make).clone()
}

fn fetched(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fetch").join(name);
    assert!(path.exists(), "{} is missing: run `make fetch` first", path.display());
    path
}
