//! Words as tokens, where there is no tokenizer.

use unicode_segmentation::UnicodeSegmentation;

use super::Tokens;

/// The words and signs of a text as tokens, by the word boundaries of Unicode (UAX #29); white space belongs to what stands
/// before it. The id of a word is a hash of it, so that it is the same in all texts, and about one in a hundred thousand texts of
/// a thousand different words has two of one id. No model knows these ids: they tell which words are equal, and no more.
///
/// ```
/// use longattn::tokenizer::words;
///
/// let tokens = words("The sea, the sea!");
/// assert_eq!(tokens.ids().len(), 6);
/// assert_eq!(tokens.ids()[1], tokens.ids()[4]);
/// assert_eq!(tokens.bytes(&(0..2)), 0..7);
/// ```
pub fn words(text: &str) -> Tokens {
    let words = text.split_word_bound_indices().filter(|(_, word)| !word.trim_start().is_empty());
    // Space before the first word belongs to it.
    let token = |(number, (start, word)): (usize, (usize, &str))| (fnv(word), if number == 0 { 0 } else { start });
    let tokens = words.enumerate().map(token);
    Tokens::new(tokens, text.len())
}

/// The hash of Fowler, Noll and Vo (FNV-1a).
fn fnv(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tile_the_text() {
        for text in ["", " ", "a", "  two  words \n", "\u{4e2d}\u{6587} mixed, \u{1f600}!"] {
            let tokens = words(text);
            let boundaries: Vec<_> = tokens.boundaries().collect();
            assert_eq!(boundaries.len(), tokens.ids().len() + 1);
            assert!(boundaries.is_sorted() && boundaries.iter().all(|boundary| text.is_char_boundary(*boundary)));
            assert_eq!(boundaries.last(), Some(&text.len()));
            assert!(tokens.ids().is_empty() || boundaries[0] == 0);
        }
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        assert_eq!((fnv(""), fnv("a"), fnv("foobar")), (0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968));
    }
}
