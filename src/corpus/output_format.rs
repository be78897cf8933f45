//! What outputs may be: a new format is a file of its own and a line in each of these tables.

use std::io;
use std::path::Path;

use super::compression::{Compression, strip_suffix};
use super::row_writer::{RowWriter, ShardBytes};
use super::{json_lines_writer, parquet_writer};
use crate::choice::Choice;

/// The format of an output, named by what such files' names end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFormat(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    JsonLines(Compression),
    Parquet,
}

impl Choice for OutputFormat {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("jsonl", Self(Kind::JsonLines(Compression::None))),
        ("jsonl.gz", Self(Kind::JsonLines(Compression::Gzip))),
        ("jsonl.zst", Self(Kind::JsonLines(Compression::Zstandard))),
        ("jsonl.bz2", Self(Kind::JsonLines(Compression::Bzip2))),
        ("jsonl.xz", Self(Kind::JsonLines(Compression::Xz))),
        ("jsonl.lz4", Self(Kind::JsonLines(Compression::Lz4))),
        ("parquet", Self(Kind::Parquet)),
    ];
}

impl OutputFormat {
    /// What a file's name says: JSON lines, unless it ends in `.parquet`.
    pub fn of_name(path: &Path) -> Self {
        let name = path.to_string_lossy();
        match strip_suffix(&name, ".parquet") {
            Some(_) => Self(Kind::Parquet),
            None => Self(Kind::JsonLines(Compression::of(&name))),
        }
    }

    /// How its files are compressed that can be written as a stream; none where there are no such.
    pub(super) fn stream(self) -> Option<Compression> {
        match self.0 {
            Kind::JsonLines(compression) => Some(compression),
            Kind::Parquet => None,
        }
    }

    /// Whether its columns have types.
    pub fn has_types(self) -> bool {
        self.0 == Kind::Parquet
    }

    /// Writes files beside a path, each of about so many bytes.
    pub(super) fn writer(self, path: &Path, shard_bytes: ShardBytes) -> io::Result<Box<dyn RowWriter>> {
        Ok(match self.0 {
            Kind::JsonLines(compression) => {
                Box::new(json_lines_writer::JsonLinesWriter::new(path, compression, shard_bytes)?)
            }
            Kind::Parquet => Box::new(parquet_writer::ParquetWriter::new(path, shard_bytes)?),
        })
    }
}
