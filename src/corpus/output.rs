//! Rows to files that appear whole or not at all, or to standard output.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::compression::{Compression, Encoder};
use super::field_types::FieldTypes;
use super::json::json_line;
use super::name::STANDARD_STREAM;
use super::output_format::OutputFormat;
use super::row_writer::RowWriter;
use super::shards::{remove_older, shard_paths};
use super::whole::Unfinished;
use super::writable::{check_writable, write_error};
use crate::error::{Error, ErrorKind, Result};

const OTHERWISE: &str = "choose another output with -o";
const BUFFER_BYTES: usize = 1 << 17;

/// Writes rows as JSON lines or Parquet, by the name of the path unless a [`Layout`] says otherwise. Files appear, or replace
/// older ones, only when [`finish`](Self::finish) succeeds; dropped before that, it leaves nothing behind.
///
/// [`ControlFlow::Break`] tells that whoever read standard output has gone (`longattn … | head`): a reason to end quietly.
pub struct Output {
    name: String,
    sink: Sink,
}

/// How an output is laid out on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Unset: what the path's name says, JSON lines for standard output.
    pub format: Option<OutputFormat>,
    /// Where it is set, rows go to several files of about so many bytes, counted as JSON before compression. Of `a.jsonl.gz`
    /// they are called `a-00000-of-00002.jsonl.gz` and so on.
    pub shard_bytes: Option<u64>,
}

impl Layout {
    /// The format of an output.
    pub fn format_of(&self, path: &Path) -> OutputFormat {
        self.format.unwrap_or_else(|| OutputFormat::of_name(path))
    }
}

enum Sink {
    /// Regular files, written beside their final paths.
    Files { path: PathBuf, is_sharded: bool, rows: Box<dyn RowWriter> },
    /// Standard output, or a pipe or device such as `/dev/null`, which must not be replaced by a file.
    Stream(Box<BufWriter<Encoder<Box<dyn Write + Send>>>>),
}

impl Output {
    /// Prepares a file, or standard output for `-`.
    ///
    /// # Errors
    /// Those of [`Output::laid_out`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::laid_out(path, Layout::default())
    }

    /// Prepares one or more files, or standard output for `-`.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io) where the path is a folder, or its folder is missing or may not be written to; of kind
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for shards or Parquet on a stream.
    pub fn laid_out(path: impl AsRef<Path>, layout: Layout) -> Result<Self> {
        let path = path.as_ref();
        let is_standard_output = path == Path::new(STANDARD_STREAM);
        let name = if is_standard_output { "standard output".to_owned() } else { path.display().to_string() };
        let format = layout.format_of(path);
        check_writable(path)?;
        let is_stream = is_standard_output || fs::metadata(path).is_ok_and(|older| !older.is_file());
        let failure = |cause| write_error(&name, cause, OTHERWISE);
        if !is_stream {
            let rows = format.writer(path, layout.shard_bytes).map_err(failure)?;
            let sink = Sink::Files { path: path.to_owned(), is_sharded: layout.shard_bytes.is_some(), rows };
            return Ok(Self { name, sink });
        }
        let Some(compression) = format.stream().filter(|_| layout.shard_bytes.is_none()) else {
            let message = format!("{name} is a stream, and Parquet and shards need files: {OTHERWISE}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        let stream: Box<dyn Write + Send> = match is_standard_output {
            true => Box::new(io::stdout()),
            false => Box::new(OpenOptions::new().write(true).open(path).map_err(failure)?),
        };
        Self::stream(&name, stream, compression)
    }

    /// Gives columns the types that are known of them, before the first row is written, where the format has types. If a row
    /// has a value of another type after all, then the values decide on all types.
    #[must_use]
    pub fn with_field_types(mut self, types: FieldTypes) -> Self {
        if let Sink::Files { rows, .. } = &mut self.sink {
            rows.expect(types);
        }
        self
    }

    fn stream(name: &str, stream: Box<dyn Write + Send>, compression: Compression) -> Result<Self> {
        let encoder = Encoder::new(compression, stream).map_err(|cause| write_error(name, cause, OTHERWISE))?;
        Ok(Self {
            name: name.to_owned(),
            sink: Sink::Stream(Box::new(BufWriter::with_capacity(BUFFER_BYTES, encoder))),
        })
    }

    /// Writes one row, which must be an object.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io), with the path and what to do; of kind
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) where the row has no form in JSON.
    pub fn write<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<ControlFlow<()>> {
        let line = json_line(row).map_err(|error| error.at(&self.name))?;
        self.write_line(&line)
    }

    /// Writes one row, an object that is JSON already, in one line.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io), with the path and what to do.
    pub fn write_json(&mut self, mut row: String) -> Result<ControlFlow<()>> {
        row.push('\n');
        self.write_line(row.as_bytes())
    }

    fn write_line(&mut self, line: &[u8]) -> Result<ControlFlow<()>> {
        let written = match &mut self.sink {
            Sink::Files { rows, .. } => rows.write(line),
            Sink::Stream(stream) => stream.write_all(line),
        };
        outcome(&self.name, written)
    }

    /// Hands what is buffered of a stream to the operating system.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io).
    pub fn flush(&mut self) -> Result<ControlFlow<()>> {
        let flushed = match &mut self.sink {
            Sink::Files { .. } => Ok(()),
            Sink::Stream(stream) => stream.flush(),
        };
        outcome(&self.name, flushed)
    }

    /// Writes what is left and puts the files in their places.
    ///
    /// # Errors
    /// Of kind [`Io`](ErrorKind::Io); nothing is left behind then, and an older file is as it was.
    pub fn finish(self) -> Result<ControlFlow<()>> {
        let Self { name, sink } = self;
        let finished = match sink {
            Sink::Stream(stream) => {
                stream.into_inner().map_err(IntoInnerError::into_error).and_then(|encoder| encoder.finish().map(drop))
            }
            Sink::Files { path, is_sharded, rows } => rows.finish().and_then(|files| place(&path, is_sharded, files)),
        };
        outcome(&name, finished)
    }
}

/// Gives files their names, and removes those that they take the place of.
fn place(path: &Path, is_sharded: bool, files: Vec<Unfinished>) -> io::Result<()> {
    if !is_sharded {
        files.into_iter().try_for_each(|file| file.finish().map(drop))?;
        return remove_older(path, &[path.to_owned()]);
    }
    let paths = shard_paths(path, files.len());
    files.into_iter().zip(&paths).try_for_each(|(file, path)| file.finish_as(path).map(drop))?;
    remove_older(path, &paths)
}

fn outcome(name: &str, written: io::Result<()>) -> Result<ControlFlow<()>> {
    match written {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(cause) => Err(write_error(name, cause, OTHERWISE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What standard output is once its reader has gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let mut output = Output::stream("standard output", Box::new(Gone), Compression::None).unwrap();
        assert_eq!(output.write("kept in the buffer"), Ok(ControlFlow::Continue(())));
        assert_eq!(output.flush(), Ok(ControlFlow::Break(())));
        assert_eq!(output.write(&"long".repeat(BUFFER_BYTES)), Ok(ControlFlow::Break(())));
        assert_eq!(output.finish(), Ok(ControlFlow::Break(())));
    }
}
