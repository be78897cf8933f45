//! The contract `query-key`: queries and keys of one layer, from which the statistics are streamed.

use std::ops::AddAssign;

use ndarray::{Array, Array1, Array2, Array3, Dimension, Ix3, arr0};
use ort::value::Tensor;

use super::metadata::Contract;
use super::session::{Graph, floats};
use super::verify::Comparison;
use crate::attention::{
    FarRegion, InstructionSet, PackedKeys, Precision, StreamingAttention, estimate, reference_far_mass,
};
use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::config::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::score::{Score, VarianceDomain};

pub(super) const INPUTS: [&str; 4] = ["key_ids", "key_positions", "query_ids", "query_positions"];
pub(super) const OUTPUTS: [&str; 2] = ["key", "query"];

/// The input, a scalar, that models have whose rotary embedding depends on the length of the window.
pub(crate) const WINDOW_LENGTH: &str = "window_length";

/// Queries that are asked of the model at a time, so that memory stays near that of the packed keys.
const ROWS_AT_A_TIME: usize = 2048;

/// Keys that are asked of the model at a time.
const KEYS_AT_A_TIME: usize = 16384;

/// Tokens whose keys are held at a time where many windows are scored in one call.
const TOKENS_IN_FLIGHT: f64 = 65536.0;

pub(super) struct QueryKey {
    /// Factor on the product of a query and a key; `None` for the usual `1/√head_size`.
    pub(super) attention_scale: Option<f64>,
    pub(super) logit_softcap: Option<f64>,
    pub(super) instruction_set: InstructionSet,
    pub(super) precision: Precision,
    pub(super) rows: Rows,
    /// Whether scores carry a distance profile.
    pub(super) profile: bool,
}

impl QueryKey {
    /// The share of the memory for windows in flight that one of `length` tokens takes.
    pub(super) fn memory_share(length: usize) -> f64 {
        length as f64 / TOKENS_IN_FLIGHT
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
        let positions: Vec<_> = (0..ids.len()).collect();
        let window = Window { graph, length: ids.len() };
        let keys = window.packed_keys(ids, &positions, cancel)?;
        let scale = self.scale(keys.dim().2);
        let attention = StreamingAttention::new(keys, scale, far, self.instruction_set)?;
        let attention = attention.with_logit_softcap(self.logit_softcap).with_precision(self.precision);
        let mut queries = |rows: &[usize]| {
            cancel.check()?;
            let ids: Vec<_> = rows.iter().map(|row| ids[*row]).collect();
            window.ask("query", (&[], &[]), (&ids, rows))
        };

        if let Rows::Sample(count) = self.rows
            && let Some(estimate) = estimate(&attention, ids, count.get(), &mut queries)?
        {
            return Score::from_estimate(&estimate, ids.len(), far, domain);
        }
        if self.profile {
            let heads = totals(&positions, |rows| attention.profiled_masses(queries(rows)?.view(), rows))?;
            return Score::from_profiled(&heads, ids.len(), far, domain);
        }
        let heads = totals(&positions, |rows| attention.far_masses(queries(rows)?.view(), rows))?;
        Score::new(&heads, ids.len(), far, domain)
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
        let positions: Vec<_> = (0..ids.len()).collect();
        let window = Window { graph, length: ids.len() };
        let keys = window.ask("key", (ids, &positions), (&[], &[]))?;
        let queries = window.ask("query", (&[], &[]), (ids, &positions))?;
        let scale = self.scale(keys.dim().2);
        let reference = reference_far_mass(queries.view(), keys.view(), scale, self.logit_softcap, far)?;
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

/// Tokens and their positions.
type Half<'a> = (&'a [u32], &'a [usize]);

/// A window whose queries and keys are asked for in parts.
struct Window<'a> {
    graph: &'a Graph,
    /// Tokens in all.
    length: usize,
}

impl Window<'_> {
    fn packed_keys(&self, ids: &[u32], positions: &[usize], cancel: &Cancel) -> Result<PackedKeys> {
        let mut packed = None;
        for (ids, positions) in ids.chunks(KEYS_AT_A_TIME).zip(positions.chunks(KEYS_AT_A_TIME)) {
            cancel.check()?;
            let keys = self.ask("key", (ids, positions), (&[], &[]))?;
            let (heads, _, head_size) = keys.dim();
            let packed = packed.get_or_insert_with(|| PackedKeys::zeros((heads, self.length, head_size)));
            packed.set(positions[0], keys.view())?;
        }
        packed.ok_or_else(|| Error::new(ErrorKind::TooShort, "no tokens have no keys"))
    }

    fn ask(&self, output: &str, keys: Half, queries: Half) -> Result<Array3<f32>> {
        let ids = |ids: &[u32]| integers(ids.iter().map(|id| i64::from(*id)));
        let positions = |positions: &[usize]| integers(positions.iter().map(|position| *position as i64));
        let values = [ids(keys.0)?, positions(keys.1)?, ids(queries.0)?, positions(queries.1)?];
        let mut inputs: Vec<_> =
            INPUTS.into_iter().zip(values).map(|(name, value)| (name.to_owned(), value.into())).collect();
        if self.graph.inputs.iter().any(|port| port.name == WINDOW_LENGTH) {
            inputs.push((WINDOW_LENGTH.to_owned(), tensor(arr0(self.length as i64))?.into()));
        }
        let value = self.graph.run(inputs, output)?;
        let array = floats(&value)?;
        let (tokens, shape) = (keys.0.len() + queries.0.len(), array.shape().to_vec());
        let array = array.into_dimensionality::<Ix3>().ok().filter(|array| array.dim().1 == tokens);
        array.ok_or_else(|| {
            let message = format!("the output {output} has shape {shape:?} where [heads, {tokens}, head size] is due");
            Error::new(ErrorKind::InvalidModel, message)
        })
    }
}

fn integers(values: impl Iterator<Item = i64>) -> Result<Tensor<i64>> {
    tensor(Array1::from_iter(values))
}

fn tensor<D: Dimension + 'static>(array: Array<i64, D>) -> Result<Tensor<i64>> {
    Tensor::from_array(array).map_err(|cause| Error::new(ErrorKind::Runtime, format!("ONNX Runtime failed: {cause}")))
}
