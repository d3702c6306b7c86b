//! The names of the files of a cache.

use std::{fmt, str::FromStr};

use super::{
    DrawnId, FormatError, MAX_CONDEMNED, MAX_HINT, MAX_JSON, MAX_MANIFEST, MAX_PACK, MAX_RECORD,
};
use crate::id::{PackDigest, PathDigest, PlanDigest, ResolvedDigest, StoreName};

/// Bytes of a compressed build log that are read at most.
const MAX_LOG: u64 = 1 << 30;
/// 40 digits and a line feed.
const NAME_HINT: u64 = 41;

/// The name of one file of a cache, relative to the cache's address.
///
/// Printed and parsed as `FORMAT.md` writes it. Made of digests and store names alone, so no text that parses leaves the cache: no part of a name is empty or
/// begins with a dot. Store names may have `?`, `=` and `+`, which URLs escape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheName {
    /// `cache.json`: what the cache is.
    Info,
    /// `o/<aa>/<digest>`: the record of an object.
    Object(PathDigest),
    /// `c/<aa>/<digest>`: records and manifests of an object's closure.
    Closure(PathDigest),
    /// `t/<aa>/<digest>`: the manifest of an object.
    Manifest(PathDigest),
    /// `p/<aa>/<hex>`: a pack.
    Pack(PackDigest),
    /// `r/<aa>/<hex>`: what a derivation was built to.
    Realisations(ResolvedDigest),
    /// `b/<aa>/<hex>`: the realisations below a plan.
    PlanHint(PlanDigest),
    /// `n/<name>`: the object that was pushed last under a name without version.
    NameHint(StoreName),
    /// `log/<aa>/<hex>.zst`: the log of a build.
    Log(ResolvedDigest),
    /// `gc/pins`: what stays.
    Pins,
    /// `gc/condemned`: what is about to go.
    Condemned,
    /// `gc/claim-<id>`: what somebody needs of that.
    Claim(DrawnId),
    /// `gc/collector-<id>`: somebody who collects.
    Collector(DrawnId),
}

impl CacheName {
    /// Returns the name of the hint for all versions of a store name: `n/hello-dev` for `hello-2.12-dev`.
    ///
    /// Left out are the parts between dashes that begin with a digit, but never the first.
    #[must_use]
    pub fn name_hint(name: &StoreName) -> Self {
        let parts = name.as_str().split('-').enumerate();
        let kept: Vec<_> = parts
            .filter(|(at, part)| {
                *at == 0 || !part.starts_with(|first: char| first.is_ascii_digit())
            })
            .map(|(_, part)| part)
            .collect();
        // Only a name that begins with a dash has an empty first part, and may have nothing else that stays.
        Self::NameHint(kept.join("-").parse().unwrap_or_else(|_| name.clone()))
    }

    /// Tells whether the name is the digest of the file, so that it never changes and whoever has one needs no other.
    ///
    /// Manifests and closure bundles are no such files: they say where blobs lie, and repacking moves those.
    #[must_use]
    pub const fn is_content_addressed(&self) -> bool {
        matches!(self, Self::Pack(_))
    }

    /// Returns how many bytes a file of this name has at most; a reader stops there.
    #[must_use]
    pub const fn max_bytes(&self) -> u64 {
        match self {
            Self::Info | Self::Realisations(_) | Self::Pins => MAX_JSON as u64,
            Self::Condemned | Self::Claim(_) => MAX_CONDEMNED as u64,
            Self::Collector(_) => 1,
            Self::Object(_) => MAX_RECORD as u64,
            Self::PlanHint(_) => MAX_HINT as u64,
            Self::NameHint(_) => NAME_HINT,
            Self::Pack(_) => MAX_PACK as u64,
            Self::Manifest(_) => MAX_MANIFEST as u64,
            Self::Closure(_) => super::closure::MAX_CLOSURE,
            Self::Log(_) => MAX_LOG,
        }
    }
}

impl fmt::Display for CacheName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sharded = |f: &mut fmt::Formatter<'_>, folder: &str, name: &str, suffix: &str| {
            write!(f, "{folder}/{}/{name}{suffix}", &name[..2])
        };
        match self {
            Self::Info => f.write_str("cache.json"),
            Self::Object(digest) => sharded(f, "o", &digest.to_string(), ""),
            Self::Closure(digest) => sharded(f, "c", &digest.to_string(), ""),
            Self::Manifest(digest) => sharded(f, "t", &digest.to_string(), ""),
            Self::Pack(digest) => sharded(f, "p", &digest.to_hex(), ""),
            Self::Realisations(digest) => sharded(f, "r", &digest.to_hex(), ""),
            Self::PlanHint(digest) => sharded(f, "b", &digest.to_hex(), ""),
            Self::NameHint(name) => write!(f, "n/{name}"),
            Self::Log(digest) => sharded(f, "log", &digest.to_hex(), ".zst"),
            Self::Pins => f.write_str("gc/pins"),
            Self::Condemned => f.write_str("gc/condemned"),
            Self::Claim(id) => write!(f, "gc/claim-{id}"),
            Self::Collector(id) => write!(f, "gc/collector-{id}"),
        }
    }
}

