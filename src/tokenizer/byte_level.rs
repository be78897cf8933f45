//! Byte-level byte-pair encoding, the tokenizers of GPT-2 and most models since, without what takes the `tokenizers` library
//! its time: backtracking over each word, copies of the text with the origin of each letter, and tokens as strings.
//!
//! Words come from automata, their tokens from the words of late or from merges. Tokens of such an encoding are bytes of the
//! text one after the other, so that their lengths tell where they begin.

use std::ops::Range;
use std::sync::Mutex;

use aho_corasick::AhoCorasick;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::{OffsetReferential, OffsetType};
use unicode_normalization_alignments::{IsNormalized, is_nfc_quick};

use super::Token;
use super::merges::{MergeBuffers, Merges};
use super::recent_words::RecentWords;
use super::words::{SplitCache, Splitter};
use crate::error::Result;

/// An encoder that gives what the `tokenizers` library gives.
pub(super) struct ByteLevelEncoder {
    splitter: Splitter,
    /// Finds whether there are added tokens in a text.
    added_tokens: AhoCorasick,
    merges: Merges,
    /// Bytes of the text that each token stands for, by its id.
    lengths: Vec<u32>,
    /// Whether the tokenizer composes letters and their marks before (NFC), which the library is left to do.
    composes: bool,
    /// Of threads that need none at the moment.
    caches: Mutex<Vec<ThreadCache>>,
}

struct ThreadCache {
    words: SplitCache,
    tokens: RecentWords,
    merges: MergeBuffers,
    ids: Vec<u32>,
}

/// What is encoded both ways where a tokenizer is opened: if the two differ, the library alone is used.
const SAMPLE: &str = "   It's the 1st sample, isn't it?  WE'LL see:\r\n\r\n\tfn main() { println!(\"{}\", 1234567 + 0x1f); }\n\n   \
    Na\u{ef}ve caf\u{e9}s, e\u{301}t\u{e9}; \u{4e2d}\u{6587}\u{ff0c}\u{65e5}\u{672c}\u{8a9e}\u{3002} \u{395}\u{3bb}\u{3bb}\u{3ac}\u{3b4}\u{3b1} \
    \u{645}\u{631}\u{62d}\u{628}\u{627} \u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940} \u{663}\u{664} \u{bd}\u{b2} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{1f3fd} \
    \u{a0}\u{2003}\u{3000}x\u{85}y a_b-c/d ALLCAPS camelCase\u{1c5}x //// ==== \u{7f}\u{fffd}      ";

