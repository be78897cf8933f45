//! The whole job as a library: what it finds, what it goes on with, and what it refuses.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use longattn::corpus::Reject;
use longattn::job::{Job, Observer, Selection};
use longattn::model::Scorer;
use longattn::{Cancel, ErrorKind, Result};
use serde_json::{Value, json};

use common::workplace::Workplace;

/// The files that a job is done for.
const RESULTS: [&str; 3] = ["selected.jsonl", "scores.jsonl", "rejects.jsonl"];

impl Workplace {
    /// With a scorer package of a tiny model, whose tokens are bytes.
    fn with_model() -> Self {
        let workplace = Self::new();
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key");
        fs::create_dir(workplace.path("model")).unwrap();
        for file in fs::read_dir(package).unwrap() {
            let file = file.unwrap().path();
            fs::copy(&file, workplace.path("model").join(file.file_name().unwrap())).unwrap();
        }
        workplace
    }

    /// With three shards of documents, some of them too short, and two bad records.
    fn with_corpus() -> Self {
        let workplace = Self::with_model();
        for shard in 0..3 {
            let mut lines: Vec<_> = (0..12).map(|number| document(shard, number)).collect();
            lines.insert(5, "{\"id\": \"bad\"".to_owned());
            workplace.write(&format!("corpus/shard{shard}.jsonl"), lines.join("\n"));
        }
        workplace
    }

    fn open(&self, result: &str, earlier: &str) -> Result<Job> {
        let config = self.config(earlier);
        let scorer = Arc::new(Scorer::open(&self.path("model"), &config)?);
        Job::open(scorer, &[self.path("corpus")], &self.path(result), &config)
    }

    fn run(&self, result: &str, earlier: &str) -> Result<Selection> {
        self.open(result, earlier)?.run(&(), &Cancel::default())
    }

    fn results(&self, result: &str) -> BTreeMap<&'static str, String> {
        self.files(result, RESULTS)
    }

    /// What a call that nothing went before finds.
    fn afresh(&self) -> BTreeMap<&'static str, String> {
        self.run("afresh", "overwrite").unwrap();
        self.results("afresh")
    }

    fn refused(&self, result: &str, earlier: &str) -> String {
        let error = self.run(result, earlier).expect_err("it should be refused");
        error.to_string()
    }
}

/// A line with a document of its own words.
fn document(shard: usize, number: usize) -> String {
    let words = if number % 4 == 3 { 5 } else { 20 + 7 * number };
    let text: Vec<_> = (0..words).map(|word| format!("w{}", (word * word * (shard + 3) + number) % 61)).collect();
    json!({"id": format!("s{shard}d{number}"), "text": text.join(" ")}).to_string()
}

fn zstandard(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn ids(lines: &str) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    lines.lines().map(id).collect()
}

#[test]
fn a_job_does_everything() {
    let workplace = Workplace::with_corpus();
    let selection = workplace.run("result", "refuse").unwrap();
    let summary = selection.summary;
    assert_eq!((summary.counts.windowed, summary.counts.too_short, summary.counts.rejected), (27, 9, 3));
    assert_eq!(summary.windows, ids(&workplace.read("result/scores.jsonl")).len() as u64);
    assert_eq!(summary.windows_selected, ids(&workplace.read("result/selected.jsonl")).len() as u64);
    assert_eq!(workplace.read("result/rejects.jsonl").lines().count(), 3);
    assert_eq!(selection.categories.len(), 1);
    assert!(workplace.read("result/report.html").contains("27"));
    assert!(workplace.path("result/chart.svg").exists());
    for line in workplace.read("result/selected.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["content"].as_str().unwrap().len(), 60, "bytes are tokens");
    }
}

#[test]
fn results_are_neither_overwritten_nor_gone_on_with_unasked() {
    let workplace = Workplace::with_corpus();
    workplace.run("result", "refuse").unwrap();
    let refused = workplace.refused("result", "refuse");
    assert!(refused.contains("--resume") && refused.contains("--overwrite"), "{refused}");
    workplace.run("result", "overwrite").unwrap();
}

#[test]
fn an_interruption_at_any_byte_of_the_journal_changes_nothing() {
    let workplace = Workplace::with_corpus();
    workplace.run("whole", "refuse").unwrap();
    let whole = workplace.results("whole");
    let journal = workplace.read("whole/journal.jsonl");
    for part in 0..30 {
        let result = format!("part{part}");
        let length = journal.len() * part / 30 + part % 7;
        workplace.write(&format!("{result}/journal.jsonl"), &journal.as_bytes()[..length.min(journal.len())]);
        fs::copy(workplace.path("whole/job.json"), workplace.path(&result).join("job.json")).unwrap();
        // Rejects are written before the journal is on the disk, or behind it.
        workplace.write(&format!("{result}/rejects.jsonl"), "{\"half a li");
        let selection = workplace.run(&result, "resume").unwrap();
        assert_eq!(workplace.results(&result), whole, "cut after {length} bytes");
        assert!(part < 5 || selection.summary.counts.windows_known > 0, "{part}");
    }
}

