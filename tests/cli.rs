//! The command line as a user meets it.

mod common;
#[path = "common/tiny.rs"]
#[allow(dead_code)]
mod tiny;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use candle_core::quantized::GgmlDType;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A working directory with a corpus of two categories, made of texts that the project holds itself.
struct Workplace {
    directory: TempDir,
    package: PathBuf,
}

impl Workplace {
    fn new() -> Self {
        let workplace = Self { directory: tempfile::tempdir().unwrap(), package: common::scorer_package() };
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (category, files) in [
            ("licences", ["LICENSE-APACHE", "LICENSE-MIT"].as_slice()),
            ("code", ["src/score.rs", "src/config.rs", "tests/cli.rs"].as_slice()),
        ] {
            fs::create_dir_all(workplace.path("corpus").join(category)).unwrap();
            for file in files {
                let name = Path::new(file).file_name().unwrap();
                fs::copy(project.join(file), workplace.path("corpus").join(category).join(name)).unwrap();
            }
        }
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A command, its arguments separated by spaces; `MODEL` stands for the scorer package.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
        command.current_dir(self.directory.path()).env("ORT_DYLIB_PATH", common::onnxruntime()).stdin(Stdio::null());
        let package = self.package.display().to_string();
        command.args(arguments.split_whitespace().map(|argument| argument.replace("MODEL", &package)));
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it wrote on standard error.
    fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "longattn {arguments} failed: {told}");
        told
    }

    /// Runs a command that must fail, and gives its message.
    fn fail(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "longattn {arguments} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs a line of shell, in which `longattn` is the command and `MODEL` the scorer package.
    fn shell(&self, line: &str) -> Output {
        let line =
            line.replace("longattn", env!("CARGO_BIN_EXE_longattn")).replace("MODEL", self.package.to_str().unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", &line]).current_dir(self.directory.path());
        shell.env("ORT_DYLIB_PATH", common::onnxruntime()).output().unwrap()
    }
}

fn texts<'a>(lines: &'a [Value], field: &str) -> Vec<&'a str> {
    lines.iter().map(|line| line[field].as_str().unwrap()).collect()
}

fn last_line(told: &str) -> &str {
    told.lines().last().unwrap_or_default()
}

#[test]
fn run_does_the_whole_job() {
    let workplace = Workplace::new();
    let told = workplace.succeed("run --model MODEL --window 256 --ratio 0.5 corpus/licences corpus/code -o result");
    let (scores, selected) = (workplace.lines("result/scores.jsonl"), workplace.lines("result/selected.jsonl"));
    let balance = format!(
        "5 documents = 5 cut into windows + 0 too short + 0 rejected; {} windows = {} selected + {} not selected",
        scores.len(),
        selected.len(),
        scores.len() - selected.len()
    );
    assert_eq!(last_line(&told), balance);
    assert!(fs::read_to_string(workplace.path("result/report.html")).unwrap().contains("licences"));
    assert!(!workplace.path("result/rejects.jsonl").exists());

    for category in ["licences", "code"] {
        let of = |lines: &[Value]| lines.iter().filter(|line| line["category"] == category).count();
        assert_eq!(of(&selected), of(&scores) / 2);
    }
    for line in &selected {
        let document = fs::read_to_string(workplace.path("corpus").join(line["document"].as_str().unwrap())).unwrap();
        assert!(document.contains(line["content"].as_str().unwrap()));
        assert_eq!(line["token_count"], 256);
        assert_eq!(line["min_distance"], 64);
        assert!(line["lds"].is_f64());
    }
}

