//! Reading documents, writing results, and a journal that lets long work be resumed.
//!
//! A [`Reader`] turns files and folders into [`Record`]s. What cannot be used becomes a [`Reject`] and reading goes
//! on; only a file that cannot be read ends it. [`Lines`] reads JSON lines of any type, [`Output`] writes them, and a
//! [`Journal`] keeps what was done so far.

mod input;
mod journal;
mod lines;
mod output;
mod place;
mod reader;
mod record;
mod rejects;
mod seen;
mod source;
mod writable;

pub use input::{InputFile, input_files};
pub use journal::Journal;
pub use lines::{Lines, RawLines};
pub use output::Output;
pub use place::{Place, Reject};
pub use reader::{Progress, Reader};
pub use record::{Fields, Record};
pub use rejects::Rejects;
pub use writable::check_writable;

/// The path that stands for standard input or standard output.
pub const STANDARD_STREAM: &str = "-";
