//! URLs of what is not on this machine, and what they are called without the secrets in them.

use std::fmt;
use std::path::Path;

/// The schemes that are known, and whether their objects are in buckets.
const SCHEMES: [(&str, bool); 6] =
    [("s3", true), ("s3a", true), ("gs", true), ("az", true), ("http", false), ("https", false)];

/// A URL in its parts. Displayed without user, password, query and fragment, which may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub scheme: &'a str,
    /// Host and port, or bucket.
    pub host: &'a str,
    /// What is behind the host and its slash, as it was written.
    pub path: &'a str,
    /// Whether there is anything that may be a secret.
    pub has_secrets: bool,
}

impl<'a> Address<'a> {
    /// The parts of a URL; none of what is a path.
    pub fn of(path: &'a Path) -> Option<Self> {
        let (scheme, rest) = path.to_str()?.split_once("://")?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        // Keys of objects may hold any sign.
        let signs: &[char] = if has_buckets(scheme) { &[] } else { &['?', '#'] };
        let shown = rest.split(signs).next().unwrap_or_default();
        let (authority, path) = shown.split_once('/').unwrap_or((shown, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let has_secrets = shown.len() < rest.len() || host.len() < authority.len();
        Some(Self { scheme, host, path, has_secrets })
    }

    /// Checks what needs no server.
    ///
    /// # Errors
    /// What is wrong, without showing more than the scheme: a URL that is none as a whole may have a secret in any of its parts.
    pub fn check(&self) -> Result<(), String> {
        let schemes: Vec<_> = SCHEMES.iter().map(|(scheme, _)| format!("{scheme}://")).collect();
        if !SCHEMES.iter().any(|(scheme, _)| *scheme == self.scheme) {
            return Err(format!("{}:// is not read nor written, but {}", self.scheme, schemes.join(", ")));
        }
        if self.has_buckets() && self.has_secrets {
            return Err(format!("{}://… has credentials in it: they come from the environment alone", self.scheme));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_host = |byte: u8| is_name(byte) || !self.has_buckets() && b":[]".contains(&byte);
        match !self.host.is_empty() && self.host.bytes().all(is_host) {
            true => Ok(()),
            false => Err(format!("{}://… names no host or bucket", self.scheme)),
        }
    }

    /// Whether there are buckets with objects, rather than a host with files.
    pub fn has_buckets(&self) -> bool {
        has_buckets(self.scheme)
    }

    /// Whether it says of itself that it is a folder.
    pub fn is_folder(&self) -> bool {
        self.path.is_empty() || self.path.ends_with('/')
    }

    /// The last part of its path, or else the bucket or host.
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(self.host)
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}/{}", self.scheme, self.host, self.path)
    }
}

fn has_buckets(scheme: &str) -> bool {
    SCHEMES.contains(&(scheme, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address<'_> {
        Address::of(Path::new(text)).expect(text)
    }

    #[test]
    fn secrets_are_not_shown() {
        for (url, shown) in [
            ("https://user:pass@host:81/a/b.jsonl?token=x#y", "https://host:81/a/b.jsonl"),
            ("https://host?token=x", "https://host/"),
            ("https://a@b:c@host/p@q", "https://host/p@q"),
            ("s3://key:secret@bucket/a?b#c@d", "s3://bucket/a?b#c@d"),
            ("gs://bucket", "gs://bucket/"),
        ] {
            assert_eq!(address(url).to_string(), shown);
        }
        assert!(address("https://host/?x").has_secrets && address("s3://k@b/a").has_secrets);
        assert!(!address("https://host/a@b").has_secrets && !address("s3://bucket/a?b").has_secrets);
    }

    #[test]
    fn names_are_those_of_files_and_folders() {
        for (url, name, is_folder) in [
            ("s3://bucket/books/a.jsonl.gz", "a.jsonl.gz", false),
            ("s3://bucket/books/", "books", true),
            ("s3://bucket", "bucket", true),
            ("https://host/a.jsonl?token=x/y", "a.jsonl", false),
        ] {
            assert_eq!((address(url).name(), address(url).is_folder()), (name, is_folder), "{url}");
        }
    }

    #[test]
    fn paths_are_no_urls() {
        for path in ["a/b", "s3:/a", "-", "/x://y", "a b://c", "://"] {
            assert_eq!(Address::of(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for (url, reason) in [
            ("ftp://host/a", "ftp:// is not read"),
            ("s3://key:secret@bucket/a", "from the environment alone"),
            ("s3://key:sec/ret@bucket/a", "names no host or bucket"),
            ("s3:///a", "names no host or bucket"),
        ] {
            let found = address(url).check().unwrap_err();
            assert!(found.contains(reason) && !found.contains("sec"), "{found}");
        }
        for url in ["s3://bucket/a@b", "https://user:pass@[::1]:80/a?b=c", "gs://a_b.c-d"] {
            assert_eq!(address(url).check(), Ok(()), "{url}");
        }
    }
}
