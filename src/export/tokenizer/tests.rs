//! Tokenizers that are made of other files than `tokenizer.json`.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{find, load};
use crate::error::{Error, ErrorKind};
use crate::export::files::Directory;
use crate::tokenizer::{SpecialTokens, Tokenizer};

/// Files of a checkpoint, as far as the tokenizer goes.
struct Vocabulary(TempDir);

impl Vocabulary {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(directory.path().join(name), bytes).unwrap());
        Self(directory)
    }

    fn open(&self) -> Tokenizer {
        let (_, json) = find(&Directory::new(self.0.path())).unwrap().unwrap();
        let file = self.0.path().join("made.json");
        fs::write(&file, json).unwrap();
        Tokenizer::open(&file).unwrap()
    }

    fn refused(&self) -> Error {
        find(&Directory::new(self.0.path())).map(|_| ()).unwrap_err()
    }
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let tokens = tokenizer.tokenize(text).unwrap();
    assert_eq!(tokens.boundaries().last(), Some(text.len()));
    tokens.ids().to_vec()
}

fn data(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sentence_piece").join(name)).unwrap()
}

#[test]
fn sentence_piece_models_give_the_ids_of_sentence_piece() {
    let expected: Value = serde_json::from_slice(&data("ids.json")).unwrap();
    let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).unwrap();
    for kind in ["byte_pair", "byte_pair_without_prefix", "unigram"] {
        let vocabulary = Vocabulary::new(&[("tokenizer.model", &data(&format!("{kind}.model")))]);
        let tokenizer = vocabulary.open().with_special_tokens(SpecialTokens::AsText);
        let expected: Vec<Vec<u32>> = serde_json::from_value(expected[kind].clone()).unwrap();
        // Unigrams hold the names of special tokens among their pieces, in `tokenizers` unlike in SentencePiece.
        let is_comparable = |text: &&String| kind != "unigram" || !text.contains("<s>");
        for (text, expected) in texts.iter().zip(expected).filter(|(text, _)| is_comparable(text)) {
            assert_eq!(ids(&tokenizer, text), expected, "{kind}: {text:?}");
        }
        assert_eq!((tokenizer.prefix(), tokenizer.suffix()), (&[1][..], &[][..]), "{kind}");
    }
}

#[test]
fn texts_are_framed_as_the_configuration_says() {
    let config = json!({"add_bos_token": false, "add_eos_token": true}).to_string();
    let model = data("byte_pair.model");
    let vocabulary = Vocabulary::new(&[("tokenizer.model", &model), ("tokenizer_config.json", config.as_bytes())]);
    let tokenizer = vocabulary.open();
    assert_eq!((tokenizer.prefix(), tokenizer.suffix()), (&[][..], &[2][..]));
}

#[test]
fn files_that_are_no_sentence_piece_models_are_refused() {
    for (bytes, told) in [(&b""[..], "no tokens"), (&b"IQ== 0\nIg== 1\n"[..], "get the file again")] {
        let error = Vocabulary::new(&[("tokenizer.model", bytes)]).refused();
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
        assert!(error.to_string().contains(told), "{error}");
    }
}

/// All bytes, and some pairs of them.
const MERGES: [&str; 6] = ["t h", "th e", "\u{120} the", "1 2", "\u{120} \u{120}", "e r"];

fn vocabulary() -> Value {
    let letters = crate::tokenizer::byte_letters().map(String::from);
    let merged = MERGES.map(|merge| merge.replace(' ', ""));
    let tokens = letters.into_iter().chain(merged).chain(["<|endoftext|>".to_owned(), "model".to_owned()]);
    tokens.zip(0..).map(|(token, id): (_, u32)| (token, Value::from(id))).collect::<serde_json::Map<_, _>>().into()
}

fn merges() -> String {
    format!("#version: 0.2\n{}\n", MERGES.join("\n"))
}

const TEXT: &str = "the other 1212 tethers<|endoftext|>  the\u{e9}\n";

