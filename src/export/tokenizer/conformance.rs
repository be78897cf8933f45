//! Tokenizers made from llama.cpp's vocabularies, against the ids that it keeps with them.

use std::fs;
use std::path::Path;

use super::from_gguf;
use crate::export::gguf::Gguf;
use crate::tokenizer::Tokenizer;

/// Stands between the texts of a vocabulary.
const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

/// Texts of each vocabulary.
const TEXTS: usize = 46;

/// The vocabulary of a name, and how many texts of it get other ids.
fn check(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fetch/vocabularies");
    let path = directory.join(format!("ggml-vocab-{name}.gguf"));
    let read = |kind: &str| {
        let path = directory.join(format!("ggml-vocab-{name}.gguf.{kind}"));
        fs::read_to_string(path).expect("the vocabularies are there: run `make fetch`")
    };
    let (texts, ids) = (read("inp"), read("out"));
    let (_, json) = from_gguf(&Gguf::open(&path).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("tokenizer.json");
    fs::write(&file, json).unwrap();
    let tokenizer = Tokenizer::open(&file).unwrap();
    let texts: Vec<_> = texts.split(SEPARATOR).take(TEXTS).collect();
    let ids: Vec<_> = ids.lines().collect();
    assert_eq!((texts.len(), ids.len()), (TEXTS, TEXTS), "{name}");
    for (text, ids) in texts.into_iter().zip(ids) {
        let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert_eq!(tokenizer.tokenize(text).unwrap().ids(), ids, "{name}: {text:?}");
    }
}

macro_rules! vocabularies {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { check($name); })*
    };
}

vocabularies! {
    bert_bge: "bert-bge",
    command_r: "command-r",
    deepseek_coder: "deepseek-coder",
    deepseek_llm: "deepseek-llm",
    falcon: "falcon",
    gpt_2: "gpt-2",
    llama_bpe: "llama-bpe",
    llama_spm: "llama-spm",
    mpt: "mpt",
    phi_3: "phi-3",
    qwen2: "qwen2",
    refact: "refact",
    starcoder: "starcoder",
}
