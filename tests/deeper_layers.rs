//! Layers after the first, scored like `transformers` attends.
//!
//! `tests/python/make_checkpoints.py` and `tests/python/make_deeper_layers.py` make what is expected.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longattn::cancel::Cancel;
use longattn::choice::Choice;
use longattn::config::Config;
use longattn::export::{AttentionOperators, ExportOptions, Layers, WeightType, export};
use longattn::model::{Contract, Scorer};
use longattn::score::Score;
use longattn::{Error, ErrorKind};
use serde::Deserialize;
use tempfile::TempDir;

/// The scored layer of the tiny checkpoints, their last.
const LAST: usize = 2;

#[derive(Deserialize)]
struct Heads {
    proportion: Vec<f64>,
    variance: Vec<f64>,
}

#[derive(Deserialize)]
struct Window {
    token_ids: Vec<u32>,
    #[serde(flatten)]
    heads: Heads,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    serde_json::from_slice(&fs::read(data().join(name)).unwrap()).unwrap()
}

fn tiny(layer: usize) -> ExportOptions {
    let tokenizer = Some(data().join("checkpoints/tokenizer.json"));
    ExportOptions { layers: Layers::These(vec![layer]), tokenizer, ..ExportOptions::default() }
}

/// A scorer package, gone with this.
struct Package(TempDir);

impl Package {
    fn of(source: &Path, options: &ExportOptions) -> Self {
        Self::try_of(source, options).unwrap()
    }

    fn try_of(source: &Path, options: &ExportOptions) -> Result<Self, Error> {
        let directory = tempfile::tempdir().unwrap();
        export(source, &directory.path().join("package"), options)?;
        Ok(Self(directory))
    }

    fn open(&self, settings: &[(&str, &str)]) -> Scorer {
        self.try_open(settings).unwrap()
    }

    fn try_open(&self, settings: &[(&str, &str)]) -> Result<Scorer, Error> {
        let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
        settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        Scorer::open(&self.0.path().join("package"), &config)
    }
}

fn checkpoint(name: &str) -> PathBuf {
    data().join("checkpoints").join(name)
}

fn assert_close(score: &Score, expected: &Heads, tolerance: f64, context: &str) {
    assert_eq!(score.heads.len(), expected.proportion.len(), "{context}");
    let relative = |found: f64, expected: f64| (found - expected).abs() / expected;
    let differences = score.heads.iter().enumerate().flat_map(|(head, found)| {
        [relative(found.proportion, expected.proportion[head]), relative(found.variance, expected.variance[head])]
    });
    let largest = differences.fold(0.0, f64::max);
    println!("{context}: {largest:.1e} apart");
    assert!(largest <= tolerance, "{context}: {largest:.1e} apart");
}

#[test]
fn deeper_layers_of_every_architecture_score_as_transformers_attends() {
    let expected: BTreeMap<String, Vec<Window>> = read("checkpoints/expected_deeper.json");
    assert_eq!(expected.len(), 17);
    for (name, windows) in expected {
        for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
            let package = Package::of(&checkpoint(&name), &ExportOptions { contract, ..tiny(LAST) });
            let scorer = package.open(&[]);
            assert_eq!(scorer.description().metadata.as_ref().unwrap().layers, [LAST]);
            for window in &windows {
                let score = scorer.score_tokens(&window.token_ids).unwrap();
                assert_eq!(score.far.sink_tokens, 4);
                let context = format!("{name}, {contract:?}, {} tokens", window.token_ids.len());
                assert_close(&score, &window.heads, 1e-5, &context);
            }
        }
    }
}

/// Windows of 12 and 40 tokens, by blocks that are longer, end with the window, leave a part of one, or are single rows.
#[test]
fn standard_operators_attend_as_transformers_does() {
    let expected: BTreeMap<String, Vec<Window>> = read("checkpoints/expected_deeper.json");
    for (name, windows) in expected {
        for contract in [Contract::QueryKey, Contract::Statistics] {
            for rows in [64, 8, 7, 1] {
                let options = ExportOptions { contract, ..standard(rows, tiny(LAST)) };
                let package = Package::of(&checkpoint(&name), &options);
                let scorer = package.open(&[]);
                let metadata = scorer.description().metadata.as_ref().unwrap();
                assert_eq!((metadata.block_rows, &metadata.least_onnxruntime), (Some(rows), &None));
                for window in &windows {
                    let score = scorer.score_tokens(&window.token_ids).unwrap();
                    let context = format!("{name}, {contract:?}, {} tokens by {rows} rows", window.token_ids.len());
                    assert_close(&score, &window.heads, 1e-5, &context);
                }
            }
        }
    }
}

