//! Configuration and manifest of an image whose layers are known.

use std::collections::BTreeMap;

use store::{Component, PathInfo};

use super::{Below, ImageSpec, root::Root};
use crate::{
    Base,
    attest::CREATED,
    layer::{FORMAT_VERSION, Layer, LayerDigests, SlotMap},
    oci::{
        ContainerConfig, Descriptor, Digest, Empty, History, ImageConfig, Manifest, ManifestType,
        RootFs, annotation, to_canonical_json,
    },
};

/// How many store paths the history names for one layer.
const MAX_NAMED_PATHS: usize = 20;

/// The documents of an image, as bytes.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) config: Vec<u8>,
    pub(crate) config_descriptor: Descriptor,
    pub(crate) manifest: Vec<u8>,
    pub(crate) manifest_descriptor: Descriptor,
    /// All of them, those of a base first.
    pub(crate) layers: Vec<Descriptor>,
}

impl Assembled {
    /// Joins `config`, which has no diff ids yet, what is below, and the layers, whose media type is given.
    pub(super) fn new(
        config: &ImageConfig,
        annotations: &BTreeMap<String, String>,
        manifest_type: ManifestType,
        layer_type: &str,
        layers: &[LayerDigests],
        below: Option<&Below<'_>>,
    ) -> Self {
        let mut config = config.clone();
        if manifest_type == ManifestType::Docker {
            // Docker's manifests have no annotations, and without these nobody can tell what is in the layers.
            let facts = [annotation::BASE_LAYERS, annotation::SLOTS];
            let facts = annotations
                .iter()
                .filter(|(key, _)| facts.contains(&key.as_str()));
            let facts = facts.map(|(key, value)| (key.clone(), value.clone()));
            config.config.labels.extend(facts);
        }
        let base = below.into_iter().flat_map(|below| below.base.diff_ids());
        let own = layers.iter().map(|layer| layer.diff_id);
        config.rootfs.diff_ids = base.copied().chain(own).collect();
        let base = below.into_iter().flat_map(|below| &below.layers);
        let own = layers.iter().map(|layer| layer.descriptor(layer_type));
        let layers: Vec<Descriptor> = base.cloned().chain(own).collect();
        let config = to_canonical_json(&config);
        let config_descriptor = Descriptor::of(manifest_type.config(), &config);
        let manifest = Manifest::new(
            manifest_type,
            config_descriptor.clone(),
            layers.clone(),
            annotations.clone(),
        );
        let manifest = to_canonical_json(&manifest);
        let manifest_descriptor = Descriptor::of(manifest_type.manifest(), &manifest);
        Self {
            config,
            config_descriptor,
            manifest,
            manifest_descriptor,
            layers,
        }
    }
}

/// Returns the configuration of an image, without the diff ids.
pub(super) fn config(
    spec: &ImageSpec,
    root: &Root,
    layers: &[Layer],
    below: Option<&Below<'_>>,
) -> ImageConfig {
    let members = |names: Vec<String>| names.into_iter().map(|name| (name, Empty {})).collect();
    let mut config = ImageConfig {
        created: Some(spec.created.to_string()),
        platform: spec.platform.clone(),
        config: ContainerConfig {
            user: root.user.to_string(),
            exposed_ports: members(root.ports.iter().map(ToString::to_string).collect()),
            env: root
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            entrypoint: root.entrypoint.clone(),
            cmd: root.cmd.clone(),
            volumes: members(spec.volumes.iter().cloned().collect()),
            working_dir: spec.start_directory().to_owned(),
            labels: spec.labels.clone(),
            stop_signal: root.stop_signal.clone(),
            health_check: spec.health_check.clone(),
        },
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        },
        history: layers.iter().map(history).collect(),
    };
    if let Some(below) = below {
        below.complete(&mut config.config, &mut config.history);
    }
    config
}

fn history(layer: &Layer) -> History {
    let mut names: Vec<String> = layer.paths().map(|path| path.name().to_string()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(MAX_NAMED_PATHS);
    names.truncate(MAX_NAMED_PATHS);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    if layer.has_generated() {
        names.push("the root of the image".to_owned());
    }
    History {
        created: Some(CREATED.to_owned()),
        created_by: Some(format!("{}{}", History::MADE_BY, names.join(", "))),
        ..History::default()
    }
}

/// Returns the annotations of the manifest. `requested` are the packages that were asked for, in that order; `plan` is the digest of the plan file, and `slots` says which digests are replaced,
/// and `base` is what lies below.
pub(super) fn annotations(
    spec: &ImageSpec,
    requested: &[&PathInfo],
    plan: Option<Digest>,
    slots: Option<&SlotMap>,
    base: Option<&Base<'_>>,
) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([
        (annotation::CREATED.to_owned(), spec.created.to_string()),
        (
            annotation::TITLE.to_owned(),
            spec.name.base_name().to_owned(),
        ),
        (
            annotation::FORMAT_VERSION.to_owned(),
            FORMAT_VERSION.to_string(),
        ),
    ]);
    let components: Vec<&Component> = requested
        .iter()
        .filter_map(|info| info.component.as_ref())
        .collect();
    if let Some(version) = components.first().and_then(|c| c.version.as_ref()) {
        annotations.insert(annotation::VERSION.to_owned(), version.clone());
    }
    let licenses: Option<Vec<&str>> = requested
        .iter()
        .map(|info| info.component.as_ref()?.license.as_deref())
        .collect();
    if let Some(licenses) = licenses.filter(|licenses| !licenses.is_empty()) {
        annotations.insert(annotation::LICENSES.to_owned(), all_of(licenses));
    }
    if let Some(plan) = plan {
        annotations.insert(annotation::PLAN.to_owned(), plan.to_string());
    }
    if let Some(slots) = slots {
        annotations.insert(annotation::SLOTS.to_owned(), slots.to_text());
    }
    if let Some(base) = base {
        let name = base.name().map(str::to_owned);
        let facts = [
            (annotation::BASE_NAME, name),
            (annotation::BASE_DIGEST, Some(base.digest().to_string())),
            (
                annotation::BASE_LAYERS,
                Some(base.layers().len().to_string()),
            ),
        ];
        let facts = facts.into_iter();
        annotations.extend(facts.filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
    // What the layers depend on is a fact, not a wish.
    const FACTS: [&str; 4] = [
        annotation::BASE_LAYERS,
        annotation::FORMAT_VERSION,
        annotation::PLAN,
        annotation::SLOTS,
    ];
    let own = spec.annotations.iter();
    let own = own.filter(|(key, _)| !FACTS.contains(&key.as_str()));
    annotations.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    annotations
}

/// Joins license expressions into one that demands all of them.
fn all_of(mut licenses: Vec<&str>) -> String {
    licenses.sort_unstable();
    licenses.dedup();
    if let [only] = licenses.as_slice() {
        return (*only).to_owned();
    }
    let parts: Vec<String> = licenses
        .into_iter()
        .map(|license| {
            if license.contains(" OR ") {
                format!("({license})")
            } else {
                license.to_owned()
            }
        })
        .collect();
    parts.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licenses_are_joined_so_that_an_or_keeps_its_meaning() {
        assert_eq!(all_of(vec!["MIT", "MIT"]), "MIT");
        assert_eq!(all_of(vec!["MIT OR Apache-2.0"]), "MIT OR Apache-2.0");
        assert_eq!(
            all_of(vec!["Zlib", "MIT OR Apache-2.0"]),
            "(MIT OR Apache-2.0) AND Zlib"
        );
    }
}
