//! Megabytes of text a second on their way to tokens and windows, stage by stage, beside the `tokenizers` library alone.
//!
//! `cargo bench --bench tokenize -- [FILE…]` takes JSON lines with a `text`, those of `make demo` unless told. Each round opens
//! the tokenizer anew, so that no words are known before. Processor time is that of all threads, from Linux's own account: what
//! else the machine does hardly changes it. `LONGATTN=PATH` measures another build of the command.

#[path = "../tests/common/mod.rs"]
mod common;
mod process;
mod texts;

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use longattn::tokenizer::Tokenizer;
use rayon::prelude::*;
use serde_json::{Value, json};

const ROUNDS: usize = 3;

/// How often the documents are in the corpus that the command is measured on, under other ids.
const TIMES: usize = 16;

/// What Linux counts processor time in, each second.
const TICKS: f64 = 100.0;

fn main() {
    let texts = texts::of_arguments();
    let bytes: usize = texts.iter().map(String::len).sum();
    let package = common::scorer_package();
    let file = package.join("tokenizer.json");
    println!("{} documents of {:.1} MB; best of {ROUNDS} rounds", texts.len(), bytes as f64 / 1e6);
    println!("{:<44} {:>14} {:>24}", "", "MB a second", "MB a processor second");

    let library = || tokenizers::Tokenizer::from_file(&file).expect("a tokenizer");
    let one_by_one = |library: tokenizers::Tokenizer| {
        texts.iter().map(|text| library.encode(text.as_str(), false).expect("tokens").len()).sum()
    };
    let theirs = measure("the library, one thread", bytes, library, one_by_one);
    measure("the library, its batches on all cores", bytes, library, |library| {
        let texts = texts.iter().map(String::as_str).collect();
        let encodings = library.encode_batch(texts, false).expect("tokens");
        encodings.iter().map(|encoding| encoding.len()).sum()
    });
    let ours = || Tokenizer::open(&file).expect("a tokenizer");
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let tokens = |tokenizer: &Tokenizer, text: &String| tokenizer.tokenize(text).expect("tokens").ids().len();
    let found = measure("longattn, one thread", bytes, ours, |tokenizer| {
        one_thread.install(|| texts.iter().map(|text| tokens(&tokenizer, text)).sum())
    });
    assert_eq!(theirs.tokens, found.tokens);
    println!("{:<44} {:>13.1}x", "  as often as the library", theirs.processor / found.processor);
    measure("longattn, all cores", bytes, ours, |tokenizer| {
        texts.par_iter().map(|text| tokens(&tokenizer, text)).sum()
    });
    let all: String = texts.concat();
    measure("longattn, all in one document, all cores", bytes, ours, |tokenizer| tokens(&tokenizer, &all));

    let corpus = corpus(&texts);
    let bytes = bytes * TIMES;
    measure("reading JSON lines from zstd, one thread", bytes, || (), |()| decompressed(&corpus).len());
    let lines = decompressed(&corpus);
    measure(
        "parsing JSON lines, one thread",
        bytes,
        || (),
        |()| {
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines
                .map(|line| serde_json::from_slice::<Value>(line).expect("JSON")["text"].as_str().map_or(0, str::len))
                .sum()
        },
    );
    windows(&corpus, &package, bytes);
}

struct Measured {
    tokens: usize,
    processor: f64,
}

/// Prints and gives the best of some rounds.
fn measure<T>(name: &str, bytes: usize, open: impl Fn() -> T, work: impl Fn(T) -> usize) -> Measured {
    let mut best = (f64::INFINITY, f64::INFINITY);
    let mut tokens = 0;
    for _ in 0..ROUNDS {
        let opened = open();
        let (begun, processor) = (Instant::now(), processor_time("self"));
        tokens = std::hint::black_box(work(opened));
        best = (best.0.min(begun.elapsed().as_secs_f64()), best.1.min(processor_time("self") - processor));
    }
    print_rates(name, bytes, best.0, best.1);
    Measured { tokens, processor: best.1 }
}

fn print_rates(name: &str, bytes: usize, seconds: f64, processor: f64) {
    let rate = |seconds: f64| bytes as f64 / 1e6 / seconds;
    println!("{name:<44} {:>14.1} {:>24.1}", rate(seconds), rate(processor));
}

/// The texts, again and again, as JSON lines in zstd.
fn corpus(texts: &[String]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tokenize.jsonl.zst");
    let file = BufWriter::new(File::create(&path).expect("a new file"));
    let mut lines = zstd::Encoder::new(file, 0).expect("an encoder");
    for time in 0..TIMES {
        for (number, text) in texts.iter().enumerate() {
            writeln!(lines, "{}", json!({"id": format!("{time}-{number}"), "text": text})).expect("room");
        }
    }
    lines.finish().and_then(|mut file| file.flush()).expect("room");
    path
}

fn decompressed(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    zstd::Decoder::new(File::open(file).expect("the corpus")).expect("zstd").read_to_end(&mut bytes).expect("zstd");
    bytes
}

/// The command `longattn windows`, from start to end, on one thread and on all cores.
fn windows(corpus: &Path, package: &Path, bytes: usize) {
    let command = std::env::var_os("LONGATTN").unwrap_or_else(|| env!("CARGO_BIN_EXE_longattn").into());
    let output = corpus.with_extension("windows");
    for (name, threads) in [("longattn windows, one thread", Some("1")), ("longattn windows, all cores", None)] {
        let mut command = Command::new(&command);
        command.args(["windows", "--window", "8192", "--quiet"]).arg("--model").arg(package).arg(corpus);
        command.arg("--output").arg(&output);
        command.args(threads.map(|threads| ["--threads", threads]).into_iter().flatten());
        let (begun, processor) = (Instant::now(), processor_time_of_children());
        assert!(command.status().expect("the command").success());
        print_rates(name, bytes, begun.elapsed().as_secs_f64(), processor_time_of_children() - processor);
    }
}

fn processor_time(process: &str) -> f64 {
    ticks(process, 11) + ticks(process, 12)
}

/// Of those children that have ended.
fn processor_time_of_children() -> f64 {
    ticks("self", 13) + ticks("self", 14)
}

/// A field of Linux's account of a process, counted behind its name, in seconds.
fn ticks(process: &str, field: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields
        .split_whitespace()
        .nth(field)
        .and_then(|ticks| ticks.parse::<f64>().ok())
        .map_or(f64::NAN, |ticks| ticks / TICKS)
}
