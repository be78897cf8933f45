//! JSON lines: an object a line.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use serde::de::IgnoredAny;

use super::format::{Documents, Format, RawDocument, Unread, check_encoding, without_mark};
use super::object::RawObject;
use super::source::{Content, Source, read_failure};
use crate::digest::Stamp;

pub(super) const FORMAT: Format = Format {
    name: "JSON lines",
    suffixes: &[".jsonl", ".jsonlines", ".ndjson", ".json"],
    is_one_text: false,
    has_parts: true,
    begins,
    open: |source, asked| Ok(Box::new(JsonLines::open(source, asked.limit)?)),
};

/// What a line may have beyond its document: `\r\n`.
const LINE_END_BYTES: u64 = 2;

struct JsonLines {
    source: Source,
    limit: u64,
    /// The last line that was begun.
    line: u64,
    /// Of the next byte, in the decompressed file.
    offset: u64,
}

/// Whether the first line is an object with something in it, or begins one that is longer than the head.
fn begins(head: &[u8], is_all: bool) -> bool {
    let text = without_mark(head).trim_ascii_start();
    match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => is_object(&text[..end]),
        None if is_all => is_object(text),
        None => text.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"")),
    }
}

fn is_object(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).unwrap_or_default();
    text.starts_with('{') && RawObject::parse(text).is_ok_and(|object| !object.is_empty())
}

/// Refuses JSON that is none of lines.
fn check_lines(head: &[u8], is_all: bool) -> Result<(), String> {
    check_encoding(head)?;
    let text = without_mark(head).trim_ascii_start();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let rest = text[first.len()..].trim_ascii();
    if text.starts_with(b"[") && (rest.is_empty() || serde_json::from_slice::<IgnoredAny>(first).is_err()) {
        return Err("is a JSON array of what are no objects, and records are objects".to_owned());
    }
    // A line that was cut is no reason to refuse those behind it.
    let has_objects = || text.split(|byte| *byte == b'\n').any(is_object);
    if first.trim_ascii() == b"{" && !has_objects() {
        return Err(
            "is JSON with objects over several lines, and must have one a line: make them with jq -c .".to_owned()
        );
    }
    let has_old_line_ends = !text.contains(&b'\n') && text.split(|byte| *byte == b'\r').nth(1).is_some_and(is_begun);
    if has_old_line_ends && (is_all || text.starts_with(b"{")) {
        return Err("has lines that end with a carriage return alone: end them with tr '\\r' '\\n'".to_owned());
    }
    Ok(())
}

fn is_begun(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
}

impl JsonLines {
    fn open(source: Source, limit: u64) -> Result<Self, String> {
        // Of a damaged file, the beginning tells nothing.
        if !source.is_cut() {
            check_lines(source.head(), source.is_all_head())?;
        }
        Ok(Self { source, limit, line: 0, offset: 0 })
    }

    /// The next line that is not blank.
    fn read_line(&mut self) -> io::Result<Option<RawDocument>> {
        loop {
            let offset = self.offset;
            self.line += 1;
            let Some(bytes) = self.take_line()? else { return Ok(self.leftover()) };
            let bytes = bytes.map(|bytes| trimmed(bytes, offset)).filter(|bytes| bytes.len() as u64 <= self.limit);
            if bytes.as_ref().is_none_or(|bytes| !bytes.trim_ascii().is_empty()) {
                let bytes = bytes.ok_or(Unread::OverLimit);
                return Ok(Some(RawDocument { line: self.line, offset, bytes }));
            }
        }
    }

    /// A line with its end; `Some(None)` where it is too long, `None` at the end of the file.
    fn take_line(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let most = self.limit.saturating_add(LINE_END_BYTES).saturating_add(1);
        let mut bytes = Vec::new();
        let held = self.source.by_ref().take(most).read_until(b'\n', &mut bytes)? as u64;
        self.offset += held;
        if held == 0 {
            return Ok(None);
        }
        if held < most || bytes.ends_with(b"\n") {
            return Ok(Some(Some(bytes)));
        }
        drop(bytes);
        self.offset += self.source.skip_until(b'\n')? as u64;
        Ok(Some(None))
    }

    fn first_line(&self, byte: u64) -> Result<(u64, u64), String> {
        first_line(self.source.reopened()?, byte).map_err(|cause| read_failure(&cause))
    }

