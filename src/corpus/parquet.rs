//! Parquet: row group by row group, and no more columns than are needed.

use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::columns::needed;
use super::format::{Asked, Format, Opened};
use super::source::{OnDisk, Source};
use super::table::{Batches, TableDocuments, opened};

pub(super) const FORMAT: Format = Format {
    name: NAME,
    suffixes: &[".parquet", ".parq", ".pq"],
    is_one_text: false,
    has_parts: true,
    begins: |head, _| {
        head.starts_with(MAGIC) && head.get(4).is_none_or(|byte| !byte.is_ascii_graphic() && *byte != b' ')
    },
    open,
};

const NAME: &str = "Parquet";
const MAGIC: &[u8] = b"PAR1";

/// Bytes of the columns that are decoded in one go.
const BATCH_BYTES: u64 = 4 << 20;

/// Rows that are decoded in one go, at most.
const BATCH_ROWS: u64 = 1024;

fn open(source: Source, asked: &Asked) -> Opened {
    let file = source.on_disk(NAME)?;
    let metadata = opened(NAME, &source, || {
        ArrowReaderMetadata::load(&Chunks(file.clone()), Default::default()).map_err(|error| error.to_string())
    })?;
    let columns = needed(metadata.schema(), asked)?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns);
    let groups = RowGroups { source, file: Chunks(file), metadata, mask, group: 0, begun: 0, rows: None };
    Ok(Box::new(TableDocuments::new(NAME, groups, asked)))
}

struct RowGroups {
    source: Source,
    file: Chunks,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// The row group that is opened next.
    group: usize,
    /// Rows that are left out at its beginning.
    begun: u64,
    /// Those of the row group that is open.
    rows: Option<ParquetRecordBatchReader>,
}

impl RowGroups {
    fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    fn open(&mut self) -> ParquetResult<ParquetRecordBatchReader> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone());
        let batch = self.batch_rows();
        let builder = builder.with_row_groups(vec![self.group]).with_projection(self.mask.clone());
        let rows = builder.with_batch_size(batch).with_offset(self.begun as usize).build()?;
        (self.group, self.begun) = (self.group + 1, 0);
        Ok(rows)
    }

    /// So many that they stay small in memory, going by the row group's own averages.
    fn batch_rows(&self) -> usize {
        let group = self.metadata().row_group(self.group);
        let chunks = group.columns().iter().enumerate().filter(|(leaf, _)| self.mask.leaf_included(*leaf));
        let bytes: u64 = chunks.map(|(_, chunk)| chunk.uncompressed_size().max(0) as u64).sum();
        let rows = group.num_rows().max(1) as u64;
        (BATCH_BYTES / (bytes / rows).max(1)).clamp(1, BATCH_ROWS) as usize
    }

    fn read(&mut self) -> ParquetResult<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rows.as_mut().and_then(Iterator::next) {
                return Ok(Some(batch?));
            }
            if self.group == self.metadata().num_row_groups() {
                return Ok(None);
            }
            self.rows = Some(self.open()?);
        }
    }
}

impl Batches for RowGroups {
    fn schema(&self) -> SchemaRef {
        self.metadata.schema().clone()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        self.read().map_err(|error| error.to_string())
    }

    fn skip_towards(&mut self, row: u64, _next: u64) -> Result<u64, String> {
        let mut first = 0;
        let groups = self.metadata().row_groups().iter();
        let found = groups.enumerate().find_map(|(group, metadata)| {
            let rows = metadata.num_rows().max(0) as u64;
            let is_here = row < first + rows;
            first += rows;
            is_here.then_some((group, first - rows))
        });
        let (group, first) = found.ok_or("it has fewer rows than were read of it earlier")?;
        (self.group, self.begun, self.rows) = (group, row - first, None);
        Ok(row)
    }

    /// Those of the row groups that begin in the part.
    fn rows_in(&mut self, part: &Range<u64>) -> Result<Range<u64>, String> {
        let (mut row, mut rows) = (0, None);
        for group in self.metadata().row_groups() {
            let begin = row;
            row += group.num_rows().max(0) as u64;
            let byte = group.columns().iter().map(|column| column.byte_range().0).min().unwrap_or_default();
            if part.contains(&byte) {
                rows = Some(rows.map_or(begin..row, |rows: Range<u64>| rows.start..row));
            }
        }
        Ok(rows.unwrap_or_default())
    }

    fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn rows(&self) -> Option<u64> {
        Some(self.metadata().file_metadata().num_rows().max(0) as u64)
    }
}

/// A file of which any part can be read.
#[derive(Clone)]
struct Chunks(OnDisk);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(Tail { file: self.0.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!("it has {} bytes, and should have more", self.len())));
        }
        let mut bytes = vec![0; length];
        Tail { file: self.0.clone(), position: start }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// The bytes from a place on.
struct Tail {
    file: OnDisk,
    position: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}
