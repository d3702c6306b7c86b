//! The union of packages' trees, as symlinks. Pure: what lies in the trees is asked of a [`Trees`].
//!
//! Directories that several packages have are joined; one that a single package has is one link, but for those at the top (`bin`, `lib`, …), which are
//! always real, so that `bin` can be listed where the store does not lie at its logical place. Two packages may have the same file
//! if it is equal in both, or if one has precedence. The result does not depend on the order of the packages.

use std::collections::BTreeMap;

use super::ProfileError;
use crate::{
    id::StorePath,
    sys::files::join,
    tree::{EntryName, MemoryNode, SymlinkTarget, TreeError, printable},
};

/// Where a generation has its own files; a package's directory of that name is not linked.
pub(super) const OWN_DIRECTORY: &str = ".pith";

/// What is left out: indices that each package brings for itself alone, and that several cannot share.
const LEFT_OUT: [&[u8]; 1] = [b"share/info/dir"];

/// A package whose tree is joined.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its name in the profile.
    pub(super) name: String,
    pub(super) path: StorePath,
    /// The lower number wins.
    pub(super) priority: u32,
}

/// What an entry of a package's directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Symlink(SymlinkTarget),
}

/// Entries of one directory, in any order.
pub(super) type Listing = Vec<(EntryName, Kind)>;

/// The trees of the members.
pub(super) trait Trees {
    /// Returns what lies in the directory `path` of `member`; the path is empty for its root.
    fn list(&self, member: &Member, path: &[u8]) -> Result<Listing, ProfileError>;

    /// Tells whether the file `path` has the same bytes and mode in both.
    fn is_same_file(&self, one: &Member, other: &Member, path: &[u8])
    -> Result<bool, ProfileError>;
}

/// Two packages have the same file, neither with precedence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}` is both in `{first}` and in `{second}`\n  {}\n  {}", first_path.to_logical(), second_path.to_logical())]
pub struct Conflict {
    /// The first such file, relative to the packages.
    pub file: String,
    /// The package that comes first by name.
    pub first: String,
    /// Its store path.
    pub first_path: StorePath,
    /// The other one.
    pub second: String,
    /// Its store path.
    pub second_path: StorePath,
}

/// Joins the trees of the members; the result is a directory of directories and symlinks.
///
/// Reads the directories that more than one member has, and the top ones.
pub(super) fn unite(
    mut members: Vec<Member>,
    trees: &impl Trees,
) -> Result<BTreeMap<EntryName, MemoryNode>, ProfileError> {
    members.sort_by(|a, b| (a.priority, &a.name, &a.path).cmp(&(b.priority, &b.name, &b.path)));
    let owners: Vec<&Member> = members.iter().collect();
    Union { trees }.join_directories(b"", &owners)
}

struct Union<'a, T> {
    trees: &'a T,
}

