//! A closure into a stream.

use std::io::{Read, Write};

use super::{
    ExportError,
    contents::{Content, contents_of},
    payload::{PART, PayloadWriter},
};
use crate::{
    BlobId, LocalStore, PathInfo, StorePath, Watch,
    cache::format::{MAX_HINT, MAX_MANIFEST, MAX_OBJECTS, MAX_RECORDS, ObjectRecord},
    local::Progress,
    sys::files::at,
    tree::{TreeBundle, printable},
    trust::{SignatureSet, Signatures, SignedRealisation},
};

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Objects, references first.
    pub objects: Vec<StorePath>,
    /// Bytes of the stream.
    pub stream_bytes: u64,
}

/// Writes objects with all that they refer to into a stream.
///
/// They are protected until it returns. Each file is hashed while it is read: what is damaged is never exported. The same facts give the same stream.
pub fn export(
    store: &LocalStore,
    paths: &[StorePath],
    output: &mut dyn Write,
    watch: &Watch<'_>,
) -> Result<Exported, ExportError> {
    let lease = store.lease()?;
    store.hold(&lease, paths)?;
    let closure = store.closure(paths)?;
    let infos = closure.infos();
    if infos.is_empty() || infos.len() > MAX_OBJECTS {
        return Err(ExportError::TooLarge {
            what: "the number of objects",
        });
    }
    (watch.progress)(Progress::Started {
        objects: infos.len() as u64,
        bytes: closure.size_bytes(),
    });
    let mut writer = PayloadWriter::begin(output)?;
    let count = u32::try_from(infos.len()).map_err(|_| ExportError::TooLarge {
        what: "the number of objects",
    })?;
    writer.put(&count.to_le_bytes())?;
    let mut record_bytes = 0;
    let mut realisations = Vec::with_capacity(infos.len());
    for info in infos {
        let signatures = store.find_signatures(&info.id)?;
        let record = record_of(info, &signatures)?.encode()?;
        record_bytes += record.len();
        if record_bytes > MAX_RECORDS {
            return Err(ExportError::TooLarge {
                what: "the records",
            });
        }
        writer.put_text(&record)?;
        realisations.push(realisations_of(store, info, signatures)?);
    }
    for text in realisations {
        writer.put_text(&text)?;
    }
    for info in infos {
        let bundle = load_trees(store, info)?.encode();
        if bundle.len() > MAX_MANIFEST {
            return Err(ExportError::TooLarge {
                what: "the trees of an object",
            });
        }
        writer.put_text(&bundle)?;
    }
    for info in infos {
        let bundle = load_trees(store, info)?;
        let contents = contents_of(&info.root, &bundle).ok_or_else(|| ExportError::Record {
            path: info.path.clone(),
        })?;
        for content in contents {
            if watch.is_cancelled() {
                return Err(ExportError::Interrupted);
            }
            put_content(store, info, &content, &mut writer, watch)?;
        }
    }
    Ok(Exported {
        objects: closure.paths().cloned().collect(),
        stream_bytes: writer.finish()?,
    })
}

fn load_trees(store: &LocalStore, info: &PathInfo) -> Result<TreeBundle, ExportError> {
    let contents = store.load_contents(info);
    let contents = contents.ok_or_else(|| ExportError::Record {
        path: info.path.clone(),
    })?;
    Ok(contents.bundle)
}

/// Returns the record of an object with all its signatures.
fn record_of(info: &PathInfo, signatures: &Signatures) -> Result<ObjectRecord, ExportError> {
    let mut record = ObjectRecord::from_path_info(info)?;
    if let Some(signed) = &signatures.component {
        let mut written = record.clone();
        // A component that was replaced since is not the one that was signed.
        if written.set_component_text(&signed.json).is_ok()
            && written.info().component == info.component
        {
            record = written;
            record.component_signatures = signed.signatures.clone();
        }
    }
    record.signatures = signatures.object.clone();
    Ok(record)
}

/// Returns what is known to have been built to an object, signed or not.
fn realisations_of(
    store: &LocalStore,
    info: &PathInfo,
    signatures: Signatures,
) -> Result<Vec<u8>, ExportError> {
    let mut all: Vec<SignedRealisation> = signatures.realisations;
    for realisation in store.find_realisations_of(&info.id)? {
        if !all.iter().any(|known| known.realisation == realisation) {
            all.push(SignedRealisation {
                realisation,
                signatures: SignatureSet::default(),
            });
        }
    }
    let text = serde_json::to_vec(&all)
        .map_err(|error| ExportError::Write(std::io::Error::from(error)))?;
    if text.len() > MAX_HINT {
        return Err(ExportError::TooLarge {
            what: "the realisations of an object",
        });
    }
    Ok(text)
}

fn put_content(
    store: &LocalStore,
    info: &PathInfo,
    content: &Content,
    writer: &mut PayloadWriter<'_>,
    watch: &Watch<'_>,
) -> Result<(), ExportError> {
    let file = printable(&content.path);
    let damaged = || ExportError::Damaged {
        path: info.path.clone(),
        file: file.clone(),
    };
    let mut open = store
        .open_in(&info.path, &content.path)
        .ok_or_else(damaged)?
        .take(content.size);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PART.min(usize::try_from(content.size).unwrap_or(PART))];
    let mut left = content.size;
    while left > 0 {
        let count = open
            .read(&mut buffer)
            .map_err(at("read", store.real_path(&info.path).join(&file)))?;
        if count == 0 {
            return Err(damaged());
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        hasher.update(bytes);
        writer.put(bytes)?;
        left -= count as u64;
        (watch.progress)(Progress::Advanced {
            bytes: count as u64,
        });
    }
    if BlobId::from_bytes(*hasher.finalize().as_bytes()) == content.blob {
        Ok(())
    } else {
        Err(damaged())
    }
}
