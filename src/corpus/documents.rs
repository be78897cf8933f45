//! The documents of one file, as bytes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::format::{Asked, Documents, Format, RawDocument};
use super::formats::by_content;
use super::kind::Kind;
use super::name::shown;
use super::place::{Place, Reject};
use super::source::{Content, Source};
use crate::cancel::Cancel;
use crate::digest::Hasher;

/// The documents of one file in order: its lines that are not blank, its rows, or the whole file as one text. Memory stays near
/// that of one document, and of none where one is over the limit; of tables, near that of a batch of their rows.
///
/// An `Err` is the last item, and says that the file is damaged, cannot be read on, or was changed while it was read: then
/// nothing that came from it may be trusted, what came before included, since damage may show long after it began.
pub struct RawDocuments {
    file: Arc<str>,
    documents: Box<dyn Documents>,
    /// Where no more than a part of the file is read.
    part: Option<Part>,
    state: State,
}

/// A part of a file: the documents that begin in some of its bytes.
struct Part {
    bytes: Range<u64>,
    /// Of the first document behind it, once the part was entered.
    end: Option<u64>,
    /// Of the documents that were read.
    hasher: Hasher,
}

enum State {
    Reading,
    Over,
    Failed(Reject),
}

impl RawDocuments {
    /// Opens a file, whose format is `by_name` unless its first bytes tell of another.
    pub(super) fn open(path: &Path, by_name: &'static Format, asked: &Asked, cancel: Cancel) -> Result<Self, Reject> {
        let file: Arc<str> = shown(path).into();
        let open = || {
            let source = Source::open(path, cancel)?;
            let format = by_content(source.head(), source.is_all_head(), by_name);
            (format.open)(source, asked)
        };
        match open() {
            Ok(documents) => Ok(Self { file, documents, part: None, state: State::Reading }),
            Err(reason) => Err(reject(Place { file, line: None }, reason)),
        }
    }

    /// What all rows are, where that was asked for and the format tells.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.documents.kind()
    }

    /// Reads no more than the documents that begin in some bytes of the file.
    pub(super) fn within(self, bytes: Range<u64>) -> Self {
        Self { part: Some(Part { bytes, end: None, hasher: Hasher::default() }), ..self }
    }

    /// Goes on at a document met before, which may only lie ahead: at once in a plain file, else by decompressing or reading
    /// what is before it.
    ///
    /// # Errors
    /// As for an item that is an `Err`.
    pub fn skip_to(&mut self, offset: u64, line: u64) -> Result<(), Reject> {
        if let State::Failed(reject) = &self.state {
            return Err(reject.clone());
        }
        if let Some(Part { end: end @ None, .. }) = &mut self.part {
            // Whoever knows of a document knows where to stop.
            *end = Some(u64::MAX);
        }
        let reached = self.documents.offset();
        if offset < reached {
            return Err(self.fail(format!("cannot go back to {offset}: it was read up to {reached}")));
        }
        if offset == reached {
            return Ok(());
        }
        self.documents.skip_to(offset, line).map_err(|reason| self.fail(reason))
    }

    /// Bytes taken from the file so far, before decompression; those that were skipped count, but for those before a part.
    pub fn consumed_bytes(&self) -> u64 {
        let before = self.part.as_ref().map_or(0, |part| part.bytes.start);
        self.documents.consumed_bytes().saturating_sub(before)
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
            None => self.documents.content(),
            Some(Part { bytes, hasher, .. }) => self.documents.unchanged_stamp().map(|stamp| Content {
                bytes: bytes.end - bytes.start,
                digest: std::mem::take(hasher).finish(),
                stamp,
            }),
        };
        content.map_err(|reason| self.fail(reason))
    }

    fn read(&mut self) -> Result<Option<RawDocument>, String> {
        let Some(Part { bytes, end, hasher }) = &mut self.part else { return self.documents.next() };
        let end = match *end {
            Some(end) => end,
            None => *end.insert(self.documents.enter(bytes)?),
        };
        let is_behind = self.documents.offset() >= end;
        let document = if is_behind { None } else { self.documents.next()? };
        match document.filter(|document| document.offset < end) {
            Some(document) => {
                hasher.update(document.bytes.as_deref().unwrap_or_default());
                Ok(Some(document))
            }
            None => self.documents.unchanged_stamp().map(|_| None),
        }
    }

    fn fail(&mut self, reason: String) -> Reject {
        let reject = reject(Place { file: self.file.clone(), line: self.documents.line() }, reason);
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
