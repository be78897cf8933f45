//! Exports of the default model and of tiny random ones.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use longattn::export::{ExportOptions, WeightType, export};
use longattn::model::metadata::{Contract, Metadata};
use longattn::{Error, ErrorKind};
use ort::environment::Environment;
use ort::session::Session;
use tempfile::TempDir;
use tokenizers::Tokenizer;

use tiny::{HEAD_SIZE, HEADS, KEY, KEY_VALUE_HEADS, NORM, QUERY, THETA, TOKEN_EMBEDDING, Tiny, angle, text};

const IDS: [i64; 6] = [3, 250, 3, 17, 0, 255];

#[test]
fn the_default_model_becomes_a_package() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    let metadata = export(&common::default_model(), &package, &ExportOptions::default()).unwrap();
    assert_eq!(metadata.contract, Contract::QueryKey);
    assert_eq!((metadata.heads, metadata.key_value_heads, metadata.head_size), (9, 3, 64));
    assert_eq!((metadata.vocabulary_size, metadata.max_positions), (49152, 8192));
    assert_eq!((metadata.rope_theta, metadata.attention_scale), (Some(100_000.0), 0.125));
    assert_eq!(file_names(&package), ["model.onnx", "model.onnx.data", "tokenizer.json"]);
    assert_eq!(file_names(directory.path()), ["package"]);
}

#[test]
fn token_ids_are_those_of_the_reference() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("data/tokens.json")).unwrap();
    let tokenizer = Tokenizer::from_file(common::scorer_package().join("tokenizer.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let encoding = tokenizer.encode(case["text"].as_str().unwrap(), true).unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["token_ids"].clone()).unwrap();
        assert_eq!(encoding.get_ids(), expected);
    }
}

#[test]
fn the_package_carries_its_metadata() {
    let exported = Exported::new(&Tiny::new(32, GgmlDType::F32), &ExportOptions::default());
    let session = exported.session();
    let properties = session.metadata().unwrap();
    let found = Metadata::from_properties(|key| properties.custom(key)).unwrap();
    assert_eq!(found, Some(exported.metadata));
}

#[test]
fn queries_and_keys_are_exact_in_every_number_format() {
    use GgmlDType::*;
    for format in [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K] {
        let tiny = Tiny::new(256, format);
        let exported = Exported::new(&tiny, &ExportOptions::default());
        exported.assert_queries_and_keys(&tiny, 2e-5, angle);
    }
}

#[test]
fn tables_by_token_id_hold_what_they_are_folded_from() {
    let tiny = Tiny::new(256, GgmlDType::F32);
    let positions = [0, 1, 2, 40, 5, 63];
    let outputs = |fold| {
        let exported = Exported::new(&tiny, &ExportOptions { fold, ..ExportOptions::default() });
        run(&mut exported.session(), [&IDS; 2], [&positions; 2])
    };
    for (folded, apart) in outputs(true).into_iter().zip(outputs(false)) {
        assert_eq!(folded.0, apart.0);
        let expected: Vec<_> = apart.1.into_iter().map(f64::from).collect();
        assert_close(&folded.1, &expected, 4e-6);
    }
}

#[test]
fn halves_as_weights_keep_three_digits() {
    let tiny = Tiny::new(256, GgmlDType::F32);
    let options = ExportOptions { weights: WeightType::F16, ..ExportOptions::default() };
    let exported = Exported::new(&tiny, &options);
    assert_eq!(exported.metadata.weights, "f16");
    exported.assert_queries_and_keys(&tiny, 2e-2, angle);
    let whole = Exported::new(&tiny, &ExportOptions::default());
    assert!(exported.weight_bytes() < whole.weight_bytes());
}

