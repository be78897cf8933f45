//! Scores as attributes of documents, laid out as the Dolma tools do: file by file and row by row beside the documents.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use super::directory::ResultDirectory;
use super::journals::{Journals, ScoredWindow};
use super::table::{DocumentRow, Table};
use super::texts::changed;
use crate::cancel::Cancel;
use crate::choice::Choice;
use crate::corpus::{Corpus, InputFile, Output, Record, Reject, is_remote};
use crate::error::{Error, Result};

/// The folder that holds documents, and that beside it for what is said of them.
const DOCUMENTS: &str = "documents";
const ATTRIBUTES: &str = "attributes";

/// What each window of a document has: its first character, the one behind its last, and the value.
type Spans = Vec<(usize, usize, f64)>;

/// Where scores come from and what they belong to.
pub(super) struct Scores<'a> {
    pub name: &'a str,
    pub table: &'a Table,
    pub corpus: &'a Corpus,
    pub journals: &'a Journals<'a>,
    pub directory: &'a ResultDirectory,
    pub cancel: &'a Cancel,
}

impl Scores<'_> {
    /// Writes the attributes of all files that are whole.
    pub fn write(&self) -> Result<()> {
        let mut next = 0;
        for file in 0..self.corpus.files().len() {
            let windows = self.windows_from(next, |document| document.file as usize == file);
            next = windows.end;
            self.write_file(file, windows)?;
        }
        Ok(())
    }

    /// Windows that follow each other, as long as their documents are such.
    fn windows_from(&self, first: usize, is_such: impl Fn(&DocumentRow) -> bool) -> Range<usize> {
        let all = first..self.table.windows.len();
        first..first + all.take_while(|ordinal| is_such(self.table.document(*ordinal))).count()
    }

    fn write_file(&self, file: usize, windows: Range<usize>) -> Result<()> {
        let mut output = Output::create(self.path(&self.corpus.files()[file])?)?;
        match self.write_rows(file, windows.start, &mut output)? {
            Ok(()) => output.finish().map(drop),
            // A damaged file has no windows.
            Err(_) if windows.is_empty() => Ok(()),
            Err(reject) => Err(changed(reject)),
        }
    }

    /// Writes a row for each document of a file, or gives the reason why it cannot be read.
    fn write_rows(&self, file: usize, first: usize, output: &mut Output) -> Result<Result<(), Reject>> {
        let mut documents = match self.corpus.read(file) {
            Ok(documents) => documents,
            Err(reject) => return Ok(Err(reject)),
        };
        let mut next = first;
        for raw in documents.by_ref() {
            self.cancel.check()?;
            let raw = match raw {
                Ok(raw) => raw,
                Err(reject) => return Ok(Err(reject)),
            };
            let is_such = |document: &DocumentRow| document.file as usize == file && document.line == raw.line;
            let windows = self.windows_from(next, is_such);
            next = windows.end;
            let row = match self.corpus.record(file, &raw) {
                Ok(record) => self.row(Some(&record.id), self.spans(&record, windows)?),
                // The rows of both files must be as many.
                Err(reject) => self.row(reject.id.as_deref(), Default::default()),
            };
            _ = output.write(&row)?;
        }
        Ok(Ok(()))
    }

    /// Dependency strength, distribution uniformity and the columns of the windows of a document.
    fn spans(&self, record: &Record, windows: Range<usize>) -> Result<BTreeMap<&'static str, Spans>> {
        let text = record.text.as_deref().unwrap_or_default();
        let characters = |byte: u64| text.char_indices().take_while(|(index, _)| (*index as u64) < byte).count();
        let mut spans: BTreeMap<_, Spans> = BTreeMap::new();
        for ordinal in windows {
            let entry = self.journals.entry(self.table, ordinal)?;
            let window = ScoredWindow::of(self.table, self.corpus, ordinal, &entry)?;
            let (start, end) = (characters(window.fields.byte_start), characters(window.fields.byte_end));
            let score = window.score()?;
            let attention = score.attention.map(|attention| {
                [
                    ("dependency_strength", attention.dependency_strength),
                    ("distribution_uniformity", attention.distribution_uniformity),
                ]
            });
            let columns = score.columns.0.into_iter().map(|(column, number)| (column.name(), number));
            for (quantity, number) in attention.into_iter().flatten().chain(columns) {
                spans.entry(quantity).or_default().push((start, end, number));
            }
        }
        Ok(spans)
    }

    /// A row as the Dolma tools know it.
    fn row(&self, id: Option<&str>, mut spans: BTreeMap<&'static str, Spans>) -> Value {
        // A document without windows has them too, and none there.
        for quantity in ["dependency_strength", "distribution_uniformity"] {
            spans.entry(quantity).or_default();
        }
        let attributes: Map<_, _> =
            spans.into_iter().map(|(quantity, spans)| (format!("{}__{quantity}", self.name), json!(spans))).collect();
        json!({"id": id, "attributes": attributes})
    }

    /// Beside the documents where they are in a folder of that name, else in the result directory.
    fn path(&self, file: &InputFile) -> Result<PathBuf> {
        let beside = if is_remote(&file.path) { None } else { beside(&file.path, self.name) };
        let mut path =
            beside.unwrap_or_else(|| self.directory.path().join(ATTRIBUTES).join(self.name).join(&file.name));
        if !file.is_written() {
            path.as_mut_os_string().push(".jsonl.gz");
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .map_err(|cause| Error::io(format!("make the directory {}", folder.display()), cause))?;
        Ok(path)
    }
}

/// The path of the attributes of a file of documents, which is none where it is in no folder of documents.
fn beside(path: &Path, name: &str) -> Option<PathBuf> {
    let is_documents = |part: &Component| part.as_os_str() == DOCUMENTS;
    let parts: Vec<_> = path.components().collect();
    let (_, folders) = parts.split_last()?;
    let place = folders.iter().rposition(is_documents)?;
    let attributes = parts[..place].iter().collect::<PathBuf>().join(ATTRIBUTES).join(name);
    Some(attributes.join(parts[place + 1..].iter().collect::<PathBuf>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_beside_documents() {
        let path = |path: &str| beside(Path::new(path), "longattn").map(|path| path.display().to_string());
        assert_eq!(path("/c4/documents/a/0.jsonl.gz").as_deref(), Some("/c4/attributes/longattn/a/0.jsonl.gz"));
        assert_eq!(path("documents/0.jsonl").as_deref(), Some("attributes/longattn/0.jsonl"));
        assert_eq!(path("documents"), None);
        assert_eq!(path("books/0.jsonl"), None);
    }
}
