//! Checkpoints to scorer packages.

mod architecture;
mod checkpoint;
mod decoder;
mod files;
mod fold;
mod gguf;
mod gguf_decoder;
mod graph;
#[cfg(feature = "hub")]
pub mod hub;
mod huggingface;
mod latent;
mod layers;
mod onnx;
mod package;
mod rotary;
mod safetensors;
mod tokenizer;
mod weights;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use prost::Message;
use tokenizers::Tokenizer;

pub use layers::Layers;

use crate::choice::Choice;
use crate::error::{Error, ErrorKind, Result};
use crate::model::metadata::{Contract, Metadata};
use crate::tokenizer::own_vocabulary_size;
use checkpoint::Checkpoint;
use decoder::{Decoder, LayerWeights, LinearWeights, NormWeights, ProjectionWeights};
use files::{Directory, Files};
use gguf::Gguf;
use graph::{LinearNames, NormNames};
use latent::Compression;
use package::Draft;
use weights::WeightFile;

/// Old enough for every ONNX Runtime that is still in use.
const OPSET_VERSION: i64 = 17;
const IR_VERSION: i64 = 8;

/// Tokens that a warning names, at most.
const MOST_NAMED: usize = 5;

/// Number format of the stored weights; the model computes in float32 with any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point: half the size, three significant digits, up to 65504.
    F16,
    /// The 16-bit format that most models are trained in: half the size, two significant digits, the range of float32.
    Bf16,
}

impl Choice for WeightType {
    const NAMES: &'static [(&'static str, Self)] = &[("f32", Self::F32), ("f16", Self::F16), ("bf16", Self::Bf16)];
}

/// The operators by which a model attends: in the layers that are computed whole, which are those before the deepest scored
/// one, or all for losses; and where it sums the attention of scored layers, for the contract `statistics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttentionOperators {
    /// Fused ones, for the CPU provider, on which they are fast, and others leave them to it: ONNX Runtime's own
    /// `GroupQueryAttention`, of which some releases see one token more than a sliding window has, and `FarMass`, which
    /// this library brings into the session, so that no other program runs such a model.
    #[default]
    Fused,
    /// ONNX's standard operators, in a loop over blocks of rows: for any execution provider and any release.
    Standard,
}

impl Choice for AttentionOperators {
    const NAMES: &'static [(&'static str, Self)] = &[("fused", Self::Fused), ("standard", Self::Standard)];
}

/// Rows of attention that a model computes at a time, where it does so in blocks, unless told otherwise.
pub const DEFAULT_BLOCK_ROWS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// How to export a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// How the model gives its attention.
    pub contract: Contract,
    /// The layers that are scored together. Those before the deepest become part of the model.
    pub layers: Layers,
    /// Number format of the stored weights.
    pub weights: WeightType,
    /// The operators by which layers attend that are computed whole.
    pub attention: AttentionOperators,
    /// Rows of attention that [`AttentionOperators::Standard`] computes at a time; `None` for
    /// [`DEFAULT_BLOCK_ROWS`]. More rows take more memory, `heads · rows · L` numbers a few times over, and fewer steps,
    /// which accelerators like.
    pub block_rows: Option<NonZeroUsize>,
    /// Fold embedding, norm and projections into a table of queries and one of keys by token id, so that the model looks
    /// up what it would otherwise compute. Models with learned positions and layers after the first cannot be folded and
    /// are kept apart in any case.
    pub fold: bool,
    /// Add `loss.onnx`, a graph of all layers and the projection to the vocabulary, by which the package tells the
    /// information gain of windows. Both graphs share one file of weights, where none lies twice.
    pub losses: bool,
    /// Base of the rotary embedding, above 0; the checkpoint's own where `None`.
    pub rope_theta: Option<f64>,
    /// Positions that the model is for, in the place of the checkpoint's own number: what longer windows are warned of
    /// by, and what scalings of the rotary embedding start from that say nothing else.
    pub max_positions: Option<NonZeroUsize>,
    /// A `tokenizer.json`, or a GGUF file with a vocabulary, to take the tokenizer of instead of the checkpoint's.
    pub tokenizer: Option<PathBuf>,
    /// Replace a scorer package that is already at the target.
    pub overwrite: bool,
}

impl Default for ExportOptions {
    /// The first layer by the contract `query-key` with folded weights in `f32`, everything else as the checkpoint says,
    /// replacing nothing.
    fn default() -> Self {
        Self {
            contract: Contract::QueryKey,
            layers: Layers::These(vec![0]),
            weights: WeightType::F32,
            attention: AttentionOperators::Fused,
            block_rows: None,
            fold: true,
            losses: false,
            rope_theta: None,
            max_positions: None,
            tokenizer: None,
            overwrite: false,
        }
    }
}

