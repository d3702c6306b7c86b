//! Which digests of an object cannot be replaced.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use serde::{Deserialize, Serialize};
use store::{
    PathDigest, PathInfo,
    scan::{Container, Findings, Needles, Residue, ResidueForm, Scanner, scan_bytes, scan_members},
};

use super::super::{LayerError, Memo, StoredObject, WalkEntry, WalkKind, walk};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// Looks at objects, each once: what it found is remembered.
pub(crate) struct Inspector<'a> {
    pub(crate) memo: &'a Memo,
}

/// The digests that cannot be replaced, by their digits, each with why.
pub(super) type Stuck = BTreeMap<String, String>;

/// What the memo knows of an object. A store path is the digest of what lies there and of what it refers to, so this never gets wrong.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    stuck: Stuck,
}

impl Inspector<'_> {
    /// Returns which digests of itself and its references an object has in a form that cannot be replaced.
    pub(super) fn inspect(
        &self,
        object: &StoredObject,
        info: &PathInfo,
    ) -> Result<Stuck, LayerError> {
        let name = format!("{}.slots", info.path.digest());
        if let Some(Record { stuck }) = self.memo.read(&name) {
            return Ok(stuck);
        }
        let own = std::iter::once(*info.path.digest());
        let references = info.references.iter();
        let digests = own.chain(references.map(|reference| *reference.path.digest()));
        let mut search = Search {
            digests: digests.collect(),
            stuck: Stuck::new(),
        };
        walk(&object.real, b"", &mut |entry| search.look_at(&entry))?;
        let record = Record {
            stuck: search.stuck,
        };
        self.memo.write(&name, &record);
        Ok(record.stuck)
    }
}

struct Search {
    /// Those that can be replaced as far as is known.
    digests: Vec<PathDigest>,
    stuck: Stuck,
}

impl Search {
    fn look_at(&mut self, entry: &WalkEntry) -> Result<(), LayerError> {
        let inner = String::from_utf8_lossy(&entry.path).into_owned();
        let name = entry.path.rsplit(|byte| *byte == b'/').next();
        self.settle(&inner, &mut |needles| {
            let mut findings = scan_bytes(needles, name.unwrap_or_default());
            // A name cannot be replaced: its place among others would change.
            if let Some(found) = findings.occurrences.first() {
                findings.residue.get_or_insert(Residue {
                    scratch: found.scratch,
                    offset: found.offset,
                    form: ResidueForm::Partial,
                });
            }
            Ok(findings)
        })?;
        match &entry.kind {
            WalkKind::Directory => Ok(()),
            WalkKind::Symlink { target } => {
                self.settle(&inner, &mut |needles| Ok(scan_bytes(needles, target)))
            }
            WalkKind::File { .. } => {
                self.settle(&inner, &mut |needles| scan_file(needles, &entry.real))
            }
        }
    }

    /// Scans until nothing is found that cannot be replaced: a scan reports the first such thing only.
    fn settle(
        &mut self,
        inner: &str,
        scan: &mut dyn FnMut(&Needles) -> Result<Findings, LayerError>,
    ) -> Result<(), LayerError> {
        loop {
            let findings = scan(&Needles::new(&[], &self.digests))?;
            let Some(residue) = findings.residue else {
                return Ok(());
            };
            let digest = self.digests.remove(residue.scratch);
            let form = match residue.form {
                ResidueForm::Partial => "in part, or in a name",
                ResidueForm::Utf16 => "in UTF-16",
                ResidueForm::Compressed => "compressed",
            };
            self.stuck
                .insert(digest.to_string(), format!("`{inner}` has it {form}"));
        }
    }
}

/// Looks at a file and into it, where it is compressed.
fn scan_file(needles: &Needles, path: &Path) -> Result<Findings, LayerError> {
    let error = |source| LayerError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(error)?;
    let mut scanner = Scanner::new(needles);
    let mut block = vec![0; BLOCK];
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    loop {
        let count = file.read(&mut block).map_err(error)?;
        if count == 0 {
            break;
        }
        let read = &block[..count];
        scanner.update(read);
        if head.len() < Container::HEAD {
            head.extend_from_slice(&read[..count.min(Container::HEAD)]);
        }
        tail.extend_from_slice(&read[count.saturating_sub(Container::TAIL)..]);
        tail.drain(..tail.len().saturating_sub(Container::TAIL));
    }
    let mut findings = scanner.finish();
    if let Some(container) = Container::detect(&head, &tail) {
        file.seek(SeekFrom::Start(0)).map_err(error)?;
        scan_members(needles, container, &mut file, &mut findings);
    }
    Ok(findings)
}
