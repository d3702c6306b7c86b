//! `gc/…`: what stays in a cache, what is about to go, and who still needs it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{CacheName, FormatError, MAX_CONDEMNED, MAX_JSON, VERSION, json};
use crate::id::StorePath;

const PINS: &str = "list of pins";
const CONDEMNED: &str = "list of what goes";
const CLAIM: &str = "claim";

/// A number that nobody draws twice: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawnId(u128);

impl DrawnId {
    /// Draws one.
    pub fn draw() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
        Ok(Self(u128::from_le_bytes(bytes)))
    }

    /// Takes a number that somebody else drew.
    #[must_use]
    pub const fn from_number(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for DrawnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for DrawnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DrawnId({self})")
    }
}

impl FromStr for DrawnId {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let number = (text.len() == 32 && text.bytes().all(is_digit))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten();
        number.map(Self).ok_or_else(|| FormatError::Name {
            text: text.to_owned(),
        })
    }
}

/// The objects whose closures stay in a cache, whoever collects it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pins {
    /// Their paths.
    pub paths: BTreeSet<StorePath>,
}

#[derive(Serialize, Deserialize)]
struct PinsWire {
    version: u64,
    pins: Vec<StorePath>,
}

impl Pins {
    /// Parses `gc/pins`.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let wire: PinsWire = json::parse(PINS, bytes, MAX_JSON)?;
        if !wire.pins.is_sorted_by(|a, b| a < b) {
            return Err(malformed(PINS, "they ascend, and none is there twice"));
        }
        Ok(Self {
            paths: wire.pins.into_iter().collect(),
        })
    }

    /// Prints `gc/pins`. Fails when it has more than 1 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let wire = PinsWire {
            version: VERSION,
            pins: self.paths.iter().cloned().collect(),
        };
        json::print(PINS, &wire, MAX_JSON)
    }
}

/// The files that a collection has found nothing for, and that go after a while unless somebody claims them.
///
/// Invariant: `cache.json` and what lies in `gc/` are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condemned {
    /// Drawn by whoever made the list.
    pub id: DrawnId,
    /// When it was made, in seconds since 1970 by the clock of that collector.
    pub marked_at: u64,
    /// When a collector began to remove them; `None` before.
    pub sweep_begun: Option<u64>,
    names: BTreeSet<CacheName>,
}

#[derive(Serialize, Deserialize)]
struct CondemnedWire {
    version: u64,
    id: String,
    marked_at: u64,
    // Without this a key that is missing would be `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    sweep_begun: Option<u64>,
    names: Vec<String>,
}

impl Condemned {
    /// Makes a list. What must never go is left out, and so is all that comes after it has become too large: the next collection finds that again.
    #[must_use]
    pub fn new(id: DrawnId, marked_at: u64, names: impl IntoIterator<Item = CacheName>) -> Self {
        let mut size = 256;
        let names = names.into_iter().filter(may_go).take_while(|name| {
            size += name.to_string().len() + 3;
            size <= MAX_CONDEMNED
        });
        Self {
            id,
            marked_at,
            sweep_begun: None,
            names: names.collect(),
        }
    }

    /// Returns the names of the files.
    #[must_use]
    pub const fn names(&self) -> &BTreeSet<CacheName> {
        &self.names
    }

    /// Parses `gc/condemned`.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let wire: CondemnedWire = json::parse(CONDEMNED, bytes, MAX_CONDEMNED)?;
        Ok(Self {
            id: wire.id.parse()?,
            marked_at: wire.marked_at,
            sweep_begun: wire.sweep_begun,
            names: parse_names(CONDEMNED, &wire.names)?,
        })
    }

    /// Prints `gc/condemned`.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let wire = CondemnedWire {
            version: VERSION,
            id: self.id.to_string(),
            marked_at: self.marked_at,
            sweep_begun: self.sweep_begun,
            names: print_names(&self.names),
        };
        json::print(CONDEMNED, &wire, MAX_CONDEMNED)
    }
}

/// Files that somebody relies on although they are on a [list of what goes](Condemned).
///
/// Invariant: as that list's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    names: BTreeSet<CacheName>,
}

#[derive(Serialize, Deserialize)]
struct ClaimWire {
    version: u64,
    names: Vec<String>,
}

impl Claim {
    /// Claims files. Those that never go need no claim and are left out.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = CacheName>) -> Self {
        Self {
            names: names.into_iter().filter(may_go).collect(),
        }
    }

    /// Returns the names of the files.
    #[must_use]
    pub const fn names(&self) -> &BTreeSet<CacheName> {
        &self.names
    }

    /// Parses `gc/claim-…`.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let wire: ClaimWire = json::parse(CLAIM, bytes, MAX_CONDEMNED)?;
        Ok(Self {
            names: parse_names(CLAIM, &wire.names)?,
        })
    }

    /// Prints `gc/claim-…`. Never larger than the list that the names come from.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let wire = ClaimWire {
            version: VERSION,
            names: print_names(&self.names),
        };
        json::print(CLAIM, &wire, MAX_CONDEMNED)
    }
}

const fn may_go(name: &CacheName) -> bool {
    !matches!(
        name,
        CacheName::Info
            | CacheName::Pins
            | CacheName::Condemned
            | CacheName::Claim(_)
            | CacheName::Collector(_)
    )
}

