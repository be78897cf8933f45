//! The losses of tokens as `transformers` computes them, and the information gain of windows.
//!
//! `tests/python/make_checkpoints.py` and `tests/python/make_deeper_layers.py` make what is expected.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use longattn::cancel::Cancel;
use longattn::config::Config;
use longattn::export::{AttentionOperators, ExportOptions, Layers, WeightType, export};
use longattn::model::{MIN_GAIN_TOKENS, Scorer};
use longattn::rivals::{ShortContext, short_contexts};
use longattn::{Error, ErrorKind};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Window {
    token_ids: Vec<u32>,
    losses: Vec<f64>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(data().join(name)).unwrap()).unwrap()
}

fn options() -> ExportOptions {
    ExportOptions { losses: true, fold: false, ..ExportOptions::default() }
}

fn tiny() -> ExportOptions {
    ExportOptions { tokenizer: Some(data().join("checkpoints/tokenizer.json")), ..options() }
}

fn checkpoint(name: &str) -> PathBuf {
    data().join("checkpoints").join(name)
}

fn open(package: &Path) -> Scorer {
    Scorer::open(package, &Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() }).unwrap()
}

fn exported(source: &Path, options: &ExportOptions) -> Scorer {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    assert!(export(source, &package, options).unwrap().losses);
    let scorer = open(&package);
    // The graph of losses is loaded when it is first asked, and then the files may go.
    scorer.losses(&[1, 2, 3], &Cancel::default()).unwrap();
    scorer
}

fn losses(scorer: &Scorer, ids: &[u32]) -> Vec<f64> {
    scorer.losses(ids, &Cancel::default()).unwrap().into_iter().map(f64::from).collect()
}

fn gain(scorer: &Scorer, ids: &[u32]) -> Result<f64, Error> {
    scorer.information_gain(ids, &Cancel::default())
}

fn assert_close<'a>(found: impl IntoIterator<Item = &'a f64>, expected: &[f64], context: &str) {
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{context}");
    let differences = found.iter().zip(expected).map(|(found, expected)| (*found - expected).abs());
    let largest = differences.fold(0.0, f64::max);
    println!("{context}: {largest:.1e} apart");
    assert!(largest <= 1e-4, "{context}: {largest:.1e} apart");
}

/// Ids without order, long enough for some short contexts and a part of one.
fn long_window() -> Vec<u32> {
    (0..700).map(|token: u32| token.wrapping_mul(2_654_435_761).rotate_left(9) % 64).collect()
}

#[test]
fn losses_of_every_architecture_are_those_of_transformers() {
    let expected: BTreeMap<String, Vec<Window>> = read("checkpoints/expected_deeper.json");
    for (name, windows) in expected {
        for (layer, fold, attention) in [
            (0, true, AttentionOperators::Fused),
            (0, false, AttentionOperators::Fused),
            (2, false, AttentionOperators::Fused),
            (2, false, AttentionOperators::Standard),
        ] {
            let layers = Layers::These(vec![layer]);
            let scorer = exported(&checkpoint(&name), &ExportOptions { layers, fold, attention, ..tiny() });
            for Window { token_ids, losses: expected } in &windows {
                let context = format!("{name}, layer {layer}, fold {fold}, {attention:?}, {} tokens", token_ids.len());
                assert_close(&losses(&scorer, token_ids), expected, &context);
            }
        }
    }
}

#[test]
fn the_default_model_tells_the_losses_of_transformers() {
    #[derive(Deserialize)]
    struct Expected {
        case: String,
        loss_tokens: usize,
        losses: Vec<f64>,
        information_gain: f64,
    }
    let expected: Expected = read("deeper_layers.json");
    let ids = &common::golden_windows()[&expected.case][..expected.loss_tokens];
    let scorer = exported(&common::default_model(), &options());
    let step = ids.len() / expected.losses.len();
    assert_close(losses(&scorer, ids).iter().step_by(step), &expected.losses, "losses");
    assert_close(&[gain(&scorer, ids).unwrap()], &[expected.information_gain], "information gain");
}

/// A tokenizer of the same texts as the tiny one, which takes each letter and digit of a word by itself.
fn letters(directory: &Path) -> PathBuf {
    let mut tokenizer: serde_json::Value = read("checkpoints/tokenizer.json");
    let split =
        serde_json::json!({ "type": "Split", "pattern": { "Regex": "." }, "behavior": "Isolated", "invert": false });
    tokenizer["pre_tokenizer"] = serde_json::json!({
        "type": "Sequence",
        "pretokenizers": [{ "type": "Whitespace" }, split],
    });
    let letters = "0123456789w".chars().enumerate().map(|(id, letter)| (letter.to_string(), id.into()));
    tokenizer["model"]["vocab"] = serde_json::Value::Object(letters.collect());
    tokenizer["model"]["unk_token"] = "0".into();
    let path = directory.join("letters.json");
    fs::write(&path, tokenizer.to_string()).unwrap();
    path
}

