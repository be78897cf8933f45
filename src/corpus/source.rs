//! One file or standard input: decompressed on the fly, its bytes counted and hashed as they are on disk.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Stdin};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::compression::Compression;
use super::name::is_standard_input;
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher, Stamp};

/// 2^31 bytes, the largest window that `zstd --long=31` uses; a decoder takes only as much as a file asks for.
const LARGEST_ZSTD_WINDOW: u32 = 31;

const BUFFER_BYTES: usize = 1 << 17;

/// The bytes of one file or of standard input.
pub(super) struct Source {
    path: PathBuf,
    pub bytes: BufReader<Decoder>,
    /// When it was opened; none for what is no regular file.
    opened: Option<Stamp>,
}

/// All bytes of a file, as they are on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content {
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
    /// The stamp that the file had before and after these bytes were read; none for standard input and pipes.
    pub stamp: Option<Stamp>,
}

impl Source {
    pub fn open(path: &Path, cancel: Cancel) -> io::Result<Self> {
        let (input, opened) = Input::open(path)?;
        let raw = Raw { input, hasher: Some(Hasher::default()), position: 0, failed: false, cancel };
        let bytes = BufReader::with_capacity(BUFFER_BYTES, Decoder::new(path, raw)?);
        Ok(Self { path: path.to_owned(), bytes, opened })
    }

    /// Bytes taken from the file so far, before decompression.
    pub fn position(&self) -> u64 {
        self.bytes.get_ref().raw().position
    }

