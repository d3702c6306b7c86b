//! Paths below the root of an image.

use std::{cmp::Ordering, fmt};

use super::RootFsError;

/// A path of an image relative to its root: names joined by single slashes, none of them empty, `.` or `..`. Ordered name by name, so that a directory
/// comes before all that is in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RootPath(Vec<u8>);

impl RootPath {
    /// Parses an absolute path as a user writes it: `/etc/app.conf`. A slash at the end is ignored.
    pub fn parse(text: &str) -> Result<Self, RootFsError> {
        let error = |problem| RootFsError::Path {
            text: text.to_owned(),
            problem,
        };
        let inner = text
            .strip_prefix('/')
            .ok_or_else(|| error("it does not start with `/`"))?;
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Err(error("it is the root itself"));
        }
        if inner.contains('\0') {
            return Err(error("it contains a NUL"));
        }
        for name in inner.split('/') {
            match name {
                "" => return Err(error("it has an empty name")),
                "." | ".." => return Err(error("it has a name `.` or `..`")),
                _ if name.len() > 255 => return Err(error("it has a name of more than 255 bytes")),
                _ if name.starts_with(".wh.") => {
                    return Err(error("names with `.wh.` delete files of lower layers"));
                }
                _ => {}
            }
        }
        if inner == "pith" || inner.starts_with("pith/") {
            return Err(error("`/pith` belongs to the store"));
        }
        Ok(Self(inner.as_bytes().to_vec()))
    }

    /// Joins a directory of this crate and a name from a directory of the store.
    pub(crate) fn join(directory: &str, name: &[u8]) -> Self {
        Self([directory.as_bytes(), b"/", name].concat())
    }

    /// Takes a path of an existing image, which is one as [`parse`](Self::parse) wants it but for its bytes.
    pub(crate) fn from_bytes(path: &[u8]) -> Result<Self, RootFsError> {
        let error = |problem| RootFsError::Path {
            text: format!("/{}", String::from_utf8_lossy(path)),
            problem,
        };
        if path.is_empty() {
            return Err(error("it is the root itself"));
        }
        if path == b"pith" || path.starts_with(b"pith/") {
            return Err(error("`/pith` belongs to the store"));
        }
        Ok(Self(path.to_vec()))
    }

    /// One of the directories above store objects, for messages.
    pub(crate) fn of_store(path: &str) -> Self {
        Self(path.into())
    }

    /// Returns the bytes, without a slash at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the directories above it, the outermost first.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Self> {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| Self(self.0[..at].to_vec()))
    }
}

impl Ord for RootPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let names = |path| <[u8]>::split(path, |byte: &u8| *byte == b'/');
        names(&self.0).cmp(names(&other.0))
    }
}

impl PartialOrd for RootPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_before_its_contents_and_they_before_its_neighbours() {
        let mut paths = ["/a.c", "/a/b", "/a", "/a-"].map(|text| RootPath::parse(text).unwrap());
        paths.sort();
        assert_eq!(
            paths.map(|path| path.to_string()),
            ["a", "a/b", "a-", "a.c"]
        );
    }

    #[test]
    fn a_path_that_leaves_the_root_or_is_not_plain_is_refused() {
        for text in [
            "",
            "/",
            "a",
            "/../x",
            "/a/../b",
            "/a//b",
            "/./a",
            "/a\0",
            "/pith",
            "/pith/store/x",
            "/etc/.wh.passwd",
        ] {
            assert!(RootPath::parse(text).is_err(), "{text}");
        }
        assert_eq!(RootPath::parse("/etc/").unwrap().as_bytes(), b"etc");
    }
}