#[test]
fn short_contexts_of_other_tokens_are_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let words: Vec<_> = long_window()[..400].iter().map(|id| format!("w{id}")).collect();
    let text = words.join(" ");
    let starts: Vec<_> =
        words.iter().scan(0, |end, word| Some(std::mem::replace(end, *end + word.len() + 1))).collect();
    let byte = |word: usize| starts.get(word).copied().unwrap_or(text.len());
    let contexts: Vec<_> = short_contexts(words.len())
        .map(|context| ShortContext {
            start: byte(context.start),
            counted: byte(context.counted.start)..byte(context.counted.end),
        })
        .collect();
    let options = ExportOptions { tokenizer: Some(letters(directory.path())), ..options() };
    let scorer = exported(&checkpoint("llama-deep"), &options);
    let found = scorer.context_losses_of_text(&text, &contexts, &Cancel::default()).unwrap();

    // Each letter is a token; blanks belong to the one before.
    let places: Vec<_> = text.bytes().enumerate().filter(|(_, byte)| *byte != b' ').map(|(place, _)| place).collect();
    let ids = scorer.tokenize(&text).unwrap().ids().to_vec();
    assert_eq!(ids.len(), places.len());
    let whole = losses(&scorer, &ids);
    let mut expected = (Vec::new(), Vec::new());
    for token in (1..ids.len()).filter(|token| places[*token] >= byte(256)) {
        let word = starts.partition_point(|start| *start <= places[token]) - 1;
        let begin = places.partition_point(|place| *place < byte(word / 128 * 128 - 128));
        expected.0.push(whole[token - 1]);
        expected.1.push(*losses(&scorer, &ids[begin..=token]).last().unwrap());
    }
    assert!(expected.0.len() > 2 * (400 - 256));
    for (found, expected) in [(&found.whole, &expected.0), (&found.short, &expected.1)] {
        assert_close(&found.iter().map(|loss| f64::from(*loss)).collect::<Vec<_>>(), expected, "losses of letters");
    }
    // Where one token holds whole contexts, it still has something before it.
    let far = [ShortContext { start: 1, counted: 2..4 }];
    assert_eq!(scorer.context_losses_of_text(&text, &far, &Cancel::default()).unwrap().short.len(), 1);
    let none = [ShortContext { start: 0, counted: 0..1 }];
    let error = scorer.context_losses_of_text(&text, &none, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooShort);
}

#[test]
fn the_gain_is_the_mean_drop_of_losses() {
    let directory = tempfile::tempdir().unwrap();
    let mut tokenizer: serde_json::Value = read("checkpoints/tokenizer.json");
    tokenizer["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": "w7", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { "w7": { "id": "w7", "ids": [7], "tokens": ["w7"] } },
    });
    let framing = directory.path().join("tokenizer.json");
    fs::write(&framing, tokenizer.to_string()).unwrap();
    for (prefix, options) in [
        (0, tiny()),
        (0, ExportOptions { attention: AttentionOperators::Standard, ..tiny() }),
        (1, ExportOptions { tokenizer: Some(framing), ..tiny() }),
    ] {
        let scorer = exported(&checkpoint("llama-deep"), &options);
        let ids = long_window();
        let framed: Vec<_> = [7].into_iter().take(prefix).chain(ids.iter().copied()).collect();
        let whole = losses(&scorer, &ids);
        let drops = (256..framed.len()).map(|token| {
            let start = token / 128 * 128 - 128;
            // What is scored is framed again.
            let short = losses(&scorer, &framed[start..=token]);
            short.last().unwrap() - whole[token - 1]
        });
        let expected = drops.sum::<f64>() / (framed.len() - 256) as f64;
        assert!(expected.abs() > 1e-2);
        assert_close(&[gain(&scorer, &ids).unwrap()], &[expected], "information gain");
    }
}

#[test]
fn windows_of_few_tokens_have_no_gain() {
    let scorer = exported(&checkpoint("llama-deep"), &tiny());
    let ids = long_window();
    assert!(gain(&scorer, &ids[..MIN_GAIN_TOKENS]).is_ok());
    let error = gain(&scorer, &ids[..MIN_GAIN_TOKENS - 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooShort);
    assert!(error.to_string().contains("256 tokens") && error.to_string().contains("257"), "{error}");
}

#[test]
fn packages_without_losses_say_how_to_get_them() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    export(&checkpoint("llama-deep"), &package, &ExportOptions { losses: false, ..tiny() }).unwrap();
    let error = gain(&open(&package), &long_window()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("--gain"), "{error}");

    export(&checkpoint("llama-deep"), &package, &ExportOptions { overwrite: true, ..tiny() }).unwrap();
    fs::remove_file(package.join("loss.onnx")).unwrap();
    let error = gain(&open(&package), &long_window()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert!(error.to_string().contains("loss.onnx"), "{error}");
}

#[test]
fn no_weight_is_stored_twice() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = |layer: usize, losses: bool| {
        let package = directory.path().join("package");
        let layers = Layers::These(vec![layer]);
        export(&checkpoint("llama-deep"), &package, &ExportOptions { layers, losses, overwrite: true, ..tiny() })
            .unwrap();
        fs::metadata(package.join("model.onnx.data")).unwrap().len()
    };
    let whole = bytes(0, true);
    assert_eq!(bytes(2, true), whole);
    assert!(bytes(2, false) < whole);
}

