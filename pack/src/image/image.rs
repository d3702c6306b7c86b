//! An image: layers, configuration and manifest. Immutable and lazy.
//!
//! Making an [`Image`] reads the database and a few directories, and plans. The bytes of a layer are made when a sink wants them, and only those that it
//! does not have. What a layer became is remembered in the store (`var/layers`), so the digest of an image that was packed before is known without reading
//! a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    path::Path,
    sync::Arc,
};

use store::{Lease, PathInfo, ResolvedDigest, StorePath};

use super::{
    Assembled, Below, ImageError, ImageReport, ImageSpec, LayerReport, PathReport, StableReport,
    assemble, foreign,
    planning::{layers_of, plan_digest, plan_options, plan_paths},
    providers::Providers,
    root::{Root, RootInputs},
    sets::RootSets,
    stable::Stable,
};
use crate::{
    Base, BaseError, Event,
    layer::{
        BufferPool, Compression, Encoded, Encoder, Layer, LayerDigests, LayerError, LayerMode,
        LayerPlan, Memo, PlanFile, SlotMap, StoredObject,
    },
    oci::{
        Descriptor, Digest, ImageConfig, ImageName, ManifestType, Platform, annotation,
        index_entry, to_canonical_json,
    },
    rootfs::{RootTree, User},
    start::{Start, StartError, View},
};

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// How layers are compressed.
    pub compression: Compression,
    /// In whose words manifest and configuration are.
    pub manifest_type: ManifestType,
    /// The largest number of layers, 1 to 100.
    pub max_layers: usize,
    /// How store paths are divided into layers.
    pub layers: LayerMode,
    /// Change rates and layers of earlier images; their digest is written into the image.
    pub plan: Option<PlanFile>,
    /// Whether digests of store paths are replaced by what does not change when only something below changes ([`SlotMap`]). Only for layers, not for directories.
    pub stable_paths: bool,
    /// Whether the program that the image runs must be one that starts: it, its interpreter and its libraries are in the image.
    pub check_start: bool,
    /// How many threads compress; as many as there are processors where it is `None`. No byte depends on it.
    pub threads: Option<NonZero<usize>>,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            manifest_type: ManifestType::default(),
            // Pulls stop getting cheaper at about 14 layers, and each costs 70 to 110 ms to load.
            max_layers: 16,
            layers: LayerMode::default(),
            plan: None,
            stable_paths: false,
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
    /// Its own.
    pub(crate) layers: Vec<Layer>,
    /// What lies below them.
    pub(crate) below: Option<Below<'a>>,
    plan: LayerPlan,
    slots: Option<SlotMap>,
    /// Ascending by store path.
    pub(crate) objects: Vec<Arc<StoredObject>>,
    requested: Vec<StorePath>,
    pub(crate) user: User,
    config: ImageConfig,
    sbom: Vec<u8>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(crate) options: PackOptions,
    pub(crate) memo: Memo,
    /// What others say that layers became.
    pub(super) told: BTreeMap<ResolvedDigest, LayerDigests>,
    pub(crate) events: &'a (dyn Fn(Event<'_>) + Sync),
    /// Keeps the objects in the store as long as the image may read them.
    pub(super) lease: Option<Lease>,
}

/// What is known of each layer of an image.
pub(crate) type KnownLayers = Vec<Option<LayerDigests>>;

/// The objects of a closure.
type ByPath<'a> = BTreeMap<&'a StorePath, (&'a Arc<StoredObject>, &'a PathInfo)>;

/// Returns those that were asked for, in the order of asking.
fn find_requested<'a>(
    by_path: &ByPath<'a>,
    requested: &[StorePath],
) -> Result<Vec<(&'a Arc<StoredObject>, &'a PathInfo)>, ImageError> {
    let found = requested
        .iter()
        .filter_map(|path| by_path.get(path).copied());
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(ImageError::NoPackage);
    }
    Ok(found)
}

