//! Byte-level byte-pair encoding, as `vocab.json` with `merges.txt`, `tekken.json` and GGUF files hold it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, Result, Tokenizer};

use super::frame::framed;
use super::splitters::{self, Splitter};
use super::tokenizer_config::TokenizerConfig;
use crate::error::{Error, ErrorKind};
use crate::export::files::Files;
use crate::tokenizer::byte_letters;

/// Pairs of tokens, one a line.
pub(super) const MERGES: &str = "merges.txt";
const MERGES_LIMIT: u64 = 500_000_000;

/// How the classes of `transformers` whose vocabularies lie in `vocab.json` cut text into words.
const CLASSES: [(&str, &str); 4] = [
    ("GPT2Tokenizer", "gpt-2"),
    ("CodeGenTokenizer", "gpt-2"),
    ("GPTNeoXTokenizer", "gpt-2"),
    ("Qwen2Tokenizer", "qwen2"),
];

/// The token that GPT-2 begins and ends texts with.
const END_OF_TEXT: &str = "<|endoftext|>";

/// A byte-level tokenizer without added tokens.
pub(super) fn byte_level(vocabulary: Vocab, merges: Merges, words: &Words) -> Result<Tokenizer> {
    let model = BPE::builder().vocab_and_merges(vocabulary, merges).ignore_merges(words.whole_words).build()?;
    let mut tokenizer = Tokenizer::new(model);
    if words.composed {
        tokenizer.with_normalizer(Some(NFC))?;
    }
    tokenizer.with_pre_tokenizer(Some(words.pre_tokenizer()?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    Ok(tokenizer)
}

/// How text is cut into words.
pub(super) struct Words<'a> {
    patterns: Vec<&'a str>,
    letter_patterns: &'a [&'a str],
    composed: bool,
    whole_words: bool,
    /// Whether a blank is put before a text without one.
    prefixed: bool,
}

impl Words<'_> {
    fn pre_tokenizer(&self) -> Result<PreTokenizerWrapper> {
        let split = |pattern: &&str| {
            let pattern = SplitPattern::Regex((*pattern).to_owned());
            Ok(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into())
        };
        let bytes = ByteLevel::new(self.prefixed, true, false).into();
        let before = self.patterns.iter().map(split);
        let behind = self.letter_patterns.iter().map(split);
        let steps: Result<Vec<_>> = before.chain([Ok(bytes)]).chain(behind).collect();
        Ok(Sequence::new(steps?).into())
    }
}

impl From<&'static Splitter> for Words<'static> {
    fn from(splitter: &'static Splitter) -> Self {
        Self {
            patterns: splitter.patterns.to_vec(),
            letter_patterns: splitter.letter_patterns,
            composed: splitter.composed,
            whole_words: splitter.whole_words,
            prefixed: false,
        }
    }
}

/// A `vocab.json`, whose tokens may stand in it once alone.
struct Ids(Vocab);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object of tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Vocab, A::Error> {
                let mut ids = Vocab::default();
                while let Some((token, id)) = entries.next_entry::<String, u32>()? {
                    if let Some(earlier) = ids.insert(token.clone(), id).filter(|earlier| *earlier != id) {
                        let message = format!("the token {token:?} has the ids {earlier} and {id}");
                        return Err(serde::de::Error::custom(message));
                    }
                }
                Ok(ids)
            }
        }
        deserializer.deserialize_map(Entries).map(Self)
    }
}

