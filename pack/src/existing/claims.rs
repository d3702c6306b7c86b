//! What an image says of who made it: in annotations, and, where there are none, in its configuration.
//!
//! Docker's manifests have no annotations, and programs that turn one kind into the other lose them; the history of layers they keep. Whether what is said is so is
//! for whoever reads the layers.

use super::{AnyConfig, AnyManifest, is_ours};
use crate::oci::annotation;

impl AnyManifest {
    /// Whether the image says that this crate made it, or a layer of it.
    pub(crate) fn names_us(&self, config: Option<&AnyConfig>) -> bool {
        is_ours(self) || config.is_some_and(|config| config.own_layers().contains(&true))
    }

    /// Returns what this crate wrote about the image: an annotation, or a label where manifests have none.
    pub(crate) fn fact<'a>(
        &'a self,
        config: Option<&'a AnyConfig>,
        key: &str,
    ) -> Option<&'a String> {
        let labels = config.filter(|_| !is_ours(self));
        let label = labels.and_then(|config| config.config.labels.get(key));
        self.annotations.get(key).or(label)
    }

    /// Returns how many of the lowest layers are those of a base, as the image says; the text where it is no number of layers that it could have, since the highest
    /// is always its own.
    pub(crate) fn base_count<'a>(
        &'a self,
        config: Option<&'a AnyConfig>,
    ) -> Result<usize, &'a str> {
        if let Some(text) = self.fact(config, annotation::BASE_LAYERS) {
            let count = text.parse().ok();
            let count = count.filter(|count| *count < self.layers.len());
            return count.ok_or(text);
        }
        if is_ours(self) {
            return Ok(0);
        }
        let own = config.map(AnyConfig::own_layers).unwrap_or_default();
        Ok(own.iter().position(|own| *own).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(annotations: &[(&str, &str)]) -> AnyManifest {
        let digest = "sha256:".to_owned() + &"a".repeat(64);
        let entry = json!({"mediaType": "x", "digest": digest, "size": 1});
        let annotations: serde_json::Map<_, _> = (annotations.iter())
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let layers = [&entry, &entry, &entry];
        let manifest = json!({"config": entry, "layers": layers, "annotations": annotations});
        serde_json::from_value(manifest).unwrap()
    }

    fn config(made_by: [&str; 3], label: Option<&str>) -> AnyConfig {
        let history = made_by.map(|made_by| json!({"created_by": made_by}));
        let labels = label.map(|label| json!({annotation::BASE_LAYERS: label}));
        let config = json!({
            "architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []},
            "history": history, "config": {"Labels": labels},
        });
        serde_json::from_value(config).unwrap()
    }

    const OURS: &str = "pith pack: hello";
    const VERSION: (&str, &str) = (annotation::FORMAT_VERSION, "1");

    #[test]
    fn an_image_without_annotations_is_known_by_the_history_of_its_layers() {
        let (bare, ours) = (manifest(&[]), manifest(&[VERSION]));
        let others = config(["RUN", "COPY", "pith"], None);
        assert!(!bare.names_us(None) && !bare.names_us(Some(&others)));
        assert!(ours.names_us(None) && ours.names_us(Some(&others)));
        assert!(bare.names_us(Some(&config(["RUN", OURS, "COPY"], None))));
    }

    #[test]
    fn a_base_is_what_an_annotation_says_or_a_label_or_lies_below_the_first_own_layer() {
        let on_base = |count| manifest(&[VERSION, (annotation::BASE_LAYERS, count)]);
        let first = config([OURS, OURS, "COPY"], None);
        let last = config(["RUN", "RUN", OURS], None);
        let labelled = config([OURS, OURS, OURS], Some("1"));
        let bare = manifest(&[]);
        for (manifest, config, expected) in [
            (&on_base("2"), &first, Ok(2)),
            (&on_base("3"), &first, Err("3")),
            (&on_base("some"), &first, Err("some")),
            // Whoever has annotations says it there.
            (&manifest(&[VERSION]), &last, Ok(0)),
            (&manifest(&[VERSION]), &labelled, Ok(0)),
            (&bare, &first, Ok(0)),
            (&bare, &last, Ok(2)),
            (&bare, &labelled, Ok(1)),
            (&bare, &config(["RUN", "RUN", "RUN"], None), Ok(0)),
        ] {
            assert_eq!(manifest.base_count(Some(config)), expected);
        }
    }
}
