//! A base image, read as far as others have to know it.

use store::LocalStore;

use super::{BaseError, BaseObjects, BaseTree, Inherited, find_objects, recall_objects};
use crate::{
    existing::{AnyManifest, AnyPlatform, Entry, ExistingError, ExistingImage},
    layer::{Compression, Memo},
    oci::{Descriptor, DiffId, Digest, ManifestType, Platform},
};

/// An image that others lie on: for one platform, with its entries and how it is run.
///
/// ```no_run
/// use pack::{Base, Image, ImageSpec, PackOptions, existing::ExistingImage};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, hello): (store::LocalStore, store::StorePath) = unimplemented!();
/// let spec = ImageSpec::new("hello".parse()?);
/// let debian = ExistingImage::open("debian.tar".as_ref(), None)?;
/// let base = Base::load(&debian, &spec.platform)?;
/// let image = Image::on_base(&store, &[hello], &spec, &PackOptions::default(), &|_| (), base)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Base<'a> {
    image: &'a ExistingImage<'a>,
    name: Option<String>,
    digest: Digest,
    layers: Vec<Entry>,
    diff_ids: Vec<DiffId>,
    pub(crate) inherited: Inherited,
    pub(crate) tree: BaseTree,
    /// The store objects that it has, by what their contents are.
    pub(crate) objects: BaseObjects,
}

/// What is found in the layers of a base.
struct Contents {
    tree: BaseTree,
    objects: BaseObjects,
}

impl<'a> Base<'a> {
    /// Reads what `image` has for `platform`: its documents, and each layer, of which only the names, links and owners of its entries are kept, and the digests of
    /// store objects in those of this crate.
    pub fn load(image: &'a ExistingImage<'a>, platform: &Platform) -> Result<Self, BaseError> {
        Self::with_contents(image, platform, |manifest, _| {
            Ok(Contents {
                tree: BaseTree::read(image, &manifest.layers)?,
                objects: find_objects(image, manifest)?,
            })
        })
    }

    /// As [`load`](Self::load), but of layers that were read before with this store, it reads nothing: what is in them is remembered in `var/layers`. Their bytes
    /// are compared with their digests when they are copied.
    pub fn recall(
        image: &'a ExistingImage<'a>,
        platform: &Platform,
        store: &LocalStore,
    ) -> Result<Self, BaseError> {
        let memo = Memo::new(&store.layers_dir());
        Self::with_contents(image, platform, |manifest, digest| {
            Ok(Contents {
                tree: BaseTree::recall(image, &manifest.layers, &memo)?,
                objects: recall_objects(image, manifest, digest, &memo)?,
            })
        })
    }

    fn with_contents(
        image: &'a ExistingImage<'a>,
        platform: &Platform,
        read: impl FnOnce(&AnyManifest, Digest) -> Result<Contents, ExistingError>,
    ) -> Result<Self, BaseError> {
        let wanted = AnyPlatform {
            architecture: architecture(platform),
            os: platform.os.clone(),
            // Bases say `v8` of arm64 or nothing, and mean the same.
            variant: None,
            os_version: None,
        };
        let documents = image.documents(Some(&wanted))?;
        let no_image = || BaseError::NoImage {
            base: image.name().to_owned(),
        };
        let [only] = documents.manifests.as_slice() else {
            return Err(no_image());
        };
        if !only.manifest.is_image() {
            return Err(no_image());
        }
        let config = image.read_config(&only.manifest)?;
        let bytes = image.read_small_blob(&only.manifest.config)?;
        let inherited = Inherited::parse(&bytes).map_err(|source| ExistingError::Document {
            image: image.name().to_owned(),
            document: only.manifest.config.digest.to_string(),
            source,
        })?;
        let layers = only.manifest.layers.clone();
        let diff_ids: Vec<DiffId> = config.rootfs.diff_ids.into_iter().map(DiffId).collect();
        if layers.len() != diff_ids.len() {
            return Err(BaseError::Layers {
                base: image.name().to_owned(),
                layers: layers.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let Contents { tree, objects } = read(&only.manifest, only.entry.digest)?;
        Ok(Self {
            image,
            name: image.image_name()?.map(|name| name.to_string()),
            digest: only.entry.digest,
            tree,
            objects,
            layers,
            diff_ids,
            inherited,
        })
    }

    /// Returns what the base is called, if it says so: not where it was read from, which is no property of it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the digest of its manifest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the image that it is read from.
    pub(crate) const fn image(&self) -> &'a ExistingImage<'a> {
        self.image
    }

    /// Returns its layers, the lowest first, as it names them.
    pub(crate) fn layers(&self) -> &[Entry] {
        &self.layers
    }

    /// Returns the digests of its layers, uncompressed.
    pub(crate) fn diff_ids(&self) -> &[DiffId] {
        &self.diff_ids
    }

    /// Returns its layers as a manifest of the wanted type names them.
    pub(crate) fn descriptors(
        &self,
        manifest_type: ManifestType,
    ) -> Result<Vec<Descriptor>, BaseError> {
        let descriptor = |layer: &Entry| {
            let compression = Compression::from_media_type(&layer.media_type);
            let media_type = compression.and_then(|one| one.media_type_in(manifest_type));
            let media_type = media_type.ok_or_else(|| BaseError::MediaType {
                base: self.image.name().to_owned(),
                manifest_type,
                media_type: layer.media_type.clone(),
            })?;
            Ok(Descriptor::new(media_type, layer.digest, layer.size_bytes))
        };
        self.layers.iter().map(descriptor).collect()
    }
}

fn architecture(platform: &Platform) -> String {
    let text = platform.to_string();
    let word = text.rsplit_once('/').map_or("", |(_, word)| word);
    word.to_owned()
}
