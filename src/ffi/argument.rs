//! Checked arguments. What a check cannot find, a pointer to freed or foreign memory, the header forbids.

use std::ffi::c_char;
use std::path::Path;
use std::slice;

use crate::error::{Error, ErrorKind, Result};

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn check<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(invalid(format!("{name} is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(invalid(format!("{name} is not aligned to {} bytes", align_of::<T>())));
    }
    Ok(())
}

/// A value to read.
///
/// # Safety
/// `pointer` is NULL or valid for reads for as long as the reference lives.
pub unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    check(pointer, name)?;
    // SAFETY: the pointer is aligned, not NULL, and valid for reads.
    Ok(unsafe { &*pointer })
}

/// A value to read, or none for NULL.
///
/// # Safety
/// As [`reference`].
pub unsafe fn optional<'a, T>(pointer: *const T, name: &str) -> Result<Option<&'a T>> {
    // SAFETY: the same promise.
    if pointer.is_null() { Ok(None) } else { unsafe { reference(pointer, name) }.map(Some) }
}

/// A value to change.
///
/// # Safety
/// `pointer` is NULL, or valid for reads and writes and used by nobody else for as long as the reference lives.
pub unsafe fn exclusive<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    check(pointer, name)?;
    // SAFETY: the pointer is aligned, not NULL, valid, and used by nobody else.
    Ok(unsafe { &mut *pointer })
}

/// An array to read; NULL is the empty one.
///
/// # Safety
/// `pointer` is NULL, or valid for reads of `length` elements for as long as the slice lives.
pub unsafe fn array<'a, T>(pointer: *const T, length: usize, name: &str) -> Result<&'a [T]> {
    check_array(pointer, length, name)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the pointer is aligned, not NULL, and valid for `length` elements, whose size is within bounds.
    Ok(unsafe { slice::from_raw_parts(pointer, length) })
}

fn check_array<T>(pointer: *const T, length: usize, name: &str) -> Result<()> {
    if length == 0 {
        return Ok(());
    }
    check(pointer, name)?;
    match length.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(invalid(format!("{name} cannot have a length of {length}: no memory is that large"))),
    }
}

/// A text to read; NULL is the empty one.
///
/// # Safety
/// As [`array`].
pub unsafe fn text<'a>(pointer: *const c_char, length: usize, name: &str) -> Result<&'a str> {
    // SAFETY: the same promise; bytes and `c_char` have the same layout.
    let bytes = unsafe { array(pointer.cast::<u8>(), length, name) }?;
    std::str::from_utf8(bytes).map_err(|cause| {
        let message = format!("{name} is not valid UTF-8 at byte {}", cause.valid_up_to());
        Error::new(ErrorKind::InvalidUtf8, message)
    })
}

/// A path to read: the bytes that the operating system knows it by.
///
/// # Safety
/// As [`array`].
#[cfg(unix)]
pub unsafe fn path<'a>(pointer: *const c_char, length: usize, name: &str) -> Result<&'a Path> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: the same promise; bytes and `c_char` have the same layout.
    let bytes = unsafe { array(pointer.cast::<u8>(), length, name) }?;
    Ok(Path::new(std::ffi::OsStr::from_bytes(bytes)))
}

/// A path to read, in UTF-8.
///
/// # Safety
/// As [`array`].
#[cfg(not(unix))]
pub unsafe fn path<'a>(pointer: *const c_char, length: usize, name: &str) -> Result<&'a Path> {
    // SAFETY: the same promise.
    unsafe { text(pointer, length, name) }.map(Path::new)
}

/// Where results go. Nothing is written before [`Output::set`], so inputs may overlap it.
pub struct Output<T> {
    first: *mut T,
    capacity: usize,
}

impl<T> Output<T> {
    /// A place for one result.
    ///
    /// # Safety
    /// `pointer` is NULL, or valid for writes for as long as this lives.
    pub unsafe fn one(pointer: *mut T, name: &str) -> Result<Self> {
        check(pointer, name)?;
        Ok(Self { first: pointer, capacity: 1 })
    }

    /// A place for one result, or none for NULL.
    ///
    /// # Safety
    /// As [`Output::one`].
    pub unsafe fn optional(pointer: *mut T, name: &str) -> Result<Self> {
        // SAFETY: the same promise.
        unsafe { Self::many(pointer, usize::from(!pointer.is_null()), name) }
    }

    /// A place for results; NULL with a capacity of 0 for none.
    ///
    /// # Safety
    /// `pointer` is NULL, or valid for writes of `capacity` elements for as long as this lives.
    pub unsafe fn many(pointer: *mut T, capacity: usize, name: &str) -> Result<Self> {
        check_array(pointer, capacity, name)?;
        Ok(Self { first: pointer, capacity })
    }

    /// The number of results that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Writes results, as many as fit.
    pub fn set(self, values: impl IntoIterator<Item = T>) {
        for (index, value) in values.into_iter().take(self.capacity).enumerate() {
            // SAFETY: the place was promised to be valid for `capacity` elements.
            unsafe { self.first.add(index).write(value) };
        }
    }
}
