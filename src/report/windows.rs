//! The windows that the page ranks and cuts anew.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::choice::Choice;
use crate::report::WindowPoint;
use crate::report::category::NAME_LENGTH;
use crate::report::text;
use crate::report::whole_text::compress;
use crate::select::{Method, Standardize, document_of};

/// Windows that a page holds; of more it holds a sample.
pub const MOST_WINDOWS: usize = 50_000;
/// Categories of which a page holds windows: those with the most.
pub const MOST_CATEGORIES: usize = 30;
/// Bytes of all ids, compressed. Without room for all there is none.
const MOST_BYTES_OF_IDS: usize = 400_000;

/// The windows of the largest categories, to try other cuts on: all of them where they are at most 50,000, else a sample of
/// them, evenly spaced in the order of their ranks.
#[derive(Clone, Debug)]
pub struct Windows {
    alpha: f64,
    standardize: Standardize,
    max_per_document: Option<NonZeroUsize>,
    categories: Vec<CategoryWindows>,
}

#[derive(Clone, Debug)]
struct CategoryWindows {
    name: String,
    /// Of the whole category.
    count: usize,
    /// Those that are kept, the highest score first.
    kept: Vec<(String, WindowPoint)>,
}

/// What the page reads, as JSON. Bytes are compressed and in base 64.
#[derive(Serialize)]
pub struct Packed {
    alpha: f64,
    standardize: &'static str,
    max_per_document: Option<NonZeroUsize>,
    categories: Vec<PackedCategory>,
    /// Of all windows that are kept, category by category, each in the order of ids: DS and DU in 8 bytes, tokens and the
    /// number of the document in 4, whether it was selected in 1; all of a kind together, in little endian.
    numbers: String,
    /// A list of texts, in the same order; none where there is no room.
    ids: Option<String>,
}

#[derive(Serialize)]
struct PackedCategory {
    name: String,
    windows: usize,
    kept: usize,
}

impl Windows {
    /// No windows yet, which were ranked by this method.
    pub fn new(method: &Method) -> Self {
        let Method { alpha, standardize, max_per_document, .. } = *method;
        Self { alpha, standardize, max_per_document, categories: Vec::new() }
    }

    /// Adds a category with its number of windows. `window` gives the id and the numbers of the one at a place, counted from
    /// 0, in the order of their ranks.
    pub fn add(&mut self, category: &str, count: usize, window: impl Fn(usize) -> (String, WindowPoint)) {
        let smallest = self.categories.iter().map(|category| category.count).min().unwrap_or_default();
        let is_full = self.categories.len() == MOST_CATEGORIES;
        if is_full && count <= smallest {
            return;
        }
        if is_full && let Some(place) = self.categories.iter().rposition(|category| category.count == smallest) {
            self.categories.remove(place);
        }
        let kept = evenly_spaced(count, MOST_WINDOWS).map(window).collect();
        self.categories.push(CategoryWindows { name: text::name(category, NAME_LENGTH), count, kept });
    }

    /// As the page reads it.
    pub fn packed(&self) -> Packed {
        let counts: usize = self.categories.iter().map(|category| category.count).sum();
        let share = (MOST_WINDOWS as f64 / counts.max(1) as f64).min(1.0);
        let mut ids = Vec::new();
        let mut numbers = Numbers::default();
        let mut categories = Vec::new();
        for CategoryWindows { name, count, kept } in &self.categories {
            let most = (*count as f64 * share).floor().max(1.0) as usize;
            let mut windows: Vec<_> = evenly_spaced(kept.len(), most).map(|place| &kept[place]).collect();
            windows.sort_unstable_by_key(|(id, _)| id.as_str());
            numbers.add(&windows);
            categories.push(PackedCategory { name: name.clone(), windows: *count, kept: windows.len() });
            ids.extend(windows.into_iter().map(|(id, _)| id.as_str()));
        }
        let ids = compress(&serde_json::to_vec(&ids).expect("texts have a form in JSON"));
        Packed {
            alpha: self.alpha,
            standardize: self.standardize.name(),
            max_per_document: self.max_per_document,
            categories,
            numbers: encode(&compress(&numbers.bytes())),
            ids: (ids.len() <= MOST_BYTES_OF_IDS).then(|| encode(&ids)),
        }
    }
}

/// In base 64.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// At most `most` of the places of so many things.
fn evenly_spaced(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = count.min(most);
    (0..kept).map(move |place| (2 * place + 1) * count / (2 * kept))
}

#[derive(Default)]
struct Numbers {
    strengths: Vec<u8>,
    uniformities: Vec<u8>,
    tokens: Vec<u8>,
    documents: Vec<u8>,
    selected: Vec<u8>,
}

impl Numbers {
    fn add(&mut self, windows: &[&(String, WindowPoint)]) {
        let mut documents = HashMap::new();
        for (id, window) in windows {
            let next = documents.len() as u32;
            let document = *documents.entry(document_of(id)).or_insert(next);
            self.strengths.extend(window.dependency_strength.to_le_bytes());
            self.uniformities.extend(window.distribution_uniformity.to_le_bytes());
            self.tokens.extend((window.tokens as u32).to_le_bytes());
            self.documents.extend(document.to_le_bytes());
            self.selected.push(u8::from(window.selected));
        }
    }

    fn bytes(self) -> Vec<u8> {
        [self.strengths, self.uniformities, self.tokens, self.documents, self.selected].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Cut;

    fn windows(counts: &[usize]) -> Windows {
        let mut windows = Windows::new(&Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25)));
        for (number, count) in counts.iter().enumerate() {
            let window = |place: usize| {
                (
                    format!("{number}-{place}"),
                    WindowPoint { dependency_strength: place as f64, ..WindowPoint::default() },
                )
            };
            windows.add(&number.to_string(), *count, window);
        }
        windows
    }

    fn kept(windows: &Windows) -> Vec<(usize, usize)> {
        windows.packed().categories.iter().map(|category| (category.windows, category.kept)).collect()
    }

    #[test]
    fn all_windows_are_kept_where_they_have_room() {
        assert_eq!(kept(&windows(&[20_000, 7, 29_993])), [(20_000, 20_000), (7, 7), (29_993, 29_993)]);
    }

    #[test]
    fn of_more_windows_a_sample_is_kept() {
        assert_eq!(kept(&windows(&[300_000, 1, 100_000])), [(300_000, 37_499), (1, 1), (100_000, 12_499)]);
    }

    #[test]
    fn of_more_categories_the_largest_are_kept() {
        let counts: Vec<_> = (1..=40).collect();
        assert_eq!(kept(&windows(&counts)), (11..=40).map(|count| (count, count)).collect::<Vec<_>>());
    }

    #[test]
    fn places_are_evenly_spaced_and_never_twice() {
        assert_eq!(evenly_spaced(3, 9).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly_spaced(9, 3).collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(evenly_spaced(0, 3).count(), 0);
    }

    #[test]
    fn ids_that_take_too_much_room_are_left_out() {
        assert!(windows(&[1000]).packed().ids.is_some());
        let mut long = windows(&[]);
        let noise = |place: usize| {
            (0..30_u64).map(|n| format!("{:x}", (place as u64 + 7 * n).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
        };
        long.add("long", 20_000, |place| (noise(place), WindowPoint::default()));
        assert!(long.packed().ids.is_none());
    }
}
