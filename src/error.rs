//! One error type. Its kinds are the status codes of the C ABI.

use std::fmt::Display;

/// What went wrong, for a program to act on. The numbers are part of the C ABI and never change.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument is outside its documented range, or two arguments contradict each other.
    InvalidArgument = 1,
    /// Text is not valid UTF-8.
    InvalidUtf8 = 2,
    /// A setting's key or value is not one of the valid ones.
    InvalidSetting = 3,
    /// A file could not be read or written.
    Io = 4,
    /// A record of a corpus, a score file or a journal is malformed.
    InvalidRecord = 5,
    /// A checkpoint or scorer package is missing, truncated, or contradicts itself.
    InvalidModel = 6,
    /// A well-formed checkpoint, model or tokenizer of a kind that this version cannot use.
    Unsupported = 7,
    /// ONNX Runtime could not be found, loaded or started.
    Runtime = 8,
    /// The work would take more memory than the setting `memory_limit` allows.
    MemoryLimit = 9,
    /// The model gave NaN or infinite numbers.
    NonFinite = 10,
    /// The text has too few tokens to be scored.
    TooShort = 11,
    /// The caller asked for the work to stop.
    Cancelled = 12,
    /// A bug in this library.
    Internal = 13,
}

/// The kinds of what befalls every window of one length alike, so that a job stops instead of rejecting a window.
pub const FATAL: [ErrorKind; 5] =
    [ErrorKind::Runtime, ErrorKind::Cancelled, ErrorKind::Internal, ErrorKind::InvalidSetting, ErrorKind::MemoryLimit];

/// An [`ErrorKind`] with a message that says what happened, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of one kind. The message should name the thing at fault and say what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A failed file operation: `doing` completes "cannot …", as in "read corpus.jsonl".
    pub fn io(doing: impl Display, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {doing}: {cause}"))
    }

    /// The kind, for a program to act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with the place it happened in put before the message.
    #[must_use]
    pub fn at(self, place: impl Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }
}
