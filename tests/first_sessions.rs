//! Threads that are the first to open packages, all at once. ONNX Runtime is loaded once for a process, so this test has one
//! of its own.

mod common;

use std::path::Path;
use std::sync::Barrier;
use std::thread;

use longattn::config::Config;
use longattn::model::Scorer;

const THREADS: usize = 16;

#[test]
fn threads_that_open_first_do_not_get_in_each_others_way() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key");
    let config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                Scorer::open(&package, &config).unwrap();
            });
        }
    });
}
