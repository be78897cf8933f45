//! The documents of one file, as bytes.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::name::shown;
use super::shard::first_line;
use super::source::{Content, Source, read_failure};
use super::{Place, Reject};
use crate::cancel::Cancel;
use crate::digest::Hasher;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a line may have beyond its document: `\r\n`.
const LINE_END_BYTES: u64 = 2;

/// A document as it was read, not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDocument {
    /// The line that it is, from 1; 0 where it is a whole file.
    pub line: u64,
    /// Where its first byte is in the decompressed file.
    pub offset: u64,
    /// None where it is over the limit.
    pub(super) bytes: Option<Vec<u8>>,
}

impl RawDocument {
    /// Bytes that are held of it: all, without the line's end and a byte order mark; none where it is over the limit.
    pub fn len(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }

    /// Whether no bytes are held of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The documents of one file in order: its lines that are not blank, or the whole file as one text. Memory stays near that of
/// one document, and of none where one is over the limit.
///
/// An `Err` is the last item, and says that the file is damaged, cannot be read on, or was changed while it was read: then
/// nothing that came from it may be trusted, what came before included, since damage may show long after it began.
pub struct RawDocuments {
    file: Arc<str>,
    source: Source,
    is_json_lines: bool,
    limit: u64,
    /// The last line that was begun.
    line: u64,
    /// Of the next byte, in the decompressed file.
    offset: u64,
    /// Where no more than a part of the file is read.
    part: Option<Part>,
    state: State,
}

/// A part of a file: the documents that begin in some of its bytes.
struct Part {
    path: PathBuf,
    bytes: Range<u64>,
    /// Of the documents that were read.
    hasher: Hasher,
    /// Whether its first document was found, or one behind it.
    is_reached: bool,
    cancel: Cancel,
}

enum State {
    Reading,
    Over,
    Failed(Reject),
}

impl RawDocuments {
    /// Opens a file, of which only the documents are read that begin in `part`, where it is given.
    pub(super) fn open(
        path: &Path,
        is_json_lines: bool,
        part: Option<Range<u64>>,
        limit: u64,
        cancel: Cancel,
    ) -> Result<Self, Reject> {
        let file: Arc<str> = shown(path).into();
        let place = Place { file: file.clone(), line: None };
        let source = Source::open(path, cancel.clone()).map_err(|cause| reject(place, read_failure(&cause)))?;
        let part = part.map(|bytes| Part {
            path: path.to_owned(),
            bytes,
            hasher: Hasher::default(),
            is_reached: false,
            cancel,
        });
        Ok(Self { file, source, is_json_lines, limit, line: 0, offset: 0, part, state: State::Reading })
    }

    /// Goes on at a document met before, which may only lie ahead: at once in a plain file, else by decompressing what is
    /// before it.
    ///
    /// # Errors
    /// As for an item that is an `Err`.
    pub fn skip_to(&mut self, offset: u64, line: u64) -> Result<(), Reject> {
        if let State::Failed(reject) = &self.state {
            return Err(reject.clone());
        }
        if offset < self.offset {
            return Err(self.fail(format!("cannot go back to byte {offset}: {} were read", self.offset)));
        }
        if offset == self.offset {
            return Ok(());
        }
        if let Err(cause) = self.source.skip(self.offset, offset) {
            let reason = match cause.kind() {
                io::ErrorKind::UnexpectedEof => "was changed: it ends before what was read of it earlier".to_owned(),
                _ => self.source.failure(&cause),
            };
            return Err(self.fail(reason));
        }
        self.offset = offset;
        self.line = line.saturating_sub(1);
        if let Some(part) = &mut self.part {
            part.is_reached = true;
        }
        Ok(())
    }

    /// Bytes taken from the file so far, before decompression; those that were skipped count, but for those before a part.
    pub fn consumed_bytes(&self) -> u64 {
        let before = self.part.as_ref().map_or(0, |part| part.bytes.start);
        self.source.position().saturating_sub(before)
    }

    /// Reads what is left, and gives what the whole file held, or its part.
    ///
    /// # Errors
    /// As for an item that is an `Err`, also where there was one before.
    pub fn finish(mut self) -> Result<Content, Reject> {
        self.by_ref().try_for_each(|document| document.map(drop))?;
        if let State::Failed(reject) = &self.state {
            return Err(reject.clone());
        }
        let content = match &mut self.part {
            None => self.source.content(),
            Some(Part { bytes, hasher, .. }) => self.source.unchanged_stamp().map(|stamp| Content {
                bytes: bytes.end - bytes.start,
                digest: std::mem::take(hasher).finish(),
                stamp,
            }),
        };
        content.map_err(|reason| self.fail(reason))
    }

