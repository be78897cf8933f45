//! Checkpoints in a repository of the hub, of which only the bytes that are needed are fetched.

mod client;
mod environment;
mod ranges;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ureq::http::{HeaderMap, Response};
use ureq::{Body, http};

use super::files::{Directory, Files};
use super::{ExportOptions, package};
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};
use crate::model::metadata::Metadata;
use client::{Client, Failure};
use environment::Environment;
use ranges::{Part, Ranges};

/// The file by which a repository is found.
const CONFIG: &str = "config.json";

/// A file no larger than this is read from its beginning where a server ignores ranges.
const SMALL: u64 = 64 << 20;

/// Bytes that are read from a connection at a time.
const CHUNK: usize = 1 << 18;

/// A checkpoint in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    owner: String,
    name: String,
    revision: String,
}

impl Repository {
    /// The branch that is taken where no revision is named.
    pub const MAIN: &str = "main";

    /// Reads `owner/name`, with or without `hf://` before it; `None` where it cannot be that.
    pub fn parse(text: &str, revision: &str) -> Option<Self> {
        let (owner, name) = text.strip_prefix("hf://").unwrap_or(text).split_once('/')?;
        let is_valid = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let ends = |end: char| part.starts_with(end) || part.ends_with(end);
            !part.is_empty() && part.bytes().all(known) && !part.contains("..") && !ends('.') && !ends('-')
        };
        (is_valid(owner) && is_valid(name)).then(|| Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// Turns a layer of a checkpoint in a repository into a scorer package, as [`export`](super::export()) does with one
/// that lies here, and fetches no more of it than it needs.
///
/// Where the hub is and what the user has of it is read from the environment: `HF_ENDPOINT`, `HF_TOKEN` or the file
/// `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, and the proxies of `HTTPS_PROXY` and its like. What was
/// fetched lies in a directory beside `target`, of its name with `.download` at the end, until the package is whole; after
/// an error or a kill the next call goes on with it.
///
/// # Errors
/// Those of [`export`](super::export()); [`ErrorKind::InvalidArgument`] for a repository or revision that the hub does not
/// have; [`ErrorKind::Io`] where it cannot be reached or refuses; [`ErrorKind::Cancelled`].
pub fn export_from_hub(
    repository: &Repository,
    target: &Path,
    options: &ExportOptions,
    cancel: &Cancel,
    on_fetched: OnFetched,
) -> Result<Metadata> {
    super::check_options(options)?;
    package::check_target(target, options.overwrite)?;
    let hub = Hub::open(repository, target, cancel, on_fetched)?;
    let result = super::export_files(&hub, target, options).map_err(|error| hub.explain(error));
    if result.as_ref().map_or_else(|error| !may_pass(error.kind()), |_| true) {
        hub.ranges.remove();
    }
    result
}

/// Whether another call on the same checkpoint may do better.
fn may_pass(error: ErrorKind) -> bool {
    !matches!(error, ErrorKind::InvalidModel | ErrorKind::Unsupported)
}

/// How far the fetching of one piece of a file has come.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// The file in the repository.
    pub file: &'a str,
    /// Bytes of the piece that are here, those of an earlier call included.
    pub bytes: u64,
    /// Bytes of the piece in all.
    pub of: u64,
}

/// Told of the progress of a download.
pub type OnFetched<'a> = &'a dyn Fn(Fetched);

/// The files of one commit of a repository.
struct Hub<'a> {
    repository: Repository,
    commit: String,
    /// The files of this commit that lie whole in the cache of the hub's own tools.
    cached: Directory,
    /// Without it, nothing but the cache is read.
    client: Option<Client>,
    ranges: Ranges,
    sizes: RefCell<HashMap<String, Option<u64>>>,
    on_fetched: OnFetched<'a>,
}

