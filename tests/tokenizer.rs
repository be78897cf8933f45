//! Long texts are tokenised in pieces, with the tokens of the whole; and what a tokenizer cannot do is an error.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use longattn::tokenizer::{SpecialTokens, Tokenizer};
use longattn::{Cancel, ErrorKind};
use serde_json::{Value, json};

fn default_tokenizer() -> Tokenizer {
    Tokenizer::open(&common::scorer_package().join("tokenizer.json")).unwrap()
}

#[test]
fn ends_of_texts_and_of_pieces_are_no_matter() {
    let tokenizer = default_tokenizer();
    let whole = tokenizers::Tokenizer::from_file(common::scorer_package().join("tokenizer.json")).unwrap();
    let text = "The quick brown fox, and 12 dogs.\n".repeat(40_000);
    for length in [0, 1, 262_143, 262_144, 262_145, 270_335, 270_337, 524_288, text.len()] {
        let text = &text[..length];
        assert_eq!(tokenizer.tokenize(text).unwrap().ids(), whole.encode_fast(text, false).unwrap().get_ids());
    }
}

#[test]
fn regular_expressions_that_give_up_are_an_error_of_one_text() {
    let file = common::scorer_package().join("tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    json["pre_tokenizer"] =
        json!({"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": false});
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokenizer.json");
    fs::write(&file, json.to_string()).unwrap();
    let tokenizer = Tokenizer::open(&file).unwrap();
    for text in ["a".repeat(40), format!("Good words. {}", "a".repeat(40))] {
        let error = tokenizer.tokenize(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
        assert!(error.to_string().contains("gave up on this text"), "{error}");
    }
    assert!(tokenizer.tokenize("Good words.").is_ok());
}

/// The default tokenizer, changed.
fn changed(change: impl FnOnce(&mut Value)) -> longattn::Result<Tokenizer> {
    let file = common::scorer_package().join("tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut json);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokenizer.json");
    fs::write(&file, json.to_string()).unwrap();
    Tokenizer::open(&file)
}

#[test]
fn special_tokens_in_a_text_are_tokens_or_text() {
    let text = "See <|endoftext|> and <|im_start|>user hi<|im_end|> here. ".repeat(20);
    let is_special = |id: &&u32| **id < 3;
    let split = default_tokenizer().tokenize(&text).unwrap();
    assert_eq!(split.ids().iter().filter(is_special).count(), 60);
    let tokenizer = default_tokenizer().with_special_tokens(SpecialTokens::AsText);
    let as_text = tokenizer.tokenize(&text).unwrap();
    assert_eq!(as_text.ids().iter().filter(is_special).count(), 0);
    assert!(as_text.ids().len() > split.ids().len());
    assert_eq!((as_text.boundaries().next(), as_text.boundaries().last()), (Some(0), Some(text.len())));
    let bare = "See <|endoftext|";
    assert_eq!(tokenizer.tokenize(bare).unwrap(), default_tokenizer().tokenize(bare).unwrap());
}

#[test]
fn nothing_is_left_to_chance() {
    let random = changed(|json| json["model"]["dropout"] = json!(0.9)).unwrap();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(10);
    assert_eq!(random.tokenize(&text).unwrap(), default_tokenizer().tokenize(&text).unwrap());
}

#[test]
fn vocabularies_may_have_gaps_but_no_merges_of_absent_tokens() {
    let gap = changed(|json| {
        let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
        let last = vocabulary.values().map(|id| id.as_u64().unwrap()).max().unwrap();
        vocabulary.insert("unreachable".to_owned(), json!(last + 100));
    });
    let text = "Words with a gap behind them.";
    assert_eq!(gap.unwrap().tokenize(text).unwrap(), default_tokenizer().tokenize(text).unwrap());
    let absent = changed(|json| json["model"]["merges"].as_array_mut().unwrap().push(json!(["absent", "tokens"])));
    let error = absent.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert!(error.to_string().contains("out of vocabulary"), "{error}");
}

#[test]
fn nothing_is_printed_of_what_gives_up() {
    let test = "regular_expressions_that_give_up_are_an_error_of_one_text";
    let output = Command::new(env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("panicked"), "{told}");
}

#[test]
fn cancelling_stops_between_pieces() {
    let tokenizer = default_tokenizer();
    let text = "The quick brown fox jumps over 12 lazy dogs. ".repeat(3_000_000);
    let cancel = Cancel::default();
    let stopped = thread::scope(|scope| {
        let work = scope.spawn(|| tokenizer.tokenize_until(&text, &cancel));
        thread::sleep(Duration::from_millis(300));
        let asked = Instant::now();
        cancel.cancel();
        let error = work.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        asked.elapsed()
    });
    assert!(stopped < Duration::from_secs(1), "{stopped:?}");
}
