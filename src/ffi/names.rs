//! Names by the rules of a job, for those who do some of its work elsewhere.

use std::ffi::c_char;

use super::argument::{Output, path, text};
use super::error::{Status, longattn_error};
use super::guard;
use super::text::longattn_text;
use crate::corpus::category_of;
use crate::job::window_id;

/// Gives the id of a window: its document's, `#`, and its number among the document's windows, from 0. `*id` is the
/// caller's to free. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_window_id(
    document: *const c_char,
    document_length: usize,
    number: usize,
    id: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for memory that holds what the length says and a place to write to.
        let (document, id) = unsafe { (text(document, document_length, "document")?, Output::one(id, "id")?) };
        id.set([window_id(document, number).into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}

/// Gives the category of an input whose documents name none: the name of a folder, whose path ends in a slash, or that of
/// a file without its extension and a suffix of compression. Files found in a folder have the folder's. `*category` is the
/// caller's to free. The input need not be there. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_category_of(
    input: *const c_char,
    input_length: usize,
    category: *mut longattn_text,
    error: *mut *mut longattn_error,
) -> Status {
    let call = || {
        // SAFETY: the header asks for memory that holds what the length says and a place to write to.
        let (input, category) = unsafe { (path(input, input_length, "input")?, Output::one(category, "category")?) };
        category.set([category_of(input).into()]);
        Ok(())
    };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { guard(error, call) }
}
