use std::ffi::c_char;

/// The version of the ABI that this header describes, and the number at the end of the library's SONAME. It changes when
/// a program that was built with this header would have to be built again.
pub const LONGATTN_ABI_VERSION: u32 = 0;

/// The library's version, such as "0.1.0": NUL-terminated, and there for ever. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The ABI version of the library that was loaded. Who loads it by hand compares it with LONGATTN_ABI_VERSION; the
/// linker does so by the SONAME. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn longattn_abi_version() -> u32 {
    LONGATTN_ABI_VERSION
}
