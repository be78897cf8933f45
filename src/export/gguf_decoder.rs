//! What the metadata of a GGUF file says of its decoder.

use super::ExportOptions;
use super::architecture::{
    Architecture, BlockNames, FeedForward, Norm, Projections, QueryKeyNorms, Sliding, TensorNames,
};
use super::checkpoint::Checkpoint;
use super::decoder::{Decoder, EXPERTS, Head, MAX_LAYERS, Multipliers};
use super::gguf::Gguf;
use super::rotary::{CorrectionRange, Rotary, RowOrder, Scaling};
use crate::error::{Error, ErrorKind, Result};

/// How GGUF files hold an architecture.
struct Conversion {
    /// The value of `general.architecture`, which metadata keys begin with.
    name: &'static str,
    /// The `model_type` of the same architecture.
    architecture: &'static str,
    tensors: TensorNames,
    row_order: RowOrder,
    /// Whether files with a sliding window are meant alone.
    slides: bool,
    /// Whether `logit_scale` divides the logits of the vocabulary.
    divides_logits: bool,
    /// Layers of the model whose attention scale comes of the embedding's share for each head, not of the head's size.
    scaled_by_share: Option<usize>,
}

static CONVERSIONS: &[Conversion] = &[
    LLAMA,
    Conversion { name: "qwen2", architecture: "qwen2", row_order: RowOrder::Halves, ..LLAMA },
    Conversion {
        name: "qwen3",
        architecture: "qwen3",
        tensors: TensorNames { query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS), ..LLAMA.tensors },
        row_order: RowOrder::Halves,
        ..LLAMA
    },
    Conversion {
        name: "phi3",
        architecture: "phi3",
        tensors: TensorNames {
            projections: Projections::Fused(FUSED),
            block: BlockNames {
                feed_forward: FeedForward::GatedFused { gate_up: "blk.{}.ffn_up", down: "blk.{}.ffn_down" },
                ..LLAMA.tensors.block
            },
            ..LLAMA.tensors
        },
        row_order: RowOrder::Halves,
        ..LLAMA
    },
    Conversion {
        name: "gemma2",
        architecture: "gemma2",
        tensors: TensorNames { block: NORMED_BLOCK, ..LLAMA.tensors },
        row_order: RowOrder::Halves,
        scaled_by_share: Some(46),
        ..LLAMA
    },
    Conversion {
        name: "gemma3",
        architecture: "gemma3_text",
        tensors: TensorNames {
            query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS),
            block: NORMED_BLOCK,
            ..LLAMA.tensors
        },
        row_order: RowOrder::Halves,
        scaled_by_share: Some(62),
        ..LLAMA
    },
    Conversion { name: "olmo2", architecture: "olmo3", slides: true, ..OLMO2 },
    OLMO2,
    Conversion { name: "smollm3", architecture: "smollm3", ..LLAMA },
    Conversion { name: "granite", architecture: "granite", divides_logits: true, ..LLAMA },
    Conversion {
        name: "qwen3moe",
        architecture: "qwen3_moe",
        tensors: TensorNames {
            query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS),
            block: BlockNames { feed_forward: FeedForward::Experts, ..LLAMA.tensors.block },
            ..LLAMA.tensors
        },
        row_order: RowOrder::Halves,
        ..LLAMA
    },
    Conversion {
        name: "exaone4",
        architecture: "exaone4",
        tensors: TensorNames {
            input_norm: None,
            query_key_norms: QueryKeyNorms::ByHead(QUERY_KEY_NORMS),
            block: BlockNames { feed_forward_norm: None, ..NORMED_BLOCK },
            ..LLAMA.tensors
        },
        row_order: RowOrder::Halves,
        ..LLAMA
    },
    Conversion {
        name: "cohere2",
        architecture: "cohere2",
        tensors: TensorNames { block: BlockNames { feed_forward_norm: None, ..LLAMA.tensors.block }, ..LLAMA.tensors },
        ..LLAMA
    },
    Conversion {
        name: "glm4",
        architecture: "glm4",
        tensors: TensorNames {
            block: BlockNames {
                feed_forward: FeedForward::GatedFused { gate_up: "blk.{}.ffn_up", down: "blk.{}.ffn_down" },
                ..NORMED_BLOCK
            },
            ..LLAMA.tensors
        },
        ..LLAMA
    },
    Conversion {
        name: "gptneox",
        architecture: "gpt_neox",
        tensors: TensorNames { projections: Projections::Fused(FUSED), block: PLAIN_BLOCK, ..LLAMA.tensors },
        row_order: RowOrder::Halves,
        ..LLAMA
    },
    Conversion {
        name: "gpt2",
        architecture: "gpt2",
        tensors: TensorNames {
            position_embedding: Some("position_embd"),
            projections: Projections::Fused(FUSED),
            block: PLAIN_BLOCK,
            ..LLAMA.tensors
        },
        row_order: RowOrder::Plain,
        ..LLAMA
    },
];

