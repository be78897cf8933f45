//! From files to tokenised documents, on all cores, ahead of their scores.

use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

use rayon::prelude::*;

use super::entry::{Begin, RejectKind, Text};
use super::ledger::Ledger;
use super::table::WindowRow;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::corpus::{Corpus, Place, RawDocument, RawDocuments, Record, Reject, Seen, Spot};
use crate::digest::{Digest, Stamp};
use crate::error::Result;
use crate::tokenizer::Tokens;
use crate::window::windows;

/// Bytes of documents that are tokenised in one go, at least, and for each thread: enough to keep all cores busy.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_BYTES_PER_THREAD: usize = 1 << 20;

/// Documents of one go: short ones take longer than their bytes say.
const BATCH_DOCUMENTS: usize = 1024;

/// What a record is scored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// It is cut into windows, by Algorithm 1.
    Windows,
    /// It is one window: its text cut off behind the setting `window`, or its token ids.
    Record,
}

/// What reading gives, in the order of the corpus.
pub(super) enum Item {
    /// A file begins.
    Begin(usize),
    /// A file is as it was when it was last read: its documents are those of the ledger.
    Unchanged {
        file: usize,
        bytes: u64,
    },
    Document(Box<Document>),
    /// A record that cannot be used.
    Reject {
        reject: Reject,
        kind: Option<RejectKind>,
    },
    /// A file was read to its end.
    End {
        bytes: u64,
        digest: Digest,
        stamp: Option<Stamp>,
    },
    /// A file is damaged.
    Failed(Reject),
}

impl Item {
    /// Bytes of the inputs that were read up to it, where it tells.
    pub fn read(&self) -> Option<u64> {
        match self {
            Self::Unchanged { bytes, .. } => Some(*bytes),
            Self::Document(document) => Some(document.read),
            _ => None,
        }
    }
}

/// A tokenised document.
pub(super) struct Document {
    pub record: Record,
    pub line: u64,
    pub offset: u64,
    pub text: Text,
    pub tokens: u64,
    pub windows: Vec<Window>,
    /// Bytes of the inputs that were read up to it.
    pub read: u64,
}

/// A window of a document.
pub(super) struct Window {
    pub number: u32,
    pub content: Content,
}

pub(super) enum Content {
    /// Its score is known.
    Known(WindowRow),
    Tokens {
        ids: Vec<u32>,
        token_start: u64,
        bytes: Range<u64>,
    },
}

/// Splits a text into tokens until the work is cancelled.
pub(super) type Tokenize<'a> = &'a (dyn Fn(&str) -> Result<Tokens> + Sync);

/// What is read, and what of it is known.
pub(super) struct Reading<'a> {
    pub corpus: &'a Corpus,
    pub unit: Unit,
    pub config: &'a Config,
    pub ledger: &'a Ledger,
    /// The rows that the first scores take; 0 for all.
    pub asked: u32,
    pub tokenize: Tokenize<'a>,
    pub pool: &'a rayon::ThreadPool,
    pub cancel: &'a Cancel,
}

/// A record, or the reason why it is none, and where it was in its file.
type Parsed = (Result<Record, Reject>, Raw);

struct Raw {
    line: u64,
    offset: u64,
    read: u64,
}

