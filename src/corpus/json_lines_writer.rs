//! JSON lines, plain or compressed.

use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use super::compression::{Compression, Encoder};
use super::row_writer::{RowWriter, ShardBytes};
use super::whole::Unfinished;

pub(super) const BUFFER_BYTES: usize = 1 << 17;

pub(super) struct JsonLinesWriter {
    path: PathBuf,
    compression: Compression,
    shard_bytes: ShardBytes,
    whole: Vec<Unfinished>,
    shard: BufWriter<Encoder<Unfinished>>,
    /// Bytes of rows in it.
    held: u64,
}

impl JsonLinesWriter {
    pub fn new(path: &Path, compression: Compression, shard_bytes: ShardBytes) -> io::Result<Self> {
        let shard = open(path, compression)?;
        Ok(Self { path: path.to_owned(), compression, shard_bytes, whole: Vec::new(), shard, held: 0 })
    }

    /// Begins another file.
    fn advance(&mut self) -> io::Result<()> {
        let next = open(&self.path, self.compression)?;
        let whole = std::mem::replace(&mut self.shard, next);
        self.whole.push(close(whole)?);
        self.held = 0;
        Ok(())
    }
}

impl RowWriter for JsonLinesWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.held > 0 && self.shard_bytes.is_some_and(|most| self.held + line.len() as u64 > most) {
            self.advance()?;
        }
        self.held += line.len() as u64;
        self.shard.write_all(line)
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<Unfinished>> {
        let Self { mut whole, shard, .. } = *self;
        whole.push(close(shard)?);
        Ok(whole)
    }
}

fn open(path: &Path, compression: Compression) -> io::Result<BufWriter<Encoder<Unfinished>>> {
    let encoder = Encoder::new(compression, Unfinished::beside(path)?)?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, encoder))
}

fn close(shard: BufWriter<Encoder<Unfinished>>) -> io::Result<Unfinished> {
    shard.into_inner().map_err(IntoInnerError::into_error)?.finish()
}
