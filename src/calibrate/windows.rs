//! Real windows and spliced ones, made of the same documents.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;
use crate::tokenizer::Tokens;
use crate::window::window_starts;

/// Which windows a calibration is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Tokens of a window.
    pub window: NonZeroUsize,
    /// Windows of each category that are real, and as many that are spliced.
    pub windows: NonZeroUsize,
    /// Pieces of a spliced window, at least 2.
    pub pieces: usize,
    /// Any number; another one draws other windows.
    pub seed: u64,
}

impl Plan {
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for fewer than 2 pieces, or pieces of less than a token.
    pub fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::InvalidSetting, message));
        match self.pieces {
            0 | 1 => wrong(format!("pieces cannot be {}: a spliced window has at least 2", self.pieces)),
            pieces if pieces > self.window.get() => {
                wrong(format!("a window of {} tokens cannot be spliced of {pieces} pieces: use fewer", self.window))
            }
            _ => Ok(()),
        }
    }

    /// Documents of a category that are drawn, where it has as many.
    fn documents(&self) -> usize {
        self.windows.get().max(self.pieces)
    }
}

/// What a window is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// A run of one document.
    Real,
    /// Runs of several documents.
    Spliced,
}

/// A window to score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestWindow {
    /// Whether it is whole.
    pub side: Side,
    /// Its document, or those of its pieces in their order.
    pub documents: Vec<String>,
    /// Its token ids, without special ones.
    pub ids: Vec<u32>,
    /// Its text, the texts of its pieces one after the other.
    pub text: String,
    /// Where each token begins in the text, and the text's length.
    pub boundaries: Vec<usize>,
}

/// The windows of one category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCategory {
    /// The category's name.
    pub name: String,
    /// Documents that the windows were drawn from.
    pub documents: usize,
    /// Real and spliced windows in turn.
    pub windows: Vec<TestWindow>,
}

impl TestCategory {
    /// The windows of one side.
    pub fn side(&self, side: Side) -> impl Iterator<Item = &TestWindow> {
        self.windows.iter().filter(move |window| window.side == side)
    }
}

/// A category that cannot be tested, because it has fewer than two documents of at least a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The category's name.
    pub category: String,
    /// Its documents, of any length.
    pub documents: usize,
    /// Those of at least a window.
    pub long_documents: usize,
}

/// Draws documents from a corpus of any size, and windows from these.
///
/// Which documents are drawn is decided by their texts and the seed: neither their order nor their names play a part, and
/// copies of one text count once. No more is kept than the windows may need. What was [added](Self::add) counts once it is
/// [kept](Self::keep), since only the end of a file tells that it was whole.
pub struct Sampler {
    plan: Plan,
    categories: BTreeMap<String, Category>,
}

#[derive(Default)]
struct Category {
    kept: DrawnDocuments,
    /// What was added since, and may be forgotten.
    added: DrawnDocuments,
}

/// A sample of documents: those whose keys are the smallest.
#[derive(Default)]
struct DrawnDocuments {
    /// All texts that were seen, by their keys.
    seen: HashSet<u64>,
    documents: BTreeMap<u64, Document>,
}

impl DrawnDocuments {
    fn has_seen(&self, key: u64) -> bool {
        self.seen.contains(&key)
    }

    /// Documents that come before one with this key.
    fn before(&self, key: u64) -> usize {
        self.documents.range(..key).count()
    }

    fn shorten(&mut self, most: usize) {
        while self.documents.len() > most {
            self.documents.pop_last();
        }
    }

    fn merge(&mut self, other: Self, most: usize) {
        self.seen.extend(other.seen);
        self.documents.extend(other.documents);
        self.shorten(most);
    }
}

/// Windows of a document in a random order, enough for all that may be drawn from it.
struct Document {
    id: String,
    windows: Vec<Run>,
}

/// A run of tokens of one document.
struct Run {
    ids: Vec<u32>,
    text: String,
    /// Where each token begins in the text, and its length.
    boundaries: Vec<u32>,
}

impl Run {
    fn new(text: &str, tokens: &Tokens, run: Range<usize>) -> Self {
        let bytes = tokens.bytes(&run);
        let boundary = |token: usize| (tokens.bytes(&(run.start..token)).end - bytes.start) as u32;
        Self {
            ids: tokens.ids()[run.clone()].to_vec(),
            text: text[bytes.clone()].to_owned(),
            boundaries: (run.start..=run.end).map(boundary).collect(),
        }
    }

