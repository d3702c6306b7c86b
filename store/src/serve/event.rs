//! What a server tells its owner.

use std::{net::IpAddr, time::Duration};

use super::TokenError;
use crate::trust::KeyName;

/// What a server tells its owner.
#[derive(Debug)]
pub enum ServerEvent<'a> {
    /// A request was answered.
    Answered {
        /// Who asked.
        client: IpAddr,
        /// Whose token was shown.
        token: Option<&'a KeyName>,
        /// The method.
        method: &'a str,
        /// The path, as it came; it may hold anything that can stand in the head of a request.
        path: &'a str,
        /// The status.
        status: u16,
        /// Why not, with the chain of causes.
        refusal: Option<String>,
        /// How long it took to begin to answer.
        took: Duration,
    },
    /// The file of tokens cannot be read, so nobody's token is good.
    TokensUnreadable {
        /// Why.
        error: &'a TokenError,
    },
    /// No connection can be accepted at the moment.
    NotAccepting {
        /// Why.
        error: &'a std::io::Error,
    },
}
