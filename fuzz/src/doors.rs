//! The doors through which bytes of strangers come in.
//!
//! Whatever the bytes are, the library gives a result or an error: it does not panic, hang, or take memory that the bytes do
//! not explain, and what it promises of results holds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longattn::config::SETTINGS;
use longattn::corpus::{Corpus, Fields, Output, Rejects};
use longattn::export::{ExportOptions, Layers, export};
use longattn::job::{Job, Results, select_files};
use longattn::model::{Contract, Metadata, NO_MODEL, Scorer};
use longattn::select::{Cut, Method, Selector, Standardize};
use longattn::tokenizer::Tokenizer;
use longattn::{Cancel, Config};
use tempfile::TempDir;

/// A way in, and what is known to get through it.
pub struct Door {
    pub name: &'static str,
    pub enter: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const DOORS: &[Door] = &[
    Door { name: "corpus", enter: corpus, seeds: corpus_seeds },
    Door { name: "gguf", enter: gguf, seeds: gguf_seeds },
    Door { name: "checkpoint", enter: checkpoint, seeds: checkpoint_seeds },
    Door { name: "tokenizer", enter: tokenizer, seeds: tokenizer_seeds },
    Door { name: "results", enter: results, seeds: results_seeds },
    Door { name: "scores", enter: scores, seeds: scores_seeds },
    Door { name: "selector", enter: selector, seeds: selector_seeds },
    Door { name: "settings", enter: settings, seeds: settings_seeds },
    Door { name: "metadata", enter: metadata, seeds: metadata_seeds },
];

/// Between the files of an input that is several.
const BETWEEN: &[u8] = b"\n----\n";

/// The largest document that is read.
const DOCUMENT_LIMIT: u64 = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<TempDir> = RefCell::new(tempfile::tempdir().expect("a folder can be made"));
}

/// An empty folder.
fn scratch() -> PathBuf {
    SCRATCH.with_borrow_mut(|folder| {
        *folder = tempfile::tempdir().expect("a folder can be made");
        folder.path().to_owned()
    })
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("there is room");
}

/// The parts of an input that is several files; those that it lacks are empty.
fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(bytes);
    std::array::from_fn(|index| {
        let Some(left) = rest.take() else { return &[][..] };
        let cut = left.windows(BETWEEN.len()).position(|window| window == BETWEEN).filter(|_| index + 1 < N);
        match cut {
            Some(cut) => {
                rest = Some(&left[cut + BETWEEN.len()..]);
                &left[..cut]
            }
            None => left,
        }
    })
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(BETWEEN)
}

/// A file that the tests have.
fn data_path(path: &str) -> PathBuf {
    let root = if Path::new("tests/data").is_dir() { "." } else { ".." };
    Path::new(root).join("tests/data").join(path)
}

fn data(path: &str) -> Vec<u8> {
    fs::read(data_path(path)).expect("the tests have it")
}

/// The first byte chooses the file's name, whose end tells its format where its content does not.
const CORPUS_NAMES: [&str; 6] = ["a.jsonl", "a.json", "a.parquet", "a.arrow", "a.txt", "a.jsonl.gz"];

fn corpus(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let folder = scratch();
    let name = CORPUS_NAMES[*first as usize % CORPUS_NAMES.len()];
    write(&folder.join(name), bytes);
    let is_typed = first & 128 != 0;
    let Ok(corpus) = Corpus::open(&[&folder], Fields::default(), &[]) else { return };
    let corpus = corpus.with_document_limit(DOCUMENT_LIMIT).with_typed_fields(is_typed);
    let Ok(documents) = corpus.read(0) else { return };
    let documents: Vec<_> = documents.collect();
    let whole: Vec<_> = documents.iter().flatten().collect();
    let types = corpus.field_types().within("fields");
    let mut output = Output::create(folder.join("out.parquet")).unwrap().with_field_types(types);
    for document in &whole {
        let Ok(record) = corpus.record(0, document) else { continue };
        assert!(record.text.is_some() || record.token_ids.is_some());
        assert!(output.write(&BTreeMap::from([("fields", &record.fields)])).unwrap().is_continue());
    }
    assert!(output.finish().unwrap().is_continue());

    // A document met before is found again. One that is met twice is another document.
    let (Some(last), true) = (whole.last(), whole.len() == documents.len()) else { return };
    let mut again = corpus.read(0).expect("it was read before");
    again.skip_to(last.offset, last.line).expect("it was there before");
    let found = again.next().expect("it was there before").expect("it was read before");
    assert_eq!((found.offset, found.line), (last.offset, last.line));
    assert_eq!(corpus.record(0, &found), corpus.record(0, last));
}

