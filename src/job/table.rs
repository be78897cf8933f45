//! The documents and windows of a job, in columns.

use std::num::NonZeroU64;

use super::entry::Text;
use super::lines::window_id;
use super::measurement::Measurement;
use crate::attention::FarRegion;
use crate::corpus::Spot;
use crate::error::Result;
use crate::select::{Candidate, Selector, StandardErrors};

/// A document that has windows.
#[derive(Clone, Copy)]
pub(super) struct DocumentRow {
    /// Its place among the files of the corpus.
    pub file: u32,
    /// From 1; 0 for a whole file.
    pub line: u64,
    /// Of its first byte in the file, decompressed.
    pub offset: u64,
    pub text: Text,
    /// Where it stands in the journal.
    pub entry: u64,
}

impl DocumentRow {
    pub fn spot(&self) -> Spot {
        Spot { file: self.file, line: self.line }
    }
}

/// A score of a window, and where the rest of it stands in the journal.
#[derive(Clone, Copy)]
pub(super) struct WindowRow {
    pub entry: u64,
    /// One more than where its token ids stand.
    pub tokens: Option<NonZeroU64>,
    pub token_count: u32,
    /// That were computed.
    pub rows: u32,
    /// None without a model, where there are columns alone and the numbers below are 0.
    pub far: Option<FarRegion>,
    pub dependency_strength: f64,
    pub distribution_uniformity: f64,
    pub dependency_strength_error: f64,
    pub distribution_uniformity_error: f64,
}

impl WindowRow {
    /// A score that is not in the journal yet.
    pub fn unwritten(measured: &Measurement) -> Self {
        let score = measured.score.as_ref();
        Self {
            entry: 0,
            tokens: None,
            token_count: measured.token_count as u32,
            rows: score.map_or(0, |score| score.rows as u32),
            far: score.map(|score| score.far),
            dependency_strength: score.map_or(0.0, |score| score.dependency_strength),
            distribution_uniformity: score.map_or(0.0, |score| score.distribution_uniformity),
            dependency_strength_error: score.map_or(0.0, |score| score.dependency_strength_error),
            distribution_uniformity_error: score.map_or(0.0, |score| score.distribution_uniformity_error),
        }
    }

    /// The window, for a selection.
    pub fn candidate<'a>(&self, id: &'a str, category: &'a str) -> Candidate<&'a str> {
        Candidate {
            id,
            category,
            token_count: u64::from(self.token_count),
            far: self.far,
            dependency_strength: self.dependency_strength,
            distribution_uniformity: self.distribution_uniformity,
        }
    }

    pub fn errors(&self) -> StandardErrors {
        StandardErrors {
            dependency_strength: self.dependency_strength_error,
            distribution_uniformity: self.distribution_uniformity_error,
        }
    }

    /// Rows that were computed for this score, and those that an exact one takes. The first rows have nothing far behind
    /// them and are known without.
    fn computed_rows(&self) -> (u64, u64) {
        let Some(far) = self.far else { return (0, 0) };
        let known = far.min_distance.saturating_add(far.sink_tokens).min(self.token_count as usize) as u64;
        (u64::from(self.rows).saturating_sub(known), u64::from(self.token_count) - known)
    }
}

/// A window in the order of the corpus. Its scores are in the selector, under its place.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub document: u32,
    pub number: u32,
    pub entry: u64,
}

/// All windows that have scores, in the order of the corpus.
#[derive(Default)]
pub(super) struct Table {
    pub documents: Vec<DocumentRow>,
    pub windows: Vec<Place>,
    /// Their scores, in the same order.
    pub selector: Selector,
    /// Of an adaptive job, their standard errors in the same order; 0 where they are exact.
    pub errors: Vec<StandardErrors>,
    /// Of an adaptive job, one more than where their token ids stand in the journal, in the same order.
    tokens: Vec<Option<NonZeroU64>>,
    is_adaptive: bool,
    /// Rows that were computed for all scores, those of earlier rounds included.
    pub rows_computed: u64,
    /// Rows that exact scores take.
    pub rows_of_exact_scores: u64,
}