/// Makes the tokenizer of a `vocab.json` and the `merges.txt` beside it.
pub(super) fn from_vocabulary(
    bytes: &[u8],
    config: &TokenizerConfig,
    files: &dyn Files,
    place: &str,
) -> crate::Result<Tokenizer> {
    let malformed = |cause: String| malformed(cause, place);
    let Ids(mut ids) = serde_json::from_slice(bytes).map_err(|cause| malformed(cause.to_string()))?;
    let class = config.class().unwrap_or(CLASSES[0].0);
    let Some((_, words)) = CLASSES.iter().find(|(known, _)| *known == class) else {
        let message = format!(
            "of a vocabulary with tokenizer_class {class:?} no tokenizer can be made: save it once with \
             AutoTokenizer.from_pretrained(…).save_pretrained(…), and pass its tokenizer.json with --tokenizer"
        );
        return Err(Error::new(ErrorKind::Unsupported, message).at(place));
    };
    let Some(merges) = files.whole(MERGES, MERGES_LIMIT)? else {
        return Err(files.invalid(MERGES, "there is none, and the vocabulary is nothing without it: get the file"));
    };
    let merges = merges_of_text(&merges).map_err(|message| files.invalid(MERGES, message))?;
    let words = Words {
        prefixed: config.flag("add_prefix_space").unwrap_or(false),
        ..Words::from(splitters::find(words).expect("classes cut words in known ways"))
    };
    let usual = ids.contains_key(END_OF_TEXT).then(|| AddedToken::from(END_OF_TEXT, true).normalized(false));
    let added = config.added_to(usual.into_iter().collect());
    ids.extend(config.added_ids());
    let framing = |flag: &str, key: &str| {
        let token = config.token(key).unwrap_or(END_OF_TEXT);
        Some((*ids.get(token).filter(|_| config.flag(flag) == Some(true))?, token))
    };
    let (begin, end) = (framing("add_bos_token", "bos_token"), framing("add_eos_token", "eos_token"));
    let tokenizer = byte_level(ids.clone(), merges, &words).map_err(|cause| malformed(cause.to_string()))?;
    framed(tokenizer, added, begin, end).map_err(|cause| malformed(cause.to_string()))
}

fn merges_of_text(bytes: &[u8]) -> std::result::Result<Merges, String> {
    let text = std::str::from_utf8(bytes).map_err(|cause| format!("not a text ({cause}): get the file again"))?;
    let lines =
        text.lines().enumerate().filter(|(number, line)| !(line.is_empty() || *number == 0 && is_version(line)));
    lines
        .map(|(number, line)| split_merge(line).ok_or_else(|| format!("line {} is no pair of tokens", number + 1)))
        .collect()
}

fn is_version(line: &str) -> bool {
    line.starts_with("#version")
}

/// The parts of a merge, of which the first may begin with the blank that otherwise stands between them.
pub(super) fn split_merge(merge: &str) -> Option<(String, String)> {
    let (place, _) = merge.char_indices().skip(1).find(|(_, letter)| *letter == ' ')?;
    Some((merge[..place].to_owned(), merge[place + 1..].to_owned()))
}

/// A `tekken.json`.
#[derive(Deserialize)]
struct Tekken {
    config: TekkenConfig,
    vocab: Vec<TekkenToken>,
    special_tokens: Option<Vec<TekkenSpecialToken>>,
}

#[derive(Deserialize)]
struct TekkenConfig {
    pattern: String,
    /// Ids in all, of which the first are those of special tokens.
    default_vocab_size: usize,
    default_num_special_tokens: usize,
}

#[derive(Deserialize)]
struct TekkenToken {
    rank: usize,
    token_bytes: String,
}

#[derive(Deserialize)]
struct TekkenSpecialToken {
    rank: usize,
    token_str: String,
}

