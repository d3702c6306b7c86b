//! Closure bundles: whatever is accepted is a closure, and what is asked for is more than was given, and bounded. The input is taken for a file, and for its
//! records.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::{
    PathDigest,
    cache::format::{ClosureIndex, ObjectRecord, Prefix, encode_closure_head},
};

/// Bytes before the lengths of the manifests, 65536 of those, and the records.
const BOUND: u64 = 24 + 4 * 65536 + (128 << 20);

fn check(bytes: &[u8], root: &PathDigest) {
    match ClosureIndex::parse(bytes, root) {
        Ok(Prefix::Short { needed }) => assert!(needed > bytes.len() as u64 && needed <= BOUND),
        Ok(Prefix::Whole(index)) => {
            let lengths: Vec<u32> = index
                .manifests()
                .iter()
                .map(|range| u32::try_from(range.end - range.start).expect("it was 32 bits"))
                .collect();
            let ends = index.manifests().last().map(|range| range.end);
            assert_eq!(ends, Some(index.length()));
            let head = encode_closure_head(index.records(), &lengths).expect("it is a closure");
            let Ok(Prefix::Whole(again)) = ClosureIndex::parse(&head, root) else {
                panic!("it was written here");
            };
            assert_eq!(again.records(), index.records());
        }
        Err(_) => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let example = "fz34xgrlpfygqph5qdp2zkbjd7vwi1638n711rng".parse().expect("40 digits");
    check(bytes, &example);
    // As the records of one object each line, with manifests of one byte.
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let last = lines.last().and_then(|line| ObjectRecord::decode(line).ok());
    let Some(root) = last.map(|record| *record.info().path.digest()) else {
        return;
    };
    let section = zstd::bulk::compress(bytes, 1).expect("memory takes it");
    let length = 24 + lines.len() * 5 + section.len();
    let mut bundle = b"PTHCLO01".to_vec();
    bundle.extend_from_slice(&u32::try_from(lines.len()).expect("inputs are short").to_le_bytes());
    bundle.extend_from_slice(&u32::try_from(section.len()).expect("inputs are short").to_le_bytes());
    bundle.extend_from_slice(&(length as u64).to_le_bytes());
    lines.iter().for_each(|_| bundle.extend_from_slice(&[1, 0, 0, 0]));
    bundle.extend_from_slice(&section);
    bundle.resize(length, 0);
    check(&bundle, &root);
});
