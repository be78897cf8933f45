//! One JSON array of objects, as `json.dump` and many download pages write it, of any length.

use std::io::{self, BufRead};
use std::ops::Range;

use memchr::memchr2;

use super::format::{Asked, Documents, Format, RawDocument, Unread, check_encoding, without_mark};
use super::source::{Content, Source};
use crate::digest::Stamp;

pub(super) const FORMAT: Format = Format {
    name: "a JSON array",
    suffixes: &[],
    is_one_text: false,
    has_parts: true,
    begins,
    open: |source, asked| Ok(Box::new(JsonArray::open(source, asked)?)),
};

/// Whether an array of objects begins, or the whole file is an empty one.
fn begins(head: &[u8], is_all: bool) -> bool {
    let Some(items) = without_mark(head).trim_ascii_start().strip_prefix(b"[") else { return false };
    let items = items.trim_ascii_start();
    let is_empty = is_all && items.trim_ascii() == b"]";
    is_empty
        || items
            .strip_prefix(b"{")
            .is_some_and(|members| matches!(members.trim_ascii_start().first(), Some(b'"' | b'}')))
}

/// The items of an array as documents, each a line to those who count.
struct JsonArray {
    source: Source,
    limit: u64,
    /// The last item that was begun.
    item: u64,
    /// Of the next byte, in the decompressed file.
    offset: u64,
    next: Next,
}

/// What is to come.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    /// The bracket that the array begins with.
    Array,
    /// The first item, or the end.
    FirstItem,
    Item,
    /// A comma, or the end.
    Comma,
    /// Nothing but blanks.
    End,
    Over,
}

impl JsonArray {
    fn open(source: Source, asked: &Asked) -> Result<Self, String> {
        check_encoding(source.head())?;
        Ok(Self { source, limit: asked.limit, item: 0, offset: 0, next: Next::Array })
    }

    /// Goes to where the next item begins; false behind the last.
    fn find_item(&mut self) -> Result<bool, Trouble> {
        loop {
            let byte = self.peek()?;
            self.next = match (self.next, byte) {
                (Next::Over, _) => return Ok(false),
                (Next::End, None) => Next::Over,
                (_, None) => return Err(Trouble::Cut),
                (Next::Array, Some(b'[')) => self.pass(Next::FirstItem),
                (Next::FirstItem | Next::Comma, Some(b']')) => self.pass(Next::End),
                (Next::Comma, Some(b',')) => self.pass(Next::Item),
                (Next::FirstItem | Next::Item, Some(byte)) if !b",]}:".contains(&byte) => return Ok(true),
                _ => return Err(Trouble::Misplaced(self.offset)),
            }
        }
    }

    fn pass(&mut self, next: Next) -> Next {
        self.source.consume(1);
        self.offset += 1;
        next
    }

    /// The next byte that is not blank, which is not taken; none at the end of the file.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let is_first = self.offset == 0;
            let bytes = self.source.fill_buf()?;
            let mark = if is_first { bytes.len() - without_mark(bytes).len() } else { 0 };
            let blanks = mark + bytes[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let (next, is_end) = (bytes.get(blanks).copied(), bytes.is_empty());
            self.source.consume(blanks);
            self.offset += blanks as u64;
            if next.is_some() || is_end {
                return Ok(next);
            }
        }
    }

    /// Takes the item that begins here, as one line; none where it is over the limit.
    fn take_item(&mut self, limit: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let mut scan = Scan::default();
        let mut item = Vec::new();
        let mut length = 0;
        loop {
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() {
                return Err(Trouble::Cut);
            }
            let (count, is_whole) = scan.run(bytes);
            length += count as u64;
            if length <= limit {
                item.extend_from_slice(&bytes[..count]);
            } else {
                item = Vec::new();
            }
            self.source.consume(count);
            self.offset += count as u64;
            if is_whole {
                break;
            }
        }
        self.item += 1;
        self.next = Next::Comma;
        Ok((length <= limit).then(|| in_one_line(item)))
    }

    /// The next item; none at the end.
    fn read_item(&mut self) -> Result<Option<RawDocument>, Trouble> {
        if !self.find_item()? {
            let leftover = RawDocument { line: self.item, offset: self.offset, bytes: Err(Unread::Leftover) };
            return Ok(self.source.take_leftover().then_some(leftover));
        }
        let offset = self.offset;
        let bytes = self.take_item(self.limit)?.ok_or(Unread::OverLimit);
        Ok(Some(RawDocument { line: self.item, offset, bytes }))
    }

    /// Goes to the first item that begins at a byte or behind it. Only all items before tell where one begins.
    fn enter_at(&mut self, byte: u64) -> Result<(), Trouble> {
        while self.find_item()? && self.offset < byte {
            self.take_item(0)?;
        }
        Ok(())
    }

    fn reason(&self, trouble: &Trouble) -> String {
        let reason = match trouble {
            Trouble::Unread(cause) => return self.source.failure(cause),
            Trouble::Cut => "its end is missing".to_owned(),
            Trouble::Misplaced(offset) => format!("what is at byte {} does not belong there", offset + 1),
        };
        format!(
            "cannot be read as {}: {reason}; it may be damaged or cut short: fetch it or write it again",
            FORMAT.name
        )
    }
}

