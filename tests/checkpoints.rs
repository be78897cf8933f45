//! Checkpoint directories: shards, spoiled files, and what is refused of them.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use longattn::config::Config;
use longattn::export::{ExportOptions, export};
use longattn::model::{Metadata, Scorer};
use longattn::{Error, ErrorKind, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

const EMBEDDING: &str = "model.embed_tokens.weight";
const NORM: &str = "model.layers.0.input_layernorm.weight";
const QUERY: &str = "model.layers.0.self_attn.q_proj.weight";
const KEY: &str = "model.layers.0.self_attn.k_proj.weight";
const INDEX: &str = "model.safetensors.index.json";

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// A copy of the tiny Llama checkpoint, to be spoiled and written.
struct Checkpoint {
    config: Value,
    tensors: BTreeMap<String, Tensor>,
    directory: TempDir,
}

impl Checkpoint {
    fn new() -> Self {
        let checkpoints = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints");
        let stored = fs::read(checkpoints.join("llama/model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&stored).unwrap();
        let copied = |tensor: TensorView| Tensor {
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            data: tensor.data().to_vec(),
        };
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("checkpoint")).unwrap();
        let tokenizer = directory.path().join("checkpoint/tokenizer.json");
        fs::copy(checkpoints.join("tokenizer.json"), tokenizer).unwrap();
        Self {
            config: serde_json::from_slice(&fs::read(checkpoints.join("llama/config.json")).unwrap()).unwrap(),
            tensors: tensors.tensors().into_iter().map(|(name, tensor)| (name, copied(tensor))).collect(),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("checkpoint").join(name)
    }

    fn write_config(&self) {
        fs::write(self.path("config.json"), self.config.to_string()).unwrap();
    }

    fn write_tensors(&self, file: &str, names: impl Fn(&str) -> bool) {
        let tensors = self.tensors.iter().filter(|(name, _)| names(name)).map(|(name, tensor)| {
            (name.clone(), TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data).unwrap())
        });
        fs::write(self.path(file), safetensors::serialize(tensors, None).unwrap()).unwrap();
    }

    fn write(&self) {
        self.write_config();
        self.write_tensors("model.safetensors", |_| true);
    }

    /// Writes the embedding and the rest as a shard each.
    fn write_shards(&self) {
        self.write_config();
        self.write_tensors("a.safetensors", |name| name == EMBEDDING);
        self.write_tensors("b.safetensors", |name| name != EMBEDDING);
        let shard = |name: &str| if name == EMBEDDING { "a.safetensors" } else { "b.safetensors" };
        let map: HashMap<_, _> = self.tensors.keys().map(|name| (name.clone(), shard(name))).collect();
        self.write_index(&json!({ "metadata": {}, "weight_map": map }));
    }

    fn write_index(&self, index: &Value) {
        fs::write(self.path(INDEX), index.to_string()).unwrap();
    }

    fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path(INDEX)).unwrap()).unwrap()
    }

    fn export(&self, options: &ExportOptions) -> Result<Metadata> {
        export(&self.path(""), &self.directory.path().join("package"), options)
    }

    fn package_file(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("package").join(name)).unwrap()
    }

    /// Expects an error of this kind whose message holds this text, and nothing left behind.
    fn assert_refused(&self, kind: ErrorKind, text: &str) -> Error {
        let error = self.export(&ExportOptions::default()).unwrap_err();
        assert!(error.to_string().contains(text), "{error} does not say {text:?}");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(fs::read_dir(self.directory.path()).unwrap().count(), 1, "{error}");
        error
    }
}

#[test]
fn a_directory_becomes_a_package() {
    let checkpoint = Checkpoint::new();
    checkpoint.write();
    let metadata = checkpoint.export(&ExportOptions::default()).unwrap();
    assert_eq!((metadata.name.as_str(), metadata.architecture.as_str()), ("checkpoint", "llama"));
    assert_eq!((metadata.heads, metadata.key_value_heads, metadata.head_size), (4, 2, 8));
    assert_eq!((metadata.vocabulary_size, metadata.max_positions, metadata.rope_theta), (64, 64, Some(1000.0)));
    assert_eq!(checkpoint.package_file("tokenizer.json"), fs::read(checkpoint.path("tokenizer.json")).unwrap());
}

