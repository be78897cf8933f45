//! Far mass: how much attention reaches back at least `min_distance` tokens.
//!
//! With `M[h][n][i]` the softmax weight that head `h` gives from token `n` to token `i ≤ n`, an entry is far when
//! `n − i ≥ min_distance` and `i ≥ sink_tokens`. [`FarMass`] holds its first two moments, which is all that the
//! scores in [`score`](crate::score) need. It can be taken from a whole map ([`map_far_mass`]) or streamed from
//! queries and keys ([`StreamingAttention`]) in memory linear in the length, for all rows or, in time linear in the length,
//! for a sample of them ([`estimate`]).
//!
//! [`ProfiledMass`] tells beside it how much attention reaches how far back, for all distances at once.

mod clusters;
pub(crate) mod gpu;
mod int16;
mod kernel;
mod map;
mod packed;
mod profile;
mod reference;
mod sampling;
mod streaming;
mod workers;

use std::iter::Sum;
use std::ops::{AddAssign, Range};

use serde::{Deserialize, Serialize};

pub use kernel::{InstructionSet, Precision};
pub use map::{check_map, map_far_mass, map_profiled_mass, normalized_map_far_mass};
pub use packed::PackedKeys;
pub use profile::{DISTANCE_BUCKETS, ProfiledMass, bucket_start, distance_bucket};
pub use reference::reference_far_mass;
pub use sampling::{Estimate, estimate, rows_to_draw};
pub use streaming::StreamingAttention;
pub(crate) use streaming::check_heads;
pub use workers::{CallingPool, Workers};

/// Which entries of an attention map count as far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FarRegion {
    /// The paper's `k`: the shortest distance, in tokens, that is far.
    pub min_distance: usize,
    /// The first positions, which never count as far whatever their distance.
    pub sink_tokens: usize,
}

impl FarRegion {
    /// The far keys of the query at position `row`.
    pub fn keys(&self, row: usize) -> Range<usize> {
        let end = (row + 1).saturating_sub(self.min_distance);
        self.sink_tokens.min(end)..end
    }

    /// The number of far entries in a map of `length` rows: `(L−k)(L−k+1)/2` where there are no sinks.
    pub fn entries(&self, length: usize) -> f64 {
        let farthest = self.keys(length.saturating_sub(1)).len() as f64;
        if length == 0 { 0.0 } else { farthest * (farthest + 1.0) / 2.0 }
    }
}

/// The first two moments of the far entries of one head, over one row or a whole map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FarMass {
    /// `S1`: the sum of the far entries, Eq. 5 and 6 of the paper.
    pub mass: f64,
    /// `S2`: the sum of their squares.
    pub square_mass: f64,
}

impl AddAssign for FarMass {
    fn add_assign(&mut self, other: Self) {
        self.mass += other.mass;
        self.square_mass += other.square_mass;
    }
}

impl Sum for FarMass {
    fn sum<Terms: Iterator<Item = Self>>(terms: Terms) -> Self {
        terms.fold(Self::default(), |mut total, term| {
            total += term;
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_entries_are_counted_as_they_are_listed() {
        for length in 0..12 {
            for min_distance in 0..14 {
                for sink_tokens in 0..14 {
                    let far = FarRegion { min_distance, sink_tokens };
                    let listed = (0..length)
                        .flat_map(|n| (0..=n).map(move |i| (n, i)))
                        .filter(|(n, i)| n - i >= min_distance && *i >= sink_tokens)
                        .count();
                    assert_eq!(far.entries(length), listed as f64, "{far:?} at {length}");
                    let by_row: usize = (0..length).map(|row| far.keys(row).len()).sum();
                    assert_eq!(by_row, listed);
                }
            }
        }
    }
}
