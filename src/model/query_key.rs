//! The contract `query-key`: queries and keys of one layer, from which the statistics are streamed.

use std::borrow::Cow;
use std::ops::{AddAssign, Range};

use bytesize::ByteSize;
use ndarray::{Array, Array1, Array2, Array3, Axis, CowArray, Dimension, Ix3, arr0, s};
use ort::value::{DynValue, Tensor};

use super::layer::Layer;
use super::metadata::{Contract, Metadata};
use super::session::{Graph, floats};
use super::verify::Comparison;
use crate::attention::{
    FarRegion, InstructionSet, PackedKeys, Precision, StreamingAttention, estimate, reference_far_mass, rows_to_draw,
};
use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::config::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::score::{Score, VarianceDomain};

pub(super) const INPUTS: [&str; 4] = ["key_ids", "key_positions", "query_ids", "query_positions"];
pub(super) const OUTPUTS: [&str; 2] = ["key", "query"];

/// The input in the place of [`INPUTS`] of a model that scores a deeper layer, whose queries and keys depend on all
/// tokens before.
pub(super) const WINDOW_INPUT: &str = "input_ids";

/// The input, a scalar, that models have whose rotary embedding depends on the length of the window.
pub(crate) const WINDOW_LENGTH: &str = "window_length";

/// Queries that are asked of the model at a time, so that memory stays near that of the packed keys.
const ROWS_AT_A_TIME: usize = 2048;

/// Keys that are asked of the model at a time.
const KEYS_AT_A_TIME: usize = 16384;

/// Tokens whose keys are held at a time where many windows are scored in one call.
const TOKENS_IN_FLIGHT: f64 = 65536.0;

/// How often the queries and keys of a window are in memory at once: as the output of the model, and as our copy of it.
const VECTORS_AT_ONCE: usize = 2;

pub(super) struct QueryKey {
    /// Bytes of the queries and keys of a token, [`token_bytes`].
    pub(super) token_bytes: usize,
    pub(super) memory_limit: ByteSize,
    /// The layer that is scored, where it is one of several.
    pub(super) layer: Option<Layer>,
    /// Factor on the product of a query and a key; `None` for the usual `1/√head_size`.
    pub(super) attention_scale: Option<f64>,
    pub(super) logit_softcap: Option<f64>,
    pub(super) instruction_set: InstructionSet,
    /// `None` for the usual one: 16-bit integers for samples, whose own errors are far greater.
    pub(super) precision: Option<Precision>,
    pub(super) rows: Rows,
    /// Whether scores carry a distance profile.
    pub(super) profile: bool,
}

impl QueryKey {
    /// The same with another setting `rows`.
    pub(super) fn on(&self, rows: Rows) -> Self {
        Self { rows, ..*self }
    }

    /// Bytes that the queries and keys of a window take that come whole.
    fn memory(&self, length: usize) -> u64 {
        (length as u64).saturating_mul((VECTORS_AT_ONCE * self.token_bytes) as u64)
    }

    /// The share of the memory for windows in flight that one of `length` tokens takes.
    pub(super) fn memory_share(&self, length: usize) -> f64 {
        let whole = self.memory(length) as f64 / self.memory_limit.as_u64() as f64;
        whole.max(length as f64 / TOKENS_IN_FLIGHT)
    }

    fn check_memory(&self, length: usize) -> Result<()> {
        let needed = self.memory(length);
        if needed <= self.memory_limit.as_u64() {
            return Ok(());
        }
        let message = format!(
            "the queries and keys of {length} tokens take {}, more than the memory_limit of {}: use shorter windows, score \
             fewer layers, or export the checkpoint with --contract statistics, which holds those of one layer at a time",
            ByteSize(needed),
            self.memory_limit
        );
        Err(Error::new(ErrorKind::MemoryLimit, message))
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
        self.score_window(&self.open(graph, ids, cancel)?, far, domain, cancel)
    }

