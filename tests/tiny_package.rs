//! The scorer packages in tests/data/tiny, for tests in languages that have no exporter: they still open, and they are
//! what a tiny random checkpoint becomes.

#[path = "common/tiny.rs"]
#[allow(dead_code)]
mod tiny;

use std::fs;
use std::path::Path;

use candle_core::quantized::GgmlDType;
use longattn::choice::Choice;
use longattn::export::{ExportOptions, export};
use longattn::model::Contract;

/// Set to write the packages anew instead of checking them.
const UPDATE: &str = "LONGATTN_UPDATE_TINY";

#[test]
fn the_tiny_packages_are_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = directory.path().join("tiny.gguf");
    tiny::Tiny::new(32, GgmlDType::F32).write(&checkpoint);
    for (name, contract) in Contract::NAMES {
        let made = directory.path().join(name);
        // What is folded may differ in its last bits from machine to machine.
        let options = ExportOptions { contract: *contract, fold: false, ..ExportOptions::default() };
        export(&checkpoint, &made, &options).unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny").join(name);
        fs::create_dir_all(&kept).unwrap();
        for file in fs::read_dir(&made).unwrap() {
            let (made, kept) = (file.as_ref().unwrap().path(), kept.join(file.unwrap().file_name()));
            if std::env::var_os(UPDATE).is_some() {
                fs::copy(&made, &kept).unwrap();
            }
            let same = fs::read(&made).unwrap() == fs::read(&kept).unwrap_or_default();
            assert!(same, "{} is stale: run {UPDATE}=1 cargo test --release --test tiny_package", kept.display());
        }
    }
}