const LLAMA: Conversion = Conversion {
    name: "llama",
    architecture: "llama",
    tensors: TensorNames {
        token_embedding: "token_embd",
        position_embedding: None,
        input_norm: Some("blk.{}.attn_norm"),
        projections: Projections::Apart(["blk.{}.attn_q", "blk.{}.attn_k", "blk.{}.attn_v"]),
        latent: None,
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
    },
    row_order: RowOrder::Interleaved,
    slides: false,
    divides_logits: false,
    scaled_by_share: None,
};

const OLMO2: Conversion = Conversion {
    name: "olmo2",
    architecture: "olmo2",
    tensors: TensorNames {
        input_norm: None,
        query_key_norms: QueryKeyNorms::AllHeads(QUERY_KEY_NORMS),
        block: BlockNames { feed_forward_norm: None, ..NORMED_BLOCK },
        ..LLAMA.tensors
    },
    row_order: RowOrder::Halves,
    ..LLAMA
};

/// Queries, keys and values in one tensor.
const FUSED: &str = "blk.{}.attn_qkv";

const QUERY_KEY_NORMS: [&str; 2] = ["blk.{}.attn_q_norm", "blk.{}.attn_k_norm"];

const NORMED_BLOCK: BlockNames = BlockNames {
    post_attention_norm: Some("blk.{}.post_attention_norm"),
    post_feed_forward_norm: Some("blk.{}.post_ffw_norm"),
    ..LLAMA.tensors.block
};

const PLAIN_BLOCK: BlockNames = BlockNames {
    feed_forward: FeedForward::Plain { up: "blk.{}.ffn_up", down: "blk.{}.ffn_down" },
    ..LLAMA.tensors.block
};

const ARCHITECTURE: &str = "general.architecture";
const SLIDING_WINDOW: &str = "attention.sliding_window";
const TOKEN_EMBEDDING: &str = "token_embd.weight";
const FREQUENCY_FACTORS: &str = "rope_freqs.weight";
const SHORT_FACTORS: &str = "rope_factors_short.weight";
const LONG_FACTORS: &str = "rope_factors_long.weight";

/// The base of the rotary embedding of layers with a sliding window, where they have their own and the file does not say.
const LOCAL_THETA: f64 = 10_000.0;

