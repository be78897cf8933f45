//! Shards of a corpus: scored by processes that know nothing of each other, and selected from as if one had done it.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use longattn::job::{Job, Observer, Results, Selection};
use longattn::model::Scorer;
use longattn::{Cancel, Config, Result};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use common::workplace::Workplace;

/// Everything that must not depend on how many processes there were. The report is compared without the work that it tells of.
const RESULTS: [&str; 4] = ["selected.jsonl", "scores.jsonl", "rejects.jsonl", "chart.svg"];

impl Workplace {
    /// One file that is longer than a share, small ones, a compressed one, an empty one and a text; records without ids, twins
    /// in one file and across files, bad ones, some that are too short.
    fn with_corpus(documents: usize) -> Self {
        let workplace = Self::new();
        let mut large: Vec<_> = (0..documents).map(|number| document(None, number)).collect();
        large.insert(3, document(Some("twin"), 1));
        large.insert(documents / 2, document(Some("twin"), 2));
        large.insert(documents / 3, "{\"id\": \"bad\"".to_owned());
        large.insert(documents / 4, String::new());
        workplace.write("corpus/large.jsonl", large.join("\n"));
        workplace.write("corpus/a.jsonl", [document(Some("a1"), 5), document(Some("late"), 6)].join("\r\n"));
        workplace.write("corpus/empty.jsonl", "");
        workplace.write(
            "corpus/z.jsonl",
            [document(Some("late"), 7), "{}".to_owned(), document(Some("twin"), 8)].join("\n"),
        );
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all([document(None, 9), document(Some("z1"), 10)].join("\n").as_bytes()).unwrap();
        workplace.write("corpus/packed.jsonl.gz", packed.finish().unwrap());
        workplace.write("corpus/text.txt", words(40, 3));
        workplace
    }

    fn config_of(&self, shard: Option<&str>) -> Config {
        let mut config = self.config("resume");
        shard.iter().for_each(|shard| config.set("shard", shard).unwrap());
        config
    }

    fn run(&self, result: &str, shard: Option<&str>) -> Result<Selection> {
        let config = self.config_of(shard);
        let scorer = Arc::new(Scorer::open(&package(), &config)?);
        Job::open(scorer, &[self.path("corpus")], &self.path(result), &config)?.run(&(), &Cancel::default())
    }

    /// Scores all shards, the last one first, and gives their directories.
    fn run_all(&self, of: usize) -> Vec<PathBuf> {
        let shards = (1..=of).rev().map(|number| {
            let result = format!("shards-{of}/{number}");
            self.run(&result, Some(&format!("{number}/{of}"))).unwrap();
            self.path(&result)
        });
        shards.collect()
    }

    fn select(&self, directories: &[PathBuf], output: &str) -> Result<Selection> {
        let cancel = Cancel::default();
        Results::open(directories, &cancel)?.select(&self.path(output), &self.config("resume"), &(), &cancel)
    }

    fn refused(&self, directories: &[PathBuf]) -> String {
        self.select(directories, "refused").expect_err("it should be refused").to_string()
    }

