//! Whether an image of this crate, which was fitted to one base, fits on another.

use std::collections::BTreeSet;

use store::StorePath;

use super::{BaseEntry, BaseTree, objects::in_store};
use crate::{
    existing::{Entry, ExistingError, ExistingImage, clean},
    rootfs::{GROUP_FILE, PASSWD_FILE, is_bill},
};

/// The two bases of an image that gets another one.
pub(super) struct Refit {
    pub(super) old: BaseTree,
    pub(super) new: BaseTree,
}

impl Refit {
    /// Looks at all entries of the image's own layers, and fails at the first that would not do on the new base what it does on the old one. Returns the store paths
    /// that it has in these layers.
    pub(super) fn check(
        &self,
        image: &ExistingImage<'_>,
        own: &[Entry],
    ) -> Result<BTreeSet<StorePath>, ExistingError> {
        let mut objects = BTreeSet::new();
        for layer in own {
            let mut reader = image.open_layer(layer)?;
            while let Some(member) = reader.next_member()? {
                let path = clean(&member.path);
                objects.extend(in_store(&path).map(|(object, _)| object));
                if let Some(problem) = self.problem(&path, member.flag == b'5') {
                    return Err(ExistingError::Unfit {
                        image: image.name().to_owned(),
                        path: String::from_utf8_lossy(&path).into_owned(),
                        problem,
                    });
                }
            }
        }
        Ok(objects)
    }

    fn problem(&self, path: &[u8], is_directory: bool) -> Option<&'static str> {
        if self.new.place(path).as_deref() != Some(path) {
            return Some("a link or a file of the new base is above it");
        }
        let is_list = [PASSWD_FILE, GROUP_FILE]
            .iter()
            .any(|list| list.as_bytes() == path);
        if is_list && self.old.text(path) != self.new.text(path) {
            return Some("it is the old base's list with the user of the image");
        }
        let (old, new) = (self.old.get(path), self.new.get(path));
        match (is_directory, new) {
            (_, None) => None,
            (true, Some(BaseEntry::Directory { mode, stamp })) => match old {
                Some(BaseEntry::Directory {
                    mode: old_mode,
                    stamp: old,
                }) if (old_mode, old.uid, old.gid) != (mode, stamp.uid, stamp.gid) => {
                    Some("the new base has another mode or owner for it")
                }
                _ => None,
            },
            (true, Some(_)) => Some("the new base has something there that is no directory"),
            (false, Some(BaseEntry::Directory { .. })) => {
                Some("the new base has a directory there")
            }
            // What is in the base, its bill says in its own layer.
            (false, Some(_)) if is_bill(path) => None,
            (false, Some(_)) if old.is_none() => Some("it would hide a file of the new base"),
            (false, Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hide_or_lose_something_does_not_fit() {
        let refit = Refit {
            old: BaseTree::of(&["usr/bin/", "usr/bin/env", "bin -> usr/bin"]),
            new: BaseTree::of(&[
                "usr/bin/",
                "usr/bin/env",
                "usr/bin/hello",
                "opt -> srv",
                "bin/",
                "usr/share/sbom/hello.spdx.json",
            ]),
        };
        for (path, is_directory, fits) in [
            ("usr/bin", true, true),
            ("usr/bin/env", false, true),
            ("usr/bin/hello", false, false),
            ("usr/bin/new", false, true),
            ("usr/share/sbom/hello.spdx.json", false, true),
            ("opt/x", false, false),
            ("opt", true, false),
            ("usr/bin", false, false),
            ("pith/store", true, true),
        ] {
            let problem = refit.problem(path.as_bytes(), is_directory);
            assert_eq!(problem.is_none(), fits, "{path}: {problem:?}");
        }
    }
}
