//! What the environment says of the hub: the variables and files that other tools of the hub read too.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use ureq::http::HeaderValue;

use crate::error::{Error, ErrorKind, Result};

const ENDPOINT: &str = "https://huggingface.co";

/// Where the hub is, and what this user has of it.
pub(super) struct Environment {
    /// `https://host` without a slash at the end.
    pub endpoint: String,
    /// The value of the header `Authorization`. It is marked as sensitive, so it is never shown.
    pub authorization: Option<HeaderValue>,
    /// The cache of whole files.
    pub cache: PathBuf,
    /// Whether nothing but the cache may be read.
    pub offline: bool,
}

impl Environment {
    /// Reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE`.
    pub(super) fn read() -> Result<Self> {
        let home = path("HF_HOME").unwrap_or_else(|| user_cache().join("huggingface"));
        Ok(Self {
            endpoint: endpoint()?,
            authorization: token(&home)?.map(|token| authorization(&token)).transpose()?,
            cache: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            offline: is_set("HF_HUB_OFFLINE"),
        })
    }
}

fn endpoint() -> Result<String> {
    let endpoint = text("HF_ENDPOINT").unwrap_or(ENDPOINT.to_owned());
    // Messages show the endpoint, so no password may stand in it.
    match (endpoint.starts_with("https://") || endpoint.starts_with("http://")) && !endpoint.contains('@') {
        true => Ok(endpoint.trim_end_matches('/').to_owned()),
        false => Err(invalid("HF_ENDPOINT must begin with https:// or http://, with no name or password in it")),
    }
}

/// The token of `HF_TOKEN`, or else of the file where logging in puts it.
fn token(home: &Path) -> Result<Option<String>> {
    if let Some(token) = text("HF_TOKEN") {
        return Ok(Some(token));
    }
    let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
    match fs::read_to_string(&file) {
        Ok(token) => Ok(Some(token.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io(format_args!("read the token in {}", file.display()), cause)),
    }
}

fn authorization(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| invalid("the hub's token holds characters that no token can have: set HF_TOKEN anew"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn user_cache() -> PathBuf {
    path("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache"))).unwrap_or_default()
}

fn is_set(variable: &str) -> bool {
    text(variable).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
}

fn path(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(variable: &str) -> Option<String> {
    let value = env::var(variable).ok()?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