/// How much of a table there was.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    documents: usize,
    windows: usize,
    rows_computed: u64,
    rows_of_exact_scores: u64,
}

impl Table {
    /// An empty table, of an adaptive job or of another.
    pub fn new(is_adaptive: bool) -> Self {
        Self { is_adaptive, ..Self::default() }
    }

    /// How much of it there is.
    pub fn mark(&self) -> Mark {
        Mark {
            documents: self.documents.len(),
            windows: self.windows.len(),
            rows_computed: self.rows_computed,
            rows_of_exact_scores: self.rows_of_exact_scores,
        }
    }

    /// Leaves out what came after a mark.
    pub fn rewind(&mut self, mark: Mark) {
        self.selector.truncate(mark.windows);
        self.windows.truncate(mark.windows);
        self.errors.truncate(mark.windows);
        self.tokens.truncate(mark.windows);
        self.documents.truncate(mark.documents);
        (self.rows_computed, self.rows_of_exact_scores) = (mark.rows_computed, mark.rows_of_exact_scores);
    }

    pub fn add_document(&mut self, row: DocumentRow) {
        self.documents.push(row);
    }

    /// Adds a window of the document that was added last.
    pub fn add_window(&mut self, document: &str, category: &str, number: u32, row: &WindowRow) -> Result<()> {
        self.add(&window_id(document, number as usize), category, number, row)
    }

    /// Adds the record that was added last as a window.
    pub fn add_record(&mut self, id: &str, category: &str, row: &WindowRow) -> Result<()> {
        self.add(id, category, 0, row)
    }

    fn add(&mut self, id: &str, category: &str, number: u32, row: &WindowRow) -> Result<()> {
        self.selector.add(row.candidate(id, category))?;
        if self.is_adaptive {
            self.errors.push(row.errors());
            self.tokens.push(row.tokens);
        }
        let (computed, all) = row.computed_rows();
        self.rows_computed += computed;
        self.rows_of_exact_scores += all;
        self.windows.push(Place { document: (self.documents.len() - 1) as u32, number, entry: row.entry });
        Ok(())
    }

    /// Notes where the score of a window and its token ids, one more, stand in the journal.
    pub fn note_entry(&mut self, ordinal: usize, entry: u64, tokens: Option<NonZeroU64>) {
        self.windows[ordinal].entry = entry;
        if self.is_adaptive {
            self.tokens[ordinal] = tokens;
        }
    }

    /// Where the token ids of a window stand in the journal.
    pub fn tokens(&self, ordinal: usize) -> Option<u64> {
        self.tokens.get(ordinal)?.map(|offset| offset.get() - 1)
    }

    /// Gives a window another score.
    pub fn rescore(&mut self, ordinal: usize, row: &WindowRow) -> Result<()> {
        self.selector.rescore(ordinal, row.dependency_strength, row.distribution_uniformity)?;
        self.errors[ordinal] = row.errors();
        self.rows_computed += row.computed_rows().0;
        self.note_entry(ordinal, row.entry, row.tokens);
        Ok(())
    }

    /// Leaves windows out.
    pub fn retain(&mut self, is_kept: impl Fn(usize) -> bool) -> Result<()> {
        let kept: Vec<_> = (0..self.windows.len()).filter(|ordinal| is_kept(*ordinal)).collect();
        let mut selector = Selector::default();
        kept.iter().try_for_each(|ordinal| selector.add(self.selector.candidate(*ordinal)))?;
        self.windows = kept.iter().map(|ordinal| self.windows[*ordinal]).collect();
        self.errors = kept.iter().filter_map(|ordinal| self.errors.get(*ordinal).copied()).collect();
        self.tokens = kept.iter().filter_map(|ordinal| self.tokens.get(*ordinal).copied()).collect();
        self.selector = selector;
        Ok(())
    }

    /// The document of a window.
    pub fn document(&self, ordinal: usize) -> &DocumentRow {
        &self.documents[self.windows[ordinal].document as usize]
    }
}