#[test]
fn the_steps_give_what_run_gives() {
    let workplace = Workplace::new();
    workplace.succeed("run --model MODEL --window 256 --count 4 corpus/licences corpus/code -o result");
    let expected = workplace.lines("result/selected.jsonl");

    workplace.succeed("windows --model MODEL --window 256 --token-ids corpus/licences corpus/code -o windows.jsonl");
    workplace.succeed("score --model MODEL --window 256 windows.jsonl -o scores.jsonl --per-head");
    workplace.succeed("select --count 4 scores.jsonl --windows windows.jsonl -o selected.jsonl");
    let piped = workplace.shell(
        "longattn windows --model MODEL --window 256 --token-ids corpus/licences corpus/code --quiet \
         | longattn score --model MODEL --window 256 --keep-fields --quiet | longattn select --count 4 -o piped.jsonl",
    );
    assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));
    for found in [workplace.lines("selected.jsonl"), workplace.lines("piped.jsonl")] {
        assert_eq!(found.len(), 8);
        for (found, expected) in found.iter().zip(&expected) {
            for field in ["id", "category", "content", "dependency_strength", "distribution_uniformity", "lds"] {
                assert_eq!(found[field], expected[field]);
            }
        }
    }
    let heads = &workplace.lines("scores.jsonl")[0]["head_proportions"];
    assert_eq!(heads.as_array().unwrap().len(), 9);
}

#[test]
fn a_profile_is_written_where_it_was_asked_for() {
    let workplace = Workplace::new();
    workplace.succeed("windows --model MODEL --window 256 --token-ids corpus/licences -o windows.jsonl");
    workplace.succeed("score --model MODEL --window 256 windows.jsonl -o plain.jsonl --per-head");
    workplace.succeed("score --model MODEL --window 256 --profile true windows.jsonl -o mean.jsonl");
    workplace.succeed("score --model MODEL --window 256 --profile true windows.jsonl -o heads.jsonl --per-head");
    workplace.succeed("run --model MODEL --window 256 --profile true corpus/licences -o result");
    let [plain, mean, heads, run] =
        ["plain.jsonl", "mean.jsonl", "heads.jsonl", "result/scores.jsonl"].map(|file| workplace.lines(file));
    for index in 0..plain.len() {
        let profile = mean[index]["distance_profile"].as_array().unwrap();
        assert_eq!(profile.len(), 9);
        let far: f64 = profile[7..].iter().map(|share| share.as_f64().unwrap()).sum();
        assert!((far / plain[index]["dependency_strength"].as_f64().unwrap() - 1.0).abs() < 1e-5);
        assert_eq!(heads[index]["distance_profile"], mean[index]["distance_profile"]);
        assert_eq!(heads[index]["head_distance_profiles"].as_array().unwrap().len(), 9);
        assert_eq!(run[index]["distance_profile"], mean[index]["distance_profile"]);
        assert!(plain[index].get("distance_profile").is_none());
        assert!(mean[index].get("head_distance_profiles").is_none());
    }
}

#[test]
fn bad_records_never_lose_the_good_ones() {
    let workplace = Workplace::new();
    let long = "one two three four five six seven eight nine ten ".repeat(20);
    let good = |id: &str| json!({"id": id, "text": long}).to_string();
    let mut corpus = [
        good("first"),
        "{\"id\": \"broken\", \"text\": \"…".to_owned(),
        json!({"id": "nothing", "body": "no text"}).to_string(),
        json!({"id": "empty", "text": ""}).to_string(),
        json!({"id": "one token", "text": "a"}).to_string(),
        json!({"id": "short", "text": "too short for a window"}).to_string(),
        good("first"),
        good("last"),
    ]
    .join("\n")
    .into_bytes();
    corpus.extend(b"\n{\"id\": \"not text\", \"text\": \"\xff\xfe\"}\n");
    workplace.write("mixed.jsonl", corpus);
    let told = workplace.succeed("run --model MODEL --window 64 --ratio 1 mixed.jsonl -o result");
    let windows = workplace.lines("result/selected.jsonl").len();
    assert_eq!(
        last_line(&told),
        format!(
            "9 documents = 2 cut into windows + 3 too short + 4 rejected; {windows} windows = {windows} selected + 0 not selected"
        )
    );
    let rejects = workplace.lines("result/rejects.jsonl");
    let places: Vec<_> = rejects.iter().map(|reject| reject["line"].as_u64().unwrap()).collect();
    assert_eq!(places, [2, 3, 7, 9]);
    let reasons = texts(&rejects, "reason");
    assert!(reasons[1].contains("--text-field"), "{reasons:?}");
    assert!(reasons[2].contains("duplicate id `first`, first seen at mixed.jsonl:1"), "{reasons:?}");
    assert!(reasons[3].contains("invalid UTF-8"), "{reasons:?}");
    assert!(told.contains("4 rejects in result/rejects.jsonl"), "{told}");
}

