//! Requests to the hub: redirects, refusals, waiting and trying again.

use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Result};

/// How often something is tried that brings nothing.
const ATTEMPTS: u32 = 4;
/// The first wait between two attempts; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// A server that asks for a longer wait than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A connection on which nothing comes for so long is given up.
const SILENCE: Duration = Duration::from_secs(60);
const MOST_REDIRECTS: usize = 5;

/// Why an attempt failed.
pub(super) enum Failure {
    /// It would fail again.
    Final(Error),
    /// It may succeed later.
    Passing {
        error: Error,
        /// The wait that the server asked for.
        wait: Option<Duration>,
        /// Whether the attempt brought something all the same.
        progress: bool,
    },
}

impl Failure {
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self::Passing { error: Error::new(ErrorKind::Io, message), wait: None, progress: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// How far a request follows redirects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirects {
    /// As far as they go.
    All,
    /// To the hub itself alone; the answer is the redirect that leads away.
    WithinHub,
}

/// What speaks to one hub about one repository.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    repository: String,
    authorization: Option<HeaderValue>,
    cancel: Cancel,
}

impl Client {
    pub(super) fn new(
        endpoint: String,
        repository: String,
        authorization: Option<HeaderValue>,
        cancel: Cancel,
    ) -> Result<Self> {
        // Certificates of the system, so that a company's own serve, and SSL_CERT_FILE.
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("longattn/", env!("CARGO_PKG_VERSION")))
            // Compressed bytes could not be counted.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        origin(&endpoint)?;
        Ok(Self { agent: config.into(), endpoint, repository, authorization, cancel })
    }

    /// The address of a file.
    pub(super) fn address(&self, revision: &str, file: &str) -> String {
        format!("{}/{}/resolve/{}/{}", self.endpoint, self.repository, encoded(revision), encoded(file))
    }

    /// Tries until something succeeds, fails for good, or has failed [`ATTEMPTS`] times in a row without any progress.
    pub(super) fn persist<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        let mut failures = 0;
        loop {
            self.cancel.check()?;
            let (error, wait, progress) = match attempt() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { error, wait, progress }) => (error, wait, progress),
            };
            failures = if progress { 1 } else { failures + 1 };
            if failures == ATTEMPTS {
                return Err(Error::new(error.kind(), format!("{error}; {ATTEMPTS} attempts failed: try again later")));
            }
            let wait = wait.unwrap_or(FIRST_WAIT * 2u32.pow(failures - 1));
            if wait > LONGEST_WAIT {
                let seconds = wait.as_secs();
                return Err(Error::new(error.kind(), format!("{error}; it asks to come back in {seconds} seconds")));
            }
            log::warn!("{error}; trying again in {} s", wait.as_secs());
            self.wait(wait)?;
        }
    }

    /// # Errors
    /// [`ErrorKind::Cancelled`] where the work was asked to stop.
    pub(super) fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Asks once for a range of a file. The answer's status is one of success, or 404.
    pub(super) fn get(&self, address: &str, range: &str) -> Result<Response<Body>, Failure> {
        self.ask(&Method::GET, address, Some(range), Redirects::All)
    }

    /// Asks once what there is to know of a file: the hub itself, or where it redirects to without telling `header`. The
    /// answer's status is one of success, 404, or that of a redirect.
    pub(super) fn head(&self, address: &str, header: &str) -> Result<Response<Body>, Failure> {
        let response = self.ask(&Method::HEAD, address, None, Redirects::WithinHub)?;
        match response.status().is_redirection() && !response.headers().contains_key(header) {
            true => self.ask(&Method::HEAD, address, None, Redirects::All),
            false => Ok(response),
        }
    }

    fn ask(
        &self,
        method: &Method,
        address: &str,
        range: Option<&str>,
        redirects: Redirects,
    ) -> Result<Response<Body>, Failure> {
        let hub = origin(&self.endpoint)?;
        let mut address = address.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let here = origin(&address)?;
            let mut request = Request::builder().method(method).uri(&address);
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            if let Some(authorization) = self.authorization.as_ref().filter(|_| here == hub) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let request = request.body(()).map_err(|_| self.nonsense(&here, "an address that is none"))?;
            let response = self.agent.run(request).map_err(|cause| {
                let cause = one_line(&cause.to_string());
                Failure::passing(format!(
                    "{} cannot be reached ({cause}): check the network and HF_ENDPOINT",
                    here.host
                ))
            })?;
            if !response.status().is_redirection() {
                return self.checked(response, &here, here == hub);
            }
            let next = redirected(&response, &address, &here)
                .ok_or_else(|| self.nonsense(&here, "a redirect that leads nowhere"))?;
            let there = origin(&next)?;
            if redirects == Redirects::WithinHub && there != hub {
                return Ok(response);
            }
            if here.scheme == "https" && there.scheme != "https" {
                return Err(self.nonsense(&here, "a redirect to an address without encryption").into());
            }
            address = next;
        }
        Err(self.nonsense(&hub, "one redirect after the other").into())
    }

    /// An answer that no hub should give.
    fn nonsense(&self, server: &Origin, what: &str) -> Error {
        let message = format!("{} answered with {what}: check HF_ENDPOINT, or try again later", server.host);
        Error::new(ErrorKind::Io, message)
    }

    fn checked(&self, response: Response<Body>, server: &Origin, is_hub: bool) -> Result<Response<Body>, Failure> {
        let (status, host) = (response.status(), &server.host);
        let repository = &self.repository;
        let refused = |message: String| Err(Failure::Final(Error::new(ErrorKind::Io, message)));
        match status.as_u16() {
            200..=299 | 404 => Ok(response),
            401 if is_hub && self.authorization.is_none() => refused(format!(
                "{host} shows {repository} to nobody unknown (401): check the name, and if it is right, accept the licence \
                 at {} and set HF_TOKEN to a token of your account",
                self.page()
            )),
            401 if is_hub => refused(format!(
                "{host} does not show {repository} to the owner of the token (401): check the name, and that HF_TOKEN is \
                 valid and may read it"
            )),
            403 if is_hub => refused(format!(
                "{host} does not give {repository} away without leave (403): accept the licence at {} and set HF_TOKEN \
                 to a token of the account that did",
                self.page()
            )),
            // A content server's 401 and 403 mean that the signed address is too old, so a new one is asked for.
            401 | 403 | 408 | 429 | 500..=599 => Err(Failure::Passing {
                error: Error::new(ErrorKind::Io, format!("{host} answered {}", described(status))),
                wait: retry_after(response.headers()),
                progress: false,
            }),
            _ => refused(format!("{host} answered {}: check HF_ENDPOINT, or try again later", described(status))),
        }
    }

    fn page(&self) -> String {
        format!("{}/{}", self.endpoint, self.repository)
    }

    fn wait(&self, time: Duration) -> Result<()> {
        let step = Duration::from_millis(100);
        for _ in 0..time.as_millis().div_ceil(step.as_millis()) {
            self.cancel.check()?;
            std::thread::sleep(step);
        }
        Ok(())
    }
}

