//! Pieces, here small ones, against the whole.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use bytesize::ByteSize;
use proptest::prelude::*;
use serde_json::{Value, json};

use tokenizers::processors::PostProcessorWrapper;

use super::Tokenizer;
use super::pieces::{Sizes, tokenize};
use crate::cancel::Cancel;
use crate::error::ErrorKind;
use crate::export::{ExportOptions, export};

const SIZES: Sizes = Sizes { usual: 8 << 10, longest: 64 << 10 };

/// Bytes of a text of several pieces.
const LONG: usize = 40_000;

/// The regular expression of Llama 3 and Qwen.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Digits in threes from the right, after a look-ahead over all of them.
const DIGITS_FROM_THE_RIGHT: &str = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))|\p{L}+|\s+|[^\s\p{L}\p{N}]+";

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The default model's.
fn default_tokenizer() -> Value {
    static TOKENIZER: OnceLock<Value> = OnceLock::new();
    let exported = || {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fetch/SmolLM2-135M-Instruct.Q4_1.gguf");
        let package = tempfile::tempdir().unwrap();
        let options = ExportOptions { overwrite: true, ..ExportOptions::default() };
        export(&model, package.path(), &options).expect("the default model is there: run `make fetch`");
        read(&package.path().join("tokenizer.json"))
    };
    TOKENIZER.get_or_init(exported).clone()
}

fn data(name: &str) -> Value {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).join("tokenizer.json"))
}

/// The default model's tokenizer with another way to words.
fn with_words(pattern: &str) -> Value {
    let mut tokenizer = default_tokenizer();
    tokenizer["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    tokenizer
}

/// The tokenizer with a blank before each word.
fn with_prefix_space(mut tokenizer: Value) -> Value {
    tokenizer["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = json!(true);
    tokenizer
}

/// The tokenizer whose tokens are whole words where the vocabulary has them, and whose byte ranges leave out blanks.
fn with_trimmed_ranges(mut tokenizer: Value, add_prefix_space: bool) -> Value {
    tokenizer["model"]["ignore_merges"] = json!(true);
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": true, "use_regex": true});
    tokenizer["post_processor"] = json!({"type": "Sequence", "processors": [bytes, {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}]});
    tokenizer
}

/// Byte-pair encoding of a text as one word, as that of Llama 2 is: blanks are letters, and one is put before the text.
fn without_words() -> Value {
    let mut tokenizer = with_words("x");
    let normalizers = json!([{"type": "Prepend", "prepend": "\u{2581}"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]);
    tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": normalizers});
    tokenizer["pre_tokenizer"] = Value::Null;
    let letters = "\u{2581}abcdefghijklmnopqrstuvwxyz0123456789.,\n";
    let pairs = [
        "\u{2581} t",
        "h e",
        "\u{2581}t he",
        "\u{2581} \u{2581}",
        "\u{2581}\u{2581} \u{2581}\u{2581}",
        "a a",
        "aa aa",
        "i n",
        "in g",
        "e r",
        "1 2",
    ];
    let tokens = letters.chars().map(String::from).chain(pairs.iter().map(|pair| pair.replace(' ', "")));
    let vocabulary: serde_json::Map<_, _> =
        std::iter::once("<unk>".to_owned()).chain(tokens).enumerate().map(|(id, token)| (token, id.into())).collect();
    tokenizer["model"] = json!({"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": false, "vocab": vocabulary, "merges": pairs});
    tokenizer["added_tokens"] = json!([]);
    tokenizer["post_processor"] = Value::Null;
    tokenizer["decoder"] = Value::Null;
    tokenizer
}

/// The likeliest parts of words that are split at blanks, as that of T5 is.
fn unigram() -> Value {
    let mut tokenizer = without_words();
    tokenizer["normalizer"] = json!({"type": "NFKC"});
    tokenizer["pre_tokenizer"] =
        json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true});
    let parts = [
        "<unk>",
        "\u{2581}",
        "\u{2581}the",
        "th",
        "e",
        "in",
        "ing",
        "er",
        "a",
        "aa",
        "aaa",
        "12",
        "1",
        "2",
        "s",
        "t",
        "r",
        "n",
        "o",
        "i",
        "\u{4e2d}",
        "\u{6587}",
    ];
    let vocabulary: Vec<_> = parts.iter().enumerate().map(|(rank, part)| json!([part, -(rank as f64) / 3.0])).collect();
    tokenizer["model"] = json!({"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": false});
    tokenizer
}

/// Words and their endings, lower case and without accents, as that of BERT is.
fn word_piece() -> Value {
    let mut tokenizer = without_words();
    tokenizer["normalizer"] = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true});
    tokenizer["pre_tokenizer"] = json!({"type": "BertPreTokenizer"});
    let letters: Vec<_> = ('a'..='z').chain('0'..='9').map(String::from).collect();
    let parts = letters.iter().cloned().chain(letters.iter().map(|letter| format!("##{letter}")));
    let parts = ["[UNK]", "the", "##ing", "in", ".", ",", "aa", "##aa"].map(str::to_owned).into_iter().chain(parts);
    let vocabulary: serde_json::Map<_, _> = parts.enumerate().map(|(id, part)| (part, id.into())).collect();
    tokenizer["model"] = json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": vocabulary});
    tokenizer
}

