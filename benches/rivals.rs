//! Tokens a second of the scores that need no model, on all cores, by the length of windows.
//!
//! `cargo bench --bench rivals -- [FILE…]` takes JSON lines with a `text`, those of `make demo` unless told. Tokens are words, so
//! that nothing has to be fetched; windows follow each other through all texts, which are repeated until they take a while.

mod texts;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use longattn::choice::Choice;
use longattn::rivals::{Column, columns};
use longattn::tokenizer::{Tokens, words};
use rayon::prelude::*;

const LENGTHS: [usize; 4] = [1024, 8192, 32768, 131_072];

const ROUNDS: usize = 3;

/// Tokens that a round takes, at least.
const TOKENS: usize = 8_000_000;

fn main() {
    let text = texts::of_arguments().concat();
    let tokens = words(&text);
    let bytes_a_token = text.len() as f64 / tokens.ids().len() as f64;
    println!("{} tokens of {bytes_a_token:.1} bytes; best of {ROUNDS} rounds", tokens.ids().len());
    println!("million tokens a second on {} cores, by window", rayon::current_num_threads());
    let both = [Column::NgramGain, Column::WeightedNgramGain].into();
    let alone = Column::NAMES.iter().map(|(name, column)| (*name, BTreeSet::from([*column])));
    for (name, asked) in alone.chain([("both n-gram gains", both)]) {
        let rates = LENGTHS.map(|length| format!("{length}: {:6.1}", rate(&text, &tokens, length, &asked)));
        println!("{name:<24} {}", rates.join("   "));
    }
}

/// Million tokens a second of the fastest round.
fn rate(text: &str, tokens: &Tokens, length: usize, asked: &BTreeSet<Column>) -> f64 {
    let runs = tokens.ids().len() / length;
    let times = TOKENS.div_ceil(runs * length);
    let windows: Vec<Range<usize>> =
        (0..times).flat_map(|_| (0..runs).map(|run| run * length..(run + 1) * length)).collect();
    let seconds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        let found: usize = windows
            .par_iter()
            .with_max_len(1)
            .map(|run| columns(asked, Some(&text[tokens.bytes(run)]), &tokens.ids()[run.clone()]).0.len())
            .sum();
        assert_eq!(found, windows.len() * asked.len());
        begun.elapsed().as_secs_f64()
    });
    (windows.len() * length) as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e6
}
