//! What is on other machines: found, listed, read and written.

use std::fs::File;
use std::io::{self, ErrorKind as Cause, Read};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use object_store::{
    Attribute, Attributes, GetOptions, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions, PutPayload,
};
use url::Url;

use super::address::Address;
use super::location::{Location, stamp_of};
pub(super) use super::remote_file::RemoteFile;
use crate::cancel::Cancel;
use crate::digest::{Digest, Stamp};

/// What is at a URL.
pub(super) enum Found {
    Object(Stamp),
    /// All objects in it and its folders, in the order in which a folder's files are listed.
    Folder(Vec<Member>),
}

/// An object in a folder.
pub(super) struct Member {
    pub path: PathBuf,
    /// Its path from the folder.
    pub name: String,
    pub stamp: Stamp,
}

/// Looks for an object, or else a folder.
pub(super) fn find(path: &Path) -> io::Result<Found> {
    let address = Address::of(path).ok_or_else(|| io::Error::other("it is no URL"))?;
    address.check().map_err(io::Error::other)?;
    if !address.is_folder() {
        match stamp(path, &Cancel::default()) {
            Ok(stamp) => return Ok(Found::Object(stamp)),
            Err(cause) if cause.kind() == Cause::NotFound && address.has_buckets() => {}
            Err(cause) => return Err(cause),
        }
    }
    let members = list(path, &address)?;
    match members.is_empty() && !address.is_folder() {
        true => Err(io::Error::new(Cause::NotFound, "there is no such object, nor a folder with objects (404)")),
        false => Ok(Found::Folder(members)),
    }
}

/// What tells versions of an object apart, as it is now.
pub(super) fn stamp(path: &Path, cancel: &Cancel) -> io::Result<Stamp> {
    let has_buckets = Address::of(path).is_some_and(|address| address.has_buckets());
    let location = Location::of(path)?;
    match head(&location, cancel) {
        Ok((meta, _)) => Ok(stamp_of(&meta)),
        // A signed URL may be good for reading alone, and not for asking about.
        Err(cause) if !has_buckets && matches!(cause.kind(), Cause::NotFound | Cause::PermissionDenied) => {
            location.get(None, None, cancel).map(|object| stamp_of(&object.meta))
        }
        Err(cause) => Err(cause),
    }
}

fn head(location: &Location, cancel: &Cancel) -> io::Result<(ObjectMeta, Attributes)> {
    let (store, key) = (location.store.clone(), location.key.clone());
    let options = GetOptions { head: true, ..GetOptions::default() };
    let result = location.wait(cancel, async move { store.get_opts(&key, options).await })?;
    Ok((result.meta, result.attributes))
}

fn list(path: &Path, address: &Address) -> io::Result<Vec<Member>> {
    let location = Location::of(path)?;
    let (store, folder) = (location.store.clone(), location.key.clone());
    let listing = async move { store.list(Some(&folder)).try_collect::<Vec<_>>().await };
    let listed = location.wait(&Cancel::default(), listing).map_err(|cause| match address.has_buckets() {
        true => cause,
        false => io::Error::new(
            cause.kind(),
            format!("{cause}; only servers with WebDAV list folders: with others, name each file"),
        ),
    })?;
    let in_folder = |meta: &ObjectMeta| {
        let inner = meta.location.as_ref().strip_prefix(location.key.as_ref())?.trim_start_matches('/');
        (!inner.is_empty()).then(|| inner.to_owned())
    };
    let mut found: Vec<_> = listed.into_iter().filter_map(|meta| Some((in_folder(&meta)?, meta))).collect();
    found.sort_by(|one, other| one.0.split('/').cmp(other.0.split('/')));
    let names: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
    let follower = names.iter().skip(1).map(Some).chain([None]);
    // Consoles make folders by empty objects of their names.
    let is_folder = |name: &str, next: Option<&String>| {
        next.and_then(|next| next.strip_prefix(name)).is_some_and(|inner| inner.starts_with('/'))
    };
    let objects = found.into_iter().zip(follower);
    let objects = objects.filter(|((name, meta), next)| meta.size > 0 || !is_folder(name, *next));
    objects
        .map(|((name, meta), _)| {
            Ok(Member { path: member_path(path, address, &meta, &name)?, name, stamp: stamp_of(&meta) })
        })
        .collect()
}

/// The URL of an object in a folder.
fn member_path(folder: &Path, address: &Address, meta: &ObjectMeta, name: &str) -> io::Result<PathBuf> {
    if address.has_buckets() {
        return Ok(format!("{}://{}/{}", address.scheme, address.host, meta.location).into());
    }
    let url = folder.to_str().and_then(|folder| Url::parse(folder).ok());
    let mut url = url.ok_or_else(|| io::Error::other("it is no URL"))?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(name.split('/'));
    }
    Ok(String::from(url).into())
}

/// More than this goes up in parts, of this size.
const PART_BYTES: u64 = 64 << 20;

/// What an object's SHA-256 is called among its metadata.
const DIGEST: &str = "sha256";

/// Copies a file to a URL, where it appears or replaces an older object when it is whole, unless its content is there already.
/// Whether it was copied.
pub(super) fn upload(file: &Path, to: &Path, cancel: &Cancel) -> io::Result<bool> {
    let digest = Digest::of_file(file)?.to_string();
    let location = Location::of(to)?;
    let has_buckets = Address::of(to).is_some_and(|address| address.has_buckets());
    let key = Attribute::Metadata(DIGEST.into());
    match head(&location, cancel) {
        Ok((_, attributes)) if attributes.get(&key).is_some_and(|there| **there == *digest) => return Ok(false),
        Err(cause) if has_buckets && cause.kind() != Cause::NotFound => return Err(cause),
        _ => {}
    }
    let attributes = match has_buckets {
        true => Attributes::from_iter([(key, digest)]),
        false => Attributes::new(),
    };
    let mut file = File::open(file)?;
    // Plain servers take nothing but whole files.
    match file.metadata()?.len() > PART_BYTES && has_buckets {
        true => upload_parts(&location, &mut file, attributes, cancel)?,
        false => upload_whole(&location, &mut file, attributes, cancel)?,
    }
    Ok(true)
}

fn upload_whole(location: &Location, file: &mut File, attributes: Attributes, cancel: &Cancel) -> io::Result<()> {
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    let (store, key) = (location.store.clone(), location.key.clone());
    let options = PutOptions { attributes, ..PutOptions::default() };
    location.wait(cancel, async move { store.put_opts(&key, content.into(), options).await }).map(drop)
}

fn upload_parts(location: &Location, file: &mut File, attributes: Attributes, cancel: &Cancel) -> io::Result<()> {
    let (store, key) = (location.store.clone(), location.key.clone());
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let mut upload = location.wait(cancel, async move { store.put_multipart_opts(&key, options).await })?;
    let sent = send_parts(location, file, &mut upload, cancel);
    let ending = async move {
        match sent {
            Ok(()) => upload.complete().await.map(|_| Ok(())),
            // Parts that are left cost their owner money.
            Err(cause) => upload.abort().await.map(|()| Err(cause)),
        }
    };
    location.wait(&Cancel::default(), ending)?
}

fn send_parts(
    location: &Location,
    file: &mut File,
    upload: &mut Box<dyn MultipartUpload>,
    cancel: &Cancel,
) -> io::Result<()> {
    loop {
        let mut part = Vec::new();
        file.by_ref().take(PART_BYTES).read_to_end(&mut part)?;
        if part.is_empty() {
            return Ok(());
        }
        location.wait(cancel, upload.put_part(PutPayload::from(part)))?;
    }
}
