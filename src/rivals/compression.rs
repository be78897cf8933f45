//! How far a general compressor shortens a text.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// The level that zstd takes unless told otherwise.
const ZSTD_LEVEL: i32 = 3;

/// A compressor at its usual level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compressor {
    /// DEFLATE, as zlib and gzip have it, at level 6. It looks back 32 KiB at most: about 8000 tokens of English.
    Zlib,
    /// Zstandard at level 3, which looks back over the whole of a window of usual length (2 MiB).
    Zstd,
}

impl Compressor {
    /// Bytes that a text takes once compressed.
    fn size(self, text: &[u8]) -> usize {
        let compressed = match self {
            Self::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::with_capacity(text.len() / 2), Compression::default());
                encoder.write_all(text).and_then(|()| encoder.finish())
            }
            Self::Zstd => zstd::bulk::compress(text, ZSTD_LEVEL),
        };
        compressed.expect("compressing into memory does not fail").len()
    }
}

/// The bytes of the compressed text for each byte of the text: near 0 for repetition, about 0.4 for English prose, a little
/// over 1 for what cannot be compressed. `None` for an empty text.
///
/// OLMo 3 (arXiv 2512.13961) selects long documents by gzip's alone: it drops the fifth that compresses best and the fifth that
/// compresses worst, which a filter on both sides does here. gzip's header and trailer take 12 bytes more than zlib's.
///
/// ```
/// use longattn::rivals::{Compressor, compression_ratio};
///
/// let ratio = compression_ratio("again and again ".repeat(64).as_bytes(), Compressor::Zlib).unwrap();
/// assert!(ratio < 0.1);
/// ```
pub fn compression_ratio(text: &[u8], compressor: Compressor) -> Option<f64> {
    (!text.is_empty()).then(|| compressor.size(text) as f64 / text.len() as f64)
}

/// How much better a text compresses as a whole than in `blocks` parts of equal length: the bytes saved for each byte of the
/// text, from about 0, where parts say nothing of each other, to 1. `None` for a text of fewer bytes than blocks, and without
/// blocks.
///
/// Part of it is not long dependency: each part begins anew with the tables of its symbols, too, at 10 to 100 bytes a part.
///
/// ```
/// use longattn::rivals::{Compressor, long_range_compression_gain};
///
/// let part: String = (0..400_u32).map(|n| char::from(b'a' + (n * n * n % 1009 % 26) as u8)).collect();
/// let gain = long_range_compression_gain(part.repeat(8).as_bytes(), 8, Compressor::Zstd).unwrap();
/// assert!(gain > 0.4);
/// ```
pub fn long_range_compression_gain(text: &[u8], blocks: usize, compressor: Compressor) -> Option<f64> {
    if blocks == 0 || text.len() < blocks {
        return None;
    }
    let end = |block: usize| (block as u128 * text.len() as u128 / blocks as u128) as usize;
    let parts: usize = (0..blocks).map(|block| compressor.size(&text[end(block)..end(block + 1)])).sum();
    Some((parts as f64 - compressor.size(text) as f64) / text.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const BOTH: [Compressor; 2] = [Compressor::Zlib, Compressor::Zstd];

    fn noise(bytes: usize, seed: u64) -> Vec<u8> {
        let mut random = Random(seed);
        (0..bytes).map(|_| random.below(256) as u8).collect()
    }

    #[test]
    fn what_repeats_compresses_and_noise_does_not() {
        for compressor in BOTH {
            let ratio = |text: &[u8]| compression_ratio(text, compressor).unwrap();
            assert!(ratio(&[b'x'; 10_000]) < 0.01);
            let noise = ratio(&noise(10_000, 1));
            assert!((1.0..1.02).contains(&noise), "{compressor:?} {noise}");
            assert_eq!(compression_ratio(b"", compressor), None);
        }
    }

    #[test]
    fn zlib_has_the_size_that_its_format_says() {
        // Stored: 2 bytes of header, 5 for the block, 4 for the checksum.
        let noise = noise(1000, 2);
        assert_eq!(compression_ratio(&noise, Compressor::Zlib), Some(1011.0 / 1000.0));
    }

    #[test]
    fn parts_that_come_again_are_a_gain() {
        for compressor in BOTH {
            let part = noise(2000, 3);
            let again = long_range_compression_gain(&part.repeat(8), 8, compressor).unwrap();
            assert!((0.85..0.95).contains(&again), "{compressor:?} {again}");
            let new = long_range_compression_gain(&noise(16_000, 4), 8, compressor).unwrap();
            assert!(new.abs() < 0.02, "{compressor:?} {new}");
        }
    }

    #[test]
    fn zlib_forgets_where_zstd_does_not() {
        let part = noise(40_000, 5);
        let gain = |compressor| long_range_compression_gain(&part.repeat(2), 2, compressor).unwrap();
        assert!(gain(Compressor::Zlib) < 0.01 && gain(Compressor::Zstd) > 0.4);
    }

    #[test]
    fn there_are_as_many_parts_as_bytes_at_most() {
        assert_eq!(long_range_compression_gain(b"abc", 4, Compressor::Zlib), None);
        assert_eq!(long_range_compression_gain(b"abc", 0, Compressor::Zlib), None);
        assert!(long_range_compression_gain(b"abc", 3, Compressor::Zlib).is_some());
    }
}
