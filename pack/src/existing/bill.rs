//! The bill of materials that an image of this crate has in it, read again.

use super::{
    AnyManifest, AnyPlatform, BillPackage, Entry, ExistingError, ExistingImage, clean, join,
    parse_bill, split,
};
use crate::{
    layer::Compression,
    oci::{Digest, annotation},
    rootfs::is_bill,
};

/// Bytes of a bill that are read at most: one package has some 700.
const MAX_BILL_BYTES: u64 = 64 << 20;

/// Whether an image says that this crate made it.
pub(crate) fn is_ours(manifest: &AnyManifest) -> bool {
    manifest
        .annotations
        .contains_key(annotation::FORMAT_VERSION)
}

/// Where an image says what it lies on: OCI image-spec 1.1, annotations.md.
const BASE: [&str; 2] = [
    "org.opencontainers.image.base.name",
    "org.opencontainers.image.base.digest",
];

/// The bill of one of the images that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBill {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The bill as it lies in the image; none where there is none.
    pub bytes: Option<Vec<u8>>,
    /// The image whose layers its own lie on, as it says itself; the bill says nothing of these.
    pub base: Option<String>,
}

impl ExistingImage<'_> {
    /// Reads the bills in the images of a name, for each platform or one, as their bytes.
    pub fn bills(&self, platform: Option<&AnyPlatform>) -> Result<Vec<ImageBill>, ExistingError> {
        let documents = self.documents(platform)?;
        let images = documents.manifests.iter().filter(|one| {
            let platform = one.entry.platform.as_ref();
            !platform.is_some_and(AnyPlatform::is_unknown) && one.manifest.is_image()
        });
        images
            .map(|one| {
                let found = self.read_bill_bytes(&one.manifest)?;
                let annotations = &one.manifest.annotations;
                let base = BASE.iter().find_map(|key| annotations.get(*key));
                Ok(ImageBill {
                    base: base.cloned(),
                    manifest: one.entry.digest,
                    bytes: found.map(|(_, bytes)| bytes),
                })
            })
            .collect()
    }

    /// Returns what the bills in images of this crate say, all platforms together, ascending by store path; empty where there is none.
    pub fn bill(&self) -> Result<Vec<BillPackage>, ExistingError> {
        let mut packages = Vec::new();
        for one in &self.documents(None)?.manifests {
            packages.extend(self.read_bill(&one.manifest)?.unwrap_or_default());
        }
        packages.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        packages.dedup_by(|next, first| next.path == first.path);
        Ok(packages)
    }

    /// Reads the bill in an image of this crate; `None` where there is none. Reads layers, the highest first, until it is found: it is in the highest one of its own.
    pub(crate) fn read_bill(
        &self,
        manifest: &AnyManifest,
    ) -> Result<Option<Vec<BillPackage>>, ExistingError> {
        let Some((document, bytes)) = self.read_bill_bytes(manifest)? else {
            return Ok(None);
        };
        parse_bill(&bytes)
            .map(Some)
            .map_err(|source| ExistingError::Document {
                image: self.name().to_owned(),
                document,
                source,
            })
    }

    /// Returns where the bill is, and its bytes.
    ///
    /// What is believed lies in the highest layer that this crate wrote. A layer of others above it may not have a bill, nor remove the one below.
    fn read_bill_bytes(
        &self,
        manifest: &AnyManifest,
    ) -> Result<Option<(String, Vec<u8>)>, ExistingError> {
        if !is_ours(manifest) {
            return Ok(None);
        }
        let own = self.read_config(manifest)?.own_layers();
        for (index, layer) in manifest.layers.iter().enumerate().rev() {
            if Compression::from_media_type(&layer.media_type).is_none() {
                continue;
            }
            if own.get(index) != Some(&true) {
                self.refuse_other_bill(layer)?;
            } else if let Some(found) = self.find_bill(layer)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_bill(&self, layer: &Entry) -> Result<Option<(String, Vec<u8>)>, ExistingError> {
        let mut reader = self.open_layer(layer)?;
        while let Some(member) = reader.next_member()? {
            if is_bill(&clean(&member.path)) {
                let bytes = reader.read_contents(member.size_bytes.min(MAX_BILL_BYTES))?;
                reader.finish()?;
                let path = String::from_utf8_lossy(&member.path);
                return Ok(Some((path.into_owned(), bytes)));
            }
        }
        Ok(None)
    }

    /// Fails where a layer that somebody else wrote has a bill or hides one.
    fn refuse_other_bill(&self, layer: &Entry) -> Result<(), ExistingError> {
        let mut reader = self.open_layer(layer)?;
        loop {
            let member = match reader.next_member() {
                Ok(Some(member)) => member,
                // What others write may be no whole tar, which is for whoever validates; its bytes are those that the manifest names.
                Ok(None) | Err(ExistingError::Layer { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let path = clean(&member.path);
            if is_bill(&path) || hides_bill(&path, member.flag) {
                return Err(ExistingError::ForeignBill {
                    image: self.name().to_owned(),
                    layer: layer.digest,
                    path: String::from_utf8_lossy(&path).into_owned(),
                });
            }
        }
    }
}

/// Whether an entry takes the place of the directory of bills or of one above it, or of what is in them. OCI image-spec 1.1, layer.md, "Whiteouts".
fn hides_bill(path: &[u8], flag: u8) -> bool {
    const DIRECTORIES: [&[u8]; 4] = [b"", b"usr", b"usr/share", b"usr/share/sbom"];
    let (directory, name) = split(path);
    match name.strip_prefix(b".wh.") {
        Some(b".wh..opq") => DIRECTORIES.contains(&directory),
        Some(hidden) => {
            let hidden = join(directory, hidden);
            DIRECTORIES.contains(&&hidden[..]) || is_bill(&hidden)
        }
        None => flag != b'5' && DIRECTORIES.contains(&path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_hidden_by_what_removes_or_replaces_it_or_a_directory_above_it() {
        for (path, flag) in [
            ("usr/share/sbom/.wh.hello.spdx.json", b'0'),
            ("usr/share/sbom/.wh..wh..opq", b'0'),
            ("usr/share/.wh.sbom", b'0'),
            (".wh.usr", b'0'),
            ("usr/.wh..wh..opq", b'0'),
            ("usr/share/sbom", b'2'),
            ("usr", b'0'),
        ] {
            assert!(hides_bill(path.as_bytes(), flag), "{path}");
        }
        for (path, flag) in [
            ("usr/share", b'5'),
            ("usr/share/sbom/.wh.notes", b'0'),
            ("usr/evil", b'0'),
            ("srv/.wh..wh..opq", b'0'),
        ] {
            assert!(!hides_bill(path.as_bytes(), flag), "{path}");
        }
    }
}
