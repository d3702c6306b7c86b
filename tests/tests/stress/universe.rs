//! The objects that all processes work with: few, and each a function of its number.

use std::os::unix::fs::PermissionsExt as _;

use store::{
    AddBatch, AddObject, AddSource, Lease, LocalStore, MemoryNode, PathInfo, testing::memory_tree,
};

use crate::TestResult;

/// How many objects there are.
pub(crate) const OBJECTS: usize = 48;
/// Bytes of the file that several objects have in common: enough for the pool.
const COMMON_BYTES: usize = 12 << 10;

/// The objects that one refers to: lower ones, up to three.
fn references(number: usize) -> Vec<usize> {
    let mut references: Vec<usize> = [number / 2, number / 3, number.saturating_sub(7)]
        .into_iter()
        .filter(|other| *other < number)
        .collect();
    references.sort_unstable();
    references.dedup();
    references
}

/// Makes sure that an object is valid, with all that it refers to, under a lease.
pub(crate) fn ensure(store: &LocalStore, lease: &Lease, number: usize) -> TestResult<PathInfo> {
    let mut below = Vec::new();
    for other in references(number) {
        below.push(ensure(store, lease, other)?);
    }
    let batch = AddBatch {
        objects: vec![AddObject::new(
            format!("object-{number}").parse()?,
            AddSource::Tree(content(number, &below)),
        )],
        candidates: below
            .iter()
            .map(|info| (info.path.clone(), info.id))
            .collect(),
        lease: Some(lease),
        ..AddBatch::default()
    };
    let mut infos = store.add(batch)?;
    Ok(infos.pop().ok_or("one object was added")?)
}

fn content(number: usize, below: &[PathInfo]) -> MemoryNode {
    let names: String = below
        .iter()
        .map(|info| format!("{}\n", info.path.to_logical()))
        .collect();
    let common = number % 5;
    memory_tree(&[
        ("share/references", MemoryNode::file(names)),
        ("share/number", MemoryNode::file(number.to_string())),
        (
            "lib/common",
            MemoryNode::file(vec![u8::try_from(common).unwrap_or_default(); COMMON_BYTES]),
        ),
        (
            "lib/own",
            MemoryNode::file(number.to_string().repeat(COMMON_BYTES)),
        ),
    ])
}

/// Fails unless the object is valid, whole and with the right bytes, and so is everything that it refers to.
pub(crate) fn inspect(store: &LocalStore, info: &PathInfo) -> TestResult {
    let closure = store.closure(std::slice::from_ref(&info.path))?;
    for info in closure.infos() {
        let number: usize = info
            .path
            .name()
            .as_str()
            .strip_prefix("object-")
            .ok_or("a name of the universe")?
            .parse()?;
        let place = store.real_path(&info.path);
        let read = |file: &str| {
            std::fs::read_to_string(place.join(file))
                .map_err(|error| format!("{}: {file}: {error}", info.path))
        };
        if read("share/number")? != number.to_string() {
            return Err(format!("{}: another object's bytes", info.path).into());
        }
        if read("lib/own")?.len() != number.to_string().len() * COMMON_BYTES {
            return Err(format!("{}: bytes are missing", info.path).into());
        }
        let mode = std::fs::metadata(place.join("lib/common"))?
            .permissions()
            .mode();
        if mode & 0o7777 != 0o444 {
            return Err(format!("{}: mode {mode:o}", info.path).into());
        }
        for reference in &info.references {
            if closure.find(&reference.path).is_none() {
                return Err(format!("{} -> {} dangles", info.path, reference.path).into());
            }
        }
    }
    Ok(())
}
