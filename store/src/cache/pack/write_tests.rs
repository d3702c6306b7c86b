use std::io;

use proptest::prelude::*;

use super::*;
use crate::cache::{
    format::{AVERAGE_CHUNK, MAX_FRAME},
    pack::{blob_in, read_frame},
};
use crate::testing::noise;

type Locations = BTreeMap<BlobId, Vec<BlobPart>>;

fn id(bytes: &[u8]) -> BlobId {
    BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// Bytes that compress to about a half.
fn text(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = noise(seed, length);
    for byte in &mut bytes {
        *byte = b'a' + *byte % 16;
    }
    bytes
}

fn source(bytes: &[u8]) -> io::Result<BlobSource<&[u8]>> {
    Ok(BlobSource {
        id: id(bytes),
        size: bytes.len() as u64,
        reader: bytes,
    })
}

fn pack(blobs: &[Vec<u8>], known: &Arc<KnownFrames>) -> Result<(Vec<Pack>, Locations), PackError> {
    let mut writer = PackWriter::new(blobs.iter().map(|blob| source(blob)), Arc::clone(known));
    let mut packs = Vec::new();
    while let Some(pack) = writer.next_pack()? {
        packs.push(pack);
    }
    Ok((packs, writer.finish()?))
}

fn unpack(parts: &[BlobPart], packs: &[Pack]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let pack = packs.iter().find(|pack| pack.digest == part.frame.pack);
        let start = part.frame.offset as usize;
        let end = start + part.frame.compressed_length as usize;
        let content = read_frame(&part.frame, &pack.unwrap().bytes[start..end]).unwrap();
        let start = part.offset as usize;
        bytes.extend_from_slice(&content[start..start + part.length as usize]);
    }
    bytes
}

