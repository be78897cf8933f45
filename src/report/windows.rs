//! The windows that the page ranks and cuts anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::choice::Choice;
use crate::report::WindowPoint;
use crate::report::category::NAME_LENGTH;
use crate::report::text;
use crate::report::whole_text::compress;
use crate::select::{Cut, Method, document_of};

/// Windows that a page holds; of more it holds a sample.
pub const MOST_WINDOWS: usize = 50_000;
/// Categories of which a page holds windows: those with the most.
pub const MOST_CATEGORIES: usize = 30;
/// Sources that a page tells apart: those with the most windows.
const MOST_SOURCES: usize = 200;
/// Bytes of all ids, compressed. Without room for all there is none.
const MOST_BYTES_OF_IDS: usize = 400_000;

/// The windows of the largest categories, to try other cuts on: all of them where they are at most 50,000, else a sample of
/// them, evenly spaced in the order of their ranks.
#[derive(Clone, Debug)]
pub struct Windows {
    method: Method,
    categories: Vec<CategoryWindows>,
    /// The numbers of the sources that are told apart, in their order, and their names.
    sources: BTreeMap<u32, String>,
}

/// A window to try other cuts on.
#[derive(Clone, Debug, Default)]
pub struct ExploredWindow {
    /// The window's id.
    pub id: String,
    /// The number of what it comes from, such as its file in the corpus.
    pub source: u32,
    /// The window's numbers.
    pub point: WindowPoint,
}

#[derive(Clone, Debug)]
struct CategoryWindows {
    /// In full, as cuts and weights name it.
    name: String,
    /// Of the whole category.
    count: usize,
    /// Those that are kept, the highest score first.
    kept: Vec<ExploredWindow>,
}

/// What the page reads, as JSON. Bytes are compressed and in base 64.
#[derive(Serialize)]
pub struct Packed {
    alpha: f64,
    standardize: &'static str,
    max_per_document: Option<NonZeroUsize>,
    categories: Vec<PackedCategory>,
    /// Names of the sources that are told apart.
    sources: Vec<String>,
    /// Of all windows that are kept, category by category, each in the order of ids: DS and DU in 8 bytes, tokens and the
    /// number of the document in 4, the place among the sources in 2, one past the last for all others, whether it was
    /// selected in 1; all of a kind together, in little endian.
    numbers: String,
    /// A list of texts, in the same order; none where there is no room.
    ids: Option<String>,
}

#[derive(Serialize)]
struct PackedCategory {
    name: String,
    windows: usize,
    kept: usize,
    /// In a token budget for all categories.
    weight: f64,
    /// The share that the category's own cut takes, where it has one.
    ratio: Option<f64>,
}

impl Windows {
    /// No windows yet, which were ranked by this method.
    pub fn new(method: &Method) -> Self {
        Self { method: method.clone(), categories: Vec::new(), sources: BTreeMap::new() }
    }

    /// Adds a category with its number of windows. `window` gives the one at a place, counted from 0, in the order of their
    /// ranks.
    pub fn add(&mut self, category: &str, count: usize, window: impl Fn(usize) -> ExploredWindow) {
        let smallest = self.categories.iter().map(|category| category.count).min().unwrap_or_default();
        let is_full = self.categories.len() == MOST_CATEGORIES;
        if is_full && count <= smallest {
            return;
        }
        if is_full && let Some(place) = self.categories.iter().rposition(|category| category.count == smallest) {
            self.categories.remove(place);
        }
        let kept = evenly_spaced(count, MOST_WINDOWS).map(window).collect();
        self.categories.push(CategoryWindows { name: category.to_owned(), count, kept });
    }

    /// Names the sources with the most windows, which the page tells apart. To be called when all categories are there.
    pub fn name_sources(&mut self, name: impl Fn(u32) -> String) {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        let kept = self.categories.iter().flat_map(|category| &category.kept);
        kept.for_each(|window| *counts.entry(window.source).or_default() += 1);
        let mut sources: Vec<_> = counts.into_iter().collect();
        sources.sort_by_key(|(_, count)| Reverse(*count));
        sources.truncate(MOST_SOURCES);
        self.sources =
            sources.into_iter().map(|(number, _)| (number, text::name(&name(number), NAME_LENGTH))).collect();
    }

