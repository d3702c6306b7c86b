//! The signatures of a manifest under one tag, each a layer of what stands there. sigstore/cosign, `specs/SIGNATURE_SPEC.md`, "Storage".

use std::io::Read as _;

use bytes::Bytes;
use serde_json::{Value, json};
use store::registry::RegistryError;

use super::{
    ImageKey, ImageSecretKey, SignError, SignatureCheck,
    referrer::send,
    referrers::Referrers,
    simple::{SIMPLE_SIGNING, SimpleSignature},
};
use crate::oci::{Descriptor, Digest, media_type};

/// The annotation of a layer by which the layer is signed.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// How often the tag is written again that somebody else has written meanwhile.
const MAX_TRIES: usize = 8;
/// How many of the bytes of a signed text, and of the configuration beside it, are read.
const MAX_BYTES: u64 = 1 << 20;
/// Signatures under one tag that are looked at.
const MAX_SIGNATURES: usize = 100;

/// The signatures of one manifest in one repository.
pub(super) struct LegacySignatures<'a> {
    pub(super) referrers: &'a Referrers<'a>,
    pub(super) subject: Digest,
}

impl LegacySignatures<'_> {
    /// Signs the manifest, beside what others have signed. Signing again changes nothing.
    pub(super) fn add(&self, key: &ImageSecretKey) -> Result<(), SignError> {
        let repository = self.referrers.repository.full_name();
        let signed = SimpleSignature::sign(key, self.subject, &repository);
        let layer = Descriptor::of(SIMPLE_SIGNING, &signed.payload);
        for _ in 0..MAX_TRIES {
            let found = self.load()?;
            let (mut manifest, mut config) = match found {
                Some(manifest) => {
                    let config = self.load_config(&manifest)?;
                    (manifest, config)
                }
                None => (empty_manifest(), empty_config()),
            };
            match enter(&mut manifest, &mut config, &layer, &signed.signature) {
                None => return Err(self.no_list()),
                Some(Entered::Before) => return Ok(()),
                Some(Entered::Now) => {}
            }
            self.write(manifest, &config, (&layer, &signed.payload))?;
        }
        Err(SignError::Contended {
            name: self.referrers.what.to_owned(),
        })
    }

    /// Looks for a signature by the owner of `key`, and adds to `check` what it finds.
    pub(super) fn check(
        &self,
        key: &ImageKey,
        check: &mut SignatureCheck,
    ) -> Result<(), SignError> {
        let Some(manifest) = self.load()? else {
            return Ok(());
        };
        let layers = manifest["layers"].as_array();
        let layers = layers.into_iter().flatten();
        let signatures = layers.filter(|layer| layer["mediaType"] == SIMPLE_SIGNING);
        for layer in signatures.take(MAX_SIGNATURES) {
            let Some(signature) = layer["annotations"][SIGNATURE].as_str() else {
                continue;
            };
            let Some(payload) = self.load_blob(layer)? else {
                continue;
            };
            check.found += 1;
            let signed = SimpleSignature {
                payload,
                signature: signature.to_owned(),
            };
            check.result = signed.verify(key, self.subject).map_err(Some);
            if check.result.is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads what stands under the tag, with all that others wrote into it.
    fn load(&self) -> Result<Option<Value>, SignError> {
        let Referrers { repository, what } = *self.referrers;
        match repository.fetch_manifest(&self.tag(), what) {
            Ok(found) => serde_json::from_slice(&found.bytes).map_err(|_| self.no_list()),
            Err(RegistryError::Absent { .. }) => Ok(None),
            Err(source) => Err(self.referrers.failed(source)),
        }
    }

    fn load_config(&self, manifest: &Value) -> Result<Value, SignError> {
        let config = self.load_blob(&manifest["config"])?;
        let config = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        config.ok_or_else(|| self.no_list())
    }

    /// Reads the blob with this descriptor; `None` if it is absent, too large or not what its digest says.
    fn load_blob(&self, descriptor: &Value) -> Result<Option<Vec<u8>>, SignError> {
        let Referrers { repository, what } = *self.referrers;
        let digest = descriptor["digest"].as_str();
        let digest: Option<Digest> = digest.and_then(|digest| digest.parse().ok());
        let size_bytes = descriptor["size"].as_u64();
        let (Some(digest), Some(size_bytes)) = (digest, size_bytes) else {
            return Ok(None);
        };
        if size_bytes > MAX_BYTES {
            return Ok(None);
        }
        let mut reader = match repository.open_blob(&digest.to_string(), size_bytes, what) {
            Ok(reader) => reader,
            Err(RegistryError::Absent { .. }) => return Ok(None),
            Err(source) => return Err(self.referrers.failed(source)),
        };
        let mut bytes = Vec::new();
        let is_whole = reader.read_to_end(&mut bytes).is_ok() && Digest::of(&bytes) == digest;
        Ok(is_whole.then_some(bytes))
    }

    fn write(
        &self,
        mut manifest: Value,
        config: &Value,
        (layer, payload): (&Descriptor, &[u8]),
    ) -> Result<(), SignError> {
        let config = config.to_string().into_bytes();
        let described = Descriptor::of(media_type::CONFIG, &config);
        send(self.referrers, layer, payload)?;
        send(self.referrers, &described, &config)?;
        manifest["config"] = json!(described);
        let bytes = Bytes::from(manifest.to_string());
        let digest = Digest::of(&bytes).to_string();
        let Referrers { repository, what } = *self.referrers;
        repository
            .put_manifest(&self.tag(), media_type::MANIFEST, &bytes, &digest, what)
            .map_err(|source| self.referrers.failed(source))
    }

    fn tag(&self) -> String {
        tag(self.subject)
    }

    fn no_list(&self) -> SignError {
        SignError::List {
            name: self.referrers.what.to_owned(),
            tag: self.tag(),
        }
    }
}

/// The tag under which the signatures of a manifest are.
pub(super) fn tag(subject: Digest) -> String {
    format!("sha256-{}.sig", subject.to_hex())
}

/// Whether a signature was there before it was entered.
#[derive(Debug, PartialEq, Eq)]
enum Entered {
    Before,
    Now,
}

fn empty_manifest() -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST, "layers": []})
}

