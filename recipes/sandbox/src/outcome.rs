//! How a run ended and how well it was isolated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The end of a run. When it is handed out, every process of the sandbox is dead and its mounts are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What ended it.
    pub status: Status,
    /// From the request to the death of the last process.
    pub wall: Duration,
    /// What was achieved; never below [`SandboxSpec::weakest_level`](crate::SandboxSpec::weakest_level).
    pub level: Level,
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The program returned this status.
    Exited(i32),
    /// The program was killed by this signal, not by us.
    Signaled(i32),
    /// [`Limits::wall`](crate::Limits::wall) passed.
    TimedOut,
    /// [`Limits::silence`](crate::Limits::silence) passed without output.
    Silent,
    /// More output than [`Limits::log_bytes`](crate::Limits::log_bytes).
    LogLimit,
    /// More on disk than [`Limits::disk_bytes`](crate::Limits::disk_bytes).
    DiskLimit,
    /// The caller asked for the end.
    Cancelled,
}

/// How well a run was isolated, strongest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// All of it.
    #[default]
    Full,
    /// All but `/proc`, which is an empty directory: the surrounding container hides parts of its own and the kernel then
    /// refuses a fresh one.
    NoProc,
}

impl Level {
    const NAMES: [(Self, &str); 2] = [(Self::Full, "full"), (Self::NoProc, "no-proc")];
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::NAMES
            .into_iter()
            .filter(|(level, _)| level == self)
            .try_for_each(|(_, name)| out.write_str(name))
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let known = Self::NAMES.into_iter().find(|(_, name)| *name == text);
        known.map(|(level, _)| level).ok_or_else(|| UnknownLevel {
            text: text.to_owned(),
        })
    }
}

/// A word that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no level of the sandbox; there are `full` and `no-proc`")]
pub struct UnknownLevel {
    /// The word.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_levels_are_read_as_they_are_written() {
        for level in [Level::Full, Level::NoProc] {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert!("none".parse::<Level>().is_err());
    }
}
