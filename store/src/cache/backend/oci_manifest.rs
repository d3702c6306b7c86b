//! A file of a cache as an OCI artifact: the text of its manifest. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::cache::format::CacheName;

/// Bytes of a manifest that are read at most: what registries take at most.
pub(super) const MAX_MANIFEST: u64 = 4 << 20;
/// Bytes of a file that is put into its manifest. In base64 a third more, which every registry takes.
pub(super) const MAX_INLINE: usize = 256 << 10;

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const FILE_TYPE: &str = "application/vnd.pith.cache.file.v1";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// OCI image-spec 1.1, "Guidance for an Empty Descriptor".
pub(super) const EMPTY_BLOB: &[u8] = b"{}";
pub(super) const EMPTY_DIGEST: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: Annotations,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Serialize, Deserialize)]
struct Annotations {
    #[serde(
        rename = "dev.pith.cache.content",
        skip_serializing_if = "Option::is_none"
    )]
    content: Option<String>,
    #[serde(rename = "dev.pith.cache.name")]
    name: String,
}

/// A blob of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// `sha256:` and 64 digits.
    pub(super) digest: String,
    pub(super) size: u64,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Inline(Vec<u8>),
    Layer(Layer),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Layer(layer) => layer.size,
        }
    }
}

/// Returns the tag of a file. Tags have up to 128 of `[A-Za-z0-9._-]`, store names more and others, so these are hashed.
pub(super) fn tag(name: &CacheName) -> String {
    match name {
        CacheName::NameHint(name) => {
            format!("n-{}", blake3::hash(name.as_str().as_bytes()).to_hex())
        }
        name => {
            let text = name.to_string();
            match (text.split_once('/'), text.rsplit_once('/')) {
                (Some((folder, _)), Some((_, file))) => format!("{folder}-{file}"),
                _ => text,
            }
        }
    }
}

/// Returns the manifest of a file, the same for the same file.
pub(super) fn encode(content: &Content, name: &CacheName) -> Vec<u8> {
    let empty = || Descriptor {
        media_type: EMPTY_TYPE.to_owned(),
        digest: EMPTY_DIGEST.to_owned(),
        size: EMPTY_BLOB.len() as u64,
    };
    let (layer, inline) = match content {
        Content::Inline(bytes) => (empty(), Some(STANDARD.encode(bytes))),
        Content::Layer(layer) => {
            let layer = Descriptor {
                media_type: FILE_TYPE.to_owned(),
                digest: layer.digest.clone(),
                size: layer.size,
            };
            (layer, None)
        }
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_TYPE.to_owned(),
        artifact_type: FILE_TYPE.to_owned(),
        config: empty(),
        layers: vec![layer],
        annotations: Annotations {
            content: inline,
            name: name.to_string(),
        },
    };
    serde_json::to_vec(&manifest).expect("texts and numbers are always JSON")
}

/// Reads the manifest of a file; says what is wrong with it otherwise.
pub(super) fn decode(bytes: &[u8], name: &CacheName) -> Result<Content, &'static str> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|_| "is not that of a cache's file")?;
    if manifest.schema_version != 2 || manifest.artifact_type != FILE_TYPE {
        return Err("is of another kind");
    }
    if manifest.annotations.name != name.to_string() {
        return Err("is that of another file");
    }
    if let Some(content) = manifest.annotations.content {
        return match STANDARD.decode(content) {
            Ok(bytes) => Ok(Content::Inline(bytes)),
            Err(_) => Err("has content that is not base64"),
        };
    }
    match <[Descriptor; 1]>::try_from(manifest.layers) {
        Ok([layer]) if layer.media_type == FILE_TYPE && is_sha256(&layer.digest) => {
            Ok(Content::Layer(Layer {
                digest: layer.digest,
                size: layer.size,
            }))
        }
        _ => Err("has not one layer that is a file"),
    }
}

/// Whether a text is a digest, and so harmless in an address.
fn is_sha256(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::sha256;

    fn object() -> CacheName {
        format!("o/00/{}", "0".repeat(40)).parse().unwrap()
    }

    #[test]
    fn names_become_tags() {
        let hex = "a".repeat(64);
        for (name, expected) in [
            ("cache.json".to_owned(), "cache.json".to_owned()),
            (
                format!("o/00/{}", "0".repeat(40)),
                format!("o-{}", "0".repeat(40)),
            ),
            (format!("p/aa/{hex}"), format!("p-{hex}")),
            (format!("log/aa/{hex}.zst"), format!("log-{hex}.zst")),
            (
                "n/g++?".to_owned(),
                format!("n-{}", blake3::hash(b"g++?").to_hex()),
            ),
        ] {
            let tag = tag(&name.parse().unwrap());
            assert_eq!(tag, expected);
            assert!(tag.len() <= 128);
        }
    }

    #[test]
    fn the_text_of_a_manifest_is_fixed() {
        let inline = encode(&Content::Inline(b"hi\n".to_vec()), &object());
        let empty = format!(
            r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}}"#,
            sha256(b"{}")
        );
        let start = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.pith.cache.file.v1""#;
        assert_eq!(
            String::from_utf8(inline).unwrap(),
            format!(
                r#"{start},"config":{empty},"layers":[{empty}],"annotations":{{"dev.pith.cache.content":"aGkK","dev.pith.cache.name":"{}"}}}}"#,
                object()
            )
        );
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let layer = Layer {
            digest: sha256(b"x"),
            size: 1 << 40,
        };
        for content in [
            Content::Inline(Vec::new()),
            Content::Inline(vec![0, 255, 10]),
            Content::Layer(layer),
        ] {
            assert_eq!(decode(&encode(&content, &object()), &object()), Ok(content));
        }
    }

    #[test]
    fn manifests_of_something_else_are_refused() {
        let good = String::from_utf8(encode(
            &Content::Layer(Layer {
                digest: sha256(b"x"),
                size: 1,
            }),
            &object(),
        ))
        .unwrap();
        let decoded = |text: String| decode(text.as_bytes(), &object());
        assert!(decoded(good.clone()).is_ok());
        for (from, to) in [
            ("o/00", "o/01"),
            ("\"schemaVersion\":2", "\"schemaVersion\":1"),
            (
                "\"artifactType\":\"application/vnd.pith",
                "\"artifactType\":\"application/vnd.other",
            ),
            ("sha256:2d", "sha256:../2d"),
            ("sha256:2d", "sha512:2d"),
            ("\"layers\":[", "\"layers\":[],\"other\":["),
            (
                "{\"dev.pith.cache.name",
                "{\"dev.pith.cache.content\":\"*\",\"dev.pith.cache.name",
            ),
            ("}}", "}"),
        ] {
            let wrong = good.replacen(from, to, 1);
            assert_ne!(wrong, good, "{from}");
            assert!(decoded(wrong).is_err(), "{to}");
        }
    }
}
