//! Signatures that are added to what is known.

use store::{
    LocalStore, MemoryNode, PathInfo,
    testing::add_tree,
    trust::{SecretKey, SignatureSet, Signatures, Statement},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    name: "sign",
    prepare: |store| {
        for name in ["one", "other"] {
            let info = add_tree(store, name, MemoryNode::file(name), &[])?;
            sign(store, &[info], 1)?;
        }
        Ok(())
    },
    act: |store| sign(store, &objects(store)?, 2),
    is_done: |store| Ok(counts(store)? == [2, 2]),
    // All or none, and what was known stays known.
    is_undone: |store| match counts(store)?.as_slice() {
        [1, 1] => Ok(()),
        counts => Err(format!("in part: {counts:?}").into()),
    },
}];

fn objects(store: &LocalStore) -> TestResult<Vec<PathInfo>> {
    let mut infos = Vec::new();
    for path in store.find_by_prefix("")? {
        infos.push(store.path_info(&path)?.ok_or("it is valid")?);
    }
    Ok(infos)
}

fn sign(store: &LocalStore, objects: &[PathInfo], seed: u8) -> TestResult {
    let key = SecretKey::from_seed("test".parse()?, &[seed; 32]);
    let mut signed = Vec::new();
    for info in objects {
        let signatures = Signatures {
            object: SignatureSet::new([key.sign(&Statement::object(info))])?,
            ..Signatures::default()
        };
        signed.push((info.id, signatures));
    }
    store.add_signatures(&signed)?;
    Ok(())
}

fn counts(store: &LocalStore) -> TestResult<Vec<usize>> {
    let mut counts = Vec::new();
    for info in objects(store)? {
        counts.push(store.find_signatures(&info.id)?.object.len());
    }
    Ok(counts)
}
