//! A large file beside an image: a bundle of sources.

use std::{fs::File, io::Read as _, path::Path};

use bytes::Bytes;
use serde_json::json;
use store::registry::{Begun, Repository};

use super::{SignError, attestation::subject_of, referrer::attach_blob, referrers::Referrers};
use crate::{
    Image,
    oci::{Digest, DigestWriter, ImageName},
};

/// The media type of a bundle of sources, which is a tar.
pub const SOURCES: &str = "application/vnd.pith.sources.v1+tar";
/// What the file is called by who takes it out of the registry. OCI image-spec 1.1, annotations.md.
const TITLE: &str = "org.opencontainers.image.title";
/// How much of it is in memory.
const CHUNK_BYTES: usize = 8 << 20;

impl Image<'_> {
    /// Keeps a bundle of sources, a tar, beside this image, which was pushed as `name`. A bundle that the registry has is not sent again.
    pub fn attach_sources(
        &self,
        name: &ImageName,
        repository: &Repository,
        bundle: &Path,
    ) -> Result<(), SignError> {
        let what = name.to_string();
        let referrers = Referrers {
            repository,
            what: &what,
        };
        let (digest, size_bytes) = hash(bundle)?;
        send(&referrers, bundle, digest)?;
        let layer = json!({
            "mediaType": SOURCES,
            "digest": digest,
            "size": size_bytes,
            "annotations": {TITLE: "sources.tar"},
        });
        let subject = subject_of(&self.manifest_descriptor()?);
        attach_blob(&referrers, &subject, SOURCES, &layer)
    }
}

fn hash(path: &Path) -> Result<(Digest, u64), SignError> {
    let mut hasher = DigestWriter::default();
    read(path, CHUNK_BYTES, &mut |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    let size_bytes = hasher.size_bytes();
    Ok((hasher.finish(), size_bytes))
}

fn send(referrers: &Referrers<'_>, path: &Path, digest: Digest) -> Result<(), SignError> {
    let (repository, what) = (referrers.repository, referrers.what);
    let digest = digest.to_string();
    let failed = |source| referrers.failed(source);
    if repository.has_blob(&digest, what).map_err(failed)? {
        return Ok(());
    }
    let Begun::Upload(mut upload) = repository.begin_upload(None, what).map_err(failed)? else {
        return Ok(());
    };
    let mut last = Bytes::new();
    let chunk_bytes = upload.chunk_bytes(CHUNK_BYTES);
    read(path, chunk_bytes, &mut |bytes| {
        let before = std::mem::replace(&mut last, Bytes::copy_from_slice(bytes));
        match before.is_empty() {
            true => Ok(()),
            false => upload.append(&before).map_err(failed),
        }
    })?;
    upload.finish(last, &digest).map_err(failed)
}

/// Hands a file over in pieces of one size, only the last of which may be shorter.
fn read(
    path: &Path,
    piece_bytes: usize,
    receive: &mut dyn FnMut(&[u8]) -> Result<(), SignError>,
) -> Result<(), SignError> {
    let failed = |source| SignError::File {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut piece = Vec::with_capacity(piece_bytes);
    loop {
        piece.clear();
        let limit = piece_bytes as u64;
        file.by_ref()
            .take(limit)
            .read_to_end(&mut piece)
            .map_err(failed)?;
        if piece.is_empty() {
            return Ok(());
        }
        receive(&piece)?;
    }
}
