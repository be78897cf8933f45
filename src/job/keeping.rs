//! Keeping scores.

use std::num::NonZeroU64;
use std::ops::{ControlFlow, Range};

use super::batches::{Scores, Sink, is_fatal};
use super::entry::{self, End, Entry, RejectKind, Rejected, Text};
use super::ledger::Ledger;
use super::lines::{ScoreFields, window_id};
use super::measurement::Measurement;
use super::observer::Observer;
use super::pilot::Pilot;
use super::reading::{Content, Document, Item, Unit, Window};
use super::summary::{Counts, EarlySigns, Summary};
use super::table::{DocumentRow, Mark, Table, WindowRow};
use crate::cancel::Cancel;
use crate::config::{Config, OnError, Rows};
use crate::corpus::{Corpus, Journal, RawObject, Record, Reject, Rejects};
use crate::digest::{Digest, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ContextLosses, Scorer};
use crate::rivals::Gain;
use crate::select::Rounds;

/// What is kept of windows beside their scores.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    pub per_head: bool,
    /// The information gain is measured too.
    pub gain: bool,
    /// The record's text and other fields are carried along.
    pub fields: bool,
    /// Token ids, for scores on more rows.
    pub tokens: bool,
}

/// Where rejects go.
pub(super) struct Rejecting<'a> {
    pub rejects: &'a mut Rejects,
    pub observer: &'a dyn Observer,
    pub on_error: OnError,
}

impl Rejecting<'_> {
    /// Keeps a reject, and tells of it.
    pub fn reject(&mut self, reject: &Reject) -> Result<()> {
        self.rejects.write(reject)?;
        self.observer.reject(reject);
        match self.on_error {
            OnError::Reject => Ok(()),
            OnError::Fail => Err(Error::new(ErrorKind::InvalidRecord, format!("{reject} (on_error is fail)"))),
        }
    }
}

/// Where scores and rejects go.
pub(super) struct Keeping<'a> {
    pub journal: &'a mut Journal,
    pub rejecting: Rejecting<'a>,
    pub cancel: &'a Cancel,
}

/// Keeps what was read and scored in the journal, and what counts of it in a table.
pub(super) struct JournalSink<'a> {
    pub scorer: &'a Scorer,
    pub config: &'a Config,
    pub corpus: &'a Corpus,
    pub unit: Unit,
    pub ledger: &'a Ledger,
    /// The rows of the first scores, as the journal has them.
    pub asked: u32,
    pub kept: Kept,
    pub keeping: Keeping<'a>,
    /// Of an adaptive job: the rounds, and what the first windows tell of them.
    pub rounds: Option<Rounds>,
    pub pilot: Pilot,
    /// Of an adaptive job: all scores are to be exact.
    pub exact: bool,
    pub found: Found,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub table: Table,
    pub summary: Summary,
    /// What was read of the file that was begun last.
    file: FileSoFar,
    unwritten: Unwritten,
    early_signs: EarlySigns,
}

impl Found {
    /// Nothing yet, of an adaptive job or of another.
    pub fn new(is_adaptive: bool) -> Self {
        Self { table: Table::new(is_adaptive), ..Self::default() }
    }
}

#[derive(Default)]
struct FileSoFar {
    index: u32,
    counts: Counts,
    duplicates: u64,
    /// How much of the table there was before it.
    mark: Mark,
}

/// A window that was scored just now.
struct ScoredNow {
    text: Text,
    number: u32,
    rows: Rows,
    ids: Vec<u32>,
    token_start: u64,
    bytes: Range<u64>,
}

/// What waits to be written together.
#[derive(Default)]
struct Unwritten {
    entries: Vec<Entry>,
    /// The windows among the entries, by their ordinals in the table.
    windows: Vec<usize>,
    /// The documents with windows among the entries, by their places in the table.
    documents: Vec<usize>,
    rejects: Vec<Reject>,
}

impl Sink for JournalSink<'_> {
    fn take(&mut self, item: Item, scores: &mut Scores, rows: Rows) -> Result<()> {
        match item {
            Item::Begin(file) => {
                self.begin(file);
                Ok(())
            }
            Item::Unchanged { file, .. } => self.take_over(file),
            Item::Reject { reject, kind } => {
                self.leave_out(reject, kind);
                Ok(())
            }
            Item::Document(document) => self.document(*document, scores, rows),
            Item::End { bytes, digest, stamp } => self.end(bytes, digest, stamp),
            Item::Failed(reject) => self.fail(&reject),
        }
    }

    fn keep(&mut self) -> Result<ControlFlow<(), Option<Rows>>> {
        self.write()?;
        let Some(rounds) = &self.rounds else { return Ok(ControlFlow::Continue(None)) };
        if !self.pilot.favours_exact_scores(rounds, self.config, self.keeping.cancel)? {
            return Ok(ControlFlow::Continue(None));
        }
        self.exact = true;
        let observer = self.keeping.rejecting.observer;
        observer.notice("exact scores of all windows are cheaper here than adaptive ones: scoring on all rows");
        Ok(ControlFlow::Continue(Some(Rows::All)))
    }
}

