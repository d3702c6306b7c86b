//! One file from wherever it can be had: addresses in order, tries per address, one digest that decides.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{BuildHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use store::net::{NetOptions, without_credentials};

use super::http::{Http, Message};
use super::partial::Partial;
use super::{
    Address, Attempt, AttemptError, FetchError, MirrorTable, Proxies, Timeouts, WrongDigest, index,
    retry,
};
use crate::event::{Event, StepId};
use crate::model::{ContentDigest, Location};

/// How often a transfer looks whether it shall stop.
const POLL: Duration = Duration::from_millis(50);
/// Progress is told after this many new bytes.
const PROGRESS_BYTES: u64 = 256 << 10;
/// Size beyond which a source is refused, unless the caller says otherwise.
const DEFAULT_MAX_BYTES: u64 = 16 << 30;

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Use nothing but local files and what earlier runs left complete.
    pub offline: bool,
    /// How patient a transfer is.
    pub timeouts: Timeouts,
    /// Proxies for addresses that bring none.
    pub proxies: Proxies,
    /// Certificates, in PEM, that are trusted beside the machine's.
    pub extra_roots: Vec<u8>,
    /// Larger files are refused.
    pub max_bytes: u64,
    /// Files of this machine that may be had by their digests: tried before any address, and compared as what comes from elsewhere.
    pub local_files: BTreeMap<ContentDigest, PathBuf>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            offline: false,
            timeouts: Timeouts::default(),
            proxies: Proxies::default(),
            extra_roots: Vec::new(),
            max_bytes: DEFAULT_MAX_BYTES,
            local_files: BTreeMap::new(),
        }
    }
}

/// One file that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Where to try, in order; mirrors are resolved.
    pub urls: &'a [String],
    /// What it must be.
    pub digest: &'a ContentDigest,
    /// Where the recipe promises that.
    pub location: &'a Location,
    /// The step that events are about.
    pub step: StepId,
}

/// A complete and verified file. It stays locked, and on disk, until it is removed.
pub struct Download {
    partial: Partial,
}

impl Download {
    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        self.partial.path()
    }

    /// Returns its size.
    pub fn size_bytes(&self) -> u64 {
        self.partial.len()
    }

    /// Removes the file, once its content is somewhere safe.
    pub fn remove(self) -> Result<(), FetchError> {
        self.partial.remove()
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("path", &self.path())
            .field("size_bytes", &self.size_bytes())
            .finish()
    }
}

/// Fetches files; cheap to create, opens nothing before it is needed.
pub struct Fetcher {
    pub(super) options: FetchOptions,
    pub(super) mirrors: MirrorTable,
    pub(super) http: Http,
    /// Servers to which no connection could be made, since this fetcher was created.
    unreachable: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("options", &self.options)
            .field("mirrors", &self.mirrors)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Creates a fetcher that finds mirrors in `mirrors`.
    pub fn new(options: FetchOptions, mirrors: MirrorTable) -> Self {
        let http = Http::new(NetOptions {
            timeouts: options.timeouts,
            proxies: options.proxies.clone(),
            extra_roots: options.extra_roots.clone(),
        });
        Self {
            options,
            mirrors,
            http,
            unreachable: Mutex::default(),
        }
    }

