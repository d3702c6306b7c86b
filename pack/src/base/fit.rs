//! What an image generates, put where the base's links lead.

use std::{collections::BTreeMap, sync::Arc};

use super::{BaseEntry, BaseError, BaseTree};
use crate::{
    layer::{Entry, EntryKind, Layer, Stamp, StoredObject, append_stamped, store_parents},
    rootfs::{GENERATED, RootEntry, RootPath, RootTree, is_bill},
};

/// Who owns a list of the base that somebody was added to.
pub(crate) const EXTENDED: &str = "the base, with the user of the image";

/// The generated part of an image that lies on a base.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// What is where; also the directories that the base has.
    pub(crate) tree: RootTree,
    /// The directories of the base that something of it lies in, as they were.
    directories: BTreeMap<Vec<u8>, (u32, Stamp)>,
    /// What of the base lies below something that was asked for, ascending.
    pub(crate) replaced: Vec<RootPath>,
}

impl Fitted {
    /// Finds a place for everything in `tree`, or says what has none.
    pub(crate) fn new(base: &BaseTree, tree: &RootTree) -> Result<Self, BaseError> {
        check_store(base)?;
        let mut fitted = Self {
            tree: RootTree::default(),
            directories: BTreeMap::new(),
            replaced: Vec::new(),
        };
        for (path, entry, owner) in tree.owned() {
            let conflict = |problem| BaseError::Conflict {
                path: path.clone(),
                owner: owner.to_owned(),
                problem,
            };
            let place = base.place(path.as_bytes());
            let place = place.ok_or_else(|| conflict("a file or an endless link is above it"))?;
            match (entry, base.get(&place)) {
                (RootEntry::Directory { .. }, Some(BaseEntry::Directory { .. })) => continue,
                (RootEntry::Directory { .. }, Some(BaseEntry::Symlink { .. })) => {
                    let end = base.resolve(&place);
                    let is_directory = end.is_some_and(|end| {
                        end.is_empty()
                            || matches!(base.get(&end), Some(BaseEntry::Directory { .. }))
                    });
                    if is_directory {
                        continue;
                    }
                    return Err(conflict("a link is there that leads to no directory"));
                }
                (RootEntry::Directory { .. }, Some(BaseEntry::File { .. })) => {
                    return Err(conflict("a file is where a directory has to be"));
                }
                (_, Some(BaseEntry::Directory { .. })) if owner == GENERATED => continue,
                (_, Some(BaseEntry::Directory { .. })) => {
                    return Err(conflict("a directory is there"));
                }
                (RootEntry::Symlink { target }, Some(BaseEntry::Symlink { target: own }))
                    if target[..] == own[..] =>
                {
                    continue;
                }
                // A base of the same name has a bill there, which is about the base.
                (_, Some(BaseEntry::File { .. }))
                    if owner == GENERATED && is_bill(path.as_bytes()) => {}
                (_, Some(_)) if owner == GENERATED => continue,
                (_, Some(_)) if owner != EXTENDED => {
                    fitted.replaced.push(RootPath::from_bytes(&place)?);
                }
                (_, _) => {}
            }
            fitted.put(base, &RootPath::from_bytes(&place)?, entry, owner)?;
        }
        fitted.replaced.sort_unstable();
        Ok(fitted)
    }

    fn put(
        &mut self,
        base: &BaseTree,
        place: &RootPath,
        entry: &RootEntry,
        owner: &str,
    ) -> Result<(), BaseError> {
        for parent in place.parents() {
            if let Some(BaseEntry::Directory { mode, stamp }) = base.get(parent.as_bytes()) {
                let known = (mode, stamp);
                self.directories.insert(parent.as_bytes().to_vec(), known);
            }
        }
        Ok(self.tree.insert(place.clone(), entry.clone(), owner)?)
    }

    /// Returns the layer of everything that is generated, and of `objects`.
    pub(crate) fn layer(&self, objects: Vec<Arc<StoredObject>>) -> Layer {
        let directories = self.directories_to_tar();
        let directories = (!directories.is_empty()).then(|| directories.into());
        Layer::of(objects, directories, Some(self.tree_to_tar().into()))
    }

    /// Returns the directories of the base as tar, each before what is in it.
    fn directories_to_tar(&self) -> Vec<u8> {
        let mut tar = Vec::new();
        for (path, (mode, stamp)) in &self.directories {
            let entry = Entry {
                path,
                mode: *mode,
                kind: EntryKind::Directory,
            };
            append_stamped(&mut tar, &entry, *stamp);
        }
        tar
    }

