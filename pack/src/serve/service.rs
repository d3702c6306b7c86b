//! Who is answered what.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use bytes::Bytes;
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, LINK, ORIGIN, RANGE, VARY},
};
use serde_json::{Value, json};
use store::serve::{
    self, Body, Denied, Gate, GateOptions, Question, Reply, Service, blocking, cut,
};

use super::{
    accept::Accept,
    answers::{
        blob_reply, explain, json_reply, manifest_reply, no_blob, no_manifest, refused, versioned,
    },
    depot::Depot,
    document::Document,
    facts::facts_of,
    images::Images,
    layer::{LayerPart, layer_body},
    layer_turns::LayerTurns,
    packed::{Blob, Packed},
    refusal::RegistryRefusal,
    route::{Algorithm, AnyDigest, Reference, Route, parameter},
    source::{ImageSource, SourceError},
    upload::created,
};
use crate::{oci::media_type, sign::ImageSecretKey};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Bytes of a manifest at most: what the specification asks for.
const MAX_MANIFEST: u64 = 4 << 20;

/// What a registry is made of.
#[derive(Debug)]
pub struct RegistryServiceOptions {
    /// Who may do what.
    pub gate: GateOptions,
    /// Where what is pushed goes; without it nothing is taken.
    pub depot: Option<Depot>,
    /// Who signs images that are made, and what there is about them.
    pub key: Option<ImageSecretKey>,
}

/// A registry.
#[derive(Debug)]
pub struct RegistryService {
    gate: Gate,
    pub(super) images: Images,
    depot: Option<Depot>,
    pub(super) layers: LayerTurns,
}

/// A blob that was found.
enum Found {
    /// All of it, or of a file the part, with the size of the whole.
    File(Option<Range<u64>>, u64, Body),
    Layer(Arc<Packed>, usize, usize, u64),
}

impl RegistryService {
    /// Makes the service of a registry that has what `source` has.
    pub fn new(
        source: Box<dyn ImageSource>,
        options: RegistryServiceOptions,
    ) -> Result<Self, serve::TokenError> {
        Ok(Self {
            gate: Gate::new(options.gate)?,
            images: Images::new(source, options.key),
            depot: options.depot,
            layers: LayerTurns::default(),
        })
    }

    async fn route(
        self: &Arc<Self>,
        question: &Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        let route = Route::parse(&question.path)?;
        if question.is_read() {
            return self.read(route, question).await;
        }
        if self.depot.is_none() {
            return Err(RegistryRefusal::NoPush);
        }
        match (question.method.as_str(), route) {
            ("POST", Route::Uploads(name)) => self.begin_upload(name, question, body).await,
            ("PATCH", Route::Upload(name, id)) => self.append(name, id, question, body).await,
            ("PUT", Route::Upload(name, id)) => self.finish_upload(name, id, question, body).await,
            ("DELETE", Route::Upload(_, id)) => self.forget_upload(id).await,
            ("PUT", Route::Manifest(name, reference)) => {
                self.put_manifest(name, reference, question, body).await
            }
            ("DELETE", Route::Manifest(name, reference)) => self.forget(name, reference).await,
            ("DELETE", Route::Blob(name, digest)) => self.forget_blob(name, digest).await,
            _ => Err(RegistryRefusal::Method),
        }
    }

    async fn read(
        self: &Arc<Self>,
        route: Route,
        question: &Question,
    ) -> Result<Reply, RegistryRefusal> {
        match route {
            Route::Base => Ok(json_reply("application/json", b"{}".to_vec())),
            Route::Manifest(name, reference) => self.manifest(name, reference, question).await,
            Route::Blob(name, digest) => self.blob(name, digest, question).await,
            Route::Upload(name, id) if self.depot.is_some() => self.upload_state(name, id).await,
            Route::Tags(name) => self.tags(name, question).await,
            Route::Referrers(name, digest) => self.referrers(name, digest, question).await,
            Route::Uploads(_) | Route::Upload(..) => Err(RegistryRefusal::Method),
        }
    }

    async fn manifest(
        self: &Arc<Self>,
        name: String,
        reference: Reference,
        question: &Question,
    ) -> Result<Reply, RegistryRefusal> {
        let service = Arc::clone(self);
        let accept = match reference {
            Reference::Tag(_) => Some(Accept::parse(&question.headers)),
            Reference::Digest(_) => None,
        };
        let varies = accept.is_some();
        let accept = accept.unwrap_or_default();
        let find = move || service.find_manifest(&name, &reference, &accept);
        let mut reply = manifest_reply(&blocking(find).await?);
        if varies {
            serve::set(&mut reply, VARY, ACCEPT.as_str());
        }
        Ok(reply)
    }