#[test]
fn short_windows_are_rejected_by_score() {
    let workplace = Workplace::new();
    workplace.write("windows.jsonl", "{\"id\": 1, \"text\": \"\"}\n{\"id\": 2, \"text\": \"a\"}\n{\"id\": 3, \"text\": \"a b c\"}\n{\"id\": 4, \"token_ids\": [1, 99999]}\n");
    let told = workplace.succeed("score --model MODEL windows.jsonl -o scores.jsonl");
    assert_eq!(last_line(&told), "4 windows = 1 scored + 3 rejected");
    assert_eq!(workplace.lines("scores.jsonl")[0]["id"], "3");
    let reasons = workplace.lines("scores.rejects.jsonl");
    assert!(texts(&reasons, "reason")[0].contains("0 tokens are too few"));
    assert!(texts(&reasons, "reason")[1].contains("1 tokens are too few"));
    assert!(texts(&reasons, "reason")[2].contains("id 99999"));
}

#[test]
fn a_document_of_exactly_one_window_is_that_window() {
    let workplace = Workplace::new();
    workplace.succeed("windows --model MODEL --window 64 --token-ids corpus/licences/LICENSE-APACHE -o windows.jsonl");
    let first = &workplace.lines("windows.jsonl")[0];
    workplace.write("one.jsonl", json!({"id": "one", "text": first["content"]}).to_string());
    let told = workplace.succeed("windows --model MODEL --window 64 --token-ids one.jsonl -o one.windows.jsonl");
    assert_eq!(last_line(&told), "1 document = 1 cut into windows + 0 too short + 0 rejected; 1 window");
    let only = &workplace.lines("one.windows.jsonl")[0];
    assert_eq!((&only["id"], &only["token_ids"]), (&json!("one#0"), &first["token_ids"]));
}

#[test]
fn a_killed_run_goes_on_where_it_stopped() {
    let workplace = Workplace::new();
    let arguments = "run --model MODEL --window 512 --ratio 0.5 corpus/licences corpus/code";
    workplace.succeed(&format!("{arguments} -o whole"));
    let whole = workplace.lines("whole/scores.jsonl");

    // What a kill leaves: some whole lines, and one that was being written.
    fs::create_dir(workplace.path("killed")).unwrap();
    fs::copy(workplace.path("whole/job.json"), workplace.path("killed/job.json")).unwrap();
    let journal = fs::read_to_string(workplace.path("whole/journal.jsonl")).unwrap();
    workplace.write("killed/journal.jsonl", &journal[..journal.len() / 2]);
    let refused = workplace.fail(&format!("{arguments} -o killed"));
    assert!(refused.contains("--resume") && refused.contains("--overwrite"), "{refused}");
    let told = workplace.succeed(&format!("{arguments} -o killed --resume"));
    assert!(told.contains("scored by an earlier run"), "{told}");
    assert_eq!(workplace.lines("killed/scores.jsonl"), whole);
    assert_eq!(workplace.lines("killed/selected.jsonl"), workplace.lines("whole/selected.jsonl"));

    let another_cut = arguments.replace("--ratio 0.5", "--count 1");
    workplace.succeed(&format!("{another_cut} -o killed --resume"));
    assert_eq!(workplace.lines("killed/selected.jsonl").len(), 2);
    let another_window = arguments.replace("512", "256");
    let refused = workplace.fail(&format!("{another_window} -o killed --resume"));
    assert!(refused.contains("cannot be gone on with: window was 512 and is 256"), "{refused}");
}

