use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    cache::format::{BlobPart, MAX_CHUNK, MAX_FRAME, MAX_PACK, compress},
    testing::{arbitrary_memory_node, memory_tree},
    tree::{MemoryNode, Tree, TreeBundle, TreeEntry},
};

type Locations = BTreeMap<BlobId, Vec<BlobPart>>;

fn id(bytes: &[u8]) -> BlobId {
    BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
}

fn frame(pack: u8, offset: u32, length: u32) -> Frame {
    Frame {
        pack: PackDigest::from_bytes([pack; 32]),
        offset,
        compressed_length: length,
        length,
        content: id(&offset.to_le_bytes()),
    }
}

fn files(node: &MemoryNode, found: &mut BTreeMap<BlobId, u32>) {
    match node {
        MemoryNode::File { bytes, .. } if !bytes.is_empty() => {
            found.insert(id(bytes), u32::try_from(bytes.len()).unwrap());
        }
        MemoryNode::Directory { entries } => {
            entries.values().for_each(|node| files(node, found));
        }
        _ => {}
    }
}

/// Puts the blobs of an object into frames of a few each, in two packs, with gaps.
fn place(node: &MemoryNode, a_frame: usize) -> Locations {
    let mut blobs = BTreeMap::new();
    files(node, &mut blobs);
    let blobs: Vec<_> = blobs.into_iter().collect();
    let mut locations = BTreeMap::new();
    for (number, group) in blobs.chunks(a_frame).enumerate() {
        let number = u32::try_from(number).unwrap();
        let length = group.iter().map(|(_, size)| size).sum::<u32>() + 3;
        let frame = frame(
            u8::try_from(number % 2).unwrap(),
            8 + number * 1_000_000,
            length,
        );
        let mut offset = 1;
        for (blob, size) in group {
            locations.insert(
                *blob,
                vec![BlobPart {
                    frame,
                    offset,
                    length: *size,
                }],
            );
            offset += size;
        }
    }
    locations
}

/// An object of one large file, whose blob has these chunks.
fn large(chunks: &[u32]) -> (Node, Locations) {
    let blob = id(b"large");
    let size = chunks.iter().copied().map(u64::from).sum();
    let part = |(number, length): (u32, &u32)| BlobPart {
        frame: frame(
            u8::try_from(number / 10).unwrap(),
            8 + number % 10 * (3 << 20),
            *length,
        ),
        offset: 0,
        length: *length,
    };
    let parts = (0..).zip(chunks).map(part).collect();
    let root = Node::File {
        blob,
        size,
        executable: false,
    };
    (root, BTreeMap::from([(blob, parts)]))
}

fn two_files() -> (Node, TreeBundle, Locations) {
    let node = memory_tree(&[
        ("a", MemoryNode::file("one")),
        ("b/c", MemoryNode::program("three")),
        ("empty", MemoryNode::file("")),
    ]);
    let (root, trees) = node.to_bundle().unwrap();
    (root, trees, place(&node, 2))
}

fn is_malformed(result: Result<Manifest, FormatError>, wanted: &str) {
    match result {
        Err(FormatError::Malformed { rule, .. }) => assert_eq!(rule, wanted),
        other => panic!("{wanted}: {other:?}"),
    }
}

