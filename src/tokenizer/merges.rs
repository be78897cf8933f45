//! Byte-pair encoding of single words.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::{FxBuildHasher, FxHashMap};
use tokenizers::Model;
use tokenizers::models::bpe::BPE;

/// In the place of a neighbour or token that is not there.
const NONE: u32 = u32::MAX;

/// The merges of a vocabulary of bytes, in the order of the `tokenizers` library.
pub(super) struct Merges {
    /// The token of each single byte, where the vocabulary has it.
    bytes: [Option<u32>; 256],
    /// What two neighbours become.
    pairs: FxHashMap<(u32, u32), Merge>,
    /// Words that are one token, whatever merges make of them.
    whole: FxHashMap<Box<[u8]>, u32>,
}

#[derive(Clone, Copy)]
struct Merge {
    rank: u32,
    id: u32,
}

/// What a thread needs to encode.
#[derive(Default)]
pub(super) struct MergeBuffers {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
}

/// A token in a list of them; one that became part of the one before it has the id [`NONE`].
#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    previous: u32,
    next: u32,
}

/// A merge that was possible when it was found, of a symbol and its next one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    position: u32,
    id: u32,
}

impl Merges {
    /// The merges of a model, whose vocabulary spells bytes by `letters`; `None` where it does not tell them.
    pub(super) fn of(model: &BPE, letters: &[char; 256]) -> Option<Self> {
        let vocabulary = model.get_vocab();
        let json = serde_json::to_value(model).ok()?;
        let pairs: Vec<(String, String)> = serde_json::from_value(json.get("merges")?.clone()).ok()?;
        let pair = |(rank, (left, right)): (usize, (String, String))| {
            let id = *vocabulary.get(&format!("{left}{right}"))?;
            Some(((*vocabulary.get(&left)?, *vocabulary.get(&right)?), Merge { rank: rank as u32, id }))
        };
        let byte_of: HashMap<char, u8> = letters.iter().copied().zip(0..=255).collect();
        let spelled = |(token, id): (&String, &u32)| {
            let bytes: Option<Box<[u8]>> = token.chars().map(|letter| byte_of.get(&letter).copied()).collect();
            Some((bytes?, *id))
        };
        let whole = match model.ignore_merges {
            true => vocabulary.iter().filter_map(spelled).collect(),
            false => HashMap::with_hasher(FxBuildHasher),
        };
        Some(Self {
            bytes: letters.map(|letter| model.token_to_id(letter.encode_utf8(&mut [0; 4]))),
            pairs: pairs.into_iter().enumerate().map(pair).collect::<Option<_>>()?,
            whole,
        })
    }

    /// Whether the vocabulary has a token for each byte.
    pub(super) fn know(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.bytes[usize::from(byte)].is_some())
    }

    /// Adds the tokens of a word of known bytes to `ids`: of all neighbours that can be merged, the first ones of the lowest
    /// rank are, until none can be.
    pub(super) fn encode(&self, word: &[u8], buffers: &mut MergeBuffers, ids: &mut Vec<u32>) {
        if let Some(id) = self.whole.get(word) {
            return ids.push(*id);
        }
        let MergeBuffers { symbols, queue } = buffers;
        let (known, last) =
            (word.iter().filter_map(|byte| self.bytes[usize::from(*byte)]), word.len().saturating_sub(1));
        symbols.clear();
        symbols.extend(known.zip(0..).map(|(id, place): (u32, u32)| Symbol {
            id,
            previous: place.checked_sub(1).unwrap_or(NONE),
            next: if place as usize == last { NONE } else { place + 1 },
        }));
        queue.clear();
        (0..last as u32).for_each(|position| self.offer(symbols, queue, position));
        while let Some(Reverse(best)) = queue.pop() {
            self.merge(symbols, queue, &best);
        }
        ids.extend(symbols.iter().map(|symbol| symbol.id).filter(|id| *id != NONE));
    }

    /// Puts the merge of a symbol and its next one into the queue, where there is one.
    fn offer(&self, symbols: &[Symbol], queue: &mut BinaryHeap<Reverse<Candidate>>, position: u32) {
        let symbol = symbols[position as usize];
        let Some(next) = symbols.get(symbol.next as usize) else { return };
        if let Some(merge) = self.pairs.get(&(symbol.id, next.id)) {
            queue.push(Reverse(Candidate { rank: merge.rank, position, id: merge.id }));
        }
    }

    /// Merges a symbol and its next one, if they still become what they would have when they were put into the queue.
    fn merge(&self, symbols: &mut [Symbol], queue: &mut BinaryHeap<Reverse<Candidate>>, best: &Candidate) {
        let left = symbols[best.position as usize];
        let Some(right) = symbols.get(left.next as usize).copied() else { return };
        if self.pairs.get(&(left.id, right.id)).is_none_or(|merge| merge.id != best.id) {
            return;
        }
        symbols[left.next as usize].id = NONE;
        symbols[best.position as usize] = Symbol { id: best.id, previous: left.previous, next: right.next };
        if let Some(after) = symbols.get_mut(right.next as usize) {
            after.previous = best.position;
        }
        if left.previous != NONE {
            self.offer(symbols, queue, left.previous);
        }
        self.offer(symbols, queue, best.position);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::models::bpe::BpeBuilder;

    use super::*;

    /// A model of three letters and some merges of what can be made of them, of which several may make the same token.
    fn model(merges: &[(usize, usize)], ignore_merges: bool) -> BPE {
        let mut tokens: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut pairs = Vec::new();
        for (left, right) in merges {
            let pair = (tokens[left % tokens.len()].clone(), tokens[right % tokens.len()].clone());
            let merged = pair.0.clone() + &pair.1;
            if !tokens.contains(&merged) {
                tokens.push(merged);
            }
            pairs.push(pair);
        }
        let vocabulary: tokenizers::models::bpe::Vocab = tokens.into_iter().zip(0..).collect();
        BpeBuilder::new().vocab_and_merges(vocabulary, pairs).ignore_merges(ignore_merges).build().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn words_have_the_tokens_of_the_library(
            merges in prop::collection::vec((0usize..40, 0usize..40), 0..40),
            ignore_merges: bool,
            words in prop::collection::vec("[abc]{0,40}", 1..10),
        ) {
            let model = model(&merges, ignore_merges);
            let ours = Merges::of(&model, &super::super::byte_level::letters()).unwrap();
            let mut buffers = MergeBuffers::default();
            for word in words {
                let theirs: Vec<u32> = model.tokenize(&word).unwrap().iter().map(|token| token.id).collect();
                let mut ids = Vec::new();
                ours.encode(word.as_bytes(), &mut buffers, &mut ids);
                prop_assert_eq!(ids, theirs, "{}", word);
            }
        }
    }
}
