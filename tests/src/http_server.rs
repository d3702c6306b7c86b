//! An HTTP server on loopback whose answers a test writes, down to wrong ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query, as they came.
    pub path: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// Returns a header, named in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the range `bytes=START-LAST` as the first byte and the one behind the last.
    #[must_use]
    pub fn range(&self) -> Option<(usize, usize)> {
        let (start, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some((start.parse().ok()?, last.parse::<usize>().ok()? + 1))
    }
}

/// What happens after the body was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The connection is used again.
    Keep,
    /// It is closed.
    Close,
    /// Nothing more is sent until the client leaves.
    Hang,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers but for the length.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// What is said to be sent: the length of the body by default; `None` sends it in chunks.
    pub length: Option<usize>,
    /// What comes after it.
    pub then: Then,
}

impl Reply {
    /// Returns an answer with a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: Vec::new(),
            length: Some(body.len()),
            body,
            then: Then::Keep,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends the body in chunks, without its length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.length = None;
        self
    }

    /// Says another length than that of the body, and closes or hangs behind it.
    #[must_use]
    pub fn claiming(mut self, length: usize, then: Then) -> Self {
        self.length = Some(length);
        self.then = then;
        self
    }
}

type Handler = dyn Fn(&Asked) -> Option<Reply> + Send + Sync;

/// Answers until it is dropped, each connection on a thread of its own.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    handler: Box<Handler>,
    asked: Mutex<Vec<Asked>>,
    /// To be shut down when the server stops.
    connections: Mutex<Vec<TcpStream>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl HttpServer {
    /// Starts a server on a free port. Where `handler` has no reply, nothing is said until the client leaves.
    #[must_use]
    pub fn start(handler: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            handler: Box::new(handler),
            asked: Mutex::default(),
            connections: Mutex::default(),
        });
        let mine = Arc::clone(&shared);
        let thread = thread::spawn(move || accept(&listener, &mine));
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// Returns the URL of a path, which starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns host and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what was asked so far, without the bodies.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Wakes the thread up; it may have gone already.
        drop(TcpStream::connect(self.address));
        for connection in lock(&self.shared.connections).drain(..) {
            drop(connection.shutdown(std::net::Shutdown::Both));
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            continue;
        };
        if let Ok(second) = stream.try_clone() {
            lock(&shared.connections).push(second);
        }
        let shared = Arc::clone(shared);
        // A client that goes away in the middle is its own affair.
        thread::spawn(move || drop(serve(&stream, &shared)));
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_request(&mut reader)? {
        lock(&shared.asked).push(Asked {
            method: asked.method.clone(),
            path: asked.path.clone(),
            headers: asked.headers.clone(),
            body: Vec::new(),
        });
        let Some(reply) = (shared.handler)(&asked) else {
            return hang(&mut reader);
        };
        send(stream, &asked, &reply)?;
        match reply.then {
            Then::Keep => {}
            Then::Close => return stream.shutdown(std::net::Shutdown::Both),
            Then::Hang => return hang(&mut reader),
        }
    }
    Ok(())
}

/// Waits until the client leaves.
fn hang(reader: &mut BufReader<&TcpStream>) -> io::Result<()> {
    io::copy(reader, &mut io::sink()).map(drop)
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked {
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        headers,
        body,
    }))
}

fn send(mut stream: &TcpStream, asked: &Asked, reply: &Reply) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes everything");
    }
    match reply.length {
        // RFC 9110, 8.6: never with this status.
        Some(_) if reply.status == 204 => {}
        Some(length) => {
            write!(head, "Content-Length: {length}\r\n").expect("a string takes everything");
        }
        None => head.push_str("Transfer-Encoding: chunked\r\n"),
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if asked.method == "HEAD" || reply.status == 204 {
        return Ok(());
    }
    if reply.length.is_some() {
        return stream.write_all(&reply.body);
    }
    for chunk in reply.body.chunks(1 << 16) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Files that are read, written and removed by HTTP, as a cache's server does it; optionally by who knows a token.
#[derive(Debug)]
pub struct FileTree {
    server: HttpServer,
}

impl FileTree {
    /// Starts a server; with `token`, `PUT` and `DELETE` need `Authorization: Bearer` with it.
    #[must_use]
    pub fn start(token: Option<&str>) -> Self {
        let files: Mutex<BTreeMap<String, Arc<Vec<u8>>>> = Mutex::default();
        let wanted = token.map(|token| format!("Bearer {token}"));
        let server = HttpServer::start(move |asked| {
            let is_known = wanted
                .as_deref()
                .is_none_or(|wanted| asked.header("authorization") == Some(wanted));
            Some(tree_reply(asked, &files, is_known))
        });
        Self { server }
    }

    /// Returns the URL of a path, which starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }
}

fn tree_reply(
    asked: &Asked,
    files: &Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
    is_known: bool,
) -> Reply {
    let is_read = matches!(asked.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    if !is_read && !is_known {
        return match asked.header("authorization") {
            None => Reply::new(401, "").with("WWW-Authenticate", "Bearer realm=\"cache\""),
            Some(_) => Reply::new(403, ""),
        };
    }
    match asked.method.as_str() {
        "PUT" => {
            let body = Arc::new(asked.body.clone());
            let old = lock(files).insert(asked.path.clone(), body);
            Reply::new(if old.is_some() { 204 } else { 201 }, "")
        }
        "DELETE" => {
            let old = lock(files).remove(&asked.path);
            Reply::new(if old.is_some() { 204 } else { 404 }, "")
        }
        "OPTIONS" => Reply::new(204, "").with("Allow", "GET, HEAD, PUT, DELETE"),
        _ => {
            let file = lock(files).get(&asked.path).cloned();
            file.map_or_else(|| Reply::new(404, "none"), |file| part_reply(asked, &file))
        }
    }
}

/// Answers with a file, or with the part of it that is asked for.
#[must_use]
pub fn part_reply(asked: &Asked, file: &[u8]) -> Reply {
    let Some((start, end)) = asked.range() else {
        return Reply::new(200, file);
    };
    let end = end.min(file.len());
    match file.get(start..end).filter(|part| !part.is_empty()) {
        None => Reply::new(416, "").with("Content-Range", format!("bytes */{}", file.len())),
        Some(part) => Reply::new(206, part).with(
            "Content-Range",
            format!("bytes {start}-{}/{}", end - 1, file.len()),
        ),
    }
}

/// Asks the server at `address` what a client asked, and returns what it says; 502 where it says nothing.
#[must_use]
pub fn pass_on(address: &str, asked: &Asked) -> Reply {
    let fetch = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "{} {} HTTP/1.1\r\nConnection: close\r\n",
            asked.method, asked.path
        )?;
        for (name, value) in asked
            .headers
            .iter()
            .filter(|(name, _)| *name != "connection")
        {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        stream.write_all(&asked.body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = fetch().unwrap_or_default();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(0);
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(502);
    let mut reply = Reply::new(status, answer.get(end + 4..).unwrap_or_default());
    for line in head.lines().skip(1) {
        if let Some((name, value)) = line.split_once(": ")
            && !["content-length", "connection", "transfer-encoding"]
                .contains(&name.to_ascii_lowercase().as_str())
        {
            reply = reply.with(name, value);
        }
    }
    reply
}
