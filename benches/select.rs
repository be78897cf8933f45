//! Selection at scale: time and peak memory for many windows in many categories, by the library and by the command.
//!
//! `cargo bench --bench select -- [WINDOWS [CATEGORIES]]`, ten million in a thousand unless told. `LONGATTN=PATH` measures
//! another build of the command. The scores lie in `target/bench-select/`, about 2.3 GB for ten million windows.

mod process;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use longattn::Cancel;
use longattn::attention::FarRegion;
use longattn::select::{Candidate, Cut, Method, Selector, StandardErrors, Standardize, in_doubt};

const TOKENS: usize = 32768;

/// Any number, mixed as by SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn share(number: u64) -> f64 {
    (mixed(number) >> 11) as f64 / (1u64 << 53) as f64
}

/// A window's category, `DS` and `DU`; its id is written to `id`.
fn window(place: u64, categories: u64, id: &mut String) -> (u64, f64, f64) {
    id.clear();
    write!(id, "shard-{:04}/{:08x}#{}", place / 10_000, mixed(place) >> 32, place % 7).expect("a string takes all");
    (mixed(!place) % categories, 0.2 + 0.1 * share(3 * place + 1), -1e-7 * share(3 * place + 2))
}

fn write_scores(path: &Path, windows: u64, categories: u64) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = BufWriter::new(File::create(&unfinished)?);
    let mut id = String::new();
    for place in 0..windows {
        let (category, strength, uniformity) = window(place, categories, &mut id);
        writeln!(
            file,
            "{{\"id\":\"{id}\",\"category\":\"category-{category:03}\",\"token_count\":{TOKENS},\"min_distance\":{},\
             \"sink_tokens\":0,\"dependency_strength\":{strength},\"distribution_uniformity\":{uniformity}}}",
            TOKENS / 4
        )?;
    }
    file.flush()?;
    fs::rename(unfinished, path)
}

/// Waits for a process, and gives its peak of memory in megabytes.
fn peak_of(mut child: Child) -> f64 {
    let mut peak = f64::NAN;
    while child.try_wait().expect("the command runs").is_none() {
        peak = process::peak_memory_megabytes_of(child.id()).max(peak);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().expect("the command ran").success(), "longattn select failed");
    peak
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let windows = numbers.first().copied().unwrap_or(10_000_000);
    let categories = numbers.get(1).copied().unwrap_or(1000);
    println!("{windows} windows in {categories} categories, a quarter selected");

    let folder = PathBuf::from("target/bench-select");
    fs::create_dir_all(&folder).expect("target/ can be written to");
    let scores = folder.join(format!("{windows}-{categories}.jsonl"));
    if !scores.exists() {
        write_scores(&scores, windows, categories).expect("target/ has room for the scores");
    }
    let command = std::env::var("LONGATTN").unwrap_or(env!("CARGO_BIN_EXE_longattn").to_owned());
    let start = Instant::now();
    let child = Command::new(command).arg("select").arg(&scores).arg("-o").arg(folder.join("selected.jsonl")).spawn();
    let peak = peak_of(child.expect("the command is built"));
    println!("command: {:.1} s, at most {peak:.0} MB", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let mut selector = Selector::default();
    let (mut id, mut names) = (String::new(), Vec::new());
    names.extend((0..categories).map(|category| format!("category-{category:03}")));
    for place in 0..windows {
        let (category, dependency_strength, distribution_uniformity) = window(place, categories, &mut id);
        let candidate = Candidate {
            id: id.as_str(),
            category: names[category as usize].as_str(),
            token_count: TOKENS as u64,
            far: Some(FarRegion { min_distance: TOKENS / 4, sink_tokens: 0 }),
            dependency_strength,
            distribution_uniformity,
        };
        selector.add(candidate).expect("the scores are finite");
    }
    println!("library: {:.1} s to add all", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let sorted = selector.sorted();
    let method = Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25));
    let selected: usize = sorted.rankings(&method).map(|ranking| ranking.expect("ids are unique").count_selected()).sum();
    println!(
        "library: {:.1} s to select {selected}, at most {:.0} MB",
        start.elapsed().as_secs_f64(),
        process::peak_memory_megabytes()
    );
    drop(sorted);

    // Scores have deviations of 0.03 and 3e-8. As after a first round, and so small that all draws are made.
    for share in [0.05, 1e-12] {
        let errors = StandardErrors { dependency_strength: 0.03 * share, distribution_uniformity: 3e-8 * share };
        let errors = vec![errors; selector.len()];
        let start = Instant::now();
        let doubted = in_doubt(&selector, &errors, &method, 0.99, &Cancel::default()).expect("the scores are finite");
        println!(
            "adaptive: {:.1} s to find {} in doubt, errors {share:e} of the deviations, at most {:.0} MB",
            start.elapsed().as_secs_f64(),
            doubted.len(),
            process::peak_memory_megabytes()
        );
    }
}
