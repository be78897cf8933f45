//! Whether adaptive selections equal the exact ones as often as they promise, and what they cost, on the demo's corpus.
//!
//! `make demo` and then `cargo bench --bench adaptive`. Windows are scored once exactly and once a sample, in several
//! samples of like size a round; these scores are kept in `target/adaptive/`. Then selections are drawn: some of the
//! windows, one of the samples for each, a cut and a weight; and each is refined in rounds until nothing is in doubt.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use longattn::attention::FarRegion;
use longattn::model::Scorer;
use longattn::select::{Candidate, Cut, Method, Rounds, Selector, StandardErrors, Standardize, forecast, in_doubt};
use longattn::{Cancel, Config};
use serde::Deserialize;

/// Selections for each length of window and confidence.
const SELECTIONS: u64 = 400;

/// Like sizes of samples, whose rows are others.
const SIZES: [f64; 3] = [0.9375, 1.0, 1.0625];

/// Windows that costs are measured on.
const TIMED: usize = 8;

#[derive(Deserialize)]
struct Line {
    id: String,
    category: String,
    dependency_strength: f64,
    distribution_uniformity: f64,
    #[serde(default)]
    dependency_strength_error: f64,
    #[serde(default)]
    distribution_uniformity_error: f64,
}

#[derive(Deserialize)]
struct Window {
    token_ids: Vec<u32>,
}

fn lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Vec<T> {
    let lines = BufReader::new(File::open(path).expect("what was written can be read")).lines();
    lines.map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("a line of its kind")).collect()
}

/// What is known of windows of one length.
struct Corpus {
    length: usize,
    rounds: Rounds,
    exact: Vec<Line>,
    /// By round and sample.
    samples: Vec<Vec<Vec<Line>>>,
}

fn longattn(arguments: &[&str], inputs: &[PathBuf], output: &Path) {
    if output.exists() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
    command.args(arguments).args(inputs).arg("--quiet").arg("-o").arg(output);
    let done = command.env("ORT_DYLIB_PATH", common::onnxruntime()).status().expect("the command is built");
    assert!(done.success(), "longattn {arguments:?} failed");
}

fn model() -> &'static str {
    "target/demo/model"
}

fn windows(length: usize) -> PathBuf {
    let texts =
        ["books", "code", "documentation"].map(|name| PathBuf::from(format!("target/demo/corpus/{name}.jsonl")));
    let path = PathBuf::from(format!("target/adaptive/{length}.windows.jsonl"));
    let length = length.to_string();
    longattn(&["windows", "--model", model(), "--window", &length, "--token-ids"], &texts, &path);
    path
}

fn scores(length: usize, rows: &str) -> Vec<Line> {
    let path = PathBuf::from(format!("target/adaptive/{length}-{rows}.jsonl"));
    let windows = [windows(length)];
    let length = length.to_string();
    longattn(&["score", "--model", model(), "--window", &length, "--rows", rows], &windows, &path);
    lines(&path)
}

impl Corpus {
    fn new(length: usize) -> Self {
        let far = FarRegion { min_distance: length / 4, sink_tokens: 0 };
        // Of short windows too, which are scored exactly at once otherwise: the promise is to hold there as well.
        let rounds =
            Rounds::on(length, far, [512, 2048].into_iter().filter(|asked| 2 * asked < length || *asked == 512));
        let sampled = (0..rounds.count() - 1).map(|round| {
            let asked = SIZES.map(|size| (size * rounds.asked(round) as f64) as usize);
            asked.map(|asked| scores(length, &asked.to_string())).into()
        });
        Self { length, exact: scores(length, "all"), samples: sampled.collect(), rounds }
    }