/// An image of nothing: whoever writes these lists sees images in them.
fn empty_config() -> Value {
    json!({
        "architecture": "",
        "os": "",
        "config": {},
        "history": [],
        "rootfs": {"type": "layers", "diff_ids": []},
    })
}

/// Enters a signature into a list; `None` if it is no list.
fn enter(
    manifest: &mut Value,
    config: &mut Value,
    layer: &Descriptor,
    signature: &str,
) -> Option<Entered> {
    let layers = manifest.get_mut("layers")?.as_array_mut()?;
    let is_list = layers
        .iter()
        .all(|layer| layer["mediaType"] == SIMPLE_SIGNING);
    if !is_list {
        return None;
    }
    let digest = layer.digest.to_string();
    let is_there = layers
        .iter()
        .any(|one| one["digest"] == digest.as_str() && one["annotations"][SIGNATURE] == signature);
    if is_there {
        return Some(Entered::Before);
    }
    let mut layer = json!(layer);
    layer["annotations"] = json!({SIGNATURE: signature});
    layers.push(layer);
    let files = config.pointer_mut("/rootfs/diff_ids")?.as_array_mut()?;
    files.push(json!(digest));
    // A history with fewer entries than layers is one that some readers refuse.
    if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut) {
        history.push(json!({"created": "0001-01-01T00:00:00Z"}));
    }
    Some(Entered::Now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_signatures_is_left_as_it_is() {
        let layer = Descriptor::of(SIMPLE_SIGNING, b"{}");
        let image = json!({"layers": [{"mediaType": media_type::LAYER_GZIP}]});
        for other in [json!(null), json!([]), json!({}), image] {
            let entered = enter(&mut other.clone(), &mut empty_config(), &layer, "a");
            assert_eq!(entered, None, "{other}");
        }
        for other in [json!(null), json!({}), json!({"rootfs": {}})] {
            let entered = enter(&mut empty_manifest(), &mut other.clone(), &layer, "a");
            assert_eq!(entered, None, "{other}");
        }
    }

    #[test]
    fn a_signature_is_entered_once_and_told_from_another_of_the_same_text() {
        let (mut manifest, mut config) = (empty_manifest(), empty_config());
        let layer = Descriptor::of(SIMPLE_SIGNING, b"{}");
        let mut enter = |signature| enter(&mut manifest, &mut config, &layer, signature);
        assert_eq!(enter("a"), Some(Entered::Now));
        assert_eq!(enter("a"), Some(Entered::Before));
        assert_eq!(enter("b"), Some(Entered::Now));
        assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(2));
        assert_eq!(manifest["layers"][1]["annotations"][SIGNATURE], "b");
        let files = config["rootfs"]["diff_ids"].as_array();
        assert_eq!(files.map(Vec::len), Some(2));
    }
}
