//! The texts of windows, looked up in the corpus and written beside their scores.

use std::collections::HashMap;
use std::iter;

use rayon::prelude::*;

use super::adaptive::changed_journal;
use super::ahead::ahead;
use super::entry::Text;
use super::journals::{Journals, ScoredWindow};
use super::lines::SelectedFields;
use super::observer::{Observer, Progress, Stage};
use super::table::Table;
use crate::cancel::Cancel;
use crate::corpus::{Corpus, Output, RawDocument, RawDocuments, Record, Reject};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{WholeText, WindowText};

/// Documents that are parsed at once: short ones by their number, long ones by their bytes.
const DOCUMENTS_AT_ONCE: usize = 1024;
const BYTES_AT_ONCE: usize = 16 << 20;

/// Windows that are put together at once.
const WINDOWS_AT_ONCE: usize = 512;

/// Characters of the excerpts that the report shows.
const EXCERPT: usize = 250;

const CHANGED: &str =
    "is not what it was when its windows were scored: go on with --resume, which scores anew what has changed";

/// Where the texts of windows come from.
pub(super) struct Texts<'a> {
    pub table: &'a Table,
    pub corpus: &'a Corpus,
    pub journals: &'a Journals<'a>,
    pub observer: &'a dyn Observer,
    pub cancel: &'a Cancel,
}

/// A window whose text is wanted.
pub(super) struct Wanted {
    pub ordinal: usize,
    /// Whether it is to be written.
    pub is_selected: bool,
    /// Its long-distance dependency score, where it has one.
    pub lds: Option<f64>,
    /// Whether the report shows it.
    pub is_shown: bool,
}

/// Whoever read standard output has gone.
pub(super) struct Gone;

/// What was made of a window.
struct Made {
    line: Option<String>,
    shown: Option<WindowText>,
}

impl Texts<'_> {
    /// Writes windows, which are in the order of the corpus, and gives the texts of those that the report shows by their
    /// ordinals.
    pub fn write(
        &self,
        wanted: &[Wanted],
        output: &mut Output,
    ) -> Result<std::result::Result<HashMap<usize, WindowText>, Gone>> {
        let shown = wanted.iter().filter(|window| window.is_shown).count();
        let most_bytes = WholeText::MOST_BYTES / shown.max(1);
        let mut texts = HashMap::new();
        let documents: Vec<_> = wanted.chunk_by(|a, b| self.is_one_document(a.ordinal, b.ordinal)).collect();
        let (mut rest, mut reading, mut done) = (&documents[..], None, 0);
        let read = iter::from_fn(|| {
            rest.first()?;
            let read = self.cancel.check().and_then(|()| self.next_documents(rest, &mut reading));
            let (documents, others) = rest.split_at(read.as_ref().map_or(rest.len(), Vec::len));
            rest = others;
            Some(read.map(|raw| (raw, documents)))
        });
        ahead(read, |read| {
            for read in read {
                let (raw, documents) = read?;
                let records =
                    raw.into_par_iter().zip(documents).map(|(raw, windows)| self.record(&raw, windows[0].ordinal));
                let records = records.collect::<Result<Vec<_>>>()?;
                let windows = records
                    .iter()
                    .zip(documents)
                    .flat_map(|(record, windows)| windows.iter().map(move |window| (record, window)));
                let windows: Vec<_> = windows.collect();
                for windows in windows.chunks(WINDOWS_AT_ONCE) {
                    for (made, (_, wanted)) in self.make(windows, most_bytes)?.into_iter().zip(windows) {
                        texts.extend(made.shown.map(|text| (wanted.ordinal, text)));
                        if let Some(line) = made.line
                            && output.write_json(line)?.is_break()
                        {
                            return Ok(Err(Gone));
                        }
                    }
                    done += windows.len() as u64;
                    let total = Some(wanted.len() as u64);
                    self.observer.progress(&Progress { stage: Stage::Writing, done, total, ..Progress::default() });
                }
            }
            Ok(Ok(texts))
        })
    }

    /// Reads some of the documents that come next.
    fn next_documents(
        &self,
        documents: &[&[Wanted]],
        reading: &mut Option<(u32, RawDocuments)>,
    ) -> Result<Vec<RawDocument>> {
        let (mut read, mut bytes) = (Vec::new(), 0);
        for windows in documents.iter().take(DOCUMENTS_AT_ONCE) {
            let document = self.raw(windows[0].ordinal, reading)?;
            bytes += document.len();
            read.push(document);
            if bytes >= BYTES_AT_ONCE {
                break;
            }
        }
        Ok(read)
    }

    fn raw(&self, ordinal: usize, reading: &mut Option<(u32, RawDocuments)>) -> Result<RawDocument> {
        let row = self.table.document(ordinal);
        let documents = match reading {
            Some((file, documents)) if *file == row.file => documents,
            _ => &mut reading.insert((row.file, self.corpus.read(row.file as usize).map_err(changed)?)).1,
        };
        documents.skip_to(row.offset, row.line).map_err(changed)?;
        documents.next().ok_or_else(|| self.gone(ordinal))?.map_err(changed)
    }

    /// The document of a window, whose text must be what it was.
    fn record(&self, raw: &RawDocument, ordinal: usize) -> Result<Record> {
        let row = self.table.document(ordinal);
        let record = self.corpus.record(row.file as usize, raw).map_err(changed)?;
        let text = Text::of(record.text.as_deref().unwrap_or_default());
        if text == row.text { Ok(record) } else { Err(self.gone(ordinal)) }
    }

    fn make(&self, windows: &[(&Record, &Wanted)], most_bytes: usize) -> Result<Vec<Made>> {
        // Read in their order, since journals read ahead, and put together on all cores.
        let entries = windows.iter().map(|(_, wanted)| self.journals.entry(self.table, wanted.ordinal));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let made = windows.par_iter().zip(entries).map(|((record, wanted), entry)| {
            let window = ScoredWindow::of(self.table, self.corpus, wanted.ordinal, &entry)?;
            let text = record.text.as_deref().unwrap_or_default();
            let content = text.get(window.fields.byte_start as usize..window.fields.byte_end as usize);
            let content = content.ok_or_else(|| changed_journal(window.fields.id))?;
            let shown = match wanted.is_shown {
                true => {
                    let attention = window.score()?.attention;
                    Some(WindowText {
                        excerpt: content.chars().take(EXCERPT).collect(),
                        whole_text: WholeText::of(content, most_bytes),
                        min_distance: attention.as_ref().map_or(0, |attention| attention.min_distance),
                        distance_profile: attention.map_or_else(Vec::new, |attention| attention.distance_profile),
                    })
                }
                false => None,
            };
            let selected = SelectedFields { lds: wanted.lds, content, fields: &record.fields };
            let line = wanted.is_selected.then(|| window.selected_to_json(&selected));
            Ok(Made { line, shown })
        });
        made.collect()
    }

    fn is_one_document(&self, a: usize, b: usize) -> bool {
        self.table.windows[a].document == self.table.windows[b].document
    }

    fn gone(&self, ordinal: usize) -> Error {
        let place = self.corpus.place(self.table.document(ordinal).spot());
        Error::new(ErrorKind::InvalidRecord, format!("{place} {CHANGED}"))
    }
}

pub(super) fn changed(reject: Reject) -> Error {
    Error::new(ErrorKind::InvalidRecord, format!("{} {CHANGED} ({})", reject.place, reject.reason))
}
