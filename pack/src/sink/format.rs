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
}

impl Format {
    /// Returns whether one output can hold an image for several platforms.
    pub const fn holds_platforms(self) -> bool {
        matches!(self, Self::Archive | Self::Oci)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "archive",
            Self::DockerArchive => "docker-archive",
            Self::Oci => "oci",
            Self::Tar => "tar",
            Self::Directory => "dir",
            Self::Bundle => "bundle",
        })
    }
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a format; known are `archive` (also `oci-archive` and `docker-archive`), `oci`, `tar`, `dir` and `bundle`"
)]
pub struct UnknownFormat {
    /// The text.
    pub text: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "archive" | "oci-archive" => Ok(Self::Archive),
            "docker-archive" => Ok(Self::DockerArchive),
            "oci" => Ok(Self::Oci),
            "tar" => Ok(Self::Tar),
            "dir" => Ok(Self::Directory),
            "bundle" => Ok(Self::Bundle),
            _ => Err(UnknownFormat {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_and_parse_back_and_the_archive_has_one_more() {
        for format in [
            Format::Archive,
            Format::DockerArchive,
            Format::Oci,
            Format::Tar,
            Format::Directory,
            Format::Bundle,
        ] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("oci-archive".parse(), Ok(Format::Archive));
        assert!("squash".parse::<Format>().is_err());
    }
}
