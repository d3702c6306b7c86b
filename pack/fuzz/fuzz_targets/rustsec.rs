//! Advisories of RustSec: nothing panics, nothing unreadable is clean, and what is read is read the same again.

#![no_main]

mod database;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| database::judge(bytes, "rustsec", "rustsec/crates/time/RUSTSEC-2020-0071.md"));
