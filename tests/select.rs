//! `longattn select`: every line of scores is written, not selected or rejected.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs a line of shell, in which `longattn` is the command.
    fn shell(&self, line: &str) -> Output {
        let line = line.replace("longattn", env!("CARGO_BIN_EXE_longattn"));
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", &line]).current_dir(self.0.path()).stdin(Stdio::null());
        shell.output().unwrap()
    }

    /// What a command that must succeed wrote on standard error.
    fn succeed(&self, line: &str) -> String {
        let output = self.shell(line);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line} failed: {told}");
        told
    }

    /// What a command that must fail wrote on standard error.
    fn fail(&self, line: &str) -> String {
        let output = self.shell(line);
        assert!(!output.status.success(), "{line} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The lines of a file, none where there is no file.
    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn score(id: Value, category: Value, strength: f64) -> Value {
    json!({"id": id, "category": category, "dependency_strength": strength, "distribution_uniformity": -1e-7})
}

/// One line of the input, with what is to become of it.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    meaning: Meaning,
}

#[derive(Clone, Debug)]
enum Meaning {
    Blank,
    Bad,
    Window { category: String, id: String, strength: u8 },
}

/// A name as JSON, and what it names; `None` where it names nothing.
type Name = (&'static str, Option<&'static str>);

const IDS: [Name; 9] = [
    ("\"a\"", Some("a")),
    ("\"b\"", Some("b")),
    ("7", Some("7")),
    ("\"7\"", Some("7")),
    ("12345678901234567890123", Some("12345678901234567890123")),
    ("12345678901234567890124", Some("12345678901234567890124")),
    ("\"\\u00fc\\n\"", Some("ü\n")),
    ("null", None),
    ("", None),
];

const CATEGORIES: [Name; 5] =
    [("\"books\"", Some("books")), ("\"scores\"", Some("scores")), ("2024", Some("2024")), ("null", None), ("", None)];

fn field(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("\"{name}\": {value}, ") }
}

fn window() -> impl Strategy<Value = Line> {
    (select(&IDS[..]), select(&IDS[..]), select(&CATEGORIES[..]), any::<bool>(), 0u8..20).prop_map(
        |(id, data_id, category, released, strength)| {
            let scores = match released {
                true => format!("\"first_layer_proportion_score\": [0.{strength:02}], \"variance\": [1e-7, 1e-7]"),
                false => format!("\"dependency_strength\": 0.{strength:02}, \"distribution_uniformity\": -1e-7"),
            };
            let (id_field, data_id_field) = (field("id", id.0), field("data_id", data_id.0));
            let text = format!("{{{id_field}{data_id_field}{}{scores}}}", field("category", category.0));
            let named = if released { data_id.1.or(id.1) } else { id.1.or(data_id.1) };
            let category = category.1.unwrap_or("scores").to_owned();
            let meaning = named.map_or(Meaning::Bad, |id| Meaning::Window { category, id: id.to_owned(), strength });
            Line { text, meaning }
        },
    )
}

