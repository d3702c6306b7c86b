//! What tells, without reading it, that a file is still the one that it was.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Size, inode and times of a file. Two that are equal are of the same bytes, if the later one is [settled](Self::is_settled).
///
/// The device is left out, as git does: some file systems number it anew with each mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Size and inode.
    pub(super) numbers: [u64; 2],
    /// Seconds and nanoseconds of the last change of bytes, then of the last change of anything.
    pub(super) times: [i64; 4],
}

/// A file that was changed so shortly before it was listed may have changed again since, within one tick of the clock of
/// its file system; the coarsest counts in twos.
const SETTLED_SECONDS: i64 = 3;

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            numbers: [metadata.size(), metadata.ino()],
            times: [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
        }
    }

    pub(super) fn size(&self) -> u64 {
        let [size, _] = self.numbers;
        size
    }

    /// Returns whether a change after `listed`, in seconds since 1970, would show. It would not in a file from the future.
    pub(super) fn is_settled(&self, listed: i64) -> bool {
        let [modified, _, changed, _] = self.times;
        modified.max(changed).saturating_add(SETTLED_SECONDS) <= listed
    }
}
