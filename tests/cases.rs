//! The cases in tests/data/cases, which the tests of every language read: they agree with each other where they agree
//! with these.

mod common;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longattn::model::{Input, Scorer};
use longattn::score::Score;
use longattn::select::{Candidate, Selector};
use longattn::window::window_starts;
use longattn::{Cancel, Config, ErrorKind, Result};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// How far scores of two machines may lie apart, relative to their size.
const TOLERANCE: f64 = 1e-5;

fn file(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/data/cases").join(name)
}

/// The lines that begin with `#`, and the rows.
fn read(name: &str) -> (String, Vec<Vec<String>>) {
    let text = fs::read_to_string(file(name)).unwrap();
    let (comments, rows): (Vec<_>, Vec<_>) = text.split_inclusive('\n').partition(|line| line.starts_with('#'));
    let fields = |row: &str| row.trim_end_matches('\n').split('\t').map(str::to_owned).collect();
    (comments.concat(), rows.into_iter().map(fields).collect())
}

/// Settings such as `window=60 alpha=0`.
fn config(settings: &str) -> Result<Config> {
    let mut config = Config::default();
    for setting in settings.split_whitespace() {
        let (key, value) = setting.split_once('=').unwrap();
        config.set(key, value)?;
    }
    Ok(config)
}

fn open(package: &str, settings: &str) -> Result<Scorer> {
    let mut config = config(settings)?;
    config.onnxruntime.get_or_insert_with(common::onnxruntime);
    // An empty path stays one.
    let package = if package.is_empty() { PathBuf::new() } else { Path::new(ROOT).join(package) };
    Scorer::open(&package, &config)
}

fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn documents_are_cut_as_in_the_cases() {
    for row in read("windows.tsv").1 {
        let [window, tokens, starts] = row.try_into().unwrap();
        let window: NonZeroUsize = window.parse().unwrap();
        assert_eq!(
            window_starts(tokens.parse().unwrap(), window),
            numbers::<usize>(&starts),
            "{tokens} tokens by {window}"
        );
    }
}

#[test]
fn windows_are_selected_as_in_the_cases() {
    let rows = read("selection.tsv").1;
    for case in rows.chunk_by(|row, next| row[0] == next[0]) {
        let mut selector = Selector::default();
        for row in case.iter().rev() {
            let [_, _, category, id, token_count, dependency_strength, distribution_uniformity, ..] = row.as_slice()
            else {
                panic!("{row:?}")
            };
            let candidate = Candidate {
                id: id.clone(),
                category: category.clone(),
                token_count: token_count.parse().unwrap(),
                far: None,
                dependency_strength: dependency_strength.parse().unwrap(),
                distribution_uniformity: distribution_uniformity.parse().unwrap(),
            };
            selector.add(candidate).unwrap();
        }
        let config = config(&case[0][1]).unwrap();
        let ranking = selector.rank(&config.method().unwrap()).unwrap();
        let ranked = ranking.into_values().flat_map(|category| category.into_iter().enumerate());
        let found: Vec<_> = ranked
            .map(|(rank, ranked)| {
                let Candidate { id, category, token_count, dependency_strength, distribution_uniformity, .. } =
                    ranked.candidate;
                let score = ranked.long_distance_dependency_score;
                format!(
                    "{}\t{}\t{category}\t{id}\t{token_count}\t{dependency_strength:?}\t{distribution_uniformity:?}\t\
                     {rank}\t{score:?}\t{}",
                    case[0][0], case[0][1], ranked.selected
                )
            })
            .collect();
        let expected: Vec<_> = case.iter().map(|row| row.join("\t")).collect();
        assert_eq!(found.join("\n"), expected.join("\n"));
    }
}