    /// Blocks.
    fn find_manifest(
        &self,
        name: &str,
        reference: &Reference,
        accept: &Accept,
    ) -> Result<Document, RegistryRefusal> {
        if let Some(depot) = &self.depot
            && let Some(document) = depot.manifest(name, reference)?
        {
            let chosen = match accept.takes(&document.media_type) {
                true => None,
                false => accept.choose_in(&document.bytes),
            };
            let chosen = chosen.map(|digest| depot.manifest(name, &Reference::Digest(digest)));
            return Ok(chosen.transpose()?.flatten().unwrap_or(document));
        }
        let found = match reference {
            Reference::Digest(digest) => self
                .source(name, reference, || {
                    self.images.with(name, digest, Packed::has_manifest)
                })?
                .and_then(|packed| packed.manifest(digest)),
            Reference::Tag(tag) => {
                let packed = self.source(name, reference, || self.images.current(name))?;
                let is_known = packed.tags().contains(tag);
                is_known.then(|| packed.top(accept)).flatten()
            }
        };
        found.ok_or_else(|| no_manifest(name, reference))
    }

    /// Asks the source; what it does not know at all is only a missing manifest where something was pushed under the name.
    fn source<T>(
        &self,
        name: &str,
        reference: &Reference,
        ask: impl FnOnce() -> Result<T, RegistryRefusal>,
    ) -> Result<T, RegistryRefusal> {
        let is_pushed = self
            .depot
            .as_ref()
            .is_some_and(|depot| depot.has_name(name));
        match ask() {
            Err(RegistryRefusal::Source(_)) if is_pushed => Err(no_manifest(name, reference)),
            answer => answer,
        }
    }

    async fn blob(
        self: &Arc<Self>,
        name: String,
        digest: AnyDigest,
        question: &Question,
    ) -> Result<Reply, RegistryRefusal> {
        let range = question.header(&RANGE).map(str::to_owned);
        let is_sent = question.method == Method::GET;
        let service = Arc::clone(self);
        let (asked, known) = (range.clone(), digest.clone());
        let find = move || service.find_blob(&name, &known, asked.as_deref(), is_sent);
        let found = blocking(find).await?;
        let (part, size, body) = match found {
            Found::File(part, size, body) => (part, size, body),
            Found::Layer(packed, image, layer, size_bytes) => {
                let (part, sent) = cut(range.as_deref(), size_bytes);
                let body = match is_sent && !sent.is_empty() {
                    false => serve::whole(Bytes::new()),
                    true => {
                        let turn = self.layers.turn(question.client).await?;
                        let wanted = LayerPart {
                            image,
                            layer,
                            part: sent,
                            size_bytes,
                        };
                        layer_body(packed, wanted, turn)
                    }
                };
                (part, size_bytes, body)
            }
        };
        let length = part.as_ref().map_or(size, |part| part.end - part.start);
        let body = if is_sent {
            body
        } else {
            serve::whole(Bytes::new())
        };
        let reply = blob_reply(body, part.as_ref(), size, &digest);
        if is_sent {
            self.gate.count_sent(length);
        }
        Ok(reply)
    }

    /// Blocks; waits for builds only if the blob is to be sent.
    fn find_blob(
        &self,
        name: &str,
        digest: &AnyDigest,
        range: Option<&str>,
        is_sent: bool,
    ) -> Result<Found, RegistryRefusal> {
        let absent = || no_blob(name, digest);
        if let Some(depot) = &self.depot
            && let Some((file, size)) = depot.open_blob(name, digest)?
        {
            let (part, sent) = cut(range, size);
            let body = serve::part_of(file, sent).map_err(|source| super::DepotError::File {
                action: "read",
                path: digest.to_string().into(),
                source,
            })?;
            return Ok(Found::File(part, size, body));
        }
        let packed = if self.depot.is_some() && !is_sent {
            // Whoever pushes asks so, of names that nobody else knows, and sends what is not there. Who pulls has had the manifest just now.
            self.images.known(name, digest, Packed::has_blob)
        } else {
            match self.images.with(name, digest, Packed::has_blob) {
                Err(RegistryRefusal::Source(_)) if self.depot.is_some() => None,
                packed => packed?,
            }
        };
        let packed = packed.ok_or_else(absent)?;
        match packed.blob(digest).ok_or_else(absent)? {
            Blob::Layer {
                image,
                layer,
                size_bytes,
            } => Ok(Found::Layer(Arc::clone(&packed), image, layer, size_bytes)),
            Blob::Bytes(bytes) => {
                let size = bytes.len() as u64;
                let (part, sent) = cut(range, size);
                let bytes = Bytes::copy_from_slice(bytes);
                let index = |offset: u64| usize::try_from(offset).unwrap_or(bytes.len());
                let sent = bytes.slice(index(sent.start)..index(sent.end));
                Ok(Found::File(part, size, serve::whole(sent)))
            }
        }
    }

