//! Where a record stands, and why it was left out.

use std::fmt;
use std::sync::Arc;

use super::name::STANDARD_STREAM;

/// Where a record stands. Displayed as `file:line`, or `file` for a whole file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file's path, `-` for standard input.
    pub file: Arc<str>,
    /// The line, from 1; none where the record is the whole file.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if *self.file == *STANDARD_STREAM { "standard input" } else { &self.file };
        match self.line {
            Some(line) => write!(formatter, "{file}:{line}"),
            None => formatter.write_str(file),
        }
    }
}

/// A record that could not be used. Displayed as `file:line: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where the record stands.
    pub place: Place,
    /// The record's id, where one could be read.
    pub id: Option<String>,
    /// What is wrong with the record, and what to do about it.
    pub reason: String,
    /// The line as it was read, its first 4096 bytes, invalid UTF-8 replaced by U+FFFD; empty where the record is a whole file
    /// and where the line is well-formed.
    pub record: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_file_and_line() {
        let show = |file: &str, line| Place { file: file.into(), line }.to_string();
        assert_eq!(show("books.jsonl", Some(17)), "books.jsonl:17");
        assert_eq!(show("books/a.txt", None), "books/a.txt");
        assert_eq!(show("-", Some(3)), "standard input:3");
    }
}
