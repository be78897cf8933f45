//! Tiny checkpoints of every architecture and every rotary scaling, scored like `transformers` attends.
//!
//! `tests/python/make_checkpoints.py` makes them and what is expected of them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longattn::config::Config;
use longattn::export::{ExportOptions, WeightType, export};
use longattn::model::{Contract, Metadata, Scorer};
use longattn::score::Score;
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    token_ids: Vec<u32>,
    proportion: Vec<f64>,
    variance: Vec<f64>,
}

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints")
}

fn expected() -> BTreeMap<String, Vec<Expected>> {
    serde_json::from_slice(&fs::read(checkpoints().join("expected.json")).unwrap()).unwrap()
}

fn options() -> ExportOptions {
    let tokenizer = Some(checkpoints().join("tokenizer.json"));
    ExportOptions { tokenizer, overwrite: true, ..ExportOptions::default() }
}

/// Exports a checkpoint, and opens what came out.
fn exported(name: &str, options: &ExportOptions, settings: &[(&str, &str)]) -> (Metadata, Scorer) {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    let metadata = export(&checkpoints().join(name), &package, options).unwrap();
    let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    (metadata, Scorer::open(&package, &config).unwrap())
}

fn assert_close(score: &Score, expected: &Expected, tolerance: f64, context: &str) {
    assert_eq!(score.heads.len(), expected.proportion.len(), "{context}");
    for (head, found) in score.heads.iter().enumerate() {
        for (found, expected) in
            [(found.proportion, expected.proportion[head]), (found.variance, expected.variance[head])]
        {
            let error = (found - expected).abs() / expected;
            assert!(error <= tolerance, "{context}, head {head}: {found} is not {expected}, {error:.1e} apart");
        }
    }
}

#[test]
fn every_checkpoint_scores_as_transformers_attends() {
    for (name, windows) in expected() {
        for contract in [Contract::QueryKey, Contract::Attentions] {
            for fold in [true, false] {
                let (_, scorer) = exported(&name, &ExportOptions { contract, fold, ..options() }, &[]);
                for window in &windows {
                    let context = format!("{name}, {contract:?}, fold {fold}, {} tokens", window.token_ids.len());
                    let score = scorer.score_tokens(&window.token_ids).unwrap();
                    assert_close(&score, window, 2e-6, &context);
                }
            }
        }
    }
}
