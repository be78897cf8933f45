//! GGUF files of every architecture, scored like `transformers` attends in the checkpoints that they were made from.
//!
//! `tests/python/make_gguf.py` makes them with llama.cpp's own package.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longattn::config::Config;
use longattn::export::{ExportOptions, Layers, export};
use longattn::model::{Contract, Metadata, Scorer};
use longattn::{Error, ErrorKind};
use serde::Deserialize;
use tempfile::TempDir;

/// The scored layer of checkpoints with several, their last.
const LAST: usize = 2;

const FIRST_LAYERS: [&str; 10] =
    ["mistral", "phi3-longrope", "gemma2", "gemma3", "linear", "yarn", "longrope", "llama3", "smollm3", "qwen3_moe"];

/// Checkpoints with several layers.
const LAST_LAYERS: [&str; 15] = [
    "llama-deep",
    "mistral-deep",
    "qwen2-deep",
    "qwen3-deep",
    "phi3-deep",
    "gemma2-deep",
    "gemma3-deep",
    "olmo2-deep",
    "gpt_neox-deep",
    "gpt2-deep",
    "olmo3-deep",
    "granite-deep",
    "exaone4-deep",
    "cohere2-deep",
    "glm4-deep",
];

/// The number of the format IQ2_XXS, which is not read.
const UNREAD_FORMAT: u32 = 16;

#[derive(Deserialize)]
struct Window {
    token_ids: Vec<u32>,
    proportion: Vec<f64>,
    variance: Vec<f64>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn expected(name: &str) -> BTreeMap<String, Vec<Window>> {
    serde_json::from_slice(&fs::read(data().join("checkpoints").join(name)).unwrap()).unwrap()
}

fn options(layer: usize) -> ExportOptions {
    let tokenizer = Some(data().join("checkpoints/tokenizer.json"));
    ExportOptions { layers: Layers::These(vec![layer]), tokenizer, ..ExportOptions::default() }
}

/// A GGUF file of the test data, or the first part of one.
fn gguf(name: &str) -> PathBuf {
    let directory = data().join("gguf");
    let whole = directory.join(format!("{name}.gguf"));
    if whole.exists() { whole } else { directory.join(format!("{name}-00001-of-00003.gguf")) }
}

fn package(source: &Path, options: &ExportOptions) -> Result<(TempDir, Metadata), Error> {
    let directory = tempfile::tempdir().unwrap();
    let metadata = export(source, &directory.path().join("package"), options)?;
    Ok((directory, metadata))
}

/// Scores the windows of a checkpoint by the GGUF file that was made of it.
fn check(name: &str, windows: &[Window], options: &ExportOptions) {
    let (directory, _) = package(&gguf(name), options).unwrap();
    let config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    let scorer = Scorer::open(&directory.path().join("package"), &config).unwrap();
    for Window { token_ids, proportion, variance } in windows {
        let score = scorer.score_tokens(token_ids).unwrap();
        assert_eq!(score.heads.len(), proportion.len());
        for (head, found) in score.heads.iter().enumerate() {
            for (found, expected) in [(found.proportion, proportion[head]), (found.variance, variance[head])] {
                let error = (found - expected).abs() / expected;
                assert!(error <= 1e-5, "{name}, {} tokens, head {head}: {error:.1e} apart", token_ids.len());
            }
        }
    }
}

#[test]
fn first_layers_score_as_transformers_attends() {
    let expected = expected("expected.json");
    for name in FIRST_LAYERS {
        for fold in [true, false] {
            check(name, &expected[name], &ExportOptions { fold, ..options(0) });
        }
    }
}

#[test]
fn last_layers_score_as_transformers_attends() {
    let expected = expected("expected_deeper.json");
    for name in LAST_LAYERS {
        let windows = &expected[name];
        // GGUF files cannot tell of the scaling by length that longer windows of this one have.
        let windows = if name == "qwen3-deep" { &windows[..1] } else { &windows[..] };
        for contract in [Contract::QueryKey, Contract::Statistics] {
            check(name, windows, &ExportOptions { contract, ..options(LAST) });
        }
    }
}

#[test]
fn sliding_windows_are_read() {
    let (_, metadata) = package(&gguf("mistral"), &options(0)).unwrap();
    assert_eq!((metadata.architecture.as_str(), metadata.sliding_window), ("llama", Some(40)));
    let (_, metadata) = package(&gguf("gemma2-deep"), &options(1)).unwrap();
    assert_eq!((metadata.sliding_window, metadata.full_attention_layer), (Some(6), Some(0)));
}

#[test]
fn any_part_and_the_directory_stand_for_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let part = |number| format!("llama-deep-{number:05}-of-00003.gguf");
    for number in 1..=3 {
        fs::copy(data().join("gguf").join(part(number)), directory.path().join(part(number))).unwrap();
    }
    let weights = |source: &Path| {
        let (package, _) = package(source, &options(LAST)).unwrap();
        fs::read(package.path().join("package/model.onnx.data")).unwrap()
    };
    let whole = weights(&gguf("llama-deep"));
    for number in 1..=3 {
        assert!(weights(&directory.path().join(part(number))) == whole, "{number}");
    }
    assert!(weights(directory.path()) == whole);