    fn results(&self, result: &str) -> BTreeMap<&'static str, String> {
        self.files(result, RESULTS)
    }

    /// The report without the lines that tell of the work: how many calls, how long, how fast.
    fn report(&self, result: &str) -> String {
        self.read(&format!("{result}/report.html")).lines().filter(|line| !is_of_work(line)).collect()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
        command.args(line.split(' ')).current_dir(self.folder.path()).env("ORT_DYLIB_PATH", common::onnxruntime());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

fn is_of_work(line: &str) -> bool {
    line.contains("second") || line.contains("tokens scored")
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key")
}

fn words(count: usize, seed: usize) -> String {
    let words: Vec<_> = (0..count).map(|word| format!("w{}", (word * word * (seed % 5 + 3) + seed) % 61)).collect();
    words.join(" ")
}

fn document(id: Option<&str>, number: usize) -> String {
    let text = words(if number % 4 == 3 { 5 } else { 20 + 7 * (number % 13) }, number);
    match id {
        Some(id) => json!({"id": id, "text": text}).to_string(),
        None => json!({"text": text, "note": "none"}).to_string(),
    }
}

#[test]
fn shards_give_what_one_process_gives() {
    let workplace = Workplace::with_corpus(80).set("category", "books");
    let one = workplace.run("one", None).unwrap();
    for of in [1, 2, 3, 7, 40] {
        let directories = workplace.run_all(of);
        let merged = workplace.select(&directories, &format!("merged-{of}")).unwrap();
        assert_eq!(workplace.results(&format!("merged-{of}")), workplace.results("one"), "{of} shards");
        assert!(
            workplace.report(&format!("merged-{of}")) == workplace.report("one"),
            "the reports differ: {of} shards"
        );
        let (found, expected) = (merged.summary, one.summary);
        assert_eq!((found.counts, found.duplicates), (expected.counts, expected.duplicates), "{of} shards");
        assert_eq!((found.windows, found.windows_selected), (expected.windows, expected.windows_selected));
        assert_eq!(merged.categories, one.categories);
    }
    // Another selection takes the place of an earlier one.
    workplace.select(&workplace.run_all(3), "merged-2").unwrap();
    assert_eq!(workplace.results("merged-2"), workplace.results("one"));
}

/// A Parquet file with so many rows in each row group.
fn parquet(rows: &[String], of_a_group: usize) -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows));
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(of_a_group)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn parquet_is_split_between_row_groups() {
    let workplace = Workplace::new().set("category", "books");
    let rows: Vec<_> = (0..90).map(|number| words(20 + number % 40, number)).collect();
    workplace.write("corpus/large.parquet", parquet(&rows, 8));
    workplace.write("corpus/one-group.parquet", parquet(&rows[..40], 100));
    workplace.run("one", None).unwrap();
    for of in [2, 5, 30] {
        let directories = workplace.run_all(of);
        workplace.select(&directories, &format!("merged-{of}")).unwrap();
        assert_eq!(workplace.results(&format!("merged-{of}")), workplace.results("one"), "{of} shards");
        let work = |directory: &PathBuf| fs::metadata(directory.join("journal.jsonl")).unwrap().len() > 5000;
        assert!(directories.iter().filter(|directory| work(directory)).count() > 1, "several shards have work");
    }
}

/// An Arrow file with so many rows in each batch.
fn arrow(rows: &[String], of_a_batch: usize) -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows));
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for start in (0..rows.len()).step_by(of_a_batch) {
        writer.write(&batch.slice(start, of_a_batch.min(rows.len() - start))).unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn arrow_files_and_json_arrays_are_split_too() {
    let workplace = Workplace::new().set("category", "books");
    let rows: Vec<_> = (0..60).map(|number| words(20 + number % 40, number)).collect();
    workplace.write("corpus/large.feather", arrow(&rows, 7));
    workplace.write("corpus/one-batch.feather", arrow(&rows[..20], 100));
    let records: Vec<_> = rows.iter().rev().map(|text| json!({"text": text})).collect();
    workplace.write("corpus/array.json", serde_json::to_string_pretty(&records).unwrap());
    workplace.run("one", None).unwrap();
    for of in [2, 5, 20] {
        workplace.select(&workplace.run_all(of), &format!("merged-{of}")).unwrap();
        assert_eq!(workplace.results(&format!("merged-{of}")), workplace.results("one"), "{of} shards");
    }
}

#[test]
fn one_whole_result_is_selected_from_anew_without_a_model() {
    let workplace = Workplace::with_corpus(20);
    workplace.run("one", None).unwrap();
    let workplace = workplace.set("ratio", "auto").set("count", "3");
    workplace.run("again", None).unwrap();
    workplace.select(&[workplace.path("one")], "selection").unwrap();
    assert_eq!(workplace.results("selection"), workplace.results("again"));
}

#[test]
fn the_cuts_of_a_run_are_those_of_a_selection_from_its_results() {
    let settings = [
        ("max_per_document", "1"),
        ("filter", "token_count >= 60 and dependency_strength > 0"),
        ("category_cuts", "corpus=token_budget:600"),
        ("explain", "a1#0"),
    ];
    let set = |workplace: Workplace| settings.into_iter().fold(workplace, |all, (key, value)| all.set(key, value));
    let workplace = set(Workplace::with_corpus(30));
    let one = workplace.run("one", None).unwrap();
    workplace.select(&workplace.run_all(3), "merged").unwrap();
    assert_eq!(workplace.results("merged"), workplace.results("one"));
    assert_eq!((one.categories.len(), one.categories[0].selected), (1, 10));
    let unknown = workplace.set("filter", "gzip > 1").run("one", None).unwrap_err().to_string();
    assert!(unknown.contains("gzip"), "{unknown}");
}

#[test]
fn selected_windows_carry_fields_where_the_runs_or_the_selection_keep_them() {
    let plain = Workplace::with_corpus(20);
    let shards = plain.run_all(2);
    let folder = plain.folder.path().to_owned();
    let keeping = plain.set("keep_fields", "true");
    keeping.run("one", None).unwrap();
    keeping.select(&shards, "merged").unwrap();
    assert_eq!(keeping.results("merged"), keeping.results("one"));
    assert!(keeping.results("one")["selected.jsonl"].contains("\"note\":\"none\""));
    succeed(keeping.command("select shards-2/1 shards-2/2 --ratio 0.5 --keep-fields -o by-command").output().unwrap());
    assert_eq!(keeping.results("by-command"), keeping.results("one"));
    assert!(keeping.report("by-command") == keeping.report("one"), "the reports differ");
    keeping.run_all(3);
    let plain = Workplace::in_folder(keeping.folder);
    let shards: Vec<_> = (1..=3).map(|number| folder.join(format!("shards-3/{number}"))).collect();
    plain.select(&shards, "of-keeping-runs").unwrap();
    assert_eq!(plain.results("of-keeping-runs"), plain.results("one"));
}

/// Tells of notices.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Observer for Listener {
    fn notice(&self, notice: &str) {
        self.0.lock().unwrap().push(notice.to_owned());
    }
}

