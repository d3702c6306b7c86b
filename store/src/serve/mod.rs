//! What servers have in common: connections, limits, tokens, counters, and answers with parts of files.
//!
//! A [`Service`] says what is answered; a [`Server`] listens for it; its [`Gate`] knows who may do what, how often, and with how much memory.
//!
//! **Invariant.** Whatever clients send, memory, connections, waits and rates have limits, and nobody does what their token is not good for. Whoever is refused
//! reads why.
//!
//! Not responsible for TLS, which a proxy before it does, nor for what the requests mean.

mod denied;
mod event;
mod gate;
mod limits;
mod listener;
mod metrics;
mod pace;
mod range;
mod reply;
mod service;
mod tokens;

pub use denied::Denied;
pub use event::ServerEvent;
pub use gate::{Caller, Gate, GateOptions, OnEvent, ReadAccess};
pub use limits::ServerLimits;
pub use listener::{ListenError, Server, ServerHandle, WAITING_THREADS};
pub use range::{Wanted, cut, wanted};
pub use reply::{Body, Reply, bytes, empty, part_of, ranged, set, set_value, text, whole};
pub use service::{Question, Service, blocking};
pub use tokens::{Scopes, TokenEntry};

use std::{io, path::PathBuf};

use crate::trust::TrustError;

/// Why there is no token, or no file of them.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is too long.
    #[error("`{}` has more than {limit} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How many it may have.
        limit: u64,
    },
    /// A file is none of tokens.
    #[error("`{}` is no file of tokens", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<Self>,
    },
    /// A line is none.
    #[error("line {number} says of no token what it may")]
    Line {
        /// The line, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: Box<Self>,
    },
    /// A line has other words.
    #[error("it is not `<name> <scopes> <64 hexadecimal digits>`")]
    Shape,
    /// A line's first word is no name.
    #[error("its name is none")]
    Name(#[source] TrustError),
    /// A line's second word says nothing.
    #[error("`{}` is none of `read`, `write` and `read,write`", text.escape_debug())]
    Scopes {
        /// The word.
        text: String,
    },
    /// Two lines are of one token.
    #[error("its token has a line already")]
    Twice,
}