    let refused = |source: &Path, kind: ErrorKind, says: &str| {
        let error = package(source, &options(0)).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
    };
    fs::copy(gguf("mistral"), directory.path().join("other.gguf")).unwrap();
    refused(directory.path(), ErrorKind::InvalidArgument, "several GGUF files, llama-deep, other.gguf");
    fs::rename(directory.path().join(part(2)), directory.path().join("elsewhere.gguf")).unwrap();
    refused(&directory.path().join(part(3)), ErrorKind::InvalidModel, "part 2 of 3 is missing");
    refused(&directory.path().join("elsewhere.gguf"), ErrorKind::InvalidArgument, "one of 3 parts, and its name");
    fs::copy(data().join("gguf").join(part(1)), directory.path().join(part(2))).unwrap();
    refused(&directory.path().join(part(3)), ErrorKind::InvalidModel, "but it is not");
}

#[test]
fn formats_matter_where_a_tensor_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("odd.gguf");
    let mut bytes = fs::read(gguf("mistral-deep")).unwrap();
    let tensor = b"blk.1.ffn_down.weight";
    let name = bytes.windows(tensor.len()).position(|window| window == tensor).unwrap();
    let format = name + tensor.len() + size_of::<u32>() + 2 * size_of::<u64>();
    bytes[format..format + 4].copy_from_slice(&UNREAD_FORMAT.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    // Its rows are no whole blocks either, which is told first.
    let error = package(&file, &options(0)).unwrap_err();
    assert!(error.to_string().contains("blk.1.ffn_down.weight does not fit"), "{error}");
    bytes[format..format + 4].copy_from_slice(&1000u32.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    package(&file, &options(0)).unwrap();
    let error = package(&file, &options(LAST)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("blk.1.ffn_down.weight is stored in the format number 1000"), "{error}");
}

#[test]
fn what_is_no_model_is_named_for_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8], says: &str| {
        let file = directory.path().join(name);
        fs::write(&file, bytes).unwrap();
        let error = package(&file, &options(0)).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(name), "{error}");
    };
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "a".repeat(64));
    refused("pointer.gguf", pointer.as_bytes(), "a pointer of Git LFS");
    refused("page.gguf", b"<!doctype html><html>Not found</html>", "a web page");
    refused("model.gguf.part2of3", &[7; 100], "join them with `cat`");
    refused("model.safetensors", &[7; 100], "name the directory");
    let with_version = |version: u32| [b"GGUF", &version.to_le_bytes()[..], &[0; 16]].concat();
    refused("big.gguf", &with_version(3u32.to_be()), "big-endian");
    refused("old.gguf", &with_version(1), "of version 1 of the format");
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let of_type = |kind: &str| {
        let header = [b"GGUF", &3u32.to_le_bytes()[..], &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
        [header, text("general.type"), 8u32.to_le_bytes().to_vec(), text(kind)].concat()
    };
    refused("adapter.gguf", &of_type("adapter"), "an adapter");
    refused("vision.gguf", &of_type("mmproj"), "images or sounds");
}
