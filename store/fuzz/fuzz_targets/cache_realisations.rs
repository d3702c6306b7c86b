//! Lists of realisations: whatever is accepted is the one order of itself, and merges with itself without a change.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::{ResolvedDigest, cache::format::RealisationSet};

fuzz_target!(|bytes: &[u8]| {
    let resolved = ResolvedDigest::from_bytes([0x11; 32]);
    let Ok(set) = RealisationSet::decode(bytes, &resolved) else {
        return;
    };
    let encoded = set.encode().expect("what fits is not longer in its shortest form");
    assert_eq!(RealisationSet::decode(&encoded, &resolved).expect("it was written here"), set);
    assert!(!set.clone().merge(&set).expect("it does not contradict itself"));
    let mut again = RealisationSet::new(resolved);
    for entry in set.entries().iter().rev() {
        assert!(again.insert(entry.clone()).expect("it keeps the rules"));
    }
    assert_eq!(again, set);
});