impl<'a> Image<'a> {
    pub(crate) fn from_closure(
        parts: ClosureParts<'_>,
        spec: &ImageSpec,
        options: &PackOptions,
        events: &'a (dyn Fn(Event<'_>) + Sync),
        base: Option<Base<'a>>,
    ) -> Result<Self, ImageError> {
        layer_type(options)?;
        let below = base.map(|base| Below::new(base, spec, options.manifest_type));
        let (mut below, filled) = below.transpose()?.unzip();
        let spec = filled.as_ref().unwrap_or(spec);
        let mut infos = parts.infos;
        infos.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        infos.dedup_by(|a, b| a.path == b.path);
        let sets = RootSets::load(parts.requested, parts.real_path)?;
        if below.is_some() && !sets.is_empty() {
            return Err(BaseError::Distribution.into());
        }
        let mut objects = stored_objects(&infos, parts.real_path, &sets);
        let memo = Memo::new(parts.layers_dir);
        let (stable, slots) = Stable::new(options, &mut objects, &infos, &memo)?.unzip();
        let objects: Vec<Arc<StoredObject>> = objects.into_iter().map(Arc::new).collect();
        let both = objects.iter().zip(&infos);
        let by_path: ByPath<'_> = both
            .map(|(object, info)| (&info.path, (object, info)))
            .collect();
        let requested = find_requested(&by_path, parts.requested)?;

        foreign::check(&spec.platform, requested.iter().map(|(o, _)| &***o), &sets)?;
        let all: Vec<&StoredObject> = objects.iter().map(|object| &**object).collect();
        let mut root = RootInputs {
            spec,
            requested: &requested.iter().map(|(o, _)| &***o).collect::<Vec<_>>(),
            objects: &all,
            providers: &Providers::find(&all, &memo),
            infos: &infos,
            sets: &sets,
            base: below.as_ref().map(|below| &below.base),
        }
        .build()?;
        let changed = stable.map(|stable| stable.change(&mut root, spec));
        let changed = changed.transpose()?;
        let spec = changed.as_ref().unwrap_or(spec);
        let fitted = below.as_mut().map(|below| below.fit(&mut root, spec));
        let fitted = fitted.transpose()?;
        if options.check_start {
            check_start(&root, &objects, spec, below.as_ref())?;
        }
        let plan_options = plan_options(spec, options);
        let there =
            (below.as_ref()).map_or_else(BTreeSet::new, |below| below.shared(&infos, options));
        let plan_paths = plan_paths(&infos, parts.requested, &there);
        let plan = LayerPlan::new(&plan_paths, &plan_options).map_err(LayerError::from)?;
        let groups = plan.layers().iter().map(|layer| {
            let objects = layer.paths.iter().filter_map(|path| by_path.get(path));
            objects.map(|(object, _)| Arc::clone(object)).collect()
        });
        let top = |objects| match &fitted {
            Some(fitted) => fitted.layer(objects),
            None => Layer::new(objects, Some(&root.tree)),
        };
        let layers = layers_of(groups.collect(), &top, plan_options.is_single());

        let requested_infos: Vec<&PathInfo> = requested.iter().map(|(_, info)| *info).collect();
        Ok(Self {
            name: spec.name.clone(),
            config: assemble::config(spec, &root, &layers, below.as_ref()),
            annotations: assemble::annotations(
                spec,
                &requested_infos,
                plan_digest(spec, options, &plan),
                slots.as_ref(),
                below.as_ref().map(|below| &below.base),
            ),
            below,
            plan,
            slots,
            user: root.user,
            sbom: root.sbom,
            root: root.tree,
            layers,
            requested: parts.requested.to_vec(),
            objects,
            options: options.clone(),
            memo,
            told: BTreeMap::new(),
            events,
            lease: None,
        })
    }

    /// Returns the whole name.
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// Returns the version of its only package, if it has one.
    pub fn version(&self) -> Option<&str> {
        self.annotations
            .get(annotation::VERSION)
            .map(String::as_str)
    }

    /// Returns what it runs on.
    pub const fn platform(&self) -> &Platform {
        &self.config.platform
    }

    /// Returns in whose words manifest and configuration are.
    pub(crate) const fn manifest_type(&self) -> ManifestType {
        self.options.manifest_type
    }

    /// Returns how it is run, without its layers.
    pub(crate) const fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns its own layers, the lowest first: those of a base are below them.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Returns the generated entries of the root.
    pub const fn root(&self) -> &RootTree {
        &self.root
    }

    /// Returns the bill of materials: SPDX 2.3, JSON.
    pub fn sbom(&self) -> &[u8] {
        &self.sbom
    }

    /// Returns the digest of the manifest. Makes every layer that was never made before, and forgets its bytes again.
    pub fn manifest_digest(&self) -> Result<Digest, ImageError> {
        Ok(self.assembled()?.manifest_descriptor.digest)
    }

    /// Describes the manifest. Costs what [`manifest_digest`](Self::manifest_digest) does.
    pub(crate) fn manifest_descriptor(&self) -> Result<Descriptor, ImageError> {
        Ok(self.assembled()?.manifest_descriptor)
    }

    /// Returns the documents. Makes every layer that was never made before, and forgets its bytes again.
    pub(crate) fn assembled(&self) -> Result<Assembled, ImageError> {
        Ok(self.assemble(&self.known_layers()?))
    }

    /// Returns what all layers are. Makes every one that was never made before, and forgets its bytes again.
    pub(crate) fn known_layers(&self) -> Result<Vec<LayerDigests>, ImageError> {
        let mut known = self.find_layers();
        let missing = missing(&known);
        self.encode(&missing, &mut known, &mut |_| Ok::<_, LayerError>(()))?;
        Ok(known.into_iter().flatten().collect())
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
            base: (self.below.as_ref()).map(|below| below.report(self.left_out().collect())),
            stable_paths: self.slots.as_ref().map(StableReport::from),
            layers: layers
                .enumerate()
                .map(|(index, (layer, known))| {
                    let report = self.report_layer(index, layer);
                    report.with_digests(known.as_ref())
                })
                .collect(),
        }
    }

    /// Returns what store paths are called in the image, where that is something else than in the store.
    pub const fn slots(&self) -> Option<&SlotMap> {
        self.slots.as_ref()
    }

    /// Puts the layers of this image into a plan file, from which later images take them.
    pub fn record_plan(&self, file: &mut PlanFile) {
        let digest = self.annotations.get(annotation::PLAN);
        let digest = digest.and_then(|digest| digest.parse().ok());
        let platform = self.config.platform.to_string();
        file.record(self.name.repository(), &platform, &self.plan, digest);
    }

    fn report_layer(&self, index: usize, layer: &Layer) -> LayerReport {
        let planned = self.plan.layers().get(index);
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
            reason: planned.map(|planned| planned.reason.to_string()),
            weekly_change_per_million: planned.map(|planned| planned.chance.per_million()),
            diff_id: None,
            digest: None,
            size_bytes: None,
        }
    }

    /// Returns the objects of the closure that are in no layer of its own, because the base has them.
    fn left_out(&self) -> impl Iterator<Item = StorePath> {
        let own: BTreeSet<&StorePath> = self.layers.iter().flat_map(Layer::paths).collect();
        let all = self.objects.iter().map(|object| &object.path);
        let left = all.filter(move |path| !own.contains(*path));
        left.cloned()
    }

    /// Returns the packages that were asked for.
    pub(super) fn requested(&self) -> &[StorePath] {
        &self.requested
    }

    /// Returns what the memo knows of the layers.
    pub(crate) fn find_layers(&self) -> KnownLayers {
        let compression = self.options.compression;
        self.layers
            .iter()
            .map(|layer| self.memo.foretell(layer.recipe(), compression))
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
        let encoder = self.encoder(self.options.compression);
        self.encode_with(&encoder, wanted, known, receive)
    }

    /// Says that all files of the image are about to be read, for one stream.
    pub(crate) fn tell_one_started(&self) {
        (self.events)(Event::Started {
            layers: 1,
            file_bytes: self.objects.iter().map(|object| object.size_bytes).sum(),
        });
    }

    /// Returns how the image starts, with the given variables.
    pub(crate) fn start<'b>(&'b self, env: &'b BTreeMap<String, String>) -> Start<'b> {
        Start {
            view: view(&self.root, &self.objects, self.below.as_ref()),
            env,
            working_directory: &self.config.config.working_dir,
            platform: &self.config.platform,
        }
    }

    /// Does what [`encode`](Self::encode) does, with an encoder of this image that was changed, and does not say that it begins.
    pub(crate) fn encode_with<E: From<LayerError>>(
        &self,
        encoder: &Encoder<'_>,
        wanted: &[usize],
        known: &mut KnownLayers,
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let compression = self.options.compression;
        let layers: Vec<(usize, &Layer)> = wanted
            .iter()
            .map(|&index| (index, &self.layers[index]))
            .collect();
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
            buffers: BufferPool::default(),
            events: self.events,
        }
    }

    /// Returns the configuration and the manifest for layers of its own that are all known.
    pub(crate) fn assemble(&self, layers: &[LayerDigests]) -> Assembled {
        self.note_layers();
        self.assemble_as(self.options.manifest_type, layers)
            .expect("no image is made whose manifest cannot have its layers")
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
            self.options.manifest_type.to_string().into_bytes(),
            self.below.as_ref().map(Below::recipe).unwrap_or_default(),
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

/// Returns the objects of the closure, in its order.
fn stored_objects(
    infos: &[PathInfo],
    real_path: &dyn Fn(&StorePath) -> std::path::PathBuf,
    sets: &RootSets,
) -> Vec<StoredObject> {
    let objects = infos.iter().map(|info| StoredObject {
        real: real_path(&info.path),
        path: info.path.clone(),
        size_bytes: info.size_bytes,
        nodes: info.nodes,
        place: sets.place(&info.path),
        slot: None,
    });
    objects.collect()
}

/// Returns the media type of the layers, which manifests of the wanted type may not have.
fn layer_type(options: &PackOptions) -> Result<&'static str, ImageError> {
    let (compression, manifest_type) = (options.compression, options.manifest_type);
    let media_type = compression.media_type_in(manifest_type);
    media_type.ok_or(ImageError::Compression {
        compression,
        manifest_type,
    })
}

