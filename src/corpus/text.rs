//! Text files, each one document.

use std::io::{self, Read};
use std::ops::Range;

use super::format::{Asked, Documents, Format, RawDocument, Unread, check_encoding, without_mark};
use super::source::{Content, NO_PARTS, Source};
use crate::digest::Stamp;

pub(super) const FORMAT: Format = Format {
    name: "text",
    suffixes: &[],
    is_one_text: true,
    has_parts: false,
    begins: |_, _| false,
    open: |source, asked| Ok(Box::new(WholeText::open(source, asked)?)),
};

struct WholeText {
    source: Source,
    limit: u64,
    offset: u64,
    is_read: bool,
}

impl WholeText {
    fn open(source: Source, asked: &Asked) -> Result<Self, String> {
        check_encoding(source.head())?;
        Ok(Self { source, limit: asked.limit, offset: 0, is_read: false })
    }

    fn read(&mut self) -> io::Result<RawDocument> {
        let most = self.limit.saturating_add(1);
        let mut bytes = Vec::new();
        let held = self.source.by_ref().take(most).read_to_end(&mut bytes)? as u64;
        let bytes = if held == most { Err(Unread::OverLimit) } else { Ok(without_mark(&bytes).to_vec()) };
        self.offset = held + io::copy(&mut self.source, &mut io::sink())?;
        Ok(RawDocument { line: 0, offset: 0, bytes })
    }
}

impl Documents for WholeText {
    fn next(&mut self) -> Result<Option<RawDocument>, String> {
        if self.is_read {
            self.source.check_end()?;
            return Ok(None);
        }
        self.is_read = true;
        self.read().map(Some).map_err(|cause| self.source.failure(&cause))
    }

    fn skip_to(&mut self, offset: u64, _line: u64) -> Result<(), String> {
        Err(format!("was changed: it is one text, and has no document at byte {offset}"))
    }

    fn enter(&mut self, _part: &Range<u64>) -> Result<u64, String> {
        Err(NO_PARTS.to_owned())
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn line(&self) -> Option<u64> {
        None
    }

    fn consumed_bytes(&self) -> u64 {
        self.source.position()
    }

    fn content(&mut self) -> Result<Content, String> {
        self.source.content()
    }

    fn unchanged_stamp(&mut self) -> Result<Option<Stamp>, String> {
        self.source.unchanged_stamp()
    }
}
