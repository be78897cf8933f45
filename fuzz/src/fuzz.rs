//! One door of the library, that of the variable `DOOR`, for libFuzzer. What gets through it is written to the folder `SEEDS`.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

mod doors;

static DOOR: LazyLock<&doors::Door> = LazyLock::new(|| {
    let name = std::env::var("DOOR").expect("DOOR names what is to be tried");
    doors::DOORS.iter().find(|door| door.name == name).expect("there is such a door")
});

fn write_seeds() {
    let folder = PathBuf::from(std::env::var_os("SEEDS").expect("SEEDS names a folder"));
    fs::create_dir_all(&folder).expect("the folder can be made");
    for (number, seed) in (DOOR.seeds)().into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:03}")), seed).expect("there is room");
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| (DOOR.enter)(bytes));
