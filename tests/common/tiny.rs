//! A tiny random Llama checkpoint, and what its first layer gives in plain float64 arithmetic.

use std::fs::File;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

pub const HEADS: usize = 4;
pub const KEY_VALUE_HEADS: usize = 2;
pub const HEAD_SIZE: usize = 8;
pub const THETA: f64 = 10_000.0;
const EPSILON: f32 = 1e-5;

pub const TOKEN_EMBEDDING: &str = "token_embd.weight";
pub const NORM: &str = "blk.0.attn_norm.weight";
pub const QUERY: &str = "blk.0.attn_q.weight";
pub const KEY: &str = "blk.0.attn_k.weight";

/// A checkpoint to be written, and spoiled before where a test wants it.
pub struct Tiny {
    pub embedding_size: usize,
    pub metadata: Vec<(String, Value)>,
    pub tensors: Vec<(String, QTensor)>,
}

impl Tiny {
    /// Weights in one number format, which must divide `embedding_size`; the norm is float32, as always.
    pub fn new(embedding_size: usize, format: GgmlDType) -> Self {
        let alphabet = byte_alphabet();
        let vocabulary = alphabet.len();
        let metadata = [
            ("general.architecture", text("llama")),
            ("general.name", text("tiny")),
            ("llama.embedding_length", Value::U32(embedding_size as u32)),
            ("llama.context_length", Value::U32(64)),
            ("llama.attention.head_count", Value::U32(HEADS as u32)),
            ("llama.attention.head_count_kv", Value::U32(KEY_VALUE_HEADS as u32)),
            ("llama.attention.key_length", Value::U32(HEAD_SIZE as u32)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(EPSILON)),
            ("tokenizer.ggml.model", text("gpt2")),
            ("tokenizer.ggml.pre", text("gpt-2")),
            ("tokenizer.ggml.tokens", Value::Array(alphabet.into_iter().map(Value::String).collect())),
            ("tokenizer.ggml.merges", Value::Array(Vec::new())),
        ];
        let mut random = Random(1);
        let mut matrix =
            |rows: usize, format| quantized(&random.numbers(rows * embedding_size), &[rows, embedding_size], format);
        let tensors = [
            (TOKEN_EMBEDDING, matrix(vocabulary, format)),
            (QUERY, matrix(HEADS * HEAD_SIZE, format)),
            (KEY, matrix(KEY_VALUE_HEADS * HEAD_SIZE, format)),
            (NORM, quantized(&random.numbers(embedding_size), &[embedding_size], GgmlDType::F32)),
        ];
        Self {
            embedding_size,
            metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            tensors: tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect(),
        }
    }

    pub fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|pair| pair.0 != key);
        self.metadata.push((key.to_owned(), value));
    }

    pub fn remove(&mut self, key: &str) {
        self.metadata.retain(|pair| pair.0 != key);
    }

    /// Puts a float32 tensor in the place of one of the same name, or adds it.
    pub fn set_tensor(&mut self, name: &str, numbers: &[f32], shape: &[usize]) {
        self.remove_tensor(name);
        self.tensors.push((name.to_owned(), quantized(numbers, shape, GgmlDType::F32)));
    }

    pub fn remove_tensor(&mut self, name: &str) {
        self.tensors.retain(|pair| pair.0 != name);
    }

    pub fn write(&self, path: &Path) {
        let metadata: Vec<_> = self.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }

    /// The numbers of a tensor as they are after quantization.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let tensor = &self.tensors.iter().find(|pair| pair.0 == name).unwrap().1;
        let numbers = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        numbers.into_iter().map(f64::from).collect()
    }

    /// `[heads][length][head_size]` of the projection `tensor`, whose rows turn in adjacent pairs as GGUF stores them, by
    /// `angle(pair, position)` radians. A pair's numbers are put `HEAD_SIZE / 2` apart.
    pub fn rotated(&self, tensor: &str, ids: &[i64], positions: &[i64], angle: impl Fn(usize, f64) -> f64) -> Vec<f64> {
        let (embedding, norm, rows) = (self.numbers(TOKEN_EMBEDDING), self.numbers(NORM), self.numbers(tensor));
        let size = self.embedding_size;
        let heads = rows.len() / size / HEAD_SIZE;
        let mut result = vec![0.0; heads * ids.len() * HEAD_SIZE];
        for (token, (&id, &position)) in ids.iter().zip(positions).enumerate() {
            let hidden = &embedding[id as usize * size..][..size];
            let mean = hidden.iter().map(|x| x * x).sum::<f64>() / size as f64;
            let scale = (mean + f64::from(EPSILON)).sqrt().recip();
            let normed: Vec<f64> = hidden.iter().zip(&norm).map(|(x, weight)| x * scale * weight).collect();
            let number =
                |row: usize| -> f64 { rows[row * size..][..size].iter().zip(&normed).map(|(w, x)| w * x).sum() };
            for head in 0..heads {
                for pair in 0..HEAD_SIZE / 2 {
                    let row = head * HEAD_SIZE + 2 * pair;
                    let (even, odd) = (number(row), number(row + 1));
                    let (sine, cosine) = angle(pair, position as f64).sin_cos();
                    let place = (head * ids.len() + token) * HEAD_SIZE + pair;
                    result[place] = even * cosine - odd * sine;
                    result[place + HEAD_SIZE / 2] = even * sine + odd * cosine;
                }
            }
        }
        result
    }

    /// Causal attention probabilities `[heads][length][length]` of tokens at the positions 0, 1, …
    pub fn attentions(&self, ids: &[i64]) -> Vec<f64> {
        let length = ids.len();
        let positions: Vec<i64> = (0..length as i64).collect();
        let (query, key) = (self.rotated(QUERY, ids, &positions, angle), self.rotated(KEY, ids, &positions, angle));
        let mut result = vec![0.0; HEADS * length * length];
        for head in 0..HEADS {
            for row in 0..length {
                let key_head = head / (HEADS / KEY_VALUE_HEADS);
                let query = &query[(head * length + row) * HEAD_SIZE..][..HEAD_SIZE];
                let weights = (0..=row).map(|column| {
                    let key = &key[(key_head * length + column) * HEAD_SIZE..][..HEAD_SIZE];
                    let product: f64 = query.iter().zip(key).map(|(q, k)| q * k).sum();
                    (product / (HEAD_SIZE as f64).sqrt()).exp()
                });
                let weights: Vec<f64> = weights.collect();
                let total: f64 = weights.iter().sum();
                for (column, weight) in weights.iter().enumerate() {
                    result[(head * length + row) * length + column] = weight / total;
                }
            }
        }
        result
    }
}

/// The angle by which a pair turns without any scaling.
pub fn angle(pair: usize, position: f64) -> f64 {
    position * THETA.powf(-(2.0 * pair as f64) / HEAD_SIZE as f64)
}

pub fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// The characters by which byte-level tokenizers write bytes.
fn byte_alphabet() -> Vec<String> {
    let mut alphabet: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    alphabet.into_iter().map(String::from).collect()
}

pub fn quantized(numbers: &[f32], shape: &[usize], format: GgmlDType) -> QTensor {
    let tensor = Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap();
    QTensor::quantize(&tensor, format).unwrap()
}

/// A linear congruential generator: the same numbers everywhere, always.
struct Random(u64);

impl Random {
    /// Numbers from -1 to 1.
    fn numbers(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }
}
