//! A decoder up to the queries and keys of its deepest scored layer, or up to its losses, whatever kind of checkpoint tells of
//! it.

use ndarray::{Array2, s};

use super::AttentionOperators;
use super::architecture::{
    Activation, Architecture, BlockNames, FeedForward, Norm, Projections, QueryKeyNorms, TensorNames,
};
use super::checkpoint::{Checkpoint, bias, of_layer, weight};
use super::latent::{Compression, Latent, LatentTensors};
use super::rotary::{Rotary, RowOrder};
use crate::error::{Error, ErrorKind, Result};

/// More layers than any decoder has.
pub(super) const MAX_LAYERS: usize = 10_000;

/// Why layers of experts are not computed whole.
pub(super) const EXPERTS: &str = "a mixture of experts: of such a model only layer 0 can be exported, and no losses";

/// Sizes of heads that ONNX Runtime's fused attention takes are multiples of this.
const FUSED_ATTENTION_HEAD: usize = 8;

/// The sizes and constants of a decoder, and how its checkpoint stores its tensors.
pub(super) struct Decoder {
    pub name: String,
    pub architecture: &'static Architecture,
    pub tensors: &'static TensorNames,
    /// The norms as they are stored.
    pub norm: Norm,
    /// The order of rows in the projections to queries and keys.
    pub row_order: RowOrder,
    /// Whether the projections have biases.
    pub bias: bool,
    pub query_key_norms: QueryKeyNorms,
    pub latent: Option<Latent>,
    pub embedding_size: usize,
    pub vocabulary_size: usize,
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_size: usize,
    pub max_positions: usize,
    pub norm_epsilon: f64,
    pub attention_scale: f64,
    pub logit_softcap: Option<f64>,
    /// The rotary embedding of layers with full attention; `None` where positions are learned or there is no such layer.
    pub rotary: Option<Rotary>,
    /// That of layers that attend through a sliding window.
    pub sliding_rotary: Option<Rotary>,
    /// The sliding window of each layer that attends through one.
    pub sliding_windows: Vec<Option<usize>>,
    /// Whether each layer's queries and keys turn with their positions.
    pub rotates: Vec<bool>,
    pub multipliers: Multipliers,
    /// The layers that are scored, ascending, at least one.
    pub layers: Vec<usize>,
    /// Rows of the feed-forward network's gate; 0 where no layer is computed whole.
    pub feed_forward_size: usize,
    pub activation: Activation,
    /// Whether the feed-forward network reads what attention reads, not what attention makes of it.
    pub parallel_residual: bool,
    /// The projection to the vocabulary; `None` where no losses are asked for.
    pub head: Option<Head>,
    /// The number `c` where a logit `x` of the vocabulary becomes `c · tanh(x / c)`.
    pub final_logit_softcap: Option<f64>,
}

/// What numbers are multiplied by on their way.
pub(super) struct Multipliers {
    pub embedding: f64,
    /// What a layer's attention and its feed-forward network each add to the hidden state.
    pub residual: f64,
    /// The logits of the vocabulary.
    pub logits: f64,
}

impl Multipliers {
    pub(super) const NONE: Self = Self { embedding: 1.0, residual: 1.0, logits: 1.0 };

    /// Those of an architecture that has none but for its embedding.
    pub(super) fn of(architecture: &Architecture, embedding_size: usize) -> Self {
        match architecture.scaled_embedding {
            true => Self { embedding: (embedding_size as f64).sqrt(), ..Self::NONE },
            false => Self::NONE,
        }
    }
}

/// Where the projection to the vocabulary lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// In the embedding.
    Tied,
    /// In a tensor of its own.
    Apart,
}

/// The projection to queries, keys or values, and where in the checkpoint it lies.
#[derive(Clone)]
struct Projection {
    /// What it gives, `query`, `key` or `value`.
    name: &'static str,
    heads: usize,
    tensor: String,
    /// Rows of the tensor, which other projections may share.
    stored_rows: usize,
    first_row: usize,
    /// From one head's first row to the next head's.
    stride: usize,
    row_order: RowOrder,
    /// Numbers of a head that turn.
    rotated: usize,
    norm: Option<QueryKeyNorm>,
}

