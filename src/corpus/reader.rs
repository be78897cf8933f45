//! From files and folders to records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::documents::{RawDocuments, reject};
use super::field_types::FieldTypes;
use super::format::{Asked, RawDocument, Unread};
use super::input::{InputFile, list};
use super::lines::{object_text, rejected_line};
use super::object::{Members, RawObject};
use super::place::{Place, Reject};
use super::record::{Fields, Record, Said};
use super::seen::{Seen, Spot};
use super::split::Shard;
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, ErrorKind, Result};

/// 1 GiB.
const DOCUMENT_LIMIT: u64 = 1 << 30;

/// The files of some inputs, listed and not yet read. Clones are cheap and share the list.
///
/// A file's first bytes tell how it is compressed (gzip, Zstandard, bzip2, xz or LZ4) and what it holds, and its name tells the
/// latter where they do not: JSON lines (`.jsonl`, `.jsonlines`, `.ndjson`, `.json`), a JSON array of objects, Parquet
/// (`.parquet`), or Arrow IPC, as a file or as a stream (`.arrow`, `.feather`), hold one record a line, item or row, and standard
/// input holds JSON lines. Any other
/// file is one text. Folders are listed with everything in them, sorted by name, except for hidden files and folders, what
/// other programs leave beside data (`_SUCCESS`, `.crc`, …) and folders that hold the results of a job.
#[derive(Clone, Debug)]
pub struct Corpus {
    files: Arc<[InputFile]>,
    /// Those of all shards.
    listed: Arc<[InputFile]>,
    fields: Fields,
    every_field: bool,
    typed_fields: bool,
    ids_from_place: bool,
    document_limit: u64,
    cancel: Cancel,
}

impl Corpus {
    /// Lists the files of all inputs: files, folders, URLs of both (`s3://`, `gs://`, `az://`, `http://`, `https://`; with the
    /// feature `remote`), and `-` for standard input. Folders in `leave_out`, such as the one that
    /// results will go to, are never entered.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where an input is missing or cannot be read; of kind
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where there is none, one is given twice, or a folder has no
    /// readable file or is left out itself. A file in a folder that cannot be read is no error, but a reject when it is read.
    pub fn open<P: AsRef<Path>>(inputs: &[P], fields: Fields, leave_out: &[&Path]) -> Result<Self> {
        let inputs: Vec<_> = inputs.iter().map(AsRef::as_ref).collect();
        let files: Arc<[InputFile]> = list(&inputs, leave_out)?.into();
        Ok(Self {
            listed: files.clone(),
            files,
            fields,
            every_field: true,
            typed_fields: false,
            ids_from_place: false,
            document_limit: DOCUMENT_LIMIT,
            cancel: Cancel::default(),
        })
    }

    /// Sets whether records carry all fields along, as they do unless set. Without, their `fields` are empty, and of tables no
    /// more columns are read than texts, ids and categories take.
    #[must_use]
    pub fn with_every_field(self, every_field: bool) -> Self {
        Self { every_field, ..self }
    }

    /// Sets whether fields must keep the types that tables give them, for outputs that have such. Bytes are then hexadecimal
    /// in all fields but those of texts, ids and categories.
    #[must_use]
    pub fn with_typed_fields(self, typed_fields: bool) -> Self {
        Self { typed_fields, ..self }
    }

    /// Sets whether ids are made of places, as in `books.jsonl:17`, whatever records say: for files that each count from 0.
    #[must_use]
    pub fn with_ids_from_place(self, ids_from_place: bool) -> Self {
        Self { ids_from_place, ..self }
    }

    /// Sets the longest line or text in bytes, decompressed, that is read, 1 GiB unless set. A longer one is a reject, and is
    /// never held in memory.
    #[must_use]
    pub fn with_document_limit(self, bytes: u64) -> Self {
        Self { document_limit: bytes, ..self }
    }

    /// Lets reading be stopped: what is being read then fails at once, however long a document is.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Sets the category of documents whose records name none, whatever their files are called.
    #[must_use]
    pub fn with_category(self, category: &str) -> Self {
        let file = |file: &InputFile| InputFile { category: category.to_owned(), ..file.clone() };
        let of_all = |files: &[InputFile]| files.iter().map(file).collect();
        Self { files: of_all(&self.files), listed: of_all(&self.listed), ..self }
    }

    /// One share of it. All shares, in their order, have the documents of the whole in its order, each once. A file longer
    /// than a share is cut where it can be: plain JSON lines and arrays, between any two records, Parquet, between row groups,
    /// and Arrow files, between batches.
    ///
    /// # Errors
    /// Of kind [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where an input has no size, such as standard input.
    pub fn shard(self, shard: Shard) -> Result<Self> {
        if let Some(stream) = self.files.iter().find(|file| file.bytes.is_none()) {
            let message = format!("{} cannot be read in shards: only files can", stream.shown);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Self { files: shard.files(&self.files).into(), ..self })
    }