fn line() -> impl Strategy<Value = Line> {
    const BAD: [&str; 8] = [
        "{\"id\":",
        "1",
        "nothing",
        "{\"id\": \"a\"}",
        "{\"id\": \"a\", \"dependency_strength\": \"high\", \"distribution_uniformity\": 0}",
        "{\"id\": {}, \"dependency_strength\": 0.1, \"distribution_uniformity\": 0}",
        "{\"id\": \"a\", \"category\": [], \"dependency_strength\": 0.1, \"distribution_uniformity\": 0}",
        "{\"id\": \"a\", \"first_layer_proportion_score\": [], \"variance\": [0]}",
    ];
    let of = |meaning: Meaning| move |text: &str| Line { text: text.to_owned(), meaning: meaning.clone() };
    prop_oneof![
        8 => window(),
        1 => select(&["", "  ", "\r"][..]).prop_map(of(Meaning::Blank)),
        2 => select(&BAD[..]).prop_map(of(Meaning::Bad)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_line_is_written_or_not_selected_or_rejected(
        lines in prop::collection::vec(line(), 0..40),
        count in 0usize..4,
        as_stream: bool,
    ) {
        // What must become of each line, found in the plainest way.
        let mut rejected = Vec::new();
        let mut categories: BTreeMap<&str, Vec<(u8, &str, usize)>> = BTreeMap::new();
        for (place, line) in lines.iter().enumerate() {
            match &line.meaning {
                Meaning::Blank => {}
                Meaning::Bad => rejected.push(place),
                Meaning::Window { category, id, strength } => {
                    let category = match (as_stream, category.as_str()) {
                        // Not named by the line but by the file.
                        (true, "scores") if !line.text.contains("\"scores\"") => "stdin",
                        (_, category) => category,
                    };
                    let windows = categories.entry(category).or_default();
                    match windows.iter().any(|window| window.1 == id) {
                        true => rejected.push(place),
                        false => windows.push((*strength, id, place)),
                    }
                }
            }
        }
        let windows: usize = categories.values().map(Vec::len).sum();
        let mut selected = Vec::new();
        for windows in categories.values_mut() {
            windows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            selected.extend(windows.iter().take(count).map(|window| window.2));
        }
        selected.sort_unstable();

        let workplace = Workplace::new();
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        workplace.write("scores.jsonl", texts.join("\n"));
        let input = if as_stream { "- < scores.jsonl" } else { "scores.jsonl" };
        let told = workplace.succeed(&format!("longattn select --alpha 0 --count {count} -o selected.jsonl {input}"));

        let found: Vec<_> = workplace.lines("selected.rejects.jsonl").iter().map(|line| line["line"].as_u64().unwrap()).collect();
        let mut found: Vec<_> = found.into_iter().map(|line| line as usize - 1).collect();
        found.sort_unstable();
        rejected.sort_unstable();
        prop_assert_eq!(found, rejected);
        let written = fs::read_to_string(workplace.path("selected.jsonl")).unwrap();
        let written: Vec<_> = written.lines().collect();
        prop_assert_eq!(written.len(), selected.len());
        for (line, place) in written.iter().zip(&selected) {
            let mut line: Value = serde_json::from_str(line).unwrap();
            prop_assert!(line["lds"].is_f64() && !line["id"].is_null() && !line["category"].is_null());
            // What was there is as it was, to the last digit.
            let before: Value = serde_json::from_str(texts[*place]).unwrap();
            for (name, value) in before.as_object().unwrap() {
                prop_assert!(value.is_null() || line[name].take() == *value);
            }
        }
        let balance = format!(
            "{windows} window{} = {} selected + {} not selected; {} written\n",
            if windows == 1 { "" } else { "s" },
            selected.len(),
            windows - selected.len(),
            selected.len()
        );
        prop_assert!(told.ends_with(&balance), "{}", told);
    }
}

#[test]
fn numbers_stay_as_they_are_written() {
    let workplace = Workplace::new();
    let line = |id: &str| {
        format!(
            "{{\"id\":{id},\"hash\":98765432109876543210.10,\"dependency_strength\":0.1,\"distribution_uniformity\":-1}}\n"
        )
    };
    let ids = ["12345678901234567890123", "12345678901234567890124"];
    workplace.write("scores.jsonl", ids.map(line).concat());
    workplace.succeed("longattn select --ratio 1 scores.jsonl -o selected.jsonl");
    let selected = fs::read_to_string(workplace.path("selected.jsonl")).unwrap();
    for (line, id) in selected.lines().zip(ids) {
        let start = format!("{{\"id\":{id},\"hash\":98765432109876543210.10,\"dependency_strength\":0.1,");
        assert!(line.starts_with(&start), "{line}");
    }
    assert_eq!(selected.lines().count(), 2);
}

#[test]
fn folders_are_read_as_everywhere() {
    let workplace = Workplace::new();
    workplace.write("parts/1.jsonl", score(json!("a"), Value::Null, 0.1).to_string());
    workplace.write("parts/2.jsonl", score(json!("b"), Value::Null, 0.2).to_string());
    workplace.write("parts/notes.txt", "not a line of JSON");
    let told = workplace.succeed("longattn select --count 1 parts -o selected.jsonl");
    let selected = workplace.lines("selected.jsonl");
    assert_eq!((selected.len(), &selected[0]["id"], &selected[0]["category"]), (1, &json!("b"), &json!("parts")));
    assert!(told.contains("1 reject"), "{told}");
    assert!(workplace.lines("selected.rejects.jsonl")[0]["file"].as_str().unwrap().ends_with("notes.txt"));
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let workplace = Workplace::new();
    let lines =
        [0.1, 0.3, 0.2].map(|strength| score(json!(strength.to_string()), json!("books"), strength).to_string());
    workplace.write("scores.jsonl", lines.join("\n"));
    workplace.succeed("longattn select --count 1 <(cat scores.jsonl) -o selected.jsonl");
    assert_eq!(workplace.lines("selected.jsonl")[0]["id"], "0.3");
}

#[test]
fn windows_are_found_by_the_same_names() {
    let workplace = Workplace::new();
    let ids = [json!("a"), json!(u64::MAX), json!("c")];
    let scores = ids.clone().map(|id| score(id, Value::Null, 0.1).to_string());
    workplace.write("scores/books.jsonl", scores.join("\n"));
    let rows =
        ids.map(|id| json!({"id": id, "data_id": "other", "category": null, "content": id.to_string()}).to_string());
    workplace.write("windows/books.jsonl", [rows.join("\n"), "{".to_owned()].join("\n"));
    let told = workplace
        .succeed("longattn select --ratio 1 scores/books.jsonl --windows windows/books.jsonl -o selected.jsonl");
    assert!(told.contains("3 written") && told.contains("1 reject"), "{told}");
    for line in workplace.lines("selected.jsonl") {
        assert_eq!(line["content"], line["id"].to_string());
        assert_eq!((&line["category"], &line["dependency_strength"]), (&json!("books"), &json!(0.1)));
    }
    let lost = workplace.fail("longattn select --ratio 1 scores --windows windows/books.jsonl -o lost.jsonl");
    assert!(lost.contains("is not in the files of --windows"), "{lost}");
}

#[test]
fn texts_of_different_lengths_do_not_compete() {
    let workplace = Workplace::new();
    let line = |id: &str, tokens: u64, min_distance: u64| {
        let mut line = score(json!(id), json!("books"), 0.1);
        line["token_count"] = tokens.into();
        line["min_distance"] = min_distance.into();
        line["sink_tokens"] = 0.into();
        line.to_string()
    };
    // Windows whose texts were tokenized again.
    workplace.write("near.jsonl", [line("a", 8192, 2048), line("b", 8190, 2047)].join("\n"));
    workplace.succeed("longattn select --count 1 near.jsonl -o near.selected.jsonl");
    workplace.write("lengths.jsonl", [line("long", 8192, 2048), line("short", 3, 0)].join("\n"));
    let refused = workplace.fail("longattn select --count 1 lengths.jsonl -o selected.jsonl");
    assert!(refused.contains("short with 3 tokens") && refused.contains("long with 8192"), "{refused}");
    assert!(refused.contains("mixed_lengths=allow") && !workplace.path("selected.jsonl").exists());
    workplace.succeed("longattn select --count 1 --mixed-lengths allow lengths.jsonl -o selected.jsonl");
    workplace.write("distances.jsonl", [line("a", 8192, 2048), line("b", 8192, 1)].join("\n"));
    let refused = workplace.fail("longattn select --count 1 distances.jsonl -o selected.jsonl");
    assert!(refused.contains("minimum distance"), "{refused}");
}

#[test]
fn a_damaged_file_counts_for_nothing_and_the_rest_goes_on() {
    let workplace = Workplace::new();
    let lines = |name: &str, count: usize| {
        let line = |number| score(json!(format!("{name}{number}")), json!("books"), number as f64 / 1e4).to_string();
        (0..count).map(line).collect::<Vec<_>>().join("\n")
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, lines("damaged", 5000).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    workplace.write("parts/1.jsonl", lines("a", 3));
    workplace.write("parts/2.jsonl.gz", &packed[..packed.len() / 2]);
    workplace.write("parts/3.jsonl", [lines("b", 2).as_bytes(), b"\n\xff\xfe\0garbage\n{\"id\": \"c\"\n"].concat());
    let told = workplace.succeed("longattn select --ratio 1 parts -o selected.jsonl");
    assert!(told.contains("5 windows = 5 selected"), "{told}");
    let rejects = workplace.lines("selected.rejects.jsonl");
    let places: Vec<_> = rejects.iter().map(|reject| (&reject["file"], &reject["line"])).collect();
    let [gz, plain] = [json!("parts/2.jsonl.gz"), json!("parts/3.jsonl")];
    assert_eq!(places, [(&gz, &Value::Null), (&plain, &json!(3)), (&plain, &json!(4))]);
    assert!(rejects[0]["reason"].as_str().unwrap().contains("damaged"), "{}", rejects[0]);
}

/// Windows of two categories: ten of one document and ten of others in `books`, five in `code`.
fn mixed() -> String {
    let line = |id: String, category: &str, strength: usize| {
        let mut line = score(json!(id), json!(category), strength as f64 / 100.0);
        line["token_count"] = 100.into();
        line["compression_ratio"] = json!(strength as f64 / 40.0);
        line.to_string()
    };
    let long = (0..10).map(|number| line(format!("long#{number}"), "books", 30 + number));
    let short = (0..10).map(|number| line(format!("short{number}#0"), "books", 10 + number));
    let code = (0..5).map(|number| line(format!("code#{number}"), "code", number));
    long.chain(short).chain(code).collect::<Vec<_>>().join("\n")
}

fn selected(flags: &str) -> (Vec<String>, String) {
    let workplace = Workplace::new();
    workplace.write("mixed.jsonl", mixed());
    let told = workplace.succeed(&format!("longattn select {flags} mixed.jsonl -o selected.jsonl"));
    let id = |line: &Value| line["id"].as_str().unwrap().to_owned();
    (workplace.lines("selected.jsonl").iter().map(id).collect(), told)
}

#[test]
fn a_document_gives_no_more_than_its_share() {
    let (ids, _) = selected("--count 4 --max-per-document 2");
    assert_eq!(ids, ["long#8", "long#9", "short8#0", "short9#0", "code#3", "code#4"]);
    let (ids, _) = selected("--token-budget 300 --max-per-document 1");
    assert_eq!(ids, ["long#9", "short8#0", "short9#0", "code#4"]);
}

#[test]
fn categories_have_cuts_of_their_own() {
    let (ids, _) = selected("--count 2 --category-cuts code=ratio:0.2");
    assert_eq!(ids, ["long#8", "long#9", "code#4"]);
    let workplace = Workplace::new();
    workplace.write("mixed.jsonl", mixed());
    let told = workplace.fail("longattn select --category-cuts cod=ratio:0.2 mixed.jsonl -o selected.jsonl");
    assert!(told.contains("no category cod") && told.contains("books, code"), "{told}");
}

#[test]
fn a_budget_is_shared_by_all_categories() {
    let (ids, _) = selected("--total-token-budget 400");
    assert_eq!(ids, ["long#8", "long#9", "code#3", "code#4"]);
    let (ids, _) = selected("--total-token-budget 400 --category-weights books=3");
    assert_eq!(ids, ["long#7", "long#8", "long#9", "code#4"]);
    // What code is too small for goes to books.
    let (ids, _) = selected("--total-token-budget 1200");
    assert_eq!(ids.len(), 12);
    assert_eq!(ids.iter().filter(|id| id.starts_with("code")).count(), 5);
}

#[test]
fn filters_set_floors_and_ceilings() {
    let (ids, told) = selected("--ratio 1 --filter compression_ratio\\ between\\ 0.1\\ and\\ 0.3");
    assert_eq!(ids, ["short0#0", "short1#0", "short2#0", "code#4"]);
    assert!(told.contains("25 windows = 4 selected + 0 not selected + 21 filtered out"), "{told}");
    let (ids, _) = selected("--ratio 1 --filter 'dependency_strength>=0.38 and token_count<200'");
    assert_eq!(ids, ["long#8", "long#9"]);
    let workplace = Workplace::new();
    workplace.write("mixed.jsonl", mixed());
    let told = workplace.fail("longattn select --filter 'gzip > 1' mixed.jsonl -o selected.jsonl");
    assert!(told.contains("gzip") && !workplace.path("selected.jsonl").exists(), "{told}");
}

#[test]
fn it_is_told_why_a_window_was_left() {
    let (_, told) = selected("--count 4 --max-per-document 2 --explain long#7");
    assert!(told.contains("long#7: rank 3 of 20 in the category books") && told.contains("passed over"), "{told}");
    let (_, told) = selected("--count 4 --explain short0#0");
    assert!(told.contains("rank 20 of 20") && told.contains("last to make it: rank 4"), "{told}");
    assert!(selected("--count 4 --explain none").1.contains("no such window"));
}
