//! The documents of one file, as bytes.

use std::path::Path;
use std::sync::Arc;

use super::format::{Asked, Documents, Format, RawDocument};
use super::formats::by_content;
use super::name::shown;
use super::source::{Content, Source};
use super::{Place, Reject};
use crate::cancel::Cancel;

/// The documents of one file in order: its lines that are not blank, its rows, or the whole file as one text. Memory stays near
/// that of one document, and of none where one is over the limit; of tables, near that of a batch of their rows.
///
/// An `Err` is the last item, and says that the file is damaged, cannot be read on, or was changed while it was read: then
/// nothing that came from it may be trusted, what came before included, since damage may show long after it began.
pub struct RawDocuments {
    file: Arc<str>,
    documents: Box<dyn Documents>,
    state: State,
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
            Ok(documents) => Ok(Self { file, documents, state: State::Reading }),
            Err(reason) => Err(reject(Place { file, line: None }, reason)),
        }
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
        let reached = self.documents.offset();
        if offset < reached {
            return Err(self.fail(format!("cannot go back to {offset}: it was read up to {reached}")));
        }
        if offset == reached {
            return Ok(());
        }
        self.documents.skip_to(offset, line).map_err(|reason| self.fail(reason))
    }

    /// Bytes taken from the file so far, before decompression; those that were skipped count.
    pub fn consumed_bytes(&self) -> u64 {
        self.documents.consumed_bytes()
    }

    /// Reads what is left, and gives what the whole file held.
    ///
    /// # Errors
    /// As for an item that is an `Err`, also where there was one before.
    pub fn finish(mut self) -> Result<Content, Reject> {
        self.by_ref().try_for_each(|document| document.map(drop))?;
        if let State::Failed(reject) = &self.state {
            return Err(reject.clone());
        }
        self.documents.content().map_err(|reason| self.fail(reason))
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
        match self.documents.next() {
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
