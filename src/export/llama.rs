//! What the metadata of a Llama checkpoint says of its first layer.

use super::gguf::Checkpoint;
use super::rotary;
use crate::error::{Error, ErrorKind, Result};

/// The first layer's sizes and constants; the shapes of its tensors agree with them.
pub(super) struct Llama {
    pub name: String,
    pub embedding_size: usize,
    pub vocabulary_size: usize,
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_size: usize,
    pub max_positions: usize,
    pub rope_theta: f64,
    pub attention_scale: f64,
    pub norm_epsilon: f64,
    /// Radians per position of each pair of a head, `head_size / 2` of them.
    pub inverse_frequencies: Vec<f32>,
}

pub(super) const ARCHITECTURE: &str = "llama";
pub(super) const TOKEN_EMBEDDING: &str = "token_embd.weight";
pub(super) const NORM: &str = "blk.0.attn_norm.weight";
pub(super) const QUERY: &str = "blk.0.attn_q.weight";
pub(super) const KEY: &str = "blk.0.attn_k.weight";
const FREQUENCY_FACTORS: &str = "rope_freqs.weight";

impl Llama {
    /// Reads the metadata; `rope_theta` overrules the checkpoint's own base of the rotary embedding.
    pub(super) fn read(checkpoint: &Checkpoint, rope_theta: Option<f64>) -> Result<Self> {
        check_architecture(checkpoint)?;
        let embedding_size = positive(checkpoint, "llama.embedding_length", None)?;
        let heads = positive(checkpoint, "llama.attention.head_count", None)?;
        let key_value_heads = positive(checkpoint, "llama.attention.head_count_kv", Some(heads))?;
        let head_size = positive(checkpoint, "llama.attention.key_length", Some(embedding_size / heads))?;
        if !heads.is_multiple_of(key_value_heads) {
            let message = format!("{heads} heads cannot share {key_value_heads} key heads evenly");
            return Err(checkpoint.invalid(message));
        }
        let vocabulary_size = vocabulary_size(checkpoint)?;
        // Compared before anything is allocated by these sizes.
        checkpoint.check_shape(TOKEN_EMBEDDING, &[vocabulary_size, embedding_size])?;
        checkpoint.check_shape(NORM, &[embedding_size])?;
        checkpoint.check_shape(QUERY, &[heads * head_size, embedding_size])?;
        checkpoint.check_shape(KEY, &[key_value_heads * head_size, embedding_size])?;
        let rope_theta = theta(checkpoint, rope_theta)?;
        let inverse_frequencies = inverse_frequencies(checkpoint, rope_theta, head_size)?;
        let scale = real(checkpoint, "llama.attention.scale", Some(0.0))?;
        Ok(Self {
            name: name(checkpoint)?,
            embedding_size,
            vocabulary_size,
            heads,
            key_value_heads,
            head_size,
            max_positions: positive(checkpoint, "llama.context_length", None)?,
            rope_theta,
            attention_scale: if scale > 0.0 { scale } else { (head_size as f64).sqrt().recip() },
            norm_epsilon: real(checkpoint, "llama.attention.layer_norm_rms_epsilon", None)?,
            inverse_frequencies,
        })
    }
}

fn check_architecture(checkpoint: &Checkpoint) -> Result<()> {
    let key = "general.architecture";
    let architecture = checkpoint.required(key, checkpoint.text(key)?)?;
    if architecture != ARCHITECTURE {
        let message = format!("the architecture {architecture:?} is not supported: only {ARCHITECTURE:?} works");
        return Err(checkpoint.error(ErrorKind::Unsupported, message));
    }
    for bias in ["blk.0.attn_q.bias", "blk.0.attn_k.bias"] {
        if checkpoint.shape(bias).is_some() {
            let message = format!("biases are not supported, and the checkpoint has {bias}");
            return Err(checkpoint.error(ErrorKind::Unsupported, message));
        }
    }
    Ok(())
}

fn name(checkpoint: &Checkpoint) -> Result<String> {
    let stem = checkpoint.path().file_stem().unwrap_or_default().to_string_lossy();
    Ok(checkpoint.text("general.name")?.unwrap_or(&stem).to_owned())
}

fn vocabulary_size(checkpoint: &Checkpoint) -> Result<usize> {
    match checkpoint.shape(TOKEN_EMBEDDING) {
        Some(&[rows, _]) if rows > 0 => Ok(rows),
        Some(shape) => Err(checkpoint.invalid(format!("the tensor {TOKEN_EMBEDDING} cannot be {shape:?}"))),
        None => Err(checkpoint.invalid(format!("the tensor {TOKEN_EMBEDDING} is missing"))),
    }
}

fn theta(checkpoint: &Checkpoint, chosen: Option<f64>) -> Result<f64> {
    let Some(chosen) = chosen else { return real(checkpoint, "llama.rope.freq_base", Some(10_000.0)) };
    if chosen.is_finite() && chosen > 0.0 {
        return Ok(chosen);
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("rope_theta must be a positive number, not {chosen}")))
}

fn inverse_frequencies(checkpoint: &Checkpoint, theta: f64, head_size: usize) -> Result<Vec<f32>> {
    let rotated = positive(checkpoint, "llama.rope.dimension_count", Some(head_size))?;
    if !head_size.is_multiple_of(2) || !rotated.is_multiple_of(2) || rotated > head_size {
        let message = format!("a head of {head_size} numbers cannot have {rotated} of them rotated in pairs");
        return Err(checkpoint.invalid(message));
    }
    let factors = match checkpoint.shape(FREQUENCY_FACTORS) {
        Some(_) => Some(checkpoint.read(FREQUENCY_FACTORS, &[rotated / 2])?),
        None => None,
    };
    let stretch = stretch(checkpoint)?;
    let frequencies = rotary::inverse_frequencies(theta, rotated, head_size, stretch, factors.as_deref());
    if !frequencies.iter().all(|frequency| frequency.is_finite()) {
        return Err(checkpoint.invalid("the rotary embedding has frequencies that are not finite"));
    }
    Ok(frequencies)
}

/// By how much positions are stretched.
fn stretch(checkpoint: &Checkpoint) -> Result<f64> {
    match checkpoint.text("llama.rope.scaling.type")? {
        Some("none") => Ok(1.0),
        Some("linear") => real(checkpoint, "llama.rope.scaling.factor", Some(1.0)),
        Some(other) => {
            let message = format!("the rotary scaling {other:?} is not supported: only \"linear\" works");
            Err(checkpoint.error(ErrorKind::Unsupported, message))
        }
        None => real(checkpoint, "llama.rope.scale_linear", Some(1.0)),
    }
}

fn positive(checkpoint: &Checkpoint, key: &str, default: Option<usize>) -> Result<usize> {
    let number = checkpoint.required(key, checkpoint.whole(key)?.or(default))?;
    // Larger numbers cannot be sizes, and smaller ones can be multiplied in pairs without overflow.
    if number == 0 || number > u32::MAX as usize {
        return Err(checkpoint.invalid(format!("the metadata key {key} cannot be {number}")));
    }
    Ok(number)
}

fn real(checkpoint: &Checkpoint, key: &str, default: Option<f64>) -> Result<f64> {
    let number = checkpoint.required(key, checkpoint.number(key)?.or(default))?;
    if !number.is_finite() || number < 0.0 {
        return Err(checkpoint.invalid(format!("the metadata key {key} cannot be {number}")));
    }
    Ok(number)
}
