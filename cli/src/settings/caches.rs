//! Which caches are asked, and what settings files say of each.
//!
//! Any file may name a cache: what comes from one is believed for its digests and signatures alone. But whatever decides where secrets go, and which key signs,
//! is for the user and for whoever runs the machine: a project's own file comes with the project.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use store::cache::backend::{CacheUrl, CacheUrlError, Plaintext};
use thiserror::Error;

use super::cache_table::{CacheTable, CredentialSource};
use super::file::SettingsFile;
use crate::args::GlobalArgs;

/// One cache, as a settings file or the command line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheEntry {
    /// Where it is.
    pub(crate) url: CacheUrl,
    /// What may cross the network unencrypted.
    pub(crate) plaintext: Plaintext,
    /// The region of a bucket.
    pub(crate) region: Option<String>,
    /// The server that has a bucket.
    pub(crate) endpoint: Option<String>,
    /// Where the credentials are, if not in one of the usual places.
    pub(crate) credentials: Option<CredentialSource>,
    /// Who named it.
    pub(crate) origin: Origin,
}

/// Who named a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user, for this command: a flag, an argument or a variable.
    Command,
    /// The user's settings, or the machine's.
    Machine,
    /// The project.
    Project,
}

/// Whether caches are asked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheUse {
    /// They come first; what they do not have is built.
    #[default]
    First,
    /// What they do not have is an error.
    Only,
    /// They are not asked.
    Never,
}

/// Everything that was said of caches, joined.
#[derive(Debug, Default, Clone)]
pub(crate) struct CacheSettings {
    /// What is asked, in this order: each address once.
    pub(crate) caches: Vec<CacheEntry>,
    /// What files say of caches, asked or not.
    known: Vec<CacheEntry>,
    /// Whether they are asked.
    pub(crate) mode: CacheUse,
    /// The file of the key that signs what is pushed.
    pub(crate) signing_key: Option<PathBuf>,
}

/// Why what was said of caches cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CacheSettingsError {
    /// An address is none.
    #[error("`{place}` names no cache")]
    Url {
        /// The file or variable.
        place: String,
        /// Why not.
        source: CacheUrlError,
    },
    /// A project decides where secrets go.
    #[error("`{}` sets `{key}`, which is not for a project to decide", path.display())]
    Project {
        /// The project's file.
        path: PathBuf,
        /// What it sets.
        key: &'static str,
    },
    /// A variable is not text.
    #[error("`PITH_CACHE` is not UTF-8")]
    Variable,
}

/// A settings file, where it lies, and whose it is.
#[derive(Debug)]
pub(super) struct CacheLayer {
    path: PathBuf,
    origin: Origin,
    caches: Vec<CacheTable>,
    signing_key: Option<PathBuf>,
}

impl CacheLayer {
    /// Takes what the file at `path` says of caches.
    pub(super) fn take(path: &Path, origin: Origin, file: &mut SettingsFile) -> Self {
        Self {
            path: path.to_owned(),
            origin,
            caches: std::mem::take(&mut file.caches),
            signing_key: file.signing_key.take(),
        }
    }

    fn entries(&self) -> Result<Vec<CacheEntry>, CacheSettingsError> {
        let refuse = |key| CacheSettingsError::Project {
            path: self.path.clone(),
            key,
        };
        if self.origin == Origin::Project {
            if self.signing_key.is_some() {
                return Err(refuse("signing-key"));
            }
            if self.caches.iter().any(|table| table.credentials.is_some()) {
                return Err(refuse("credentials"));
            }
            if self.caches.iter().any(|table| table.plaintext) {
                return Err(refuse("plaintext"));
            }
        }
        self.caches
            .iter()
            .map(|table| {
                let url = self.beside(&table.url).parse();
                Ok(CacheEntry {
                    url: url.map_err(|source| CacheSettingsError::Url {
                        place: self.path.display().to_string(),
                        source,
                    })?,
                    plaintext: if table.plaintext {
                        Plaintext::Allowed
                    } else {
                        Plaintext::Denied
                    },
                    region: table.region.clone(),
                    endpoint: table.endpoint.clone(),
                    credentials: table.credentials.clone().map(|source| match source {
                        CredentialSource::TokenFile(path) => {
                            CredentialSource::TokenFile(self.directory().join(path))
                        }
                        source => source,
                    }),
                    origin: self.origin,
                })
            })
            .collect()
    }