    async fn tags(
        self: &Arc<Self>,
        name: String,
        question: &Question,
    ) -> Result<Reply, RegistryRefusal> {
        let (service, of) = (Arc::clone(self), name.clone());
        let all = blocking(move || service.find_tags(&of)).await?;
        let query = question.query.as_deref();
        let last = parameter(query, "last").unwrap_or_default();
        let limit = parameter(query, "n").and_then(|n| n.parse::<usize>().ok());
        let after: Vec<String> = all.into_iter().filter(|tag| *tag > last).collect();
        let shown = &after[..limit.unwrap_or(after.len()).min(after.len())];
        let text = json!({ "name": name, "tags": shown }).to_string();
        let mut reply = json_reply("application/json", text.into_bytes());
        if let (Some(limit), Some(last)) = (limit, shown.last())
            && shown.len() < after.len()
        {
            let next = format!("</v2/{name}/tags/list?n={limit}&last={last}>; rel=\"next\"");
            serve::set_value(&mut reply, LINK, &next);
        }
        Ok(reply)
    }

    /// Blocks. Sorted.
    fn find_tags(&self, name: &str) -> Result<BTreeSet<String>, RegistryRefusal> {
        let mut tags = BTreeSet::new();
        let mut is_known = false;
        if let Some(depot) = &self.depot {
            is_known = depot.has_name(name);
            tags.extend(depot.tags(name)?);
        }
        match self.images.current(name) {
            Ok(packed) => tags.extend(packed.tags()),
            Err(RegistryRefusal::Source(_)) if is_known => {}
            Err(error) => return Err(error),
        }
        Ok(tags)
    }

