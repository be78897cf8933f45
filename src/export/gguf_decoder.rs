//! What the metadata of a GGUF file says of its decoder.

use super::ExportOptions;
use super::architecture::{Architecture, BlockNames, FeedForward, LLAMA, Projections, QueryKeyNorms, TensorNames};
use super::checkpoint::Checkpoint;
use super::decoder::{Decoder, Head, MAX_LAYERS};
use super::gguf::Gguf;
use super::rotary::{Rotary, RowOrder, Scaling};
use crate::error::{ErrorKind, Result};

static ARCHITECTURE: Architecture = LLAMA;

static TENSORS: TensorNames = TensorNames {
    token_embedding: "token_embd",
    position_embedding: None,
    input_norm: Some("blk.{}.attn_norm"),
    projections: Projections::Apart(["blk.{}.attn_q", "blk.{}.attn_k", "blk.{}.attn_v"]),
    query_key_norms: QueryKeyNorms::None,
    block: BlockNames {
        attention_output: "blk.{}.attn_output",
        post_attention_norm: None,
        feed_forward_norm: Some("blk.{}.ffn_norm"),
        feed_forward: FeedForward::Gated { gate: "blk.{}.ffn_gate", up: "blk.{}.ffn_up", down: "blk.{}.ffn_down" },
        post_feed_forward_norm: None,
    },
    output_norm: "output_norm",
    head: "output",
    transposed: false,
};

const TOKEN_EMBEDDING: &str = "token_embd.weight";
const FREQUENCY_FACTORS: &str = "rope_freqs.weight";

/// Reads the metadata, which the options may overrule.
pub(super) fn decoder(gguf: &Gguf, options: &ExportOptions) -> Result<Decoder> {
    check_architecture(gguf)?;
    let embedding_size = positive(gguf, "llama.embedding_length", None)?;
    let heads = positive(gguf, "llama.attention.head_count", None)?;
    let head_size = positive(gguf, "llama.attention.key_length", Some(embedding_size / heads))?;
    let max_positions = positive(gguf, "llama.context_length", None)?;
    let layer_count = layer_count(gguf)?;
    let layers = options.layers.of(layer_count).map_err(|error| error.at(gguf.place("")))?;
    let feed_forward_size = match layers[..] {
        [0] if !options.losses => 0,
        _ => positive(gguf, "llama.feed_forward_length", None)?,
    };
    let head = match gguf.shape("output.weight")? {
        Some(_) => Head::Apart,
        None => Head::Tied,
    };
    let scale = real(gguf, "llama.attention.scale", Some(0.0))?;
    let decoder = Decoder {
        name: name(gguf)?,
        architecture: &ARCHITECTURE,
        tensors: &TENSORS,
        row_order: RowOrder::Interleaved,
        bias: gguf.shape("blk.0.attn_q.bias")?.is_some(),
        embedding_size,
        vocabulary_size: vocabulary_size(gguf)?,
        heads,
        key_value_heads: positive(gguf, "llama.attention.head_count_kv", Some(heads))?,
        head_size,
        max_positions: options.max_positions.map_or(max_positions, |positions| positions.get()),
        norm_epsilon: real(gguf, "llama.attention.layer_norm_rms_epsilon", None)?,
        attention_scale: if scale > 0.0 { scale } else { (head_size as f64).sqrt().recip() },
        logit_softcap: None,
        rotary: Some(rotary(gguf, head_size, options.rope_theta)?),
        sliding_rotary: None,
        sliding_windows: vec![None; layer_count],
        layers,
        feed_forward_size,
        activation: ARCHITECTURE.activation,
        parallel_residual: ARCHITECTURE.parallel_residual,
        head: options.losses.then_some(head),
        final_logit_softcap: None,
    };
    decoder.check_depth(options.attention).map_err(|error| error.at(gguf.place("")))?;
    decoder.check_heads().map_err(|error| error.at(gguf.place("")))?;
    Ok(decoder)
}

