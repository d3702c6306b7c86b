//! Adds that link to the pool, and what removes its entries.

use std::{fs, path::Path};

use store::{
    LocalStore, MemoryNode,
    testing::{TempStore, add_tree, memory_tree},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "link",
        prepare: |store| {
            let files = memory_tree(&[
                ("block", MemoryNode::file(vec![1; 9_000])),
                ("blocks", MemoryNode::file(vec![2; 200_000])),
            ]);
            add_tree(store, "old", files, &[])?;
            Ok(())
        },
        // Known contents and two files of a new one, each written whole and in blocks; so many bytes that they are reserved.
        act: |store| {
            let files = memory_tree(&[
                ("block", MemoryNode::file(vec![1; 9_000])),
                ("blocks", MemoryNode::file(vec![2; 200_000])),
                ("large", MemoryNode::file(vec![4; 2 << 20])),
                ("new", MemoryNode::file(vec![3; 9_000])),
                ("newer", MemoryNode::file(vec![3; 9_000])),
                ("program", MemoryNode::program(vec![2; 200_000])),
                ("programs", MemoryNode::program(vec![2; 200_000])),
            ]);
            add_tree(store, "new", files, &[])?;
            Ok(())
        },
        is_done: |store| has_object(store, "new"),
        is_undone: |_| Ok(()),
    },
    Operation {
        name: "collect-pool",
        prepare: |store| {
            add_tree(store, "used", MemoryNode::file(vec![1; 9_000]), &[])?;
            // As after the deletion of an object: an entry without another name.
            let other = TempStore::new();
            add_tree(&other, "unused", MemoryNode::file(vec![2; 9_000]), &[])?;
            for entry in other.pool().entries()? {
                let name = Path::new(".pool").join(entry.key.to_string());
                let target = store.store_directory().join(&name);
                fs::create_dir_all(target.parent().ok_or("an entry lies in a directory")?)?;
                fs::copy(other.store_directory().join(name), target)?;
            }
            Ok(())
        },
        act: |store| {
            store.pool().collect()?;
            Ok(())
        },
        is_done: |store| Ok(store.pool().entries()?.len() == 1),
        is_undone: |_| Ok(()),
    },
];

fn has_object(store: &LocalStore, name: &str) -> TestResult<bool> {
    let paths = store.find_by_prefix("")?;
    Ok(paths.iter().any(|path| path.name().as_str() == name))
}
