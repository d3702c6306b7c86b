//! A registry of one image, whose layers somebody else makes.

use std::{io, ops::Range, sync::Arc, sync::mpsc::Sender};

use bytes::Bytes;
use hyper::{Method, body::Incoming, header::RANGE};
use serde_json::json;
use store::serve::{self, Denied, Gate, Question, Reply, Service, cut};

use super::{
    answers::{
        blob_reply, explain, json_reply, manifest_reply, no_blob, no_manifest, refused, versioned,
    },
    document::Document,
    part::{Pieces, body_of, pieces},
    refusal::RegistryRefusal,
    route::{AnyDigest, Reference, Route},
};
use crate::{
    image::Assembled,
    oci::{ImageName, media_type},
};

/// A registry that has one image, under one name, for who has a token.
pub(super) struct OneImage {
    pub(super) gate: Gate,
    pub(super) name: ImageName,
    pub(super) documents: Assembled,
    /// Who makes layers.
    pub(super) maker: Sender<Asked>,
}

/// A part of a layer that a client waits for.
pub(super) struct Asked {
    /// The index of the layer, of all that the manifest names.
    pub(super) layer: usize,
    pub(super) part: Range<u64>,
    pub(super) body: Pieces,
}

impl Asked {
    /// Tells the client that no more comes.
    pub(super) fn fail(&self, error: io::Error) {
        // Who is gone needs no reason.
        self.body.blocking_send(Err(error)).ok();
    }
}

impl OneImage {
    fn route(&self, question: &Question) -> Result<Reply, RegistryRefusal> {
        let route = Route::parse(&question.path)?;
        match route {
            Route::Base => Ok(json_reply("application/json", b"{}".to_vec())),
            Route::Manifest(name, reference) => self.manifest(&name, &reference),
            Route::Blob(name, digest) => self.blob(&name, &digest, question),
            Route::Referrers(..) => {
                let none = json!({
                    "schemaVersion": 2,
                    "mediaType": media_type::INDEX,
                    "manifests": [],
                });
                Ok(json_reply(media_type::INDEX, none.to_string().into_bytes()))
            }
            Route::Tags(_) | Route::Uploads(_) | Route::Upload(..) => Err(RegistryRefusal::Method),
        }
    }

    fn manifest(&self, name: &str, reference: &Reference) -> Result<Reply, RegistryRefusal> {
        let document = Document::new(
            &self.documents.manifest_descriptor,
            &self.documents.manifest,
        );
        let is_it = name == self.name.repository()
            && match reference {
                Reference::Tag(tag) => tag == self.name.tag(),
                Reference::Digest(digest) => *digest == document.digest,
            };
        is_it
            .then(|| manifest_reply(&document))
            .ok_or_else(|| no_manifest(name, reference))
    }

    fn blob(
        &self,
        name: &str,
        digest: &AnyDigest,
        question: &Question,
    ) -> Result<Reply, RegistryRefusal> {
        let absent = || no_blob(name, digest);
        if name != self.name.repository() {
            return Err(absent());
        }
        let is_sent = question.method == Method::GET;
        let range = question.header(&RANGE);
        let documents = &self.documents;
        if AnyDigest::from(documents.config_descriptor.digest) == *digest {
            let size_bytes = documents.config.len() as u64;
            let (part, sent) = cut(range, size_bytes);
            let index = |at: u64| usize::try_from(at).unwrap_or(documents.config.len());
            let bytes = match is_sent {
                true => &documents.config[index(sent.start)..index(sent.end)],
                false => &[],
            };
            let body = serve::whole(Bytes::copy_from_slice(bytes));
            return Ok(blob_reply(body, part.as_ref(), size_bytes, digest));
        }
        let mut layers = documents.layers.iter();
        let layer = layers
            .position(|layer| AnyDigest::from(layer.digest) == *digest)
            .ok_or_else(absent)?;
        let size_bytes = documents.layers[layer].size_bytes;
        let (part, sent) = cut(range, size_bytes);
        let body = match is_sent && !sent.is_empty() {
            false => serve::whole(Bytes::new()),
            true => {
                let (body, receiver) = pieces();
                let asked = Asked {
                    layer,
                    part: sent,
                    body,
                };
                // Whoever made them has ended.
                let asked = self.maker.send(asked);
                asked.map_err(|_| RegistryRefusal::Denied(Denied::Stopped))?;
                body_of(receiver)
            }
        };
        Ok(blob_reply(body, part.as_ref(), size_bytes, digest))
    }
}

impl Service for OneImage {
    type Refusal = RegistryRefusal;

    fn gate(&self) -> &Gate {
        &self.gate
    }

    async fn answer(
        self: &Arc<Self>,
        question: Question,
        _body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        question.caller.needs(question.caller.may_read)?;
        if !question.is_read() {
            return Err(RegistryRefusal::Method);
        }
        let mut reply = self.route(&question)?;
        versioned(&mut reply);
        Ok(reply)
    }

    fn refuse(&self, refusal: &RegistryRefusal) -> Reply {
        refused(refusal)
    }

    fn retry_after(refusal: &RegistryRefusal) -> Option<u64> {
        refusal.retry_after()
    }

    fn explain(refusal: &RegistryRefusal) -> String {
        explain(refusal)
    }
}
