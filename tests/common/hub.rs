//! A hub of one repository on this machine, and the content server that it redirects to. Both count what they send, and
//! misbehave where a test wants it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};

pub const REPOSITORY: &str = "tiny/llama";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Which of the two servers was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Hub,
    Content,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub server: Server,
    pub method: String,
    pub path: String,
    pub range: Option<Range<usize>>,
    pub authorization: Option<String>,
}

/// What a server does with a request; `None` is what it should do.
pub type Misbehaviour = Option<Reply>;

#[derive(Clone, Debug)]
pub enum Reply {
    /// A status with further header lines.
    Status(u16, &'static str),
    /// The whole file with status 200.
    Whole,
    /// Another `Content-Range` than asked for.
    WrongRange,
    /// So many bytes more, or fewer, than asked for, with a `Content-Length` to match.
    WrongLength(isize),
    /// So many bytes, and then the end of the connection.
    BreakOff(usize),
    /// Only the hub: a redirect to this address.
    Redirect(&'static str),
}

type Behaviour = Box<dyn FnMut(&Request) -> Misbehaviour + Send>;

struct State {
    files: BTreeMap<String, Vec<u8>>,
    content_port: u16,
    behaviour: Behaviour,
    requests: Vec<Request>,
    bytes_sent: usize,
}

pub struct Hub {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self::misbehaving(files, |_| None)
    }

    /// A hub whose servers do with each request what `behaviour` says.
    pub fn misbehaving(
        files: BTreeMap<String, Vec<u8>>,
        behaviour: impl FnMut(&Request) -> Misbehaviour + Send + 'static,
    ) -> Self {
        let [hub, content] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, content_port] = [&hub, &content].map(|listener| listener.local_addr().unwrap().port());
        let behaviour = Box::new(behaviour);
        let state = State { files, content_port, behaviour, requests: Vec::new(), bytes_sent: 0 };
        let state = Arc::new(Mutex::new(state));
        for (server, listener) in [(Server::Hub, hub), (Server::Content, content)] {
            let state = state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    // A client that has gone is its own matter.
                    _ = answer(server, stream.unwrap(), &state);
                }
            });
        }
        Self { port, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Bytes that both servers sent, heads of responses included.
    pub fn bytes_sent(&self) -> usize {
        self.state.lock().unwrap().bytes_sent
    }

    pub fn behave(&self, behaviour: impl FnMut(&Request) -> Misbehaviour + Send + 'static) {
        self.state.lock().unwrap().behaviour = Box::new(behaviour);
    }
}

fn answer(server: Server, mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let Some(request) = read_request(server, &stream)? else { return Ok(()) };
    let (head, body) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let misbehaviour = (state.behaviour)(&request);
        let (head, body) = respond(&state, &request, misbehaviour);
        let body = if request.method == "HEAD" { Vec::new() } else { body };
        state.bytes_sent += head.len() + body.len();
        (head, body)
    };
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

fn read_request(server: Server, stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let mut parts = first.split(' ');
    let (method, path) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
    let mut request = Request { server, method, path, range: None, authorization: None };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "range" => {
                let (first, last) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                request.range = Some(first.parse().unwrap()..last.parse::<usize>().unwrap() + 1);
            }
            _ => {}
        }
    }
    Ok(Some(request))
}

/// The head and the body of a response.
fn respond(state: &State, request: &Request, misbehaviour: Misbehaviour) -> (String, Vec<u8>) {
    let status = |status: u16, headers: &str| {
        (format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n"), Vec::new())
    };
    match misbehaviour {
        Some(Reply::Status(code, headers)) => return status(code, headers),
        Some(Reply::Redirect(address)) => return status(302, &format!("Location: {address}\r\n")),
        _ => {}
    }
    let name = request.path.split('?').next().unwrap().rsplit('/').next().unwrap();
    let commit = format!("X-Repo-Commit: {COMMIT}\r\n");
    let resolved = format!("/{REPOSITORY}/resolve/");
    let revision = request.path.strip_prefix(&resolved).map(|rest| rest.split('/').next().unwrap());
    match (request.server, revision) {
        (Server::Hub, None) => return status(404, "X-Error-Code: RepoNotFound\r\n"),
        (Server::Hub, Some(revision)) if ![COMMIT, "main", "refs%2Fpr%2F1"].contains(&revision) => {
            return status(404, "X-Error-Code: RevisionNotFound\r\n");
        }
        _ => {}
    }
    let Some(file) = state.files.get(name) else {
        return status(404, &format!("X-Error-Code: EntryNotFound\r\n{commit}"));
    };
    if request.server == Server::Hub && name.ends_with(".safetensors") {
        let linked = format!("X-Linked-Size: {}\r\nX-Linked-ETag: \"{name}\"\r\n", file.len());
        let address = format!("http://127.0.0.1:{}/signed/{name}?signature=secret", state.content_port);
        return status(302, &format!("{commit}{linked}Location: {address}\r\n"));
    }
    let range = request.range.clone().unwrap_or(0..file.len());
    let bytes = file[range.clone()].to_vec();
    let (range, bytes, length) = match misbehaviour {
        Some(Reply::Whole) => (None, file.clone(), file.len()),
        Some(Reply::WrongRange) => (Some(range.start + 1..range.end + 1), bytes, range.len()),
        Some(Reply::WrongLength(more)) => {
            let length = range.len().strict_add_signed(more);
            (Some(range), file.iter().cycle().take(length).copied().collect(), length)
        }
        Some(Reply::BreakOff(count)) => {
            let length = range.len();
            (Some(range), bytes[..count.min(length)].to_vec(), length)
        }
        _ => (request.range.as_ref().map(|_| range), bytes.clone(), bytes.len()),
    };
    let (status, content_range) = match range {
        Some(range) => (206, format!("Content-Range: bytes {}-{}/{}\r\n", range.start, range.end - 1, file.len())),
        None => (200, String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\nETag: \"{name}\"\r\n{commit}{content_range}\r\n"
    );
    (head, bytes)
}
