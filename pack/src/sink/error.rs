//! System errors to errors of this folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::SinkError;
use crate::existing::ExistingError;

impl From<ExistingError> for SinkError {
    fn from(error: ExistingError) -> Self {
        Self::Base(Box::new(error))
    }
}

impl SinkError {
    /// An error of writing `path`, which a full disk explains best.
    pub(crate) fn writing(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Write { path, source },
        }
    }

    /// An error of reading `path`.
    pub(crate) fn reading(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// Replaces the place beside an output, which is gone when somebody reads this, by the place of the output.
    pub(super) fn moved(mut self, from: &Path, to: &Path) -> Self {
        if let Self::Full { path, .. } | Self::Write { path, .. } | Self::Read { path, .. } =
            &mut self
            && let Ok(inner) = path.strip_prefix(from)
        {
            *path = to.join(inner);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_in_these_words_and_about_the_output() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = SinkError::writing("/out/.new/blobs")(kind.into());
            let error = error.moved(Path::new("/out/.new"), Path::new("/out/layout"));
            assert_eq!(
                error.to_string(),
                "no space is left for `/out/layout/blobs`; nothing was changed"
            );
        }
    }
}
