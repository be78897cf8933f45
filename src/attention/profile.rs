//! Attention mass by distance, in buckets that begin at powers of two.

use std::iter;
use std::ops::{AddAssign, Range};

use super::FarMass;

/// Buckets that distances fall into. The last holds whatever is farther than those before it reach.
pub const DISTANCE_BUCKETS: usize = 32;

/// The bucket of a distance: 0 for the distance 0, and `b` for those from `2^(b−1)` to `2^b − 1`.
pub fn distance_bucket(distance: usize) -> usize {
    let bits = usize::BITS - distance.leading_zeros();
    (bits as usize).min(DISTANCE_BUCKETS - 1)
}

/// The shortest distance in a bucket: 0, 1, 2, 4, 8 and so on.
pub fn bucket_start(bucket: usize) -> usize {
    (1 << bucket) >> 1
}

/// The far mass of one head, and its mass by distance, over one row or a whole map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProfiledMass {
    /// The same bits as without the mass by distance.
    pub far: FarMass,
    /// The sum of the entries in each bucket of distances, whether far or near, but for those of the sinks.
    pub by_distance: [f64; DISTANCE_BUCKETS],
}

impl AddAssign for ProfiledMass {
    fn add_assign(&mut self, other: Self) {
        self.far += other.far;
        self.by_distance.iter_mut().zip(other.by_distance).for_each(|(mass, other)| *mass += other);
    }
}

/// Splits keys of the query at `row` into runs of one bucket each, the farthest first.
pub(super) fn runs_by_bucket(row: usize, keys: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut rest = keys;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bucket = distance_bucket(row - rest.start);
        let run = rest.start..rest.end.min(row + 1 - bucket_start(bucket));
        rest.start = run.end;
        Some((bucket, run))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_the_distances_from_its_start_to_the_next() {
        for distance in (0..5000).chain([(1 << 30) - 1, 1 << 30, 1 << 31, usize::MAX]) {
            let bucket = distance_bucket(distance);
            assert!(bucket_start(bucket) <= distance, "{distance}");
            assert!(bucket == DISTANCE_BUCKETS - 1 || distance < bucket_start(bucket + 1), "{distance}");
        }
    }

    #[test]
    fn runs_are_the_keys_in_order_with_the_bucket_of_each() {
        for row in 0..70 {
            for first in 0..=row + 1 {
                for end in first..=row + 1 {
                    let listed =
                        runs_by_bucket(row, first..end).flat_map(|(bucket, run)| run.map(move |key| (bucket, key)));
                    let expected = (first..end).map(|key| (distance_bucket(row - key), key));
                    assert!(listed.eq(expected), "{first}..{end} of row {row}");
                }
            }
        }
    }
}
