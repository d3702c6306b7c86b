//! One transfer from one address, without retries: the head of the answer, then its bytes in pieces.
//!
//! Every transfer runs on a thread of its own that only passes on what comes. The caller therefore never waits longer than
//! it wants to, for a name server as little as for a silent peer, and can leave at any time: a thread nobody listens to
//! ends by itself with its next piece or its time limit.
//!
//! TLS is always verified, against the machine's certificates and those that the caller adds. A redirect to another host
//! takes no credentials with it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use reqwest::blocking as web;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderMap, RANGE, RETRY_AFTER};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Address, AttemptError};

/// Hops after which a chain of redirects is given up.
const MAX_REDIRECTS: usize = 10;
/// Pieces that may wait between the network and the disk.
const PIECES_IN_FLIGHT: usize = 16;
const PIECE_BYTES: usize = 64 << 10;

/// How patient a transfer is.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection to be made.
    pub connect: Duration,
    /// A transfer has failed when fewer than `min_bytes` came in this time.
    pub stall: Duration,
    /// See `stall`.
    pub min_bytes: u64,
    /// The unit of the pauses between tries.
    pub retry_base: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(15),
            min_bytes: 15 << 10,
            retry_base: Duration::from_millis(250),
        }
    }
}

/// Proxies that the caller was told to use; an address that brings its own goes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` addresses.
    pub http: Option<String>,
    /// For `https:` addresses.
    pub https: Option<String>,
    /// Hosts that are reached directly, separated by commas, as in `NO_PROXY`.
    pub direct: Option<String>,
}

/// What a transfer tells its caller, in this order: one head, pieces, and a last message of the other two.
pub(super) enum Message {
    /// The server has the file.
    Head {
        /// Where the first piece belongs in the file.
        start: u64,
        /// Size of the whole file.
        total: Option<u64>,
    },
    Piece(Vec<u8>),
    End,
    Failed(AttemptError),
}

/// Opens transfers. Connections are kept and shared between them.
pub(super) struct Http {
    timeouts: Timeouts,
    proxies: Proxies,
    extra_roots: Vec<u8>,
    clients: Mutex<BTreeMap<Option<String>, web::Client>>,
}

impl Http {
    /// `extra_roots` are certificates in PEM that count as trusted too.
    pub(super) fn new(timeouts: Timeouts, proxies: Proxies, extra_roots: Vec<u8>) -> Self {
        Self {
            timeouts,
            proxies,
            extra_roots,
            clients: Mutex::default(),
        }
    }

    /// Starts a transfer of what lies behind the first `offset` bytes; the server may nevertheless begin at 0.
    pub(super) fn open(&self, address: &Address, offset: u64) -> Receiver<Message> {
        let (sender, receiver) = sync_channel(PIECES_IN_FLIGHT);
        if let Some(path) = address.url.strip_prefix("file://") {
            let path = percent_decode(path);
            thread::spawn(move || finish(&sender, read_file(&path, offset, &sender)));
            return receiver;
        }
        match self.client(address.proxy.as_deref()) {
            Ok(client) => {
                let url = address.url.clone();
                thread::spawn(move || finish(&sender, request(&client, &url, offset, &sender)));
            }
            Err(error) => finish(&sender, Err(error)),
        }
        receiver
    }

    fn client(&self, proxy: Option<&str>) -> Result<web::Client, AttemptError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&proxy.map(str::to_owned)) {
            return Ok(client.clone());
        }
        let client = self.make_client(proxy)?;
        clients.insert(proxy.map(str::to_owned), client.clone());
        Ok(client)
    }

    fn make_client(&self, proxy: Option<&str>) -> Result<web::Client, AttemptError> {
        let failed = |error: reqwest::Error| AttemptError::Connection {
            message: chain(&error),
        };
        let mut builder = web::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .user_agent(concat!("pith/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
            .referer(false)
            .connect_timeout(self.timeouts.connect)
            // Only ends threads that nobody listens to any more; the caller's own limit is shorter.
            .timeout(self.timeouts.stall.saturating_mul(4))
            .no_proxy();
        if let Some(proxy) = proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(failed)?);
        } else {
            let direct = || {
                self.proxies
                    .direct
                    .as_deref()
                    .and_then(reqwest::NoProxy::from_string)
            };
            if let Some(proxy) = &self.proxies.http {
                builder = builder.proxy(
                    reqwest::Proxy::http(proxy)
                        .map_err(failed)?
                        .no_proxy(direct()),
                );
            }
            if let Some(proxy) = &self.proxies.https {
                builder = builder.proxy(
                    reqwest::Proxy::https(proxy)
                        .map_err(failed)?
                        .no_proxy(direct()),
                );
            }
        }
        builder.build().map_err(failed)
    }

    /// The provider is named here rather than installed for the whole process, which is not ours to configure.
    fn tls(&self) -> Result<rustls::ClientConfig, AttemptError> {
        let mut roots = rustls::RootCertStore::empty();
        // A certificate of the machine that cannot be parsed is no reason to trust none of the others.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(
            CertificateDer::pem_slice_iter(&self.extra_roots).filter_map(Result::ok),
        );
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| AttemptError::Connection {
                message: chain(&error),
            })?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