#[test]
fn a_kill_in_the_middle_loses_no_finished_window() {
    let workplace = Workplace::new();
    let arguments = "run --model MODEL --window 2048 --ratio 0.5 corpus/code -o killed";
    // Windows are many, so that the run is still at work when the first scores appear.
    let code = fs::read_to_string(workplace.path("corpus/code/cli.rs")).unwrap();
    for copy in 0..60 {
        workplace.write(&format!("corpus/code/{copy}.rs"), format!("// {copy}\n{code}"));
    }
    let mut child = workplace.command(arguments).stderr(Stdio::null()).spawn().unwrap();
    let journal = workplace.path("killed/journal.jsonl");
    let finished = || {
        let lines = fs::read_to_string(&journal).unwrap_or_default();
        lines.split_inclusive('\n').filter(|line| line.starts_with("{\"window\"") && line.ends_with('\n')).count()
    };
    while finished() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!workplace.path("killed/selected.jsonl").exists());
    let windows = match finished() {
        1 => "1 window".to_owned(),
        many => format!("{many} windows"),
    };
    let told = workplace.succeed(&format!("{arguments} --resume"));
    assert!(told.contains(&format!("{windows} scored by an earlier run")), "{told}");
    let ids = workplace.lines("killed/scores.jsonl");
    assert_eq!(texts(&ids, "id").into_iter().collect::<HashSet<_>>().len(), ids.len());
}

/// Documents of seeded words in two categories, two that differ in one word, and a broken record.
fn documents_in_doubt(workplace: &Workplace) {
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound
    };
    let vocabulary: Vec<_> = (0..4000)
        .map(|_| (0..1 + below(3)).map(|_| ["ra", "to", "mi", "sen", "ka", "lu"][below(6)]).collect::<String>())
        .collect();
    // How many words repeat, and how far apart, is another for each document.
    let mut text = |repeating: usize| {
        let words = (0..6000).map(|_| if below(4) == 0 { below(4000) } else { repeating * 7 + below(repeating) });
        words.map(|word| vocabulary[word % 4000].as_str()).collect::<Vec<_>>().join(" ")
    };
    let record = |id: usize, category: &str, text: &str| {
        json!({"id": id.to_string(), "category": category, "text": text}).to_string()
    };
    let mut lines: Vec<_> = (0..14).map(|id| record(id, ["first", "second"][id % 2], &text(30 * (id + 1)))).collect();
    let twin = text(300);
    lines.push(record(14, "twins", &twin));
    lines.push(record(15, "twins", &twin.replacen(' ', " another ", 1)));
    lines.push("{".to_owned());
    workplace.write("documents.jsonl", lines.join("\n"));
}

/// The share of rows that an adaptive run says it computed, in percent.
fn computed_share(told: &str) -> f64 {
    let line = told.lines().find(|line| line.contains(" computed, ")).unwrap_or_else(|| panic!("{told}"));
    let share = line.split(" computed, ").nth(1).and_then(|rest| rest.split('%').next()).unwrap();
    share.parse().unwrap()
}

#[test]
fn an_adaptive_run_selects_what_an_exact_one_does() {
    let workplace = Workplace::new();
    documents_in_doubt(&workplace);
    // Dependency strength is estimated far better than uniformity: the first saves more.
    let arguments = "run --model MODEL --window 8192 --ratio 0.25 --alpha 0 documents.jsonl";
    workplace.succeed(&format!("{arguments} -o exact"));
    let told = workplace.succeed(&format!("{arguments} --adaptive -o adaptive"));
    let (exact, adaptive) = (workplace.lines("exact/selected.jsonl"), workplace.lines("adaptive/selected.jsonl"));
    assert!(exact.len() >= 5, "{} windows", exact.len());
    assert_eq!(texts(&adaptive, "id"), texts(&exact, "id"));
    assert_eq!(texts(&adaptive, "content"), texts(&exact, "content"));
    assert!(computed_share(&told) < 60.0, "{told}");
    assert!(told.contains(" in doubt: scoring on all rows"), "{told}");
    assert!(told.contains("1 reject in"), "{told}");
    let (scores, exact_scores) = (workplace.lines("adaptive/scores.jsonl"), workplace.lines("exact/scores.jsonl"));
    assert_eq!(texts(&scores, "id"), texts(&exact_scores, "id"));
    let journal = fs::read_to_string(workplace.path("adaptive/journal.jsonl")).unwrap();
    assert!(journal.lines().filter(|line| line.starts_with("{\"window\"")).count() > scores.len());
    // A window that was scored on all rows has the bits of the exact score.
    for (line, exact) in scores.iter().zip(&exact_scores).filter(|(line, _)| line.get("rows").is_none()) {
        assert_eq!(line, exact);
    }
    // The result is a file of scores like any other.
    workplace.succeed("select --ratio 0.25 --alpha 0 adaptive/scores.jsonl -o selected.jsonl");
    assert_eq!(texts(&workplace.lines("selected.jsonl"), "id"), texts(&exact, "id"));

    for threads in ["1", "3"] {
        workplace.succeed(&format!("{arguments} --adaptive -o again --overwrite --threads {threads}"));
        for file in ["scores.jsonl", "selected.jsonl"] {
            assert_eq!(workplace.lines(&format!("again/{file}")), workplace.lines(&format!("adaptive/{file}")));
        }
    }
}

