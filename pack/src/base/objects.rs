//! Which store objects a base has, so that an image on it need not bring them.
//!
//! An object counts where it lies whole in one layer that this crate wrote, by its entries, where its contents are those that its path is the digest of, and
//! where no layer of others has touched it. What bills say is used for the digests of references, which are part of that digest: a bill that lies makes no
//! object of anything else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::{ObjectId, StorePath};

use crate::{
    existing::{
        AnyManifest, BillPackage, Depth, Entry, ExistingError, ExistingImage, clean, join, split,
    },
    layer::Memo,
    oci::{Digest, to_canonical_json},
    validate::FoundObject,
};

/// The objects of a base.
pub(crate) type BaseObjects = BTreeMap<StorePath, ObjectId>;

const STORE: &[u8] = b"pith/store";
/// The directories whose loss is the loss of all objects.
const ABOVE: [&[u8]; 3] = [b"", b"pith", STORE];

/// What is remembered of a base.
#[derive(Serialize, Deserialize)]
struct Record {
    objects: BTreeMap<String, String>,
    /// Of the objects: what was damaged is no record.
    digest: Digest,
}

/// What was found in the layers up to one of them.
#[derive(Default)]
struct Search {
    objects: BaseObjects,
    /// What others have touched, or two layers have differently.
    spoilt: BTreeSet<StorePath>,
}

/// Finds the objects of a base. Reads its layers, or nothing where the image does not say that this crate made any of them.
pub(crate) fn find_objects(
    image: &ExistingImage<'_>,
    manifest: &AnyManifest,
) -> Result<BaseObjects, ExistingError> {
    let read = || {
        let found = image.read_own_layers(manifest, Depth::All)?;
        let packages = image.parse_own(&found)?.unwrap_or_default();
        Ok((found, packages))
    };
    let (found, packages) = match read() {
        Ok(read) => read,
        // What is in such an image, nothing tells; it is a base all the same.
        Err(ExistingError::ForeignBill { .. } | ExistingError::Document { .. }) => {
            return Ok(BaseObjects::new());
        }
        Err(error) => return Err(error),
    };
    if packages.is_empty() {
        return Ok(BaseObjects::new());
    }
    let bill = packages.iter().map(|package| (&package.path, package));
    let bill = bill.collect();
    let mut search = Search::default();
    for (index, layer) in manifest.layers.iter().enumerate() {
        match found.is_described(index) {
            true => search.read_own(image, layer, &bill)?,
            false => search.read_foreign(image, layer)?,
        }
    }
    Ok(search.objects)
}

/// As [`find_objects`], unless `memo` knows what was found in the image with this manifest before.
pub(crate) fn recall_objects(
    image: &ExistingImage<'_>,
    manifest: &AnyManifest,
    digest: Digest,
    memo: &Memo,
) -> Result<BaseObjects, ExistingError> {
    let name = format!("{}.objects", digest.to_hex());
    if let Some(objects) = memo.read(&name).and_then(understand) {
        return Ok(objects);
    }
    let objects = find_objects(image, manifest)?;
    let texts = objects.iter();
    let texts: BTreeMap<String, String> = texts
        .map(|(path, id)| (path.to_string(), id.to_string()))
        .collect();
    let digest = Digest::of(&to_canonical_json(&texts));
    let objects_of = Record {
        objects: texts,
        digest,
    };
    memo.write(&name, &objects_of);
    Ok(objects)
}

fn understand(record: Record) -> Option<BaseObjects> {
    if Digest::of(&to_canonical_json(&record.objects)) != record.digest {
        return None;
    }
    let objects = record.objects.iter();
    objects
        .map(|(path, id)| Some((path.parse().ok()?, id.parse().ok()?)))
        .collect()
}

impl Search {
    /// Takes the objects of a layer of this crate.
    fn read_own(
        &mut self,
        image: &ExistingImage<'_>,
        layer: &Entry,
        bill: &BTreeMap<&StorePath, &BillPackage>,
    ) -> Result<(), ExistingError> {
        let mut found: BTreeMap<StorePath, FoundObject> = BTreeMap::new();
        let mut wrong = BTreeSet::new();
        let mut reader = image.open_layer(layer)?;
        while let Some(member) = reader.next_member()? {
            let path = clean(&member.path);
            let Some((object, below)) = in_store(&path) else {
                continue;
            };
            let of_it = found.entry(object.clone()).or_default();
            let problem = of_it.take(&object, below, &member, &mut reader);
            if problem.map_err(|source| reader.unread(source))?.is_some() {
                wrong.insert(object);
            }
        }
        for (path, object) in found {
            let id = (bill.get(&path)).and_then(|package| id_of(&path, &object, package, bill));
            let id = id.filter(|_| !wrong.contains(&path));
            match (id, self.objects.get(&path)) {
                (Some(id), None) => drop(self.objects.insert(path, id)),
                (Some(id), Some(known)) if id == *known => {}
                _ => drop(self.spoilt.insert(path)),
            }
        }
        self.forget_spoilt();
        Ok(())
    }

