//! The C ABI, described for its users in `include/longattn.h`, which is made from this module.
//!
//! Every function checks its arguments, calls the Rust API and stores the result. `longattn_error` is set by [`guard`]
//! alone, which also keeps panics from crossing the boundary.

#![allow(non_camel_case_types)] // The names are those of the header.

mod argument;
mod calibration;
mod cancel;
#[cfg(feature = "cli")]
mod command;
mod config;
mod details;
mod error;
mod job;
mod layers;
mod log;
mod losses;
mod names;
mod score;
mod scorer;
mod selector;
mod text;
mod tokens;
mod version;
mod windows;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{Error, ErrorKind, Result};
use error::{Status, longattn_error};

/// Runs a call that can fail. A failure becomes a status, and an error in `error` unless that is NULL.
///
/// # Safety
/// `error` is NULL or valid for a write.
unsafe fn guard(error: *mut *mut longattn_error, call: impl FnOnce() -> Result<()>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(bug(panic.as_ref())));
    let Err(failure) = result else { return Status::OK };
    let status = Status::from(failure.kind());
    if !error.is_null() {
        // SAFETY: `error` is valid for a write, and a write needs no more alignment than it is promised to have.
        unsafe { error.write_unaligned(handle(longattn_error::from(failure))) };
    }
    status
}

fn bug(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("a bug in longattn {}: {text}", env!("CARGO_PKG_VERSION")))
}

/// Gives a value to the caller, who gives it back to [`free`].
fn handle<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes back what [`handle`] gave.
///
/// # Safety
/// `handle` is NULL, or came from [`handle`] and is used nowhere any more.
unsafe fn free<T>(handle: *mut T) {
    if handle.is_null() {
        return;
    }
    // SAFETY: the handle came from `Box::into_raw` and is used nowhere else.
    let value = unsafe { Box::from_raw(handle) };
    // A destructor that fails leaves nothing to be told.
    _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// What a getter that cannot fail gives for a handle, or for NULL.
///
/// # Safety
/// `handle` is NULL or valid for reads.
unsafe fn get<'a, T: 'a, Value>(handle: *const T, or: Value, value: impl FnOnce(&'a T) -> Value) -> Value {
    // SAFETY: the pointer is NULL or valid for reads.
    unsafe { handle.as_ref() }.map_or(or, value)
}

/// The first element, NULL where there is none.
fn first<T>(slice: &[T]) -> *const T {
    if slice.is_empty() { ptr::null() } else { slice.as_ptr() }
}