impl ExportOptions {
    /// An option that is there, and that models with learned positions have no use for.
    fn of_rotary_positions(&self) -> Option<&'static str> {
        match (self.max_positions, self.rope_theta) {
            (Some(_), _) => Some("max_positions"),
            (None, Some(_)) => Some("rope_theta"),
            (None, None) => None,
        }
    }

    fn block_rows(&self) -> usize {
        self.block_rows.unwrap_or(DEFAULT_BLOCK_ROWS).get()
    }
}

/// Turns layers of a checkpoint into a scorer package.
///
/// `source` is a GGUF file, any part of one in several, the directory of one, or a directory as Hugging Face publishes
/// checkpoints, with `config.json`, safetensors and `tokenizer.json`. The directory `target` appears with all its files, `model.onnx`, `model.onnx.data` and
/// `tokenizer.json`, and `loss.onnx` where losses are asked for, or not at all. Returns what the package says of itself.
///
/// # Errors
/// - [`ErrorKind::InvalidModel`] where `source` is no checkpoint, was cut short or contradicts itself.
/// - [`ErrorKind::Unsupported`] where its architecture, rotary scaling, number format or tokenizer is not among the known
///   ones; for a layer after the first and for losses also where its activation or the size of its heads is not.
/// - [`ErrorKind::NonFinite`] where a weight is NaN or infinite, in the checkpoint or in the chosen number format.
/// - [`ErrorKind::InvalidArgument`] where `target` exists and may not be replaced, there are several GGUF files, or not all
///   names of the parts of one, there is no such layer, `rope_theta` is
///   out of range, or it or `max_positions` is given for a model with learned positions, or `block_rows` where nothing
///   is computed in blocks.
/// - [`ErrorKind::Io`] where a file cannot be read or written.
pub fn export(source: &Path, target: &Path, options: &ExportOptions) -> Result<Metadata> {
    check_options(options)?;
    package::check_target(target, options.overwrite)?;
    let found = match source.is_dir() && !source.join(huggingface::CONFIG).exists() {
        true => Gguf::find(source)?,
        false => None,
    };
    if source.is_dir() && found.is_none() {
        return export_files(&Directory::new(source), target, options);
    }
    let gguf = Gguf::open(found.as_deref().unwrap_or(source))?;
    let decoder = gguf_decoder::decoder(&gguf, options)?;
    write_package(&decoder, &gguf, target, options, || tokenizer::from_gguf(&gguf))
}

