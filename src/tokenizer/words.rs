//! Splitting a text into words as the pre-tokenizer of a `tokenizer.json` does, by automata instead of backtracking.
//!
//! Automata know no look-ahead. The patterns of byte-level tokenizers look ahead in one place, `\s+(?!\S)|\s+`, which leaves
//! the last of several blanks to the word behind them; that is done by hand here.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, PatternID};
use tokenizers::SplitDelimiterBehavior;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};

use crate::error::{Error, ErrorKind, Result};

/// What the last alternatives of a pattern look like that leaves the last of several blanks to the next word.
const BLANKS: &str = r"|\s+(?!\S)|\s+";

/// The pattern of GPT-2, which [`ByteLevel`](tokenizers::pre_tokenizers::byte_level::ByteLevel) has built in.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The patterns that automata split as the backtracking of the `tokenizers` library does: those of GPT-2, Llama 3, Qwen 2,
/// Qwen 3.5, GPT-4o and Mistral's Tekken.
const PATTERNS: [&str; 6] = [
    GPT_2,
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Single digits, and what stands between them.
const DIGITS: [(&str, &str); 2] = [(r"\p{N}", r"\p{N}|\P{N}+"), (r"\p{N}{1,3}", r"\p{N}{1,3}|\P{N}+")];

/// Splits texts into words, in one step or several, of which each splits what the one before it left.
#[derive(Clone)]
pub(super) struct Splitter {
    steps: Vec<DFA>,
}

/// What a thread needs to split.
pub(super) struct SplitCache {
    steps: Vec<Cache>,
    ends: Vec<usize>,
    before: Vec<usize>,
}

impl Splitter {
    /// A splitter that does what a pre-tokenizer does to a text before its bytes become letters; `None` where it does anything
    /// that is not known here, or does not end with bytes that become letters.
    pub(super) fn of(pre_tokenizer: &PreTokenizerWrapper) -> Option<Self> {
        let (steps, last) = match pre_tokenizer {
            PreTokenizerWrapper::Sequence(sequence) => {
                let (last, steps) = sequence.as_ref().split_last()?;
                (steps, last)
            }
            single => (&[][..], single),
        };
        let PreTokenizerWrapper::ByteLevel(bytes) = last else { return None };
        if bytes.add_prefix_space {
            return None;
        }
        let mut patterns: Vec<_> = steps.iter().map(pattern).collect::<Option<_>>()?;
        if bytes.use_regex {
            patterns.push(GPT_2);
        }
        Some(Self { steps: patterns.into_iter().map(automaton).collect::<Option<_>>()? })
    }

    pub(super) fn cache(&self) -> SplitCache {
        SplitCache { steps: self.steps.iter().map(DFA::create_cache).collect(), ends: Vec::new(), before: Vec::new() }
    }

    /// Where the words of a text end. They follow each other without gap.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where an automaton finds no word.
    pub(super) fn ends<'a>(&self, text: &str, cache: &'a mut SplitCache) -> Result<&'a [usize]> {
        let SplitCache { steps, ends, before } = cache;
        ends.clear();
        if !text.is_empty() {
            ends.push(text.len());
        }
        for (automaton, cache) in self.steps.iter().zip(steps) {
            std::mem::swap(ends, before);
            ends.clear();
            let mut start = 0;
            for end in &*before {
                while start < *end {
                    start = word_end(automaton, cache, text, start, *end)?;
                    ends.push(start);
                }
            }
        }
        Ok(ends)
    }
}

/// The pattern of a step, where it is known.
fn pattern(step: &PreTokenizerWrapper) -> Option<&'static str> {
    let PreTokenizerWrapper::Split(Split { pattern: SplitPattern::Regex(pattern), behavior, invert: false, .. }) = step
    else {
        return None;
    };
    let is_isolated = *behavior == SplitDelimiterBehavior::Isolated;
    let digits = DIGITS.into_iter().find(|(known, _)| known == pattern).map(|(_, whole)| whole);
    digits.or_else(|| PATTERNS.into_iter().find(|known| known == pattern)).filter(|_| is_isolated)
}

/// The automaton of a pattern, with that of blanks behind it.
fn automaton(pattern: &str) -> Option<DFA> {
    let words = pattern.strip_suffix(BLANKS).unwrap_or(pattern);
    let config = DFA::config().match_kind(MatchKind::LeftmostFirst).skip_cache_capacity_check(true);
    DFA::builder().configure(config).syntax(syntax::Config::new()).build_many(&[words, r"\s+"]).ok()
}