#[test]
fn short_windows_attend_alike() {
    for name in ["gemma2-deep", "gpt2-deep"] {
        let fused = Package::of(&checkpoint(name), &tiny(LAST)).open(&[("sink_tokens", "0")]);
        let standard = Package::of(&checkpoint(name), &standard(7, tiny(LAST))).open(&[("sink_tokens", "0")]);
        for length in [1, 2, 3] {
            let ids: Vec<u32> = (5..5 + length).collect();
            let (fused, standard) = (fused.score_tokens(&ids), standard.score_tokens(&ids));
            let Ok(fused) = fused else {
                assert_eq!(fused.unwrap_err().to_string(), standard.unwrap_err().to_string());
                continue;
            };
            assert!(common::apart(&standard.unwrap(), &fused) <= 1e-5, "{name}, {length} tokens");
        }
    }
}

#[test]
fn standard_operators_take_heads_of_any_size() {
    let directory = tempfile::tempdir().unwrap();
    let source = checkpoint("llama-deep");
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    fs::copy(source.join("model.safetensors"), directory.path().join("model.safetensors")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["head_dim"] = 4.into();
    config["num_attention_heads"] = 8.into();
    config["num_key_value_heads"] = 4.into();
    fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let error = Package::try_of(directory.path(), &tiny(LAST)).err().unwrap();
    assert!(error.to_string().contains("--attention standard"), "{error}");
    let package = Package::of(directory.path(), &standard(7, tiny(LAST)));
    let score = package.open(&[]).score_tokens(&(0..40).collect::<Vec<_>>()).unwrap();
    assert!(score.dependency_strength > 0.0);
}

fn standard(rows: usize, options: ExportOptions) -> ExportOptions {
    ExportOptions { attention: AttentionOperators::Standard, block_rows: NonZeroUsize::new(rows), ..options }
}

#[test]
fn layers_scored_together_score_as_alone() {
    let source = checkpoint("qwen3-deep");
    let ids: Vec<u32> = (0..48).map(|id| id * 7 % 40).collect();
    for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
        let score = |layers: Vec<usize>| {
            let package = Package::of(&source, &ExportOptions { contract, layers: Layers::These(layers), ..tiny(0) });
            let scorer = package.open(&[("sink_tokens", "2")]);
            (scorer.description().heads, scorer.score_tokens(&ids).unwrap())
        };
        let (heads, together) = score(vec![2, 0, 1]);
        assert_eq!(heads, Some(together.heads.len()));
        let alone: Vec<_> = (0..=LAST).map(|layer| score(vec![layer]).1).collect();
        let expected = Heads {
            proportion: alone.iter().flat_map(|score| &score.heads).map(|head| head.proportion).collect(),
            variance: alone.iter().flat_map(|score| &score.heads).map(|head| head.variance).collect(),
        };
        assert_close(&together, &expected, 1e-5, contract.name());
        let mean = alone.iter().map(|score| score.dependency_strength).sum::<f64>() / 3.0;
        assert!((together.dependency_strength - mean).abs() <= 1e-6 * mean);
    }
}

#[test]
fn halves_as_weights_lose_nothing_of_bfloat16() {
    let expected: BTreeMap<String, Vec<Window>> = read("checkpoints/expected_deeper.json");
    let window = expected["mistral-deep"].last().unwrap();
    // The checkpoint's own numbers, in bfloat16, are exact in both.
    for weights in [WeightType::F16, WeightType::Bf16] {
        let package = Package::of(&checkpoint("mistral-deep"), &ExportOptions { weights, ..tiny(LAST) });
        let score = package.open(&[]).score_tokens(&window.token_ids).unwrap();
        assert_close(&score, &window.heads, 1e-5, &format!("{weights:?}"));
    }
}

#[test]
fn the_default_model_scores_as_transformers_attends() {
    #[derive(Deserialize)]
    struct Expected {
        case: String,
        layers: BTreeMap<usize, Heads>,
    }
    let expected: Expected = read("deeper_layers.json");
    let ids = &common::golden_windows()[&expected.case];
    assert_eq!(expected.layers.keys().copied().collect::<Vec<_>>(), [1, 17, 29]);
    for (layer, heads) in expected.layers {
        let options = ExportOptions { layers: Layers::These(vec![layer]), ..ExportOptions::default() };
        let package = Package::of(&common::default_model(), &options);
        let score = package.open(&[]).score_tokens(ids).unwrap();
        assert_close(&score, &heads, 1e-3, &format!("layer {layer}"));
        if layer == 17 {
            let standard = Package::of(&common::default_model(), &standard(64, options)).open(&[]);
            let apart = common::apart(&standard.score_tokens(ids).unwrap(), &score);
            println!("layer {layer}, by standard operators: {apart:.1e} apart");
            assert!(apart <= 1e-5, "{apart:.1e} apart");
            let estimate = package.open(&[("rows", "512")]).score_tokens(ids).unwrap();
            assert!((830..1030).contains(&estimate.rows), "{} rows", estimate.rows);
            let apart = (estimate.dependency_strength - score.dependency_strength).abs();
            assert!(apart > 0.0 && apart <= 3.0 * estimate.dependency_strength_error, "{apart} apart");
        }
    }
}