/// Reads the metadata, which the options may overrule.
pub(super) fn decoder(gguf: &Gguf, options: &ExportOptions) -> Result<Decoder> {
    let keys = Keys::new(gguf)?;
    let Keys { conversion, architecture, .. } = keys;
    let embedding_size = keys.positive("embedding_length", None)?;
    let heads = keys.positive("attention.head_count", None)?;
    let head_size = keys.positive("attention.key_length", Some(embedding_size / heads))?;
    let sliding_windows = keys.sliding_windows()?;
    let layers = options.layers.of(sliding_windows.len()).map_err(|error| error.at(gguf.place("")))?;
    let deepest = layers.last().copied().unwrap_or_default();
    let whole_layers = deepest > 0 || options.losses;
    keys.check_depth(whole_layers)?;
    let learned = conversion.tensors.position_embedding.is_some();
    if let Some(option) = options.of_rotary_positions().filter(|_| learned) {
        return Err(super::learned_positions(option));
    }
    let max_positions = keys.positive("context_length", None)?;
    let max_positions = options.max_positions.map_or(max_positions, |positions| positions.get());
    let has_layer = |sliding: bool| sliding_windows.iter().any(|window| window.is_some() == sliding);
    let scored_theta = keys.theta(sliding_windows[deepest].is_some())?;
    let rotary = |sliding: bool| {
        if learned || !has_layer(sliding) {
            return Ok(None);
        }
        let own = keys.theta(sliding)?;
        // Layers with a base of their own keep it where others are scored.
        let theta = options.rope_theta.filter(|_| own == scored_theta).unwrap_or(own);
        keys.rotary(head_size, max_positions, sliding, theta).map(Some)
    };
    let (full_rotary, sliding_rotary) = (rotary(false)?, rotary(true)?);
    let head = match gguf.shape("output.weight")? {
        Some(_) => Head::Apart,
        None => Head::Tied,
    };
    let (epsilon, norm) = match architecture.norm {
        Norm::Layer | Norm::LayerWithoutBias => ("attention.layer_norm_epsilon", architecture.norm),
        // The converter has added the one to the weights.
        Norm::Rms | Norm::RmsOnePlus => ("attention.layer_norm_rms_epsilon", Norm::Rms),
    };
    let decoder = Decoder {
        name: name(gguf)?,
        architecture,
        tensors: &conversion.tensors,
        norm,
        row_order: conversion.row_order,
        bias: keys.has_biases()?,
        query_key_norms: conversion.tensors.query_key_norms,
        latent: None,
        embedding_size,
        vocabulary_size: vocabulary_size(gguf)?,
        heads,
        key_value_heads: keys.positive("attention.head_count_kv", Some(heads))?,
        head_size,
        max_positions,
        norm_epsilon: keys.required_real(epsilon)?,
        attention_scale: keys.attention_scale(head_size, embedding_size / heads, sliding_windows.len())?,
        logit_softcap: keys.optional_real("attn_logit_softcapping")?,
        rotary: full_rotary,
        sliding_rotary,
        rotates: architecture.rotation.of_layers(&sliding_windows),
        multipliers: keys.multipliers(embedding_size)?,
        sliding_windows,
        layers,
        feed_forward_size: if whole_layers { keys.positive("feed_forward_length", None)? } else { 0 },
        activation: architecture.activation,
        parallel_residual: keys.flag("use_parallel_residual")?.unwrap_or(architecture.parallel_residual),
        head: options.losses.then_some(head),
        final_logit_softcap: keys.optional_real("final_logit_softcapping")?,
    };
    decoder.check_depth(options.attention).map_err(|error| error.at(gguf.place("")))?;
    decoder.check_heads().map_err(|error| error.at(gguf.place("")))?;
    Ok(decoder)
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

/// The metadata of a file, by keys without the architecture that they begin with.
struct Keys<'a> {
    gguf: &'a Gguf,
    conversion: &'static Conversion,
    architecture: &'static Architecture,
}

impl<'a> Keys<'a> {
    fn new(gguf: &'a Gguf) -> Result<Self> {
        let name = gguf.required(ARCHITECTURE, gguf.text(ARCHITECTURE)?)?;
        let slides = gguf.whole(&format!("{name}.{SLIDING_WINDOW}"))?.is_some_and(|window| window > 0);
        let fits = |conversion: &&Conversion| conversion.name == name && (slides || !conversion.slides);
        let conversion = CONVERSIONS.iter().find(fits).ok_or_else(|| {
            let mut known: Vec<_> = CONVERSIONS.iter().map(|conversion| conversion.name).collect();
            known.dedup();
            let message = format!(
                "the architecture {name:?} is not supported in GGUF files: those that work are {}",
                known.join(", ")
            );
            gguf.error(ErrorKind::Unsupported, message)
        })?;
        let architecture = Architecture::find(conversion.architecture).expect("conversions are of known architectures");
        Ok(Self { gguf, conversion, architecture })
    }