#[test]
fn shards_give_what_one_file_gives() {
    let whole = Checkpoint::new();
    whole.write();
    whole.export(&ExportOptions::default()).unwrap();
    let sharded = Checkpoint::new();
    sharded.write_shards();
    sharded.export(&ExportOptions::default()).unwrap();
    for file in ["model.onnx", "model.onnx.data"] {
        assert!(whole.package_file(file) == sharded.package_file(file), "{file}");
    }
}

#[test]
fn only_the_shards_of_the_scored_layer_need_be_there() {
    let checkpoint = Checkpoint::new();
    checkpoint.write_shards();
    let mut index = checkpoint.index();
    index["weight_map"]["model.norm.weight"] = "never-fetched.safetensors".into();
    checkpoint.write_index(&index);
    checkpoint.export(&ExportOptions::default()).unwrap();
}

#[test]
fn spoiled_shards_are_named() {
    use ErrorKind::{InvalidModel, Unsupported};
    let checkpoint = Checkpoint::new();
    checkpoint.write_shards();
    let (index, shard) = (checkpoint.index(), fs::read(checkpoint.path("b.safetensors")).unwrap());

    for length in 0..shard.len() {
        fs::write(checkpoint.path("b.safetensors"), &shard[..length]).unwrap();
        checkpoint.assert_refused(InvalidModel, "b.safetensors");
    }
    let mut longer = shard.clone();
    longer.push(0);
    fs::write(checkpoint.path("b.safetensors"), &longer).unwrap();
    checkpoint.assert_refused(InvalidModel, "more bytes than its header tells of");
    fs::remove_file(checkpoint.path("b.safetensors")).unwrap();
    checkpoint.assert_refused(InvalidModel, "b.safetensors: the file is missing");
    for terabytes in [1u64 << 42, u64::MAX] {
        let mut claiming = shard.clone();
        claiming[..8].copy_from_slice(&terabytes.to_le_bytes());
        fs::write(checkpoint.path("b.safetensors"), &claiming).unwrap();
        checkpoint.assert_refused(InvalidModel, &format!("its header would take {terabytes} bytes"));
    }
    fs::write(checkpoint.path("b.safetensors"), &shard).unwrap();

    let spoil_index = |spoil: &dyn Fn(&mut Value), kind, says: &str| {
        let mut spoiled = index.clone();
        spoil(&mut spoiled);
        checkpoint.write_index(&spoiled);
        checkpoint.assert_refused(kind, says);
    };
    for climbing in ["../b.safetensors", "/etc/passwd", "x/../../b.safetensors", "sub/b.safetensors", "..", ".", ""] {
        spoil_index(&|index| index["weight_map"][KEY] = climbing.into(), InvalidModel, "no plain file name");
    }
    spoil_index(&|index| index["weight_map"][KEY] = "a.safetensors".into(), InvalidModel, &format!("{KEY} is here"));
    spoil_index(&|index| drop(index["weight_map"].as_object_mut().unwrap().remove(KEY)), InvalidModel, "is missing");
    spoil_index(&|index| *index = json!({}), InvalidModel, "no index of shards");
    spoil_index(&|index| *index = json!([]), InvalidModel, "no index of shards");
    fs::remove_file(checkpoint.path(INDEX)).unwrap();
    checkpoint.assert_refused(Unsupported, "there is neither model.safetensors nor");
}

