use std::ffi::{CStr, CString, c_char};

use super::text::terminated;
use super::{free, get};
use crate::error::{Error, ErrorKind, FATAL};

/// A `longattn_status` on its way out: 0, or the number of an [`ErrorKind`].
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(i32);

impl Status {
    pub const OK: Self = Self(0);
}

impl From<ErrorKind> for Status {
    fn from(kind: ErrorKind) -> Self {
        Self(kind as i32)
    }
}

/// Why a call failed: a status and a message for a person, which says what happened, where, and what to do about it.
///
/// Made by calls that fail; the caller's, to be freed with longattn_error_free(). It never changes, so any threads may
/// read it at once.
pub struct longattn_error {
    status: Status,
    message: CString,
}

impl From<Error> for longattn_error {
    fn from(error: Error) -> Self {
        Self { status: error.kind().into(), message: terminated(&error.to_string()) }
    }
}

const NAMES: [(ErrorKind, &CStr); 13] = [
    (ErrorKind::InvalidArgument, c"invalid_argument"),
    (ErrorKind::InvalidUtf8, c"invalid_utf8"),
    (ErrorKind::InvalidSetting, c"invalid_setting"),
    (ErrorKind::Io, c"io"),
    (ErrorKind::InvalidRecord, c"invalid_record"),
    (ErrorKind::InvalidModel, c"invalid_model"),
    (ErrorKind::Unsupported, c"unsupported"),
    (ErrorKind::Runtime, c"runtime"),
    (ErrorKind::MemoryLimit, c"memory_limit"),
    (ErrorKind::NonFinite, c"non_finite"),
    (ErrorKind::TooShort, c"too_short"),
    (ErrorKind::Cancelled, c"cancelled"),
    (ErrorKind::Internal, c"internal"),
];

/// The name of a status, such as "ok" or "invalid_argument": NUL-terminated, and there for ever. "unknown" for a number that is
/// none of this version's. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_status_name(status: Status) -> *const c_char {
    if status == Status::OK {
        return c"ok".as_ptr();
    }
    let named = NAMES.iter().find(|(kind, _)| Status::from(*kind) == status);
    named.map_or(c"unknown", |(_, name)| name).as_ptr()
}

/// Whether what failed one window, with this status, would fail all others of the same length too, such as a runtime that is
/// missing. By this rule a job stops, and rejects the window alone otherwise. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_status_is_fatal(status: Status) -> bool {
    FATAL.iter().any(|kind| Status::from(*kind) == status)
}

/// The status that the failed call returned. For NULL, LONGATTN_STATUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_error_status(error: *const longattn_error) -> Status {
    // SAFETY: the header asks for NULL or a live error.
    unsafe { get(error, Status::OK, |error| error.status) }
}

/// The message, in UTF-8 and NUL-terminated; `length`, unless NULL, is set to its bytes without the NUL. It is the
/// error's and lives as long. For NULL, NULL and a length of 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_error_message(error: *const longattn_error, length: *mut usize) -> *const c_char {
    // SAFETY: the header asks for NULL or a live error.
    let message = unsafe { get(error, None, |error| Some(&error.message)) };
    if !length.is_null() {
        // SAFETY: the header asks for NULL or a place to write to.
        unsafe { length.write_unaligned(message.map_or(0, |message| message.count_bytes())) };
    }
    message.map_or(std::ptr::null(), |message| message.as_ptr())
}

/// Frees an error. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_error_free(error: *mut longattn_error) {
    // SAFETY: the header asks for NULL or an error that nobody uses any more.
    unsafe { free(error) }
}