    async fn referrers(
        self: &Arc<Self>,
        name: String,
        subject: AnyDigest,
        question: &Question,
    ) -> Result<Reply, RegistryRefusal> {
        let service = Arc::clone(self);
        let all = blocking(move || {
            let depot = service.depot.as_ref();
            let found = depot.map(|depot| depot.referrers(&name, &subject));
            let mut found = found.transpose()?.unwrap_or_default();
            found.extend(service.made_referrers(&name, &subject)?);
            Ok::<_, RegistryRefusal>(found)
        });
        let mut all = all.await?;
        let wanted = parameter(question.query.as_deref(), "artifactType");
        if let Some(wanted) = &wanted {
            all.retain(|descriptor| descriptor["artifactType"] == wanted.as_str());
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": all,
        });
        let mut reply = json_reply(media_type::INDEX, index.to_string().into_bytes());
        if wanted.is_some() {
            serve::set(&mut reply, FILTERS, "artifactType");
        }
        Ok(reply)
    }

    /// Returns what the source has about an image that it made. A name that it does not know is none of an error here: lists of what there is not are empty. Blocks.
    fn made_referrers(
        &self,
        name: &str,
        subject: &AnyDigest,
    ) -> Result<Vec<Value>, RegistryRefusal> {
        // Who pushes asks of names that nobody else knows, and of manifests that are here.
        let is_pushed = match &self.depot {
            Some(depot) => depot
                .manifest(name, &Reference::Digest(subject.clone()))?
                .is_some(),
            None => false,
        };
        if is_pushed {
            return Ok(Vec::new());
        }
        match self.images.referrers(name, subject) {
            Err(RegistryRefusal::Source(SourceError::Unknown { .. })) => Ok(Vec::new()),
            found => found,
        }
    }

    async fn put_manifest(
        self: &Arc<Self>,
        name: String,
        reference: Reference,
        question: &Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        let turn = self.gate.turn(MAX_MANIFEST).await?;
        let bytes = self.gate.receive_at_most(MAX_MANIFEST, body.take());
        let bytes = bytes.await?.to_vec();
        let content_type = question.header(&CONTENT_TYPE).unwrap_or_default();
        let (media_type, facts) = facts_of(&bytes, content_type)?;
        let (digest, tag) = match reference {
            Reference::Tag(tag) => (AnyDigest::of(Algorithm::Sha256, &bytes), Some(tag)),
            Reference::Digest(expected) => {
                let found = AnyDigest::of(expected.algorithm(), &bytes);
                if found != expected {
                    return Err(RegistryRefusal::WrongDigest {
                        expected: expected.to_string(),
                        found: found.to_string(),
                    });
                }
                (found, None)
            }
        };
        let mut facts = facts;
        facts.descriptor["digest"] = Value::from(digest.to_string());
        let document = Document {
            media_type,
            digest: digest.clone(),
            bytes,
        };
        let subject = facts.subject.clone();
        let facts = Arc::new(facts);
        self.adopt(&name, Arc::clone(&facts), question.client)
            .await?;
        let (service, into) = (Arc::clone(self), name.clone());
        let put = move || {
            let depot = depot(&service)?;
            if let Some(subject) = &facts.subject
                && depot.is_crowded(&into, subject)?
            {
                return Err(RegistryRefusal::Manifest {
                    message: "there are too many about the same manifest".to_owned(),
                });
            }
            let missing = depot.put_manifest(&into, &document, tag.as_deref(), &facts)?;
            drop(turn);
            missing.map_or(Ok(()), |missing| {
                Err(RegistryRefusal::MissingBlob {
                    name: into,
                    digest: missing.to_string(),
                })
            })
        };
        blocking(put).await?;
        let mut reply = created(&name, "manifests", &digest);
        if let Some(subject) = subject {
            serve::set_value(&mut reply, SUBJECT, &subject.to_string());
        }
        Ok(reply)
    }

    async fn forget(
        self: &Arc<Self>,
        name: String,
        reference: Reference,
    ) -> Result<Reply, RegistryRefusal> {
        let service = Arc::clone(self);
        blocking(move || {
            let depot = depot(&service)?;
            let was_there = match &reference {
                Reference::Tag(tag) => depot.forget_tag(&name, tag)?,
                Reference::Digest(digest) => depot.forget_manifest(&name, digest)?,
            };
            was_there
                .then_some(())
                .ok_or_else(|| no_manifest(&name, &reference))
        })
        .await?;
        Ok(serve::empty(StatusCode::ACCEPTED))
    }

    async fn forget_blob(
        self: &Arc<Self>,
        name: String,
        digest: AnyDigest,
    ) -> Result<Reply, RegistryRefusal> {
        let service = Arc::clone(self);
        blocking(move || {
            let was_there = depot(&service)?.forget_blob(&name, &digest)?;
            was_there
                .then_some(())
                .ok_or_else(|| no_blob(&name, &digest))
        })
        .await?;
        Ok(serve::empty(StatusCode::ACCEPTED))
    }
}

impl Service for RegistryService {
    type Refusal = RegistryRefusal;

    fn gate(&self) -> &Gate {
        &self.gate
    }

    async fn answer(
        self: &Arc<Self>,
        question: Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        let caller = &question.caller;
        caller.needs(match question.is_read() {
            true => caller.may_read || (caller.may_write && is_asked_by_pushers(&question)),
            false => caller.may_write || self.depot.is_none(),
        })?;
        // Browsers name the page that wants to write; clients of registries have none.
        if !question.is_read() && question.headers.contains_key(ORIGIN) {
            return Err(Denied::Scope.into());
        }
        let mut reply = self.route(&question, body).await?;
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

/// Whoever pushes asks what is there and where an upload stands, and reads nothing.
fn is_asked_by_pushers(question: &Question) -> bool {
    question.method == Method::HEAD
        || matches!(
            Route::parse(&question.path),
            Ok(Route::Base | Route::Upload(..))
        )
}

/// The directory of what is pushed, where there is one.
pub(super) fn depot(service: &RegistryService) -> Result<&Depot, RegistryRefusal> {
    service.depot.as_ref().ok_or(RegistryRefusal::NoPush)
}
