//! Real texts to measure on.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The texts of the JSON lines that the command line names, or else of those of `make demo`.
pub fn of_arguments() -> Vec<String> {
    let mut files: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if files.is_empty() {
        files = ["books", "code", "documentation"].map(|name| format!("target/demo/corpus/{name}.jsonl")).to_vec();
    }
    files.iter().flat_map(|file| of_file(file.as_ref())).collect()
}

fn of_file(file: &Path) -> Vec<String> {
    let lines = fs::read_to_string(file).unwrap_or_else(|cause| panic!("{}: {cause}", file.display()));
    let text = |line: &str| serde_json::from_str::<Value>(line).ok()?["text"].as_str().map(str::to_owned);
    lines.lines().map(|line| text(line).expect("a text")).collect()
}
