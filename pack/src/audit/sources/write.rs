//! A bundle as a directory or a tar.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{GAPS, Gap, MANIFEST, Manifest, SIGNATURE, SUMS, SourcesError};
use crate::{
    layer::{Entry, EntryKind, append_end, append_entry, padding},
    oci::{Digest, DigestWriter, to_canonical_json},
    sign::{ImageSecretKey, sign_digest},
};

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 256 << 10;
/// The modes of files and directories in a tar.
const FILE_MODE: u32 = 0o644;
const PROGRAM_MODE: u32 = 0o755;
const DIRECTORY_MODE: u32 = 0o755;

/// The contents of a file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, which can be run.
    Script(Vec<u8>),
    /// Those of a file.
    File(PathBuf),
}

/// A bundle that is not written yet: files by their places.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    files: BTreeMap<String, Content>,
}

impl Bundle {
    /// Adds a file. `place` is relative, with slashes; a file that is added twice is the last one.
    pub fn add(&mut self, place: impl Into<String>, content: Content) {
        self.files.insert(place.into(), content);
    }

    /// Adds what describes the bundle: the manifest and the list of gaps.
    pub fn describe(&mut self, manifest: &Manifest, gaps: &[Gap]) {
        let mut document = to_canonical_json(manifest);
        document.push(b'\n');
        self.add(MANIFEST, Content::Bytes(document));
        let mut document = to_canonical_json(&gaps);
        document.push(b'\n');
        self.add(GAPS, Content::Bytes(document));
    }

    /// Writes the bundle to `path`, which must not be there: a tar if its name ends so, else a directory. All of it appears at once or nothing does.
    ///
    /// With a key the list of digests is signed, and so all that is in it.
    pub fn write(mut self, path: &Path, key: Option<&ImageSecretKey>) -> Result<(), SourcesError> {
        if path.symlink_metadata().is_ok() {
            return Err(SourcesError::Exists {
                path: path.to_path_buf(),
            });
        }
        self.sum(key)?;
        let failed = |source| SourcesError::Write {
            path: path.to_path_buf(),
            source,
        };
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let is_archive = path.extension().is_some_and(|extension| extension == "tar");
        if is_archive {
            let file = tempfile::NamedTempFile::new_in(parent).map_err(failed)?;
            let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
            self.write_tar(&mut writer, path)?;
            let file = writer
                .into_inner()
                .map_err(|error| failed(error.into_error()))?;
            make_readable(file.path(), 0o644).map_err(failed)?;
            file.persist_noclobber(path)
                .map_err(|error| failed(error.error))?;
            return Ok(());
        }
        let directory = tempfile::tempdir_in(parent).map_err(failed)?;
        self.write_directory(directory.path())?;
        make_readable(directory.path(), 0o755).map_err(failed)?;
        fs::rename(directory.path(), path).map_err(failed)
    }

    /// Adds the digests of all files.
    fn sum(&mut self, key: Option<&ImageSecretKey>) -> Result<(), SourcesError> {
        self.files.remove(SUMS);
        let mut sums = String::new();
        for (place, content) in &self.files {
            let mut hasher = DigestWriter::default();
            content.read(&mut |bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            sums.push_str(&[&hasher.finish().to_hex(), "  ", place, "\n"].concat());
        }
        if let Some(key) = key {
            let signature = sign_digest(key, Digest::of(sums.as_bytes()));
            self.add(SIGNATURE, Content::Bytes(signature));
        }
        self.add(SUMS, Content::Bytes(sums.into_bytes()));
        Ok(())
    }

    fn write_tar(&self, out: &mut impl Write, path: &Path) -> Result<(), SourcesError> {
        let failed = |source| SourcesError::Write {
            path: path.to_path_buf(),
            source,
        };
        let mut header = Vec::new();
        let mut directories = BTreeSet::new();
        for (place, content) in &self.files {
            for (end, _) in place.match_indices('/') {
                if directories.insert(&place[..end]) {
                    let entry = Entry {
                        path: &place.as_bytes()[..end],
                        mode: DIRECTORY_MODE,
                        kind: EntryKind::Directory,
                    };
                    append_entry(&mut header, &entry);
                }
            }
            let size_bytes = content.size_bytes()?;
            let kind = EntryKind::File { size_bytes };
            let entry = Entry {
                path: place.as_bytes(),
                mode: content.mode(),
                kind,
            };
            append_entry(&mut header, &entry);
            out.write_all(&header).map_err(failed)?;
            header.clear();
            let mut written = 0;
            content.read(&mut |bytes| {
                written += bytes.len() as u64;
                out.write_all(bytes).map_err(failed)
            })?;
            if written != size_bytes {
                let error = io::Error::other("a file changed while it was read");
                return Err(failed(error));
            }
            header.resize(padding(size_bytes), 0);
        }
        append_end(&mut header);
        out.write_all(&header).map_err(failed)
    }

    fn write_directory(&self, root: &Path) -> Result<(), SourcesError> {
        for (place, content) in &self.files {
            let path = root.join(place);
            let failed = |source| SourcesError::Write {
                path: path.clone(),
                source,
            };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            let mut file = File::create_new(&path).map_err(failed)?;
            content.read(&mut |bytes| file.write_all(bytes).map_err(failed))?;
            make_readable(&path, content.mode()).map_err(failed)?;
        }
        Ok(())
    }
}

impl Content {
    const fn mode(&self) -> u32 {
        match self {
            Self::Script(_) => PROGRAM_MODE,
            Self::Bytes(_) | Self::File(_) => FILE_MODE,
        }
    }

    fn size_bytes(&self) -> Result<u64, SourcesError> {
        match self {
            Self::Bytes(bytes) | Self::Script(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => {
                let metadata = fs::metadata(path).map_err(|source| SourcesError::Read {
                    path: path.clone(),
                    source,
                })?;
                Ok(metadata.len())
            }
        }
    }

    fn read(
        &self,
        receive: &mut dyn FnMut(&[u8]) -> Result<(), SourcesError>,
    ) -> Result<(), SourcesError> {
        let path = match self {
            Self::Bytes(bytes) | Self::Script(bytes) => return receive(bytes),
            Self::File(path) => path,
        };
        let failed = |source| SourcesError::Read {
            path: path.clone(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = file.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                return Ok(());
            }
            receive(&buffer[..count])?;
        }
    }
}

fn make_readable(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