/// Every byte of every pack belongs to the mark or to one frame, and each blob comes back.
fn check_all(blobs: &[Vec<u8>], packs: &[Pack], locations: &Locations) {
    for blob in blobs.iter().filter(|blob| !blob.is_empty()) {
        assert!(unpack(&locations[&id(blob)], packs) == *blob);
    }
    let mut frames: Vec<Frame> = locations
        .values()
        .flatten()
        .map(|part| part.frame)
        .collect();
    frames.sort_unstable();
    frames.dedup();
    for pack in packs {
        assert!(pack.bytes.len() <= MAX_PACK);
        assert_eq!(pack.digest.as_bytes(), blake3::hash(&pack.bytes).as_bytes());
        let mut end = PACK_MAGIC.len();
        for frame in frames.iter().filter(|frame| frame.pack == pack.digest) {
            assert_eq!(frame.offset as usize, end);
            assert!(frame.length as usize <= MAX_FRAME);
            end += frame.compressed_length as usize;
        }
        assert_eq!(end, pack.bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_blob_comes_back(shapes in prop::collection::vec((0..6u64, prop_oneof![4 => 0..3000usize, 2 => 0..400_000usize, 1 => 2_000_000..3_000_000usize]), 0..12)) {
        let blobs: Vec<_> = shapes.into_iter().map(|(seed, length)| text(seed, length)).collect();
        let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
        check_all(&blobs, &packs, &locations);
        prop_assert_eq!(locations.contains_key(&id(b"")), false);
    }
}

#[test]
fn nothing_makes_no_pack() {
    for blobs in [vec![], vec![vec![]], vec![vec![], vec![]]] {
        let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
        assert!(packs.is_empty() && locations.is_empty());
    }
}

#[test]
fn small_blobs_share_frames_and_equal_ones_their_place() {
    let mut blobs: Vec<_> = (0..1000).map(|seed| text(seed, 1000)).collect();
    blobs.push(blobs[3].clone());
    let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
    check_all(&blobs, &packs, &locations);
    let mut frames: Vec<_> = locations
        .values()
        .flatten()
        .map(|part| part.frame)
        .collect();
    frames.sort_unstable();
    frames.dedup();
    assert_eq!((packs.len(), locations.len(), frames.len()), (1, 1000, 2));
    // In the order in which they came.
    assert!(locations[&id(&blobs[0])][0].offset < locations[&id(&blobs[1])][0].offset);
}

#[test]
fn the_largest_blob_that_is_not_cut_has_one_part_and_the_next_has_several() {
    for (length, is_cut) in [(MAX_CHUNK, false), (MAX_CHUNK + 1, true)] {
        let blobs = [noise(1, length)];
        let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
        check_all(&blobs, &packs, &locations);
        assert_eq!(locations[&id(&blobs[0])].len() > 1, is_cut);
    }
}

#[test]
fn many_threads_and_one_make_the_same_packs() {
    let mut blobs: Vec<_> = (0..200).map(|seed| text(seed, 20_000)).collect();
    blobs.push(noise(1, 40_000_000));
    blobs.push(text(2, 9_000_000));
    blobs.extend((200..300).map(|seed| text(seed, 20_000)));
    let expected = pack(&blobs, &Arc::default()).unwrap();
    assert!(expected.0.len() > 1);
    check_all(&blobs, &expected.0, &expected.1);
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        // On a thread of the pool, which has to do the work that it waits for.
        let found = pool
            .build()
            .unwrap()
            .install(|| pack(&blobs, &Arc::default()));
        assert!(found.unwrap() == expected, "{threads}");
    }
}

#[test]
fn what_is_filled_is_the_beginning_of_the_next_pack() {
    let blobs = [noise(1, 50_000_000), text(2, 9_000_000), noise(3, 1000)];
    let expected = pack(&blobs, &Arc::default()).unwrap().0;
    assert!(expected.len() > 1);
    let mut writer = PackWriter::new(blobs.iter().map(|blob| source(blob)), Arc::default());
    let (mut seen, mut packs) = (Vec::new(), Vec::new());
    loop {
        match writer.step().unwrap() {
            Step::Filled => {
                let filling = writer.filling();
                assert!(filling.get(..seen.len()) == Some(&seen[..]));
                seen.extend_from_slice(&filling[seen.len()..]);
            }
            Step::Pack(pack) => {
                assert!(pack.bytes == seen);
                seen.clear();
                packs.push(pack);
            }
            Step::End => break,
        }
    }
    assert!(seen.is_empty());
    assert!(packs == expected);
}

#[test]
fn a_changed_byte_in_a_large_blob_costs_one_chunk() {
    let mut blob = noise(1, 40_000_000);
    let (first, locations) = pack(&[blob.clone()], &Arc::default()).unwrap();
    let known: KnownFrames = locations[&id(&blob)]
        .iter()
        .map(|part| (part.frame.content, part.frame))
        .collect();
    blob[20_000_000] ^= 1;
    let (second, locations) = pack(&[blob.clone()], &Arc::new(known)).unwrap();
    let bytes: usize = second.iter().map(|pack| pack.bytes.len()).sum();
    assert!(bytes < 3 * AVERAGE_CHUNK, "{bytes}");
    let all = [first, second].concat();
    assert!(unpack(&locations[&id(&blob)], &all) == blob);
}

#[test]
fn what_is_known_makes_no_pack_at_all() {
    let blobs: Vec<_> = (0..50).map(|seed| text(seed, 30_000)).collect();
    let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
    let frames = locations.values().flatten().map(|part| part.frame);
    let known: KnownFrames = frames.map(|frame| (frame.content, frame)).collect();
    let (again, same) = pack(&blobs, &Arc::new(known)).unwrap();
    assert_eq!((packs.len(), again.len()), (1, 0));
    assert_eq!(same, locations);
}

#[test]
fn chunks_that_repeat_are_written_once() {
    let blobs = [vec![0; 30_000_000], vec![0; 20_000_000]];
    let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
    for blob in &blobs {
        assert!(unpack(&locations[&id(blob)], &packs) == *blob);
    }
    assert!(packs.iter().map(|pack| pack.bytes.len()).sum::<usize>() < 2000);
}

#[test]
fn blobs_whose_bytes_are_others_are_refused() {
    for length in [10, MAX_CHUNK + 10] {
        let (good, other) = (noise(1, length), noise(2, length));
        for bytes in [&other[..], &good[..length - 1], &[&good[..], b"x"].concat()] {
            let blob = BlobSource {
                id: id(&good),
                size: length as u64,
                reader: bytes,
            };
            let mut writer = PackWriter::new([Ok(blob)].into_iter(), Arc::default());
            assert!(matches!(writer.next_pack(), Err(PackError::Blob { .. })));
        }
    }
}

#[test]
fn what_cannot_be_opened_or_read_is_named() {
    let gone = [Err(io::ErrorKind::NotFound.into())];
    let mut writer: PackWriter<_, &[u8]> = PackWriter::new(gone.into_iter(), Arc::default());
    assert!(matches!(writer.next_pack(), Err(PackError::Open(_))));

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    for size in [10, MAX_CHUNK as u64 + 1] {
        let blob = BlobSource {
            id: id(b"x"),
            size,
            reader: Broken,
        };
        let mut writer = PackWriter::new([Ok(blob)].into_iter(), Arc::default());
        assert!(
            matches!(writer.next_pack(), Err(PackError::Read { blob, .. }) if blob == id(b"x"))
        );
    }
}

#[test]
fn places_are_known_only_at_the_end() {
    let blobs = [noise(1, 40_000_000)];
    let mut writer = PackWriter::new(blobs.iter().map(|blob| source(blob)), Arc::default());
    assert!(writer.next_pack().unwrap().is_some());
    assert!(matches!(writer.finish(), Err(PackError::Unfinished)));
}

#[test]
fn a_blob_is_found_in_its_frame_by_its_place() {
    let blobs = [b"one".to_vec(), b"two".to_vec()];
    let (packs, locations) = pack(&blobs, &Arc::default()).unwrap();
    let part = locations[&id(b"two")][0];
    let content = read_frame(&part.frame, &packs[0].bytes[8..]).unwrap();
    assert_eq!(
        blob_in(&content, part.offset, part.length, &id(b"two")).unwrap(),
        b"two"
    );
}
