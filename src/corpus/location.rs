//! Where objects are on other machines, and the connections to these.

use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::io::{self, ErrorKind as Cause};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    ClientConfigKey, ClientOptions, GetOptions, GetRange, GetResult, HeaderMap, HeaderValue, ObjectStore,
};
use percent_encoding::percent_decode_str;
use reqwest::header::AUTHORIZATION;
use tokio::runtime::{Builder, Runtime};
use url::{Position, Url};

use super::address::Address;
use crate::cancel::Cancel;
use crate::digest::Stamp;
use crate::process::OfProcess;

/// How soon work that was cancelled is left.
const CANCEL_STEP: Duration = Duration::from_millis(100);

/// How long a server may say nothing.
const SILENCE: &str = "60 seconds";

/// How long one object may take: as long as it does, since one that stands still is noticed.
const WHOLE: &str = "30 days";

/// How often reading is tried again without anything coming through, each time with all the retries of one request and after a
/// longer pause: half a minute in all.
const MOST_BREAKS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// An object, or a folder of them, and the server that has it.
#[derive(Clone)]
pub(super) struct Location {
    connections: Arc<Connections>,
    pub store: Arc<dyn ObjectStore>,
    pub key: Key,
}

impl Location {
    /// Makes ready what it takes to ask for an object. Asks nothing yet.
    pub fn of(path: &Path) -> io::Result<Self> {
        let address = Address::of(path).ok_or_else(|| io::Error::other("it is no URL"))?;
        address.check().map_err(io::Error::other)?;
        let connections = Connections::of_process()?;
        if address.has_buckets() {
            let key = Key::parse(address.path).map_err(|error| failure(error.into()))?;
            let bucket = format!("{}://{}", address.scheme, address.host);
            let store = connections.store(bucket, |bucket| bucket_store(address.scheme, bucket))?;
            return Ok(Self { connections, store, key });
        }
        let url = path.to_str().and_then(|text| Url::parse(text).ok());
        let url = url.ok_or_else(|| io::Error::other("it is no URL"))?;
        let key = Key::from_url_path(url.path()).map_err(|error| failure(error.into()))?;
        let host = format!("{}{}", &url[..Position::BeforePath], &url[Position::AfterPath..Position::AfterQuery]);
        let store = connections.store(host, |_| http_store(&url))?;
        Ok(Self { connections, store, key })
    }

