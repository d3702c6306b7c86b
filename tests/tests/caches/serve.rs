//! Pith's own server: the promises of every cache, and what it refuses.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, Barrier, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use store::{
    cache::{
        backend::{Backend, BackendError, BackendOptions, Credentials, ErrorClass, Need},
        format::{CacheName, ObjectRecord, RealisationSet},
        server::{CacheService, ServerOptions, Unsigned},
    },
    serve::{
        ListenError, ReadAccess, Scopes, Server, ServerEvent, ServerHandle, ServerLimits,
        TokenEntry,
    },
    trust::SecretKey,
};
use tempfile::TempDir;

use crate::{
    TestResult,
    conformance::{Cache, conforms},
    name, noise, open,
    samples::{Content, Sample, resolved},
};

/// A server over a directory of its own, stopped with this value.
pub(crate) struct Served {
    directory: TempDir,
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), ListenError>>>,
    pub(crate) reader: String,
    pub(crate) writer: String,
    both: String,
    refusals: Arc<Mutex<Vec<String>>>,
}

impl Served {
    /// Starts a server that everybody may read from, changed by `change`.
    pub(crate) fn start(change: impl FnOnce(&mut ServerOptions)) -> TestResult<Self> {
        let directory = tempfile::tempdir()?;
        let mut lines = Vec::new();
        let mut token = |name: &str, scopes| -> TestResult<String> {
            let (entry, token) = TokenEntry::generate(name.parse()?, scopes)?;
            lines.push(entry.to_string());
            Ok(token.to_string())
        };
        let reader = token("reader", Scopes::Read)?;
        let writer = token("writer", Scopes::Write)?;
        let both = token("both", Scopes::ReadWrite)?;
        let tokens = directory.path().join("tokens");
        fs::write(&tokens, lines.join("\n"))?;
        let cache = directory.path().join("cache");
        let refusals = Arc::new(Mutex::default());
        let told = Arc::clone(&refusals);
        let mut options = ServerOptions {
            read: ReadAccess::Public,
            tokens: Some(tokens),
            on_event: Some(Arc::new(move |event| tell(event, &told))),
            ..ServerOptions::new(cache.to_str().ok_or("a path of text")?.parse()?)
        };
        change(&mut options);
        let server = Server::bind("127.0.0.1:0".parse()?, CacheService::open(options)?)?;
        Ok(Self {
            directory,
            address: server.address(),
            handle: server.handle(),
            thread: Some(thread::spawn(|| server.run())),
            reader,
            writer,
            both,
            refusals,
        })
    }

    /// A client with a token, or without.
    pub(crate) fn client(&self, token: Option<&str>) -> TestResult<Box<dyn Backend>> {
        let credentials = token.map(|token| Credentials::Bearer(token.to_owned().into()));
        let options = BackendOptions {
            credentials,
            ..BackendOptions::default()
        };
        open(&format!("http://{}", self.address), &options)
    }

