//! What an answer means that is no success.

use super::{RegistryError, answer::message};
use crate::net::{Answer, is_failing, log_in_scheme, retry_after};

impl RegistryError {
    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Unreachable { source, .. } => source.is_transient(),
            Self::Refused { code, .. } => is_failing(*code),
            _ => false,
        }
    }

    /// What an answer means that is no success.
    pub(crate) fn from_answer(what: &str, answer: &Answer) -> Self {
        let what = what.to_owned();
        match answer.status {
            404 | 410 => Self::Absent { what },
            401 => Self::LogIn {
                what,
                scheme: log_in_scheme(&answer.headers),
            },
            403 => Self::Forbidden {
                what,
                message: message(&answer.problem),
            },
            413 => Self::TooLarge { what },
            code @ (429 | 503) => Self::Busy {
                what,
                code,
                retry_after: retry_after(&answer.headers),
            },
            code => Self::Refused {
                what,
                code,
                message: message(&answer.problem),
            },
        }
    }
}