    /// Categories of files that differ from another's in their digits alone, such as `part-00000` and `part-00001`.
    pub fn shard_like_categories(&self) -> BTreeSet<String> {
        let mut alike: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for file in &*self.listed {
            alike.entry(without_digits(&file.category)).or_default().insert(&file.category);
        }
        let shards = alike.into_values().filter(|categories| categories.len() > 1);
        shards.flatten().map(str::to_owned).collect()
    }

    /// The digest of what was listed: the name, the category and the size of every file of all shards, in order.
    pub fn listing_digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for file in &*self.listed {
            // No name has a NUL.
            hasher.update(format!("{}\0{}\0{:?}\0", file.name, file.category, file.bytes));
        }
        hasher.finish()
    }

    /// The files in the order of the inputs.
    pub fn files(&self) -> &[InputFile] {
        &self.files
    }

    /// The fields that records are read from.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Bytes of all files as they are on disk, compressed or not; none where standard input or a pipe is among them.
    pub fn total_bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Where a document stands.
    pub(crate) fn place(&self, spot: Spot) -> Place {
        Place { file: self.files[spot.file as usize].shown.clone(), line: Some(spot.line).filter(|line| *line > 0) }
    }

    /// Opens a file by its number.
    ///
    /// # Errors
    /// A reject that names the file and why it cannot be opened.
    pub fn read(&self, file: usize) -> Result<RawDocuments, Reject> {
        self.open_file(&self.files[file])
    }

    fn open_file(&self, file: &InputFile) -> Result<RawDocuments, Reject> {
        if let Some(trouble) = &file.trouble {
            return Err(reject(Place { file: file.shown.clone(), line: None }, trouble.clone()));
        }
        let asked = Asked {
            fields: Some(self.fields.clone()),
            every_field: self.every_field,
            is_typed: self.every_field && self.typed_fields,
            limit: self.document_limit,
        };
        let documents = RawDocuments::open(&file.path, file.format, &asked, self.cancel.clone())?;
        Ok(match &file.part {
            Some(bytes) => documents.within(bytes.clone()),
            None => documents,
        })
    }

    /// The types that fields of all records have, where [typed fields](Self::with_typed_fields) are asked for and all files of
    /// all shards are tables. Files that cannot be read have no records.
    pub fn field_types(&self) -> FieldTypes {
        if !self.every_field || !self.typed_fields {
            return FieldTypes::default();
        }
        let files = self.listed.iter().filter_map(|file| self.open_file(file).ok());
        let kinds: Option<Vec<_>> = files.map(|documents| documents.kind()).collect();
        FieldTypes::of(kinds.into_iter().flatten(), &self.fields)
    }

    /// What a document of a file says. Whether its id is unlike all others is for the caller to check.
    ///
    /// # Errors
    /// A reject that names the document and why it cannot be used.
    pub fn record(&self, file: usize, document: &RawDocument) -> Result<Record, Reject> {
        let file = &self.files[file];
        let place = Place { file: file.shown.clone(), line: Some(document.line).filter(|line| *line > 0) };
        match &document.bytes {
            Err(Unread::OverLimit) => Err(self.over_limit(file, place)),
            Err(Unread::Leftover) => Err(reject(place, LEFTOVER.to_owned())),
            Ok(bytes) if document.line == 0 => text_record(file, place, bytes),
            Ok(bytes) => self.line_record(file, place, bytes),
        }
    }

    fn over_limit(&self, file: &InputFile, place: Place) -> Reject {
        let id = place.line.is_none().then(|| file.name.clone());
        let reason = format!(
            "longer than {} bytes, the setting document_limit: raise it, or split the document",
            self.document_limit
        );
        Reject { id, ..reject(place, reason) }
    }

    fn line_record(&self, file: &InputFile, place: Place, line: &[u8]) -> Result<Record, Reject> {
        let reject = |id: Option<&String>, reason| rejected_line(&place, id.cloned(), reason, line);
        let object = object_text(line).and_then(Members::parse).map_err(|reason| reject(None, reason))?;
        let id = match self.ids_from_place {
            true => None,
            false => self.fields.id(&object).map_err(|reason| reject(None, reason))?,
        };
        let id = id.unwrap_or_else(|| format!("{}:{}", file.name, place.line.unwrap_or_default()));
        let content = self.fields.content(&object).map_err(|reason| reject(Some(&id), reason))?;
        let Said { category, text, token_ids, fields } = content;
        let fields = if self.every_field { fields } else { RawObject::default() };
        let category = category.unwrap_or_else(|| file.category.clone());
        Ok(Record { place, id, category, text, token_ids, fields })
    }
}

