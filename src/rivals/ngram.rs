//! How much better an n-gram model predicts a window that has seen all of it before a token, and not just the end.

use super::losses::{MIN_GAIN_TOKENS, SHORT_CONTEXT, ShortContext, short_contexts};

/// Tokens of the longest context.
const LONGEST_CONTEXT: usize = 3;

/// Orders of the model: contexts of none to [`LONGEST_CONTEXT`] tokens.
const ORDERS: usize = LONGEST_CONTEXT + 1;

/// The probability of a token of which nothing is known.
const UNIFORM: f64 = 1.0 / 65536.0;

/// The gain of an n-gram model from the whole window, in nats a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NgramGain {
    /// As [`information_gain`](super::information_gain).
    pub plain: f64,
    /// Weighted by the probability of the token given the whole window, as [`longfilter_score`](super::longfilter_score).
    pub weighted: f64,
}

/// The information gain of a window by an n-gram model that learns from the window itself, with contexts of 0 to 3 tokens. No
/// language model is needed: what is far away and helps is what comes again.
///
/// The probability of a token `w` after a context `c` is that of Witten and Bell (1991), interpolated,
///
/// `p(w|c) = (n(c,w) + u(c)·p(w|c′)) / (n(c) + u(c))`
///
/// with `n` the counts in what came before, `u(c)` the number of different tokens that followed `c`, `c′` the context without
/// its first token, and `1/65536` below the empty context. What came before is the whole window or the last 128 to 255 tokens,
/// counted as for [`Scorer::information_gain`](crate::model::Scorer::information_gain): short contexts begin every 128 tokens,
/// and the second half of their 256 tokens counts. `None` below [`MIN_GAIN_TOKENS`].
///
/// Time and memory are linear in the window: about 100 bytes a token. Contexts are known by 32 bits of their hash and their
/// place in a table, so that in a window of a million tokens about one in a thousand may be taken for another.
///
/// ```
/// use longattn::rivals::ngram_gain;
///
/// let new: Vec<u32> = (0..512).collect();
/// let again: Vec<u32> = (0..256).chain(0..256).collect();
/// assert!(ngram_gain(&again).unwrap().plain > 1.0 + ngram_gain(&new).unwrap().plain);
/// assert_eq!(ngram_gain(&new[..256]), None);
/// ```
pub fn ngram_gain(ids: &[u32]) -> Option<NgramGain> {
    if ids.len() < MIN_GAIN_TOKENS {
        return None;
    }
    let (mut whole, mut short) = (Model::new(ids.len()), Model::new(SHORT_CONTEXT));
    whole.learn(&ids[..SHORT_CONTEXT]);
    let (mut plain, mut weighted) = (0.0, 0.0);
    for ShortContext { start, counted } in short_contexts(ids.len()) {
        short.forget();
        short.learn(&ids[start..counted.start]);
        for id in &ids[counted] {
            let (whole, short) = (whole.next(*id), short.next(*id));
            let gain = libm::log(whole / short);
            plain += gain;
            weighted += whole * gain;
        }
    }
    let counted = (ids.len() - SHORT_CONTEXT) as f64;
    Some(NgramGain { plain: plain / counted, weighted: weighted / counted })
}

/// A run of tokens in what came before.
#[derive(Clone, Copy, Default)]
struct Run {
    /// The part of its hash that is not told by its place in the table.
    tag: u32,
    /// How often it was there; 0 where there is none.
    count: u32,
    /// Different tokens that followed it.
    followers: u32,
}

/// The counts of all runs of at most [`ORDERS`] tokens in what came before.
struct Model {
    /// A hash table with linear probing, at most half full, so that it never grows.
    runs: Vec<Run>,
    /// Bits of a hash beyond those that are a place in the table.
    shift: u32,
    /// Tokens that came before.
    count: u32,
    /// Different ones among them.
    followers: u32,
    /// The last tokens, the very last first.
    last: [u32; LONGEST_CONTEXT],
    /// The places of the runs of one, two and three tokens that came last: the contexts of the next one.
    contexts: [usize; LONGEST_CONTEXT],
}

impl Model {
    /// A model of at most so many tokens.
    fn new(tokens: usize) -> Self {
        let places = (2 * ORDERS * tokens).next_power_of_two();
        Self {
            runs: vec![Run::default(); places],
            shift: u64::BITS - places.ilog2(),
            count: 0,
            followers: 0,
            last: [0; LONGEST_CONTEXT],
            contexts: [0; LONGEST_CONTEXT],
        }
    }

    /// Nothing came before.
    fn forget(&mut self) {
        self.runs.fill(Run::default());
        (self.count, self.followers) = (0, 0);
    }

