//! Compressions, told by a file's first bytes or by its name.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bzip2::bufread::MultiBzDecoder;
use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use liblzma::bufread::XzDecoder;
use liblzma::write::XzEncoder;
use lz4_flex::frame::FrameEncoder;

use super::gzip::GzipMembers;
use super::lz4::Lz4Frames;

/// 2^31 bytes, the largest window that `zstd --long=31` uses; a decoder takes only as much as a file asks for.
const LARGEST_ZSTD_WINDOW: u32 = 31;

/// The level that the command `xz` has by default.
const XZ_LEVEL: u32 = 6;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstandard,
    Bzip2,
    Xz,
    Lz4,
}

/// What names end in, whatever their case.
const SUFFIXES: [(&str, Compression); 7] = [
    (".gz", Compression::Gzip),
    (".gzip", Compression::Gzip),
    (".zst", Compression::Zstandard),
    (".zstd", Compression::Zstandard),
    (".bz2", Compression::Bzip2),
    (".xz", Compression::Xz),
    (".lz4", Compression::Lz4),
];

const GZIP: &[u8] = b"\x1F\x8B";
const ZSTANDARD: &[u8] = b"\x28\xB5\x2F\xFD";
const XZ: &[u8] = b"\xFD7zXZ\0";
const LZ4: &[u8] = b"\x04\x22\x4D\x18";
const BZIP2: &[u8] = b"BZh";
/// The first block of a bzip2 file, or the end of an empty one, behind a digit.
const BZIP2_BLOCKS: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];

/// The most of a file's first bytes that [`Compression::of_bytes`] looks at.
pub(super) const MAGIC_BYTES: usize = 10;

impl Compression {
    /// A name without the suffix of a compression, and what that stands for.
    pub fn split(name: &str) -> (&str, Self) {
        let ends_in = |suffix: &str| strip_suffix(name, suffix);
        let found = SUFFIXES.iter().find_map(|(suffix, compression)| Some((ends_in(suffix)?, *compression)));
        found.unwrap_or((name, Self::None))
    }

    /// As messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstandard => "Zstandard",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lz4 => "LZ4",
        }
    }

    /// What a file's name says.
    pub fn of(name: &str) -> Self {
        Self::split(name).1
    }

    /// What a file's first bytes say.
    pub fn of_bytes(head: &[u8]) -> Self {
        match head {
            _ if head.starts_with(GZIP) => Self::Gzip,
            _ if head.starts_with(ZSTANDARD) || is_skippable_frame(head) => Self::Zstandard,
            _ if head.starts_with(XZ) => Self::Xz,
            _ if head.starts_with(LZ4) => Self::Lz4,
            _ if is_bzip2(head) => Self::Bzip2,
            _ => Self::None,
        }
    }

    /// Whether a whole file is no more than the beginning of the mark that such files begin with.
    pub fn is_cut(self, file: &[u8]) -> bool {
        let mark = match self {
            Self::None => return false,
            Self::Gzip => GZIP,
            Self::Zstandard => ZSTANDARD,
            Self::Bzip2 => return file.len() < MAGIC_BYTES && (BZIP2.starts_with(file) || file.starts_with(BZIP2)),
            Self::Xz => XZ,
            Self::Lz4 => LZ4,
        };
        mark.starts_with(file)
    }

    /// Decompresses what is read: any number of members, frames or streams after each other. `has_leftover` becomes true
    /// where something else is behind them that can be left out.
    pub fn decoder<R: BufRead + Send + 'static>(
        self,
        bytes: R,
        has_leftover: &Arc<AtomicBool>,
    ) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => Box::new(bytes),
            Self::Gzip => Box::new(GzipMembers::new(bytes, Arc::clone(has_leftover))),
            Self::Zstandard => {
                let mut decoder = zstd::Decoder::with_buffer(bytes)?;
                decoder.window_log_max(LARGEST_ZSTD_WINDOW)?;
                Box::new(decoder)
            }
            Self::Bzip2 => Box::new(MultiBzDecoder::new(bytes)),
            Self::Xz => Box::new(XzDecoder::new_multi_decoder(bytes)),
            Self::Lz4 => Box::new(Lz4Frames::new(bytes)),
        })
    }
}