fn corpus_seeds() -> Vec<Vec<u8>> {
    let lines = "{\"id\":\"a\",\"text\":\"one\",\"n\":1e400,\"x\":NaN}\n\r\n{\"text\":\"\\ud800 \u{2028}\",\"m\":{\"s\":[-0,18446744073709551616]}}\n";
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (number, content) in
        [lines, "[{\"text\":\"a\"},{\"text\":\"b\",\"k\":null}]", "any text", ""].into_iter().enumerate()
    {
        for first in [number as u8, number as u8 | 128] {
            seeds.push([&[first], content.as_bytes()].concat());
        }
    }
    let folder = scratch();
    for name in ["a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.lz4", "a.parquet"] {
        let path = folder.join(name);
        let mut output = Output::create(&path).unwrap();
        for line in 0..3 {
            let row =
                serde_json::json!({"text": format!("text {line}"), "n": line, "list": [line, null], "s": {"a": 0.5}});
            assert!(output.write(&row).unwrap().is_continue());
        }
        assert!(output.finish().unwrap().is_continue());
        let content = fs::read(&path).unwrap();
        seeds.push([&[0], &content[..]].concat());
        seeds.push([&[128], &content[..]].concat());
    }
    seeds
}

/// Exports to a new package, whose tokenizer then is one.
fn exported(source: &Path, folder: &Path) {
    let target = folder.join("package");
    let deeper = ExportOptions {
        layers: Layers::These(vec![1]),
        losses: true,
        contract: Contract::Statistics,
        ..ExportOptions::default()
    };
    for options in [ExportOptions::default(), deeper] {
        if export(source, &target, &ExportOptions { overwrite: true, ..options }).is_ok() {
            Tokenizer::open(&target.join("tokenizer.json")).expect("what was exported is whole");
        }
    }
}

fn gguf(bytes: &[u8]) {
    let folder = scratch();
    let path = folder.join("model.gguf");
    write(&path, bytes);
    exported(&path, &folder);
}

fn gguf_seeds() -> Vec<Vec<u8>> {
    let names =
        ["gemma2", "gemma3-deep", "gpt2-deep", "linear", "llama3", "longrope", "mistral", "qwen2-deep", "olmo2-deep"];
    names.iter().map(|name| data(&format!("gguf/{name}.gguf"))).collect()
}

fn checkpoint(bytes: &[u8]) {
    let folder = scratch();
    let source = folder.join("checkpoint");
    fs::create_dir(&source).unwrap();
    let [config, tokenizer, weights] = parts(bytes);
    for (name, content) in [("config.json", config), ("tokenizer.json", tokenizer), ("model.safetensors", weights)] {
        write(&source.join(name), content);
    }
    exported(&source, &folder);
}

fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let tokenizer = data("checkpoints/tokenizer.json");
    let names = [
        "gemma2",
        "gemma3",
        "gpt2-deep",
        "gpt_neox",
        "llama",
        "longrope",
        "olmo2",
        "phi3",
        "qwen2",
        "qwen3-deep",
        "yarn",
    ];
    let file = |name: &str, file: &str| data(&format!("checkpoints/{name}/{file}"));
    names
        .iter()
        .map(|name| joined(&[&file(name, "config.json"), &tokenizer, &file(name, "model.safetensors")]))
        .collect()
}

