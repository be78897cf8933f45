//! One door of the library, that of the variable `DOOR`, for libFuzzer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

mod doors;

static DOOR: LazyLock<&doors::Door> = LazyLock::new(|| {
    let name = std::env::var("DOOR").expect("DOOR names what is to be tried");
    doors::DOORS.iter().find(|door| door.name == name).expect("there is such a door")
});

fuzz_target!(|bytes: &[u8]| (DOOR.enter)(bytes));