#[test]
fn calls_fail_as_in_the_cases() {
    let mut seen = BTreeSet::new();
    for row in read("errors.tsv").1 {
        let [status, call, package, settings, argument, words] = row.try_into().unwrap();
        let status: i32 = status.parse().unwrap();
        seen.insert(status);
        // What is not UTF-8 is no argument of the Rust API.
        if status == ErrorKind::InvalidUtf8 as i32 {
            continue;
        }
        let error = fails(&call, &package, &settings, &argument).expect_err(&call);
        assert_eq!(error.kind() as i32, status, "{call} {package} {settings} {argument}: {error}");
        assert!(error.to_string().contains(&words), "{call} {package} {settings} {argument}: {error}");
    }
    assert!(seen.into_iter().eq(1..ErrorKind::Internal as i32), "every status but INTERNAL has a case");
}

fn fails(call: &str, package: &str, settings: &str, argument: &str) -> Result<()> {
    match call {
        "set" => config(settings).map(drop),
        "open" => open(package, settings).map(drop),
        "score_text" => open(package, settings)?.score_text(argument).map(drop),
        "score_tokens" => open(package, settings)?.score_tokens(&numbers(argument)).map(drop),
        "score_cancelled" => {
            let cancel = Cancel::default();
            cancel.cancel();
            open(package, settings)?.score(Input::Text(argument), &cancel).map(drop)
        }
        "add" => Selector::default().add(candidate("a", &numbers(argument))),
        "from_json" => Selector::from_json(argument).map(drop),
        "finish" => {
            let mut selector = Selector::default();
            argument.split_whitespace().try_for_each(|id| selector.add(candidate(id, &[0.1, -0.1])))?;
            let config = config(settings)?;
            selector.rank(&config.method()?).map(drop)
        }
        _ => panic!("no such call: {call}"),
    }
}

fn candidate(id: &str, scores: &[f64]) -> Candidate {
    let (id, category) = (id.to_owned(), "books".to_owned());
    let (dependency_strength, distribution_uniformity) = (scores[0], scores[1]);
    Candidate { id, category, token_count: 100, far: None, dependency_strength, distribution_uniformity }
}

#[test]
fn scores_are_close_to_the_cases() {
    let (comments, rows) = read("scores.tsv");
    let mut scorers = HashMap::new();
    let mut here = comments;
    for row in &rows {
        let [package, settings, kind, input, ..] = row.as_slice() else { panic!("{row:?}") };
        let scorer = scorers.entry((package, settings)).or_insert_with(|| open(package, settings).unwrap());
        let score = match kind.as_str() {
            "text" => scorer.score_text(input),
            "tokens" => scorer.score_tokens(&numbers(input)),
            _ => panic!("no such input: {kind}"),
        };
        here += &format!("{package}\t{settings}\t{kind}\t{input}\t{}\n", columns(&score.unwrap()));
    }
    let path = Path::new(ROOT).join("target/cases/scores.tsv");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &here).unwrap();

    let found = here.lines().filter(|line| !line.starts_with('#'));
    for (found, row) in found.zip(rows) {
        let found: Vec<_> = found.split('\t').skip(4).flat_map(numbers::<f64>).collect();
        let expected: Vec<_> = row[4..].iter().flat_map(|column| numbers::<f64>(column)).collect();
        let close = |(found, expected): (&f64, &f64)| (found - expected).abs() <= TOLERANCE * expected.abs();
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(&expected).all(close), "{row:?} gave {found:?}: see {}", path.display());
    }
}

/// The columns that a score fills.
fn columns(score: &Score) -> String {
    let Score { token_count, far, heads, rows, profile, .. } = score;
    let shares: Vec<_> = profile.iter().flat_map(|profile| &profile.mean).map(|share| format!("{share:?}")).collect();
    format!(
        "{token_count}\t{}\t{}\t{}\t{rows}\t{:?}\t{:?}\t{:?}\t{:?}\t{}",
        far.min_distance,
        far.sink_tokens,
        heads.len(),
        score.dependency_strength,
        score.distribution_uniformity,
        score.dependency_strength_error,
        score.distribution_uniformity_error,
        shares.join(" ")
    )
}