    /// Fetches one file into `directory`, which must be private to the user, or completes what lies there.
    ///
    /// Blocks; several calls may run at once. When it fails or is interrupted, what has come stays for the next call,
    /// also of another process.
    pub fn fetch(
        &self,
        request: &FetchRequest<'_>,
        directory: &Path,
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Download, FetchError> {
        let cancelled = || FetchError::Cancelled {
            name: request.name.to_owned(),
        };
        let waiting = || {
            events(Event::Waiting {
                step: request.step,
                name: request.name.to_owned(),
            });
        };
        let partial =
            Partial::open(directory, request.digest, &waiting, cancel)?.ok_or_else(cancelled)?;
        let mut run = Run {
            fetcher: self,
            request,
            events,
            cancel,
            partial,
        };
        if run.partial.is_complete() {
            return Ok(Download {
                partial: run.partial,
            });
        }
        let mut attempts = Vec::new();
        let addresses = self.addresses(request, &mut attempts);
        let last = addresses.len().saturating_sub(1);
        for (index, address) in addresses.iter().enumerate() {
            let reason = match run.try_address(address, index == last) {
                Ok(()) => {
                    return Ok(Download {
                        partial: run.partial,
                    });
                }
                Err(Stop::Fatal(error)) => return Err(error),
                Err(Stop::Address(reason)) => reason,
            };
            if matches!(reason, AttemptError::Unreachable { .. }) {
                self.unreachable().insert(host(&address.url));
            }
            let url = without_credentials(&address.url);
            if !matches!(reason, AttemptError::Offline) {
                let (step, reason) = (request.step, reason.to_string());
                events(Event::FetchGaveUp {
                    step,
                    url: url.clone(),
                    reason,
                });
            }
            attempts.push(Attempt { url, reason });
        }
        Err(summary(request, attempts))
    }
}

impl Fetcher {
    /// Resolves mirrors, and puts servers that could not be reached before behind all others.
    fn addresses(&self, request: &FetchRequest<'_>, attempts: &mut Vec<Attempt>) -> Vec<Address> {
        let mut addresses = Vec::new();
        if let Some(path) = self.options.local_files.get(request.digest) {
            addresses.push(Address::new(format!("file://{}", path.display())));
        }
        for url in request.urls {
            match self.mirrors.resolve(url) {
                Ok(resolved) => addresses.extend(resolved),
                Err(error) => attempts.push(Attempt {
                    url: url.clone(),
                    reason: AttemptError::Mirror(error),
                }),
            }
        }
        let unreachable = self.unreachable();
        addresses.sort_by_key(|address| unreachable.contains(&host(&address.url)));
        addresses
    }

    fn unreachable(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scheme, host and port of an address.
fn host(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

/// Why a try ended without the file.
enum Stop {
    /// Nothing more is tried.
    Fatal(FetchError),
    /// This address has failed; another may do.
    Address(AttemptError),
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Self::Fatal(error)
    }
}

struct Run<'a> {
    fetcher: &'a Fetcher,
    request: &'a FetchRequest<'a>,
    events: &'a (dyn Fn(Event) + Sync),
    cancel: &'a AtomicBool,
    partial: Partial,
}

impl Run<'_> {
    fn try_address(&mut self, address: &Address, is_last: bool) -> Result<(), Stop> {
        if self.fetcher.options.offline && !address.url.starts_with("file://") {
            return Err(Stop::Address(AttemptError::Offline));
        }
        let mut tried = 0;
        loop {
            tried += 1;
            let resumed = self.partial.len() > 0;
            let error = match self.transfer(address) {
                Err(Stop::Address(error)) => error,
                other => return other,
            };
            let continued_in_vain = matches!(
                error,
                AttemptError::WrongDigest { .. } | AttemptError::Status { code: 416, .. }
            );
            if continued_in_vain {
                self.partial.restart()?;
                if resumed && tried < retry::TRIES {
                    // The beginning was not from here, or not right: only the whole file can tell.
                    continue;
                }
            }
            if matches!(error, AttemptError::Unreachable { .. }) && !is_last {
                // Another server is the better hope.
                return Err(Stop::Address(error));
            }
            let base = self.fetcher.options.timeouts.retry_base;
            let Some(pause) = retry::pause(&error, tried, base, jitter()) else {
                return Err(Stop::Address(error));
            };
            (self.events)(Event::FetchRetry {
                step: self.request.step,
                url: without_credentials(&address.url),
                reason: error.to_string(),
                pause,
            });
            self.sleep(pause)?;
        }
    }

