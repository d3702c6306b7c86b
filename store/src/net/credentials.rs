//! Who asks a server, and what may be told it unencrypted.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::Authorization;

/// Who asks. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token that the server gave out.
    Bearer(Zeroizing<String>),
    /// A token that a registry's log-in gave out, and that is good for nothing there but other tokens.
    Identity(Zeroizing<String>),
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Identity(_) => "Identity(..)",
            Self::Basic { .. } => "Basic(..)",
        })
    }
}

impl Credentials {
    /// Returns the header; `None` if a token or a name has characters that cannot be sent, and for what no header has.
    pub(crate) fn authorization(&self) -> Option<Authorization> {
        let text = match self {
            Self::Identity(_) => return None,
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.as_str())),
            Self::Basic { user, password } => {
                let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
                let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
                Zeroizing::new(format!("Basic {}", encoded.as_str()))
            }
        };
        Authorization::new(&text)
    }
}

/// What may cross the network unencrypted. Loopback is no network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// Nothing that is secret; registries are spoken to over `https` alone.
    #[default]
    Denied,
    /// Credentials too, and registries are spoken to over `http`.
    Allowed,
}

/// Whether an address leads to this very machine, so that nobody can listen.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_alone() {
        for (text, expected) in [
            ("http://127.0.0.1", true),
            ("http://127.9.9.9:1", true),
            ("http://[::1]", true),
            ("http://localhost", true),
            ("http://127.0.0.1.example", false),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(is_loopback(&url), expected, "{text}");
        }
    }
}
