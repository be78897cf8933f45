//! Ids seen so far, in little memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sha2::{Digest, Sha256};

/// A [`Place`](super::Place) in a few bytes: the file's index among all files, and the line, 0 for a whole file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub file: u32,
    pub line: u64,
}

/// Remembers 128 bits of a hash for each id: among 10^12 ids two would coincide with a probability of 10^-15.
#[derive(Default)]
pub(super) struct Seen(HashMap<u128, Spot>);

impl Seen {
    /// Remembers an id; where it was seen before, tells where first.
    pub fn insert(&mut self, id: &str, spot: Spot) -> Option<Spot> {
        match self.0.entry(hash(id)) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(place) => {
                place.insert(spot);
                None
            }
        }
    }
}

fn hash(id: &str) -> u128 {
    Sha256::digest(id)[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}
