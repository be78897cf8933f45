//! Checkpoints to scorer packages.

mod files;
mod fold;
mod gguf;
mod graph;
#[cfg(feature = "hub")]
pub mod hub;
mod llama;
mod onnx;
mod package;
mod rotary;
mod safetensors;
mod tokenizer;
mod weights;

use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use prost::Message;

use crate::choice::Choice;
use crate::error::Result;
use crate::model::metadata::{Contract, Metadata};
use fold::Norm;
use gguf::Checkpoint;
use graph::Projection;
use llama::Llama;
use package::Draft;
use weights::WeightFile;

/// Old enough for every ONNX Runtime that is still in use.
const OPSET_VERSION: i64 = 17;
const IR_VERSION: i64 = 8;

/// Number format of the stored weights; the model computes in float32 with either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point: half the size, three significant digits.
    F16,
}

impl Choice for WeightType {
    const NAMES: &'static [(&'static str, Self)] = &[("f32", Self::F32), ("f16", Self::F16)];
}

/// How to export a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// How the model gives its attention.
    pub contract: Contract,
    /// Number format of the stored weights.
    pub weights: WeightType,
    /// Fold embedding, norm and projections into a table of queries and one of keys by token id, so that the model looks
    /// up what it would otherwise compute.
    pub fold: bool,
    /// Base of the rotary embedding, above 0; the checkpoint's own where `None`.
    pub rope_theta: Option<f64>,
    /// A `tokenizer.json` to take instead of making one from the checkpoint.
    pub tokenizer: Option<PathBuf>,
    /// Replace a scorer package that is already at the target.
    pub overwrite: bool,
}

impl Default for ExportOptions {
    /// The contract `query-key` with folded weights in `f32`, everything else as the checkpoint says, replacing nothing.
    fn default() -> Self {
        Self {
            contract: Contract::QueryKey,
            weights: WeightType::F32,
            fold: true,
            rope_theta: None,
            tokenizer: None,
            overwrite: false,
        }
    }
}

/// Turns the first layer of a Llama-architecture GGUF file into a scorer package.
///
/// The directory `target` appears with all its files, `model.onnx`, `model.onnx.data` and `tokenizer.json`, or not at
/// all. Returns what the package says of itself.
///
/// # Errors
/// - [`ErrorKind::InvalidModel`] where `source` is no GGUF file, was cut short or contradicts itself.
/// - [`ErrorKind::Unsupported`] where its architecture, rotary scaling or tokenizer is not among the known ones.
/// - [`ErrorKind::NonFinite`] where a weight is NaN or infinite, in the file or in the chosen number format.
/// - [`ErrorKind::InvalidArgument`] where `target` exists and may not be replaced, or `rope_theta` is out of range.
/// - [`ErrorKind::Io`] where a file cannot be read or written.
///
/// [`ErrorKind::InvalidModel`]: crate::ErrorKind::InvalidModel
/// [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
/// [`ErrorKind::NonFinite`]: crate::ErrorKind::NonFinite
/// [`ErrorKind::InvalidArgument`]: crate::ErrorKind::InvalidArgument
/// [`ErrorKind::Io`]: crate::ErrorKind::Io
pub fn export(source: &Path, target: &Path, options: &ExportOptions) -> Result<Metadata> {
    package::check_target(target, options.overwrite)?;
    let checkpoint = Checkpoint::open(source)?;
    let layer = Llama::read(&checkpoint, options.rope_theta)?;
    let tokenizer = tokenizer(&checkpoint, &layer, options)?;
    let draft = Draft::begin(target)?;
    draft.write(package::TOKENIZER, tokenizer.as_bytes())?;
    let weights = write_weights(&checkpoint, &layer, options, &draft.path(package::WEIGHTS))?;
    let metadata = metadata(&layer, options);
    let model = model(&metadata, graph::build(options.contract, &layer, options.fold, weights));
    draft.write(package::MODEL, &model.encode_to_vec())?;
    draft.finish()?;
    Ok(metadata)
}

/// The text of `tokenizer.json`, all of whose ids are embedded.
fn tokenizer(checkpoint: &Checkpoint, layer: &Llama, options: &ExportOptions) -> Result<String> {
    let (tokenizer, json) = match &options.tokenizer {
        Some(path) => tokenizer::load(path)?,
        None => tokenizer::from_checkpoint(checkpoint)?,
    };
    let ids = tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
    if ids > layer.vocabulary_size {
        let rows = layer.vocabulary_size;
        return Err(checkpoint.invalid(format!("the tokenizer has {ids} token ids, but only {rows} are embedded")));
    }
    Ok(json)
}

