//! Arrow IPC: files, and streams such as the caches of `datasets` are.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, FileReaderBuilder, StreamReader, read_footer_length};
use arrow_ipc::{Block, root_as_footer, root_as_message};
use arrow_schema::SchemaRef;

use super::columns::needed;
use super::format::{Asked, Format, Opened};
use super::source::{OnDisk, Source};
use super::table::{Batches, TableDocuments, catch, damaged, opened};

pub(super) const FILE: Format = Format {
    name: "an Arrow file",
    suffixes: &[".feather", ".ipc"],
    is_one_text: false,
    has_parts: true,
    begins: |head, _| head.starts_with(b"ARROW1\0\0"),
    open: open_file,
};

pub(super) const STREAM: Format = Format {
    name: "an Arrow stream",
    suffixes: &[".arrow", ".arrows"],
    is_one_text: false,
    has_parts: false,
    begins: |head, _| is_stream(head),
    open: open_stream,
};

/// What a message begins with, and its length of 0 behind the last.
const MESSAGE: [u8; 4] = [0xFF; 4];
const END: [u8; 4] = [0; 4];

/// More than the first message, a schema, takes.
const MOST_SCHEMA_BYTES: u32 = 1 << 28;

/// Whether a schema begins, that is a message of some length.
fn is_stream(head: &[u8]) -> bool {
    let Some([a, b, c, d, ..]) = head.strip_prefix(&MESSAGE[..]) else { return false };
    (1..MOST_SCHEMA_BYTES).contains(&u32::from_le_bytes([*a, *b, *c, *d]))
}

fn open_file(source: Source, asked: &Asked) -> Opened {
    let file = source.on_disk(FILE.name)?;
    let batches = opened(FILE.name, &source, || {
        FileReaderBuilder::new().build(BufReader::new(file.clone())).map_err(|error| error.to_string())
    })?;
    let columns = needed(&batches.schema(), asked)?;
    Ok(Box::new(TableDocuments::new(FILE.name, File { source, file, batches, columns }, asked)))
}

struct File {
    source: Source,
    file: OnDisk,
    batches: FileReader<BufReader<OnDisk>>,
    columns: Vec<usize>,
}

impl File {
    /// Where each batch begins in the file, and how many rows it has, which its head tells.
    fn extents(&mut self) -> io::Result<Vec<(u64, u64)>> {
        let damaged = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let mut end = [0; 10];
        self.file.seek(SeekFrom::End(-(end.len() as i64)))?;
        self.file.read_exact(&mut end)?;
        let mut footer = vec![0; read_footer_length(end).map_err(|error| damaged(error.to_string()))?];
        self.file.seek(SeekFrom::End(-((end.len() + footer.len()) as i64)))?;
        self.file.read_exact(&mut footer)?;
        let footer = root_as_footer(&footer).map_err(|error| damaged(error.to_string()))?;
        let extent = |block: &Block| {
            let mut head = vec![0; usize::try_from(block.metaDataLength()).unwrap_or_default()];
            self.file.seek(SeekFrom::Start(block.offset() as u64))?;
            self.file.read_exact(&mut head)?;
            // Files of old have no mark before the length.
            let marks = if head.starts_with(&MESSAGE) { 8 } else { 4 };
            let message = root_as_message(head.get(marks..).unwrap_or_default());
            let message = message.map_err(|error| damaged(error.to_string()))?;
            let batch = message.header_as_record_batch().ok_or_else(|| damaged("a batch is none".to_owned()))?;
            Ok((block.offset() as u64, batch.length().max(0) as u64))
        };
        footer.recordBatches().iter().flat_map(|blocks| blocks.iter()).map(extent).collect()
    }
}

impl Batches for File {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        let batch = self.batches.next().map(|batch| batch?.project(&self.columns));
        batch.transpose().map_err(|error| error.to_string())
    }

    fn skip_towards(&mut self, row: u64, _next: u64) -> Result<u64, String> {
        let extents = self.extents().map_err(|cause| cause.to_string())?;
        let mut first = 0;
        for (batch, (_, rows)) in extents.into_iter().enumerate() {
            if row < first + rows {
                self.batches.set_index(batch).map_err(|error| error.to_string())?;
                return Ok(first);
            }
            first += rows;
        }
        Err("it has fewer rows than were read of it earlier".to_owned())
    }

    /// Those of the batches that begin in the part.
    fn rows_in(&mut self, part: &Range<u64>) -> Result<Range<u64>, String> {
        let extents = self.extents().map_err(|cause| cause.to_string())?;
        let rows_before = |byte: u64| extents.iter().filter(|(begin, _)| *begin < byte).map(|(_, rows)| rows).sum();
        let rows: Range<u64> = rows_before(part.start)..rows_before(part.end);
        Ok(if rows.is_empty() { 0..0 } else { rows })
    }

    fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    fn is_stream(&self) -> bool {
        false
    }
}

fn open_stream(source: Source, asked: &Asked) -> Opened {
    let bytes = Ending { bytes: source, last: [0; 8] };
    let opened = catch(|| StreamReader::try_new(bytes, None).map_err(|error| error.to_string()));
    let batches = opened.map_err(|reason| damaged(STREAM.name, reason))?;
    let columns = needed(&batches.schema(), asked)?;
    Ok(Box::new(TableDocuments::new(STREAM.name, Stream { batches, columns }, asked)))
}

struct Stream {
    batches: StreamReader<Ending<Source>>,
    columns: Vec<usize>,
}

impl Batches for Stream {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        let batch = self.batches.next().map(|batch| batch?.project(&self.columns));
        let batch = batch.transpose().map_err(|error| error.to_string())?;
        match batch.is_none() && self.batches.get_ref().last != [MESSAGE, END].concat()[..] {
            true => Err("its end is missing".to_owned()),
            false => Ok(batch),
        }
    }

    fn source(&mut self) -> &mut Source {
        &mut self.batches.get_mut().bytes
    }

    fn is_stream(&self) -> bool {
        true
    }
}

/// Bytes of which the last that were read are known.
struct Ending<R> {
    bytes: R,
    last: [u8; 8],
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        let kept = count.min(self.last.len());
        self.last.rotate_left(kept);
        let start = self.last.len() - kept;
        self.last[start..].copy_from_slice(&buffer[count - kept..count]);
        Ok(count)
    }
}
