//! Rotary position embeddings: frequencies, and the order of rows that they expect.

/// How fast each pair of numbers of a head turns, in radians per position, in the float32 arithmetic of `transformers`.
///
/// Gives `head_size / 2` numbers; only the first `rotated / 2` pairs turn, the rest stand still. `factors` divides the
/// frequencies of the turning pairs one by one and `stretch` divides them all, as context extensions do.
pub(super) fn inverse_frequencies(
    theta: f64,
    rotated: usize,
    head_size: usize,
    stretch: f64,
    factors: Option<&[f32]>,
) -> Vec<f32> {
    let turning = (0..rotated / 2).map(|pair| {
        let exponent = (2 * pair) as f32 / rotated as f32;
        let frequency = (theta.powf(f64::from(exponent)) as f32).recip() / stretch as f32;
        factors.map_or(frequency, |factors| frequency / factors[pair])
    });
    turning.chain(std::iter::repeat(0.0)).take(head_size / 2).collect()
}

/// Turns a projection as GGUF stores it for Llama models, `[rows, columns]` with each head's rows in the order of
/// interleaved rotary pairs, into `[columns, rows]` with each head's rows in the order of rotary halves.
pub(super) fn transposed_to_halves(weights: &[f32], columns: usize, head_size: usize) -> Vec<f32> {
    let rows = weights.len() / columns;
    let mut transposed = vec![0.0; weights.len()];
    for row in 0..rows {
        let stored = interleaved_row(row, head_size);
        let values = &weights[stored * columns..][..columns];
        for (column, value) in values.iter().enumerate() {
            transposed[column * rows + row] = *value;
        }
    }
    transposed
}

/// Where GGUF stores the row that belongs at `row` in the order of rotary halves.
fn interleaved_row(row: usize, head_size: usize) -> usize {
    let within = row % head_size;
    let (half, pair) = (within / (head_size / 2), within % (head_size / 2));
    row - within + 2 * pair + half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_fall_from_one_by_equal_ratios() {
        assert_eq!(inverse_frequencies(10_000.0, 4, 4, 1.0, None), [1.0, 0.01]);
        assert_eq!(inverse_frequencies(10_000.0, 4, 4, 2.0, None), [0.5, 0.005]);
        assert_eq!(inverse_frequencies(10_000.0, 4, 4, 1.0, Some(&[1.0, 8.0])), [1.0, 0.01 / 8.0]);
    }

    #[test]
    fn pairs_beyond_the_rotated_ones_stand_still() {
        assert_eq!(inverse_frequencies(10_000.0, 4, 8, 1.0, None), [1.0, 0.01, 0.0, 0.0]);
    }

    #[test]
    fn rows_of_each_head_are_regrouped_into_halves() {
        let rows: Vec<usize> = (0..8).map(|row| interleaved_row(row, 4)).collect();
        assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn projections_are_transposed() {
        let stored = [0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0];
        assert_eq!(transposed_to_halves(&stored, 2, 4), [0.0, 2.0, 1.0, 3.0, 10.0, 12.0, 11.0, 13.0]);
    }
}
