//! Arrow IPC: files, and streams such as the caches of `datasets` are.

use std::io::{self, BufReader, Read};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, FileReaderBuilder, StreamReader};

use super::columns::needed;
use super::format::{Asked, Format, Opened};
use super::source::{OnDisk, Source};
use super::table::{Batches, TableDocuments, catch, damaged, opened};

pub(super) const FILE: Format = Format {
    name: "an Arrow file",
    suffixes: &[".feather", ".ipc"],
    is_one_text: false,
    has_parts: false,
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
        FileReaderBuilder::new().build(BufReader::new(file)).map_err(|error| error.to_string())
    })?;
    let columns = needed(&batches.schema(), asked)?;
    Ok(Box::new(TableDocuments::new(FILE.name, File { source, batches, columns }, asked)))
}

struct File {
    source: Source,
    batches: FileReader<BufReader<OnDisk>>,
    columns: Vec<usize>,
}

impl Batches for File {
    fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        let batch = self.batches.next().map(|batch| batch?.project(&self.columns));
        batch.transpose().map_err(|error| error.to_string())
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