    /// How often errors are greater than so many of the standard errors told.
    fn tell_errors(&self) {
        for (round, samples) in self.samples.iter().enumerate() {
            let ratios = |value: fn(&Line) -> f64, error: fn(&Line) -> f64| -> Vec<f64> {
                let both = samples.iter().flat_map(|sample| sample.iter().zip(&self.exact));
                both.map(|(found, exact)| ((value(found) - value(exact)) / error(found)).abs()).collect()
            };
            for (name, ratios) in [
                ("DS", ratios(|line| line.dependency_strength, |line| line.dependency_strength_error)),
                ("DU", ratios(|line| line.distribution_uniformity, |line| line.distribution_uniformity_error)),
            ] {
                let beyond = |bound: f64| {
                    100.0 * ratios.iter().filter(|ratio| **ratio > bound).count() as f64 / ratios.len() as f64
                };
                let square = ratios.iter().map(|ratio| ratio * ratio).sum::<f64>() / ratios.len() as f64;
                println!(
                    "{} tokens, {} rows, {name}: beyond 2, 3, 4, 6 standard errors {:.2} {:.2} {:.2} {:.2} %, root mean square {:.2}",
                    self.length,
                    self.rounds.asked(round),
                    beyond(2.0),
                    beyond(3.0),
                    beyond(4.0),
                    beyond(6.0),
                    square.sqrt()
                );
            }
        }
    }

    fn try_selections(&self, confidence: f64) {
        let (mut equal, mut equal_at_first, mut done, mut exact_cost, mut told, mut chosen) =
            (0, 0, 0.0, 0.0, 0.0, 0.0);
        let (mut right, mut chosen_equal) = (0, 0);
        for seed in 0..SELECTIONS {
            let mut selection = Selection::draw(self, seed);
            let expected = selection.selected(&Selection::exact(self, &selection.windows));
            equal_at_first += u64::from(selection.selected(&selection.selector) == expected);
            let first = selection.cost;
            let forecast = forecast(
                &selection.selector,
                &selection.errors,
                &selection.reached,
                &self.rounds,
                &selection.method,
                confidence,
                &Cancel::default(),
            )
            .expect("a selection of finite scores");
            selection.refine(confidence);
            let is_equal = selection.selected(&selection.selector) == expected;
            equal += u64::from(is_equal);
            let exact = selection.windows.len() as f64 * self.rounds.cost(self.rounds.count());
            exact_cost += exact;
            done += selection.cost;
            told += first + forecast.adaptive;
            chosen += if forecast.favours_rounds() { selection.cost } else { first + exact };
            chosen_equal += u64::from(is_equal || !forecast.favours_rounds());
            right += u64::from(forecast.favours_rounds() == (selection.cost - first < exact));
        }
        println!(
            "{} tokens, confidence {confidence}: {equal} of {SELECTIONS} equal the exact selection ({equal_at_first} at first); \
             rounds cost {:.0} % of exact scores, told before {:.0} %; by forecast {:.0} %, {chosen_equal} equal, {right} rightly told",
            self.length,
            100.0 * done / exact_cost,
            100.0 * told / exact_cost,
            100.0 * chosen / exact_cost,
        );
    }

    /// What samples cost in exact rows: by window for each row with far keys, and by row drawn.
    fn tell_costs(&self) {
        let ids: Vec<Window> = lines(&windows(self.length));
        let step = ids.len() / TIMED;
        let seconds = |rows: &str| {
            let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
            config.set("window", &self.length.to_string()).expect("a length");
            config.set("rows", rows).expect("a number of rows");
            config.set("threads", "1").expect("a number");
            let scorer = Scorer::open(Path::new(model()), &config).expect("the demo's package");
            let once = || {
                let start = Instant::now();
                for window in ids.iter().step_by(step) {
                    scorer.score_tokens(&window.token_ids).expect("a window of the demo");
                }
                start.elapsed().as_secs_f64()
            };
            (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
        };
        let exact = seconds("all");
        let far_rows = self.rounds.cost(self.rounds.count());
        for share in [16, 8, 4, 2] {
            let rows = self.length / share;
            let seconds = seconds(&rows.to_string());
            println!(
                "{} tokens, {rows} rows: {:.3} of an exact score's time ({far_rows} rows)",
                self.length,
                seconds / exact
            );
        }
    }
}

/// Some windows that compete, and what is known of each so far.
struct Selection<'a> {
    corpus: &'a Corpus,
    /// Places of the windows.
    windows: Vec<usize>,
    /// Which sample each window gets in every round.
    samples: Vec<usize>,
    selector: Selector,
    errors: Vec<StandardErrors>,
    reached: Vec<u8>,
    method: Method,
    cost: f64,
}

