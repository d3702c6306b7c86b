//! Servers that lie, dawdle or die.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use bytes::Bytes;
use nix::sys::socket::{Backlog, listen};
use store::{
    cache::backend::{Backend, BackendError, BackendOptions, Corruption, ErrorClass},
    net::{NetError, Timeouts},
};
use tests::http_server::{Asked, HttpServer, Reply, Then, part_reply};

use crate::{TestResult, noise, open, pack};

const SIZE: usize = 10_000;

/// So little patience that only those use it who find out what happens without.
fn impatient() -> BackendOptions {
    let mut options = BackendOptions {
        answer: Duration::from_millis(300),
        stored: Duration::from_millis(300),
        ..BackendOptions::default()
    };
    options.net.timeouts = Timeouts {
        connect: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        min_bytes: 1000,
        ..options.net.timeouts
    };
    options
}

/// As much patience with the beginning of an answer as a busy machine needs, and little with the rest of it.
fn dawdling() -> BackendOptions {
    BackendOptions {
        answer: BackendOptions::default().answer,
        ..impatient()
    }
}

fn patient() -> BackendOptions {
    BackendOptions::default()
}

fn file() -> Vec<u8> {
    noise(1, SIZE)
}

/// What becomes of a part of a file that a server answers with `reply`.
fn part(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Result<Vec<u8>, BackendError> {
    let server = HttpServer::start(move |asked| Some(reply(asked)));
    let cache = open(&server.url(""), &patient()).expect("the address is one");
    read_part(cache.as_ref())
}

fn read_part(cache: &dyn Backend) -> Result<Vec<u8>, BackendError> {
    let mut bytes = Vec::new();
    cache
        .open_range(&pack(1), 1000..5000)?
        .read_to_end(&mut bytes)
        .map_err(|error| BackendError::from_read(error, "the part"))?;
    Ok(bytes)
}

fn problem(result: Result<Vec<u8>, BackendError>) -> TestResult<Corruption> {
    match result {
        Err(BackendError::Corrupt { problem, .. }) => Ok(problem),
        other => Err(format!("{other:?}").into()),
    }
}

fn silence(result: Result<Vec<u8>, BackendError>) -> TestResult<NetError> {
    match result {
        Err(BackendError::Unreachable { source, .. }) => Ok(source),
        other => Err(format!("{other:?}").into()),
    }
}

#[test]
fn a_part_is_taken_from_the_whole_file_where_a_server_knows_no_parts() -> TestResult {
    let expected = file()[1000..5000].to_vec();
    assert_eq!(part(|_| Reply::new(200, file()))?, expected);
    assert_eq!(part(|_| Reply::new(200, file()).chunked())?, expected);
    assert_eq!(part(|asked| part_reply(asked, &file()))?, expected);
    assert_eq!(
        part(|asked| part_reply(asked, &file()).chunked())?,
        expected
    );
    Ok(())
}

#[test]
fn other_parts_are_corrupt() -> TestResult {
    let range = |found| Corruption::Range {
        expected: (1000, 5000),
        found,
    };
    let claiming = |text: &'static str| {
        part(move |_| Reply::new(206, &file()[..4000]).with("Content-Range", text))
    };
    assert_eq!(
        problem(claiming("bytes 0-3999/10000"))?,
        range(Some((0, 4000)))
    );
    assert_eq!(
        problem(claiming("bytes 1000-4000/10000"))?,
        range(Some((1000, 4001)))
    );
    assert_eq!(problem(claiming("bytes */10000"))?, range(None));
    assert_eq!(problem(claiming("octets 1000-4999/10000"))?, range(None));
    assert_eq!(
        problem(part(|_| Reply::new(206, &file()[1000..5000])))?,
        range(None)
    );
    Ok(())
}

#[test]
fn parts_of_another_length_are_corrupt() -> TestResult {
    let sending = |length: usize| {
        move |_: &Asked| {
            let range = "bytes 1000-4999/10000";
            Reply::new(206, &file()[1000..1000 + length]).with("Content-Range", range)
        }
    };
    let length = |expected, found| Corruption::Length { expected, found };
    assert_eq!(problem(part(sending(3999)))?, length(4000, 3999));
    assert_eq!(problem(part(sending(4001)))?, length(4000, 4001));
    assert_eq!(
        problem(part(move |asked| sending(3999)(asked).chunked()))?,
        length(4000, 3999)
    );
    assert_eq!(
        problem(part(move |asked| sending(4001)(asked).chunked()))?,
        Corruption::Overlong { expected: 4000 }
    );
    // The whole file, but it is too short.
    let short = |length: usize| move |_: &Asked| Reply::new(200, &file()[..length]);
    assert_eq!(problem(part(short(4999)))?, length(5000, 4999));
    assert_eq!(
        problem(part(move |asked| short(4999)(asked).chunked()))?,
        length(4000, 3999)
    );
    assert_eq!(
        problem(part(move |asked| short(10)(asked).chunked()))?,
        length(5000, 10)
    );
    assert_eq!(problem(part(|_| Reply::new(416, "")))?, length(5000, 0));
    Ok(())
}

