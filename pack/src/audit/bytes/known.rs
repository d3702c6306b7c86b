//! What the store on this machine has of an image.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use store::{LocalStore, StorePath};

use super::BytesError;
use crate::{
    existing::BillPackage,
    layer::walk,
    rootfs::{ROOT_DIRECTORY, RootSet},
};

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 64 << 10;

/// The store objects of an image that the store has, and what of them lies at the image's root.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Where each lies, and of how many files, links and directories it is.
    objects: BTreeMap<StorePath, (PathBuf, u64)>,
    at_root: BTreeMap<Vec<u8>, RootFile>,
    sets: Vec<RootSet>,
}

/// What lies at the root of an image because a package of a distribution has it.
#[derive(Debug)]
pub(crate) struct RootFile {
    pub(crate) object: StorePath,
    /// Relative to the object.
    pub(crate) below: Vec<u8>,
    pub(crate) real: PathBuf,
}

impl Known {
    /// Asks the store for what a bill lists: an object counts if it is the very one.
    pub(crate) fn load(store: &LocalStore, bill: &[BillPackage]) -> Result<Self, BytesError> {
        let mut known = Self::default();
        for package in bill {
            let info = store.path_info(&package.path)?;
            if let Some(info) = info.filter(|info| info.id == package.id) {
                let place = (store.real_path(&package.path), info.nodes);
                known.objects.insert(package.path.clone(), place);
            }
        }
        let mut members = Vec::new();
        for (path, (real, _)) in &known.objects {
            if let Some(set) = RootSet::load(real)? {
                members.push(path.clone());
                members.extend(set.members()?.into_iter().map(|(path, _)| path));
                known.sets.push(set);
            }
        }
        for path in members {
            known.add_root(&path)?;
        }
        Ok(known)
    }

    fn add_root(&mut self, path: &StorePath) -> Result<(), BytesError> {
        let Some((real, _)) = self.objects.get(path) else {
            return Ok(());
        };
        let root = real.join(ROOT_DIRECTORY);
        let at_root = &mut self.at_root;
        walk::<BytesError>(&root, b"", &mut |entry| {
            let inner = entry.path.strip_prefix(b"/").unwrap_or(&entry.path);
            if !inner.is_empty() {
                let below = [ROOT_DIRECTORY.as_bytes(), b"/", inner].concat();
                at_root.entry(inner.to_vec()).or_insert_with(|| RootFile {
                    object: path.clone(),
                    below,
                    real: entry.real,
                });
            }
            Ok(())
        })
    }

    /// Returns where an object lies on this disk.
    pub(crate) fn object(&self, path: &StorePath) -> Option<&Path> {
        self.objects.get(path).map(|(real, _)| real.as_path())
    }

    /// Returns of how many files, links and directories an object is.
    pub(super) fn nodes(&self, path: &StorePath) -> Option<u64> {
        self.objects.get(path).map(|(_, nodes)| *nodes)
    }

    /// Returns the sets of packages that lie at the root.
    pub(crate) fn sets(&self) -> &[RootSet] {
        &self.sets
    }

    /// Returns what a package has at a path of the root, without a slash first.
    pub(crate) fn at_root(&self, path: &[u8]) -> Option<&RootFile> {
        self.at_root.get(path)
    }
}

/// Returns where two files begin to differ: what is in an image, and what is in the store.
pub(super) fn find_difference(
    real: &Path,
    contents: &mut dyn Read,
) -> Result<Result<Option<u64>, io::Error>, BytesError> {
    let failed = |source| BytesError::File {
        path: real.display().to_string(),
        source,
    };
    let mut file = File::open(real).map_err(failed)?;
    let (mut here, mut there) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let mut offset = 0_u64;
    loop {
        let expected = fill(&mut file, &mut here).map_err(failed)?;
        let found = match fill(contents, &mut there) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let (expected, found) = (&here[..expected], &there[..found]);
        if expected != found {
            let same = expected.iter().zip(found).take_while(|(a, b)| a == b);
            return Ok(Ok(Some(offset + same.count() as u64)));
        }
        if expected.is_empty() {
            return Ok(Ok(None));
        }
        offset += expected.len() as u64;
    }
}

/// Reads until the buffer is full or there is nothing more.
fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