fn tokenizer(bytes: &[u8]) {
    let [tokenizer, text] = parts(bytes);
    let path = scratch().join("tokenizer.json");
    write(&path, tokenizer);
    let Ok(tokenizer) = Tokenizer::open(&path) else { return };
    let text = String::from_utf8_lossy(text);
    let Ok(tokens) = tokenizer.tokenize(&text) else { return };
    let boundaries: Vec<_> = tokens.boundaries().collect();
    assert_eq!(boundaries.len(), tokens.ids().len() + 1);
    assert!(boundaries.windows(2).all(|pair| pair[0] <= pair[1]));
    assert!(boundaries.iter().all(|place| text.is_char_boundary(*place)));
    assert_eq!(boundaries.last(), Some(&text.len()));
    assert!(tokens.ids().is_empty() || boundaries[0] == 0);
}

fn tokenizer_seeds() -> Vec<Vec<u8>> {
    let texts = ["", "a text of words", "\u{feff}e\u{301} \u{200d}👩‍👩‍👧 \n\n  تجربة 試験", "<s> </s> <|endoftext|>"];
    let tokenizers = ["checkpoints/tokenizer.json", "tiny/query-key/tokenizer.json"];
    let with = |tokenizer: &&str| texts.map(|text| joined(&[&data(tokenizer), text.as_bytes()]));
    tokenizers.iter().flat_map(with).collect()
}

/// What a job of one file without a model leaves.
const RESULT_FILES: [&str; 2] = ["journal.jsonl", "job.json"];

fn results(bytes: &[u8]) {
    let folder = scratch();
    let [journal, identity, corpus] = parts(bytes);
    let result = folder.join("result");
    fs::create_dir(&result).unwrap();
    for (name, content) in RESULT_FILES.iter().zip([journal, identity]) {
        let content = String::from_utf8_lossy(content).replace(CORPUS_PLACE, &folder.display().to_string());
        write(&result.join(name), content.as_bytes());
    }
    write(&folder.join("corpus.jsonl"), corpus);
    let Ok(results) = Results::open(&[&result], &Cancel::default()) else { return };
    let selection = folder.join("selection");
    _ = results.select(&selection, &Config::default(), &(), &Cancel::default());
}

/// Stands in seeds for the folder of the corpus.
const CORPUS_PLACE: &str = "{folder}";

fn results_seeds() -> Vec<Vec<u8>> {
    let folder = scratch();
    let corpus = folder.join("corpus.jsonl");
    let lines =
        (0..4).map(|line| format!("{{\"id\":\"{line}\",\"text\":\"{}\"}}\n", "one two three ".repeat(40 + line)));
    write(&corpus, lines.collect::<String>().as_bytes());
    let result = folder.join("result");
    let mut config = Config::default();
    let tokenizer = tokenizer_path().display().to_string();
    let set =
        [("window", "20"), ("tokenizer", &*tokenizer), ("columns", "compression_ratio"), ("by", "compression_ratio")];
    set.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    let scorer = Arc::new(Scorer::open(Path::new(NO_MODEL), &config).unwrap());
    let mut job = Job::open(scorer, &[&corpus], &result, &config).unwrap();
    job.run(&(), &Cancel::default()).unwrap();
    let place = folder.display().to_string();
    let files = RESULT_FILES.map(|name| fs::read_to_string(result.join(name)).unwrap().replace(&place, CORPUS_PLACE));
    vec![joined(&[files[0].as_bytes(), files[1].as_bytes(), &fs::read(corpus).unwrap()])]
}

fn tokenizer_path() -> PathBuf {
    data_path("tiny/query-key/tokenizer.json")
}

fn scores(bytes: &[u8]) {
    let folder = scratch();
    let [scores, windows] = parts(bytes);
    let [scores_path, windows_path] = ["scores.jsonl", "windows.jsonl"].map(|name| folder.join(name));
    write(&scores_path, scores);
    write(&windows_path, windows);
    for windows in [vec![], vec![windows_path]] {
        let mut output = Output::create(folder.join("out.jsonl")).unwrap();
        let mut rejects = Rejects::new(folder.join("rejects.jsonl")).unwrap();
        let Ok(selection) =
            select_files(std::slice::from_ref(&scores_path), &windows, &Config::default(), &mut output, &mut rejects)
        else {
            continue;
        };
        assert!(output.finish().unwrap().is_continue());
        let written = fs::read_to_string(folder.join("out.jsonl")).unwrap();
        assert_eq!(written.lines().count() as u64, selection.written);
        assert!(selection.written <= selection.selected && selection.selected <= selection.windows);
    }
}

