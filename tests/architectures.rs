//! Tiny checkpoints of every architecture and every rotary scaling, scored like `transformers` attends.
//!
//! `tests/python/make_checkpoints.py` makes them and what is expected of them.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longattn::ErrorKind;
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
        for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
            for fold in [true, false] {
                let (_, scorer) = exported(&name, &ExportOptions { contract, fold, ..options() }, &[]);
                for window in &windows {
                    let context = format!("{name}, {contract:?}, fold {fold}, {} tokens", window.token_ids.len());
                    let score = scorer.score_tokens(&window.token_ids).unwrap();
                    assert_close(&score, window, 1e-4, &context);
                }
            }
        }
    }
}

/// A long window of a checkpoint and what is expected of it.
fn long_window(name: &str) -> Expected {
    expected().remove(name).unwrap().pop().unwrap()
}

#[test]
fn halves_as_weights_stay_close() {
    let window = long_window("qwen3");
    for (weights, tolerance) in [(WeightType::F16, 1e-3), (WeightType::Bf16, 1e-2)] {
        for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
            for fold in [true, false] {
                let (metadata, scorer) =
                    exported("qwen3", &ExportOptions { weights, contract, fold, ..options() }, &[]);
                let context = format!("{}, {contract:?}, fold {fold}", metadata.weights);
                assert_close(&scorer.score_tokens(&window.token_ids).unwrap(), &window, tolerance, &context);
            }
        }
    }
}

#[test]
fn bfloat16_weights_kept_apart_lose_nothing() {
    let window = long_window("llama");
    let options = ExportOptions { weights: WeightType::Bf16, fold: false, ..options() };
    let (_, scorer) = exported("llama", &options, &[]);
    assert_close(&scorer.score_tokens(&window.token_ids).unwrap(), &window, 1e-5, "as stored");
}

#[test]
fn windows_longer_than_a_sliding_window_are_refused() {
    let ids: Vec<u32> = (0..49).collect();
    let cases = [
        ("gemma2", 48, Some(1)),
        ("gemma3", 48, Some(1)),
        ("mistral", 40, None),
        ("llama4", 48, None),
        ("llama4-full-attention", usize::MAX, None),
        ("gemma3-full-attention", usize::MAX, None),
        ("qwen2", usize::MAX, None),
    ];
    for (name, window, full_layer) in cases {
        for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
            let (metadata, scorer) = exported(name, &ExportOptions { contract, ..options() }, &[]);
            assert_eq!(metadata.sliding_window.unwrap_or(usize::MAX), window, "{name}");
            assert_eq!(metadata.full_attention_layer, full_layer, "{name}");
            assert!(scorer.score_tokens(&ids[..window.min(49)]).is_ok(), "{name}");
            if window > 49 {
                continue;
            }
            let error = scorer.score_tokens(&ids[..window + 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting);
            let says = full_layer.map_or("no layer has".to_owned(), |layer| format!("with full attention is {layer}"));
            assert!(error.to_string().contains(&says), "{error}");
            assert!(error.to_string().contains(&format!("at most {window} tokens")), "{error}");
        }
    }
}

#[test]
fn windows_longer_than_learned_positions_are_refused() {
    let (metadata, scorer) = exported("gpt2", &options(), &[]);
    assert_eq!((metadata.rope_theta, metadata.max_positions), (None, 40));
    assert!(scorer.score_tokens(&[1; 40]).is_ok());
    let error = scorer.score_tokens(&[1; 41]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(error.to_string().contains("at most 40"), "{error}");

    let directory = tempfile::tempdir().unwrap();
    for options in [
        ExportOptions { rope_theta: Some(500.0), ..options() },
        ExportOptions { max_positions: NonZeroUsize::new(80), ..options() },
    ] {
        let error = export(&checkpoints().join("gpt2"), &directory.path().join("package"), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("learned its positions"), "{error}");
    }
}

#[test]
fn the_options_overrule_the_configuration() {
    // The long factors serve beyond 16 positions, which are the original ones whatever is said here.
    let positions = NonZeroUsize::new(128);
    let (metadata, scorer) = exported("longrope", &ExportOptions { max_positions: positions, ..options() }, &[]);
    assert_eq!(metadata.max_positions, 128);
    let window = long_window("longrope");
    assert_close(&scorer.score_tokens(&window.token_ids).unwrap(), &window, 1e-4, "longrope");

    // Below as many positions as this, nothing is stretched.
    let window = long_window("dynamic");
    let score = |options: &ExportOptions| exported("dynamic", options, &[]).1.score_tokens(&window.token_ids).unwrap();
    let unstretched = score(&ExportOptions { max_positions: positions, ..options() });
    assert_ne!(unstretched, score(&options()));

    let of_base = |theta| {
        let (metadata, scorer) = exported("llama", &ExportOptions { rope_theta: theta, ..options() }, &[]);
        (metadata.rope_theta, scorer.score_tokens(&window.token_ids).unwrap())
    };
    assert_eq!(of_base(Some(1000.0)), of_base(None));
    assert_ne!(of_base(Some(77.0)).1, of_base(None).1);
}