/// Writes what the graph reads, and gives its initializers.
fn write_weights(
    checkpoint: &Checkpoint,
    layer: &Llama,
    options: &ExportOptions,
    path: &Path,
) -> Result<Vec<onnx::Tensor>> {
    let mut file = WeightFile::create(path)?;
    let write = if options.fold { write_folded } else { write_apart };
    let initializers = write(checkpoint, layer, options.weights, &mut file)?;
    file.finish()?;
    Ok(initializers)
}

/// The embedding, the norm and the projections as they are.
fn write_apart(
    checkpoint: &Checkpoint,
    layer: &Llama,
    weights: WeightType,
    file: &mut WeightFile,
) -> Result<Vec<onnx::Tensor>> {
    let shape = [layer.vocabulary_size, layer.embedding_size];
    let embedding = file.append(graph::TOKEN_EMBEDDING, &shape, weights, |write| {
        checkpoint.read_in_parts(llama::TOKEN_EMBEDDING, &shape, write)
    })?;
    let shape = [layer.embedding_size];
    let norm = file
        .append(graph::NORM, &shape, WeightType::F32, |write| checkpoint.read_in_parts(llama::NORM, &shape, write))?;
    let mut initializers = vec![embedding, norm];
    for projection in graph::projections(layer) {
        let numbers = projection_weights(checkpoint, layer, &projection)?;
        let shape = [layer.embedding_size, projection.heads * layer.head_size];
        initializers.push(file.append(projection.weights, &shape, weights, |write| write(&numbers))?);
    }
    Ok(initializers)
}

/// One table a projection.
fn write_folded(
    checkpoint: &Checkpoint,
    layer: &Llama,
    weights: WeightType,
    file: &mut WeightFile,
) -> Result<Vec<onnx::Tensor>> {
    let norm = Norm { weights: checkpoint.read(llama::NORM, &[layer.embedding_size])?, epsilon: layer.norm_epsilon };
    let embedding_shape = [layer.vocabulary_size, layer.embedding_size];
    let mut initializers = Vec::new();
    for projection in graph::projections(layer) {
        let numbers = projection_weights(checkpoint, layer, &projection)?;
        let rows = projection.heads * layer.head_size;
        let matrix = ArrayView2::from_shape((layer.embedding_size, rows), &numbers).expect("a whole projection");
        let table = file.append(projection.table, &[layer.vocabulary_size, rows], weights, |write| {
            checkpoint.read_in_parts(llama::TOKEN_EMBEDDING, &embedding_shape, |part| {
                write(&fold::folded(part, &norm, matrix))
            })
        })?;
        initializers.push(table);
    }
    Ok(initializers)
}

/// A projection as `[embedding_size, rows]`, each head's numbers in the order of rotary halves.
fn projection_weights(checkpoint: &Checkpoint, layer: &Llama, projection: &Projection) -> Result<Vec<f32>> {
    let (rows, columns) = (projection.heads * layer.head_size, layer.embedding_size);
    let stored = checkpoint.read(projection.tensor, &[rows, columns])?;
    Ok(rotary::transposed_to_halves(&stored, columns, layer.head_size))
}

fn metadata(layer: &Llama, options: &ExportOptions) -> Metadata {
    Metadata {
        contract: options.contract,
        name: layer.name.clone(),
        architecture: llama::ARCHITECTURE.to_owned(),
        layer: 0,
        heads: layer.heads,
        key_value_heads: layer.key_value_heads,
        head_size: layer.head_size,
        vocabulary_size: layer.vocabulary_size,
        max_positions: layer.max_positions,
        rope_theta: layer.rope_theta,
        attention_scale: layer.attention_scale,
        weights: options.weights.name().to_owned(),
    }
}

fn model(metadata: &Metadata, graph: onnx::Graph) -> onnx::Model {
    let properties = metadata.to_properties().into_iter();
    onnx::Model {
        ir_version: IR_VERSION,
        opset_import: vec![onnx::OperatorSet { domain: String::new(), version: OPSET_VERSION }],
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        metadata_props: properties.map(|(key, value)| onnx::Property { key, value }).collect(),
    }
}
