//! What makes two objects the same, and what must not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{
    AddBatch, AddObject, AddSource, MemoryNode, ObjectId, PathDigest, PathInfo, StorePath,
    object::{ModuloHasher, ModuloNode, ObjectSeal, seal, symlink_modulo},
    scan::{Needles, scan_bytes},
    testing::{TempStore, find_faults},
};

/// A file as it is in the mind of its author: bytes, and places where the object's own digits stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Own,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..30),
        // What a hash that only zeroes would confuse with a self-reference.
        prop::collection::vec(Just(0u8), 38..42),
        prop::collection::vec(Just(0u8), 80),
    ];
    prop::collection::vec(
        prop_oneof![bytes.prop_map(Piece::Bytes), Just(Piece::Own)],
        0..6,
    )
}

fn write(pieces: &[Piece], own: &PathDigest) -> Vec<u8> {
    let piece = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => bytes.clone(),
        Piece::Own => own.to_digits().to_vec(),
    };
    pieces.iter().flat_map(piece).collect()
}

/// Two scratch digests without a common part.
fn scratches() -> [StorePath; 2] {
    let name = "x".parse().expect("a test value is legal");
    ["out", "other"].map(|output| store::scratch_path(&name, output))
}

fn modulo(bytes: &[u8], own: &PathDigest) -> ModuloNode {
    let found = scan_bytes(&Needles::new(&[], &[*own]), bytes);
    let offsets: Vec<u64> = found
        .occurrences
        .iter()
        .map(|occurrence| occurrence.offset)
        .collect();
    let mut hasher = ModuloHasher::new(&offsets);
    let mut bytes = bytes.to_vec();
    // Any cut must do.
    for block in bytes.chunks_mut(17) {
        hasher.update(block);
    }
    hasher.finish(false)
}

fn id_of(root: &ModuloNode) -> ObjectId {
    seal(&ObjectSeal {
        name: &"x".parse().expect("a test value is legal"),
        root,
        references: &[],
    })
}

fn add(store: &TempStore, tree: MemoryNode, scratch: &StorePath) -> PathInfo {
    let object = AddObject {
        scratch: Some(scratch.clone()),
        ..AddObject::new(
            "x".parse().expect("a test value is legal"),
            AddSource::Tree(tree),
        )
    };
    store
        .add(AddBatch {
            objects: vec![object],
            ..AddBatch::default()
        })
        .expect("a test value is legal")
        .remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn two_files_share_an_id_only_if_they_are_the_same(a in pieces(), b in pieces()) {
        let [scratch, _] = scratches();
        let own = scratch.digest();
        let same = write(&a, own) == write(&b, own);
        prop_assert_eq!(id_of(&modulo(&write(&a, own), own)) == id_of(&modulo(&write(&b, own), own)), same);
    }

    #[test]
    fn the_id_does_not_depend_on_the_digits_that_stand_for_the_object(pieces in pieces()) {
        let [one, other] = scratches();
        let [a, b] = [one, other].map(|scratch| id_of(&modulo(&write(&pieces, scratch.digest()), scratch.digest())));
        prop_assert_eq!(a, b);
        // Rewriting commutes with hashing: the final bytes, read with the final digits, have the same id.
        let last = a.path_digest();
        prop_assert_eq!(id_of(&modulo(&write(&pieces, &last), &last)), a);
    }

    #[test]
    fn two_symlinks_share_an_id_only_if_they_are_the_same(a in pieces(), b in pieces()) {
        let [scratch, _] = scratches();
        let own = scratch.digest();
        let target = |pieces: &[Piece]| {
            let bytes: Vec<u8> = write(pieces, own).iter().map(|byte| (*byte).max(1)).collect();
            store::SymlinkTarget::new(&bytes).ok()
        };
        let (Some(a), Some(b)) = (target(&a), target(&b)) else { return Ok(()) };
        let node = |target: &store::SymlinkTarget| {
            let found = scan_bytes(&Needles::new(&[], &[*own]), target.as_bytes());
            symlink_modulo(target, &found.occurrences.iter().map(|occurrence| occurrence.offset).collect::<Vec<_>>())
        };
        prop_assert_eq!(id_of(&node(&a)) == id_of(&node(&b)), a == b);
    }

    #[test]
    fn name_references_and_kind_are_part_of_the_id(ids in prop::collection::vec(prop::array::uniform32(any::<u8>()), 0..4)) {
        let ids: Vec<ObjectId> = ids.into_iter().map(ObjectId::from_bytes).collect();
        let (x, y) = ("x".parse().unwrap(), "y".parse().unwrap());
        let root = modulo(b"", scratches()[0].digest());
        let object = ObjectSeal { name: &x, root: &root, references: &ids };
        let mut reversed = ids.clone();
        reversed.reverse();
        prop_assert_eq!(seal(&object), seal(&ObjectSeal { references: &reversed, ..object.clone() }));
        prop_assert_ne!(seal(&object), seal(&ObjectSeal { name: &y, ..object.clone() }));
        if let Some((_, rest)) = ids.split_first() {
            prop_assert_ne!(seal(&object), seal(&ObjectSeal { references: rest, ..object }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_written_with_either_scratch_path_becomes_the_same_object_with_the_same_bytes(
        files in prop::collection::btree_map("[a-c](/[a-c]){0,2}", pieces(), 1..5),
    ) {
        let mut trees = Vec::new();
        let mut infos = Vec::new();
        let stores = [TempStore::new(), TempStore::new()];
        for (store, scratch) in stores.iter().zip(scratches()) {
            let mut tree = MemoryNode::directory();
            for (path, pieces) in &files {
                // A path below a file is no path of this tree.
                let _clash: Result<(), store::TreeError> = tree.insert(path, MemoryNode::file(write(pieces, scratch.digest())));
            }
            infos.push(add(store, tree.clone(), &scratch));
            trees.push(tree);
        }
        prop_assert_eq!(&infos[0], &infos[1]);
        let mut last = MemoryNode::directory();
        for (path, pieces) in &files {
            let _clash: Result<(), store::TreeError> = last.insert(path, MemoryNode::file(write(pieces, infos[0].path.digest())));
        }
        prop_assert_eq!(&infos[0].root, &last.to_bundle().unwrap().0);
        // The checker computes the id from the disk alone.
        for store in &stores {
            prop_assert_eq!(find_faults(store), Vec::<String>::new());
        }
    }
}

#[test]
fn forty_zero_bytes_are_not_a_self_reference() {
    let [scratch, _] = scratches();
    let own = scratch.digest();
    let contents: BTreeMap<ObjectId, Vec<u8>> = [own.to_digits().to_vec(), vec![0; 40]]
        .into_iter()
        .map(|bytes| (id_of(&modulo(&bytes, own)), bytes))
        .collect();
    assert_eq!(contents.len(), 2);
}
