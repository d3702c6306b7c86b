//! Every back end of the binary cache with a real server behind it keeps the same promises.
//!
//! A directory; nginx over a directory; an HTTP server that takes `PUT`; Pith's own server; moto as S3; Debian's `docker-registry`. All on loopback, each on a port that the
//! system or the test found free, each stopped by the test that started it.

mod broken;
mod collecting;
mod conformance;
mod directory;
mod hostile;
mod http;
mod oci;
mod pushing;
mod s3;
mod samples;
mod serve;
mod serve_command;
mod servers;
mod sharing;

use std::error::Error;

use store::cache::{
    backend::{Backend, BackendOptions, open_backend},
    format::CacheName,
};
pub(crate) use store::testing::noise;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// Opens the cache at an address.
pub(crate) fn open(url: &str, options: &BackendOptions) -> TestResult<Box<dyn Backend>> {
    Ok(open_backend(&url.parse()?, options)?)
}

/// The name of a pack that is made up of a number.
pub(crate) fn pack(number: u64) -> CacheName {
    let hex = digits_of(number);
    name(&format!("p/{}/{hex}", &hex[..2]))
}

/// The name of a record that is made up of a number.
pub(crate) fn object(number: u64) -> CacheName {
    let digits: String = digits_of(number)[..40].replace('e', "g");
    name(&format!("o/{}/{digits}", &digits[..2]))
}

pub(crate) fn name(text: &str) -> CacheName {
    text.parse().expect("the test writes names that are ones")
}

fn digits_of(number: u64) -> String {
    // Spread like a digest, which is all that matters here.
    let mut state = number;
    let words = (0..4).map(|_| {
        state = state
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 29;
        format!("{state:016x}")
    });
    words.collect()
}
