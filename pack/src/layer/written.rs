//! Whether the entries of a layer are as this crate writes them: what tells a layer of its own from one that only says so. Pure.

use std::collections::BTreeSet;

use super::Member;

/// What lies below the layers that are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Below {
    /// They are all layers of the image.
    #[default]
    Nothing,
    /// A base, of which nothing is known here.
    Base,
}

/// The entries of one layer, as far as they were read.
#[derive(Debug)]
pub(crate) struct Written {
    below: Below,
    seen: BTreeSet<Vec<u8>>,
    directories: BTreeSet<Vec<u8>>,
}

impl Written {
    pub(crate) const fn new(below: Below) -> Self {
        Self {
            below,
            seen: BTreeSet::new(),
            directories: BTreeSet::new(),
        }
    }

    /// Takes the next entry, and returns what the layer format says against it.
    pub(crate) fn take(&mut self, member: &Member) -> Option<String> {
        let problem = self.check(member);
        let path = trimmed(&member.path).to_vec();
        if member.flag == b'5' {
            self.directories.insert(path.clone());
        }
        self.seen.insert(path);
        problem
    }

    fn check(&self, member: &Member) -> Option<String> {
        let path = trimmed(&member.path);
        let mut names = path.split(|byte| *byte == b'/');
        if names.any(|name| name.is_empty() || name == b"." || name == b"..") {
            return Some("is not a plain relative path".to_owned());
        }
        if path
            .split(|byte| *byte == b'/')
            .any(|name| name.starts_with(b".wh."))
        {
            return Some("deletes something from a lower layer".to_owned());
        }
        if !matches!(member.flag, b'0' | b'2' | b'5') {
            let flag = char::from(member.flag).escape_default();
            return Some(format!(
                "has the type `{flag}`, not file, link or directory"
            ));
        }
        if (member.flag == b'5') != member.path.ends_with(b"/") {
            return Some("has a slash at the end if and only if it is no directory".to_owned());
        }
        if member.flag != b'0' && member.size_bytes != 0 {
            return Some(format!("has {} bytes of contents", member.size_bytes));
        }
        if self.seen.contains(path) {
            return Some("is there twice".to_owned());
        }
        if let Some(slash) = path.iter().rposition(|byte| *byte == b'/')
            && !self.directories.contains(&path[..slash])
        {
            return Some("comes before its directory".to_owned());
        }
        // Directories of a base are said again as they are.
        if self.below == Below::Base && member.flag == b'5' {
            return None;
        }
        let fixed = [
            ("uid", member.uid, 0),
            ("gid", member.gid, 0),
            ("mtime", member.mtime, 1),
        ];
        fixed
            .into_iter()
            .find(|(_, found, wanted)| found != wanted)
            .map(|(name, found, wanted)| format!("has {name} {found} instead of {wanted}"))
    }
}

fn trimmed(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}