/// The server of an address, to which alone a token belongs.
#[derive(PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

fn origin(address: &str) -> Result<Origin> {
    let parsed: Option<Uri> = address.parse().ok();
    let origin = parsed.and_then(|uri| {
        let (scheme, host) = (uri.scheme_str()?.to_owned(), uri.host()?.to_lowercase());
        let port = uri.port_u16().or(if scheme == "https" { Some(443) } else { Some(80) });
        ["http", "https"].contains(&scheme.as_str()).then_some(Origin { scheme, host, port })
    });
    // The address itself may be signed, so it is not shown.
    origin.ok_or_else(|| Error::new(ErrorKind::Io, "an address of the hub is no web address: check HF_ENDPOINT"))
}

/// Where a redirect leads: to a whole address, or to a path on the same server.
fn redirected(response: &Response<Body>, from: &str, server: &Origin) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    if location.starts_with("//") {
        return Some(format!("{}:{location}", server.scheme));
    }
    if location.starts_with('/') {
        let authority = from.parse::<Uri>().ok()?.authority()?.to_string();
        return Some(format!("{}://{authority}{location}", server.scheme));
    }
    Some(location.to_owned())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn described(status: StatusCode) -> String {
    match status.as_u16() {
        429 => "that it was asked too often (429)".to_owned(),
        _ => format!("with status {}", status.as_u16()),
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Text as one segment of a path.
fn encoded(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") };
    segment.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_differ_by_scheme_host_and_port() {
        let same = |a: &str, b: &str| origin(a).unwrap() == origin(b).unwrap();
        assert!(same("https://hub.example/a", "https://HUB.example:443/b?c"));
        assert!(!same("https://hub.example", "http://hub.example"));
        assert!(!same("https://hub.example", "https://cdn.hub.example"));
        assert!(!same("https://hub.example", "https://hub.example:8443"));
        assert!(origin("ftp://hub.example").is_err() && origin("no address").is_err());
    }

    #[test]
    fn segments_never_leave_their_place() {
        assert_eq!(encoded("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(encoded("model-1 of 2.safetensors?"), "model-1%20of%202.safetensors%3F");
    }
}