#[test]
fn what_did_not_change_is_not_scored_again() {
    let workplace = Workplace::with_corpus();
    let first = workplace.run("result", "refuse").unwrap().summary;
    let again = workplace.run("result", "resume").unwrap().summary;
    assert_eq!(again.counts.windows_known, first.windows);
    assert_eq!(again.tokens_scored, first.tokens_scored, "no token went through the model again");
    assert_eq!((first.calls, again.calls), (1, 2));
}

#[test]
fn shards_that_were_shuffled_replaced_added_removed_or_moved_are_noticed() {
    type Change = fn(&Workplace);
    let changes: [(&str, Change, u64); 6] = [
        (
            "shuffled in place",
            |workplace| {
                let text = workplace.read("corpus/shard1.jsonl");
                let mut lines: Vec<_> = text.lines().collect();
                lines.rotate_left(4);
                workplace.write("corpus/shard1.jsonl", lines.join("\n"));
                assert_eq!(workplace.read("corpus/shard1.jsonl").len(), text.len());
            },
            0,
        ),
        (
            "one text of the same length",
            |workplace| {
                let text = workplace.read("corpus/shard1.jsonl");
                workplace.write("corpus/shard1.jsonl", text.replacen("w6 ", "w7 ", 1));
            },
            1,
        ),
        (
            "replaced",
            |workplace| {
                let lines: Vec<_> = (0..6).map(|number| document(7, number)).collect();
                workplace.write("corpus/shard2.jsonl", lines.join("\n"));
            },
            5,
        ),
        ("added", |workplace| workplace.write("corpus/shard3.jsonl", document(9, 2)), 1),
        ("removed", |workplace| fs::remove_file(workplace.path("corpus/shard0.jsonl")).unwrap(), 0),
        (
            "moved",
            |workplace| {
                fs::create_dir(workplace.path("corpus/deep")).unwrap();
                fs::rename(workplace.path("corpus/shard0.jsonl"), workplace.path("corpus/deep/other.jsonl")).unwrap();
            },
            0,
        ),
    ];
    for (name, change, documents) in changes {
        let workplace = Workplace::with_corpus();
        let before = workplace.run("result", "refuse").unwrap().summary;
        change(&workplace);
        let after = workplace.run("result", "resume").unwrap().summary;
        assert_eq!(workplace.results("result"), workplace.afresh(), "{name}");
        let scored = after.tokens_scored - before.tokens_scored;
        assert_eq!(scored > 0, documents > 0, "{name}: {scored} tokens");
        assert!(scored <= documents * 240, "{name}: {scored} tokens");
    }
}

#[test]
fn a_corpus_that_moved_as_a_whole_is_gone_on_with() {
    let workplace = Workplace::with_corpus();
    let first = workplace.run("result", "refuse").unwrap().summary;
    fs::create_dir(workplace.path("elsewhere")).unwrap();
    fs::rename(workplace.path("corpus"), workplace.path("elsewhere/corpus")).unwrap();
    fs::rename(workplace.path("model"), workplace.path("elsewhere/model")).unwrap();
    fs::rename(workplace.path("result"), workplace.path("elsewhere/result")).unwrap();
    let config = workplace.config("resume");
    let scorer = Arc::new(Scorer::open(&workplace.path("elsewhere/model"), &config).unwrap());
    let inputs = [workplace.path("elsewhere/corpus")];
    let mut job = Job::open(scorer, &inputs, &workplace.path("elsewhere/result"), &config).unwrap();
    let summary = job.run(&(), &Cancel::default()).unwrap().summary;
    assert_eq!(summary.counts.windows_known, first.windows);
}

