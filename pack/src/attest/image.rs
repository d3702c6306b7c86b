//! What a bill says of an image as a whole.

use sha2::{Digest as _, Sha512};

use super::{Checksum, Subject, SubjectKind};
use crate::{Image, ImageError, ImageName, rootfs::RootEntry};

impl Image<'_> {
    /// Describes this image for a bill, by the digest of its manifest; of one that is in a registry, where it is. Costs what
    /// [`manifest_digest`](Self::manifest_digest) does.
    pub fn subject(&self, place: Option<&ImageName>) -> Result<Subject, ImageError> {
        let assembled = self.assembled()?;
        let digest = assembled.manifest_descriptor.digest;
        let sha512 = Sha512::digest(&assembled.manifest);
        let sha512: String = sha512.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = self.name().base_name();
        let purl = place.map(|place| {
            let place = format!("{}/{}", place.registry(), place.repository());
            let place = place.replace(':', "%3A");
            let hex = digest.to_hex();
            format!("pkg:oci/{name}@sha256%3A{hex}?repository_url={place}")
        });
        let generated = self.root().iter().filter_map(|(path, entry)| match entry {
            RootEntry::File { contents, .. } => {
                let path = path.to_string();
                Some((path.trim_start_matches('/').to_owned(), contents.clone()))
            }
            _ => None,
        });
        Ok(Subject {
            kind: SubjectKind::Image,
            name: name.to_owned(),
            version: Some(
                self.version()
                    .map_or_else(|| digest.to_string(), str::to_owned),
            ),
            purl,
            checksums: vec![Checksum::sha256(digest.to_hex()), Checksum::sha512(sha512)],
            generated: generated.collect(),
        })
    }
}