proptest! {
    #[test]
    fn decode_inverts_encode(node in arbitrary_memory_node(), a_frame in 1..5usize) {
        let (root, trees) = node.to_bundle().unwrap();
        let locations = place(&node, a_frame);
        let manifest = Manifest::new(&root, trees, &locations).unwrap();
        prop_assert_eq!(manifest.locations(), locations);
        let bytes = manifest.encode().unwrap();
        prop_assert_eq!(Manifest::decode(&bytes, &root).unwrap(), manifest);
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(node in arbitrary_memory_node(), at in any::<prop::sample::Index>(), byte: u8) {
        let (root, trees) = node.to_bundle().unwrap();
        let mut body = Manifest::new(&root, trees, &place(&node, 2)).unwrap().encode_body().unwrap();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(manifest) = Manifest::decode_body(&body, &root) {
            prop_assert_eq!(manifest.encode_body().unwrap(), body);
        }
    }

    #[test]
    fn every_proper_prefix_is_refused(node in arbitrary_memory_node(), at in any::<prop::sample::Index>()) {
        let (root, trees) = node.to_bundle().unwrap();
        let manifest = Manifest::new(&root, trees, &place(&node, 2)).unwrap();
        let (bytes, body) = (manifest.encode().unwrap(), manifest.encode_body().unwrap());
        prop_assert!(Manifest::decode(&bytes[..at.index(bytes.len())], &root).is_err());
        prop_assert!(Manifest::decode_body(&body[..at.index(body.len())], &root).is_err());
    }
}

#[test]
fn blobs_are_found_and_come_ascending() {
    let (root, trees, locations) = two_files();
    let manifest = Manifest::new(&root, trees.clone(), &locations).unwrap();
    assert_eq!(manifest.trees(), &trees);
    let blobs: Vec<_> = manifest.blobs().map(|blob| (blob.id, blob.size)).collect();
    let mut expected = vec![(id(b"one"), 3), (id(b"three"), 5)];
    expected.sort_unstable();
    assert_eq!(blobs, expected);
    let three = manifest.find_blob(&id(b"three")).unwrap();
    assert_eq!((three.size, three.parts.len()), (5, 1));
    assert_eq!(manifest.find_blob(&id(b"")), None);
}

#[test]
fn a_blob_that_lies_nowhere_is_named() {
    let (root, trees, mut locations) = two_files();
    locations.remove(&id(b"one"));
    assert!(matches!(
        Manifest::new(&root, trees, &locations),
        Err(FormatError::MissingBlob { blob }) if blob == id(b"one")
    ));
}

#[test]
fn a_manifest_of_another_object_is_refused() {
    let (root, trees, locations) = two_files();
    let bytes = Manifest::new(&root, trees, &locations)
        .unwrap()
        .encode()
        .unwrap();
    let other = memory_tree(&[("a", MemoryNode::file("one"))]);
    let (other_root, other_trees) = other.to_bundle().unwrap();
    assert!(matches!(
        Manifest::decode(&bytes, &other_root),
        Err(FormatError::Tree(_))
    ));
    assert!(matches!(
        Manifest::new(&root, other_trees, &locations),
        Err(FormatError::Tree(_))
    ));
}

#[test]
fn chunks_obey_the_limits_of_the_format() {
    let (min, max) = (128 << 10, 2 << 20);
    for good in [
        &[max, max, 1][..],
        &[max, max],
        &[min, max],
        &[max, min, max, 7],
    ] {
        let (root, locations) = large(good);
        let manifest = Manifest::new(&root, TreeBundle::default(), &locations).unwrap();
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes, &root).unwrap(), manifest);
    }
    let refused = |chunks: &[u32], rule| {
        let (root, locations) = large(chunks);
        is_malformed(
            Manifest::new(&root, TreeBundle::default(), &locations),
            rule,
        );
    };
    let length = "each chunk but the last has 128 KiB to 2 MiB";
    refused(&[min - 1, max, max], length);
    refused(&[max + 1, max], length);
    refused(&[max + 1], "exactly the blobs of more than 2 MiB are cut");
    refused(&[1, 1], "exactly the blobs of more than 2 MiB are cut");
    let (root, mut locations) = large(&[max, max]);
    for parts in locations.values_mut() {
        parts[1].frame.length += 1;
    }
    is_malformed(
        Manifest::new(&root, TreeBundle::default(), &locations),
        "each chunk is the whole of its frame",
    );
    let (_, mut locations) = large(&[max, max]);
    for parts in locations.values_mut() {
        parts.push(parts[0]);
    }
    is_malformed(
        Manifest::new(&root, TreeBundle::default(), &locations),
        "the parts of each blob add up to its size",
    );
}

#[test]
fn a_chunk_may_be_used_again() {
    let (root, mut locations) = large(&[2 << 20, 2 << 20]);
    for parts in locations.values_mut() {
        parts[1] = parts[0];
    }
    let manifest = Manifest::new(&root, TreeBundle::default(), &locations).unwrap();
    assert_eq!(manifest.frames().len(), 1);
    assert_eq!(
        Manifest::decode(&manifest.encode().unwrap(), &root).unwrap(),
        manifest
    );
}

/// A manifest of one file of three bytes, at `offset` in what the frame holds.
fn in_frame(change: impl FnOnce(&mut Frame), offset: u32) -> Result<Manifest, FormatError> {
    let mut frame = frame(0, 8, 10);
    change(&mut frame);
    let root = Node::File {
        blob: id(b"one"),
        size: 3,
        executable: false,
    };
    let part = BlobPart {
        frame,
        offset,
        length: 3,
    };
    let locations = BTreeMap::from([(id(b"one"), vec![part])]);
    Manifest::new(&root, TreeBundle::default(), &locations)
}