#[test]
fn vocabularies_and_merges_become_a_tokenizer() {
    let (vocabulary, merges) = (vocabulary().to_string(), merges());
    let files = [("vocab.json", vocabulary.as_bytes()), ("merges.txt", merges.as_bytes())];
    let tokenizer = Vocabulary::new(&files).open();
    let found = ids(&tokenizer, "the the 12 ");
    assert_eq!(found, [257, 258, 32, 259, 32]);
    assert!(ids(&tokenizer, TEXT).contains(&262));
    assert_eq!(tokenizer.prefix(), &[] as &[u32]);

    let config = json!({"tokenizer_class": "Qwen2TokenizerFast", "add_bos_token": true, "bos_token": "<s>",
        "added_tokens_decoder": {"300": {"content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true}}})
    .to_string();
    let configured = Vocabulary::new(&[files[0], files[1], ("tokenizer_config.json", config.as_bytes())]).open();
    assert_eq!((configured.prefix(), ids(&configured, "the<s>e\u{301}")), (&[300][..], vec![257, 300, 195, 169]));
}

#[test]
fn vocabularies_that_contradict_themselves_are_refused() {
    let (whole, merges) = (vocabulary().to_string(), merges());
    let twice = whole.replacen('{', r#"{"the": 1, "#, 1);
    let absent = merges.clone() + "absent tokens\n";
    let unpaired = merges.clone() + "word\n";
    let class = br#"{"tokenizer_class": "BloomTokenizer"}"#;
    let refused = |vocabulary: &str, merges: &str, told: &str| {
        let error =
            Vocabulary::new(&[("vocab.json", vocabulary.as_bytes()), ("merges.txt", merges.as_bytes())]).refused();
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
        assert!(error.to_string().contains(told), "{error}");
    };
    refused(&twice, &merges, "\"the\" has the ids 1 and 257");
    refused(&whole, &absent, "out of vocabulary");
    refused(&whole, &unpaired, "line 8 is no pair");
    let alone = Vocabulary::new(&[("vocab.json", whole.as_bytes())]).refused();
    assert!(alone.to_string().contains("merges.txt"), "{alone}");
    let unknown =
        [("vocab.json", whole.as_bytes()), ("merges.txt", merges.as_bytes()), ("tokenizer_config.json", class)];
    let unknown = Vocabulary::new(&unknown).refused();
    assert_eq!(unknown.kind(), ErrorKind::Unsupported);
    assert!(unknown.to_string().contains("BloomTokenizer"), "{unknown}");
}

fn tekken() -> Value {
    let tokens = (0..=255u8).map(|byte| vec![byte]).chain(["th", "he", "the", " the", "12"].map(|token| token.into()));
    let entry = |(rank, token): (usize, Vec<u8>)| json!({"rank": rank, "token_bytes": STANDARD.encode(token), "token_str": null});
    let tokens: Vec<_> = tokens.enumerate().map(entry).collect();
    json!({"config": {"pattern": r"\p{L}+| ?\p{L}+|\p{N}|\s+|[^\s\p{L}\p{N}]+", "num_vocab_tokens": 300, "version": "v3",
        "default_vocab_size": 290, "default_num_special_tokens": 30}, "vocab": tokens})
}

#[test]
fn tekken_files_become_a_tokenizer() {
    let tokenizer = Vocabulary::new(&[("tekken.json", tekken().to_string().as_bytes())]).open();
    // The last token is one more than the file says that there are.
    assert_eq!(ids(&tokenizer, "the the the12"), [30 + 258, 30 + 259, 30 + 259, 30 + 49, 30 + 50]);
    assert_eq!(ids(&tokenizer, "a[INST]<SPECIAL_29>"), [30 + 97, 3, 29]);
    assert_eq!((tokenizer.prefix(), tokenizer.suffix()), (&[1][..], &[][..]));

    let mut own = tekken();
    own["special_tokens"] = json!([{"rank": 0, "token_str": "<s>", "is_control": true}]);
    assert_eq!(Vocabulary::new(&[("tekken.json", own.to_string().as_bytes())]).open().prefix(), [0]);
}

#[test]
fn tekken_files_that_contradict_themselves_are_refused() {
    let refused = |change: &dyn Fn(&mut Value), told: &str| {
        let mut file = tekken();
        change(&mut file);
        let error = Vocabulary::new(&[("tekken.json", file.to_string().as_bytes())]).refused();
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
        assert!(error.to_string().contains(told), "{error}");
    };
    refused(&|file| file["vocab"][200]["rank"] = json!(201), "the token of rank 200 is missing");
    refused(&|file| file["config"]["default_vocab_size"] = json!(1000), "970 tokens are told of");
    refused(&|file| file["config"]["default_num_special_tokens"] = json!(1000), "contradict each other");
    refused(&|file| file["vocab"][0]["token_bytes"] = json!("?"), "the token of rank 0");
    let twice = json!([{"rank": 0, "token_str": "<s>"}, {"rank": 1, "token_str": "<s>"}]);
    refused(&|file| file["special_tokens"] = twice.clone(), "\"<s>\" stands twice");
    refused(&|file| file["special_tokens"] = json!([{"rank": 30, "token_str": "<s>"}]), "has the id 30 of 30");
}

#[test]
fn any_of_the_files_can_be_named() {
    let vocabulary = Vocabulary::new(&[("named.json", tekken().to_string().as_bytes())]);
    assert!(load(&vocabulary.0.path().join("named.json")).is_ok());
    let error = load(&vocabulary.0.path().join("missing.json")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