    fn learn(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| _ = self.next(*id));
    }

    /// The probability of a token given what came before, to which it belongs from now on.
    fn next(&mut self, id: u32) -> f64 {
        let orders = ORDERS.min(self.count as usize + 1);
        let (hashes, mut places) = (self.hashes(id), [0; ORDERS]);
        let mut parts = [(0, 0, 0); ORDERS];
        // From the longest down: a run that is counted must not be taken for the context of a longer one.
        for order in (0..orders).rev() {
            let place = self.place(hashes[order]);
            let run = &mut self.runs[place];
            let seen = run.count;
            (run.tag, run.count) = (hashes[order] as u32, seen + 1);
            let is_new = u32::from(seen == 0);
            parts[order] = match order {
                0 => (seen, self.count, self.followers),
                _ => {
                    let context = &mut self.runs[self.contexts[order - 1]];
                    let followers = context.followers;
                    context.followers += is_new;
                    // Of all that it was there, nothing followed it the last time.
                    (seen, context.count - 1, followers)
                }
            };
            places[order] = place;
            if order == 0 {
                self.followers += is_new;
            }
        }
        self.count += 1;
        self.last.rotate_right(1);
        self.last[0] = id;
        self.contexts.copy_from_slice(&places[..LONGEST_CONTEXT]);
        parts[..orders].iter().filter(|(_, count, _)| *count > 0).fold(UNIFORM, |shorter, (seen, count, followers)| {
            (f64::from(*seen) + f64::from(*followers) * shorter) / (f64::from(*count) + f64::from(*followers))
        })
    }

    /// The hashes of a token and of the runs of two, three and four tokens that it ends.
    fn hashes(&self, id: u32) -> [u64; ORDERS] {
        let mut hashes = [mix(0, id); ORDERS];
        for order in 1..ORDERS {
            hashes[order] = mix(hashes[order - 1], self.last[order - 1]);
        }
        hashes
    }

    /// The place of a run, or that where it goes.
    fn place(&self, hash: u64) -> usize {
        let mut place = (hash >> self.shift) as usize;
        while self.runs[place].count > 0 && self.runs[place].tag != hash as u32 {
            place = (place + 1) % self.runs.len();
        }
        place
    }
}

/// Both halves of a product, as in wyhash.
fn mix(hash: u64, id: u32) -> u64 {
    let product = u128::from(hash ^ 0x9e37_79b9_7f4a_7c15) * u128::from(u64::from(id) ^ 0xd6e8_feb8_6659_fd93);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::losses::STRIDE;
    use super::*;
    use crate::random::Random;

    /// The probability of the token at `place`, by counting in `ids[start..place]`.
    fn naive_probability(ids: &[u32], start: usize, place: usize) -> f64 {
        let (history, id) = (&ids[start..place], ids[place]);
        let mut probability = UNIFORM;
        for order in 0..=LONGEST_CONTEXT.min(history.len()) {
            let context = &history[history.len() - order..];
            let followers: Vec<_> = history.windows(order + 1).filter(|run| run[..order] == *context).collect();
            let different: BTreeSet<_> = followers.iter().map(|run| run[order]).collect();
            if followers.is_empty() {
                continue;
            }
            let seen = followers.iter().filter(|run| run[order] == id).count();
            let (count, different) = (followers.len() as f64, different.len() as f64);
            probability = (seen as f64 + different * probability) / (count + different);
        }
        probability
    }

    fn naive(ids: &[u32]) -> NgramGain {
        let (mut plain, mut weighted) = (0.0, 0.0);
        for place in SHORT_CONTEXT..ids.len() {
            let short_start = (place / STRIDE - 1) * STRIDE;
            let whole = naive_probability(ids, 0, place);
            let gain = (whole / naive_probability(ids, short_start, place)).ln();
            plain += gain;
            weighted += whole * gain;
        }
        let counted = (ids.len() - SHORT_CONTEXT) as f64;
        NgramGain { plain: plain / counted, weighted: weighted / counted }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn it_is_what_counting_gives(
            ids in prop::collection::vec(prop_oneof![0..3u32, 0..40u32, any::<u32>()], MIN_GAIN_TOKENS..600),
        ) {
            let (fast, slow) = (ngram_gain(&ids).unwrap(), naive(&ids));
            prop_assert!((fast.plain - slow.plain).abs() < 1e-9, "{fast:?} {slow:?}");
            prop_assert!((fast.weighted - slow.weighted).abs() < 1e-9, "{fast:?} {slow:?}");
        }

        #[test]
        fn probabilities_sum_to_less_than_one_by_what_is_unknown(ids in prop::collection::vec(0..6u32, 1..80)) {
            let next = |id| {
                let mut model = Model::new(ids.len() + 1);
                model.learn(&ids);
                model.next(id)
            };
            let known: BTreeMap<_, _> = ids.iter().map(|id| (*id, next(*id))).collect();
            let unknown = next(u32::MAX) * (65536 - known.len()) as f64;
            prop_assert!((known.values().sum::<f64>() + unknown - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn what_only_the_far_part_tells_is_a_gain() {
        let mut random = Random(1);
        let mut noise = |count: usize| -> Vec<u32> { (0..count).map(|_| random.below(5000) as u32).collect() };
        let (part, other) = (noise(512), noise(512));
        let gain = |ids: &[u32]| ngram_gain(ids).unwrap();
        let again = gain(&[&part[..], &part].concat());
        let spliced = gain(&[&part[..], &other].concat());
        assert!(again.plain > spliced.plain + 1.0 && again.weighted > spliced.weighted + 0.1);
        // What the last tokens tell as well is none.
        let near = gain(&part[..64].repeat(16));
        assert!(near.plain < 0.2, "{near:?}");
    }

    #[test]
    fn a_last_short_context_may_be_cut_off() {
        let ids: Vec<_> = (0..3 * STRIDE as u32 + 1).map(|id| id % 300).collect();
        for length in [MIN_GAIN_TOKENS, 3 * STRIDE, 3 * STRIDE + 1] {
            let (fast, slow) = (ngram_gain(&ids[..length]).unwrap(), naive(&ids[..length]));
            assert!((fast.plain - slow.plain).abs() < 1e-9);
        }
        assert_eq!(ngram_gain(&ids[..SHORT_CONTEXT]), None);
    }
}