impl Reading<'_> {
    /// Reads everything, and gives what it finds to `items` until nobody listens any more.
    pub fn run(&self, items: &SyncSender<Vec<Item>>) {
        let mut seen = Seen::default();
        let mut read = 0;
        let mut all_unchanged = true;
        for file in 0..self.corpus.files().len() {
            if self.cancel.is_cancelled() {
                return;
            }
            let bytes = self.corpus.files()[file].bytes.unwrap_or(0);
            let sent = match self.is_unchanged(file, all_unchanged, &mut seen) {
                true => items.send(vec![Item::Unchanged { file, bytes: read + bytes }]).is_ok(),
                false => {
                    all_unchanged = false;
                    self.read_file(file, read, &mut seen, items)
                }
            };
            if !sent {
                return;
            }
            read += bytes;
        }
    }

    /// Whether what the ledger tells of a file can stand without reading it. Remembers its ids then.
    fn is_unchanged(&self, file: usize, all_unchanged: bool, seen: &mut Seen) -> bool {
        let input = &self.corpus.files()[file];
        let Some(reading) = self.ledger.readings.get(&input.name) else { return false };
        let begin = Begin::from(input);
        // What was a duplicate may be none where another file has changed.
        if reading.begin != begin || reading.end.duplicates > 0 && !all_unchanged {
            return false;
        }
        let stamp = Stamp::of(&input.path).ok();
        if stamp.is_none() || stamp != reading.end.stamp {
            return false;
        }
        let documents = &self.ledger.documents[reading.documents.clone()];
        if documents.iter().any(|document| seen.get(&document.id).is_some()) {
            return false;
        }
        for document in documents {
            seen.insert(&document.id, Spot { file: file as u32, line: document.row.line });
        }
        true
    }

    /// Reads one file; false where nobody listens any more.
    fn read_file(&self, file: usize, before: u64, seen: &mut Seen, items: &SyncSender<Vec<Item>>) -> bool {
        if items.send(vec![Item::Begin(file)]).is_err() {
            return false;
        }
        let begun = SystemTime::now();
        let mut documents = match self.corpus.read(file) {
            Ok(documents) => documents,
            Err(reject) => return items.send(vec![Item::Failed(reject)]).is_ok(),
        };
        let bytes = BATCH_BYTES.max(BATCH_BYTES_PER_THREAD * self.pool.current_num_threads());
        let mut next = next_batch(&mut documents, bytes);
        loop {
            if self.cancel.is_cancelled() {
                return false;
            }
            let (batch, failure) = std::mem::take(&mut next);
            let (is_empty, is_last) = (batch.is_empty(), batch.is_empty() || failure.is_some());
            let read = before + documents.consumed_bytes();
            let read_on = || if is_last { Batch::default() } else { next_batch(&mut documents, bytes) };
            let prepared;
            (prepared, next) = self.pool.join(|| self.prepare(file, batch, read, seen), read_on);
            if !is_empty && items.send(prepared).is_err() {
                return false;
            }
            if self.cancel.is_cancelled() {
                return false;
            }
            if let Some(reject) = failure {
                // Ids of a damaged file are no one's.
                seen.forget_file(file as u32);
                return items.send(vec![Item::Failed(reject)]).is_ok();
            }
            if is_last {
                break;
            }
        }
        let end = match documents.finish() {
            Ok(content) => {
                let stamp = content.stamp.filter(|stamp| stamp.is_settled(begun));
                Item::End { bytes: content.bytes, digest: content.digest, stamp }
            }
            Err(reject) => {
                seen.forget_file(file as u32);
                Item::Failed(reject)
            }
        };
        items.send(vec![end]).is_ok()
    }

    /// Parses and tokenises some documents of a file.
    fn prepare(&self, file: usize, batch: Vec<RawDocument>, read: u64, seen: &mut Seen) -> Vec<Item> {
        // A document may be large: what was read of it goes before it is tokenised.
        let parse = |raw: RawDocument| -> Parsed {
            (self.corpus.record(file, &raw), Raw { line: raw.line, offset: raw.offset, read })
        };
        let mut parsed: Vec<Parsed> = self.pool.install(|| batch.into_par_iter().map(parse).collect());
        let mut duplicates = vec![false; parsed.len()];
        for ((record, raw), is_duplicate) in parsed.iter_mut().zip(&mut duplicates) {
            let Ok(found) = record else { continue };
            let spot = Spot { file: file as u32, line: raw.line };
            if let Some(first) = seen.insert(&found.id, spot) {
                *is_duplicate = true;
                *record = Err(reject(found, duplicate(&found.id, &self.corpus.place(first))));
            }
        }
        let item = |((record, raw), is_duplicate): (Parsed, bool)| {
            let kind = match &record {
                Ok(_) => Some(RejectKind::Document),
                Err(_) => is_duplicate.then_some(RejectKind::Duplicate),
            };
            match record.and_then(|record| self.document(record, raw)) {
                Ok(document) => Item::Document(Box::new(document)),
                Err(reject) => Item::Reject { reject, kind },
            }
        };
        let documents: Vec<_> = parsed.into_iter().zip(duplicates).collect();
        self.pool.install(|| documents.into_par_iter().with_max_len(1).map(item).collect())
    }

    fn document(&self, record: Record, raw: Raw) -> Result<Document, Reject> {
        let (text, is_cut) = match (&record.text, &record.token_ids, self.unit) {
            (_, Some(ids), Unit::Record) => (digest_of_ids(ids), false),
            (Some(text), _, _) => (Text::of(text), true),
            (None, _, _) => {
                let reason = "no text: windows are cut from text, and token_ids are for `score`";
                return Err(reject(&record, reason.to_owned()));
            }
        };
        let document = |tokens, windows, mut record: Record| {
            if !is_cut {
                record.token_ids = None;
            }
            Document { record, line: raw.line, offset: raw.offset, text, tokens, windows, read: raw.read }
        };
        if let Some((tokens, windows)) = self.known(text) {
            return Ok(document(tokens, windows, record));
        }
        let (tokens, windows) = match is_cut {
            true => self.windows_of_text(record.text.as_deref().unwrap_or_default(), text),
            false => Ok(self.window_of_ids(record.token_ids.clone().unwrap_or_default(), 0..0, text)),
        }
        .map_err(|error| reject(&record, error.to_string()))?;
        Ok(document(tokens, windows, record))
    }

    /// The windows of a text, where each of them has a score.
    fn known(&self, text: Text) -> Option<(u64, Vec<Window>)> {
        let known = self.ledger.text(text)?;
        let window = |number| {
            let row = self.known_window(text, number)?;
            Some(Window { number, content: Content::Known(row) })
        };
        let windows: Option<Vec<_>> = (0..known.windows).map(window).collect();
        Some((known.tokens, windows?))
    }

    /// The first score of a window, or the exact one.
    fn known_window(&self, text: Text, number: u32) -> Option<WindowRow> {
        self.ledger.first_score(text, number, self.asked)
    }

    fn windows_of_text(&self, text: &str, digest: Text) -> Result<(u64, Vec<Window>)> {
        let tokens = (self.tokenize)(text)?;
        if self.unit == Unit::Record {
            let end = tokens.ids().len().min(self.config.window.get());
            let bytes = tokens.bytes(&(0..end));
            return Ok(self.window_of_ids(tokens.ids().to_vec(), bytes.start as u64..bytes.end as u64, digest));
        }
        let cut = windows(&tokens, self.config.window);
        let window = |window: crate::window::Window| {
            let number = window.number as u32;
            let content = match self.known_window(digest, number) {
                Some(row) => Content::Known(row),
                None => Content::Tokens {
                    ids: tokens.ids()[window.tokens.clone()].to_vec(),
                    token_start: window.tokens.start as u64,
                    bytes: window.bytes.start as u64..window.bytes.end as u64,
                },
            };
            Window { number, content }
        };
        Ok((tokens.ids().len() as u64, cut.into_iter().map(window).collect()))
    }

    /// `bytes` are those of its text, none where it has none.
    fn window_of_ids(&self, mut ids: Vec<u32>, bytes: Range<u64>, digest: Text) -> (u64, Vec<Window>) {
        let tokens = ids.len() as u64;
        ids.truncate(self.config.window.get());
        let content = match self.known_window(digest, 0) {
            Some(row) => Content::Known(row),
            None => Content::Tokens { ids, token_start: 0, bytes },
        };
        (tokens, vec![Window { number: 0, content }])
    }
}

