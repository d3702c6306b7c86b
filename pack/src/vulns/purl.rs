//! Package URLs: how the world outside a store names software. Pure.
//!
//! Format: purl-spec 1.0, `pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS#SUBPATH`, each part percent-encoded.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// Who gives names to what nobody else has one for.
const OWN: &str = "pith";

/// A package URL. Printed in the canonical form: qualifiers sorted, only what must be is percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purl {
    /// Which names these are: `cargo`, `deb`; lower case.
    pub kind: String,
    /// Who gives the name, for instance `debian` or npm's `@scope`; `/` between several parts.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The version.
    pub version: Option<String>,
    /// What else has to be known, for instance `distro`.
    pub qualifiers: BTreeMap<String, String>,
    /// A place in the package.
    pub subpath: Option<String>,
}

/// The text is no package URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a package URL of the form `pkg:type/name@version`")]
pub struct PurlError {
    /// The text.
    pub text: String,
}

impl Purl {
    /// Returns the namespace and the name with a `/` between them, as npm and Go write a name.
    #[must_use]
    pub fn full_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns the name of software that states none: only who wrote it knows which `name` is meant.
    #[must_use]
    pub fn generic(name: &str, version: Option<&str>, cpe: Option<&str>) -> Self {
        let cpe = cpe.map(|cpe| ("cpe".to_owned(), cpe.to_owned()));
        Self {
            kind: "generic".to_owned(),
            namespace: None,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            qualifiers: cpe.into_iter().collect(),
            subpath: None,
        }
    }

    /// Returns the name of what only this program has put together: what is delivered is known by its digest, and no database speaks of it.
    ///
    /// The namespace keeps software of that name elsewhere from being taken for it, and it for that.
    #[must_use]
    pub fn own(name: &str, version: Option<&str>, sha256: &str) -> Self {
        let checksum = ("checksum".to_owned(), format!("sha256:{sha256}"));
        Self {
            namespace: Some(OWN.to_owned()),
            qualifiers: [checksum].into(),
            ..Self::generic(name, version, None)
        }
    }

    /// Whether it is a name of [`own`](Self::own).
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.kind == "generic" && self.namespace.as_deref() == Some(OWN)
    }

    /// Returns the name by which a bill of materials says the world knows something; none where that is nobody but this program.
    pub(super) fn outside(text: &str) -> Option<Self> {
        text.parse().ok().filter(|purl: &Self| !purl.is_own())
    }

    /// Whether both name the same package, whatever its version and where it comes from; a version counts where both have one.
    #[must_use]
    pub fn is_about(&self, other: &Self) -> bool {
        let versions = self.version.as_ref().zip(other.version.as_ref());
        self.kind == other.kind
            && self.namespace == other.namespace
            && self.name == other.name
            && versions.is_none_or(|(a, b)| a == b)
    }
}

impl FromStr for Purl {
    type Err = PurlError;