impl JournalSink<'_> {
    fn begin(&mut self, file: usize) {
        let input = &self.corpus.files()[file];
        let mark = self.found.table.mark();
        self.found.file = FileSoFar { index: file as u32, mark, ..FileSoFar::default() };
        self.found.unwritten.entries.push(Entry::Begin(input.into()));
    }

    fn leave_out(&mut self, reject: Reject, kind: Option<RejectKind>) {
        if kind == Some(RejectKind::Duplicate) {
            self.found.early_signs.of_duplicate(&reject, self.keeping.rejecting.observer);
        }
        self.found.file.counts.rejected += 1;
        self.found.file.duplicates += u64::from(kind == Some(RejectKind::Duplicate));
        self.found.unwritten.entries.push(Entry::Reject(Rejected::new(&reject, kind)));
        self.found.unwritten.rejects.push(reject);
    }

    fn document(&mut self, document: Document, scores: &mut Scores, rows: Rows) -> Result<()> {
        let Document { record, line, offset, text, tokens, windows, .. } = document;
        let count = windows.len() as u32;
        self.found.file.counts.longest_document = self.found.file.counts.longest_document.max(tokens);
        *(if count == 0 { &mut self.found.file.counts.too_short } else { &mut self.found.file.counts.windowed }) += 1;
        let longest = self.found.file.counts.longest_document;
        self.found.early_signs.of_document(count > 0, longest, self.config, self.keeping.rejecting.observer);
        if count > 0 {
            self.found.early_signs.of_category(&record.category, self.corpus, self.keeping.rejecting.observer);
            let row = DocumentRow { file: self.found.file.index, line, offset, text, entry: 0 };
            self.found.unwritten.documents.push(self.found.table.documents.len());
            self.found.table.add_document(row);
        }
        for Window { number, content } in windows {
            let scored = match content {
                Content::Known(row) => {
                    self.found.file.counts.windows_known += 1;
                    self.add(&record.id, &record.category, number, &row)?;
                    continue;
                }
                Content::Tokens { ids, token_start, bytes } => {
                    let score = scores.next().expect("a score for every window");
                    score.and_then(|score| {
                        let window = ScoredNow { text, number, rows, ids, token_start, bytes };
                        self.window(&record, window, &score)
                    })
                }
            };
            let Err(error) = scored else { continue };
            if is_fatal(&error, self.unit) {
                return Err(error);
            }
            let id = match self.unit {
                Unit::Windows => window_id(&record.id, number as usize),
                Unit::Record => record.id.clone(),
            };
            let reject =
                Reject { place: record.place.clone(), id: Some(id), reason: error.to_string(), record: String::new() };
            self.found.file.counts.windows_rejected += 1;
            self.found.unwritten.entries.push(Entry::Reject(Rejected::new(&reject, Some(RejectKind::Window))));
            self.found.unwritten.rejects.push(reject);
        }
        let fields = if self.kept.fields { Some(carried(&record)?) } else { None };
        let document = entry::Document {
            line,
            offset,
            id: record.id,
            category: record.category,
            text,
            tokens,
            windows: count,
            fields: fields.as_ref().map(as_text),
        };
        self.found.unwritten.entries.push(Entry::Document(document));
        Ok(())
    }

    /// Takes in the score of a window.
    fn window(&mut self, record: &Record, window: ScoredNow, measured: &Measurement) -> Result<()> {
        let ScoredNow { text, number, rows, ids, token_start, bytes } = window;
        let gain = gain(self.scorer, self.kept, &ids, self.keeping.cancel)?;
        let is_estimate = measured.score.as_ref().is_some_and(|score| score.rows < score.token_count);
        let has_tokens = self.kept.tokens && is_estimate;
        if has_tokens {
            self.found.unwritten.entries.push(Entry::Tokens(entry::Tokens { ids }));
        }
        self.found.unwritten.entries.push(Entry::Window(entry::Window {
            text,
            number,
            asked: asked(rows),
            has_tokens,
            token_start,
            bytes,
            gain,
            score: ScoreFields::new(measured, self.kept.per_head),
        }));
        self.found.summary.tokens_scored += measured.token_count as u64;
        self.found.unwritten.windows.push(self.found.table.windows.len());
        self.add(&record.id, &record.category, number, &WindowRow::unwritten(measured))
    }

    /// Writes what was met since the last call to the journal, and then the rejects to their file.
    fn write(&mut self) -> Result<()> {
        let Unwritten { entries, windows, documents, rejects } = std::mem::take(&mut self.found.unwritten);
        let offsets = self.keeping.journal.append_all(&entries)?;
        let (mut windows, mut documents) = (windows.into_iter(), documents.into_iter());
        let mut tokens = None;
        for (entry, offset) in entries.iter().zip(offsets) {
            match entry {
                Entry::Tokens(_) => tokens = NonZeroU64::new(offset + 1),
                Entry::Window(window) => {
                    let ordinal = windows.next().expect("a place for each window");
                    self.found.table.note_entry(ordinal, offset, tokens.filter(|_| window.has_tokens));
                }
                Entry::Document(document) if document.windows > 0 => {
                    self.found.table.documents[documents.next().expect("a row for each document")].entry = offset;
                }
                _ => {}
            }
        }
        rejects.iter().try_for_each(|reject| {
            self.found.early_signs.of_reject(reject, self.keeping.rejecting.observer);
            self.keeping.rejecting.reject(reject)
        })
    }

    /// A file is whole: what it gave counts.
    fn end(&mut self, bytes: u64, digest: Digest, stamp: Option<Stamp>) -> Result<()> {
        let end = End {
            bytes,
            digest,
            stamp,
            rejected: self.found.file.counts.rejected,
            rejected_windows: self.found.file.counts.windows_rejected,
            duplicates: self.found.file.duplicates,
        };
        self.found.unwritten.entries.push(Entry::End(end));
        self.write()?;
        let FileSoFar { counts, duplicates, .. } = std::mem::take(&mut self.found.file);
        self.found.summary.add(&counts);
        self.found.summary.duplicates += duplicates;
        Ok(())
    }

    /// Adds a window of the document that was added last.
    fn add(&mut self, document: &str, category: &str, number: u32, row: &WindowRow) -> Result<()> {
        self.pilot.add(category, row)?;
        match self.unit {
            Unit::Windows => self.found.table.add_window(document, category, number, row),
            Unit::Record => self.found.table.add_record(document, category, row),
        }
    }

    /// A file is damaged: nothing of it counts.
    fn fail(&mut self, reject: &Reject) -> Result<()> {
        self.found.unwritten.entries.push(Entry::Reject(Rejected::new(reject, Some(RejectKind::File))));
        self.found.unwritten.entries.push(Entry::Failed);
        self.write()?;
        let FileSoFar { mark, .. } = std::mem::take(&mut self.found.file);
        self.found.table.rewind(mark);
        self.found.summary.files_rejected += 1;
        self.found.early_signs.of_file(reject, self.keeping.rejecting.observer);
        self.keeping.rejecting.reject(reject)
    }

    /// A file is what it was: what the ledger tells of it counts.
    fn take_over(&mut self, file: usize) -> Result<()> {
        self.write()?;
        let ledger = self.ledger;
        let reading = &ledger.readings[&self.corpus.files()[file].name];
        let mut counts = Counts {
            rejected: reading.end.rejected,
            windows_rejected: reading.end.rejected_windows,
            ..Counts::default()
        };
        for entry in &ledger.rejects[reading.rejects.clone()] {
            if let Entry::Reject(rejected) = self.keeping.journal.read(*entry)? {
                self.keeping.rejecting.rejects.write(&rejected.into())?;
            }
        }
        for known in &ledger.documents[reading.documents.clone()] {
            let row = DocumentRow { file: file as u32, ..known.row };
            counts.longest_document = counts.longest_document.max(known.tokens);
            if known.windows == 0 {
                counts.too_short += 1;
                continue;
            }
            counts.windowed += 1;
            self.found.table.add_document(row);
            for number in 0..known.windows {
                // A window that could not be scored has no score.
                let Some(score) = ledger.first_score(row.text, number, self.asked) else { continue };
                self.add(&known.id, &known.category, number, &score)?;
                counts.windows_known += 1;
            }
        }
        self.found.summary.add(&counts);
        self.found.summary.duplicates += reading.end.duplicates;
        Ok(())
    }
}