    /// A directory is relative to the file that names it.
    fn beside(&self, url: &str) -> String {
        let is_relative = url.starts_with("./") || url.starts_with("../");
        match self.directory().to_str() {
            Some(directory) if is_relative => format!("{directory}/{url}"),
            _ => url.to_owned(),
        }
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

impl CacheSettings {
    /// Joins flags, the variable `PITH_CACHE` and the layers, the first of which goes before the others. Caches that the user names for this command are
    /// asked in place of those in files.
    pub(super) fn join(
        flags: &GlobalArgs,
        variable: Option<&OsStr>,
        layers: &[CacheLayer],
    ) -> Result<Self, CacheSettingsError> {
        let mut known = Vec::new();
        for layer in layers {
            known.extend(layer.entries()?);
        }
        let mut settings = Self {
            caches: Vec::new(),
            known,
            mode: match (flags.cache_only, flags.no_cache) {
                (true, _) => CacheUse::Only,
                (_, true) => CacheUse::Never,
                _ => CacheUse::First,
            },
            signing_key: layers.iter().find_map(|layer| {
                let path = layer.signing_key.as_ref()?;
                Some(layer.directory().join(path))
            }),
        };
        let mut named = flags.caches.clone();
        if let (Some(variable), true) = (variable, named.is_empty()) {
            let text = variable.to_str().ok_or(CacheSettingsError::Variable)?;
            for text in text.split_whitespace() {
                named.push(text.parse().map_err(|source| CacheSettingsError::Url {
                    place: "PITH_CACHE".to_owned(),
                    source,
                })?);
            }
        }
        let wanted: Vec<CacheEntry> = if named.is_empty() && variable.is_none() {
            settings.known.clone()
        } else {
            named.iter().map(|url| settings.entry(url)).collect()
        };
        let mut seen = BTreeSet::new();
        settings.caches = wanted
            .into_iter()
            .filter(|entry| seen.insert(entry.url.to_string()))
            .collect();
        Ok(settings)
    }

    /// Returns a cache that the user names for this command, with what the files say of it.
    pub(crate) fn entry(&self, url: &CacheUrl) -> CacheEntry {
        let text = url.to_string();
        let known = self
            .known
            .iter()
            .find(|entry| entry.url.to_string() == text);
        CacheEntry {
            url: url.clone(),
            origin: Origin::Command,
            ..known.cloned().unwrap_or_else(|| CacheEntry {
                url: url.clone(),
                plaintext: Plaintext::Denied,
                region: None,
                endpoint: None,
                credentials: None,
                origin: Origin::Command,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn flags(arguments: &[&str]) -> GlobalArgs {
        let arguments = ["pith"].iter().chain(arguments).chain(&["search", ""]);
        Cli::try_parse_from(arguments).unwrap().global
    }

    fn layer(path: &str, origin: Origin, text: &str) -> CacheLayer {
        let mut file: SettingsFile = toml::from_str(text).unwrap();
        CacheLayer::take(Path::new(path), origin, &mut file)
    }

    fn shown(settings: &CacheSettings) -> Vec<String> {
        let urls = settings.caches.iter().map(|entry| entry.url.to_string());
        urls.collect()
    }

    #[test]
    fn files_are_joined_and_what_the_user_names_goes_in_their_place() {
        let layers = [
            layer(
                "/home/u/web/pith.toml",
                Origin::Project,
                "caches = ['./cache', 'https://a.example/x/']",
            ),
            layer(
                "/home/u/.config/pith/config.toml",
                Origin::Machine,
                "signing-key = 'key'\n[[caches]]\nurl = 's3://b'\nregion = 'eu'\ncredentials = { profile = 'work' }\n[[caches]]\nurl = 'https://a.example/x'",
            ),
        ];
        let join = |flags: &GlobalArgs, variable: Option<&str>| {
            CacheSettings::join(flags, variable.map(OsStr::new), &layers).unwrap()
        };
        let settings = join(&flags(&[]), None);
        assert_eq!(
            shown(&settings),
            ["/home/u/web/./cache", "https://a.example/x", "s3://b"]
        );
        assert_eq!(
            settings.signing_key.as_deref(),
            Some(Path::new("/home/u/.config/pith/key"))
        );
        let settings = join(&flags(&[]), Some(" s3://b  /srv/c "));
        assert_eq!(shown(&settings), ["s3://b", "/srv/c"]);
        let bucket = &settings.caches[0];
        assert_eq!(bucket.region.as_deref(), Some("eu"));
        assert_eq!(
            (&bucket.credentials, bucket.origin),
            (
                &Some(CredentialSource::Profile("work".to_owned())),
                Origin::Command
            )
        );
        let settings = join(&flags(&["--cache", "/srv/d"]), Some("s3://b"));
        assert_eq!(shown(&settings), ["/srv/d"]);
        assert_eq!(join(&flags(&["--no-cache"]), None).mode, CacheUse::Never);
        assert_eq!(join(&flags(&["--cache-only"]), None).mode, CacheUse::Only);
    }

    #[test]
    fn a_project_does_not_decide_where_secrets_go() {
        for (text, key) in [
            ("signing-key = 'k'", "signing-key"),
            (
                "caches = [{ url = 'https://a', credentials = { token-file = '/etc/x' } }]",
                "credentials",
            ),
            (
                "caches = [{ url = 'http://a', plaintext = true }]",
                "plaintext",
            ),
        ] {
            let layers = [layer("/w/pith.toml", Origin::Project, text)];
            let error = CacheSettings::join(&flags(&[]), None, &layers).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`/w/pith.toml` sets `{key}`, which is not for a project to decide")
            );
            assert!(
                CacheSettings::join(&flags(&[]), None, &[layer("/c", Origin::Machine, text)])
                    .is_ok()
            );
        }
    }

    #[test]
    fn what_is_no_cache_is_refused_for_its_reason() {
        for text in [
            "caches = [1]",
            "caches = [{ region = 'x' }]",
            "caches = [{ url = '/x', regoin = 'x' }]",
            "caches = [{ url = '/x', credentials = 'x' }]",
        ] {
            assert!(toml::from_str::<SettingsFile>(text).is_err(), "{text}");
        }
        let layers = [layer("/c.toml", Origin::Machine, "caches = ['ftp://x']")];
        let error = CacheSettings::join(&flags(&[]), None, &layers).unwrap_err();
        assert_eq!(error.to_string(), "`/c.toml` names no cache");
    }
}
