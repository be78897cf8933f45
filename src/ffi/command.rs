use std::ffi::{CStr, OsString, c_char, c_int};
use std::io::{self, Write};
use std::panic::catch_unwind;

use super::argument::{array, path};
use crate::command;
use crate::error::Result;

/// The exit status of a Rust program that panics.
const EXIT_PANIC: u8 = 101;

/// Is the command `longattn`, for a package that carries the library alone: takes the arguments of main(), the program's name
/// first, reads and writes the standard streams, and returns the exit status: 0 for success, 1 for a failure, 2 for a wrong
/// command line, 130 for an interrupt.
///
/// It is for a program that does nothing else. It handles SIGINT from then on: the first one stops the work, a second one ends
/// the process. A library that was built without the feature `cli` lacks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn longattn_main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    // SAFETY: the header asks for the arguments of main().
    let status = match unsafe { arguments(argc, argv) } {
        // A panic has told of itself.
        Ok(arguments) => catch_unwind(|| command::main(arguments)).unwrap_or(EXIT_PANIC),
        Err(error) => {
            eprintln!("error: {error}");
            command::EXIT_USAGE
        }
    };
    // At the end of a program Rust does this by itself, if it is one of Rust's. Where nobody reads on, nobody misses it.
    _ = io::stdout().flush();
    status.into()
}

/// # Safety
/// `argv` is NULL, or valid for reads of `argc` pointers, each NULL or to a text that ends in NUL.
unsafe fn arguments(argc: c_int, argv: *mut *mut c_char) -> Result<Vec<OsString>> {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the same promise.
    let pointers = unsafe { array(argv.cast_const(), count, "argv") }?;
    let argument = |pointer: &*mut c_char| {
        // SAFETY: the text ends in NUL, and NULL stands for none.
        let length = if pointer.is_null() { 0 } else { unsafe { CStr::from_ptr(*pointer) }.count_bytes() };
        // SAFETY: the pointer is NULL or valid for so many bytes.
        Ok(unsafe { path(*pointer, length, "an argument") }?.as_os_str().to_owned())
    };
    pointers.iter().map(argument).collect()
}
