//! What the C ABI costs over the Rust API: one scorer, the same windows, both ways in turn.

#[path = "../tests/common/mod.rs"]
mod common;

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use longattn::Config;
use longattn::model::Scorer;

/// `longattn_score`: 9 numbers and 4 reserved ones.
type Score = [u64; 13];

unsafe extern "C" {
    fn longattn_scorer_open(
        path: *const c_char,
        path_length: usize,
        config: *const c_void,
        scorer: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn longattn_scorer_score_tokens(
        scorer: *const c_void,
        ids: *const u32,
        id_count: usize,
        score: *mut Score,
        error: *mut *mut c_void,
    ) -> i32;
    fn longattn_scorer_free(scorer: *mut c_void);
}

fn main() {
    let package = common::scorer_package();
    let mut config = Config::default();
    config.set("onnxruntime", common::onnxruntime().to_str().unwrap()).unwrap();
    let rust = Scorer::open(&package, &config).unwrap();
    let c = open(package.to_str().unwrap());
    for (length, rounds) in [(64, 4000), (8192, 10)] {
        let ids: Vec<u32> = (0..length).map(|place| place * 7919 % 49152).collect();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            times[0].push(timed(|| _ = rust.score_tokens(&ids).unwrap()));
            times[1].push(timed(|| score(c, &ids)));
        }
        let [rust, c] = times.map(median);
        let share = 100.0 * (c.as_secs_f64() / rust.as_secs_f64() - 1.0);
        println!("{length} tokens: {rust:.1?} in Rust, {c:.1?} in C, {share:+.2} %");
    }
    // SAFETY: the scorer is open and not used any more.
    unsafe { longattn_scorer_free(c) };
}

fn open(package: &str) -> *mut c_void {
    let mut scorer = ptr::null_mut();
    let path = package.as_ptr().cast();
    // SAFETY: the path has this length, the defaults are asked for, and the error is not wanted.
    let status = unsafe { longattn_scorer_open(path, package.len(), ptr::null(), &mut scorer, ptr::null_mut()) };
    assert_eq!(status, 0);
    scorer
}

fn score(scorer: *const c_void, ids: &[u32]) {
    let mut score = Score::default();
    // SAFETY: the scorer is open, and the score has the size that the header gives it.
    let status = unsafe { longattn_scorer_score_tokens(scorer, ids.as_ptr(), ids.len(), &mut score, ptr::null_mut()) };
    assert_eq!((status, score[0]), (0, ids.len() as u64));
}

fn timed(call: impl FnOnce()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
