//! Latent attention, as DeepSeek's: queries and keys are projected from a compressed hidden state.

use ndarray::Array2;

use super::architecture::LatentNames;
use super::checkpoint::{Checkpoint, bias, of_layer, weight};
use super::rotary::RowOrder;
use crate::error::Result;

/// What is added to the variance by the norms of compressed states, whatever the configuration says of others.
pub(super) const NORM_EPSILON: f64 = 1e-6;

/// The sizes of a decoder's latent attention, and where its tensors lie.
pub(super) struct Latent {
    pub names: &'static LatentNames,
    /// Numbers that the state is compressed to for queries; `None` where it is not.
    pub query_size: Option<usize>,
    /// The same for keys and values.
    pub key_value_size: usize,
    /// Numbers of a head that do not turn with the position.
    pub still: usize,
    /// Those that turn, which all heads of a key share.
    pub turning: usize,
    pub value_head_size: usize,
}

/// What compresses the hidden state before a projection.
pub(super) struct Compression {
    /// `[embedding_size, columns]`.
    pub matrix: Array2<f32>,
    /// For each column.
    pub bias: Option<Vec<f32>>,
    /// Of the norm over the first columns, whose number it is; the others are left as they are.
    pub norm: Vec<f32>,
}

impl Latent {
    pub(super) fn head_size(&self) -> usize {
        self.still + self.turning
    }

    /// Rows of a head's keys, without what turns, and values.
    fn rows_of_head(&self) -> usize {
        self.still + self.value_head_size
    }
}

/// The tensors of latent attention in one layer.
pub(super) struct LatentTensors<'a> {
    pub latent: &'a Latent,
    pub checkpoint: &'a dyn Checkpoint,
    pub layer: usize,
    pub heads: usize,
    pub embedding_size: usize,
    /// Whether what compresses has biases.
    pub bias: bool,
    pub row_order: RowOrder,
}

impl LatentTensors<'_> {
    /// Checks their shapes.
    pub(super) fn check(&self) -> Result<()> {
        let Latent { names, query_size, key_value_size, turning, .. } = *self.latent;
        let check =
            |tensor, shape: &[usize]| self.checkpoint.check_shape(&weight(&of_layer(tensor, self.layer)), shape);
        let [down, norm, up] = names.compressed_key_value;
        check(down, &[key_value_size + turning, self.embedding_size])?;
        check(norm, &[key_value_size])?;
        check(up, &[self.heads * self.latent.rows_of_head(), key_value_size])?;
        let queries = self.heads * self.latent.head_size();
        let Some(size) = query_size else {
            return check(names.query, &[queries, self.embedding_size]);
        };
        let [down, norm, up] = names.compressed_query;
        check(down, &[size, self.embedding_size])?;
        check(norm, &[size])?;
        check(up, &[queries, size])
    }

    /// What comes before the projection to queries, and its matrix, `[columns, rows]`.
    pub(super) fn query(&self) -> Result<(Option<Compression>, Array2<f32>)> {
        let Latent { names, query_size, .. } = *self.latent;
        let rows = self.heads * self.latent.head_size();
        let columns = query_size.unwrap_or(self.embedding_size);
        let [down, norm, up] = names.compressed_query;
        let compression = query_size.map(|size| self.compression([down, norm], size, 0)).transpose()?;
        let tensor = if compression.is_some() { up } else { names.query };
        let stored = self.matrix(tensor, [rows, columns])?;
        let matrix = Array2::from_shape_fn((columns, rows), |(column, row)| {
            let (head, place) = self.place(row);
            stored[[head * self.latent.head_size() + place, column]]
        });
        Ok((compression, matrix))
    }

    /// The same of keys. The part that turns is behind what is compressed, and each head takes it over as it is.
    pub(super) fn key(&self) -> Result<(Option<Compression>, Array2<f32>)> {
        let Latent { names, key_value_size, still, turning, .. } = *self.latent;
        let [down, norm, up] = names.compressed_key_value;
        let rows_of_head = self.latent.rows_of_head();
        let stored = self.matrix(up, [self.heads * rows_of_head, key_value_size])?;
        let shape = (key_value_size + turning, self.heads * self.latent.head_size());
        let matrix = Array2::from_shape_fn(shape, |(column, row)| {
            let (head, place) = self.place(row);
            match (column.checked_sub(key_value_size), place.checked_sub(still)) {
                (None, None) => stored[[head * rows_of_head + place, column]],
                (Some(column), Some(place)) if column == place => 1.0,
                _ => 0.0,
            }
        });
        Ok((Some(self.compression([down, norm], key_value_size, turning)?), matrix))
    }

    /// What compresses the state to `size` numbers, and `more` behind them.
    fn compression(&self, [down, norm]: [&str; 2], size: usize, more: usize) -> Result<Compression> {
        let rows = size + more;
        let matrix = self.matrix(down, [rows, self.embedding_size])?;
        let bias = self.bias.then(|| self.checkpoint.read(&bias(&of_layer(down, self.layer)), &[rows]));
        Ok(Compression {
            matrix: matrix.t().as_standard_layout().into_owned(),
            bias: bias.transpose()?,
            norm: self.checkpoint.read(&weight(&of_layer(norm, self.layer)), &[size])?,
        })
    }

    fn matrix(&self, tensor: &str, shape: [usize; 2]) -> Result<Array2<f32>> {
        let stored = self.checkpoint.read(&weight(&of_layer(tensor, self.layer)), &shape)?;
        Ok(Array2::from_shape_vec(shape, stored).expect("the shape is checked"))
    }

    /// The head of a row in the order of this library, and its place among the head's stored rows, those that turn the last.
    fn place(&self, row: usize) -> (usize, usize) {
        let size = self.latent.head_size();
        let place = self.row_order.stored_row(row % size, size, self.latent.turning);
        (row / size, (place + self.latent.still) % size)
    }
}
