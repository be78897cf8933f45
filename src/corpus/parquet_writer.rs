//! Parquet whose columns have the types of what is in them, the same in all files of an output.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::timezone::Tz;
use arrow_cast::cast;
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::field_types::FieldTypes;
use super::kind::Kind;
use super::object::RawObject;
use super::row_writer::{RowWriter, ShardBytes};
use super::whole::Unfinished;
use super::writable::{folder, without_path};

/// Large enough to be read in one go, small enough for several to be in memory.
const ROW_GROUP_BYTES: usize = 128 << 20;
const ROW_GROUP_ROWS: usize = 1 << 20;

/// Bytes of rows that are turned into columns in one go.
const BATCH_BYTES: usize = 4 << 20;

/// Keeps rows in a temporary file until all of them are there, since only then the types of the columns are known.
pub(super) struct ParquetWriter {
    path: PathBuf,
    shard_bytes: ShardBytes,
    kept: zstd::Encoder<'static, File>,
    /// What rows are by their values.
    columns: Kind,
    /// What was said of them before.
    expected: Kind,
}

impl ParquetWriter {
    pub fn new(path: &Path, shard_bytes: ShardBytes) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder(path)).map_err(without_path)?;
        let kept = zstd::Encoder::new(file, 1)?;
        Ok(Self { path: path.to_owned(), shard_bytes, kept, columns: Kind::Object(Vec::new()), expected: Kind::Null })
    }
}

impl RowWriter for ParquetWriter {
    fn expect(&mut self, types: FieldTypes) {
        self.expected = types.into_kind();
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let row = std::str::from_utf8(line).map_err(io::Error::other)?;
        let kind = Kind::of_object(&RawObject::parse(row).map_err(io::Error::other)?);
        self.columns = std::mem::take(&mut self.columns).merge(kind);
        self.kept.write_all(line)
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<Unfinished>> {
        let Self { path, shard_bytes, kept, columns, expected } = *self;
        let mut kept = kept.finish()?;
        let typed = columns.clone().merge(expected);
        match write_rows(&mut kept, &path, shard_bytes, typed) {
            // There is a value that its column's type has no place for.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                write_rows(&mut kept, &path, shard_bytes, columns)
            }
            written => written,
        }
    }
}

fn write_rows(kept: &mut File, path: &Path, shard_bytes: ShardBytes, columns: Kind) -> io::Result<Vec<Unfinished>> {
    kept.rewind()?;
    let mut shards = Shards::new(path.to_owned(), columns)?;
    let mut held = 0;
    let mut rows = BufReader::new(zstd::Decoder::new(kept)?);
    let mut row = String::new();
    while rows.read_line(&mut row)? > 0 {
        let bytes = row.len() as u64;
        if held > 0 && shard_bytes.is_some_and(|most| held + bytes > most) {
            shards.advance()?;
            held = 0;
        }
        held += bytes;
        shards.write(row.trim_end())?;
        row.clear();
    }
    shards.finish()
}

/// The files of one output.
struct Shards {
    path: PathBuf,
    columns: Kind,
    schema: SchemaRef,
    decoder: Decoder,
    /// Rows that wait to be turned into columns.
    json: Vec<u8>,
    shard: ArrowWriter<Unfinished>,
    whole: Vec<Unfinished>,
}

impl Shards {
    fn new(path: PathBuf, columns: Kind) -> io::Result<Self> {
        let schema = match columns.data_type() {
            DataType::Struct(fields) => Schema::new(fields),
            _ if columns == Kind::Mixed => return Err(io::Error::other("its rows have more fields than a table can")),
            // Readers want one column at least, and all rows have this one.
            _ => Schema::new(vec![Field::new("id", DataType::Utf8, true)]),
        };
        let decoded = Arc::new(Schema::new(schema.fields().iter().map(in_utc).collect::<Vec<_>>()));
        let decoder = ReaderBuilder::new(decoded).build_decoder().map_err(io::Error::other)?;
        let schema = Arc::new(schema);
        let shard = open(&path, &schema)?;
        Ok(Self { path, columns, schema, decoder, json: Vec::new(), shard, whole: Vec::new() })
    }

    fn write(&mut self, row: &str) -> io::Result<()> {
        self.columns.write(row, &mut self.json).map_err(io::Error::other)?;
        self.json.push(b'\n');
        if self.json.len() < BATCH_BYTES { Ok(()) } else { self.write_columns() }
    }

    fn write_columns(&mut self) -> io::Result<()> {
        let mut rest = &self.json[..];
        while !rest.is_empty() {
            let decoded = self.decoder.decode(rest).map_err(no_value)?;
            rest = &rest[decoded..];
            if let Some(batch) = self.decoder.flush().map_err(no_value)? {
                let columns = batch.columns().iter().zip(self.schema.fields());
                let columns = columns.map(|(column, field)| cast(column, field.data_type()));
                let columns = columns.collect::<Result<_, _>>().map_err(io::Error::other)?;
                let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
                self.shard.write(&batch).map_err(failure)?;
            }
        }
        self.json.clear();
        Ok(())
    }

    /// Begins another file.
    fn advance(&mut self) -> io::Result<()> {
        self.write_columns()?;
        let next = open(&self.path, &self.schema)?;
        let shard = std::mem::replace(&mut self.shard, next);
        self.whole.push(shard.into_inner().map_err(failure)?);
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<Unfinished>> {
        self.write_columns()?;
        self.whole.push(self.shard.into_inner().map_err(failure)?);
        Ok(self.whole)
    }
}

fn no_value(error: ArrowError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A column as it is read from JSON, which has the times of zones that go by names in UTC.
fn in_utc(column: &FieldRef) -> FieldRef {
    let data_type = match column.data_type() {
        DataType::Timestamp(unit, Some(zone)) if zone.parse::<Tz>().is_err() => {
            DataType::Timestamp(*unit, Some("+00:00".into()))
        }
        DataType::List(items) => DataType::List(in_utc(items)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(in_utc).collect()),
        DataType::Map(entry, is_sorted) => DataType::Map(in_utc(entry), *is_sorted),
        _ => return column.clone(),
    };
    column.as_ref().clone().with_data_type(data_type).into()
}

fn open(path: &Path, schema: &SchemaRef) -> io::Result<ArrowWriter<Unfinished>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .build();
    ArrowWriter::try_new(Unfinished::beside(path)?, Arc::clone(schema), Some(properties)).map_err(failure)
}

/// The cause that the system gave, where it was that which failed.
fn failure(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}
