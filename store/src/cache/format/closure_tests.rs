use proptest::prelude::*;

use super::*;
use crate::{
    id::{BlobId, StorePath},
    info::{PathInfo, Reference},
    tree::Node,
};

/// An object that refers to others.
fn record(byte: u8, references: &[u8]) -> ObjectRecord {
    let path = |byte: u8| {
        let id = ObjectId::from_bytes([byte; 32]);
        (StorePath::new(id.path_digest(), "x".parse().unwrap()), id)
    };
    let mut references: Vec<_> = references
        .iter()
        .map(|byte| {
            let (path, id) = path(*byte);
            Reference {
                path,
                id,
                file: String::new(),
                offset: 0,
            }
        })
        .collect();
    references.sort_by(|a, b| a.path.cmp(&b.path));
    let (path, id) = path(byte);
    let root = Node::File {
        blob: BlobId::from_bytes([byte; 32]),
        size: 1,
        executable: false,
    };
    ObjectRecord::from_path_info(&PathInfo {
        path,
        id,
        root,
        references,
        self_reference: false,
        size_bytes: 1,
        nodes: 1,
        registered: 0,
        component: None,
    })
    .unwrap()
}

fn root(byte: u8) -> PathDigest {
    ObjectId::from_bytes([byte; 32]).path_digest()
}

fn manifest(byte: u8) -> Vec<u8> {
    vec![byte; usize::from(byte) * 10]
}

fn with_manifest(record: ObjectRecord) -> (ObjectRecord, Vec<u8>) {
    let byte = record.info().id.as_bytes()[0];
    (record, manifest(byte))
}

/// 4 needs 2 and 3, which need 1.
fn diamond() -> Vec<ObjectRecord> {
    vec![
        record(1, &[]),
        record(2, &[1]),
        record(3, &[1]),
        record(4, &[2, 3]),
    ]
}

fn encode(records: Vec<ObjectRecord>) -> Result<Vec<u8>, FormatError> {
    encode_closure(&records.into_iter().map(with_manifest).collect::<Vec<_>>())
}

fn parse(bytes: &[u8], byte: u8) -> Result<ClosureIndex, FormatError> {
    match ClosureIndex::parse(bytes, &root(byte))? {
        Prefix::Whole(index) => Ok(index),
        Prefix::Short { needed } => panic!("{needed} of {}", bytes.len()),
    }
}

/// A bundle of records that the encoder would refuse.
fn unchecked(records: &[ObjectRecord], lines: Option<Vec<u8>>) -> Vec<u8> {
    let lines = lines.unwrap_or_else(|| {
        let lines = records.iter().map(|record| record.encode().unwrap());
        lines.collect::<Vec<_>>().concat()
    });
    let section = compress(&lines).unwrap();
    let length = FIXED + records.len() * 4 + section.len() + records.len();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&u32::try_from(records.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(section.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&u64::try_from(length).unwrap().to_le_bytes());
    records
        .iter()
        .for_each(|_| bytes.extend_from_slice(&[1, 0, 0, 0]));
    bytes.extend_from_slice(&section);
    bytes.resize(length, 0);
    bytes
}

fn is_malformed(result: Result<impl std::fmt::Debug, FormatError>, wanted: &str) {
    match result {
        Err(FormatError::Malformed { rule, .. }) => assert_eq!(rule, wanted),
        other => panic!("{wanted}: {other:?}"),
    }
}

#[test]
fn records_and_manifests_come_back() {
    let bytes = encode(diamond()).unwrap();
    let index = parse(&bytes, 4).unwrap();
    assert_eq!(index.records(), diamond());
    assert_eq!(index.length(), bytes.len() as u64);
    for (byte, range) in (1..).zip(index.manifests()) {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(bytes[range], manifest(byte));
    }
    assert_eq!(index.into_records(), diamond());
}

#[test]
fn wanted_manifests_that_touch_are_one_range() {
    let bytes = encode(diamond()).unwrap();
    let index = parse(&bytes, 4).unwrap();
    let wanted = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        index.manifest_ranges(move |record| bytes.contains(&record.info().id.as_bytes()[0]))
    };
    let all = index.manifests();
    assert_eq!(wanted(&[]), []);
    let one = all[0].start..index.length();
    assert_eq!(wanted(&[1, 2, 3, 4]), std::slice::from_ref(&one));
    assert_eq!(
        wanted(&[1, 3, 4]),
        [all[0].clone(), all[2].start..all[3].end]
    );
}

