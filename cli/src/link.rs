//! Links that keep what they lead to: the root has the link's name, so a link must have one name.

use std::fs;
use std::io;
use std::path::{self, Component, Path, PathBuf};

/// Returns the path of a link that is there or may be made, without detours. `..` leads out of the directory that is there, not of the name before it, which may be a link.
pub(crate) fn plain_path(link: &Path) -> io::Result<PathBuf> {
    let plain: PathBuf = path::absolute(link)?.components().collect();
    if !plain.components().any(|part| part == Component::ParentDir) {
        return Ok(plain);
    }
    match (plain.parent(), plain.file_name()) {
        (Some(parent), Some(name)) => Ok(fs::canonicalize(parent)?.join(name)),
        _ => Err(io::ErrorKind::InvalidFilename.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_has_one_name_however_it_is_reached() {
        let place = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(place.path()).unwrap();
        fs::create_dir_all(place.join("a/b")).unwrap();
        symlink(place.join("a/b"), place.join("to-b")).unwrap();
        for (given, expected) in [
            ("x", "x"),
            ("./x", "x"),
            (".//a/./x", "a/x"),
            ("x/", "x"),
            ("a/../x", "x"),
            ("to-b/x", "to-b/x"),
            ("to-b/../x", "a/x"),
        ] {
            let found = plain_path(&place.join(given)).unwrap();
            assert_eq!(
                found.as_os_str(),
                place.join(expected).as_os_str(),
                "{given}"
            );
        }
        assert!(plain_path(&place.join("a/..")).is_err());
        assert!(plain_path(&place.join("nothing/../x")).is_err());
    }
}
