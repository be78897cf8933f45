//! A decoder up to the queries and keys of its scored layer, whatever kind of checkpoint tells of it.

use ndarray::Array2;

use super::architecture::{Architecture, Norm, Projections, QueryKeyNorms, TensorNames};
use super::checkpoint::Checkpoint;
use super::rotary::{Rotary, RowOrder};
use crate::error::{Error, ErrorKind, Result};

/// The layer that is scored.
pub(super) const LAYER: usize = 0;

/// The sizes and constants of a decoder, and how its checkpoint stores its tensors.
pub(super) struct Decoder {
    pub name: String,
    pub architecture: &'static Architecture,
    pub tensors: &'static TensorNames,
    /// The order of rows in the projections to queries and keys.
    pub row_order: RowOrder,
    /// Whether the projections have biases.
    pub bias: bool,
    pub embedding_size: usize,
    pub vocabulary_size: usize,
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_size: usize,
    pub max_positions: usize,
    pub norm_epsilon: f64,
    pub attention_scale: f64,
    pub logit_softcap: Option<f64>,
    /// `None` where positions are learned.
    pub rotary: Option<Rotary>,
    /// The sliding window of each layer that attends through one.
    pub sliding_windows: Vec<Option<usize>>,
}

/// One of the two projections, and where in the checkpoint it lies.
#[derive(Clone)]
pub(super) struct Projection {
    /// What it gives, `query` or `key`.
    pub name: &'static str,
    pub heads: usize,
    tensor: String,
    /// Rows of the tensor, which other projections may share.
    stored_rows: usize,
    /// Whether the tensor is `[columns, rows]`.
    transposed: bool,
    first_row: usize,
    /// From one head's first row to the next head's.
    stride: usize,
    norm: Option<QueryKeyNorm>,
}

/// The norm after a projection.
#[derive(Clone)]
struct QueryKeyNorm {
    tensor: String,
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
    pub projection: Projection,
    /// `[embedding_size, rows]`.
    pub matrix: Array2<f32>,
    /// For each row.
    pub bias: Option<Vec<f32>>,
    /// Of the norm after it: for each row of a head, or for each row.
    pub norm: Option<Vec<f32>>,
}

/// A tensor of one projection or several, and its bias, as they are stored.
struct Stored {
    matrix: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// All that queries and keys are computed with but the embedding.
pub(super) struct LayerWeights {
    pub input_norm: Option<NormWeights>,
    pub projections: [ProjectionWeights; 2],
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
        self.architecture.scaled_embedding.then(|| (self.embedding_size as f64).sqrt() as f32)
    }

    /// Whether queries and keys before the rotary embedding depend on the token id alone.
    pub(super) fn folds(&self) -> bool {
        self.tensors.position_embedding.is_none()
    }

    /// The sliding window of the scored layer.
    pub(super) fn sliding_window(&self) -> Option<usize> {
        self.sliding_windows.get(LAYER).copied().flatten()
    }

