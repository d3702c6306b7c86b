//! Signatures of release files: OpenPGP's cleartext framework (RFC 9580), by the crate `pgp`.
//!
//! One good signature of one key of the keyring suffices, as for apt: releases are signed with the keys of two or three
//! Debian versions, and a machine need not know all of them.

use std::fmt;

use pgp::composed::{CleartextSignedMessage, Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp};

/// Public keys by which releases may be signed.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

/// Why a signed file cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// It carries no signature at all.
    #[error("`{file}` is not signed")]
    Unsigned {
        /// What was to be checked.
        file: String,
    },
    /// It starts like a signed file and is none.
    #[error("`{file}` is damaged: its signature cannot be read")]
    Damaged {
        /// What was to be checked.
        file: String,
        /// Why not.
        #[source]
        source: Box<pgp::errors::Error>,
    },
    /// None of its signatures is good.
    #[error("no signature of `{file}` is good{}", lines(.reasons))]
    Bad {
        /// What was to be checked.
        file: String,
        /// Each signature by the key that it names, with what is wrong.
        reasons: Vec<String>,
    },
    /// A keyring holds no keys.
    #[error("`{keyring}` holds no OpenPGP keys")]
    NoKeys {
        /// The keyring.
        keyring: String,
    },
}

impl Keyring {
    /// Reads a keyring, binary or armoured; `name` is for messages.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, SignatureError> {
        let error = || SignatureError::NoKeys {
            keyring: name.to_owned(),
        };
        let (keys, _) = SignedPublicKey::from_reader_many_buf(bytes).map_err(|_| error())?;
        // A key that this program cannot read only verifies nothing.
        let keys: Vec<_> = keys.filter_map(Result::ok).collect();
        if keys.is_empty() {
            return Err(error());
        }
        Ok(Self { keys })
    }

    /// Returns the text of a clear-signed file if at least one of its signatures is good at `now`, and nothing of what
    /// stands around it.
    pub fn verify(&self, file: &str, bytes: &[u8], now: u64) -> Result<String, SignatureError> {
        let unsigned = || SignatureError::Unsigned {
            file: file.to_owned(),
        };
        let text = std::str::from_utf8(bytes).map_err(|_| unsigned())?;
        if !text.starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
            return Err(unsigned());
        }
        let (message, _) = CleartextSignedMessage::from_string(text).map_err(|source| {
            SignatureError::Damaged {
                file: file.to_owned(),
                source: Box::new(source),
            }
        })?;
        let signed = message.signed_text();
        let mut reasons = Vec::new();
        for signature in message.signatures() {
            match self.check(signature, signed.as_bytes(), now) {
                Ok(()) => return Ok(signed.replace("\r\n", "\n")),
                Err(reason) => reasons.push(format!("key {}: {reason}", issuer(signature))),
            }
        }
        if reasons.is_empty() {
            return Err(unsigned());
        }
        Err(SignatureError::Bad {
            file: file.to_owned(),
            reasons,
        })
    }

    fn check(&self, signature: &Signature, signed: &[u8], now: u64) -> Result<(), &'static str> {
        let mut reason = "it is not in the keyring";
        for key in &self.keys {
            if names(signature, &key.primary_key) {
                reason = match signature.verify(&key.primary_key, signed) {
                    Ok(()) => match check_primary(key, now) {
                        Ok(()) => return check_age(signature, now),
                        Err(why) => why,
                    },
                    Err(_) => "the text was changed, or signed by something else",
                };
            }
            for subkey in &key.public_subkeys {
                if names(signature, &subkey.key) {
                    reason = match signature.verify(&subkey.key, signed) {
                        Ok(()) => match check_subkey(key, subkey, now) {
                            Ok(()) => return check_age(signature, now),
                            Err(why) => why,
                        },
                        Err(_) => "the text was changed, or signed by something else",
                    };
                }
            }
        }
        Err(reason)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prints = self.keys.iter().map(|key| key.fingerprint().to_string());
        f.debug_list().entries(prints).finish()
    }
}

const EXPIRED: &str = "it has expired";
const REVOKED: &str = "it was revoked";

fn check_age(signature: &Signature, now: u64) -> Result<(), &'static str> {
    let Some(created) = signature.created() else {
        return Err("the signature has no date");
    };
    let ends = signature
        .signature_expiration_time()
        .map(|life| u64::from(created.as_secs()) + u64::from(life.as_secs()));
    match ends {
        Some(end) if end < now => Err("the signature has expired"),
        _ => Ok(()),
    }
}

/// A primary key signs if it has a signature of its own that says so, is not revoked and not expired.
fn check_primary(key: &SignedPublicKey, now: u64) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let revoked = &key.details.revocation_signatures;
    if revoked.iter().any(|one| one.verify_key(primary).is_ok()) {
        return Err(REVOKED);
    }
    let of_users = key.details.users.iter().flat_map(|user| {
        let own = |one: &&Signature| {
            one.is_certification()
                && one
                    .verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        };
        user.signatures.iter().filter(own)
    });
    let direct = key.details.direct_signatures.iter();
    let newest = direct
        .filter(|one| one.verify_key(primary).is_ok())
        .chain(of_users)
        .max_by_key(|one| one.created().map(Timestamp::as_secs));
    let Some(newest) = newest else {
        return Err("it has no signature of its own");
    };
    check_life(newest, primary.created_at().as_secs(), now)
}

/// A subkey signs if its newest binding to its primary key says so and neither of them is revoked or expired.
fn check_subkey(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: u64,
) -> Result<(), &'static str> {
    check_primary(key, now)?;
    let primary = &key.primary_key;
    let good = |one: &&Signature| one.verify_subkey_binding(primary, &subkey.key).is_ok();
    let of_type = |wanted| {
        let typed = move |one: &&Signature| one.typ() == Some(wanted);
        subkey.signatures.iter().filter(typed).filter(good)
    };
    if of_type(SignatureType::SubkeyRevocation).next().is_some() {
        return Err(REVOKED);
    }
    let newest = of_type(SignatureType::SubkeyBinding)
        .max_by_key(|one| one.created().map(Timestamp::as_secs));
    let Some(newest) = newest else {
        return Err("nothing binds it to its primary key");
    };
    // Without the backward signature, anybody could adopt somebody else's signing key.
    let bound_back = newest.embedded_signature().is_some_and(|back| {
        back.verify_primary_key_binding(&subkey.key, primary)
            .is_ok()
    });
    if !newest.key_flags().sign() || !bound_back {
        return Err("it may not sign");
    }
    check_life(newest, subkey.key.created_at().as_secs(), now)
}

fn check_life(binding: &Signature, created: u32, now: u64) -> Result<(), &'static str> {
    match binding.key_expiration_time() {
        Some(life)
            if life.as_secs() > 0 && u64::from(created) + u64::from(life.as_secs()) < now =>
        {
            Err(EXPIRED)
        }
        _ => Ok(()),
    }
}

fn names(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (id, print) = (key.legacy_key_id(), key.fingerprint());
    signature.issuer_fingerprint().contains(&&print)
        || (signature.issuer_fingerprint().is_empty() && signature.issuer_key_id().contains(&&id))
}

fn issuer(signature: &Signature) -> String {
    let prints = signature.issuer_fingerprint();
    match (prints.first(), signature.issuer_key_id().first()) {
        (Some(print), _) => print.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => "unknown".to_owned(),
    }
}

fn lines(reasons: &[String]) -> String {
    reasons
        .iter()
        .map(|reason| format!("\n  {reason}"))
        .collect()
}
