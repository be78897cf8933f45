//! The texts that the page opens.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The text of a window, compressed, as much of it as has room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeText {
    pub(super) compressed: Vec<u8>,
    /// Characters that are there.
    pub(super) shown: usize,
    /// Characters of the whole text.
    pub(super) characters: usize,
}

impl WholeText {
    /// Bytes that the page has for all texts together, compressed. What is beyond is left out.
    pub const MOST_BYTES: usize = 700_000;

    /// A text, or as much of its beginning as takes at most so many bytes compressed.
    pub fn of(text: &str, most_bytes: usize) -> Self {
        // No text that people read gets smaller than a sixteenth.
        let mut shown = beginning(text, most_bytes.saturating_mul(16));
        let mut compressed = compress(shown.as_bytes());
        while compressed.len() > most_bytes && !shown.is_empty() {
            shown = beginning(shown, shown.len() * 7 / 8);
            compressed = compress(shown.as_bytes());
        }
        Self { compressed, shown: shown.chars().count(), characters: text.chars().count() }
    }
}

/// Gzip, the same bytes everywhere.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all that is written")
}

/// At most so many bytes of a text, cut at a character's boundary.
fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn read(text: &WholeText) -> String {
        let mut read = String::new();
        flate2::read::GzDecoder::new(&text.compressed[..]).read_to_string(&mut read).unwrap();
        read
    }

    #[test]
    fn a_text_that_has_room_is_whole() {
        let text = "Zażółć\n<gęślą> jaźń\0";
        let whole = WholeText::of(text, 1000);
        assert_eq!((read(&whole).as_str(), whole.shown, whole.characters), (text, 20, 20));
    }

    #[test]
    fn a_long_text_keeps_its_beginning() {
        let text: String = (0..5000_u64).map(|number| format!("{:x}ż", number.wrapping_mul(0x9e37_79b9))).collect();
        let cut = WholeText::of(&text, 2000);
        assert!(cut.compressed.len() <= 2000 && cut.shown > 1000, "{cut:?}");
        assert_eq!(cut.characters, text.chars().count());
        assert!(text.starts_with(&read(&cut)) && read(&cut).chars().count() == cut.shown);
    }
}