#[test]
fn what_scores_depend_on_is_compared() {
    let workplace = Workplace::with_corpus();
    workplace.run("result", "refuse").unwrap();
    let tokenizer = workplace.read("model/tokenizer.json");
    workplace.write("model/tokenizer.json", tokenizer.replacen('{', "{ ", 1));
    let refused = workplace.refused("result", "resume");
    assert!(refused.contains("digest of the model's package"), "{refused}");
    workplace.write("model/tokenizer.json", tokenizer);

    // A fine-tune has the same size.
    let original = fs::read(workplace.path("model/model.onnx")).unwrap();
    let fine_tune = (0..original.len()).rev().find(|place| {
        let mut model = original.clone();
        model[*place] ^= 1;
        workplace.write("model/model.onnx", &model);
        Scorer::open(&workplace.path("model"), &workplace.config("resume")).is_ok()
    });
    assert!(fine_tune.is_some());
    assert!(workplace.refused("result", "resume").contains("digest of the model's package"));
    workplace.write("model/model.onnx", original);
    workplace.run("result", "resume").unwrap();

    for (key, value) in [
        ("window", "50"),
        ("min_distance", "9"),
        ("sink_tokens", "2"),
        ("rows", "400"),
        ("variance_domain", "triangle"),
        ("precision", "int16"),
        ("instruction_set", "portable"),
        ("text_field", "text"),
        ("per_head", "true"),
        ("adaptive", "true"),
    ] {
        let changed = Workplace::in_folder(tempfile::tempdir().unwrap()).set(key, value);
        let config = changed.config("resume");
        let scorer = Arc::new(Scorer::open(&workplace.path("model"), &config).unwrap());
        let job = Job::open(scorer, &[workplace.path("corpus")], &workplace.path("result"), &config);
        let Err(refused) = job.map(drop) else { panic!("another {key} was not noticed") };
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(refused.to_string().contains(key) || key == "adaptive", "{refused}");
    }
}

#[test]
fn scores_of_a_damaged_shard_are_void() {
    let workplace = Workplace::with_corpus();
    let shard = zstandard(workplace.read("corpus/shard1.jsonl").as_bytes());
    fs::remove_file(workplace.path("corpus/shard1.jsonl")).unwrap();
    workplace.write("corpus/shard1.jsonl.zst", &shard);
    let whole = workplace.afresh();
    for place in 0..24 {
        let mut damaged = shard.clone();
        damaged[(place + 1) * shard.len() / 26] ^= 1 << (place % 8);
        workplace.write("corpus/shard1.jsonl.zst", &damaged);
        let result = format!("result{place}");
        let found = workplace.run(&result, "refuse").unwrap().summary;
        assert_eq!(found.files_rejected, 1, "{place}");
        let rejects = workplace.read(&format!("{result}/rejects.jsonl"));
        assert!(rejects.contains("shard1.jsonl.zst"), "{rejects}");
        let scores = workplace.read(&format!("{result}/scores.jsonl"));
        assert!(ids(&scores).iter().all(|id| !id.starts_with("s1")), "a damaged shard was trusted");
        workplace.write("corpus/shard1.jsonl.zst", &shard);
        workplace.run(&result, "resume").unwrap();
        assert_eq!(workplace.results(&result), whole, "{place}");
    }
}

#[test]
fn a_directory_has_one_owner() {
    let workplace = Workplace::with_corpus();
    let owner = workplace.open("result", "refuse").unwrap();
    for earlier in ["refuse", "resume", "overwrite"] {
        let refused = workplace.refused("result", earlier);
        assert!(refused.contains("another process is at work"), "{refused}");
    }
    drop(owner);
    workplace.run("result", "refuse").unwrap();
}

#[test]
fn results_inside_an_input_are_not_read() {
    let workplace = Workplace::with_corpus();
    let whole = workplace.afresh();
    workplace.run("corpus/result", "refuse").unwrap();
    workplace.run("corpus/another", "refuse").unwrap();
    workplace.run("corpus/result", "resume").unwrap();
    assert_eq!(workplace.results("corpus/result"), whole);
    assert_eq!(workplace.results("corpus/another"), whole);
}

/// Calls something at the first progress.
struct AtProgress<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Observer for AtProgress<F> {
    fn progress(&self, _: &longattn::job::Progress) {
        if let Some(act) = self.0.lock().unwrap().take() {
            act();
        }
    }
}

#[test]
fn a_result_directory_that_disappears_is_noticed() {
    let workplace = Workplace::with_corpus();
    let mut job = workplace.open("result", "refuse").unwrap();
    let result = workplace.path("result");
    let remove = AtProgress(Mutex::new(Some(move || fs::remove_dir_all(result).unwrap())));
    let error = job.run(&remove, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("removed"), "{error}");
}

