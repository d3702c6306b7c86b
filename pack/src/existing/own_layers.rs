//! Which layers of an image this crate wrote, and the bill of materials in them.
//!
//! What an image says of its layers is believed only as far as they are written so: by the entries, as [`validate`](crate::validate()) judges them, and by their
//! order, for the bill lies in the highest layer that this crate writes.

use std::collections::BTreeMap;

use super::{
    AnyConfig, AnyManifest, BaseLayer, BelowImage, BillPackage, Entry, ExistingError,
    ExistingImage, clean, describe, join, listed_files, parse_bill, split,
};
use crate::{
    layer::{Below, Compression, Written},
    oci::annotation,
    rootfs::is_bill,
};

/// Bytes of a bill that are read at most: one package has some 700.
const MAX_BILL_BYTES: u64 = 64 << 20;

/// How many of the layers of an image are looked into to tell who wrote them. Those of a base are as far as they are said to be of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// From the highest one down to that with the bill.
    ToBill,
    /// All.
    All,
}

/// What was found in the layers of an image of this crate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnLayers {
    /// Where the bill lies, and its bytes.
    pub(crate) bill: Option<(String, Vec<u8>)>,
    /// The layers above those of a base that this crate did not write, by their places, and what shows it.
    pub(crate) foreign: BTreeMap<usize, String>,
    /// How many of the lowest layers are those of a base.
    pub(crate) base: usize,
    /// The images of this crate among them, the highest first.
    pub(crate) below: Vec<BelowImage>,
}

impl OwnLayers {
    /// Returns for a layer of the base whether a bill speaks of it; nothing for the image's own.
    pub(crate) fn of_base(&self, layer: usize) -> Option<BaseLayer> {
        (layer < self.base).then(|| describe(&self.below, layer))
    }

    /// Whether a bill speaks of a layer, of the image's own or of its base.
    pub(crate) fn is_described(&self, layer: usize) -> bool {
        match self.of_base(layer) {
            Some(of_base) => of_base == BaseLayer::Described,
            None => self.bill.is_some() && !self.foreign.contains_key(&layer),
        }
    }

    /// Whether bills speak of all layers of the base.
    pub(crate) fn is_base_described(&self) -> bool {
        (0..self.base).all(|layer| self.of_base(layer) == Some(BaseLayer::Described))
    }
}

/// What was found in one layer.
#[derive(Debug, Default)]
pub(super) struct FoundLayer {
    /// The first entry that this crate does not write so.
    pub(super) problem: Option<String>,
    pub(super) bill: Option<(String, Vec<u8>)>,
    /// An entry that is a bill, or hides one.
    pub(super) in_the_way: Option<Vec<u8>>,
}

/// What the bill of an image says, whether all of its layer is written so or not.
#[derive(Debug, Default)]
pub(crate) struct ClaimedBill {
    /// Of store paths; ascending.
    pub(crate) packages: Vec<BillPackage>,
    /// Of files that the image's specification asks for, by where they lie: the SHA-256 of their contents.
    pub(crate) files: BTreeMap<Vec<u8>, String>,
}

/// Whether an image says that this crate made it.
pub(crate) fn is_ours(manifest: &AnyManifest) -> bool {
    manifest
        .annotations
        .contains_key(annotation::FORMAT_VERSION)
}

