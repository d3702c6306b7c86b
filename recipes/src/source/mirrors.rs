//! `mirror://NAME/path`: one name for the many places that have the same files.
//!
//! A recipe never names the host of a registry. It names a mirror, and a [`MirrorTable`] says which base addresses stand
//! behind the name: first what the configuration lists, then what the machine is set up to use
//! ([`machine`](super::machine)), then a short list of public archives that have no such setting. A registry that none of
//! these names is the one that its own package manager uses without being told. Which one answers is
//! never part of a result, because every fetch states the digest of its bytes.
//!
//! ```
//! use recipes::source::{Address, MirrorTable};
//!
//! let mut table = MirrorTable::new();
//! table.append("gnu", Address::new("https://ftp.example.org/gnu/"));
//! let found = table.resolve("mirror://gnu/hello/hello-2.10.tar.gz").unwrap();
//! assert_eq!(found[0].url, "https://ftp.example.org/gnu/hello/hello-2.10.tar.gz");
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::PREFIX;
use super::machine::Tools;

/// Public archives that no setting of a machine names.
const BUILT_IN: [(&str, &[&str]); 4] = [
    (
        "gnu",
        &["https://ftpmirror.gnu.org", "https://ftp.gnu.org/gnu"],
    ),
    (
        "savannah",
        &[
            "https://download.savannah.gnu.org/releases",
            "https://download.savannah.nongnu.org/releases",
        ],
    ),
    (
        "kernel",
        &[
            "https://cdn.kernel.org/pub",
            "https://mirrors.edge.kernel.org/pub",
        ],
    ),
    (
        "sourceware",
        &[
            "https://sourceware.org/pub",
            "https://mirrors.kernel.org/sourceware",
        ],
    ),
];

/// One place to ask, and the way to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The whole URL; `http`, `https` or `file`.
    pub url: String,
    /// The proxy through which the machine reaches it, if it has one of its own.
    pub proxy: Option<String>,
}

impl Address {
    /// Returns an address that needs no proxy of its own.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            proxy: None,
        }
    }
}

/// Why a URL leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// The table has no entry of this name.
    #[error("no mirror named `{name}` is known on this machine (in `{url}`)")]
    Unknown {
        /// The name between `mirror://` and the next slash.
        name: String,
        /// The URL of the recipe.
        url: String,
    },
    /// Neither `http`, `https`, `file` nor `mirror`.
    #[error("`{url}` has a scheme that cannot be fetched; known are https, http, file and mirror")]
    Scheme {
        /// The URL of the recipe.
        url: String,
    },
    /// The path of a `mirror:` URL could leave the mirror.
    #[error("`{url}` has no plain path below its mirror")]
    Path {
        /// The URL of the recipe.
        url: String,
    },
}

/// Which base addresses stand behind each mirror name, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorTable {
    bases: BTreeMap<String, Vec<Address>>,
    tools: Option<Arc<Tools>>,
}

impl MirrorTable {
    /// Returns a table without any mirror.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `base` behind all others of `name`; one that is listed already keeps its place.
    pub fn append(&mut self, name: &str, base: Address) {
        let bases = self.bases.entry(name.to_owned()).or_default();
        let same =
            |known: &Address| known.url.trim_end_matches('/') == base.url.trim_end_matches('/');
        if !bases.iter().any(same) {
            bases.push(base);
        }
    }

    /// Adds everything of `later` behind what is here.
    pub fn append_all(&mut self, later: Self) {
        for (name, bases) in later.bases {
            for base in bases {
                self.append(&name, base);
            }
        }
    }

    /// Adds the public archives that every machine may use.
    pub fn append_built_in(&mut self) {
        for (name, bases) in BUILT_IN {
            for base in bases {
                self.append(name, Address::new(*base));
            }
        }
    }

    /// Has `tools` asked for a mirror that is wanted and has no entry.
    pub fn ask(&mut self, tools: Tools) {
        self.tools = Some(Arc::new(tools));
    }