impl<T: Trees> Union<'_, T> {
    /// Joins the directory `path` of all owners, which stand in the order of precedence.
    fn join_directories(
        &self,
        path: &[u8],
        owners: &[&Member],
    ) -> Result<BTreeMap<EntryName, MemoryNode>, ProfileError> {
        let mut found: BTreeMap<EntryName, Vec<(&Member, Kind)>> = BTreeMap::new();
        for owner in owners {
            for (name, kind) in self.trees.list(owner, path)? {
                found.entry(name).or_default().push((owner, kind));
            }
        }
        let mut entries = BTreeMap::new();
        for (name, candidates) in found {
            let below = join(path, name.as_bytes());
            if below != OWN_DIRECTORY.as_bytes() && !LEFT_OUT.contains(&below.as_slice()) {
                entries.insert(name, self.choose(&below, &candidates)?);
            }
        }
        Ok(entries)
    }

    /// Decides what lies at `path`, which every candidate has.
    fn choose(
        &self,
        path: &[u8],
        candidates: &[(&Member, Kind)],
    ) -> Result<MemoryNode, ProfileError> {
        let priority = candidates.first().map(|(member, _)| member.priority);
        let preferred: Vec<_> = candidates
            .iter()
            .take_while(|(member, _)| Some(member.priority) == priority)
            .collect();
        let directories = preferred
            .iter()
            .filter(|(_, kind)| *kind == Kind::Directory)
            .count();
        if directories == preferred.len() {
            let owners: Vec<_> = candidates
                .iter()
                .filter(|(_, kind)| *kind == Kind::Directory)
                .map(|(member, _)| *member)
                .collect();
            return match owners.as_slice() {
                [only] if path.contains(&b'/') => Ok(link(only, path)?),
                owners => Ok(MemoryNode::Directory {
                    entries: self.join_directories(path, owners)?,
                }),
            };
        }
        let Some(((first, kind), others)) = preferred.split_first() else {
            return Ok(MemoryNode::directory());
        };
        for (other, other_kind) in others {
            if !self.is_same(path, (first, kind), (other, other_kind))? {
                let (a, b) = if (&first.name, &first.path) < (&other.name, &other.path) {
                    (first, other)
                } else {
                    (other, first)
                };
                return Err(Box::new(Conflict {
                    file: printable(path),
                    first: a.name.clone(),
                    first_path: a.path.clone(),
                    second: b.name.clone(),
                    second_path: b.path.clone(),
                })
                .into());
            }
        }
        match kind {
            // Each package's link leads into that package alone; the same link here leads into the union.
            Kind::Symlink(target) if !others.is_empty() && stays_inside(path, target) => {
                Ok(MemoryNode::Symlink {
                    target: target.clone(),
                })
            }
            _ => Ok(link(first, path)?),
        }
    }

    fn is_same(
        &self,
        path: &[u8],
        one: (&Member, &Kind),
        other: (&Member, &Kind),
    ) -> Result<bool, ProfileError> {
        match (one.1, other.1) {
            (Kind::File, Kind::File) => self.trees.is_same_file(one.0, other.0, path),
            (Kind::Symlink(one), Kind::Symlink(other)) => Ok(one == other),
            _ => Ok(false),
        }
    }
}

fn link(member: &Member, path: &[u8]) -> Result<MemoryNode, TreeError> {
    MemoryNode::symlink(join(member.path.to_logical().as_bytes(), path))
}

