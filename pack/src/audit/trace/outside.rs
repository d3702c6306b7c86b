//! Where a file of an image comes from that lies at no store path.

use std::{collections::BTreeMap, fs::File, path::Path};

use serde::Serialize;
use store::{LocalStore, StorePath};

use super::{
    Located, TraceError, Wanted,
    find::{clean, hash},
};
use crate::{
    audit::bytes::{BytesError, Known},
    existing::{AnyPlatform, ClaimedBill, ExistingImage},
    oci::{Digest, annotation},
    rootfs::{is_bill, is_generated},
};

/// Where a file comes from that lies at no store path, by the bill of materials in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Outside {
    /// A package of a distribution, which has it at the root: the same bytes as in the store.
    Package {
        /// The store path of the package.
        object: StorePath,
        /// Its path in that.
        file: String,
    },
    /// The image's specification, which asks for these contents.
    Asked,
    /// The image's specification, which asks for other contents.
    Changed {
        /// The SHA-256 of those, in hexadecimal digits.
        sha256: String,
    },
    /// It is the bill of materials.
    Bill,
    /// Every image has such a file.
    Generated,
    /// The image below.
    Base {
        /// What the image calls that.
        name: Option<String>,
    },
    /// Nothing that the image or the store tells.
    Unknown,
}

/// What the images of a name say of their files, by the digests of their manifests.
#[derive(Debug)]
pub struct Surroundings(BTreeMap<Digest, Surrounding>);

#[derive(Debug)]
struct Surrounding {
    bill: ClaimedBill,
    known: Known,
    base_layers: usize,
    base: Option<String>,
}

impl Surroundings {
    /// Reads the bills of an image, for each of its platforms, and asks the store for what these list.
    pub fn load(store: &LocalStore, image: &ExistingImage<'_>) -> Result<Self, TraceError> {
        let documents = image.documents(None).map_err(BytesError::from)?;
        let mut all = BTreeMap::new();
        for one in &documents.manifests {
            let is_attestation = (one.entry.platform.as_ref()).is_some_and(AnyPlatform::is_unknown);
            if !one.manifest.is_image() || is_attestation {
                continue;
            }
            let bill = image.read_claimed_bill(&one.manifest);
            let bill = bill.map_err(BytesError::from)?;
            let annotations = &one.manifest.annotations;
            let surrounding = Surrounding {
                known: Known::load(store, &bill.packages)?,
                bill,
                base_layers: one.manifest.base_count(None).unwrap_or(0),
                base: annotations.get(annotation::BASE_NAME).cloned(),
            };
            all.insert(one.entry.digest, surrounding);
        }
        Ok(Self(all))
    }

    /// Says where a file comes from, which was found where it was `wanted`.
    pub fn find(&self, at: &Located, wanted: &Wanted) -> Result<Outside, TraceError> {
        match self.0.get(&at.manifest) {
            Some(surrounding) => surrounding.find(at, wanted),
            None => Ok(Outside::Unknown),
        }
    }
}

impl Surrounding {
    fn find(&self, at: &Located, wanted: &Wanted) -> Result<Outside, TraceError> {
        let path = at.path.trim_start_matches('/').as_bytes();
        // A base has links where the bill has directories.
        let said = match wanted {
            Wanted::Path(wanted) => clean(wanted),
            Wanted::Contents(_) => path.to_vec(),
        };
        let files = &self.bill.files;
        if at.layer_number <= self.base_layers {
            return Ok(Outside::Base {
                name: self.base.clone(),
            });
        }
        if let Some(sha256) = files.get(path).or_else(|| files.get(&said)) {
            return Ok(match *sha256 == at.sha256 {
                true => Outside::Asked,
                false => Outside::Changed {
                    sha256: sha256.clone(),
                },
            });
        }
        if let Some(found) = self.known.at_root(path)
            && digest_of(&found.real)?.to_hex() == at.sha256
        {
            return Ok(Outside::Package {
                object: found.object.clone(),
                file: String::from_utf8_lossy(&found.below).into_owned(),
            });
        }
        if self.bill.packages.is_empty() || !is_generated(path) {
            return Ok(Outside::Unknown);
        }
        Ok(match is_bill(path) {
            true => Outside::Bill,
            false => Outside::Generated,
        })
    }
}

/// Returns the digest of a file of the store.
fn digest_of(real: &Path) -> Result<Digest, TraceError> {
    let read = File::open(real).and_then(|mut file| hash(&mut file));
    let failed = |source| BytesError::File {
        path: real.display().to_string(),
        source,
    };
    Ok(read.map_err(failed)?)
}