/// Why no item was found.
enum Trouble {
    Unread(io::Error),
    Cut,
    /// The byte with this offset.
    Misplaced(u64),
}

impl From<io::Error> for Trouble {
    fn from(cause: io::Error) -> Self {
        Self::Unread(cause)
    }
}

/// How far into an item reading has come.
#[derive(Default)]
struct Scan {
    /// Objects and arrays that are open.
    depth: u64,
    is_in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// Goes on through some bytes: how many of them are the item's, and whether it ends there.
    fn run(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut place = 0;
        while place < bytes.len() {
            if self.is_in_string {
                place = self.string(bytes, place);
                continue;
            }
            match bytes[place] {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b',' | b'}' | b']' if self.depth == 0 => return (place, true),
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            place += 1;
        }
        (place, false)
    }

    /// Goes to the end of a string, or of the bytes.
    fn string(&mut self, bytes: &[u8], mut place: usize) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            place += 1;
        }
        while let Some(next) = bytes.get(place..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            place += next + 1;
            if bytes[place - 1] == b'"' {
                self.is_in_string = false;
                return place;
            }
            if place == bytes.len() {
                self.is_escaped = true;
                return place;
            }
            place += 1;
        }
        bytes.len()
    }
}

/// An item with spaces for the line ends between its values, so that what is carried along of it stays in one line.
fn in_one_line(mut item: Vec<u8>) -> Vec<u8> {
    item.truncate(item.trim_ascii_end().len());
    let (mut scan, mut place) = (Scan::default(), 0);
    while place < item.len() {
        if scan.is_in_string {
            place = scan.string(&item, place);
            continue;
        }
        match item[place] {
            b'"' => scan.is_in_string = true,
            b'\n' | b'\r' => item[place] = b' ',
            _ => {}
        }
        place += 1;
    }
    item
}

impl Documents for JsonArray {
    fn next(&mut self) -> Result<Option<RawDocument>, String> {
        let document = self.read_item().map_err(|trouble| self.reason(&trouble))?;
        if document.is_none() {
            self.source.check_end()?;
        }
        Ok(document)
    }

    fn skip_to(&mut self, offset: u64, line: u64) -> Result<(), String> {
        self.source.skip(self.offset, offset)?;
        (self.offset, self.item, self.next) = (offset, line.saturating_sub(1), Next::Item);
        Ok(())
    }