    /// Refuses what layers that are computed whole would be computed wrongly with.
    fn check_depth(&self, whole_layers: bool) -> Result<()> {
        let experts = self.gguf.whole(&self.key("expert_count"))?.unwrap_or(0);
        if !whole_layers || experts == 0 {
            return Ok(());
        }
        Err(self.gguf.error(ErrorKind::Unsupported, EXPERTS))
    }

    fn has_biases(&self) -> Result<bool> {
        let (Projections::Fused(first) | Projections::FusedByHead(first) | Projections::Apart([first, ..])) =
            self.conversion.tensors.projections;
        Ok(self.gguf.shape(&format!("{}.bias", first.replace("{}", "0")))?.is_some())
    }

    fn attention_scale(&self, head_size: usize, share: usize, layers: usize) -> Result<f64> {
        let scale = self.optional_real("attention.scale")?;
        let size = if self.conversion.scaled_by_share == Some(layers) { share } else { head_size };
        Ok(scale.unwrap_or((size as f64).sqrt().recip()))
    }

    fn multipliers(&self, embedding_size: usize) -> Result<Multipliers> {
        let usual = Multipliers::of(self.architecture, embedding_size);
        let logits = self.optional_real("logit_scale")?.unwrap_or(usual.logits);
        Ok(Multipliers {
            embedding: self.optional_real("embedding_scale")?.unwrap_or(usual.embedding),
            residual: self.optional_real("residual_scale")?.unwrap_or(usual.residual),
            logits: if self.conversion.divides_logits { logits.recip() } else { logits },
        })
    }

    /// The sliding window of each layer that has one.
    fn sliding_windows(&self) -> Result<Vec<Option<usize>>> {
        let key = "block_count";
        let layers = self.positive(key, Some(1))?;
        if layers > MAX_LAYERS {
            return Err(self.invalid(key, &layers));
        }
        let window = self.gguf.whole(&self.key(SLIDING_WINDOW))?.filter(|window| *window > 0);
        let usual = match self.architecture.sliding {
            Sliding::AllButLastOf(pattern) => Some(pattern),
            Sliding::No | Sliding::All | Sliding::AllWhereUsed | Sliding::FromLayer | Sliding::WhereRotated => None,
        };
        let pattern = self.key("attention.sliding_window_pattern");
        if let Some(slides) = self.gguf.list_of_flags(&pattern)? {
            if slides.len() != layers {
                let message = format!("the metadata key {pattern} has {} entries for {layers} layers", slides.len());
                return Err(self.gguf.invalid(message));
            }
            return Ok(slides.into_iter().map(|slides| window.filter(|_| slides)).collect());
        }
        let pattern = self.gguf.whole(&pattern)?.or(usual);
        let slides = |layer: usize| pattern.is_none_or(|pattern| pattern > 0 && !(layer + 1).is_multiple_of(pattern));
        Ok((0..layers).map(|layer| window.filter(|_| slides(layer))).collect())
    }

    /// The base of the rotary embedding of layers with a sliding window, or of those without.
    fn theta(&self, sliding: bool) -> Result<f64> {
        match sliding && self.has_local_theta() {
            true => self.real("rope.freq_base_swa", LOCAL_THETA),
            false => self.real("rope.freq_base", 10_000.0),
        }
    }

    fn has_local_theta(&self) -> bool {
        self.architecture.defaults.iter().any(|(key, _)| *key == "rope_local_base_freq")
    }

    /// The rotary embedding of layers with a sliding window, or of those without.
    fn rotary(&self, head_size: usize, max_positions: usize, sliding: bool, theta: f64) -> Result<Rotary> {
        let rotated = self.positive("rope.dimension_count", Some(head_size))?;
        let scaling = match sliding && (self.has_local_theta() || self.architecture.unscaled_sliding) {
            // No scaling stretches layers that have a base of their own.
            true => Scaling::None,
            false => self.scaling(rotated, max_positions)?,
        };
        Rotary::new(theta, rotated, head_size, &scaling).map_err(|error| error.at(self.gguf.place("")))
    }