impl ByteLevelEncoder {
    /// An encoder that does what a tokenizer does; `None` where it is of another kind, or does anything that is not known here.
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Option<Self> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
        let composes = match tokenizer.get_normalizer() {
            None => false,
            Some(NormalizerWrapper::NFC(_)) => true,
            Some(_) => return None,
        };
        if !is_plain(model) {
            return None;
        }
        let splitter = Splitter::of(tokenizer.get_pre_tokenizer()?)?;
        let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder().values();
        let added = added.map(|token| token.content.as_str()).filter(|content| !content.is_empty());
        let encoder = Self {
            added_tokens: AhoCorasick::new(added).ok()?,
            lengths: lengths(model),
            composes,
            caches: Mutex::default(),
            splitter,
            merges: Merges::of(model, &letters())?,
        };
        encoder.agrees_with(tokenizer).then_some(encoder)
    }

    fn agrees_with(&self, tokenizer: &tokenizers::Tokenizer) -> bool {
        let sample = if self.composes { SAMPLE.replace('\u{301}', "") } else { SAMPLE.to_owned() };
        let (ours, theirs) = (self.tokens(tokenizer, &sample, 0), super::library_tokens(tokenizer, &sample, 0));
        let is_same = matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs);
        if !is_same {
            log::warn!("the fast encoder does not give this tokenizer's tokens and is not used");
        }
        is_same
    }

    /// The tokens of a part of a text that begins at the byte `offset` of the whole.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where `tokenizer`, the one this was made of, fails.
    pub(super) fn tokens(&self, tokenizer: &tokenizers::Tokenizer, part: &str, offset: usize) -> Result<Vec<Token>> {
        let is_composed = || is_nfc_quick(part.chars()) == IsNormalized::Yes;
        // The library drops bytes that it does not know, and its byte ranges are those of what is left.
        if !self.merges.know(part) || self.composes && !is_composed() {
            return super::library_tokens(tokenizer, part, offset);
        }
        let mut cache = self.take_cache();
        let tokens = self.tokens_of_bytes(tokenizer, part, offset, &mut cache);
        self.give_back(cache);
        tokens
    }

    fn tokens_of_bytes(
        &self,
        tokenizer: &tokenizers::Tokenizer,
        part: &str,
        offset: usize,
        cache: &mut ThreadCache,
    ) -> Result<Vec<Token>> {
        let mut tokens = Vec::with_capacity(part.len() / 3);
        if !self.added_tokens.is_match(part) {
            self.add_tokens(part, 0..part.len(), cache, &mut tokens)?;
        } else {
            let added = tokenizer.get_added_vocabulary();
            let split = added.extract_and_normalize(None::<&NormalizerWrapper>, part);
            for (_, (start, end), added) in split.get_splits(OffsetReferential::Original, OffsetType::Byte) {
                match added {
                    None => self.add_tokens(part, start..end, cache, &mut tokens)?,
                    Some(added) => {
                        tokens.extend(added.iter().map(|token| Token { id: token.id, start, begins_word: true }));
                    }
                }
            }
        }
        tokens.iter_mut().for_each(|token| token.start += offset);
        Ok(tokens)
    }

    /// A cache that another thread has given back, or else a new one. Nobody waits for it.
    fn take_cache(&self) -> ThreadCache {
        let given_back = self.caches.try_lock().ok().and_then(|mut caches| caches.pop());
        given_back.unwrap_or_else(|| ThreadCache {
            words: self.splitter.cache(),
            tokens: RecentWords::new(),
            merges: MergeBuffers::default(),
            ids: Vec::new(),
        })
    }

    fn give_back(&self, cache: ThreadCache) {
        if let Ok(mut caches) = self.caches.try_lock() {
            caches.push(cache);
        }
    }

    /// Adds the tokens of a range of a part without added tokens.
    fn add_tokens(
        &self,
        part: &str,
        range: Range<usize>,
        cache: &mut ThreadCache,
        tokens: &mut Vec<Token>,
    ) -> Result<()> {
        let text = &part[range.clone()];
        let mut start = 0;
        for end in self.splitter.ends(text, &mut cache.words)? {
            let word = &text.as_bytes()[start..*end];
            cache.ids.clear();
            let encode = |ids: &mut Vec<u32>| self.merges.encode(word, &mut cache.merges, ids);
            cache.tokens.tokens(word, &mut cache.ids, encode);
            let mut token_start = range.start + start;
            for (index, id) in cache.ids.iter().enumerate() {
                tokens.push(Token { id: *id, start: part.floor_char_boundary(token_start), begins_word: index == 0 });
                token_start += self.lengths[*id as usize] as usize;
            }
            start = *end;
        }
        Ok(())
    }
}

/// The letters that stand for bytes: those of Latin-1 that can be seen, and for the others those from U+0100 on.
pub(crate) fn letters() -> [char; 256] {
    let mut next = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..) => char::from(byte),
        _ => next.next().expect("there are letters enough"),
    })
}

/// Whether tokens are the same wherever in a text a word stands, and each of them some bytes of it.
fn is_plain(model: &BPE) -> bool {
    let is_empty = |affix: &Option<String>| affix.as_deref().is_none_or(str::is_empty);
    is_empty(&model.continuing_subword_prefix) && is_empty(&model.end_of_word_suffix)
}

fn lengths(model: &BPE) -> Vec<u32> {
    let mut lengths = Vec::new();
    for (token, id) in model.get_vocab() {
        let index = id as usize;
        if lengths.len() <= index {
            lengths.resize(index + 1, 0);
        }
        lengths[index] = token.chars().count() as u32;
    }
    lengths
}
