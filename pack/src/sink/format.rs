//! The names of the outputs.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// What an image is written as. Printed and parsed as the name of the format; `oci-archive` is another name of `archive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// One tar file that is an OCI layout and has docker's `manifest.json`.
    #[default]
    Archive,
    /// The same file, for who needs docker's `manifest.json` in it: an image for several platforms has none.
    DockerArchive,
    /// An OCI layout directory.
    Oci,
    /// The root file system as one uncompressed tar.
    Tar,
    /// The root file system as a directory.
    Directory,
    /// A directory that a runtime starts: the root file system and a `config.json`.
    Bundle,
    /// The root file system as one squashfs file, which Linux mounts.
    Squashfs,
    /// One file that unpacks itself and runs the image's program, without root and without `pith`.
    Run,
    /// The root file system as what a kernel boots into.
    Initramfs,
}

/// Every format by its name; other names are in [`Format::from_str`].
const NAMES: [(Format, &str); 9] = [
    (Format::Archive, "archive"),
    (Format::DockerArchive, "docker-archive"),
    (Format::Oci, "oci"),
    (Format::Tar, "tar"),
    (Format::Directory, "dir"),
    (Format::Bundle, "bundle"),
    (Format::Squashfs, "squashfs"),
    (Format::Run, "run"),
    (Format::Initramfs, "initramfs"),
];

impl Format {
    /// Returns the version of every rule that the bytes of this format depend on beside those of layers, which have
    /// [`FORMAT_VERSION`](crate::layer::FORMAT_VERSION). It is part of what is remembered of outputs: one that was written by other rules is written again.
    /// Golden tests hold it to its word.
    pub const fn version(self) -> u32 {
        match self {
            // The launcher has changed twice since it was first written.
            Self::Run => 3,
            Self::Archive
            | Self::DockerArchive
            | Self::Oci
            | Self::Tar
            | Self::Directory
            | Self::Bundle
            | Self::Squashfs
            | Self::Initramfs => 1,
        }
    }

    /// Returns whether an output is made of the bytes of layers rather than of files of the store.
    pub const fn holds_layers(self) -> bool {
        matches!(
            self,
            Self::Archive | Self::DockerArchive | Self::Oci | Self::Tar
        )
    }

    /// Returns whether an output can be written to a reader that takes it as it comes. The head of a squashfs says where its tables lie, and that of a self-extracting
    /// file the digest of what follows, so that these are no streams.
    pub const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::Archive | Self::DockerArchive | Self::Tar | Self::Initramfs
        )
    }

    /// Returns whether an output can hold the layers of a base, which are copied and never unpacked.
    pub const fn holds_base(self) -> bool {
        matches!(self, Self::Archive | Self::DockerArchive | Self::Oci)
    }

    /// Returns whether one output can hold an image for several platforms.
    pub const fn holds_platforms(self) -> bool {
        matches!(self, Self::Archive | Self::Oci)
    }

    /// Returns what the name of the output ends in; `None` where it is a directory.
    pub const fn extension(self) -> Option<&'static str> {
        match self {
            Self::Archive | Self::DockerArchive | Self::Tar => Some("tar"),
            Self::Squashfs => Some("squashfs"),
            Self::Run => Some("run"),
            Self::Initramfs => Some("initramfs"),
            Self::Oci | Self::Directory | Self::Bundle => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(format, _)| format == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a format; known are `archive` (also `oci-archive` and `docker-archive`), `oci`, `tar`, `dir`, `bundle`, `squashfs`, `run` and `initramfs`"
)]
pub struct UnknownFormat {
    /// The text.
    pub text: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let text = if text == "oci-archive" {
            "archive"
        } else {
            text
        };
        let format = NAMES.iter().find(|(_, name)| *name == text);
        format
            .map(|(format, _)| *format)
            .ok_or_else(|| UnknownFormat {
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_and_parse_back_and_the_archive_has_one_more() {
        for (format, name) in NAMES {
            assert_eq!(format.to_string(), name);
            assert_eq!(name.parse(), Ok(format));
        }
        assert_eq!("oci-archive".parse(), Ok(Format::Archive));
        assert!("squash".parse::<Format>().is_err());
    }
}
