//! The default model against what the released code measured on it.

mod common;

use longattn::Config;
use longattn::export::{ExportOptions, WeightType, export};
use longattn::model::{Contract, Scorer};
use longattn::score::Score;

/// Largest relative differences of proportion and variance that are allowed.
struct Tolerance {
    proportion: f64,
    variance: f64,
}

const FLOAT32: Tolerance = Tolerance { proportion: 1e-5, variance: 1e-4 };
const FLOAT16: Tolerance = Tolerance { proportion: 2e-4, variance: 1e-3 };

/// What tables folded at export may differ by from what they are folded from.
const FOLDED: Tolerance = Tolerance { proportion: 1e-6, variance: 1e-6 };

/// What products of 16-bit integers may differ by.
const INT16: Tolerance = Tolerance { proportion: 1e-4, variance: 1e-4 };

const AUTO: (&str, &str) = ("instruction_set", "auto");

fn scores(options: &ExportOptions, (key, value): (&str, &str)) -> Vec<Score> {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("model");
    export(&common::default_model(), &package, options).unwrap();
    let mut config = Config::default();
    config.set(key, value).unwrap();
    config.onnxruntime = Some(common::onnxruntime());
    let scorer = Scorer::open(&package, &config).unwrap();
    common::golden().values().map(|case| scorer.score_tokens(&case.token_ids).unwrap()).collect()
}

fn check(contract: Contract, weights: WeightType, setting: (&str, &str), tolerance: Tolerance) {
    let options = ExportOptions { contract, weights, ..Default::default() };
    for (score, (name, case)) in scores(&options, setting).iter().zip(common::golden()) {
        let heads: Vec<_> = case.proportion.into_iter().zip(case.variance).collect();
        assert_close(&format!("{name} by {contract:?} in {weights:?}"), score, &heads, &tolerance);
    }
}

/// Compares each head's proportion and variance with the expected ones.
fn assert_close(name: &str, score: &Score, expected: &[(f64, f64)], tolerance: &Tolerance) {
    assert_eq!(score.heads.len(), expected.len());
    let relative = |found: f64, expected: f64| (found - expected).abs() / expected;
    let heads = score.heads.iter().zip(expected);
    let largest = heads.fold((0.0, 0.0), |(proportion, variance): (f64, f64), (head, expected)| {
        let here = (relative(head.proportion, expected.0), relative(head.variance, expected.1));
        (proportion.max(here.0), variance.max(here.1))
    });
    println!("{name}: proportion {:.1e}, variance {:.1e}", largest.0, largest.1);
    assert!(largest.0 < tolerance.proportion && largest.1 < tolerance.variance, "{name} differs by {largest:?}");
}

#[test]
fn queries_and_keys_give_the_released_values() {
    check(Contract::QueryKey, WeightType::F32, AUTO, FLOAT32);
}

#[test]
fn queries_and_keys_give_the_released_values_on_any_machine() {
    check(Contract::QueryKey, WeightType::F32, ("instruction_set", "portable"), FLOAT32);
}

#[test]
fn integers_stay_close() {
    check(Contract::QueryKey, WeightType::F32, ("precision", "int16"), INT16);
}

#[test]
fn maps_give_the_released_values() {
    check(Contract::Attentions, WeightType::F32, AUTO, FLOAT32);
}

#[test]
fn sums_within_the_model_give_the_released_values() {
    check(Contract::Statistics, WeightType::F32, AUTO, FLOAT32);
}

#[test]
fn half_precision_weights_stay_close() {
    check(Contract::QueryKey, WeightType::F16, AUTO, FLOAT16);
    check(Contract::Attentions, WeightType::F16, AUTO, FLOAT16);
    check(Contract::Statistics, WeightType::F16, AUTO, FLOAT16);
}

#[test]
fn folded_tables_give_the_same_scores() {
    for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
        let apart = scores(&ExportOptions { contract, fold: false, ..Default::default() }, AUTO);
        let folded = scores(&ExportOptions { contract, ..Default::default() }, AUTO);
        for (folded, apart) in folded.iter().zip(apart) {
            let heads: Vec<_> = apart.heads.iter().map(|head| (head.proportion, head.variance)).collect();
            assert_close(&format!("folded {contract:?}"), folded, &heads, &FOLDED);
        }
    }
}
