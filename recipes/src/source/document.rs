//! Small files without a digest: signed release files, which the caller checks by their signature.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use store::net::without_credentials;

use super::fetch::Fetcher;
use super::http::Message;
use super::{Address, Attempt, AttemptError, FetchError};

/// How often a transfer looks whether it shall stop.
const POLL: Duration = Duration::from_millis(50);

impl Fetcher {
    /// Fetches a file of at most `max_bytes` whose digest nobody knows beforehand. **Whoever calls this checks a signature
    /// before anything of it is believed.** The addresses are tried in order, each twice.
    pub fn fetch_unverified(
        &self,
        name: &str,
        url: &str,
        max_bytes: u64,
        cancel: &AtomicBool,
    ) -> Result<Vec<u8>, FetchError> {
        let unavailable = |attempts| FetchError::Unavailable {
            name: name.to_owned(),
            attempts,
        };
        let addresses = self.mirrors.resolve(url).map_err(|error| {
            unavailable(vec![Attempt {
                url: url.to_owned(),
                reason: AttemptError::Mirror(error),
            }])
        })?;
        let mut attempts = Vec::new();
        for address in addresses {
            if self.options.offline && !address.url.starts_with("file://") {
                return Err(FetchError::Offline {
                    name: name.to_owned(),
                    urls: vec![url.to_owned()],
                });
            }
            let mut transfer = self.transfer_whole(&address, max_bytes, cancel);
            if matches!(
                transfer,
                Err(AttemptError::Connection { .. } | AttemptError::Stalled { .. })
            ) {
                transfer = self.transfer_whole(&address, max_bytes, cancel);
            }
            match transfer {
                Ok(bytes) => return Ok(bytes),
                Err(_) if cancel.load(Ordering::Relaxed) => {
                    return Err(FetchError::Cancelled {
                        name: name.to_owned(),
                    });
                }
                Err(reason) => attempts.push(Attempt {
                    url: without_credentials(&address.url),
                    reason,
                }),
            }
        }
        Err(unavailable(attempts))
    }

    fn transfer_whole(
        &self,
        address: &Address,
        limit_bytes: u64,
        cancel: &AtomicBool,
    ) -> Result<Vec<u8>, AttemptError> {
        let broken = |message: &str| AttemptError::Connection {
            message: message.to_owned(),
        };
        let stall = self.options.timeouts.stall;
        let messages = self.http.open(address, 0);
        let mut bytes = Vec::new();
        let mut last = Instant::now();
        loop {
            if cancel.load(Ordering::Relaxed) {
                return Err(broken("interrupted"));
            }
            let message = match messages.recv_timeout(POLL) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) if last.elapsed() < stall => continue,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(AttemptError::Stalled {
                        min_bytes: 1,
                        period: stall,
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(broken("the transfer ended without a result"));
                }
            };
            last = Instant::now();
            match message {
                Message::Head { total, .. } if total.is_some_and(|total| total > limit_bytes) => {
                    return Err(AttemptError::TooLarge { limit_bytes });
                }
                Message::Head { .. } => {}
                Message::Piece(piece) => bytes.extend_from_slice(&piece),
                Message::End => return Ok(bytes),
                Message::Failed(error) => return Err(error),
            }
            if bytes.len() as u64 > limit_bytes {
                return Err(AttemptError::TooLarge { limit_bytes });
            }
        }
    }
}