#[test]
fn files_that_look_like_shards_of_one_category_are_told() {
    let notices = |workplace: &Workplace| {
        let config = workplace.config("resume");
        let scorer = Arc::new(Scorer::open(&package(), &config).unwrap());
        let inputs = [workplace.path("part-0000.jsonl"), workplace.path("part-0001.jsonl")];
        let listener = Listener::default();
        let result = workplace.path("result");
        let selection =
            Job::open(scorer, &inputs, &result, &config).unwrap().run(&listener, &Cancel::default()).unwrap();
        (selection.categories.len(), listener.0.into_inner().unwrap())
    };
    let parts = || {
        let workplace = Workplace::new();
        for number in 0..2 {
            workplace.write(&format!("part-000{number}.jsonl"), [document(None, number), document(None, 4)].join("\n"));
        }
        workplace
    };
    let (categories, told) = notices(&parts());
    assert_eq!((categories, told.len()), (2, 1));
    assert!(told[0].contains("part-0000, part-0001") && told[0].contains("set category"), "{told:?}");
    let workplace = parts().set("category", "books").set("explain", "part-0000.jsonl:1#0");
    let (categories, told) = notices(&workplace);
    assert_eq!((categories, told.len()), (1, 1));
    assert!(told[0].starts_with("part-0000.jsonl:1#0: rank"), "{told:?}");
}

#[test]
fn a_summary_and_metrics_tell_what_the_command_tells() {
    let workplace = Workplace::with_corpus(20);
    let workplace = {
        let path = workplace.path("longattn.prom").display().to_string();
        workplace.set("metrics", &path)
    };
    let summary = workplace.run("one", None).unwrap().summary;
    let read =
        |result: &str| -> Value { serde_json::from_str(&workplace.read(&format!("{result}/summary.json"))).unwrap() };
    let told = read("one");
    assert_eq!(told["documents"]["windowed"], summary.counts.windowed);
    assert_eq!(told["documents"]["rejected"], summary.counts.rejected);
    assert_eq!(
        (&told["windows"]["scored"], &told["windows"]["selected"]),
        (&json!(summary.windows), &json!(summary.windows_selected))
    );
    assert_eq!((&told["settings"]["ratio"], &told["shard"]), (&json!("0.5"), &Value::Null));
    assert_eq!(told["package"].as_str().unwrap().len(), 64);
    assert!(told["throughput"]["scoring"]["tokens_per_second"].as_f64().unwrap() > 0.0);
    let metrics = workplace.read("longattn.prom");
    assert!(metrics.contains(&format!("longattn_windows{{outcome=\"scored\"}} {}\n", summary.windows)), "{metrics}");
    workplace.select(&workplace.run_all(2), "merged").unwrap();
    let (merged, shard) = (read("merged"), read("shards-2/1"));
    for name in ["documents", "windows", "categories", "package", "inputs", "files_rejected"] {
        assert_eq!(merged[name], told[name], "{name}");
    }
    assert_eq!((&shard["shard"], &merged["shard"]), (&json!("1/2"), &Value::Null));
}

#[test]
fn a_shard_selects_nothing_and_is_gone_on_with() {
    let workplace = Workplace::with_corpus(20);
    let first = workplace.run("shard", Some("1/2")).unwrap();
    assert!(first.categories.is_empty() && first.summary.windows > 0);
    assert!(!workplace.path("shard/selected.jsonl").exists());
    let again = workplace.run("shard", Some("1/2")).unwrap().summary;
    assert_eq!((again.windows, again.counts.windows_known), (first.summary.windows, first.summary.windows));
    let other = workplace.run("shard", Some("2/2")).unwrap_err().to_string();
    assert!(other.contains("shard was 1/2 and is 2/2"), "{other}");
    let adaptive = Workplace::with_corpus(4).set("adaptive", "true").run("adaptive", Some("1/2")).unwrap_err();
    assert!(adaptive.to_string().contains("estimate all scores with rows"), "{adaptive}");
}

