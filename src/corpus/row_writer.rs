//! What it takes to be a format of outputs.

use std::io;

use super::field_types::FieldTypes;
use super::whole::Unfinished;

/// Where rows go, in one format. Each is a JSON object in one line.
pub(super) trait RowWriter: Send {
    /// Takes note of what is known of all rows, before the first.
    fn expect(&mut self, _types: FieldTypes) {}

    fn write(&mut self, line: &[u8]) -> io::Result<()>;

    /// Writes what is left, and gives the files, in the order of the rows, each with all that is to be in it.
    fn finish(self: Box<Self>) -> io::Result<Vec<Unfinished>>;
}

/// How much goes into one file: about so many bytes of rows as JSON, unless there is no limit.
pub(super) type ShardBytes = Option<u64>;
