//! Whatever parses as a key or a signature prints as it was, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::trust::{PublicKey, SecretKey, Signature, SignatureSet};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = serde_json::from_slice::<SignatureSet>(bytes) {
        let json = serde_json::to_vec(&set).expect("a list of texts");
        assert_eq!(serde_json::from_slice::<SignatureSet>(&json).expect("just printed"), set);
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(signature) = text.parse::<Signature>() {
        assert_eq!(signature.to_string(), text);
    }
    if let Ok(key) = text.parse::<SecretKey>() {
        assert_eq!(*key.to_text(), text);
    }
});
