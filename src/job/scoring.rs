//! Scoring what was read, and keeping the scores.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::entry::{self, Begin, End, Entry, Text};
use super::ledger::Ledger;
use super::lines::{ScoreFields, window_id};
use super::observer::{Observer, Progress, Stage};
use super::reading::{Content, Document, Item, Reading, Unit, Window};
use super::summary::{Counts, EarlySigns, Summary};
use super::table::{DocumentRow, Table, WindowRow};
use crate::cancel::Cancel;
use crate::config::{Config, OnError, Rows};
use crate::corpus::{Corpus, Journal, RawObject, Record, Reject, Rejects};
use crate::digest::{Digest, Stamp};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{self, Input, Scorer};
use crate::score::Score;

/// Tokens that are scored in one go, at most: enough to keep all cores busy with short windows.
const BATCH_TOKENS: usize = 1 << 16;

/// A batch of about this long loses little where the process is killed, and hardly waits for its slowest window.
const BATCH_TIME: Duration = Duration::from_secs(2);

/// How long what was met may wait for others to be kept together.
const PATIENCE: Duration = Duration::from_millis(200);

/// Batches of documents that reading may run ahead of scoring.
const BATCHES_AHEAD: usize = 2;

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

/// Where scores and rejects go.
pub(super) struct Keeping<'a> {
    pub journal: &'a mut Journal,
    pub rejects: &'a mut Rejects,
    pub observer: &'a dyn Observer,
    pub cancel: &'a Cancel,
    pub on_error: OnError,
}

impl Keeping<'_> {
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

/// Scores a corpus in its order.
pub(super) struct Scoring<'a> {
    pub scorer: &'a Scorer,
    pub config: &'a Config,
    pub corpus: &'a Corpus,
    pub unit: Unit,
    pub ledger: &'a Ledger,
    pub kept: Kept,
    pub keeping: Keeping<'a>,
    /// Rows of the first scores.
    pub rows: Rows,
    /// Says, once enough windows have scores, on which rows the others are scored.
    pub plan: &'a mut dyn FnMut(&Table) -> Result<Option<Rows>>,
    pub table: Table,
    pub summary: Summary,
    /// The rows of the first scores, as the journal has them.
    asked: u32,
    progress: Progress,
    /// What was read of the file that was begun last.
    file: FileSoFar,
    unwritten: Unwritten,
    batch_tokens: usize,
    early_signs: EarlySigns,
}

#[derive(Default)]
struct FileSoFar {
    index: u32,
    documents: Vec<ScoredDocument>,
    windows: Vec<ScoredWindow>,
    counts: Counts,
    duplicates: u64,
}

struct ScoredDocument {
    id: Box<str>,
    category: Box<str>,
    row: DocumentRow,
    /// Windows with scores; they follow those of the document before.
    scored: u32,
}

struct ScoredWindow {
    number: u32,
    row: WindowRow,
}

/// What waits to be written together.
#[derive(Default)]
struct Unwritten {
    entries: Vec<Entry>,
    /// Places of the windows among the entries.
    windows: Vec<usize>,
    /// Places of the documents with windows among the entries.
    documents: Vec<usize>,
    rejects: Vec<Reject>,
}

impl<'a> Scoring<'a> {
    pub fn new(
        reading: &Reading<'a>,
        scorer: &'a Scorer,
        kept: Kept,
        keeping: Keeping<'a>,
        rows: Rows,
        plan: &'a mut dyn FnMut(&Table) -> Result<Option<Rows>>,
    ) -> Self {
        let progress = Progress { total: reading.corpus.total_bytes(), ..Progress::default() };
        Self {
            scorer,
            config: reading.config,
            corpus: reading.corpus,
            unit: reading.unit,
            ledger: reading.ledger,
            kept,
            keeping,
            rows,
            plan,
            table: Table::default(),
            summary: Summary::default(),
            progress,
            asked: asked(rows),
            file: FileSoFar::default(),
            unwritten: Unwritten::default(),
            batch_tokens: BATCH_TOKENS,
            early_signs: EarlySigns::default(),
        }
    }

