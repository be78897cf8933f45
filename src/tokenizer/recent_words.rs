//! Words of late and their tokens, so that most words of a text need no byte-pair encoding.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Words that are kept, at most: two megabytes of them, as most processors have near each core.
const SLOTS: usize = 1 << 15;

/// The longest word that is kept, in bytes.
const LONGEST: usize = 31;

/// The most tokens of a word that is kept.
const MOST_TOKENS: usize = 8;

/// In the place of tokens that a word does not have.
const NO_TOKEN: u32 = u32::MAX;

/// A word takes the place of any other with the same last bits of its hash: of fixed size, and what is frequent comes back soon.
pub(super) struct RecentWords {
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    word: Key,
    ids: [u32; MOST_TOKENS],
}

/// A word, zeros behind it, and its length: words are equal where keys are. No word has the key of zeros.
type Key = [u64; 4];

impl RecentWords {
    pub(super) fn new() -> Self {
        let empty = Slot { word: [0; 4], ids: [NO_TOKEN; MOST_TOKENS] };
        Self { slots: vec![empty; SLOTS].into_boxed_slice() }
    }

    /// Adds the tokens of a word to `ids`: those that it had of late, else those that `encode` adds.
    pub(super) fn tokens(&mut self, word: &[u8], ids: &mut Vec<u32>, encode: impl FnOnce(&mut Vec<u32>)) {
        let Some(key) = key(word) else { return encode(ids) };
        let slot = &mut self.slots[place(&key)];
        if slot.word == key {
            return ids.extend(slot.ids.iter().take_while(|id| **id != NO_TOKEN));
        }
        let before = ids.len();
        encode(ids);
        let added = &ids[before..];
        if added.len() <= MOST_TOKENS {
            *slot = Slot { word: key, ids: [NO_TOKEN; MOST_TOKENS] };
            slot.ids[..added.len()].copy_from_slice(added);
        }
    }
}

fn key(word: &[u8]) -> Option<Key> {
    if word.len() > LONGEST {
        return None;
    }
    let mut bytes = [0; LONGEST + 1];
    bytes[..word.len()].copy_from_slice(word);
    bytes[LONGEST] = word.len() as u8;
    let (parts, _) = bytes.as_chunks::<8>();
    Some(std::array::from_fn(|part| u64::from_le_bytes(parts[part])))
}

fn place(key: &Key) -> usize {
    let mut hasher = FxHasher::default();
    key.iter().for_each(|part| hasher.write_u64(*part));
    hasher.finish() as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(words: &mut RecentWords, word: &str, encode: &[u32]) -> Vec<u32> {
        let mut ids = vec![7];
        words.tokens(word.as_bytes(), &mut ids, |ids| ids.extend(encode));
        ids[1..].to_vec()
    }

    #[test]
    fn a_word_has_the_tokens_that_it_had_before() {
        let mut words = RecentWords::new();
        assert_eq!(tokens(&mut words, "word", &[1, 2]), [1, 2]);
        assert_eq!(tokens(&mut words, "word", &[]), [1, 2]);
        assert_eq!(tokens(&mut words, "word\0", &[3]), [3]);
        assert!(tokens(&mut words, "", &[]).is_empty());
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let mut words = RecentWords::new();
        let word = "a".repeat(LONGEST + 1);
        assert_eq!(tokens(&mut words, &word, &[1]), [1]);
        assert_eq!(tokens(&mut words, &word, &[2]), [2]);
        assert_eq!(tokens(&mut words, "many", &[3; MOST_TOKENS + 1]), [3; MOST_TOKENS + 1]);
        assert_eq!(tokens(&mut words, "many", &[4]), [4]);
    }

    #[test]
    fn words_in_one_place_replace_each_other() {
        let mut words = RecentWords::new();
        for id in 0..3 * SLOTS as u32 {
            let word = id.to_string();
            assert_eq!(tokens(&mut words, &word, &[id]), [id]);
            assert_eq!(tokens(&mut words, &word, &[0]), [id]);
        }
    }
}