impl<'a> Hub<'a> {
    /// Finds the commit that the revision means now.
    fn open(repository: &Repository, target: &Path, cancel: &Cancel, on_fetched: OnFetched<'a>) -> Result<Self> {
        let environment = Environment::read()?;
        let cache = environment.cache.join(format!("models--{}--{}", repository.owner, repository.name));
        let (client, commit) = match environment.offline {
            true => (None, cached_commit(&cache, repository)?),
            false => {
                let (endpoint, authorization) = (environment.endpoint, environment.authorization);
                let client = Client::new(endpoint, repository.full_name(), authorization, cancel.clone())?;
                let commit = commit(&client, repository)?;
                (Some(client), commit)
            }
        };
        Ok(Self {
            repository: repository.clone(),
            cached: Directory::new(cache.join("snapshots").join(&commit)),
            ranges: Ranges::new(target, &commit),
            commit,
            client,
            sizes: RefCell::default(),
            on_fetched,
        })
    }

    /// Adds to an error where to go on from.
    fn explain(&self, error: Error) -> Error {
        if !may_pass(error.kind()) || !self.ranges.root().exists() {
            return error;
        }
        let kept =
            format!("what was fetched is kept in {}: the same command goes on with it", self.ranges.root().display());
        Error::new(error.kind(), format!("{error}; {kept}"))
    }

    fn remote_size(&self, client: &Client, name: &str) -> Result<Option<u64>> {
        let address = client.address(&self.commit, name);
        client.persist(|| {
            let response = client.head(&address, "x-linked-size")?;
            if response.status() == http::StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let size = ["x-linked-size", "content-length"].iter().find_map(|name| number(response.headers(), name));
            let size = size.ok_or_else(|| self.lies(name, "the server does not tell how long the file is"))?;
            Ok(Some(size))
        })
    }

    /// Fetches what is still missing of a range.
    fn fetch(&self, client: &Client, name: &str, range: &Range<u64>) -> Result<()> {
        let mut part = self.ranges.begin(name, range)?;
        let address = client.address(&self.commit, name);
        let size = self.size(name)?.unwrap_or_default();
        client.persist(|| {
            let missing = range.start + part.length()?..range.end;
            if missing.is_empty() {
                return Ok(());
            }
            let response = client.get(&address, &format!("bytes={}-{}", missing.start, missing.end - 1))?;
            let body = self.body(name, response, &missing, size)?;
            self.receive(client, name, body, &mut part, range.end - range.start)
        })?;
        part.finish()
    }

    /// Appends what comes to a part, until it has `of` bytes.
    fn receive(
        &self,
        client: &Client,
        name: &str,
        mut body: impl Read,
        part: &mut Part,
        of: u64,
    ) -> Result<(), Failure> {
        let before = part.length()?;
        let mut bytes = before;
        let mut chunk = vec![0; CHUNK];
        while bytes < of {
            client.check()?;
            let wanted = CHUNK.min((of - bytes) as usize);
            let count = body.read(&mut chunk[..wanted]).and_then(|count| match count {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(count),
            });
            let count = count.map_err(|cause| Failure::Passing {
                error: self.lies(name, format!("the connection broke off ({cause})")),
                wait: None,
                progress: bytes > before,
            })?;
            part.append(&chunk[..count])?;
            bytes += count as u64;
            (self.on_fetched)(Fetched { file: name, bytes, of });
        }
        Ok(())
    }

    /// The bytes of a response from the first that was asked for.
    fn body(&self, name: &str, response: Response<Body>, asked: &Range<u64>, size: u64) -> Result<impl Read, Failure> {
        let status = response.status().as_u16();
        let content_range =
            response.headers().get("content-range").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let length = number(response.headers(), "content-length");
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        match status {
            206 => {
                let expected = format!("bytes {}-{}/{size}", asked.start, asked.end - 1);
                if content_range.as_deref() != Some(&expected) {
                    let found = content_range.unwrap_or("nothing".to_owned());
                    return Err(self.lies(name, format!("the server gave {found:?} for {expected:?}")).into());
                }
                if length.is_some_and(|length| length != asked.end - asked.start) {
                    return Err(self.lies(name, "the server gives more or fewer bytes than it says").into());
                }
            }
            200 if size <= SMALL => {
                let skipped = io::copy(&mut body.by_ref().take(asked.start), &mut io::sink());
                skipped.map_err(|cause| Failure::passing(format!("{}: {cause}", self.place(name))))?;
            }
            200 => {
                let message = "the server ignores ranges and would send the whole file: use another HF_ENDPOINT, or \
                               download the checkpoint and export its directory";
                return Err(self.lies(name, message).into());
            }
            404 => return Err(self.lies(name, "the file is gone (404): run the command again").into()),
            status => return Err(self.lies(name, format!("the server answered with status {status}")).into()),
        }
        Ok(body)
    }

