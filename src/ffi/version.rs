use std::ffi::c_char;

/// The version of the ABI that this header describes: the minor number of the library's version before 1.0, and 100 times the
/// major number from then on. It changes, and the library's SONAME with it, when a program that was built with this header would
/// have to be built again.
pub const LONGATTN_ABI_VERSION: u32 = 1;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_abi_is_that_of_the_version() {
        let number = |text: &str| text.parse::<u32>().unwrap();
        let abi_version = match number(env!("CARGO_PKG_VERSION_MAJOR")) {
            0 => number(env!("CARGO_PKG_VERSION_MINOR")),
            major => 100 * major,
        };
        assert_eq!(longattn_abi_version(), abi_version);
    }
}
