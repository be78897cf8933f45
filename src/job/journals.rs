//! What stands in journals of the windows of a table.

use super::adaptive::changed_journal;
use super::entry::Entry;
use super::lines::ScoredWindow;
use super::table::Table;
use crate::corpus::{Corpus, Journal};
use crate::error::Result;
use crate::select::document_of;

/// The journals that the scores of windows stand in, each with the ordinal of its first window, in their order.
pub(super) struct Journals<'a>(Vec<(usize, &'a Journal)>);

impl<'a> Journals<'a> {
    pub fn new(journals: impl IntoIterator<Item = (usize, &'a Journal)>) -> Self {
        Self(journals.into_iter().collect())
    }

    fn of(&self, ordinal: usize) -> &'a Journal {
        self.0[self.0.partition_point(|(first, _)| *first <= ordinal) - 1].1
    }

    /// What stands there of a window.
    pub fn entry(&self, table: &Table, ordinal: usize) -> Result<Box<[u8]>> {
        self.of(ordinal).line(table.windows[ordinal].entry)
    }
}

impl<'a> From<&'a Journal> for Journals<'a> {
    fn from(journal: &'a Journal) -> Self {
        Self(vec![(0, journal)])
    }
}

/// A window as it is written, of which `entry` is what stands in the journal.
pub(super) fn scored_window(table: &Table, corpus: &Corpus, ordinal: usize, entry: &[u8]) -> Result<ScoredWindow> {
    let candidate = table.selector.candidate(ordinal);
    let Ok(Entry::Window(window)) = serde_json::from_slice(entry) else {
        return Err(changed_journal(candidate.id));
    };
    Ok(ScoredWindow {
        id: candidate.id.to_owned(),
        category: candidate.category.to_owned(),
        document: document_of(candidate.id).to_owned(),
        source: corpus.place(table.document(ordinal).spot()).to_string(),
        token_start: window.token_start,
        byte_start: window.bytes.start,
        byte_end: window.bytes.end,
        score: window.score,
    })
}