    fn scaling(&self, rotated: usize, max_positions: usize) -> Result<Scaling> {
        let original_positions = self.positive("rope.scaling.original_context_length", Some(max_positions))?;
        let attention_factor = self.optional_real("rope.scaling.attn_factor")?;
        if self.gguf.shape(LONG_FACTORS)?.is_some() {
            return Ok(Scaling::LongRope {
                original_positions,
                short: self.factors(SHORT_FACTORS, rotated)?,
                long: self.factors(LONG_FACTORS, rotated)?,
                attention_factor: attention_factor.unwrap_or(1.0),
            });
        }
        let kind = self.gguf.text(&self.key("rope.scaling.type"))?;
        if kind == Some("yarn") {
            let factor = self.real("rope.scaling.factor", max_positions as f64 / original_positions as f64)?;
            let range = CorrectionRange {
                beta_fast: self.real("rope.scaling.yarn_beta_fast", 32.0)?,
                beta_slow: self.real("rope.scaling.yarn_beta_slow", 1.0)?,
                original_positions,
                truncate: true,
            };
            let grown = 0.1 * factor.max(1.0).ln() + 1.0;
            return Ok(Scaling::Yarn { factor, range, attention_factor: grown * attention_factor.unwrap_or(1.0) });
        }
        let stretch = match kind {
            Some("none") => 1.0,
            Some("linear") => self.real("rope.scaling.factor", 1.0)?,
            None => self.real("rope.scale_linear", 1.0)?,
            Some(other) => {
                let message = format!(
                    "the rotary scaling {other:?} is not supported in GGUF files: those that work are linear and yarn"
                );
                return Err(self.gguf.error(ErrorKind::Unsupported, message));
            }
        };
        match self.gguf.shape(FREQUENCY_FACTORS)? {
            None => Ok(Scaling::Linear { factor: stretch }),
            Some(_) => {
                let factors = self.factors(FREQUENCY_FACTORS, rotated)?.into_iter();
                Ok(Scaling::Factors(factors.map(|factor| factor * stretch as f32).collect()))
            }
        }
    }

    /// What divides the frequency of each pair.
    fn factors(&self, tensor: &str, rotated: usize) -> Result<Vec<f32>> {
        let checkpoint: &dyn Checkpoint = self.gguf;
        checkpoint.read(tensor, &[rotated / 2])
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.conversion.name)
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.gguf.flag(&self.key(key))
    }

    fn positive(&self, key: &str, default: Option<usize>) -> Result<usize> {
        let full = self.key(key);
        let number = self.gguf.required(&full, self.gguf.whole(&full)?.or(default))?;
        // Larger numbers cannot be sizes, and smaller ones can be multiplied in pairs without overflow.
        if number == 0 || number > u32::MAX as usize {
            return Err(self.invalid(key, &number));
        }
        Ok(number)
    }

    /// A finite number, not below 0.
    fn real(&self, key: &str, default: f64) -> Result<f64> {
        match self.gguf.number(&self.key(key))?.unwrap_or(default) {
            number if !number.is_finite() || number < 0.0 => Err(self.invalid(key, &number)),
            number => Ok(number),
        }
    }

    fn required_real(&self, key: &str) -> Result<f64> {
        let full = self.key(key);
        self.gguf.required(&full, self.gguf.number(&full)?)?;
        self.real(key, 0.0)
    }

    /// A finite number above 0; converters also write 0 where there is none.
    fn optional_real(&self, key: &str) -> Result<Option<f64>> {
        self.real(key, 0.0).map(|number| Some(number).filter(|number| *number > 0.0))
    }

    fn invalid(&self, key: &str, found: &dyn std::fmt::Display) -> Error {
        self.gguf.invalid(format!("the metadata key {} cannot be {found}", self.key(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::architecture::ARCHITECTURES;

    /// Architectures of checkpoint directories alone; the first two are `llama` in GGUF files.
    const OTHERS: [&str; 5] = ["mistral", "mixtral", "llama4_text", "deepseek_v2", "deepseek_v3"];

    #[test]
    fn every_architecture_is_read_but_those_that_are_told_of() {
        let converted: Vec<_> = CONVERSIONS.iter().map(|conversion| conversion.architecture).collect();
        for Architecture { name, .. } in ARCHITECTURES {
            assert_eq!(converted.contains(name), !OTHERS.contains(name), "{name}");
        }
    }
}