#[test]
fn losses_by_halves_of_bfloat16_are_those_of_the_checkpoint() {
    let expected: BTreeMap<String, Vec<Window>> = read("checkpoints/expected_deeper.json");
    let Window { token_ids, losses: expected } = &expected["mistral-deep"][1];
    // The checkpoint's own numbers, in bfloat16, are exact in both.
    for weights in [WeightType::F16, WeightType::Bf16] {
        let scorer = exported(&checkpoint("mistral-deep"), &ExportOptions { weights, ..tiny() });
        assert_close(&losses(&scorer, token_ids), expected, &format!("{weights:?}"));
    }
}

/// `longattn score --gain` on windows of token ids, in a directory with the package `package`.
fn scoring(directory: &Path, windows: &[(&str, Vec<u32>)]) -> Child {
    let line = |(id, ids): &(&str, Vec<u32>)| serde_json::json!({ "id": id, "token_ids": ids }).to_string() + "\n";
    fs::write(directory.join("windows.jsonl"), windows.iter().map(line).collect::<String>()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
    command.current_dir(directory).env("ORT_DYLIB_PATH", common::onnxruntime()).stderr(Stdio::piped());
    let arguments = "score --gain --model package windows.jsonl -o scores.jsonl --overwrite";
    command.args(arguments.split(' ')).spawn().unwrap()
}

fn gains(directory: &Path) -> Vec<Option<f64>> {
    let scores = fs::read_to_string(directory.join("scores.jsonl")).unwrap();
    let lines = scores.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["information_gain"].as_f64()).collect()
}

#[test]
fn the_command_line_writes_gains() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    export(&checkpoint("qwen3-deep"), &package, &tiny()).unwrap();
    let windows = [("long", long_window()), ("short", vec![1; 256])];
    let output = scoring(directory.path(), &windows).wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let expected = gain(&open(&package), &windows[0].1).unwrap();
    assert_eq!(gains(directory.path()), [Some(expected), None]);

    export(&checkpoint("qwen3-deep"), &package, &ExportOptions { losses: false, overwrite: true, ..tiny() }).unwrap();
    let output = scoring(directory.path(), &windows).wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("export the checkpoint with --gain"), "{told}");
}

/// A checkpoint of one small layer and a large vocabulary.
fn many_words(directory: &Path, vocabulary: usize) {
    const SIZE: usize = 16;
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": SIZE, "intermediate_size": SIZE,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true,
    });
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    fs::copy(data().join("checkpoints/tokenizer.json"), directory.join("tokenizer.json")).unwrap();
    let numbers = |count: usize| -> Vec<u8> {
        let number = |index: usize| (index as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5;
        (0..count).flat_map(|index| number(index).to_le_bytes()).collect()
    };
    let shape = |name: &str| match name {
        "embed_tokens" => vec![vocabulary, SIZE],
        _ if name.ends_with("norm") => vec![SIZE],
        _ => vec![SIZE, SIZE],
    };
    let of_layer = [
        "input_layernorm",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "post_attention_layernorm",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    let names = ["embed_tokens".to_owned(), "norm".to_owned()].into_iter();
    let names = names.chain(of_layer.map(|name| format!("layers.0.{name}")));
    let tensors: Vec<_> = names
        .map(|name| {
            let shape = shape(&name);
            (format!("model.{name}.weight"), numbers(shape.iter().product()), shape)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, bytes, shape)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(directory.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn logits_of_all_tokens_are_never_held() {
    never_held(AttentionOperators::Fused);
}

/// The map of both heads is a quarter of the logits.
#[test]
fn attention_maps_are_never_held_by_standard_operators() {
    never_held(AttentionOperators::Standard);
}

fn never_held(attention: AttentionOperators) {
    const VOCABULARY: usize = 1 << 16;
    const LENGTH: usize = 1 << 13;
    let directory = tempfile::tempdir().unwrap();
    many_words(&directory.path().join("checkpoint"), VOCABULARY);
    let options = ExportOptions { attention, ..options() };
    export(&directory.path().join("checkpoint"), &directory.path().join("package"), &options).unwrap();
    let ids = (0..LENGTH as u32).map(|token| token.wrapping_mul(2_654_435_761) % VOCABULARY as u32).collect();
    let mut child = scoring(directory.path(), &[("long", ids)]);
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let kilobytes =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    assert!(gains(directory.path())[0].is_some());
    println!("{} MB at most", peak / 1_000_000);
    let logits = LENGTH * VOCABULARY * size_of::<f32>();
    assert!((1..logits / 4).contains(&peak), "{peak} bytes, where the logits take {logits}");
}
