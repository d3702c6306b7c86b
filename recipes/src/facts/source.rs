//! One source, looked into.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ObserveError;
use super::archive::{Visited, visit};
use super::digests::Digests;
use super::error::at;
use super::patches::PatchTexts;
use super::texts::{Gatherer, SourceTexts};

/// What a source says, whoever uses it: a pure function of its bytes and its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceScan {
    /// SHA-256 and SHA-512 of the archive, in hex; none of a tree.
    pub(super) digests: Option<(String, String)>,
    /// Its size; of a tree, the sum of its files.
    pub(super) size: u64,
    /// The number of regular files.
    pub(super) files: u64,
    /// Why it was not looked into, or not to its end.
    pub(super) unread: Option<String>,
    /// The patches that it has.
    pub(super) patches: PatchTexts,
    /// What it says of licenses.
    pub(super) texts: SourceTexts,
}

impl SourceScan {
    /// Reads the object at `path`, which is called `name`.
    pub(super) fn of(path: &Path, name: &str) -> Result<Self, ObserveError> {
        let failed = at(path);
        let metadata = std::fs::symlink_metadata(path).map_err(&failed)?;
        let mut scan = Self::default();
        let is_series = PatchTexts::is_series(name);
        let is_patch =
            metadata.is_file() && [".patch", ".diff"].iter().any(|end| name.ends_with(end));
        let mut gatherer = Gatherer::default();
        let visited = visit(
            path,
            name,
            &mut |member, _, bytes| match (is_series, is_patch) {
                (true, _) if PatchTexts::is_patch(member) => scan.patches.take(member, bytes),
                (_, true) => scan.patches.take_patch(name, bytes),
                _ => gatherer.take(member, bytes),
            },
        );
        let Visited {
            files,
            bytes,
            unread,
        } = visited.map_err(&failed)?;
        (scan.files, scan.size, scan.unread) = (files, bytes, unread);
        scan.texts = gatherer.finish();
        if scan.texts.is_cut {
            let said = "it says more of licenses than is kept".to_owned();
            scan.unread.get_or_insert(said);
        }
        if metadata.is_file() {
            let digests = read_digests(path).map_err(&failed)?;
            scan.size = digests.size;
            scan.digests = Some((digests.sha256, digests.sha512));
        }
        Ok(scan)
    }
}

fn read_digests(path: &Path) -> io::Result<Digests> {
    Digests::of(File::open(path)?)
}
