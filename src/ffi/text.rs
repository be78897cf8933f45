use std::ffi::{CString, c_char};
use std::ptr;

/// A text that was made for the caller: `length` bytes of UTF-8 at `data`, and a NUL after them that `length` does not
/// count. It may hold further NULs where it repeats what the caller gave.
///
/// The caller's, to be freed with longattn_text_free(). Plain memory: any threads may read it at once.
#[repr(C)]
pub struct longattn_text {
    /// The first byte; NULL only after longattn_text_free().
    pub data: *const c_char,
    /// Bytes, without the NUL.
    pub length: usize,
}

impl From<String> for longattn_text {
    fn from(text: String) -> Self {
        let length = text.len();
        let mut bytes = text.into_bytes();
        bytes.push(0);
        Self { data: Box::into_raw(bytes.into_boxed_slice()).cast(), length }
    }
}

/// Frees a text and sets it to NULL and 0, so that freeing it again does nothing. NULL is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_text_free(text: *mut longattn_text) {
    // SAFETY: the header asks for NULL or a text that nobody else uses.
    let Some(text) = (unsafe { text.as_mut() }) else { return };
    if !text.data.is_null() {
        let bytes = ptr::slice_from_raw_parts_mut(text.data.cast_mut().cast::<u8>(), text.length + 1);
        // SAFETY: the memory came from `Box::into_raw` with this length.
        drop(unsafe { Box::from_raw(bytes) });
    }
    *text = longattn_text { data: ptr::null(), length: 0 };
}

/// A text as C ends it. One that holds a NUL shows it as the replacement character.
pub fn terminated(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).expect("no NUL is left")
}
