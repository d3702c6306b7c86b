//! A generation as a store object: the union, the manifest and the launchers.

use std::collections::BTreeSet;

use super::{
    Manifest, ProfileError,
    listing::ObjectTrees,
    union::{Kind, Member, Trees, unite},
};
use crate::{
    id::{StoreName, StorePath},
    info::PathInfo,
    local::{AddBatch, AddObject, AddSource, Lease, LocalStore},
    sys::files::{join, read_file},
    tree::{EntryName, MemoryNode},
};

/// The name part of every generation's store path.
const OBJECT_NAME: &str = "profile";

/// Where programs lie, in packages and in the union.
pub(super) const PROGRAMS: &str = "bin";

/// Where the manifest lies in a generation.
const MANIFEST: &str = ".pith/manifest.json";

/// Where the launchers lie in a generation: a link for each program.
pub(super) const LAUNCHERS: &str = ".pith/bin";

/// What all launchers are links to, and what the links say.
const LAUNCHER_FILE: &str = ".pith/launch";
const LAUNCHER_TARGET: &str = "../launch";

/// What starts a program. It knows which program is meant by its own name, and the profile by where it was started, so it is
/// the same in every generation of every store. Where the profile names no program to hand over to, the one in `PATH` must do.
const LAUNCHER: &str = r#"#!/bin/sh
pith=${0%/*/*}/pith
[ -x "$pith" ] || pith=pith
exec "$pith" --launch "$0" "$@"
"#;

/// Adds the generation that a manifest describes, unless it is valid already. The lease then protects it and its packages.
pub(super) fn add_generation(
    store: &LocalStore,
    manifest: &Manifest,
    lease: &Lease,
) -> Result<PathInfo, ProfileError> {
    let packages = manifest.packages.values();
    // Leased first and asked for second: see `lease`.
    let digests: Vec<_> = packages
        .clone()
        .map(|package| *package.path.digest())
        .collect();
    lease.protect(&digests)?;
    let mut candidates = Vec::with_capacity(digests.len());
    for package in packages {
        let info = store
            .path_info(&package.path)?
            .ok_or_else(|| ProfileError::NotValid {
                path: package.path.clone(),
            })?;
        candidates.push((info.path, info.id));
    }
    let name: StoreName = OBJECT_NAME.parse().expect("the constant is a legal name");
    let tree = generation_tree(store, manifest)?;
    let mut infos = store.add(AddBatch {
        objects: vec![AddObject::new(name, AddSource::Tree(tree))],
        candidates,
        lease: Some(lease),
        ..AddBatch::default()
    })?;
    Ok(infos.pop().expect("one object was added"))
}

fn generation_tree(store: &LocalStore, manifest: &Manifest) -> Result<MemoryNode, ProfileError> {
    let members: Vec<Member> = manifest
        .packages
        .iter()
        .map(|(name, package)| Member {
            name: name.clone(),
            path: package.path.clone(),
            priority: package.priority,
        })
        .collect();
    let trees = ObjectTrees::new(store);
    let programs = programs(&members, &trees)?;
    let mut tree = MemoryNode::Directory {
        entries: unite(members, &trees)?,
    };
    tree.insert(MANIFEST, MemoryNode::file(manifest.encode()?))?;
    tree.insert(LAUNCHER_FILE, MemoryNode::program(LAUNCHER))?;
    tree.insert(LAUNCHERS, MemoryNode::directory())?;
    for program in programs {
        let place = join(LAUNCHERS.as_bytes(), program.as_bytes());
        tree.insert(place, MemoryNode::symlink(LAUNCHER_TARGET)?)?;
    }
    Ok(tree)
}

/// Returns the names of all programs, which the union has as well: it drops an entry only for another of the same name.
fn programs(
    members: &[Member],
    trees: &ObjectTrees<'_>,
) -> Result<BTreeSet<EntryName>, ProfileError> {
    let bin = EntryName::new(PROGRAMS.as_bytes())?;
    let mut programs = BTreeSet::new();
    for member in members {
        let top = trees.list(member, b"")?;
        if top.contains(&(bin.clone(), Kind::Directory)) {
            let entries = trees.list(member, PROGRAMS.as_bytes())?;
            let files = entries
                .into_iter()
                .filter(|(_, kind)| *kind != Kind::Directory);
            programs.extend(files.map(|(name, _)| name));
        }
    }
    Ok(programs)
}

/// Returns the manifest of a generation.
pub(super) fn read_manifest(
    store: &LocalStore,
    path: &StorePath,
) -> Result<Manifest, ProfileError> {
    if store.path_info(path)?.is_none() {
        return Err(ProfileError::NotValid { path: path.clone() });
    }
    let bytes = read_file(&store.real_path(path).join(MANIFEST))?;
    Manifest::decode(path, &bytes)
}
