//! The door of this folder.

use std::path::Path;

use super::{Format, SinkError, Written, archive, directory, layout, tar};
use crate::{Event, Image};

impl Image<'_> {
    /// Writes the image to `path`.
    ///
    /// Where exactly this output is there already, nothing is read from the store and nothing is written; see each format for how that is known.
    ///
    /// | format | existing `path` |
    /// | --- | --- |
    /// | `archive`, `tar` | a regular file is replaced |
    /// | `oci` | an empty directory is filled; a layout gets the image beside the others, and loses what an image of the same tag held alone |
    /// | `dir` | an empty directory is filled; the same tree is left as it is; anything else is an error |
    pub fn write(&self, format: Format, path: &Path) -> Result<Written, SinkError> {
        let written = match format {
            Format::Archive => archive::write(self, path),
            Format::Oci => layout::write(self, path),
            Format::Tar => tar::write(self, path),
            Format::Directory => directory::write(self, path),
        }?;
        (self.events)(if written.unchanged {
            Event::Unchanged { path }
        } else {
            Event::Written { path }
        });
        Ok(written)
    }
}
