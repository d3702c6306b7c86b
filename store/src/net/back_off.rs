//! How long is waited before something is tried again.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    time::Duration,
};

/// Returns the pause after `tried` tries: anywhere below a limit that is `base` at first and doubles with every further try.
///
/// `jitter` in `0..=1000` says where, so that many clients of a restarted server do not come back in step.
pub(crate) fn back_off(base: Duration, tried: u32, jitter: u32) -> Duration {
    let longest = base.saturating_mul(1 << (tried.max(1) - 1).min(10));
    longest.saturating_mul(jitter.min(1000)) / 1000
}

/// Returns a number in `0..=1000` that differs between processes and calls.
pub(crate) fn jitter() -> u32 {
    u32::try_from(RandomState::new().build_hasher().finish() % 1001).unwrap_or(0)
}
