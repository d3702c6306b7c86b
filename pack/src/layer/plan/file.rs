//! The plan file: what is known of change rates and of earlier images.
//!
//! JSON, so that it can be kept beside a project and compared line by line:
//!
//! ```json
//! {
//!   "version": 1,
//!   "days_between_changes": {"glibc": 180, "debian:openssl": 60, "shop": 3},
//!   "images": {
//!     "library/shop": {
//!       "linux/amd64": {
//!         "plan": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
//!         "layers": [["0c6kzph7l0dcbfmjap64f0czdafn3b7xmr8v7w5z-glibc-2.36"]]
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! `days_between_changes` is by origin ([`origin_of`](super::origin_of)). The layers of an image are those that it was published with, the lowest first; `plan` is the digest of the plan
//! file that they were planned with, if any. What is not known in a file is an error with its line.

use std::{collections::BTreeMap, num::NonZero};

use serde::{Deserialize, Serialize};
use store::StorePath;

use super::{LayerPlan, PlanError};
use crate::oci::Digest;

/// What a plan may know of the past. Parsed from JSON and written as JSON; the default knows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanFile {
    contents: Contents,
    /// Of the text that it was parsed from.
    digest: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: Version,
    #[serde(default)]
    days_between_changes: BTreeMap<String, NonZero<u32>>,
    #[serde(default)]
    images: BTreeMap<String, BTreeMap<String, PublishedImage>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedImage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Digest>,
    layers: Layers,
}

/// The only version that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
struct Version;

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            _ => Err(format!("version {version} is not known, only 1")),
        }
    }
}

/// No layer is empty, and no path is there twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Vec<StorePath>>", try_from = "Vec<Vec<StorePath>>")]
struct Layers(Vec<Vec<StorePath>>);

impl From<Layers> for Vec<Vec<StorePath>> {
    fn from(layers: Layers) -> Self {
        layers.0
    }
}

impl TryFrom<Vec<Vec<StorePath>>> for Layers {
    type Error = String;

    fn try_from(mut layers: Vec<Vec<StorePath>>) -> Result<Self, String> {
        if layers.iter().any(Vec::is_empty) {
            return Err("a layer without a store path".to_owned());
        }
        let mut all: Vec<&StorePath> = layers.iter().flatten().collect();
        all.sort_unstable();
        if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("`{}` is in the layers twice", pair[0]));
        }
        for layer in &mut layers {
            layer.sort_unstable();
        }
        Ok(Self(layers))
    }
}

impl PlanFile {
    /// Reads the text of a plan file.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let contents = serde_json::from_str(text).map_err(|source| PlanError::File {
            line: source.line(),
            column: source.column(),
            source,
        })?;
        Ok(Self {
            contents,
            digest: Some(Digest::of(text.as_bytes())),
        })
    }

    /// Returns the text of the file: sorted, a line for each store path.
    ///
    /// # Panics
    ///
    /// Never: everything in a plan file has a JSON form.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(&self.contents);
        text.expect("maps of a plan file have strings for keys") + "\n"
    }

    /// Returns how many days an origin lasts on average.
    pub(super) fn days(&self, origin: &str) -> Option<u32> {
        let days = self.contents.days_between_changes.get(origin);
        days.copied().map(NonZero::get)
    }

    fn image(&self, repository: &str, platform: &str) -> Option<&PublishedImage> {
        self.contents.images.get(repository)?.get(platform)
    }

    /// Returns the layers of an earlier image, each ascending; none if there was none.
    pub(super) fn layers_of(&self, repository: &str, platform: &str) -> &[Vec<StorePath>] {
        let image = self.image(repository, platform);
        image.map_or(&[], |image| image.layers.0.as_slice())
    }

    /// Returns the layers of all earlier images.
    pub(super) fn all_layers(&self) -> impl Iterator<Item = &[StorePath]> {
        let images = self.contents.images.values().flat_map(BTreeMap::values);
        images.flat_map(|image| image.layers.0.iter().map(Vec::as_slice))
    }

    /// Returns the digest of the plan file that a plan of an image comes from: this file, or, where the image has these layers in it already, the one that
    /// it had then. So writing into the file what came of it does not change the next image.
    pub fn digest_for(&self, repository: &str, platform: &str, plan: &LayerPlan) -> Option<Digest> {
        match self.image(repository, platform) {
            Some(image) if image.layers == layers(plan) => image.plan,
            _ => self.digest,
        }
    }

    /// Puts the layers of an image into the file, in place of those that it had. `planned_with` is the digest that the image names.
    pub fn record(
        &mut self,
        repository: &str,
        platform: &str,
        plan: &LayerPlan,
        planned_with: Option<Digest>,
    ) {
        let image = PublishedImage {
            plan: planned_with,
            layers: layers(plan),
        };
        let platforms = self.contents.images.entry(repository.to_owned());
        platforms.or_default().insert(platform.to_owned(), image);
    }
}

