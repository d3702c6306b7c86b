//! Keys, and the names that say which key to try.

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{Signature, Statement, TrustError, encoding};
use crate::id::serde_as_text;

/// Bytes of a name at most.
const MAX_NAME: usize = 64;
const PUBLIC: &str = "public key";
const SECRET: &str = "secret key";

/// The label of a key: 1 to 64 of `A-Z a-z 0-9 . _ -`. It says which key to try; only the key itself proves anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        if text.is_empty() || text.len() > MAX_NAME {
            return Err(TrustError::NameLength { length: text.len() });
        }
        match text
            .chars()
            .find(|character| !character.is_ascii_alphanumeric() && !"._-".contains(*character))
        {
            Some(character) => Err(TrustError::NameCharacter { character }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({})", self.0)
    }
}

serde_as_text!(KeyName);

/// What verifies signatures: a name and an ed25519 public key.
///
/// Printed, parsed and serialised as `<name>:<base64 of 32 bytes>`. A point of small order, or written otherwise than in its canonical
/// form, is no key: else one key could be listed as two.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    pub(super) name: KeyName,
    pub(super) key: VerifyingKey,
}

impl PublicKey {
    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the key without its name. Two keys are the same exactly when these bytes are.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Tells whether the owner of the key has signed the statement, whatever the signature is labelled. Costs 40 µs.
    #[must_use]
    pub fn verifies(&self, statement: &Statement, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        self.key
            .verify_strict(statement.as_bytes(), &signature)
            .is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let (name, bytes) = encoding::parse::<32>(text, PUBLIC)?;
        Self::from_bytes(name, &bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encoding::print(&self.name, self.key.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

serde_as_text!(PublicKey);

/// What makes signatures: a name and an ed25519 key pair.
///
/// Written as `<name>:<base64 of 64 bytes>`, the seed and the public key: so the text of a secret key is never taken for a public one, and a damaged
/// one is noticed. Overwritten in memory when dropped; neither printed nor serialised but by [`Self::to_text`].
pub struct SecretKey {
    name: KeyName,
    key: SigningKey,
}

impl SecretKey {
    /// Makes a key of the system's randomness. Fails when the system has none.
    pub fn generate(name: KeyName) -> Result<Self, TrustError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(TrustError::Randomness)?;
        Ok(Self::from_seed(name, &seed))
    }

    /// Makes the key of a seed, which must be random and secret.
    #[must_use]
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Self {
        Self {
            name,
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns what verifies the signatures of this key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs a statement. The same key and statement always give the same signature.
    #[must_use]
    pub fn sign(&self, statement: &Statement) -> Signature {
        let signature = self.key.sign(statement.as_bytes());
        Signature::from_bytes(self.name.clone(), signature.to_bytes())
    }

    /// Returns the secret as text, which is overwritten in memory when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.key.to_keypair_bytes());
        Zeroizing::new(encoding::print(&self.name, bytes.as_slice()))
    }
}

impl FromStr for SecretKey {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let (name, bytes) = encoding::parse::<64>(text, SECRET)?;
        match SigningKey::from_keypair_bytes(&bytes) {
            Ok(key) => Ok(Self { name, key }),
            Err(_) => Err(TrustError::Halves { name }),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    /// The first test vector of RFC 8032, section 7.1.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn vector() -> SecretKey {
        let seed: [u8; 32] = STANDARD.decode(SEED).unwrap().try_into().unwrap();
        SecretKey::from_seed("rfc-8032".parse().unwrap(), &seed)
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(seed in prop::array::uniform32(any::<u8>()), name in "[A-Za-z0-9._-]{1,64}") {
            let secret = SecretKey::from_seed(name.parse().unwrap(), &seed);
            let public = secret.public();
            prop_assert_eq!(public.to_string().parse(), Ok(public.clone()));
            prop_assert_eq!(serde_json::from_value::<PublicKey>(serde_json::to_value(&public).unwrap()).unwrap(), public.clone());
            let again: SecretKey = secret.to_text().parse().unwrap();
            prop_assert_eq!(again.public(), public);
            prop_assert_eq!(again.to_text(), secret.to_text());
        }

        #[test]
        fn whatever_parses_prints_as_it_was(text in "([a-z.]{0,3}:?[A-Za-z0-9+/]{40,44}={0,2})|.{0,90}", bytes in prop::array::uniform32(any::<u8>())) {
            for text in [text, format!("a:{}", STANDARD.encode(bytes))] {
                if let Ok(key) = text.parse::<PublicKey>() {
                    prop_assert_eq!(key.to_string(), text);
                }
            }
        }

        #[test]
        fn a_changed_secret_key_is_refused(seed in prop::array::uniform32(any::<u8>()), at in 0_usize..512) {
            let mut bytes = SigningKey::from_bytes(&seed).to_keypair_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let text = format!("a:{}", STANDARD.encode(bytes));
            prop_assert!(text.parse::<SecretKey>().is_err());
        }
    }

    #[test]
    fn the_keys_are_those_of_the_standard() {
        assert_eq!(vector().public().to_string(), format!("rfc-8032:{KEY}"));
    }

    #[test]
    fn public_and_secret_keys_are_never_taken_for_each_other() {
        let key = vector();
        assert!(matches!(
            key.to_text().parse::<PublicKey>(),
            Err(TrustError::Length { found: 64, .. })
        ));
        assert!(matches!(
            key.public().to_string().parse::<SecretKey>(),
            Err(TrustError::Length { found: 32, .. })
        ));
    }

    #[test]
    fn a_secret_is_in_no_debug_print_and_in_no_error() {
        let text = vector().to_text();
        let secret = &text[9..];
        assert_eq!(
            format!("{:?}", vector()),
            "SecretKey { name: KeyName(rfc-8032), .. }"
        );
        for text in [
            secret.to_owned(),
            format!(" :{secret}"),
            format!("a:{secret}="),
            format!("a:{}", secret.replace('/', "_")),
            format!("a:{}", &secret[..80]),
            format!("a:{}AA==", &secret[..84]),
        ] {
            let error = text.parse::<SecretKey>().unwrap_err();
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains(&secret[..6]), "{printed}");
        }
    }

    #[test]
    fn keys_of_small_order_and_second_encodings_of_keys_are_refused() {
        let mut second_encoding = [0xff; 32];
        // y = p + 3, where 3 is the y of a point of the curve.
        second_encoding[0] = 0xf0;
        second_encoding[31] = 0x7f;
        let mut canonical = [0; 32];
        canonical[0] = 3;
        assert!(
            format!("a:{}", STANDARD.encode(canonical))
                .parse::<PublicKey>()
                .is_ok()
        );
        let mut identity = [0; 32];
        identity[0] = 1;
        for bytes in [[0; 32], identity, second_encoding, [0xff; 32]] {
            let text = format!("a:{}", STANDARD.encode(bytes));
            assert!(
                matches!(text.parse::<PublicKey>(), Err(TrustError::NotAKey { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_are_no_keys_are_refused() {
        for text in [
            KEY.to_owned(),
            format!(":{KEY}"),
            format!("{}:{KEY}", "a".repeat(65)),
            format!("a b:{KEY}"),
            format!("é:{KEY}"),
            format!("a:{KEY}\n"),
            format!("a: {KEY}"),
            format!("a:{}", KEY.trim_end_matches('=')),
            // The last digit has bits that belong to no byte.
            format!("a:{}p=", &KEY[..42]),
            format!("a:b:{KEY}"),
            "a:".to_owned(),
        ] {
            assert!(text.parse::<PublicKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn generated_keys_differ() {
        let generate = || SecretKey::generate("a".parse().unwrap()).unwrap().public();
        assert_ne!(generate(), generate());
    }
}
