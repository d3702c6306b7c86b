//! What an error of the client means.

use std::{error::Error, io};

use super::{NetError, chain};

impl From<reqwest::Error> for NetError {
    /// Says what is wrong without the address, which may hold secrets.
    fn from(error: reqwest::Error) -> Self {
        Self::of(&error.without_url())
    }
}

impl NetError {
    /// Says what an error means that has no address in it.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if let Some(message) = find_certificate_error(error) {
            return Self::Certificate { message };
        }
        let message = chain(error);
        if error.is_connect() {
            Self::Unreachable { message }
        } else {
            Self::Connection { message }
        }
    }

    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Connection { .. }
                | Self::Silent { .. }
                | Self::Stalled { .. }
        )
    }
}

/// Looks through the causes. An `io::Error` hides the error it was made of from `source`, so it is asked for that.
fn find_certificate_error(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(problem)) = error.downcast_ref() {
        return Some(problem.to_string());
    }
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => find_certificate_error(inner),
        None => find_certificate_error(error.source()?),
    }
}
