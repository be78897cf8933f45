//! Scores that need no model, beside those of a model and alone.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longattn::choice::Choice;
use longattn::corpus::{Output, Rejects};
use longattn::job::{Job, RecordJob, Results, select_files};
use longattn::model::{NO_MODEL, Scorer};
use longattn::rivals::{Column, columns};
use longattn::tokenizer::words;
use longattn::{Cancel, Config, ErrorKind, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

const COLUMNS: &str = "compression_ratio,zstd_compression_gain,bigram_recurrence,ngram_gain,weighted_ngram_gain";

struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        let workplace = Self(tempfile::tempdir().unwrap());
        let document = |category: &str, number: usize| {
            let word = |place: usize| format!("w{} ", (place * place * (number + 2) / 3) % (11 + 40 * number));
            let text: String = (0..700).map(word).collect();
            json!({"id": format!("{category}{number}"), "category": category, "text": text}).to_string()
        };
        let lines: Vec<_> = (0..12).map(|number| document(["a", "b"][number % 2], number)).collect();
        fs::write(workplace.path("corpus.jsonl"), lines.join("\n")).unwrap();
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn job(&self, model: &Path, result: &str, settings: &[(&str, &str)]) -> Result<Job> {
        let config = config(settings);
        let scorer = Arc::new(Scorer::open(model, &config)?);
        Job::open(scorer, &[self.path("corpus.jsonl")], &self.path(result), &config)
    }

    fn run(&self, model: &Path, result: &str, settings: &[(&str, &str)]) {
        self.job(model, result, settings).unwrap().run(&(), &Cancel::default()).unwrap();
    }
}

/// Without a model there is no ONNX Runtime to find.
fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    for (key, value) in [("window", "300"), ("onnxruntime", "/nowhere/libonnxruntime.so"), ("columns", COLUMNS)] {
        config.set(key, value).unwrap();
    }
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

fn no_model() -> &'static Path {
    Path::new(NO_MODEL)
}

fn number(line: &Value, column: &str) -> f64 {
    line[column].as_f64().unwrap_or_else(|| panic!("no {column} in {line}"))
}