#[test]
fn rotary_embeddings_follow_the_checkpoint_and_the_options() {
    let plain = || Tiny::new(32, GgmlDType::F32);
    let check = |tiny: Tiny, options: &ExportOptions, angle: &dyn Fn(usize, f64) -> f64| {
        Exported::new(&tiny, options).assert_queries_and_keys(&tiny, 2e-5, angle);
    };
    let default = ExportOptions::default();
    let mut tiny = plain();
    tiny.set("llama.rope.freq_base", Value::F32(500.0));
    let of_theta = |theta: f64| move |pair: usize, position: f64| position * theta.powf(-(pair as f64) / 4.0);
    check(tiny, &default, &of_theta(500.0));
    check(plain(), &ExportOptions { rope_theta: Some(77.0), ..ExportOptions::default() }, &of_theta(77.0));

    let mut tiny = plain();
    tiny.set("llama.rope.scaling.type", text("linear"));
    tiny.set("llama.rope.scaling.factor", Value::F32(4.0));
    check(tiny, &default, &|pair, position| angle(pair, position) / 4.0);

    let factors = [1.0, 2.0, 4.0, 8.0];
    let mut tiny = plain();
    tiny.set_tensor("rope_freqs.weight", &factors, &[4]);
    check(tiny, &default, &|pair, position| angle(pair, position) / f64::from(factors[pair]));

    let mut tiny = plain();
    tiny.set("llama.rope.dimension_count", Value::U32(4));
    let partial = |pair: usize, position: f64| if pair < 2 { position * THETA.powf(-(pair as f64) / 2.0) } else { 0.0 };
    check(tiny, &default, &partial);
}

#[test]
fn attention_maps_are_causal_probabilities() {
    let tiny = Tiny::new(32, GgmlDType::F32);
    for weights in [WeightType::F32, WeightType::F16] {
        let options = ExportOptions { contract: Contract::Attentions, weights, ..ExportOptions::default() };
        let exported = Exported::new(&tiny, &options);
        let mut session = exported.session();
        let mut batch = IDS.to_vec();
        batch.extend(IDS.iter().rev());
        let input = ort::value::Tensor::from_array(([2, IDS.len()], batch.clone())).unwrap();
        let outputs = session.run(ort::inputs!["input_ids" => input]).unwrap();
        let (shape, found) = outputs["attentions"].try_extract_tensor::<f32>().unwrap();
        assert_eq!(**shape, [2, HEADS as i64, IDS.len() as i64, IDS.len() as i64]);
        let expected: Vec<f64> = batch.chunks(IDS.len()).flat_map(|ids| tiny.attentions(ids)).collect();
        assert_close(found, &expected, if weights == WeightType::F32 { 1e-6 } else { 2e-3 });
    }
}

#[test]
fn byte_level_tokenizers_begin_texts_and_find_special_tokens() {
    let mut tiny = Tiny::new(32, GgmlDType::F32);
    let mut types = vec![Value::I32(1); 256];
    (types[0], types[1]) = (Value::I32(3), Value::I32(4));
    tiny.set("tokenizer.ggml.token_type", Value::Array(types));
    tiny.set("tokenizer.ggml.pre", text("llama-bpe"));
    tiny.set("tokenizer.ggml.bos_token_id", Value::U32(7));
    let tokenizer = Exported::new(&tiny, &ExportOptions::default()).tokenizer();
    let alphabet: Vec<String> = (0..256).map(|id| tokenizer.id_to_token(id).unwrap()).collect();
    let place = |token: &str| alphabet.iter().position(|known| known == token).unwrap() as u32;
    let ids = |text: &str| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
    assert_eq!(ids("a1"), [7, place("a"), place("1")]);
    assert_eq!(ids(&alphabet[0]), [7, 0]);
    assert_eq!(tokenizer.decode(&[place("a"), place("Ġ"), place("b")], false).unwrap(), "a b");

    tiny.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    let tokenizer = Exported::new(&tiny, &ExportOptions::default()).tokenizer();
    assert_eq!(tokenizer.encode("a", true).unwrap().get_ids(), [place("a")]);
}

