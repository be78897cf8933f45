//! Rows of tables as documents: each as a JSON object, so that all that follows is as for JSON lines.

use std::collections::VecDeque;
use std::fmt::Display;
use std::ops::Range;

use arrow_array::{Array, RecordBatch, StructArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema, SchemaRef};

use super::columns::needed;
use super::format::{Asked, Documents, RawDocument, Unread};
use super::kind::Kind;
use super::rows::JsonRows;
use super::source::{Content, NO_PARTS, Source};
use crate::digest::Stamp;
use crate::guarded::guarded;

/// Rows that are turned into JSON in one go: few, since a row may have a book in it.
const CHUNK_ROWS: usize = 16;

/// A table, batch by batch.
pub(super) trait Batches: Send {
    /// All columns of the table.
    fn schema(&self) -> SchemaRef;

    /// The next rows; none at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>, String>;

    /// Goes as near to a row that lies ahead as is possible at once, and tells at which row the next batch, which would begin
    /// at `next`, begins now.
    fn skip_towards(&mut self, _row: u64, next: u64) -> Result<u64, String> {
        Ok(next)
    }

    /// The rows that begin in some bytes of the file.
    fn rows_in(&mut self, _part: &Range<u64>) -> Result<Range<u64>, String> {
        Err(NO_PARTS.to_owned())
    }

    /// Where the bytes come from.
    fn source(&mut self) -> &mut Source;

    /// Whether the bytes come in order, so that reading them is what it takes to know that all are there.
    fn is_stream(&self) -> bool;

    /// Rows of the whole table, where that is known before they are read.
    fn rows(&self) -> Option<u64> {
        None
    }
}

/// The rows of a table as documents.
pub(super) struct TableDocuments<B> {
    name: &'static str,
    batches: B,
    limit: u64,
    /// The rest of the batch that was read last.
    batch: Option<RecordBatch>,
    /// Its next rows.
    lines: VecDeque<Vec<u8>>,
    /// The next row, from 0.
    row: u64,
    consumed: u64,
    /// Where rows must tell their types, the columns that may be texts though they are bytes.
    texts: Option<Vec<usize>>,
}

impl<B: Batches> TableDocuments<B> {
    pub fn new(name: &'static str, batches: B, asked: &Asked) -> Self {
        let documents =
            || needed(&batches.schema(), &Asked { every_field: false, ..asked.clone() }).unwrap_or_default();
        let texts = asked.is_typed.then(documents);
        Self { name, batches, limit: asked.limit, batch: None, lines: VecDeque::new(), row: 0, consumed: 0, texts }
    }

    /// Reads on until there are lines; false at the end.
    fn fill(&mut self) -> Result<bool, String> {
        while self.lines.is_empty() {
            let batch = match self.batch.take() {
                Some(batch) => batch,
                None => match self.next_batch()? {
                    Some(batch) => batch,
                    None => return Ok(false),
                },
            };
            let rows = batch.num_rows().min(CHUNK_ROWS);
            let lines = self.guarded(|table| json_lines(&batch.slice(0, rows), table.texts.as_deref()))?;
            self.lines.extend(lines);
            self.batch = Some(batch.slice(rows, batch.num_rows() - rows)).filter(|rest| rest.num_rows() > 0);
        }
        Ok(true)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, String> {
        self.guarded(|table| table.batches.next())
    }

    /// A call of the libraries that read tables; damage, which may make them panic, becomes the reason.
    fn guarded<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        catch(|| call(self)).map_err(|reason| failure(self.name, self.batches.source(), reason))
    }

    fn consumed(&mut self) -> u64 {
        let rows = self.batches.rows();
        let source = self.batches.source();
        match (source.size(), rows) {
            (Some(size), Some(rows)) if rows > 0 => (size as f64 * self.row as f64 / rows as f64) as u64,
            (Some(size), Some(_)) => size,
            _ => source.position(),
        }
    }
}

impl<B: Batches> Documents for TableDocuments<B> {
    fn kind(&self) -> Option<Kind> {
        let texts = self.texts.as_ref()?;
        let schema = self.batches.schema();
        let columns = schema.fields().iter().enumerate();
        let columns = columns.map(|(index, column)| match text_type(column.data_type()) {
            Some(_) if texts.contains(&index) => column.as_ref().clone().with_data_type(DataType::Null).into(),
            _ => column.clone(),
        });
        Some(Kind::of_columns(&columns.collect()))
    }

