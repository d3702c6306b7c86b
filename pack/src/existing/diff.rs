//! What differs between two images.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry::Vacant};

use serde::Serialize;
use store::StorePath;

use super::{
    AnyPlatform, BillPackage, Documents, Entry, ExistingError, ExistingImage, ManifestDocument,
    RunFacts,
    files::{FileFacts, LayerFiles, union},
};
use crate::oci::Digest;

/// Where store objects lie in an image.
const STORE: &[u8] = b"pith/store/";

/// What differs between an older and a newer image for one platform. All lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageDiff {
    /// The platform.
    pub platform: String,
    /// The digest of the older manifest.
    pub old: Digest,
    /// The digest of the newer manifest.
    pub new: Digest,
    /// Packages that came, went or changed, by name; empty where one of the images is not by this crate.
    pub packages: Vec<PackageChange>,
    /// Files that came, went or changed.
    pub files: Vec<FileChange>,
    /// How the image is run, where that changed.
    pub config: Vec<ConfigChange>,
    /// How many layers of the newer image the older one has.
    pub shared_layers: usize,
    /// How many layers of the newer image the older one does not have.
    pub new_layers: usize,
    /// How many bytes who has the older image fetches for the newer one: layers, configuration and manifest.
    pub pull_bytes: u64,
    /// What a registry holds of the older image.
    pub old_size_bytes: u64,
    /// What a registry holds of the newer image.
    pub new_size_bytes: u64,
}

impl ImageDiff {
    /// Whether both are the same image.
    pub fn is_same(&self) -> bool {
        self.old == self.new
    }
}

/// A package that is not the same in both images; a side is `None` where it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// The name of the store path without digest and version.
    pub name: String,
    /// In the older image.
    pub old: Option<PackageSide>,
    /// In the newer image.
    pub new: Option<PackageSide>,
}

/// A package in one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageSide {
    /// The store path.
    pub path: StorePath,
    /// The version, if it has one.
    pub version: Option<String>,
    /// The license, if it is known.
    pub license: Option<String>,
}

/// A file that is not the same in both images. In packages, files count as the same that differ in nothing but the digests in store paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Where it is; in a package, below the package's name without digest and version.
    pub path: String,
    /// What happened.
    pub change: ChangeKind,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the newer image has it.
    Added,
    /// Only the older image has it.
    Removed,
    /// Its contents, kind, mode, owner or target changed.
    Changed,
}

/// A part of the configuration that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigChange {
    /// Its name.
    pub field: &'static str,
    /// In the older image.
    pub old: String,
    /// In the newer image.
    pub new: String,
}

/// One image of the two.
struct Side<'a, 's> {
    image: &'a ExistingImage<'s>,
    one: &'a ManifestDocument,
    config: RunFacts,
    packages: Option<Vec<BillPackage>>,
}

