//! The door of this folder.

use std::{io::Write, path::Path};

use super::{
    Format, SinkError, Written, archive, bundle, directory, initramfs, layout, place::write_file,
    run, squashfs, tar,
};
use crate::{Event, Image, oci::Digest};

impl Image<'_> {
    /// Writes the image to `path`.
    ///
    /// Where exactly this output is there already, nothing is read from the store and nothing is written; see each format for how that is known.
    ///
    /// | format | existing `path` |
    /// | --- | --- |
    /// | `archive`, `tar`, `squashfs`, `run`, `initramfs` | a regular file is replaced |
    /// | `oci` | an empty directory is filled; a layout gets the image beside the others, and loses what an image of the same tag held alone |
    /// | `dir`, `bundle` | an empty directory is filled; the same tree is left as it is; anything else is an error |
    pub fn write(&self, format: Format, path: &Path) -> Result<Written, SinkError> {
        self.write_with(&[], format, path)
    }

    /// Writes the bill of materials, which is also in the image, to a file, which is replaced.
    pub fn write_sbom(&self, path: &Path) -> Result<(), SinkError> {
        write_file(path, self.sbom())
    }

    /// Writes the image, and the same for other platforms, as one index; see [`write`](Self::write) for existing paths.
    ///
    /// `others` have the name of this image, and each has another platform; a blob that several of them have is written once. Only `archive` and `oci`
    /// can hold several, and such an archive has no list of docker's, which knows no platforms. Without others this is [`write`](Self::write).
    pub fn write_with(
        &self,
        others: &[Self],
        format: Format,
        path: &Path,
    ) -> Result<Written, SinkError> {
        self.check_format(others, format)?;
        let written = match (format, others) {
            (Format::Archive, _) | (Format::DockerArchive, []) => {
                archive::write(self, others, path)
            }
            (Format::Oci, _) => layout::write(self, others, path),
            (Format::Tar, []) => tar::write(self, path),
            (Format::Directory, []) => directory::write(self, path),
            (Format::Bundle, []) => bundle::write(self, path),
            (Format::Squashfs, []) => squashfs::write(self, path),
            (Format::Run, []) => run::write(self, path),
            (Format::Initramfs, []) => initramfs::write(self, path),
            _ => Err(SinkError::OnePlatform { format }),
        }?;
        (self.events)(if written.unchanged {
            Event::Unchanged { path }
        } else {
            Event::Written { path }
        });
        Ok(written)
    }

    /// Writes what [`write_with`](Self::write_with) does to a reader that takes it as it comes, such as `podman load`. Returns the digest of the manifest, or of the
    /// index of several, where the format has one. Only for [streams](Format::is_stream).
    pub fn stream_as(
        &self,
        others: &[Self],
        format: Format,
        out: &mut dyn Write,
    ) -> Result<Option<Digest>, SinkError> {
        self.check_format(others, format)?;
        match (format, others) {
            (Format::Archive, _) | (Format::DockerArchive, []) => {
                archive::stream(self, others, out).map(Some)
            }
            (Format::Tar, []) => tar::stream(self, out).map(|()| None),
            (Format::Initramfs, []) => initramfs::stream(self, out).map(|()| None),
            _ if format.is_stream() => Err(SinkError::OnePlatform { format }),
            _ => Err(SinkError::NoStream { format }),
        }
    }

    fn check_format(&self, others: &[Self], format: Format) -> Result<(), SinkError> {
        let is_changed = |image: &Self| image.slots().is_some();
        if !format.holds_layers() && (is_changed(self) || others.iter().any(is_changed)) {
            return Err(SinkError::StablePaths { format });
        }
        let is_on_base = |image: &Self| image.below.is_some();
        if !format.holds_base() && (is_on_base(self) || others.iter().any(is_on_base)) {
            return Err(SinkError::OnBase { format });
        }
        Ok(())
    }
}
