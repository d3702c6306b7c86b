//! Bills of materials of others, and VEX documents: nothing panics, and what is read is read the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pack::vulns::{read_bill, read_vex};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bill) = read_bill(bytes) {
        let again = read_bill(bytes).expect("it was read before");
        assert_eq!(again.subjects, bill.subjects);
    }
    if let Ok(waivers) = read_vex(bytes, "fuzz") {
        assert_eq!(read_vex(bytes, "fuzz").expect("it was read before"), waivers);
    }
});
