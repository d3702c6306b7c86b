//! What a pull does with caches that are wrong on purpose. Each attack ends in success from another cache or in one error, and the store is unharmed.

use super::fixture::*;
use crate::{
    BlobId, PackDigest, PathInfo,
    cache::{
        format::{BlobPart, CacheName, Frame, Manifest, ObjectRecord, compress, encode_closure},
        pull::PullError,
    },
    testing::{TempStore, find_faults, noise},
};

/// Pulls the program from a cache that was tampered with, alone and beside a good one.
fn attack(tamper: impl Fn(&Cache, &Example) -> TestResult) -> TestResult {
    let example = example()?;
    let bad = Cache::of(&example.store, &[&example.program])?;
    tamper(&bad, &example)?;
    let here = TempStore::new();
    match pull(&here, &[bad.source()?], &example.program) {
        Err(PullError::Missing { answers, .. }) => assert!(!answers.is_empty()),
        other => return Err(format!("the attack was not noticed: {other:?}").into()),
    }
    assert!(here.path_info(&example.program.path)?.is_none());
    assert_eq!(find_faults(&here), [""; 0]);
    let good = Cache::of(&example.store, &[&example.program])?;
    let there = TempStore::new();
    pull(&there, &[bad.source()?, good.source()?], &example.program)?;
    assert_eq!(find_faults(&there), [""; 0]);
    // What came of the first one is no obstacle.
    pull(&here, &[good.source()?], &example.program)?;
    assert_eq!(find_faults(&here), [""; 0]);
    Ok(())
}

fn names(info: &PathInfo) -> (CacheName, CacheName, CacheName) {
    let digest = *info.path.digest();
    (
        CacheName::Closure(digest),
        CacheName::Object(digest),
        CacheName::Manifest(digest),
    )
}

/// Removes the bundle, so that records and manifests are read one by one.
fn unbundle(cache: &Cache, example: &Example) -> TestResult {
    Ok(std::fs::remove_file(
        cache.file(&names(&example.program).0),
    )?)
}

#[test]
fn truncated_packs() -> TestResult {
    attack(|cache, _| {
        for pack in cache.packs()? {
            let bytes = cache.read(&pack)?;
            cache.write(&pack, &bytes[..bytes.len() / 2])?;
        }
        Ok(())
    })
}

#[test]
fn flipped_bits_in_packs() -> TestResult {
    attack(|cache, _| {
        for pack in cache.packs()? {
            let mut bytes = cache.read(&pack)?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            cache.write(&pack, &bytes)?;
        }
        Ok(())
    })
}

#[test]
fn empty_and_absent_packs() -> TestResult {
    attack(|cache, _| {
        cache
            .packs()?
            .iter()
            .try_for_each(|pack| cache.write(pack, b""))
    })?;
    attack(|cache, _| {
        for pack in cache.packs()? {
            std::fs::remove_file(cache.file(&pack))?;
        }
        Ok(())
    })
}

#[test]
fn swapped_objects() -> TestResult {
    attack(|cache, example| {
        let (program, library) = (names(&example.program), names(&example.library));
        let other = cache.read(&library.1)?;
        cache.write(&program.1, &other)?;
        let other = cache.read(&library.2)?;
        cache.write(&program.2, &other)?;
        unbundle(cache, example)
    })
}

#[test]
fn a_bundle_of_another_object() -> TestResult {
    attack(|cache, example| {
        cache.publish(&example.store, &[&example.library], None)?;
        let other = cache.read(&names(&example.library).0)?;
        cache.write(&names(&example.program).0, &other)?;
        Ok(std::fs::remove_file(
            cache.file(&names(&example.program).1),
        )?)
    })
}

#[test]
fn truncated_and_garbled_bundles() -> TestResult {
    for cut in [0, 7, 23, 24, 60, 200] {
        attack(|cache, example| {
            let (bundle, record, _) = names(&example.program);
            let bytes = cache.read(&bundle)?;
            cache.write(&bundle, &bytes[..cut])?;
            Ok(std::fs::remove_file(cache.file(&record))?)
        })?;
    }
    for at in [0, 8, 12, 16, 19, 40] {
        attack(|cache, example| {
            let (bundle, record, _) = names(&example.program);
            let mut bytes = cache.read(&bundle)?;
            bytes[at] ^= 0x55;
            cache.write(&bundle, &bytes)?;
            Ok(std::fs::remove_file(cache.file(&record))?)
        })?;
    }
    Ok(())
}

#[test]
fn a_cache_of_another_store_directory_or_version() -> TestResult {
    for info in [
        r#"{"version":1,"store_dir":"/nix/store","keys":[]}"#,
        r#"{"version":2}"#,
        "",
        "not json",
    ] {
        attack(|cache, _| cache.write(&CacheName::Info, info.as_bytes()))?;
    }
    attack(|cache, _| Ok(std::fs::remove_file(cache.file(&CacheName::Info))?))
}