    /// An error about a server that does not do what it should.
    fn lies(&self, name: &str, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Io, message).at(self.place(name))
    }
}

impl Files for Hub<'_> {
    fn name(&self) -> String {
        self.repository.name.clone()
    }

    fn place(&self, name: &str) -> String {
        let (repository, revision) = (self.repository.full_name(), &self.repository.revision);
        let offline = if self.client.is_none() { " in the cache, HF_HUB_OFFLINE being set" } else { "" };
        format!("{repository}@{revision}/{name}{offline}")
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        if let Some(size) = self.sizes.borrow().get(name) {
            return Ok(*size);
        }
        let size = match (self.cached.size(name)?, &self.client) {
            (Some(size), _) => Some(size),
            (None, Some(client)) => self.remote_size(client, name)?,
            (None, None) => None,
        };
        self.sizes.borrow_mut().insert(name.to_owned(), size);
        Ok(size)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Box<dyn Read + '_>> {
        if range.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        let client = match &self.client {
            Some(client) if self.cached.size(name)?.is_none() => client,
            _ => return self.cached.read(name, range),
        };
        if self.ranges.whole(name, &range).is_none() {
            self.fetch(client, name, &range)?;
        }
        let file = self.ranges.whole(name, &range);
        let file = file.ok_or_else(|| self.lies(name, "what was fetched is gone: run the command again"))?;
        Ok(Box::new(file))
    }
}

/// The commit that a revision means to the server now.
fn commit(client: &Client, repository: &Repository) -> Result<String> {
    let address = client.address(&repository.revision, CONFIG);
    let response = client.persist(|| client.head(&address, "x-repo-commit"))?;
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(commit) = text("x-repo-commit").filter(|commit| is_commit(commit)) {
        return Ok(commit.to_owned());
    }
    let (name, revision) = (repository.full_name(), &repository.revision);
    let message = match (response.status().as_u16(), text("x-error-code")) {
        (404, Some("RevisionNotFound")) => format!("{name} has no revision {revision:?} (404): check --revision"),
        (404, _) => format!("the hub has no {name}, or no revision {revision:?} of it (404): check the name"),
        _ => format!("the server does not tell the commit of {name}, so it is no hub: check HF_ENDPOINT"),
    };
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// The commit that a revision meant when the cache was filled.
fn cached_commit(cache: &Path, repository: &Repository) -> Result<String> {
    let revision = &repository.revision;
    if is_commit(revision) && cache.join("snapshots").join(revision).is_dir() {
        return Ok(revision.clone());
    }
    let reference: PathBuf = cache.join("refs").join(revision);
    let commit = fs::read_to_string(reference).ok().map(|commit| commit.trim().to_owned());
    commit.filter(|commit| is_commit(commit)).ok_or_else(|| {
        let message = format!(
            "{} at {revision:?} is not in the cache {}, and HF_HUB_OFFLINE is set: unset it to fetch what is needed",
            repository.full_name(),
            cache.display()
        );
        Error::new(ErrorKind::InvalidArgument, message)
    })
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories() {
        let parse = |text: &str| Repository::parse(text, Repository::MAIN).map(|repository| repository.full_name());
        assert_eq!(parse("meta-llama/Llama-3.1-8B").as_deref(), Some("meta-llama/Llama-3.1-8B"));
        assert_eq!(parse("hf://a/b").as_deref(), Some("a/b"));
        for wrong in ["llama", "a/b/c", "/a", "a/", "../b", "a/..", "./b", "a b/c", "a/b?c", "hf://a", "https://a/b"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