/// A name with one sign for every run of digits.
fn without_digits(name: &str) -> String {
    let mut shape = String::new();
    for character in name.chars() {
        match character.is_ascii_digit() {
            true if shape.ends_with('\0') => {}
            true => shape.push('\0'),
            false => shape.push(character),
        }
    }
    shape
}

const LEFTOVER: &str = "what is behind the end of the compressed data is neither that nor zeros, and was left out";

fn text_record(file: &InputFile, place: Place, bytes: &[u8]) -> Result<Record, Reject> {
    let (id, category) = (file.name.clone(), file.category.clone());
    match text_of(bytes) {
        Ok(text) => {
            let (text, fields) = (Some(text.to_owned()), RawObject::default());
            Ok(Record { place, id, category, text, token_ids: None, fields })
        }
        Err(reason) => Err(Reject { id: Some(id), ..reject(place, reason) }),
    }
}

/// The text of a file, or the reason why it is not text.
fn text_of(bytes: &[u8]) -> Result<&str, String> {
    if let Some(index) = bytes.iter().position(|byte| *byte == 0) {
        return Err(format!("not text: a NUL byte at byte {}", index + 1));
    }
    std::str::from_utf8(bytes).map_err(|error| format!("not text: invalid UTF-8 at byte {}", error.valid_up_to() + 1))
}

/// Reads the records of a [`Corpus`] one after the other.
///
/// Each item is a record or a [`Reject`]: of a record that cannot be used, of an id that was there before, or of a file that
/// cannot be read, or read on. What a damaged file gave before the damage showed has been given by then.
pub struct Reader {
    corpus: Corpus,
    seen: Seen,
    progress: Progress,
    /// How many files were opened.
    opened: usize,
    /// Bytes of the files before the one that is open.
    bytes_before: u64,
    documents: Option<RawDocuments>,
}

/// How far a [`Reader`] has come; clones follow the same reader from other threads.
#[derive(Clone, Debug)]
pub struct Progress {
    total: Option<u64>,
    consumed: Arc<AtomicU64>,
}

impl Progress {
    /// Bytes of all input files as they are on disk, compressed or not; none where standard input or a pipe is among them.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    /// Bytes read of them so far.
    pub fn consumed_bytes(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }
}

impl Reader {
    /// Reads the files of some inputs; see [`Corpus::open`].
    ///
    /// # Errors
    /// As [`Corpus::open`].
    pub fn open<P: AsRef<Path>>(inputs: &[P], fields: Fields) -> Result<Self> {
        Corpus::open(inputs, fields, &[]).map(|corpus| Self::of(&corpus))
    }

    /// Reads the files of a corpus.
    pub fn of(corpus: &Corpus) -> Self {
        let progress = Progress { total: corpus.total_bytes(), consumed: Arc::default() };
        let corpus = corpus.clone();
        Self { corpus, seen: Seen::default(), progress, opened: 0, bytes_before: 0, documents: None }
    }

    /// How far reading has come, also for another thread to watch.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The next document of the file that is open.
    fn next_document(&mut self) -> Option<Result<RawDocument, Reject>> {
        let documents = self.documents.as_mut()?;
        let document = documents.next();
        let consumed = self.bytes_before + documents.consumed_bytes();
        self.progress.consumed.store(consumed, Ordering::Relaxed);
        if document.is_none() {
            self.bytes_before = consumed;
            self.documents = None;
        }
        document
    }

    fn record(&mut self, document: &RawDocument) -> Result<Record, Reject> {
        let file = self.opened - 1;
        let record = self.corpus.record(file, document)?;
        let spot = Spot { file: file as u32, line: document.line };
        let Some(first) = self.seen.insert(&record.id, spot) else { return Ok(record) };
        let place = self.corpus.files[first.file as usize].shown.clone();
        let first = Place { file: place, line: Some(first.line).filter(|line| *line > 0) };
        let reason = format!("duplicate id `{}`, first seen at {first}", record.id);
        let line = if document.line > 0 { document.bytes.as_deref().unwrap_or_default() } else { &[] };
        Err(rejected_line(&record.place, Some(record.id), reason, line))
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(document) = self.next_document() {
                return Some(document.and_then(|document| self.record(&document)));
            }
            if self.opened == self.corpus.files.len() {
                return None;
            }
            self.opened += 1;
            match self.corpus.read(self.opened - 1) {
                Ok(documents) => self.documents = Some(documents),
                Err(reject) => return Some(Err(reject)),
            }
        }
    }
}
