//! Jobs on tables, and jobs that write them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use longattn::corpus::{Lines, Output, Reject};
use longattn::job::{Job, Observer, Selection};
use longattn::model::Scorer;
use longattn::{Cancel, Config, ErrorKind, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Documents as JSON lines and as Parquet, and what becomes of them.
struct Workplace(TempDir);

#[derive(Default)]
struct Notices(Mutex<Vec<String>>);

impl Observer for Notices {
    fn notice(&self, notice: &str) {
        self.0.lock().unwrap().push(notice.to_owned());
    }
}

impl Workplace {
    fn new() -> Self {
        let workplace = Self(tempfile::tempdir().unwrap());
        for (folder, suffix) in [("lines", "jsonl.gz"), ("parquet", "parquet")] {
            for shard in 0..2 {
                let path = workplace.path(&format!("{folder}/documents/{shard}.{suffix}"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let mut output = Output::create(path).unwrap();
                documents(shard).iter().for_each(|row| assert!(output.write(row).unwrap().is_continue()));
                assert!(output.finish().unwrap().is_continue());
            }
        }
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn job(&self, input: &str, settings: &[(&str, &str)]) -> Result<Job> {
        let mut config = Config::default();
        let onnxruntime = common::onnxruntime().display().to_string();
        let common = [("window", "60"), ("ratio", "0.5"), ("onnxruntime", &onnxruntime), ("earlier_results", "resume")];
        common.iter().chain(settings).try_for_each(|(key, value)| config.set(key, value))?;
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key");
        let scorer = Arc::new(Scorer::open(&package, &config)?);
        Job::open(scorer, &[self.path(input).join("documents")], &self.path(input).join("result"), &config)
    }

    fn run(&self, input: &str, settings: &[(&str, &str)]) -> Selection {
        self.job(input, settings).unwrap().run(&(), &Cancel::default()).unwrap()
    }

    /// The rows of all files in a folder that begin with a name, without where documents stand.
    fn rows(&self, folder: &str, name: &str) -> Vec<Value> {
        let names = self.names(folder).into_iter().filter(|file| file.starts_with(name));
        let mut rows: Vec<_> = names.flat_map(|name| rows(&self.path(folder).join(name))).collect();
        for row in &mut rows {
            row.as_object_mut().unwrap().remove("source");
        }
        rows
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn rows(path: &Path) -> Vec<Value> {
    let value = |item: Result<(_, std::result::Result<Value, Reject>)>| item.unwrap().1.unwrap();
    Lines::open(path).unwrap().map(value).collect()
}

fn documents(shard: usize) -> Vec<Value> {
    let text = |number: usize| {
        let words = if number % 4 == 3 { 5 } else { 20 + 7 * number };
        let words: Vec<_> = (0..words).map(|word| format!("é{}", (word * word * (shard + 3) + number) % 61)).collect();
        words.join(" ")
    };
    (0..9).map(|number| json!({"id": number + 9 * shard, "text": text(number), "n": {"a": number}})).collect()
}

#[test]
fn parquet_gives_what_json_lines_give_and_is_gone_on_with() {
    let workplace = Workplace::new();
    let selection = workplace.run("lines", &[]);
    assert!(selection.summary.windows_selected > 3);
    assert_eq!(workplace.run("parquet", &[]).summary.windows, selection.summary.windows);
    for name in ["selected", "scores"] {
        assert_eq!(workplace.rows("parquet/result", name), workplace.rows("lines/result", name));
    }
    let again = workplace.run("parquet", &[]);
    assert_eq!(again.summary.counts.windows_known, again.summary.windows);

    let path = workplace.path("parquet/documents/1.parquet");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let without = workplace.run("parquet", &[]);
    assert_eq!(without.summary.files_rejected, 1);
    assert!(without.summary.windows < selection.summary.windows);
    fs::write(&path, &whole).unwrap();
    let mended = workplace.run("parquet", &[]);
    assert_eq!((mended.summary.counts.windows_known, mended.summary.files_rejected), (selection.summary.windows, 0));
    assert_eq!(workplace.rows("parquet/result", "selected"), workplace.rows("lines/result", "selected"));
}

#[test]
fn results_are_written_in_the_format_that_was_asked_for_and_in_no_other() {
    let workplace = Workplace::new();
    workplace.run("lines", &[]);
    let tables = || -> Vec<_> {
        let names = workplace.names("lines/result").into_iter();
        names.filter(|name| name.starts_with("scores") || name.starts_with("selected")).collect()
    };
    assert_eq!(tables(), ["scores.jsonl", "selected.jsonl"]);
    let expected = ["scores", "selected"].map(|name| workplace.rows("lines/result", name));
    for (format, size) in [("parquet", "auto"), ("jsonl.zst", "2kB"), ("parquet", "2kB"), ("jsonl", "auto")] {
        workplace.run("lines", &[("output_format", format), ("output_shard_size", size)]);
        let names = tables();
        assert!(names.iter().all(|name| name.ends_with(&format!(".{format}"))), "{names:?}");
        assert_eq!(names.len() > 2, size != "auto", "{names:?}");
        assert_eq!(
            ["scores", "selected"].map(|name| workplace.rows("lines/result", name)),
            expected,
            "{format} {size}"
        );
    }
}

#[test]
fn selected_windows_carry_the_fields_of_their_documents() {
    let workplace = Workplace::new();
    for input in ["lines", "parquet"] {
        workplace.run(input, &[("keep_fields", "true")]);
        let selected = workplace.rows(&format!("{input}/result"), "selected");
        for row in selected {
            let id = row["document"].as_str().unwrap().parse::<usize>().unwrap();
            assert_eq!(row["fields"], json!({"id": id, "n": {"a": id % 9}}));
        }
    }
}

#[test]
fn attributes_are_row_by_row_beside_the_documents() {
    let workplace = Workplace::new();
    for (input, suffix) in [("lines", "jsonl.gz"), ("parquet", "parquet")] {
        workplace.run(input, &[("attributes", "far")]);
        let scores = workplace.rows(&format!("{input}/result"), "scores");
        let mut found = 0;
        for shard in 0..2 {
            let attributes = rows(&workplace.path(&format!("{input}/attributes/far/{shard}.{suffix}")));
            let documents = documents(shard);
            assert_eq!(attributes.len(), documents.len());
            for (row, document) in attributes.iter().zip(documents) {
                assert_eq!(row["id"], document["id"].to_string());
                let text: Vec<_> = document["text"].as_str().unwrap().chars().collect();
                for span in row["attributes"]["far__dependency_strength"].as_array().unwrap() {
                    let (start, end) = (span[0].as_f64().unwrap() as usize, span[1].as_f64().unwrap() as usize);
                    let bytes = text[..start].iter().collect::<String>().len();
                    let window = &scores[found];
                    assert_eq!(window["byte_start"], bytes);
                    assert_eq!(window["byte_end"], bytes + text[start..end].iter().collect::<String>().len());
                    assert_eq!(window["dependency_strength"], span[2]);
                    found += 1;
                }
            }
        }
        assert_eq!(found, scores.len());
    }
}

#[test]
fn ids_that_come_again_are_told_and_can_be_had_from_places() {
    let workplace = Workplace::new();
    let [one, two] = ["0", "1"].map(|shard| workplace.path(&format!("parquet/documents/{shard}.parquet")));
    fs::copy(one, two).unwrap();
    let notices = Notices::default();
    let run = |settings: &[(&str, &str)]| {
        let mut job = workplace.job("parquet", settings).unwrap();
        job.run(&notices, &Cancel::default()).unwrap().summary
    };
    assert_eq!(run(&[]).duplicates, 9);
    let told = std::mem::take(&mut *notices.0.lock().unwrap());
    assert_eq!(told.iter().filter(|notice| notice.contains("--ids-from-place")).count(), 1, "{told:?}");
    assert_eq!(run(&[("ids_from_place", "true"), ("earlier_results", "overwrite")]).duplicates, 0);
    assert!(notices.0.lock().unwrap().is_empty());
    let both = workplace.job("lines", &[("ids_from_place", "true"), ("id_field", "id")]).err().expect("refused");
    assert_eq!(both.kind(), ErrorKind::InvalidSetting);
}
