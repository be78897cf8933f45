//! Compressions, told by a file's suffix.

use std::io::{self, Write};

use flate2::write::GzEncoder;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstandard,
}

impl Compression {
    /// A name without `.gz` or `.zst`, and what that stands for.
    pub fn split(name: &str) -> (&str, Self) {
        if let Some(stem) = name.strip_suffix(".gz") {
            return (stem, Self::Gzip);
        }
        if let Some(stem) = name.strip_suffix(".zst") {
            return (stem, Self::Zstandard);
        }
        (name, Self::None)
    }

    /// What a file's name says.
    pub fn of(name: &str) -> Self {
        Self::split(name).1
    }
}

/// Compresses what is written, at the level that the command of that name has by default.
pub(super) enum Encoder<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstandard(zstd::Encoder<'static, W>),
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
        })
    }

    /// Writes the end of the compressed data.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::None(mut writer) => writer.flush().map(|()| writer),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstandard(encoder) => encoder.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::None(writer) => writer,
            Self::Gzip(encoder) => encoder,
            Self::Zstandard(encoder) => encoder,
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
