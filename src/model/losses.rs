//! The losses of tokens, and the information gain of windows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ndarray::{Array2, Ix2};

use super::query_key::tensor;
use super::session::{Graph, floats};
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::rivals::{MIN_GAIN_TOKENS, SHORT_CONTEXT, ShortContext};

pub(crate) const INPUT: &str = "input_ids";
pub(crate) const OUTPUT: &str = "loss";

/// The file of the graph, beside that of the scores.
const FILE: &str = "loss.onnx";

/// Short contexts that are read at a time.
const CONTEXTS_AT_A_TIME: usize = 8;

/// The losses of those tokens of a window that count, usually from the 256th on, with the whole window before them and with the
/// last 128 to 255 tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct ContextLosses {
    /// With the whole window before them.
    pub whole: Vec<f32>,
    /// Of the same tokens with a short context.
    pub short: Vec<f32>,
}

/// What tells losses in an open package. Its graph is loaded when it is first asked.
pub(super) struct Losses {
    file: PathBuf,
    config: Config,
    graph: Mutex<Option<Arc<Graph>>>,
}

impl Losses {
    /// Of the package that `model_file` is of.
    pub(super) fn new(model_file: &Path, config: &Config) -> Self {
        Self { file: model_file.with_file_name(FILE), config: config.clone(), graph: Mutex::default() }
    }

    /// The losses of all tokens of a window but the first.
    pub(super) fn of_window(&self, ids: &[u32], cancel: &Cancel) -> Result<Vec<f32>> {
        let window = Array2::from_shape_fn((1, ids.len()), |(_, token)| i64::from(ids[token]));
        Ok(self.of_batch(window, cancel)?.into_raw_vec_and_offset().0)
    }

    /// The losses of the tokens that count, with the whole window before them and with the `prefix` and their short context.
    pub(super) fn context_losses(
        &self,
        ids: &[u32],
        prefix: &[u32],
        short_contexts: &[ShortContext],
        cancel: &Cancel,
    ) -> Result<ContextLosses> {
        if short_contexts.is_empty() {
            let message = format!(
                "a window of {} tokens has no information gain: it takes {MIN_GAIN_TOKENS} at least, since the first \
                 {SHORT_CONTEXT} have no more than a short context before them",
                ids.len()
            );
            return Err(Error::new(ErrorKind::TooShort, message));
        }
        // The loss of the token at `t` stands at `t - 1`.
        let of_window = self.of_window(ids, cancel)?;
        let counted = short_contexts.iter().flat_map(|context| context.counted.clone());
        let whole: Vec<_> = counted.map(|t| of_window[t - 1]).collect();
        let mut short = Vec::with_capacity(whole.len());
        for at_a_time in short_contexts.chunks(CONTEXTS_AT_A_TIME) {
            let batch = self.of_batch(contexts(ids, prefix, at_a_time), cancel)?;
            for (losses, ShortContext { start, counted }) in batch.rows().into_iter().zip(at_a_time) {
                short.extend(counted.clone().map(|t| losses[prefix.len() + t - start - 1]));
            }
        }
        Ok(ContextLosses { whole, short })
    }

    /// The losses `[batch, length - 1]` of token ids `[batch, length]`.
    fn of_batch(&self, ids: Array2<i64>, cancel: &Cancel) -> Result<Array2<f32>> {
        cancel.check()?;
        let due = [ids.nrows(), ids.ncols() - 1];
        let [losses] = self.graph()?.run(vec![(INPUT.to_owned(), tensor(ids)?.into())], [OUTPUT], cancel)?;
        let losses = floats(&losses)?;
        let shape = losses.shape().to_vec();
        let losses = losses.into_dimensionality::<Ix2>().ok().filter(|losses| losses.shape() == due);
        let losses = losses.ok_or_else(|| {
            let message = format!("{} gives losses of the shape {shape:?} where {due:?} is due", self.file.display());
            Error::new(ErrorKind::InvalidModel, message)
        })?;
        match losses.iter().all(|loss| loss.is_finite()) {
            true => Ok(losses),
            false => {
                let message = format!("{} gives losses that are not finite: export it again", self.file.display());
                Err(Error::new(ErrorKind::NonFinite, message))
            }
        }
    }

    fn graph(&self) -> Result<Arc<Graph>> {
        let mut graph = self.graph.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &*graph {
            Some(graph) => Ok(graph.clone()),
            None => Ok(graph.insert(Arc::new(Graph::open(&self.file, &self.config)?)).clone()),
        }
    }
}

/// Short contexts, each behind the prefix; behind the end of one is anything, since no token sees those after it.
fn contexts(ids: &[u32], prefix: &[u32], short_contexts: &[ShortContext]) -> Array2<i64> {
    let longest = short_contexts.iter().map(|context| context.counted.end - context.start).max().unwrap_or(0);
    Array2::from_shape_fn((short_contexts.len(), prefix.len() + longest), |(context, column)| {
        let id = match column.checked_sub(prefix.len()) {
            None => prefix[column],
            Some(offset) => ids.get(short_contexts[context].start + offset).copied().unwrap_or_default(),
        };
        i64::from(id)
    })
}