/// Documents of a file, and the reject that ended it.
type Batch = (Vec<RawDocument>, Option<Reject>);

/// The next documents of a file, of about so many bytes.
fn next_batch(documents: &mut RawDocuments, enough: usize) -> Batch {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while bytes < enough && batch.len() < BATCH_DOCUMENTS {
        match documents.next() {
            Some(Ok(raw)) => {
                bytes += raw.len();
                batch.push(raw);
            }
            Some(Err(reject)) => return (batch, Some(reject)),
            None => break,
        }
    }
    (batch, None)
}

/// A record that cannot be used. Its text is still in the corpus, where the reject says.
pub(super) fn reject(record: &Record, reason: String) -> Reject {
    Reject { place: record.place.clone(), id: Some(record.id.clone()), reason, record: String::new() }
}

/// Why a record is rejected whose id another one had before.
pub(super) fn duplicate(id: &str, first: &Place) -> String {
    format!("duplicate id `{id}`, first seen at {first}")
}

impl Text {
    /// The digest of a text.
    pub fn of(text: &str) -> Self {
        Self(Digest::of(text.as_bytes()).short())
    }
}

fn digest_of_ids(ids: &[u32]) -> Text {
    // No text begins with this byte.
    let bytes: Vec<u8> = std::iter::once(0xff).chain(ids.iter().flat_map(|id| id.to_le_bytes())).collect();
    Text(Digest::of(&bytes).short())
}