    /// As the page reads it.
    pub fn packed(&self) -> Packed {
        let counts: usize = self.categories.iter().map(|category| category.count).sum();
        let share = (MOST_WINDOWS as f64 / counts.max(1) as f64).min(1.0);
        let places: HashMap<u32, u16> = self.sources.keys().copied().zip(0..).collect();
        let Method { alpha, standardize, max_per_document, weights, category_cuts, .. } = &self.method;
        let mut ids = Vec::new();
        let mut numbers = Numbers::default();
        let mut categories = Vec::new();
        for CategoryWindows { name, count, kept } in &self.categories {
            let most = (*count as f64 * share).floor().max(1.0) as usize;
            let mut windows: Vec<_> = evenly_spaced(kept.len(), most).map(|place| &kept[place]).collect();
            windows.sort_unstable_by_key(|window| window.id.as_str());
            numbers.add(&windows, &places);
            categories.push(PackedCategory {
                name: text::name(name, NAME_LENGTH),
                windows: *count,
                kept: windows.len(),
                weight: weights.get(name).copied().unwrap_or(1.0),
                ratio: match category_cuts.get(name) {
                    Some(Cut::Ratio(ratio)) => Some(*ratio),
                    _ => None,
                },
            });
            ids.extend(windows.into_iter().map(|window| window.id.as_str()));
        }
        let ids = compress(&serde_json::to_vec(&ids).expect("texts have a form in JSON"));
        Packed {
            alpha: *alpha,
            standardize: standardize.name(),
            max_per_document: *max_per_document,
            categories,
            sources: self.sources.values().cloned().collect(),
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
    sources: Vec<u8>,
    selected: Vec<u8>,
}

impl Numbers {
    fn add(&mut self, windows: &[&ExploredWindow], sources: &HashMap<u32, u16>) {
        let mut documents = HashMap::new();
        for ExploredWindow { id, source, point } in windows {
            let next = documents.len() as u32;
            let document = *documents.entry(document_of(id)).or_insert(next);
            self.strengths.extend(point.dependency_strength.to_le_bytes());
            self.uniformities.extend(point.distribution_uniformity.to_le_bytes());
            self.tokens.extend((point.tokens as u32).to_le_bytes());
            self.documents.extend(document.to_le_bytes());
            self.sources.extend(sources.get(source).copied().unwrap_or(sources.len() as u16).to_le_bytes());
            self.selected.push(u8::from(point.selected));
        }
    }

    fn bytes(self) -> Vec<u8> {
        [self.strengths, self.uniformities, self.tokens, self.documents, self.sources, self.selected].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Standardize;

    fn windows(counts: &[usize]) -> Windows {
        let mut windows = Windows::new(&Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25)));
        for (number, count) in counts.iter().enumerate() {
            let window = |place: usize| ExploredWindow {
                id: format!("{number}-{place}"),
                source: place as u32 % 300,
                point: WindowPoint { dependency_strength: place as f64, ..WindowPoint::default() },
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
        long.add("long", 20_000, |place| ExploredWindow { id: noise(place), ..ExploredWindow::default() });
        assert!(long.packed().ids.is_none());
    }

    #[test]
    fn the_sources_with_the_most_windows_are_told_apart() {
        let mut few = windows(&[900, 7]);
        few.name_sources(|number| format!("file {number}"));
        let sources = few.packed().sources;
        assert_eq!((sources.len(), sources[0].as_str(), sources[199].as_str()), (200, "file 0", "file 199"));
        let mut one = windows(&[3]);
        one.name_sources(|number| format!("file {number}"));
        assert_eq!(one.packed().sources, ["file 0", "file 1", "file 2"]);
    }

    #[test]
    fn weights_and_own_cuts_are_those_of_the_method() {
        let mut method = Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25));
        method.weights.insert("0".to_owned(), 2.0);
        method.category_cuts =
            [("1".to_owned(), Cut::Ratio(0.125)), ("2".to_owned(), Cut::Count(3))].into_iter().collect();
        let windows = Windows { method, ..windows(&[4, 4, 4]) };
        let packed = windows.packed().categories;
        let found: Vec<_> = packed.iter().map(|category| (category.weight, category.ratio)).collect();
        assert_eq!(found, [(2.0, None), (1.0, Some(0.125)), (1.0, None)]);
    }
}
