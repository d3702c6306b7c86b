//! Whose layers are made at the same time.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use store::serve::Denied;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Layers that are made at once: each takes two pairs of buffers.
const LAYERS: usize = 12;
/// Layers of one address at once: what podman and docker ask for at the same time.
const OF_ONE: usize = 6;
/// How long a layer waits until others are made: longer than an image of usual size takes.
const QUEUE: Duration = Duration::from_secs(120);
/// Addresses that are remembered before those that nothing is made for are forgotten.
const REMEMBERED: usize = 1024;

/// Gives out turns.
#[derive(Debug)]
pub(super) struct LayerTurns {
    all: Arc<Semaphore>,
    of_one: Mutex<BTreeMap<IpAddr, Arc<Semaphore>>>,
    wait: Duration,
}

/// The right to make a layer; given back when it is dropped.
#[derive(Debug)]
pub(super) struct LayerTurn {
    _one: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for LayerTurns {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(LAYERS)),
            of_one: Mutex::default(),
            wait: QUEUE,
        }
    }
}

impl LayerTurns {
    /// Waits for a turn of this client.
    pub(super) async fn turn(&self, client: IpAddr) -> Result<LayerTurn, Denied> {
        let own = self.own(client);
        let turn = async {
            // Its own first: who waits for itself takes nobody else's.
            let one = own.acquire_owned().await.ok()?;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(LayerTurn {
                _one: one,
                _all: all,
            })
        };
        let turn = timeout(self.wait, turn).await.ok().flatten();
        turn.ok_or(Denied::Busy)
    }

    fn own(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        if of_one.len() >= REMEMBERED {
            // Whoever has it or waits for it has a share in it.
            of_one.retain(|_, own| Arc::strong_count(own) > 1 || own.available_permits() < OF_ONE);
        }
        let own = of_one.entry(client);
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn nobody_takes_the_turns_of_all() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().unwrap();
        let turns = LayerTurns {
            wait: Duration::ZERO,
            ..LayerTurns::default()
        };
        let turn = |number| runtime.block_on(turns.turn(client(number)));
        let mut held = Vec::new();
        for _ in 0..OF_ONE {
            held.push(turn(1).unwrap());
        }
        assert_eq!(turn(1).err(), Some(Denied::Busy));
        for _ in 0..LAYERS - OF_ONE {
            held.push(turn(2).unwrap());
        }
        assert_eq!(turn(3).err(), Some(Denied::Busy));
        held.pop();
        assert!(turn(3).is_ok());
    }
}