impl ExistingImage<'_> {
    /// Returns what differs in `newer`, for a platform or for the first one that both are for. Reads both images whole, unless they are the same.
    pub fn diff(
        &self,
        newer: &ExistingImage<'_>,
        platform: Option<&AnyPlatform>,
    ) -> Result<ImageDiff, ExistingError> {
        let (olds, news) = (self.documents(platform)?, newer.documents(platform)?);
        let (olds, news) = (self.by_platform(&olds)?, newer.by_platform(&news)?);
        let common = olds.iter().find_map(|(platform, old)| {
            let new = news.iter().find(|(other, _)| platform.agrees(other));
            new.map(|(_, new)| (platform, *old, *new))
        });
        let Some((platform, old, new)) = common else {
            let wanted = olds.first().map(|(platform, _)| platform.to_string());
            return Err(ExistingError::Platform {
                image: newer.name().to_owned(),
                wanted: wanted.unwrap_or_else(|| "the platform of the other image".to_owned()),
                found: news
                    .iter()
                    .map(|(platform, _)| platform.to_string())
                    .collect(),
            });
        };
        let layers = |one: &ManifestDocument| -> BTreeSet<Digest> {
            one.manifest
                .layers
                .iter()
                .map(|layer| layer.digest)
                .collect()
        };
        let (old_layers, new_layers) = (layers(old), layers(new));
        let shared_layers = new_layers.intersection(&old_layers).count();
        let mut diff = ImageDiff {
            platform: platform.to_string(),
            old: old.entry.digest,
            new: new.entry.digest,
            packages: Vec::new(),
            files: Vec::new(),
            config: Vec::new(),
            shared_layers,
            new_layers: new_layers.len() - shared_layers,
            pull_bytes: pull_bytes(old, new),
            old_size_bytes: size_bytes(old),
            new_size_bytes: size_bytes(new),
        };
        if diff.is_same() {
            return Ok(diff);
        }
        let (old, new) = (Side::read(self, old)?, Side::read(newer, new)?);
        diff.config = config_changes(&old.config, &new.config);
        diff.packages = package_changes(&old, &new);
        diff.files = file_changes(&old, &new)?;
        Ok(diff)
    }

    /// Returns the images among the manifests with what they run on.
    fn by_platform<'d>(
        &self,
        documents: &'d Documents,
    ) -> Result<Vec<(AnyPlatform, &'d ManifestDocument)>, ExistingError> {
        let is_unknown = |one: &&ManifestDocument| {
            one.entry
                .platform
                .as_ref()
                .is_some_and(AnyPlatform::is_unknown)
        };
        let images = documents.manifests.iter();
        let images = images.filter(|one| one.manifest.is_image() && !is_unknown(one));
        images
            .map(|one| Ok((self.read_config(&one.manifest)?.platform, one)))
            .collect()
    }
}

impl<'a, 's> Side<'a, 's> {
    fn read(
        image: &'a ExistingImage<'s>,
        one: &'a ManifestDocument,
    ) -> Result<Self, ExistingError> {
        Ok(Self {
            image,
            one,
            config: image.read_config(&one.manifest)?.config,
            packages: image.read_bill(&one.manifest)?,
        })
    }

    fn packages(&self) -> &[BillPackage] {
        self.packages.as_deref().unwrap_or_default()
    }
}

fn parts(one: &ManifestDocument) -> impl Iterator<Item = &Entry> {
    let manifest = &one.manifest;
    manifest.layers.iter().chain([&manifest.config, &one.entry])
}

fn size_bytes(one: &ManifestDocument) -> u64 {
    parts(one).fold(0, |sum, part| sum.saturating_add(part.size_bytes))
}

fn pull_bytes(old: &ManifestDocument, new: &ManifestDocument) -> u64 {
    let there: BTreeSet<Digest> = parts(old).map(|part| part.digest).collect();
    let mut seen = BTreeSet::new();
    parts(new)
        .filter(|part| !there.contains(&part.digest) && seen.insert(part.digest))
        .fold(0, |sum, part| sum.saturating_add(part.size_bytes))
}

fn config_changes(old: &RunFacts, new: &RunFacts) -> Vec<ConfigChange> {
    let facts = |config: &RunFacts| {
        let labels = config.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        [
            ("entrypoint", config.entrypoint.join(" ")),
            ("cmd", config.cmd.join(" ")),
            ("env", config.env.join(" ")),
            ("exposed_ports", config.exposed_ports.join(" ")),
            ("labels", labels.join(" ")),
            ("stop_signal", config.stop_signal.clone()),
            ("user", config.user.clone()),
            ("volumes", config.volumes.join(" ")),
            ("working_dir", config.working_dir.clone()),
        ]
    };
    let pairs = facts(old).into_iter().zip(facts(new));
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((field, old), (_, new))| ConfigChange { field, old, new })
        .collect()
}

/// The name of a store path without its version.
fn short_name(path: &StorePath, version: Option<&str>) -> String {
    let name = path.name().as_str();
    match version {
        Some(version) => name.replacen(&format!("-{version}"), "", 1),
        None => name.to_owned(),
    }
}