    fn text(&self, tokens: &Range<usize>) -> &str {
        &self.text[self.boundaries[tokens.start] as usize..self.boundaries[tokens.end] as usize]
    }
}

impl Sampler {
    /// A sampler of an empty corpus.
    ///
    /// # Errors
    /// Those of [`Plan::check`].
    pub fn new(plan: Plan) -> Result<Self> {
        plan.check()?;
        Ok(Self { plan, categories: BTreeMap::new() })
    }

    /// Adds a document; it is only tokenised, without special tokens, where it may be drawn.
    ///
    /// # Errors
    /// Those of `tokenize`; the document is left out then.
    pub fn add(
        &mut self,
        category: &str,
        id: &str,
        text: &str,
        tokenize: impl FnOnce(&str) -> Result<Tokens>,
    ) -> Result<()> {
        let Plan { window, windows, seed, .. } = self.plan;
        let most = self.plan.documents();
        let category = match self.categories.get_mut(category) {
            Some(category) => category,
            None => self.categories.entry(category.to_owned()).or_default(),
        };
        let key = key(seed, text);
        let Category { kept, added } = category;
        let is_known = kept.has_seen(key) || !added.seen.insert(key);
        if is_known || kept.before(key) + added.before(key) >= most {
            return Ok(());
        }
        let tokens = tokenize(text)?;
        let mut starts = window_starts(tokens.ids().len(), window);
        if starts.is_empty() {
            return Ok(());
        }
        Random(key).shuffle(&mut starts);
        let cut = starts.iter().take(windows.get()).map(|start| Run::new(text, &tokens, *start..start + window.get()));
        added.documents.insert(key, Document { id: id.to_owned(), windows: cut.collect() });
        added.shorten(most);
        Ok(())
    }

    /// What was added since the last call counts.
    pub fn keep(&mut self) {
        let most = self.plan.documents();
        for category in self.categories.values_mut() {
            category.kept.merge(std::mem::take(&mut category.added), most);
        }
    }

    /// Nothing of what was added since it was last kept counts.
    pub fn forget(&mut self) {
        self.categories.values_mut().for_each(|category| category.added = DrawnDocuments::default());
        self.categories.retain(|_, category| !category.kept.seen.is_empty());
    }

    /// Draws the windows of every category that has two documents of at least a window, and names the other categories.
    /// What was added is kept.
    pub fn draw(mut self) -> (Vec<TestCategory>, Vec<LeftOut>) {
        self.keep();
        let (mut drawn, mut left_out) = (Vec::new(), Vec::new());
        for (name, Category { kept, .. }) in self.categories {
            let documents: Vec<_> = kept.documents.into_iter().collect();
            if documents.len() < 2 {
                let (seen, long) = (kept.seen.len(), documents.len());
                left_out.push(LeftOut { category: name, documents: seen, long_documents: long });
                continue;
            }
            let mut random = Random(documents.iter().fold(self.plan.seed, |seed, (key, _)| Random(seed ^ key).next()));
            let documents: Vec<_> = documents.into_iter().map(|(_, document)| document).collect();
            let real = real_windows(&documents, self.plan.windows.get());
            let mut splicer = Splicer { documents: &documents, deck: Vec::new(), plan: &self.plan };
            let windows = real.into_iter().flat_map(|real| [real, splicer.window(&mut random)]).collect();
            drawn.push(TestCategory { name, documents: documents.len(), windows });
        }
        (drawn, left_out)
    }
}

/// A random number that a text and the seed decide.
fn key(seed: u64, text: &str) -> u64 {
    let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(text).finalize();
    u64::from_le_bytes(hash[..8].try_into().expect("a hash has 32 bytes"))
}

/// One window of each document, then a second one of each that has two, and so on: long documents do not dominate.
fn real_windows(documents: &[Document], count: usize) -> Vec<TestWindow> {
    let rounds = documents.iter().map(|document| document.windows.len()).max().unwrap_or(0);
    let windows = (0..rounds)
        .flat_map(|round| documents.iter().filter_map(move |document| Some((document, document.windows.get(round)?))));
    let real = |(document, run): (&Document, &Run)| TestWindow {
        side: Side::Real,
        documents: vec![document.id.clone()],
        ids: run.ids.clone(),
        text: run.text.clone(),
        boundaries: run.boundaries.iter().map(|byte| *byte as usize).collect(),
    };
    windows.take(count).map(real).collect()
}