    fn next(&mut self) -> Result<Option<RawDocument>, String> {
        if !self.fill()? {
            self.consumed = self.consumed();
            let is_stream = self.batches.is_stream();
            let source = self.batches.source();
            if is_stream {
                source.check_end()?
            } else {
                source.check_stamp()?
            }
            return Ok(None);
        }
        let Some(line) = self.lines.pop_front() else { return Ok(None) };
        let offset = self.row;
        self.row += 1;
        self.consumed = self.consumed();
        let bytes = if line.len() as u64 > self.limit { Err(Unread::OverLimit) } else { Ok(line) };
        Ok(Some(RawDocument { line: self.row, offset, bytes }))
    }

    fn skip_to(&mut self, offset: u64, _line: u64) -> Result<(), String> {
        let held = self.batch.as_ref().map_or(0, RecordBatch::num_rows) + self.lines.len();
        let next = self.row + held as u64;
        if offset >= next {
            self.lines.clear();
            self.batch = None;
            self.row = self.guarded(|table| table.batches.skip_towards(offset, next))?;
        }
        while self.row < offset {
            if !self.lines.is_empty() {
                self.lines.pop_front();
                self.row += 1;
                continue;
            }
            let batch = match self.batch.take() {
                Some(batch) => batch,
                None => self.next_batch()?.ok_or("was changed: it ends before what was read of it earlier")?,
            };
            let rows = batch.num_rows().min((offset - self.row) as usize);
            self.row += rows as u64;
            self.batch = Some(batch.slice(rows, batch.num_rows() - rows)).filter(|rest| rest.num_rows() > 0);
        }
        Ok(())
    }

    fn enter(&mut self, part: &Range<u64>) -> Result<u64, String> {
        let rows = self.guarded(|table| table.batches.rows_in(part))?;
        if rows.start > 0 {
            self.skip_to(rows.start, 0)?;
        }
        Ok(rows.end)
    }

    fn offset(&self) -> u64 {
        self.row
    }

    fn line(&self) -> Option<u64> {
        None
    }

    fn consumed_bytes(&self) -> u64 {
        self.consumed
    }

    fn content(&mut self) -> Result<Content, String> {
        self.batches.source().content()
    }

    fn unchanged_stamp(&mut self) -> Result<Option<Stamp>, String> {
        self.batches.source().unchanged_stamp()
    }
}

/// A call of the libraries that read tables. Where damage makes them panic, nothing is read from the table any more.
pub(super) fn catch<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    guarded(call).unwrap_or_else(|_| Err("it is not as it should be".to_owned()))
}

/// What opens a table, or the reason why it cannot be opened.
pub(super) fn opened<T>(name: &str, source: &Source, open: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch(open).map_err(|reason| failure(name, source, reason))
}

fn failure(name: &str, source: &Source, reason: String) -> String {
    if source.has_failed() { format!("cannot be read: {reason}") } else { damaged(name, reason) }
}

pub(super) fn damaged(name: &str, reason: impl Display) -> String {
    format!("cannot be read as {name}: {reason}; it may be damaged or cut short: fetch it or write it again")
}

/// Each row as a JSON object in one line.
fn json_lines(batch: &RecordBatch, texts: Option<&[usize]>) -> Result<Vec<Vec<u8>>, String> {
    let batch = with_texts(batch, texts)?;
    let rows = StructArray::from(batch);
    JsonRows::new(&rows).map(Iterator::collect).map_err(|error| error.to_string())
}

/// A batch with its columns of bytes as strings where they hold nothing but UTF-8, which many programs write without saying so:
/// all of them, or no more than some.
fn with_texts(batch: &RecordBatch, texts: Option<&[usize]>) -> Result<RecordBatch, String> {
    let schema = batch.schema();
    let mut columns = batch.columns().to_vec();
    let mut fields = schema.fields().to_vec();
    for (index, (column, field)) in columns.iter_mut().zip(&mut fields).enumerate() {
        let Some(text) = text_type(field.data_type()) else { continue };
        if texts.is_some_and(|texts| !texts.contains(&index)) {
            continue;
        }
        let Ok(strings) = cast(column, &text) else { continue };
        if strings.null_count() == column.null_count() {
            *column = strings;
            *field = field.as_ref().clone().with_data_type(text).into();
        }
    }
    RecordBatch::try_new(Schema::new(fields).into(), columns).map_err(|error| error.to_string())
}

/// What a column of bytes is where these are texts.
fn text_type(bytes: &DataType) -> Option<DataType> {
    match bytes {
        DataType::Binary => Some(DataType::Utf8),
        DataType::LargeBinary => Some(DataType::LargeUtf8),
        DataType::BinaryView => Some(DataType::Utf8View),
        _ => None,
    }
}
