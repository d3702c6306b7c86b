//! What a manifest says that a registry has to know. Pure.

use serde_json::{Value, json};

use super::{refusal::RegistryRefusal, route::AnyDigest};

/// Bytes of what a list of referrers says of one manifest: annotations, most of all.
const MAX_DESCRIPTOR: usize = 16 << 10;

/// What a manifest says that a registry has to know.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The blobs that must be there.
    pub(super) blobs: Vec<AnyDigest>,
    /// The manifests that an index names.
    pub(super) manifests: Vec<AnyDigest>,
    /// The manifest that it is about.
    pub(super) subject: Option<AnyDigest>,
    /// What referrers of that manifest are told.
    pub(super) descriptor: Value,
}

/// Reads what a registry has to know of a manifest: its media type, its blobs, and what it is about.
pub(super) fn facts_of(
    bytes: &[u8],
    content_type: &str,
) -> Result<(String, Facts), RegistryRefusal> {
    let failed = |message: &str| RegistryRefusal::Manifest {
        message: message.to_owned(),
    };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| failed(&error.to_string()))?;
    if value["schemaVersion"] != 2 {
        return Err(failed("its `schemaVersion` is not 2"));
    }
    let said = value["mediaType"].as_str().unwrap_or(content_type);
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let media_type = if content_type.is_empty() {
        said
    } else {
        content_type
    };
    if said != media_type || media_type.is_empty() {
        return Err(failed(
            "the type that it was sent as is not its `mediaType`",
        ));
    }
    let digest_of = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().map(str::parse::<AnyDigest>);
        digest
            .and_then(Result::ok)
            .ok_or_else(|| failed("a descriptor has no digest"))
    };
    let mut blobs = Vec::new();
    let mut manifests = Vec::new();
    if let Some(listed) = value["manifests"].as_array() {
        // An index may name what is of no kind that is kept here.
        manifests.extend(listed.iter().filter_map(|one| digest_of(one).ok()));
    } else {
        blobs.push(digest_of(&value["config"])?);
        for layer in value["layers"].as_array().into_iter().flatten() {
            // What lies elsewhere need not be here.
            if layer["urls"].as_array().is_none_or(Vec::is_empty) {
                blobs.push(digest_of(layer)?);
            }
        }
    }
    let subject = &value["subject"];
    let subject = (!subject.is_null())
        .then(|| digest_of(subject))
        .transpose()?;
    let artifact_type = match &value["artifactType"] {
        Value::Null => &value["config"]["mediaType"],
        stated => stated,
    };
    let mut descriptor = json!({ "mediaType": media_type, "size": bytes.len() });
    for (key, stated) in [
        ("artifactType", artifact_type),
        ("annotations", &value["annotations"]),
    ] {
        if !stated.is_null() {
            descriptor[key] = stated.clone();
        }
    }
    if subject.is_some() && descriptor.to_string().len() > MAX_DESCRIPTOR {
        return Err(failed(
            "it is about another manifest, and says more than 16 KiB of itself",
        ));
    }
    let facts = Facts {
        blobs,
        manifests,
        subject,
        descriptor,
    };
    Ok((media_type.to_owned(), facts))
}