impl ExistingImage<'_> {
    /// Tells which layers of an image are this crate's. Nothing is found in an image that does not say that this crate made it.
    ///
    /// Fails where a layer of others has a bill above that of this crate or hides that, and where two layers of this crate have one: nothing tells which counts.
    pub(crate) fn read_own_layers(
        &self,
        manifest: &AnyManifest,
        depth: Depth,
    ) -> Result<OwnLayers, ExistingError> {
        let mut found = OwnLayers::default();
        let Some(config) = self.read_our_config(manifest)? else {
            return Ok(found);
        };
        let own = config.own_layers();
        let base = manifest.base_count(Some(&config)).unwrap_or(0);
        let below = match base {
            0 => Below::Nothing,
            _ => Below::Base,
        };
        found.base = base;
        found.below = self.read_below(manifest, &config, base)?;
        let mut of_bill = None;
        for (index, layer) in manifest.layers.iter().enumerate().skip(base).rev() {
            let is_tar = Compression::from_media_type(&layer.media_type).is_some();
            if own.get(index) != Some(&true) || !is_tar {
                let reason = match is_tar {
                    true => "the image does not say that pith wrote it",
                    false => "it is no tar of a kind that pith writes",
                };
                found.foreign.insert(index, reason.to_owned());
                if of_bill.is_none() && is_tar {
                    self.refuse_other_bill(layer)?;
                }
                continue;
            }
            if of_bill.is_some() && depth == Depth::ToBill {
                continue;
            }
            let one = self.read_own_layer(layer, below)?;
            match (one.problem, one.bill, of_bill) {
                (Some(problem), _, of_bill) => {
                    if let (Some(path), None) = (one.in_the_way, of_bill) {
                        return Err(self.foreign_bill(layer, &path));
                    }
                    found.foreign.insert(index, problem);
                }
                (None, Some((path, _)), Some(of_bill)) => {
                    return Err(self.foreign_bill(of_bill, path.as_bytes()));
                }
                (None, Some(bill), None) => {
                    found.bill = Some(bill);
                    of_bill = Some(layer);
                }
                (None, None, None) => {
                    if let Some(path) = one.in_the_way {
                        return Err(self.foreign_bill(layer, &path));
                    }
                    let reason = "it lies above the bill, which is in the highest layer of pith";
                    found.foreign.insert(index, reason.to_owned());
                }
                (None, None, Some(_)) => {}
            }
        }
        Ok(found)
    }

    /// Reads the configuration of an image that says that this crate made it.
    fn read_our_config(&self, manifest: &AnyManifest) -> Result<Option<AnyConfig>, ExistingError> {
        let config = match is_ours(manifest) {
            true => Some(self.read_config(manifest)?),
            // Whoever does not say so may have any configuration.
            false => self.read_config(manifest).ok(),
        };
        Ok(config.filter(|config| manifest.names_us(Some(config))))
    }

    /// Returns the bill in the highest layer that has one and of which the image says that this crate wrote it, whatever else is in that layer: for who accounts
    /// for all of it. Fails as [`read_own_layers`](Self::read_own_layers) where the image says that the layer is of others.
    pub(crate) fn read_claimed_bill(
        &self,
        manifest: &AnyManifest,
    ) -> Result<ClaimedBill, ExistingError> {
        let Some(config) = self.read_our_config(manifest)? else {
            return Ok(ClaimedBill::default());
        };
        let own = config.own_layers();
        let base = manifest.base_count(Some(&config)).unwrap_or(0);
        for (index, layer) in manifest.layers.iter().enumerate().skip(base).rev() {
            if Compression::from_media_type(&layer.media_type).is_none() {
                continue;
            }
            if own.get(index) != Some(&true) {
                self.refuse_other_bill(layer)?;
                continue;
            }
            if let Some(bill) = self.read_own_layer(layer, Below::Nothing)?.bill {
                return self.read_claims(&bill);
            }
        }
        Ok(ClaimedBill::default())
    }

    /// Reads a bill: where it lies, and its bytes.
    pub(crate) fn read_claims(
        &self,
        (document, bytes): &(String, Vec<u8>),
    ) -> Result<ClaimedBill, ExistingError> {
        Ok(ClaimedBill {
            packages: self.understand(document, parse_bill(bytes))?,
            files: self.understand(document, listed_files(bytes))?,
        })
    }

    /// Reads a layer of which an image says that this crate wrote it.
    pub(super) fn read_own_layer(
        &self,
        layer: &Entry,
        below: Below,
    ) -> Result<FoundLayer, ExistingError> {
        let mut found = FoundLayer::default();
        let mut written = Written::new(below);
        let mut reader = self.open_layer(layer)?;
        while let Some(member) = reader.next_member()? {
            let path = clean(&member.path);
            if let Some(problem) = written.take(&member)
                && found.problem.is_none()
            {
                let path = String::from_utf8_lossy(&member.path);
                found.problem = Some(format!("the entry `{path}` {problem}"));
            }
            let is_bill = is_bill(&path);
            if is_bill && member.flag == b'0' && found.bill.is_none() {
                let bytes = reader.read_contents(member.size_bytes.min(MAX_BILL_BYTES))?;
                let path = String::from_utf8_lossy(&path);
                found.bill = Some((path.into_owned(), bytes));
            }
            if is_bill || hides_bill(&path, member.flag) {
                found.in_the_way.get_or_insert(path);
            }
        }
        Ok(found)
    }

    /// Fails where a layer that somebody else wrote has a bill or hides one.
    pub(super) fn refuse_other_bill(&self, layer: &Entry) -> Result<(), ExistingError> {
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
                return Err(self.foreign_bill(layer, &path));
            }
        }
    }

    fn foreign_bill(&self, layer: &Entry, path: &[u8]) -> ExistingError {
        ExistingError::ForeignBill {
            image: self.name().to_owned(),
            layer: layer.digest,
            path: String::from_utf8_lossy(path).into_owned(),
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