impl FromStr for CacheName {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        parse(text).ok_or_else(|| FormatError::Name {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<CacheName> {
    if text == "cache.json" {
        return Some(CacheName::Info);
    }
    let (folder, rest) = text.split_once('/')?;
    if folder == "n" {
        return Some(CacheName::NameHint(rest.parse().ok()?));
    }
    if folder == "gc" {
        return parse_collection(rest);
    }
    let (shard, name) = rest.split_once('/')?;
    if name.get(..2)? != shard {
        return None;
    }
    Some(match folder {
        "o" => CacheName::Object(name.parse().ok()?),
        "c" => CacheName::Closure(name.parse().ok()?),
        "t" => CacheName::Manifest(name.parse().ok()?),
        "p" => CacheName::Pack(parse_hex(name)?),
        "r" => CacheName::Realisations(parse_hex(name)?),
        "b" => CacheName::PlanHint(parse_hex(name)?),
        "log" => CacheName::Log(parse_hex(name.strip_suffix(".zst")?)?),
        _ => return None,
    })
}

fn parse_collection(name: &str) -> Option<CacheName> {
    Some(match name.split_once('-') {
        Some(("claim", id)) => CacheName::Claim(id.parse().ok()?),
        Some(("collector", id)) => CacheName::Collector(id.parse().ok()?),
        Some(_) => return None,
        None => match name {
            "pins" => CacheName::Pins,
            "condemned" => CacheName::Condemned,
            _ => return None,
        },
    })
}

fn parse_hex<T: FromStr>(digits: &str) -> Option<T> {
    format!("blake3:{digits}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::arbitrary_store_name;
    use proptest::prelude::*;

    fn arbitrary_name() -> impl Strategy<Value = CacheName> {
        let path = || prop::array::uniform25(any::<u8>()).prop_map(PathDigest::from_bytes);
        let whole = || prop::array::uniform32(any::<u8>());
        prop_oneof![
            Just(CacheName::Info),
            path().prop_map(CacheName::Object),
            path().prop_map(CacheName::Closure),
            path().prop_map(CacheName::Manifest),
            whole().prop_map(|bytes| CacheName::Pack(PackDigest::from_bytes(bytes))),
            whole().prop_map(|bytes| CacheName::Realisations(ResolvedDigest::from_bytes(bytes))),
            whole().prop_map(|bytes| CacheName::PlanHint(PlanDigest::from_bytes(bytes))),
            arbitrary_store_name().prop_map(CacheName::NameHint),
            whole().prop_map(|bytes| CacheName::Log(ResolvedDigest::from_bytes(bytes))),
            Just(CacheName::Pins),
            Just(CacheName::Condemned),
            any::<u128>().prop_map(|id| CacheName::Claim(DrawnId::from_number(id))),
            any::<u128>().prop_map(|id| CacheName::Collector(DrawnId::from_number(id))),
        ]
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(name in arbitrary_name()) {
            prop_assert_eq!(name.to_string().parse::<CacheName>().unwrap(), name);
        }

        #[test]
        fn whatever_parses_prints_as_it_was_and_stays_below_the_cache(
            text in "(([octprbn]|log)/[0-9a-c]{2}/[0-9a-c./]{40,64}(\\.zst)?)|([onp]/.{0,12})|(.{0,30})",
        ) {
            if let Ok(name) = text.parse::<CacheName>() {
                prop_assert_eq!(name.to_string(), &text[..]);
                prop_assert!(text.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
            }
        }

        #[test]
        fn a_changed_character_gives_another_name_or_none(
            name in arbitrary_name(), at in any::<prop::sample::Index>(), character: char,
        ) {
            let mut text: Vec<char> = name.to_string().chars().collect();
            let at = at.index(text.len());
            prop_assume!(text[at] != character);
            text[at] = character;
            if let Ok(changed) = text.iter().collect::<String>().parse::<CacheName>() {
                prop_assert_ne!(changed, name);
            }
        }
    }

    #[test]
    fn names_that_escape_or_are_written_otherwise_are_refused() {
        let digest = "0".repeat(40);
        let hex = "a".repeat(64);
        assert!(format!("o/00/{digest}").parse::<CacheName>().is_ok());
        assert!(format!("p/aa/{hex}").parse::<CacheName>().is_ok());
        for text in [
            String::new(),
            "..".to_owned(),
            "n/..".to_owned(),
            "n/../cache.json".to_owned(),
            "n/".to_owned(),
            "n/a/b".to_owned(),
            "/cache.json".to_owned(),
            "./cache.json".to_owned(),
            "cache.json/".to_owned(),
            "cache.json\0".to_owned(),
            format!("o/01/{digest}"),
            format!("o/{digest}"),
            format!("o/00/{digest}/"),
            format!("o//00/{digest}"),
            format!("o/../{digest}"),
            format!("o/00/{hex}"),
            format!("p/00/{digest}"),
            format!("p/AA/{}", hex.to_uppercase()),
            format!("p/aa/blake3:{hex}"),
            format!("p/aa/{hex}.zst"),
            format!("log/aa/{hex}"),
            format!("x/aa/{hex}"),
            "gc/".to_owned(),
            "gc/other".to_owned(),
            "gc/claim-".to_owned(),
            "gc/claim-../../cache.json".to_owned(),
            format!("gc/pins-{}", "0".repeat(32)),
            format!("o/é/é{digest}"),
        ] {
            assert!(text.parse::<CacheName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn hints_have_no_version() {
        for (name, hint) in [
            ("hello", "hello"),
            ("hello-2.12", "hello"),
            ("hello-2.12-dev", "hello-dev"),
            ("gtk+-3.0-x11", "gtk+-x11"),
            ("python3.11-pip-23", "python3.11-pip"),
            ("7zip-22", "7zip"),
            ("-1", "-1"),
            ("a-", "a-"),
        ] {
            let hint = CacheName::NameHint(hint.parse().unwrap());
            assert_eq!(CacheName::name_hint(&name.parse().unwrap()), hint, "{name}");
        }
    }
}
