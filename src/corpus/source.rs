//! One file, here or on another machine, or standard input: decompressed on the fly, its bytes counted and hashed as they are
//! stored.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Stdin};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::compression::{Compression, MAGIC_BYTES};
use super::name::{is_remote, is_standard_input, shown};
use super::remote::{self, RemoteFile};
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher, Stamp};

const BUFFER_BYTES: usize = 1 << 17;
const LARGE_BUFFER_BYTES: usize = 1 << 20;

/// Why a file cannot be read in parts after all.
pub(super) const NO_PARTS: &str =
    "is not what its name says, and cannot be read in shards: give it the name of what it is";

/// The most of what a file holds that is looked at to know its format.
const HEAD_BYTES: usize = 1 << 16;

/// The least of it: more than the mark of any format.
const MARK_BYTES: usize = 16;

/// The bytes of one file or of standard input.
pub(super) struct Source {
    path: PathBuf,
    compression: Compression,
    on_disk: OnDisk,
    bytes: BufReader<Peeked>,
    has_leftover: Arc<AtomicBool>,
}

/// All bytes of a file, as they are on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content {
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256; of an object on a server that was not read from end to end, that of what the server calls this version.
    pub digest: Digest,
    /// The stamp that the file had before and after these bytes were read; none for standard input and pipes.
    pub stamp: Option<Stamp>,
}

impl Source {
    /// Opens a file. Its first bytes tell how it is compressed, whatever its name says.
    ///
    /// # Errors
    /// Why it cannot be read, or is not what its name says.
    pub fn open(path: &Path, cancel: Cancel) -> Result<Self, String> {
        let (on_disk, head) = OnDisk::open(path, cancel).map_err(|cause| read_failure(&cause))?;
        let named = named(path);
        let compression = Compression::of_bytes(&head);
        if compression == Compression::None && named != Compression::None {
            check_unpacked(&head, named)?;
        }
        let has_leftover = Arc::default();
        let bytes = BufReader::with_capacity(BUFFER_BYTES, on_disk.clone());
        let decoder = compression.decoder(bytes, &has_leftover).map_err(|cause| read_failure(&cause))?;
        let peeked = Peeked::new(decoder);
        let inner = Compression::of_bytes(peeked.head.get_ref());
        if compression != Compression::None && inner != Compression::None {
            return Err(format!("is {} within {}: decompress it once", inner.name(), compression.name()));
        }
        let bytes = BufReader::with_capacity(BUFFER_BYTES, peeked);
        Ok(Self { path: path.to_owned(), compression, on_disk, bytes, has_leftover })
    }

    /// The first bytes of what the file holds, decompressed: a line at least, or 64 KiB, or everything. They can still be
    /// read.
    pub fn head(&self) -> &[u8] {
        self.bytes.get_ref().head.get_ref()
    }

    /// Whether the head is everything.
    pub fn is_all_head(&self) -> bool {
        let Peeked { head, is_all, .. } = self.bytes.get_ref();
        *is_all && head.get_ref().len() < HEAD_BYTES
    }

    /// Whether what the file holds could not be read as far as the head goes.
    pub fn is_cut(&self) -> bool {
        self.bytes.get_ref().failure.is_some()
    }

    /// The file itself, for formats that are read from several places; the reason where there is none that can be.
    pub fn on_disk(&self, format: &str) -> Result<OnDisk, String> {
        if self.compression != Compression::None {
            return Err(format!("{format} in a compressed file cannot be read: decompress it first"));
        }
        match self.on_disk.opened {
            Some(_) => Ok(self.on_disk.clone()),
            None => Err(format!("{format} cannot be read from a pipe: name the file itself")),
        }
    }

    /// Bytes taken from the file so far, before decompression.
    pub fn position(&self) -> u64 {
        self.on_disk.lock().position
    }

    /// The file's size; none for what is no regular file.
    pub fn size(&self) -> Option<u64> {
        self.on_disk.opened.map(|stamp| stamp.size())
    }

