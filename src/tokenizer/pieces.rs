//! Long texts, piece by piece, with the tokens of the whole.
//!
//! The `tokenizers` library takes some 120 bytes for each byte of a text, and the fast encoder six. Here neighbouring pieces overlap and are joined
//! at a seam: a place in the overlap around which both have the same tokens and the same beginnings of words, with some
//! distance to where they were cut. What comes before a seam stands in the earlier piece, which knows what is before it, and
//! what follows in the later one. That is exact, because tokens depend on what is near: splitting into words goes on from
//! the end of a word whatever was before it, and a sequence is the byte-pair encoding of its text if all neighbours in it
//! are (van der Merwe and Berglund, *Formalizing BPE Tokenization*, 2023).
//!
//! Patterns that look ahead do so through characters of one kind, so that a seam lies where the kind changes. Pieces without a
//! seam between them become one.

use std::ops::Range;

use rayon::prelude::*;

use super::{Tokenizer, Tokens};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::process::in_parallel;

/// Bytes of pieces.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Of most.
    pub(super) usual: usize,
    /// Of one without a place to cut.
    pub(super) longest: usize,
}

/// Small, for memory and so that cancelling is soon noticed; for the longest the library takes about two gigabytes.
pub(super) const SIZES: Sizes = Sizes { usual: 256 << 10, longest: 16 << 20 };

/// Of a piece, the part that the next one overlaps; of one that is long because it was hard to cut, the half.
const OVERLAP_PART: usize = 32;

/// Of an overlap, the part at either end that is too near to the cut for a seam.
const MARGIN_PART: usize = 8;

/// Tokens on either side of a seam that must be the same.
const SAME_TOKENS: usize = 8;

/// Pieces that are in memory at once, at most.
const PIECES_AT_ONCE: usize = 64;

/// One token of a piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) id: u32,
    /// Where it begins in the whole text.
    pub(super) start: usize,
    /// Whether it is the first of what the tokenizer takes for a word.
    pub(super) begins_word: bool,
}

/// A part of a text with its tokens, from the seam with the part before it.
struct Piece {
    range: Range<usize>,
    seam: usize,
    tokens: Vec<Token>,
}

impl Piece {
    fn behind_seam(&self) -> &[Token] {
        let first = self.tokens.partition_point(|token| token.start < self.seam);
        &self.tokens[first..]
    }
}

/// The tokens of a text of any length.
///
/// # Errors
/// Those of [`Tokenizer::tokenize_until`].
pub(super) fn tokenize(tokenizer: &Tokenizer, text: &str, sizes: Sizes, cancel: &Cancel) -> Result<Tokens> {
    let open = |range: Range<usize>, seam| {
        cancel.check()?;
        Ok(Piece { tokens: tokenizer.tokens(&text[range.clone()], range.start)?, range, seam })
    };
    let mut joined = Tokens::default();
    let mut last = open(0..text.floor_char_boundary(sizes.usual), 0)?;
    while last.range.end < text.len() {
        let next = next_pieces(text, &last.range, sizes.usual);
        let next: Vec<_> = in_parallel(|| next.into_par_iter().map(|range| open(range, 0)).collect())?;
        for next in next {
            let next = next?;
            let Some(seam) = seam(text, &last, &next) else {
                let length = longer(&last.range, sizes.longest)?;
                let start = last.range.start;
                last = open(start..text.floor_char_boundary(start + length), last.seam)?;
                break;
            };
            let tokens = last.behind_seam();
            joined.extend(&tokens[..tokens.partition_point(|token| token.start < seam)]);
            check_memory(&joined, tokenizer)?;
            last = Piece { seam, ..next };
        }
    }
    joined.extend(last.behind_seam());
    joined.boundaries.push(text.len());
    check_memory(&joined, tokenizer)?;
    Ok(joined)
}

fn check_memory(tokens: &Tokens, tokenizer: &Tokenizer) -> Result<()> {
    let taken = tokens.ids().len() * (size_of::<u32>() + size_of::<u32>());
    if taken as u64 <= tokenizer.memory_limit.as_u64() {
        return Ok(());
    }
    let message = format!(
        "the tokens of the text take more than the memory_limit of {}: cut the document into several, or raise the limit",
        tokenizer.memory_limit
    );
    Err(Error::new(ErrorKind::MemoryLimit, message))
}

/// The ranges of some pieces that follow one, each overlapping the one before it.
fn next_pieces(text: &str, last: &Range<usize>, length: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut last = last.clone();
    while last.end < text.len() && ranges.len() < PIECES_AT_ONCE.min(rayon::current_num_threads()) {
        let overlap = last.len() / if last.len() > 4 * length { 2 } else { OVERLAP_PART };
        let start = text.floor_char_boundary(last.end - overlap);
        // However long the overlap, the piece reaches beyond it.
        last = start..text.floor_char_boundary(last.end + length);
        ranges.push(last.clone());
    }
    ranges
}

/// The length of the piece that takes the place of one without a seam.
fn longer(piece: &Range<usize>, longest: usize) -> Result<usize> {
    // Cuts at the boundaries of characters may take three bytes.
    if piece.len() + 3 < longest {
        return Ok((2 * piece.len()).min(longest));
    }
    let message = format!(
        "the text cannot be tokenised in pieces: behind its byte {} are {longest} without a place to cut, such as one letter \
         again and again",
        piece.start
    );
    Err(Error::new(ErrorKind::InvalidRecord, message))
}

/// A place in the overlap of two pieces up to which the tokens of the one are those of the whole, and from which those of the
/// other are.
fn seam(text: &str, last: &Piece, next: &Piece) -> Option<usize> {
    let margin = (last.range.end - next.range.start) / MARGIN_PART;
    let places = next.range.start + margin..last.range.end - margin;
    let first = last.tokens.partition_point(|token| token.start < places.start);
    let around = |tokens: &[Token], place: usize| {
        let index = tokens.partition_point(|token| token.start < place);
        Some(tokens.get(index.checked_sub(SAME_TOKENS)?..index + SAME_TOKENS)?.to_vec())
    };
    let is_seam = |place: &usize| {
        let around_last = around(&last.tokens, *place);
        changes_kind(text, *place) && around_last.is_some() && around_last == around(&next.tokens, *place)
    };
    let starts = last.tokens[first..].iter().map(|token| token.start);
    starts.take_while(|start| places.contains(start)).find(is_seam)
}

/// Whether the characters on both sides of a place are of different kinds.
fn changes_kind(text: &str, place: usize) -> bool {
    let kind = |character: char| (character.is_whitespace(), character.is_alphabetic(), character.is_numeric());
    let (before, after) = text.split_at(place);
    before.chars().next_back().map(kind) != after.chars().next().map(kind)
}
