//! Latent attention, as DeepSeek's: queries and keys are projected from a compressed hidden state.

use ndarray::Array2;

use super::architecture::LatentNames;
use super::checkpoint::Checkpoint;
use super::decoder::{Decoder, ProjectionWeights, bias, of_layer, weight};
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

    /// Checks the shapes of a layer's tensors.
    pub(super) fn check(&self, decoder: &Decoder, checkpoint: &dyn Checkpoint, layer: usize) -> Result<()> {
        let check = |tensor, shape: &[usize]| checkpoint.check_shape(&weight(&of_layer(tensor, layer)), shape);
        let [down, norm, up] = self.names.compressed_key_value;
        check(down, &[self.key_value_size + self.turning, decoder.embedding_size])?;
        check(norm, &[self.key_value_size])?;
        check(up, &[decoder.heads * self.rows_of_head(), self.key_value_size])?;
        let queries = decoder.heads * self.head_size();
        let Some(size) = self.query_size else {
            return check(self.names.query, &[queries, decoder.embedding_size]);
        };
        let [down, norm, up] = self.names.compressed_query;
        check(down, &[size, decoder.embedding_size])?;
        check(norm, &[size])?;
        check(up, &[queries, size])
    }

    /// The projections to queries and keys of a layer.
    pub(super) fn read(
        &self,
        decoder: &Decoder,
        checkpoint: &dyn Checkpoint,
        layer: usize,
    ) -> Result<Vec<ProjectionWeights>> {
        let reader = Reader { latent: self, decoder, checkpoint, layer };
        Ok(vec![reader.query()?, reader.key()?])
    }

    /// Rows of a head's keys, without what turns, and values.
    fn rows_of_head(&self) -> usize {
        self.still + self.value_head_size
    }
}

struct Reader<'a> {
    latent: &'a Latent,
    decoder: &'a Decoder,
    checkpoint: &'a dyn Checkpoint,
    layer: usize,
}

impl Reader<'_> {
    fn query(&self) -> Result<ProjectionWeights> {
        let Latent { names, query_size, .. } = *self.latent;
        let rows = self.decoder.heads * self.latent.head_size();
        let columns = query_size.unwrap_or(self.decoder.embedding_size);
        let [down, norm, up] = names.compressed_query;
        let compression = query_size.map(|size| self.compression([down, norm], size, 0)).transpose()?;
        let tensor = if compression.is_some() { up } else { names.query };
        let stored = self.matrix(tensor, [rows, columns])?;
        let matrix = Array2::from_shape_fn((columns, rows), |(column, row)| {
            let (head, place) = self.place(row);
            stored[[head * self.latent.head_size() + place, column]]
        });
        Ok(ProjectionWeights { name: "query", compression, matrix, bias: None, norm: None })
    }

    /// The part that turns is behind what is compressed, and each head takes it over as it is.
    fn key(&self) -> Result<ProjectionWeights> {
        let Latent { names, key_value_size, still, turning, .. } = *self.latent;
        let [down, norm, up] = names.compressed_key_value;
        let rows_of_head = self.latent.rows_of_head();
        let stored = self.matrix(up, [self.decoder.heads * rows_of_head, key_value_size])?;
        let shape = (key_value_size + turning, self.decoder.heads * self.latent.head_size());
        let matrix = Array2::from_shape_fn(shape, |(column, row)| {
            let (head, place) = self.place(row);
            match (column.checked_sub(key_value_size), place.checked_sub(still)) {
                (None, None) => stored[[head * rows_of_head + place, column]],
                (Some(column), Some(place)) if column == place => 1.0,
                _ => 0.0,
            }
        });
        let compression = Some(self.compression([down, norm], key_value_size, turning)?);
        Ok(ProjectionWeights { name: "key", compression, matrix, bias: None, norm: None })
    }

    /// What compresses the state to `size` numbers, and `more` behind them.
    fn compression(&self, [down, norm]: [&str; 2], size: usize, more: usize) -> Result<Compression> {
        let rows = size + more;
        let matrix = self.matrix(down, [rows, self.decoder.embedding_size])?;
        let bias = self.decoder.bias.then(|| self.checkpoint.read(&bias(&of_layer(down, self.layer)), &[rows]));
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
        let place = self.decoder.row_order.stored_row(row % size, size, self.latent.turning);
        (row / size, (place + self.latent.still) % size)
    }
}