    /// Returns everything else as tar, without the end of an archive.
    fn tree_to_tar(&self) -> Vec<u8> {
        let known = self.directories.iter();
        let known = known.map(|(path, (mode, _))| (path.clone(), *mode));
        self.tree.to_tar_without(&known.collect())
    }
}

/// Whether the directories that store objects lie in can be made.
fn check_store(base: &BaseTree) -> Result<(), BaseError> {
    for path in store_parents() {
        if !matches!(
            base.get(path.as_bytes()),
            None | Some(BaseEntry::Directory { .. })
        ) {
            return Err(BaseError::Conflict {
                path: RootPath::of_store(path),
                owner: "the store".to_owned(),
                problem: "it is no directory there",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "`hello`";

    fn link(target: &str) -> RootEntry {
        RootEntry::Symlink {
            target: target.into(),
        }
    }

    fn tree(entries: &[(&str, RootEntry, &str)]) -> RootTree {
        let mut tree = RootTree::default();
        for (path, entry, owner) in entries {
            let path = RootPath::parse(path).unwrap();
            tree.insert(path, entry.clone(), owner).unwrap();
        }
        tree
    }

    fn debian() -> BaseTree {
        BaseTree::of(&[
            "bin -> usr/bin",
            "usr/bin/sh -> dash",
            "usr/bin/dash",
            "etc/hosts",
            "var/run -> /run",
            "run/",
            "tmp/",
            "file",
        ])
    }

    #[test]
    fn everything_goes_through_the_links_of_the_base_and_no_directory_over_them() {
        let own = tree(&[
            ("/bin/hello", link("/pith/store/x"), PACKAGE),
            ("/var/run/app/pid", link("x"), PACKAGE),
            ("/tmp", RootEntry::Directory { mode: 0o1777 }, GENERATED),
            ("/var/run", RootEntry::Directory { mode: 0o755 }, PACKAGE),
            ("/new", RootEntry::Directory { mode: 0o700 }, PACKAGE),
        ]);
        let fitted = Fitted::new(&debian(), &own).unwrap();
        let mut directories = fitted.directories_to_tar();
        directories.extend(fitted.tree_to_tar());
        crate::layer::append_end(&mut directories);
        let mut reader = crate::layer::TarReader::new(&directories[..]);
        let mut paths = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            paths.push(String::from_utf8(member.path).unwrap());
        }
        assert_eq!(
            paths,
            [
                "run/",
                "usr/",
                "usr/bin/",
                "new/",
                "run/app/",
                "run/app/pid",
                "usr/bin/hello"
            ]
        );
        assert_eq!(fitted.replaced, []);
    }

    #[test]
    fn what_is_asked_for_replaces_files_of_the_base_and_is_listed_and_the_rest_does_not() {
        let hosts = |owner| {
            let contents = b"own".to_vec();
            let file = RootEntry::File {
                contents,
                mode: 0o644,
            };
            Fitted::new(&debian(), &tree(&[("/etc/hosts", file, owner)])).unwrap()
        };
        let path = RootPath::parse("/etc/hosts").unwrap();
        assert_eq!(hosts(PACKAGE).replaced, std::slice::from_ref(&path));
        assert!(hosts(PACKAGE).tree.contains(&path));
        assert!(!hosts(GENERATED).tree.contains(&path));
        let bill = "usr/share/sbom/base.spdx.json";
        let base = BaseTree::of(&[bill]);
        let file = RootEntry::File {
            contents: Vec::new(),
            mode: 0o644,
        };
        let own = tree(&[(&format!("/{bill}"), file, GENERATED)]);
        let fitted = Fitted::new(&base, &own).unwrap();
        assert!(
            fitted
                .tree
                .contains(&RootPath::parse(&format!("/{bill}")).unwrap())
        );
        assert_eq!(fitted.replaced, []);
        let extended = hosts(EXTENDED);
        assert!(extended.tree.contains(&path) && extended.replaced.is_empty());
        let same = tree(&[("/bin/sh", link("dash"), PACKAGE)]);
        assert_eq!(Fitted::new(&debian(), &same).unwrap().replaced, []);
    }

    #[test]
    fn what_has_no_place_is_named() {
        for (path, entry) in [
            ("/file/x", link("y")),
            ("/usr", link("y")),
            ("/file", RootEntry::Directory { mode: 0o755 }),
            ("/usr/bin/sh", RootEntry::Directory { mode: 0o755 }),
        ] {
            let error = Fitted::new(&debian(), &tree(&[(path, entry, PACKAGE)])).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("`/"), "{text}");
            assert!(text.contains("`hello`"), "{text}");
        }
        let odd = BaseTree::of(&["pith -> srv"]);
        let error = Fitted::new(&odd, &RootTree::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/pith` of the store has no place on the base: it is no directory there"
        );
    }
}