fn check_architecture(gguf: &Gguf) -> Result<()> {
    let key = "general.architecture";
    let architecture = gguf.required(key, gguf.text(key)?)?;
    if architecture == ARCHITECTURE.name {
        return Ok(());
    }
    let message = format!(
        "the architecture {architecture:?} is not supported in GGUF files: only {:?} works; others do as checkpoints with \
         safetensors",
        ARCHITECTURE.name
    );
    Err(gguf.error(ErrorKind::Unsupported, message))
}

fn name(gguf: &Gguf) -> Result<String> {
    let stem = gguf.path().file_stem().unwrap_or_default().to_string_lossy();
    Ok(gguf.text("general.name")?.unwrap_or(&stem).to_owned())
}

fn vocabulary_size(gguf: &Gguf) -> Result<usize> {
    match gguf.shape(TOKEN_EMBEDDING)?.as_deref() {
        Some(&[rows, _]) if rows > 0 => Ok(rows),
        Some(shape) => Err(gguf.invalid(format!("the tensor {TOKEN_EMBEDDING} cannot be {shape:?}"))),
        None => Err(gguf.invalid(format!("the tensor {TOKEN_EMBEDDING} is missing"))),
    }
}

fn layer_count(gguf: &Gguf) -> Result<usize> {
    let key = "llama.block_count";
    match positive(gguf, key, Some(1))? {
        layers if layers > MAX_LAYERS => Err(gguf.invalid(format!("the metadata key {key} cannot be {layers}"))),
        layers => Ok(layers),
    }
}

fn rotary(gguf: &Gguf, head_size: usize, theta: Option<f64>) -> Result<Rotary> {
    let theta = match theta {
        Some(chosen) => chosen,
        None => real(gguf, "llama.rope.freq_base", Some(10_000.0))?,
    };
    let rotated = positive(gguf, "llama.rope.dimension_count", Some(head_size))?;
    let scaling = match gguf.shape(FREQUENCY_FACTORS)? {
        None => Scaling::Linear { factor: stretch(gguf)? },
        Some(_) => Scaling::Factors(factors(gguf, rotated)?),
    };
    Rotary::new(theta, rotated, head_size, &scaling).map_err(|error| error.at(gguf.place("")))
}

fn factors(gguf: &Gguf, rotated: usize) -> Result<Vec<f32>> {
    let stretch = stretch(gguf)? as f32;
    let checkpoint: &dyn Checkpoint = gguf;
    let factors = checkpoint.read(FREQUENCY_FACTORS, &[rotated / 2])?;
    Ok(factors.into_iter().map(|factor| factor * stretch).collect())
}

/// By how much positions are stretched.
fn stretch(gguf: &Gguf) -> Result<f64> {
    match gguf.text("llama.rope.scaling.type")? {
        Some("none") => Ok(1.0),
        Some("linear") => real(gguf, "llama.rope.scaling.factor", Some(1.0)),
        Some(other) => {
            let message = format!("the rotary scaling {other:?} is not supported in GGUF files: only \"linear\" works");
            Err(gguf.error(ErrorKind::Unsupported, message))
        }
        None => real(gguf, "llama.rope.scale_linear", Some(1.0)),
    }
}

fn positive(gguf: &Gguf, key: &str, default: Option<usize>) -> Result<usize> {
    let number = gguf.required(key, gguf.whole(key)?.or(default))?;
    // Larger numbers cannot be sizes, and smaller ones can be multiplied in pairs without overflow.
    if number == 0 || number > u32::MAX as usize {
        return Err(gguf.invalid(format!("the metadata key {key} cannot be {number}")));
    }
    Ok(number)
}

fn real(gguf: &Gguf, key: &str, default: Option<f64>) -> Result<f64> {
    let number = gguf.required(key, gguf.number(key)?.or(default))?;
    if !number.is_finite() || number < 0.0 {
        return Err(gguf.invalid(format!("the metadata key {key} cannot be {number}")));
    }
    Ok(number)
}
