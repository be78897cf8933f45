//! The C header is made from the sources of the C ABI.

use std::fs;
use std::path::{Path, PathBuf};

use cbindgen::{Builder, Config};

/// Set to write the header anew instead of checking it.
const UPDATE: &str = "LONGATTN_UPDATE_HEADER";

/// The sources, in the order in which the header lists what they define.
const SOURCES: [&str; 18] = [
    "version.rs",
    "error.rs",
    "text.rs",
    "config.rs",
    "tokens.rs",
    "windows.rs",
    "cancel.rs",
    "score.rs",
    "scorer.rs",
    "layers.rs",
    "losses.rs",
    "details.rs",
    "selector.rs",
    "job.rs",
    "calibration.rs",
    "names.rs",
    "log.rs",
    "command.rs",
];

fn header(root: &Path) -> String {
    let config = Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = Builder::new().with_config(config).with_src(statuses(root));
    let builder = SOURCES.iter().fold(builder, |builder, source| builder.with_src(root.join("src/ffi").join(source)));
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

/// The statuses are the kinds of errors and, before them, success.
fn statuses(root: &Path) -> PathBuf {
    const KINDS: &str = "pub enum ErrorKind {";
    let source = fs::read_to_string(root.join("src/error.rs")).unwrap();
    let (before, kinds) = source.split_once(KINDS).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("status.rs");
    fs::write(&path, format!("{before}{KINDS}\n/// The call did all that it should.\nOk = 0,{kinds}")).unwrap();
    path
}

#[test]
fn the_header_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("include/longattn.h");
    let header = header(root);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &header).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == header, "include/longattn.h is stale: run {UPDATE}=1 cargo test --release --test header");
}
