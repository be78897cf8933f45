//! Corpora on disk: what is read, what is refused, and what survives an interruption.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Finished, Stdio};

use longattn::corpus::{
    Corpus, Fields, Journal, Lines, Output, Place, RawDocument, RawObject, Reader, Record, Reject, Rejects,
    check_writable, write_whole,
};
use longattn::digest::{Digest as ContentDigest, Stamp};
use longattn::{Cancel, ErrorKind};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use tempfile::TempDir;

/// A folder for one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

type Items = Vec<Result<Record, Reject>>;

fn read_with<P: AsRef<Path>>(inputs: &[P], fields: Fields) -> longattn::Result<Items> {
    Ok(Reader::open(inputs, fields)?.collect())
}

fn read<P: AsRef<Path>>(inputs: &[P]) -> Items {
    read_with(inputs, Fields::default()).unwrap()
}

fn records(items: Items) -> Vec<Record> {
    items.into_iter().map(Result::unwrap).collect()
}

fn rejects(items: Items) -> Vec<Reject> {
    items.into_iter().filter_map(Result::err).collect()
}

fn ids(items: &Items) -> Vec<&str> {
    items.iter().flatten().map(|record| record.id.as_str()).collect()
}

fn categories(items: &Items) -> Vec<&str> {
    items.iter().flatten().map(|record| record.category.as_str()).collect()
}

/// One line for each id.
fn lines_of(ids: &[&str]) -> String {
    ids.iter().map(|id| json!({"id": id, "text": "t"}).to_string() + "\n").collect()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    id: String,
    score: f32,
}

fn entry(id: &str, score: f32) -> Entry {
    Entry { id: id.to_owned(), score }
}

// JSON lines

fn entries(path: &Path) -> Vec<(String, Result<Entry, Reject>)> {
    let lines = Lines::open(path).unwrap();
    lines.map(|item| item.map(|(place, entry)| (place.line.unwrap().to_string(), entry)).unwrap()).collect()
}

#[test]
fn one_bad_line_is_one_reject() {
    let folder = Folder::new();
    let path = folder.write(
        "scores.jsonl",
        b"{\"id\":\"a\",\"score\":1}\n{broken\n{\"id\":\"\xFF\",\"score\":1}\n\n[\"array\",1]\n7\n{\"id\":\"b\"}\n\
          {\"id\":\"c\",\"score\":\"high\"}\n{\"id\":\"d\",\"score\":1} {}\n{\"id\":\"\\ud800\",\"score\":1}\n\
          {\"id\":\"z\",\"score\":2}",
    );
    let items = entries(&path);
    let numbers: Vec<_> = items.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(numbers, ["1", "2", "3", "5", "6", "7", "8", "9", "10", "11"]);
    let (good, bad): (Vec<_>, Vec<_>) = items.into_iter().map(|(_, entry)| entry).partition(Result::is_ok);
    let good: Vec<_> = good.into_iter().map(Result::unwrap).collect();
    assert_eq!(good, [entry("a", 1.0), entry("z", 2.0)]);
    let bad: Vec<_> = bad.into_iter().map(Result::unwrap_err).collect();
    let reasons: Vec<_> = bad.iter().map(|reject| reject.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "key must be a string at column 2",
            "invalid UTF-8 at byte 8",
            "not a JSON object: each line must be one object, {…}",
            "not a JSON object: each line must be one object, {…}",
            "missing field `score` at column 10",
            "invalid type: string \"high\", expected f32 at column 24",
            "trailing characters at column 22",
            "unexpected end of hex escape at column 14",
        ]
    );
    assert_eq!(bad[0].record, "{broken");
    assert_eq!(bad[1].record, "{\"id\":\"\u{FFFD}\",\"score\":1}");
    assert_eq!(bad[1].to_string(), format!("{}:3: invalid UTF-8 at byte 8", path.display()));
}

#[test]
fn byte_order_mark_crlf_blank_lines_and_a_missing_last_newline() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", "\u{FEFF}{\"id\":\"a\",\"score\":1}\r\n\r\n \t\n\n{\"id\":\"b\",\"score\":2}");
    let items: Vec<_> = entries(&path).into_iter().map(|(number, entry)| (number, entry.unwrap())).collect();
    assert_eq!(items, [("1".to_owned(), entry("a", 1.0)), ("5".to_owned(), entry("b", 2.0))]);
    let only_mark = folder.write("b.jsonl", "\u{FEFF}");
    assert_eq!(entries(&only_mark), []);
    let later_mark = folder.write("c.jsonl", "\n\u{FEFF}{\"id\":\"a\",\"score\":1}\n");
    assert!(entries(&later_mark)[0].1.is_err());
}

#[test]
fn an_empty_file_has_no_lines() {
    let folder = Folder::new();
    for (name, content) in [("a.jsonl", Vec::new()), ("a.jsonl.gz", gzip(b"")), ("a.jsonl.zst", zstandard(b""))] {
        let path = folder.write(name, content);
        assert_eq!(entries(&path), []);
        assert_eq!(read(&[path]), []);
    }
}

#[test]
fn compressed_files_of_several_members() {
    let folder = Folder::new();
    for compress in [gzip, zstandard] {
        let name = if compress(b"")[0] == 0x1F { "a.jsonl.gz" } else { "a.jsonl.zst" };
        let halves = [compress(b"{\"id\":\"a\",\"score\":1}\n{\"id\":"), compress(b"\"b\",\"score\":2}\n")];
        let path = folder.write(name, halves.concat());
        let found: Vec<_> = entries(&path).into_iter().map(|(_, entry)| entry.unwrap()).collect();
        assert_eq!(found, [entry("a", 1.0), entry("b", 2.0)]);
    }
}

#[test]
fn a_truncated_or_damaged_file_is_an_error_after_its_good_lines() {
    let folder = Folder::new();
    // Digests barely compress, so that every part of the file is needed.
    let noise = |id: usize| format!("{:x}", Sha512::digest(id.to_le_bytes())).repeat(2);
    let line = |id: usize| json!({"id": id.to_string(), "score": 1, "noise": noise(id)}).to_string() + "\n";
    let content: String = (0..5000).map(line).collect();
    for (name, whole) in [("a.jsonl.gz", gzip(content.as_bytes())), ("a.jsonl.zst", zstandard(content.as_bytes()))] {
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0xA5);
        for bytes in [&whole[..middle], &whole[..whole.len() - 1], &damaged] {
            let path = folder.write(name, bytes);
            let mut lines = Lines::<Entry>::open(&path).unwrap();
            let good = lines.by_ref().map_while(Result::ok).filter(|(_, entry)| entry.is_ok()).count();
            assert!(lines.next().is_none(), "the error ends the iteration");
            let error = Lines::<Entry>::open(&path).unwrap().find_map(Result::err).expect(name);
            assert_eq!(error.kind(), ErrorKind::Io);
            let message = error.to_string();
            assert!(message.contains("damaged or cut short"), "{message}");
            // Damage may also show as bad lines, before the checksum tells.
            let line = if bytes == damaged { String::new() } else { (good + 1).to_string() };
            assert!(message.contains(&format!("{}:{line}", path.display())), "{good} {message}");
            let reject = rejects(read(&[&path])).pop().expect("the last item is the file's reject");
            assert!(reject.reason.contains("damaged or cut short"), "{reject}");
        }
    }
}

#[test]
fn a_compressed_file_cut_at_any_byte_is_an_error() {
    let folder = Folder::new();
    let content = lines_of(&["a", "b", "c"]).repeat(50).into_bytes();
    let unchecked = zstd::encode_all(content.as_slice(), 1).unwrap();
    for (name, whole) in [("a.jsonl.gz", gzip(&content)), ("a.jsonl.zst", unchecked), ("a.txt.gz", gzip(&content))] {
        for end in 0..whole.len() {
            let path = folder.write(name, &whole[..end]);
            let reject = rejects(read(&[path])).pop().expect(name);
            assert!(reject.reason.contains("cut short"), "{name} cut at byte {end}: {reject}");
        }
    }
}

#[test]
fn content_tells_the_compression_whatever_the_name() {
    let folder = Folder::new();
    let content = lines_of(&["a"]).into_bytes();
    for (name, bytes) in [
        ("unpacked.jsonl.gz", content.clone()),
        ("packed.jsonl", gzip(&content)),
        ("other.jsonl.gz", zstandard(&content)),
        ("long.JSONL.GZIP", gzip(&content)),
        ("long.jsonl.zstd", zstandard(&content)),
        ("padded.jsonl.gz", [gzip(&content), vec![0; 512]].concat()),
    ] {
        assert_eq!(ids(&read(&[folder.write(name, bytes)])), ["a"], "{name}");
    }
}

