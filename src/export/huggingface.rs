//! Checkpoints as Hugging Face publishes them: `config.json`, safetensors and `tokenizer.json`.

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::architecture::{self, ACTIVATIONS, Activation, Architecture, QueryKeyNorms, Rotation, Sliding};
use super::decoder::{Decoder, Head, MAX_LAYERS, Multipliers};
use super::files::Files;
use super::latent::Latent;
use super::package;
use super::rotary::{CorrectionRange, Rotary, RowOrder, SCALINGS, Scaling};
use super::safetensors::Tensors;
use super::{ExportOptions, learned_positions, tokenizer};
use crate::error::{Error, ErrorKind, Result};

pub(super) const CONFIG: &str = "config.json";
/// The rotary embedding in the spelling of `transformers` 5, and in that of earlier ones.
const ROPE_PARAMETERS: &str = "rope_parameters";
const ROPE_SCALING: &str = "rope_scaling";
/// Entries of `layer_types` for layers that do not see all tokens before.
const SLIDING_TYPES: [&str; 2] = ["sliding_attention", "chunked_attention"];
const ADAPTER: &str = "adapter_config.json";
const CONFIG_LIMIT: u64 = 10_000_000;

/// A vocabulary that no tokenizer can be made of here.
const WORD_PIECES: &str = "vocab.txt";

/// What tensor names begin with: of a model with a head, of a bare one, of the text part of a multimodal one.
const PREFIXES: [&str; 6] =
    ["model.", "", "language_model.model.", "model.language_model.", "gpt_neox.", "transformer."];

/// The decoder that `config.json` tells of, and the tensors.
pub(super) fn open<'a>(files: &'a dyn Files, options: &ExportOptions) -> Result<(Decoder, Tensors<'a>)> {
    let config = Config::read(files)?;
    let mut tensors = Tensors::open(files)?;
    config.check_kind()?;
    let architecture = config.architecture;
    tensors.choose_prefix(&PREFIXES, &format!("{}.weight", architecture.tensors.token_embedding))?;
    let embedding_size = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let latent = config.latent()?;
    let (head_size, turning) = match &latent {
        Some(latent) => (latent.head_size(), latent.turning),
        None => {
            let size = config.size_or("head_dim", embedding_size / heads)?;
            (size, size)
        }
    };
    let sliding_windows = config.sliding_windows()?;
    let layers = options.layers.of(sliding_windows.len()).map_err(|error| error.at(&config.place))?;
    let deepest = layers.last().copied().unwrap_or_default();
    let whole_layers = deepest > 0 || options.losses;
    config.check_depth(whole_layers)?;
    let learned = architecture.tensors.position_embedding.is_some();
    if let Some(option) = options.of_rotary_positions().filter(|_| learned) {
        return Err(learned_positions(option));
    }
    let max_positions = match options.max_positions {
        Some(positions) => positions.get(),
        None => config.size("max_position_embeddings")?,
    };
    let scored_theta = config.theta(sliding_windows[deepest].is_some())?;
    let rotary = |sliding: bool| {
        if learned || sliding_windows.iter().all(|window| window.is_some() != sliding) {
            return Ok(None);
        }
        let own = config.theta(sliding)?;
        // Layers with a base of their own keep it where others are scored.
        let theta = options.rope_theta.filter(|_| own == scored_theta).unwrap_or(own);
        config.rotary([head_size, turning], max_positions, sliding, theta).map(Some)
    };
    let (full_rotary, sliding_rotary) = (rotary(false)?, rotary(true)?);
    let rotates = config.rotating_layers(&sliding_windows)?;
    config.check_temperature(rotates[deepest])?;
    let decoder = Decoder {
        name: files.name(),
        architecture,
        tensors: &architecture.tensors,
        norm: architecture.norm,
        row_order: match (learned, config.flag("rope_interleave")?.unwrap_or(architecture.interleaved)) {
            (true, _) => RowOrder::Plain,
            (false, true) => RowOrder::Interleaved,
            (false, false) => RowOrder::Halves,
        },
        bias: config.flag("attention_bias")?.unwrap_or(architecture.bias),
        query_key_norms: config.query_key_norms()?,
        embedding_size,
        vocabulary_size: config.size("vocab_size")?,
        heads,
        key_value_heads: if latent.is_some() { heads } else { config.size_or("num_key_value_heads", heads)? },
        head_size,
        max_positions,
        norm_epsilon: config.real("rms_norm_eps")?,
        attention_scale: config.attention_scale(head_size)?
            * if latent.is_some() { config.latent_growth()? } else { 1.0 },
        latent,
        logit_softcap: config.optional_real("attn_logit_softcapping")?,
        rotary: full_rotary,
        sliding_rotary,
        rotates,
        multipliers: config.multipliers(embedding_size)?,
        sliding_windows,
        layers,
        feed_forward_size: if whole_layers { config.size_or("intermediate_size", 4 * embedding_size)? } else { 0 },
        activation: if whole_layers { config.activation()? } else { architecture.activation },
        parallel_residual: config.flag("use_parallel_residual")?.unwrap_or(architecture.parallel_residual),
        head: match options.losses {
            true => Some(config.head()?),
            false => None,
        },
        final_logit_softcap: config.optional_real("final_logit_softcapping")?,
    };
    decoder.check_depth(options.attention).map_err(|error| error.at(&config.place))?;
    decoder.check_heads().map_err(|error| error.at(&config.place))?;
    Ok((decoder, tensors))
}