    /// What stands in, once, for what is behind the end of compressed data.
    fn leftover(&self) -> Option<RawDocument> {
        let leftover = RawDocument { line: self.line, offset: self.offset, bytes: Err(Unread::Leftover) };
        self.source.take_leftover().then_some(leftover)
    }
}

impl Documents for JsonLines {
    fn next(&mut self) -> Result<Option<RawDocument>, String> {
        let document = self.read_line().map_err(|cause| self.source.failure(&cause))?;
        if document.is_none() {
            self.source.check_end()?;
        }
        Ok(document)
    }

    fn skip_to(&mut self, offset: u64, line: u64) -> Result<(), String> {
        self.source.skip(self.offset, offset)?;
        self.offset = offset;
        self.line = line.saturating_sub(1);
        Ok(())
    }

    fn enter(&mut self, part: &Range<u64>) -> Result<u64, String> {
        let (offset, line) = self.first_line(part.start)?;
        if offset > 0 {
            self.skip_to(offset, line)?;
        }
        Ok(part.end)
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn line(&self) -> Option<u64> {
        Some(self.line).filter(|line| *line > 0)
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

/// Where the first line begins that begins at a byte or behind it, and its number from 1. All lines before it are counted.
fn first_line(mut reader: impl BufRead, byte: u64) -> io::Result<(u64, u64)> {
    // The byte before it tells whether a line begins at the byte itself.
    let Some(before) = byte.checked_sub(1) else { return Ok((0, 1)) };
    let (mut offset, mut ends) = (0, 0);
    while offset < before {
        let bytes = reader.fill_buf()?;
        let bytes = &bytes[..bytes.len().min(usize::try_from(before - offset).unwrap_or(usize::MAX))];
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        ends += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let count = bytes.len();
        reader.consume(count);
        offset += count as u64;
    }
    offset += reader.skip_until(b'\n')? as u64;
    Ok((offset, ends + 2))
}

fn trimmed(mut line: Vec<u8>, offset: u64) -> Vec<u8> {
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    if offset == 0 { without_mark(&line).to_vec() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_up_to_a_byte() {
        let first = |byte| first_line(&b"ab\n\ncd\nef"[..], byte).unwrap();
        let found: Vec<_> = (0..=9).map(first).collect();
        let expected = [(0, 1), (3, 2), (3, 2), (3, 2), (4, 3), (7, 4), (7, 4), (7, 4), (9, 5), (9, 5)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_first_line_that_is_an_object_begins_json_lines() {
        for (text, is_all, expected) in [
            ("{\"text\":\"a\"}\n", true, true),
            ("\u{FEFF}\n  {\"text\":NaN}\r\nmore", false, true),
            ("{\"text\":\"a\"}", true, true),
            ("{ \"text\":\"a", false, true),
            ("{\"text\":\"a", true, false),
            ("{}\n", true, false),
            ("{\n \"text\": \"a\"\n}", true, false),
            ("{% block %}\n", true, false),
            ("[1]\n", true, false),
            ("", true, false),
        ] {
            assert_eq!(begins(text.as_bytes(), is_all), expected, "{text:?}");
        }
    }

    #[test]
    fn json_that_is_none_of_lines_is_called_by_name() {
        let reason = |text: &str| check_lines(text.as_bytes(), true).unwrap_err();
        assert!(reason("[\n\"a\"]").contains("JSON array of what are no objects"));
        assert!(reason(" [[{\"text\":\"a\"}]]\n").contains("JSON array of what are no objects"));
        assert!(reason("{\n \"text\": \"a\"\n}").contains("over several lines"));
        assert!(reason("{\"text\":\"a\"}\r{\"text\":\"b\"}").contains("carriage return"));
        assert!(check_lines(b"\xFF\xFE{\0", true).unwrap_err().contains("UTF-16"));
        for text in [
            "{\n{\"text\":\"a\"}\n",
            "[1]\n{\"text\":\"a\"}",
            "{\"text\":\"a\\r{\"}\r\n",
            "",
            "plain\rtext",
            "{\"a\":1}\n{",
        ] {
            assert_eq!(check_lines(text.as_bytes(), true), Ok(()), "{text:?}");
        }
    }
}