/// Tells whether a symlink at `path`, followed by its text alone, leads nowhere above the root of the tree it lies in.
fn stays_inside(path: &[u8], target: &SymlinkTarget) -> bool {
    if target.as_bytes().starts_with(b"/") {
        return true;
    }
    let mut depth = path.iter().filter(|byte| **byte == b'/').count();
    for part in target.as_bytes().split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return false,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::memory_tree;
    use proptest::prelude::*;

    /// Packages in memory, by name.
    struct Packages(BTreeMap<String, MemoryNode>);

    impl Packages {
        fn find(&self, member: &Member, path: &[u8]) -> &MemoryNode {
            let mut node = &self.0[&member.name];
            for part in path
                .split(|byte| *byte == b'/')
                .filter(|part| !part.is_empty())
            {
                let MemoryNode::Directory { entries } = node else {
                    panic!("{member:?} has no such directory")
                };
                node = &entries[&EntryName::new(part).unwrap()];
            }
            node
        }
    }

    impl Trees for Packages {
        fn list(&self, member: &Member, path: &[u8]) -> Result<Listing, ProfileError> {
            let MemoryNode::Directory { entries } = self.find(member, path) else {
                panic!("only directories are listed")
            };
            let kind = |node: &MemoryNode| match node {
                MemoryNode::Directory { .. } => Kind::Directory,
                MemoryNode::File { .. } => Kind::File,
                MemoryNode::Symlink { target } => Kind::Symlink(target.clone()),
            };
            Ok(entries
                .iter()
                .map(|(name, node)| (name.clone(), kind(node)))
                .collect())
        }

        fn is_same_file(
            &self,
            one: &Member,
            other: &Member,
            path: &[u8],
        ) -> Result<bool, ProfileError> {
            Ok(self.find(one, path) == self.find(other, path))
        }
    }

    /// A package called by one letter, whose store path is that letter forty times.
    fn member(name: &str, priority: u32) -> Member {
        Member {
            name: name.into(),
            path: format!("{}-{name}", name.repeat(40)).parse().unwrap(),
            priority,
        }
    }

    type Packed<'a> = (&'a str, u32, &'a [(&'a str, MemoryNode)]);

    fn union(packages: &[Packed<'_>]) -> Result<MemoryNode, ProfileError> {
        let trees = packages
            .iter()
            .map(|(name, _, files)| ((*name).to_owned(), memory_tree(files)));
        let members = packages
            .iter()
            .map(|(name, priority, _)| member(name, *priority))
            .collect();
        let entries = unite(members, &Packages(trees.collect()))?;
        Ok(MemoryNode::Directory { entries })
    }

    fn conflict(packages: &[Packed<'_>]) -> (String, String, String) {
        match union(packages) {
            Err(ProfileError::Conflict(conflict)) => {
                (conflict.file, conflict.first, conflict.second)
            }
            other => panic!("no conflict: {other:?}"),
        }
    }

    fn file(text: &str) -> MemoryNode {
        MemoryNode::file(text)
    }

    fn to(package: &str, path: &str) -> MemoryNode {
        MemoryNode::symlink(format!(
            "/pith/store/{}-{package}/{path}",
            package.repeat(40)
        ))
        .unwrap()
    }

    #[test]
    fn shared_directories_are_joined_and_others_linked_as_one() {
        let united = union(&[
            (
                "a",
                5,
                &[
                    ("bin/a", file("a")),
                    ("share/man/man1/a.1", file("a")),
                    ("share/a/x/y", file("a")),
                ],
            ),
            (
                "b",
                5,
                &[
                    ("bin/b", file("b")),
                    ("share/man/man1/b.1", file("b")),
                    ("lib/b.so", file("b")),
                ],
            ),
        ])
        .unwrap();
        let expected = memory_tree(&[
            ("bin/a", to("a", "bin/a")),
            ("bin/b", to("b", "bin/b")),
            ("lib/b.so", to("b", "lib/b.so")),
            ("share/a", to("a", "share/a")),
            ("share/man/man1/a.1", to("a", "share/man/man1/a.1")),
            ("share/man/man1/b.1", to("b", "share/man/man1/b.1")),
        ]);
        assert_eq!(united, expected);
    }

    #[test]
    fn two_different_files_conflict_and_equal_ones_do_not() {
        let (one, other) = (&[("bin/x", file("1"))], &[("bin/x", file("2"))]);
        assert_eq!(
            conflict(&[("a", 5, one), ("b", 5, other)]),
            ("bin/x".into(), "a".into(), "b".into())
        );
        let united = union(&[("a", 5, one), ("b", 5, one)]).unwrap();
        assert_eq!(united, memory_tree(&[("bin/x", to("a", "bin/x"))]));
        let program = &[("bin/x", MemoryNode::program("1"))];
        assert_eq!(conflict(&[("a", 5, one), ("b", 5, program)]).0, "bin/x");
    }

    #[test]
    fn a_file_and_a_directory_conflict() {
        let (one, other) = (&[("share/x", file("1"))], &[("share/x/y", file("1"))]);
        assert_eq!(
            conflict(&[("b", 5, one), ("a", 5, other)]),
            ("share/x".into(), "a".into(), "b".into())
        );
    }

    #[test]
    fn the_lower_priority_number_wins() {
        let (one, other) = (&[("bin/x", file("1"))], &[("bin/x", file("2"))]);
        let united = union(&[("a", 5, one), ("b", 4, other)]).unwrap();
        assert_eq!(united, memory_tree(&[("bin/x", to("b", "bin/x"))]));
        // What loses does not conflict among itself.
        let third = &[("bin/x", file("3"))];
        let united = union(&[("a", 5, one), ("b", 5, other), ("c", 1, third)]).unwrap();
        assert_eq!(united, memory_tree(&[("bin/x", to("c", "bin/x"))]));
        // A directory that wins over a file is still joined with other directories.
        let united = union(&[
            ("a", 5, &[("share/x/a", file("a"))]),
            ("b", 5, &[("share/x", file("b"))]),
            ("c", 1, &[("share/x/c", file("c"))]),
        ])
        .unwrap();
        let expected = memory_tree(&[
            ("share/x/a", to("a", "share/x/a")),
            ("share/x/c", to("c", "share/x/c")),
        ]);
        assert_eq!(united, expected);
    }

    #[test]
    fn equal_symlinks_stay_as_they_are_unless_they_lead_outside() {
        let symlink = |text: &str| MemoryNode::symlink(text).unwrap();
        let tree = [
            ("lib64", symlink("lib")),
            ("bin/up", symlink("../lib/x")),
            ("bin/out", symlink("../../x")),
            ("bin/abs", symlink("/etc/x")),
        ];
        let united = union(&[("a", 5, &tree), ("b", 5, &tree)]).unwrap();
        let mut expected = memory_tree(&tree);
        expected.insert("bin/out", to("a", "bin/out")).unwrap();
        assert_eq!(united, expected);
        assert_eq!(
            conflict(&[
                ("a", 5, &[("lib64", symlink("lib"))]),
                ("b", 5, &[("lib64", symlink("lib32"))])
            ])
            .0,
            "lib64"
        );
    }

    #[test]
    fn what_each_package_brings_for_itself_is_left_out() {
        let united = union(&[
            (
                "a",
                5,
                &[
                    ("share/info/dir", file("1")),
                    ("share/info/a", file("1")),
                    (".pith/manifest.json", file("1")),
                ],
            ),
            (
                "b",
                5,
                &[("share/info/dir", file("2")), ("share/info/b", file("1"))],
            ),
        ])
        .unwrap();
        let expected = memory_tree(&[
            ("share/info/a", to("a", "share/info/a")),
            ("share/info/b", to("b", "share/info/b")),
        ]);
        assert_eq!(united, expected);
    }

    /// Files of few names and contents, so that packages often share and sometimes conflict.
    fn arbitrary_package() -> impl Strategy<Value = MemoryNode> {
        let leaf = prop_oneof![
            "[xy]".prop_map(MemoryNode::file),
            "[xy]".prop_map(|text| MemoryNode::symlink(text).unwrap()),
            Just(MemoryNode::directory()),
        ];
        let tree = leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::btree_map(
                "[ab]".prop_map(|name| EntryName::new(name.as_bytes()).unwrap()),
                inner,
                0..3,
            )
            .prop_map(|entries| MemoryNode::Directory { entries })
        });
        tree.prop_map(|tree| match tree {
            directory @ MemoryNode::Directory { .. } => directory,
            leaf => memory_tree(&[("a", leaf)]),
        })
    }

    fn outcome(
        members: Vec<Member>,
        packages: &Packages,
    ) -> Result<BTreeMap<EntryName, MemoryNode>, String> {
        unite(members, packages).map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn the_order_of_packages_does_not_matter(
            packages in prop::collection::btree_map("[a-d]", (arbitrary_package(), 4..6u32), 0..4)
                .prop_flat_map(|packages| (Just(packages.clone()), Just(packages.into_iter().collect::<Vec<_>>()).prop_shuffle()))
        ) {
            let (sorted, shuffled) = packages;
            let trees = Packages(sorted.iter().map(|(name, (tree, _))| (name.clone(), tree.clone())).collect());
            let members = |names: Vec<(&String, u32)>| names.into_iter().map(|(name, priority)| member(name, priority)).collect();
            let one = members(sorted.iter().map(|(name, (_, priority))| (name, *priority)).collect());
            let other = members(shuffled.iter().map(|(name, (_, priority))| (name, *priority)).collect());
            prop_assert_eq!(outcome(one, &trees), outcome(other, &trees));
        }

        #[test]
        fn a_conflict_is_the_same_seen_from_both_packages(one in arbitrary_package(), other in arbitrary_package()) {
            let there = Packages([("a".to_owned(), one.clone()), ("b".to_owned(), other.clone())].into());
            let back = Packages([("a".to_owned(), other), ("b".to_owned(), one)].into());
            let members = || vec![member("a", 5), member("b", 5)];
            let file = |packages: &Packages| match unite(members(), packages) {
                Err(ProfileError::Conflict(conflict)) => Some(conflict.file),
                _ => None,
            };
            prop_assert_eq!(file(&there), file(&back));
        }

        #[test]
        fn every_file_of_every_package_is_found_in_the_union(one in arbitrary_package(), other in arbitrary_package()) {
            let trees = [("a".to_owned(), one), ("b".to_owned(), other)];
            let packages = Packages(trees.into());
            if let Ok(entries) = unite(vec![member("a", 5), member("b", 5)], &packages) {
                let united = MemoryNode::Directory { entries };
                for tree in packages.0.values() {
                    prop_assert!(is_covered(&united, tree), "{united:?}\n{tree:?}");
                }
            }
        }
    }

    /// Whether the union has an entry for each of the tree, down to the first link.
    fn is_covered(united: &MemoryNode, tree: &MemoryNode) -> bool {
        match (united, tree) {
            (MemoryNode::Directory { entries: united }, MemoryNode::Directory { entries }) => {
                entries.iter().all(|(name, node)| {
                    united
                        .get(name)
                        .is_some_and(|united| is_covered(united, node))
                })
            }
            (MemoryNode::Symlink { .. }, _) => true,
            _ => false,
        }
    }
}