    fn from_str(text: &str) -> Result<Self, PurlError> {
        parse(text).ok_or_else(|| PurlError {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<Purl> {
    let rest = text.strip_prefix("pkg:")?.trim_start_matches('/');
    let (rest, subpath) = split(rest, '#');
    let (rest, qualifiers) = split(rest, '?');
    let (kind, path) = rest.split_once('/')?;
    let is_kind = |b: u8| b.is_ascii_alphanumeric() || b".+-".contains(&b);
    if kind.is_empty() || !kind.bytes().all(is_kind) {
        return None;
    }
    let path = path.trim_matches('/');
    let (namespace, last) = match path.rsplit_once('/') {
        Some((namespace, last)) => (Some(namespace), last),
        None => (None, path),
    };
    // An `@` at the beginning belongs to a name that was not encoded.
    let (name, version) = match last.rfind('@') {
        Some(at) if at > 0 => (last.get(..at)?, last.get(at + 1..)),
        _ => (last, None),
    };
    let namespace = match namespace {
        Some(namespace) => {
            let parts: Option<Vec<String>> = namespace
                .split('/')
                .filter(|part| !part.is_empty())
                .map(decode)
                .collect();
            Some(parts?.join("/")).filter(|parts| !parts.is_empty())
        }
        None => None,
    };
    let mut map = BTreeMap::new();
    for pair in qualifiers.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !value.is_empty() {
            map.insert(key.to_ascii_lowercase(), decode(value)?);
        }
    }
    let optional = |text: Option<&str>| match text {
        Some(text) if !text.is_empty() => decode(text).map(Some),
        _ => Some(None),
    };
    Some(Purl {
        kind: kind.to_ascii_lowercase(),
        namespace,
        name: decode(name).filter(|name| !name.is_empty())?,
        version: optional(version)?,
        qualifiers: map,
        subpath: optional(subpath.map(|path| path.trim_matches('/')))?,
    })
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = tail.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

fn encode(formatter: &mut fmt::Formatter<'_>, text: &str, plain: &[u8]) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) || plain.contains(&byte) {
            write!(formatter, "{}", char::from(byte))?;
        } else {
            write!(formatter, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        if let Some(namespace) = &self.namespace {
            encode(f, namespace, b"/")?;
            f.write_str("/")?;
        }
        encode(f, &self.name, b"")?;
        if let Some(version) = &self.version {
            f.write_str("@")?;
            encode(f, version, b"")?;
        }
        for (index, (key, value)) in self.qualifiers.iter().enumerate() {
            write!(f, "{}{key}=", if index == 0 { '?' } else { '&' })?;
            encode(f, value, b"/")?;
        }
        if let Some(subpath) = &self.subpath {
            f.write_str("#")?;
            encode(f, subpath, b"/")?;
        }
        Ok(())
    }
}

impl Serialize for Purl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_told_apart_and_decoded() {
        let purl: Purl = "pkg:deb/debian/curl@7.88.1-10%2Bdeb12u14?arch=amd64&distro=bookworm"
            .parse()
            .unwrap();
        assert_eq!(purl.kind, "deb");
        assert_eq!(purl.namespace.as_deref(), Some("debian"));
        assert_eq!(purl.name, "curl");
        assert_eq!(purl.version.as_deref(), Some("7.88.1-10+deb12u14"));
        assert_eq!(purl.qualifiers["distro"], "bookworm");
        for text in ["pkg:npm/%40types/node@22.1.0", "pkg:npm/@types/node@22.1.0"] {
            let purl: Purl = text.parse().unwrap();
            assert_eq!(purl.full_name(), "@types/node", "{text}");
            assert_eq!(purl.version.as_deref(), Some("22.1.0"));
            assert_eq!(purl.to_string(), "pkg:npm/%40types/node@22.1.0");
        }
        let purl: Purl = "pkg:golang/github.com/a/b@v1.2.3#sub/dir".parse().unwrap();
        assert_eq!(purl.full_name(), "github.com/a/b");
        assert_eq!(purl.subpath.as_deref(), Some("sub/dir"));
    }

    #[test]
    fn what_is_no_package_url_is_refused() {
        for text in [
            "",
            "pkg:",
            "pkg:cargo",
            "pkg:cargo/",
            "pkg:/name",
            "cargo/serde@1",
            "pkg:ca rgo/serde",
            "pkg:cargo/%",
            "pkg:cargo/%f",
            "pkg:cargo/%ff",
        ] {
            assert!(text.parse::<Purl>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            kind in "[a-z][a-z0-9.+-]{0,5}",
            namespace in proptest::option::of("[a-zé@%]{1,5}(/[a-z@]{1,4})?"),
            name in "[^/\\x00]{1,8}",
            version in proptest::option::of("[^\\x00]{1,8}"),
            qualifier in proptest::option::of("[^\\x00]{1,8}"),
        ) {
            let qualifiers = qualifier.map(|value| ("distro".to_owned(), value)).into_iter().collect();
            let purl = Purl { kind, namespace, name, version, qualifiers, subpath: None };
            prop_assert_eq!(purl.to_string().parse::<Purl>(), Ok(purl));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "pkg:.{0,30}") {
            if let Ok(purl) = text.parse::<Purl>() {
                prop_assert_eq!(purl.to_string().parse::<Purl>(), Ok(purl));
            }
        }
    }
}
