//! What takes the place of `remote` in a build without the feature of that name.

#![allow(dead_code)] // Nothing here is ever made.

use std::convert::Infallible;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::cancel::Cancel;
use crate::digest::Stamp;

pub(super) enum Found {
    Object(Stamp),
    Folder(Vec<Member>),
}

pub(super) struct Member {
    pub path: PathBuf,
    pub name: String,
    pub stamp: Stamp,
}

fn absent() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "URLs are read and written only by builds with the feature `remote`")
}

pub(super) fn find(_path: &Path) -> io::Result<Found> {
    Err(absent())
}

pub(super) fn stamp(_path: &Path, _cancel: &Cancel) -> io::Result<Stamp> {
    Err(absent())
}

pub(super) fn upload(_file: &Path, _to: &Path, _cancel: &Cancel) -> io::Result<bool> {
    Err(absent())
}

/// There is none.
pub(super) struct RemoteFile(Infallible);

impl RemoteFile {
    pub fn open(_path: &Path, _cancel: Cancel) -> io::Result<Self> {
        Err(absent())
    }

    pub fn stamp(&self) -> Stamp {
        match self.0 {}
    }
}

impl Read for RemoteFile {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

impl Seek for RemoteFile {
    fn seek(&mut self, _target: SeekFrom) -> io::Result<u64> {
        match self.0 {}
    }
}
