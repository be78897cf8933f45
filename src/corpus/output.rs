//! JSON lines to a file that appears whole or not at all, or to standard output.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::STANDARD_STREAM;
use super::lines::json_line;
use super::writable::{check_writable, folder, sync_folder, without_path, write_error};
use crate::error::Result;

const OTHERWISE: &str = "choose another output with -o";
const BUFFER_BYTES: usize = 1 << 17;

/// Writes JSON lines. A file appears, or replaces an older one, only when [`finish`](Self::finish) succeeds; dropped before
/// that, it leaves nothing behind.
///
/// [`ControlFlow::Break`] tells that whoever read standard output has gone (`longattn … | head`): a reason to end quietly.
pub struct Output {
    name: String,
    sink: Sink,
}

enum Sink {
    /// A regular file, written beside its final path.
    File { unfinished: BufWriter<NamedTempFile>, path: PathBuf },
    /// Standard output, or a pipe or device such as `/dev/null`, which must not be replaced by a file.
    Stream(BufWriter<Box<dyn Write + Send>>),
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
        Self { name: name.to_owned(), sink: Sink::Stream(BufWriter::with_capacity(BUFFER_BYTES, stream)) }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io), with the path and what to do; of kind
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where the entry has no form in JSON.
    pub fn write<T: Serialize + ?Sized>(&mut self, entry: &T) -> Result<ControlFlow<()>> {
        let line = json_line(entry).map_err(|error| error.at(&self.name))?;
        let written = self.sink.writer().write_all(&line);
        self.outcome(written)
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io).
    pub fn flush(&mut self) -> Result<ControlFlow<()>> {
        let flushed = self.sink.writer().flush();
        self.outcome(flushed)
    }

    /// Writes what is left and puts the file in its place.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io); nothing is left behind then, and an older file is as it was.
    pub fn finish(mut self) -> Result<ControlFlow<()>> {
        let flushed = self.sink.writer().flush();
        if self.outcome(flushed)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let Sink::File { unfinished, path } = self.sink else { return Ok(ControlFlow::Continue(())) };
        persist(unfinished, &path).map_err(|cause| write_error(&self.name, cause, OTHERWISE))?;
        Ok(ControlFlow::Continue(()))
    }

    fn outcome(&self, written: io::Result<()>) -> Result<ControlFlow<()>> {
        match written {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(cause) => Err(write_error(&self.name, cause, OTHERWISE)),
        }
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        let Ok(older) = fs::metadata(path) else {
            return Self::beside(path.to_owned(), new_file_permissions());
        };
        if older.is_file() {
            // A link stays a link: the file that it points to is replaced.
            return Self::beside(path.canonicalize()?, Some(older.permissions()));
        }
        let stream: Box<dyn Write + Send> = Box::new(OpenOptions::new().write(true).open(path)?);
        Ok(Self::Stream(BufWriter::with_capacity(BUFFER_BYTES, stream)))
    }

    fn beside(path: PathBuf, permissions: Option<Permissions>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        if let Some(permissions) = permissions {
            builder.permissions(permissions);
        }
        let unfinished =
            builder.prefix(".longattn-").suffix(".unfinished").tempfile_in(folder(&path)).map_err(without_path)?;
        Ok(Self::File { unfinished: BufWriter::with_capacity(BUFFER_BYTES, unfinished), path })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::File { unfinished, .. } => unfinished,
            Self::Stream(stream) => stream,
        }
    }
}

fn persist(unfinished: BufWriter<NamedTempFile>, path: &Path) -> io::Result<()> {
    let file: NamedTempFile = unfinished.into_inner()?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(path);
    Ok(())
}

/// What the system gives any new file, where temporary files would be closed to others.
#[cfg(unix)]
fn new_file_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn new_file_permissions() -> Option<Permissions> {
    None
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