    /// Reads and scores everything.
    pub fn run(mut self, reading: &Reading) -> Result<(Table, Summary)> {
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        thread::scope(|scope| {
            let reader = thread::Builder::new().name("longattn-read".to_owned());
            let spawned = reader.spawn_scoped(scope, move || reading.run(&sender));
            spawned.map_err(|cause| Error::io("start a thread", cause))?;
            let consumed = self.consume(&receiver);
            // A reader that waits for room must not wait for ever.
            drop(receiver);
            consumed
        })?;
        self.keeping.cancel.check()?;
        Ok((self.table, self.summary))
    }

    fn consume(&mut self, items: &Receiver<Vec<Item>>) -> Result<()> {
        let (mut batch, mut tokens) = (Vec::new(), 0);
        let mut since = Instant::now();
        loop {
            self.keeping.cancel.check()?;
            match items.recv_timeout(PATIENCE.saturating_sub(since.elapsed())) {
                Ok(more) => {
                    for item in more {
                        tokens += unscored(&item).map(<[u32]>::len).sum::<usize>();
                        batch.push(item);
                        if tokens >= self.batch_tokens {
                            tokens = 0;
                            self.keep(std::mem::take(&mut batch))?;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.keep(batch),
            }
            if since.elapsed() >= PATIENCE {
                tokens = 0;
                self.keep(std::mem::take(&mut batch))?;
                since = Instant::now();
            }
        }
    }

    /// Scores the windows of a batch, and keeps everything in it in its order.
    fn keep(&mut self, batch: Vec<Item>) -> Result<()> {
        let mut scores = self.score(&batch)?.into_iter();
        for item in batch {
            match item {
                Item::Begin(file) => self.begin(file),
                Item::Unchanged { file, bytes } => self.take_over(file, bytes)?,
                Item::Reject { reject, is_duplicate } => self.leave_out(reject, is_duplicate),
                Item::Document(document) => self.document(*document, &mut scores)?,
                Item::End { bytes, digest, stamp } => self.end(bytes, digest, stamp)?,
                Item::Failed(reject) => self.fail(&reject)?,
            }
        }
        self.write()?;
        if let Some(rows) = (self.plan)(&self.table)? {
            self.rows = rows;
        }
        Ok(())
    }

    /// Scores the windows of a batch that have no score yet, in its order.
    fn score(&mut self, batch: &[Item]) -> Result<Vec<Result<Score>>> {
        let inputs: Vec<_> = batch.iter().flat_map(unscored).map(Input::Tokens).collect();
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let before = self.progress;
        let observer = self.keeping.observer;
        let tell = |scored: model::Progress| {
            let (windows, tokens) = (before.windows + scored.windows as u64, before.tokens + scored.tokens);
            observer.progress(&Progress { windows, tokens, ..before });
        };
        let scores = self.scorer.score_many_on(&inputs, self.rows, self.keeping.cancel, tell);
        let tokens: u64 = scores.iter().flatten().map(|score| score.token_count as u64).sum();
        self.progress.windows += scores.len() as u64;
        self.progress.tokens += tokens;
        self.summary.tokens_scored += tokens;
        let rate = tokens as f64 / begun.elapsed().as_secs_f64().max(1e-6);
        self.batch_tokens = ((rate * BATCH_TIME.as_secs_f64()) as usize).clamp(1, BATCH_TOKENS);
        let fatal = scores.iter().find_map(|score| score.as_ref().err().filter(|error| is_fatal(error, self.unit)));
        fatal.map_or(Ok(()), |error| Err(error.clone())).map(|()| scores)
    }

    fn begin(&mut self, file: usize) {
        let input = &self.corpus.files()[file];
        self.file = FileSoFar { index: file as u32, ..FileSoFar::default() };
        self.unwritten.entries.push(Entry::Begin(Begin { name: input.name.clone(), category: input.category.clone() }));
    }

    fn leave_out(&mut self, reject: Reject, is_duplicate: bool) {
        self.file.counts.rejected += 1;
        self.file.duplicates += u64::from(is_duplicate);
        self.unwritten.entries.push(Entry::Reject((&reject).into()));
        self.unwritten.rejects.push(reject);
    }

    fn document(&mut self, document: Document, scores: &mut impl Iterator<Item = Result<Score>>) -> Result<()> {
        let Document { record, line, offset, text, tokens, windows, read } = document;
        self.progress.done = read;
        let count = windows.len() as u32;
        self.file.counts.longest_document = self.file.counts.longest_document.max(tokens);
        *(if count == 0 { &mut self.file.counts.too_short } else { &mut self.file.counts.windowed }) += 1;
        let longest = self.file.counts.longest_document;
        self.early_signs.of_document(count > 0, longest, self.config, self.keeping.observer);
        let before = self.file.windows.len();
        for Window { number, content } in windows {
            let scored = match content {
                Content::Known(row) => {
                    self.file.counts.windows_known += 1;
                    self.file.windows.push(ScoredWindow { number, row });
                    continue;
                }
                Content::Tokens { ids, token_start, bytes } => {
                    let score = scores.next().expect("a score for every window");
                    score.and_then(|score| self.window(text, number, ids, token_start, bytes, &score))
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
            let reject = Reject { place: record.place.clone(), id: Some(id), reason: error.to_string(), record: String::new() };
            self.file.counts.windows_rejected += 1;
            self.unwritten.entries.push(Entry::Reject((&reject).into()));
            self.unwritten.rejects.push(reject);
        }
        let scored = (self.file.windows.len() - before) as u32;
        let document = entry::Document {
            line,
            offset,
            id: record.id.clone(),
            category: record.category.clone(),
            text,
            tokens,
            windows: count,
            fields: self.kept.fields.then(|| carried(&record)),
        };
        if count > 0 {
            let row = DocumentRow { file: self.file.index, line, offset, text, tokens, windows: count, entry: 0 };
            let (id, category) = (record.id.into_boxed_str(), record.category.into_boxed_str());
            self.unwritten.documents.push(self.file.documents.len());
            self.file.documents.push(ScoredDocument { id, category, row, scored });
        }
        self.unwritten.entries.push(Entry::Document(document));
        Ok(())
    }

    /// Takes in the score of a window.
    fn window(
        &mut self,
        text: Text,
        number: u32,
        ids: Vec<u32>,
        token_start: u64,
        bytes: Range<u64>,
        score: &Score,
    ) -> Result<()> {
        let information_gain = self.information_gain(&ids)?;
        let has_tokens = self.kept.tokens && score.rows < score.token_count;
        if has_tokens {
            self.unwritten.entries.push(Entry::Tokens(entry::Tokens { ids }));
        }
        self.unwritten.entries.push(Entry::Window(entry::Window {
            text,
            number,
            asked: asked(self.rows),
            has_tokens,
            token_start,
            bytes,
            information_gain,
            score: ScoreFields::new(score, self.kept.per_head),
        }));
        self.unwritten.windows.push(self.file.windows.len());
        self.file.windows.push(ScoredWindow { number, row: WindowRow::unwritten(score) });
        Ok(())
    }

    /// `None` where it was not asked for, and for windows that are too short to have one.
    fn information_gain(&self, ids: &[u32]) -> Result<Option<f64>> {
        if !self.kept.gain {
            return Ok(None);
        }
        match self.scorer.information_gain(ids, self.keeping.cancel) {
            Ok(gain) if !gain.is_finite() => {
                Err(Error::new(ErrorKind::NonFinite, "the information gain is NaN or infinite"))
            }
            Err(error) if error.kind() == ErrorKind::TooShort => Ok(None),
            gain => gain.map(Some),
        }
    }

    /// Writes what was met since the last call to the journal, and then the rejects to their file.
    fn write(&mut self) -> Result<()> {
        let Unwritten { entries, windows, documents, rejects } = std::mem::take(&mut self.unwritten);
        let offsets = self.keeping.journal.append_all(&entries)?;
        let (mut windows, mut documents) = (windows.into_iter(), documents.into_iter());
        let mut tokens = None;
        for (entry, offset) in entries.iter().zip(offsets) {
            match entry {
                Entry::Tokens(_) => tokens = NonZeroU64::new(offset + 1),
                Entry::Window(window) => {
                    let row = &mut self.file.windows[windows.next().expect("a row for each window")].row;
                    (row.entry, row.tokens) = (offset, tokens.filter(|_| window.has_tokens));
                }
                Entry::Document(document) if document.windows > 0 => {
                    self.file.documents[documents.next().expect("a row for each document")].row.entry = offset;
                }
                _ => {}
            }
        }
        rejects.iter().try_for_each(|reject| {
            self.early_signs.of_reject(reject, self.keeping.observer);
            self.keeping.reject(reject)
        })
    }

    /// A file is whole: what it gave counts.
    fn end(&mut self, bytes: u64, digest: Digest, stamp: Option<Stamp>) -> Result<()> {
        let end = End {
            bytes,
            digest,
            stamp,
            rejected: self.file.counts.rejected,
            rejected_windows: self.file.counts.windows_rejected,
            duplicates: self.file.duplicates,
        };
        self.unwritten.entries.push(Entry::End(end));
        self.write()?;
        let FileSoFar { documents, windows, counts, duplicates, .. } = std::mem::take(&mut self.file);
        let mut windows = windows.into_iter();
        for ScoredDocument { id, category, row, scored } in documents {
            self.add(&id, &category, row, windows.by_ref().take(scored as usize))?;
        }
        self.summary.add(&counts);
        self.summary.duplicates += duplicates;
        Ok(())
    }

    fn add(
        &mut self,
        id: &str,
        category: &str,
        row: DocumentRow,
        windows: impl Iterator<Item = ScoredWindow>,
    ) -> Result<()> {
        self.table.add_document(row);
        for ScoredWindow { number, row } in windows {
            match self.unit {
                Unit::Windows => self.table.add_window(id, category, number, &row)?,
                Unit::Record => self.table.add_record(id, category, &row)?,
            }
        }
        Ok(())
    }

    /// A file is damaged: nothing of it counts.
    fn fail(&mut self, reject: &Reject) -> Result<()> {
        self.unwritten.entries.push(Entry::Failed);
        self.write()?;
        self.file = FileSoFar::default();
        self.summary.files_rejected += 1;
        self.keeping.reject(reject)
    }

    /// A file is what it was: what the ledger tells of it counts.
    fn take_over(&mut self, file: usize, bytes: u64) -> Result<()> {
        self.write()?;
        self.progress.done = bytes;
        let ledger = self.ledger;
        let reading = &ledger.readings[&self.corpus.files()[file].name];
        let mut counts = Counts {
            rejected: reading.end.rejected,
            windows_rejected: reading.end.rejected_windows,
            ..Counts::default()
        };
        for entry in &ledger.rejects[reading.rejects.clone()] {
            if let Entry::Reject(rejected) = self.keeping.journal.read(*entry)? {
                self.keeping.rejects.write(&rejected.into())?;
            }
        }
        for known in &ledger.documents[reading.documents.clone()] {
            let row = DocumentRow { file: file as u32, ..known.row };
            counts.longest_document = counts.longest_document.max(row.tokens);
            if row.windows == 0 {
                counts.too_short += 1;
                continue;
            }
            counts.windowed += 1;
            let (text, asked) = (row.text, self.asked);
            let windows = (0..row.windows).filter_map(|number| {
                ledger.first_score(text, number, asked).map(|row| ScoredWindow { number, row })
            });
            let before = self.table.windows.len();
            self.add(&known.id, &known.category, row, windows)?;
            counts.windows_known += (self.table.windows.len() - before) as u64;
        }
        self.summary.add(&counts);
        self.summary.duplicates += reading.end.duplicates;
        Ok(())
    }
}

/// Whether an error would befall every other window too.
pub(super) fn is_fatal(error: &Error, unit: Unit) -> bool {
    match error.kind() {
        ErrorKind::Runtime | ErrorKind::Cancelled | ErrorKind::Internal | ErrorKind::InvalidSetting => true,
        // Windows are of one length, records are not.
        ErrorKind::MemoryLimit => unit == Unit::Windows,
        _ => false,
    }
}

/// The number of rows that stands for a setting in the journal.
pub(super) fn asked(rows: Rows) -> u32 {
    match rows {
        Rows::All => 0,
        Rows::Sample(count) => count.get() as u32,
    }
}

/// The token ids of an item's windows that have no score.
fn unscored(item: &Item) -> impl Iterator<Item = &[u32]> {
    let windows = match item {
        Item::Document(document) => document.windows.as_slice(),
        _ => &[],
    };
    windows.iter().filter_map(|window| match &window.content {
        Content::Tokens { ids, .. } => Some(ids.as_slice()),
        Content::Known(_) => None,
    })
}

/// What of a record is carried along with its scores.
fn carried(record: &Record) -> RawObject {
    let mut fields = record.fields.clone();
    for name in ["id", "category", "content"].into_iter().chain(ScoreFields::NAMES) {
        fields.remove(name);
    }
    if let Some(text) = &record.text {
        fields.insert_first("content", text);
    }
    fields
}
