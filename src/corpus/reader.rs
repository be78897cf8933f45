//! From files and folders to records.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::input::{InputFile, input_files};
use super::lines::{BYTE_ORDER_MARK, RawLines, parse_object};
use super::record::{Content, Fields, Record};
use super::seen::{Seen, Spot};
use super::source::Source;
use super::{Place, Reject};
use crate::error::Result;

/// Reads the records of files, folders and standard input, in the order given.
///
/// `.jsonl` and `.ndjson` files, compressed or not, compressed `.json` files and standard input hold one record a line;
/// any other file is one text.
/// Names that end in `.gz` or `.zst` are decompressed. Folders are read with everything in them, sorted by name, except
/// for hidden files and folders.
///
/// Each item is a record or a [`Reject`]. An error, always of kind [`Io`](crate::ErrorKind::Io), is the last item.
pub struct Reader {
    files: Vec<InputFile>,
    fields: Fields,
    seen: Seen,
    progress: Progress,
    /// How many files were opened.
    opened: usize,
    lines: Option<RawLines>,
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
    /// Checks all inputs (files, folders, `-` for standard input) and lists their files; reads nothing yet.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where an input is missing or cannot be read; of kind
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where there is none, a folder is empty or an input is given
    /// twice.
    pub fn open<P: AsRef<Path>>(inputs: &[P], fields: Fields) -> Result<Self> {
        let files = input_files(inputs)?;
        let total = files.iter().map(|file| file.bytes).sum();
        let progress = Progress { total, consumed: Arc::default() };
        Ok(Self { files, fields, seen: Seen::default(), progress, opened: 0, lines: None })
    }

    /// How far reading has come, also for another thread to watch.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The next item; none at the end.
    fn read(&mut self) -> Result<Option<Result<Record, Reject>>> {
        loop {
            if let Some(mut lines) = self.lines.take()
                && lines.advance()?
            {
                let item = self.line_record(&lines);
                self.lines = Some(lines);
                return Ok(Some(item));
            }
            let Some(file) = self.files.get(self.opened) else { return Ok(None) };
            self.opened += 1;
            let source = Source::open(&file.path, self.progress.consumed.clone())?;
            if !file.is_json_lines {
                return self.text_record(source).map(Some);
            }
            self.lines = Some(RawLines::new(source));
        }
    }

    fn line_record(&mut self, lines: &RawLines) -> Result<Record, Reject> {
        let object: Map<String, Value> = parse_object(lines.line()).map_err(|reason| lines.reject(None, reason))?;
        let place = lines.place();
        let id = self.fields.id(&object).map_err(|reason| lines.reject(None, reason))?;
        let id = id.unwrap_or_else(|| format!("{}:{}", self.file().name, place.line.unwrap_or_default()));
        let reject = |reason| lines.reject(Some(id.clone()), reason);
        let content = self.fields.content(object).map_err(reject)?;
        self.check_new(&id, &place).map_err(reject)?;
        let Content { category, text, token_ids, fields } = content;
        let category = category.unwrap_or_else(|| self.category());
        Ok(Record { place, id, category, text, token_ids, fields })
    }

    fn text_record(&mut self, mut source: Source) -> Result<Result<Record, Reject>> {
        let place = Place { file: source.file.clone(), line: None };
        let id = self.file().name.clone();
        let mut bytes = Vec::new();
        source.bytes.read_to_end(&mut bytes).map_err(|cause| source.failure(&place, cause))?;
        let text = decode(bytes).and_then(|text| self.check_new(&id, &place).map(|()| text));
        Ok(match text {
            Ok(text) => {
                let category = self.category();
                Ok(Record { place, id, category, text: Some(text), token_ids: None, fields: Map::new() })
            }
            Err(reason) => Err(Reject { place, id: Some(id), reason, record: String::new() }),
        })
    }

    /// Remembers an id, unless it was seen before.
    fn check_new(&mut self, id: &str, place: &Place) -> Result<(), String> {
        let spot = Spot { file: self.opened as u32 - 1, line: place.line.unwrap_or(0) };
        let Some(first) = self.seen.insert(id, spot) else { return Ok(()) };
        let file = self.files[first.file as usize].path.to_string_lossy().into();
        let first = Place { file, line: Some(first.line).filter(|line| *line > 0) };
        Err(format!("duplicate id `{id}`, first seen at {first}"))
    }

    fn file(&self) -> &InputFile {
        &self.files[self.opened - 1]
    }

    fn category(&self) -> String {
        self.file().category.clone()
    }
}

impl Iterator for Reader {
    type Item = Result<Result<Record, Reject>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if matches!(item, Some(Err(_))) {
            self.opened = self.files.len();
        }
        item
    }
}

/// The text of a file without a byte order mark, or the reason why it is not text.
fn decode(mut bytes: Vec<u8>) -> Result<String, String> {
    if let Some(index) = bytes.iter().position(|byte| *byte == 0) {
        return Err(format!("not text: a NUL byte at byte {}", index + 1));
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("not text: invalid UTF-8 at byte {}", error.utf8_error().valid_up_to() + 1))
}
