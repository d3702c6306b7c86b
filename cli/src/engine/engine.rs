//! Which engines there are.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Podman.
    Podman,
    /// Docker.
    Docker,
}

impl Engine {
    /// Returns the name of its program.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// The text names no engine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not an engine; known are `podman` and `docker`")]
pub(crate) struct UnknownEngine {
    text: String,
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        match text {
            "podman" => Ok(Self::Podman),
            "docker" => Ok(Self::Docker),
            _ => Err(UnknownEngine {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_print_and_parse_back() {
        for engine in [Engine::Podman, Engine::Docker] {
            assert_eq!(engine.to_string().parse(), Ok(engine));
        }
        assert!("nerdctl".parse::<Engine>().is_err());
    }
}