/// Where the word ends that begins at `start`, in what a step before left as one.
fn word_end(automaton: &DFA, cache: &mut Cache, text: &str, start: usize, end: usize) -> Result<usize> {
    let input = Input::new(text).range(start..end).anchored(Anchored::Yes);
    let failed = |cause: String| Error::new(ErrorKind::Internal, format!("the automaton of the words failed: {cause}"));
    let found = automaton.try_search_fwd(cache, &input).map_err(|cause| failed(cause.to_string()))?;
    let found = found.ok_or_else(|| failed("no word".to_owned()))?;
    if found.pattern() == PatternID::ZERO || found.offset() == end {
        return Ok(found.offset());
    }
    let last = text.floor_char_boundary(found.offset() - 1);
    Ok(if last > start { last } else { found.offset() })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;
    use rayon::prelude::*;
    use serde_json::{Value, json};
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

    use super::*;

    struct Case {
        name: String,
        theirs: PreTokenizerWrapper,
        ours: Splitter,
    }

    fn split(pattern: &str) -> Value {
        json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
    }

    fn bytes(use_regex: bool) -> Value {
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
    }

    fn pre_tokenizer(steps: &[Value]) -> PreTokenizerWrapper {
        serde_json::from_value(json!({"type": "Sequence", "pretokenizers": steps})).unwrap()
    }

    fn cases() -> Vec<Case> {
        let case = |name: &str, steps: &[Value]| {
            let theirs = pre_tokenizer(steps);
            let ours = Splitter::of(&theirs).expect(name);
            Case { name: name.to_owned(), theirs, ours }
        };
        let patterns = PATTERNS.iter().map(|pattern| case(pattern, &[split(pattern), bytes(false)]));
        let digits = DIGITS.iter().map(|(pattern, _)| case(pattern, &[split(pattern), bytes(true)]));
        patterns.chain(digits).collect()
    }

    impl Case {
        fn check(&self, text: &str) {
            let mut text_of_theirs = PreTokenizedString::from(text);
            self.theirs.pre_tokenize(&mut text_of_theirs).unwrap();
            let theirs = text_of_theirs.get_splits(OffsetReferential::Original, OffsetType::Byte);
            let mut cache = self.ours.cache();
            let ours = self.ours.ends(text, &mut cache).unwrap();
            let mut start = 0;
            for ((_, (_, theirs), _), ours) in theirs.iter().zip(ours) {
                let told = &text[start..text.ceil_char_boundary((start + 40).min(text.len()))];
                assert_eq!(theirs, ours, "{}: {told:?} begins at {start}", self.name);
                start = *ours;
            }
            assert_eq!(theirs.len(), ours.len(), "{}", self.name);
        }
    }

    #[test]
    fn every_character_is_of_the_kind_that_it_is_of_in_the_library() {
        let cases = cases();
        // Behind these there are no letters, digits and blanks, but for a few marks.
        let characters: Vec<char> = ('\0'..'\u{33480}').chain('\u{e0000}'..'\u{e0200}').collect();
        characters.par_chunks(1 << 12).for_each(|characters| {
            let mut text = String::new();
            for c in characters {
                write!(text, "a{c}1{c}'{c}  {c}{c}.\n{c}").unwrap();
            }
            cases.iter().for_each(|case| case.check(&text));
        });
    }

    #[test]
    fn what_is_not_known_is_left_to_the_library() {
        let is_left = |steps: &[Value]| assert!(Splitter::of(&pre_tokenizer(steps)).is_none(), "{steps:?}");
        is_left(&[split(GPT_2)]);
        is_left(&[split("a+"), bytes(false)]);
        is_left(&[json!({"type": "Whitespace"}), bytes(false)]);
        let changed = |key: &str, value: Value| {
            let mut step = split(GPT_2);
            step[key] = value;
            step
        };
        is_left(&[changed("invert", json!(true)), bytes(false)]);
        is_left(&[changed("behavior", json!("Removed")), bytes(false)]);
        is_left(&[changed("pattern", json!({"String": GPT_2})), bytes(false)]);
    }

    proptest! {
        #[test]
        fn words_are_those_of_the_library(
            texts in prop::collection::vec("([a-zA-Z]{0,9}|[0-9]{0,9}|[ \t\r\n\u{a0}\u{3000}]{0,6}|'(s|S|ll|Re|\u{17f})|\\PC{0,5}|[/.,;!]{0,5})", 0..200)
        ) {
            cases().iter().for_each(|case| case.check(&texts.concat()));
        }
    }
}