#[test]
fn what_is_neither_compressed_nor_text_is_damaged() {
    let folder = Folder::new();
    for (name, bytes) in
        [("a.jsonl.gz", &b"\x1E\x8B\x08\0"[..]), ("a.jsonl.zst", b"("), ("a.bz2", b"BZh9"), ("a.xz", b"")]
    {
        let reject = rejects(read(&[folder.write(name, bytes)])).pop().expect(name);
        assert!(reject.reason.contains("cut short"), "{reject}");
    }
}

#[test]
fn what_was_compressed_twice_is_called_by_name() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl.zst", zstandard(&gzip(lines_of(&["a"]).as_bytes())));
    let reject = rejects(read(&[path])).pop().expect("a reject");
    assert_eq!(reject.reason, "is gzip within Zstandard: decompress it once");
}

#[test]
fn bytes_behind_a_gzip_file_are_one_reject() {
    let folder = Folder::new();
    let content = [gzip(lines_of(&["a", "b"]).as_bytes()), b"\r\n-- end of file --\r\n".to_vec()].concat();
    for name in ["a.jsonl.gz", "a.json.gz"] {
        let items = read(&[folder.write(name, &content)]);
        assert_eq!(ids(&items), ["a", "b"]);
        let [reject] = &rejects(items)[..] else { panic!("one reject") };
        assert!(reject.reason.contains("behind the end of the compressed data"), "{reject}");
    }
}

#[test]
fn other_json_is_refused_by_name() {
    let folder = Folder::new();
    let record = json!({"id": "a", "text": "t"});
    let pretty = serde_json::to_string_pretty(&record).unwrap();
    for (name, content, reason) in [
        ("array.json", json!([1, record]).to_string(), "JSON array of what are no objects"),
        ("array.jsonl", "[\n\"a\"\n]".to_owned(), "JSON array of what are no objects"),
        ("pretty.json", pretty.clone(), "over several lines"),
        ("pretty.jsonl", pretty, "over several lines"),
        ("mac.jsonl", format!("{record}\r{record}"), "carriage return"),
    ] {
        let items = read(&[folder.write(name, content)]);
        let [Err(reject)] = &items[..] else { panic!("{name}: {items:?}") };
        assert!(reject.reason.contains(reason), "{reject}");
    }
    let utf16: Vec<u8> = "\u{FEFF}text".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for name in ["a.jsonl", "a.txt"] {
        let reject = rejects(read(&[folder.write(name, &utf16)])).pop().expect(name);
        assert!(reject.reason.contains("UTF-16"), "{reject}");
    }
}

#[test]
fn a_json_array_is_read_record_by_record() {
    let folder = Folder::new();
    let array = json!([{"id": "a", "text": "t", "deep": [1, {"b": 2}]}, {"text": 5}, 7, {"text": "no id"}]);
    for (name, content) in [
        ("array.json", array.to_string().into_bytes()),
        ("array.jsonl", serde_json::to_string_pretty(&array).unwrap().into_bytes()),
        ("array.json.gz", gzip(serde_json::to_string_pretty(&array).unwrap().as_bytes())),
        ("array", format!("\u{FEFF}\r\n{array}\r\n").into_bytes()),
    ] {
        let items = read(&[folder.write(name, content)]);
        assert_eq!(ids(&items), ["a".to_owned(), format!("{name}:4")], "{name}");
        let fields = serde_json::to_string(&items[0].as_ref().unwrap().fields).unwrap();
        assert!(!fields.contains('\n') && fields.contains("deep"), "{fields}");
        let places: Vec<_> = rejects(items).into_iter().map(|reject| reject.place.line).collect();
        assert_eq!(places, [Some(2), Some(3)], "{name}");
    }
    let content = gzip(format!("{array}").as_bytes());
    let cut = folder.write("cut.json.gz", &content[..content.len() - 9]);
    assert!(rejects(read(&[cut])).pop().unwrap().reason.contains("cut short"));
    assert_eq!(read(&[folder.write("empty.json", "[]\n")]), []);
}

#[test]
fn json_lines_by_any_name() {
    let folder = Folder::new();
    for name in ["train.json", "A.JSONL", "a.jsonlines", "a.ndjson", "part-00000", "a.txt"] {
        assert_eq!(ids(&read(&[folder.write(name, lines_of(&["a", "b"]))])), ["a", "b"], "{name}");
    }
}

#[test]
fn ids_from_place() {
    let folder = Folder::new();
    for name in ["c/0.jsonl", "c/1.jsonl"] {
        folder.write(name, lines_of(&["0", "1"]));
    }
    let corpus = corpus_of(&[folder.path("c")]).with_ids_from_place(true);
    let items: Items = Reader::of(&corpus).collect();
    assert_eq!(ids(&items), ["c/0.jsonl:1", "c/0.jsonl:2", "c/1.jsonl:1", "c/1.jsonl:2"]);
}

#[test]
fn a_zstandard_file_with_a_long_window() {
    let folder = Folder::new();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(lines_of(&["a"]).as_bytes()).unwrap();
    let path = folder.write("a.jsonl.zst", encoder.finish().unwrap());
    assert_eq!(ids(&read(&[path])), ["a"]);
}

#[test]
fn a_line_of_50_megabytes() {
    let folder = Folder::new();
    let long = "wörd ".repeat(9_000_000);
    let content = format!("{}\n{}{}", json!({"id": "long", "text": long}), lines_of(&["b"]), json!({"text": long}));
    let path = folder.write("a.jsonl.gz", gzip(content.as_bytes()));
    let found = records(read(&[path]));
    assert_eq!(found.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["long", "b", "a.jsonl.gz:3"]);
    assert!(found[0].text.as_ref() == Some(&long) && found[2].text.as_ref() == Some(&long));
}

#[test]
fn a_missing_file_is_named() {
    let error = Lines::<Entry>::open("nowhere/a.jsonl").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("nowhere/a.jsonl: cannot be read: "), "{error}");
}

// Reader

#[test]
fn ids_and_categories_of_a_file() {
    let folder = Folder::new();
    let content = "{\"text\":\"a\"}\n{\"text\":\"b\",\"id\":5,\"category\":\"own\",\"url\":\"u\"}\n";
    for (name, bytes) in [
        ("books.jsonl", content.as_bytes().to_vec()),
        ("books.ndjson", content.as_bytes().to_vec()),
        ("books.jsonl.gz", gzip(content.as_bytes())),
        ("books.jsonl.zst", zstandard(content.as_bytes())),
    ] {
        let path = folder.write(name, bytes);
        let items = read(&[&path]);
        assert_eq!(ids(&items), [format!("{name}:1").as_str(), "5"]);
        assert_eq!(categories(&items), ["books", "own"]);
        let found = records(items);
        let line = |line| Place { file: path.to_string_lossy().into(), line: Some(line) };
        assert_eq!((&found[0].place, &found[1].place), (&line(1), &line(2)));
        assert_eq!(found[1].text.as_deref(), Some("b"));
        let fields = serde_json::to_string(&found[1].fields).unwrap();
        assert_eq!(fields, r#"{"id":5,"category":"own","url":"u"}"#);
    }
}

#[test]
fn a_folder_is_read_in_sorted_order_without_what_is_hidden() {
    let folder = Folder::new();
    folder.write("corpus/books/b.txt", "B");
    folder.write("corpus/books/a/z.txt.gz", gzip("Z".as_bytes()));
    folder.write("corpus/books/a/lines.jsonl", "{\"text\":\"L\"}\n");
    folder.write("corpus/books/a/code.rs.zst", zstandard("\u{FEFF}R".as_bytes()));
    folder.write("corpus/books/a/data.json", "{\"text\":\"J\"}");
    folder.write("corpus/books/.git/config", "hidden");
    folder.write("corpus/books/.hidden.txt", "hidden");
    let items = read(&[folder.path("corpus/books")]);
    let expected =
        ["books/a/code.rs.zst", "books/a/data.json:1", "books/a/lines.jsonl:1", "books/a/z.txt.gz", "books/b.txt"];
    assert_eq!(ids(&items), expected);
    assert_eq!(categories(&items), ["books"; 5]);
    let found = records(items);
    let texts: Vec<_> = found.iter().map(|record| record.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["R", "J", "L", "Z", "B"]);
    let place = Place { file: folder.path("corpus/books/b.txt").to_string_lossy().into(), line: None };
    assert_eq!(found[4].place, place);
    assert!(found[4].fields.is_empty() && found[4].token_ids.is_none());
}

#[test]
fn a_folder_keeps_its_name_however_it_is_written() {
    let folder = Folder::new();
    folder.write("books/a.txt", "A");
    folder.write("books/inner/b.txt", "B");
    for name in ["books", "books/", "books/.", "./books//", "books/inner/.."] {
        let items = read(&[folder.path(name)]);
        assert_eq!(ids(&items), ["books/a.txt", "books/inner/b.txt"], "{name}");
        assert_eq!(categories(&items), ["books", "books"], "{name}");
    }
}

#[test]
fn a_text_file_given_directly() {
    let folder = Folder::new();
    let paths = [folder.write("moby.dick.txt", "Call me"), folder.write("notes.md.gz", gzip(b"N"))];
    let items = read(&paths);
    assert_eq!(ids(&items), ["moby.dick.txt", "notes.md.gz"]);
    assert_eq!(categories(&items), ["moby.dick", "notes"]);
}

#[test]
fn what_is_not_text_is_rejected() {
    let folder = Folder::new();
    folder.write("x/a.bin", b"ab\0c");
    folder.write("x/b.txt", b"ab\xFFc");
    folder.write("x/c.txt", "good");
    let items = read(&[folder.path("x")]);
    assert_eq!(ids(&items), ["x/c.txt"]);
    let bad = rejects(items);
    assert_eq!(bad[0].reason, "not text: a NUL byte at byte 3");
    assert_eq!(bad[1].reason, "not text: invalid UTF-8 at byte 3");
    assert_eq!((bad[1].id.as_deref(), bad[1].record.as_str(), bad[1].place.line), (Some("x/b.txt"), "", None));
    assert!(bad[1].place.file.ends_with("b.txt"));
}

#[test]
fn bad_records_between_good_ones() {
    let folder = Folder::new();
    let mut content = lines_of(&["a"]).into_bytes();
    content.extend(b"{\"id\":\"b\",\"body\":\"t\"}\n\xC3\x28\n[]\n{\"text\":1}\n");
    content.extend(lines_of(&["z"]).bytes());
    let items = read(&[folder.write("a.jsonl", content)]);
    assert_eq!(ids(&items), ["a", "z"]);
    let bad = rejects(items);
    let found: Vec<_> = bad.iter().map(|reject| (reject.place.line.unwrap(), reject.id.as_deref())).collect();
    assert_eq!(found, [(2, Some("b")), (3, None), (4, None), (5, Some("a.jsonl:5"))]);
    assert!(bad[0].reason.contains("`id`, `body`") && bad[0].reason.contains("--text-field"), "{}", bad[0].reason);
    assert_eq!(bad[0].record, "{\"id\":\"b\",\"body\":\"t\"}");
}

#[test]
fn fields_that_were_set() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", "{\"key\":1,\"body\":\"t\",\"kind\":\"k\"}\n{\"id\":2,\"text\":\"t\"}\n");
    let fields = Fields { text: Some("body".into()), id: Some("key".into()), category: Some("kind".into()) };
    let items = read_with(&[path], fields).unwrap();
    assert_eq!((ids(&items), categories(&items)), (vec!["1"], vec!["k"]));
    assert!(rejects(items)[0].reason.contains("--id-field"));
}