/// The number of rows that stands for a setting in the journal.
pub(super) fn asked(rows: Rows) -> u32 {
    match rows {
        Rows::All => 0,
        Rows::Sample(count) => count.get() as u32,
    }
}

/// The gain of a window; `None` where it was not asked for, and for windows that are too short to have one.
pub(super) fn gain(scorer: &Scorer, kept: Kept, ids: &[u32], cancel: &Cancel) -> Result<Option<Gain>> {
    if !kept.gain {
        return Ok(None);
    }
    match scorer.context_losses(ids, cancel) {
        Err(error) if error.kind() == ErrorKind::TooShort => Ok(None),
        losses => finite_gain(&losses?).map(Some),
    }
}

/// The gain that losses tell.
pub(super) fn finite_gain(ContextLosses { whole, short }: &ContextLosses) -> Result<Gain> {
    Gain::new(whole, short)
        .filter(Gain::is_finite)
        .ok_or_else(|| Error::new(ErrorKind::NonFinite, "the information gain is NaN or infinite"))
}

/// An object as the text that it was read from.
fn as_text(object: &RawObject) -> String {
    serde_json::to_string(object).expect("what was read has a form")
}

/// What of a record is carried along with its scores.
pub(super) fn carried(record: &Record) -> Result<RawObject> {
    let mut carried = RawObject::default();
    if let Some(text) = &record.text {
        carried.set("content", text)?;
    }
    carried.append(record.fields.clone());
    not_carried().for_each(|name| carried.remove(name));
    Ok(carried)
}

/// Names of fields that are said anew with a score.
pub(super) fn not_carried() -> impl Iterator<Item = &'static str> {
    ["id", "category"].into_iter().chain(ScoreFields::names())
}