impl<'a> Selection<'a> {
    fn draw(corpus: &'a Corpus, seed: u64) -> Self {
        let mut random = Random(seed);
        let share = [0.2, 0.5, 1.0][random.below(3)];
        let windows: Vec<_> =
            (0..corpus.exact.len()).filter(|_| (random.below(1000) as f64) < share * 1000.0).collect();
        let cut = match random.below(4) {
            0 => Cut::Threshold([0.5, 1.0, 1.5][random.below(3)]),
            1 => Cut::Count(1 + random.below(8)),
            _ => Cut::Ratio([0.1, 0.25, 0.5][random.below(3)]),
        };
        let standardize = [Standardize::ZScore, Standardize::ZScore, Standardize::MinMax][random.below(3)];
        let method = Method::new(standardize, [0.0, 0.5, 1.0][random.below(3)], cut);
        let samples: Vec<_> = windows.iter().map(|_| random.below(SIZES.len())).collect();
        let mut selector = Selector::default();
        let mut errors = Vec::new();
        for (window, sample) in windows.iter().zip(&samples) {
            let line = &corpus.samples[0][*sample][*window];
            add(&mut selector, line);
            errors.push(errors_of(line));
        }
        let cost = windows.len() as f64 * corpus.rounds.cost(0);
        let reached = vec![0; windows.len()];
        Self { corpus, windows, samples, selector, errors, reached, method, cost }
    }

    fn exact(corpus: &Corpus, windows: &[usize]) -> Selector {
        let mut selector = Selector::default();
        windows.iter().for_each(|window| add(&mut selector, &corpus.exact[*window]));
        selector
    }

    fn selected(&self, selector: &Selector) -> Vec<usize> {
        let sorted = selector.sorted();
        let rankings = sorted.rankings(&self.method).map(|ranking| ranking.expect("ids are unique"));
        let mut selected: Vec<_> =
            rankings.flat_map(|ranking| ranking.selected().map(|window| window.ordinal).collect::<Vec<_>>()).collect();
        selected.sort_unstable();
        selected
    }

    fn refine(&mut self, confidence: f64) {
        loop {
            let cancel = Cancel::default();
            let doubted = in_doubt(&self.selector, &self.errors, &self.method, confidence, &cancel);
            let doubted = doubted.expect("a selection of finite scores");
            if doubted.is_empty() {
                return;
            }
            for ordinal in doubted {
                self.reached[ordinal] += 1;
                let (window, round) = (self.windows[ordinal], usize::from(self.reached[ordinal]));
                let sampled = self.corpus.samples.get(round).map(|samples| &samples[self.samples[ordinal]][window]);
                let line = sampled.unwrap_or(&self.corpus.exact[window]);
                let rescored = self.selector.rescore(ordinal, line.dependency_strength, line.distribution_uniformity);
                rescored.expect("finite scores");
                self.errors[ordinal] = errors_of(line);
                self.cost += self.corpus.rounds.cost(round);
            }
        }
    }
}

fn add(selector: &mut Selector, line: &Line) {
    let Line { dependency_strength, distribution_uniformity, .. } = *line;
    let (id, category) = (line.id.as_str(), line.category.as_str());
    let candidate = Candidate { id, category, token_count: 0, far: None, dependency_strength, distribution_uniformity };
    selector.add(candidate).expect("finite scores");
}

fn errors_of(line: &Line) -> StandardErrors {
    StandardErrors {
        dependency_strength: line.dependency_strength_error,
        distribution_uniformity: line.distribution_uniformity_error,
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * count as u128) >> 64) as usize
    }
}

fn main() {
    fs::create_dir_all("target/adaptive").expect("target/ can be written to");
    for length in [2048, 8192] {
        let corpus = Corpus::new(length);
        corpus.tell_costs();
        corpus.tell_errors();
        for confidence in [0.9, 0.99] {
            corpus.try_selections(confidence);
        }
    }
}