#[test]
fn sentence_piece_tokenizers_merge_by_score() {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let words = ["▁", "a", "b", "c", "ab", "bc", "abc", "▁a"];
    tokens.extend(words.map(String::from));
    let first = tokens.len() - words.len();
    let mut types = vec![Value::I32(6); tokens.len()];
    types[..3].clone_from_slice(&[Value::I32(2), Value::I32(3), Value::I32(3)]);
    types[first..].fill(Value::I32(1));
    let mut scores = vec![Value::F32(0.0); tokens.len()];
    for (rank, token) in ["bc", "ab", "abc", "▁a", "▁", "a", "b", "c"].iter().enumerate() {
        let place = tokens.iter().position(|known| known == token).unwrap();
        scores[place] = Value::F32(-(rank as f32));
    }
    let mut tiny = Tiny::new(32, GgmlDType::F32);
    tiny.set_tensor(TOKEN_EMBEDDING, &vec![1.0; tokens.len() * 32], &[tokens.len(), 32]);
    tiny.set("tokenizer.ggml.model", text("llama"));
    tiny.set("tokenizer.ggml.tokens", Value::Array(tokens.iter().cloned().map(Value::String).collect()));
    tiny.set("tokenizer.ggml.token_type", Value::Array(types));
    tiny.set("tokenizer.ggml.scores", Value::Array(scores));
    tiny.set("tokenizer.ggml.bos_token_id", Value::U32(1));
    tiny.set("tokenizer.ggml.unknown_token_id", Value::U32(0));
    let tokenizer = Exported::new(&tiny, &ExportOptions::default()).tokenizer();
    let found = |text: &str| tokenizer.encode(text, true).unwrap().get_tokens().to_vec();
    assert_eq!(found("abc"), ["<s>", "▁", "abc"]);
    assert_eq!(found("ab a"), ["<s>", "▁", "ab", "▁a"]);
    assert_eq!(found("é"), ["<s>", "▁", "<0xC3>", "<0xA9>"]);
    let ids = tokenizer.encode("abc é", false).unwrap().get_ids().to_vec();
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "abc é");
}

#[test]
fn a_given_tokenizer_is_taken_as_it_is() {
    let mut tiny = Tiny::new(32, GgmlDType::F32);
    let made = Exported::new(&tiny, &ExportOptions::default());
    let given = made.package.join("tokenizer.json");
    tiny.set("tokenizer.ggml.pre", text("of-the-future"));
    let options = ExportOptions { tokenizer: Some(given.clone()), ..ExportOptions::default() };
    let exported = Exported::new(&tiny, &options);
    assert_eq!(fs::read(exported.package.join("tokenizer.json")).unwrap(), fs::read(&given).unwrap());

    tiny.set_tensor(TOKEN_EMBEDDING, &[1.0; 255 * 32], &[255, 32]);
    assert_refused(&tiny, &options, ErrorKind::InvalidModel, "256 token ids");
    let missing = ExportOptions { tokenizer: Some(PathBuf::from("/missing.json")), ..ExportOptions::default() };
    assert_refused(&tiny, &missing, ErrorKind::Io, "/missing.json");
}

