//! How much of the machine clients get. The rates are pure: time is given by the caller.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::trust::KeyName;

/// Clients whose rates are remembered at most.
const MAX_CLIENTS: usize = 1 << 16;

/// How much of the machine clients get.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Connections of one address at once; further ones are closed.
    pub connections_per_client: usize,
    /// Files that are being received and checked at once; further ones wait for [`queue`](Self::queue).
    pub writes: usize,
    /// Bytes of one file at most, where its kind allows no fewer.
    pub file_bytes: u64,
    /// Bytes of all files that are being received, held in memory until they are checked.
    pub body_bytes: u64,
    /// Requests of one client per second, by its token's name, or its address if it has none; 0 for any number.
    pub requests_per_second: u32,
    /// How many it may ask at once after a pause.
    pub burst: u32,
    /// How long the head of a request may take, and how long a connection may wait for the next one.
    pub head: Duration,
    /// In this time …
    pub stall: Duration,
    /// … so many bytes have to move, in either direction.
    pub min_bytes: u64,
    /// How long a file waits until others are received.
    pub queue: Duration,
    /// How long requests get to end when the server is stopped.
    pub grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_client: 256,
            writes: 8,
            file_bytes: 128 << 20,
            body_bytes: 256 << 20,
            requests_per_second: 2000,
            burst: 10_000,
            head: Duration::from_secs(30),
            stall: Duration::from_secs(15),
            min_bytes: 16 << 10,
            queue: Duration::from_secs(5),
            grace: Duration::from_secs(30),
        }
    }
}

/// Who is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Client {
    Address(IpAddr),
    Token(KeyName),
}

/// Counts requests by the generic cell rate algorithm: of each client it remembers when it would have been served if it had kept to its rate.
#[derive(Debug)]
pub(super) struct Rates {
    /// The time that one request stands for; zero for no limit.
    interval: Duration,
    /// How far ahead of its rate a client may be.
    tolerance: Duration,
    served: Mutex<BTreeMap<Client, Duration>>,
}

impl Rates {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        let interval = match limits.requests_per_second {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1) / rate,
        };
        Self {
            interval,
            tolerance: interval * limits.burst.saturating_sub(1),
            served: Mutex::default(),
        }
    }

    /// Counts a request at `now`, or tells how long to wait with it.
    pub(super) fn admit(&self, client: Client, now: Duration) -> Result<(), Duration> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.len() >= MAX_CLIENTS && !served.contains_key(&client) {
            // Who is not ahead of its rate need not be remembered.
            served.retain(|_, at| *at > now);
            if served.len() >= MAX_CLIENTS {
                return Err(Duration::from_secs(1));
            }
        }
        let at = served.entry(client).or_default();
        let begin = (*at).max(now);
        let ahead = begin - now;
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        *at = begin + self.interval;
        Ok(())
    }
}

/// The connections of each address.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<BTreeMap<IpAddr, usize>>);

impl Connections {
    /// Counts a connection unless there are `limit` of its address already.
    pub(super) fn open(&self, address: IpAddr, limit: usize) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        let is_open = *count < limit;
        if is_open {
            *count += 1;
        }
        is_open
    }

    pub(super) fn close(&self, address: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(last: u8) -> Client {
        Client::Address([10, 0, 0, last].into())
    }

    fn rates(requests_per_second: u32, burst: u32) -> Rates {
        Rates::new(&ServerLimits {
            requests_per_second,
            burst,
            ..ServerLimits::default()
        })
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rates = rates(10, 3);
        let now = SECOND * 100;
        for _ in 0..3 {
            assert_eq!(rates.admit(client(1), now), Ok(()));
        }
        assert_eq!(rates.admit(client(1), now), Err(SECOND / 10));
        // Others are not concerned.
        assert_eq!(rates.admit(client(2), now), Ok(()));
        let named = Client::Token("ci".parse().unwrap());
        assert_eq!(rates.admit(named, now), Ok(()));
        let later = now + SECOND / 10;
        assert_eq!(rates.admit(client(1), later), Ok(()));
        assert!(rates.admit(client(1), later).is_err());
        for _ in 0..3 {
            assert_eq!(rates.admit(client(1), now + SECOND), Ok(()));
        }
        assert!(rates.admit(client(1), now + SECOND).is_err());
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rates = rates(0, 0);
        for _ in 0..1000 {
            assert_eq!(rates.admit(client(1), SECOND), Ok(()));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let rates = rates(10, 1);
        for number in 0..=u32::try_from(MAX_CLIENTS).unwrap() {
            let client = Client::Address(std::net::Ipv4Addr::from(number).into());
            let admitted = rates.admit(client, SECOND);
            assert_eq!(
                admitted.is_ok(),
                number < u32::try_from(MAX_CLIENTS).unwrap()
            );
        }
        assert_eq!(rates.admit(client(1), SECOND * 2), Ok(()));
        assert_eq!(rates.served.lock().unwrap().len(), 1);
    }

    #[test]
    fn connections_are_counted_by_address() {
        let connections = Connections::default();
        let (one, two) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(connections.open(one, 2) && connections.open(one, 2) && connections.open(two, 2));
        assert!(!connections.open(one, 2));
        connections.close(one);
        assert!(connections.open(one, 2));
        for address in [one, one, two] {
            connections.close(address);
        }
        assert!(connections.0.lock().unwrap().is_empty());
    }
}
