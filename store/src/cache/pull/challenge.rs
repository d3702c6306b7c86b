//! Who built what: what several caches say of one derivation, and in which files their objects differ. Nothing is downloaded but records and manifests.

use std::collections::BTreeMap;

use super::{
    CacheError,
    caches::{read_whole, refuse_other},
};
use crate::{
    Node, ResolvedDigest, StorePath,
    cache::{
        format::{CacheName, Manifest, ObjectRecord, RealisationSet},
        source::Source,
    },
    sys::files::join,
    tree::{Tree, TreeBundle, printable},
    trust::SignedRealisation,
};

/// In what a file of two objects differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Only the first object has it.
    OnlyFirst,
    /// Only the second object has it.
    OnlySecond,
    /// Both have it, with other bytes, another target, or of another kind.
    Changed,
}

/// Returns what a cache says that a derivation was built to, whoever signed it; empty if it knows nothing.
pub fn find_claims(
    source: &Source,
    resolved: &ResolvedDigest,
) -> Result<Vec<SignedRealisation>, CacheError> {
    let name = CacheName::Realisations(*resolved);
    match read_whole(source, &name, |bytes| {
        RealisationSet::decode(bytes, resolved)
    }) {
        Ok(set) => Ok(set.into_entries()),
        Err(CacheError::Absent { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Returns the files in which two objects differ, each as its cache describes it; by path, directories left out but for empty ones.
pub fn compare_objects(
    first: (&Source, &StorePath),
    second: (&Source, &StorePath),
) -> Result<Vec<(String, Difference)>, CacheError> {
    let (first, second) = (load(first.0, first.1)?, load(second.0, second.1)?);
    Ok(compare(
        &nodes(&first.0, &first.1),
        &nodes(&second.0, &second.1),
    ))
}

fn load(source: &Source, path: &StorePath) -> Result<(Node, TreeBundle), CacheError> {
    let name = CacheName::Object(*path.digest());
    let record = read_whole(source, &name, ObjectRecord::decode)?;
    if record.info().path != *path {
        return Err(refuse_other(source, &name, path));
    }
    let root = record.info().root.clone();
    let name = CacheName::Manifest(*path.digest());
    let manifest = read_whole(source, &name, |bytes| Manifest::decode(bytes, &root))?;
    Ok((root, manifest.trees().clone()))
}

/// Everything in an object by its path, but directories with something in them.
fn nodes(root: &Node, bundle: &TreeBundle) -> BTreeMap<Vec<u8>, Node> {
    let below = bundle.trees.iter().flat_map(|(path, tree)| {
        let entries = Tree::entries(tree).iter();
        entries.map(move |entry| (join(path, entry.name.as_bytes()), &entry.node))
    });
    let is_empty = |path: &Vec<u8>| {
        bundle
            .trees
            .get(path)
            .is_none_or(|tree| tree.entries().is_empty())
    };
    [(Vec::new(), root)]
        .into_iter()
        .chain(below)
        .filter(|(path, node)| !matches!(node, Node::Directory { .. }) || is_empty(path))
        .map(|(path, node)| (path, node.clone()))
        .collect()
}

fn compare(
    first: &BTreeMap<Vec<u8>, Node>,
    second: &BTreeMap<Vec<u8>, Node>,
) -> Vec<(String, Difference)> {
    let mut differences = BTreeMap::new();
    for (path, node) in first {
        match second.get(path) {
            None => differences.insert(path, Difference::OnlyFirst),
            Some(other) if other != node => differences.insert(path, Difference::Changed),
            Some(_) => None,
        };
    }
    for path in second.keys().filter(|path| !first.contains_key(*path)) {
        differences.insert(path, Difference::OnlySecond);
    }
    let named = |path: &[u8]| {
        if path.is_empty() {
            ".".to_owned()
        } else {
            printable(path)
        }
    };
    differences
        .into_iter()
        .map(|(path, difference)| (named(path), difference))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryNode, testing::memory_tree};

    type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

    fn of(tree: &MemoryNode) -> TestResult<BTreeMap<Vec<u8>, Node>> {
        let (root, bundle) = tree.to_bundle()?;
        Ok(nodes(&root, &bundle))
    }

    #[test]
    fn differences_are_told_by_file() -> TestResult {
        let first = memory_tree(&[
            ("bin/same", MemoryNode::file("same")),
            ("bin/changed", MemoryNode::file("one")),
            ("bin/mode", MemoryNode::file("mode")),
            ("gone/file", MemoryNode::file("")),
            ("empty", MemoryNode::directory()),
        ]);
        let second = memory_tree(&[
            ("bin/same", MemoryNode::file("same")),
            ("bin/changed", MemoryNode::file("two")),
            ("bin/mode", MemoryNode::program("mode")),
            ("new", MemoryNode::symlink("bin")?),
        ]);
        assert_eq!(
            compare(&of(&first)?, &of(&second)?),
            [
                ("bin/changed".to_owned(), Difference::Changed),
                ("bin/mode".to_owned(), Difference::Changed),
                ("empty".to_owned(), Difference::OnlyFirst),
                ("gone/file".to_owned(), Difference::OnlyFirst),
                ("new".to_owned(), Difference::OnlySecond),
            ]
        );
        assert_eq!(compare(&of(&first)?, &of(&first)?), []);
        Ok(())
    }

    #[test]
    fn objects_that_are_one_file_are_compared_as_a_whole() -> TestResult {
        assert_eq!(
            compare(&of(&MemoryNode::file("a"))?, &of(&MemoryNode::file("b"))?),
            [(".".to_owned(), Difference::Changed)]
        );
        Ok(())
    }
}