#[test]
fn any_wrong_byte_of_a_header_is_no_panic() {
    let checkpoint = Checkpoint::new();
    checkpoint.write();
    let whole = fs::read(checkpoint.path("model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for place in 0..header {
        let mut wrong = whole.clone();
        wrong[place] ^= 1;
        fs::write(checkpoint.path("model.safetensors"), &wrong).unwrap();
        let result = checkpoint.export(&ExportOptions { overwrite: true, ..ExportOptions::default() });
        let left = fs::read_dir(checkpoint.directory.path()).unwrap().count();
        assert!(result.is_ok() || left <= 2, "byte {place}: {left} entries");
    }
}

#[test]
fn tensors_that_are_not_what_the_configuration_means_are_named() {
    use ErrorKind::{InvalidModel, NonFinite, Unsupported};
    let spoil = |spoil: &dyn Fn(&mut Checkpoint), kind, says: &str| {
        let mut checkpoint = Checkpoint::new();
        spoil(&mut checkpoint);
        checkpoint.write();
        checkpoint.assert_refused(kind, says);
    };
    for tensor in [EMBEDDING, NORM, QUERY, KEY] {
        let name = tensor.strip_prefix("model.").unwrap();
        spoil(&|checkpoint| drop(checkpoint.tensors.remove(tensor)), InvalidModel, &format!("{name} is missing"));
        let turn = |checkpoint: &mut Checkpoint| {
            let tensor = checkpoint.tensors.get_mut(tensor).unwrap();
            tensor.shape.reverse();
            tensor.shape.push(1);
        };
        spoil(&turn, InvalidModel, &format!("the tensor {name} is ["));
        let make_nan = |checkpoint: &mut Checkpoint| {
            checkpoint.tensors.get_mut(tensor).unwrap().data[..2].copy_from_slice(&[0xff, 0xff]);
        };
        spoil(&make_nan, NonFinite, name);
        for dtype in [Dtype::I16, Dtype::U16] {
            let renumber = |checkpoint: &mut Checkpoint| checkpoint.tensors.get_mut(tensor).unwrap().dtype = dtype;
            spoil(&renumber, Unsupported, &format!("{tensor} is stored as {dtype:?}"));
        }
        for dtype in [Dtype::F8_E4M3, Dtype::F8_E5M2, Dtype::I8] {
            let shrink = |checkpoint: &mut Checkpoint| {
                let tensor = checkpoint.tensors.get_mut(tensor).unwrap();
                tensor.dtype = dtype;
                tensor.data.truncate(tensor.data.len() / 2);
            };
            spoil(&shrink, Unsupported, &format!("{tensor} is stored as {dtype:?}"));
        }
    }
    let add_bias = |checkpoint: &mut Checkpoint| {
        let bias = Tensor { dtype: Dtype::F32, shape: vec![32], data: vec![0; 128] };
        checkpoint.tensors.insert("model.layers.0.self_attn.q_proj.bias".to_owned(), bias);
    };
    spoil(&add_bias, InvalidModel, "q_proj.bias, which the configuration does not tell of");
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    use ErrorKind::{InvalidModel, Unsupported};
    let cases = [
        (
            "model_type",
            json!("mamba"),
            Unsupported,
            "\"mamba\" is not supported: those that work are llama, mistral, mixtral",
        ),
        ("model_type", json!(null), InvalidModel, "model_type is missing"),
        ("quantization_config", json!({"quant_method": "gptq"}), Unsupported, "quant_method \"gptq\""),
        ("quantization_config", json!({"quant_method": "fp8"}), Unsupported, "quant_method \"fp8\""),
        ("quantization_config", json!({}), Unsupported, "quantized"),
        ("use_bidirectional_attention", json!(true), Unsupported, "only attention to earlier tokens"),
        ("hidden_size", json!(null), InvalidModel, "hidden_size is missing"),
        (
            "hidden_size",
            json!(17),
            InvalidModel,
            "embed_tokens.weight is [64, 16], but the configuration means [64, 17]",
        ),
        ("hidden_size", json!(0), InvalidModel, "hidden_size cannot be 0"),
        ("hidden_size", json!(u64::MAX), InvalidModel, "hidden_size cannot be"),
        ("hidden_size", json!("16"), InvalidModel, "hidden_size is not a whole number"),
        ("vocab_size", json!(65), InvalidModel, "the configuration means [65, 16]"),
        ("num_attention_heads", json!(3), InvalidModel, "3 heads cannot share 2 key heads"),
        ("num_attention_heads", json!(8), InvalidModel, "q_proj.weight is [32, 16]"),
        ("num_key_value_heads", json!(1), InvalidModel, "k_proj.weight is [16, 16]"),
        ("head_dim", json!(7), InvalidModel, "7 of them rotated in pairs"),
        ("head_dim", json!(4_000_000_000u32), InvalidModel, "rotated in pairs"),
        ("num_hidden_layers", json!(1_000_000_000), InvalidModel, "num_hidden_layers cannot be"),
        (
            "layer_types",
            json!(["full_attention", "full_attention"]),
            InvalidModel,
            "layer_types cannot be 2 for 1 layers",
        ),
        ("rms_norm_eps", json!(-1.0), InvalidModel, "rms_norm_eps cannot be -1"),
        ("rope_theta", json!(0), InvalidModel, "rope_theta cannot be 0"),
        ("partial_rotary_factor", json!(0.4), InvalidModel, "3 of them rotated in pairs"),
        (
            "rope_scaling",
            json!({"rope_type": "of-the-future"}),
            Unsupported,
            "those that work are default, linear, dynamic",
        ),
        ("rope_scaling", json!({"type": "linear"}), InvalidModel, "factor is missing"),
        ("rope_scaling", json!({"type": "linear", "factor": 0}), InvalidModel, "factor cannot be 0"),
        (
            "rope_scaling",
            json!({"type": "longrope", "short_factor": [1, 1, 1, 1]}),
            InvalidModel,
            "long_factor is missing",
        ),
        (
            "rope_scaling",
            json!({"type": "longrope", "short_factor": [1, 1, 1], "long_factor": [1, 1, 1, 1]}),
            InvalidModel,
            "short_factor cannot be anything but 4 numbers",
        ),
    ];
    for (key, value, kind, says) in cases {
        let mut checkpoint = Checkpoint::new();
        checkpoint.config[key] = value;
        checkpoint.write();
        checkpoint.assert_refused(kind, says);
    }
    let mut nested = Checkpoint::new();
    nested.config["quantization_config"] = json!({"quant_method": "awq"});
    nested.config = json!({"model_type": "llava", "text_config": nested.config});
    nested.write();
    nested.assert_refused(Unsupported, "quant_method \"awq\"");
    let checkpoint = Checkpoint::new();
    checkpoint.assert_refused(InvalidModel, "config.json: there is none");
    let adapter = checkpoint.path("adapter_config.json");
    fs::write(&adapter, "{}").unwrap();
    checkpoint.assert_refused(Unsupported, "an adapter");
    fs::remove_file(adapter).unwrap();
    checkpoint.write();
    fs::write(checkpoint.path("config.json"), "[1]").unwrap();
    checkpoint.assert_refused(InvalidModel, "not a JSON object");
}

/// As transformers takes them: the earlier spelling of the rotary embedding replaces the later one.
#[test]
fn of_two_spellings_the_earlier_is_taken() {
    let exported = |edit: &dyn Fn(&mut Value)| {
        let mut checkpoint = Checkpoint::new();
        edit(&mut checkpoint.config);
        checkpoint.write();
        checkpoint.export(&ExportOptions::default()).unwrap();
        checkpoint.package_file("model.onnx")
    };
    let scaling = json!({"rope_type": "linear", "factor": 4.0});
    let early = exported(&|config| config["rope_scaling"] = scaling.clone());
    let both = exported(&|config| {
        config["rope_scaling"] = scaling.clone();
        config["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 5.0});
    });
    assert!(both == early);
    let late = exported(&|config| {
        config["rope_scaling"] = Value::Null;
        config["rope_parameters"] = json!({"rope_type": "linear", "factor": 4.0, "rope_theta": 1000.0});
        config.as_object_mut().unwrap().remove("rope_theta");
    });
    assert!(late == early);
}

#[test]
fn what_a_configuration_leaves_out_is_as_usual() {
    let mut checkpoint = Checkpoint::new();
    let config = checkpoint.config.as_object_mut().unwrap();
    for key in ["rms_norm_eps", "max_position_embeddings", "num_hidden_layers", "intermediate_size"] {
        config.remove(key);
    }
    checkpoint.write();
    assert_eq!(checkpoint.export(&ExportOptions::default()).unwrap().max_positions, 2048);
}

#[test]
fn a_single_shard_needs_no_index_and_a_pointer_is_named() {
    let checkpoint = Checkpoint::new();
    checkpoint.write_config();
    checkpoint.write_tensors("model-00001-of-00001.safetensors", |_| true);
    checkpoint.export(&ExportOptions::default()).unwrap();
    let checkpoint = Checkpoint::new();
    checkpoint.write_config();
    fs::write(checkpoint.path("model.safetensors"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
        .unwrap();
    checkpoint.assert_refused(ErrorKind::InvalidModel, "a pointer of Git LFS");
}

/// A scorer whose tokenizer adds one token beyond the embedding of 64, which may stand in its vocabulary too.
fn scorer_with_added_token(checkpoint: &Checkpoint, content: &str, in_vocabulary: bool) -> Scorer {
    checkpoint.write();
    let path = checkpoint.path("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    if in_vocabulary {
        tokenizer["model"]["vocab"][content] = 64.into();
    }
    tokenizer["added_tokens"] = json!([{"id": 64, "content": content, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true}]);
    fs::write(&path, tokenizer.to_string()).unwrap();
    checkpoint.export(&ExportOptions::default()).unwrap();
    let config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    Scorer::open(&checkpoint.directory.path().join("package"), &config).unwrap()
}

#[test]
fn added_tokens_need_no_embedding() {
    for (content, in_vocabulary) in [("<image>", false), ("[PAD]", true)] {
        let checkpoint = Checkpoint::new();
        let scorer = scorer_with_added_token(&checkpoint, content, in_vocabulary);
        assert!(scorer.score_text("w1 w2 w3 w4 w5").is_ok());
        let error = scorer.score_text(&format!("w1 w2 {content} w4 w5")).unwrap_err().to_string();
        assert!(error.contains("id 64, and the model knows 64"), "{error}");
    }
}

#[test]
fn tokenizers_that_cannot_be_read_are_named() {
    let checkpoint = Checkpoint::new();
    checkpoint.write();
    let tokenizer = checkpoint.path("tokenizer.json");
    let elsewhere = checkpoint.directory.path().join("checkpoint/elsewhere.json");
    fs::rename(&tokenizer, &elsewhere).unwrap();
    checkpoint.assert_refused(ErrorKind::Unsupported, "there is no tokenizer.json: save it once with AutoTokenizer");
    fs::write(checkpoint.path("vocab.txt"), "").unwrap();
    checkpoint.assert_refused(ErrorKind::Unsupported, "only vocab.txt, which takes Python to read");
    fs::write(checkpoint.path("tokenizer.model"), "").unwrap();
    checkpoint.assert_refused(ErrorKind::InvalidModel, "tokenizer.model: not a tokenizer that can be read");
    fs::write(&tokenizer, "{}").unwrap();
    checkpoint.assert_refused(ErrorKind::InvalidModel, "tokenizer.json: not a tokenizer.json that can be read");
    checkpoint.export(&ExportOptions { tokenizer: Some(elsewhere), ..ExportOptions::default() }).unwrap();
}

#[test]
fn a_tokenizer_with_more_ids_than_are_embedded_is_refused() {
    let checkpoint = Checkpoint::new();
    checkpoint.write();
    let path = checkpoint.path("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["w64"] = 64.into();
    fs::write(&path, tokenizer.to_string()).unwrap();
    checkpoint.assert_refused(ErrorKind::InvalidModel, "65 token ids, but only 64 are embedded");
}
