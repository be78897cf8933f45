//! The contract `statistics` against the contract `query-key`, whose kernel sums the same attention outside the model.

mod common;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longattn::cancel::Cancel;
use longattn::config::Config;
use longattn::export::{AttentionOperators, ExportOptions, Layers, WeightType, export};
use longattn::model::{Contract, Scorer};
use longattn::score::Score;
use longattn::{ErrorKind, Result};
use tempfile::TempDir;

/// What the contracts may differ by, relative to the size of the numbers.
const TOLERANCE: f64 = 1e-4;

/// Distances from none to more than any window here has, and sinks likewise.
const SETTINGS: [&[(&str, &str)]; 6] = [
    &[],
    &[("min_distance", "0")],
    &[("min_distance", "1"), ("sink_tokens", "4")],
    &[("min_distance", "5"), ("variance_domain", "triangle")],
    &[("sink_tokens", "99")],
    &[("min_distance", "99"), ("sink_tokens", "1")],
];

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints")
}

/// A checkpoint as a scorer package.
struct Package(TempDir);

impl Package {
    fn of(source: &Path, options: &ExportOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tokenizer = source.is_dir().then(|| checkpoints().join("tokenizer.json"));
        export(source, &directory.path().join("package"), &ExportOptions { tokenizer, ..options.clone() }).unwrap();
        Self(directory)
    }

    fn open(&self, settings: &[(&str, &str)]) -> Result<Scorer> {
        let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
        settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        Scorer::open(&self.0.path().join("package"), &config)
    }
}

/// Summed by the operator.
fn fused() -> ExportOptions {
    ExportOptions { contract: Contract::Statistics, ..ExportOptions::default() }
}

/// Summed over blocks of rows.
fn looped(block_rows: usize) -> ExportOptions {
    ExportOptions {
        contract: Contract::Statistics,
        attention: AttentionOperators::Standard,
        block_rows: Some(NonZeroUsize::new(block_rows).unwrap()),
        ..ExportOptions::default()
    }
}

fn assert_close(found: &Score, expected: &Score, context: &str) {
    assert_eq!((found.heads.len(), found.far), (expected.heads.len(), expected.far), "{context}");
    for (head, (found, expected)) in found.heads.iter().zip(&expected.heads).enumerate() {
        for (found, expected) in [(found.proportion, expected.proportion), (found.variance, expected.variance)] {
            let apart = (found - expected).abs();
            assert!(apart <= TOLERANCE * expected, "{context}, head {head}: {found} is not {expected}");
        }
    }
}

/// Compares the contracts on windows of a checkpoint for every setting.
fn check(name: &str, options: &ExportOptions, block_rows: &[usize]) {
    let source = checkpoints().join(name);
    let streamed = Package::of(&source, options);
    let summed: Vec<_> = block_rows
        .iter()
        .map(|rows| {
            let ExportOptions { contract, attention, block_rows, .. } = looped(*rows);
            (*rows, Package::of(&source, &ExportOptions { contract, attention, block_rows, ..options.clone() }))
        })
        .collect();
    let fused = Package::of(&source, &ExportOptions { contract: Contract::Statistics, ..options.clone() });
    for settings in SETTINGS {
        let streamed = streamed.open(settings).unwrap();
        let fused = fused.open(settings).unwrap();
        let summed: Vec<_> = summed.iter().map(|(rows, package)| (rows, package.open(settings).unwrap())).collect();
        let sliding_window = streamed.description().metadata.as_ref().unwrap().sliding_window;
        for length in [2, 3, 40].into_iter().filter(|length| sliding_window.is_none_or(|window| *length <= window)) {
            let ids: Vec<u32> = (0..length as u32).map(|id| id * 7 % 40).collect();
            let expected = streamed.score_tokens(&ids).unwrap();
            // The operator and the contract `query-key` run the same kernel.
            assert_eq!(fused.score_tokens(&ids).unwrap(), expected, "{name}, {length} tokens, {settings:?}");
            for (rows, scorer) in &summed {
                let context = format!("{name}, {length} tokens in blocks of {rows} rows, {settings:?}");
                assert_close(&scorer.score_tokens(&ids).unwrap(), &expected, &context);
            }
        }
    }
}

#[test]
fn every_first_layer_sums_as_the_kernel_does() {
    let names = fs::read_dir(checkpoints()).unwrap().map(|entry| entry.unwrap());
    let names: Vec<_> = names.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect();
    assert!(names.len() > 20);
    for name in names {
        let name = name.to_str().unwrap();
        check(name, &ExportOptions::default(), &[1, 7, 64]);
        check(name, &ExportOptions { fold: false, ..ExportOptions::default() }, &[7]);
    }
}

#[test]
fn deeper_layers_sum_as_the_kernel_does() {
    for name in ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "olmo2", "gpt_neox", "gpt2"] {
        for layers in [vec![1], vec![2], vec![0, 1, 2]] {
            check(
                &format!("{name}-deep"),
                &ExportOptions { layers: Layers::These(layers), ..ExportOptions::default() },
                &[3, 64],
            );
        }
    }
}

#[test]
fn halves_as_weights_are_summed_in_float32() {
    for weights in [WeightType::F16, WeightType::Bf16] {
        check("gemma2", &ExportOptions { weights, ..ExportOptions::default() }, &[7]);
        check("qwen3-deep", &ExportOptions { weights, layers: Layers::All, ..ExportOptions::default() }, &[7]);
    }
}

