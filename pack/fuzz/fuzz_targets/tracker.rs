//! The file of Debian's tracker: nothing panics, nothing unreadable is clean, and what is read is read the same again.

#![no_main]

mod database;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| database::judge(bytes, "tracker.json", "tracker.json"));
