//! An image: layers, configuration and manifest. Immutable and lazy.
//!
//! Making an [`Image`] reads the database and a few directories, and plans. The bytes of a layer are made when a sink wants them, and only those that it
//! does not have. What a layer became is remembered in the store (`var/layers`), so the digest of an image that was packed before is known without reading
//! a file.

use std::{collections::BTreeMap, num::NonZero, path::Path, sync::Arc};

use store::{Lease, PathInfo, StorePath};

use super::{
    Assembled, ImageError, ImageReport, ImageSpec, LayerReport, PathReport, assemble, foreign,
    root::{Root, RootInputs},
    sets::RootSets,
};
use crate::{
    Event,
    layer::{
        Compression, Encoded, Encoder, Layer, LayerDigests, LayerError, LayerPlan, Memo, PlanPath,
        StoredObject,
    },
    oci::{Descriptor, Digest, ImageConfig, ImageName, Platform, index_entry, to_canonical_json},
    rootfs::{RootTree, User},
    start::{Start, StartError, View},
};

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// How layers are compressed.
    pub compression: Compression,
    /// The largest number of layers, 1 to 100.
    pub max_layers: usize,
    /// Whether the program that the image runs must be one that starts: it, its interpreter and its libraries are in the image.
    pub check_start: bool,
    /// How many threads compress; as many as there are processors where it is `None`. No byte depends on it.
    pub threads: Option<NonZero<usize>>,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            // Pulls stop getting cheaper at about 14 layers, and each costs 70 to 110 ms to load.
            max_layers: 16,
            check_start: true,
            threads: None,
        }
    }
}

/// What a closure is given as: the database's records, and where the objects lie.
pub(crate) struct ClosureParts<'a> {
    /// All records of the closure.
    pub(crate) infos: Vec<PathInfo>,
    /// The requested packages, in the order of the request.
    pub(crate) requested: &'a [StorePath],
    /// The directory of the objects.
    pub(crate) real_path: &'a dyn Fn(&StorePath) -> std::path::PathBuf,
    /// The directory of the memo.
    pub(crate) layers_dir: &'a Path,
}

/// One image: immutable, and lazy.
///
/// Making it reads the database and plans; [`write`](Self::write) makes the bytes of the layers that an output lacks. Nothing is made twice that the memo of
/// the store knows.
///
/// ```no_run
/// use pack::{Format, Image, ImageSpec, PackOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, hello): (store::LocalStore, store::StorePath) = unimplemented!();
/// let spec = ImageSpec::new("hello".parse()?);
/// let image = Image::new(&store, &[hello], &spec, &PackOptions::default(), &|_| ())?;
/// let written = image.write(Format::Archive, "hello.tar".as_ref())?;
/// assert_eq!(written.manifest_digest, Some(image.manifest_digest()?));
/// # Ok(())
/// # }
/// ```
pub struct Image<'a> {
    pub(crate) name: ImageName,
    pub(crate) root: RootTree,
    pub(crate) layers: Vec<Layer>,
    /// Ascending by store path.
    pub(crate) objects: Vec<Arc<StoredObject>>,
    requested: Vec<StorePath>,
    pub(crate) user: User,
    config: ImageConfig,
    annotations: BTreeMap<String, String>,
    pub(crate) options: PackOptions,
    pub(crate) memo: Memo,
    pub(crate) events: &'a (dyn Fn(Event<'_>) + Sync),
    /// Keeps the objects in the store as long as the image may read them.
    pub(super) lease: Option<Lease>,
}

/// What is known of each layer of an image.
pub(crate) type KnownLayers = Vec<Option<LayerDigests>>;