#[test]
fn a_connection_that_breaks_is_no_end() -> TestResult {
    let broken = |asked: &Asked| part_reply(asked, &file()).claiming(4000, Then::Close);
    let found = silence(part(move |asked| Reply {
        body: file()[1000..3000].to_vec(),
        ..broken(asked)
    }))?;
    assert!(matches!(found, NetError::Connection { .. }), "{found:?}");
    Ok(())
}

#[test]
fn a_server_that_falls_silent_is_left() -> TestResult {
    let started = Instant::now();
    let server = HttpServer::start(|asked| {
        Some(Reply {
            body: file()[1000..1100].to_vec(),
            ..part_reply(asked, &file()).claiming(4000, Then::Hang)
        })
    });
    let cache = open(&server.url(""), &dawdling())?;
    let found = silence(read_part(cache.as_ref()))?;
    assert!(
        matches!(
            found,
            NetError::Stalled {
                min_bytes: 1000,
                ..
            }
        ),
        "{found:?}"
    );
    let server = HttpServer::start(|_| None);
    let cache = open(&server.url(""), &impatient())?;
    assert!(matches!(
        silence(read_part(cache.as_ref()))?,
        NetError::Silent { .. }
    ));
    // Bounded: two limits, and what a busy machine adds.
    assert!(started.elapsed() < Duration::from_secs(20));
    Ok(())
}

#[test]
fn a_server_that_takes_a_pack_and_says_nothing_is_left() -> TestResult {
    let server = HttpServer::start(|_| None);
    let cache = open(&server.url(""), &impatient())?;
    let written = cache.write(&pack(1), Bytes::from(noise(1, 1 << 20)));
    let silent = matches!(
        written,
        Err(BackendError::Unreachable {
            source: NetError::Silent { .. },
            ..
        })
    );
    assert!(silent, "{written:?}");
    Ok(())
}

#[test]
fn a_server_that_does_not_read_what_it_is_sent_is_left() -> TestResult {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    // Accepted and never read.
    let accepted = std::thread::spawn(move || listener.accept());
    let cache = open(&format!("http://{address}"), &impatient())?;
    let written = cache.write(&pack(1), Bytes::from(noise(1, 32 << 20)));
    assert_eq!(
        written.map_err(|error| error.class()),
        Err(ErrorClass::Unreachable)
    );
    drop(accepted.join());
    Ok(())
}

#[test]
fn a_file_without_end_is_read_up_to_the_limit() -> TestResult {
    let read = |reply: Reply| -> TestResult<Corruption> {
        let server = HttpServer::start(move |_| Some(reply.clone()));
        problem(open(&server.url(""), &patient())?.read(&pack(1), 1000))
    };
    let limit = Corruption::TooLarge { limit_bytes: 1000 };
    assert_eq!(
        read(Reply::new(200, "x").claiming(1 << 50, Then::Hang))?,
        limit
    );
    assert_eq!(read(Reply::new(200, vec![0; 64 << 20]).chunked())?, limit);
    Ok(())
}

#[test]
fn errors_without_end_are_not_read() -> TestResult {
    let server = HttpServer::start(|_| {
        Some(Reply::new(500, vec![0; 64 << 20]).claiming(1 << 50, Then::Hang))
    });
    let cache = open(&server.url(""), &patient())?;
    let class = cache.read(&pack(1), 1000).map_err(|error| error.class());
    assert_eq!(class, Err(ErrorClass::Failing));
    Ok(())
}

#[test]
fn redirects_end() -> TestResult {
    let server = HttpServer::start(|asked| {
        Some(match asked.path.strip_prefix("/file") {
            Some(_) => Reply::new(302, "").with("Location", "file:///etc/hostname"),
            None => Reply::new(302, "").with("Location", asked.path.clone()),
        })
    });
    let read = |path: &str| -> TestResult<String> {
        let cache = open(&server.url(path), &patient())?;
        Ok(silence(cache.read(&pack(1), 10))?.to_string())
    };
    assert!(read("/loop")?.ends_with("it was redirected too often"));
    assert_eq!(
        read("/file")?,
        "the server redirects to `file:///etc/hostname`: it is neither http nor https"
    );
    Ok(())
}

#[test]
fn nobody_there_is_found_out_at_once() -> TestResult {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    drop(listener);
    let cache = open(&format!("http://{address}"), &patient())?;
    let found = silence(cache.read(&pack(1), 10))?;
    assert!(matches!(found, NetError::Unreachable { .. }), "{found:?}");
    Ok(())
}

#[test]
fn a_connection_that_is_never_accepted_is_left() -> TestResult {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    // No more than one connection may wait, and it does; the next one gets no answer at all.
    listen(&listener, Backlog::new(0)?)?;
    let _waiting = TcpStream::connect(address)?;
    let cache = open(&format!("http://{address}"), &impatient())?;
    let started = Instant::now();
    silence(cache.read(&pack(1), 10))?;
    assert!(started.elapsed() < Duration::from_secs(20));
    Ok(())
}

#[test]
fn what_is_no_http_is_unreachable() -> TestResult {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"220 smtp.example ready\r\n")
    });
    let cache = open(&format!("http://{address}"), &patient())?;
    silence(cache.read(&pack(1), 10))?;
    drop(server.join());
    Ok(())
}