#[test]
fn only_packages_are_replaced_and_only_when_asked() {
    let exported = Exported::new(&Tiny::new(32, GgmlDType::F32), &ExportOptions::default());
    let (source, package) = (exported.directory.path().join("tiny.gguf"), &exported.package);
    let overwriting = ExportOptions { overwrite: true, weights: WeightType::F16, ..ExportOptions::default() };
    let error = export(&source, package, &ExportOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("--overwrite"), "{error}");

    let before = exported.weight_bytes();
    export(&source, package, &overwriting).unwrap();
    assert!(exported.weight_bytes() <= before);
    assert_eq!(file_names(exported.directory.path()), ["package", "tiny.gguf"]);

    fs::write(package.join("notes.txt"), "mine").unwrap();
    let error = export(&source, package, &overwriting).unwrap_err();
    assert!(error.to_string().contains("holds other files"), "{error}");
    assert_eq!(fs::read_to_string(package.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn metadata_that_cannot_be_is_refused() {
    use ErrorKind::{InvalidModel, Unsupported};
    let cases = [
        (
            "general.architecture",
            text("mamba"),
            Unsupported,
            "\"mamba\" is not supported in GGUF files: those that work are llama",
        ),
        ("llama.attention.head_count", Value::U32(0), InvalidModel, "head_count cannot be 0"),
        ("llama.attention.head_count", Value::U32(5), InvalidModel, "5 heads cannot share 2 key heads"),
        ("llama.attention.head_count", Value::U32(8), InvalidModel, "blk.0.attn_q.weight is [32, 32]"),
        ("llama.attention.head_count", Value::F32(4.5), InvalidModel, "is not a whole number"),
        ("llama.attention.head_count_kv", Value::U32(1), InvalidModel, "blk.0.attn_k.weight is [16, 32]"),
        ("llama.attention.key_length", Value::U32(7), InvalidModel, "7 of them rotated"),
        ("llama.attention.key_length", Value::U32(4), InvalidModel, "blk.0.attn_q.weight is [32, 32]"),
        ("llama.attention.key_length", Value::U64(u64::MAX), InvalidModel, "key_length cannot be"),
        ("llama.embedding_length", Value::U32(33), InvalidModel, "token_embd.weight is [256, 32]"),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN), InvalidModel, "cannot be NaN"),
        ("llama.rope.freq_base", Value::F32(f32::INFINITY), InvalidModel, "freq_base cannot be inf"),
        ("llama.rope.freq_base", Value::F32(0.0), InvalidModel, "not finite"),
        ("llama.rope.dimension_count", Value::U32(10), InvalidModel, "10 of them rotated"),
        ("llama.rope.dimension_count", Value::U32(3), InvalidModel, "3 of them rotated"),
        ("llama.rope.scaling.type", text("of-the-future"), Unsupported, "\"of-the-future\" is not supported"),
        ("tokenizer.ggml.model", text("t5"), Unsupported, "only gpt2, llama, bert are known"),
        ("tokenizer.ggml.pre", text("of-the-future"), Unsupported, "--tokenizer"),
        ("tokenizer.ggml.tokens", Value::U32(1), InvalidModel, "is not a list of texts"),
        ("tokenizer.ggml.token_type", Value::Array(vec![Value::I32(1)]), InvalidModel, "1 entries for 256 tokens"),
        ("tokenizer.ggml.merges", Value::Array(vec![text("ab")]), InvalidModel, "is no pair"),
        ("tokenizer.ggml.merges", Value::Array(vec![text("a b")]), InvalidModel, "--tokenizer"),
        ("general.alignment", Value::U32(0), InvalidModel, "general.alignment cannot be"),
    ];
    for (key, value, kind, message) in cases {
        let mut tiny = Tiny::new(32, GgmlDType::F32);
        tiny.set(key, value);
        assert_refused(&tiny, &ExportOptions::default(), kind, message);
    }
    let mut tiny = Tiny::new(32, GgmlDType::F32);
    tiny.set("tokenizer.ggml.add_bos_token", Value::Bool(true));
    assert_refused(&tiny, &ExportOptions::default(), InvalidModel, "bos_token_id is missing");
    tiny.set("tokenizer.ggml.bos_token_id", Value::U32(256));
    assert_refused(&tiny, &ExportOptions::default(), InvalidModel, "there are 256 tokens");
}

#[test]
fn missing_metadata_and_tensors_are_named() {
    for key in ["general.architecture", "llama.embedding_length", "llama.context_length", "tokenizer.ggml.tokens"] {
        let mut tiny = Tiny::new(32, GgmlDType::F32);
        tiny.remove(key);
        assert_refused(&tiny, &ExportOptions::default(), ErrorKind::InvalidModel, &format!("{key} is missing"));
    }
    for tensor in [TOKEN_EMBEDDING, NORM, QUERY, KEY] {
        let mut tiny = Tiny::new(32, GgmlDType::F32);
        tiny.remove_tensor(tensor);
        assert_refused(&tiny, &ExportOptions::default(), ErrorKind::InvalidModel, &format!("{tensor} is missing"));
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for (tensor, shape) in [(TOKEN_EMBEDDING, &[256, 32][..]), (NORM, &[32]), (QUERY, &[32, 32]), (KEY, &[16, 32])] {
        for number in [f32::NAN, f32::INFINITY] {
            let mut tiny = Tiny::new(32, GgmlDType::F32);
            let mut numbers = vec![1.0; shape.iter().product()];
            *numbers.last_mut().unwrap() = number;
            tiny.set_tensor(tensor, &numbers, shape);
            assert_refused(&tiny, &ExportOptions::default(), ErrorKind::NonFinite, tensor);
        }
    }
}

#[test]
fn a_base_that_is_no_positive_number_is_refused() {
    let tiny = Tiny::new(32, GgmlDType::F32);
    for theta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = ExportOptions { rope_theta: Some(theta), ..ExportOptions::default() };
        assert_refused(&tiny, &options, ErrorKind::InvalidArgument, "rope_theta");
    }
}

#[test]
fn biases_are_added_in_the_order_of_their_rows() {
    let mut tiny = Tiny::new(32, GgmlDType::F32);
    let biases = [(QUERY, HEADS), (KEY, KEY_VALUE_HEADS)].map(|(tensor, heads)| {
        let bias: Vec<f32> = (0..heads * HEAD_SIZE).map(|row| (row as f32).sin()).collect();
        tiny.set_tensor(&tensor.replace(".weight", ".bias"), &bias, &[bias.len()]);
        bias
    });
    let positions = [0; 6];
    for fold in [true, false] {
        let exported = Exported::new(&tiny, &ExportOptions { fold, ..ExportOptions::default() });
        let [key, query] = run(&mut exported.session(), [&IDS; 2], [&positions; 2]);
        for ((tensor, bias), found) in [QUERY, KEY].into_iter().zip(&biases).zip([query, key]) {
            let mut expected = tiny.rotated(tensor, &IDS, &positions, angle);
            for (place, number) in expected.iter_mut().enumerate() {
                let (head, row) = (place / (IDS.len() * HEAD_SIZE), place % HEAD_SIZE);
                let (half, pair) = (row / (HEAD_SIZE / 2), row % (HEAD_SIZE / 2));
                *number += f64::from(bias[head * HEAD_SIZE + 2 * pair + half]);
            }
            assert_close(&found.1, &expected, 2e-5);
        }
    }
    tiny.remove_tensor("blk.0.attn_k.bias");
    assert_refused(&tiny, &ExportOptions::default(), ErrorKind::InvalidModel, "blk.0.attn_k.bias is missing");
}

#[test]
fn a_checkpoint_cut_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("cut.gguf"), directory.path().join("package"));
    Tiny::new(32, GgmlDType::Q8_0).write(&source);
    let file = fs::File::options().write(true).open(&source).unwrap();
    for length in (0..file.metadata().unwrap().len()).rev() {
        file.set_len(length).unwrap();
        let error = export(&source, &target, &ExportOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidModel, "{length}: {error}");
        assert!(error.to_string().contains("cut.gguf"), "{length}: {error}");
    }
    assert_eq!(file_names(directory.path()), ["cut.gguf"]);
}