/// Splices windows.
///
/// The piece at each place of a spliced window is what stands at this place in a real one. So both sides have the same
/// share of documents' beginnings, and differ in nothing but that the pieces of a real window belong together.
struct Splicer<'a> {
    documents: &'a [Document],
    /// Documents still to be used, so that all are used equally often.
    deck: Vec<usize>,
    plan: &'a Plan,
}

impl Splicer<'_> {
    fn window(&mut self, random: &mut Random) -> TestWindow {
        let Plan { window, pieces, .. } = *self.plan;
        let mut used = Vec::new();
        let (mut ids, mut text) = (Vec::with_capacity(window.get()), String::new());
        let mut boundaries = Vec::with_capacity(window.get() + 1);
        for piece in 0..pieces {
            let place = self.draw(&used, random);
            used.push(place);
            let windows = &self.documents[place].windows;
            let tokens = piece * window.get() / pieces..(piece + 1) * window.get() / pieces;
            let run = &windows[random.below(windows.len())];
            let starts = &run.boundaries[tokens.clone()];
            boundaries.extend(starts.iter().map(|byte| text.len() + (byte - starts[0]) as usize));
            text += run.text(&tokens);
            ids.extend(&run.ids[tokens]);
        }
        boundaries.push(text.len());
        let documents = used.iter().map(|place| self.documents[*place].id.clone()).collect();
        TestWindow { side: Side::Spliced, documents, ids, text, boundaries }
    }

    /// The document of the next piece: none of those before it where there are enough documents, else not the last one.
    fn draw(&mut self, used: &[usize], random: &mut Random) -> usize {
        let enough = self.documents.len() >= self.plan.pieces;
        let excluded = if enough { used } else { &used[used.len().saturating_sub(1)..] };
        loop {
            if let Some(place) = self.deck.iter().position(|document| !excluded.contains(document)) {
                return self.deck.remove(place);
            }
            let mut fresh: Vec<_> = (0..self.documents.len()).collect();
            random.shuffle(&mut fresh);
            self.deck.append(&mut fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: usize = 16;

    fn plan(windows: usize, pieces: usize) -> Plan {
        let number = |number| NonZeroUsize::new(number).unwrap();
        Plan { window: number(WINDOW), windows: number(windows), pieces, seed: 7 }
    }

    /// Tokens are words, and tell their document and their place in it.
    fn tokenize(text: &str) -> Result<Tokens> {
        let starts = text.split_inclusive(' ').scan(0, |start, word| {
            let token = (word.trim_end().parse().unwrap(), *start);
            *start += word.len();
            Some(token)
        });
        Ok(Tokens::new(starts, text.len()))
    }

    fn text(document: usize, length: usize) -> String {
        let words: Vec<_> = (0..length).map(|place| (document * 1000 + place).to_string()).collect();
        words.join(" ")
    }

    /// Whether the text of a window is that of its tokens.
    fn has_its_text(window: &TestWindow) -> bool {
        // Where one piece ends a document and another follows, no space is between them.
        let tokens = window.boundaries.windows(2).map(|bytes| window.text[bytes[0]..bytes[1]].trim_end().parse());
        tokens.eq(window.ids.iter().map(|id| Ok(*id))) && window.boundaries.last() == Some(&window.text.len())
    }

    fn draw(plan: Plan, documents: &[(usize, usize)]) -> (Vec<TestCategory>, Vec<LeftOut>) {
        let mut sampler = Sampler::new(plan).unwrap();
        for (document, length) in documents {
            sampler.add("books", &document.to_string(), &text(*document, *length), tokenize).unwrap();
        }
        sampler.draw()
    }

    fn one(plan: Plan, documents: &[(usize, usize)]) -> TestCategory {
        draw(plan, documents).0.remove(0)
    }

    #[test]
    fn real_windows_are_runs_and_documents_take_turns() {
        let category = one(plan(7, 4), &[(1, 960), (2, 16), (3, 40)]);
        let real: Vec<_> = category.side(Side::Real).collect();
        assert_eq!(real.len(), 7);
        for window in &real {
            assert_eq!(window.ids.len(), WINDOW);
            assert!(window.ids.windows(2).all(|pair| pair[1] == pair[0] + 1) && has_its_text(window));
        }
        let of = |id: &str| real.iter().filter(|window| window.documents == [id]).count();
        // 40 tokens give three overlapping windows, 16 tokens one.
        assert_eq!([of("1"), of("2"), of("3")], [3, 1, 3]);
    }

    #[test]
    fn pieces_are_of_different_documents_and_stand_where_they_stood() {
        let documents: Vec<_> = (1..=6).map(|document| (document, 32)).collect();
        let category = one(plan(9, 4), &documents);
        for window in category.side(Side::Spliced) {
            assert!(window.ids.len() == WINDOW && has_its_text(window));
            let pieces: Vec<_> = window.ids.chunks(4).collect();
            let of: HashSet<_> = pieces.iter().map(|piece| piece[0] / 1000).collect();
            assert_eq!(of.len(), 4);
            for (place, piece) in pieces.iter().enumerate() {
                assert!(piece.windows(2).all(|pair| pair[1] == pair[0] + 1));
                assert_eq!(piece[0] as usize % 1000 % WINDOW, 4 * place);
                assert_eq!(window.documents[place], (piece[0] / 1000).to_string());
            }
        }
        // All documents serve equally often.
        let pieces = category.side(Side::Spliced).flat_map(|window| &window.documents);
        let of_the_first = pieces.filter(|document| *document == "1").count();
        assert!((5..=7).contains(&of_the_first), "{of_the_first}");
    }

    #[test]
    fn with_few_documents_neighbours_differ() {
        for count in 2..=4 {
            let documents: Vec<_> = (0..count).map(|document| (document, 100)).collect();
            let category = one(plan(5, 8), &documents);
            for window in category.side(Side::Spliced) {
                assert_eq!(window.documents.len(), 8);
                assert!(window.documents.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", window.documents);
            }
        }
    }

    #[test]
    fn pieces_of_unequal_length_fill_a_window() {
        let category = one(plan(3, 5), &[(1, 16), (2, 16), (3, 16), (4, 16), (5, 16)]);
        assert!(category.windows.iter().all(|window| window.ids.len() == WINDOW));
    }

    #[test]
    fn categories_of_one_document_are_named() {
        let (drawn, left_out) = draw(plan(4, 4), &[(1, 100), (2, 15), (3, 15)]);
        assert!(drawn.is_empty());
        assert_eq!(left_out, [LeftOut { category: "books".to_owned(), documents: 3, long_documents: 1 }]);
    }

    #[test]
    fn copies_of_a_text_count_once() {
        let mut sampler = Sampler::new(plan(4, 2)).unwrap();
        for id in ["a", "b"] {
            sampler.add("books", id, &text(1, 100), tokenize).unwrap();
        }
        assert_eq!(sampler.draw().1[0].documents, 1);
    }

    #[test]
    fn what_is_forgotten_leaves_no_trace() {
        let add = |sampler: &mut Sampler, documents: std::ops::Range<usize>| {
            for document in documents {
                sampler.add("books", &document.to_string(), &text(document, 100), tokenize).unwrap();
            }
        };
        let mut expected = Sampler::new(plan(4, 2)).unwrap();
        add(&mut expected, 0..20);
        let mut sampler = Sampler::new(plan(4, 2)).unwrap();
        add(&mut sampler, 0..10);
        sampler.keep();
        // Those of a damaged file, of which some have smaller keys; one is a copy and one comes again later.
        add(&mut sampler, 9..300);
        sampler.add("garbled", "garbled", &text(7, 100), tokenize).unwrap();
        sampler.forget();
        add(&mut sampler, 10..20);
        assert_eq!(sampler.draw(), expected.draw());
    }

    #[test]
    fn plans_that_cannot_be_spliced_are_refused() {
        for (pieces, says) in [(1, "at least 2"), (17, "use fewer")] {
            let error = plan(4, pieces).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_documents_plays_no_part(count in 2usize..40, rotation in 0usize..40) {
            let mut documents: Vec<_> = (0..count).map(|document| (document, 10 + 3 * document)).collect();
            let drawn = draw(plan(6, 4), &documents);
            documents.rotate_left(rotation % count);
            prop_assert_eq!(draw(plan(6, 4), &documents), drawn);
        }
    }
}