fn finish(sender: &SyncSender<Message>, result: Result<(), AttemptError>) {
    let last = match result {
        Ok(()) => Message::End,
        Err(error) => Message::Failed(error),
    };
    // Nobody listens any more when the caller gave up.
    drop(sender.send(last));
}

fn request(
    client: &web::Client,
    url: &str,
    offset: u64,
    sender: &SyncSender<Message>,
) -> Result<(), AttemptError> {
    let mut request = client.get(url).header(ACCEPT_ENCODING, "identity");
    if offset > 0 {
        request = request.header(RANGE, format!("bytes={offset}-"));
    }
    let mut response = request
        .send()
        .map_err(|error| connection(error.without_url()))?;
    let code = response.status().as_u16();
    let (start, total) = match code {
        200 => (0, response.content_length()),
        206 => content_range(response.headers()).unwrap_or((u64::MAX, None)),
        _ => {
            return Err(AttemptError::Status {
                code,
                retry_after: retry_after(response.headers()),
            });
        }
    };
    if sender.send(Message::Head { start, total }).is_err() {
        return Ok(());
    }
    pass_on(&mut response, sender).map_err(|error| AttemptError::Connection {
        message: chain(&error),
    })
}

fn read_file(path: &str, offset: u64, sender: &SyncSender<Message>) -> Result<(), AttemptError> {
    let failed = |error: io::Error| AttemptError::File {
        message: error.to_string(),
    };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(AttemptError::File {
            message: "it is no regular file".to_owned(),
        });
    }
    let start = if offset <= metadata.len() { offset } else { 0 };
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    if sender
        .send(Message::Head {
            start,
            total: Some(metadata.len()),
        })
        .is_err()
    {
        return Ok(());
    }
    pass_on(&mut file, sender).map_err(failed)
}

fn pass_on(from: &mut impl Read, sender: &SyncSender<Message>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        piece.truncate(count);
        if sender.send(Message::Piece(piece)).is_err() {
            return Ok(());
        }
    }
}

/// Reads `Content-Range: bytes START-END/TOTAL` (RFC 9110, 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}

/// Reads `Retry-After` in seconds. A date would need a clock, and a wait that long is not made anyway.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn connection(error: reqwest::Error) -> AttemptError {
    let message = match find_certificate_error(&error) {
        Some(message) => return AttemptError::Certificate { message },
        None => chain(&error),
    };
    if error.is_connect() {
        AttemptError::Unreachable { message }
    } else {
        AttemptError::Connection { message }
    }
}

/// Looks through the causes. An `io::Error` hides the error it was made of from `source`, so it is asked for that.
fn find_certificate_error(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(problem)) = error.downcast_ref() {
        return Some(problem.to_string());
    }
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => find_certificate_error(inner),
        None => find_certificate_error(error.source()?),
    }
}

/// The whole chain of causes in one line, without repeating what a cause says already.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let message = current.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = current.source();
    }
    text
}

/// Undoes `%20` and the like in the path of a `file:` address.
fn percent_decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let digits = path.get(index + 1..index + 3).filter(|_| byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                index += 3;
            }
            None => {
                decoded.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Returns `url` without the user and password that it may have.
pub(super) fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Both only fail for addresses without a host, which have no credentials.
            let hidden = parsed.set_username("").is_ok() && parsed.set_password(None).is_ok();
            if hidden {
                parsed.into()
            } else {
                "(an address with credentials)".to_owned()
            }
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(
            without_credentials("https://user:secret@h.example/x?y"),
            "https://h.example/x?y"
        );
        assert_eq!(
            without_credentials("https://h.example/x"),
            "https://h.example/x"
        );
    }

    #[test]
    fn a_content_range_says_where_it_starts() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, text.parse().unwrap());
            content_range(&headers)
        };
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(range("bytes */10"), None);
        assert_eq!(range("lines 5-9/10"), None);
    }

    #[test]
    fn a_file_address_may_have_spaces() {
        assert_eq!(percent_decode("/a%20b%2"), "/a b%2");
    }
}