    /// The first layer that attends without a sliding window.
    pub(super) fn first_full_layer(&self) -> Option<usize> {
        self.sliding_windows.iter().position(Option::is_none)
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
        if let Some(norm) = self.tensors.input_norm {
            checkpoint.check_shape(&weight(&of_layer(norm)), &[self.embedding_size])?;
        }
        for projection in self.projections() {
            checkpoint.check_shape(&weight(&projection.tensor), &projection.shape(self.embedding_size))?;
            let bias = bias(&projection.tensor);
            if !self.bias && checkpoint.shape(&bias)?.is_some() {
                let message = format!("there is a tensor {bias}, which the configuration does not tell of");
                return Err(checkpoint.invalid(&bias, message));
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, checkpoint: &dyn Checkpoint) -> Result<LayerWeights> {
        let input_norm = self.tensors.input_norm.map(|norm| self.input_norm(checkpoint, &of_layer(norm)));
        let [query, key] = self.projections();
        let of_query = self.stored(checkpoint, &query)?;
        let of_key = match key.tensor == query.tensor {
            true => None,
            false => Some(self.stored(checkpoint, &key)?),
        };
        Ok(LayerWeights {
            input_norm: input_norm.transpose()?,
            projections: [
                self.projection(checkpoint, query, &of_query)?,
                self.projection(checkpoint, key, of_key.as_ref().unwrap_or(&of_query))?,
            ],
        })
    }

    fn projections(&self) -> [Projection; 2] {
        let (queries, keys) = (self.heads * self.head_size, self.key_value_heads * self.head_size);
        let norm = |index: usize, all_heads| {
            let (names, heads) = match self.tensors.query_key_norms {
                QueryKeyNorms::None => return None,
                QueryKeyNorms::ByHead(names) => (names, 1),
                QueryKeyNorms::AllHeads(names) => (names, all_heads),
            };
            Some(QueryKeyNorm { tensor: of_layer(names[index]), heads })
        };
        let query = Projection {
            name: "query",
            heads: self.heads,
            tensor: String::new(),
            stored_rows: queries,
            transposed: false,
            first_row: 0,
            stride: self.head_size,
            norm: norm(0, self.heads),
        };
        let key = Projection {
            name: "key",
            heads: self.key_value_heads,
            stored_rows: keys,
            norm: norm(1, self.key_value_heads),
            ..query.clone()
        };
        match self.tensors.projections {
            Projections::Apart([query_tensor, key_tensor]) => [
                Projection { tensor: of_layer(query_tensor), ..query },
                Projection { tensor: of_layer(key_tensor), ..key },
            ],
            Projections::Fused(tensor) | Projections::FusedTransposed(tensor) => {
                let transposed = matches!(self.tensors.projections, Projections::FusedTransposed(_));
                let fused = |projection, first_row| Projection {
                    tensor: of_layer(tensor),
                    stored_rows: queries + 2 * keys,
                    transposed,
                    first_row,
                    ..projection
                };
                [fused(query, 0), fused(key, queries)]
            }
            Projections::FusedByHead(tensor) => {
                let fused = |projection, first_row| Projection {
                    tensor: of_layer(tensor),
                    stored_rows: 3 * queries,
                    stride: 3 * self.head_size,
                    first_row,
                    ..projection
                };
                [fused(query, 0), fused(key, self.head_size)]
            }
        }
    }

    fn input_norm(&self, checkpoint: &dyn Checkpoint, name: &str) -> Result<NormWeights> {
        let weights = self.norm_weights(checkpoint, name, self.embedding_size)?;
        let bias = match self.architecture.norm {
            Norm::Layer => Some(checkpoint.read(&bias(name), &[self.embedding_size])?),
            Norm::Rms | Norm::RmsOnePlus => None,
        };
        Ok(NormWeights { weights, bias })
    }

    fn norm_weights(&self, checkpoint: &dyn Checkpoint, name: &str, size: usize) -> Result<Vec<f32>> {
        let mut weights = checkpoint.read(&weight(name), &[size])?;
        if self.architecture.norm == Norm::RmsOnePlus {
            weights.iter_mut().for_each(|weight| *weight += 1.0);
        }
        Ok(weights)
    }

    fn stored(&self, checkpoint: &dyn Checkpoint, projection: &Projection) -> Result<Stored> {
        let matrix = checkpoint.read(&weight(&projection.tensor), &projection.shape(self.embedding_size))?;
        let bias = match self.bias {
            true => Some(checkpoint.read(&bias(&projection.tensor), &[projection.stored_rows])?),
            false => None,
        };
        Ok(Stored { matrix, bias })
    }

    fn projection(
        &self,
        checkpoint: &dyn Checkpoint,
        projection: Projection,
        stored: &Stored,
    ) -> Result<ProjectionWeights> {
        let columns = self.embedding_size;
        let rows = self.stored_rows(&projection);
        let matrix = Array2::from_shape_fn((columns, rows.len()), |(column, row)| match projection.transposed {
            true => stored.matrix[column * projection.stored_rows + rows[row]],
            false => stored.matrix[rows[row] * columns + column],
        });
        let bias = stored.bias.as_ref().map(|bias| rows.iter().map(|row| bias[*row]).collect());
        let norm = projection.norm.as_ref().map(|norm| self.query_key_norm(checkpoint, norm)).transpose()?;
        Ok(ProjectionWeights { projection, matrix, bias, norm })
    }

    fn query_key_norm(&self, checkpoint: &dyn Checkpoint, norm: &QueryKeyNorm) -> Result<Vec<f32>> {
        let stored = self.norm_weights(checkpoint, &norm.tensor, norm.heads * self.head_size)?;
        let rows = (0..norm.heads).flat_map(|head| self.rows_of_head(head * self.head_size));
        Ok(rows.map(|row| stored[row]).collect())
    }

    /// Where each row of a projection lies in its tensor.
    fn stored_rows(&self, projection: &Projection) -> Vec<usize> {
        let first_rows = (0..projection.heads).map(|head| projection.first_row + head * projection.stride);
        first_rows.flat_map(|first| self.rows_of_head(first)).collect()
    }

    fn rows_of_head(&self, first: usize) -> impl Iterator<Item = usize> {
        let rotated = self.rotary.as_ref().map_or(0, |rotary| rotary.rotated);
        (0..self.head_size).map(move |row| first + self.row_order.stored_row(row, self.head_size, rotated))
    }
}

impl Projection {
    fn shape(&self, columns: usize) -> [usize; 2] {
        if self.transposed { [columns, self.stored_rows] } else { [self.stored_rows, columns] }
    }
}

/// The name of a tensor of the scored layer.
fn of_layer(name: &str) -> String {
    name.replace("{}", &LAYER.to_string())
}

fn weight(name: &str) -> String {
    format!("{name}.weight")
}

fn bias(name: &str) -> String {
    format!("{name}.bias")
}
