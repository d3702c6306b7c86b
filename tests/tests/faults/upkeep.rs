//! Roots with their records, and the database made again from records.

use std::fs;

use store::{
    LocalStore, MemoryNode, NoRestorer, PathInfo, RootKind, StoreOptions, VerifyDepth,
    VerifyOptions, Watch,
    testing::{TEST_TIME, add_tree, make_writable, memory_tree},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "replace-root",
        prepare: |store| with_roots(store),
        act: |store| Ok(store.add_root("main", &object(store, "user")?.path, RootKind::Profile)?),
        is_done: |store| Ok(roots(store)? == ["main user", "other base"]),
        is_undone: |store| expect_roots(store, &["main base", "other base"]),
    },
    Operation {
        name: "remove-root",
        prepare: |store| with_roots(store),
        act: |store| Ok(store.remove_root("main").map(drop)?),
        is_done: |store| Ok(roots(store)? == ["other base"]),
        is_undone: |store| expect_roots(store, &["main base", "other base"]),
    },
    Operation {
        name: "rebuild",
        prepare: |store| with_roots(store),
        act: |store| {
            let options = StoreOptions::new(|| TEST_TIME);
            LocalStore::rebuild_database(store.root(), &options, &Watch::nobody())?;
            Ok(())
        },
        is_done: |store| is_whole(store),
        is_undone: |_| Err("something is lost".into()),
    },
    Operation {
        name: "repair",
        prepare: |store| with_damage(store),
        act: |store| {
            let report = store.repair(&VerifyOptions::default(), &NoRestorer, &Watch::nobody())?;
            if report.unrepaired.is_empty() {
                Ok(())
            } else {
                Err(format!("not repaired: {report:?}").into())
            }
        },
        is_done: |store| {
            Ok(store.list_damaged()?.is_empty() && store.find_by_prefix("")?.len() == 3)
        },
        // What is not repaired stays known, and what refers to it stays valid.
        is_undone: |store| match store.list_damaged()?.as_slice() {
            [path] if path.name().as_str() == "base" => object(store, "user").map(drop),
            paths => Err(format!("damaged: {paths:?}").into()),
        },
    },
    // The next who opens the store makes the database again.
    Operation {
        name: "lose-database",
        prepare: |store| {
            with_roots(store)?;
            Ok(fs::remove_file(store.root().join("var/db.sqlite"))?)
        },
        act: |_| Ok(()),
        is_done: |store| is_whole(store),
        is_undone: |_| Err("something is lost".into()),
    },
];

fn with_roots(store: &LocalStore) -> TestResult {
    let base = add_tree(store, "base", MemoryNode::file("base"), &[])?;
    let text = MemoryNode::file(base.path.to_logical());
    add_tree(store, "user", text, &[&base])?;
    for name in ["main", "other"] {
        store.add_root(name, &base.path, RootKind::Explicit)?;
    }
    Ok(())
}

/// Damages an object whose files can all be found elsewhere.
fn with_damage(store: &LocalStore) -> TestResult {
    let tree = |directory: &str| {
        memory_tree(&[
            (
                &format!("{directory}/large"),
                MemoryNode::file(vec![1; 100_000]),
            ),
            (&format!("{directory}/small"), MemoryNode::file("small")),
        ])
    };
    let base = add_tree(store, "base", tree("a"), &[])?;
    let text = MemoryNode::file(base.path.to_logical());
    add_tree(store, "user", text, &[&base])?;
    store.unpool(&base.path)?;
    add_tree(store, "copies", tree("b"), &[])?;
    let root = store.real_path(&base.path);
    make_writable(&root)?;
    for file in ["a/large", "a/small"] {
        fs::remove_file(root.join(file))?;
    }
    fs::write(root.join("a/large"), "wrong")?;
    let options = VerifyOptions {
        depth: VerifyDepth::Contents,
        ..VerifyOptions::default()
    };
    let report = store.verify(&options, &Watch::nobody())?;
    if report.damaged.len() == 1 {
        Ok(())
    } else {
        Err(format!("{report:?}").into())
    }
}

fn object(store: &LocalStore, name: &str) -> TestResult<PathInfo> {
    for path in store.find_by_prefix("")? {
        if path.name().as_str() == name {
            return Ok(store.path_info(&path)?.ok_or("it is valid")?);
        }
    }
    Err(format!("`{name}` is gone").into())
}

fn roots(store: &LocalStore) -> TestResult<Vec<String>> {
    let roots = store.list_roots()?.into_iter();
    Ok(roots
        .map(|root| format!("{} {}", root.name, root.path.name()))
        .collect())
}

fn expect_roots(store: &LocalStore, expected: &[&str]) -> TestResult {
    let found = roots(store)?;
    if found == expected {
        Ok(())
    } else {
        Err(format!("roots are {found:?}").into())
    }
}

fn is_whole(store: &LocalStore) -> TestResult<bool> {
    let user = object(store, "user")?;
    expect_roots(store, &["main base", "other base"])?;
    Ok(store.closure(&[user.path])?.infos().len() == 2)
}
