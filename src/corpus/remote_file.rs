//! The bytes of an object on a server: streamed from its beginning, or in blocks from anywhere.

use std::io::{self, ErrorKind as Cause, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::GetRange;

use super::location::{CHANGED, Location, stamp_of};
use crate::cancel::Cancel;
use crate::digest::Stamp;

/// Bytes that are taken from a stream at once, at most.
const CHUNK_BYTES: usize = 1 << 20;

/// What is fetched in one request where reading does not go straight on, and how much of it is kept: enough for the columns of
/// a table, which are read in turn.
const BLOCK_BYTES: u64 = 4 << 20;
const MOST_BLOCKS: usize = 16;

type Chunks = BoxStream<'static, object_store::Result<Bytes>>;

/// An object that is open.
pub(super) struct RemoteFile {
    location: Location,
    stamp: Stamp,
    /// What the server calls this version of it: no other is read.
    tag: Option<String>,
    position: u64,
    /// Whether reading has gone straight on so far.
    is_streamed: bool,
    stream: Option<Chunks>,
    /// What was taken from the stream and not yet read.
    chunk: Bytes,
    /// By their numbers, the one that was used last at the end.
    blocks: Vec<(u64, Bytes)>,
    cancel: Cancel,
}

impl RemoteFile {
    pub fn open(path: &Path, cancel: Cancel) -> io::Result<Self> {
        let location = Location::of(path)?;
        let object = location.trying(&cancel, || location.get(None, None, &cancel))?;
        Ok(Self {
            stamp: stamp_of(&object.meta),
            tag: object.meta.e_tag.clone(),
            position: 0,
            is_streamed: true,
            stream: Some(object.into_stream()),
            chunk: Bytes::new(),
            blocks: Vec::new(),
            location,
            cancel,
        })
    }

    /// Of the version that is read.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn size(&self) -> u64 {
        self.stamp.size()
    }

    /// The next bytes of the stream, which is begun anew where it broke.
    fn next_chunk(&mut self) -> io::Result<Bytes> {
        let (location, cancel) = (self.location.clone(), self.cancel.clone());
        location.trying(&cancel, || self.take_chunk())
    }

    fn take_chunk(&mut self) -> io::Result<Bytes> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.stream_from_here()?,
        };
        let taking = async move {
            let mut chunk = Vec::new();
            while chunk.len() < CHUNK_BYTES {
                match stream.next().await {
                    Some(Ok(bytes)) => chunk.extend_from_slice(&bytes),
                    Some(Err(_)) if !chunk.is_empty() => return Ok((chunk, None)),
                    Some(Err(error)) => return Err(error),
                    None => break,
                }
            }
            Ok((chunk, Some(stream)))
        };
        let (chunk, stream) = self.location.wait(&self.cancel, taking)?;
        if chunk.is_empty() {
            return Err(Cause::UnexpectedEof.into());
        }
        self.stream = stream;
        Ok(chunk.into())
    }

    fn stream_from_here(&self) -> io::Result<Chunks> {
        let range = (self.position > 0).then_some(GetRange::Offset(self.position));
        let object = self.location.get(range, self.tag.as_deref(), &self.cancel)?;
        self.check(&stamp_of(&object.meta))?;
        Ok(object.into_stream())
    }

    fn check(&self, now: &Stamp) -> io::Result<()> {
        match self.stamp.is_rewritten(now) {
            true => Err(io::Error::new(Cause::StaleNetworkFileHandle, CHANGED)),
            false => Ok(()),
        }
    }

    /// The block with a number, which is fetched where it is not at hand.
    fn block(&mut self, number: u64) -> io::Result<Bytes> {
        if let Some(place) = self.blocks.iter().position(|block| block.0 == number) {
            let block = self.blocks.remove(place);
            self.blocks.push(block.clone());
            return Ok(block.1);
        }
        let start = number * BLOCK_BYTES;
        let range = start..self.size().min(start + BLOCK_BYTES);
        let fetch = || self.location.range(range.clone(), self.tag.as_deref(), &self.cancel);
        let (stamp, bytes) = self.location.trying(&self.cancel, fetch)?;
        self.check(&stamp)?;
        if self.blocks.len() == MOST_BLOCKS {
            self.blocks.remove(0);
        }
        self.blocks.push((number, bytes.clone()));
        Ok(bytes)
    }
}

impl Read for RemoteFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.position >= self.size() {
            return Ok(0);
        }
        let count = if self.is_streamed {
            if self.chunk.is_empty() {
                self.chunk = self.next_chunk()?;
            }
            let count = self.chunk.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.chunk.split_to(count));
            count
        } else {
            let block = self.block(self.position / BLOCK_BYTES)?;
            let rest = &block[(self.position % BLOCK_BYTES) as usize..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for RemoteFile {
    /// Fails, and changes nothing, where the server does not give parts of the object.
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let target = match target {
            SeekFrom::Start(target) => Some(target),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
            SeekFrom::End(distance) => self.size().checked_add_signed(distance),
        };
        let target = target.ok_or(Cause::InvalidInput)?;
        if target == self.position {
            return Ok(target);
        }
        if target < self.size() {
            self.block(target / BLOCK_BYTES).map_err(|cause| match cause.kind() {
                Cause::Unsupported => Cause::NotSeekable.into(),
                _ => cause,
            })?;
        }
        (self.is_streamed, self.stream, self.chunk) = (false, None, Bytes::new());
        self.position = target;
        Ok(target)
    }
}
