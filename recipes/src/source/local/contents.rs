//! What the files of a source are, by content.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;
use store::{BlobId, EntryName, Node, SymlinkTarget, Tree, TreeEntry, TreeError};

use super::LocalError;
use super::known::KnownFiles;
use super::rules::LocalRules;
use super::secrets::{self, HEAD_BYTES, Secret};
use super::stat::Stat;
use super::survey::{Entry, EntryKind, Survey, below, check_unchanged, failed, open};

/// Read at once.
const BUFFER_BYTES: usize = 128 << 10;

/// The contents of a source.
#[derive(Debug)]
pub struct Contents {
    /// What an object of these files has for a root.
    pub root: Node,
    /// What need not be read the next time.
    pub known: KnownFiles,
    /// How many files had to be read.
    pub files_read: usize,
}

/// What was found out about one file.
enum Found {
    Known(BlobId),
    Read(BlobId),
    Secret(Secret),
}

impl Survey {
    /// Hashes the files, but for those that are `known`, and refuses what looks like a secret.
    ///
    /// `listed` is when the survey began, in seconds since 1970. A file that was changed about then, or later, is not known
    /// the next time: it may change once more without a sign.
    pub fn contents(
        &self,
        rules: &LocalRules<'_>,
        known: &KnownFiles,
        listed: i64,
    ) -> Result<Contents, LocalError> {
        let found: Vec<Option<Found>> = self
            .entries
            .par_iter()
            .map(|entry| match &entry.kind {
                EntryKind::File { stat, .. } => self.find(entry, stat, rules, known).map(Some),
                _ => Ok(None),
            })
            .collect::<Result<_, LocalError>>()?;
        self.refuse_secrets(&found)?;
        let mut settled = KnownFiles::default();
        let mut blobs = Vec::with_capacity(found.len());
        let mut files_read = 0;
        for (entry, found) in self.entries.iter().zip(found) {
            files_read += usize::from(matches!(found, Some(Found::Read(_))));
            let blob = match found {
                Some(Found::Known(blob) | Found::Read(blob)) => Some(blob),
                _ => None,
            };
            if let (EntryKind::File { stat, .. }, Some(blob)) = (&entry.kind, blob)
                && stat.is_settled(listed)
            {
                settled.insert(&entry.path, *stat, blob);
            }
            blobs.push(blob);
        }
        Ok(Contents {
            root: self.root(&blobs)?,
            known: settled,
            files_read,
        })
    }

    fn find(
        &self,
        entry: &Entry,
        stat: &Stat,
        rules: &LocalRules<'_>,
        known: &KnownFiles,
    ) -> Result<Found, LocalError> {
        // What was known was no secret when it was read, or allowed.
        if let Some(blob) = known.find(&entry.path, stat) {
            return Ok(Found::Known(blob));
        }
        let (blob, head) = read(&below(&self.from, &entry.path), stat)?;
        let path = entry.path.to_string_lossy();
        if self.is_single() || rules.may_look_secret(&path) {
            return Ok(Found::Read(blob));
        }
        let secret = secrets::recognise(&path, &head);
        Ok(secret.map_or(Found::Read(blob), Found::Secret))
    }

    fn refuse_secrets(&self, found: &[Option<Found>]) -> Result<(), LocalError> {
        let secrets = self.entries.iter().zip(found);
        let mut files: Vec<(String, Secret)> = secrets
            .filter_map(|(entry, found)| match found {
                Some(Found::Secret(secret)) => {
                    Some((entry.path.to_string_lossy().into_owned(), *secret))
                }
                _ => None,
            })
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        files.sort();
        Err(LocalError::Secrets {
            directory: self.from.clone(),
            files,
        })
    }

    /// Puts trees together from the leaves up: what is in a directory comes after it.
    fn root(&self, blobs: &[Option<BlobId>]) -> Result<Node, LocalError> {
        let mut unfinished: BTreeMap<&Path, Vec<TreeEntry>> = BTreeMap::new();
        for (entry, blob) in self.entries.iter().zip(blobs).rev() {
            let path = entry.path.as_path();
            let wrong = |source: TreeError| LocalError::Tree {
                path: below(&self.from, path),
                source,
            };
            let node = match (&entry.kind, blob) {
                (EntryKind::File { stat, executable }, Some(blob)) => Node::File {
                    blob: *blob,
                    size: stat.size(),
                    executable: *executable,
                },
                (EntryKind::Symlink { target }, _) => Node::Symlink {
                    target: SymlinkTarget::new(target.as_os_str().as_bytes()).map_err(wrong)?,
                },
                _ => Tree::from_entries(unfinished.remove(path).unwrap_or_default())
                    .map_err(wrong)?
                    .to_node(),
            };
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Ok(node);
            };
            let name = EntryName::new(name.as_bytes()).map_err(wrong)?;
            let siblings = unfinished.entry(parent).or_default();
            siblings.push(TreeEntry { name, node });
        }
        Ok(Tree::default().to_node())
    }
}

/// Returns the digest of a file and its first bytes.
fn read(path: &Path, listed: &Stat) -> Result<(BlobId, Vec<u8>), LocalError> {
    let mut file = open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut head = Vec::new();
    let expected = usize::try_from(listed.size()).unwrap_or(usize::MAX);
    let mut buffer = vec![0; expected.clamp(1, BUFFER_BYTES)];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result.map_err(failed(path))?,
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        hasher.update(bytes);
        let missing = HEAD_BYTES.saturating_sub(head.len()).min(bytes.len());
        head.extend_from_slice(bytes.get(..missing).unwrap_or_default());
    }
    check_unchanged(path, &file, listed)?;
    Ok((BlobId::from_bytes(*hasher.finalize().as_bytes()), head))
}
