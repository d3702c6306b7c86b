//! An image on another base: the layers of the old one out, those of the new one in.

use std::collections::{BTreeMap, BTreeSet};

use serde::de;
use serde_json::{Value, json};
use store::StorePath;

use super::{BaseTree, find_objects, refit::Refit};
use crate::{
    existing::{
        AnyManifest, AnyPlatform, Depth, Documents, Entry, ExistingError, ExistingImage, Rebased,
        blob_name, parse_bill, tag_of,
    },
    oci::{Digest, annotation, media_type, to_canonical_json},
};

/// One image for one platform, with its documents as they are.
struct Part {
    read: AnyManifest,
    manifest: Value,
    config: Value,
    digest: Digest,
    platform: AnyPlatform,
}

impl Part {
    fn read(
        image: &ExistingImage<'_>,
        platform: Option<&AnyPlatform>,
    ) -> Result<Self, ExistingError> {
        let documents: Documents = image.documents(platform)?;
        let [only] = documents.manifests.as_slice() else {
            let manifests = documents.manifests.iter();
            let platforms = manifests.filter_map(|one| one.entry.platform.as_ref());
            return Err(ExistingError::Platforms {
                image: image.name().to_owned(),
                found: platforms.map(ToString::to_string).collect(),
            });
        };
        let bytes = documents
            .all
            .iter()
            .find(|document| document.entry.digest == only.entry.digest)
            .map(|document| document.bytes.as_slice());
        let digest = only.entry.digest;
        let config = image.read_small_blob(&only.manifest.config)?;
        Ok(Self {
            manifest: read_parts(
                image,
                &digest.to_string(),
                bytes.unwrap_or_default(),
                &["", "/config", "/annotations"],
            )?,
            config: read_parts(image, "its configuration", &config, &["", "/rootfs"])?,
            digest,
            read: only.manifest.clone(),
            platform: image.read_config(&only.manifest)?.platform,
        })
    }

    fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
        let found = value.pointer(pointer).and_then(Value::as_array);
        found.map(Vec::as_slice).unwrap_or_default()
    }

    fn annotation(&self, name: &str) -> Option<&Value> {
        self.manifest.get("annotations")?.get(name)
    }

    fn diff_ids(&self) -> &[Value] {
        Self::list(&self.config, "/rootfs/diff_ids")
    }

    fn layers(&self) -> &[Value] {
        Self::list(&self.manifest, "/layers")
    }

    fn history(&self) -> &[Value] {
        Self::list(&self.config, "/history")
    }
}

/// Reads a document in which something is to be written at each of `pointers`: objects, if they are there.
///
/// A list of the same values would be understood, too, and nothing could be written into it.
fn read_parts(
    image: &ExistingImage<'_>,
    name: &str,
    bytes: &[u8],
    pointers: &[&str],
) -> Result<Value, ExistingError> {
    let document: Value = image.parse(name, bytes)?;
    for pointer in pointers {
        let part = document.pointer(pointer);
        if part.is_some_and(|part| !part.is_object() && !part.is_null()) {
            return Err(ExistingError::Document {
                image: image.name().to_owned(),
                document: name.to_owned(),
                source: de::Error::custom(format_args!("`{pointer}` is no object")),
            });
        }
    }
    Ok(document)
}