/// The special tokens of files that do not tell theirs.
const TEKKEN_SPECIAL_TOKENS: [&str; 20] = [
    "<unk>",
    BEGIN,
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// The token that texts of `tekken.json` begin with.
const BEGIN: &str = "<s>";

/// More ids than any vocabulary has.
const MOST_IDS: usize = 1 << 24;

/// Makes the tokenizer of a `tekken.json`.
pub(super) fn from_tekken(bytes: &[u8], place: &str) -> crate::Result<Tokenizer> {
    let malformed = |cause: String| malformed(cause, place);
    let tekken: Tekken = serde_json::from_slice(bytes).map_err(|cause| malformed(cause.to_string()))?;
    let special_tokens = tekken.special_tokens().map_err(malformed)?;
    let tokens = tekken.tokens().map_err(malformed)?;
    let merges = merges_by_rank(&tokens);
    let first = special_tokens.len();
    let ids = special_tokens.iter().cloned().zip(0..).chain(tokens.into_iter().zip(first as u32..)).collect();
    let words = Words {
        patterns: vec![&tekken.config.pattern],
        letter_patterns: &[],
        composed: false,
        whole_words: true,
        prefixed: false,
    };
    let begin = special_tokens.iter().position(|token| token == BEGIN).map(|id| (id as u32, BEGIN));
    let added = special_tokens.iter().map(|token| AddedToken::from(token.as_str(), true).normalized(false)).collect();
    let tokenizer = byte_level(ids, merges, &words).and_then(|tokenizer| framed(tokenizer, added, begin, None));
    tokenizer.map_err(|cause| malformed(cause.to_string()))
}

impl Tekken {
    /// The special tokens by their ids; those without a name get one.
    fn special_tokens(&self) -> std::result::Result<Vec<String>, String> {
        let count = self.config.default_num_special_tokens;
        if self.config.default_vocab_size > MOST_IDS || count > self.config.default_vocab_size {
            return Err("its numbers of tokens contradict each other".to_owned());
        }
        let mut names: Vec<_> = (0..count).map(|id| format!("<SPECIAL_{id}>")).collect();
        let usual = || TEKKEN_SPECIAL_TOKENS.iter().map(|name| (*name).to_owned()).enumerate().collect();
        let told = |tokens: &Vec<TekkenSpecialToken>| {
            tokens.iter().map(|token| (token.rank, token.token_str.clone())).collect::<Vec<_>>()
        };
        for (id, name) in self.special_tokens.as_ref().map_or_else(usual, told) {
            let place =
                names.get_mut(id).ok_or_else(|| format!("the special token {name:?} has the id {id} of {count}"))?;
            *place = name;
        }
        let mut known = HashSet::new();
        match names.iter().find(|name| !known.insert(*name)) {
            Some(name) => Err(format!("the special token {name:?} stands twice in it")),
            None => Ok(names),
        }
    }

    /// The tokens by their ranks, spelled by the letters that stand for bytes.
    fn tokens(&self) -> std::result::Result<Vec<String>, String> {
        let letters = byte_letters();
        let count = self.config.default_vocab_size - self.config.default_num_special_tokens;
        if count > self.vocab.len() {
            return Err(format!("{count} tokens are told of, and {} are there", self.vocab.len()));
        }
        let token = |(place, token): (usize, &TekkenToken)| {
            if token.rank != place {
                return Err(format!("the token of rank {place} is missing"));
            }
            let bytes =
                STANDARD.decode(&token.token_bytes).map_err(|cause| format!("the token of rank {place}: {cause}"))?;
            Ok(bytes.into_iter().map(|byte| letters[usize::from(byte)]).collect())
        };
        self.vocab[..count].iter().enumerate().map(token).collect()
    }
}

/// Every way to make a token of two others, in the order of what is made: `tiktoken` keeps no merges.
fn merges_by_rank(tokens: &[String]) -> Merges {
    let ranks: HashMap<_, _> = tokens.iter().map(String::as_str).zip(0..).collect();
    let mut merges = Merges::new();
    for token in tokens {
        let cuts = token.char_indices().skip(1).map(|(cut, _)| token.split_at(cut));
        let mut ways: Vec<(usize, usize, _)> =
            cuts.filter_map(|way| Some((*ranks.get(way.0)?, *ranks.get(way.1)?, way))).collect();
        ways.sort_unstable();
        merges.extend(ways.into_iter().map(|(_, _, (left, right))| (left.to_owned(), right.to_owned())));
    }
    merges
}

fn malformed(cause: String, place: &str) -> Error {
    let message = format!("no tokenizer can be made of it ({cause}): get the file again");
    Error::new(ErrorKind::InvalidModel, message).at(place)
}
