//! Blobs that come, whole or in chunks.

use std::sync::Arc;

use bytes::BytesMut;
use hyper::{
    StatusCode,
    body::Incoming,
    header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE},
};
use store::serve::{self, Question, Reply, Service as _, blocking};

use super::{
    answers::content_digest,
    depot::OpenUpload,
    refusal::RegistryRefusal,
    route::{AnyDigest, is_name, parameter},
    service::{RegistryService, depot},
};

/// Says what an upload is called.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// Bytes that are collected before they are written.
const BLOCK: usize = 1 << 20;

impl RegistryService {
    /// Begins an upload; takes the whole blob, or mounts one, if the query says so.
    pub(super) async fn begin_upload(
        self: &Arc<Self>,
        name: String,
        question: &Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        let query = question.query.as_deref();
        if let Some(mount) = parameter(query, "mount") {
            let digest: AnyDigest = mount.parse().map_err(|_| RegistryRefusal::Digest)?;
            let from = parameter(query, "from");
            if from.as_deref().is_some_and(|from| !is_name(from)) {
                return Err(RegistryRefusal::Name);
            }
            let (service, into, wanted) = (Arc::clone(self), name.clone(), digest.clone());
            let mount = move || {
                let mounted = depot(&service)?.mount(&into, &wanted, from.as_deref());
                Ok::<_, RegistryRefusal>(mounted?)
            };
            if blocking(mount).await? {
                return Ok(created(&name, "blobs", &digest));
            }
        }
        let whole = parameter(query, "digest");
        if whole
            .as_ref()
            .is_some_and(|text| text.parse::<AnyDigest>().is_err())
        {
            return Err(RegistryRefusal::Digest);
        }
        let service = Arc::clone(self);
        let begin = move || {
            let id = depot(&service)?.begin_upload()?;
            id.ok_or_else(|| RegistryRefusal::from(serve::Denied::Busy))
        };
        let id = blocking(begin).await?;
        match whole {
            None => Ok(state(&name, &id, 0, StatusCode::ACCEPTED)),
            Some(_) => self.finish_upload(name, id, question, body).await,
        }
    }

    /// Says where an upload stands.
    pub(super) async fn upload_state(
        self: &Arc<Self>,
        name: String,
        id: String,
    ) -> Result<Reply, RegistryRefusal> {
        let upload = self.open_upload(id.clone()).await?;
        Ok(state(&name, &id, upload.length(), StatusCode::NO_CONTENT))
    }

    /// Takes a chunk.
    pub(super) async fn append(
        self: &Arc<Self>,
        name: String,
        id: String,
        question: &Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        let upload = self.receive(id.clone(), question, body).await?;
        Ok(state(&name, &id, upload.length(), StatusCode::ACCEPTED))
    }

    /// Takes the last chunk, if there is one, and makes the upload a blob.
    pub(super) async fn finish_upload(
        self: &Arc<Self>,
        name: String,
        id: String,
        question: &Question,
        body: &mut Option<Incoming>,
    ) -> Result<Reply, RegistryRefusal> {
        let digest = parameter(question.query.as_deref(), "digest");
        let digest = digest.and_then(|digest| digest.parse::<AnyDigest>().ok());
        let digest = digest.ok_or(RegistryRefusal::Digest)?;
        let upload = self.receive(id, question, body).await?;
        let (service, into, wanted) = (Arc::clone(self), name.clone(), digest.clone());
        let finish = move || {
            let found = depot(&service)?.finish_upload(upload, &into, &wanted)?;
            found.map_or(Ok(()), |found| {
                Err(RegistryRefusal::WrongDigest {
                    expected: wanted.to_string(),
                    found: found.to_string(),
                })
            })
        };
        blocking(finish).await?;
        self.gate().count_stored();
        Ok(created(&name, "blobs", &digest))
    }

    /// Forgets an upload.
    pub(super) async fn forget_upload(
        self: &Arc<Self>,
        id: String,
    ) -> Result<Reply, RegistryRefusal> {
        let upload = self.open_upload(id).await?;
        blocking(move || Ok::<_, RegistryRefusal>(upload.forget()?)).await?;
        Ok(serve::empty(StatusCode::NO_CONTENT))
    }

    async fn open_upload(self: &Arc<Self>, id: String) -> Result<OpenUpload, RegistryRefusal> {
        let service = Arc::clone(self);
        blocking(move || {
            let upload = depot(&service)?.open_upload(&id)?;
            upload.ok_or(RegistryRefusal::NoUpload)
        })
        .await
    }

    /// Writes a chunk to the end of an upload; of one that does not come whole, nothing stays.
    async fn receive(
        self: &Arc<Self>,
        id: String,
        question: &Question,
        body: &mut Option<Incoming>,
    ) -> Result<OpenUpload, RegistryRefusal> {
        let mut upload = self.open_upload(id).await?;
        check_chunk(question, &upload)?;
        let Some(mut body) = body.take() else {
            return Ok(upload);
        };
        let before = upload.length();
        let _turn = self.gate().turn(BLOCK as u64).await?;
        let limit = self.gate().limits().file_bytes;
        let mut pace = self.gate().pace();
        let mut block = BytesMut::new();
        loop {
            let next = pace.next(&mut body).await;
            let is_last = matches!(next, Ok(None));
            let failure = match next {
                Ok(Some(piece)) => {
                    block.extend_from_slice(&piece);
                    let is_long = upload.length() + block.len() as u64 > limit;
                    is_long.then_some(serve::Denied::TooLarge { limit })
                }
                Ok(None) if block.is_empty() => break,
                Ok(None) => None,
                Err(denied) => Some(denied),
            };
            if let Some(denied) = failure {
                blocking(move || Ok::<_, RegistryRefusal>(upload.shorten(before)?)).await?;
                return Err(denied.into());
            }
            if block.len() >= BLOCK || is_last {
                let bytes = block.split().freeze();
                upload = blocking(move || {
                    upload.append(&bytes)?;
                    Ok::<_, RegistryRefusal>(upload)
                })
                .await?;
            }
            if is_last {
                break;
            }
        }
        self.gate().count_received(upload.length() - before);
        Ok(upload)
    }
}

/// Refuses a chunk that does not begin where the upload is.
fn check_chunk(question: &Question, upload: &OpenUpload) -> Result<(), RegistryRefusal> {
    let Some(range) = question.header(&CONTENT_RANGE) else {
        return Ok(());
    };
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    let start = range.split('-').next().and_then(|text| text.parse().ok());
    if start == Some(upload.length()) {
        Ok(())
    } else {
        Err(RegistryRefusal::Chunk {
            expected: upload.length(),
            found: range.to_owned(),
        })
    }
}

/// Says where an upload goes on. A range of nothing cannot be written; the specification writes `0-0` then.
fn state(name: &str, id: &str, length: u64, status: StatusCode) -> Reply {
    let mut reply = serve::empty(status);
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    serve::set_value(&mut reply, LOCATION, &location);
    serve::set_value(
        &mut reply,
        RANGE,
        &format!("0-{}", length.saturating_sub(1)),
    );
    serve::set_value(&mut reply, UPLOAD_UUID, id);
    reply
}

/// Says where a blob or a manifest is now.
pub(super) fn created(name: &str, kind: &str, digest: &AnyDigest) -> Reply {
    let mut reply = serve::empty(StatusCode::CREATED);
    let location = format!("/v2/{name}/{kind}/{digest}");
    serve::set_value(&mut reply, LOCATION, &location);
    content_digest(&mut reply, digest);
    reply
}
