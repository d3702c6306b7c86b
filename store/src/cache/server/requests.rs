//! What is answered to whom.

use std::{
    net::IpAddr,
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{
        ACCEPT_RANGES, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue, RANGE,
    },
};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};

use super::{
    OnEvent, ReadAccess, Refusal, ServerError, ServerEvent, ServerLimits, ServerOptions,
    check::Checker,
    limits::{Client, Connections, Rates},
    metrics::Metrics,
    pace::Progress,
    range::{Wanted, wanted},
    reply::{self, Reply},
    shelf::{Outcome, Shelf},
    tokens::{TokenEntry, TokenFile},
};
use crate::cache::{
    backend::{Backend as _, BackendError, Directory, percent_decode},
    format::{CacheInfo, CacheName, MAX_JSON},
};

/// Memory for files is given out in units of so many bytes.
const UNIT: u64 = 1 << 10;
/// How long what a refused client sends is taken, so that it reads why instead of finding the connection closed.
const LINGER: Duration = Duration::from_secs(5);

/// Everything that requests share.
pub(super) struct Shared {
    shelf: Shelf,
    checker: Checker,
    tokens: Option<TokenFile>,
    read: ReadAccess,
    pub(super) limits: ServerLimits,
    rates: Rates,
    writes: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    on_event: Option<OnEvent>,
    started: Instant,
    pub(super) metrics: Metrics,
    pub(super) connections: Connections,
}

/// Who asks, and what they may.
struct Caller {
    token: Option<Arc<TokenEntry>>,
    may_read: bool,
    may_write: bool,
}

