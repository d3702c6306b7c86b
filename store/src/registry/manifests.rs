//! Manifests: which one is there, reading and writing them.

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{
    RegistryError, Repository, Scope,
    answer::{check_digest, content_digest},
};
use crate::net::{Answer, Request};

/// The kinds of manifests that are understood, those of docker being the same documents under other names.
pub(super) const ANY: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

impl Repository {
    /// Tells whether `reference`, a tag, is the manifest with `digest`, by somebody who is going to push.
    pub fn has_manifest(
        &self,
        reference: &str,
        digest: &str,
        what: &str,
    ) -> Result<bool, RegistryError> {
        let answer = self.retried(|| self.ask_manifest(Method::HEAD, reference, what))?;
        let Some(answer) = answer else {
            return Ok(false);
        };
        // A registry that does not say which one it is has it replaced.
        Ok(content_digest(&answer.headers) == Some(digest))
    }

    /// Writes a manifest under a tag or its digest, and has the registry's idea of its digest be `digest`.
    pub fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        manifest: &Bytes,
        digest: &str,
        what: &str,
    ) -> Result<(), RegistryError> {
        let headers = self.put(reference, media_type, manifest, digest, what);
        headers.map(drop)
    }

    /// As [`put_manifest`](Self::put_manifest); returns what the registry says.
    pub(super) fn put(
        &self,
        reference: &str,
        media_type: &str,
        manifest: &Bytes,
        digest: &str,
        what: &str,
    ) -> Result<HeaderMap, RegistryError> {
        let mut request = Request::new(Method::PUT, self.address("manifests", reference));
        let media_type = HeaderValue::from_str(media_type).map_err(|_| RegistryError::Answer {
            what: what.to_owned(),
            problem: "has a media type that no header can have",
        })?;
        request.headers.insert(CONTENT_TYPE, media_type);
        request.body = Some(manifest.clone());
        self.retried(|| {
            let answer = self.send(&request, Scope::Push, what)?;
            match answer.status {
                200..=202 => {
                    check_digest(&answer.headers, digest, what)?;
                    Ok(answer.headers)
                }
                _ => Err(RegistryError::from_answer(what, &answer)),
            }
        })
    }

    /// Asks once for the manifest at `reference`; `None` if there is none.
    fn ask_manifest(
        &self,
        method: Method,
        reference: &str,
        what: &str,
    ) -> Result<Option<Answer>, RegistryError> {
        let request = self.manifest_request(method, reference, ANY);
        let answer = self.send(&request, Scope::Push, what)?;
        match answer.status {
            200..=299 => Ok(Some(answer)),
            404 | 410 => Ok(None),
            _ => Err(RegistryError::from_answer(what, &answer)),
        }
    }
}
