//! Where finished files are copied to.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::address::Address;
use super::remote;
use crate::cancel::Cancel;
use crate::error::{Error, Result};

/// A folder on another machine, by its URL: `s3://bucket/results`. It has no secrets in it, since it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(String);

/// A text that is no URL of a folder, or has a user, a password or a query in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a destination is the URL of a folder, such as s3://bucket/results, without user, password and query")]
pub struct NoDestination;

impl Destination {
    /// Copies a file into the folder, unless it is there already with the same content. There it appears, or replaces an older
    /// one, when it is whole. Whether it was copied.
    ///
    /// # Errors
    /// Of kind [`Io`](crate::ErrorKind::Io) where the file cannot be read, or the server does not take it.
    pub fn upload(&self, file: &Path, cancel: &Cancel) -> Result<bool> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let to = format!("{}/{name}", self.0);
        remote::upload(file, to.as_ref(), cancel).map_err(|cause| Error::io(format!("write {to}"), cause))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Destination {
    type Err = NoDestination;

    fn from_str(text: &str) -> Result<Self, NoDestination> {
        let address = Address::of(Path::new(text)).ok_or(NoDestination)?;
        address.check().map_err(|_| NoDestination)?;
        if address.has_secrets {
            return Err(NoDestination);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_urls_without_secrets() {
        for (text, shown) in [("s3://bucket/a/", "s3://bucket/a"), ("https://host:80/a", "https://host:80/a")] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), shown);
        }
        for wrong in ["", "a/b", "s3://", "ftp://host/a", "https://user@host/a", "https://host/a?b", "s3://k:s@bucket"]
        {
            assert_eq!(wrong.parse::<Destination>(), Err(NoDestination), "{wrong}");
        }
    }
}