impl Shared {
    /// Opens the directory and makes it a cache if it is none yet. Blocks.
    pub(super) fn open(options: ServerOptions) -> Result<Self, ServerError> {
        let cache = options.cache.to_string();
        let directory = Directory::of(&options.cache).ok_or_else(|| ServerError::NoDirectory {
            cache: cache.clone(),
        })?;
        let tokens = options.tokens.as_deref().map(TokenFile::open).transpose()?;
        describe(&directory, &options, &cache)?;
        let limits = options.limits;
        let units = usize::try_from(limits.body_bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        Ok(Self {
            shelf: Shelf::new(directory, limits.file_bytes),
            checker: Checker::new(&options.keys, options.unsigned),
            tokens,
            read: options.read,
            rates: Rates::new(&limits),
            writes: semaphore(limits.writes),
            memory: semaphore(units),
            limits,
            on_event: options.on_event,
            started: Instant::now(),
            metrics: Metrics::default(),
            connections: Connections::default(),
        })
    }

    pub(super) fn tell(&self, event: &ServerEvent<'_>) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn answer(
        self: Arc<Self>,
        client: IpAddr,
        request: Request<Incoming>,
    ) -> Reply {
        let started = Instant::now();
        let in_flight = self.metrics.begin();
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        let caller = self.caller(&head.headers);
        let token = caller.as_ref().ok().and_then(|caller| caller.token.clone());
        let path = head.uri.path();
        let outcome = match caller {
            // Who tries tokens has no more tries than anybody has requests.
            Err(refusal) => self
                .admit(Client::Address(client))
                .and_then(|()| Err(refusal)),
            Ok(caller) => {
                let question = Question {
                    method: &head.method,
                    path,
                    headers: &head.headers,
                    client,
                    caller,
                };
                self.route(question, &mut body).await
            }
        };
        let (answer, why) = match outcome {
            Ok(answer) => (answer, None),
            Err(refusal) => (reply::refusal(&refusal), Some(refusal)),
        };
        // Who asks before sending reads the answer first.
        let is_sent = !head.headers.contains_key(EXPECT);
        if let Some(body) = body.filter(|_| why.is_some() && is_sent) {
            self.drain(body).await;
        }
        let took = started.elapsed();
        let status = answer.status().as_u16();
        drop(in_flight);
        self.metrics.answered(head.method.as_str(), status, took);
        self.tell(&ServerEvent::Answered {
            client,
            token: token.as_ref().map(|token| &token.name),
            method: head.method.as_str(),
            path,
            status,
            refusal: why.map(|refusal| refusal.text()),
            took,
        });
        answer
    }

    /// Finds out who asks.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let is_public = self.read == ReadAccess::Public;
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Ok(Caller {
                token: None,
                may_read: is_public,
                may_write: false,
            });
        };
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let (Some(token), Some(tokens)) = (token, &self.tokens) else {
            return Err(Refusal::WrongToken);
        };
        let found = tokens.find(token).inspect_err(|error| {
            self.tell(&ServerEvent::TokensUnreadable { error });
        });
        let entry = found.ok().flatten().ok_or(Refusal::WrongToken)?;
        Ok(Caller {
            may_read: is_public || entry.scopes.can_read(),
            may_write: entry.scopes.can_write(),
            token: Some(entry),
        })
    }

    fn admit(&self, client: Client) -> Result<(), Refusal> {
        self.rates
            .admit(client, self.started.elapsed())
            .map_err(|wait| Refusal::Rate { wait })
    }

    async fn route(
        self: &Arc<Self>,
        question: Question<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, Refusal> {
        let is_read = matches!(*question.method, Method::GET | Method::HEAD);
        if is_read && question.path == "/healthz" {
            return self.health().await;
        }
        let client = match &question.caller.token {
            Some(token) => Client::Token(token.name.clone()),
            None => Client::Address(question.client),
        };
        self.admit(client)?;
        if is_read {
            question.caller.needs(question.caller.may_read)?;
            if question.path == "/metrics" {
                return Ok(self.metrics());
            }
            let name = name_of(question.path).ok_or(Refusal::Absent)?;
            return self.read(name, question.method, question.headers).await;
        }
        if *question.method == Method::PUT {
            question.caller.needs(question.caller.may_write)?;
            let name = name_of(question.path).ok_or(Refusal::Name)?;
            return self.write(name, question.headers, body).await;
        }
        if *question.method == Method::OPTIONS {
            return question.caller.allowed();
        }
        Err(Refusal::Method)
    }

    async fn health(self: &Arc<Self>) -> Result<Reply, Refusal> {
        let shared = Arc::clone(self);
        blocking(move || Ok(shared.shelf.size(&CacheName::Info)?)).await?;
        Ok(reply::text(StatusCode::OK, "ok\n"))
    }

    fn metrics(&self) -> Reply {
        let mut answer = reply::text(StatusCode::OK, self.metrics.render());
        reply::set(&mut answer, CONTENT_TYPE, "text/plain; version=0.0.4");
        answer
    }

    async fn read(
        self: &Arc<Self>,
        name: CacheName,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Reply, Refusal> {
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
        let range = range.map(str::to_owned);
        let is_fixed = name.is_content_addressed();
        let is_sent = *method == Method::GET;
        let shared = Arc::clone(self);
        let (part, size, body) =
            blocking(move || shared.open_file(&name, range.as_deref(), is_sent)).await?;
        let length = part.as_ref().map_or(size, |part| part.end - part.start);
        let is_nothing = part.as_ref().is_some_and(Range::is_empty);
        let mut answer = reply::bytes(body, length);
        let cached = match is_fixed && !is_nothing {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        reply::set(&mut answer, CACHE_CONTROL, cached);
        reply::set(&mut answer, ACCEPT_RANGES, "bytes");
        if let Some(part) = part {
            let (status, range) = if is_nothing {
                (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{size}"))
            } else {
                (
                    StatusCode::PARTIAL_CONTENT,
                    format!("bytes {}-{}/{size}", part.start, part.end - 1),
                )
            };
            *answer.status_mut() = status;
            if let Ok(range) = HeaderValue::from_str(&range) {
                answer.headers_mut().insert(CONTENT_RANGE, range);
            }
        }
        if is_sent {
            self.metrics.sent_bytes.fetch_add(length, Relaxed);
        }
        Ok(answer)
    }

    /// Opens a file and what is wanted of it. The part is empty if the file has not so many bytes. Blocks.
    fn open_file(
        &self,
        name: &CacheName,
        range: Option<&str>,
        is_sent: bool,
    ) -> Result<Found, Refusal> {
        let (file, size) = self.shelf.directory.open(name)?;
        let (part, sent) = match wanted(range, size) {
            Wanted::Whole => (None, 0..size),
            Wanted::Part(part) => (Some(part.clone()), part),
            Wanted::Nothing => (Some(size..size), size..size),
        };
        if !is_sent {
            return Ok((part, size, reply::whole(Bytes::new())));
        }
        let body = reply::part_of(file, sent).map_err(|source| {
            Refusal::Directory(BackendError::File(crate::FileError {
                action: "read",
                path: name.to_string().into(),
                source,
            }))
        })?;
        Ok((part, size, body))
    }

    async fn write(
        self: &Arc<Self>,
        name: CacheName,
        headers: &HeaderMap,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, Refusal> {
        let length: u64 = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .ok_or(Refusal::NoLength)?;
        let limit = name
            .max_bytes()
            .min(self.limits.file_bytes)
            .min(self.limits.body_bytes);
        if length > limit {
            return Err(Refusal::TooLarge { limit });
        }
        let turn = async {
            let write = Arc::clone(&self.writes).acquire_owned().await;
            let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX);
            let memory = Arc::clone(&self.memory).acquire_many_owned(units).await;
            Some((write.ok()?, memory.ok()?))
        };
        let turn = timeout(self.limits.queue, turn).await.ok().flatten();
        let turn = turn.ok_or(Refusal::Busy)?;
        let bytes = self.receive(length, body.take()).await?;
        self.metrics.received_bytes.fetch_add(length, Relaxed);
        let shared = Arc::clone(self);
        let store = move || {
            let outcome = shared.shelf.store(&shared.checker, &name, bytes);
            // Here, since this goes on when the client leaves.
            drop(turn);
            outcome
        };
        let outcome = blocking(store).await?;
        Ok(match outcome {
            Outcome::Stored => {
                self.metrics.stored_files.fetch_add(1, Relaxed);
                reply::empty(StatusCode::CREATED)
            }
            Outcome::Known => reply::empty(StatusCode::OK),
        })
    }

    /// Receives a file of exactly `length` bytes, within the time that so many may take.
    async fn receive(&self, length: u64, body: Option<Incoming>) -> Result<Bytes, Refusal> {
        let mut body = body.ok_or(Refusal::Broken)?;
        let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
        let mut progress = Progress::new(self.limits.stall, self.limits.min_bytes);
        loop {
            let frame = timeout_at(progress.until(), body.frame()).await;
            let frame = match frame.map_err(|_elapsed| Refusal::Slow)? {
                None => break,
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Err(Refusal::Broken),
            };
            if let Ok(piece) = frame.into_data() {
                if (bytes.len() + piece.len()) as u64 > length {
                    return Err(Refusal::Broken);
                }
                progress.moved(piece.len());
                bytes.extend_from_slice(&piece);
            }
        }
        if bytes.len() as u64 == length {
            Ok(bytes.freeze())
        } else {
            Err(Refusal::Broken)
        }
    }

    /// Takes what a refused client is about to send.
    async fn drain(&self, mut body: Incoming) {
        let all = async {
            let mut left = self.limits.file_bytes;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, |piece| piece.len() as u64);
                match left.checked_sub(length) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        drop(timeout(LINGER, all).await);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

/// The part that was asked for, the size of the file, and what is sent.
type Found = (Option<Range<u64>>, u64, reply::Body);

/// A request without its body, and who asks it.
struct Question<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
    client: IpAddr,
    caller: Caller,
}

impl Caller {
    fn needs(&self, is_allowed: bool) -> Result<(), Refusal> {
        match (is_allowed, &self.token) {
            (true, _) => Ok(()),
            (false, None) => Err(Refusal::NoToken),
            (false, Some(_)) => Err(Refusal::Scope),
        }
    }

    /// Says what this client may do.
    fn allowed(&self) -> Result<Reply, Refusal> {
        self.needs(self.may_read || self.may_write)?;
        let methods = match (self.may_read, self.may_write) {
            (true, true) => "GET, HEAD, PUT, OPTIONS",
            (false, _) => "PUT, OPTIONS",
            (true, false) => "GET, HEAD, OPTIONS",
        };
        let mut answer = reply::empty(StatusCode::NO_CONTENT);
        reply::set(&mut answer, ALLOW, methods);
        Ok(answer)
    }
}

/// Makes a directory a cache, or makes sure that it is one of this store directory.
fn describe(
    directory: &Directory,
    options: &ServerOptions,
    cache: &str,
) -> Result<(), ServerError> {
    let failed = |source| ServerError::Cache {
        cache: cache.to_owned(),
        source,
    };
    let found = match directory.read(&CacheName::Info, MAX_JSON as u64) {
        Ok(bytes) => Some(bytes),
        Err(BackendError::Absent { .. }) => None,
        // The directory itself is made by the first write.
        Err(BackendError::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => {
            None
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(bytes) = found {
        CacheInfo::decode(&bytes).map_err(failed)?;
        return Ok(());
    }
    let info = CacheInfo {
        keys: options.keys.clone(),
    };
    let bytes = info.encode().map_err(failed)?;
    directory.write(&CacheName::Info, bytes.into())?;
    Ok(directory.flush()?)
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

/// Returns the name of a file that a path stands for.
fn name_of(path: &str) -> Option<CacheName> {
    percent_decode(path.strip_prefix('/')?)?.parse().ok()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    // It is taken back only when the server ends.
    spawn_blocking(work).await.map_err(|_| Refusal::Stopped)?
}
