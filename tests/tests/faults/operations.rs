//! The operations that are tried.

use store::{
    AddBatch, AddObject, AddSource, Component, LocalStore, MemoryNode, NewRealisation, PathInfo,
    ResolvedDigest, RootKind, StorePath, scratch_path, testing::memory_tree,
};

use crate::{
    caching, collecting, harness::TestResult, linking, profiles, pulling, pushing, signing, upkeep,
};

/// Something that a command does to a store.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Makes the store on which it is tried.
    pub(crate) prepare: fn(&LocalStore) -> TestResult,
    /// Does it. May be done twice.
    pub(crate) act: fn(&LocalStore) -> TestResult,
    /// Tells whether it has happened.
    pub(crate) is_done: fn(&LocalStore) -> TestResult<bool>,
    /// Fails if it has happened in part.
    pub(crate) is_undone: fn(&LocalStore) -> TestResult,
}

/// Returns an operation by its name.
pub(crate) fn find(name: &str) -> TestResult<&'static Operation> {
    let mut operations = OPERATIONS
        .iter()
        .chain(caching::OPERATIONS)
        .chain(pushing::OPERATIONS)
        .chain(collecting::OPERATIONS)
        .chain(linking::OPERATIONS)
        .chain(profiles::OPERATIONS)
        .chain(pulling::OPERATIONS)
        .chain(signing::OPERATIONS)
        .chain(upkeep::OPERATIONS);
    let operation = operations.find(|operation| operation.name == name);
    Ok(operation.ok_or("unknown operation")?)
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "add",
        prepare: |store| with_library(store).map(drop),
        act: |store| add_outputs(store).map(drop),
        is_done: |store| Ok(outputs(store)?.len() == 2 && has_realisation(store, 9)?),
        // One transaction makes all of a batch valid; what recovery adopts may be a part, references first.
        is_undone: |store| {
            let names: Vec<_> = outputs(store)?;
            match names.as_slice() {
                [] => Ok(()),
                [only] if only.name().as_str() == "lib" => Ok(()),
                names => Err(format!("in part: {names:?}").into()),
            }
        },
    },
    Operation {
        name: "realise",
        prepare: |store| with_library(store).map(drop),
        act: |store| {
            let object = with_library(store)?;
            let info = store.path_info(&object)?.ok_or("the library is valid")?;
            store.add_realisations(&[store::Realisation {
                resolved: ResolvedDigest::from_bytes([7; 32]),
                output: "out".into(),
                object: info.id,
                path: object,
                sandbox: "full".into(),
                built_at: 1,
                duration_ms: 2,
            }])?;
            Ok(())
        },
        is_done: |store| has_realisation(store, 7),
        is_undone: |_| Ok(()),
    },
    Operation {
        name: "component",
        prepare: |store| with_library(store).map(drop),
        act: |store| {
            let mut batch = library()?;
            batch.objects[0].component = Some(component());
            store.add(batch)?;
            Ok(())
        },
        is_done: |store| Ok(library_info(store)?.component == Some(component())),
        is_undone: |store| match library_info(store)?.component {
            None => Ok(()),
            Some(other) => Err(format!("in part: {other:?}").into()),
        },
    },
    Operation {
        name: "describe",
        prepare: |store| with_library(store).map(drop),
        act: |store| {
            let object = with_library(store)?;
            store.set_components(&[(object, component())])?;
            Ok(())
        },
        is_done: |store| Ok(library_info(store)?.component == Some(component())),
        is_undone: |store| match library_info(store)?.component {
            None => Ok(()),
            Some(other) => Err(format!("in part: {other:?}").into()),
        },
    },
    Operation {
        name: "root",
        prepare: |store| with_library(store).map(drop),
        act: |store| Ok(store.add_root("library", &with_library(store)?, RootKind::Explicit)?),
        is_done: |store| Ok(store.list_roots()?.len() == 1),
        is_undone: |_| Ok(()),
    },
];

/// One object, which others may refer to.
fn library() -> TestResult<AddBatch<'static>> {
    let tree = memory_tree(&[("lib/base.so", MemoryNode::file("base"))]);
    Ok(AddBatch {
        objects: vec![AddObject::new("base".parse()?, AddSource::Tree(tree))],
        ..AddBatch::default()
    })
}

/// Makes sure of that object.
fn with_library(store: &LocalStore) -> TestResult<StorePath> {
    let infos = store.add(library()?)?;
    Ok(infos[0].path.clone())
}

fn library_info(store: &LocalStore) -> TestResult<PathInfo> {
    let paths = store.find_by_prefix("")?;
    let [path] = paths.as_slice() else {
        return Err(format!("more than the library is valid, or less: {paths:?}").into());
    };
    Ok(store.path_info(path)?.ok_or("the library is valid")?)
}

fn component() -> Component {
    Component {
        name: "base".into(),
        version: Some("1".into()),
        ..Component::default()
    }
}

/// Adds two outputs, one referring to the other, with self-references and a realisation: all steps of an add.
fn add_outputs(store: &LocalStore) -> TestResult<Vec<PathInfo>> {
    let (out, dev) = (
        scratch_path(&"lib".parse()?, "out"),
        scratch_path(&"lib-dev".parse()?, "dev"),
    );
    let text = |path: &StorePath| MemoryNode::file(path.to_logical());
    let link = MemoryNode::symlink(format!("{}/lib/so", out.to_logical()))?;
    let object = |scratch: &StorePath, tree| AddObject {
        scratch: Some(scratch.clone()),
        ..AddObject::new(scratch.name().clone(), AddSource::Tree(tree))
    };
    Ok(store.add(AddBatch {
        objects: vec![
            object(
                &dev,
                memory_tree(&[("pc/lib", text(&out)), ("self", text(&dev))]),
            ),
            object(
                &out,
                memory_tree(&[
                    ("lib/so", text(&out)),
                    ("lib/so.1", link),
                    ("large", MemoryNode::file(vec![7; 300_000])),
                ]),
            ),
        ],
        realisations: vec![NewRealisation {
            resolved: ResolvedDigest::from_bytes([9; 32]),
            output: "out".into(),
            object: 1,
            sandbox: "full".into(),
            built_at: 1,
            duration_ms: 2,
        }],
        ..AddBatch::default()
    })?)
}

fn outputs(store: &LocalStore) -> TestResult<Vec<StorePath>> {
    let mut paths = store.find_by_prefix("")?;
    paths.retain(|path| path.name().as_str().starts_with("lib"));
    Ok(paths)
}

fn has_realisation(store: &LocalStore, digest: u8) -> TestResult<bool> {
    let resolved = ResolvedDigest::from_bytes([digest; 32]);
    Ok(!store.find_realisations(&resolved)?.is_empty())
}
