//! What earlier calls of a job have left in its journal.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::entry::{Begin, End, Finished, Text, Worked, Written};
use super::table::{DocumentRow, WindowRow};
use crate::attention::FarRegion;
use crate::corpus::Journal;
use crate::error::Result;

/// Everything in a journal, in columns.
#[derive(Default)]
pub(super) struct Ledger {
    /// The last whole reading of each file, by name.
    pub readings: HashMap<String, Reading>,
    /// Of all readings, in the order of the journal.
    pub documents: Vec<Known>,
    /// Where rejects stand in the journal, of all readings.
    pub rejects: Vec<u64>,
    /// Of each file that could not be read to its end when it was last read: its rejects, by their places above. The last
    /// one is of the file.
    pub failures: HashMap<String, Range<usize>>,
    /// Where the first score of a window is in `rows`, by its text, its number and the rows that were asked for.
    windows: FxHashMap<(Text, u32, u32), u32>,
    rows: Vec<WindowRow>,
    texts: FxHashMap<Text, KnownText>,
    pub worked: Worked,
    /// What was scored by the last call, where it came to its end.
    pub finished: Option<Finished>,
    pub written: Option<Written>,
}

/// A file as it was read.
pub(super) struct Reading {
    pub begin: Begin,
    pub end: End,
    /// Its documents in the ledger.
    pub documents: Range<usize>,
    /// Where its rejects stand in the journal, by their places in the ledger.
    pub rejects: Range<usize>,
}

/// A document as it was read.
pub(super) struct Known {
    pub id: Box<str>,
    pub category: Box<str>,
    pub row: DocumentRow,
    pub tokens: u64,
    pub windows: u32,
}

/// What a text gave, whatever document it stands in.
#[derive(Clone, Copy)]
pub(super) struct KnownText {
    pub tokens: u64,
    pub windows: u32,
}

/// A line of the journal, without what is only written out again.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(Begin),
    Document(DocumentLine),
    Reject(IgnoredAny),
    Tokens(IgnoredAny),
    Window(WindowLine),
    End(End),
    Failed,
    Worked(Worked),
    Finished(Finished),
    Written(Written),
}

#[derive(Deserialize)]
struct DocumentLine {
    line: u64,
    offset: u64,
    id: Box<str>,
    category: Box<str>,
    text: Text,
    tokens: u64,
    windows: u32,
}

#[derive(Deserialize)]
struct WindowLine {
    text: Text,
    number: u32,
    asked: u32,
    #[serde(default)]
    has_tokens: bool,
    score: ScoreLine,
}

#[derive(Deserialize)]
struct ScoreLine {
    token_count: u64,
    min_distance: Option<usize>,
    sink_tokens: Option<usize>,
    #[serde(default)]
    dependency_strength: f64,
    #[serde(default)]
    distribution_uniformity: f64,
    rows: Option<u64>,
    #[serde(default)]
    dependency_strength_error: f64,
    #[serde(default)]
    distribution_uniformity_error: f64,
}

impl Ledger {
    /// Opens a journal that is there already, and what it holds.
    pub fn read(path: &Path) -> Result<(Journal, Self)> {
        let mut ledger = Self::default();
        let mut begun: Option<(Begin, usize, usize)> = None;
        let mut tokens = None;
        let journal = Journal::resume(path, |line: Line, offset| {
            match line {
                Line::Begin(begin) => {
                    ledger.finished = None;
                    begun = Some((begin, ledger.documents.len(), ledger.rejects.len()));
                }
                Line::Document(document) => ledger.add_document(document, offset),
                Line::Window(window) => ledger.add_window(window, tokens, offset),
                Line::End(end) => {
                    if let Some((begin, document, reject)) = begun.take() {
                        let documents = document..ledger.documents.len();
                        let rejects = reject..ledger.rejects.len();
                        ledger.failures.remove(&begin.name);
                        ledger.readings.insert(begin.name.clone(), Reading { begin, end, documents, rejects });
                    }
                }
                Line::Failed => {
                    if let Some((begin, _, reject)) = begun.take() {
                        ledger.readings.remove(&begin.name);
                        ledger.failures.insert(begin.name, reject..ledger.rejects.len());
                    }
                }
                Line::Worked(worked) => {
                    ledger.worked.seconds += worked.seconds;
                    ledger.worked.tokens += worked.tokens;
                    ledger.worked.call = worked.call;
                }
                Line::Finished(finished) => ledger.finished = Some(finished),
                Line::Written(written) => ledger.written = Some(written),
                Line::Reject(_) => ledger.rejects.push(offset),
                Line::Tokens(_) => tokens = NonZeroU64::new(offset + 1),
            }
            Ok(())
        })?;
        Ok((journal, ledger))
    }

    fn add_document(&mut self, line: DocumentLine, entry: u64) {
        let DocumentLine { line, offset, id, category, text, tokens, windows } = line;
        self.texts.entry(text).or_insert(KnownText { tokens, windows });
        self.documents.push(Known {
            id,
            category,
            row: DocumentRow { file: 0, line, offset, text, entry },
            tokens,
            windows,
        });
    }

    fn add_window(&mut self, line: WindowLine, tokens: Option<NonZeroU64>, entry: u64) {
        let WindowLine { text, number, asked, has_tokens, score } = line;
        let row = WindowRow {
            entry,
            tokens: tokens.filter(|_| has_tokens),
            token_count: score.token_count as u32,
            rows: score.rows.unwrap_or(score.token_count) as u32,
            far: score
                .min_distance
                .zip(score.sink_tokens)
                .map(|(min_distance, sink_tokens)| FarRegion { min_distance, sink_tokens }),
            dependency_strength: score.dependency_strength,
            distribution_uniformity: score.distribution_uniformity,
            dependency_strength_error: score.dependency_strength_error,
            distribution_uniformity_error: score.distribution_uniformity_error,
        };
        // The first score of a window counts: all of them have the same bits.
        if let Entry::Vacant(place) = self.windows.entry((text, number, asked)) {
            place.insert(self.rows.len() as u32);
            self.rows.push(row);
        }
    }

    /// What is known of a text.
    pub fn text(&self, text: Text) -> Option<KnownText> {
        self.texts.get(&text).copied()
    }

    /// A window's score on so many rows, 0 standing for all.
    pub fn window(&self, text: Text, number: u32, asked: u32) -> Option<WindowRow> {
        self.windows.get(&(text, number, asked)).map(|row| self.rows[*row as usize])
    }

    /// A window's score on so many rows, or else the exact one.
    pub fn first_score(&self, text: Text, number: u32, asked: u32) -> Option<WindowRow> {
        self.window(text, number, asked).or_else(|| self.window(text, number, 0))
    }
}
