//! What stands in journals of the windows of a table.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::adaptive::changed_journal;
use super::lines::{ScoreFields, SelectedFields, WindowFields};
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

/// A window as its line in a journal has it, whose score is written again as it stands there.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    #[serde(borrow)]
    Window(Window<'a>),
}

#[derive(Deserialize)]
struct Window<'a> {
    token_start: u64,
    bytes: Range<u64>,
    #[serde(borrow)]
    score: &'a RawValue,
}

/// A scored window of a document.
pub(super) struct ScoredWindow<'a> {
    pub fields: WindowFields<'a>,
    score: &'a RawValue,
}

impl<'a> ScoredWindow<'a> {
    /// A window of which `entry` is what stands in the journal.
    pub fn of(table: &'a Table, corpus: &Corpus, ordinal: usize, entry: &'a [u8]) -> Result<Self> {
        let candidate = table.selector.candidate(ordinal);
        let Ok(Line::Window(window)) = serde_json::from_slice(entry) else {
            return Err(changed_journal(candidate.id));
        };
        let fields = WindowFields {
            id: candidate.id,
            category: candidate.category,
            document: document_of(candidate.id),
            source: corpus.place(table.document(ordinal).spot()).to_string(),
            token_start: window.token_start,
            byte_start: window.bytes.start,
            byte_end: window.bytes.end,
        };
        Ok(Self { fields, score: window.score })
    }

    /// Its numbers.
    pub fn score(&self) -> Result<ScoreFields> {
        serde_json::from_str(self.score.get()).map_err(|_| changed_journal(self.fields.id))
    }

    /// As an object of JSON.
    pub fn to_json(&self) -> String {
        joined([&as_json(&self.fields), self.score.get()])
    }

    /// The same with what a selected window has besides.
    pub fn selected_to_json(&self, selected: &SelectedFields) -> String {
        joined([&as_json(&self.fields), self.score.get(), &as_json(selected)])
    }
}

fn as_json(fields: &impl Serialize) -> String {
    serde_json::to_string(fields).expect("text and finite numbers have a form in JSON")
}

/// One object of JSON with the fields of several.
fn joined<const OBJECTS: usize>(objects: [&str; OBJECTS]) -> String {
    let fields = objects.map(|object| &object[1..object.len() - 1]);
    let fields: Vec<_> = fields.into_iter().filter(|fields| !fields.is_empty()).collect();
    format!("{{{}}}", fields.join(","))
}