fn layers(plan: &LayerPlan) -> Layers {
    let layers = plan.layers().iter();
    Layers(layers.map(|layer| layer.paths.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "0c6kzph7l0dcbfmjap64f0czdafn3b7xmr8v7w5z-glibc-2.36";

    fn error(text: &str) -> (usize, String) {
        match PlanFile::parse(text) {
            Err(PlanError::File { line, source, .. }) => (line, source.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = format!(
            r#"{{"version": 1, "days_between_changes": {{"glibc": 180}}, "images": {{"a": {{"linux/amd64": {{"layers": [["{PATH}"]]}}}}}}}}"#
        );
        let file = PlanFile::parse(&text).unwrap();
        assert_eq!(file.days("glibc"), Some(180));
        assert_eq!(file.days("zlib"), None);
        assert_eq!(file.layers_of("a", "linux/amd64").len(), 1);
        assert_eq!(file.layers_of("a", "linux/arm64").len(), 0);
        let again = PlanFile::parse(&file.to_text()).unwrap();
        assert_eq!(again.contents, file.contents);
        assert_eq!(again.to_text(), file.to_text());
        assert_eq!(file.digest, Some(Digest::of(text.as_bytes())));
    }

    #[test]
    fn what_is_not_known_or_wrong_is_an_error_with_its_line() {
        for (text, line, expected) in [
            ("{}", 1, "missing field `version`"),
            ("{\"version\":\n 2}", 2, "version 2 is not known"),
            (
                "{\"version\": 1,\n\n \"rates\": {}}",
                3,
                "unknown field `rates`",
            ),
            (
                "{\"version\": 1,\n \"days_between_changes\": {\"a\": 0}}",
                2,
                "nonzero",
            ),
            (
                "{\"version\": 1,\n \"days_between_changes\": {\"a\": 1.5}}",
                2,
                "floating point",
            ),
            (
                "{\"version\": 1, \"images\": {\"a\": {\"linux/amd64\":\n {\"layers\": [[\"x\"]]}}}}",
                2,
                "x",
            ),
            (
                "{\"version\": 1, \"images\": {\"a\": {\"linux/amd64\":\n {\"layers\": [[]]}}}}",
                2,
                "without a store path",
            ),
            (
                "{\"version\": 1, \"images\": {\"a\": {\"linux/amd64\":\n {\"layers\": [], \"size\": 1}}}}",
                2,
                "unknown field `size`",
            ),
            ("{\"version\": 1}\n}", 2, "trailing characters"),
            ("[]", 1, "expected struct"),
        ] {
            let (found, message) = error(text);
            assert_eq!(found, line, "{text}: {message}");
            assert!(message.contains(expected), "{text}: {message}");
        }
        let twice = format!(
            "{{\"version\": 1, \"images\": {{\"a\": {{\"b\": {{\"layers\": [[\"{PATH}\"], [\"{PATH}\"]]}}}}}}}}"
        );
        assert!(error(&twice).1.contains("twice"));
    }
}
