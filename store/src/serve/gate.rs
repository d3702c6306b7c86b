//! Who may do what, how often, and with how much memory.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, StatusCode,
    body::{Body as _, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Denied, Reply, ServerEvent, ServerLimits, TokenEntry, TokenError,
    limits::{Client, Connections, Rates},
    metrics::Metrics,
    pace::Progress,
    reply,
    tokens::TokenFile,
};

/// Memory for files is given out in units of so many bytes.
const UNIT: u64 = 1 << 10;
/// How long what a refused client sends is taken, so that it reads why instead of finding the connection closed.
const LINGER: Duration = Duration::from_secs(5);

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAccess {
    /// Everybody.
    Public,
    /// Who has a token for it.
    Tokens,
}

/// Hears what happens, on any thread, one event after another or several at once. Slow ones make the server slow.
pub type OnEvent = Arc<dyn Fn(&ServerEvent<'_>) + Send + Sync>;

/// What a server's owner decides about clients.
#[derive(Clone)]
pub struct GateOptions {
    /// Who may read.
    pub read: ReadAccess,
    /// Whether everybody may write, too.
    pub public_write: bool,
    /// The file of tokens; without one nobody may do what not everybody may.
    pub tokens: Option<PathBuf>,
    /// How much of the machine clients get.
    pub limits: ServerLimits,
    /// Who hears of it.
    pub on_event: Option<OnEvent>,
    /// What counters are called: `pith_<this>_…`.
    pub counters: &'static str,
}

/// Who may do what, how often, and with how much memory.
pub struct Gate {
    options: GateOptions,
    tokens: Option<TokenFile>,
    rates: Rates,
    writes: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    started: Instant,
    metrics: Metrics,
    pub(super) connections: Connections,
}

/// Who asks, and what they may.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) token: Option<Arc<TokenEntry>>,
    /// Whether they may read.
    pub may_read: bool,
    /// Whether they may write.
    pub may_write: bool,
}

impl Caller {
    /// Refuses who may not.
    pub fn needs(&self, is_allowed: bool) -> Result<(), Denied> {
        match (is_allowed, &self.token) {
            (true, _) => Ok(()),
            (false, None) => Err(Denied::NoToken),
            (false, Some(_)) => Err(Denied::Scope),
        }
    }

    pub(super) fn client(&self, address: IpAddr) -> Client {
        match &self.token {
            Some(token) => Client::Token(token.name.clone()),
            None => Client::Address(address),
        }
    }
}