#[test]
fn a_cancelled_job_goes_on() {
    let workplace = Workplace::with_corpus();
    let cancel = Cancel::default();
    let asked = cancel.clone();
    let observer = AtProgress(Mutex::new(Some(move || asked.cancel())));
    let error = workplace.open("result", "refuse").unwrap().run(&observer, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(!workplace.path("result/selected.jsonl").exists());
    workplace.run("result", "resume").unwrap();
    assert_eq!(workplace.results("result"), workplace.afresh());
}

#[test]
fn a_new_cut_scores_nothing() {
    let workplace = Workplace::with_corpus();
    let config = workplace.config("refuse");
    let scorer = Arc::new(Scorer::open(&workplace.path("model"), &config).unwrap());
    let mut job = Job::open(scorer, &[workplace.path("corpus")], &workplace.path("result"), &config).unwrap();
    let first = job.run(&(), &Cancel::default()).unwrap().summary;
    let scores = workplace.read("result/scores.jsonl");
    let mut another = config.clone();
    another.set("ratio", "auto").unwrap();
    another.set("count", "2").unwrap();
    let second = job.select(&another, &(), &Cancel::default()).unwrap().summary;
    assert_eq!(second.windows_selected, 2);
    assert_eq!(second.tokens_scored, first.tokens_scored);
    assert_eq!(ids(&workplace.read("result/selected.jsonl")).len(), 2);
    assert_eq!(workplace.read("result/scores.jsonl"), scores);
}

/// Remembers all rejects.
#[derive(Default)]
struct Rejected(Mutex<Vec<String>>, Mutex<Vec<String>>);

impl Observer for Rejected {
    fn reject(&self, reject: &Reject) {
        self.0.lock().unwrap().push(reject.to_string());
    }

    fn notice(&self, notice: &str) {
        self.1.lock().unwrap().push(notice.to_owned());
    }
}

#[test]
fn rejects_are_told_and_kept_or_stop_the_job() {
    let workplace = Workplace::with_corpus();
    let rejected = Rejected::default();
    workplace.open("result", "refuse").unwrap().run(&rejected, &Cancel::default()).unwrap();
    let told = rejected.0.into_inner().unwrap();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|reject| reject.contains(".jsonl:6: ")), "{told:?}");

    let workplace = workplace.set("on_error", "fail");
    let error = workplace.run("strict", "refuse").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.to_string().contains("shard0.jsonl:6"), "{error}");
}

#[test]
fn a_corpus_of_nothing_useful_is_told_early() {
    let workplace = Workplace::with_model();
    let lines: Vec<_> = (0..1500).map(|id| json!({"id": id, "text": "short"}).to_string()).collect();
    workplace.write("corpus/short.jsonl", lines.join("\n"));
    let observer = Rejected::default();
    let summary = workplace.open("result", "refuse").unwrap().run(&observer, &Cancel::default()).unwrap().summary;
    assert_eq!((summary.counts.too_short, summary.windows), (1500, 0));
    let notices = observer.1.into_inner().unwrap();
    assert!(notices.len() == 1 && notices[0].contains("the longest of them has 5"), "{notices:?}");

    let lines: Vec<_> = (0..1500).map(|id| json!({"id": id, "body": "short"}).to_string()).collect();
    workplace.write("corpus/short.jsonl", lines.join("\n"));
    let observer = Rejected::default();
    let error = workplace.open("nothing", "refuse").unwrap().run(&observer, &Cancel::default()).unwrap_err();
    assert!(error.to_string().contains("not one window"), "{error}");
    let notices = observer.1.into_inner().unwrap();
    assert!(notices.len() == 1 && notices[0].contains("--text-field"), "{notices:?}");
}

#[test]
fn one_text_under_two_ids_is_two_documents() {
    let workplace = Workplace::with_model();
    let text = "one text under two ids ".repeat(8);
    let lines = ["a", "b"].map(|id| json!({"id": id, "text": text}).to_string());
    workplace.write("corpus/twins.jsonl", lines.join("\n"));
    workplace.run("result", "refuse").unwrap();
    let whole = workplace.results("result");
    assert!(ids(&whole["scores.jsonl"]).iter().any(|id| id.starts_with("b#")));
    workplace.run("result", "resume").unwrap();
    assert_eq!(workplace.results("result"), whole);
}

#[test]
fn an_id_that_is_free_again_is_taken() {
    let workplace = Workplace::with_model();
    let line = |id: &str, seed: usize| {
        let text: Vec<_> = (0..30).map(|word| format!("w{}", word * seed % 53)).collect();
        json!({"id": id, "text": text.join(" ")}).to_string()
    };
    workplace.write("corpus/a.jsonl", [line("x", 3), line("y", 5)].join("\n"));
    workplace.write("corpus/b.jsonl", [line("x", 7), line("z", 11)].join("\n"));
    let summary = workplace.run("result", "refuse").unwrap().summary;
    assert_eq!(summary.duplicates, 1);
    workplace.write("corpus/a.jsonl", line("y", 5));
    let summary = workplace.run("result", "resume").unwrap().summary;
    assert_eq!(summary.duplicates, 0);
    assert_eq!(workplace.results("result"), workplace.afresh());
    workplace.write("corpus/a.jsonl", [line("y", 5), line("z", 13)].join("\n"));
    let summary = workplace.run("result", "resume").unwrap().summary;
    assert_eq!(summary.duplicates, 1);
    assert_eq!(workplace.results("result"), workplace.afresh());
}