    /// Goes to a byte of the decompressed file, by reading where it cannot be reached at once. `position` is where it is now.
    pub fn skip(&mut self, position: u64, target: u64) -> Result<(), String> {
        self.try_skip(position, target).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => "was changed: it ends before what was read of it earlier".to_owned(),
            _ => self.failure(&cause),
        })
    }

    fn try_skip(&mut self, position: u64, target: u64) -> io::Result<()> {
        let is_ahead = target - position <= self.bytes.buffer().len() as u64;
        if is_ahead {
            self.bytes.consume((target - position) as usize);
            return Ok(());
        }
        if let (Compression::None, Some(opened)) = (self.compression, self.on_disk.opened) {
            if target > opened.size() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let sought = self.on_disk.lock().seek(SeekFrom::Start(target));
            if !sought.as_ref().is_err_and(|cause| cause.kind() == io::ErrorKind::NotSeekable) {
                sought?;
                let on_disk = BufReader::with_capacity(BUFFER_BYTES, self.on_disk.clone());
                self.bytes = BufReader::with_capacity(BUFFER_BYTES, Peeked::unseen(Box::new(on_disk)));
                return Ok(());
            }
        }
        let distance = target - position;
        match io::copy(&mut self.bytes.by_ref().take(distance), &mut io::sink())? == distance {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Whether there is something behind the end of the compressed data that was left out; told once.
    pub fn take_leftover(&self) -> bool {
        self.has_leftover.swap(false, Ordering::Relaxed)
    }

    /// After the last byte: whether it was the last of a whole file that nobody changed meanwhile.
    pub fn check_end(&mut self) -> Result<(), String> {
        io::copy(&mut self.on_disk, &mut io::sink()).map_err(|cause| read_failure(&cause))?;
        if self.is_empty_compressed() {
            return Err(EMPTY.to_owned());
        }
        let position = self.position();
        match self.size() {
            Some(size) if position != size => Err(CHANGED.to_owned()),
            _ => self.check_stamp(),
        }
    }

    /// Whether nobody has changed the file since it was opened.
    pub fn check_stamp(&self) -> Result<(), String> {
        self.unchanged_stamp().map(drop)
    }

    /// The bytes of the file from its beginning, once more and apart from these.
    ///
    /// # Errors
    /// Why they are not those of what it holds, or cannot be read.
    pub fn reopened(&self) -> Result<impl BufRead, String> {
        if self.compression != Compression::None {
            return Err(NO_PARTS.to_owned());
        }
        let cancel = self.on_disk.lock().cancel.clone();
        let (on_disk, _) = OnDisk::open(&self.path, cancel).map_err(|cause| read_failure(&cause))?;
        on_disk.lock().hasher = None;
        Ok(BufReader::with_capacity(LARGE_BUFFER_BYTES, on_disk))
    }

    /// The stamp that the file has had since it was opened; none for what is no regular file.
    pub fn unchanged_stamp(&self) -> Result<Option<Stamp>, String> {
        let Some(opened) = self.on_disk.opened else { return Ok(None) };
        let later = self.stamp().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => "was removed while it was read: nothing of it counts".to_owned(),
            _ => read_failure(&cause),
        })?;
        if opened.is_rewritten(&later) { Err(CHANGED.to_owned()) } else { Ok(Some(opened)) }
    }

    /// The content, once the end was reached. Where something was skipped, the file is read once more for its digest, unless a
    /// server answers for it.
    pub fn content(&mut self) -> Result<Content, String> {
        let was_skipped = self.on_disk.lock().hasher.is_none();
        if let Some((stamp, digest)) = self.on_disk.opened.and_then(|stamp| Some((stamp, stamp.tag()?)))
            && was_skipped
        {
            return Ok(Content { bytes: stamp.size(), digest, stamp: Some(stamp) });
        }
        if was_skipped {
            self.on_disk.lock().restart().map_err(|cause| read_failure(&cause))?;
            self.check_end()?;
        }
        let raw = self.on_disk.lock();
        let digest = raw.hasher.clone().unwrap_or_default().finish();
        Ok(Content { bytes: raw.position, digest, stamp: self.on_disk.opened })
    }

    /// Why reading failed, and what to do about it.
    pub fn failure(&self, cause: &io::Error) -> String {
        if self.has_failed() || self.compression == Compression::None {
            return read_failure(cause);
        }
        format!("cannot be decompressed: {cause}; the file may be damaged or cut short: fetch it or compress it again")
    }

    /// Whether the system could not read on, which is not the fault of what was read.
    pub fn has_failed(&self) -> bool {
        self.on_disk.lock().failed
    }

    /// The stamp that the file has now.
    fn stamp(&self) -> io::Result<Stamp> {
        match is_remote(&self.path) {
            true => remote::stamp(&self.path, &self.on_disk.lock().cancel),
            false => Stamp::of(&self.path),
        }
    }

    fn is_empty_compressed(&self) -> bool {
        named(&self.path) != Compression::None && self.position() == 0
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

/// How a file is compressed by its name.
fn named(path: &Path) -> Compression {
    if is_standard_input(path) { Compression::None } else { Compression::of(&shown(path)) }
}

const CHANGED: &str = "was changed while it was read: nothing of it counts; read it again when it is whole";

const EMPTY: &str =
    "the file is empty, which no compressed file is: it may be cut short; fetch it or compress it again";

/// What is called compressed and is not may have been decompressed on its way here; else it is damaged.
fn check_unpacked(head: &[u8], named: Compression) -> Result<(), String> {
    let is_text = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    if head.is_empty() {
        return Err(EMPTY.to_owned());
    }
    if head.iter().all(is_text) && is_utf8_so_far(head) && !named.is_cut(head) {
        return Ok(());
    }
    Err("is neither compressed as its name says nor text: it may be damaged or cut short; fetch it again".to_owned())
}

/// Whether the beginning of a file may be that of UTF-8.
fn is_utf8_so_far(head: &[u8]) -> bool {
    std::str::from_utf8(head).err().is_none_or(|error| error.error_len().is_none())
}

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

/// Decompressed bytes, of which the first were looked at.
struct Peeked {
    head: Cursor<Vec<u8>>,
    /// Whether nothing is behind the head.
    is_all: bool,
    /// What befell looking further.
    failure: Option<io::Error>,
    rest: Box<dyn Read + Send>,
}

impl Peeked {
    fn unseen(rest: Box<dyn Read + Send>) -> Self {
        Self { head: Cursor::default(), is_all: false, failure: None, rest }
    }

    /// Looks at no more than it takes to know a format, since a pipe gives line by line.
    fn new(rest: Box<dyn Read + Send>) -> Self {
        let mut peeked = Self::unseen(rest);
        let mut head = Vec::new();
        while head.len() < HEAD_BYTES && !is_enough(&head) {
            let before = head.len();
            head.resize((2 * before).clamp(4096, HEAD_BYTES), 0);
            let read = peeked.rest.read(&mut head[before..]);
            head.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    peeked.is_all = true;
                    break;
                }
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    peeked.failure = Some(cause);
                    break;
                }
            }
        }
        peeked.head = Cursor::new(head);
        peeked
    }
}