    /// Asks the model for what it gives at once of a window.
    pub(super) fn open<'a>(&self, graph: &'a Graph, ids: &'a [u32], cancel: &'a Cancel) -> Result<Window<'a>> {
        self.check_memory(ids.len())?;
        Window::open(graph, ids, self.layer, cancel)
    }

    /// Scores an open window.
    pub(super) fn score_window(
        &self,
        window: &Window,
        far: FarRegion,
        domain: VarianceDomain,
        cancel: &Cancel,
    ) -> Result<Score> {
        let length = window.length();
        let positions: Vec<_> = (0..length).collect();
        let keys = window.packed_keys()?;
        let scale = self.scale(keys.dim().2);
        let attention = StreamingAttention::new(keys, scale, far, self.instruction_set)?;
        let drawn = match self.rows {
            Rows::All => None,
            Rows::Sample(count) => rows_to_draw(length, far, count.get()),
        };
        let usual = if drawn.is_some() { Precision::Int16 } else { Precision::Float32 };
        let precision = self.precision.unwrap_or(usual);
        let attention = attention.with_logit_softcap(self.logit_softcap).with_precision(precision).with_cancel(cancel);
        let mut queries = |rows: &[usize]| window.queries(rows);

        if let Some(drawn) = drawn {
            let estimate = estimate(&attention, &window.groups(), drawn, window.is_at_hand(), &mut queries)?;
            return Score::from_estimate(&estimate, length, far, domain);
        }
        if self.profile {
            let heads = totals(&positions, |rows| attention.profiled_masses(queries(rows)?.view(), rows))?;
            return Score::from_profiled(&heads, length, far, domain);
        }
        let heads = totals(&positions, |rows| attention.far_masses(queries(rows)?.view(), rows))?;
        Score::new(&heads, length, far, domain)
    }

    /// Compares the streaming kernels of this machine with double precision, on one window of token ids.
    pub(super) fn verify(
        &self,
        graph: &Graph,
        ids: &[u32],
        far: FarRegion,
        domain: VarianceDomain,
        cancel: &Cancel,
    ) -> Result<Vec<Comparison>> {
        self.check_memory(ids.len())?;
        let positions: Vec<_> = (0..ids.len()).collect();
        let window = Window::open(graph, ids, self.layer, cancel)?;
        let keys = window.keys(0..ids.len())?;
        let queries = window.queries(&positions)?;
        let scale = self.scale(keys.dim().2);
        let reference = reference_far_mass(queries.view(), keys.view(), scale, self.logit_softcap, far, cancel)?;
        let reference = Score::new(&reference, ids.len(), far, domain)?;
        let compared = |instruction_set: InstructionSet| {
            let streaming = Self { instruction_set, rows: Rows::All, profile: false, ..*self };
            let score = streaming.score(graph, ids, far, domain, cancel)?;
            let computed_by = format!("streaming, {}", instruction_set.name());
            Ok(Comparison::new(Contract::QueryKey, computed_by, &score, &reference))
        };
        InstructionSet::available().map(compared).collect()
    }

    fn scale(&self, head_size: usize) -> f64 {
        self.attention_scale.unwrap_or((head_size as f64).sqrt().recip())
    }
}

/// Bytes of the queries and keys that a model gives for each token of a window at once; none for a first layer, which is
/// asked for parts.
pub(super) fn token_bytes(metadata: &Metadata) -> usize {
    let heads = metadata.layers.len() * (metadata.heads + metadata.key_value_heads);
    if metadata.deepest() == 0 { 0 } else { heads * metadata.head_size * size_of::<f32>() }
}

/// The sum of each head over all rows, of which `masses` gives some as `[heads, rows]`.
fn totals<Mass: AddAssign + Copy + Default>(
    rows: &[usize],
    mut masses: impl FnMut(&[usize]) -> Result<Array2<Mass>>,
) -> Result<Vec<Mass>> {
    let mut totals = Vec::new();
    for rows in rows.chunks(ROWS_AT_A_TIME) {
        let masses = masses(rows)?;
        totals.resize(masses.nrows(), Mass::default());
        for (total, rows) in totals.iter_mut().zip(masses.outer_iter()) {
            rows.iter().for_each(|row| *total += *row);
        }
    }
    Ok(totals)
}

/// A window's queries and keys.
pub(super) enum Window<'a> {
    /// Those of a first layer, asked for in parts.
    Parts { graph: &'a Graph, ids: &'a [u32], cancel: &'a Cancel },
    /// Those of a deeper layer, which come all at once.
    Whole { keys: Array3<f32>, queries: Array3<f32> },
}

/// Tokens and their positions.
type Half<'a> = (&'a [u32], &'a [usize]);

impl<'a> Window<'a> {
    fn open(graph: &'a Graph, ids: &'a [u32], layer: Option<Layer>, cancel: &'a Cancel) -> Result<Self> {
        if graph.inputs.iter().all(|port| port.name != WINDOW_INPUT) {
            return Ok(Self::Parts { graph, ids, cancel });
        }
        let inputs = vec![(WINDOW_INPUT.to_owned(), integers(ids.iter().map(|id| i64::from(*id)))?.into())];
        let values = graph.run(inputs, OUTPUTS, cancel)?;
        let of_layer = |index: usize| {
            let all = vectors(OUTPUTS[index], &values[index], ids.len())?;
            let heads = Layer::heads(layer, all.dim().0);
            Ok(if heads.len() == all.dim().0 { all } else { all.slice(s![heads, .., ..]).to_owned() })
        };
        Ok(Self::Whole { keys: of_layer(0)?, queries: of_layer(1)? })
    }