#[test]
fn sums_over_many_rows_stay_exact() {
    let ids: Vec<u32> = (0..8192).map(|index: u32| index.wrapping_mul(7919) % 49152).collect();
    let score =
        |options| Package::of(&common::default_model(), &options).open(&[]).unwrap().score_tokens(&ids).unwrap();
    let config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    let streamed = Scorer::open(&common::scorer_package(), &config).unwrap().score_tokens(&ids).unwrap();
    assert_close(&score(looped(64)), &streamed, "8192 tokens in blocks");
    assert_eq!(score(fused()), streamed);
}

#[test]
fn a_package_tells_its_rows_and_verifies_its_deepest_layer() {
    let options = ExportOptions { layers: Layers::These(vec![0, 2]), ..looped(5) };
    let package = Package::of(&checkpoints().join("llama-deep"), &options);
    let scorer = package.open(&[]).unwrap();
    let metadata = scorer.description().metadata.as_ref().unwrap();
    assert_eq!((metadata.contract, metadata.block_rows), (Contract::Statistics, Some(5)));
    assert_eq!(scorer.description().heads, Some(metadata.scored_heads()));
    let text: Vec<_> = (0..40).map(|id| format!("w{id}")).collect();
    let verification = scorer.verify(&text.join(" "), &Cancel::default()).unwrap();
    assert!(verification.agrees(), "{verification:?}");
    assert_eq!(verification.comparisons[0].computed_by, "the model, layer 2");
}

#[test]
fn several_numbers_of_sinks_are_summed_in_one_pass() {
    let package = Package::of(&checkpoints().join("llama-deep"), &ExportOptions { layers: Layers::All, ..fused() });
    let ids: Vec<u32> = (0..40).collect();
    let scores = package.open(&[]).unwrap().score_sinks(&ids, &[0, 4, 9], &Cancel::default()).unwrap().scores;
    for (score, sinks) in scores.iter().zip(["0", "4", "9"]) {
        assert_eq!(*score, package.open(&[("sink_tokens", sinks)]).unwrap().score_tokens(&ids).unwrap());
    }
    assert!(scores[0].dependency_strength > scores[2].dependency_strength);
}

#[test]
fn the_operator_has_the_settings_of_the_scorer() {
    let package = Package::of(&common::default_model(), &fused());
    let ids: Vec<u32> = (0..2000).map(|index: u32| index.wrapping_mul(7919) % 49152).collect();
    let score = |settings: &[(&str, &str)]| package.open(settings).unwrap().score_tokens(&ids).unwrap();
    let usual = score(&[]);
    assert_eq!(score(&[("threads", "1")]), usual);
    let int16 = score(&[("precision", "int16")]);
    assert_ne!(int16, usual);
    assert!((int16.dependency_strength / usual.dependency_strength - 1.0).abs() < 1e-4);
}

#[test]
fn a_bare_graph_is_known_by_its_inputs_and_outputs() {
    let package = Package::of(&checkpoints().join("llama"), &fused());
    let ids: Vec<u32> = (0..40).collect();
    let expected = package.open(&[]).unwrap().score_tokens(&ids).unwrap();
    let file = package.0.path().join("package/model.onnx");
    let mut model = fs::read(&file).unwrap();
    let key = b"longattn.contract";
    let place = model.windows(key.len()).position(|bytes| bytes == key).unwrap();
    model[place] = b'L';
    fs::write(&file, model).unwrap();

    let scorer = package.open(&[]).unwrap();
    let description = scorer.description();
    assert_eq!((description.contract, &description.metadata), (Some(Contract::Statistics), &None));
    assert_eq!(scorer.score_tokens(&ids).unwrap(), expected);
    let error = scorer.verify("w1 w2 w3", &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_sums_cannot_tell_is_refused() {
    let package = Package::of(&checkpoints().join("llama"), &fused());
    let error = package.open(&[("profile", "true")]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(error.to_string().contains("--contract query-key"), "{error}");

    let ids: Vec<u32> = (0..40).collect();
    let exact = package.open(&[]).unwrap().score_tokens(&ids).unwrap();
    assert_eq!(package.open(&[("rows", "320")]).unwrap().score_tokens(&ids).unwrap(), exact);

    let options = ExportOptions { attention: AttentionOperators::Fused, ..looped(64) };
    let target = package.0.path().join("other");
    let error = export(&checkpoints().join("llama"), &target, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("block_rows"), "{error}");
}

#[test]
fn queries_and_keys_of_all_layers_that_would_not_fit_are_refused() {
    let options = ExportOptions { layers: Layers::All, ..ExportOptions::default() };
    let source = checkpoints().join("llama-deep");
    let ids: Vec<u32> = (0..40).collect();
    let settings = [("memory_limit", "10KB")];
    let error = Package::of(&source, &options).open(&settings).unwrap().score_tokens(&ids).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
    assert!(error.to_string().contains("--contract statistics"), "{error}");
    let options = ExportOptions { layers: Layers::All, ..fused() };
    assert!(Package::of(&source, &options).open(&settings).unwrap().score_tokens(&ids).is_ok());
}
