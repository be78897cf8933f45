//! The contract `attentions`: whole maps, from any model exported with attention outputs.

use std::mem::size_of;

use bytesize::ByteSize;
use half::f16;
use ndarray::{Array, Dimension, Ix4, s};
use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, Tensor, TensorElementType};

use super::layer::Layer;
use super::metadata::{Contract, Metadata};
use super::session::{Graph, Port, floats};
use super::verify::Comparison;
use crate::attention::{FarMass, FarRegion, check_map, map_far_mass, map_profiled_mass, normalized_map_far_mass};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::score::{Score, VarianceDomain};

/// Maps that are in memory at once: logits and weights while the model runs, then the output and our copy of it.
const MAPS_AT_ONCE: u64 = 2;

pub(super) struct Attentions {
    /// The output that holds the scored layer's map.
    output: String,
    /// The layer that is scored, where that output holds several.
    layer: Option<Layer>,
    /// Query heads in that output.
    heads: usize,
    memory_limit: ByteSize,
    /// Whether scores carry a distance profile.
    profile: bool,
}

impl Attentions {
    /// Picks the output to score and learns its heads from a run over two tokens.
    pub(super) fn new(graph: &Graph, config: &Config, metadata: Option<&Metadata>) -> Result<Self> {
        let setting = config.layer.as_deref();
        let layer = metadata.map_or(Ok(None), |metadata| Layer::chosen(setting, metadata))?;
        let output = choose_output(&graph.outputs, setting.filter(|_| metadata.is_none()))?;
        let map = run(graph, &output, &[0, 1], &Cancel::default())?;
        let (_, heads, rows, columns) = map.dim();
        let row_sums = map.slice(s![0, .., 1, ..]).sum_axis(ndarray::Axis(1));
        if (rows, columns) != (2, 2) || row_sums.iter().any(|sum| (sum - 1.0).abs() > 0.01) {
            let message = format!("the output {output:?} holds no softmax weights [batch, heads, tokens, tokens]");
            return Err(Error::new(ErrorKind::InvalidModel, message));
        }
        Ok(Self { output, layer, heads, memory_limit: config.memory_limit, profile: config.profile })
    }

    /// Query heads that are scored.
    pub(super) fn scored_heads(&self) -> usize {
        Layer::heads(self.layer, self.heads).len()
    }

    /// Scores a window of token ids.
    pub(super) fn score(
        &self,
        graph: &Graph,
        ids: &[u32],
        far: FarRegion,
        domain: VarianceDomain,
        cancel: &Cancel,
    ) -> Result<Score> {
        self.score_map(&self.map(graph, ids, cancel)?, far, domain)
    }

    /// The map of a window, as a batch of one.
    pub(super) fn map(&self, graph: &Graph, ids: &[u32], cancel: &Cancel) -> Result<Array<f32, Ix4>> {
        self.check_memory(ids.len())?;
        run(graph, &self.output, ids, cancel)
    }

    /// Scores a window by its map.
    pub(super) fn score_map(&self, map: &Array<f32, Ix4>, far: FarRegion, domain: VarianceDomain) -> Result<Score> {
        let (_, heads, length, _) = map.dim();
        let map = map.slice(s![0, Layer::heads(self.layer, heads), .., ..]);
        check_map(map).map_err(|error| match error.kind() {
            ErrorKind::InvalidArgument => Error::new(
                ErrorKind::InvalidModel,
                format!("the output {:?} holds no softmax weights: {error}", self.output),
            ),
            _ => error,
        })?;
        match self.profile {
            true => Score::from_profiled(&map_profiled_mass(map, far), length, far, domain),
            false => Score::new(&map_far_mass(map, far), length, far, domain),
        }
    }

    /// Compares the map's sums with those of its rows normalized in double precision, on one window of token ids.
    pub(super) fn verify(
        &self,
        graph: &Graph,
        ids: &[u32],
        far: FarRegion,
        domain: VarianceDomain,
        cancel: &Cancel,
    ) -> Result<Vec<Comparison>> {
        let map = self.map(graph, ids, cancel)?;
        let map = map.slice(s![0, .., .., ..]);
        let score = |heads: Vec<FarMass>| Score::new(&heads, ids.len(), far, domain);
        let (found, reference) = (score(map_far_mass(map, far))?, score(normalized_map_far_mass(map, far))?);
        Ok(vec![Comparison::new(Contract::Attentions, "the model's map".to_owned(), &found, &reference)])
    }

    /// Bytes that the maps of a window take.
    fn memory(&self, length: usize) -> u64 {
        let numbers = (length as u64).saturating_pow(2).saturating_mul(self.heads as u64);
        numbers.saturating_mul(MAPS_AT_ONCE * size_of::<f32>() as u64)
    }

    /// The share of the memory for windows in flight that one of `length` tokens takes.
    pub(super) fn memory_share(&self, length: usize) -> f64 {
        self.memory(length) as f64 / self.memory_limit.as_u64() as f64
    }