impl<'a> ExistingImage<'a> {
    /// Returns this image with the layers of `new` in the place of those of `old`, which must be its lowest ones. Nothing is written: the result is copied and pushed as
    /// any other image. How it is run stays as it is. An image that was packed on its base is refused where what it has in its own layers was made for the old base alone,
    /// and where it was packed without an object that the old base has and the new one has not.
    pub fn rebase(
        &'a self,
        platform: Option<&AnyPlatform>,
        old: &ExistingImage<'_>,
        new: &'a Self,
    ) -> Result<Self, ExistingError> {
        let image = Part::read(self, platform)?;
        let old_part = Part::read(old, Some(&image.platform))?;
        let new_part = Part::read(new, Some(&image.platform))?;
        let count = old_part.diff_ids().len();
        let is_lowest = image.diff_ids().starts_with(old_part.diff_ids());
        if !is_lowest || count == 0 || image.layers().len() != image.diff_ids().len() {
            return Err(ExistingError::NotItsBase {
                image: self.name().to_owned(),
                base: old.name().to_owned(),
            });
        }
        let is_fitted = image.annotation(annotation::BASE_LAYERS).is_some();
        if is_fitted {
            let refit = Refit {
                old: BaseTree::read(old, &old.entries(&old_part)?)?,
                new: BaseTree::read(new, &new.entries(&new_part)?)?,
            };
            let own = refit.check(self, &self.entries(&image)?[count..])?;
            self.check_objects(&image, &own, (new, &new_part))?;
        }
        let join = |mine: &[Value], of_new: &[Value]| -> Vec<Value> {
            of_new.iter().chain(mine).cloned().collect()
        };
        let mut config = image.config.clone();
        config["rootfs"]["diff_ids"] = json!(join(&image.diff_ids()[count..], new_part.diff_ids()));
        // What an image says of its base's making is not always what the base says, and a base may say nothing.
        let mine = image.history().strip_prefix(old_part.history());
        let history = mine.map(|mine| join(mine, new_part.history()));
        let layers = image.layers().len() - count + new_part.layers().len();
        let about_layers = |history: &Vec<Value>| {
            let entries = history.iter();
            entries.filter(|entry| entry["empty_layer"] != true).count() == layers
        };
        if let Some(history) = history.filter(about_layers) {
            config["history"] = json!(history);
        } else if let Some(config) = config.as_object_mut() {
            config.remove("history");
        }
        let config = to_canonical_json(&config);
        let mut manifest = image.manifest.clone();
        manifest["config"]["digest"] = json!(Digest::of(&config));
        manifest["config"]["size"] = json!(config.len());
        manifest["layers"] = json!(join(&image.layers()[count..], new_part.layers()));
        manifest["annotations"][annotation::BASE_DIGEST] = json!(new_part.digest);
        manifest["annotations"][annotation::BASE_NAME] = json!(
            new.image_name()?
                .map_or_else(|| new.name().to_owned(), |name| name.to_string())
        );
        if is_fitted {
            let layers = new_part.layers().len().to_string();
            manifest["annotations"][annotation::BASE_LAYERS] = json!(layers);
        }
        let manifest = to_canonical_json(&manifest);
        let kind = self.kind_of(&image);
        self.rebased(new, &new_part, &kind, config, manifest)
    }

    /// Fails where the image needs an object that is neither in its own layers, which have `own`, nor in the new base.
    fn check_objects(
        &self,
        image: &Part,
        own: &BTreeSet<StorePath>,
        (new, new_part): (&ExistingImage<'_>, &Part),
    ) -> Result<(), ExistingError> {
        // An image whose store paths have other names brings all of them.
        if image.annotation(annotation::SLOTS).is_some() {
            return Ok(());
        }
        let found = self.read_own_layers(&image.read, Depth::ToBill)?;
        let Some((document, bytes)) = &found.bill else {
            return Ok(());
        };
        let needed = self.understand(document, parse_bill(bytes))?;
        let mut needed = needed
            .iter()
            .filter(|one| !own.contains(&one.path))
            .peekable();
        if needed.peek().is_none() {
            return Ok(());
        }
        let there = find_objects(new, &new_part.read)?;
        match needed.find(|one| there.get(&one.path) != Some(&one.id)) {
            None => Ok(()),
            Some(missing) => Err(ExistingError::NotInBase {
                image: self.name().to_owned(),
                base: new.name().to_owned(),
                path: missing.path.clone(),
            }),
        }
    }

    fn entries(&self, part: &Part) -> Result<Vec<Entry>, ExistingError> {
        let layers = Value::from(part.layers().to_vec());
        serde_json::from_value(layers).map_err(|source| ExistingError::Document {
            image: self.name().to_owned(),
            document: part.digest.to_string(),
            source,
        })
    }

    /// The media type of the manifest of a part.
    fn kind_of(&self, part: &Part) -> String {
        let named = part.manifest["mediaType"].as_str();
        named.unwrap_or(media_type::MANIFEST).to_owned()
    }

    fn rebased(
        &'a self,
        new: &'a Self,
        new_part: &Part,
        kind: &str,
        config: Vec<u8>,
        manifest: Vec<u8>,
    ) -> Result<Self, ExistingError> {
        let digest = Digest::of(&manifest);
        let mut entry = json!({"mediaType": kind, "digest": digest, "size": manifest.len()});
        let old_entry = self.entry()?;
        if tag_of(&old_entry).is_some() {
            let names = [annotation::REF_NAME, annotation::CONTAINERD_NAME];
            for name in names {
                if let Some(value) = old_entry.annotations.get(name) {
                    entry["annotations"][name] = json!(value);
                }
            }
        }
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        let layers = new_part.layers().iter();
        let base_layers = layers.filter_map(|layer| layer["digest"].as_str()?.parse().ok());
        let marker = json!({"imageLayoutVersion": "1.0.0"});
        let documents = BTreeMap::from([
            ("index.json".to_owned(), to_canonical_json(&index)),
            ("oci-layout".to_owned(), to_canonical_json(&marker)),
            (blob_name(&Digest::of(&config)), config),
            (blob_name(&digest), manifest),
        ]);
        Ok(Self::of_rebased(
            format!("{} on {}", self.name(), new.name()),
            Rebased {
                image: self,
                base: new,
                base_layers: base_layers.collect(),
                documents,
            },
        ))
    }
}