fn is_enough(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    text.len() >= MARK_BYTES && text.contains(&b'\n')
}

impl Read for Peeked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.head.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        match self.failure.take() {
            Some(cause) => Err(cause),
            None => self.rest.read(buffer),
        }
    }
}

enum Input {
    File(File),
    Remote(Box<RemoteFile>),
    Stream(Stdin),
}

impl Input {
    /// An input, and its stamp where it is a regular file.
    fn open(path: &Path, cancel: &Cancel) -> io::Result<(Self, Option<Stamp>)> {
        if is_standard_input(path) {
            return Ok((Self::Stream(io::stdin()), None));
        }
        if is_remote(path) {
            let file = RemoteFile::open(path, cancel.clone())?;
            let stamp = file.stamp();
            return Ok((Self::Remote(Box::new(file)), Some(stamp)));
        }
        let file = File::open(path)?;
        let stamp = match file.metadata()?.is_file() {
            true => Some(Stamp::of_open_file(&file)?),
            false => None,
        };
        Ok((Self::File(file), stamp))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Remote(file) => file.read(buffer),
            Self::Stream(stream) => stream.read(buffer),
        }
    }

    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(target),
            Self::Remote(file) => file.seek(target),
            Self::Stream(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }
}

/// A file as it is on disk. Clones share its place.
#[derive(Clone)]
pub(super) struct OnDisk {
    raw: Arc<Mutex<Raw>>,
    /// When it was opened; none for what is no regular file.
    opened: Option<Stamp>,
}

impl OnDisk {
    /// Opens a file, and gives its first bytes, which can still be read.
    fn open(path: &Path, cancel: Cancel) -> io::Result<(Self, Vec<u8>)> {
        let (mut input, opened) = Input::open(path, &cancel)?;
        let mut head = Vec::new();
        while head.len() < MAGIC_BYTES {
            let mut buffer = [0; 4096];
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => head.extend_from_slice(&buffer[..count]),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        let ahead = Cursor::new(head.clone());
        let raw = Raw { input, ahead, hasher: Some(Hasher::default()), position: 0, failed: false, cancel };
        Ok((Self { raw: Arc::new(Mutex::new(raw)), opened }, head))
    }

    /// Its size when it was opened.
    pub fn size(&self) -> u64 {
        self.opened.map_or(0, |stamp| stamp.size())
    }

    /// Reads some of the bytes from a place on.
    pub fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut raw = self.lock();
        raw.seek(SeekFrom::Start(position))?;
        raw.read(buffer)
    }

    fn lock(&self) -> MutexGuard<'_, Raw> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for OnDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }
}

impl Seek for OnDisk {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.lock().seek(target)
    }
}

struct Raw {
    input: Input,
    /// What was read to know the compression.
    ahead: Cursor<Vec<u8>>,
    /// None once bytes were skipped.
    hasher: Option<Hasher>,
    position: u64,
    /// Whether the system could not read on, which is not the fault of what was read.
    failed: bool,
    cancel: Cancel,
}

impl Raw {
    fn restart(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0))?;
        self.hasher = Some(Hasher::default());
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("the work was cancelled"));
        }
        match self.ahead.read(buffer)? {
            0 => self.input.read(buffer),
            count => Ok(count),
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

impl Seek for Raw {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.position = match target {
            // The file itself is further than what was read of it where something was read ahead.
            SeekFrom::Current(distance) => {
                let position = self.position.checked_add_signed(distance).ok_or(io::ErrorKind::InvalidInput)?;
                self.input.seek(SeekFrom::Start(position))?
            }
            target => self.input.seek(target)?,
        };
        self.ahead = Cursor::default();
        self.hasher = None;
        Ok(self.position)
    }
}