impl<'a> Image<'a> {
    pub(crate) fn from_closure(
        parts: ClosureParts<'_>,
        spec: &ImageSpec,
        options: &PackOptions,
        events: &'a (dyn Fn(Event<'_>) + Sync),
    ) -> Result<Self, ImageError> {
        let mut infos = parts.infos;
        infos.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        infos.dedup_by(|a, b| a.path == b.path);
        let sets = RootSets::load(parts.requested, parts.real_path)?;
        let objects: Vec<Arc<StoredObject>> = infos
            .iter()
            .map(|info| {
                Arc::new(StoredObject {
                    real: (parts.real_path)(&info.path),
                    path: info.path.clone(),
                    size_bytes: info.size_bytes,
                    nodes: info.nodes,
                    place: sets.place(&info.path),
                })
            })
            .collect();
        let by_path: BTreeMap<&StorePath, (&Arc<StoredObject>, &PathInfo)> = objects
            .iter()
            .zip(&infos)
            .map(|(object, info)| (&info.path, (object, info)))
            .collect();
        let requested: Vec<_> = parts
            .requested
            .iter()
            .filter_map(|path| by_path.get(path).copied())
            .collect();
        if requested.is_empty() {
            return Err(ImageError::NoPackage);
        }

        foreign::check(&spec.platform, requested.iter().map(|(o, _)| &***o), &sets)?;
        let root = RootInputs {
            spec,
            requested: &requested.iter().map(|(o, _)| &***o).collect::<Vec<_>>(),
            objects: &objects.iter().map(|object| &**object).collect::<Vec<_>>(),
            infos: &infos,
            sets: &sets,
        }
        .build()?;
        if options.check_start {
            check_start(&root, &objects, spec)?;
        }
        let plan = LayerPlan::new(&plan_paths(&infos, parts.requested), options.max_layers)?;
        let mut groups: Vec<Vec<Arc<StoredObject>>> = plan
            .layers()
            .iter()
            .map(|paths| {
                let objects = paths.iter().filter_map(|path| by_path.get(path));
                objects.map(|(object, _)| Arc::clone(object)).collect()
            })
            .collect();
        let mut layers = Vec::with_capacity(groups.len() + 1);
        let shared = if options.max_layers == 1 {
            groups.pop().unwrap_or_default()
        } else {
            Vec::new()
        };
        layers.extend(groups.into_iter().map(|group| Layer::new(group, None)));
        layers.push(Layer::new(shared, Some(&root.tree)));

        let requested_infos: Vec<&PathInfo> = requested.iter().map(|(_, info)| *info).collect();
        Ok(Self {
            name: spec.name.clone(),
            config: assemble::config(spec, &root, &layers),
            annotations: assemble::annotations(spec, &requested_infos),
            user: root.user,
            root: root.tree,
            layers,
            requested: parts.requested.to_vec(),
            objects,
            options: options.clone(),
            memo: Memo::new(parts.layers_dir),
            events,
            lease: None,
        })
    }

    /// Returns the whole name.
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// Returns what it runs on.
    pub const fn platform(&self) -> &Platform {
        &self.config.platform
    }

    /// Returns how it is run, without its layers.
    pub(crate) const fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns the layers, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the generated entries of the root.
    pub const fn root(&self) -> &RootTree {
        &self.root
    }

    /// Returns the digest of the manifest. Makes every layer that was never made before, and forgets its bytes again.
    pub fn manifest_digest(&self) -> Result<Digest, ImageError> {
        let mut known = self.find_layers();
        let missing = missing(&known);
        self.encode(&missing, &mut known, &mut |_| Ok::<_, LayerError>(()))?;
        let digests: Vec<_> = known.into_iter().flatten().collect();
        Ok(self.assemble(&digests).manifest_descriptor.digest)
    }

    /// Returns the figures of the image; those of the layers as far as they are known.
    pub fn report(&self) -> ImageReport {
        let known = self.find_layers();
        let all: Option<Vec<LayerDigests>> = known.iter().copied().collect();
        let assembled = all.map(|layers| self.assemble(&layers));
        let layers = self.layers.iter().zip(&known);
        ImageReport {
            name: self.name.to_string(),
            platform: self.config.platform.to_string(),
            manifest_digest: assembled.as_ref().map(|a| a.manifest_descriptor.digest),
            closure_size_bytes: self.objects.iter().map(|object| object.size_bytes).sum(),
            root_size_bytes: self.root.size_bytes(),
            image_size_bytes: assembled.as_ref().map(|assembled| {
                let blobs = assembled
                    .layers
                    .iter()
                    .chain([&assembled.config_descriptor, &assembled.manifest_descriptor]);
                blobs.map(|blob| blob.size_bytes).sum()
            }),
            layers: layers
                .map(|(layer, known)| self.report_layer(layer).with_digests(known.as_ref()))
                .collect(),
        }
    }

    fn report_layer(&self, layer: &Layer) -> LayerReport {
        let paths: Vec<PathReport> = layer
            .objects()
            .map(|object| PathReport {
                path: object.path.clone(),
                size_bytes: object.size_bytes,
                requested: self.requested.contains(&object.path),
            })
            .collect();
        let generated = layer.has_generated();
        let root_bytes = if generated { self.root.size_bytes() } else { 0 };
        LayerReport {
            file_size_bytes: root_bytes + paths.iter().map(|path| path.size_bytes).sum::<u64>(),
            paths,
            generated,
            diff_id: None,
            digest: None,
            size_bytes: None,
        }
    }

    /// Returns what the memo knows of the layers.
    pub(crate) fn find_layers(&self) -> KnownLayers {
        let compression = self.options.compression;
        self.layers
            .iter()
            .map(|layer| self.memo.find(layer.recipe(), compression))
            .collect()
    }

    /// Makes the layers with the given indices and hands their bytes to `receive`. What they become is remembered, and put into `known`; a layer that
    /// was known and has other bytes now is an error.
    pub(crate) fn encode<E: From<LayerError>>(
        &self,
        wanted: &[usize],
        known: &mut KnownLayers,
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if wanted.is_empty() {
            return Ok(());
        }
        let objects = wanted
            .iter()
            .flat_map(|&index| self.layers[index].objects());
        (self.events)(Event::Started {
            layers: wanted.len(),
            file_bytes: objects.map(|object| object.size_bytes).sum(),
        });
        self.encode_with(self.options.threads, wanted, known, receive)
    }

    /// Does what [`encode`](Self::encode) does, on so many threads, and does not say that it begins.
    pub(crate) fn encode_with<E: From<LayerError>>(
        &self,
        threads: Option<NonZero<usize>>,
        wanted: &[usize],
        known: &mut KnownLayers,
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let compression = self.options.compression;
        let layers: Vec<(usize, &Layer)> = wanted
            .iter()
            .map(|&index| (index, &self.layers[index]))
            .collect();
        let encoder = Encoder {
            threads,
            ..self.encoder(compression)
        };
        encoder.encode(&layers, &mut |encoded| {
            if let Encoded::End(index, digests) = encoded {
                let recipe = self.layers[index].recipe();
                let diff_id = self.memo.find_diff_id(recipe);
                let expected_tar = diff_id.filter(|expected| *expected != digests.diff_id);
                let expected = known[index].filter(|expected| *expected != digests);
                let conflict = expected_tar
                    .map(|expected| (expected.0, digests.diff_id.0))
                    .or_else(|| expected.map(|expected| (expected.digest, digests.digest)));
                if let Some((expected, found)) = conflict {
                    self.memo.forget(recipe, compression);
                    let layer = index + 1;
                    return Err(LayerError::Changed {
                        layer,
                        expected,
                        found,
                    }
                    .into());
                }
                self.memo.record(recipe, compression, &digests);
                known[index] = Some(digests);
            }
            receive(encoded)
        })
    }

    pub(crate) fn encoder(&self, compression: Compression) -> Encoder<'a> {
        Encoder {
            compression,
            threads: self.options.threads,
            events: self.events,
        }
    }

    /// Returns the configuration and the manifest for layers that are all known.
    pub(crate) fn assemble(&self, layers: &[LayerDigests]) -> Assembled {
        Assembled::new(
            &self.config,
            &self.annotations,
            self.options.compression,
            layers,
        )
    }

    /// Describes a manifest of this image for an `index.json`.
    pub(crate) fn index_entry(&self, manifest: &Descriptor) -> Descriptor {
        index_entry(manifest, Some(&self.config.platform), &self.name)
    }

    /// Returns the digest of everything that any output of this image depends on, without making a layer.
    pub(crate) fn recipe(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("pith 2026 image recipe");
        for layer in &self.layers {
            hasher.update(layer.recipe().as_bytes());
        }
        for part in [
            to_canonical_json(&self.config),
            to_canonical_json(&self.annotations),
            self.name.to_string().into_bytes(),
            self.options.compression.to_string().into_bytes(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(&part);
        }
        hasher.finalize()
    }
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("name", &self.name)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

/// Refuses an image whose program would not start.
fn check_start(
    root: &Root,
    objects: &[Arc<StoredObject>],
    spec: &ImageSpec,
) -> Result<(), StartError> {
    let start = Start {
        view: View::new(&root.tree, objects.iter().map(|object| &**object)),
        env: &root.env,
        working_directory: &spec.working_directory,
        platform: &spec.platform,
    };
    let program = root.entrypoint.iter().chain(&root.cmd).next();
    // After `CMD`, the program that says whether all is well.
    let health = (spec.health_check.as_ref()).and_then(|check| check.test.get(1));
    let mut programs = program.into_iter().chain(health);
    programs.try_for_each(|program| start.check(program))
}

/// Returns the indices of the layers of which nothing is known.
pub(crate) fn missing(known: &KnownLayers) -> Vec<usize> {
    (0..known.len())
        .filter(|&index| known[index].is_none())
        .collect()
}

fn plan_paths(infos: &[PathInfo], requested: &[StorePath]) -> Vec<PlanPath> {
    infos
        .iter()
        .map(|info| PlanPath {
            path: info.path.clone(),
            size_bytes: info.size_bytes,
            references: (info.references.iter())
                .map(|reference| reference.path.clone())
                .collect(),
            requested: requested.contains(&info.path),
        })
        .collect()
}
