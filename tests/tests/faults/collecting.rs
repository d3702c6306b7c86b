//! Garbage collections, and what puts right what they leave when they die.

use std::{collections::BTreeSet, sync::atomic::AtomicBool};

use store::{
    GcOptions, LocalStore, MemoryNode, PathInfo, RootKind,
    testing::{add_tree, memory_tree},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "gc",
        prepare,
        act: |store| collect(store, None),
        is_done: |store| Ok(names(store)? == kept()),
        is_undone: keeps_what_is_rooted,
    },
    Operation {
        name: "gc-free",
        prepare,
        act: |store| collect(store, Some(1)),
        // The application is larger than the tool, and both are as old.
        is_done: |store| Ok(!names(store)?.contains("application")),
        is_undone: keeps_what_is_rooted,
    },
    Operation {
        name: "gc-recover",
        prepare,
        // Opening the store is all that it takes.
        act: keeps_what_is_rooted,
        is_done: |store| keeps_what_is_rooted(store).map(|()| true),
        is_undone: |_| Ok(()),
    },
];

/// base ← library ← application; tool ← old; the library is rooted.
fn prepare(store: &LocalStore) -> TestResult {
    let add = |name: &str, size: usize, references: &[&PathInfo]| {
        let text: String = references
            .iter()
            .map(|info| info.path.to_logical() + "\n")
            .collect();
        let files = [
            ("text", MemoryNode::file(text)),
            ("share/data", MemoryNode::file(vec![b'.'; size])),
        ];
        add_tree(store, name, memory_tree(&files), references)
    };
    let base = add("base", 10, &[])?;
    let library = add("library", 20_000, &[&base])?;
    add("application", 20_000, &[&library, &base])?;
    let tool = add("tool", 10, &[])?;
    add("old", 10, &[&tool])?;
    store.add_root("library", &library.path, RootKind::Explicit)?;
    Ok(())
}

fn collect(store: &LocalStore, free_bytes: Option<u64>) -> TestResult {
    let options = GcOptions {
        free_bytes,
        ..GcOptions::default()
    };
    store.collect_garbage(&options, &|_| {}, &AtomicBool::new(false))?;
    Ok(())
}

fn names(store: &LocalStore) -> TestResult<BTreeSet<String>> {
    let paths = store.find_by_prefix("")?;
    let names = paths.iter().map(|path| path.name().to_string());
    Ok(names.collect())
}

fn kept() -> BTreeSet<String> {
    ["base", "library"].map(str::to_owned).into()
}

fn keeps_what_is_rooted(store: &LocalStore) -> TestResult {
    if names(store)?.is_superset(&kept()) {
        Ok(())
    } else {
        Err(format!("only {:?} are left", names(store)?).into())
    }
}