fn package_changes(old: &Side<'_, '_>, new: &Side<'_, '_>) -> Vec<PackageChange> {
    if old.packages.is_none() || new.packages.is_none() {
        return Vec::new();
    }
    let by_name = |mine: &Side<'_, '_>, other: &Side<'_, '_>| {
        let mut found: BTreeMap<String, Vec<PackageSide>> = BTreeMap::new();
        let is_shared =
            |path: &StorePath| other.packages().iter().any(|package| package.path == *path);
        for package in mine.packages() {
            if !is_shared(&package.path) {
                let name = short_name(&package.path, package.version.as_deref());
                found.entry(name).or_default().push(PackageSide {
                    path: package.path.clone(),
                    version: package.version.clone(),
                    license: package.license.clone(),
                });
            }
        }
        found
    };
    let (mut olds, mut news) = (by_name(old, new), by_name(new, old));
    let names: BTreeSet<String> = olds.keys().chain(news.keys()).cloned().collect();
    let mut changes = Vec::new();
    for name in names {
        let mut olds = olds.remove(&name).unwrap_or_default().into_iter();
        let mut news = news.remove(&name).unwrap_or_default().into_iter();
        loop {
            let (old, new) = (olds.next(), news.next());
            if old.is_none() && new.is_none() {
                break;
            }
            let name = name.clone();
            changes.push(PackageChange { name, old, new });
        }
    }
    changes
}

fn file_changes(old: &Side<'_, '_>, new: &Side<'_, '_>) -> Result<Vec<FileChange>, ExistingError> {
    // A layer of both is read once.
    let mut read: BTreeMap<Digest, LayerFiles> = BTreeMap::new();
    for side in [old, new] {
        for layer in &side.one.manifest.layers {
            if let Vacant(place) = read.entry(layer.digest) {
                place.insert(side.image.read_files(layer)?);
            }
        }
    }
    let files = |side: &Side<'_, '_>| {
        let layers = side.one.manifest.layers.iter();
        let files = union(layers.filter_map(|layer| read.get(&layer.digest)));
        renamed(files, side.packages())
    };
    let (olds, news) = (files(old), files(new));
    let paths: BTreeSet<&Vec<u8>> = olds.keys().chain(news.keys()).collect();
    let changes = paths.into_iter().filter_map(|path| {
        let change = match (olds.get(path), news.get(path)) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(_), Some(_)) => ChangeKind::Changed,
            // What is in them says enough.
            (Some(one), None) | (None, Some(one)) if one.is_directory() => return None,
            (Some(_), None) => ChangeKind::Removed,
            (None, _) => ChangeKind::Added,
        };
        let path = String::from_utf8_lossy(path).into_owned();
        Some(FileChange { path, change })
    });
    Ok(changes.collect())
}

/// Leaves digests and versions out of the names of packages, unless two packages would then have one name.
fn renamed(
    files: BTreeMap<Vec<u8>, FileFacts>,
    packages: &[BillPackage],
) -> BTreeMap<Vec<u8>, FileFacts> {
    let short = |package: &BillPackage| short_name(&package.path, package.version.as_deref());
    let mut names: BTreeMap<String, Vec<&StorePath>> = BTreeMap::new();
    for package in packages {
        names.entry(short(package)).or_default().push(&package.path);
    }
    let unique: BTreeMap<String, String> = names
        .into_iter()
        .filter_map(|(name, paths)| match paths.as_slice() {
            [only] => Some((only.to_string(), name)),
            _ => None,
        })
        .collect();
    let rename = |path: Vec<u8>| -> Vec<u8> {
        let Some(below) = path.strip_prefix(STORE) else {
            return path;
        };
        let end = below.iter().position(|byte| *byte == b'/');
        let (name, rest) = below.split_at(end.unwrap_or(below.len()));
        let name = std::str::from_utf8(name)
            .ok()
            .and_then(|name| unique.get(name));
        match name {
            Some(name) => [STORE, name.as_bytes(), rest].concat(),
            None => path,
        }
    };
    files
        .into_iter()
        .map(|(path, facts)| (rename(path), facts))
        .collect()
}
