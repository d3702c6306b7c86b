//! What images have that are made here, kept for manifests that were pushed.
//!
//! `HEAD` says of a blob of a made image that it is there, so nobody sends it. A manifest that was pushed names it all the same, and has to be answered also
//! when that image is another one or is not made any more: what it names is copied among what was pushed.

use std::{net::IpAddr, sync::Arc};

use store::serve::{Denied, blocking};

use super::{
    depot::{Depot, OpenUpload},
    document::Document,
    facts::{Facts, facts_of},
    layer::encode_layer,
    packed::{Blob, Packed},
    refusal::RegistryRefusal,
    route::{AnyDigest, Reference},
    service::{RegistryService, depot},
};
use crate::layer::Encoded;

/// What only made images have of all that a manifest names.
#[derive(Default)]
struct Adopted {
    blobs: Vec<(AnyDigest, Arc<Packed>)>,
    manifests: Vec<(Document, Facts)>,
}

impl RegistryService {
    /// Copies among what was pushed what a manifest names and an image has that was made here. What is nowhere stays missing.
    pub(super) async fn adopt(
        self: &Arc<Self>,
        name: &str,
        facts: Arc<Facts>,
        client: IpAddr,
    ) -> Result<(), RegistryRefusal> {
        let (service, into) = (Arc::clone(self), name.to_owned());
        let adopted = blocking(move || service.find_adopted(&into, &facts)).await?;
        if adopted.blobs.is_empty() && adopted.manifests.is_empty() {
            return Ok(());
        }
        let turn = self.layers.turn(client).await?;
        let (service, into) = (Arc::clone(self), name.to_owned());
        blocking(move || {
            let depot = depot(&service)?;
            for (digest, packed) in &adopted.blobs {
                keep_blob(depot, &into, digest, packed)?;
            }
            for (document, facts) in &adopted.manifests {
                // A blob of it that was forgotten meanwhile is missed by whoever asks for the manifest.
                depot.put_manifest(&into, document, None, facts)?;
            }
            drop(turn);
            Ok(())
        })
        .await
    }

    /// Blocks.
    fn find_adopted(&self, name: &str, facts: &Facts) -> Result<Adopted, RegistryRefusal> {
        let depot = depot(self)?;
        let mut adopted = Adopted::default();
        for digest in &facts.manifests {
            let reference = Reference::Digest(digest.clone());
            if depot.manifest(name, &reference)?.is_some() {
                continue;
            }
            let made = self.images.known(name, digest, Packed::has_manifest);
            if let Some(document) = made.and_then(|packed| packed.manifest(digest)) {
                let (_, facts) = facts_of(&document.bytes, &document.media_type)?;
                adopted.manifests.push((document, facts));
            }
        }
        let of_images = adopted.manifests.iter().flat_map(|(_, facts)| &facts.blobs);
        for digest in facts.blobs.iter().chain(of_images) {
            if depot.open_blob(name, digest)?.is_none()
                && let Some(packed) = self.images.known(name, digest, Packed::has_blob)
            {
                adopted.blobs.push((digest.clone(), packed));
            }
        }
        Ok(adopted)
    }
}

/// Makes a blob of an image one of a repository.
fn keep_blob(
    depot: &Depot,
    name: &str,
    digest: &AnyDigest,
    packed: &Packed,
) -> Result<(), RegistryRefusal> {
    // The images of an index share layers.
    if depot.open_blob(name, digest)?.is_some() {
        return Ok(());
    }
    let id = depot.begin_upload()?.ok_or(Denied::Busy)?;
    let mut upload = depot.open_upload(&id)?.ok_or(RegistryRefusal::NoUpload)?;
    if let Err(error) = write_blob(&mut upload, digest, packed) {
        upload.forget()?;
        return Err(error);
    }
    match depot.finish_upload(upload, name, digest)? {
        None => Ok(()),
        Some(found) => Err(RegistryRefusal::WrongDigest {
            expected: digest.to_string(),
            found: found.to_string(),
        }),
    }
}

fn write_blob(
    upload: &mut OpenUpload,
    digest: &AnyDigest,
    packed: &Packed,
) -> Result<(), RegistryRefusal> {
    match packed.blob(digest) {
        None => Ok(()),
        Some(Blob::Bytes(bytes)) => Ok(upload.append(bytes)?),
        Some(Blob::Layer { image, layer, .. }) => {
            encode_layer(packed, image, layer, &mut |encoded| match encoded {
                Encoded::Bytes(bytes) => Ok(upload.append(bytes)?),
                Encoded::Begin(_) | Encoded::End(..) => Ok(()),
            })
        }
    }
}