/// Refuses an image whose program would not start.
fn check_start(
    root: &Root,
    objects: &[Arc<StoredObject>],
    spec: &ImageSpec,
    below: Option<&Below<'_>>,
) -> Result<(), StartError> {
    let start = Start {
        view: view(&root.tree, objects, below),
        env: &root.env,
        working_directory: spec.start_directory(),
        platform: &spec.platform,
    };
    start.check_process(&root.user, root.stop_signal.as_deref())?;
    let program = root.entrypoint.iter().chain(&root.cmd).next();
    // After `CMD`, the program that says whether all is well.
    let health = (spec.health_check.as_ref()).and_then(|check| check.test.get(1));
    let mut programs = program.into_iter().chain(health);
    programs.try_for_each(|program| start.check(program).map(drop))
}

fn view<'v>(
    root: &'v RootTree,
    objects: &'v [Arc<StoredObject>],
    below: Option<&'v Below<'_>>,
) -> View<'v> {
    let objects = objects.iter().map(|object| &**object);
    View::new(root, objects, below.map(|below| &below.base.tree))
}

/// Returns the indices of the layers of which nothing is known.
pub(crate) fn missing(known: &KnownLayers) -> Vec<usize> {
    (0..known.len())
        .filter(|&index| known[index].is_none())
        .collect()
}