/// A name without what it ends in, whatever the case.
pub(super) fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let start = name.len().checked_sub(suffix.len())?;
    let ends = name.is_char_boundary(start) && name[start..].eq_ignore_ascii_case(suffix);
    ends.then(|| &name[..start])
}

/// A frame that holds data for other programs, and is skipped.
fn is_skippable_frame(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

fn is_bzip2(head: &[u8]) -> bool {
    let Some([level, block @ ..]) = head.strip_prefix(BZIP2) else { return false };
    level.is_ascii_digit() && BZIP2_BLOCKS.iter().any(|begin| block.starts_with(begin))
}

/// Compresses what is written, at the level that the command of that name has by default.
pub(super) enum Encoder<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstandard(zstd::Encoder<'static, W>),
    Bzip2(BzEncoder<W>),
    Xz(XzEncoder<W>),
    Lz4(FrameEncoder<W>),
}

impl<W: Write> Encoder<W> {
    pub fn new(compression: Compression, writer: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(writer),
            Compression::Gzip => Self::Gzip(GzEncoder::new(writer, flate2::Compression::default())),
            Compression::Zstandard => {
                let mut encoder = zstd::Encoder::new(writer, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstandard(encoder)
            }
            Compression::Bzip2 => Self::Bzip2(BzEncoder::new(writer, bzip2::Compression::best())),
            Compression::Xz => Self::Xz(XzEncoder::new(writer, XZ_LEVEL)),
            Compression::Lz4 => Self::Lz4(FrameEncoder::new(writer)),
        })
    }

    /// Writes the end of the compressed data.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::None(mut writer) => writer.flush().map(|()| writer),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstandard(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Xz(encoder) => encoder.finish(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::None(writer) => writer,
            Self::Gzip(encoder) => encoder,
            Self::Zstandard(encoder) => encoder,
            Self::Bzip2(encoder) => encoder,
            Self::Xz(encoder) => encoder,
            Self::Lz4(encoder) => encoder,
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 5] =
        [Compression::Gzip, Compression::Zstandard, Compression::Bzip2, Compression::Xz, Compression::Lz4];

    fn packed(compression: Compression, content: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_known_and_unpacked() {
        let content: Vec<u8> = (0..200_000_u32).flat_map(|number| number.to_le_bytes()).collect();
        for compression in ALL {
            for content in [&content[..], b"short", b""] {
                let two = [packed(compression, content), packed(compression, content)].concat();
                assert_eq!(Compression::of_bytes(&two), compression);
                let mut unpacked = Vec::new();
                let mut decoder = compression.decoder(io::Cursor::new(two), &Arc::default()).unwrap();
                decoder.read_to_end(&mut unpacked).unwrap();
                assert_eq!(unpacked, content.repeat(2), "{compression:?} {}", content.len());
            }
        }
    }

    #[test]
    fn what_was_cut_is_an_error() {
        for compression in ALL {
            let whole = packed(compression, b"a line\nand another\n");
            for length in 1..whole.len() {
                let cut = io::Cursor::new(whole[..length].to_vec());
                let read = compression
                    .decoder(cut, &Arc::default())
                    .and_then(|mut decoder| decoder.read_to_end(&mut Vec::new()));
                assert!(read.is_err(), "{compression:?} cut to {length} of {}", whole.len());
            }
        }
    }

    #[test]
    fn frames_to_be_skipped() {
        let skipped = b"\x5A\x2A\x4D\x18\x03\x00\x00\x00abc";
        let content = [&skipped[..], &packed(Compression::Zstandard, b"text"), skipped].concat();
        assert_eq!(Compression::of_bytes(&content), Compression::Zstandard);
        let mut unpacked = String::new();
        let mut decoder = Compression::Zstandard.decoder(io::Cursor::new(content), &Arc::default()).unwrap();
        decoder.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, "text");
    }

    #[test]
    fn names_whatever_their_case() {
        assert_eq!(Compression::split("A.JSONL.GZ"), ("A.JSONL", Compression::Gzip));
        assert_eq!(Compression::split("a.zstd"), ("a", Compression::Zstandard));
        assert_eq!(Compression::split("é.xz"), ("é", Compression::Xz));
        assert_eq!(Compression::split("xz"), ("xz", Compression::None));
        assert_eq!(Compression::of_bytes(b"BZh9 is how a text may begin"), Compression::None);
        assert_eq!(Compression::of_bytes(b"P*"), Compression::None);
    }
}