/// The norm after a projection.
#[derive(Clone)]
struct QueryKeyNorm {
    /// `None` where all weights are 1.
    tensor: Option<String>,
    /// Heads that have weights of their own.
    heads: usize,
}

/// The weights of a norm, and its bias where it has one.
pub(super) struct NormWeights {
    pub weights: Vec<f32>,
    pub bias: Option<Vec<f32>>,
}

/// The weights of a projection, its rows in the order of this library.
pub(super) struct ProjectionWeights {
    /// What it gives, `query`, `key` or `value`.
    pub name: &'static str,
    /// What comes before it, where attention is latent.
    pub compression: Option<Compression>,
    /// `[embedding_size, rows]`, or of as many columns as the state is compressed to.
    pub matrix: Array2<f32>,
    /// For each row.
    pub bias: Option<Vec<f32>>,
    /// Of the norm after it: for each row of a head, or for each row.
    pub norm: Option<Vec<f32>>,
}

/// A tensor of one projection or several, and its bias, as they are stored.
struct Stored {
    tensor: String,
    matrix: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// All that a layer's queries and keys, and its values where they are needed, are computed with from its input.
pub(super) struct LayerWeights {
    pub input_norm: Option<NormWeights>,
    pub projections: Vec<ProjectionWeights>,
}

/// A matrix of what follows attention, and its bias where the checkpoint has one.
pub(super) struct Linear {
    /// What it is called in the graph.
    pub name: &'static str,
    tensor: String,
    /// Rows of the tensor, which another matrix may share.
    stored_rows: usize,
    first_row: usize,
    rows: usize,
    columns: usize,
    /// Whether what it gives is added to the hidden state.
    adds: bool,
}

/// The weights of a [`Linear`].
pub(super) struct LinearWeights {
    /// `[columns, rows]`.
    pub matrix: Array2<f32>,
    /// For each row.
    pub bias: Option<Vec<f32>>,
}

impl Decoder {
    pub(super) fn token_embedding(&self) -> (String, [usize; 2]) {
        (weight(self.tensors.token_embedding), [self.vocabulary_size, self.embedding_size])
    }

    /// The learned positions.
    pub(super) fn position_embedding(&self) -> Option<(String, [usize; 2])> {
        self.tensors.position_embedding.map(|name| (weight(name), [self.max_positions, self.embedding_size]))
    }

    /// Factor on the embedding.
    pub(super) fn embedding_scale(&self) -> Option<f32> {
        Some(self.multipliers.embedding as f32).filter(|scale| *scale != 1.0)
    }

    /// The last scored layer, of which no more than queries and keys is needed for scores.
    pub(super) fn deepest(&self) -> usize {
        self.layers.last().copied().unwrap_or_default()
    }

    /// The rotary embedding of a layer; `None` where positions are learned, and where it has none.
    pub(super) fn rotary(&self, layer: usize) -> Option<&Rotary> {
        if !self.rotates[layer] {
            return None;
        }
        match self.sliding_windows[layer] {
            None => self.rotary.as_ref(),
            Some(_) => self.sliding_rotary.as_ref(),
        }
    }

    pub(super) fn layer_count(&self) -> usize {
        self.sliding_windows.len()
    }

    /// How many layers, from the first on, are computed whole: all for losses, or else those before the last scored one.
    pub(super) fn whole_layers(&self) -> usize {
        if self.head.is_some() { self.layer_count() } else { self.deepest() }
    }

    /// Whether layers that are computed whole attend through a sliding window.
    pub(super) fn slides_inside(&self) -> bool {
        self.sliding_windows[..self.whole_layers()].iter().any(Option::is_some)
    }

    /// How many layers, from the first on, are read.
    pub(super) fn read_layers(&self) -> usize {
        self.whole_layers().max(self.deepest() + 1)
    }

    /// The projection to the vocabulary where it has a tensor of its own.
    pub(super) fn own_head(&self) -> Option<(String, [usize; 2])> {
        let apart = self.head == Some(Head::Apart);
        apart.then(|| (weight(self.tensors.head), [self.vocabulary_size, self.embedding_size]))
    }