    fn length(&self) -> usize {
        match self {
            Self::Parts { ids, .. } => ids.len(),
            Self::Whole { keys, .. } => keys.dim().1,
        }
    }

    fn is_at_hand(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// For each row a number that it shares with rows that are alike: those of one token in a first layer, and all in a
    /// deeper one.
    fn groups(&self) -> Cow<'a, [u32]> {
        match self {
            Self::Parts { ids, .. } => Cow::Borrowed(ids),
            Self::Whole { .. } => Cow::Owned(vec![0; self.length()]),
        }
    }

    fn packed_keys(&self) -> Result<PackedKeys> {
        let mut packed = None;
        for start in (0..self.length()).step_by(KEYS_AT_A_TIME) {
            let keys = self.keys(start..self.length().min(start + KEYS_AT_A_TIME))?;
            let (heads, _, head_size) = keys.dim();
            let packed = packed.get_or_insert_with(|| PackedKeys::zeros((heads, self.length(), head_size)));
            packed.set(start, keys.view())?;
        }
        packed.ok_or_else(|| Error::new(ErrorKind::TooShort, "no tokens have no keys"))
    }

    /// `[key_value_heads, positions, head_size]`.
    fn keys(&self, positions: Range<usize>) -> Result<Array3<f32>> {
        match self {
            Self::Parts { graph, ids, cancel } => {
                let all: Vec<_> = positions.clone().collect();
                ask(graph, "key", ids.len(), (&ids[positions], &all), (&[], &[]), cancel)
            }
            Self::Whole { keys, .. } => Ok(keys.slice(s![.., positions, ..]).to_owned()),
        }
    }

    /// `[heads, rows, head_size]`.
    fn queries(&self, rows: &[usize]) -> Result<CowArray<'_, f32, Ix3>> {
        match self {
            Self::Parts { graph, ids, cancel } => {
                let of_rows: Vec<_> = rows.iter().map(|row| ids[*row]).collect();
                ask(graph, "query", ids.len(), (&[], &[]), (&of_rows, rows), cancel).map(CowArray::from)
            }
            Self::Whole { queries, .. } => Ok(match rows {
                [first, .., last] if last - first < rows.len() => queries.slice(s![.., *first..=*last, ..]).into(),
                _ => queries.select(Axis(1), rows).into(),
            }),
        }
    }
}

/// Keys or queries of some tokens of a window of `length` tokens.
fn ask(graph: &Graph, output: &str, length: usize, keys: Half, queries: Half, cancel: &Cancel) -> Result<Array3<f32>> {
    let ids = |ids: &[u32]| integers(ids.iter().map(|id| i64::from(*id)));
    let positions = |positions: &[usize]| integers(positions.iter().map(|position| *position as i64));
    let values = [ids(keys.0)?, positions(keys.1)?, ids(queries.0)?, positions(queries.1)?];
    let mut inputs: Vec<_> =
        INPUTS.into_iter().zip(values).map(|(name, value)| (name.to_owned(), value.into())).collect();
    if graph.inputs.iter().any(|port| port.name == WINDOW_LENGTH) {
        inputs.push((WINDOW_LENGTH.to_owned(), tensor(arr0(length as i64))?.into()));
    }
    let [value] = graph.run(inputs, [output], cancel)?;
    vectors(output, &value, keys.0.len() + queries.0.len())
}

/// An output as `[heads, tokens, head_size]`.
pub(super) fn vectors(output: &str, value: &DynValue, tokens: usize) -> Result<Array3<f32>> {
    let array = floats(value)?;
    let shape = array.shape().to_vec();
    let array = array.into_dimensionality::<Ix3>().ok().filter(|array| array.dim().1 == tokens);
    array.ok_or_else(|| {
        let message = format!("the output {output} has shape {shape:?} where [heads, {tokens}, head size] is due");
        Error::new(ErrorKind::InvalidModel, message)
    })
}

pub(super) fn integers(values: impl Iterator<Item = i64>) -> Result<Tensor<i64>> {
    tensor(Array1::from_iter(values))
}

pub(super) fn tensor<D: Dimension + 'static>(array: Array<i64, D>) -> Result<Tensor<i64>> {
    Tensor::from_array(array).map_err(|cause| Error::new(ErrorKind::Runtime, format!("ONNX Runtime failed: {cause}")))
}
