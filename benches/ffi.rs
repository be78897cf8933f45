//! What the C ABI costs over the Rust API, one scorer, the same windows, both ways in turn; and many windows in one call
//! against the command line.

#[path = "../tests/common/mod.rs"]
mod common;

use std::ffi::{c_char, c_void};
use std::fs;
use std::process::Command;
use std::ptr;
use std::time::{Duration, Instant};

use longattn::Config;
use longattn::model::Scorer;

/// `longattn_score`: 9 numbers and 4 reserved ones.
type Score = [u64; 13];

/// `longattn_input`.
#[repr(C)]
struct Input {
    text: *const c_char,
    text_length: usize,
    ids: *const u32,
    id_count: usize,
}

/// `longattn_result`.
#[repr(C)]
#[derive(Clone)]
struct ManyResult {
    status: i32,
    error: *mut c_void,
    score: Score,
}

/// Windows that are scored in one call.
const MANY: usize = 24;

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
    fn longattn_scorer_score_many(
        scorer: *const c_void,
        inputs: *const Input,
        count: usize,
        cancel: *const c_void,
        progress: *const c_void,
        user_data: *mut c_void,
        results: *mut ManyResult,
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
        let ids = window(length);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            times[0].push(timed(|| _ = rust.score_tokens(&ids).unwrap()));
            times[1].push(timed(|| score(c, &ids)));
        }
        let [rust, c] = times.map(median);
        let share = 100.0 * (c.as_secs_f64() / rust.as_secs_f64() - 1.0);
        println!("{length} tokens: {rust:.1?} in Rust, {c:.1?} in C, {share:+.2} %");
    }
    let many = median((0..3).map(|_| timed(|| score_many(c))).collect());
    let command = median((0..3).map(|_| command(MANY + 1) - command(1)).collect());
    println!(
        "{MANY} windows of 8192: {command:.1?} by the command, {many:.1?} in one call, {:.2} of its throughput",
        command.as_secs_f64() / many.as_secs_f64()
    );
    // SAFETY: the scorer is open and not used any more.
    unsafe { longattn_scorer_free(c) };
}

fn window(length: u32) -> Vec<u32> {
    (0..length).map(|place| place * 7919 % 49152).collect()
}

fn score_many(scorer: *const c_void) {
    let ids = window(8192);
    let input = || Input { text: ptr::null(), text_length: 0, ids: ids.as_ptr(), id_count: ids.len() };
    let inputs: Vec<_> = (0..MANY).map(|_| input()).collect();
    let mut results = vec![ManyResult { status: -1, error: ptr::null_mut(), score: Score::default() }; MANY];
    let (first, place) = (inputs.as_ptr(), results.as_mut_ptr());
    // SAFETY: the scorer is open, and there are as many inputs and results as is said.
    let status = unsafe {
        longattn_scorer_score_many(
            scorer,
            first,
            MANY,
            ptr::null(),
            ptr::null(),
            ptr::null_mut(),
            place,
            ptr::null_mut(),
        )
    };
    assert_eq!(status, 0);
    assert!(results.iter().all(|result| result.status == 0 && result.error.is_null()));
}

/// How long `longattn score` takes for some windows, with its start.
fn command(windows: usize) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("windows.jsonl"), directory.path().join("scores.jsonl"));
    let line =
        |id| serde_json::json!({"id": format!("{id}"), "text": "", "token_ids": window(8192)}).to_string() + "\n";
    fs::write(&input, (0..windows).map(line).collect::<String>()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
    command.args(["score", "--quiet", "--window", "8192", "--model"]).arg(common::scorer_package()).arg(input);
    command.arg("-o").arg(&output).env("ORT_DYLIB_PATH", common::onnxruntime());
    let taken = timed(|| assert!(command.status().unwrap().success()));
    assert_eq!(fs::read_to_string(output).unwrap().lines().count(), windows);
    taken
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