    /// Does work on the threads of the connections, unless it is cancelled before it is done.
    pub fn wait<T: Send + 'static>(
        &self,
        cancel: &Cancel,
        work: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let runtime = self.connections.runtime.get().map_err(io::Error::other)?;
        let (sender, done) = mpsc::sync_channel(1);
        let task = runtime.spawn(async move {
            // Whoever cancelled does not listen any more.
            _ = sender.send(work.await);
        });
        loop {
            match done.recv_timeout(CANCEL_STEP) {
                Ok(result) => return result.map_err(failure),
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("a bug in a request to a server")),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    task.abort();
                    return Err(io::Error::other("the work was cancelled"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Does what may fail for a reason that passes, more than once where it does.
    pub fn trying<T>(&self, cancel: &Cancel, mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut breaks = 0;
        loop {
            match work() {
                Err(cause) if is_passing(&cause) && breaks < MOST_BREAKS && !cancel.is_cancelled() => {
                    self.pause(FIRST_PAUSE * 2_u32.pow(breaks), cancel)?;
                    breaks += 1;
                }
                done => return done,
            }
        }
    }

    fn pause(&self, time: Duration, cancel: &Cancel) -> io::Result<()> {
        self.wait(cancel, async move {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }

    /// Asks for an object, or a range of it, of one version where that has a tag.
    pub fn get(&self, range: Option<GetRange>, tag: Option<&str>, cancel: &Cancel) -> io::Result<GetResult> {
        let (store, key) = (self.store.clone(), self.key.clone());
        let options = GetOptions { range, if_match: tag.map(str::to_owned), ..GetOptions::default() };
        self.wait(cancel, async move { store.get_opts(&key, options).await })
    }

    /// Some bytes of an object.
    pub fn range(&self, range: Range<u64>, tag: Option<&str>, cancel: &Cancel) -> io::Result<(Stamp, bytes::Bytes)> {
        let result = self.get(Some(GetRange::Bounded(range)), tag, cancel)?;
        let stamp = stamp_of(&result.meta);
        Ok((stamp, self.wait(cancel, result.bytes())?))
    }
}

/// What tells versions of an object apart.
pub(super) fn stamp_of(meta: &object_store::ObjectMeta) -> Stamp {
    Stamp::of_object(meta.size, meta.last_modified.into(), meta.e_tag.as_deref())
}

/// The threads that send and receive, and the servers that were asked.
struct Connections {
    runtime: OfProcess<Runtime>,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Connections {
    /// Those of this process, which a child made by `fork()` cannot use.
    fn of_process() -> io::Result<Arc<Self>> {
        static CONNECTIONS: Mutex<Option<Arc<Connections>>> = Mutex::new(None);
        let mut connections = lock(&CONNECTIONS);
        if let Some(ours) = connections.as_ref().filter(|connections| connections.runtime.get().is_ok()) {
            return Ok(ours.clone());
        }
        // It may be there already, for other connections of the process.
        _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("longattn-remote").enable_all().build()?;
        let ours = Arc::new(Self { runtime: OfProcess::new(runtime), stores: Mutex::default() });
        *connections = Some(ours.clone());
        Ok(ours)
    }

    /// The server or bucket with a name, which is made known where it is not.
    fn store(
        &self,
        name: String,
        make: impl FnOnce(&str) -> object_store::Result<Arc<dyn ObjectStore>>,
    ) -> io::Result<Arc<dyn ObjectStore>> {
        let mut stores = lock(&self.stores);
        if let Some(store) = stores.get(&name) {
            return Ok(store.clone());
        }
        let store = make(&name).map_err(failure)?;
        stores.insert(name, store.clone());
        Ok(store)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bucket, with what the environment says of it.
fn bucket_store(scheme: &str, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    macro_rules! store {
        ($builder:ident, $key:ident) => {{
            let builder = $builder::from_env().with_url(bucket);
            let builder = builder.with_config($key::Client(ClientConfigKey::Timeout), WHOLE);
            Arc::new(builder.with_config($key::Client(ClientConfigKey::ReadTimeout), SILENCE).build()?)
        }};
    }
    Ok(match scheme {
        "gs" => store!(GoogleCloudStorageBuilder, GoogleConfigKey),
        "az" => store!(MicrosoftAzureBuilder, AzureConfigKey),
        _ => store!(AmazonS3Builder, AmazonS3ConfigKey),
    })
}

/// A host, with the user and the query that a URL has.
fn http_store(url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    let mut base = url.clone();
    base.set_path("/");
    base.set_fragment(None);
    // Only URLs without a host have no place for them.
    _ = base.set_username("").and_then(|()| base.set_password(None));
    let options = ClientOptions::new().with_allow_http(true);
    let options =
        options.with_config(ClientConfigKey::Timeout, WHOLE).with_config(ClientConfigKey::ReadTimeout, SILENCE);
    let options = match user(url) {
        Some(user) => options.with_default_headers(HeaderMap::from_iter([(AUTHORIZATION, user)])),
        None => options,
    };
    let builder = HttpBuilder::new().with_url(base).with_client_options(options);
    Ok(Arc::new(builder.build()?))
}

/// What tells a server who asks.
fn user(url: &Url) -> Option<HeaderValue> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return None;
    }
    let user: Vec<u8> = percent_decode_str(url.username()).chain([b':']).chain(percent_decode_str(password)).collect();
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Why a request failed, in words that hold nothing of the request: URLs and answers of servers may have secrets in them.
pub(super) fn failure(error: object_store::Error) -> io::Error {
    use object_store::Error::*;
    let (kind, reason) = match &error {
        NotFound { .. } => (Cause::NotFound, "there is no such object, or no such bucket (404)".to_owned()),
        PermissionDenied { .. } => (
            Cause::PermissionDenied,
            "it is refused (403): check the credentials in the environment, and what they allow".to_owned(),
        ),
        Unauthenticated { .. } => (
            Cause::PermissionDenied,
            "the server does not know who asks (401): check the credentials in the environment".to_owned(),
        ),
        Precondition { .. } | NotModified { .. } => (Cause::StaleNetworkFileHandle, CHANGED.to_owned()),
        NotSupported { .. } | NotImplemented { .. } => {
            (Cause::Unsupported, "the server does not do what this takes".to_owned())
        }
        _ => (Cause::Other, reason(&error)),
    };
    io::Error::new(kind, reason)
}

/// Whether a failure may be another's next time.
fn is_passing(cause: &io::Error) -> bool {
    matches!(cause.kind(), Cause::Other | Cause::UnexpectedEof)
}

/// What is told of an object that is not what it was.
pub(super) const CHANGED: &str = "it was changed while it was read; read it again when it is whole";

/// The last of the causes of an error, which is of the system or of the library that sends requests; of an answer, no more than
/// its status.
fn reason(error: &object_store::Error) -> String {
    let mut cause = error.source();
    let mut last = None;
    while let Some(next) = cause {
        let text = next.to_string();
        if text.starts_with("Received redirect") {
            return "the bucket is in another region: set AWS_REGION".to_owned();
        }
        if let Some(answer) = text.strip_prefix("Server returned ") {
            // What follows is all that the server says.
            let status = answer.strip_prefix("non-2xx status code: ").and_then(|status| status.get(..3));
            return format!("the server answers {}", status.unwrap_or("with an error"));
        }
        last = Some(text);
        cause = next.source();
    }
    last.unwrap_or_else(|| "the request failed".to_owned())
}