#[test]
fn sinks_can_be_chosen_and_profiles_leave_them_out() {
    let package = Package::of(&checkpoint("llama-deep"), &tiny(LAST));
    let ids: Vec<u32> = (0..40).collect();
    let score = |settings: &[(&str, &str)]| package.open(settings).score_tokens(&ids).unwrap();
    let (usual, all) = (score(&[]), score(&[("sink_tokens", "0")]));
    assert!(all.dependency_strength > usual.dependency_strength);
    assert_eq!(score(&[("sink_tokens", "4")]), usual);
    let profiled = score(&[("profile", "true")]);
    assert_eq!(profiled.dependency_strength, usual.dependency_strength);
}

#[test]
fn verification_works_on_deeper_layers() {
    for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
        let package = Package::of(&checkpoint("qwen3-deep"), &ExportOptions { contract, ..tiny(1) });
        let text: Vec<_> = (0..40).map(|id| format!("w{id}")).collect();
        let verification = package.open(&[]).verify(&text.join(" "), &Cancel::default()).unwrap();
        assert!(verification.agrees(), "{verification:?}");
    }
}

#[test]
fn layers_that_cannot_be_exported_are_refused() {
    let refused = |source: &Path, layer: usize| Package::try_of(source, &tiny(layer)).err().unwrap();
    for (source, last) in [(checkpoint("llama-deep"), LAST), (common::default_model(), 29)] {
        let error = refused(&source, last + 1);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(&format!("there is no layer {}", last + 1)), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let source = checkpoint("llama-deep");
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    fs::copy(source.join("model.safetensors"), directory.path().join("model.safetensors")).unwrap();
    let of_config = |config: String| {
        fs::write(directory.path().join("config.json"), config).unwrap();
        refused(directory.path(), 1)
    };
    let cases = [
        ("{", "{\"hidden_act\": \"relu\",", "hidden_act is \"relu\""),
        ("{", "{\"scale_attn_by_inverse_layer_idx\": true,", "only layer 0"),
        ("\"head_dim\": 8", "\"head_dim\": 4", "heads of 4 numbers"),
    ];
    for (part, other, says) in cases {
        let error = of_config(config.replacen(part, other, 1));
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn one_of_several_layers_scores_as_alone() {
    let source = checkpoint("qwen3-deep");
    let ids: Vec<u32> = (0..48).map(|id| id * 7 % 40).collect();
    for contract in [Contract::QueryKey, Contract::Attentions, Contract::Statistics] {
        let package = |layers: Vec<usize>| {
            Package::of(&source, &ExportOptions { contract, layers: Layers::These(layers), ..tiny(0) })
        };
        let together = package(vec![0, 2]);
        for layer in [0, 2] {
            let scorer = together.open(&[("layer", &layer.to_string())]);
            let expected = package(vec![layer]).open(&[]).score_tokens(&ids).unwrap();
            let score = scorer.score_tokens(&ids).unwrap();
            assert_eq!((score.far, scorer.description().heads), (expected.far, Some(expected.heads.len())));
            assert_eq!(scorer.description().metadata.as_ref().unwrap().layers, [layer]);
            let apart = common::apart(&score, &expected);
            assert!(apart <= 1e-5, "{}, layer {layer}: {apart:.1e} apart", contract.name());
            let sinks = scorer.score_sinks(&ids, &[score.far.sink_tokens], &Cancel::default()).unwrap().scores;
            assert_eq!(sinks[0].dependency_strength, score.dependency_strength);
        }
        for layer in ["1", "17", "banana", "-1"] {
            let error = together.try_open(&[("layer", layer)]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{}, {layer}", contract.name());
            assert!(error.to_string().contains("the package holds 0, 2"), "{error}");
        }
    }
}

#[test]
fn windows_beyond_the_trained_positions_say_so_in_their_scores() {
    let package = Package::of(&checkpoint("llama-deep"), &tiny(LAST));
    let scorer = package.open(&[]);
    let ids: Vec<u32> = (0..100).map(|id| id * 7 % 40).collect();
    for (length, untrained) in [(64, 0), (65, 1), (100, 36)] {
        assert_eq!(scorer.score_tokens(&ids[..length]).unwrap().untrained_tokens, untrained);
        let sinks = scorer.score_sinks(&ids[..length], &[0, 4], &Cancel::default()).unwrap();
        assert!(sinks.scores.iter().all(|score| score.untrained_tokens == untrained));
    }
}
