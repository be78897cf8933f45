//! Selection at scale: time and peak memory for many windows in many categories, by the library and by the command.
//!
//! `cargo bench --bench select -- [WINDOWS [CATEGORIES]]`, ten million in a thousand unless told. `LONGATTN=PATH` measures
//! another build of the command. The scores lie in `target/bench-select/`, about 2.3 GB for ten million windows.
//!
//! `cargo bench --bench select -- shards [SHARDS [WINDOWS]]` selects from the results of so many shards with so many windows
//! each, 64 with 100,000 unless told, which takes 5 GB there.

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
use longattn::corpus::{Corpus, Fields};
use longattn::digest::Digest;
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

/// Categories of the windows of shards.
const CATEGORIES: u64 = 8;

/// Windows of a document.
const OF_A_DOCUMENT: u64 = 2;

/// Writes the input file of a shard, and gives the lines of its journal for it.
fn write_input(path: &Path, shard: u64, windows: u64) -> std::io::Result<String> {
    let mut file = BufWriter::new(File::create(path)?);
    let name = format!("corpus/{shard:04}.jsonl");
    let mut journal = format!("{{\"begin\":{{\"name\":\"{name}\",\"category\":\"corpus\"}}}}\n");
    let mut offset = 0;
    for number in 0..windows / OF_A_DOCUMENT {
        let place = shard * windows + number;
        let text = format!("{:016x} {:016x} {:016x}", mixed(place), mixed(place + 1), mixed(place + 2));
        let (id, category) = (format!("{shard:04}/{:08x}", mixed(place) >> 32), mixed(!place) % CATEGORIES);
        let line = format!("{{\"id\":\"{id}\",\"category\":\"category-{category}\",\"text\":\"{text}\"}}\n");
        let digest = &Digest::of(&text).to_string()[..32];
        for window in 0..OF_A_DOCUMENT {
            let place = OF_A_DOCUMENT * place + window;
            let (strength, uniformity) = (0.2 + 0.1 * share(3 * place + 1), -1e-7 * share(3 * place + 2));
            writeln!(
                journal,
                "{{\"window\":{{\"text\":\"{digest}\",\"number\":{window},\"asked\":0,\"token_start\":{},\"bytes\":\
                 {{\"start\":{},\"end\":{}}},\"score\":{{\"token_count\":{TOKENS},\"min_distance\":{},\"sink_tokens\":0,\
                 \"dependency_strength\":{strength},\"distribution_uniformity\":{uniformity},\
                 \"far_square_mass\":{}}}}}}}",
                window * TOKENS as u64,
                17 * window,
                17 * window + 16,
                TOKENS / 4,
                strength / 10.0
            )
            .expect("a string takes all");
        }
        writeln!(
            journal,
            "{{\"document\":{{\"line\":{},\"offset\":{offset},\"id\":\"{id}\",\"category\":\"category-{category}\",\
             \"text\":\"{digest}\",\"tokens\":{},\"windows\":{OF_A_DOCUMENT}}}}}",
            number + 1,
            OF_A_DOCUMENT * TOKENS as u64
        )
        .expect("a string takes all");
        file.write_all(line.as_bytes())?;
        offset += line.len();
    }
    file.flush()?;
    let digest = Digest::of("");
    writeln!(
        journal,
        "{{\"end\":{{\"bytes\":{offset},\"digest\":\"{digest}\",\"rejected\":0,\"rejected_windows\":0,\"duplicates\":0}}}}"
    )
    .expect("a string takes all");
    Ok(journal)
}

/// Writes the results of shards, as `longattn run --shard` would leave them, and gives their directories.
fn write_shards(folder: &Path, shards: u64, windows: u64) -> std::io::Result<Vec<PathBuf>> {
    let corpus = folder.join("corpus");
    fs::create_dir_all(&corpus)?;
    let directories: Vec<_> = (1..=shards).map(|number| folder.join(format!("shard-{number}"))).collect();
    for (directory, number) in directories.iter().zip(1..) {
        fs::create_dir_all(directory)?;
        let journal = write_input(&corpus.join(format!("{:04}.jsonl", number - 1)), number - 1, windows)?;
        fs::write(directory.join("journal.jsonl"), journal)?;
    }
    let listing = Corpus::open(&[&corpus], Fields::default(), &[]).expect("it was just written").listing_digest();
    let digest = Digest::of("");
    for (directory, number) in directories.iter().zip(1..) {
        let finished = format!(
            "{{\"finished\":{{\"inputs\":[\"{}\"],\"listing\":\"{listing}\",\"settings\":{{}},\"model\":{{\"name\":\"\",\
             \"architecture\":\"\",\"layers\":[0],\"heads\":1}}}}}}\n",
            corpus.display()
        );
        File::options().append(true).open(directory.join("journal.jsonl"))?.write_all(finished.as_bytes())?;
        let identity = format!(
            "{{\"longattn\":\"{}\",\"kind\":\"windows\",\"model\":\"\",\"package\":\"{digest}\",\"onnxruntime\":\"\",\
             \"instruction_set\":\"\",\"rows\":\"all\",\"settings\":{{}},\"further\":{{\"shard\":\"{number}/{shards}\"}}}}",
            env!("CARGO_PKG_VERSION")
        );
        fs::write(directory.join("job.json"), identity)?;
    }
    Ok(directories)
}

fn select_from_shards(shards: u64, windows: u64) {
    println!("{shards} shards of {windows} windows, a quarter selected");
    let folder = PathBuf::from(format!("target/bench-select/{shards}-shards-{windows}"));
    let directories = write_shards(&folder, shards, windows).expect("target/ has room for the shards");
    let command = std::env::var("LONGATTN").unwrap_or(env!("CARGO_BIN_EXE_longattn").to_owned());
    let start = Instant::now();
    let output = folder.join("selection");
    let child = Command::new(command).args(["select", "--quiet", "-o"]).arg(&output).args(&directories).spawn();
    let peak = peak_of(child.expect("the command is built"));
    println!("command: {:.1} s, at most {peak:.0} MB", start.elapsed().as_secs_f64());
    fs::remove_dir_all(&folder).expect("it was written here");
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if std::env::args().any(|argument| argument == "shards") {
        let (shards, windows) = (numbers.first(), numbers.get(1));
        return select_from_shards(shards.copied().unwrap_or(64), windows.copied().unwrap_or(100_000));
    }
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
    let selected: usize =
        sorted.rankings(&method).map(|ranking| ranking.expect("ids are unique").count_selected()).sum();
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
