//! Execution providers: those that are not there, and one in a plug-in library.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longattn::model::Scorer;
use longattn::{Config, Error, ErrorKind};
use serde_json::{Value, json};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn tiny() -> PathBuf {
    data().join("tiny/query-key")
}

fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

fn refused(package: &Path, settings: &[(&str, &str)]) -> Error {
    let opened = Scorer::open(package, &config(settings));
    opened.err().unwrap_or_else(|| panic!("{} opens with {settings:?}", package.display()))
}

fn says(error: &Error, words: &[&str]) {
    words.iter().for_each(|words| assert!(error.to_string().contains(words), "{words:?} is not in: {error}"));
}

#[test]
fn a_provider_that_is_not_there_is_an_error_that_says_how_to_get_it() {
    let library = common::onnxruntime().canonicalize().unwrap().display().to_string();
    for (provider, name, remedy) in [
        ("cuda", "CUDAExecutionProvider", "pip install onnxruntime-gpu"),
        ("tensorrt", "TensorrtExecutionProvider", "tensorrt"),
        ("rocm", "ROCMExecutionProvider", "migraphx"),
        ("migraphx", "MIGraphXExecutionProvider", "pip install onnxruntime-migraphx"),
        ("openvino", "OpenVINOExecutionProvider", "pip install onnxruntime-openvino"),
        ("coreml", "CoreMLExecutionProvider", "macOS"),
        ("directml", "DmlExecutionProvider", "pip install onnxruntime-directml"),
    ] {
        let error = refused(&tiny(), &[("execution_provider", provider)]);
        assert_eq!(error.kind(), ErrorKind::Runtime);
        let place = format!("from {library}, built with");
        says(&error, &[provider, name, remedy, &place, "CPUExecutionProvider", "docs/providers.md"]);
    }
}

#[test]
fn a_device_or_options_that_a_provider_has_no_use_for_are_refused() {
    for (settings, words) in [
        ([("execution_provider", "cpu"), ("device_id", "1")], "set execution_provider too"),
        ([("execution_provider", "cpu"), ("provider_options", "a=b")], "set execution_provider too"),
        ([("execution_provider", "openvino"), ("device_id", "1")], "device_type"),
        ([("execution_provider", "coreml"), ("device_id", "0")], "MLComputeUnits"),
    ] {
        let error = refused(&tiny(), &settings);
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        says(&error, &[words]);
    }
}

#[test]
fn a_file_that_is_no_plug_in_library_is_refused() {
    let text = data().join("tokens.json").display().to_string();
    let other = common::onnxruntime().display().to_string();
    for (path, words) in
        [("no/such/plugin.so", "No such file"), (&text, "invalid ELF header"), (&other, "CreateEpFactories")]
    {
        let error = refused(&tiny(), &[("execution_provider", path)]);
        assert_eq!(error.kind(), ErrorKind::Runtime);
        says(&error, &[path, words, "this is ONNX Runtime 1."]);
    }
}

fn longattn(directory: &Path, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
    let output = command.args(arguments).current_dir(directory).env("ORT_DYLIB_PATH", common::onnxruntime());
    let output = output.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_survey_of_providers_needs_no_model() {
    let (succeeded, table, _) = longattn(&data(), &["inspect", "--providers"]);
    assert!(succeeded);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("ONNX Runtime").contains("libonnxruntime.so"), "{table}");
    assert!(line("cpu").ends_with("  starts"), "{table}");
    assert!(line("cuda").contains("does not start: this build has no CUDAExecutionProvider"), "{table}");

    let (_, json, _) = longattn(&data(), &["inspect", "--providers", "--json"]);
    let survey: Value = serde_json::from_str(&json).unwrap();
    assert!(survey["version"].as_str().unwrap().starts_with("1."), "{survey}");
    assert_eq!(survey["providers"].as_array().unwrap().len(), 8);
    assert_eq!(survey["providers"][0], json!({"name": "cpu", "devices": [], "starts": true, "problem": null}));

    let (succeeded, _, told) = longattn(&data(), &["inspect", "--providers", "tiny/query-key"]);
    assert!(!succeeded && told.contains("cannot be used with"), "{told}");
    let (succeeded, _, told) = longattn(&data(), &["inspect", "--quiet"]);
    assert!(!succeeded && told.contains("<DIR>"), "{told}");
}

/// A provider other than the CPU's, where one is tested on this machine.
fn other_provider() -> String {
    if cfg!(target_arch = "x86_64") { common::plugin().display().to_string() } else { "cpu".to_owned() }
}

/// What a model of 50 token ids makes of others: ONNX Runtime fails in the middle of the work.
const UNKNOWN_ID: u32 = 1000;

#[test]
fn what_was_scored_before_a_provider_failed_is_kept_and_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let window = |id: usize, first: u32| {
        let token_ids = [[first].as_slice(), &[7; 39]].concat();
        json!({"id": format!("w{id}"), "token_ids": token_ids})
    };
    let write = |firsts: [u32; 4]| {
        let lines: Vec<_> = firsts.iter().enumerate().map(|(id, first)| window(id, *first).to_string()).collect();
        fs::write(directory.path().join("windows.jsonl"), lines.join("\n")).unwrap();
    };
    let model = data().join("foreign/encoder.onnx").display().to_string();
    let provider = other_provider();
    let score = |provider: &str, more: &[&str]| {
        let arguments =
            ["score", "windows.jsonl", "-o", "scores.jsonl", "--model", &model, "--execution-provider", provider];
        longattn(directory.path(), &[&arguments, more].concat())
    };
    write([1, 2, UNKNOWN_ID, 3]);
    let (succeeded, _, told) = score(&provider, &[]);
    assert!(!succeeded);
    assert!(told.contains(" failed: ") && told.contains("ather"), "{told}");
    assert!(told.contains("finished windows are kept in scores.jsonl.job; go on with --resume"), "{told}");
    assert!(!directory.path().join("scores.jsonl").exists());

    write([1, 2, 4, 3]);
    let (succeeded, _, told) = score("cpu", &["--resume"]);
    assert!(!succeeded && told.contains("execution_provider was "), "{told}");
    let (succeeded, _, told) = score(&provider, &["--resume"]);
    assert!(succeeded && told.contains("4 windows = 2 scored + 2 earlier"), "{told}");
    assert_eq!(fs::read_to_string(directory.path().join("scores.jsonl")).unwrap().lines().count(), 4);
}

