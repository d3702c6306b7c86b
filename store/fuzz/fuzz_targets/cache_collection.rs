//! Pins, lists of what goes, and claims: whatever is accepted is written in one form that is read as the same, and names nothing that must stay.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::cache::format::{CacheName, Claim, Condemned, Pins};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pins) = Pins::decode(bytes) {
        let encoded = pins.encode().expect("what fits is not longer in its shortest form");
        assert_eq!(Pins::decode(&encoded).expect("it was written here"), pins);
    }
    if let Ok(list) = Condemned::decode(bytes) {
        let encoded = list.encode().expect("what fits is not longer in its shortest form");
        assert_eq!(Condemned::decode(&encoded).expect("it was written here"), list);
        assert!(!list.names().contains(&CacheName::Info));
        assert!(!list.names().contains(&CacheName::Pins));
    }
    if let Ok(claim) = Claim::decode(bytes) {
        let encoded = claim.encode().expect("what fits is not longer in its shortest form");
        assert_eq!(Claim::decode(&encoded).expect("it was written here"), claim);
    }
});