    /// Whether queries and keys before the rotary embedding depend on the token id alone, and tables of them are of use: those
    /// of latent attention would be many times what they are computed from.
    pub(super) fn folds(&self) -> bool {
        self.deepest() == 0 && self.tensors.position_embedding.is_none() && self.latent.is_none()
    }

    fn latent_tensors<'a>(
        &self,
        latent: &'a Latent,
        checkpoint: &'a dyn Checkpoint,
        layer: usize,
    ) -> LatentTensors<'a> {
        let Self { heads, embedding_size, bias, row_order, .. } = *self;
        LatentTensors { latent, checkpoint, layer, heads, embedding_size, bias, row_order }
    }

    /// The shortest sliding window of the scored layers.
    pub(super) fn sliding_window(&self) -> Option<usize> {
        self.layers.iter().filter_map(|layer| self.sliding_windows.get(*layer).copied().flatten()).min()
    }

    /// The first layer that attends without a sliding window.
    pub(super) fn first_full_layer(&self) -> Option<usize> {
        self.sliding_windows.iter().position(Option::is_none)
    }

    /// Checks that layers can be computed whole where they have to be.
    pub(super) fn check_depth(&self, attention: AttentionOperators) -> Result<()> {
        if self.whole_layers() > 0 && matches!(self.tensors.block.feed_forward, FeedForward::Experts) {
            return Err(Error::new(ErrorKind::Unsupported, EXPERTS));
        }
        let is_fused = self.whole_layers() > 0 && attention == AttentionOperators::Fused;
        if !is_fused || self.head_size.is_multiple_of(FUSED_ATTENTION_HEAD) {
            return Ok(());
        }
        let message = format!(
            "layers after the first, and losses, cannot be exported with heads of {} numbers: ONNX Runtime's fused \
             attention takes multiples of {FUSED_ATTENTION_HEAD}; choose standard operators (--attention standard)",
            self.head_size
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Checks that heads can share keys.
    pub(super) fn check_heads(&self) -> Result<()> {
        let (heads, key_value_heads) = (self.heads, self.key_value_heads);
        if !heads.is_multiple_of(key_value_heads) {
            let message = format!("{heads} heads cannot share {key_value_heads} key heads evenly");
            return Err(Error::new(ErrorKind::InvalidModel, message));
        }
        Ok(())
    }

    /// Checks the shapes of all tensors that will be read, before anything is allocated by them.
    pub(super) fn check(&self, checkpoint: &dyn Checkpoint) -> Result<()> {
        let (embedding, shape) = self.token_embedding();
        checkpoint.check_shape(&embedding, &shape)?;
        if let Some((positions, shape)) = self.position_embedding() {
            checkpoint.check_shape(&positions, &shape)?;
        }
        if self.head.is_some() {
            checkpoint.check_shape(&weight(self.tensors.output_norm), &[self.embedding_size])?;
        }
        if let Some((head, shape)) = self.own_head() {
            checkpoint.check_shape(&head, &shape)?;
        }
        (0..self.read_layers()).try_for_each(|layer| self.check_tensors(checkpoint, layer))
    }

    fn check_tensors(&self, checkpoint: &dyn Checkpoint, layer: usize) -> Result<()> {
        let input_norm = self.tensors.input_norm.map(|norm| of_layer(norm, layer));
        let norms = self.block_norms(layer).into_iter().map(|(_, tensor)| tensor);
        for norm in input_norm.into_iter().chain(norms) {
            checkpoint.check_shape(&weight(&norm), &[self.embedding_size])?;
        }
        for linear in self.linears(layer) {
            checkpoint.check_shape(&weight(&linear.tensor), &self.stored_shape(linear.stored_rows, linear.columns))?;
        }
        if let Some(latent) = &self.latent {
            return self.latent_tensors(latent, checkpoint, layer).check();
        }
        for projection in self.projections(layer) {
            let shape = self.stored_shape(projection.stored_rows, self.embedding_size);
            checkpoint.check_shape(&weight(&projection.tensor), &shape)?;
            let bias = bias(&projection.tensor);
            if !self.bias && checkpoint.shape(&bias)?.is_some() {
                let message = format!("there is a tensor {bias}, which the configuration does not tell of");
                return Err(checkpoint.invalid(&bias, message));
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, checkpoint: &dyn Checkpoint, layer: usize) -> Result<LayerWeights> {
        let input_norm =
            self.tensors.input_norm.map(|norm| self.norm(checkpoint, &of_layer(norm, layer))).transpose()?;
        if let Some(latent) = &self.latent {
            let tensors = self.latent_tensors(latent, checkpoint, layer);
            let projections = [("query", tensors.query()?), ("key", tensors.key()?)];
            let projections = projections.map(|(name, (compression, matrix))| ProjectionWeights {
                name,
                compression,
                matrix,
                bias: None,
                norm: None,
            });
            return Ok(LayerWeights { input_norm, projections: projections.into() });
        }
        let mut projections = Vec::new();
        let mut last: Option<Stored> = None;
        for projection in self.projections(layer) {
            let stored = match last.take().filter(|stored| stored.tensor == projection.tensor) {
                Some(stored) => stored,
                None => self.stored(checkpoint, &projection)?,
            };
            projections.push(self.projection(checkpoint, projection, &stored)?);
            last = Some(stored);
        }
        Ok(LayerWeights { input_norm, projections })
    }

    /// The norm after the last layer, where losses are asked for.
    pub(super) fn output_norm(&self, checkpoint: &dyn Checkpoint) -> Result<Option<NormWeights>> {
        if self.head.is_none() {
            return Ok(None);
        }
        let mut norm = self.norm(checkpoint, self.tensors.output_norm)?;
        // All that follows the norm is the projection to the logits.
        scale(&mut norm.weights, self.multipliers.logits);
        norm.bias.iter_mut().for_each(|bias| scale(bias, self.multipliers.logits));
        Ok(Some(norm))
    }

    /// The norms of a whole layer but the first of them, by what they are called in the graph.
    pub(super) fn read_block_norms(
        &self,
        checkpoint: &dyn Checkpoint,
        layer: usize,
    ) -> Result<Vec<(&'static str, NormWeights)>> {
        let norms = self.block_norms(layer).into_iter();
        norms.map(|(name, tensor)| Ok((name, self.norm(checkpoint, &tensor)?))).collect()
    }

    pub(super) fn read_linear(&self, checkpoint: &dyn Checkpoint, linear: &Linear) -> Result<LinearWeights> {
        let shape = self.stored_shape(linear.stored_rows, linear.columns);
        let stored = checkpoint.read(&weight(&linear.tensor), &shape)?;
        let stored = Array2::from_shape_vec(shape, stored).expect("the shape is checked");
        let columns_by_rows = if self.tensors.transposed { stored.view() } else { stored.t() };
        let rows = linear.first_row..linear.first_row + linear.rows;
        let mut matrix = columns_by_rows.slice(s![.., rows.clone()]).as_standard_layout().into_owned();
        let bias = bias(&linear.tensor);
        let mut bias = match checkpoint.shape(&bias)? {
            Some(_) => Some(checkpoint.read(&bias, &[linear.stored_rows])?[rows].to_vec()),
            None => None,
        };
        if linear.adds {
            matrix *= self.multipliers.residual as f32;
            bias.iter_mut().for_each(|bias| scale(bias, self.multipliers.residual));
        }
        Ok(LinearWeights { matrix, bias })
    }

    /// What follows queries, keys and values in a whole layer.
    pub(super) fn linears(&self, layer: usize) -> Vec<Linear> {
        let Some(block) = self.block(layer) else { return Vec::new() };
        let (hidden, inner) = (self.embedding_size, self.feed_forward_size);
        let linear = |name: &'static str, tensor, rows, columns| Linear {
            name,
            tensor: of_layer(tensor, layer),
            stored_rows: rows,
            first_row: 0,
            rows,
            columns,
            adds: ["attention_output", "down"].contains(&name),
        };
        let half = |name, tensor, first_row| Linear {
            stored_rows: 2 * inner,
            first_row,
            ..linear(name, tensor, inner, hidden)
        };
        let attention_output = linear("attention_output", block.attention_output, hidden, self.heads * self.head_size);
        let mut linears = vec![attention_output];
        linears.extend(match block.feed_forward {
            FeedForward::Gated { gate, up, down } => vec![
                linear("gate", gate, inner, hidden),
                linear("up", up, inner, hidden),
                linear("down", down, hidden, inner),
            ],
            FeedForward::GatedFused { gate_up, down } => {
                vec![half("gate", gate_up, 0), half("up", gate_up, inner), linear("down", down, hidden, inner)]
            }
            FeedForward::Plain { up, down } => {
                vec![linear("up", up, inner, hidden), linear("down", down, hidden, inner)]
            }
            FeedForward::Experts => Vec::new(),
        });
        linears
    }

    /// What the norms of a whole layer but the first of them are called in the graph, and their tensors.
    fn block_norms(&self, layer: usize) -> Vec<(&'static str, String)> {
        let Some(block) = self.block(layer) else { return Vec::new() };
        let norms = [
            ("post_attention_norm", block.post_attention_norm),
            ("feed_forward_norm", block.feed_forward_norm),
            ("post_feed_forward_norm", block.post_feed_forward_norm),
        ];
        norms.into_iter().filter_map(|(name, tensor)| Some((name, of_layer(tensor?, layer)))).collect()
    }

    /// The rest of a whole layer; of any other no more than queries and keys is needed.
    fn block(&self, layer: usize) -> Option<&BlockNames> {
        (layer < self.whole_layers()).then_some(&self.tensors.block)
    }

    /// The projections to queries and keys, and to values in whole layers.
    fn projections(&self, layer: usize) -> Vec<Projection> {
        let mut projections = self.all_projections(layer).to_vec();
        if layer >= self.whole_layers() {
            projections.truncate(2);
        }
        projections
    }

    fn all_projections(&self, layer: usize) -> [Projection; 3] {
        let (queries, keys) = (self.heads * self.head_size, self.key_value_heads * self.head_size);
        let norm = |index: usize, all_heads| {
            let (names, heads) = match self.query_key_norms {
                QueryKeyNorms::None => return None,
                QueryKeyNorms::ByHead(names) => (Some(names), 1),
                QueryKeyNorms::AllHeads(names) => (Some(names), all_heads),
                QueryKeyNorms::Unweighted => (None, self.rotates[layer].then_some(1)?),
            };
            Some(QueryKeyNorm { tensor: names.map(|names| of_layer(names[index], layer)), heads })
        };
        let query = Projection {
            name: "query",
            heads: self.heads,
            tensor: String::new(),
            stored_rows: queries,
            first_row: 0,
            stride: self.head_size,
            row_order: self.row_order,
            rotated: self.rotary(layer).map_or(0, |rotary| rotary.rotated),
            norm: norm(0, self.heads),
        };
        let key = Projection {
            name: "key",
            heads: self.key_value_heads,
            stored_rows: keys,
            norm: norm(1, self.key_value_heads),
            ..query.clone()
        };
        // Values are not rotated, so no checkpoint regroups their rows.
        let value = Projection { name: "value", row_order: RowOrder::Plain, norm: None, ..key.clone() };
        match self.tensors.projections {
            Projections::Apart([query_tensor, key_tensor, value_tensor]) => [
                Projection { tensor: of_layer(query_tensor, layer), ..query },
                Projection { tensor: of_layer(key_tensor, layer), ..key },
                Projection { tensor: of_layer(value_tensor, layer), ..value },
            ],
            Projections::Fused(tensor) => {
                let fused = |projection, first_row| Projection {
                    tensor: of_layer(tensor, layer),
                    stored_rows: queries + 2 * keys,
                    first_row,
                    ..projection
                };
                [fused(query, 0), fused(key, queries), fused(value, queries + keys)]
            }
            Projections::FusedByHead(tensor) => {
                let fused = |projection, first_row| Projection {
                    tensor: of_layer(tensor, layer),
                    stored_rows: 3 * queries,
                    stride: 3 * self.head_size,
                    first_row,
                    ..projection
                };
                [fused(query, 0), fused(key, self.head_size), fused(value, 2 * self.head_size)]
            }
        }
    }

    fn norm(&self, checkpoint: &dyn Checkpoint, name: &str) -> Result<NormWeights> {
        let weights = self.norm_weights(checkpoint, name, self.embedding_size)?;
        let bias = match self.norm {
            Norm::Layer => Some(checkpoint.read(&bias(name), &[self.embedding_size])?),
            Norm::LayerWithoutBias => Some(vec![0.0; self.embedding_size]),
            Norm::Rms | Norm::RmsOnePlus => None,
        };
        Ok(NormWeights { weights, bias })
    }

    fn norm_weights(&self, checkpoint: &dyn Checkpoint, name: &str, size: usize) -> Result<Vec<f32>> {
        let mut weights = checkpoint.read(&weight(name), &[size])?;
        if self.norm == Norm::RmsOnePlus {
            weights.iter_mut().for_each(|weight| *weight += 1.0);
        }
        Ok(weights)
    }

    fn stored(&self, checkpoint: &dyn Checkpoint, projection: &Projection) -> Result<Stored> {
        let shape = self.stored_shape(projection.stored_rows, self.embedding_size);
        let matrix = checkpoint.read(&weight(&projection.tensor), &shape)?;
        let bias = match self.bias {
            true => Some(checkpoint.read(&bias(&projection.tensor), &[projection.stored_rows])?),
            false => None,
        };
        Ok(Stored { tensor: projection.tensor.clone(), matrix, bias })
    }

    fn projection(
        &self,
        checkpoint: &dyn Checkpoint,
        projection: Projection,
        stored: &Stored,
    ) -> Result<ProjectionWeights> {
        let columns = self.embedding_size;
        let rows = self.stored_rows(&projection);
        let matrix = Array2::from_shape_fn((columns, rows.len()), |(column, row)| match self.tensors.transposed {
            true => stored.matrix[column * projection.stored_rows + rows[row]],
            false => stored.matrix[rows[row] * columns + column],
        });
        let bias = stored.bias.as_ref().map(|bias| rows.iter().map(|row| bias[*row]).collect());
        let norm = projection.norm.as_ref();
        let norm = norm.map(|norm| self.query_key_norm(checkpoint, norm, projection.rotated)).transpose()?;
        Ok(ProjectionWeights { name: projection.name, compression: None, matrix, bias, norm })
    }

    fn query_key_norm(&self, checkpoint: &dyn Checkpoint, norm: &QueryKeyNorm, rotated: usize) -> Result<Vec<f32>> {
        let size = norm.heads * self.head_size;
        let Some(tensor) = &norm.tensor else { return Ok(vec![1.0; size]) };
        let stored = self.norm_weights(checkpoint, tensor, size)?;
        let rows = (0..norm.heads).flat_map(|head| self.rows_of_head(head * self.head_size, self.row_order, rotated));
        Ok(rows.map(|row| stored[row]).collect())
    }

    /// Where each row of a projection lies in its tensor.
    fn stored_rows(&self, projection: &Projection) -> Vec<usize> {
        let first_rows = (0..projection.heads).map(|head| projection.first_row + head * projection.stride);
        first_rows.flat_map(|first| self.rows_of_head(first, projection.row_order, projection.rotated)).collect()
    }

    fn rows_of_head(&self, first: usize, order: RowOrder, rotated: usize) -> impl Iterator<Item = usize> {
        (0..self.head_size).map(move |row| first + order.stored_row(row, self.head_size, rotated))
    }

    /// The shape of a tensor that holds matrices of so many rows.
    fn stored_shape(&self, rows: usize, columns: usize) -> [usize; 2] {
        if self.tensors.transposed { [columns, rows] } else { [rows, columns] }
    }
}

fn scale(numbers: &mut [f32], factor: f64) {
    numbers.iter_mut().for_each(|number| *number *= factor as f32);
}