    fn enter(&mut self, part: &Range<u64>) -> Result<u64, String> {
        self.enter_at(part.start).map_err(|trouble| self.reason(&trouble))?;
        Ok(part.end)
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn line(&self) -> Option<u64> {
        Some(self.item).filter(|item| *item > 0)
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::cancel::Cancel;
    use crate::corpus::object::RawObject;

    fn open(text: &[u8], limit: u64) -> (tempfile::NamedTempFile, JsonArray) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let source = Source::open(file.path(), Cancel::default()).unwrap();
        let array =
            JsonArray::open(source, &Asked { fields: None, every_field: true, is_typed: false, limit }).unwrap();
        (file, array)
    }

    /// The number of an item, its offset and its text.
    type Found = (u64, u64, Option<String>);

    /// The items, and the reason why there are no more.
    fn read(text: &[u8], limit: u64) -> (Vec<Found>, Option<String>) {
        let (_file, mut array) = open(text, limit);
        let mut items = Vec::new();
        loop {
            match array.next() {
                Ok(Some(item)) => {
                    let text = item.bytes.ok().map(|bytes| String::from_utf8(bytes).unwrap());
                    items.push((item.line, item.offset, text));
                }
                Ok(None) => return (items, None),
                Err(reason) => return (items, Some(reason)),
            }
        }
    }

    fn texts(text: &str) -> Vec<String> {
        let (items, reason) = read(text.as_bytes(), u64::MAX);
        assert_eq!(reason, None, "{text}");
        items.into_iter().map(|item| item.2.unwrap()).collect()
    }

    #[test]
    fn items_are_read_one_by_one() {
        assert_eq!(texts(r#"[{"a":1},{"b":[2,{"c":"]},"}]}]"#), [r#"{"a":1}"#, r#"{"b":[2,{"c":"]},"}]}"#]);
        assert_eq!(
            texts("\u{FEFF} [\r\n  {\n    \"a\": 1\n  } ,\n 5, \"x,\"\n]\n"),
            ["{     \"a\": 1   }", "5", "\"x,\""]
        );
        assert_eq!(texts(r#"[{"a":"\\"},{"b":"\"\\\""}]"#), [r#"{"a":"\\"}"#, r#"{"b":"\"\\\""}"#]);
        assert_eq!(texts("[]"), [""; 0]);
        assert_eq!(texts(" [ ] "), [""; 0]);
        let (items, _) = read(b"[{\"a\":1},\n{\"a\":2}]", u64::MAX);
        assert_eq!(items.iter().map(|item| (item.0, item.1)).collect::<Vec<_>>(), [(1, 1), (2, 10)]);
    }

    #[test]
    fn items_longer_than_any_buffer() {
        let long = "\\\"x,]}".repeat(300_000);
        let array = format!("[{{\"a\":\"{long}\"}}, {{\"b\":\"{long}\"}}]");
        let items = texts(&array);
        assert_eq!(items.len(), 2);
        assert_eq!(RawObject::parse(&items[1]).unwrap().get("b"), Some(&*format!("\"{long}\"")));
        let (items, reason) = read(format!("[{{\"a\":\"{long}\"}}, {{\"b\":1}}]").as_bytes(), 100);
        assert_eq!((items[0].2.clone(), items[1].2.as_deref(), reason), (None, Some("{\"b\":1}"), None));
    }

    #[test]
    fn line_ends_within_strings_are_no_json_and_stay() {
        let items = texts("[{\"a\":\"x\ny\"}]");
        assert!(RawObject::parse(&items[0]).is_err());
    }

    #[test]
    fn what_is_no_whole_array_is_damaged() {
        for text in ["[", "[{\"a\":1}", "[{\"a\":1},", "[{\"a\":1", "[{\"a\":\"x]", "[{\"a\":[1}]"] {
            assert!(read(text.as_bytes(), u64::MAX).1.unwrap().contains("its end is missing"), "{text}");
        }
        for (text, byte) in [("[{\"a\":1},]", 10), ("[{\"a\":1}]\n[{\"a\":2}]", 11), ("[{\"a\":1}}]", 9), ("[,{}]", 2)]
        {
            let reason = read(text.as_bytes(), u64::MAX).1.unwrap();
            assert!(reason.contains(&format!("at byte {byte} does not belong")), "{text} {reason}");
        }
    }

    #[test]
    fn parts_have_every_item_once() {
        let text = b"[ {\"a\":1},\n{\"bc\":2}, {\"a\":3}\n]";
        for cut in 0..=text.len() as u64 {
            let mut lines = Vec::new();
            for part in [0..cut, cut..text.len() as u64] {
                let (_file, mut array) = open(text, u64::MAX);
                let end = array.enter(&part).unwrap();
                while let Some(item) = array.next().unwrap().filter(|item| item.offset < end) {
                    lines.push(item.line);
                }
            }
            assert_eq!(lines, [1, 2, 3], "cut at {cut}");
        }
    }

    #[test]
    fn reading_goes_on_at_an_item() {
        let (_file, mut array) = open(b"[{\"a\":1},{\"a\":2},{\"a\":3}]", u64::MAX);
        array.skip_to(17, 3).unwrap();
        let item = array.next().unwrap().unwrap();
        assert_eq!((item.line, item.offset, item.bytes), (3, 17, Ok(b"{\"a\":3}".to_vec())));
        assert_eq!(array.next(), Ok(None));
    }

    #[test]
    fn arrays_of_objects_are_known_by_their_beginning() {
        for (text, is_all, expected) in [
            ("[{\"a\":1}]", true, true),
            ("\u{FEFF}\n[\n  {\n \"a\"", false, true),
            ("[]\n", true, true),
            ("[", false, false),
            ("[1, {\"a\":1}]", true, false),
            ("[{# a comment #}]", true, false),
            ("[[{\"a\":1}]]", true, false),
            ("[note] {\"a\"", true, false),
        ] {
            assert_eq!(begins(text.as_bytes(), is_all), expected, "{text:?}");
        }
    }
}
