//! What a bill says of an image as a whole.

use sha2::{Digest as _, Sha512};

use super::{Checksum, Subject, SubjectBase, SubjectKind, bill::image_purl};
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
        let purl = Some(image_purl(name, place, digest));
        let base = self.below.as_ref().map(|below| SubjectBase {
            // A name that is none of an image's is left out: the digest says it all.
            name: below.base.name().and_then(|name| name.parse().ok()),
            digest: below.base.digest(),
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
            base,
            generated: generated.collect(),
        })
    }
}
