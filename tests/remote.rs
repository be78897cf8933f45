//! Inputs and outputs on other machines, all of which are this one.

mod common;
#[path = "common/objects.rs"]
mod objects;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use longattn::Cancel;
use longattn::corpus::{Corpus, Fields, Reader, Record, Reject};
use parquet::arrow::ArrowWriter;
use serde_json::json;
use tempfile::TempDir;

use objects::{Objects, Reply};

/// Secrets, which nothing that is told or written may hold.
const PASSWORD: &str = "pa55word";
const TOKEN: &str = "t0ken";
const SECRET_KEY: &str = "53cretKey";

fn lines(of: usize) -> String {
    let line = |number: usize| json!({"id": format!("d{number}"), "text": words(60, number), "n": number}).to_string();
    (0..of).map(|number| line(number) + "\n").collect()
}

fn words(count: usize, seed: usize) -> String {
    const WORDS: [&str; 8] = ["far", "near", "long", "window", "token", "reach", "even", "text"];
    (0..count).map(|place| WORDS[(seed * 7 + place * (seed % 5 + 1)) % 8]).collect::<Vec<_>>().join(" ")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A table with a text and, where asked for, so many bytes that are hard to compress in each row.
fn parquet(rows: usize, bytes: usize) -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| words(60, row))));
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise: ArrayRef = Arc::new(BinaryArray::from_iter_values(
        (0..rows).map(|_| std::iter::repeat_with(&mut noise).take(bytes).collect::<Vec<_>>()),
    ));
    let batch = RecordBatch::try_from_iter([("noise", noise), ("text", texts)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

type Items = Vec<Result<Record, Reject>>;

fn read(inputs: &[impl AsRef<Path>]) -> Items {
    Reader::open(inputs, Fields::default()).unwrap().collect()
}

/// Records but for where they are.
fn records(items: Items) -> Vec<(String, String, Option<String>, Option<u64>)> {
    let record = |record: Record| (record.id, record.category, record.text, record.place.line);
    items.into_iter().map(|item| record(item.unwrap_or_else(|reject| panic!("{reject}")))).collect()
}

/// The same files here and there.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let array: Vec<_> = lines(5).lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let array = serde_json::to_string_pretty(&array).unwrap();
    vec![
        ("a.jsonl", lines(300).into_bytes()),
        ("b.jsonl.gz", gzip(lines(300).as_bytes())),
        ("c.json", array.clone().into_bytes()),
        ("d.json.gz", gzip(array.as_bytes())),
        ("e.parquet", parquet(40, 10)),
        ("f.txt", words(80, 3).into_bytes()),
        ("empty.jsonl", Vec::new()),
    ]
}

#[test]
fn files_are_read_as_those_here() {
    let (server, folder) = (Objects::new(), tempfile::tempdir().unwrap());
    for (name, content) in files() {
        let path = folder.path().join(name);
        fs::write(&path, &content).unwrap();
        server.put(&format!("/data/{name}"), content);
        for reply in [Reply::Proper, Reply::Whole, Reply::WithoutTag] {
            // Without ranges there is no reading from several places.
            if name == "e.parquet" && reply != Reply::Proper {
                continue;
            }
            server.behave(move |_| reply);
            let found = records(read(&[server.url(&format!("/data/{name}?token={TOKEN}"))]));
            assert_eq!(found, records(read(&[&path])), "{name} {reply:?}");
        }
    }
}

#[test]
fn users_and_queries_are_sent_and_not_shown() {
    let server = Objects::new();
    server.put("/a.jsonl", "{\"text\":1}\n");
    let url = server.url(&format!("/a.jsonl?token={TOKEN}")).replace("http://", &format!("http://me:{PASSWORD}@"));
    let [Err(reject)] = &read(&[&url])[..] else { panic!("a reject") };
    assert_eq!(reject.place.to_string(), format!("{}:1", server.url("/a.jsonl")));
    let requests = server.requests();
    assert!(requests.len() > 1);
    for request in requests {
        assert_eq!(request.headers["authorization"], "Basic bWU6cGE1NXdvcmQ=");
        assert_eq!(request.query, format!("token={TOKEN}"));
    }
    for status in [400, 401, 403] {
        server.behave(move |_| Reply::Status(status));
        let error = Reader::open(&[&url], Fields::default()).err().expect("it is refused").to_string();
        assert!(error.contains(&status.to_string()) && error.contains("/a.jsonl"), "{error}");
        assert!(!error.contains(TOKEN) && !error.contains(PASSWORD), "{error}");
    }
}

#[test]
fn signed_urls_need_not_be_good_for_more_than_reading() {
    let server = Objects::new();
    server.put("/a.jsonl", lines(3));
    server.behave(|request| if request.method == "HEAD" { Reply::Status(403) } else { Reply::Proper });
    assert_eq!(records(read(&[server.url("/a.jsonl")])).len(), 3);
}

#[test]
fn connections_that_break_are_taken_up() {
    let server = Objects::new();
    for (name, content) in [("/a.jsonl", lines(30_000).into_bytes()), ("/a.jsonl.gz", gzip(lines(30_000).as_bytes()))] {
        server.put(name, content);
        let mut gets = 0;
        server.behave(move |request| {
            gets += u32::from(request.method == "GET");
            match gets {
                1 => Reply::BreakOff(100_000),
                2 => Reply::Status(500),
                3 => Reply::BreakOff(0),
                4 => Reply::BreakOff(7),
                _ => Reply::Proper,
            }
        });
        assert_eq!(records(read(&[server.url(name)])).len(), 30_000, "{name}");
        let resumed = server.requests().iter().filter(|request| request.range.is_some()).count();
        assert!(resumed >= 3, "it goes on where it broke: {resumed}");
    }
}

#[test]
fn a_connection_that_cannot_be_taken_up_is_a_reject() {
    let server = Objects::new();
    server.put("/a.jsonl", lines(30_000));
    server.behave(|request| match (&*request.method, request.range.is_some()) {
        ("GET", false) => Reply::BreakOff(100_000),
        ("GET", true) => Reply::Whole,
        _ => Reply::Proper,
    });
    let Some(Err(reject)) = read(&[server.url("/a.jsonl")]).pop() else { panic!("a reject") };
    assert!(reject.reason.contains("cannot be read"), "{reject}");
}

#[test]
fn objects_that_change_while_they_are_read_are_rejected() {
    let server = Objects::new();
    for reply in [Reply::Proper, Reply::WithoutTag] {
        server.put("/a.jsonl", lines(30_000));
        server.behave(move |_| reply);
        let mut items = Reader::open(&[server.url("/a.jsonl")], Fields::default()).unwrap();
        assert!(items.next().unwrap().is_ok());
        server.put("/a.jsonl", lines(30_001));
        let Some(Err(reject)) = items.last() else { panic!("a reject: {reply:?}") };
        assert!(reject.reason.contains("changed"), "{reject}");
    }
}

#[test]
fn of_tables_no_more_is_fetched_than_is_needed() {
    let server = Objects::new();
    let table = parquet(400, 100_000);
    let size = table.len();
    server.put("/a.parquet", table);
    let corpus = Corpus::open(&[server.url("/a.parquet")], Fields::default(), &[]).unwrap().with_every_field(false);
    assert_eq!(Reader::of(&corpus).filter(Result::is_ok).count(), 400);
    assert!(server.bytes_sent() < size / 2, "{} of {size}", server.bytes_sent());
}

#[test]
fn a_slow_server_is_left_when_work_is_cancelled() {
    let server = Objects::new();
    server.put("/a.jsonl", lines(1000));
    let corpus = Corpus::open(&[server.url("/a.jsonl")], Fields::default(), &[]).unwrap();
    server.behave(|_| Reply::Slow);
    let begun = Instant::now();
    let cancel = Cancel::with_deadline(begun + Duration::from_millis(500));
    let items: Items = Reader::of(&corpus.with_cancel(cancel)).collect();
    assert!(items.last().unwrap().as_ref().unwrap_err().reason.contains("cancelled"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn what_is_not_there_is_told() {
    let server = Objects::new();
    let error = |url: &str| Reader::open(&[url], Fields::default()).err().expect(url).to_string();
    assert!(error(&server.url("/a.jsonl")).contains("(404)"));
    assert!(error(&server.url("/folder/")).contains("name each file"));
    assert!(error("ftp://host/a.jsonl").contains("ftp:// is not read"));
    assert!(error(&format!("s3://key:{SECRET_KEY}@bucket/a.jsonl")).contains("from the environment alone"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = error(&format!("http://{closed}/a.jsonl"));
    assert!(refused.contains("refused"), "{refused}");
    let twice = [server.url("/x?a=1"), server.url("/x?a=2")];
    server.put("/x", "text");
    assert!(Reader::open(&twice, Fields::default()).err().unwrap().to_string().contains("queries alone"));
}

/// A folder to work in, and a bucket `b`.
struct Workplace {
    folder: TempDir,
    server: Objects,
}

impl Workplace {
    /// A corpus here and in the bucket.
    fn new() -> Self {
        let workplace = Self { folder: tempfile::tempdir().unwrap(), server: Objects::new() };
        for (name, content) in files() {
            workplace.write(&format!("corpus/{name}"), &content);
            workplace.write(&format!("corpus/x/y/{name}"), &content);
        }
        for name in ["corpus/_SUCCESS", "corpus/.hidden/a.jsonl", "corpus/x/.a.crc", "corpus/_delta_log/0.json"] {
            workplace.write(name, b"{\"text\":\"no document\"}");
        }
        workplace.write("corpus/old/job.json", b"{\"longattn\":\"0.1.0\"}");
        workplace.write("corpus/old/selected.jsonl", b"{\"text\":\"a result\"}");
        // As consoles make folders.
        workplace.server.put("/b/corpus/x", "");
        workplace.server.put("/b/corpus-2/a.jsonl", lines(1));
        workplace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self.server.put(&format!("/b/{name}"), content);
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny/query-key");
        command.args(line.split(' ').map(|word| word.replace("MODEL", package.to_str().unwrap())));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env("ORT_DYLIB_PATH", common::onnxruntime());
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.env("AWS_REGION", "us-east-1").env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ENDPOINT_URL", self.server.url(""));
        let account =
            json!({"client_email": "", "private_key": SECRET_KEY, "private_key_id": "", "disable_oauth": true});
        command.env("GOOGLE_SERVICE_ACCOUNT_KEY", account.to_string()).env("GOOGLE_ALLOW_HTTP", "true");
        command.env("GOOGLE_BASE_URL", self.server.url("")).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it told.
    fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {told}");
        told
    }

    /// Runs a command that must fail, and gives its message.
    fn fail(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "{line}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Checks that two results are the same, but for where documents stand.
    fn check_alike(&self, folder: &str, other: &str) {
        for name in ["scores.jsonl", "selected.jsonl", "chart.svg"] {
            let [one, other] = [folder, other].map(|folder| fs::read_to_string(self.path(folder).join(name)).unwrap());
            let one = one.replace("s3://b/corpus", "corpus").replace("gs://b/corpus", "corpus");
            let mut lines = one.lines().zip(other.lines());
            if let Some((one, other)) = lines.find(|(one, other)| one != other) {
                panic!("{name} of {folder}: {:.500}, not {:.500}", one, other);
            }
            assert_eq!(one.lines().count(), other.lines().count(), "{name} of {folder}");
        }
    }

    /// Paths that were put since this was asked last.
    fn put(&self) -> Vec<String> {
        let puts = self.server.requests().into_iter().filter(|request| request.method == "PUT");
        puts.map(|request| request.path).collect()
    }
}

const RUN: &str = "run --model MODEL --window 60 --ids-from-place";

#[test]
fn a_bucket_gives_what_a_folder_gives() {
    let workplace = Workplace::new();
    workplace.succeed(&format!("{RUN} corpus -o here"));
    let told = workplace.succeed(&format!("{RUN} s3://b/corpus -o there"));
    assert!(told.contains("documents"), "{told}");
    workplace.check_alike("there", "here");
    // Nothing is read again that has not changed.
    workplace.server.requests();
    workplace.succeed(&format!("{RUN} s3://b/corpus/ -o there --resume"));
    let requests = workplace.server.requests();
    let gets = requests.iter().filter(|request| request.method == "GET" && request.path.ends_with("b.jsonl.gz"));
    assert!(gets.count() <= 2, "the selected texts alone are read");
    for shard in 1..=3 {
        workplace.succeed(&format!("{RUN} s3://b/corpus --shard {shard}/3 -o shards/{shard}"));
    }
    workplace.succeed("select shards/1 shards/2 shards/3 -o merged");
    workplace.check_alike("merged", "here");
}

#[test]
fn google_storage_gives_and_takes_as_s3_does() {
    let workplace = Workplace::new();
    workplace.succeed(&format!("{RUN} corpus -o here"));
    let run = format!("{RUN} gs://b/corpus -o there --upload gs://b/out --resume");
    workplace.succeed(&run);
    workplace.check_alike("there", "here");
    assert_eq!(workplace.put().last().map(String::as_str), Some("/b/out/summary.json"));
    let selected = fs::read(workplace.path("there/selected.jsonl")).unwrap();
    assert!(workplace.server.get("/b/out/selected.jsonl") == Some(selected));
    workplace.succeed(&run);
    assert!(workplace.put().iter().all(|path| !path.contains("selected")), "it was there");
}

#[test]
fn outputs_are_copied_and_the_summary_last() {
    let workplace = Workplace::new();
    let run = format!("{RUN} corpus -o result --upload s3://b/out/1 --resume");
    // The first call is cut off.
    workplace.server.behave(|request| match request.method == "PUT" && request.path.ends_with("report.html") {
        true => Reply::Status(403),
        false => Reply::Proper,
    });
    let told = workplace.fail(&run);
    assert!(told.contains("403") && told.contains("s3://b/out/1/report.html"), "{told}");
    assert_eq!(workplace.server.get("/b/out/1/summary.json"), None);
    workplace.put();
    workplace.server.behave(|_| Reply::Proper);
    let told = workplace.succeed(&run);
    assert!(told.contains("files copied to s3://b/out/1"), "{told}");
    let put = workplace.put();
    assert_eq!(put.last().map(String::as_str), Some("/b/out/1/summary.json"));
    assert!(put.iter().all(|path| !path.contains("scores") && !path.contains("selected")), "these were there: {put:?}");
    for name in ["selected.jsonl", "scores.jsonl", "report.html", "chart.svg", "job.json", "summary.json"] {
        let here = fs::read(workplace.path("result").join(name)).unwrap();
        assert!(workplace.server.get(&format!("/b/out/1/{name}")) == Some(here), "{name}");
    }
    assert_eq!(workplace.server.get("/b/out/1/journal.jsonl"), None);
    // What was copied is no input.
    let refused = workplace.fail(&format!("{RUN} s3://b/out/1 -o other"));
    assert!(refused.contains("folder of results"), "{refused}");
    // A plain server takes files too, and a share takes its journal along.
    let there = workplace.server.url("/out/2");
    workplace.succeed(&format!("{RUN} corpus -o share --shard 1/2 --upload {there}"));
    let journal = fs::read(workplace.path("share/journal.jsonl")).unwrap();
    assert!(workplace.server.get("/out/2/journal.jsonl") == Some(journal));
    workplace.succeed(&format!("select result -o selection --upload {there}"));
    assert!(workplace.server.get("/out/2/summary.json").is_some());
}

#[test]
fn results_grow_on_this_machine_alone() {
    let workplace = Workplace::new();
    let told = workplace.fail(&format!("{RUN} corpus -o s3://b/result"));
    assert!(told.contains("have its outputs copied there at the end with upload"), "{told}");
    let told = workplace.fail("windows --model MODEL corpus/a.jsonl -o s3://b/windows.jsonl");
    assert!(told.contains("name a file on this machine"), "{told}");
    let told = workplace.fail(&format!("{RUN} corpus -o - --upload s3://b/out"));
    assert!(told.contains("name one with -o"), "{told}");
    let told = workplace.fail(&format!("{RUN} corpus -o result --upload https://me:{PASSWORD}@host/a"));
    assert!(told.contains("without user") && !told.contains(PASSWORD), "{told}");
    assert!(!workplace.path("s3:").exists());
}

#[test]
fn secrets_are_in_nothing_that_is_told_or_written() {
    let workplace = Workplace::new();
    workplace.server.put("/signed.jsonl", lines(300) + "{\"bad\": 1}\n");
    let url = workplace.server.url(&format!("/signed.jsonl?token={TOKEN}"));
    let url = url.replace("http://", &format!("http://me:{PASSWORD}@"));
    let mut told = workplace.succeed(&format!("{RUN} {url} s3://b/corpus -o result --upload s3://b/out"));
    workplace.server.behave(|request| match request.path.contains("corpus") || request.path.contains("signed") {
        true => Reply::Status(403),
        false => Reply::Proper,
    });
    told += &workplace.fail(&format!("{RUN} {url} s3://b/corpus -o other"));
    told += &workplace.fail(&format!("{RUN} s3://b/corpus -o other"));
    assert!(told.contains("signed.jsonl"), "{told}");
    let mut all = told.into_bytes();
    let mut files = 0;
    for entry in fs::read_dir(workplace.path("result")).unwrap() {
        all.extend(fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 8, "{files}");
    for request in workplace.server.requests() {
        all.extend(request.body);
        let sent = request.headers.get("authorization").cloned().unwrap_or_default();
        assert!(!sent.contains(SECRET_KEY));
    }
    for secret in [PASSWORD, TOKEN, SECRET_KEY] {
        assert!(!all.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
    }
}
