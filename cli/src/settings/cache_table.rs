//! A cache as settings files write it.

use std::path::PathBuf;

use serde::Deserialize;

/// An address, or a table with more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawCache")]
pub(super) struct CacheTable {
    /// Where it is.
    pub(super) url: String,
    /// Whether it may be spoken to unencrypted.
    pub(super) plaintext: bool,
    /// The region of a bucket.
    pub(super) region: Option<String>,
    /// The server that has a bucket.
    pub(super) endpoint: Option<String>,
    /// Where the credentials are, if not in one of the usual places.
    pub(super) credentials: Option<CredentialSource>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a cache is its address, or a table with `url` and perhaps `plaintext`, `region`, `endpoint` and `credentials`"
)]
enum RawCache {
    Text(String),
    Table(RawCacheTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawCacheTable {
    url: String,
    #[serde(default)]
    plaintext: bool,
    region: Option<String>,
    endpoint: Option<String>,
    credentials: Option<CredentialSource>,
}

impl From<RawCache> for CacheTable {
    fn from(raw: RawCache) -> Self {
        match raw {
            RawCache::Text(url) => Self {
                url,
                plaintext: false,
                region: None,
                endpoint: None,
                credentials: None,
            },
            RawCache::Table(table) => Self {
                url: table.url,
                plaintext: table.plaintext,
                region: table.region,
                endpoint: table.endpoint,
                credentials: table.credentials,
            },
        }
    }
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CredentialSource {
    /// Nowhere: the cache is asked without.
    None,
    /// A file that holds a bearer token and nothing else.
    TokenFile(PathBuf),
    /// An environment variable that holds a bearer token.
    TokenVariable(String),
    /// A profile of the files `~/.aws/credentials` and `~/.aws/config`.
    Profile(String),
    /// The machine's metadata service, for a bucket.
    Machine,
}
