//! What stays in a cache because somebody has said so there.

use bytes::Bytes;

use super::{CollectError, inventory::read_marked};
use crate::{
    StorePath,
    cache::{
        backend::{Before, Replaced},
        format::{CacheName, Pins},
        source::Source,
    },
};

/// How often the pins are written at most, because others overwrote them.
const TRIES: u32 = 8;

/// Returns what is pinned. A list that cannot be read is an error: without it too much would go.
pub fn read_pins(cache: &Source) -> Result<Pins, CollectError> {
    Ok(read_marked_pins(cache)?.0)
}

fn read_marked_pins(cache: &Source) -> Result<(Pins, Before), CollectError> {
    let name = CacheName::Pins;
    let (bytes, before) = read_marked(cache, &name)?;
    let pins = match bytes {
        Some(bytes) => Pins::decode(&bytes).map_err(|source| CollectError::Format {
            file: format!("{}/{name}", cache.url()),
            source,
        })?,
        None => Pins::default(),
    };
    Ok((pins, before))
}

/// Pins some paths and unpins others, and returns what is pinned then. Durable when it returns.
///
/// Where writers can be kept apart, or the place writes only what is still what it was, nobody's change is lost; elsewhere what was written is read again, and written
/// again if somebody replaced it.
pub fn change_pins(
    cache: &Source,
    pin: &[StorePath],
    unpin: &[StorePath],
) -> Result<Pins, CollectError> {
    let name = CacheName::Pins;
    let file = format!("{}/{name}", cache.url());
    for _ in 0..TRIES {
        let alone = cache.keep_others_out()?;
        let (there, before) = read_marked_pins(cache)?;
        let mut pins = there.clone();
        for path in unpin {
            pins.paths.remove(path);
        }
        pins.paths.extend(pin.iter().cloned());
        if pins == there {
            return Ok(pins);
        }
        let bytes = pins.encode().map_err(|source| CollectError::Format {
            file: file.clone(),
            source,
        })?;
        let replaced = cache.replace(&name, &Bytes::from(bytes), &before)?;
        cache.flush()?;
        if alone.is_some() && replaced == Replaced::Written {
            return Ok(pins);
        }
    }
    Err(CollectError::Contended { file })
}