#[test]
fn a_killed_adaptive_run_goes_on_where_it_stopped() {
    let workplace = Workplace::new();
    documents_in_doubt(&workplace);
    let arguments = "run --model MODEL --window 8192 --ratio 0.25 --alpha 0 --adaptive documents.jsonl";
    let told = workplace.succeed(&format!("{arguments} -o whole"));
    assert!(told.contains(" in doubt: scoring on "), "{told}");
    let journal = fs::read_to_string(workplace.path("whole/journal.jsonl")).unwrap();
    let lines: Vec<_> = journal.split_inclusive('\n').collect();
    let is_window = |line: &str| line.starts_with("{\"window\"");
    let windows = workplace.lines("whole/scores.jsonl").len();
    let last = lines.iter().rposition(|line| is_window(line)).unwrap();
    let first_scores = lines.iter().enumerate().filter(|(_, line)| is_window(line)).nth(windows - 1).unwrap().0;
    // Killed among the first scores, after them, and in a later round.
    for kept in [first_scores / 2, first_scores + 2, last] {
        fs::create_dir_all(workplace.path("killed")).unwrap();
        fs::copy(workplace.path("whole/job.json"), workplace.path("killed/job.json")).unwrap();
        for file in ["scores.jsonl", "selected.jsonl"] {
            _ = fs::remove_file(workplace.path("killed").join(file));
        }
        workplace.write("killed/journal.jsonl", lines[..kept].concat() + "{\"window\":{\"te");
        assert!(workplace.fail(&format!("{arguments} -o killed")).contains("--resume"));
        let told = workplace.succeed(&format!("{arguments} -o killed --resume"));
        assert!(told.contains("scored by an earlier run"), "{told}");
        for file in ["scores.jsonl", "selected.jsonl"] {
            let read = |result: &str| fs::read_to_string(workplace.path(result).join(file)).unwrap();
            assert_eq!(read("killed"), read("whole"), "{file} after {kept} lines");
        }
    }
    let refused = workplace.fail(&format!("{} -o killed --resume", arguments.replace("--adaptive ", "")));
    assert!(refused.contains("adaptive was true and is false"), "{refused}");
    let told = workplace.succeed(&format!("{} -o killed --resume", arguments.replace("--ratio 0.25", "--count 0")));
    assert!(!told.contains("in doubt") && workplace.lines("killed/selected.jsonl").is_empty(), "{told}");
}