fn learned_positions(option: &str) -> Error {
    let message = format!("the model has learned its positions, which {option} cannot change: leave it out");
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Exports a checkpoint of `config.json`, safetensors and `tokenizer.json`.
fn export_files(files: &dyn Files, target: &Path, options: &ExportOptions) -> Result<Metadata> {
    let (decoder, tensors) = huggingface::open(files, options)?;
    write_package(&decoder, &tensors, target, options, || huggingface::tokenizer(files))
}

fn check_options(options: &ExportOptions) -> Result<()> {
    if options.block_rows.is_some() && options.attention != AttentionOperators::Standard {
        let message = "block_rows is for attention by standard operators: choose these, or leave block_rows away";
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    match options.rope_theta {
        Some(theta) if !theta.is_finite() || theta <= 0.0 => {
            let message = format!("rope_theta must be a positive number, not {theta}");
            Err(Error::new(ErrorKind::InvalidArgument, message))
        }
        _ => Ok(()),
    }
}

fn write_package(
    decoder: &Decoder,
    checkpoint: &dyn Checkpoint,
    target: &Path,
    options: &ExportOptions,
    own_tokenizer: impl FnOnce() -> Result<(Tokenizer, String)>,
) -> Result<Metadata> {
    decoder.check(checkpoint)?;
    let tokenizer = match &options.tokenizer {
        Some(path) => tokenizer::load(path)?,
        None => own_tokenizer()?,
    };
    let tokenizer = checked_tokenizer(tokenizer, decoder)?;
    let draft = Draft::begin(target)?;
    draft.write(package::TOKENIZER, tokenizer.as_bytes())?;
    let weights = write_weights(decoder, checkpoint, options, &draft.path(package::WEIGHTS))?;
    let metadata = metadata(decoder, options);
    let scores = model(&metadata, graph::build(options, decoder, &weights));
    draft.write(package::MODEL, &scores.encode_to_vec())?;
    if options.losses {
        let losses = model(&metadata, graph::build_losses(options, decoder, &weights));
        draft.write(package::LOSS, &losses.encode_to_vec())?;
    }
    draft.finish()?;
    if let Some(limit) = metadata.sliding_window_limit() {
        log::warn!("{limit}");
    }
    Ok(metadata)
}

/// Writes what the graphs read, and gives their initializers.
fn write_weights(
    decoder: &Decoder,
    checkpoint: &dyn Checkpoint,
    options: &ExportOptions,
    path: &Path,
) -> Result<Vec<onnx::Tensor>> {
    let mut file = WeightFile::create(path)?;
    let folded = options.fold && decoder.folds();
    let mut initializers = Vec::new();
    if folded {
        initializers.extend(write_folded(decoder, checkpoint, options.weights, &mut file)?);
    }
    if !folded || options.losses {
        initializers.extend(write_apart(decoder, checkpoint, options.weights, &mut file)?);
    }
    file.finish()?;
    Ok(initializers)
}

/// All weights as they are; those of norms and biases, which are few, in float32.
fn write_apart(
    decoder: &Decoder,
    checkpoint: &dyn Checkpoint,
    format: WeightType,
    file: &mut WeightFile,
) -> Result<Vec<onnx::Tensor>> {
    let mut initializers = Vec::new();
    let embedding = (graph::TOKEN_EMBEDDING, decoder.token_embedding());
    let positions = decoder.position_embedding().map(|positions| (graph::POSITION_EMBEDDING, positions));
    let head = decoder.own_head().map(|head| (graph::HEAD, head));
    for (name, (tensor, shape)) in [embedding].into_iter().chain(positions).chain(head) {
        let mut place = file.reserve(name, &shape, format);
        checkpoint.read_in_parts(&tensor, &shape, |part| file.write(&mut place, part))?;
        initializers.push(file.tensor(place));
    }
    if let Some(norm) = decoder.output_norm(checkpoint)? {
        initializers.extend(write_norm(NormNames::of_output(), norm, file)?);
    }
    for layer in 0..decoder.read_layers() {
        initializers.extend(write_layer(decoder, checkpoint, layer, format, file)?);
    }
    Ok(initializers)
}

/// Whatever of a layer is computed, one matrix in memory at a time but for those of queries, keys and values.
fn write_layer(
    decoder: &Decoder,
    checkpoint: &dyn Checkpoint,
    layer: usize,
    format: WeightType,
    file: &mut WeightFile,
) -> Result<Vec<onnx::Tensor>> {
    let LayerWeights { input_norm, projections } = decoder.read(checkpoint, layer)?;
    let mut initializers = Vec::new();
    let input_norm = input_norm.map(|norm| (graph::NORM, norm));
    for (name, norm) in input_norm.into_iter().chain(decoder.read_block_norms(checkpoint, layer)?) {
        initializers.extend(write_norm(NormNames::new(layer, name), norm, file)?);
    }
    for ProjectionWeights { name, compression, matrix, bias, norm } in projections {
        let names = LinearNames::new(layer, name);
        if let Some(Compression { matrix, bias, norm }) = compression {
            initializers.push(file.append_matrix(&names.compression, &matrix, format)?);
            initializers.push(file.append_vector(&names.compression_norm, &norm)?);
            if let Some(bias) = bias {
                initializers.push(file.append_vector(&names.compression_bias, &bias)?);
            }
        }
        initializers.push(file.append_matrix(&names.weights, &matrix, format)?);
        for (name, numbers) in [(names.bias, bias), (names.norm, norm)] {
            if let Some(numbers) = numbers {
                initializers.push(file.append_vector(&name, &numbers)?);
            }
        }
    }
    for linear in decoder.linears(layer) {
        let names = LinearNames::new(layer, linear.name);
        let LinearWeights { matrix, bias } = decoder.read_linear(checkpoint, &linear)?;
        initializers.push(file.append_matrix(&names.weights, &matrix, format)?);
        if let Some(bias) = bias {
            initializers.push(file.append_vector(&names.bias, &bias)?);
        }
    }
    Ok(initializers)
}

fn write_norm(names: NormNames, norm: NormWeights, file: &mut WeightFile) -> Result<Vec<onnx::Tensor>> {
    let mut initializers = vec![file.append_vector(&names.weights, &norm.weights)?];
    if let Some(bias) = norm.bias {
        initializers.push(file.append_vector(&names.bias, &bias)?);
    }
    Ok(initializers)
}

/// One table a projection to queries or keys, both in one pass over the embedding.
fn write_folded(
    decoder: &Decoder,
    checkpoint: &dyn Checkpoint,
    format: WeightType,
    file: &mut WeightFile,
) -> Result<Vec<onnx::Tensor>> {
    let mut weights = decoder.read(checkpoint, 0)?;
    weights.projections.truncate(2);
    let table = |ProjectionWeights { name, matrix, .. }: &ProjectionWeights| {
        let name = LinearNames::new(0, name).table;
        file.reserve(&name, &[decoder.vocabulary_size, matrix.ncols()], format)
    };
    let mut tables: Vec<_> = weights.projections.iter().map(table).collect();
    let (embedding, shape) = decoder.token_embedding();
    checkpoint.read_in_parts(&embedding, &shape, |part| {
        for rows in fold::folded(part, decoder, &weights) {
            for (table, rows) in tables.iter_mut().zip(rows) {
                file.write(table, rows.as_slice().expect("a new array is contiguous"))?;
            }
        }
        Ok(())
    })?;
    Ok(tables.into_iter().map(|table| file.tensor(table)).collect())
}

/// The text of `tokenizer.json`, all of whose ids are embedded but for some added tokens, which are told.
fn checked_tokenizer((tokenizer, json): (Tokenizer, String), decoder: &Decoder) -> Result<String> {
    let rows = decoder.vocabulary_size;
    let own = own_vocabulary_size(&tokenizer);
    if own > rows {
        let message = format!("the tokenizer has {own} token ids, but only {rows} are embedded");
        return Err(Error::new(ErrorKind::InvalidModel, message).at(&decoder.name));
    }
    let added = tokenizer.get_added_tokens_decoder();
    let mut beyond: Vec<_> = added.into_iter().filter(|(id, _)| *id as usize >= rows).collect();
    beyond.sort_by_key(|(id, _)| *id);
    if !beyond.is_empty() {
        let named: Vec<_> =
            beyond.iter().take(MOST_NAMED).map(|(id, token)| format!("{} ({id})", token.content)).collect();
        log::warn!(
            "{}: {} added tokens have no embedding, among them {}: texts that hold one cannot be scored",
            decoder.name,
            beyond.len(),
            named.join(", ")
        );
    }
    Ok(json)
}

fn metadata(decoder: &Decoder, options: &ExportOptions) -> Metadata {
    let sliding_window = decoder.sliding_window();
    let is_fused = options.attention == AttentionOperators::Fused;
    let in_blocks = !is_fused && (options.contract == Contract::Statistics || decoder.whole_layers() > 0);
    Metadata {
        contract: options.contract,
        name: decoder.name.clone(),
        architecture: decoder.architecture.name.to_owned(),
        layers: decoder.layers.clone(),
        heads: decoder.heads,
        key_value_heads: decoder.key_value_heads,
        head_size: decoder.head_size,
        vocabulary_size: decoder.vocabulary_size,
        max_positions: decoder.max_positions,
        rope_theta: decoder.rotary(decoder.deepest()).map(|rotary| rotary.theta),
        attention_scale: decoder.attention_scale,
        logit_softcap: decoder.logit_softcap,
        sliding_window,
        full_attention_layer: sliding_window.and(decoder.first_full_layer()),
        weights: options.weights.name().to_owned(),
        losses: options.losses,
        least_onnxruntime: (is_fused && decoder.slides_inside()).then(|| graph::LOCAL_ATTENTION_RUNTIME.to_owned()),
        block_rows: in_blocks.then(|| options.block_rows()),
    }
}

fn model(metadata: &Metadata, graph: onnx::Graph) -> onnx::Model {
    let properties = metadata.to_properties().into_iter();
    onnx::Model {
        ir_version: IR_VERSION,
        opset_import: operator_sets(&graph),
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        metadata_props: properties.map(|(key, value)| onnx::Property { key, value }).collect(),
    }
}

/// ONNX's own, and those of ONNX Runtime and of this project where a node is of one.
fn operator_sets(graph: &onnx::Graph) -> Vec<onnx::OperatorSet> {
    let set = |domain: &str, version| onnx::OperatorSet { domain: domain.to_owned(), version };
    let needed = |domain: &&str| graph.node.iter().any(|node| node.domain == **domain);
    let others = [graph::RUNTIME_DOMAIN, crate::model::DOMAIN].into_iter().filter(needed);
    [set("", OPSET_VERSION)].into_iter().chain(others.map(|domain| set(domain, 1))).collect()
}