#[test]
fn a_run_keeps_what_was_scored_before_a_provider_failed() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("model");
    fs::create_dir(&package).unwrap();
    fs::copy(data().join("foreign/encoder.onnx"), package.join("model.onnx")).unwrap();
    fs::copy(common::scorer_package().join("tokenizer.json"), package.join("tokenizer.json")).unwrap();
    // Digits are among the first 50 token ids of the default model, letters are not.
    let documents = [json!({"text": "0123456789".repeat(10)}), json!({"text": "letters and words ".repeat(40)})];
    fs::write(directory.path().join("corpus.jsonl"), documents.map(|line| line.to_string()).join("\n")).unwrap();
    let provider = other_provider();
    let arguments = [
        "run",
        "--model",
        "model",
        "--window",
        "32",
        "--execution-provider",
        &provider,
        "corpus.jsonl",
        "-o",
        "result",
    ];
    let (succeeded, _, told) = longattn(directory.path(), &arguments);
    assert!(!succeeded && told.contains(" failed: ") && told.contains("--resume"), "{told}");
    let journal = fs::read_to_string(directory.path().join("result/journal.jsonl")).unwrap();
    // 100 tokens are cut into four windows of 32.
    let windows = journal.lines().filter(|line| line.starts_with("{\"window\"")).count();
    assert_eq!(windows, 4, "{journal}");
    assert!(!directory.path().join("result/selected.jsonl").exists());
}

#[cfg(target_arch = "x86_64")]
mod plugin {
    use longattn::export::{ExportOptions, Layers, export};
    use longattn::model::{Contract, survey};

    use super::*;

    fn with_plugin<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [[("execution_provider", path)].as_slice(), more].concat()
    }

    #[test]
    fn a_plug_in_library_scores_as_the_cpu_does() {
        let directory = tempfile::tempdir().unwrap();
        let package = directory.path().join("maps");
        // This provider aborts on empty inputs, of which query-key makes use.
        let options = ExportOptions { contract: Contract::Attentions, ..ExportOptions::default() };
        export(&common::default_model(), &package, &options).unwrap();
        let path = common::plugin().display().to_string();
        let open = |settings: &[(&str, &str)]| Scorer::open(&package, &config(settings)).unwrap();
        let (plugin, cpu) = (open(&with_plugin(&path, &[("device_id", "0")])), open(&[]));
        let placement = &plugin.description().placement;
        assert_eq!(placement.len(), 1, "{placement:?}");
        assert!(!placement.contains_key("CPUExecutionProvider"), "{placement:?}");
        for ids in common::golden_windows().into_values() {
            let apart = common::apart(&plugin.score_tokens(&ids).unwrap(), &cpu.score_tokens(&ids).unwrap());
            println!("{} tokens: {apart:.1e} apart", ids.len());
            assert!(apart <= 1e-4, "{} tokens: {apart:.1e} apart", ids.len());
        }
    }

    #[test]
    fn a_provider_that_runs_nothing_of_a_model_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let tokenizer = Some(data().join("checkpoints/tokenizer.json"));
        let options = ExportOptions { layers: Layers::These(vec![2]), tokenizer, ..ExportOptions::default() };
        // This provider takes all of a graph or nothing, and does not know the fused attention of deeper layers.
        export(&data().join("checkpoints/llama-deep"), &directory.path().join("model"), &options).unwrap();
        let path = common::plugin().display().to_string();
        let error = refused(&directory.path().join("model"), &with_plugin(&path, &[]));
        assert_eq!(error.kind(), ErrorKind::Runtime);
        says(&error, &["runs nothing of", "CPUExecutionProvider"]);
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_that_lists_those_that_are() {
        let path = common::plugin().display().to_string();
        let error = refused(&tiny(), &with_plugin(&path, &[("device_id", "7")]));
        assert_eq!(error.kind(), ErrorKind::Runtime);
        says(&error, &["there is no device 7", "CPU"]);
    }

    #[test]
    fn a_damaged_model_is_told_from_a_provider_that_fails() {
        let directory = tempfile::tempdir().unwrap();
        let model = directory.path().join("model.onnx");
        fs::write(&model, "no model").unwrap();
        let path = common::plugin().display().to_string();
        let error = refused(&model, &with_plugin(&path, &[]));
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
        says(&error, &["cannot be loaded"]);
    }

    #[test]
    fn a_survey_tries_the_plug_in_library_of_the_settings() {
        let path = common::plugin().display().to_string();
        let survey = survey(&config(&with_plugin(&path, &[]))).unwrap();
        let tried = survey.providers.last().unwrap();
        assert_eq!((tried.name.as_str(), tried.devices.len(), &tried.problem), (path.as_str(), 1, &None));
    }
}
