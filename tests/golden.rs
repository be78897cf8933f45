//! The default model against what the released code measured on it.

mod common;

use longattn::Config;
use longattn::export::{ExportOptions, WeightType, export};
use longattn::model::{Contract, Scorer};
use longattn::score::Score;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    token_ids: Vec<u32>,
    proportion: Vec<f64>,
    variance: Vec<f64>,
}

/// Largest relative differences of proportion and variance that are allowed.
struct Tolerance {
    proportion: f64,
    variance: f64,
}

const FLOAT32: Tolerance = Tolerance { proportion: 1e-5, variance: 1e-4 };
const FLOAT16: Tolerance = Tolerance { proportion: 2e-4, variance: 1e-3 };

fn check(contract: Contract, weights: WeightType, instruction_set: &str, tolerance: Tolerance) {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("model");
    export(&common::default_model(), &package, &ExportOptions { contract, weights, ..Default::default() }).unwrap();
    let mut config = Config::default();
    config.set("instruction_set", instruction_set).unwrap();
    config.onnxruntime = Some(common::onnxruntime());
    let scorer = Scorer::open(&package, &config).unwrap();

    let golden: Golden = serde_json::from_str(include_str!("data/released_code.json")).unwrap();
    assert_eq!(golden.cases.len(), 3);
    for (name, case) in golden.cases {
        let score = scorer.score_tokens(&case.token_ids).unwrap();
        let (proportion, variance) = largest_differences(&score, &case);
        println!("{name} by {contract:?} in {weights:?}: proportion {proportion:.1e}, variance {variance:.1e}");
        assert!(proportion < tolerance.proportion, "{name}: proportion differs by {proportion:e}");
        assert!(variance < tolerance.variance, "{name}: variance differs by {variance:e}");
    }
}

fn largest_differences(score: &Score, case: &Case) -> (f64, f64) {
    assert_eq!(score.heads.len(), case.proportion.len());
    let relative = |found: f64, expected: f64| (found - expected).abs() / expected;
    let heads = score.heads.iter().zip(case.proportion.iter().zip(&case.variance));
    heads.fold((0.0, 0.0), |(proportion, variance): (f64, f64), (head, expected)| {
        let here = (relative(head.proportion, *expected.0), relative(head.variance, *expected.1));
        (proportion.max(here.0), variance.max(here.1))
    })
}

#[test]
fn queries_and_keys_give_the_released_values() {
    check(Contract::QueryKey, WeightType::F32, "auto", FLOAT32);
}

#[test]
fn queries_and_keys_give_the_released_values_on_any_machine() {
    check(Contract::QueryKey, WeightType::F32, "portable", FLOAT32);
}

#[test]
fn maps_give_the_released_values() {
    check(Contract::Attentions, WeightType::F32, "auto", FLOAT32);
}

#[test]
fn half_precision_weights_stay_close() {
    check(Contract::QueryKey, WeightType::F16, "auto", FLOAT16);
    check(Contract::Attentions, WeightType::F16, "auto", FLOAT16);
}