#[test]
fn frames_obey_the_limits_of_the_format() {
    let max_pack = u32::try_from(MAX_PACK).unwrap();
    let max_frame = u32::try_from(MAX_FRAME).unwrap();
    assert!(in_frame(|_| (), 0).is_ok());
    assert!(in_frame(|frame| frame.offset = max_pack - 10, 0).is_ok());
    assert!(in_frame(|frame| frame.length = max_frame, 0).is_ok());
    let place = "each frame lies between the mark and the end of a pack";
    is_malformed(in_frame(|frame| frame.offset = 7, 0), place);
    is_malformed(in_frame(|frame| frame.offset = max_pack - 9, 0), place);
    is_malformed(in_frame(|frame| frame.offset = u32::MAX, 0), place);
    let length = "each frame holds 1 byte to 4 MiB";
    is_malformed(in_frame(|frame| frame.length = max_frame + 1, 0), length);
    is_malformed(in_frame(|frame| frame.length = 0, 0), length);
    let bound = "no frame is larger than zstd makes it";
    is_malformed(in_frame(|frame| frame.compressed_length = 0, 0), bound);
    is_malformed(in_frame(|frame| frame.compressed_length = 1000, 0), bound);
}

#[test]
fn parts_lie_in_their_frame() {
    let rule = "each part lies in its frame and is not empty";
    assert!(in_frame(|_| (), 7).is_ok());
    is_malformed(in_frame(|_| (), 8), rule);
    is_malformed(in_frame(|_| (), u32::MAX), rule);
    is_malformed(
        in_frame(|frame| frame.length = 3, 0),
        "a frame that is one blob has its digest",
    );
    let whole = |frame: &mut Frame| (frame.length, frame.content) = (3, id(b"one"));
    assert!(in_frame(whole, 0).is_ok());
}

#[test]
fn frames_and_parts_that_overlap_are_refused() {
    let (root, trees, _) = two_files();
    let two = |first: (Frame, u32), second: (Frame, u32)| {
        let part = |(frame, offset), length| {
            vec![BlobPart {
                frame,
                offset,
                length,
            }]
        };
        let locations = BTreeMap::from([
            (id(b"one"), part(first, 3)),
            (id(b"three"), part(second, 5)),
        ]);
        Manifest::new(&root, trees.clone(), &locations)
    };
    let (a, b) = (frame(0, 8, 10), frame(0, 18, 10));
    assert!(two((a, 0), (b, 0)).is_ok());
    assert!(two((a, 0), (a, 3)).is_ok());
    is_malformed(
        two((a, 0), (a, 2)),
        "parts of one frame are the same or apart",
    );
    let order = "frames ascend and do not overlap";
    is_malformed(two((a, 0), (Frame { offset: 17, ..b }, 0)), order);
    // The same frame with two descriptions.
    is_malformed(
        two(
            (a, 0),
            (
                Frame {
                    content: id(b"x"),
                    ..a
                },
                3,
            ),
        ),
        order,
    );
    assert!(
        two(
            (a, 0),
            (
                Frame {
                    offset: 17,
                    ..frame(1, 17, 10)
                },
                0
            )
        )
        .is_ok()
    );
}

#[test]
fn sizes_that_contradict_each_other_are_refused() {
    let entry = |name: &[u8], blob, size| TreeEntry {
        name: crate::tree::EntryName::new(name).unwrap(),
        node: Node::File {
            blob,
            size,
            executable: false,
        },
    };
    let manifest = |entries| {
        let tree = Tree::from_sorted(entries).unwrap();
        let root = tree.to_node();
        let trees = TreeBundle {
            trees: BTreeMap::from([(Vec::new(), tree)]),
        };
        Manifest::new(&root, trees, &BTreeMap::new())
    };
    let one_size = "files of one blob have one size";
    is_malformed(
        manifest(vec![entry(b"a", id(b"x"), 1), entry(b"b", id(b"x"), 2)]),
        one_size,
    );
    let empty = "exactly the empty files have the empty blob";
    is_malformed(manifest(vec![entry(b"a", id(b"x"), 0)]), empty);
    is_malformed(manifest(vec![entry(b"a", id(b""), 1)]), empty);
    assert!(manifest(vec![entry(b"a", id(b""), 0)]).is_ok());
}

/// Body with tables written by hand: packs, frames, blobs of the object `two_files`.
fn body_with(packs: &[u8], frames: &[(u32, Frame)], blobs: &[(BlobId, u64, u32, u32)]) -> Vec<u8> {
    let (_, trees, _) = two_files();
    let trees = trees.encode();
    let count = |count: usize| u32::try_from(count).unwrap().to_le_bytes();
    let mut body = [&count(trees.len())[..], &trees, &count(packs.len())].concat();
    packs
        .iter()
        .for_each(|pack| body.extend_from_slice(&[*pack; 32]));
    body.extend_from_slice(&count(frames.len()));
    for (pack, frame) in frames {
        for number in [*pack, frame.offset, frame.compressed_length, frame.length] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(frame.content.as_bytes());
    }
    body.extend_from_slice(&count(blobs.len()));
    for (blob, size, frame, offset) in blobs {
        body.extend_from_slice(blob.as_bytes());
        body.extend_from_slice(&size.to_le_bytes());
        let length = u32::try_from(*size).unwrap();
        for number in [1, *frame, *offset, length] {
            body.extend_from_slice(&number.to_le_bytes());
        }
    }
    body
}

