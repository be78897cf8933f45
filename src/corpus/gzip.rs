//! Gzip files as GNU gzip and Python read them: members after each other, and padding behind the last.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::bufread::GzDecoder;

/// What each member begins with.
const MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The members of a gzip file, decompressed. Zeros behind the last are padding; anything else there is left over.
pub(super) struct GzipMembers<R: BufRead> {
    /// None behind the last.
    member: Option<GzDecoder<R>>,
    has_leftover: Arc<AtomicBool>,
}

impl<R: BufRead> GzipMembers<R> {
    /// `has_leftover` becomes true at the end where something is left over.
    pub fn new(bytes: R, has_leftover: Arc<AtomicBool>) -> Self {
        Self { member: Some(GzDecoder::new(bytes)), has_leftover }
    }

    /// Goes to the next member, if there is one.
    fn advance(&mut self) -> io::Result<()> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let mut bytes = member.into_inner();
        self.member = match bytes.fill_buf()?.first() {
            None => None,
            Some(first) if *first == MAGIC[0] => Some(GzDecoder::new(bytes)),
            Some(_) => {
                self.has_leftover.store(!is_padding(bytes)?, Ordering::Relaxed);
                None
            }
        };
        Ok(())
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.advance()?;
        }
        Ok(0)
    }
}

/// Whether there is nothing but zeros.
fn is_padding(mut bytes: impl BufRead) -> io::Result<bool> {
    loop {
        let next = bytes.fill_buf()?;
        if next.is_empty() || next.iter().any(|byte| *byte != 0) {
            return Ok(next.is_empty());
        }
        let length = next.len();
        bytes.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(parts: &[&[u8]]) -> io::Result<(String, bool)> {
        let has_leftover = Arc::default();
        let bytes = io::BufReader::with_capacity(7, io::Cursor::new(parts.concat()));
        let mut text = String::new();
        GzipMembers::new(bytes, Arc::clone(&has_leftover)).read_to_string(&mut text)?;
        Ok((text, has_leftover.load(Ordering::Relaxed)))
    }

    #[test]
    fn members_padding_and_leftovers() {
        let (one, two, empty) = (member(b"one "), member(b"two"), member(b""));
        let whole = |parts: &[&[u8]]| read(parts).unwrap();
        assert_eq!(whole(&[&one, &empty, &two, &empty]), ("one two".to_owned(), false));
        assert_eq!(whole(&[&one, &two, &[0; 512]]), ("one two".to_owned(), false));
        assert_eq!(whole(&[&one, b"\r\n-- end of file --"]), ("one ".to_owned(), true));
        assert_eq!(whole(&[&one, &[0; 100], &two]), ("one ".to_owned(), true));
    }

    #[test]
    fn a_second_member_that_is_damaged_is_no_leftover() {
        let (one, two) = (member(b"one"), member(b"two"));
        for length in 1..two.len() {
            assert!(read(&[&one, &two[..length]]).is_err(), "cut to {length}");
        }
    }
}
