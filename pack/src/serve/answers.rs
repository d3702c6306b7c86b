//! Answers in the words of the distribution specification.

use std::ops::Range;

use hyper::{
    StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE},
};
use store::{
    net::chain,
    serve::{self, Body, Denied, Reply},
};

use super::{
    document::Document,
    refusal::RegistryRefusal,
    route::{AnyDigest, Reference},
};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The answer with a manifest or an index.
pub(super) fn manifest_reply(document: &Document) -> Reply {
    let mut reply = json_reply(&document.media_type, document.bytes.clone());
    content_digest(&mut reply, &document.digest);
    reply
}

/// The answer with a blob of so many bytes, or a part of it.
pub(super) fn blob_reply(
    body: Body,
    part: Option<&Range<u64>>,
    size_bytes: u64,
    digest: &AnyDigest,
) -> Reply {
    let mut reply = serve::ranged(body, part, size_bytes);
    content_digest(&mut reply, digest);
    let forever = "public, max-age=31536000, immutable";
    serve::set(&mut reply, CACHE_CONTROL, forever);
    reply
}

/// The answer with a document that may be another one the next time.
pub(super) fn json_reply(media_type: &str, bytes: Vec<u8>) -> Reply {
    let length = bytes.len() as u64;
    let mut reply = serve::bytes(serve::whole(bytes.into()), length);
    serve::set_value(&mut reply, CONTENT_TYPE, media_type);
    serve::set(&mut reply, CACHE_CONTROL, "no-cache");
    reply
}

/// The answer that says why not.
pub(super) fn refused(refusal: &RegistryRefusal) -> Reply {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = json_reply("application/json", refusal.body());
    *reply.status_mut() = status;
    versioned(&mut reply);
    match refusal {
        RegistryRefusal::Denied(Denied::NoToken | Denied::WrongToken) => {
            serve::set(
                &mut reply,
                WWW_AUTHENTICATE,
                "Basic realm=\"pith registry\"",
            );
        }
        RegistryRefusal::Method | RegistryRefusal::NoPush => {
            serve::set(&mut reply, ALLOW, "GET, HEAD");
        }
        _ => {}
    }
    reply
}

/// Returns the chain of causes in one line.
pub(super) fn explain(refusal: &RegistryRefusal) -> String {
    chain(refusal).replace('\n', " ")
}

/// Says of which specification the answer is.
pub(super) fn versioned(reply: &mut Reply) {
    serve::set(reply, API_VERSION, "registry/2.0");
}

/// Says which digest the body has.
pub(super) fn content_digest(reply: &mut Reply, digest: &AnyDigest) {
    serve::set_value(reply, CONTENT_DIGEST, &digest.to_string());
}

pub(super) fn no_manifest(name: &str, reference: &Reference) -> RegistryRefusal {
    RegistryRefusal::NoManifest {
        name: name.to_owned(),
        reference: reference.to_string(),
    }
}

pub(super) fn no_blob(name: &str, digest: &AnyDigest) -> RegistryRefusal {
    RegistryRefusal::NoBlob {
        name: name.to_owned(),
        digest: digest.to_string(),
    }
}
