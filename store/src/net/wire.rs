//! One request, one answer.

use std::{
    fmt,
    io::Read as _,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, Response,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION},
    redirect::Policy,
};
use tokio::time::timeout;
use url::Url;

use super::{Body, Io, NetError, NetOptions, client_builder};

/// Hops after which a chain of redirects is given up.
const MAX_REDIRECTS: usize = 10;
/// Idle connections to one server that are kept.
const MAX_IDLE: usize = 64;
/// Pieces in which a large body goes out; progress is seen by the piece.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes of an error's text that are read, and how long, so that the connection can be used again.
const MAX_ERROR: usize = 64 << 10;
const ERROR_LIMIT: Duration = Duration::from_secs(1);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until an answer begins, the connection included.
    pub(crate) answer: Duration,
    /// Until an answer begins once the last byte of something to be kept has gone out.
    pub(crate) stored: Duration,
    /// In this time …
    pub(crate) stall: Duration,
    /// … so many bytes have to move.
    pub(crate) min_bytes: u64,
}

impl Default for Patience {
    /// 5 s for an answer, 60 s for a server that has to bring a pack to its disk, 10 KiB/s over 15 s.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(5),
            stored: Duration::from_secs(60),
            stall: Duration::from_secs(15),
            min_bytes: 150 << 10,
        }
    }
}

/// The value of an `Authorization` header.
#[derive(Clone)]
pub(crate) struct Authorization(HeaderValue);

impl Authorization {
    /// Returns `None` for what cannot stand in a header.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization")
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// For the server of `url` alone.
    pub(crate) authorization: Option<Authorization>,
    pub(crate) body: Option<Bytes>,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            body: None,
        }
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

/// What came back; any status but that of a redirect that was followed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// How many bytes the body has, if the server said so.
    pub(crate) length: Option<u64>,
    /// The first bytes of what a server says that did not do what it was asked.
    pub(crate) problem: Vec<u8>,
    /// Of an answer that is no refusal.
    pub(crate) body: Body,
}

impl Answer {
    /// Reads the body, but not more than `limit` bytes of it: the rest is left out.
    pub(crate) fn read_up_to(self, limit: u64) -> std::io::Result<Vec<u8>> {
        let expected = self.length.unwrap_or(0).min(limit);
        let mut bytes = Vec::with_capacity(usize::try_from(expected.min(1 << 26)).unwrap_or(0));
        self.body.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Sends requests; connections are kept and shared by all threads.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Arc<Io>,
    client: reqwest::Client,
    patience: Patience,
}

impl Wire {
    pub(crate) fn new(options: &NetOptions, patience: Patience) -> Result<Self, NetError> {
        Ok(Self {
            io: Arc::new(Io::new()?),
            client: client(options, patience)?,
            patience,
        })
    }

    /// Sends a request, following the redirects of `GET` and `HEAD`, and waits for the head of the answer.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, NetError> {
        let mut url = request.url.clone();
        let mut authorization = request.authorization.as_ref();
        for _ in 0..=MAX_REDIRECTS {
            let mut response = self.io.wait(self.exchange(request, &url, authorization))?;
            let mut problem = Vec::new();
            if response.status().as_u16() >= 300 {
                self.io.wait(drain(&mut response, &mut problem));
            }
            let Some(next) = redirect(request, &url, &response)? else {
                return Ok(self.answer(response, problem));
            };
            if next.origin() != url.origin() {
                authorization = None;
            }
            url = next;
        }
        Err(NetError::Redirect {
            to: shown(&url),
            reason: "it was redirected too often",
        })
    }

    fn answer(&self, response: Response, problem: Vec<u8>) -> Answer {
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            length: response.content_length(),
            problem,
            body: Body::new(Arc::clone(&self.io), response, self.patience),
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Response, NetError> {
        let mut headers = request.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(Authorization(value)) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let builder = self
            .client
            .request(request.method.clone(), url.clone())
            .headers(headers);
        match &request.body {
            Some(body) => upload(builder, body, self.patience).await,
            None if request.is_read() => within(self.patience.answer, builder.send()).await,
            None => within(self.patience.stored, builder.send()).await,
        }
    }
}

/// A client that leaves redirects and time limits but that for connections to its caller.
pub(crate) fn client(
    options: &NetOptions,
    patience: Patience,
) -> Result<reqwest::Client, NetError> {
    let builder = client_builder(options, None)?
        .redirect(Policy::none())
        .pool_max_idle_per_host(MAX_IDLE)
        // The kernel's own stall detection, for peers that acknowledge nothing or never open their window.
        .tcp_user_timeout(patience.stall);
    builder.build().map_err(|error| NetError::Client {
        message: super::chain(&error),
    })
}

async fn within(
    limit: Duration,
    send: impl Future<Output = reqwest::Result<Response>>,
) -> Result<Response, NetError> {
    match timeout(limit, send).await {
        Ok(result) => Ok(result?),
        Err(_elapsed) => Err(NetError::Silent { limit }),
    }
}

/// Sends a body, watching that it moves.
async fn upload(
    builder: RequestBuilder,
    body: &Bytes,
    patience: Patience,
) -> Result<Response, NetError> {
    if body.len() <= PIECE_BYTES {
        return within(patience.stored, builder.body(body.clone()).send()).await;
    }
    let total = body.len() as u64;
    let gone = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&gone);
    let body = body.clone();
    let pieces = (0..body.len()).step_by(PIECE_BYTES).map(move |start| {
        let piece = body.slice(start..body.len().min(start + PIECE_BYTES));
        counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(piece)
    });
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let builder = builder.header(CONTENT_LENGTH, total).body(stream);
    let mut send = pin!(builder.send());
    let mut seen = 0;
    loop {
        let all_gone = gone.load(Ordering::Relaxed) == total;
        let limit = if all_gone {
            patience.stored
        } else {
            patience.stall
        };
        if let Ok(result) = timeout(limit, &mut send).await {
            return Ok(result?);
        }
        if all_gone {
            return Err(NetError::Silent { limit });
        }
        let now = gone.load(Ordering::Relaxed);
        if now < total && now - seen < patience.min_bytes {
            return Err(NetError::Stalled {
                min_bytes: patience.min_bytes,
                period: patience.stall,
            });
        }
        seen = now;
    }
}

/// Reads a refusal. Who cannot send that either loses the connection, nothing else.
async fn drain(response: &mut Response, problem: &mut Vec<u8>) {
    let all = async {
        while let Ok(Some(piece)) = response.chunk().await {
            problem.extend_from_slice(&piece);
            if problem.len() > MAX_ERROR {
                return;
            }
        }
    };
    drop(timeout(ERROR_LIMIT, all).await);
}

/// Returns where an answer to a reading request sends the client, `None` if nowhere.
fn redirect(request: &Request, url: &Url, response: &Response) -> Result<Option<Url>, NetError> {
    if !request.is_read() || !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok());
    let Some(next) = location.and_then(|location| url.join(location).ok()) else {
        return Ok(None);
    };
    match (url.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(Some(next)),
        (_, "http") => Err(NetError::Redirect {
            to: shown(&next),
            reason: "it is not encrypted",
        }),
        _ => Err(NetError::Redirect {
            to: shown(&next),
            reason: "it is neither http nor https",
        }),
    }
}

/// An address without credentials and without its query, which may be a signature.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    super::without_credentials(url.as_str())
}