fn scores_seeds() -> Vec<Vec<u8>> {
    let score = |id: usize, extra: &str| {
        let strength = id as f64 / 8.0;
        format!(
            "{{\"id\":\"{id}\",\"category\":\"c{}\",\"token_count\":32,\"min_distance\":8,\"sink_tokens\":0,\"dependency_strength\":\
             {strength},\"distribution_uniformity\":-0.5{extra}}}\n",
            id % 2
        )
    };
    let plain: String = (0..6).map(|id| score(id, "")).collect();
    let extra: String = (0..6).map(|id| score(id, ",\"content\":\"text\",\"gain\":0.5")).collect();
    vec![plain.clone().into_bytes(), joined(&[plain.as_bytes(), extra.as_bytes()])]
}

fn selector(bytes: &[u8]) {
    let Ok(json) = std::str::from_utf8(bytes) else { return };
    let Ok(selector) = Selector::from_json(json) else { return };
    assert_eq!(Selector::from_json(&selector.to_json()).as_ref(), Ok(&selector));
    let method = Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25));
    let Ok(ranked) = selector.rank(&method) else { return };
    assert_eq!(ranked.values().map(Vec::len).sum::<usize>(), selector.len());
}

fn selector_seeds() -> Vec<Vec<u8>> {
    let mut selector = Selector::default();
    for id in 0..5 {
        let candidate = longattn::select::Candidate {
            id: format!("window {id}"),
            category: format!("c{}", id % 2),
            token_count: 64,
            far: None,
            dependency_strength: f64::from(id),
            distribution_uniformity: -1e-7,
        };
        selector.add(candidate).unwrap();
    }
    vec![selector.to_json().into_bytes(), Selector::default().to_json().into_bytes()]
}

/// Lines of `key=value`. What a setting takes it gives back, and takes again.
fn settings(bytes: &[u8]) {
    let mut config = Config::default();
    for line in String::from_utf8_lossy(bytes).lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if config.set(key, value).is_err() {
            continue;
        }
        let given = config.get(key).expect("it was set");
        let mut again = config.clone();
        again.set(key, &given).expect("what a setting gives it takes");
        assert_eq!(again.get(key).unwrap(), given, "{key}");
        assert_eq!(again, config, "{key}={value}");
    }
    _ = config.method();
    _ = config.cut();
}

fn settings_seeds() -> Vec<Vec<u8>> {
    let defaults: String = SETTINGS.iter().map(|setting| format!("{}={}\n", setting.key, setting.default())).collect();
    let others = "window=8192\nratio=0.25\ncategory_cuts=code=0.1,books=5\nwhere=compression_ratio between 0.2 and 0.6\n\
                  shard=1/8\nprovider_options=a=b,c,d=e\nrows=320\ncolumns=ngram_gain,length\nby=ngram_gain\ndevice_id=0\n\
                  memory_limit=1GiB\ntotal_token_budget=5000\ncategory_weights=a=1,b=2.5\nfilter=ngram_gain >= 0.1\n";
    vec![defaults.into_bytes(), others.as_bytes().to_vec()]
}

/// Lines of `key=value`.
fn metadata(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lookup =
        |key: &str| text.lines().find_map(|line| Some(line.split_once('=').filter(|pair| pair.0 == key)?.1.to_owned()));
    let Ok(Some(metadata)) = Metadata::from_properties(lookup) else { return };
    let properties = metadata.to_properties();
    let lookup = |key: &str| properties.iter().find(|pair| pair.0 == key).map(|pair| pair.1.clone());
    assert_eq!(Metadata::from_properties(lookup), Ok(Some(metadata)));
}

fn metadata_seeds() -> Vec<Vec<u8>> {
    let folder = scratch();
    let options =
        ExportOptions { tokenizer: Some(data_path("checkpoints/tokenizer.json")), ..ExportOptions::default() };
    let metadata = export(&data_path("checkpoints/mistral"), &folder.join("package"), &options).unwrap();
    let lines: String = metadata.to_properties().iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    vec![lines.into_bytes()]
}
