//! `longattn calibrate` as a user meets it.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use longattn::choice::Choice;
use longattn::export::{ExportOptions, Layers, export};
use longattn::job::{CalibrationJob, Observer, Progress, ResultDirectory, Stage};
use longattn::model::{Contract, Scorer};
use longattn::{Cancel, Config, ErrorKind};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What of `calibration.json` is measured by the clock.
const TIMED: [&str; 3] = ["seconds_per_window", "hours_per_billion_tokens", "truth_hours_per_billion_tokens"];

/// A working directory with a package of random layers and a corpus of random words.
struct Workplace {
    directory: TempDir,
}

const CATEGORIES: [&str; 2] = ["prose", "verse"];

impl Workplace {
    fn new(layers: &str) -> Self {
        let workplace = Self { directory: tempfile::tempdir().unwrap() };
        workplace.export(&options(layers));
        for (number, category) in CATEGORIES.iter().enumerate() {
            let documents = (0..9).map(|document| text(1000 * number + document, 100 + 50 * document));
            workplace.write_corpus(category, documents);
        }
        workplace
    }

    fn export(&self, options: &ExportOptions) {
        export(&data().join("checkpoints/llama-deep"), &self.path("package"), options).unwrap();
    }

    fn write_corpus(&self, category: &str, texts: impl Iterator<Item = String>) {
        let line = |(document, text): (usize, String)| {
            json!({"id": format!("{category} {document}"), "text": text}).to_string() + "\n"
        };
        let lines: String = texts.enumerate().map(line).collect();
        fs::write(self.path(&format!("{category}.jsonl")), lines).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        command(self.directory.path(), arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it wrote on standard output.
    fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail, and gives its message.
    fn fail(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }

    /// What a calibration found, without what it took.
    fn found(&self, directory: &str) -> Value {
        let text = fs::read(self.path(directory).join("calibration.json")).unwrap();
        let mut found: Value = serde_json::from_slice(&text).unwrap();
        for timed in TIMED {
            found.as_object_mut().unwrap().remove(timed).unwrap();
        }
        found
    }

    fn chart(&self, directory: &str) -> String {
        fs::read_to_string(self.path(directory).join("calibration.svg")).unwrap()
    }

    fn lines(&self, directory: &str) -> Vec<Value> {
        self.json_lines(&format!("{directory}/windows.jsonl"))
    }

    /// Makes the gain of all windows in a journal a function of their dependency strengths, standardised, in two layers.
    fn set_gains(&self, directory: &str, gain: &dyn Fn([f64; 2]) -> f64) {
        let mut lines = self.lines(directory);
        let standardized = |layer: usize| {
            let strength = |line: &Value| line["scores"][1]["layers"][layer]["dependency_strength"].as_f64().unwrap();
            let strengths: Vec<_> = lines.iter().map(strength).collect();
            let count = strengths.len() as f64;
            let mean = strengths.iter().sum::<f64>() / count;
            let deviation = (strengths.iter().map(|strength| (strength - mean).powi(2)).sum::<f64>() / count).sqrt();
            strengths.into_iter().map(|strength| (strength - mean) / deviation).collect::<Vec<_>>()
        };
        let [first, second] = [0, 1].map(standardized);
        for (place, line) in lines.iter_mut().enumerate() {
            line["information_gain"] = json!(gain([first[place], second[place]]));
        }
        let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
        fs::write(self.path(directory).join("windows.jsonl"), text).unwrap();
    }

    fn json_lines(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn options(layers: &str) -> ExportOptions {
    ExportOptions {
        layers: layers.parse::<Layers>().unwrap(),
        tokenizer: Some(data().join("checkpoints/tokenizer.json")),
        overwrite: true,
        ..ExportOptions::default()
    }
}

fn command(directory: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
    command.current_dir(directory).env("ORT_DYLIB_PATH", common::onnxruntime()).stdin(Stdio::null());
    command.args(arguments.split_whitespace());
    command
}

/// Words of the tiny tokenizer, a document's own few among them.
fn text(document: usize, words: usize) -> String {
    let mut state = document as u64 + 1;
    let mut next = |count: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % count
    };
    let words = (0..words).map(|_| match next(2) {
        0 => next(64),
        _ => (document as u64 * 7 + next(5)) % 64,
    });
    words.map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

const USUAL: &str = "calibrate --model package --window 48 --windows 12 prose.jsonl verse.jsonl";

/// The share of pairs of a real and a spliced window of a category in which the real one has the higher value.
fn auc(lines: &[Value], category: &str, value: impl Fn(&Value) -> f64) -> f64 {
    let of = |side: &str| -> Vec<f64> {
        lines.iter().filter(|line| line["category"] == category && line["side"] == side).map(&value).collect()
    };
    let (real, spliced) = (of("real"), of("spliced"));
    let pairs = real.iter().flat_map(|real| spliced.iter().map(move |spliced| f64::from(u8::from(real > spliced))));
    pairs.sum::<f64>() / (real.len() * spliced.len()) as f64
}

#[test]
fn every_layer_and_setting_of_sinks_gets_its_figures() {
    let workplace = Workplace::new("0-2");
    let told = workplace.succeed(&format!("{USUAL} -o result --heads"));
    assert!(told.contains("prose: 12 real windows and 12 spliced, from 9 documents"), "{told}");
    assert!(told.contains("recommendation") || told.contains("Use layer"), "{told}");

    let (found, lines) = (workplace.found("result"), workplace.lines("result"));
    assert_eq!(lines.len(), 2 * 2 * 12);
    let rows = found["rows"].as_array().unwrap();
    let setting = |row: &Value| [&row["layer"], &row["sink_tokens"]].map(|number| number.as_u64().unwrap());
    let settings: Vec<_> = rows.iter().map(setting).collect();
    assert_eq!(settings, [[0, 0], [0, 4], [1, 0], [1, 4], [2, 0], [2, 4]]);
    for row in rows {
        let sink = usize::from(row["sink_tokens"] == 4);
        let layer = row["layer"].as_u64().unwrap() as usize;
        let score = |line: &Value| line["scores"][sink]["layers"][layer].clone();
        for category in CATEGORIES {
            for statistic in ["dependency_strength", "distribution_uniformity"] {
                let estimate = &row[statistic]["categories"][category];
                let [value, low, high] = ["value", "low", "high"].map(|name| estimate[name].as_f64().unwrap());
                let expected = auc(&lines, category, |line| score(line)[statistic].as_f64().unwrap());
                assert!((value - expected).abs() < 1e-12, "{row}");
                assert!(0.0 <= low && low < value && value < high && high <= 1.0, "{row}");
            }
            let head = &row["heads"][1]["categories"][category]["value"];
            let expected = auc(&lines, category, |line| score(line)["head_proportions"][1].as_f64().unwrap());
            assert!((head.as_f64().unwrap() - expected).abs() < 1e-12);
        }
        let strength = &row["dependency_strength"];
        let of_categories = CATEGORIES.map(|category| strength["categories"][category]["value"].as_f64().unwrap());
        let overall = strength["overall"]["value"].as_f64().unwrap();
        assert!((overall - (of_categories[0] + of_categories[1]) / 2.0).abs() < 1e-12);
    }
    let chart = fs::read_to_string(workplace.path("result/calibration.svg")).unwrap();
    assert!(chart.contains("prose") && chart.contains("verse") && chart.contains("all categories"));
}

#[test]
fn scores_of_a_layer_are_those_of_its_own_package() {
    let workplace = Workplace::new("0-2");
    workplace.succeed(&format!("{USUAL} -o three"));
    workplace.export(&options("2"));
    let told = workplace.succeed(&format!("{USUAL} -o one"));
    assert_eq!(told.lines().filter(|line| line.starts_with("│     2 ")).count(), 3 * 2, "{told}");
    for (three, one) in workplace.lines("three").iter().zip(workplace.lines("one")) {
        assert_eq!(three["documents"], one["documents"]);
        for sink in [0, 1] {
            let [three, one] = [&three["scores"][sink]["layers"][2], &one["scores"][sink]["layers"][0]];
            let [three, one] = [three, one].map(|score| score["dependency_strength"].as_f64().unwrap());
            assert!((three - one).abs() < 1e-6 * one, "{three} {one}");
        }
    }
}

#[test]
fn all_contracts_give_the_same_scores() {
    let workplace = Workplace::new("1,2");
    workplace.succeed(&format!("{USUAL} -o expected"));
    for contract in [Contract::Attentions, Contract::Statistics] {
        workplace.export(&ExportOptions { contract, ..options("1,2") });
        workplace.succeed(&format!("{USUAL} -o {}", contract.name()));
        for (found, expected) in workplace.lines(contract.name()).iter().zip(workplace.lines("expected")) {
            for (sink, layer) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let strength =
                    |line: &Value| line["scores"][sink]["layers"][layer]["dependency_strength"].as_f64().unwrap();
                let (found, expected) = (strength(found), strength(&expected));
                assert!((found - expected).abs() < 1e-4 * expected, "{contract:?}: {found} {expected}");
            }
        }
    }
}

#[test]
fn calibrations_depend_on_the_seed_and_not_on_the_order_of_documents() {
    let workplace = Workplace::new("1,2");
    workplace.succeed(&format!("{USUAL} -o first"));
    for category in CATEGORIES {
        let path = workplace.path(&format!("{category}.jsonl"));
        let mut lines: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(|line| line.to_owned() + "\n").collect();
        lines.reverse();
        fs::write(path, lines.concat()).unwrap();
    }
    workplace.succeed(&format!("{USUAL} -o second"));
    assert_eq!(workplace.found("first"), workplace.found("second"));
    workplace.succeed(&format!("{USUAL} -o other --seed 1"));
    assert_ne!(workplace.found("first")["rows"], workplace.found("other")["rows"]);
}

#[test]
fn an_interrupted_calibration_goes_on_where_it_stopped() {
    let workplace = Workplace::new("0-2");
    let arguments = |output: &str| format!("{USUAL} -o {output} --quiet").replace("--windows 12", "--windows 40");
    assert_eq!(workplace.succeed(&arguments("whole")), "");
    let mut child = command(workplace.directory.path(), &arguments("killed")).spawn().unwrap();
    let journal = workplace.path("killed/windows.jsonl");
    while fs::read_to_string(&journal).unwrap_or_default().lines().count() < 2 {
        assert!(child.try_wait().unwrap().is_none() || journal.exists(), "it ended before it began");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What a kill in the middle of a write leaves.
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 10]).unwrap();

    let refused = workplace.fail(&arguments("killed"));
    assert!(refused.contains("--resume") && refused.contains("--overwrite"), "{refused}");
    workplace.succeed(&format!("{} --resume", arguments("killed")));
    assert_eq!(workplace.found("killed"), workplace.found("whole"));
    // Heads and alpha are asked of the scores that are there.
    workplace.succeed(&format!("{} --resume --heads --alpha 0", arguments("killed")));
    let row = &workplace.found("killed")["rows"][0];
    assert_eq!(row["heads"].as_array().unwrap().len(), 4);
    assert_eq!(row["long_distance_dependency_score"], row["dependency_strength"]);
}

#[test]
fn kills_at_any_moment_change_nothing() {
    let workplace = Workplace::new("0-2");
    let arguments = |output: &str| format!("{USUAL} -o {output} --quiet --resume");
    let begun = Instant::now();
    workplace.succeed(&arguments("whole"));
    let took = begun.elapsed();
    for moment in 0..12 {
        let killed = format!("killed-{moment}");
        for part in [moment, 12 - moment] {
            let mut child = command(workplace.directory.path(), &arguments(&killed)).spawn().unwrap();
            std::thread::sleep(took * part / 12);
            child.kill().unwrap();
            child.wait().unwrap();
        }
        workplace.succeed(&arguments(&killed));
        assert_eq!(workplace.found(&killed), workplace.found("whole"), "{moment}");
        assert_eq!(workplace.chart(&killed), workplace.chart("whole"), "{moment}");
        let unique: std::collections::HashSet<_> =
            workplace.lines(&killed).iter().map(|line| line["tokens"].to_string()).collect();
        assert_eq!(unique.len(), workplace.lines(&killed).len(), "a window was scored twice");
    }
}

#[test]
fn results_are_only_gone_on_with_by_what_made_them() {
    let workplace = Workplace::new("1,2");
    workplace.succeed(&format!("{USUAL} -o result"));
    let kept = workplace.lines("result");
    for (arguments, says) in [
        ("--seed 5", "seed was 0 and is 5"),
        ("--pieces 4", "pieces was 8 and is 4"),
        ("--sink-tokens 0,2,4", "calibration_sinks was 0,4 and is 0,2,4"),
        ("--min-distance 20", "min_distance was auto and is 20"),
        ("--text-field text", "text_field was auto and is text"),
    ] {
        let refused = workplace.fail(&format!("{USUAL} -o result --resume {arguments}"));
        assert!(refused.contains(says), "{arguments}: {refused}");
    }
    // The same weights but for one, as a fine-tune has them.
    let weights = fs::read_dir(workplace.path("package")).unwrap().map(|file| file.unwrap().path());
    let weights = weights.max_by_key(|file| file.metadata().unwrap().len()).unwrap();
    let original = fs::read(&weights).unwrap();
    let mut tuned = original.clone();
    let row = embedding(&original, 3).start;
    tuned[row + 1] ^= 1;
    fs::write(&weights, tuned).unwrap();
    let refused = workplace.fail(&format!("{USUAL} -o result --resume"));
    assert!(refused.contains("the digest of the model's package was"), "{refused}");
    fs::write(&weights, original).unwrap();
    assert_eq!(workplace.lines("result"), kept);
    // What only asks the scores another question may differ, as may the order of sinks.
    workplace.succeed(&format!("{USUAL} -o result --resume --sink-tokens 4,0 --standardize min-max"));
    assert_eq!(workplace.lines("result"), kept);
}

#[test]
fn a_job_of_another_kind_is_not_gone_on_with() {
    let workplace = Workplace::new("1");
    workplace.succeed("run --model package --window 48 prose.jsonl -o result");
    let refused = workplace.fail(&format!("{USUAL} -o result"));
    assert!(refused.contains("--overwrite"), "{refused}");
    let refused = workplace.fail(&format!("{USUAL} -o result --resume"));
    assert!(refused.contains("the kind of results was windows and is calibration"), "{refused}");
    workplace.succeed(&format!("{USUAL} -o result --overwrite"));
    assert!(!workplace.path("result/scores.jsonl").exists());
}

#[test]
fn a_directory_has_one_owner() {
    let workplace = Workplace::new("1");
    workplace.succeed(&format!("{USUAL} -o result"));
    let kept = fs::read(workplace.path("result/windows.jsonl")).unwrap();
    let owner = ResultDirectory::open(&workplace.path("result")).unwrap();
    for earlier in ["--resume", "--overwrite", ""] {
        let refused = workplace.fail(&format!("{USUAL} -o result {earlier}"));
        assert!(refused.contains("another process is at work"), "{refused}");
        assert_eq!(fs::read(workplace.path("result/windows.jsonl")).unwrap(), kept);
    }
    drop(owner);
    workplace.succeed(&format!("{USUAL} -o result --resume"));
}

#[test]
fn nothing_of_a_damaged_file_counts() {
    let workplace = Workplace::new("1,2");
    let usual = format!("{USUAL} more");
    fs::create_dir(workplace.path("more")).unwrap();
    let lines: String = (0..12)
        .map(|document| {
            let text = text(500 + document, 400);
            json!({"id": format!("more {document}"), "category": "prose", "text": text}).to_string() + "\n"
        })
        .collect();
    // Stored as it is: a flipped bit garbles a word, and only the checksum at the end tells.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(lines.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let mut damaged = whole.clone();
    let word = whole.windows(3).rposition(|bytes| bytes == b" w1").unwrap();
    damaged[word + 2] ^= 2;
    fs::write(workplace.path("more/shard.jsonl.gz"), &whole).unwrap();
    workplace.succeed(&format!("{usual} -o expected"));
    fs::write(workplace.path("more/shard.jsonl.gz"), &damaged).unwrap();

    let output = workplace.run(&format!("{usual} -o result"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("1 file could not be read to the end"), "{told}");
    let rejects = workplace.json_lines("result/rejects.jsonl");
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert!(rejects[0]["file"].as_str().unwrap().contains("shard.jsonl.gz"), "{rejects:?}");
    let mut found = workplace.found("result");
    assert_eq!(found["files_rejected"].take(), 1);
    workplace.succeed(&format!("{USUAL} -o without"));
    let mut without = workplace.found("without");
    assert_eq!(without["files_rejected"].take(), 0);
    assert_eq!(found, without);

    fs::write(workplace.path("more/shard.jsonl.gz"), &whole).unwrap();
    workplace.succeed(&format!("{usual} -o result --resume"));
    assert_eq!(workplace.found("result"), workplace.found("expected"));
}

#[test]
fn bad_records_are_rejected_and_the_rest_goes_on() {
    let workplace = Workplace::new("1");
    workplace.succeed(&format!("{USUAL} -o expected"));
    let path = workplace.path("prose.jsonl");
    let first = fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned();
    let mut corpus = File::options().append(true).open(path).unwrap();
    write!(corpus, "{{\"id\": 7}}\nno JSON\n{first}\n{{\"id\": 8, \"token_ids\": [1]}}\n").unwrap();
    workplace.succeed(&format!("{USUAL} -o result"));
    let reasons: Vec<_> =
        workplace.json_lines("result/rejects.jsonl").iter().map(|reject| reject["reason"].to_string()).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[2].contains("duplicate id `prose 0`") && reasons[3].contains("no text"), "{reasons:?}");
    let [mut found, mut expected] = ["result", "expected"].map(|directory| workplace.found(directory));
    assert_eq!((found["records_rejected"].take(), expected["records_rejected"].take()), (json!(4), json!(0)));
    assert_eq!(found, expected);
    let refused = workplace.fail(&format!("{USUAL} -o strict --on-error fail"));
    assert!(refused.contains("prose.jsonl:10"), "{refused}");
}

/// Where the embedding of a token stands in a model's file.
fn embedding(model: &[u8], token: usize) -> std::ops::Range<usize> {
    let checkpoint = fs::read(data().join("checkpoints/llama-deep/model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&checkpoint).unwrap();
    let table = tensors.tensor("model.embed_tokens.weight").unwrap();
    let row = table.data().len() / table.shape()[0];
    let bytes = &table.data()[row * token..row * (token + 1)];
    let start = model.windows(row).position(|window| window == bytes).expect("the embedding is stored as it is");
    start..start + row
}

#[test]
fn windows_without_a_finite_score_are_rejected() {
    let workplace = Workplace::new("1,2");
    let tokenizer = fs::read(data().join("checkpoints/tokenizer.json")).unwrap();
    let tokenizer: Value = serde_json::from_slice(&tokenizer).unwrap();
    let token = |word: &str| tokenizer["model"]["vocab"][word].as_u64().unwrap() as usize;
    let weights = fs::read_dir(workplace.path("package")).unwrap().map(|file| file.unwrap().path());
    let weights = weights.max_by_key(|file| file.metadata().unwrap().len()).unwrap();
    let mut model = fs::read(&weights).unwrap();
    let place = embedding(&model, token("w63")).start;
    model[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&weights, model).unwrap();
    // One category meets that word here and there, and another everywhere.
    let without = |document| text(document, 200).replace("w63", "w62");
    let beginning = |document| if document < 2 { format!("w63 {}", without(document)) } else { without(document) };
    workplace.write_corpus("prose", (0..12).map(beginning));
    let everywhere = |document| without(document).replace(' ', " w63 ");
    workplace.write_corpus("verse", (20..32).map(everywhere));
    let output = workplace.run(&format!("{USUAL} -o result"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("left out: too few windows of verse could be scored"), "{told}");
    let found = workplace.found("result");
    let rejects = workplace.json_lines("result/rejects.jsonl");
    assert_eq!(found["windows_rejected"], rejects.len());
    assert_eq!(found["left_out"][0]["category"], "verse");
    let category = &found["categories"][0];
    let scored = category["real_windows"].as_u64().unwrap() + category["spliced_windows"].as_u64().unwrap();
    let lines = workplace.lines("result").iter().filter(|line| line["category"] == "prose").count();
    assert!((16..24).contains(&scored) && scored == lines as u64, "{category}");
    let reject = &rejects[0];
    assert!(reject["reason"].as_str().unwrap().contains("NaN"), "{reject}");
    assert!(reject["file"].as_str().unwrap().ends_with(".jsonl") && reject["line"].is_u64(), "{reject}");
}

/// Stops a calibration after some windows.
struct Stopping {
    after: u64,
    cancel: Cancel,
}

impl Observer for Stopping {
    fn progress(&self, progress: &Progress) {
        if progress.stage == Stage::Scoring && progress.windows == self.after {
            self.cancel.cancel();
        }
    }
}

#[test]
fn the_library_does_the_whole_work() {
    let workplace = Workplace::new("1,2");
    workplace.succeed(&format!("{USUAL} -o expected"));
    let mut config = Config::default();
    let onnxruntime = common::onnxruntime().display().to_string();
    for (key, value) in [
        ("window", "48"),
        ("calibration_windows", "12"),
        ("calibration_sinks", "4,0"),
        ("earlier_results", "resume"),
        ("onnxruntime", &onnxruntime),
    ] {
        config.set(key, value).unwrap();
    }
    let scorer = Arc::new(Scorer::open(&workplace.path("package"), &config).unwrap());
    let inputs = CATEGORIES.map(|category| workplace.path(&format!("{category}.jsonl")));
    let directory = workplace.path("result");
    let mut job = CalibrationJob::open(scorer, &inputs, &directory, &config).unwrap();
    let cancel = Cancel::default();
    let error = job.run(&Stopping { after: 5, cancel: cancel.clone() }, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(workplace.lines("result").len(), 5);
    assert!(!workplace.path("result/calibration.json").exists());

    let found = job.run(&(), &Cancel::default()).unwrap();
    let mut json: Value = serde_json::from_str(&found.to_json()).unwrap();
    for timed in TIMED {
        json.as_object_mut().unwrap().remove(timed).unwrap();
    }
    assert_eq!(json, workplace.found("result"));
    let mut expected = workplace.found("expected");
    expected["model"] = json["model"].clone();
    assert_eq!(json, expected);
    assert_eq!(workplace.lines("result").len(), 2 * 2 * 12);
}

#[test]
fn a_corpus_that_is_too_small_says_what_it_lacks() {
    let workplace = Workplace::new("0,1");
    let refused = workplace.fail("calibrate --model package --window 4000 prose.jsonl -o result");
    assert!(refused.contains("prose has 0 documents of at least 4000 tokens among 9, and takes 2"), "{refused}");
    assert!(refused.contains("smaller window"), "{refused}");

    workplace.write_corpus("single", [text(1, 400)].into_iter());
    let refused = workplace.fail("calibrate --model package --window 48 single.jsonl -o result");
    assert!(refused.contains("single has 1 document of at least 48 tokens among 1"), "{refused}");
    // A category that can be tested is, and what it lacks is told.
    workplace.write_corpus("few", (0..3).map(|document| text(document, 100)));
    let output = workplace.run("calibrate --model package --window 48 --windows 12 few.jsonl single.jsonl -o result");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("left out: single has 1 document"), "{told}");
    assert!(told.contains("few has 9 real windows of the 12 that were asked for"), "{told}");
    assert!(told.contains("3 documents for 8 pieces"), "{told}");
    let found = workplace.found("result");
    assert_eq!(found["left_out"][0]["category"], "single");
    assert!(found["verdict"]["finding"]["too_wide"]["windows_needed"].as_u64().unwrap() > 9);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let workplace = Workplace::new("1");
    for (arguments, says) in [
        ("--pieces 1", "at least 2"),
        ("--pieces 49", "use fewer"),
        ("--sink-tokens 0,40", "40 sink tokens leave nothing far"),
        ("--sink-tokens many", "invalid value"),
        ("--windows 0", "a whole number from 1"),
        ("--truth belief", "it takes spliced, gain"),
        ("--truth gain", "export the checkpoint with --gain"),
    ] {
        let refused = workplace.fail(&format!("{USUAL} -o result {arguments}").replace("--windows 12", ""));
        assert!(refused.contains(says), "{arguments}: {refused}");
    }
    let refused = workplace.fail("calibrate --model package missing.jsonl -o result");
    assert!(refused.contains("missing.jsonl"), "{refused}");
}

#[test]
fn scores_are_compared_with_the_gain_of_real_windows() {
    let workplace = Workplace::new("1,2");
    workplace.export(&ExportOptions { losses: true, ..options("1,2") });
    for category in CATEGORIES {
        workplace.write_corpus(category, (0..12).map(|document| text(document, 300)));
    }
    let arguments = "calibrate --truth gain --model package --window 280 --windows 12 prose.jsonl verse.jsonl";
    let told = workplace.succeed(&format!("{arguments} -o result"));
    assert!(told.contains("prose: 12 real windows, from 12 documents"), "{told}");
    let lines = workplace.lines("result");
    assert!(lines.iter().all(|line| line["side"] == "real"));
    // Spearman's correlation of 12 windows without ties: 1 − 6 Σ d² / (12 · 143).
    let prose: Vec<_> = lines.iter().filter(|line| line["category"] == "prose").collect();
    let ranks = |value: &dyn Fn(&Value) -> f64| -> Vec<f64> {
        let rank = |line: &&Value| prose.iter().filter(|other| value(other) < value(line)).count() as f64;
        prose.iter().map(rank).collect()
    };
    let gains = ranks(&|line| line["information_gain"].as_f64().unwrap());
    let strengths = ranks(&|line| line["scores"][1]["layers"][1]["dependency_strength"].as_f64().unwrap());
    let squares: f64 = gains.iter().zip(&strengths).map(|(a, b)| (a - b).powi(2)).sum();
    let scores = workplace.found("result")["scores"].clone();
    let row = |name: &str| scores.as_array().unwrap().iter().find(|row| row["score"] == name).unwrap();
    let with_itself = row("longfilter_score")["longfilter_score"]["overall"]["value"].as_f64().unwrap();
    assert!((with_itself - 1.0).abs() < 1e-9, "{with_itself}");
    assert!(row("ngram_gain")["best_quarter"].is_f64() && row("compression_ratio")["agreement"].is_object());
    assert!(told.contains("all scores on the same windows"), "{told}");
    let row = &workplace.found("result")["rows"][3];
    assert_eq!((&row["layer"], &row["sink_tokens"]), (&json!(2), &json!(4)));
    let found = row["dependency_strength"]["categories"]["prose"]["value"].as_f64().unwrap();
    assert!((found - (1.0 - 6.0 * squares / (12.0 * 143.0))).abs() < 1e-12, "{found}");

    let refused = workplace.fail(&format!("{arguments} -o short").replace("--window 280", "--window 200"));
    assert!(refused.contains("set window to 257 or more"), "{refused}");
}

#[test]
fn another_model_tells_the_truth() {
    let workplace = Workplace::new("1,2");
    workplace.export(&ExportOptions { losses: true, ..options("1,2") });
    for category in CATEGORIES {
        workplace.write_corpus(category, (0..10).map(|document| text(document, 300)));
    }
    let usual = "calibrate --truth gain --model package --window 280 --windows 10 prose.jsonl verse.jsonl";
    workplace.succeed(&format!("{usual} -o alone"));
    let alone = workplace.lines("alone");
    // With the same weights and tokens, the truth is the same.
    workplace.succeed(&format!("{usual} -o same --truth-model package"));
    for (same, alone) in workplace.lines("same").iter().zip(&alone) {
        for name in ["information_gain", "longfilter_score"] {
            let [same, own, alone] = [&same[name], &same["own_gain"][name], &alone[name]].map(|n| n.as_f64().unwrap());
            assert!((same - alone).abs() < 1e-6 && own == alone, "{name} {same} {own} {alone}");
        }
    }

    // The other one cuts the same texts into pairs of words.
    let mut tokenizer: Value =
        serde_json::from_slice(&fs::read(data().join("checkpoints/tokenizer.json")).unwrap()).unwrap();
    tokenizer["pre_tokenizer"] = json!({
        "type": "Split", "pattern": {"Regex": "w\\d+( w\\d+)?"}, "behavior": "Isolated", "invert": false
    });
    fs::write(workplace.path("pairs.json"), tokenizer.to_string()).unwrap();
    let pairs = ExportOptions { tokenizer: Some(workplace.path("pairs.json")), losses: true, ..options("0") };
    export(&data().join("checkpoints/qwen2-deep"), &workplace.path("other"), &pairs).unwrap();
    let other = format!("{usual} -o other-truth --truth-model other");
    let told = workplace.succeed(&other);
    assert!(told.contains("The gain is that by") && told.contains("beyond ngram_gain"), "{told}");
    assert!(told.contains("Attention adds nothing") || told.contains("Attention tells more"), "{told}");
    let found = workplace.found("other-truth");
    assert!(found["truth_model"].as_str().unwrap().contains("other"), "{}", found["truth_model"]);
    let row = |name: &str| found["scores"].as_array().unwrap().iter().find(|row| row["score"] == name).unwrap();
    for name in ["information_gain", "longfilter_score", "bigram_recurrence", "dependency_strength"] {
        let beyond = &row(name)["beyond_ngram_gain"]["overall"];
        assert!(beyond["low"].as_f64() < beyond["high"].as_f64(), "{name} {beyond}");
    }
    assert!(row("ngram_gain")["beyond_ngram_gain"].is_null());
    for (other, alone) in workplace.lines("other-truth").iter().zip(&alone) {
        assert_eq!(other["own_gain"]["information_gain"], alone["information_gain"]);
        assert_ne!(other["information_gain"], alone["information_gain"]);
    }

    // Another truth is not gone on with, and what cannot tell one is refused.
    let kept = workplace.lines("other-truth");
    workplace.succeed(&format!("{other} --resume"));
    assert_eq!(workplace.lines("other-truth"), kept);
    let changed = workplace.fail(&format!("{other} --resume").replace("--truth-model other", "--truth-model package"));
    assert!(changed.contains("the digest of truth_model was"), "{changed}");
    let gone = workplace.fail(&format!("{usual} -o other-truth --resume"));
    assert!(gone.contains("and is not set"), "{gone}");
    let spliced = workplace.fail(&format!("{usual} -o new --truth-model other").replace("--truth gain", ""));
    assert!(spliced.contains("set truth to gain"), "{spliced}");
    workplace.export(&options("1,2"));
    let silent = workplace.fail(&format!("{usual} -o new --truth-model package"));
    assert!(silent.contains("export the checkpoint with --gain"), "{silent}");
    fs::remove_file(workplace.path("other/tokenizer.json")).unwrap();
    let without = workplace.fail(&format!("{usual} -o new --truth-model other"));
    assert!(without.contains("tokenizer.json"), "{without}");
    // The model that is scored need not tell losses.
    fs::copy(workplace.path("pairs.json"), workplace.path("other/tokenizer.json")).unwrap();
    workplace.succeed(&format!("{usual} -o by-other --truth-model other"));
    let scores = workplace.found("by-other")["scores"].clone();
    assert!(scores.as_array().unwrap().iter().all(|row| row["score"] != "longfilter_score"));
}

#[test]
fn a_score_is_fitted_and_kept_where_it_is_better() {
    let workplace = Workplace::new("1,2");
    workplace.export(&ExportOptions { losses: true, ..options("1,2") });
    for (number, category) in CATEGORIES.iter().enumerate() {
        workplace.write_corpus(category, (0..20).map(|document| text(100 * number + document, 300)));
    }
    let usual = "calibrate --truth gain --model package --window 280 --windows 20 --fit prose.jsonl verse.jsonl";
    let few = workplace.fail(&format!("{usual} -o few").replace("--windows 20", "--windows 12"));
    assert!(few.contains("prose, which has real windows: 12") && few.contains("takes 20 windows"), "{few}");
    let spliced = workplace.fail(&format!("{usual} -o new").replace("--truth gain", ""));
    assert!(spliced.contains("set truth to gain"), "{spliced}");
    let sinks = workplace.fail(&format!("{usual} -o new --sink-tokens 0"));
    assert!(sinks.contains("add 4 to calibration_sinks"), "{sinks}");

    // Two layers tell the gain together, and neither does alone.
    let fitted = workplace.path("package/fitted_score.json");
    workplace.succeed(&format!("{usual} -o result"));
    let kept = |gain: &dyn Fn([f64; 2]) -> f64| {
        let _ = fs::remove_file(&fitted);
        workplace.set_gains("result", gain);
        let told = workplace.succeed(&format!("{usual} -o result --resume"));
        let fit = workplace.found("result")["fit"].clone();
        let worth = |name: &str| fit[name]["overall"]["value"].as_f64().unwrap();
        (told, worth("held_out_documents"), worth("best_feature_agreement"))
    };
    let (told, held_out, best) = kept(&|[first, second]| first - second);
    assert!(told.contains("It is in the package") && held_out > 0.95 && best < 0.9, "{told}");
    // Calibrations do not depend on it, and jobs predict by it.
    workplace.succeed(&format!("{usual} -o result --resume"));
    workplace.succeed("run --model package --window 280 --columns predicted_gain prose.jsonl -o scored");
    let scored = workplace.json_lines("scored/scores.jsonl");
    assert!(scored.iter().all(|line| line["predicted_gain_error"].as_f64().unwrap() > 0.0), "{scored:?}");

    // Nothing is better than the ranks of one feature that are those of the gain.
    let (told, held_out, best) = kept(&|[first, _]| first.exp());
    assert!(held_out <= best && (best - 1.0).abs() < 1e-9, "{held_out} {best}");
    assert!(told.contains("was not kept: use dependency_strength of layer 1") && !fitted.exists(), "{told}");
}

#[test]
fn windows_are_ranked_by_the_gain_that_a_fitted_score_predicts() {
    let workplace = Workplace::new("2");
    let usual = "run --model package --window 48 --columns predicted_gain --by predicted_gain --ratio 0.5 prose.jsonl";
    let without = workplace.fail(&format!("{usual} -o result"));
    assert!(without.contains("no fitted score beside it") && without.contains("calibrate --fit"), "{without}");

    let config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    let package = Scorer::open(&workplace.path("package"), &config).unwrap().package_digest().unwrap().to_string();
    let fitted = |weight: f64| {
        json!({
            "package": package, "layers": [2], "window": 48, "min_distance": 12, "sink_tokens": 4,
            "fitted_score": {
                "features": [
                    {"score": "bigram_recurrence", "mean": 0.1, "deviation": 0.5, "weight": 0.25},
                    {"score": "dependency_strength", "layer": 2, "mean": 0.2, "deviation": 0.01, "weight": weight},
                ],
                "intercept": 1.5, "error": 0.3, "windows": 4, "spread": [[0.0, 0.0], [0.0, 0.5]],
            },
        })
    };
    let file = workplace.path("package/fitted_score.json");
    fs::write(&file, fitted(-0.125).to_string()).unwrap();
    workplace.succeed(&format!("{usual} -o result"));
    let check = |lines: &[Value]| {
        assert!(lines.len() > 5);
        for line in lines {
            let number = |name: &str| line[name].as_f64().unwrap();
            let strength = (number("dependency_strength") - 0.2) / 0.01;
            // No 2-gram of 48 tokens was there 128 tokens before.
            let expected = 1.5 - 0.25 * 0.1 / 0.5 - 0.125 * strength;
            assert!((number("predicted_gain") - expected).abs() < 1e-9, "{line} {expected}");
            let error = 0.3 * (1.25 + 0.5 * strength * strength).sqrt();
            assert!((number("predicted_gain_error") - error).abs() < 1e-9, "{line} {error}");
            assert!(line.get("bigram_recurrence").is_none(), "{line}");
        }
    };
    let lines = workplace.json_lines("result/scores.jsonl");
    check(&lines);
    let gain = |line: &Value| line["predicted_gain"].as_f64().unwrap();
    let selected: Vec<_> = workplace.json_lines("result/selected.jsonl").iter().map(gain).collect();
    let mut gains: Vec<_> = lines.iter().map(gain).collect();
    gains.sort_by(|a, b| b.total_cmp(a));
    let lowest = selected.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(lowest, gains[selected.len() - 1]);
    workplace.succeed("score --model package --window 48 --columns predicted_gain prose.jsonl -o scored.jsonl");
    check(&workplace.json_lines("scored.jsonl"));

    fs::write(&file, fitted(0.5).to_string()).unwrap();
    let changed = workplace.fail(&format!("{usual} -o result --resume"));
    assert!(changed.contains("the digest of the fitted score was"), "{changed}");
    let window = workplace.fail(&format!("{usual} -o new --window 64").replace("--window 48 ", ""));
    assert!(window.contains("fitted to windows of 48 tokens"), "{window}");
    workplace.export(&options("1"));
    fs::write(&file, fitted(0.5).to_string()).unwrap();
    let other = workplace.fail(&format!("{usual} -o new"));
    assert!(other.contains("fitted to other weights or layers"), "{other}");
    fs::write(&file, "{}").unwrap();
    let damaged = workplace.fail(&format!("{usual} -o new"));
    assert!(damaged.contains("is not a fitted score of this version"), "{damaged}");
    let modelless =
        workplace.fail("run --model none --window 48 --columns predicted_gain --by predicted_gain prose.jsonl -o new");
    assert!(modelless.contains("no fitted score"), "{modelless}");
}

#[test]
fn the_default_model_is_calibrated_on_text() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    let options = ExportOptions { layers: "0,3".parse::<Layers>().unwrap(), ..ExportOptions::default() };
    export(&common::default_model(), &package, &options).unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inputs = [project.join("docs"), project.join("src/export")].map(|path| path.display().to_string());
    let arguments = "calibrate --model package --window 128 --windows 8 --sink-tokens 1,0,1 -o result";
    let output = command(directory.path(), arguments).args(inputs).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("docs: 8 real windows and 8 spliced, from 8 documents"), "{told}");
    assert!(told.contains("all categories: the mean of their AUCs"), "{told}");
}
