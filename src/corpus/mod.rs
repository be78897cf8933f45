//! Reading documents, writing results, and a journal that lets long work be resumed.
//!
//! A [`Corpus`] lists files and folders. Each file is read by itself, as [`RawDocuments`] that any thread can turn into
//! [`Record`]s, and says at its end what it held; a [`Reader`] reads all of them in order. What cannot be used, be it a record
//! or a whole file, becomes a [`Reject`] and reading goes on. [`Lines`] reads JSON lines of any type, [`Output`] writes them, and
//! a [`Journal`] keeps what was done so far.

mod address;
mod arrow;
mod columns;
mod compression;
mod destination;
mod documents;
mod field_types;
mod format;
mod formats;
mod gzip;
mod input;
mod journal;
mod json;
mod json_array;
mod json_lines;
mod json_lines_writer;
mod kind;
mod lines;
#[cfg(feature = "remote")]
mod location;
mod lz4;
mod name;
mod object;
mod output;
mod output_format;
mod parquet;
mod parquet_writer;
mod place;
mod reader;
mod record;
mod rejects;
#[cfg_attr(not(feature = "remote"), path = "no_remote.rs")]
mod remote;
#[cfg(feature = "remote")]
mod remote_file;
mod row_writer;
mod rows;
mod seen;
mod shards;
mod source;
mod split;
mod table;
mod text;
mod whole;
mod writable;

pub use destination::{Destination, NoDestination};
pub use documents::RawDocuments;
pub use field_types::FieldTypes;
pub use format::RawDocument;
pub use input::InputFile;
pub(crate) use input::holds_results;
pub use journal::Journal;
pub(crate) use journal::has_no_locks;
pub use lines::{Lines, RawLines};
pub use name::{STANDARD_STREAM, category_of};
pub(crate) use name::{is_remote, shown};
pub use object::RawObject;
pub use output::{Layout, Output};
pub use output_format::OutputFormat;
pub use place::{Place, Reject};
pub use reader::{Corpus, Progress, Reader};
pub use record::{Fields, Record};
pub use rejects::Rejects;
pub(crate) use seen::{Seen, Spot};
pub(crate) use shards::written_at;
pub use source::Content;
pub use split::{NoShard, Shard};
pub use whole::write_whole;
pub use writable::check_writable;