    /// Takes out what a layer of others has something in or removes.
    fn read_foreign(
        &mut self,
        image: &ExistingImage<'_>,
        layer: &Entry,
    ) -> Result<(), ExistingError> {
        let mut reader = image.open_layer(layer)?;
        while let Some(member) = reader.next_member()? {
            self.spoil(&clean(&member.path), member.flag == b'5');
        }
        self.forget_spoilt();
        Ok(())
    }

    fn spoil(&mut self, path: &[u8], is_directory: bool) {
        let (directory, name) = split(path);
        let place = match name.strip_prefix(b".wh.") {
            // OCI image-spec 1.1, layer.md, "Opaque Whiteout".
            Some(b".wh..opq") => directory.to_vec(),
            Some(hidden) => join(directory, hidden),
            None if is_directory && ABOVE.contains(&path) => return,
            None => path.to_vec(),
        };
        if ABOVE.contains(&&place[..]) {
            self.spoilt
                .extend(std::mem::take(&mut self.objects).into_keys());
        } else if let Some((object, _)) = in_store(&place) {
            self.spoilt.insert(object);
        }
    }

    fn forget_spoilt(&mut self) {
        let spoilt = &self.spoilt;
        self.objects.retain(|path, _| !spoilt.contains(path));
    }
}

/// Returns the digest of what lies at a store path, if the path is that of it and the bill says so.
fn id_of(
    path: &StorePath,
    object: &FoundObject,
    package: &BillPackage,
    bill: &BTreeMap<&StorePath, &BillPackage>,
) -> Option<ObjectId> {
    let references = package.references.iter();
    let references: Option<Vec<ObjectId>> = references
        .map(|path| bill.get(path).map(|package| package.id))
        .collect();
    let id = object.id(path, &references?).ok()?;
    (id.path_digest() == *path.digest() && id == package.id).then_some(id)
}

/// Takes a path apart that lies at a store path.
pub(super) fn in_store(path: &[u8]) -> Option<(StorePath, &[u8])> {
    let rest = path.strip_prefix(STORE)?.strip_prefix(b"/")?;
    let end = rest.iter().position(|byte| *byte == b'/');
    let (name, below) = rest.split_at(end.unwrap_or(rest.len()));
    let object = str::from_utf8(name).ok()?.parse().ok()?;
    Some((object, below.strip_prefix(b"/").unwrap_or(below)))
}

#[cfg(test)]
mod tests {
    use store::PathDigest;

    use super::*;

    fn path(seed: u8) -> StorePath {
        let name = "thing".parse().expect("a name");
        StorePath::new(PathDigest::from_bytes([seed; 25]), name)
    }

    fn search() -> Search {
        let id = ObjectId::from_bytes([1; 32]);
        Search {
            objects: [(path(1), id), (path(2), id)].into(),
            ..Search::default()
        }
    }

    #[test]
    fn what_others_touch_or_remove_is_spoilt_and_the_rest_stays() {
        let one = format!("pith/store/{}", path(1));
        for (touched, is_directory, left) in [
            (one.as_str(), true, 1),
            (&format!("{one}/bin/new"), false, 1),
            (&format!("{one}/.wh.bin"), false, 1),
            (&format!("{one}/.wh..wh..opq"), false, 1),
            (&format!("pith/store/.wh.{}", path(1)), false, 1),
            ("pith/.wh.store", false, 0),
            (".wh.pith", false, 0),
            ("pith/store/.wh..wh..opq", false, 0),
            (".wh..wh..opq", false, 0),
            ("pith", false, 0),
            ("pith", true, 2),
            ("pith/store", true, 2),
            ("pith/other", false, 2),
            ("usr/bin/new", false, 2),
            ("usr/.wh.bin", false, 2),
        ] {
            let mut search = search();
            search.spoil(touched.as_bytes(), is_directory);
            search.forget_spoilt();
            assert_eq!(search.objects.len(), left, "{touched}");
        }
    }

    #[test]
    fn a_record_that_was_changed_is_none() {
        let objects: BTreeMap<String, String> = search()
            .objects
            .iter()
            .map(|(path, id)| (path.to_string(), id.to_string()))
            .collect();
        let digest = Digest::of(&to_canonical_json(&objects));
        let record = |objects: &BTreeMap<String, String>| Record {
            objects: objects.clone(),
            digest,
        };
        assert_eq!(understand(record(&objects)), Some(search().objects));
        let mut fewer = objects.clone();
        fewer.pop_first();
        assert_eq!(understand(record(&fewer)), None);
    }
}
