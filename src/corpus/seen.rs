//! Ids seen so far, in little memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::digest::Digest;

/// A [`Place`](super::Place) in a few bytes: the file's index among all files, and the line, 0 for a whole file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot {
    pub file: u32,
    pub line: u64,
}

/// Remembers 128 bits of a hash for each id: among 10^12 ids two would coincide with a probability of 10^-15.
#[derive(Default)]
pub(crate) struct Seen(HashMap<u128, Spot>);

impl Seen {
    /// Remembers an id; where it was seen before, tells where first.
    pub fn insert(&mut self, id: &str, spot: Spot) -> Option<Spot> {
        match self.0.entry(Digest::of(id).short()) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(place) => {
                place.insert(spot);
                None
            }
        }
    }

    /// Where an id was first seen.
    pub fn get(&self, id: &str) -> Option<Spot> {
        self.0.get(&Digest::of(id).short()).copied()
    }

    /// Forgets what was first seen in a file.
    pub fn forget_file(&mut self, file: u32) {
        self.0.retain(|_, spot| spot.file != file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_an_id_was_first() {
        let mut seen = Seen::default();
        assert_eq!(seen.insert("a", Spot { file: 0, line: 1 }), None);
        assert_eq!(seen.insert("b", Spot { file: 0, line: 2 }), None);
        assert_eq!(seen.insert("a", Spot { file: 3, line: 9 }), Some(Spot { file: 0, line: 1 }));
        assert_eq!(seen.insert("a", Spot { file: 4, line: 9 }), Some(Spot { file: 0, line: 1 }));
    }

    #[test]
    fn a_file_is_forgotten() {
        let mut seen = Seen::default();
        seen.insert("a", Spot { file: 0, line: 1 });
        seen.insert("b", Spot { file: 1, line: 1 });
        seen.forget_file(1);
        assert_eq!((seen.get("a"), seen.get("b")), (Some(Spot { file: 0, line: 1 }), None));
    }

    #[test]
    fn an_entry_takes_32_bytes() {
        assert_eq!(size_of::<(u128, Spot)>(), 32);
    }
}