    /// Goes to the first document of the part.
    fn reach_part(&mut self) -> Result<(), Reject> {
        let Some(part) = self.part.as_ref().filter(|part| !part.is_reached) else { return Ok(()) };
        match first_line(&part.path, part.bytes.start, &part.cancel) {
            Ok((0, _)) => Ok(()),
            Ok((offset, line)) => self.skip_to(offset, line),
            Err(cause) => Err(self.fail(read_failure(&cause))),
        }
    }

    /// Whether the next document is none of the part.
    fn is_behind_part(&self) -> bool {
        self.part.as_ref().is_some_and(|part| self.offset >= part.bytes.end)
    }

    fn read(&mut self) -> Result<Option<RawDocument>, String> {
        let read = if self.is_json_lines { self.read_line() } else { self.read_text() };
        let document = read.map_err(|cause| self.source.failure(&cause))?;
        match (&document, &mut self.part) {
            (None, Some(_)) => self.source.unchanged_stamp().map(drop)?,
            (None, None) => self.source.check_end()?,
            (Some(document), Some(part)) => part.hasher.update(document.bytes.as_deref().unwrap_or_default()),
            (Some(_), None) => {}
        }
        Ok(document)
    }

    /// The next line that is not blank.
    fn read_line(&mut self) -> io::Result<Option<RawDocument>> {
        loop {
            if self.is_behind_part() {
                return Ok(None);
            }
            let offset = self.offset;
            self.line += 1;
            let Some(bytes) = self.take_line()? else { return Ok(None) };
            let bytes = bytes.map(|bytes| trimmed(bytes, offset)).filter(|bytes| bytes.len() as u64 <= self.limit);
            if bytes.as_ref().is_none_or(|bytes| !bytes.trim_ascii().is_empty()) {
                return Ok(Some(RawDocument { line: self.line, offset, bytes }));
            }
        }
    }

    /// A line with its end; `Some(None)` where it is too long, `None` at the end of the file.
    fn take_line(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let most = self.limit.saturating_add(LINE_END_BYTES).saturating_add(1);
        let mut bytes = Vec::new();
        let held = self.source.bytes.by_ref().take(most).read_until(b'\n', &mut bytes)? as u64;
        self.offset += held;
        if held == 0 {
            return Ok(None);
        }
        if held < most || bytes.ends_with(b"\n") {
            return Ok(Some(Some(bytes)));
        }
        drop(bytes);
        self.offset += self.source.bytes.skip_until(b'\n')? as u64;
        Ok(Some(None))
    }

    fn read_text(&mut self) -> io::Result<Option<RawDocument>> {
        if self.line > 0 {
            return Ok(None);
        }
        let most = self.limit.saturating_add(1);
        let mut bytes = Vec::new();
        let held = self.source.bytes.by_ref().take(most).read_to_end(&mut bytes)? as u64;
        let bytes = if held == most { None } else { Some(trimmed_mark(bytes)) };
        self.offset = held + io::copy(&mut self.source.bytes, &mut io::sink())?;
        self.line = 1;
        Ok(Some(RawDocument { line: 0, offset: 0, bytes }))
    }

    fn fail(&mut self, reason: String) -> Reject {
        let place =
            Place { file: self.file.clone(), line: self.is_json_lines.then_some(self.line).filter(|line| *line > 0) };
        let reject = reject(place, reason);
        self.state = State::Failed(reject.clone());
        reject
    }
}

impl Iterator for RawDocuments {
    type Item = Result<RawDocument, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if !matches!(self.state, State::Reading) {
            return None;
        }
        if let Err(reject) = self.reach_part() {
            return Some(Err(reject));
        }
        match self.read() {
            Ok(Some(document)) => Some(Ok(document)),
            Ok(None) => {
                self.state = State::Over;
                None
            }
            Err(reason) => Some(Err(self.fail(reason))),
        }
    }
}

/// Of a whole file.
pub(super) fn reject(place: Place, reason: String) -> Reject {
    Reject { place, id: None, reason, record: String::new() }
}

fn trimmed(mut line: Vec<u8>, offset: u64) -> Vec<u8> {
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    if offset == 0 { trimmed_mark(line) } else { line }
}

fn trimmed_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    bytes
}
