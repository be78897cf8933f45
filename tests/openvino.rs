//! Intel's OpenVINO, an execution provider that runs on any processor of this architecture.
#![cfg(target_arch = "x86_64")]

mod common;

use std::path::Path;

use longattn::export::{AttentionOperators, ExportOptions, Layers, export};
use longattn::model::{Contract, Placement, Scorer, survey};
use longattn::{Config, ErrorKind};
use tempfile::TempDir;

const OPENVINO: &str = "OpenVINOExecutionProvider";
const CPU: &str = "CPUExecutionProvider";

/// Newer processors would compute in bfloat16 unless asked not to.
const FLOAT32: (&str, &str) = ("provider_options", "device_type=CPU,precision=FP32");

fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config { onnxruntime: Some(common::onnxruntime_with_openvino()), ..Config::default() };
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

fn package(options: &ExportOptions) -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("model");
    export(&common::default_model(), &package, options).unwrap();
    (directory, package)
}

fn nodes(placement: &Placement, provider: &str) -> usize {
    placement.get(provider).map_or(0, |operators| operators.values().sum())
}

/// Scores the golden windows on OpenVINO and on the CPU, and says where the nodes went.
fn check(package: &Path) -> Placement {
    let openvino = Scorer::open(package, &config(&[("execution_provider", "openvino"), FLOAT32])).unwrap();
    let cpu = Scorer::open(package, &config(&[])).unwrap();
    assert!(cpu.description().placement.is_empty());
    for ids in common::golden_windows().into_values() {
        let apart = common::apart(&openvino.score_tokens(&ids).unwrap(), &cpu.score_tokens(&ids).unwrap());
        println!("{} tokens: {apart:.1e} apart", ids.len());
        assert!(apart <= 1e-4, "{} tokens: {apart:.1e} apart", ids.len());
    }
    openvino.description().placement.clone()
}

#[test]
fn the_first_layer_runs_wholly_on_openvino() {
    for contract in [Contract::QueryKey, Contract::Attentions] {
        let (_directory, package) = package(&ExportOptions { contract, ..ExportOptions::default() });
        let placement = check(&package);
        assert!(nodes(&placement, OPENVINO) > 20, "{placement:?}");
        assert_eq!(nodes(&placement, CPU), 0, "{placement:?}");
    }
}

#[test]
fn a_deeper_layer_leaves_the_fused_attention_to_the_cpu() {
    let (_directory, package) = package(&ExportOptions { layers: Layers::These(vec![2]), ..ExportOptions::default() });
    let placement = check(&package);
    assert!(nodes(&placement, OPENVINO) > 100, "{placement:?}");
    assert_eq!(placement[CPU].keys().collect::<Vec<_>>(), ["GroupQueryAttention"]);
}

#[test]
fn a_deeper_layer_by_standard_operators_runs_wholly_on_openvino() {
    let (layers, attention) = (Layers::These(vec![2]), AttentionOperators::Standard);
    let (_directory, package) = package(&ExportOptions { layers, attention, ..ExportOptions::default() });
    let placement = check(&package);
    assert!(nodes(&placement, OPENVINO) > 100, "{placement:?}");
    assert_eq!(nodes(&placement, CPU), 0, "{placement:?}");
}

#[test]
fn options_reach_the_provider() {
    let refused = |options: &str| {
        let config = config(&[("execution_provider", "openvino"), ("provider_options", options)]);
        let error = Scorer::open(&common::scorer_package(), &config).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Runtime);
        error.to_string()
    };
    let unknown = refused("color=red");
    assert!(unknown.contains("Invalid provider_option key: color"), "{unknown}");
    assert!(refused("precision=FP99").contains("Unsupported inference precision"));
    let missing = refused("device_type=GPU.7");
    assert!(missing.contains("Device GPU.7 is not available"), "{missing}");
    assert!(missing.contains(OPENVINO), "{missing}");
}

#[test]
fn a_survey_says_that_it_starts() {
    let survey = survey(&config(&[])).unwrap();
    assert_eq!(survey.onnxruntime, common::onnxruntime_with_openvino().canonicalize().unwrap());
    assert!(survey.built_with.iter().any(|name| name == OPENVINO));
    let starting = survey.providers.iter().filter(|tried| tried.problem.is_none());
    assert_eq!(starting.map(|tried| tried.name.as_str()).collect::<Vec<_>>(), ["cpu", "openvino"]);
}