#[test]
fn token_ids_need_no_text() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", "{\"id\":1,\"token_ids\":[1,2,3],\"n\":3}\n");
    let found = records(read(&[path]));
    assert_eq!((found[0].text.clone(), found[0].token_ids.clone()), (None, Some(vec![1, 2, 3])));
    assert_eq!(found[0].fields.get("token_ids"), None);
    assert_eq!(found[0].fields.get("n"), Some("3"));
}

#[test]
fn an_id_is_good_once_over_all_inputs() {
    let folder = Folder::new();
    let first = folder.write("a.jsonl", lines_of(&["x", "y", "x"]));
    let second = folder.write("b.jsonl", lines_of(&["z", "y"]) + "{\"id\":\"q\"}\n" + &lines_of(&["q"]));
    let items = read(&[&first, &second]);
    assert_eq!(ids(&items), ["x", "y", "z", "q"]);
    let reasons: Vec<_> = rejects(items).into_iter().map(|reject| reject.to_string()).collect();
    let (first, second) = (first.display(), second.display());
    assert_eq!(reasons[0], format!("{first}:3: duplicate id `x`, first seen at {first}:1"));
    assert_eq!(reasons[1], format!("{second}:2: duplicate id `y`, first seen at {first}:2"));
    assert!(reasons[2].contains("--text-field"), "what was rejected is no first one");
}

#[test]
fn inputs_of_one_name_do_not_share_ids() {
    let folder = Folder::new();
    let paths = ["one/a.jsonl", "two/a.jsonl"].map(|name| folder.write(name, "{\"text\":\"t\"}\n"));
    let items = read(&paths);
    assert_eq!(ids(&items), paths.map(|path| format!("{}:1", path.display())));
    assert_eq!(categories(&items), ["a", "a"]);
    folder.write("one/books/t.txt", "t");
    folder.write("two/books/t.txt", "t");
    let folders = [folder.path("one/books/"), folder.path("two/books")];
    let expected = ["one", "two"].map(|name| folder.path(name).join("books/t.txt").display().to_string());
    assert_eq!(ids(&read(&folders)), expected);
}

fn open_error<P: AsRef<Path>>(inputs: &[P]) -> longattn::Error {
    Reader::open(inputs, Fields::default()).err().expect("an error")
}

#[test]
fn inputs_are_checked_before_anything_is_read() {
    let folder = Folder::new();
    let good = folder.write("good.jsonl", lines_of(&["a"]));
    let missing = open_error(&[good.clone(), folder.path("missing.jsonl")]);
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().contains("missing.jsonl"), "{missing}");
    fs::create_dir_all(folder.path("empty/inner")).unwrap();
    folder.write("empty/.hidden", "h");
    let empty = open_error(&[good.clone(), folder.path("empty")]);
    assert_eq!(empty.kind(), ErrorKind::InvalidArgument);
    assert!(empty.to_string().contains("empty has no files to read"), "{empty}");
    let none = open_error::<&Path>(&[]);
    assert!(none.to_string().contains("no input"), "{none}");
    for twice in [[good.clone(), good.clone()], [good.clone(), folder.path("")], [folder.path("."), good.clone()]] {
        let error = open_error(&twice);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("twice"), "{error}");
    }
    assert!(open_error(&["-", "-"]).to_string().contains("twice"));
    folder.write("good/a.txt", "not inside good.jsonl");
    assert!(Reader::open(&[good, folder.path("good")], Fields::default()).is_ok());
}

