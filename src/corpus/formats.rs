//! The table of formats: a new one is a file of its own and a line here.

use super::compression::{Compression, strip_suffix};
use super::format::Format;
use super::{arrow, json_array, json_lines, parquet, text};

/// In the order in which a file's first bytes are compared with them.
const FORMATS: [&Format; 6] =
    [&parquet::FORMAT, &arrow::FILE, &arrow::STREAM, &json_array::FORMAT, &json_lines::FORMAT, &text::FORMAT];

/// What standard input and files of lines are, unless their bytes say otherwise.
pub(super) const JSON_LINES: &Format = &json_lines::FORMAT;

/// Formats that outputs may have too.
pub(super) const WRITTEN: [&str; 2] = [json_lines::FORMAT.name, parquet::FORMAT.name];

/// The format that a name stands for: one text, unless its suffix says otherwise.
pub(super) fn by_name(name: &str) -> &'static Format {
    let (name, _) = Compression::split(name);
    let ends = |format: &&&Format| format.suffixes.iter().any(|suffix| strip_suffix(name, suffix).is_some());
    FORMATS.iter().find(ends).copied().unwrap_or(&text::FORMAT)
}

/// The format of a file by its first bytes, which are all of them where `is_all`, or else by its name.
pub(super) fn by_content(head: &[u8], is_all: bool, by_name: &'static Format) -> &'static Format {
    FORMATS.iter().find(|format| (format.begins)(head, is_all)).copied().unwrap_or(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_before_names_and_case_counts_for_nothing() {
        for (name, content, expected) in [
            ("a.JSONL", "", "JSON lines"),
            ("a.json.GZ", "", "JSON lines"),
            ("a.ndjson", "[1]", "JSON lines"),
            ("a.json", "[\n  {\"text\":1}\n]", "a JSON array"),
            ("a.txt", "text", "text"),
            ("a.txt", "{\"text\":1}\n", "JSON lines"),
            ("part-00000", "{\"text\":1}\n", "JSON lines"),
            ("a.PARQUET", "", "Parquet"),
            ("a.jsonl", "PAR1\u{15}\u{4}", "Parquet"),
            ("a.txt", "PAR1 is how this text begins", "text"),
            ("a.feather", "", "an Arrow file"),
            ("a.arrow", "ARROW1\0\0", "an Arrow file"),
            ("a.arrow", "", "an Arrow stream"),
            ("a", "ARROW1", "text"),
        ] {
            assert_eq!(by_content(content.as_bytes(), true, by_name(name)).name, expected, "{name} {content:?}");
        }
        let stream = b"\xFF\xFF\xFF\xFF\x10\x01\0\0";
        assert_eq!(by_content(stream, true, by_name("a.txt")).name, "an Arrow stream");
    }
}
