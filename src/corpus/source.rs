//! Opening a file or standard input: decompressed on the fly, bytes counted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::{Place, STANDARD_STREAM};
use crate::error::{Error, Result};

/// 2^31 bytes, the largest window that `zstd --long=31` uses; a decoder takes only as much as a file asks for.
const LARGEST_ZSTD_WINDOW: u32 = 31;

const BUFFER_BYTES: usize = 1 << 17;

/// Compressions, told by a file's suffix.
#[derive(Clone, Copy, PartialEq)]
enum Compression {
    None,
    Gzip,
    Zstandard,
}

/// The name without `.gz` or `.zst`.
pub(super) fn uncompressed_name(name: &str) -> &str {
    split_compression(name).0
}

fn split_compression(name: &str) -> (&str, Compression) {
    if let Some(stem) = name.strip_suffix(".gz") {
        return (stem, Compression::Gzip);
    }
    if let Some(stem) = name.strip_suffix(".zst") {
        return (stem, Compression::Zstandard);
    }
    (name, Compression::None)
}

/// The bytes of one file or of standard input.
pub(super) struct Source {
    /// The path as messages show it.
    pub file: Arc<str>,
    pub bytes: BufReader<Box<dyn Read + Send>>,
    compression: Compression,
}

impl Source {
    /// Opens a file, or standard input for `-`. Bytes taken from it, before decompression, are added to `consumed`.
    pub fn open(path: &Path, consumed: Arc<AtomicU64>) -> Result<Self> {
        let file: Arc<str> = path.to_string_lossy().into();
        let (_, compression) = split_compression(&file);
        let bytes =
            open_bytes(path, compression, consumed).map_err(|cause| Error::io(format!("read {file}"), cause))?;
        Ok(Self { file, bytes: BufReader::with_capacity(BUFFER_BYTES, bytes), compression })
    }

    /// Bytes that a file held, from elsewhere and decompressed.
    pub fn of(path: &Path, bytes: impl Read + Send + 'static) -> Self {
        let bytes: Box<dyn Read + Send> = Box::new(bytes);
        let bytes = BufReader::with_capacity(BUFFER_BYTES, bytes);
        Self { file: path.to_string_lossy().into(), bytes, compression: Compression::None }
    }

    /// What to report when reading failed at a place.
    pub fn failure(&self, place: &Place, cause: io::Error) -> Error {
        let doing = format!("read {place}");
        if self.compression == Compression::None {
            return Error::io(doing, cause);
        }
        let advice = "the file may be damaged or cut short: fetch it or compress it again";
        Error::io(doing, io::Error::new(cause.kind(), format!("{cause}; {advice}")))
    }
}

fn open_bytes(path: &Path, compression: Compression, consumed: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
    if path == Path::new(STANDARD_STREAM) {
        return Ok(Box::new(Counted { bytes: io::stdin(), consumed }));
    }
    let bytes = Counted { bytes: File::open(path)?, consumed };
    Ok(match compression {
        Compression::None => Box::new(bytes),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, bytes))),
        Compression::Zstandard => {
            let mut decoder = zstd::Decoder::new(bytes)?;
            decoder.window_log_max(LARGEST_ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    })
}

struct Counted<R> {
    bytes: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