#[test]
fn progress_counts_bytes_on_disk() {
    let folder = Folder::new();
    let plain = folder.write("a.jsonl", lines_of(&["a", "b"]));
    let packed = folder.write("b/c.jsonl.gz", gzip(lines_of(&["c"]).as_bytes()));
    let total = fs::metadata(&plain).unwrap().len() + fs::metadata(&packed).unwrap().len();
    let reader = Reader::open(&[plain.clone(), folder.path("b")], Fields::default()).unwrap();
    let progress = reader.progress();
    assert_eq!((progress.total_bytes(), progress.consumed_bytes()), (Some(total), 0));
    let count = std::thread::spawn(move || reader.count()).join().unwrap();
    assert_eq!((count, progress.consumed_bytes()), (3, total));
    let with_stream = Reader::open(&[plain, "-".into()], Fields::default()).unwrap();
    assert_eq!(with_stream.progress().total_bytes(), None);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_read_as_text() {
    use std::os::fd::AsRawFd;
    let (receiver, mut sender) = std::io::pipe().unwrap();
    sender.write_all(b"piped").unwrap();
    drop(sender);
    let reader = Reader::open(&[format!("/dev/fd/{}", receiver.as_raw_fd())], Fields::default()).unwrap();
    assert_eq!(reader.progress().total_bytes(), None);
    assert_eq!(records(reader.collect())[0].text.as_deref(), Some("piped"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_refused() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.write("blobs/1234", "text");
    fs::create_dir(folder.path("snapshot")).unwrap();
    symlink(folder.path("blobs/1234"), folder.path("snapshot/a.txt")).unwrap();
    assert_eq!(ids(&read(&[folder.path("snapshot")])), ["snapshot/a.txt"]);
    symlink(folder.path("snapshot"), folder.path("snapshot/again")).unwrap();
    let items = read(&[folder.path("snapshot")]);
    assert_eq!(ids(&items), ["snapshot/a.txt"]);
    let loops = rejects(items);
    assert!(loops.len() == 1 && loops[0].reason.contains("a loop"), "{loops:?}");
    assert!(loops[0].place.file.ends_with("snapshot/again"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_comes_back(texts in prop::collection::vec(any::<String>(), 0..8), pack in 0..3) {
        let folder = Folder::new();
        let lines: String = texts.iter().map(|text| json!({"text": text}).to_string() + "\n").collect();
        let path = match pack {
            0 => folder.write("a.jsonl", lines),
            1 => folder.write("a.jsonl.gz", gzip(lines.as_bytes())),
            _ => folder.write("a.jsonl.zst", zstandard(lines.as_bytes())),
        };
        let found: Vec<_> = records(read(&[path])).into_iter().map(|record| record.text.unwrap()).collect();
        prop_assert_eq!(found, texts);
    }

    #[test]
    fn any_bytes_give_an_item_for_each_line(bytes in any::<Vec<u8>>()) {
        let folder = Folder::new();
        let path = folder.write("a.jsonl", &bytes);
        let content = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let expected = content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        prop_assert_eq!(read(&[path]).len(), expected);
    }
}

// Files one by one

fn corpus_of<P: AsRef<Path>>(inputs: &[P]) -> Corpus {
    Corpus::open(inputs, Fields::default(), &[]).unwrap()
}

/// The files that a plain text, and the same compressed, stand in.
fn packed(folder: &Folder, content: &[u8]) -> [PathBuf; 3] {
    [
        folder.write("plain/a.jsonl", content),
        folder.write("gzip/a.jsonl.gz", gzip(content)),
        folder.write("zstandard/a.jsonl.zst", zstandard(content)),
    ]
}

/// Lines that fill several buffers, and barely compress.
fn long_content() -> String {
    let noise = |number: usize| format!("{:x}", Sha512::digest(number.to_le_bytes())).repeat(4);
    let line = |number: usize| json!({"id": number.to_string(), "text": noise(number)}).to_string() + "\r\n";
    (0..2000).map(line).collect()
}

#[test]
fn a_file_tells_what_it_held() {
    let folder = Folder::new();
    for path in packed(&folder, long_content().as_bytes()) {
        let bytes = fs::read(&path).unwrap();
        let corpus = corpus_of(&[&path]);
        let mut documents = corpus.read(0).unwrap();
        assert_eq!(documents.by_ref().map(Result::unwrap).count(), 2000);
        assert!(documents.next().is_none());
        assert_eq!(documents.consumed_bytes(), bytes.len() as u64);
        let content = documents.finish().unwrap();
        assert_eq!((content.bytes, content.digest), (bytes.len() as u64, ContentDigest::of(&bytes)));
        assert_eq!(content.stamp, Some(Stamp::of(&path).unwrap()));
        let unread = corpus.read(0).unwrap().finish().unwrap();
        assert_eq!(unread, content, "what was not asked for is read at the end");
    }
    let text = folder.write("a.txt", "text");
    assert_eq!(corpus_of(&[text]).read(0).unwrap().finish().unwrap().digest, ContentDigest::of("text"));
}

#[test]
fn reading_goes_on_at_any_document() {
    let folder = Folder::new();
    let content = format!("\u{FEFF}{{\"id\":\"first\"}}\n\n{}", long_content());
    for path in packed(&folder, content.as_bytes()) {
        let corpus = corpus_of(&[&path]);
        let all: Vec<RawDocument> = corpus.read(0).unwrap().map(Result::unwrap).collect();
        for start in [0, 1, 2, 999, 2000] {
            let mut documents = corpus.read(0).unwrap();
            documents.skip_to(all[start].offset, all[start].line).unwrap();
            assert_eq!(documents.next().unwrap().unwrap(), all[start]);
            let later = (start + 1).clamp(1500, 2000);
            if later > start {
                documents.skip_to(all[later].offset, all[later].line).unwrap();
                assert!(documents.by_ref().map(Result::unwrap).eq(all[later..].iter().cloned()));
            }
            let content = documents.finish().unwrap();
            assert_eq!(content.digest, ContentDigest::of_file(&path).unwrap(), "{}", path.display());
        }
        let mut documents = corpus.read(0).unwrap();
        let beyond = documents.skip_to(1 << 40, 7).unwrap_err();
        assert!(beyond.reason.contains("was changed"), "{beyond}");
        assert!(documents.next().is_none());
        assert_eq!(documents.finish().unwrap_err(), beyond);
        let mut documents = corpus.read(0).unwrap();
        assert!(documents.nth(5).is_some());
        assert!(documents.skip_to(0, 1).unwrap_err().reason.contains("cannot go back"));
    }
}

#[test]
fn damage_voids_a_file_and_the_rest_goes_on() {
    let folder = Folder::new();
    let mut damaged = zstandard(long_content().as_bytes());
    let near_end = damaged.len() - 1000;
    damaged[near_end] ^= 1;
    let path = folder.write("shards/1.jsonl.zst", damaged);
    folder.write("shards/0.jsonl", lines_of(&["before"]));
    folder.write("shards/2.jsonl.gz", "");
    folder.write("shards/3.txt.zst", "");
    folder.write("shards/4.jsonl", lines_of(&["after"]));
    let corpus = corpus_of(&[folder.path("shards")]);
    let mut documents = corpus.read(1).unwrap();
    let failure = documents.by_ref().find_map(Result::err).expect("the damage shows");
    assert!(failure.reason.contains("damaged or cut short"), "{failure}");
    assert!(failure.place.file.ends_with("1.jsonl.zst") && failure.place.line.is_some(), "{failure}");
    assert!(documents.next().is_none());
    assert_eq!(documents.finish().unwrap_err(), failure);
    assert_eq!(corpus.read(1).unwrap().finish().unwrap_err().reason, failure.reason);
    let items = read(&[folder.path("shards")]);
    assert_eq!((ids(&items)[0], *ids(&items).last().unwrap()), ("before", "after"));
    let files: Vec<_> = rejects(items).into_iter().filter(|reject| reject.id.is_none()).collect();
    let empty: Vec<_> = files.iter().filter(|reject| reject.reason.contains("the file is empty")).collect();
    assert_eq!(empty.len(), 2, "{files:?}");
    assert!(files.iter().any(|reject| *reject.place.file == *path.to_str().unwrap()));
}

/// Reads a file of many buffers up to some document, lets something happen to it, and reads on.
fn read_while(change: impl Fn(&Path)) -> Vec<Option<String>> {
    let content = long_content();
    ["plain/a.jsonl", "gzip/a.jsonl.gz", "zstandard/a.jsonl.zst", "text/a.txt"]
        .map(|name| {
            let folder = Folder::new();
            packed(&folder, content.as_bytes());
            folder.write("text/a.txt", &content);
            let path = folder.path(name);
            let mut documents = corpus_of(&[&path]).read(0).unwrap();
            documents.next().unwrap().unwrap();
            change(&path);
            let failure = documents.by_ref().find_map(Result::err);
            assert_eq!(documents.finish().err(), failure);
            failure.map(|reject| reject.reason)
        })
        .into()
}

fn append(path: &Path, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_read_is_void() {
    let cut = |path: &Path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    };
    let rewrite = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        // Coarse clocks of file systems must not hide it.
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        (&file).write_all(&bytes).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    };
    let replace = |path: &Path| {
        let other = path.with_extension("other");
        fs::copy(path, &other).unwrap();
        fs::rename(other, path).unwrap();
    };
    for reason in
        read_while(|path| append(path, b"{}\n")).into_iter().chain(read_while(rewrite)).chain(read_while(replace))
    {
        let reason = reason.expect("an error");
        assert!(
            reason.contains("was changed while it was read") || reason.contains("cannot be decompressed"),
            "{reason}"
        );
    }
    for reason in read_while(cut) {
        let reason = reason.expect("an error");
        assert!(reason.contains("was changed") || reason.contains("cut short"), "{reason}");
    }
    for reason in read_while(|path| fs::remove_file(path).unwrap()) {
        assert!(reason.expect("an error").contains("was removed while it was read"));
    }
    assert_eq!(read_while(|_| ()), [None, None, None, None]);
}

#[test]
fn a_thread_that_keeps_writing_is_noticed() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", long_content());
    let mut documents = corpus_of(&[&path]).read(0).unwrap();
    let (ask, asked) = std::sync::mpsc::sync_channel::<()>(0);
    let (tell, told) = std::sync::mpsc::sync_channel::<()>(0);
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            for () in asked {
                append(&path, b"{\"id\":\"late\",\"text\":\"\"}\n");
                tell.send(()).unwrap();
            }
        }
    });
    for number in 0..100 {
        assert!(documents.next().unwrap().is_ok());
        if number % 10 == 0 {
            ask.send(()).unwrap();
            told.recv().unwrap();
        }
    }
    drop(ask);
    writer.join().unwrap();
    assert!(documents.finish().unwrap_err().reason.contains("was changed"));
}

#[test]
fn cancelling_stops_reading_and_is_no_damage() {
    let folder = Folder::new();
    for path in packed(&folder, long_content().as_bytes()) {
        let cancel = Cancel::default();
        let corpus = corpus_of(&[&path]).with_cancel(cancel.clone());
        let mut documents = corpus.read(0).unwrap();
        assert!(documents.next().unwrap().is_ok());
        cancel.cancel();
        let reason = documents.find_map(Result::err).unwrap().reason;
        assert!(reason.contains("cancelled") && !reason.contains("damaged"), "{reason}");
    }
}

