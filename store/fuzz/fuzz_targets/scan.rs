//! The scanner and the readers of compressed members take any bytes, and cutting them changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::{
    PathDigest,
    scan::{Container, Findings, Needles, Scanner, scan_bytes, scan_members},
};

fuzz_target!(|bytes: &[u8]| {
    let needles = Needles::new(&[PathDigest::from_bytes([0x5a; 25])], &[PathDigest::from_bytes([0; 25])]);
    let whole = scan_bytes(&needles, bytes);
    let mut scanner = Scanner::new(&needles);
    for chunk in bytes.chunks(7) {
        scanner.update(chunk);
    }
    let cut = scanner.finish();
    assert_eq!((&whole.candidates, &whole.occurrences), (&cut.candidates, &cut.occurrences));
    assert_eq!(whole.residue.is_some(), cut.residue.is_some());
    if let Some(container) = Container::detect(bytes, bytes) {
        scan_members(&needles, container, &mut &bytes[..], &mut Findings::default());
    }
});
