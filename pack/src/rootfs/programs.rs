//! What the packages of an image offer to its root: programs, certificates, time zones.

use std::{fs, io, os::unix::ffi::OsStrExt, os::unix::fs::PermissionsExt, path::Path};

use super::RootFsError;

/// A file or directory of a package that images show at a usual place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provided {
    /// The bundle of certificates of authorities.
    Certificates,
    /// The time zones.
    TimeZones,
}

impl Provided {
    /// Where a package has it.
    pub(crate) const fn in_package(self) -> &'static str {
        match self {
            Self::Certificates => "etc/ssl/certs/ca-certificates.crt",
            Self::TimeZones => "share/zoneinfo",
        }
    }

    /// Where the image shows it.
    pub(crate) const fn in_image(self) -> &'static str {
        match self {
            Self::Certificates => "/etc/ssl/certs/ca-certificates.crt",
            Self::TimeZones => "/usr/share/zoneinfo",
        }
    }

    /// The environment variable that leads programs to it.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Certificates => "SSL_CERT_FILE",
            Self::TimeZones => "TZDIR",
        }
    }
}

/// Returns whether the store object at `real` has the thing. A link counts, wherever it leads: on this disk its target may be elsewhere.
pub(crate) fn provides(real: &Path, thing: Provided) -> bool {
    fs::symlink_metadata(real.join(thing.in_package())).is_ok_and(|found| {
        found.is_symlink()
            || match thing {
                Provided::Certificates => found.is_file(),
                Provided::TimeZones => found.is_dir(),
            }
    })
}

/// Returns the programs of the store object at `real`, relative to it: executable files and links in `bin` and `sbin`, sorted by directory and name.
pub(crate) fn find_programs(real: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, RootFsError> {
    let mut programs = Vec::new();
    for directory in ["bin", "sbin"] {
        let path = real.join(directory);
        let error = |source| RootFsError::Read {
            path: path.clone(),
            source,
        };
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            // A link from `sbin` to `bin` would show every program twice.
            Ok(_) => continue,
            Err(source)
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                continue;
            }
            Err(source) => return Err(error(source)),
        }
        let start = programs.len();
        for entry in fs::read_dir(&path).map_err(error)? {
            let entry = entry.map_err(error)?;
            let found = entry.metadata().map_err(error)?;
            let is_executable = found.is_file() && found.permissions().mode() & 0o100 != 0;
            if is_executable || found.is_symlink() {
                programs.push((directory, entry.file_name().as_bytes().to_vec()));
            }
        }
        programs[start..].sort_unstable();
    }
    Ok(programs)
}
