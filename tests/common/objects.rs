//! Objects on a server of this machine: files over HTTP, and buckets as S3 has them. It keeps what it was asked, and
//! misbehaves where a test wants it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longattn::digest::Digest;
use percent_encoding::percent_decode_str;

/// A request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub range: Option<Range<usize>>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply {
    /// What it should.
    Proper,
    /// A status and nothing else.
    Status(u16),
    /// So many bytes, and then the end of the connection.
    BreakOff(usize),
    /// The whole object, whatever part was asked for.
    Whole,
    /// The whole object, and nothing that tells versions apart.
    WithoutTag,
    /// A byte every 50 milliseconds.
    Slow,
}

type Behaviour = Box<dyn FnMut(&Request) -> Reply + Send>;

struct State {
    objects: BTreeMap<String, Object>,
    behaviour: Behaviour,
    requests: Vec<Request>,
    bytes_sent: usize,
}

#[derive(Clone)]
struct Object {
    content: Vec<u8>,
    metadata: Vec<(String, String)>,
}

pub struct Objects {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Objects {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour: Behaviour = Box::new(|_| Reply::Proper);
        let state = State { objects: BTreeMap::new(), behaviour, requests: Vec::new(), bytes_sent: 0 };
        let state = Arc::new(Mutex::new(state));
        let served = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = served.clone();
                // A client that has gone is its own matter.
                std::thread::spawn(move || _ = answer(stream.unwrap(), &state));
            }
        });
        Self { port, state }
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        let object = Object { content: content.into(), metadata: Vec::new() };
        self.state.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().objects.get(path).map(|object| object.content.clone())
    }

    /// Does with each request what `behaviour` says.
    pub fn behave(&self, behaviour: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.state.lock().unwrap().behaviour = Box::new(behaviour);
    }

    /// Takes what was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// Bytes of objects that were sent.
    pub fn bytes_sent(&self) -> usize {
        self.state.lock().unwrap().bytes_sent
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let (method, query) = (method.to_owned(), query.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    let range = headers.get("range").and_then(|range| {
        let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some(start.parse().ok()?..end.parse().map_or(usize::MAX, |last: usize| last + 1))
    });
    Ok(Some(Request { method, path, query, range, headers, body }))
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let Some(request) = read_request(&stream)? else { return Ok(()) };
    let (reply, head, body) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let reply = (state.behaviour)(&request);
        let (head, body) = match reply {
            Reply::Status(status) => (format!("HTTP/1.1 {status} S\r\nContent-Length: 0\r\n"), Vec::new()),
            reply => respond(&mut state, &request, reply),
        };
        (reply, head, body)
    };
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let most = if let Reply::BreakOff(bytes) = reply { bytes } else { body.len() };
    let piece = if reply == Reply::Slow { 1 } else { 1 << 16 };
    for piece in body[..most.min(body.len())].chunks(piece) {
        if reply == Reply::Slow {
            std::thread::sleep(Duration::from_millis(50));
        }
        stream.write_all(piece)?;
        state.lock().unwrap().bytes_sent += piece.len();
    }
    Ok(())
}

fn respond(state: &mut State, request: &Request, reply: Reply) -> (String, Vec<u8>) {
    let plain =
        |status: &str, body: Vec<u8>| (format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len()), body);
    if request.method == "PUT" {
        let metadata = request
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-amz-meta-") || name.starts_with("x-goog-meta-"));
        let metadata = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
        let object = Object { content: request.body.clone(), metadata };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: {}\r\n", tag(&object));
        state.objects.insert(request.path.clone(), object);
        return (head, Vec::new());
    }
    if request.query.contains("list-type=2") {
        return plain("200 OK", list(state, request).into_bytes());
    }
    if !["GET", "HEAD"].contains(&&*request.method) {
        return plain("405 Method Not Allowed", Vec::new());
    }
    let Some(object) = state.objects.get(&request.path).cloned() else { return plain("404 Not Found", Vec::new()) };
    let tag = tag(&object);
    if request.headers.get("if-match").is_some_and(|asked| *asked != tag) {
        return plain("412 Precondition Failed", Vec::new());
    }
    let all = object.content.len();
    let range = request.range.clone().filter(|_| !matches!(reply, Reply::Whole | Reply::WithoutTag));
    let (status, content) = match range {
        Some(range) => {
            let range = range.start..range.end.min(all);
            let head = format!("206 Partial Content\r\nContent-Range: bytes {}-{}/{all}", range.start, range.end - 1);
            (head, object.content[range].to_vec())
        }
        None => ("200 OK".to_owned(), object.content),
    };
    let (mut head, body) = plain(&status, content);
    if reply != Reply::WithoutTag {
        head += &format!("ETag: {tag}\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
    }
    head.extend(object.metadata.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    (head, body)
}

fn tag(object: &Object) -> String {
    format!("\"{}\"", &Digest::of(&object.content).to_string()[..32])
}

/// What S3, and Google's storage by the same interface, answer who asks for the objects of a bucket.
fn list(state: &State, request: &Request) -> String {
    let prefix = request.query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
    let bucket = format!("{}/", request.path.trim_end_matches('/'));
    let prefix = prefix.replace("%2F", "/");
    let keys = state.objects.iter().filter_map(|(path, object)| Some((path.strip_prefix(&bucket)?, object)));
    let contents = keys.filter(|(key, _)| key.starts_with(&prefix)).map(|(key, object)| {
        let (size, tag) = (object.content.len(), tag(object).replace('"', "&quot;"));
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.123Z</LastModified><ETag>{tag}</ETag>\
             <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    });
    let contents: String = contents.collect();
    format!("<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
}