/// The checkpoint's own tokenizer, and the text of its `tokenizer.json`.
pub(super) fn tokenizer(files: &dyn Files) -> Result<(Tokenizer, String)> {
    match tokenizer::find(files)? {
        Some(tokenizer) => Ok(tokenizer),
        None => Err(no_tokenizer(files)?),
    }
}

fn no_tokenizer(files: &dyn Files) -> Result<Error> {
    let mut message = format!("there is no {}", package::TOKENIZER);
    if files.size(WORD_PIECES)?.is_some() {
        message += &format!(", only {WORD_PIECES}, which takes Python to read");
    }
    message += ": save it once with AutoTokenizer.from_pretrained(…).save_pretrained(…), or pass one with --tokenizer";
    Ok(Error::new(ErrorKind::Unsupported, message).at(files.place("")))
}

/// The error of a directory without a configuration.
fn no_config(files: &dyn Files) -> Result<Error> {
    if files.size(ADAPTER)?.is_none() {
        let message = "there is none: a checkpoint is a GGUF file, or a directory with config.json, safetensors and \
                       tokenizer.json";
        return Ok(files.invalid(CONFIG, message));
    }
    let message = "an adapter, which is only what was added to a model: merge it into that one, as merge_and_unload of \
                   PEFT does, and export the result";
    Ok(Error::new(ErrorKind::Unsupported, message).at(files.place("")))
}

fn check_quantization(config: &Map<String, Value>) -> Result<()> {
    let Some(quantization) = config.get("quantization_config").and_then(Value::as_object) else { return Ok(()) };
    let method = quantization.get("quant_method").and_then(Value::as_str).unwrap_or("unknown");
    let message = format!(
        "the checkpoint is quantized (quant_method {method:?}), which is not supported: take the one that it was made \
         from, or a GGUF file"
    );
    Err(Error::new(ErrorKind::Unsupported, message))
}

fn yarn_growth(factor: f64, scale: f64) -> f64 {
    0.1 * scale * factor.max(1.0).ln() + 1.0
}

/// The configuration of a language model, or a part of it.
struct Config {
    values: Map<String, Value>,
    architecture: &'static Architecture,
    place: String,
}