#[test]
fn a_mapped_file_that_is_cut_short_is_told_of() {
    use std::os::unix::process::ExitStatusExt;

    const SIGBUS: i32 = 7;
    let workplace = Workplace::new();
    // It waits for its standard input.
    let arguments = "score --model MODEL --window 256 - -o scores.jsonl";
    let mut child = workplace
        .command(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let job = workplace.path("scores.jsonl.job");
    while !job.exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-BUS", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(SIGBUS));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("was cut short while it was read"), "{told}");
}

#[test]
fn adaptive_runs_know_their_limits() {
    let workplace = Workplace::new();
    let run = |arguments: &str| format!("run --model MODEL --window 256 -o result --overwrite {arguments}");
    let message = workplace.fail(&run("corpus/code --confidence 0.9"));
    assert!(message.contains("--adaptive"), "{message}");
    let message = workplace.fail(&run("corpus/code --adaptive --confidence 1"));
    assert!(message.contains("a number from 0.5 to 0.999"), "{message}");

    workplace.write("short.jsonl", json!({"text": "too short for a window"}).to_string());
    let told = workplace.succeed(&run("short.jsonl --adaptive"));
    assert!(last_line(&told).ends_with("0 windows = 0 selected + 0 not selected"), "{told}");
    workplace.succeed("windows --model MODEL --window 256 corpus/licences/LICENSE-APACHE -o windows.jsonl");
    workplace.write("one.jsonl", json!({"text": workplace.lines("windows.jsonl")[0]["content"]}).to_string());
    let told = workplace.succeed(&run("one.jsonl --adaptive --ratio 1"));
    assert!(last_line(&told).ends_with("1 window = 1 selected + 0 not selected"), "{told}");

    // The same text again and again: all windows are in doubt until they are exact, and then the smaller id wins.
    let text = fs::read_to_string(workplace.path("corpus/code/score.rs")).unwrap();
    let copies: Vec<_> = (0..6).map(|copy| json!({"id": copy, "text": text[..4000]}).to_string()).collect();
    workplace.write("copies.jsonl", copies.join("\n"));
    let told = workplace.succeed(&run("copies.jsonl --adaptive --ratio 0.5"));
    let adaptive = workplace.lines("result/selected.jsonl");
    workplace.succeed(&run("copies.jsonl --ratio 0.5"));
    assert_eq!(texts(&adaptive, "id"), texts(&workplace.lines("result/selected.jsonl"), "id"), "{told}");

    let source = common::default_model().display().to_string();
    workplace.succeed(&format!("export {source} -o maps --contract attentions"));
    let message = workplace.fail("run --model maps --window 256 --adaptive corpus/code -o refused");
    assert!(message.contains("contract attentions") && message.contains("query-key"), "{message}");
    assert!(!workplace.path("refused").exists());
}

#[test]
fn standard_input_can_be_a_corpus() {
    let workplace = Workplace::new();
    let text = fs::read_to_string(workplace.path("corpus/licences/LICENSE-APACHE")).unwrap();
    workplace.write("corpus.jsonl", json!({"text": text}).to_string());
    let run = workplace.shell("longattn run --model MODEL --window 128 --count 2 - -o - --quiet < corpus.jsonl");
    assert!(run.status.success() && run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
    let selected: Vec<Value> =
        String::from_utf8(run.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(selected.len(), 2);
    assert!(selected.iter().all(|line| text.contains(line["content"].as_str().unwrap())));
    assert!(selected.iter().all(|line| line["category"] == "stdin"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let workplace = Workplace::new();
    let piped = workplace.shell("longattn windows --model MODEL --window 4 corpus/code --quiet | head -n 1");
    assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));
    assert!(piped.stderr.is_empty());
}

/// Scores as the released code writes them, and the ids that its filter keeps of them.
fn released() -> (String, Vec<&'static str>) {
    let rows = [
        ("a", [0.30, 0.20], [1e-7, 3e-7]),
        ("b", [0.40, 0.30], [9e-7, 7e-7]),
        ("c", [0.10, 0.10], [1e-8, 1e-8]),
        ("d", [0.35, 0.25], [1e-8, 3e-8]),
        ("e", [0.20, 0.10], [5e-7, 5e-7]),
    ];
    let line = |row: &(&str, [f64; 2], [f64; 2])| {
        json!({"data_id": row.0, "first_layer_proportion_score": row.1, "variance": row.2}).to_string() + "\n"
    };
    // Standardised to 0..1: proportions .60 1 0 .80 .20, variances .24 1 0 .013 .62; then p − v/2, and 5 // 2 are kept.
    (rows.iter().map(line).collect(), vec!["b", "d"])
}

#[test]
fn select_reads_scores_of_the_released_code() {
    let workplace = Workplace::new();
    let (scores, kept) = released();
    workplace.write("inference.jsonl", scores);
    let told = workplace.succeed("select --standardize min-max --ratio 0.5 inference.jsonl -o selected.jsonl");
    assert_eq!(last_line(&told), "5 windows = 2 selected + 3 not selected; 2 written");
    let selected = workplace.lines("selected.jsonl");
    assert_eq!(texts(&selected, "data_id"), kept);
    let budget = workplace.succeed("select --token-budget 10 inference.jsonl -o none.jsonl");
    assert!(budget.contains("5 rejects in none.rejects.jsonl"), "{budget}");
}

#[test]
fn select_rejects_what_is_no_score() {
    let workplace = Workplace::new();
    let good = |id: &str, strength: f64| {
        json!({"id": id, "dependency_strength": strength, "distribution_uniformity": -1e-7}).to_string()
    };
    let lines = [good("a", 0.1), "{".to_owned(), json!({"id": "b"}).to_string(), good("a", 0.2), good("c", 0.3)];
    workplace.write("scores.jsonl", lines.join("\n"));
    let told = workplace.succeed("select --count 1 scores.jsonl -o selected.jsonl");
    assert_eq!(texts(&workplace.lines("selected.jsonl"), "id"), ["c"]);
    assert!(told.contains("3 rejects"), "{told}");
    let rejects = workplace.lines("selected.rejects.jsonl");
    assert!(texts(&rejects, "reason")[1].contains("longattn score"));
    assert!(texts(&rejects, "reason")[2].contains("first seen at scores.jsonl:1"));
}

#[test]
fn settings_are_checked_before_any_work() {
    let workplace = Workplace::new();
    let message = workplace.fail("run --model MODEL --ratio 2 corpus/code -o result");
    assert!(message.contains("--ratio") && message.contains("a number from 0 to 1"), "{message}");
    let message = workplace.fail("run --model MODEL --ratio 0.5 --count 3 corpus/code -o result");
    assert!(message.contains("only one of"), "{message}");
    let message = workplace.fail("run --model MODEL no/such/corpus -o result");
    assert!(message.contains("no/such/corpus"), "{message}");
    let message = workplace.fail("score --model no/such/model corpus/code");
    assert!(message.contains("longattn export"), "{message}");
    assert!(!workplace.path("result/scores.jsonl").exists());
}

#[test]
fn outputs_that_cannot_be_written_fail_before_any_work() {
    let workplace = Workplace::new();
    let message = workplace.fail("windows --model MODEL corpus/code -o no/such/folder/windows.jsonl");
    assert!(message.contains("no/such/folder"), "{message}");
    let message = workplace.fail("score --model MODEL corpus/code -o no/such/folder/scores.jsonl");
    assert!(message.contains("no/such/folder"), "{message}");
    workplace.write("file", "");
    let message = workplace.fail("run --model MODEL corpus/code -o file/result");
    assert!(message.contains("file/result"), "{message}");
    let full = workplace.shell("longattn windows --model MODEL --window 64 corpus/code -o /dev/full");
    assert!(String::from_utf8_lossy(&full.stderr).contains("free some space"), "{full:?}");
    assert!(!full.status.success());
}

#[test]
fn a_missing_onnx_runtime_says_where_it_was_looked_for() {
    let workplace = Workplace::new();
    let lonely = |variable: Option<&str>| {
        let mut command = workplace.command("inspect MODEL");
        command
            .env_remove("ORT_DYLIB_PATH")
            .env("PATH", "/nowhere")
            .envs(variable.map(|path| ("ORT_DYLIB_PATH", path)));
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let message = lonely(None);
    for tried in
        ["the setting onnxruntime", "ORT_DYLIB_PATH", "libonnxruntime.so", "python3", "pip install onnxruntime"]
    {
        assert!(message.contains(tried), "{message}");
    }
    let message = lonely(Some("/no/such/libonnxruntime.so"));
    assert!(message.contains("named by ORT_DYLIB_PATH cannot be loaded"), "{message}");
}

#[test]
fn export_and_inspect_tell_what_a_package_is() {
    let workplace = Workplace::new();
    let source = common::default_model().display().to_string();
    let told =
        workplace.succeed(&format!("export {source} -o package --contract attentions --dtype f16 --rope-theta 500000"));
    assert!(told.contains("attentions") && told.contains("500000"), "{told}");
    assert!(workplace.fail(&format!("export {source} -o package")).contains("--overwrite"));
    let inspected = workplace.run("inspect package --json");
    let facts: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(facts["contract"], "attentions");
    assert_eq!(facts["heads"], 9);
    let metadata = &facts["metadata"];
    assert_eq!((&metadata["weights"], &metadata["layers"]), (&"f16".into(), &json!([0])));
    assert_eq!(metadata["rope_theta"], 500_000.0);
    let broken = workplace.path("broken.gguf");
    let mut start = Vec::new();
    fs::File::open(&source).unwrap().take(100_000).read_to_end(&mut start).unwrap();
    fs::write(&broken, start).unwrap();
    let message = workplace.fail("export broken.gguf -o other");
    assert!(message.contains("broken.gguf"), "{message}");
    assert!(!workplace.path("other").exists());
}

#[test]
fn verify_compares_a_package_with_double_precision() {
    let workplace = Workplace::new();
    let source = common::default_model().display().to_string();
    workplace.succeed(&format!("export {source} -o maps --contract attentions"));
    for (package, contract) in [("MODEL", "query-key"), ("maps", "attentions")] {
        let output = workplace.run(&format!("verify {package} --json --window 700"));
        assert!(output.status.success(), "{output:?}");
        let verification: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&verification["agrees"], &verification["token_count"]), (&true.into(), &700.into()));
        let comparisons = verification["comparisons"].as_array().unwrap();
        assert!(comparisons.iter().all(|comparison| comparison["contract"] == contract));
        for comparison in comparisons {
            for difference in ["proportion_difference", "variance_difference"] {
                let difference = comparison[difference].as_f64().unwrap();
                // Double precision is not what the package computes in.
                assert!(difference > 0.0 && difference < 1e-4, "{comparison}");
            }
        }
        let portable = comparisons.iter().any(|comparison| comparison["computed_by"] == "streaming, portable");
        assert_eq!(portable, contract == "query-key");
    }
    let table = String::from_utf8(workplace.run("verify MODEL --window 300").stdout).unwrap();
    assert!(table.contains("streaming, portable") && table.contains("300 tokens"), "{table}");
}

#[test]
fn verify_fails_where_rounding_takes_too_much() {
    let workplace = Workplace::new();
    // Every token has the same large number in its embedding's first column, and each head's slowest pair reads nothing
    // else: logits get one large summand, which leaves single precision no digits for what differs.
    let mut tiny = tiny::Tiny::new(32, GgmlDType::F32);
    let slowest = |row: usize| row % tiny::HEAD_SIZE == tiny::HEAD_SIZE - 2;
    for (tensor, rows) in [(tiny::TOKEN_EMBEDDING, 256), (tiny::QUERY, 32), (tiny::KEY, 16)] {
        let mut numbers: Vec<_> = tiny.numbers(tensor).iter().map(|number| *number as f32).collect();
        let large = (0..rows).filter(|row| tensor == tiny::TOKEN_EMBEDDING || slowest(*row));
        large.for_each(|row| numbers[row * 32] = 1000.0);
        tiny.set_tensor(tensor, &numbers, &[rows, 32]);
    }
    tiny.write(&workplace.path("large.gguf"));
    workplace.succeed("export large.gguf -o large --rope-theta 1e30");
    let output = workplace.run("verify large --json");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("differs from double precision by more than 0.0001"), "{told}");
    let verification: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verification["agrees"], false);
    let message = workplace.fail("verify no/such/package");
    assert!(message.contains("longattn export"), "{message}");
}

#[test]
fn quiet_is_quiet() {
    let workplace = Workplace::new();
    for arguments in [
        "run --model MODEL --window 128 corpus/licences -o result --quiet",
        "windows --model MODEL --window 128 corpus/licences -o windows.jsonl --quiet",
        "score --model MODEL windows.jsonl -o scores.jsonl --quiet",
        "select scores.jsonl -o selected.jsonl --quiet",
    ] {
        let output = workplace.run(arguments);
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments}: {output:?}"
        );
    }
}

#[test]
fn every_setting_is_a_flag() {
    let workplace = Workplace::new();
    let help = ["run", "score", "calibrate"].map(|command| workplace.run(&format!("{command} --help")).stdout);
    let help = String::from_utf8(help.concat()).unwrap();
    for setting in longattn::config::SETTINGS {
        let flag = match setting.key {
            "earlier_results" => "resume".to_owned(),
            "calibration_windows" => "windows".to_owned(),
            "calibration_sinks" => "sink-tokens".to_owned(),
            _ => setting.flag(),
        };
        assert!(help.contains(&format!("--{flag}")), "{}", setting.key);
    }
}
