//! The account of an image: what its layers are made of, in numbers, and what is wrong with them.

use std::collections::BTreeSet;

use serde::Serialize;
use store::LocalStore;

use super::{
    ByteFinding, ByteOrigin, BytesError,
    accounter::Accounter,
    part::{There, parts_of},
};
use crate::{
    existing::{AnyPlatform, ExistingImage, ManifestDocument},
    oci::Digest,
};

/// The account of an image for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accounting {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// What it runs on.
    pub platform: String,
    /// Its layers, the lowest first.
    pub layers: Vec<LayerAccount>,
    /// What is wrong, in the order of the layers; what can only be said of all of them comes last.
    pub findings: Vec<ByteFinding>,
}

/// The account of one layer.
///
/// `header_bytes`, the bytes of all shares, `padding_bytes` and `end_bytes` together are `tar_bytes`, unless a finding says that the layer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerAccount {
    /// Its digest.
    pub digest: Digest,
    /// Its size in a registry.
    pub size_bytes: u64,
    /// Its size as tar.
    pub tar_bytes: u64,
    /// Headers of entries.
    pub header_bytes: u64,
    /// Zeros that fill the last block of a file.
    pub padding_bytes: u64,
    /// The end of the archive.
    pub end_bytes: u64,
    /// Its entries, by where they come from; ascending.
    pub shares: Vec<Share>,
}

/// What of a layer comes from one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Where it comes from.
    pub origin: ByteOrigin,
    /// How many entries.
    pub entries: u64,
    /// The contents of its files.
    pub bytes: u64,
}

impl LayerAccount {
    /// Whether every byte of the layer is in exactly one of the sums.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let shares = self.shares.iter().map(|share| share.bytes);
        let others = [self.header_bytes, self.padding_bytes, self.end_bytes];
        shares.chain(others).sum::<u64>() == self.tar_bytes
    }
}

impl Accounting {
    /// Returns how many entries, and bytes in them, come from what `is` chooses.
    #[must_use]
    pub fn total(&self, is: impl Fn(&ByteOrigin) -> bool) -> (u64, u64) {
        let shares = self.layers.iter().flat_map(|layer| &layer.shares);
        let chosen = shares.filter(|share| is(&share.origin));
        chosen.fold((0, 0), |(entries, bytes), share| {
            (entries + share.entries, bytes + share.bytes)
        })
    }
}

/// Accounts for every byte of the layers of an image, for each of its platforms.
///
/// `allowed` are files and directories, without a slash first, that the image's specification asks for. With a store, files are compared with those in it.
pub fn account(
    image: &ExistingImage<'_>,
    store: Option<&LocalStore>,
    allowed: &BTreeSet<Vec<u8>>,
) -> Result<Vec<Accounting>, BytesError> {
    let documents = image.documents(None)?;
    let mut accounts = Vec::new();
    for one in &documents.manifests {
        let is_attestation = (one.entry.platform.as_ref()).is_some_and(AnyPlatform::is_unknown);
        if one.manifest.is_image() && !is_attestation {
            accounts.push(account_one(image, one, store, allowed)?);
        }
    }
    Ok(accounts)
}

/// Accounts for the image for one platform: those of this crate that it lies on first, each by its own bill.
pub(super) fn account_one(
    image: &ExistingImage<'_>,
    one: &ManifestDocument,
    store: Option<&LocalStore>,
    allowed: &BTreeSet<Vec<u8>>,
) -> Result<Accounting, BytesError> {
    let manifest = &one.manifest;
    let config = image.read_config(manifest)?;
    let mut accounting = Accounting {
        manifest: one.entry.digest,
        platform: config.platform.to_string(),
        layers: Vec::new(),
        findings: Vec::new(),
    };
    let mut there = There::default();
    for part in &parts_of(image, manifest, &config)? {
        let documents = (manifest, &config);
        let accounter = Accounter::new(image, documents, part, store, allowed, there)?;
        let (layers, findings, now) = accounter.run(part)?;
        accounting.layers.extend(layers);
        accounting.findings.extend(findings);
        there = now;
    }
    Ok(accounting)
}
