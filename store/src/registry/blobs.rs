//! Blobs: whether they are there, and how they get there.

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use url::Url;

use super::{
    RegistryError, Repository, Scope, Upload,
    answer::{check_digest, least_chunk_bytes},
};
use crate::net::{Answer, Request};

/// What came of the wish to upload a blob.
#[derive(Debug)]
pub enum Begun<'a> {
    /// The registry took the blob from another repository.
    Mounted,
    /// It has to be sent.
    Upload(Upload<'a>),
}

/// Where an upload goes.
pub(super) struct UploadPlace {
    pub(super) location: Url,
    /// The shortest chunk that is taken, but for the last one.
    pub(super) least_chunk_bytes: usize,
}

impl Repository {
    /// Tells whether a blob is there, by somebody who is going to push. `digest` is `sha256:` and 64 digits.
    pub fn has_blob(&self, digest: &str, what: &str) -> Result<bool, RegistryError> {
        self.retried(|| self.find_blob(digest, what))
    }

    /// Tells whether a blob is there; asks once.
    pub(crate) fn find_blob(&self, digest: &str, what: &str) -> Result<bool, RegistryError> {
        let request = Request::new(Method::HEAD, self.address("blobs", digest));
        let answer = self.send(&request, Scope::Push, what)?;
        match answer.status {
            200..=299 => check_digest(&answer.headers, digest, what).map(|()| true),
            404 | 410 => Ok(false),
            _ => Err(RegistryError::from_answer(what, &answer)),
        }
    }

    /// Begins to upload a blob. With `mount`, a digest and the repository that has it, the registry may take it from there instead.
    pub fn begin_upload(
        &self,
        mount: Option<(&str, &str)>,
        what: &str,
    ) -> Result<Begun<'_>, RegistryError> {
        self.retried(|| match self.begin(mount, what)? {
            None => Ok(Begun::Mounted),
            Some(place) => Ok(Begun::Upload(Upload::new(self, place, what))),
        })
    }

    /// Sends a whole blob; asks once.
    pub(crate) fn upload_once(
        &self,
        bytes: Bytes,
        digest: &str,
        what: &str,
    ) -> Result<(), RegistryError> {
        match self.begin(None, what)? {
            None => Ok(()),
            Some(place) => self.put_blob(place.location, bytes, digest, what),
        }
    }

    /// Asks for a place to upload to; `None` when the blob was mounted.
    fn begin(
        &self,
        mount: Option<(&str, &str)>,
        what: &str,
    ) -> Result<Option<UploadPlace>, RegistryError> {
        let mut url = self.address("blobs", "uploads/");
        if let Some((digest, from)) = mount {
            url.query_pairs_mut()
                .append_pair("mount", digest)
                .append_pair("from", from);
        }
        let mut request = Request::new(Method::POST, url);
        request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let answer = self.send(&request, Scope::Push, what)?;
        match (answer.status, mount) {
            (201, Some((digest, _))) => {
                check_digest(&answer.headers, digest, what)?;
                Ok(None)
            }
            (202, _) => self
                .location(&request.url, &answer)
                .map(|location| {
                    let least_chunk_bytes = least_chunk_bytes(&answer.headers);
                    Some(UploadPlace {
                        location,
                        least_chunk_bytes,
                    })
                })
                .ok_or_else(|| RegistryError::Answer {
                    what: what.to_owned(),
                    problem: "has no place to upload to",
                }),
            _ => Err(RegistryError::from_answer(what, &answer)),
        }
    }

    /// Ends an upload with its last bytes, which may be all.
    pub(super) fn put_blob(
        &self,
        mut location: Url,
        bytes: Bytes,
        digest: &str,
        what: &str,
    ) -> Result<(), RegistryError> {
        location.query_pairs_mut().append_pair("digest", digest);
        let mut request = Request::new(Method::PUT, location);
        request.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        request.body = Some(bytes);
        let answer = self.send(&request, Scope::Push, what)?;
        stored(&answer, digest, what)
    }
}

fn stored(answer: &Answer, digest: &str, what: &str) -> Result<(), RegistryError> {
    match answer.status {
        201 | 204 => check_digest(&answer.headers, digest, what),
        _ => Err(RegistryError::from_answer(what, answer)),
    }
}