    fn check_memory(&self, length: usize) -> Result<()> {
        let needed = self.memory(length);
        if needed <= self.memory_limit.as_u64() {
            return Ok(());
        }
        let message = format!(
            "the attention maps of {length} tokens take {}, more than the memory_limit of {}: use shorter windows, or a \
             scorer package by contract query-key, whose memory grows with the length alone",
            ByteSize(needed),
            self.memory_limit
        );
        Err(Error::new(ErrorKind::MemoryLimit, message))
    }
}

/// The outputs that can be attention maps: those that are named so, or else those that look so.
pub(super) fn maps(outputs: &[Port]) -> Vec<&Port> {
    let is_named = |port: &&Port| port.shape.len() == 4 && port.name.to_lowercase().contains("attention");
    let named: Vec<_> = outputs.iter().filter(is_named).collect();
    if !named.is_empty() {
        return named;
    }
    // Exporters that are told no names give numbers. Cached keys and values end in the size of a head, which is known.
    outputs.iter().filter(|port| matches!(port.shape[..], [_, _, None, None])).collect()
}

fn choose_output(outputs: &[Port], layer: Option<&str>) -> Result<String> {
    let maps = maps(outputs);
    let chosen = match layer {
        None => maps.first().copied(),
        Some(layer) => {
            let by_name = outputs.iter().find(|port| port.name == layer);
            by_name.or_else(|| maps.get(layer.parse::<usize>().ok()?).copied())
        }
    };
    chosen.map(|port| port.name.clone()).ok_or_else(|| {
        let names: Vec<_> = outputs.iter().map(|port| port.name.as_str()).collect();
        let wanted = layer.map_or("no attention map".to_owned(), |layer| format!("no layer {layer:?}"));
        let message = format!("the model has {wanted} among its outputs {}", names.join(", "));
        let kind = if layer.is_some() { ErrorKind::InvalidSetting } else { ErrorKind::InvalidModel };
        Error::new(kind, message)
    })
}

fn run(graph: &Graph, output: &str, ids: &[u32], cancel: &Cancel) -> Result<Array<f32, Ix4>> {
    let inputs = graph.inputs.iter().map(|port| Ok((port.name.clone(), feed(port, ids)?)));
    let [value] = graph.run(inputs.collect::<Result<_>>()?, [output], cancel)?;
    let map = floats(&value)?;
    let shape = map.shape().to_vec();
    map.into_dimensionality::<Ix4>().map_err(|_| {
        let message = format!("the output {output:?} has shape {shape:?} where [batch, heads, tokens, tokens] is due");
        Error::new(ErrorKind::InvalidModel, message)
    })
}

/// The value of one input for a whole window without padding and without a past.
fn feed(port: &Port, ids: &[u32]) -> Result<SessionInputValue<'static>> {
    let length = ids.len();
    let batch = |values: Vec<i64>| integers(port, Array::from_shape_vec((1, length), values).expect("one row"));
    match port.name.as_str() {
        "input_ids" => batch(ids.iter().map(|id| i64::from(*id)).collect()),
        "attention_mask" => batch(vec![1; length]),
        "token_type_ids" => batch(vec![0; length]),
        "position_ids" => batch((0..length as i64).collect()),
        "cache_position" => integers(port, Array::from_iter(0..length as i64)),
        "use_cache_branch" => tensor(Array::from_elem(1, false)),
        name if name.starts_with("past") => empty_past(port),
        name => {
            let message = format!("the model wants an input {name:?}, which is not known here");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

fn integers<D: Dimension + 'static>(port: &Port, values: Array<i64, D>) -> Result<SessionInputValue<'static>> {
    match port.element_type {
        TensorElementType::Int64 => tensor(values),
        TensorElementType::Int32 => tensor(values.mapv(|value| value as i32)),
        TensorElementType::Bool => tensor(values.mapv(|value| value != 0)),
        TensorElementType::Float32 => tensor(values.mapv(|value| value as f32)),
        _ => Err(unknown_type(port)),
    }
}

/// Keys or values `[batch, heads, past length, head size]` of no tokens.
fn empty_past(port: &Port) -> Result<SessionInputValue<'static>> {
    let &[_, heads, _, size] = port.shape.as_slice() else {
        let message = format!("the input {:?} does not have the four dimensions of past keys or values", port.name);
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let shape = (1, heads.unwrap_or(1), 0, size.unwrap_or(1));
    match port.element_type {
        TensorElementType::Float32 => tensor(Array::<f32, _>::zeros(shape)),
        TensorElementType::Float16 => tensor(Array::from_elem(shape, f16::ZERO)),
        _ => Err(unknown_type(port)),
    }
}

fn unknown_type(port: &Port) -> Error {
    let message = format!("the input {:?} is of type {}, which is not known here", port.name, port.element);
    Error::new(ErrorKind::Unsupported, message)
}

fn tensor<T, D>(array: Array<T, D>) -> Result<SessionInputValue<'static>>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
    D: Dimension + 'static,
{
    let tensor = Tensor::from_array(array);
    tensor.map(Into::into).map_err(|cause| Error::new(ErrorKind::Runtime, format!("ONNX Runtime failed: {cause}")))
}