/// A record that says that an object has other references than it has: its id does not seal them.
#[test]
fn a_record_without_a_reference() -> TestResult {
    attack(|cache, example| {
        let (_, record, _) = names(&example.program);
        let lie = PathInfo {
            references: Vec::new(),
            ..example.program.clone()
        };
        cache.write(&record, &ObjectRecord::from_path_info(&lie)?.encode()?)?;
        unbundle(cache, example)
    })
}

/// A tree of somebody else under the id of the program.
#[test]
fn a_record_with_another_root() -> TestResult {
    attack(|cache, example| {
        let (bundle, record, manifest) = names(&example.program);
        let lie = PathInfo {
            root: example.library.root.clone(),
            size_bytes: example.library.size_bytes,
            nodes: example.library.nodes,
            ..example.program.clone()
        };
        let lie = ObjectRecord::from_path_info(&lie)?;
        let library = names(&example.library);
        let truth = ObjectRecord::decode(&cache.read(&library.1)?)?;
        let other = cache.read(&library.2)?;
        cache.write(&record, &lie.encode()?)?;
        cache.write(&manifest, &other)?;
        let closure = [(truth, other.clone()), (lie, other)];
        cache.write(&bundle, &encode_closure(&closure)?)
    })
}

/// Frames that are whole, in a pack that a manifest leads to, and hold something else.
#[test]
fn a_manifest_that_leads_to_other_bytes() -> TestResult {
    attack(|cache, example| {
        let (_, _, manifest) = names(&example.library);
        let text = cache.read(&manifest)?;
        let good = Manifest::decode(&text, &example.library.root)?;
        let mut locations = good.locations();
        for parts in locations.values_mut() {
            *parts = replace(cache, parts)?;
        }
        let bad = Manifest::new(&example.library.root, good.trees().clone(), &locations)?;
        cache.write(&manifest, &bad.encode()?)?;
        unbundle(cache, example)
    })
}

/// Makes other parts of the same lengths. Small contents have the digest of the frame in the manifest, so only their frame can lie.
fn replace(cache: &Cache, parts: &[BlobPart]) -> TestResult<Vec<BlobPart>> {
    let mut replaced = Vec::new();
    for part in parts {
        let content = noise("something else", part.frame.length as usize);
        let bytes = compress(&content)?;
        let mut pack = b"PTHPAK01".to_vec();
        pack.extend_from_slice(&bytes);
        let digest = PackDigest::from_bytes(*blake3::hash(&pack).as_bytes());
        cache.write(&CacheName::Pack(digest), &pack)?;
        let is_alone = part.offset == 0 && part.length == part.frame.length && parts.len() == 1;
        let truth = BlobId::from_bytes(*blake3::hash(&content).as_bytes());
        replaced.push(BlobPart {
            frame: Frame {
                pack: digest,
                offset: 8,
                compressed_length: u32::try_from(bytes.len())?,
                length: part.frame.length,
                content: if is_alone { part.frame.content } else { truth },
            },
            ..*part
        });
    }
    Ok(replaced)
}

#[test]
fn a_frame_that_is_a_bomb() -> TestResult {
    attack(|cache, example| {
        let (_, _, manifest) = names(&example.library);
        let good = Manifest::decode(&cache.read(&manifest)?, &example.library.root)?;
        let bomb = compress(&vec![0; 64 << 20])?;
        let pack = [b"PTHPAK01", &bomb[..]].concat();
        let digest = PackDigest::from_bytes(*blake3::hash(&pack).as_bytes());
        cache.write(&CacheName::Pack(digest), &pack)?;
        let mut locations = good.locations();
        let part = locations
            .values_mut()
            .find(|parts| parts.len() == 1 && parts[0].frame.length > 100_000)
            .and_then(|parts| parts.first_mut())
            .ok_or("there is a large frame")?;
        part.frame.pack = digest;
        part.frame.offset = 8;
        part.frame.compressed_length = u32::try_from(bomb.len())?;
        let bad = Manifest::new(&example.library.root, good.trees().clone(), &locations)?;
        cache.write(&manifest, &bad.encode()?)?;
        unbundle(cache, example)
    })
}

#[test]
fn a_good_copy_of_a_pack_elsewhere_makes_up_for_a_damaged_one() -> TestResult {
    let example = example()?;
    let (bad, good) = (
        Cache::of(&example.store, &[&example.program])?,
        Cache::of(&example.store, &[&example.program])?,
    );
    for pack in bad.packs()? {
        let mut bytes = bad.read(&pack)?;
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bad.write(&pack, &bytes)?;
    }
    let here = TempStore::new();
    let (first, second) = (bad.source()?, good.source()?);
    pull(&here, &[first, second], &example.program)?;
    assert_eq!(find_faults(&here), [""; 0]);
    Ok(())
}
