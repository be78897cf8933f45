//! Folding a first layer's embedding, norm and projections into tables by token id.
//!
//! Queries and keys of a first layer, before the rotary embedding, depend on the token id alone.

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Tokens that one thread folds at a time.
const TOKENS_AT_A_TIME: usize = 128;

/// The norm of a first layer: `x / √(mean(x²) + ε)`, times a weight for each column.
pub(super) struct Norm {
    pub weights: Vec<f32>,
    pub epsilon: f64,
}

/// The rows of a table `[tokens, rows]` that belong to `embeddings` `[tokens, embedding_size]`, for a projection
/// `[embedding_size, rows]`.
pub(super) fn folded(embeddings: &[f32], norm: &Norm, projection: ArrayView2<f32>) -> Vec<f32> {
    let parts = embeddings.par_chunks(TOKENS_AT_A_TIME * norm.weights.len());
    parts.flat_map_iter(|part| norm.apply(part).dot(&projection).into_iter()).collect()
}

impl Norm {
    fn apply(&self, embeddings: &[f32]) -> Array2<f32> {
        let weights = ArrayView1::from(&self.weights);
        let shape = (embeddings.len() / weights.len(), weights.len());
        let mut normed = Array2::from_shape_vec(shape, embeddings.to_vec()).expect("whole rows");
        for mut row in normed.rows_mut() {
            let squares: f64 = row.iter().map(|number| f64::from(*number).powi(2)).sum();
            let scale = (squares / row.len() as f64 + self.epsilon).sqrt().recip() as f32;
            row.zip_mut_with(&weights, |number, weight| *number *= scale * weight);
        }
        normed
    }
}
