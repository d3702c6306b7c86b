//! What a server's owner decides.

use std::{fmt, path::PathBuf};

use crate::{
    cache::backend::CacheUrl,
    serve::{OnEvent, ReadAccess, ServerLimits},
    trust::PublicKey,
};

/// What becomes of records and realisations that no key has signed which the server was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// They are kept: clients decide for themselves what they trust.
    Accepted,
    /// They are refused, and so are signatures of other keys.
    Refused,
}

/// What a server's owner decides.
#[derive(Clone)]
pub struct ServerOptions {
    /// The cache, which must be a directory. Made if only its last part is missing.
    pub cache: CacheUrl,
    /// Who may read.
    pub read: ReadAccess,
    /// The file of tokens; without one nobody may write.
    pub tokens: Option<PathBuf>,
    /// Keys whose signatures are verified, and which the `cache.json` offers that is made where there is none.
    pub keys: Vec<PublicKey>,
    /// What becomes of what they have not signed.
    pub unsigned: Unsigned,
    /// How much of the machine clients get.
    pub limits: ServerLimits,
    /// Who hears of it.
    pub on_event: Option<OnEvent>,
}

impl ServerOptions {
    /// A server that nobody may use: reading needs a token, and there are none.
    #[must_use]
    pub fn new(cache: CacheUrl) -> Self {
        Self {
            cache,
            read: ReadAccess::Tokens,
            tokens: None,
            keys: Vec::new(),
            unsigned: Unsigned::Accepted,
            limits: ServerLimits::default(),
            on_event: None,
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("cache", &self.cache)
            .field("read", &self.read)
            .field("tokens", &self.tokens)
            .field("keys", &self.keys)
            .field("unsigned", &self.unsigned)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
