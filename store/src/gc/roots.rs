//! Whether a root still keeps anything.
//!
//! A root of a kind that is a link in the file system keeps its object as long as the link is there and leads to the object: who removes the link has said
//! that the object may go. "Not there" is the only answer that counts for that; a file system that does not answer keeps everything.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use super::GcError;
use crate::{
    db::{Root, RootKind},
    id::STORE_DIR,
    local::LocalStore,
    sys::{FileError, fault, files::at},
};

/// Whether a root keeps its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootState {
    /// It does.
    Live,
    /// It is a link that is gone or leads elsewhere, and keeps nothing.
    Stale,
}

impl LocalStore {
    /// Tells whether a root keeps its object.
    pub(super) fn root_state(&self, root: &Root) -> Result<RootState, GcError> {
        match root.kind {
            RootKind::Explicit => Ok(RootState::Live),
            RootKind::BuildResult | RootKind::Profile => {
                // Relative names are those of links inside the store.
                let link = self.root().join(&root.name);
                link_state(&link, &root.path.to_string(), &self.store_directory()).map_err(
                    |source| GcError::Root {
                        name: root.name.clone(),
                        source,
                    },
                )
            }
        }
    }
}

/// Tells whether `link` leads to `name` in the store directory, by its logical or its real path.
fn link_state(link: &Path, name: &str, store: &Path) -> Result<RootState, FileError> {
    fault::point("inspect").map_err(at("read", link))?;
    let target = match fs::read_link(link) {
        Ok(target) => target,
        Err(error) if is_absence(&error) => return Ok(RootState::Stale),
        Err(error) => return Err(at("read", link)(error)),
    };
    if target.file_name().is_none_or(|last| last != name) {
        return Ok(RootState::Stale);
    }
    let directory = target.parent().unwrap_or(Path::new(""));
    if directory == Path::new(STORE_DIR) || directory == store {
        return Ok(RootState::Live);
    }
    // The store may be reached by another name.
    let directory: PathBuf = link.parent().unwrap_or(Path::new("/")).join(directory);
    let found = match fs::metadata(&directory) {
        Ok(found) => found,
        Err(error) if is_absence(&error) => return Ok(RootState::Stale),
        Err(error) => return Err(at("inspect", directory)(error)),
    };
    let own = fs::metadata(store).map_err(at("inspect", store))?;
    if (found.dev(), found.ino()) == (own.dev(), own.ino()) {
        Ok(RootState::Live)
    } else {
        Ok(RootState::Stale)
    }
}

/// Tells whether an error says that there is no such link: nothing of the name, something else of the name, or a file where a directory was.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ENOENT | Errno::EINVAL | Errno::ENOTDIR)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_keeps_what_it_leads_to_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (store, link) = (place.path().join("store"), place.path().join("result"));
        fs::create_dir(&store).unwrap();
        symlink(&store, place.path().join("alias")).unwrap();
        let state = |target: &Path| {
            symlink(target, &link).unwrap();
            let state = link_state(&link, "0-x", &store);
            fs::remove_file(&link).unwrap();
            state.unwrap()
        };
        for live in [
            store.join("0-x"),
            place.path().join("alias/0-x"),
            "/pith/store/0-x".into(),
            "store/0-x".into(),
        ] {
            assert_eq!(state(&live), RootState::Live, "{live:?}");
        }
        for stale in [
            store.join("1-y"),
            store.join("0-x/bin"),
            place.path().join("0-x"),
            "/elsewhere/0-x".into(),
            "/".into(),
        ] {
            assert_eq!(state(&stale), RootState::Stale, "{stale:?}");
        }
    }

    #[test]
    fn only_not_there_is_stale() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("file"), "").unwrap();
        symlink("loop", path("loop")).unwrap();
        let state = |link: PathBuf| link_state(&link, "0-x", place.path());
        for absent in ["nothing", "file", "file/result", "nowhere/result"] {
            assert_eq!(state(path(absent)).unwrap(), RootState::Stale, "{absent}");
        }
        assert!(state(path("loop/result")).is_err());
    }
}
