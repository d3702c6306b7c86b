//! Any bytes are the one encoding of a derivation or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recipes::model::form::Form;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(form) = Form::decode(bytes) {
        assert_eq!(form.encode(), bytes);
    }
});
