//! What is answered to whom.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, HeaderMap, RANGE, WWW_AUTHENTICATE},
};

use super::{
    Refusal, ServerError, ServerOptions,
    check::Checker,
    shelf::{Outcome, Shelf},
};
use crate::{
    cache::{
        backend::{Backend as _, BackendError, Directory},
        format::{CacheInfo, CacheName, MAX_JSON},
    },
    net::percent_decode,
    serve::{
        self as reply, Caller, Denied, Gate, GateOptions, Question, Reply, Service, blocking, cut,
    },
};

/// A cache's directory, and who may use it.
#[derive(Debug)]
pub struct CacheService {
    gate: Gate,
    shelf: Shelf,
    checker: Checker,
}

impl CacheService {
    /// Opens the directory and makes it a cache if it is none yet. Blocks.
    pub fn open(options: ServerOptions) -> Result<Self, ServerError> {
        let cache = options.cache.to_string();
        let directory = Directory::of(&options.cache).ok_or_else(|| ServerError::NoDirectory {
            cache: cache.clone(),
        })?;
        describe(&directory, &options, &cache)?;
        Ok(Self {
            shelf: Shelf::new(directory, options.limits.file_bytes),
            checker: Checker::new(&options.keys, options.unsigned),
            gate: Gate::new(GateOptions {
                read: options.read,
                public_write: false,
                tokens: options.tokens,
                limits: options.limits,
                on_event: options.on_event,
                counters: "cache",
            })?,
        })
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
        let mut answer = reply::ranged(body, part.as_ref(), size);
        let cached = match is_fixed && !is_nothing {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        reply::set(&mut answer, CACHE_CONTROL, cached);
        if is_sent {
            self.gate.count_sent(length);
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
        let (part, sent) = cut(range, size);
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
            .ok_or(Denied::NoLength)?;
        let limits = self.gate.limits();
        let limit = name
            .max_bytes()
            .min(limits.file_bytes)
            .min(limits.body_bytes);
        if length > limit {
            return Err(Denied::TooLarge { limit }.into());
        }
        let turn = self.gate.turn(length).await?;
        let bytes = self.gate.receive(length, body.take()).await?;
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
                self.gate.count_stored();
                reply::empty(StatusCode::CREATED)
            }
            Outcome::Known => reply::empty(StatusCode::OK),
        })
    }
}

impl Service for CacheService {
    type Refusal = Refusal;

    fn gate(&self) -> &Gate {
        &self.gate
    }

    async fn health(self: &Arc<Self>) -> Result<(), Refusal> {
        let shared = Arc::clone(self);
        blocking(move || Ok(shared.shelf.size(&CacheName::Info).map(drop)?)).await
    }

    async fn answer(
        self: &Arc<Self>,
        question: Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, Refusal> {
        let caller = &question.caller;
        if question.is_read() {
            caller.needs(caller.may_read)?;
            let name = name_of(&question.path).ok_or(Refusal::Absent)?;
            return self.read(name, &question.method, &question.headers).await;
        }
        if question.method == Method::PUT {
            caller.needs(caller.may_write)?;
            let name = name_of(&question.path).ok_or(Refusal::Name)?;
            return self.write(name, &question.headers, body).await;
        }
        if question.method == Method::OPTIONS {
            return allowed(caller);
        }
        Err(Refusal::Method)
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut reply = reply::text(status, format!("{}\n", refusal.public_text()));
        match refusal {
            Refusal::Denied(Denied::NoToken) => {
                reply::set(&mut reply, WWW_AUTHENTICATE, "Bearer realm=\"pith cache\"");
            }
            Refusal::Denied(Denied::WrongToken) => reply::set(
                &mut reply,
                WWW_AUTHENTICATE,
                "Bearer realm=\"pith cache\", error=\"invalid_token\"",
            ),
            Refusal::Method => reply::set(&mut reply, ALLOW, "GET, HEAD, PUT, OPTIONS"),
            _ => {}
        }
        reply
    }

    fn retry_after(refusal: &Refusal) -> Option<u64> {
        match refusal {
            Refusal::Denied(denied) => denied.retry_after(),
            _ => None,
        }
    }

    fn explain(refusal: &Refusal) -> String {
        refusal.text()
    }
}

/// The part that was asked for, the size of the file, and what is sent.
type Found = (Option<Range<u64>>, u64, reply::Body);

/// Says what a client may do.
fn allowed(caller: &Caller) -> Result<Reply, Refusal> {
    caller.needs(caller.may_read || caller.may_write)?;
    let methods = match (caller.may_read, caller.may_write) {
        (true, true) => "GET, HEAD, PUT, OPTIONS",
        (false, _) => "PUT, OPTIONS",
        (true, false) => "GET, HEAD, OPTIONS",
    };
    let mut answer = reply::empty(StatusCode::NO_CONTENT);
    reply::set(&mut answer, ALLOW, methods);
    Ok(answer)
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

/// Returns the name of a file that a path stands for.
fn name_of(path: &str) -> Option<CacheName> {
    percent_decode(path.strip_prefix('/')?)?.parse().ok()
}
