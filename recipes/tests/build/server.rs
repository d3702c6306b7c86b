//! A web server on a loopback port that answers as it is told, once per request.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The whole file, or the range that was asked for.
    File(Vec<u8>),
    /// The whole file, whatever was asked for.
    WholeFile(Vec<u8>),
    /// A status, with more header lines.
    Status(u16, &'static str),
    /// The length of the file, but only so many of its bytes.
    Truncated(Vec<u8>, usize),
    /// So many bytes of the file, then nothing for as long as anybody waits.
    Stalled(Vec<u8>, usize),
    /// A redirect.
    Redirect(String),
}

/// A request that came in: its path and its header lines in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Answers the n-th request by the n-th answer, and all further ones by the last.
pub(crate) struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (answers, seen) = (answers.clone(), Arc::clone(&seen));
                // A client that leaves in the middle is its own business.
                thread::spawn(move || drop(serve(stream, &answers, &seen)));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &[Answer],
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        headers.push(line.to_lowercase());
    }
    let request = Request { path, headers };
    let number = {
        let mut seen = seen.lock().expect("no panic");
        seen.push(request.clone());
        seen.len() - 1
    };
    let answer = answers
        .get(number)
        .or(answers.last())
        .expect("at least one answer");
    let head = |status: &str, length: usize, more: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n")
    };
    match answer {
        Answer::File(bytes) => {
            let from: Option<usize> = request.header("range").and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            });
            match from {
                Some(from) if from < bytes.len() => {
                    let range = format!(
                        "Content-Range: bytes {from}-{}/{}\r\n",
                        bytes.len() - 1,
                        bytes.len()
                    );
                    stream.write_all(
                        head("206 Partial Content", bytes.len() - from, &range).as_bytes(),
                    )?;
                    stream.write_all(&bytes[from..])?;
                }
                Some(_) => stream.write_all(head("416 Range Not Satisfiable", 0, "").as_bytes())?,
                None => {
                    stream.write_all(head("200 OK", bytes.len(), "").as_bytes())?;
                    stream.write_all(bytes)?;
                }
            }
        }
        Answer::WholeFile(bytes) => {
            stream.write_all(head("200 OK", bytes.len(), "").as_bytes())?;
            stream.write_all(bytes)?;
        }
        Answer::Status(code, more) => {
            stream.write_all(head(&format!("{code} No"), 0, more).as_bytes())?;
        }
        Answer::Truncated(bytes, count) => {
            stream.write_all(head("200 OK", bytes.len(), "").as_bytes())?;
            stream.write_all(&bytes[..*count])?;
        }
        Answer::Stalled(bytes, count) => {
            stream.write_all(head("200 OK", bytes.len(), "").as_bytes())?;
            stream.write_all(&bytes[..*count])?;
            stream.flush()?;
            // Until the client hangs up; a bound for the case that it does not.
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            drop(std::io::Read::read(&mut stream, &mut [0]));
        }
        Answer::Redirect(to) => {
            stream.write_all(head("302 Found", 0, &format!("Location: {to}\r\n")).as_bytes())?;
        }
    }
    stream.flush()?;
    stream.shutdown(Shutdown::Write)
}
