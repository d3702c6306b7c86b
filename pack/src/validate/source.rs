//! Archives and layouts, seen alike: names to bytes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Take},
    path::{Path, PathBuf},
};

use super::ValidateError;
use crate::layer::TarReader;

/// Where blobs are read from.
pub(super) enum Source {
    /// A layout.
    Directory(PathBuf),
    /// An archive, and where its members are.
    Archive {
        path: PathBuf,
        members: BTreeMap<String, Place>,
        /// Names that are in it more than once.
        repeated: Vec<String>,
    },
}

/// Where the contents of a member of an archive are.
#[derive(Clone, Copy)]
pub(super) struct Place {
    offset: u64,
    size_bytes: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, ValidateError> {
        let error = |source| ValidateError::Read {
            path: path.to_path_buf(),
            source,
        };
        if std::fs::metadata(path).map_err(error)?.is_dir() {
            return Ok(Self::Directory(path.to_path_buf()));
        }
        let archive = |source| ValidateError::Archive {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(error)?;
        let mut reader = TarReader::new(BufReader::with_capacity(1 << 16, file));
        let mut members = BTreeMap::new();
        let mut repeated = Vec::new();
        while let Some(member) = reader.next_member().map_err(archive)? {
            let name = String::from_utf8_lossy(&member.path).into_owned();
            let place = Place {
                offset: member.offset,
                size_bytes: member.size_bytes,
            };
            if members.insert(name.clone(), place).is_some() {
                repeated.push(name);
            }
        }
        reader.finish().map_err(archive)?;
        Ok(Self::Archive {
            path: path.to_path_buf(),
            members,
            repeated,
        })
    }

    /// Opens a blob or document; `None` where there is none.
    pub(super) fn find(&self, name: &str) -> Result<Option<Take<File>>, ValidateError> {
        let (path, place) = match self {
            Self::Directory(root) => {
                let whole = Place {
                    offset: 0,
                    size_bytes: u64::MAX,
                };
                (root.join(name), whole)
            }
            Self::Archive { path, members, .. } => match members.get(name) {
                Some(place) => (path.clone(), *place),
                None => return Ok(None),
            },
        };
        let opened = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(place.offset))?;
            Ok(file.take(place.size_bytes))
        });
        match opened {
            Ok(reader) => Ok(Some(reader)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ValidateError::Read { path, source }),
        }
    }

    /// Returns an error about reading a blob or document.
    pub(super) fn error(&self, name: &str, source: io::Error) -> ValidateError {
        let path = match self {
            Self::Directory(root) => root.join(name),
            Self::Archive { path, .. } => path.clone(),
        };
        ValidateError::Read { path, source }
    }
}