#[test]
fn tables_with_anything_unused_unknown_or_out_of_order_are_refused() {
    let (root, _, _) = two_files();
    let decode = |packs: &[u8], frames: &[(u32, Frame)], blobs: &[(BlobId, u64, u32, u32)]| {
        Manifest::decode_body(&body_with(packs, frames, blobs), &root)
    };
    let mut blobs = [(id(b"one"), 3, 0, 0), (id(b"three"), 5, 1, 0)];
    blobs.sort_unstable();
    let (a, b) = (frame(1, 8, 10), frame(2, 8, 10));
    assert!(decode(&[1, 2], &[(0, a), (1, b)], &blobs).is_ok());
    is_malformed(
        decode(&[2, 1], &[(0, a), (1, b)], &blobs),
        "its packs ascend",
    );
    is_malformed(
        decode(&[1, 1], &[(0, a), (1, b)], &blobs),
        "its packs ascend",
    );
    is_malformed(
        decode(&[1, 2, 3], &[(0, a), (1, b)], &blobs),
        "each pack is used",
    );
    let order = "its frames use its packs in order";
    is_malformed(decode(&[1, 2], &[(1, a), (0, b)], &blobs), order);
    is_malformed(decode(&[1, 2], &[(0, a), (2, b)], &blobs), order);
    is_malformed(decode(&[1, 2], &[(0, a), (u32::MAX, b)], &blobs), order);
    is_malformed(decode(&[], &[(0, a)], &blobs), order);
    let unused = [(0, a), (0, frame(1, 20, 10)), (1, b)];
    is_malformed(decode(&[1, 2], &unused, &blobs), "each frame is used");
    let names = "each part names a frame";
    let mut wild = blobs;
    wild[0].2 = 2;
    is_malformed(decode(&[1, 2], &[(0, a), (1, b)], &wild), names);
    let exact = "its blobs are the non-empty ones of its trees, ascending";
    let frames = [(0, a), (1, b)];
    is_malformed(decode(&[1, 2], &frames, &[blobs[1], blobs[0]]), exact);
    is_malformed(
        decode(&[1, 2], &frames, &[blobs[0], blobs[0], blobs[1]]),
        exact,
    );
    is_malformed(decode(&[1], &frames[..1], &blobs[..1]), exact);
    let foreign = (BlobId::from_bytes([0xff; 32]), 1, 0, 0);
    is_malformed(
        decode(&[1, 2], &frames, &[blobs[0], blobs[1], foreign]),
        exact,
    );
    let mut resized = blobs;
    resized[0].1 += 1;
    is_malformed(decode(&[1, 2], &frames, &resized), exact);
}

#[test]
fn counts_that_promise_more_than_is_there_reserve_nothing() {
    let (root, _, _) = two_files();
    let whole = body_with(&[], &[], &[]);
    let tables = whole.len() - 12;
    for at in [0, tables, tables + 4, tables + 8] {
        let mut body = whole.clone();
        body[at..at + 4].copy_from_slice(&[0xff; 4]);
        is_malformed(
            Manifest::decode_body(&body, &root),
            "it does not end within a value",
        );
    }
}

#[test]
fn other_marks_and_bombs_are_refused() {
    let (root, trees, locations) = two_files();
    let good = Manifest::new(&root, trees, &locations)
        .unwrap()
        .encode()
        .unwrap();
    assert!(Manifest::decode(&good, &root).is_ok());
    for at in 0..8 {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        is_malformed(Manifest::decode(&bytes, &root), "it begins with `PTHMAN01`");
    }
    let trailing = [&good[..], &[0]].concat();
    assert!(matches!(
        Manifest::decode(&trailing, &root),
        Err(FormatError::Frame { .. })
    ));
    // More than any object of five nodes and eight bytes can need.
    let bomb = compress(&vec![0; 1 << 20]).unwrap();
    let bytes = [&MAGIC[..], &bomb].concat();
    assert!(matches!(
        Manifest::decode(&bytes, &root),
        Err(FormatError::Frame {
            source: crate::cache::format::FrameError::TooLong { .. },
            ..
        })
    ));
}

#[test]
fn the_bound_holds_for_the_worst_object() {
    let (root, locations) = large(&[128 << 10; 40]);
    let manifest = Manifest::new(&root, TreeBundle::default(), &locations);
    // 40 chunks of the least size, each in a frame of its own.
    let body = manifest.unwrap().encode_body().unwrap();
    assert!(body.len() as u64 <= max_body(&root).unwrap());
    assert!(u64::try_from(MAX_CHUNK).unwrap() < 40 * (128 << 10));
}