    /// Returns the base addresses that are listed for `name`, in the order in which they are tried.
    pub fn bases(&self, name: &str) -> &[Address] {
        self.bases.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the addresses that `url` stands for: itself, or one for each base of its mirror. Never empty.
    ///
    /// `index+URL` stands for a page that lists files, and keeps what it begins with.
    pub fn resolve(&self, url: &str) -> Result<Vec<Address>, MirrorError> {
        if let Some(page) = url.strip_prefix(PREFIX) {
            let listed = |address: Address| Address {
                url: format!("{PREFIX}{}", address.url),
                ..address
            };
            return Ok(self.resolve(page)?.into_iter().map(listed).collect());
        }
        let Some(rest) = url.strip_prefix("mirror://") else {
            let known = ["https://", "http://", "file:///"]
                .iter()
                .any(|scheme| url.starts_with(scheme));
            return if known {
                Ok(vec![Address::new(url)])
            } else {
                Err(MirrorError::Scheme {
                    url: url.to_owned(),
                })
            };
        };
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(MirrorError::Path {
                url: url.to_owned(),
            });
        }
        let bases = match (self.bases(name), &self.tools) {
            ([], Some(tools)) => tools.bases(name),
            (listed, _) => listed,
        };
        if bases.is_empty() {
            return Err(MirrorError::Unknown {
                name: name.to_owned(),
                url: url.to_owned(),
            });
        }
        Ok(bases
            .iter()
            .map(|base| Address {
                url: format!("{}/{path}", base.url.trim_end_matches('/')),
                proxy: base.proxy.clone(),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_comes_before_the_machine_and_both_before_the_built_in_list() {
        let mut table = MirrorTable::new();
        table.append("gnu", Address::new("https://configured.example/gnu"));
        let mut machine = MirrorTable::new();
        machine.append("gnu", Address::new("https://machine.example/gnu/"));
        machine.append("gnu", Address::new("https://configured.example/gnu/"));
        table.append_all(machine);
        table.append_built_in();
        let urls: Vec<_> = table
            .resolve("mirror://gnu/a/b.tar")
            .unwrap()
            .into_iter()
            .map(|a| a.url)
            .collect();
        assert_eq!(
            urls[..2],
            [
                "https://configured.example/gnu/a/b.tar",
                "https://machine.example/gnu/a/b.tar"
            ]
        );
        assert_eq!(urls.len(), 4);
    }

    #[test]
    fn a_plain_address_stands_for_itself() {
        for url in ["https://h/x", "http://h/x", "file:///x"] {
            assert_eq!(
                MirrorTable::new().resolve(url).unwrap(),
                [Address::new(url)]
            );
        }
    }

    #[test]
    fn a_list_of_links_is_resolved_as_one() {
        let mut table = MirrorTable::new();
        table.append("pypi", Address::new("https://i.example/root/"));
        assert_eq!(
            table.resolve("index+mirror://pypi/simple/flask").unwrap(),
            [Address::new("index+https://i.example/root/simple/flask")]
        );
    }

    #[test]
    fn what_leads_nowhere_is_refused_by_name() {
        let table = MirrorTable::new();
        for (url, message) in [
            (
                "mirror://debian/pool/x.deb",
                "no mirror named `debian` is known on this machine (in `mirror://debian/pool/x.deb`)",
            ),
            (
                "mirror://gnu/../x",
                "`mirror://gnu/../x` has no plain path below its mirror",
            ),
            (
                "mirror://gnu",
                "`mirror://gnu` has no plain path below its mirror",
            ),
            (
                "ftp://h/x",
                "`ftp://h/x` has a scheme that cannot be fetched; known are https, http, file and mirror",
            ),
            (
                "file://host/x",
                "`file://host/x` has a scheme that cannot be fetched; known are https, http, file and mirror",
            ),
        ] {
            assert_eq!(table.resolve(url).unwrap_err().to_string(), message);
        }
    }
}
