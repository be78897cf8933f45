//! Windows of the default model by layer and contract: the layers before the scored ones run as well.
//!
//! `cargo bench --bench layers` prints a table, one process for each line. Processor time is that of all threads, from
//! Linux's own account, without loading the model.

#[path = "../tests/common/mod.rs"]
mod common;
mod process;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use longattn::choice::Choice;
use longattn::config::Config;
use longattn::export::{AttentionOperators, ExportOptions, Layers, export};
use longattn::model::{Contract, Scorer};
use process::peak_memory_megabytes;

/// Packages by their layers, contract and operators of the layers before.
const PACKAGES: [(&str, Contract, AttentionOperators); 10] = [
    ("0", Contract::QueryKey, AttentionOperators::Fused),
    ("0", Contract::Statistics, AttentionOperators::Fused),
    ("0", Contract::Statistics, AttentionOperators::Standard),
    ("17", Contract::QueryKey, AttentionOperators::Fused),
    ("17", Contract::QueryKey, AttentionOperators::Standard),
    ("17", Contract::Statistics, AttentionOperators::Fused),
    // All layers run, as in a plain pass, and one is scored.
    ("29", Contract::Statistics, AttentionOperators::Fused),
    ("all", Contract::QueryKey, AttentionOperators::Fused),
    ("all", Contract::Statistics, AttentionOperators::Fused),
    ("all", Contract::Statistics, AttentionOperators::Standard),
];
const LENGTHS: [usize; 3] = [1024, 4096, 8192];

/// Tells a child process which package to score a window with, and how long that is.
const CHILD: &str = "LONGATTN_BENCH_LAYERS";

/// What Linux counts processor time in, each second.
const TICKS: f64 = 100.0;

fn main() {
    if let Ok(window) = std::env::var(CHILD) {
        let (length, package) = window.split_once(' ').expect("a length and a package");
        return score_one_window(length.parse().expect("a number of tokens"), Path::new(package));
    }
    println!(
        "{:<7} {:<11} {:<10} {:>7} {:>9} {:>18} {:>15}",
        "layers", "contract", "attention", "tokens", "seconds", "processor seconds", "peak memory MB"
    );
    for (layers, contract, attention) in PACKAGES {
        let package = package(layers, contract, attention);
        for length in LENGTHS {
            print!("{layers:<7} {:<11} {:<10} ", contract.name(), attention.name());
            std::io::stdout().flush().expect("somewhere to print");
            let executable = std::env::current_exe().expect("the path of this program");
            let child = Command::new(executable).env(CHILD, format!("{length} {}", package.display())).status();
            assert!(child.expect("a child process").success(), "the window of {length} tokens was not scored");
        }
    }
}

fn package(layers: &str, contract: Contract, attention: AttentionOperators) -> PathBuf {
    let name = format!("layers-{layers}-{}-{}", contract.name(), attention.name());
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let layers: Layers = layers.parse().expect("layers");
    let options = ExportOptions { contract, layers, attention, overwrite: true, ..ExportOptions::default() };
    export(&common::default_model(), &package, &options).expect("the default model can be exported");
    package
}

fn score_one_window(length: usize, package: &Path) {
    let config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    let scorer = Scorer::open(package, &config).expect("a package");
    let ids: Vec<_> = (0..length as u32).map(|index| index.wrapping_mul(7919) % 49152).collect();
    let (begun, processor_begun) = (Instant::now(), processor_seconds());
    scorer.score_tokens(&ids).expect("a score");
    let (seconds, processor) = (begun.elapsed().as_secs_f64(), processor_seconds() - processor_begun);
    println!("{length:>7} {seconds:>9.2} {processor:>18.2} {:>15.0}", peak_memory_megabytes());
}

/// Time that all threads of this process have had on processors.
fn processor_seconds() -> f64 {
    let status = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the command, in parentheses, may hold spaces.
    let fields = status.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
