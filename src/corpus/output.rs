//! JSON lines to a file that appears whole or not at all, or to standard output.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::STANDARD_STREAM;
use super::compression::{Compression, Encoder};
use super::json::json_line;
use super::whole::Unfinished;
use super::writable::{check_writable, write_error};
use crate::error::Result;

const OTHERWISE: &str = "choose another output with -o";
const BUFFER_BYTES: usize = 1 << 17;

/// Writes JSON lines, compressed where the path ends in `.gz` or `.zst`. A file appears, or replaces an older one, only when
/// [`finish`](Self::finish) succeeds; dropped before that, it leaves nothing behind.
///
/// [`ControlFlow::Break`] tells that whoever read standard output has gone (`longattn … | head`): a reason to end quietly.
pub struct Output {
    name: String,
    sink: Sink,
}

enum Sink {
    /// A regular file, written beside its final path.
    File(BufWriter<Encoder<Unfinished>>),
    /// Standard output, or a pipe or device such as `/dev/null`, which must not be replaced by a file.
    Stream(BufWriter<Encoder<Box<dyn Write + Send>>>),
}

impl Output {
    /// Prepares a file, or standard output for `-`.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the path is a folder, or its folder is missing or may not be written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path == Path::new(STANDARD_STREAM) {
            return Ok(Self::stream("standard output", Box::new(io::stdout())));
        }
        check_writable(path)?;
        let name = path.display().to_string();
        let sink = Sink::open(path).map_err(|cause| write_error(&name, cause, OTHERWISE))?;
        Ok(Self { name, sink })
    }

    fn stream(name: &str, stream: Box<dyn Write + Send>) -> Self {
        Self {
            name: name.to_owned(),
            sink: Sink::Stream(BufWriter::with_capacity(BUFFER_BYTES, Encoder::None(stream))),
        }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io), with the path and what to do; of kind
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where the entry has no form in JSON.
    pub fn write<T: Serialize + ?Sized>(&mut self, entry: &T) -> Result<ControlFlow<()>> {
        let line = json_line(entry).map_err(|error| error.at(&self.name))?;
        let written = self.sink.writer().write_all(&line);
        outcome(&self.name, written)
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io).
    pub fn flush(&mut self) -> Result<ControlFlow<()>> {
        let flushed = self.sink.writer().flush();
        outcome(&self.name, flushed)
    }

    /// Writes what is left and puts the file in its place.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io); nothing is left behind then, and an older file is as it was.
    pub fn finish(self) -> Result<ControlFlow<()>> {
        let Self { name, sink } = self;
        outcome(&name, sink.finish())
    }
}

fn outcome(name: &str, written: io::Result<()>) -> Result<ControlFlow<()>> {
    match written {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(cause) => Err(write_error(name, cause, OTHERWISE)),
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        let compression = Compression::of(&path.to_string_lossy());
        if fs::metadata(path).is_ok_and(|older| !older.is_file()) {
            let stream: Box<dyn Write + Send> = Box::new(OpenOptions::new().write(true).open(path)?);
            let encoder = Encoder::new(compression, stream)?;
            return Ok(Self::Stream(BufWriter::with_capacity(BUFFER_BYTES, encoder)));
        }
        let encoder = Encoder::new(compression, Unfinished::beside(path)?)?;
        Ok(Self::File(BufWriter::with_capacity(BUFFER_BYTES, encoder)))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::File(file) => file,
            Self::Stream(stream) => stream,
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.into_inner().map_err(IntoInnerError::into_error)?.finish()?.finish().map(drop),
            Self::Stream(stream) => stream.into_inner().map_err(IntoInnerError::into_error)?.finish().map(drop),
        }
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
        let mut output = Output::stream("standard output", Box::new(Gone));
        assert_eq!(output.write("kept in the buffer"), Ok(ControlFlow::Continue(())));
        assert_eq!(output.flush(), Ok(ControlFlow::Break(())));
        assert_eq!(output.write(&"long".repeat(BUFFER_BYTES)), Ok(ControlFlow::Break(())));
        assert_eq!(output.finish(), Ok(ControlFlow::Break(())));
    }
}