#[test]
fn a_header_with_any_wrong_byte_never_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("wrong.gguf"), directory.path().join("package"));
    Tiny::new(32, GgmlDType::Q8_0).write(&source);
    let whole = fs::read(&source).unwrap();
    let place = |text: &str| whole.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    // The tokens themselves may be anything.
    let metadata = 0..place("tokenizer.ggml.tokens") + 64;
    let tensors = place("tokenizer.ggml.merges")..place(NORM) + 64;
    for place in metadata.chain(tensors) {
        let mut wrong = whole.clone();
        wrong[place] ^= 0xff;
        fs::write(&source, &wrong).unwrap();
        let result = export(&source, &target, &ExportOptions { overwrite: true, ..ExportOptions::default() });
        assert!(result.is_ok() || file_names(directory.path()).len() <= 2, "byte {place}");
    }
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("package");
    let refused = |source: &Path| export(source, &target, &ExportOptions::default()).unwrap_err();
    let error = refused(&directory.path().join("missing.gguf"));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("missing.gguf"), "{error}");
    let other = directory.path().join("other.gguf");
    fs::write(&other, "{\"model\": \"none\"}").unwrap();
    assert_eq!(refused(&other).kind(), ErrorKind::InvalidModel);
    assert_eq!(refused(directory.path()).kind(), ErrorKind::InvalidModel);
    assert!(!target.exists());
}