    /// Goes to a byte of the decompressed file, by reading where it cannot be reached at once. `position` is where it is now.
    pub fn skip(&mut self, position: u64, target: u64) -> io::Result<()> {
        if let (Decoder::None(raw), Some(opened)) = (self.bytes.get_mut(), self.opened) {
            if target > opened.size() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            raw.seek(target)?;
            let stale = self.bytes.buffer().len();
            io::BufRead::consume(&mut self.bytes, stale);
            return Ok(());
        }
        let distance = target - position;
        match io::copy(&mut self.bytes.by_ref().take(distance), &mut io::sink())? == distance {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// After the last byte: whether it was the last of a whole file that nobody changed meanwhile.
    pub fn check_end(&mut self) -> Result<(), String> {
        let compressed = !matches!(self.bytes.get_ref(), Decoder::None(_));
        let raw = self.bytes.get_mut().raw_mut();
        io::copy(raw, &mut io::sink()).map_err(|cause| read_failure(&cause))?;
        if compressed && raw.position == 0 {
            return Err(EMPTY.to_owned());
        }
        let position = raw.position;
        match self.unchanged_stamp()? {
            Some(opened) if position != opened.size() => Err(CHANGED.to_owned()),
            _ => Ok(()),
        }
    }

    /// The stamp that the file has had since it was opened; none for what is no regular file.
    pub fn unchanged_stamp(&self) -> Result<Option<Stamp>, String> {
        let Some(opened) = self.opened else { return Ok(None) };
        let later = Stamp::of(&self.path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => "was removed while it was read: nothing of it counts".to_owned(),
            _ => read_failure(&cause),
        })?;
        if opened.is_rewritten(&later) { Err(CHANGED.to_owned()) } else { Ok(Some(opened)) }
    }

    /// The content, once the end was reached. Where something was skipped, the file is read once more for its digest.
    pub fn content(&mut self) -> Result<Content, String> {
        if self.bytes.get_ref().raw().hasher.is_none() {
            let raw = self.bytes.get_mut().raw_mut();
            raw.restart().map_err(|cause| read_failure(&cause))?;
            self.check_end()?;
        }
        let raw = self.bytes.get_ref().raw();
        let digest = raw.hasher.clone().unwrap_or_default().finish();
        Ok(Content { bytes: raw.position, digest, stamp: self.opened })
    }

    /// Why reading failed, and what to do about it.
    pub fn failure(&self, cause: &io::Error) -> String {
        let decoder = self.bytes.get_ref();
        if decoder.raw().failed || matches!(decoder, Decoder::None(_)) {
            return read_failure(cause);
        }
        if decoder.raw().position == 0 {
            return EMPTY.to_owned();
        }
        format!("cannot be decompressed: {cause}; the file may be damaged or cut short: fetch it or compress it again")
    }
}

const CHANGED: &str = "was changed while it was read: nothing of it counts; read it again when it is whole";

const EMPTY: &str =
    "the file is empty, which no compressed file is: it may be cut short; fetch it or compress it again";

/// Why a file could not be opened or read on, told apart from damage.
pub(super) fn read_failure(cause: &io::Error) -> String {
    match is_shortage(cause) {
        true => format!(
            "cannot be read: {cause}; nothing is wrong with the file: raise the limit (ulimit -n), and read it again"
        ),
        false => format!("cannot be read: {cause}"),
    }
}

/// Whether the process or the system has run out of file descriptors, which is no fault of the file.
pub(super) fn is_shortage(cause: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    cfg!(unix) && matches!(cause.raw_os_error(), Some(ENFILE | EMFILE))
}

enum Input {
    File(File),
    Stream(Stdin),
}

impl Input {
    /// An input, and its stamp where it is a regular file.
    fn open(path: &Path) -> io::Result<(Self, Option<Stamp>)> {
        if is_standard_input(path) {
            return Ok((Self::Stream(io::stdin()), None));
        }
        let file = File::open(path)?;
        let stamp = match file.metadata()?.is_file() {
            true => Some(Stamp::of_open_file(&file)?),
            false => None,
        };
        Ok((Self::File(file), stamp))
    }
}

/// The bytes as they are on disk.
pub(super) struct Raw {
    input: Input,
    /// None once bytes were skipped.
    hasher: Option<Hasher>,
    position: u64,
    /// Whether the system could not read on, which is not the fault of what was read.
    failed: bool,
    cancel: Cancel,
}

impl Raw {
    fn seek(&mut self, position: u64) -> io::Result<()> {
        if let Input::File(file) = &mut self.input {
            file.seek(SeekFrom::Start(position))?;
            self.position = position;
            self.hasher = None;
        }
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.seek(0)?;
        self.hasher = Some(Hasher::default());
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("the work was cancelled"));
        }
        match &mut self.input {
            Input::File(file) => file.read(buffer),
            Input::Stream(stream) => stream.read(buffer),
        }
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_some(buffer);
        self.failed = read.as_ref().is_err_and(|cause| cause.kind() != io::ErrorKind::Interrupted);
        let count = read?;
        self.position += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// The bytes decompressed.
pub(super) enum Decoder {
    None(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstandard(zstd::Decoder<'static, BufReader<Raw>>),
}

impl Decoder {
    fn new(path: &Path, raw: Raw) -> io::Result<Self> {
        let name = path.to_string_lossy();
        let compression = if is_standard_input(path) { Compression::None } else { Compression::of(&name) };
        if compression == Compression::None {
            return Ok(Self::None(raw));
        }
        let bytes = BufReader::with_capacity(BUFFER_BYTES, raw);
        if compression == Compression::Gzip {
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bytes))));
        }
        let mut decoder = zstd::Decoder::with_buffer(bytes)?;
        decoder.window_log_max(LARGEST_ZSTD_WINDOW)?;
        Ok(Self::Zstandard(decoder))
    }

    fn raw(&self) -> &Raw {
        match self {
            Self::None(raw) => raw,
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Zstandard(decoder) => decoder.get_ref().get_ref(),
        }
    }

    fn raw_mut(&mut self) -> &mut Raw {
        match self {
            Self::None(raw) => raw,
            Self::Gzip(decoder) => decoder.get_mut().get_mut(),
            Self::Zstandard(decoder) => decoder.get_mut().get_mut(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(raw) => raw.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstandard(decoder) => decoder.read(buffer),
        }
    }
}