/// The tokenizer with added tokens that take the blanks around them.
fn with_greedy_added_tokens(mut tokenizer: Value) -> Value {
    let added = |id: u32, content: &str, normalized: bool| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": true, "rstrip": true, "normalized": normalized,
            "special": !normalized})
    };
    tokenizer["added_tokens"] = json!([added(0, "<|endoftext|>", false), added(49152, "the", true)]);
    tokenizer
}

/// The tokenizer of texts whose blanks at both ends are dropped.
fn with_stripped_texts(mut tokenizer: Value) -> Value {
    tokenizer["normalizer"] = json!({"type": "Strip", "strip_left": true, "strip_right": true});
    tokenizer
}

/// The tokenizer that composes letters and their marks before.
fn with_composed_letters(mut tokenizer: Value) -> Value {
    tokenizer["normalizer"] = json!({"type": "NFC"});
    tokenizer
}

struct Case {
    name: String,
    whole: tokenizers::Tokenizer,
    pieces: Tokenizer,
}

fn cases() -> Vec<Case> {
    let files = ["tiny/query-key", "tiny/statistics", "tiny/attentions", "checkpoints"];
    let of_files = files.into_iter().map(|name| (name, data(name)));
    let made = [
        ("default", default_tokenizer()),
        ("llama 3", with_words(LLAMA_3)),
        ("llama 3 without automata", with_prefix_space(with_words(LLAMA_3))),
        ("digits from the right", with_words(DIGITS_FROM_THE_RIGHT)),
        ("without words", without_words()),
        ("unigram", unigram()),
        ("word piece", word_piece()),
        ("greedy added tokens", with_greedy_added_tokens(default_tokenizer())),
        ("trimmed ranges", with_greedy_added_tokens(with_trimmed_ranges(with_words(LLAMA_3), false))),
        ("trimmed ranges behind the first", with_trimmed_ranges(default_tokenizer(), true)),
        ("composed letters", with_composed_letters(default_tokenizer())),
        ("stripped texts", with_greedy_added_tokens(with_stripped_texts(default_tokenizer()))),
    ];
    of_files.chain(made).map(|(name, json)| case(name, &json)).collect()
}

#[test]
fn tokenizers_of_words_and_bytes_are_encoded_by_automata() {
    let by_automata = cases().into_iter().filter(|case| case.pieces.encoder.is_some()).map(|case| case.name);
    assert_eq!(
        by_automata.collect::<Vec<_>>(),
        [
            "tiny/query-key",
            "tiny/statistics",
            "tiny/attentions",
            "default",
            "llama 3",
            "greedy added tokens",
            "trimmed ranges",
            "trimmed ranges behind the first",
            "composed letters"
        ]
    );
}

#[test]
fn blanks_belong_to_the_token_that_they_are_of() {
    let case = case("trimmed ranges", &with_trimmed_ranges(with_words(LLAMA_3), false));
    let tokens = case.pieces.tokenize("The end").unwrap();
    assert_eq!(tokens.boundaries().collect::<Vec<_>>(), [0, 3, 7]);
    assert_eq!((case.pieces.prefix(), tokens.bytes(&(1..2))), (&[0][..], 3..7));
}

#[test]
fn letters_and_their_marks_are_composed_where_the_tokenizer_does_so() {
    let composing = case("composed letters", &with_composed_letters(default_tokenizer())).pieces;
    let ids = |text: &str| composing.tokenize(text).unwrap().ids().to_vec();
    assert_eq!(ids("e\u{301}te\u{301} cafe\u{301}"), ids("\u{e9}t\u{e9} caf\u{e9}"));
    let tokens = composing.tokenize("e\u{301} e\u{301}").unwrap();
    assert_eq!(tokens.boundaries().last(), Some(7));
}

