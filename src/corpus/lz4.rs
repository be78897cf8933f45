//! LZ4 frames after each other.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Bytes of the shortest frame: its mark, its description, and the mark of its end.
const SHORTEST_FRAME: u64 = 11;

/// Decompresses any number of frames, where [`FrameDecoder`] stops at the end of each, and takes one that ends within its
/// first bytes for none.
pub(super) struct Lz4Frames<R: BufRead> {
    decoder: FrameDecoder<Counted<R>>,
    /// Where the frame begins that is being read.
    begun: u64,
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: BufRead> Lz4Frames<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { decoder: FrameDecoder::new(Counted { inner, count: 0 }), begun: 0 }
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.decoder.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let bytes = self.decoder.get_mut();
            let is_end = bytes.inner.fill_buf()?.is_empty();
            let frame = bytes.count - self.begun;
            if frame > 0 && frame < SHORTEST_FRAME {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if is_end {
                return Ok(0);
            }
            self.begun = bytes.count;
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count += length as u64;
        Ok(length)
    }
}