    /// The directory that it serves.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn path(&self, name: &CacheName) -> PathBuf {
        self.cache().join(name.to_string())
    }

    /// Writes a file and returns the status, or why it was refused.
    fn put(&self, (name, bytes): &(CacheName, Vec<u8>)) -> TestResult<String> {
        let head = format!(
            "PUT /{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Length: {}\r\n\r\n",
            self.writer,
            bytes.len()
        );
        let answer = self.ask(&[head.as_bytes(), bytes])?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        Ok(format!("{status} {}", body.trim_end())
            .trim_end()
            .to_owned())
    }

    /// Sends bytes over a connection of their own and returns everything that comes back.
    fn ask(&self, parts: &[&[u8]]) -> TestResult<String> {
        let mut stream = TcpStream::connect(self.address)?;
        for part in parts {
            stream.write_all(part)?;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn get(&self, path: &str, headers: &str) -> TestResult<String> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
        self.ask(&[head.as_bytes()])
    }

    pub(crate) fn stop(&mut self) -> TestResult {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| "the server panicked")??;
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

fn tell(event: &ServerEvent<'_>, told: &Mutex<Vec<String>>) {
    if let ServerEvent::Answered {
        status,
        token,
        refusal: Some(why),
        ..
    } = event
    {
        let token = token.map_or("nobody", |token| token.as_str());
        let line = format!("{status} {token}: {why}");
        told.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

fn key(name: &str) -> TestResult<SecretKey> {
    let seed = [*name.as_bytes().first().ok_or("a name")?; 32];
    Ok(SecretKey::from_seed(name.parse()?, &seed))
}

fn write(cache: &dyn Backend, files: &[(CacheName, Vec<u8>)]) -> Result<(), BackendError> {
    for (name, bytes) in files {
        cache.write(name, Bytes::from(bytes.clone()))?;
    }
    Ok(())
}

#[test]
fn the_server_conforms() -> TestResult {
    let served = Served::start(|_| ())?;
    conforms(&Cache {
        writer: served.client(Some(&served.both))?.into(),
        reader: served.client(None)?.into(),
        can_list: false,
        can_remove: false,
        content: Content::Checked,
    })
}

#[test]
fn who_may_do_what_is_asked_before_anything_else() -> TestResult {
    let served = Served::start(|options| options.read = ReadAccess::Tokens)?;
    let (log, bytes) = Content::Checked.small(1, 100);
    let class = |result: Result<(), BackendError>| match result {
        Ok(()) => "done".to_owned(),
        Err(BackendError::Denied { need, .. }) => match need {
            Need::Credentials { scheme } => format!("credentials {}", scheme.unwrap_or_default()),
            need => need.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let no = "the server does not allow it";
    for (token, reading, writing, writable) in [
        (None, "credentials Bearer", "credentials Bearer", false),
        (
            Some("wrong"),
            "credentials Bearer",
            "credentials Bearer",
            false,
        ),
        (Some(served.reader.as_str()), "done", no, false),
        (Some(served.writer.as_str()), no, "done", true),
        (Some(served.both.as_str()), "done", "done", true),
    ] {
        let client = served.client(token)?;
        let written = client.write(&log, Bytes::from(bytes.clone()));
        assert_eq!(class(written), writing, "{token:?}");
        let read = client.read(&name("cache.json"), 1000).map(drop);
        assert_eq!(class(read), reading, "{token:?}");
        assert_eq!(client.is_writable()?, writable, "{token:?}");
    }
    // A wrong token is no way to be nobody.
    let public = Served::start(|_| ())?;
    let info = name("cache.json");
    assert!(public.client(None)?.read(&info, 1000).is_ok());
    let wrong = public.client(Some("wrong"))?.read(&info, 1000);
    assert_eq!(class(wrong.map(drop)), "credentials Bearer");
    Ok(())
}

#[test]
fn a_large_file_that_is_refused_is_refused_and_not_cut_off() -> TestResult {
    let served = Served::start(|options| options.read = ReadAccess::Tokens)?;
    let (name, bytes) = Content::Checked.pack(1, 32 << 20);
    for _ in 0..5 {
        let written = served
            .client(None)?
            .write(&name, Bytes::from(bytes.clone()));
        assert_eq!(
            written.map_err(|error| error.class()),
            Err(ErrorClass::Denied)
        );
    }
    Ok(())
}

#[test]
fn a_token_that_is_taken_away_is_worth_nothing_at_once() -> TestResult {
    let served = Served::start(|_| ())?;
    let (log, bytes) = Content::Checked.small(1, 100);
    let client = served.client(Some(&served.writer))?;
    client.write(&log, Bytes::from(bytes.clone()))?;
    fs::write(served.directory.path().join("tokens"), "# none\n")?;
    let written = client.write(&log, Bytes::from(bytes));
    assert_eq!(
        written.map_err(|error| error.class()),
        Err(ErrorClass::Denied)
    );
    Ok(())
}

#[test]
fn what_is_not_what_its_name_says_is_refused() -> TestResult {
    let served = Served::start(|_| ())?;
    let sample = Sample::new(1, &noise(1, 5000))?;
    let other = Sample::new(2, &noise(2, 5000))?;
    let files = sample.files(&[])?;
    let others = other.files(&[])?;
    // Everything under the name of the other, garbage, and nothing.
    for ((name, bytes), (_, wrong)) in files.iter().zip(&others) {
        for wrong in [&wrong[..], &bytes[..bytes.len() - 2], b"", &noise(9, 99)] {
            let refused = served.put(&(name.clone(), wrong.to_vec()))?;
            // That a manifest is another object's is seen with the record.
            let is_manifest = matches!(name, CacheName::Manifest(_));
            if !(is_manifest && refused.starts_with("201")) {
                assert!(refused.starts_with("422 "), "{name}: {refused}");
                assert!(!served.path(name).exists() || is_manifest, "{name}");
            }
        }
    }
    for (name, status) in [
        ("n/hello", "422"),
        ("cache.json", "422"),
        ("p/../cache.json", "400"),
        ("nonsense", "400"),
    ] {
        let head = format!(
            "PUT /{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: 1\r\n\r\nx",
            served.writer
        );
        let answer = served.ask(&[head.as_bytes()])?;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{name}: {answer}"
        );
    }
    // All of it is taken in order.
    for file in &files {
        assert_eq!(served.put(file)?, "201", "{}", file.0);
    }
    Ok(())
}

#[test]
fn nothing_is_taken_before_what_it_rests_on() -> TestResult {
    let served = Served::start(|_| ())?;
    let sample = Sample::new(1, &noise(1, 5000))?;
    let (manifest, record, closure) = (
        sample.manifest_file()?,
        sample.record_file(&[])?,
        sample.closure_file()?,
    );
    let pack = &sample.packs[0];
    let missing = |name: &CacheName| format!("409 `{name}` has to be there before it");
    assert_eq!(served.put(&record)?, missing(&manifest.0));
    assert_eq!(served.put(&manifest)?, "201");
    assert_eq!(served.put(&record)?, missing(&pack.0));
    assert_eq!(served.put(&closure)?, missing(&pack.0));
    assert_eq!(served.put(pack)?, "201");
    // The manifest of another object.
    let other = Sample::new(2, &noise(2, 5000))?;
    served.put(&other.packs[0])?;
    let foreign = other.manifest_file()?.1;
    assert_eq!(served.put(&(manifest.0.clone(), foreign.clone()))?, "201");
    assert!(served.put(&record)?.starts_with("422 "));
    assert_eq!(served.put(&manifest)?, "201");
    assert_eq!(served.put(&record)?, "201");
    // Once there is a record the manifest has to fit it.
    let refused = served.put(&(manifest.0.clone(), foreign))?;
    assert!(refused.starts_with("422 "), "{refused}");
    assert_eq!(served.put(&manifest)?, "201");
    assert_eq!(served.put(&closure)?, "201");
    assert_eq!(served.put(&record)?, "200");
    Ok(())
}

#[test]
fn a_pack_that_is_too_short_for_its_manifest_is_seen() -> TestResult {
    let served = Served::start(|_| ())?;
    let sample = Sample::new(1, &noise(1, 5000))?;
    let (pack, bytes) = &sample.packs[0];
    served.put(&(pack.clone(), bytes.clone()))?;
    // Files of a cache are read-only.
    fs::remove_file(served.path(pack))?;
    fs::write(served.path(pack), &bytes[..100])?;
    served.put(&sample.manifest_file()?)?;
    let refused = served.put(&sample.record_file(&[])?)?;
    assert_eq!(
        refused,
        format!("422 its frame at 8 is behind the end of the pack `{pack}`")
    );
    // Who sends the pack again mends it.
    assert_eq!(served.put(&(pack.clone(), bytes.clone()))?, "201");
    assert_eq!(served.put(&sample.record_file(&[])?)?, "201");
    Ok(())
}

#[test]
fn signatures_and_realisations_of_all_who_push_at_once_are_kept() -> TestResult {
    const PUSHERS: u8 = 12;
    let served = Served::start(|_| ())?;
    let sample = Sample::new(1, &noise(1, 5000))?;
    write(
        served.client(Some(&served.writer))?.as_ref(),
        &sample.files(&[])?[..2],
    )?;
    let barrier = Barrier::new(usize::from(PUSHERS));
    let result: Result<Vec<()>, String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..PUSHERS)
            .map(|number| {
                let (served, sample, barrier) = (&served, &sample, &barrier);
                scope.spawn(move || {
                    let push = || -> TestResult {
                        let key = key(&format!("{}", char::from(b'a' + number)))?;
                        let client = served.client(Some(&served.writer))?;
                        let files = [
                            sample.record_file(&[&key])?,
                            sample.realisations_file(number.into(), &[&key])?,
                        ];
                        barrier.wait();
                        Ok(write(client.as_ref(), &files)?)
                    };
                    push().map_err(|error| error.to_string())
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a panic")?);
        joined.collect()
    });
    result?;
    let client = served.client(None)?;
    let record = CacheName::Object(*sample.record.info().path.digest());
    let record = ObjectRecord::decode(&client.read(&record, 1 << 20)?)?;
    assert_eq!(record.signatures.len(), usize::from(PUSHERS));
    let list = CacheName::Realisations(resolved(1));
    let list = RealisationSet::decode(&client.read(&list, 1 << 20)?, &resolved(1))?;
    assert_eq!(list.entries().len(), usize::from(PUSHERS));
    Ok(())
}

#[test]
fn records_that_contradict_each_other_are_not_merged() -> TestResult {
    let served = Served::start(|_| ())?;
    let sample = Sample::new(1, &noise(1, 5000))?;
    write(
        served.client(Some(&served.writer))?.as_ref(),
        &sample.files(&[])?,
    )?;
    // The same id with another root.
    let liar = Sample::new(1, &noise(2, 5000))?;
    served.put(&liar.packs[0])?;
    let refused = served.put(&liar.record_file(&[])?)?;
    assert!(
        refused.starts_with("409 it contradicts what is there"),
        "{refused}"
    );
    // The same object under another name.
    let mut entry = sample.realisation(8, &[])?;
    let digest = *entry.realisation.path.digest();
    entry.realisation.path = store::StorePath::new(digest, "other".parse()?);
    let mut set = RealisationSet::new(resolved(1));
    set.insert(entry)?;
    let refused = served.put(&(CacheName::Realisations(resolved(1)), set.encode()?))?;
    assert!(
        refused.starts_with("409 the record of its object"),
        "{refused}"
    );
    Ok(())
}

#[test]
fn signatures_of_the_servers_keys_are_verified() -> TestResult {
    let (known, stranger) = (key("known")?, key("stranger")?);
    let public = known.public();
    let served = Served::start(|options| options.keys = vec![public.clone()])?;
    let sample = Sample::new(1, &noise(1, 5000))?;
    let impostor = SecretKey::from_seed("known".parse()?, &[99; 32]);
    let client = served.client(Some(&served.writer))?;
    write(client.as_ref(), &sample.files(&[])?[..2])?;
    for file in [
        sample.record_file(&[&impostor])?,
        sample.realisations_file(1, &[&impostor])?,
    ] {
        assert_eq!(served.put(&file)?, "422 the signature of `known` is wrong");
    }
    // What strangers and nobody have signed is for clients to judge.
    for keys in [vec![], vec![&stranger], vec![&known, &stranger]] {
        assert_eq!(served.put(&sample.record_file(&keys)?)?, "201");
        served.put(&sample.realisations_file(1, &keys)?)?;
    }
    let info = client_info(&served)?;
    assert!(info.contains(&public.to_string()), "{info}");

    let strict = Served::start(|options| {
        options.keys = vec![public];
        options.unsigned = Unsigned::Refused;
    })?;
    let client = strict.client(Some(&strict.writer))?;
    write(client.as_ref(), &sample.files(&[])?[..2])?;
    let unsigned = "403 it is not signed by a key of this server";
    let unknown = "403 `stranger` is no key of this server";
    for (keys, expected) in [
        (vec![], unsigned),
        (vec![&stranger], unknown),
        (vec![&known, &stranger], unknown),
        (vec![&known], "201"),
    ] {
        for file in [
            sample.record_file(&keys)?,
            sample.realisations_file(1, &keys)?,
        ] {
            assert_eq!(strict.put(&file)?, expected, "{}", file.0);
        }
    }
    let unsigned_closure = strict.put(&sample.closure_file()?)?;
    assert_eq!(unsigned_closure, unsigned);
    Ok(())
}

fn client_info(served: &Served) -> TestResult<String> {
    let bytes = served.client(None)?.read(&name("cache.json"), 1 << 20)?;
    Ok(String::from_utf8(bytes)?)
}

#[test]
fn the_first_log_and_the_description_stay() -> TestResult {
    let served = Served::start(|_| ())?;
    let (log, bytes) = Content::Checked.small(1, 100);
    assert_eq!(served.put(&(log.clone(), bytes.clone()))?, "201");
    let (_, other) = Content::Checked.small(2, 100);
    assert_eq!(served.put(&(log.clone(), other))?, "200");
    assert_eq!(served.client(None)?.read(&log, 1000)?, bytes);
    let before = client_info(&served)?;
    let rogue = store::cache::format::CacheInfo {
        keys: vec![key("rogue")?.public()],
    };
    assert_eq!(served.put(&(name("cache.json"), rogue.encode()?))?, "200");
    assert_eq!(client_info(&served)?, before);
    Ok(())
}

#[test]
fn sizes_are_limited_before_a_byte_is_read() -> TestResult {
    let served = Served::start(|options| options.limits.file_bytes = 1000)?;
    let ask = |name: &CacheName, length: &str| -> TestResult<String> {
        let head = format!(
            "PUT /{name} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n{length}\r\n",
            served.writer
        );
        let mut stream = TcpStream::connect(served.address)?;
        stream.write_all(head.as_bytes())?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status)?;
        Ok(status.trim_end().to_owned())
    };
    let (pack, _) = Content::Checked.pack(1, 100);
    let too_large = "HTTP/1.1 413 Payload Too Large";
    assert_eq!(ask(&pack, "Content-Length: 1001\r\n")?, too_large);
    assert_eq!(ask(&pack, "Content-Length: 99999999999999\r\n")?, too_large);
    assert_eq!(ask(&name("n/x"), "Content-Length: 42\r\n")?, too_large);
    assert_eq!(
        ask(&pack, "Transfer-Encoding: chunked\r\n")?,
        "HTTP/1.1 411 Length Required"
    );
    Ok(())
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() -> TestResult {
    let served = Served::start(|options| {
        options.limits.requests_per_second = 1;
        options.limits.burst = 3;
    })?;
    let client = served.client(None)?;
    let info = name("cache.json");
    for _ in 0..3 {
        client.read(&info, 1000)?;
    }
    match client.read(&info, 1000) {
        Err(BackendError::Busy {
            code: 429,
            retry_after: Some(wait),
            ..
        }) => assert!(wait <= Duration::from_secs(2), "{wait:?}"),
        other => return Err(format!("{other:?}").into()),
    }
    // So are wrong tokens.
    let guess = served.client(Some("wrong"))?.read(&info, 1000);
    assert_eq!(guess.map_err(|error| error.class()), Err(ErrorClass::Busy));
    // Another client is another one, and whether the server lives may always be asked.
    let named = served.client(Some(&served.reader))?;
    assert!(named.read(&info, 1000).is_ok());
    assert!(served.get("/healthz", "")?.starts_with("HTTP/1.1 200"));
    Ok(())
}

#[test]
fn memory_for_files_is_given_out_and_no_more() -> TestResult {
    let served = Served::start(|options| {
        options.limits = ServerLimits {
            body_bytes: 2000,
            queue: Duration::from_millis(200),
            ..options.limits
        }
    })?;
    let (pack, bytes) = Content::Checked.pack(1, 1500);
    let head = |length: usize| {
        format!(
            "PUT /{pack} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n",
            served.writer
        )
    };
    // One client that has its turn, as the server says, and sends nothing.
    let mut slow = BufReader::new(TcpStream::connect(served.address)?);
    slow.get_mut().write_all(head(bytes.len()).as_bytes())?;
    let mut line = String::new();
    slow.read_line(&mut line)?;
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    let refused = served.put(&(pack.clone(), bytes.clone()))?;
    assert_eq!(refused, "503 too much else is being written");
    // When it is done, the next one gets its turn.
    slow.get_mut().write_all(&bytes)?;
    slow.read_line(&mut line)?;
    slow.read_line(&mut line)?;
    assert!(line.contains("201 Created"), "{line}");
    assert_eq!(served.put(&(pack.clone(), bytes.clone()))?, "201");
    Ok(())
}

#[test]
fn slow_clients_are_left() -> TestResult {
    let served = Served::start(|options| {
        options.limits.head = Duration::from_millis(200);
        options.limits.stall = Duration::from_millis(200);
        options.limits.min_bytes = 1 << 20;
    })?;
    // No head, half a head, and a body that does not come.
    let (pack, _) = Content::Checked.pack(1, 100);
    let put = format!(
        "PUT /{pack} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\nx",
        served.writer
    );
    for (sent, status) in [("", ""), ("GET /cache.json HT", ""), (&put, "408")] {
        let answer = served.ask(&[sent.as_bytes()])?;
        let found = answer.split(' ').nth(1).unwrap_or_default();
        assert!(
            found == status || status.is_empty() && found == "408",
            "{answer}"
        );
    }
    // Who takes nothing of what it asked for: the buffers of two sockets have room for less.
    let (pack, bytes) = Content::Checked.pack(2, 32 << 20);
    let path = served.path(&pack);
    fs::create_dir_all(path.parent().ok_or("a folder")?)?;
    fs::write(path, &bytes)?;
    let mut stream = TcpStream::connect(served.address)?;
    write!(stream, "GET /{pack} HTTP/1.1\r\nHost: h\r\n\r\n")?;
    let mut metrics = String::new();
    while !metrics.contains("pith_cache_connections 1\n") {
        metrics = served.get("/metrics", "")?;
    }
    let mut got = Vec::new();
    // It ends before the file does, in whatever way.
    drop(stream.read_to_end(&mut got));
    assert!(got.len() < bytes.len(), "{}", got.len());
    Ok(())
}

#[test]
fn an_address_has_so_many_connections_and_no_more() -> TestResult {
    let served = Served::start(|options| options.limits.connections_per_client = 2)?;
    let ask = |stream: &mut TcpStream| -> TestResult<String> {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")?;
        let mut status = String::new();
        // A connection that was closed may say so by a reset.
        drop(BufReader::new(stream).read_line(&mut status));
        Ok(status)
    };
    let mut streams = [
        TcpStream::connect(served.address)?,
        TcpStream::connect(served.address)?,
    ];
    for stream in &mut streams {
        assert_eq!(ask(stream)?, "HTTP/1.1 200 OK\r\n");
    }
    let mut third = TcpStream::connect(served.address)?;
    assert_eq!(ask(&mut third).unwrap_or_default(), "");
    Ok(())
}

#[test]
fn heads_say_what_caches_on_the_way_may_keep() -> TestResult {
    let served = Served::start(|_| ())?;
    let (pack, bytes) = Content::Checked.pack(1, 1000);
    served.put(&(pack.clone(), bytes))?;
    let whole = served.get(&format!("/{pack}"), "")?;
    assert!(
        whole.contains("cache-control: public, max-age=31536000, immutable\r\n"),
        "{whole}"
    );
    assert!(
        served
            .get("/cache.json", "")?
            .contains("cache-control: no-cache\r\n")
    );
    let part = served.get(&format!("/{pack}"), "Range: bytes=990-2000\r\n")?;
    assert!(part.starts_with("HTTP/1.1 206 "), "{part}");
    assert!(
        part.contains("content-range: bytes 990-999/1000\r\n"),
        "{part}"
    );
    let behind = served.get(&format!("/{pack}"), "Range: bytes=1000-\r\n")?;
    assert!(behind.starts_with("HTTP/1.1 416 "), "{behind}");
    assert!(
        behind.contains("content-range: bytes */1000\r\n"),
        "{behind}"
    );
    let none = served.get("/../tokens", "")?;
    assert!(none.starts_with("HTTP/1.1 404 "), "{none}");
    Ok(())
}

#[test]
fn a_request_that_is_in_the_middle_ends_before_the_server_does() -> TestResult {
    let mut served = Served::start(|_| ())?;
    let (pack, bytes) = Content::Checked.pack(1, 1500);
    let mut stream = BufReader::new(TcpStream::connect(served.address)?);
    let head = format!(
        "PUT /{pack} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: 1500\r\n\r\n",
        served.writer
    );
    stream.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    served.handle.shutdown();
    // Nobody new is let in; when that is so, the socket is closed.
    while TcpStream::connect(served.address).is_ok() {
        thread::yield_now();
    }
    stream.get_mut().write_all(&bytes)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.contains("201 Created"), "{answer}");
    served.stop()?;
    assert_eq!(fs::read(served.path(&pack))?, bytes);
    Ok(())
}

#[test]
fn the_owner_hears_of_refusals_and_not_of_tokens() -> TestResult {
    let served = Served::start(|_| ())?;
    let (pack, _) = Content::Checked.pack(1, 100);
    served.put(&(pack, b"nonsense".to_vec()))?;
    drop(
        served
            .client(Some("secret-token"))?
            .read(&name("cache.json"), 9),
    );
    let told = served
        .refusals
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    assert_eq!(
        told,
        [
            "422 writer: its name is not its digest, or it is no pack",
            "401 nobody: the token is not known"
        ]
    );
    let metrics = served.get("/metrics", "")?;
    for line in [
        "pith_cache_requests_total{method=\"PUT\",status=\"422\"} 1\n",
        "pith_cache_requests_total{method=\"GET\",status=\"401\"} 1\n",
        "pith_cache_received_bytes_total 8\n",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    Ok(())
}

#[test]
fn only_directories_of_this_store_are_served() -> TestResult {
    let bind = |url: &str| -> TestResult<String> {
        let service = CacheService::open(ServerOptions::new(url.parse()?));
        Ok(service.expect_err("no service").to_string())
    };
    assert_eq!(
        bind("s3://bucket")?,
        "`s3://bucket` is no directory, and only those are served"
    );
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a path of text")?;
    fs::write(
        directory.path().join("cache.json"),
        r#"{"version":1,"store_dir":"/nix/store","keys":[]}"#,
    )?;
    assert_eq!(bind(path)?, format!("`{path}` cannot be served"));
    assert_eq!(
        bind(&format!("{path}/a/b"))?,
        "the cache's directory cannot be used"
    );
    Ok(())
}