fn parse_names(what: &'static str, texts: &[String]) -> Result<BTreeSet<CacheName>, FormatError> {
    if !texts.is_sorted_by(|a, b| a < b) {
        return Err(malformed(what, "its names ascend, and none is there twice"));
    }
    let names: BTreeSet<CacheName> = texts
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    if !names.iter().all(may_go) {
        return Err(malformed(what, "it names no file that never goes"));
    }
    Ok(names)
}

fn print_names(names: &BTreeSet<CacheName>) -> Vec<String> {
    let mut texts: Vec<String> = names.iter().map(CacheName::to_string).collect();
    texts.sort_unstable();
    texts
}

const fn malformed(what: &'static str, rule: &'static str) -> FormatError {
    FormatError::Malformed { what, rule }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{PackDigest, PathDigest, ResolvedDigest},
        testing::{arbitrary_object_id, arbitrary_store_name},
    };
    use proptest::prelude::*;

    fn arbitrary_names() -> impl Strategy<Value = BTreeSet<CacheName>> {
        let whole = || prop::array::uniform32(any::<u8>());
        let name = prop_oneof![
            prop::array::uniform25(any::<u8>())
                .prop_map(|bytes| CacheName::Object(PathDigest::from_bytes(bytes))),
            whole().prop_map(|bytes| CacheName::Pack(PackDigest::from_bytes(bytes))),
            whole().prop_map(|bytes| CacheName::Log(ResolvedDigest::from_bytes(bytes))),
            arbitrary_store_name().prop_map(CacheName::NameHint),
        ];
        prop::collection::btree_set(name, 0..6)
    }

    proptest! {
        #[test]
        fn pins_are_read_as_they_were_written(objects in prop::collection::vec((arbitrary_object_id(), arbitrary_store_name()), 0..5)) {
            let paths = objects.into_iter().map(|(id, name)| StorePath::new(id.path_digest(), name));
            let pins = Pins { paths: paths.collect() };
            prop_assert_eq!(Pins::decode(&pins.encode().unwrap()).unwrap(), pins);
        }

        #[test]
        fn lists_are_read_as_they_were_written(names in arbitrary_names(), id: u128, marked_at: u64, sweep_begun: Option<u64>) {
            let mut list = Condemned::new(DrawnId::from_number(id), marked_at, names.clone());
            list.sweep_begun = sweep_begun;
            prop_assert_eq!(Condemned::decode(&list.encode().unwrap()).unwrap(), list);
            let claim = Claim::new(names);
            prop_assert_eq!(Claim::decode(&claim.encode().unwrap()).unwrap(), claim);
        }

        #[test]
        fn whatever_is_accepted_keeps_the_rules(names in arbitrary_names(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = Condemned::new(DrawnId::from_number(7), 1, names).encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(changed) = Condemned::decode(&bytes) {
                prop_assert_eq!(Condemned::decode(&changed.encode().unwrap()).unwrap(), changed);
            }
        }
    }

    #[test]
    fn the_cache_itself_cannot_be_condemned() {
        let id = "0".repeat(32);
        for name in [
            "cache.json",
            "gc/pins",
            "gc/condemned",
            &format!("gc/claim-{id}"),
            "p/../cache.json",
        ] {
            let list = format!(
                r#"{{"version":1,"id":"{id}","marked_at":1,"sweep_begun":null,"names":["{name}"]}}"#
            );
            assert!(Condemned::decode(list.as_bytes()).is_err(), "{name}");
            let claim = format!(r#"{{"version":1,"names":["{name}"]}}"#);
            assert!(Claim::decode(claim.as_bytes()).is_err(), "{name}");
        }
        let list = Condemned::new(
            DrawnId::from_number(1),
            1,
            [CacheName::Info, CacheName::Pins],
        );
        assert!(list.names().is_empty());
    }

    #[test]
    fn lists_without_order_or_with_keys_missing_are_refused() {
        let id = "0".repeat(32);
        for (names, good) in [
            (r#""n/a","n/b""#, true),
            (r#""n/b","n/a""#, false),
            (r#""n/a","n/a""#, false),
        ] {
            let text = format!(r#"{{"version":1,"names":[{names}]}}"#);
            assert_eq!(Claim::decode(text.as_bytes()).is_ok(), good, "{names}");
        }
        for (rest, good) in [
            (r#""sweep_begun":null,"names":[]"#, true),
            (r#""names":[]"#, false),
            (r#""sweep_begun":null"#, false),
        ] {
            let text = format!(r#"{{"version":1,"id":"{id}","marked_at":1,{rest}}}"#);
            assert_eq!(Condemned::decode(text.as_bytes()).is_ok(), good, "{rest}");
        }
    }

    #[test]
    fn drawn_ids_have_one_form() {
        let text = "00000000000000000000000000000abc";
        assert_eq!(text.parse::<DrawnId>().unwrap().to_string(), text);
        for text in [
            "",
            "abc",
            &"A".repeat(32),
            &"+0".repeat(16),
            &"0".repeat(33),
        ] {
            assert!(text.parse::<DrawnId>().is_err(), "{text}");
        }
    }
}