/// Reads as a client does: comes back with what was asked for.
#[test]
fn every_prefix_asks_for_more_until_the_records_are_there() {
    let bytes = encode(diamond()).unwrap();
    let whole = parse(&bytes, 4).unwrap();
    let end = usize::try_from(whole.manifests()[0].start).unwrap();
    for length in 0..end {
        match ClosureIndex::parse(&bytes[..length], &root(4)).unwrap() {
            Prefix::Short { needed } => {
                assert!(
                    needed > length as u64 && needed <= end as u64,
                    "{length} {needed}"
                );
            }
            Prefix::Whole(_) => panic!("{length}"),
        }
    }
    for length in end..=bytes.len() {
        assert_eq!(parse(&bytes[..length], 4).unwrap(), whole);
    }
    let mut asked = 0;
    let mut requests = 0;
    while let Prefix::Short { needed } = ClosureIndex::parse(&bytes[..asked], &root(4)).unwrap() {
        asked = usize::try_from(needed).unwrap();
        requests += 1;
    }
    assert_eq!((asked, requests), (end, 2));
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_the_closure_of_the_object(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = encode(diamond()).unwrap();
        let good = parse(&bytes, 4).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Prefix::Whole(index)) = ClosureIndex::parse(&bytes, &root(4)) {
            prop_assert_eq!(index.length(), good.length());
            check_closure(index.records(), &root(4)).unwrap();
        }
    }

    #[test]
    fn any_bytes_are_refused_or_asked_for_within_bounds(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bound = (FIXED + MAX_OBJECTS * 4 + MAX_RECORDS) as u64;
        bytes.splice(0..0, *MAGIC);
        if let Ok(Prefix::Short { needed }) = ClosureIndex::parse(&bytes, &root(4)) {
            prop_assert!(needed > bytes.len() as u64 && needed <= bound);
        }
    }
}

#[test]
fn only_a_whole_closure_in_order_is_written_or_read() {
    let order = "references come before what refers to them";
    let cases = [
        (vec![record(2, &[1]), record(1, &[])], 1, order),
        (vec![record(2, &[1])], 2, order),
        (
            vec![record(1, &[]), record(2, &[])],
            2,
            "its last object needs all others",
        ),
        (
            vec![record(1, &[]), record(1, &[])],
            1,
            "it has each object once",
        ),
    ];
    for (records, byte, rule) in cases {
        is_malformed(parse(&unchecked(&records, None), byte), rule);
        is_malformed(encode(records), rule);
    }
    is_malformed(encode(Vec::new()), "it has 1 to 65536 objects");
    assert!(parse(&unchecked(&diamond(), None), 4).is_ok());
}

#[test]
fn a_reference_with_another_id_or_name_than_the_object_is_refused() {
    let mut info = record(2, &[1]).info().clone();
    let mut bytes = *info.references[0].id.as_bytes();
    bytes[31] ^= 1;
    info.references[0].id = ObjectId::from_bytes(bytes);
    let other_id = ObjectRecord::from_path_info(&info).unwrap();
    let mut info = record(2, &[1]).info().clone();
    info.references[0].path =
        StorePath::new(*info.references[0].path.digest(), "y".parse().unwrap());
    let other_name = ObjectRecord::from_path_info(&info).unwrap();
    for record_ in [other_id, other_name] {
        let bytes = unchecked(&[record(1, &[]), record_], None);
        is_malformed(
            parse(&bytes, 2),
            "references come before what refers to them",
        );
    }
}

#[test]
fn a_bundle_of_another_object_is_refused() {
    let bytes = encode(diamond()).unwrap();
    assert!(matches!(parse(&bytes, 3), Err(FormatError::Other { .. })));
}

#[test]
fn lengths_and_counts_that_lie_are_refused() {
    let good = encode(diamond()).unwrap();
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        ClosureIndex::parse(&bytes, &root(4))
    };
    is_malformed(with(0, b"PTHCLO02"), "it begins with `PTHCLO01`");
    is_malformed(with(8, &[0; 4]), "it has 1 to 65536 objects");
    is_malformed(with(8, &[0xff; 4]), "it has 1 to 65536 objects");
    assert!(matches!(
        with(12, &[0xff; 4]),
        Err(FormatError::TooLarge { .. })
    ));
    assert!(matches!(
        with(16, &[0xff; 8]),
        Err(FormatError::TooLarge { .. })
    ));
    let sum = "its sections add up to its length";
    is_malformed(with(16, &(good.len() as u64 + 1).to_le_bytes()), sum);
    is_malformed(with(FIXED, &[11, 0, 0, 0]), sum);
    is_malformed(with(FIXED, &[0; 4]), "each manifest has 1 byte to 1 GiB");
    is_malformed(with(FIXED, &[0xff; 4]), "each manifest has 1 byte to 1 GiB");
    for prefix in [&b"X"[..], b"PTHX", b"PTHCLO02"] {
        let result = ClosureIndex::parse(prefix, &root(4));
        is_malformed(result, "it begins with `PTHCLO01`");
    }
}

#[test]
fn records_that_are_not_lines_are_refused() {
    let lines = diamond()
        .iter()
        .map(|one| one.encode().unwrap())
        .collect::<Vec<_>>()
        .concat();
    let parse = |lines: Vec<u8>| parse(&unchecked(&diamond(), Some(lines)), 4);
    assert!(parse(lines.clone()).is_ok());
    let number = "it has a record for each object";
    is_malformed(parse(Vec::new()), number);
    is_malformed(parse([lines.clone(), lines.clone()].concat()), number);
    let end = "each of its records is a line that ends";
    is_malformed(parse(lines[..lines.len() - 1].to_vec()), end);
    assert!(parse([&b"\n"[..], &lines].concat()).is_err());
    assert!(parse([&lines[..], b"\n"].concat()).is_err());
}

#[test]
fn a_bomb_of_records_is_refused() {
    let bomb = vec![b'\n'; MAX_RECORDS + 1];
    assert!(matches!(
        parse(&unchecked(&diamond(), Some(bomb)), 4),
        Err(FormatError::Frame {
            source: FrameError::TooLong { .. },
            ..
        })
    ));
}