/// The ids of the best windows of each category.
fn best(lines: &[Value], column: &str, count: usize) -> Vec<String> {
    let mut categories: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    lines.iter().for_each(|line| categories.entry(line["category"].as_str().unwrap()).or_default().push(line));
    let mut best: Vec<_> = categories
        .into_values()
        .flat_map(|mut lines| {
            let id = |line: &Value| line["id"].as_str().unwrap().to_owned();
            lines.sort_by_key(|line| id(line));
            lines.sort_by(|a, b| number(b, column).total_cmp(&number(a, column)));
            lines.into_iter().take(count).map(|line| line["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    best.sort();
    best
}

fn ids(lines: &[Value]) -> Vec<String> {
    let mut ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_job_without_a_model_selects_by_a_column() {
    let workplace = Workplace::new();
    workplace.run(no_model(), "result", &[("by", "ngram_gain"), ("count", "3")]);
    let (scores, selected) = (workplace.lines("result/scores.jsonl"), workplace.lines("result/selected.jsonl"));
    assert_eq!(scores.len(), 12 * 3);
    assert_eq!(ids(&selected), best(&scores, "ngram_gain", 3));
    for line in &selected {
        assert_eq!(line["token_count"], 300);
        assert!(line.get("dependency_strength").is_none() && line.get("lds").is_none(), "{line}");
        let text = line["content"].as_str().unwrap();
        let asked = COLUMNS.split(',').map(|name| Column::named(name).unwrap()).collect();
        for (column, expected) in columns(&asked, Some(text), words(text).ids()).0 {
            assert_eq!(number(line, column.name()), expected, "{}", column.name());
        }
    }
    assert!(!workplace.path("result/report.html").exists());
}

#[test]
fn a_job_without_a_model_goes_on_and_selects_anew() {
    let workplace = Workplace::new();
    workplace.run(no_model(), "first", &[("by", "ngram_gain"), ("count", "2")]);
    // Whether the process has loaded ONNX Runtime meanwhile does not matter.
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key");
    Scorer::open(&package, &config(&[("onnxruntime", common::onnxruntime().to_str().unwrap())])).unwrap();
    let resumed = [("by", "compression_ratio"), ("count", "2"), ("earlier_results", "resume")];
    workplace.run(no_model(), "first", &resumed);
    workplace.run(no_model(), "afresh", &resumed[..2]);
    for name in ["scores.jsonl", "selected.jsonl"] {
        let read = |result: &str| fs::read_to_string(workplace.path(result).join(name)).unwrap();
        assert_eq!(read("first"), read("afresh"), "{name}");
    }
    let results = Results::open(&[workplace.path("first")], &Cancel::default()).unwrap();
    results.select(&workplace.path("selection"), &config(&resumed[..2]), &(), &Cancel::default()).unwrap();
    assert_eq!(workplace.lines("selection/selected.jsonl"), workplace.lines("afresh/selected.jsonl"));
    let unranked = results.select(&workplace.path("selection"), &Config::default(), &(), &Cancel::default());
    assert_eq!(unranked.unwrap_err().kind(), ErrorKind::InvalidSetting);
}

#[test]
fn files_of_scores_are_selected_by_a_column_and_cut_on_both_sides() {
    let workplace = Workplace::new();
    workplace.run(no_model(), "result", &[("by", "ngram_gain")]);
    let scores = workplace.lines("result/scores.jsonl");
    let mut ratios: Vec<_> = scores.iter().map(|line| number(line, "compression_ratio")).collect();
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (ratios[6], ratios[29]);
    let filter = format!("compression_ratio between {low} and {high}");
    let kept: Vec<_> =
        scores.iter().filter(|line| (low..=high).contains(&number(line, "compression_ratio"))).cloned().collect();
    let settings = [("by", "bigram_recurrence"), ("count", "4"), ("filter", &filter)];
    let mut output = Output::create(workplace.path("selected.jsonl")).unwrap();
    let mut rejects = Rejects::new(workplace.path("rejects.jsonl")).unwrap();
    let inputs = [workplace.path("result/scores.jsonl")];
    let selection = select_files(&inputs, &[], &config(&settings), &mut output, &mut rejects).unwrap();
    _ = output.finish().unwrap();
    assert_eq!((selection.filtered, selection.windows), ((36 - kept.len()) as u64, kept.len() as u64));
    assert_eq!(ids(&workplace.lines("selected.jsonl")), best(&kept, "bigram_recurrence", 4));
    // The same from the results of the job.
    let results = Results::open(&[workplace.path("result")], &Cancel::default()).unwrap();
    results.select(&workplace.path("selection"), &config(&settings), &(), &Cancel::default()).unwrap();
    assert_eq!(ids(&workplace.lines("selection/selected.jsonl")), best(&kept, "bigram_recurrence", 4));
}

#[test]
fn records_have_the_columns_of_their_first_tokens() {
    let workplace = Workplace::new();
    let lines = [
        json!({"id": "text", "text": "one two three ".repeat(200)}),
        json!({"id": "ids", "token_ids": vec![7; 400]}),
        json!({"id": "short", "text": "one two"}),
    ];
    fs::write(workplace.path("records.jsonl"), lines.map(|line| line.to_string()).join("\n")).unwrap();
    let config = config(&[]);
    let scorer = Arc::new(Scorer::open(no_model(), &config).unwrap());
    let (output, rejects) = (workplace.path("scores.jsonl"), workplace.path("rejects.jsonl"));
    let job = RecordJob::open(scorer, &[workplace.path("records.jsonl")], &output, &rejects, &config);
    job.unwrap().run(&(), &Cancel::default()).unwrap();
    let scores = workplace.lines("scores.jsonl");
    let asked = config.columns.clone();
    let text = "one two three ".repeat(100);
    let expected = serde_json::to_value(columns(&asked, Some(&text), words(&text).ids())).unwrap();
    assert_eq!(expected["compression_ratio"], scores[0]["compression_ratio"]);
    assert_eq!(expected["ngram_gain"], scores[0]["ngram_gain"]);
    assert!(scores[1].get("compression_ratio").is_none() && number(&scores[1], "ngram_gain").abs() < 0.1);
    assert!(scores[2].get("ngram_gain").is_none() && number(&scores[2], "bigram_recurrence") == 0.0);
}

#[test]
fn columns_stand_beside_the_scores_of_a_model() {
    let workplace = Workplace::new();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key");
    let onnxruntime = common::onnxruntime().display().to_string();
    let settings = [("window", "60"), ("onnxruntime", &onnxruntime), ("columns", "bigram_recurrence"), ("count", "3")];
    workplace.run(&package, "model", &settings);
    let scores = workplace.lines("model/scores.jsonl");
    for line in &scores {
        let (square, strength) = (number(line, "far_square_mass"), number(line, "dependency_strength"));
        assert!(0.0 < square && square < strength, "{line}");
        number(line, "bigram_recurrence");
    }
    workplace.run(&package, "by", &[&settings[..], &[("by", "far_square_mass")]].concat());
    let selected = workplace.lines("by/selected.jsonl");
    assert_eq!(ids(&selected), best(&scores, "far_square_mass", 3));
    assert!(selected.iter().all(|line| line["lds"].is_f64()) && workplace.path("by/report.html").exists());
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_scored() {
    let workplace = Workplace::new();
    let refused = |settings: &[(&str, &str)]| match workplace.job(no_model(), "refused", settings) {
        Ok(_) => panic!("{settings:?} should be refused"),
        Err(error) => error.to_string(),
    };
    assert!(refused(&[("columns", "none"), ("by", "ngram_gain")]).contains("set columns to some of compression_ratio"));
    assert!(refused(&[]).contains("set by to a column"));
    assert!(refused(&[("by", "trigram_recurrence")]).contains("trigram_recurrence is asked for and not scored"));
    assert!(refused(&[("by", "ngram_gain"), ("adaptive", "true")]).contains("need a model"));
    let filter = ("filter", "trigram_recurrence >= 0.1");
    assert!(refused(&[("by", "ngram_gain"), filter]).contains("trigram_recurrence is asked for"));
    assert!(!workplace.path("refused").exists());
    let mut job = workplace.job(no_model(), "job", &[("by", "dependency_strength")]).unwrap();
    let error = job.run(&(), &Cancel::default()).unwrap_err();
    assert!(error.to_string().contains("ranked by dependency_strength, and none has a number there"), "{error}");
}
