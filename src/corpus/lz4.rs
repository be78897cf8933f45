//! LZ4 frames after each other.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Decompresses any number of frames, where [`FrameDecoder`] stops at the end of each. That one takes data that are cut
/// between two blocks, or behind the mark of a frame, for whole; here they are an error.
pub(super) struct Lz4Frames<R: BufRead> {
    decoder: FrameDecoder<Watched<R>>,
    is_over: bool,
}

/// Knows whether more was asked for than there is.
struct Watched<R> {
    inner: R,
    asked_for_more: bool,
}

impl<R: BufRead> Lz4Frames<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { decoder: FrameDecoder::new(Watched { inner, asked_for_more: false }), is_over: false }
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.is_over && !buffer.is_empty() {
            let length = self.decoder.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            let bytes = self.decoder.get_mut();
            if bytes.asked_for_more {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.is_over = bytes.inner.fill_buf()?.is_empty();
        }
        Ok(0)
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.asked_for_more |= length == 0 && !buffer.is_empty();
        Ok(length)
    }
}
