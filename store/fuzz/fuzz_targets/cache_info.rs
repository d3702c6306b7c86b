//! `cache.json`: whatever is accepted is written in one form that is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::cache::format::CacheInfo;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(info) = CacheInfo::decode(bytes) {
        let encoded = info.encode().expect("what fits is not longer in its shortest form");
        assert_eq!(CacheInfo::decode(&encoded).expect("it was written here"), info);
    }
});