#[test]
fn documents_over_the_limit_are_skipped() {
    let folder = Folder::new();
    let line = |id: &str, length: usize| {
        let frame = json!({"id": id, "text": ""}).to_string().len();
        json!({"id": id, "text": "x".repeat(length - frame)}).to_string()
    };
    let content = format!(
        "{}\r\n{}\n{}\n{}\n{}",
        line("fits", 1000),
        line("over", 1001),
        line("long", 400_000),
        line("next", 50),
        line("last", 1001)
    );
    for path in packed(&folder, content.as_bytes()) {
        let corpus = corpus_of(&[&path]).with_document_limit(1000);
        let documents: Vec<_> = corpus.read(0).unwrap().map(Result::unwrap).collect();
        let lengths: Vec<_> = documents.iter().map(|document| (document.line, document.len())).collect();
        assert_eq!(lengths, [(1, 1000), (2, 0), (3, 0), (4, 50), (5, 0)]);
        let items: Items = Reader::of(&corpus).collect();
        assert_eq!(ids(&items), ["fits", "next"]);
        let found = rejects(items);
        let lines: Vec<_> = found.iter().map(|reject| reject.place.line.unwrap()).collect();
        assert_eq!(lines, [2, 3, 5]);
        assert!(
            found.iter().all(|reject| reject.reason.contains("1000 bytes, the setting document_limit")),
            "{found:?}"
        );
        assert!(corpus.read(0).unwrap().finish().is_ok());
    }
    for (length, fits) in [(1000, true), (1001, false), (400_000, false)] {
        let path = folder.write("a.txt.gz", gzip(&vec![b'x'; length]));
        let corpus = corpus_of(&[path]).with_document_limit(1000);
        let items: Items = Reader::of(&corpus).collect();
        assert_eq!(items[0].is_ok(), fits);
        assert!(fits || items[0].as_ref().is_err_and(|reject| reject.id.as_deref() == Some("a.txt.gz")));
        assert!(corpus.read(0).unwrap().finish().is_ok());
    }
}