#[test]
fn what_is_missing_or_does_not_belong_is_named() {
    let workplace = Workplace::with_corpus(20);
    let directories = workplace.run_all(4);
    let told = workplace.refused(&directories[1..]);
    assert!(told.contains("shard 4/4 is missing"), "{told}");

    let copied: Vec<_> = directories.iter().cloned().chain([workplace.path("copy")]).collect();
    fs::create_dir(workplace.path("copy")).unwrap();
    for name in ["job.json", "journal.jsonl"] {
        fs::copy(directories[0].join(name), workplace.path("copy").join(name)).unwrap();
    }
    let told = workplace.refused(&copied);
    assert!(told.contains("shard 4/4") && told.contains("given already"), "{told}");

    let mut mixed = directories.clone();
    workplace.run("of-three", Some("1/3")).unwrap();
    mixed.push(workplace.path("of-three"));
    assert!(workplace.refused(&mixed).contains("is none of 4"));

    let other = Workplace::with_corpus(20).set("min_distance", "10");
    other.run("shard", Some("4/4")).unwrap();
    mixed = directories.clone();
    mixed[0] = other.path("shard");
    let told = workplace.refused(&mixed);
    assert!(told.contains("has min_distance auto, where") && told.contains("has 10"), "{told}");

    let journal = fs::read_to_string(directories[1].join("journal.jsonl")).unwrap();
    let cut: Vec<_> = journal.lines().filter(|line| !line.contains("\"finished\"")).collect();
    fs::write(directories[1].join("journal.jsonl"), cut.join("\n") + "\n").unwrap();
    let told = workplace.refused(&directories);
    assert!(told.contains("shard 3/4") && told.contains("did not end"), "{told}");
    assert!(!workplace.path("refused").exists(), "nothing is written");
    assert!(workplace.refused(&[workplace.path("corpus")]).contains("holds no results"));
}

#[test]
fn inputs_that_changed_between_shards_are_noticed() {
    let workplace = Workplace::with_corpus(20);
    let directories = workplace.run_all(2);
    workplace.write("corpus/new.jsonl", document(None, 1));
    assert!(workplace.refused(&directories).contains("other inputs"));
    fs::remove_file(workplace.path("corpus/new.jsonl")).unwrap();
    workplace.select(&directories, "selection").unwrap();
    let told = workplace.select(&directories, "shards-2/1").unwrap_err().to_string();
    assert!(told.contains("has results already"), "{told}");
}

/// Waits until a process has begun its journal, and kills it.
fn kill(mut child: Child, journal: &Path) {
    while fs::metadata(journal).map_or(0, |file| file.len()) < 20_000 {
        assert!(child.try_wait().unwrap().is_none(), "the process ended before it could be killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the process ended before it could be killed");
}

fn succeed(output: Output) -> String {
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn eight_processes_of_which_three_are_killed_give_what_one_gives() {
    let workplace = Workplace::with_corpus(6000);
    let package = package();
    let settings = format!("--model {} --window 60 --threads 1 --category books corpus", package.display());
    succeed(workplace.command(&format!("run {settings} --ratio 0.1 -o one --resume")).output().unwrap());
    let start = |number: usize| {
        workplace.command(&format!("run {settings} --shard {number}/8 -o shard-{number} --resume")).spawn().unwrap()
    };
    let killed = [2, 5, 7];
    let (doomed, others): (Vec<_>, Vec<_>) =
        (1..=8).map(|number| (number, start(number))).partition(|(number, _)| killed.contains(number));
    // Each as soon as it may be: the last would have ended while the first was waited for.
    std::thread::scope(|scope| {
        for (number, child) in doomed {
            let journal = workplace.path(&format!("shard-{number}/journal.jsonl"));
            scope.spawn(move || kill(child, &journal));
        }
    });
    others.into_iter().for_each(|(_, child)| drop(succeed(child.wait_with_output().unwrap())));
    let select = "select shard-1 shard-2 shard-3 shard-4 shard-5 shard-6 shard-7 shard-8 --ratio 0.1 -o selection";
    let refused = workplace.command(select).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    killed.iter().for_each(|number| assert!(told.contains(&format!("shard {number}/8")), "{told}"));
    for number in killed {
        let told = succeed(start(number).wait_with_output().unwrap());
        assert!(told.contains("scored by an earlier run"), "{told}");
    }
    succeed(workplace.command(select).output().unwrap());
    assert_eq!(workplace.results("selection"), workplace.results("one"));
    assert!(workplace.report("selection") == workplace.report("one"), "the reports differ");
}
