//! Which manifests a client can read, as it says when it asks. RFC 9110, 12.5.1.
//!
//! What a digest names is answered whatever the client says: anything else would not have that digest. What a tag names is answered in the first form that the client
//! takes; if it takes none, in the one that everybody else gets: most registries never answer 406, and clients say less than they can read.

use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::route::AnyDigest;

/// The platform of which an image is answered to who reads no lists: what docker's registry takes.
const USUAL: (&str, &str) = ("linux", "amd64");

/// What a client can read.
#[derive(Debug, Default)]
pub(super) struct Accept {
    /// Media types and ranges of them, in small letters, and whether they are taken.
    ranges: Vec<(String, bool)>,
}

impl Accept {
    /// Reads all headers of the kind; some clients send one for each type.
    pub(super) fn parse(headers: &HeaderMap<HeaderValue>) -> Self {
        let values = headers.get_all(ACCEPT).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let ranges = values.flat_map(|value| value.split(','));
        let ranges = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight: Option<f32> = weight.and_then(|weight| weight.parse().ok());
            Some((name.to_ascii_lowercase(), weight != Some(0.0)))
        });
        Self {
            ranges: ranges.collect(),
        }
    }

    /// Tells whether the client takes documents of this type. Who says nothing takes all.
    pub(super) fn takes(&self, media_type: &str) -> bool {
        if self.ranges.is_empty() {
            return true;
        }
        let (kind, _) = media_type.split_once('/').unwrap_or_default();
        // What is said of less says more.
        let said = |range: &str| self.ranges.iter().find(|(name, _)| name == range);
        let said = said(media_type)
            .or_else(|| said(&format!("{kind}/*")))
            .or_else(|| said("*/*"));
        said.is_some_and(|(_, is_taken)| *is_taken)
    }

    /// Returns the manifest in an index that a client gets who does not read indices: the one for linux/amd64, otherwise the first; `None` if there is none that
    /// it reads.
    pub(super) fn choose_in(&self, index: &[u8]) -> Option<AnyDigest> {
        let index: Listing = serde_json::from_slice(index).ok()?;
        let listed = index.manifests.iter();
        let readable: Vec<&Listed> = listed
            .filter(|one| self.takes(&one.media_type) && !one.is_about_another())
            .collect();
        let usual = readable.iter().find(|one| one.is_usual());
        let chosen = usual.or_else(|| readable.first())?;
        chosen.digest.parse().ok()
    }
}

/// As much of an index as is looked at.
#[derive(Deserialize)]
struct Listing {
    manifests: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    media_type: String,
    digest: String,
    platform: Option<ListedPlatform>,
}

#[derive(Deserialize)]
struct ListedPlatform {
    os: String,
    architecture: String,
}

impl Listed {
    fn is_usual(&self) -> bool {
        self.has(USUAL)
    }

    /// Buildkit lists what it says of images beside them, for a platform that nobody has.
    fn is_about_another(&self) -> bool {
        self.has(("unknown", "unknown"))
    }

    fn has(&self, (os, architecture): (&str, &str)) -> bool {
        let platform = self.platform.as_ref();
        platform.is_some_and(|it| it.os == os && it.architecture == architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type;

    fn accept(values: &[&'static str]) -> Accept {
        let values = values.iter().copied();
        let headers = values.map(|value| (ACCEPT, HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        Accept::parse(&map)
    }

    #[test]
    fn a_client_takes_what_it_says_and_all_if_it_says_nothing() {
        const OCI: &str = media_type::MANIFEST;
        const DOCKER: &str = media_type::DOCKER_MANIFEST;
        for (values, takes_oci, takes_docker) in [
            (&[][..], true, true),
            (&["*/*"], true, true),
            (&["text/html, application/*"], true, true),
            (&["application/json"], false, false),
            (&["application/vnd.oci.image.manifest.v1+json"], true, false),
            (
                &["Application/vnd.docker.distribution.manifest.v2+JSON;q=0.5,application/json"],
                false,
                true,
            ),
            (
                &[
                    "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.docker.distribution.manifest.v2+json",
                ],
                true,
                true,
            ),
            (
                &["application/vnd.oci.image.manifest.v1+json; q=0.0, */*;q=0.1"],
                false,
                true,
            ),
            (&[" , "], true, true),
        ] {
            let accept = accept(values);
            let takes = (accept.takes(OCI), accept.takes(DOCKER));
            assert_eq!(takes, (takes_oci, takes_docker), "{values:?}");
        }
    }

    #[test]
    fn of_an_index_the_image_for_most_is_chosen_that_the_client_reads() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let entry = |kind: &str, architecture: &str, digit: &str| {
            let os = match architecture {
                "unknown" => "unknown",
                _ => "linux",
            };
            serde_json::json!({
                "mediaType": kind, "digest": digest(digit), "size": 1,
                "platform": {"os": os, "architecture": architecture},
            })
        };
        let (oci, docker) = (media_type::MANIFEST, media_type::DOCKER_MANIFEST);
        let index = |entries: &[serde_json::Value]| {
            serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string()
        };
        let only_oci = accept(&["application/vnd.oci.image.manifest.v1+json"]);
        let chosen = |entries: &[serde_json::Value]| {
            let chosen = only_oci.choose_in(index(entries).as_bytes());
            chosen.map(|digest| digest.to_string())
        };
        let (arm, amd) = (entry(oci, "arm64", "a"), entry(oci, "amd64", "b"));
        let about = entry(oci, "unknown", "c");
        let other = entry(docker, "amd64", "d");
        assert_eq!(chosen(&[arm.clone(), amd]), Some(digest("b")));
        assert_eq!(
            chosen(&[about.clone(), other.clone(), arm]),
            Some(digest("a"))
        );
        assert_eq!(chosen(&[about, other]), None);
        assert_eq!(only_oci.choose_in(b"{}").map(|it| it.to_string()), None);
    }
}
