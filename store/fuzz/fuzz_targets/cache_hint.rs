//! Hints of plans and names: whatever is accepted is written in one form that is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::{
    PlanDigest,
    cache::format::{NameHint, PlanHint},
};

fuzz_target!(|bytes: &[u8]| {
    let plan = PlanDigest::from_bytes([0x22; 32]);
    if let Ok(hint) = PlanHint::decode(bytes, &plan) {
        let encoded = hint.encode().expect("what fits is not longer in its shortest form");
        assert_eq!(PlanHint::decode(&encoded, &plan).expect("it was written here"), hint);
    }
    if let Ok(hint) = NameHint::decode(bytes) {
        assert_eq!(hint.encode(), bytes);
    }
});
