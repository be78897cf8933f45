//! How much of a window was there long before.

use std::num::NonZeroUsize;

use rustc_hash::FxHashMap;

/// The share of a window's `n`-grams that stand in it already, the last time `min_distance` tokens before or more: from 0 to 1.
/// What also came in between does not count. `None` for fewer than `n` tokens.
///
/// ```
/// use std::num::NonZeroUsize;
/// use longattn::rivals::recurrence;
///
/// // Of the 2-grams 1 2, 2 3, 3 1, 1 2 and 2 1, the fourth was there 3 tokens before.
/// let two = NonZeroUsize::new(2).unwrap();
/// assert_eq!(recurrence(&[1, 2, 3, 1, 2, 1], two, 3), Some(0.2));
/// assert_eq!(recurrence(&[1, 2, 3, 1, 2, 1], two, 4), Some(0.0));
/// ```
pub fn recurrence(ids: &[u32], n: NonZeroUsize, min_distance: usize) -> Option<f64> {
    let ngrams = (ids.len() + 1).checked_sub(n.get()).filter(|ngrams| *ngrams > 0)?;
    let mut last_places: FxHashMap<&[u32], usize> = FxHashMap::with_capacity_and_hasher(ngrams, Default::default());
    let mut recurring = 0;
    for (place, ngram) in ids.windows(n.get()).enumerate() {
        let last = last_places.insert(ngram, place);
        recurring += usize::from(last.is_some_and(|last| place - last >= min_distance));
    }
    Some(recurring as f64 / ngrams as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(ids: &[u32], n: usize, min_distance: usize) -> f64 {
        let ngrams: Vec<_> = ids.windows(n).collect();
        let recurs = |place: &usize| {
            let last = (0..*place).rev().find(|before| ngrams[*before] == ngrams[*place]);
            last.is_some_and(|last| place - last >= min_distance)
        };
        (0..ngrams.len()).filter(recurs).count() as f64 / ngrams.len() as f64
    }

    proptest! {
        #[test]
        fn it_is_what_its_words_say(ids in prop::collection::vec(0..4u32, 4..200), n in 1..=4usize, distance in 0..40usize) {
            prop_assert_eq!(recurrence(&ids, NonZeroUsize::new(n).unwrap(), distance), Some(naive(&ids, n, distance)));
        }
    }

    #[test]
    fn what_is_too_short_has_none() {
        let three = NonZeroUsize::new(3).unwrap();
        assert_eq!(recurrence(&[1, 2], three, 1), None);
        assert_eq!(recurrence(&[1, 2, 3], three, 1), Some(0.0));
    }
}
