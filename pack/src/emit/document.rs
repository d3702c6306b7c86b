//! The door of this folder.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{compose, deployment::Deployment, kubernetes, systemd};
use crate::Image;

/// What an image is deployed by. Printed and parsed as `compose`, `k8s` and `systemd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// A file for `docker compose` and `podman compose`.
    Compose,
    /// Objects for `kubectl apply`.
    Kubernetes,
    /// A unit of systemd that runs the image with podman.
    Systemd,
}

impl Image<'_> {
    /// Returns the document that deploys this image, which is known as `reference` where it is run.
    pub fn emit(&self, emit: Emit, reference: &str) -> String {
        let deployment = Deployment::new(self, reference);
        match emit {
            Emit::Compose => compose::document(&deployment),
            Emit::Kubernetes => kubernetes::document(&deployment),
            Emit::Systemd => systemd::document(&deployment),
        }
    }
}

impl fmt::Display for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compose => "compose",
            Self::Kubernetes => "k8s",
            Self::Systemd => "systemd",
        })
    }
}

/// The text names no document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not what an image is deployed by; known are `compose`, `k8s` and `systemd`")]
pub struct UnknownEmit {
    /// The text.
    pub text: String,
}

impl FromStr for Emit {
    type Err = UnknownEmit;

    fn from_str(text: &str) -> Result<Self, UnknownEmit> {
        match text {
            "compose" => Ok(Self::Compose),
            "k8s" => Ok(Self::Kubernetes),
            "systemd" => Ok(Self::Systemd),
            _ => Err(UnknownEmit {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_and_parse_back() {
        for emit in [Emit::Compose, Emit::Kubernetes, Emit::Systemd] {
            assert_eq!(emit.to_string().parse(), Ok(emit));
        }
        assert!("nomad".parse::<Emit>().is_err());
    }
}