    /// One transfer. `Ok` means complete and verified.
    fn transfer(&mut self, address: &Address) -> Result<(), Stop> {
        (self.events)(Event::FetchStarted {
            step: self.request.step,
            name: self.request.name.to_owned(),
            url: without_credentials(&address.url),
            resumed_bytes: self.partial.len(),
        });
        let listed = match index::page_of(address) {
            Some(page) => Some(self.locate(&page)?),
            None => None,
        };
        let address = listed.as_ref().unwrap_or(address);
        let messages = self.fetcher.http.open(address, self.partial.len());
        let timeouts = self.fetcher.options.timeouts;
        let limit_bytes = self.fetcher.options.max_bytes;
        let mut total_bytes = None;
        let mut told_bytes = 0;
        let mut window = (Instant::now(), 0);
        loop {
            self.check_cancel()?;
            let message = match messages.recv_timeout(POLL) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    let message = "the transfer ended without a result".to_owned();
                    return Err(Stop::Address(AttemptError::Connection { message }));
                }
            };
            match message {
                None => {}
                Some(Message::Head { start, total }) => {
                    if start != self.partial.len() {
                        self.partial.restart()?;
                        if start != 0 {
                            let message = format!(
                                "the server sent a range from byte {start} that was not asked for"
                            );
                            return Err(Stop::Address(AttemptError::Connection { message }));
                        }
                    }
                    if total.is_some_and(|total| total > limit_bytes) {
                        return Err(Stop::Address(AttemptError::TooLarge { limit_bytes }));
                    }
                    total_bytes = total;
                }
                Some(Message::Piece(bytes)) => {
                    let count = bytes.len() as u64;
                    if self.partial.len() + count > limit_bytes {
                        self.partial.restart()?;
                        return Err(Stop::Address(AttemptError::TooLarge { limit_bytes }));
                    }
                    self.partial.append(&bytes)?;
                    window.1 += count;
                    told_bytes += count;
                    if told_bytes >= PROGRESS_BYTES {
                        told_bytes = 0;
                        self.tell(total_bytes);
                    }
                }
                Some(Message::Failed(error)) => return Err(Stop::Address(error)),
                Some(Message::End) => {
                    self.tell(total_bytes);
                    let found = self.partial.digest();
                    return if found == *self.request.digest {
                        Ok(())
                    } else {
                        Err(Stop::Address(AttemptError::WrongDigest { found }))
                    };
                }
            }
            if window.0.elapsed() >= timeouts.stall {
                if window.1 < timeouts.min_bytes {
                    let (min_bytes, period) = (timeouts.min_bytes, timeouts.stall);
                    return Err(Stop::Address(AttemptError::Stalled { min_bytes, period }));
                }
                window = (Instant::now(), 0);
            }
        }
    }

    /// Finds the file in the page that lists it.
    fn locate(&self, page: &Address) -> Result<Address, Stop> {
        let times = (POLL, self.fetcher.options.timeouts.stall);
        let check = || self.check_cancel();
        index::locate(&self.fetcher.http, page, self.request.digest, times, check).map_err(|stop| {
            match stop {
                index::Stop::Fatal(error) => Stop::Fatal(error),
                index::Stop::Page(reason) => Stop::Address(reason),
            }
        })
    }

    fn tell(&self, total_bytes: Option<u64>) {
        let received_bytes = self.partial.len();
        (self.events)(Event::FetchProgress {
            step: self.request.step,
            received_bytes,
            total_bytes,
        });
    }

    fn check_cancel(&self) -> Result<(), FetchError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(FetchError::Cancelled {
                name: self.request.name.to_owned(),
            });
        }
        Ok(())
    }

    fn sleep(&self, pause: Duration) -> Result<(), FetchError> {
        let end = Instant::now() + pause;
        while let Some(left) = end
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            self.check_cancel()?;
            thread::sleep(left.min(POLL));
        }
        Ok(())
    }
}

/// A number in `0..=1000` that differs between processes and calls.
fn jitter() -> u32 {
    u32::try_from(RandomState::new().build_hasher().finish() % 1001).unwrap_or(0)
}

/// Turns the reasons of all addresses into the one error that says most.
fn summary(request: &FetchRequest<'_>, mut attempts: Vec<Attempt>) -> FetchError {
    let name = request.name.to_owned();
    let wrong = attempts
        .iter()
        .position(|attempt| matches!(attempt.reason, AttemptError::WrongDigest { .. }));
    if let Some(index) = wrong {
        let Attempt { url, reason } = attempts.remove(index);
        if let AttemptError::WrongDigest { found } = reason {
            let location = request.location.clone();
            return FetchError::WrongDigest(Box::new(WrongDigest {
                name,
                expected: *request.digest,
                location,
                found,
                url,
                others: attempts,
            }));
        }
    }
    let offline = |attempt: &Attempt| matches!(attempt.reason, AttemptError::Offline);
    if attempts.iter().any(offline) {
        return FetchError::Offline {
            name,
            urls: request.urls.to_vec(),
        };
    }
    FetchError::Unavailable { name, attempts }
}
