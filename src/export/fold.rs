//! Folding a first layer's embedding, norm and projections into tables by token id.
//!
//! Where positions are rotary, queries and keys of a first layer before the rotary embedding depend on the token id alone.

use ndarray::{Array2, ArrayView1, ArrayViewMut1, Axis};
use rayon::prelude::*;

use super::decoder::{Decoder, LayerWeights, ProjectionWeights};

/// Tokens that one thread folds at a time.
const TOKENS_AT_A_TIME: usize = 128;

/// The rows of the tables of queries and keys that belong to `embeddings` `[tokens, embedding_size]`: for some tokens at a
/// time, `[tokens, rows]` of both.
pub(super) fn folded(embeddings: &[f32], decoder: &Decoder, weights: &LayerWeights) -> Vec<Vec<Array2<f32>>> {
    let parts = embeddings.par_chunks(TOKENS_AT_A_TIME * decoder.embedding_size);
    parts.map(|part| project(normed(part, decoder, weights), decoder, weights)).collect()
}

/// What the projections read.
fn normed(embeddings: &[f32], decoder: &Decoder, weights: &LayerWeights) -> Array2<f32> {
    let shape = (embeddings.len() / decoder.embedding_size, decoder.embedding_size);
    let mut hidden = Array2::from_shape_vec(shape, embeddings.to_vec()).expect("whole rows");
    if let Some(scale) = decoder.embedding_scale() {
        hidden *= scale;
    }
    if let Some(norm) = &weights.input_norm {
        hidden.rows_mut().into_iter().for_each(|row| normalize(row, &norm.weights, decoder));
        if let Some(bias) = &norm.bias {
            hidden += &ArrayView1::from(bias);
        }
    }
    hidden
}

fn project(hidden: Array2<f32>, decoder: &Decoder, weights: &LayerWeights) -> Vec<Array2<f32>> {
    let rows = |ProjectionWeights { matrix, bias, norm, .. }: &ProjectionWeights| {
        let mut rows = hidden.dot(matrix);
        if let Some(bias) = bias {
            rows += &ArrayView1::from(bias);
        }
        if let Some(norm) = norm {
            for mut token in rows.rows_mut() {
                token.axis_chunks_iter_mut(Axis(0), norm.len()).for_each(|part| normalize(part, norm, decoder));
            }
        }
        rows
    };
    weights.projections.iter().map(rows).collect()
}

/// The architecture's norm over all numbers of `row`, times `weights`.
fn normalize(mut row: ArrayViewMut1<f32>, weights: &[f32], decoder: &Decoder) {
    let size = row.len() as f64;
    let mean = match decoder.architecture.norm.is_centered() {
        false => 0.0,
        true => row.iter().map(|number| f64::from(*number)).sum::<f64>() / size,
    };
    let squares: f64 = row.iter().map(|number| (f64::from(*number) - mean).powi(2)).sum();
    let scale = (squares / size + decoder.norm_epsilon).sqrt().recip() as f32;
    let mean = mean as f32;
    row.zip_mut_with(&ArrayView1::from(weights), |number, weight| *number = (*number - mean) * scale * weight);
}
