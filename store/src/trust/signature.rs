//! Signatures, and the set of those that one statement has.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

use super::{KeyName, TrustError, encoding};
use crate::id::serde_as_text;

/// Signatures of one statement at most; a hostile cache could otherwise keep its readers verifying.
pub const MAX_SIGNATURES: usize = 64;
const SIGNATURE: &str = "signature";

/// One ed25519 signature and the name of the key that is said to have made it.
///
/// Printed, parsed and serialised as `<name>:<base64 of 64 bytes>`. Ordered by name, then by bytes. Proves nothing until a
/// [`PublicKey`](super::PublicKey) verifies it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    name: KeyName,
    bytes: [u8; 64],
}

impl Signature {
    /// Takes 64 bytes for the signature of a key.
    #[must_use]
    pub const fn from_bytes(name: KeyName, bytes: [u8; 64]) -> Self {
        Self { name, bytes }
    }

    /// Returns the name of the key to try.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.bytes
    }
}

impl FromStr for Signature {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let (name, bytes) = encoding::parse::<64>(text, SIGNATURE)?;
        Ok(Self {
            name,
            bytes: *bytes,
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoding::print(&self.name, &self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

serde_as_text!(Signature);

/// The signatures of one statement: ascending, no duplicates, at most [`MAX_SIGNATURES`].
///
/// In JSON a list of texts, in any order. Texts of the form `<name>:<algorithm>:<anything>` are left for later versions: they are skipped and count for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize)]
#[serde(transparent)]
pub struct SignatureSet(BTreeSet<Signature>);

impl SignatureSet {
    /// Takes signatures in any order, duplicates once. Fails when there are more than [`MAX_SIGNATURES`].
    pub fn new(signatures: impl IntoIterator<Item = Signature>) -> Result<Self, TrustError> {
        let signatures: BTreeSet<_> = signatures.into_iter().collect();
        match signatures.len() {
            count if count > MAX_SIGNATURES => Err(TrustError::TooManySignatures { count }),
            _ => Ok(Self(signatures)),
        }
    }

    /// Adds a signature. Tells whether it was new; when the set is full it stays as it is.
    pub fn insert(&mut self, signature: Signature) -> bool {
        self.0.len() < MAX_SIGNATURES && self.0.insert(signature)
    }

    /// Adds the signatures of another set until this one is full. Those that are here stay. Tells whether any was new.
    pub fn merge(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        for signature in &other.0 {
            self.insert(signature.clone());
        }
        self.0.len() > before
    }

    /// Returns the signatures, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Signature> {
        self.0.iter()
    }

    /// Tells whether there is no signature.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many signatures there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether a signature is in the set.
    #[must_use]
    pub fn contains(&self, signature: &Signature) -> bool {
        self.0.contains(signature)
    }
}

impl<'de> Deserialize<'de> for SignatureSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let count = texts.len();
        if count > MAX_SIGNATURES {
            return Err(serde::de::Error::custom(TrustError::TooManySignatures {
                count,
            }));
        }
        let known = texts.iter().filter(|text| !has_algorithm(text));
        known
            .map(|text| text.parse())
            .collect::<Result<_, TrustError>>()
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Whether a text names an algorithm between its name and its bytes, as signatures of later versions do.
fn has_algorithm(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let name = parts
        .next()
        .is_some_and(|name| name.parse::<KeyName>().is_ok());
    let algorithm = parts.next().is_some_and(|algorithm| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    });
    name && algorithm && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_signature() -> impl Strategy<Value = Signature> {
        (
            "[A-Za-z0-9._-]{1,64}",
            prop::collection::vec(any::<u8>(), 64),
        )
            .prop_map(|(name, bytes)| {
                Signature::from_bytes(name.parse().unwrap(), bytes.try_into().unwrap())
            })
    }

    fn of_byte(byte: u8) -> Signature {
        Signature::from_bytes("a".parse().unwrap(), [byte; 64])
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(signature in any_signature()) {
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
        }

        #[test]
        fn whatever_parses_prints_as_it_was(text in "([a-z.]{1,3}:[A-Za-z0-9+/]{86}==)|([a-z]{0,3}:?[A-Za-z0-9+/]{80,90}={0,2})|.{0,120}") {
            if let Ok(signature) = text.parse::<Signature>() {
                prop_assert_eq!(signature.to_string(), text);
            }
        }

        #[test]
        fn sets_are_the_same_in_every_order(mut signatures in prop::collection::vec(any_signature(), 0..20)) {
            let set = SignatureSet::new(signatures.clone()).unwrap();
            signatures.reverse();
            signatures.extend(signatures.clone());
            prop_assert_eq!(&SignatureSet::new(signatures).unwrap(), &set);
            let json = serde_json::to_string(&set).unwrap();
            prop_assert_eq!(serde_json::from_str::<SignatureSet>(&json).unwrap(), set);
        }
    }

    #[test]
    fn texts_that_are_no_signatures_are_refused() {
        let good = of_byte(1).to_string();
        assert!(good.parse::<Signature>().is_ok());
        for text in [
            "",
            ":",
            "a:",
            "AQEB",
            &good[2..],
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}="),
            &format!("{good}\n"),
            &format!("a:{good}"),
            "a:AQEBAQEB",
        ] {
            assert!(text.parse::<Signature>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn signatures_of_later_algorithms_are_skipped_but_damaged_ones_are_refused() {
        let known = of_byte(1);
        let parse = |other: &str| {
            serde_json::from_value::<SignatureSet>(serde_json::json!([known.to_string(), other]))
        };
        let only_known = SignatureSet::new([known.clone()]).unwrap();
        for other in ["a:ml-dsa-65:AQEB", "b:x:", "b:x:y:z"] {
            assert_eq!(parse(other).unwrap(), only_known, "{other}");
        }
        for other in ["a:AQEB", "a", "", "a::AQEB", ":x:AQEB", "a:X:AQEB"] {
            assert!(parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_flood_of_signatures_is_refused_and_never_displaces_what_is_there() {
        let many: Vec<_> = (0..=64).map(of_byte).collect();
        assert_eq!(
            SignatureSet::new(many.clone()),
            Err(TrustError::TooManySignatures { count: 65 })
        );
        assert!(
            serde_json::from_value::<SignatureSet>(serde_json::to_value(&many).unwrap()).is_err()
        );
        let mut set = SignatureSet::new([of_byte(200)]).unwrap();
        assert!(set.merge(&SignatureSet::new(many[..64].to_vec()).unwrap()));
        assert_eq!(set.len(), MAX_SIGNATURES);
        assert!(set.contains(&of_byte(200)));
        assert!(!set.insert(of_byte(201)));
    }
}
