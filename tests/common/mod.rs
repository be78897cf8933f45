//! What the integration tests share: the default model, ONNX Runtime, and a scorer package made of them.

#![allow(dead_code)] // Each test binary uses its own part.

pub mod workplace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use longattn::export::{ExportOptions, export};
use longattn::score::Score;
use serde::Deserialize;

/// The GGUF file of the default model.
pub fn default_model() -> PathBuf {
    fetched("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The shared library of ONNX Runtime.
pub fn onnxruntime() -> PathBuf {
    fetched("libonnxruntime.so")
}

/// ONNX Runtime with the provider OpenVINO.
pub fn onnxruntime_with_openvino() -> PathBuf {
    let directory = fetched("openvino").join("onnxruntime/capi");
    let mut files = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let is_library = |path: &PathBuf| path.to_string_lossy().contains("libonnxruntime.so.");
    files.find(is_library).expect("the wheel holds ONNX Runtime")
}

/// A plug-in library with an execution provider that computes on every processor.
pub fn plugin() -> PathBuf {
    fetched("ggml").join("onnxruntime_ggml/lib/libonnxruntime_ggml.so")
}

/// What the released code measured on one window of the default model, head by head.
#[derive(Deserialize)]
pub struct GoldenCase {
    pub token_ids: Vec<u32>,
    pub proportion: Vec<f64>,
    pub variance: Vec<f64>,
}

/// What the released code measured, by the name of the case.
pub fn golden() -> BTreeMap<String, GoldenCase> {
    #[derive(Deserialize)]
    struct Golden {
        cases: BTreeMap<String, GoldenCase>,
    }
    let golden: Golden = serde_json::from_str(include_str!("../data/released_code.json")).unwrap();
    assert_eq!(golden.cases.len(), 3);
    golden.cases
}

/// The token ids of the windows that the released code was run on, by the name of the case.
pub fn golden_windows() -> BTreeMap<String, Vec<u32>> {
    golden().into_iter().map(|(name, case)| (name, case.token_ids)).collect()
}

/// The largest relative difference of two scores' heads.
pub fn apart(found: &Score, expected: &Score) -> f64 {
    assert_eq!(found.heads.len(), expected.heads.len());
    let relative = |found: f64, expected: f64| (found - expected).abs() / expected;
    let differences = found.heads.iter().zip(&expected.heads).flat_map(|(found, expected)| {
        [relative(found.proportion, expected.proportion), relative(found.variance, expected.variance)]
    });
    differences.fold(0.0, f64::max)
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
    assert!(path.exists(), "{} is missing: run `make fetch providers` first", path.display());
    path
}