impl Config {
    fn read(files: &dyn Files) -> Result<Self> {
        let Some(bytes) = files.whole(CONFIG, CONFIG_LIMIT)? else { return Err(no_config(files)?) };
        let config: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|cause| files.invalid(CONFIG, format!("not a JSON object ({cause}): get the file again")))?;
        let place = files.place(CONFIG);
        // The language model of a multimodal one.
        let values = match config.get("text_config") {
            Some(Value::Object(text)) => text.clone(),
            _ => config.clone(),
        };
        for part in [&config, &values] {
            check_quantization(part).map_err(|error| error.at(&place))?;
        }
        let Some(name) = values.get("model_type").and_then(Value::as_str) else {
            return Err(Error::new(ErrorKind::InvalidModel, "model_type is missing: get the file again").at(place));
        };
        let architecture = Architecture::find(name).ok_or_else(|| {
            let message =
                format!("the architecture {name:?} is not supported: those that work are {}", architecture::names());
            Error::new(ErrorKind::Unsupported, message).at(&place)
        })?;
        Ok(Self { values, architecture, place })
    }

    /// Refuses what would make attention another than this library takes it to be.
    fn check_kind(&self) -> Result<()> {
        if self.flag("use_bidirectional_attention")? == Some(true) {
            let message = "use_bidirectional_attention is set: only attention to earlier tokens is scored";
            return Err(Error::new(ErrorKind::Unsupported, message).at(&self.place));
        }
        if let (Some(parameters), Some(scaling)) = (self.section(ROPE_PARAMETERS), self.section(ROPE_SCALING))
            && parameters != scaling
        {
            log::warn!(
                "{}: {ROPE_SCALING} and {ROPE_PARAMETERS} differ: {ROPE_SCALING} is taken, as transformers does",
                self.place
            );
        }
        Ok(())
    }

    /// Refuses what layers after the first, where they are computed, would be computed wrongly with.
    fn check_depth(&self, whole_layers: bool) -> Result<()> {
        let key = "scale_attn_by_inverse_layer_idx";
        if whole_layers && self.flag(key)? == Some(true) {
            let message = format!("{key} is set: of such a model only layer 0 can be exported, and no losses");
            return Err(Error::new(ErrorKind::Unsupported, message).at(&self.place));
        }
        Ok(())
    }

    /// Refuses a scored layer whose queries grow with their positions.
    fn check_temperature(&self, rotates: bool) -> Result<()> {
        let key = "attn_temperature_tuning";
        if !rotates && self.flag(key)? == Some(true) {
            let message = format!("{key} is set, and the scored layer is without rotation: score another");
            return Err(Error::new(ErrorKind::Unsupported, message).at(&self.place));
        }
        Ok(())
    }

    fn query_key_norms(&self) -> Result<QueryKeyNorms> {
        match self.architecture.tensors.query_key_norms {
            QueryKeyNorms::Unweighted if self.flag("use_qk_norm")? == Some(false) => Ok(QueryKeyNorms::None),
            norms => Ok(norms),
        }
    }

    fn latent(&self) -> Result<Option<Latent>> {
        let Some(names) = self.architecture.tensors.latent else { return Ok(None) };
        Ok(Some(Latent {
            names,
            query_size: self.optional_size("q_lora_rank")?,
            key_value_size: self.size("kv_lora_rank")?,
            still: self.size("qk_nope_head_dim")?,
            turning: self.size("qk_rope_head_dim")?,
            value_head_size: self.size("v_head_dim")?,
        }))
    }

    /// By how much a scaling of the rotary embedding raises the logits of latent attention, beside its attention factor.
    fn latent_growth(&self) -> Result<f64> {
        let rope = self.rope(false)?;
        match (rope.optional_real("factor")?, rope.optional_real("mscale_all_dim")?) {
            (Some(factor), Some(scale)) => Ok(yarn_growth(factor, scale).powi(2)),
            _ => Ok(1.0),
        }
    }

    fn activation(&self) -> Result<Activation> {
        let Some(name) = self.text("hidden_act")? else { return Ok(self.architecture.activation) };
        let known = ACTIVATIONS.iter().find(|row| row.0 == name).map(|row| row.1);
        known.ok_or_else(|| {
            let names: Vec<_> = ACTIVATIONS.iter().map(|row| row.0).collect();
            let message = format!(
                "hidden_act is {name:?}: layers after the first, and losses, can be exported with {}",
                names.join(", ")
            );
            Error::new(ErrorKind::Unsupported, message).at(&self.place)
        })
    }

    /// Where the projection to the vocabulary lies.
    fn head(&self) -> Result<Head> {
        let tied = self.flag("tie_word_embeddings")?.unwrap_or(self.architecture.tied_head);
        Ok(if tied { Head::Tied } else { Head::Apart })
    }

    fn attention_scale(&self, head_size: usize) -> Result<f64> {
        if self.flag("scale_attn_weights")? == Some(false) {
            return Ok(1.0);
        }
        if let Some(scale) = self.optional_real("attention_multiplier")? {
            return Ok(scale);
        }
        Ok(self.optional_real("query_pre_attn_scalar")?.unwrap_or(head_size as f64).sqrt().recip())
    }

    fn multipliers(&self, embedding_size: usize) -> Result<Multipliers> {
        let usual = Multipliers::of(self.architecture, embedding_size);
        let divisor = self.optional_real("logits_scaling")?.unwrap_or(1.0);
        Ok(Multipliers {
            embedding: self.optional_real("embedding_multiplier")?.unwrap_or(usual.embedding),
            residual: self.optional_real("residual_multiplier")?.unwrap_or(usual.residual),
            logits: self.optional_real("logit_scale")?.unwrap_or(usual.logits) / divisor,
        })
    }

    /// Whether each layer's queries and keys turn with their positions.
    fn rotating_layers(&self, sliding_windows: &[Option<usize>]) -> Result<Vec<bool>> {
        let Rotation::AllButEvery(usual) = self.architecture.rotation else {
            return Ok(self.architecture.rotation.of_layers(sliding_windows));
        };
        let (key, layers) = ("no_rope_layers", sliding_windows.len());
        let turning = match self.get(key, "a list", Value::as_array)? {
            Some(turning) if !turning.is_empty() => turning,
            _ => {
                let interval = self.size_or("no_rope_layer_interval", usual)?;
                return Ok(Rotation::AllButEvery(interval).of_layers(sliding_windows));
            }
        };
        if turning.len() < layers {
            return Err(self.invalid(key, &format!("{} for {layers} layers", turning.len())));
        }
        let turns = |turns: &Value| turns.as_u64().filter(|turns| *turns <= 1).map(|turns| turns == 1);
        let turns: Option<_> = turning[..layers].iter().map(turns).collect();
        turns.ok_or_else(|| self.invalid(key, &"anything but numbers 0 and 1"))
    }

    /// The sliding window of each layer that has one.
    fn sliding_windows(&self) -> Result<Vec<Option<usize>>> {
        let layers = self.size("num_hidden_layers")?;
        if layers > MAX_LAYERS {
            return Err(self.invalid("num_hidden_layers", &layers));
        }
        let window = self.optional_size("sliding_window")?;
        let slides: Box<dyn Fn(usize) -> bool> = match (self.values.get("layer_types"), self.architecture.sliding) {
            (Some(Value::Array(types)), _) => {
                if types.len() != layers {
                    return Err(self.invalid("layer_types", &format!("{} for {layers} layers", types.len())));
                }
                Box::new(move |layer| SLIDING_TYPES.iter().any(|name| types[layer] == *name))
            }
            (_, Sliding::No) => Box::new(|_| false),
            (_, Sliding::All) => Box::new(|_| true),
            (_, Sliding::AllWhereUsed) => {
                let used = self.flag("use_sliding_window")? == Some(true);
                Box::new(move |_| used)
            }
            (_, Sliding::FromLayer) => {
                let first = match self.flag("use_sliding_window")? {
                    Some(true) => self.whole("max_window_layers")?.unwrap_or(layers),
                    _ => layers,
                };
                Box::new(move |layer| layer >= first)
            }
            (_, Sliding::AllButLastOf(usual)) => {
                let pattern = self.size_or("sliding_window_pattern", usual)?;
                Box::new(move |layer| !(layer + 1).is_multiple_of(pattern))
            }
            (_, Sliding::WhereRotated) => {
                let rotates = self.rotating_layers(&vec![None; layers])?;
                Box::new(move |layer| rotates[layer])
            }
        };
        Ok((0..layers).map(|layer| window.filter(|_| slides(layer))).collect())
    }

    /// The base of the rotary embedding of layers with a sliding window, or of those without.
    fn theta(&self, sliding: bool) -> Result<f64> {
        Ok(self.rope(sliding)?.optional_real("rope_theta")?.unwrap_or(10_000.0))
    }

    /// The rotary embedding of layers with a sliding window, or of those without.
    /// `turning` numbers of a head, or a part of them, turn.
    fn rotary(
        &self,
        [head_size, turning]: [usize; 2],
        max_positions: usize,
        sliding: bool,
        theta: f64,
    ) -> Result<Rotary> {
        let rope = self.rope(sliding)?;
        let rotated_part = rope.optional_real("partial_rotary_factor")?.unwrap_or(1.0);
        let rotated = (turning as f64 * rotated_part) as usize;
        let scaling = self.scaling(&rope, rotated, max_positions)?;
        let rotary = Rotary::new(theta, rotated, head_size, &scaling);
        rotary.map_err(|error| error.at(&self.place))
    }

    /// The configuration with the parameters of a kind of layers' rotary embedding put into it, from the spelling of
    /// `transformers` 5 or an earlier one. Where both are there, the earlier one is taken, as it does itself.
    fn rope(&self, sliding: bool) -> Result<Self> {
        let mut values = self.values.clone();
        let (parameters, scaling) = (self.section(ROPE_PARAMETERS), self.section(ROPE_SCALING));
        let kind = if sliding { "sliding_attention" } else { "full_attention" };
        let of_kind = parameters.or(scaling).and_then(|section| section.get(kind)?.as_object());
        let local = if sliding { self.optional_real("rope_local_base_freq")? } else { None };
        match (of_kind, local) {
            (Some(of_kind), _) => {
                values.extend(of_kind.clone());
                values.extend(scaling.filter(|_| !sliding).cloned().unwrap_or_default());
            }
            // No scaling stretches layers that have a base of their own.
            (None, Some(theta)) => drop(values.insert("rope_theta".to_owned(), theta.into())),
            (None, None) if sliding && self.architecture.unscaled_sliding => {}
            (None, None) => values.extend(scaling.or(parameters).cloned().unwrap_or_default()),
        }
        Ok(Self { values, place: self.place.clone(), ..*self })
    }

    /// The object at a key, where there is anything in it.
    fn section(&self, key: &str) -> Option<&Map<String, Value>> {
        self.values.get(key)?.as_object().filter(|section| !section.is_empty())
    }

    fn scaling(&self, rope: &Self, rotated: usize, max_positions: usize) -> Result<Scaling> {
        let kind = match rope.text("rope_type")? {
            Some(kind) => kind,
            None => rope.text("type")?.unwrap_or("default"),
        };
        // What was called so in the first configurations of phi3.
        let kind = if self.architecture.name == "phi3" && ["su", "yarn"].contains(&kind) { "longrope" } else { kind };
        let original_positions = || {
            // The whole configuration's own key takes precedence, as in `transformers`.
            let own = self.optional_size("original_max_position_embeddings")?;
            let original = own.or(rope.optional_size("original_max_position_embeddings")?);
            Ok::<_, Error>(original.unwrap_or(max_positions))
        };
        let stretch = |original: usize| match rope.optional_real("factor")? {
            Some(factor) => Ok::<_, Error>(factor),
            None => Ok(max_positions as f64 / original as f64),
        };
        match kind {
            "default" => Ok(Scaling::None),
            "linear" => Ok(Scaling::Linear { factor: rope.real("factor")? }),
            "dynamic" => Ok(Scaling::Dynamic { factor: rope.real("factor")?, max_positions }),
            "yarn" => {
                let original_positions = original_positions()?;
                let factor = stretch(original_positions)?;
                let range = CorrectionRange {
                    beta_fast: rope.optional_real("beta_fast")?.unwrap_or(32.0),
                    beta_slow: rope.optional_real("beta_slow")?.unwrap_or(1.0),
                    original_positions,
                    truncate: rope.flag("truncate")?.unwrap_or(true),
                };
                Ok(Scaling::Yarn { factor, range, attention_factor: rope.yarn_attention_factor(factor)? })
            }
            "longrope" => {
                let original_positions = original_positions()?;
                let factor = stretch(original_positions)?;
                let usual = (1.0 + factor.max(1.0).ln() / (original_positions as f64).ln()).sqrt();
                Ok(Scaling::LongRope {
                    original_positions,
                    short: rope.factors("short_factor", rotated / 2)?,
                    long: rope.factors("long_factor", rotated / 2)?,
                    attention_factor: rope.optional_real("attention_factor")?.unwrap_or(usual),
                })
            }
            "llama3" => Ok(Scaling::Llama3 {
                factor: rope.real("factor")?,
                low_frequency_factor: rope.real("low_freq_factor")?,
                high_frequency_factor: rope.real("high_freq_factor")?,
                original_positions: original_positions()?,
            }),
            other => {
                let message = format!(
                    "the rotary scaling {other:?} is not supported: those that work are {}",
                    SCALINGS.join(", ")
                );
                Err(Error::new(ErrorKind::Unsupported, message).at(&self.place))
            }
        }
    }

    fn yarn_attention_factor(&self, factor: f64) -> Result<f64> {
        if let Some(own) = self.optional_real("attention_factor")? {
            return Ok(own);
        }
        let growth = |scale| yarn_growth(factor, scale);
        Ok(match (self.optional_real("mscale")?, self.optional_real("mscale_all_dim")?) {
            (Some(scale), Some(all)) => growth(scale) / growth(all),
            _ => growth(1.0),
        })
    }

    /// One number above 0 for each pair.
    fn factors(&self, key: &str, pairs: usize) -> Result<Vec<f32>> {
        let values = self.required(key, self.get(key, "a list of numbers", Value::as_array)?)?;
        let factors: Option<Vec<_>> =
            values.iter().map(|value| value.as_f64().filter(|factor| *factor > 0.0)).collect();
        match factors {
            Some(factors) if factors.len() == pairs => Ok(factors.into_iter().map(|factor| factor as f32).collect()),
            _ => Err(self.invalid(key, &format!("anything but {pairs} numbers above 0"))),
        }
    }

    /// A number from 1.
    fn size(&self, key: &str) -> Result<usize> {
        self.required(key, self.optional_size(key)?)
    }

    fn size_or(&self, key: &str, otherwise: usize) -> Result<usize> {
        Ok(self.optional_size(key)?.unwrap_or(otherwise))
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        match self.whole(key)? {
            // Larger numbers cannot be sizes, and smaller ones can be multiplied in pairs without overflow.
            Some(size) if size == 0 || size > u32::MAX as usize => Err(self.invalid(key, &size)),
            size => Ok(size),
        }
    }

    fn whole(&self, key: &str) -> Result<Option<usize>> {
        let default = self.default(key).map(|number| number as usize);
        Ok(self.get(key, "a whole number", |value| usize::try_from(value.as_u64()?).ok())?.or(default))
    }

    /// A finite number above 0.
    fn real(&self, key: &str) -> Result<f64> {
        self.required(key, self.optional_real(key)?)
    }

    fn optional_real(&self, key: &str) -> Result<Option<f64>> {
        let default = self.default(key);
        match self.get(key, "a number", Value::as_f64)?.or(default) {
            Some(number) if !number.is_finite() || number <= 0.0 => Err(self.invalid(key, &number)),
            number => Ok(number),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "true or false", Value::as_bool)
    }

    fn text(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "a text", Value::as_str)
    }

    /// The value of a key or of its alias, `None` where it is absent or null.
    fn get<'a, T>(&'a self, key: &str, expected: &str, convert: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let alias = self.architecture.aliases.iter().find(|row| row.0 == key).map(|row| row.1);
        let value = self.values.get(key).or_else(|| self.values.get(alias?)).filter(|value| !value.is_null());
        let Some(value) = value else { return Ok(None) };
        let converted = convert(value);
        converted.map(Some).ok_or_else(|| self.error(format!("{key} is not {expected}: get the file again")))
    }

    /// What is meant where a key is absent; null says that there is none.
    fn default(&self, key: &str) -> Option<f64> {
        let absent = !self.values.contains_key(key);
        self.architecture.defaults.iter().find(|row| absent && row.0 == key).map(|row| row.1)
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.error(format!("{key} is missing: get the file again")))
    }

    fn invalid(&self, key: &str, found: &dyn std::fmt::Display) -> Error {
        self.error(format!("{key} cannot be {found}: get the file again"))
    }

    fn error(&self, message: String) -> Error {
        Error::new(ErrorKind::InvalidModel, message).at(&self.place)
    }
}