fn case(name: &str, json: &Value) -> Case {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokenizer.json");
    fs::write(&file, json.to_string()).unwrap();
    let mut whole = tokenizers::Tokenizer::from_file(&file).unwrap();
    whole.with_padding(None);
    whole.with_truncation(None).unwrap();
    whole.with_post_processor(None::<PostProcessorWrapper>);
    Case { name: name.to_owned(), whole, pieces: Tokenizer::open(&file).unwrap() }
}

impl Case {
    fn check(&self, text: &str, what: &str) {
        let found = tokenize(&self.pieces, text, SIZES, &Cancel::default()).unwrap();
        let whole = self.whole.encode(text, false).unwrap();
        let mut boundaries: Vec<usize> = Vec::new();
        for (start, _) in whole.get_offsets() {
            boundaries.push(boundaries.last().map_or(0, |last| text.floor_char_boundary(*start).max(*last)));
        }
        boundaries.push(text.len());
        assert!(found.ids() == whole.get_ids(), "{}, {what}: other ids", self.name);
        assert!(found.boundaries().eq(boundaries), "{}, {what}: other boundaries", self.name);
    }
}

/// Parts of text that are hard to cut, and how long they are repeated at most.
fn part() -> impl Strategy<Value = String> {
    let unit = prop_oneof![
        4 => "[a-z]{1,12}( the| in|, |\\. |\n){1}".prop_map(|words| words),
        1 => Just(" ".to_owned()),
        1 => Just("a".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just(" \n".to_owned()),
        1 => Just("\t\t  ".to_owned()),
        1 => "[0-9]{1,40}",
        1 => "[\u{4e00}-\u{4e80}]{1,30}[\u{3002}\u{ff0c}]?",
        1 => "[\u{1f600}-\u{1f640}]\u{200d}?[\u{1f600}-\u{1f640}]?",
        1 => "e\u{301}{1,3}",
        1 => Just("    if (x == 12) { return \"the\"; } // <|endoftext|>\n".to_owned()),
        1 => Just("   <|endoftext|>   ".to_owned()),
        1 => "[A-Za-z0-9+/]{76}\n?",
        1 => Just("0123456789abcdef".to_owned()),
        1 => any::<String>(),
        1 => Just("rare bytes \u{4}\u{6}\u{16}\u{40000}\u{80000} ".to_owned()),
    ];
    (unit, prop_oneof![3 => 1usize..40, 1 => 1usize..4_000]).prop_map(|(unit, times)| {
        let times = times.min(20_000 / unit.len().max(1)).max(1);
        unit.repeat(times)
    })
}

/// Long texts of such parts, in an order that comes again and again.
fn long_text() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 1..40).prop_map(|parts| {
        let mut text = String::new();
        for part in parts.iter().cycle() {
            if text.len() > LONG || (text.is_empty() && parts.iter().all(String::is_empty)) {
                break;
            }
            text.push_str(part);
        }
        text
    })
}

#[test]
fn pieces_have_the_tokens_of_the_whole() {
    let cases = cases();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let check = |text: String| {
        cases.iter().for_each(|case| case.check(&text, "a random text"));
        Ok(())
    };
    runner.run(&long_text().no_shrink(), check).unwrap();
}

#[test]
fn texts_without_an_end_of_anything_are_cut_nowhere_else() {
    let repeated = |unit: &str| unit.repeat(LONG / unit.len());
    for case in cases() {
        for unit in [" ", "a", "\n", "7", "\u{4e2d}", "\u{1f600}", " \n", "ab", "e\u{301}"] {
            case.check(&repeated(unit), &format!("{unit:?} again and again"));
            case.check(&format!("the {} end", repeated(unit)), &format!("{unit:?} between words"));
        }
    }
}

#[test]
fn tokens_over_the_memory_limit_are_refused() {
    let case = case("default", &default_tokenizer());
    let tokenizer = case.pieces.with_memory_limit(ByteSize::kib(64));
    let tokens = |words| tokenize(&tokenizer, &"The words. ".repeat(words), SIZES, &Cancel::default());
    assert_eq!(tokens(2_000).unwrap().ids().len(), 6_001);
    let error = tokens(4_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
    assert!(error.to_string().contains("the memory_limit of 64.0 KiB"), "{error}");
}

#[test]
fn a_stretch_that_is_too_long_is_refused() {
    let case = case("default", &default_tokenizer());
    let refused = |text: String| tokenize(&case.pieces, &text, SIZES, &Cancel::default()).err();
    let error = refused(format!("The text {}", "a".repeat(70_000))).unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.to_string().contains("without a place to cut"), "{error}");
    assert_eq!(refused(format!("The text {} goes on. ", "a".repeat(15_000)).repeat(10)), None);
}