#[test]
#[ignore = "run by a_long_line_takes_no_memory"]
fn read_a_long_line() {
    let Some(path) = given_path() else { return };
    let corpus = corpus_of(&[path]).with_document_limit(1 << 20);
    let items: Items = Reader::of(&corpus).collect();
    assert_eq!((ids(&items), items.len()), (vec!["after"], 2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_line_takes_no_memory() {
    let folder = Folder::new();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let piece = vec![b'x'; 1 << 20];
    (0..1024).for_each(|_| encoder.write_all(&piece).unwrap());
    encoder.write_all(b"\n").unwrap();
    encoder.write_all(lines_of(&["after"]).as_bytes()).unwrap();
    let path = folder.write("a.jsonl.zst", encoder.finish().unwrap());
    let finished = run_again("read_a_long_line", "ulimit -v 400000; exec \"$@\"", &path, b"");
    assert!(finished.status.success(), "{finished:?}");
}

#[test]
#[ignore = "run by running_out_of_descriptors_is_no_damage"]
fn run_out_of_descriptors() {
    let Some(path) = given_path() else { return };
    let corpus = corpus_of(&[path.parent().unwrap()]);
    let held: Vec<_> = std::iter::from_fn(|| fs::File::open(&path).ok()).collect();
    let reject = corpus.read(0).err().expect("no descriptor is left");
    assert!(reject.reason.contains("ulimit -n") && !reject.reason.contains("damaged"), "{reject}");
    let error = Corpus::open(&[path.parent().unwrap()], Fields::default(), &[]).expect_err("an error, not a reject");
    assert_eq!(error.kind(), ErrorKind::Io);
    drop(held);
    assert!(corpus.read(0).unwrap().finish().is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn running_out_of_descriptors_is_no_damage() {
    let folder = Folder::new();
    let path = folder.write("a/a.jsonl.gz", gzip(lines_of(&["a"]).as_bytes()));
    let finished = run_again("run_out_of_descriptors", "ulimit -n 40; exec \"$@\"", &path, b"");
    assert!(finished.status.success(), "{finished:?}");
}

// What is listed

fn names_of(corpus: &Corpus) -> Vec<&str> {
    corpus.files().iter().map(|file| file.name.as_str()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    for name in [b"caf\xE8.txt".as_slice(), b"caf\xE9.txt", "café.txt".as_bytes(), br"caf\xE9.txt"] {
        let path = folder.path("x").join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "text").unwrap();
    }
    let items = read(&[folder.path("x")]);
    let mut found = ids(&items);
    found.sort();
    assert_eq!(found, [r"x/caf\\xE9.txt", r"x/caf\xE8.txt", r"x/caf\xE9.txt", "x/café.txt"]);
    let direct = folder.path("x").join(OsStr::from_bytes(b"caf\xE8.txt"));
    let items = read(&[direct]);
    assert_eq!((ids(&items), categories(&items)), (vec![r"caf\xE8.txt"], vec![r"caf\xE8"]));
}

#[test]
#[ignore = "run by a_path_as_given_is_not_taken_for_a_name"]
fn list_what_has_one_name() {
    let Some(folder) = given_path() else { return };
    let corpus = corpus_of(&["inner/books", "books/a.txt", "q/a.txt"]);
    let folder = folder.canonicalize().unwrap();
    let expected = ["inner/books/a.txt", "books/a.txt", "q/a.txt"].map(|name| folder.join(name).display().to_string());
    assert_eq!(names_of(&corpus), expected);
}

#[cfg(unix)]
#[test]
fn a_path_as_given_is_not_taken_for_a_name() {
    let folder = Folder::new();
    for name in ["inner/books/a.txt", "books/a.txt", "q/a.txt"] {
        folder.write(name, name);
    }
    let shell = "cd \"$LONGATTN_TEST_PATH\" && exec \"$@\"";
    let finished = run_again("list_what_has_one_name", shell, &folder.path(""), b"");
    assert!(finished.status.success(), "{finished:?}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_in_a_folder_is_a_reject() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    folder.write("x/a.txt", "A");
    folder.write("x/c.txt", "C");
    symlink("nowhere", folder.path("x/b.txt")).unwrap();
    let corpus = corpus_of(&[folder.path("x")]);
    assert_eq!(names_of(&corpus), ["x/a.txt", "x/b.txt", "x/c.txt"]);
    assert_eq!(corpus.total_bytes(), Some(2));
    fs::remove_file(folder.path("x/c.txt")).unwrap();
    let items: Items = Reader::of(&corpus).collect();
    assert_eq!(ids(&items), ["x/a.txt"]);
    let files: Vec<_> = rejects(items).into_iter().map(|reject| reject.to_string()).collect();
    assert!(
        files[0].contains("x/b.txt: cannot be read: ") && files[1].contains("x/c.txt: cannot be read: "),
        "{files:?}"
    );
    fs::create_dir(folder.path("y")).unwrap();
    symlink("nowhere", folder.path("y/b.txt")).unwrap();
    let error = open_error(&[folder.path("y")]);
    assert!(error.to_string().contains("no file that can be read") && error.to_string().contains("b.txt"), "{error}");
    assert_eq!(open_error(&[folder.path("x/b.txt")]).kind(), ErrorKind::Io, "an input that was named must be there");
}

#[test]
fn results_and_markers_are_no_documents() {
    let folder = Folder::new();
    folder.write("x/part-0.jsonl", lines_of(&["a"]));
    folder.write("x/_SUCCESS", "");
    folder.write("x/.part-0.jsonl.crc", b"crc\0");
    folder.write("x/part-0.jsonl.crc", b"crc\0");
    folder.write("x/_temporary/0/part-1.jsonl", lines_of(&["unfinished"]));
    folder.write("x/earlier/job.json", "{\"longattn\": {\"version\": 1}}");
    folder.write("x/earlier/selected.jsonl", lines_of(&["selected"]));
    folder.write("x/now/selected.jsonl", lines_of(&["now"]));
    folder.write("x/other/job.json", "{\"title\": \"longattn\"}");
    folder.write("x/other/_index.md", "a document");
    let inputs = [folder.path("x")];
    let corpus = Corpus::open(&inputs, Fields::default(), &[&folder.path("x/../x/now"), Path::new("nowhere")]).unwrap();
    assert_eq!(names_of(&corpus), ["x/other/_index.md", "x/other/job.json", "x/part-0.jsonl"]);
    for results in ["x/earlier", "x/now"] {
        let error = Corpus::open(&[folder.path(results)], Fields::default(), &[&folder.path("x/now")]).err().unwrap();
        assert!(error.to_string().contains("a folder of results"), "{error}");
    }
}

// JSON as people have it

#[test]
fn what_python_writes_loses_no_record() {
    let folder = Folder::new();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let fields = [
        r#""url":"x\udcb2y""#,
        r#""quality":NaN"#,
        r#""ppl":Infinity,"low":-Infinity,"list":[1, NaN]"#,
        r#""ppl":1e400"#,
        &format!(r#""dom":{deep}"#),
        r#""simhash":340282366920938463463374607431768211455,"big":-9223372036854775809,"price":0.10"#,
    ];
    let line = |(number, field): (usize, &&str)| format!("{{\"id\":{number},{field},\"text\":\"NaN \\\"t\"}}\n");
    let content: String = fields.iter().enumerate().map(line).collect();
    let found = records(read(&[folder.write("a.jsonl", content)]));
    assert_eq!(found.len(), fields.len());
    for (number, (record, field)) in found.iter().zip(fields).enumerate() {
        assert_eq!(record.text.as_deref(), Some("NaN \"t"));
        let written = serde_json::to_string(&record.fields).unwrap();
        assert_eq!(written, format!("{{\"id\":{number},{field}}}"));
    }
}

#[test]
fn big_integers_are_ids_of_their_own() {
    let folder = Folder::new();
    let content: String =
        (3..6).map(|end| format!("{{\"id\":34028236692093846346337460743176821145{end},\"text\":\"\"}}\n")).collect();
    let items = read(&[folder.write("a.jsonl", content)]);
    let expected = [3, 4, 5].map(|end| format!("34028236692093846346337460743176821145{end}"));
    assert_eq!(ids(&items), expected);
}

#[test]
fn texts_and_names_of_python() {
    let folder = Folder::new();
    let content = concat!(
        r#"{"id":"a","text":"one \ud83d half"}"#,
        "\n",
        r#"{"id":"h","text":"short","n":1,"text":"long","n":2}"#,
        "\n",
        r#"{"id":NaN,"text":"t"}"#,
        "\n",
        r#"{"id":"c","text":NaN}"#,
        "\n",
        r#"{"id":"d","text":"t","token_ids":[1,NaN]}"#,
        "\n",
    );
    let items = read(&[folder.write("a.jsonl", content)]);
    let texts: Vec<_> = items.iter().flatten().map(|record| record.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["one \u{FFFD} half", "long", "t"]);
    assert_eq!(ids(&items), ["a", "h", "a.jsonl:3"]);
    let second = &items[1].as_ref().unwrap().fields;
    assert_eq!((second.get("n"), second.get("text")), (Some("2"), None));
    let reasons: Vec<_> = rejects(items).into_iter().map(|reject| reject.reason).collect();
    assert_eq!(reasons[0], "the field `text` is not a finite number, not a string");
    assert!(reasons[1].starts_with("`token_ids` is not a token id"), "{reasons:?}");
}

#[test]
fn lines_of_objects_and_of_numbers() {
    let folder = Folder::new();
    let line = r#"{"id":"a","score":2,"hash":340282366920938463463374607431768211455,"q":NaN}"#;
    let path = folder.write("a.jsonl", format!("{line}\n{{\"id\":\"b\",\"score\":NaN}}\n[]\n"));
    let objects: Vec<_> = Lines::<RawObject>::objects(&path).unwrap().map(|line| line.unwrap().1).collect();
    assert_eq!(serde_json::to_string(objects[0].as_ref().unwrap()).unwrap(), line);
    assert_eq!(objects[1].as_ref().unwrap().get("score"), Some("NaN"));
    assert!(objects[2].is_err());
    let entries = entries(&path);
    assert_eq!(entries[0].1, Ok(entry("a", 2.0)));
    assert!(entries[1].1.as_ref().unwrap_err().reason.contains("expected f32"), "NaN is never a score");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_fields_are_written_as_they_were_read(texts in prop::collection::vec(any::<String>(), 1..5), numbers in prop::collection::vec("-?[1-9][0-9]{0,40}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", 1..5), words in prop::collection::vec(prop::sample::select(vec!["NaN", "Infinity", "-Infinity", "null", "true", "{}"]), 1..5)) {
        let values = texts.iter().map(|text| json!(text).to_string()).chain(numbers).chain(words.into_iter().map(str::to_owned));
        let fields: Vec<_> = values.enumerate().map(|(index, value)| format!("\"f{index}\":{value}")).collect();
        let line = format!("{{{}}}", fields.join(","));
        let object = RawObject::parse(&line).unwrap();
        prop_assert_eq!(serde_json::to_string(&object).unwrap(), line);
    }
}

// Standard streams, through this test binary run again

/// Runs one of the ignored tests of this file in a process of its own, by way of a shell.
fn run_again(test: &str, shell: &str, path: &Path, input: &[u8]) -> Finished {
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("LONGATTN_TEST_PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// None where an ignored test was not started by [`run_again`].
fn given_path() -> Option<PathBuf> {
    std::env::var_os("LONGATTN_TEST_PATH").map(PathBuf::from)
}

#[test]
#[ignore = "run by standard_input_is_json_lines"]
fn copy_standard_input() {
    let Some(path) = given_path() else { return };
    let mut output = Output::create(path).unwrap();
    for item in read(&["-"]) {
        let line = match item {
            Ok(record) => json!([record.place.to_string(), record.id, record.category, record.text]),
            Err(reject) => json!([reject.to_string(), reject.place.file.to_string()]),
        };
        assert!(output.write(&line).unwrap().is_continue());
    }
    assert!(output.finish().unwrap().is_continue());
}

#[cfg(unix)]
#[test]
fn standard_input_is_json_lines() {
    let folder = Folder::new();
    let path = folder.path("copy.jsonl");
    let input = b"{\"text\":\"a\"}\n{\n{\"text\":\"b\",\"id\":\"own\"}\n";
    let finished = run_again("copy_standard_input", "exec \"$@\"", &path, input);
    assert!(finished.status.success(), "{finished:?}");
    let expected = concat!(
        "[\"standard input:1\",\"stdin:1\",\"stdin\",\"a\"]\n",
        "[\"standard input:2: EOF while parsing an object at column 1\",\"-\"]\n",
        "[\"standard input:3\",\"own\",\"stdin\",\"b\"]\n",
    );
    assert_eq!(fs::read_to_string(path).unwrap(), expected);
}

#[test]
#[ignore = "run by a_closed_standard_output_ends_quietly"]
fn write_until_the_reader_has_gone() {
    let Some(path) = given_path() else { return };
    let mut output = Output::create("-").unwrap();
    let written = (0..1_000_000).find(|number| output.write(number).unwrap().is_break());
    fs::write(path, format!("{written:?} {:?}", output.finish())).unwrap();
}

#[cfg(unix)]
#[test]
fn a_closed_standard_output_ends_quietly() {
    let folder = Folder::new();
    let path = folder.path("outcome");
    // The test harness prints first, and gives up where nobody reads that.
    run_again("write_until_the_reader_has_gone", "\"$@\" | head -n 1000", &path, b"");
    let outcome = fs::read_to_string(path).unwrap();
    assert!(outcome.starts_with("Some(") && outcome.ends_with("Ok(Break(()))"), "{outcome}");
}

// Output

#[test]
fn an_output_appears_when_it_is_finished() {
    let folder = Folder::new();
    let path = folder.write("out.jsonl", "older\n");
    let mut output = Output::create(&path).unwrap();
    assert_eq!(output.write(&entry("a", 1.5)), Ok(ControlFlow::Continue(())));
    assert_eq!(output.write(&json!({"text": "line\nbreak"})), Ok(ControlFlow::Continue(())));
    assert_eq!(output.flush(), Ok(ControlFlow::Continue(())));
    assert_eq!(fs::read_to_string(&path).unwrap(), "older\n");
    assert_eq!(output.finish(), Ok(ControlFlow::Continue(())));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"id\":\"a\",\"score\":1.5}\n{\"text\":\"line\\nbreak\"}\n");
    assert_eq!(folder.names(), ["out.jsonl"]);
}

#[test]
fn a_dropped_output_leaves_nothing() {
    let folder = Folder::new();
    let path = folder.write("out.jsonl", "older\n");
    let mut output = Output::create(&path).unwrap();
    let _ = output.write(&"x".repeat(1_000_000)).unwrap();
    drop(output);
    drop(Output::create(folder.path("other.jsonl")).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "older\n");
    assert_eq!(folder.names(), ["out.jsonl"]);
}

#[test]
fn paths_that_cannot_be_written_fail_before_the_work() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    for (path, expected) in [
        (folder.path("missing/out.jsonl"), "create it first"),
        (file.join("out.jsonl"), "create it first"),
        (folder.path(""), "is a folder"),
    ] {
        let errors = [
            check_writable(&path).unwrap_err(),
            Output::create(&path).err().unwrap(),
            Rejects::new(&path).unwrap_err(),
            Journal::create(&path).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Io);
            let message = error.to_string();
            assert!(message.contains(expected) && message.contains(path.to_str().unwrap()), "{message}");
        }
    }
    assert_eq!(check_writable("-"), Ok(()));
    assert_eq!(check_writable(folder.path("new")), Ok(()));
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn an_entry_without_a_form_in_json_is_refused_whole() {
    let folder = Folder::new();
    let mut output = Output::create(folder.path("out.jsonl")).unwrap();
    let entry = BTreeMap::from([(vec![1], 1)]);
    let error = output.write(&entry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("out.jsonl"), "{error}");
    assert!(output.finish().is_ok());
    assert_eq!(fs::read(folder.path("out.jsonl")).unwrap(), b"");
}

#[test]
fn a_full_disk_is_told_with_what_to_do() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let told = |error: longattn::Error, remedy: &str| {
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(message.starts_with("cannot write /dev/full: No space left"), "{message}");
        assert!(message.contains("free some space") && message.contains(remedy), "{message}");
    };
    let mut output = Output::create(full).unwrap();
    assert!(output.write("short").is_ok());
    told(output.write(&"x".repeat(1_000_000)).unwrap_err(), "-o");
    let mut output = Output::create(full).unwrap();
    assert!(output.write("short").is_ok());
    told(output.finish().unwrap_err(), "-o");
    let mut rejects = Rejects::new(full).unwrap();
    told(rejects.write(&reject("a", None)).unwrap_err(), "another file");
    assert_eq!(rejects.count(), 0);
}

#[cfg(unix)]
#[test]
fn devices_and_links_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let device = Path::new("/dev/null");
    let mut output = Output::create(device).unwrap();
    assert!(output.write("gone").is_ok() && output.finish().is_ok());
    assert!(fs::metadata(device).unwrap().file_type().is_char_device());

    let folder = Folder::new();
    let target = folder.write("inner/target.jsonl", "older");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path("link.jsonl");
    symlink(&target, &link).unwrap();
    let mut output = Output::create(&link).unwrap();
    assert!(output.write("new").is_ok() && output.finish().is_ok());
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "\"new\"\n");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);

    let ordinary = folder.write("ordinary", "");
    let path = folder.path("fresh.jsonl");
    assert!(Output::create(&path).unwrap().finish().is_ok());
    assert_eq!(fs::metadata(&path).unwrap().permissions(), fs::metadata(&ordinary).unwrap().permissions());
}

#[test]
#[ignore = "run by an_output_that_outgrows_its_disk_leaves_nothing"]
fn write_too_much() {
    let Some(path) = given_path() else { return };
    let mut output = Output::create(path).unwrap();
    let error = (0..100_000).find_map(|number| output.write(&number).err()).unwrap();
    assert!(error.to_string().contains("too large"), "{error}");
    assert!(output.finish().is_err());
}

/// The file size limit cuts writes short as a full disk does.
const SMALL_DISK: &str = "trap '' XFSZ; ulimit -f 2; exec \"$@\"";

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_outgrows_its_disk_leaves_nothing() {
    let folder = Folder::new();
    let path = folder.write("out.jsonl", "older\n");
    let finished = run_again("write_too_much", SMALL_DISK, &path, b"");
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "older\n");
    assert_eq!(folder.names(), ["out.jsonl"]);
}

#[test]
fn an_output_is_compressed_by_its_name() {
    let folder = Folder::new();
    for name in ["out.jsonl.gz", "out.jsonl.zst"] {
        let path = folder.path(name);
        let mut output = Output::create(&path).unwrap();
        for number in 0..10_000 {
            assert!(output.write(&entry(&number.to_string(), 1.0)).unwrap().is_continue());
        }
        assert!(output.finish().unwrap().is_continue());
        let bytes = fs::read(&path).unwrap();
        let magic: &[u8] = if name.ends_with("gz") { b"\x1F\x8B" } else { b"\x28\xB5\x2F\xFD" };
        assert!(bytes.starts_with(magic) && bytes.len() < 50_000, "{name} has {} bytes", bytes.len());
        assert_eq!(entries(&path).len(), 10_000);
        assert_eq!(folder.names().iter().filter(|name| name.contains("unfinished")).count(), 0);
    }
}

#[test]
fn a_small_file_is_written_whole() {
    let folder = Folder::new();
    let path = folder.write("report.html", "older");
    write_whole(&path, b"new").unwrap();
    write_whole(folder.path("chart.svg"), b"svg").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(folder.names(), ["chart.svg", "report.html"]);
    let error = write_whole(folder.path("missing/a"), b"").unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("create it first"), "{error}");
}

#[test]
#[ignore = "run by a_full_disk_leaves_the_older_file"]
fn write_whole_too_much() {
    let Some(path) = given_path() else { return };
    assert!(write_whole(path, &[b'x'; 100_000]).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_older_file() {
    let folder = Folder::new();
    let path = folder.write("report.html", "older");
    let finished = run_again("write_whole_too_much", SMALL_DISK, &path, b"");
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(folder.names(), ["report.html"]);
}

// Rejects

fn reject(file: &str, line: Option<u64>) -> Reject {
    let place = Place { file: file.into(), line };
    Reject { place, id: line.map(|line| line.to_string()), reason: "bad".to_owned(), record: "{\n\"".to_owned() }
}

#[test]
fn rejects_are_written_from_the_first_one_on() {
    let folder = Folder::new();
    let path = folder.path("rejects.jsonl");
    let mut rejects = Rejects::new(&path).unwrap();
    assert!(!path.exists());
    rejects.write(&reject("a.jsonl", Some(3))).unwrap();
    rejects.write(&reject("b.txt", None)).unwrap();
    let expected = concat!(
        r#"{"file":"a.jsonl","line":3,"id":"3","reason":"bad","record":"{\n\""}"#,
        "\n",
        r#"{"file":"b.txt","line":null,"id":null,"reason":"bad","record":"{\n\""}"#,
        "\n",
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(rejects.count(), 2);
    assert_eq!(Rejects::new("-").unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn an_older_file_of_rejects_is_replaced_at_the_first_one() {
    let folder = Folder::new();
    let path = folder.write("rejects.jsonl", "older\n");
    let mut rejects = Rejects::new(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "older\n");
    rejects.write(&reject("a", None)).unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains("older"));
}

#[test]
fn older_rejects_are_removed_where_that_is_asked_for() {
    let folder = Folder::new();
    let path = folder.path("rejects.jsonl");
    let mut rejects = Rejects::new(&path).unwrap();
    rejects.clear().unwrap();
    fs::write(&path, "{\"file\":\"older\"}\n").unwrap();
    rejects.clear().unwrap();
    assert!(!path.exists());
    rejects.write(&reject("a", Some(1))).unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().lines().count(), rejects.count()), (1, 1));
}

#[test]
#[ignore = "run by a_full_disk_leaves_whole_rejects"]
fn reject_too_much() {
    let Some(path) = given_path() else { return };
    let mut rejects = Rejects::new(&path).unwrap();
    assert!((0..).find_map(|line| rejects.write(&reject("a", Some(line))).err()).is_some());
    assert!(rejects.count() > 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_whole_rejects() {
    let folder = Folder::new();
    let path = folder.path("rejects.jsonl");
    let finished = run_again("reject_too_much", SMALL_DISK, &path, b"");
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(fs::read(&path).unwrap().last(), Some(&b'\n'));
}

// Journal

fn journal_of(path: &Path, entries: &[Entry]) {
    let mut journal = Journal::create(path).unwrap();
    for entry in entries {
        journal.append(entry).unwrap();
    }
    journal.sync().unwrap();
}

/// A journal with all its entries.
fn resume<T: DeserializeOwned>(path: &Path) -> longattn::Result<(Journal, Vec<T>)> {
    let mut entries = Vec::new();
    let journal = Journal::resume(path, |entry, _| {
        entries.push(entry);
        Ok(())
    })?;
    Ok((journal, entries))
}

#[test]
fn a_journal_goes_on() {
    let folder = Folder::new();
    let path = folder.path("journal");
    journal_of(&path, &[entry("a", 1.0)]);
    let (mut journal, found) = resume::<Entry>(&path).unwrap();
    assert_eq!(found, [entry("a", 1.0)]);
    assert_eq!(journal.path(), path);
    journal.append(&entry("b", 2.0)).unwrap();
    drop(journal);
    let (_, found) = resume::<Entry>(&path).unwrap();
    assert_eq!(found, [entry("a", 1.0), entry("b", 2.0)]);
}

#[test]
fn entries_are_read_back_by_their_offsets() {
    let folder = Folder::new();
    let path = folder.path("journal");
    let mut journal = Journal::create(&path).unwrap();
    let mut offsets = vec![journal.append(&entry("first", 0.5)).unwrap()];
    let many: Vec<_> = (0..20_000).map(|number| entry(&"é".repeat(number % 50), number as f32)).collect();
    offsets.extend(journal.append_all(&many).unwrap());
    offsets.push(journal.append(&entry(&"long".repeat(300_000), 1.0)).unwrap());
    offsets.push(journal.append(&entry("last", 2.0)).unwrap());
    let check = |journal: &Journal, index: usize| {
        let read: Entry = journal.read(offsets[index]).unwrap();
        match index.checked_sub(1).and_then(|index| many.get(index)) {
            Some(entry) => assert_eq!(read, *entry),
            None => assert!([0.5, 1.0, 2.0].contains(&read.score)),
        }
    };
    let backwards = (0..offsets.len()).rev();
    (0..offsets.len()).chain(backwards).for_each(|index| check(&journal, index));
    (0..2000).for_each(|step| check(&journal, step * 7919 % offsets.len()));
    let later = journal.append(&entry("later", 2.0)).unwrap();
    assert_eq!(journal.read::<Entry>(later).unwrap(), entry("later", 2.0));
    assert!(journal.append_all::<Entry>(&[]).unwrap().is_empty());
    for wrong in [1, later + 1000] {
        assert!(journal.read::<Entry>(wrong).is_err());
    }
    drop(journal);
    let mut found = Vec::new();
    let resumed = Journal::resume(&path, |entry: Entry, offset| {
        found.push((offset, entry.score));
        Ok(())
    });
    resumed.unwrap();
    assert_eq!(found.len(), offsets.len() + 1);
    assert!(found.iter().map(|(offset, _)| offset).eq(offsets.iter().chain([&later])));
}

#[test]
fn entries_of_one_call_are_appended_all_or_none() {
    let folder = Folder::new();
    let path = folder.path("journal");
    let mut journal = Journal::create(&path).unwrap();
    // Only a map without such keys has a form in JSON.
    let (good, bad) = (BTreeMap::new(), BTreeMap::from([(vec![1], 1)]));
    journal.append(&good).unwrap();
    for wrong in [journal.append(&bad).map(drop), journal.append_all(&[good.clone(), bad, good.clone()]).map(drop)] {
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(journal.append_all(&[good.clone(), good]).unwrap(), [3, 6]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n{}\n{}\n");
}

#[test]
fn a_journal_that_refuses_an_entry_stays_as_it_is() {
    let folder = Folder::new();
    let path = folder.write("journal", "1\n2\n3");
    let refuse = |number: u32, _| match number {
        2 => Err(longattn::Error::new(ErrorKind::InvalidRecord, "refused")),
        _ => Ok(()),
    };
    assert_eq!(Journal::resume(&path, refuse).unwrap_err().to_string(), "refused");
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3");
}

#[cfg(unix)]
#[test]
fn a_journal_that_was_removed_takes_no_entry() {
    let folder = Folder::new();
    let path = folder.path("results/journal");
    let removed = |error: longattn::Error| {
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("was removed while it was in use"), "{error}");
    };
    fs::create_dir(folder.path("results")).unwrap();
    let mut journal = Journal::create(&path).unwrap();
    journal.append(&1).unwrap();
    fs::remove_dir_all(folder.path("results")).unwrap();
    removed(journal.append(&2).unwrap_err());
    removed(journal.append_all(&[2, 3]).unwrap_err());
    removed(journal.sync().unwrap_err());

    let path = folder.path("journal");
    let mut journal = Journal::create(&path).unwrap();
    journal.append(&1).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = Journal::create(&path).unwrap();
    removed(journal.append(&2).unwrap_err());
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_journal_torn_at_any_byte_of_its_last_line() {
    let folder = Folder::new();
    let path = folder.path("journal");
    journal_of(&path, &[entry("a", 1.0), entry("b\u{1F980}\"\\ \n", -2.5e-9)]);
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in first..whole.len() {
        for zeros in [0, 700] {
            let mut torn = whole[..end].to_vec();
            torn.resize(end + zeros, 0);
            fs::write(&path, torn).unwrap();
            let (mut journal, found) = resume::<Entry>(&path).unwrap();
            assert_eq!(found, [entry("a", 1.0)], "torn at byte {end}");
            assert_eq!(fs::read(&path).unwrap(), &whole[..first]);
            journal.append(&entry("c", 3.0)).unwrap();
            drop(journal);
            let (_, found) = resume::<Entry>(&path).unwrap();
            assert_eq!(found, [entry("a", 1.0), entry("c", 3.0)]);
        }
    }
}

#[test]
fn a_number_cut_short_is_not_taken_for_another() {
    let folder = Folder::new();
    let path = folder.write("journal", "1\n23");
    let (_, found) = resume::<u32>(&path).unwrap();
    assert_eq!(found, [1]);
}

#[test]
fn an_empty_journal_has_no_entries() {
    let folder = Folder::new();
    let (_, found) = resume::<Entry>(&folder.write("journal", "")).unwrap();
    assert_eq!(found, []);
}

#[test]
fn a_broken_line_in_a_journal_is_named_and_nothing_is_cut() {
    let folder = Folder::new();
    let good = "{\"id\":\"a\",\"score\":1}\n";
    for broken in ["{\"id\":\"b\"}\n", "{\"id\":\n", "\n", "\0\0\n"] {
        for content in [format!("{good}{broken}{good}"), format!("{good}{broken}")] {
            let path = folder.write("journal", &content);
            let error = resume::<Entry>(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRecord);
            assert!(error.to_string().starts_with(&format!("{}:2: ", path.display())), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}

#[test]
fn what_is_no_journal_is_left_as_it_is() {
    let folder = Folder::new();
    for content in ["a text without a line end", "{\"id\":\"a\"} and more", "\u{FEFF}{}"] {
        let path = folder.write("journal", content);
        let error = resume::<Entry>(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_journal_is_neither_overwritten_nor_made_up() {
    let folder = Folder::new();
    let path = folder.path("journal");
    let error = resume::<Entry>(&path).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(!path.exists());
    journal_of(&path, &[entry("a", 1.0)]);
    let error = Journal::create(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("exists already: resume it"), "{error}");
    assert_eq!(resume::<Entry>(&path).unwrap().1.len(), 1);
}

#[test]
fn a_journal_in_use_is_refused() {
    let folder = Folder::new();
    let path = folder.path("journal");
    let journal = Journal::create(&path).unwrap();
    let error = resume::<Entry>(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(journal);
    assert!(resume::<Entry>(&path).is_ok());
}

#[test]
#[ignore = "run by a_journal_survives_a_killed_process"]
fn append_and_be_killed() {
    let Some(path) = given_path() else { return };
    let mut journal = Journal::create(path).unwrap();
    (0..1000).for_each(|number| _ = journal.append(&number).unwrap());
    std::process::abort();
}

#[cfg(unix)]
#[test]
fn a_journal_survives_a_killed_process() {
    let folder = Folder::new();
    let path = folder.path("journal");
    let finished = run_again("append_and_be_killed", "ulimit -c 0; exec \"$@\"", &path, b"");
    assert!(!finished.status.success());
    let (_, found) = resume::<u32>(&path).unwrap();
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
}

#[test]
#[ignore = "run by a_full_disk_leaves_whole_lines"]
fn append_too_much() {
    let Some(path) = given_path() else { return };
    let mut journal = Journal::create(path).unwrap();
    let error = (0..).find_map(|number| journal.append(&json!({ "number": number })).err()).unwrap();
    assert!(error.to_string().contains("journal"), "{error}");
    // A shorter line may still fit.
    let _ = journal.append(&json!({}));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_whole_lines() {
    let folder = Folder::new();
    let path = folder.path("journal");
    let finished = run_again("append_too_much", SMALL_DISK, &path, b"");
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(fs::read(&path).unwrap().last(), Some(&b'\n'));
    let (_, found) = resume::<Value>(&path).unwrap();
    assert!(found.len() > 40);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_journal_gives_back_what_it_was_given(ids in prop::collection::vec(any::<String>(), 0..8), cut in any::<prop::sample::Index>()) {
        let folder = Folder::new();
        let path = folder.path("journal");
        let given: Vec<_> = ids.iter().enumerate().map(|(index, id)| entry(id, index as f32 / 7.0)).collect();
        journal_of(&path, &given);
        let (journal, found) = resume::<Entry>(&path).unwrap();
        prop_assert_eq!(&found, &given);
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let end = cut.index(whole.len() + 1);
        fs::write(&path, &whole[..end]).unwrap();
        let (_, found) = resume::<Entry>(&path).unwrap();
        let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(found, &given[..lines]);
    }
}