impl Gate {
    /// Reads the file of tokens, if there is one.
    pub fn new(options: GateOptions) -> Result<Self, TokenError> {
        let limits = &options.limits;
        let units = usize::try_from(limits.body_bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        Ok(Self {
            tokens: options.tokens.as_deref().map(TokenFile::open).transpose()?,
            rates: Rates::new(limits),
            writes: semaphore(limits.writes),
            memory: semaphore(units),
            started: Instant::now(),
            metrics: Metrics::new(options.counters),
            connections: Connections::default(),
            options,
        })
    }

    /// Returns how much of the machine clients get.
    #[must_use]
    pub const fn limits(&self) -> &ServerLimits {
        &self.options.limits
    }

    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts bytes of files that are sent.
    pub fn count_sent(&self, bytes: u64) {
        self.metrics.sent_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts bytes of files that were received.
    pub fn count_received(&self, bytes: u64) {
        self.metrics.received_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a file that was written.
    pub fn count_stored(&self) {
        self.metrics.stored_files.fetch_add(1, Relaxed);
    }

    /// Returns the counters as Prometheus reads them.
    #[must_use]
    pub fn counters(&self) -> Reply {
        let mut answer = reply::text(StatusCode::OK, self.metrics.render());
        reply::set(&mut answer, CONTENT_TYPE, "text/plain; version=0.0.4");
        answer
    }

    pub(super) fn tell(&self, event: &ServerEvent<'_>) {
        if let Some(on_event) = &self.options.on_event {
            on_event(event);
        }
    }

    /// Finds out who asks.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        let is_public = self.options.read == ReadAccess::Public;
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Ok(Caller {
                token: None,
                may_read: is_public,
                may_write: self.options.public_write,
            });
        };
        let token = header.to_str().ok().and_then(token_of);
        let (Some(token), Some(tokens)) = (token, &self.tokens) else {
            return Err(Denied::WrongToken);
        };
        let found = tokens.find(&token).inspect_err(|error| {
            self.tell(&ServerEvent::TokensUnreadable { error });
        });
        let entry = found.ok().flatten().ok_or(Denied::WrongToken)?;
        Ok(Caller {
            may_read: is_public || entry.scopes.can_read(),
            may_write: self.options.public_write || entry.scopes.can_write(),
            token: Some(entry),
        })
    }

    pub(super) fn admit(&self, client: Client) -> Result<(), Denied> {
        self.rates
            .admit(client, self.started.elapsed())
            .map_err(|wait| Denied::Rate { wait })
    }

    /// Waits for its turn to write, with `bytes` of memory.
    pub async fn turn(&self, bytes: u64) -> Result<Turn, Denied> {
        let turn = async {
            let write = Arc::clone(&self.writes).acquire_owned().await;
            let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
            let memory = Arc::clone(&self.memory).acquire_many_owned(units).await;
            Some(Turn {
                _write: write.ok()?,
                _memory: memory.ok()?,
            })
        };
        let turn = timeout(self.limits().queue, turn).await.ok().flatten();
        turn.ok_or(Denied::Busy)
    }

    /// Receives a file of exactly `length` bytes, within the time that so many may take.
    pub async fn receive(&self, length: u64, body: Option<Incoming>) -> Result<Bytes, Denied> {
        match self.receive_at_most(length, body).await {
            Ok(bytes) if bytes.len() as u64 == length => Ok(bytes),
            Ok(_) | Err(Denied::TooLarge { .. }) => Err(Denied::Broken),
            Err(denied) => Err(denied),
        }
    }

    /// Receives a file of at most `limit` bytes, which may come without its length.
    pub async fn receive_at_most(
        &self,
        limit: u64,
        body: Option<Incoming>,
    ) -> Result<Bytes, Denied> {
        let mut body = body.ok_or(Denied::Broken)?;
        let expected = body.size_hint().lower().min(limit);
        let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
        let mut pace = self.pace();
        while let Some(piece) = pace.next(&mut body).await? {
            if (bytes.len() + piece.len()) as u64 > limit {
                return Err(Denied::TooLarge { limit });
            }
            bytes.extend_from_slice(&piece);
        }
        self.count_received(bytes.len() as u64);
        Ok(bytes.freeze())
    }

    /// Returns what watches that a body moves.
    pub fn pace(&self) -> Pace {
        let limits = self.limits();
        Pace(Progress::new(limits.stall, limits.min_bytes))
    }

    /// Takes what a refused client is about to send.
    pub(super) async fn drain(&self, mut body: Incoming) {
        let all = async {
            let mut left = self.limits().file_bytes;
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

impl fmt::Debug for GateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateOptions")
            .field("read", &self.read)
            .field("public_write", &self.public_write)
            .field("tokens", &self.tokens)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Room for a file that is received; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _write: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

/// Reads bodies that have to move.
#[derive(Debug)]
pub struct Pace(Progress);

impl Pace {
    /// Returns the next piece, `None` at the end.
    pub async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Denied> {
        loop {
            let frame = timeout_at(self.0.until(), body.frame()).await;
            let frame = match frame.map_err(|_elapsed| Denied::Slow)? {
                None => return Ok(None),
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Err(Denied::Broken),
            };
            if let Ok(piece) = frame.into_data() {
                self.0.moved(piece.len());
                return Ok(Some(piece));
            }
        }
    }
}

/// Returns the token of a header: a bearer's, or the password where clients can only log in with a name.
fn token_of(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    Some(pair.split_once(':')?.1.to_owned())
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearers_or_a_password() {
        let basic = format!("Basic {}", STANDARD.encode("who:ever:it is"));
        for (header, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            (basic.as_str(), Some("ever:it is")),
            ("Basic abc", None),
            ("Digest abc", None),
            ("abc", None),
        ] {
            assert_eq!(token_of(header).as_deref(), expected, "{header}");
        }
    }
}