/// A tiny checkpoint and the package made of it.
struct Exported {
    directory: TempDir,
    package: PathBuf,
    metadata: Metadata,
}

impl Exported {
    fn new(tiny: &Tiny, options: &ExportOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (package, metadata) = try_export(&directory, tiny, options);
        Self { metadata: metadata.unwrap(), package, directory }
    }

    fn session(&self) -> Session {
        static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
        let environment = ENVIRONMENT.get_or_init(|| ort::init_from(common::onnxruntime()).unwrap().build().unwrap());
        Session::builder(environment).unwrap().commit_from_file(self.package.join("model.onnx")).unwrap()
    }

    fn tokenizer(&self) -> Tokenizer {
        Tokenizer::from_file(self.package.join("tokenizer.json")).unwrap()
    }

    fn weight_bytes(&self) -> u64 {
        fs::metadata(self.package.join("model.onnx.data")).unwrap().len()
    }

    /// Compares both halves with `tiny`, together and each with the other empty.
    fn assert_queries_and_keys(&self, tiny: &Tiny, tolerance: f64, angle: impl Fn(usize, f64) -> f64) {
        let mut session = self.session();
        let positions = [0, 1, 2, 40, 5, 63];
        let key = tiny.rotated(KEY, &IDS, &positions, &angle);
        let query = tiny.rotated(QUERY, &IDS[1..4], &positions[1..4], &angle);
        for (keys, queries) in [(0..6, 1..4), (0..6, 0..0), (0..0, 1..4), (0..0, 0..0)] {
            let [found_key, found_query] = run(
                &mut session,
                [&IDS[keys.clone()], &IDS[queries.clone()]],
                [&positions[keys.clone()], &positions[queries.clone()]],
            );
            assert_eq!(found_key.0, [KEY_VALUE_HEADS, keys.len(), HEAD_SIZE]);
            assert_eq!(found_query.0, [HEADS, queries.len(), HEAD_SIZE]);
            assert_close(&found_key.1, if keys.is_empty() { &[] } else { &key }, tolerance);
            assert_close(&found_query.1, if queries.is_empty() { &[] } else { &query }, tolerance);
        }
    }
}

/// Shapes and numbers of the outputs `key` and `query`, for ids and positions of keys and queries.
fn run(session: &mut Session, ids: [&[i64]; 2], positions: [&[i64]; 2]) -> [(Vec<usize>, Vec<f32>); 2] {
    let tensor = |numbers: &[i64]| ort::value::Tensor::from_array(([numbers.len()], numbers.to_vec())).unwrap();
    let inputs = ort::inputs![
        "key_ids" => tensor(ids[0]),
        "key_positions" => tensor(positions[0]),
        "query_ids" => tensor(ids[1]),
        "query_positions" => tensor(positions[1]),
    ];
    let outputs = session.run(inputs).unwrap();
    ["key", "query"].map(|name| {
        let (shape, numbers) = outputs[name].try_extract_tensor::<f32>().unwrap();
        (shape.iter().map(|&size| size as usize).collect(), numbers.to_vec())
    })
}

fn try_export(directory: &TempDir, tiny: &Tiny, options: &ExportOptions) -> (PathBuf, Result<Metadata, Error>) {
    let (source, package) = (directory.path().join("tiny.gguf"), directory.path().join("package"));
    tiny.write(&source);
    let result = export(&source, &package, options);
    (package, result)
}

/// Expects an error of this kind whose message holds this text, and nothing left behind.
fn assert_refused(tiny: &Tiny, options: &ExportOptions, kind: ErrorKind, text: &str) {
    let directory = tempfile::tempdir().unwrap();
    let error = try_export(&directory, tiny, options).1.unwrap_err();
    assert!(error.to_string().contains(text), "{error:?} does not say {text:?}");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(file_names(directory.path()), ["tiny.gguf"]);
}

fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference <= tolerance * expected.abs().max(1.0), "{found} is not {expected}");
    }
}

fn file_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
