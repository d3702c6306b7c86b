//! A blob on its way, chunk by chunk. OCI distribution-spec 1.1, "Pushing a blob in chunks".

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue},
};
use url::Url;

use super::{Begun, RegistryError, Repository, Scope, answer::received, blobs::UploadPlace};
use crate::net::Request;

/// Uploads that were lost before the last bytes came are begun again so often.
const MAX_RESTARTS: u32 = 4;

/// A blob on its way. One that is dropped expires in the registry.
#[derive(Debug)]
pub struct Upload<'a> {
    repository: &'a Repository,
    location: Url,
    least_chunk_bytes: usize,
    what: String,
    /// How many bytes the registry has.
    sent_bytes: u64,
}

impl<'a> Upload<'a> {
    pub(super) fn new(repository: &'a Repository, place: UploadPlace, what: &str) -> Self {
        Self {
            repository,
            location: place.location,
            least_chunk_bytes: place.least_chunk_bytes,
            what: what.to_owned(),
            sent_bytes: 0,
        }
    }

    /// Returns how long chunks should be that are `usual` elsewhere: what is known of the registry, and no less than it asks for.
    #[must_use]
    pub fn chunk_bytes(&self, usual: usize) -> usize {
        let known = self.repository.profile().chunk_bytes;
        known.unwrap_or(usual).max(self.least_chunk_bytes)
    }

    /// Sends the next bytes. When the connection breaks, the registry is asked how far it came, and only the rest is sent again.
    ///
    /// [`RegistryError::Lost`] means that all has to be sent again, as another upload.
    pub fn append(&mut self, chunk: &Bytes) -> Result<(), RegistryError> {
        let start = self.sent_bytes;
        let end = start.saturating_add(chunk.len() as u64);
        let mut tried = 0;
        while self.sent_bytes < end {
            let before = self.sent_bytes;
            // The difference is at most the length of the chunk.
            let skipped = usize::try_from(before - start).unwrap_or(chunk.len());
            let error = match self.patch(chunk.slice(skipped..)) {
                Ok(()) if self.sent_bytes > before => continue,
                Ok(()) => self.no_answer("takes nothing of an upload"),
                Err(error) => error,
            };
            tried += 1;
            self.recover(error, tried)?;
            if self.sent_bytes < start || self.sent_bytes > end {
                return Err(self.lost());
            }
        }
        Ok(())
    }

    /// Sends the last bytes, which may be none or all, and has the registry check and keep the blob.
    pub fn finish(mut self, rest: Bytes, digest: &str) -> Result<(), RegistryError> {
        if self.sent_bytes == 0 {
            return self.finish_whole(&rest, digest);
        }
        self.append(&rest)?;
        let end = self.sent_bytes;
        let mut tried = 0;
        loop {
            let error = match self.put(Bytes::new(), digest) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tried += 1;
            self.repository.wait(error, tried)?;
            if self.repository.has_blob(digest, &self.what)? {
                return Ok(());
            }
            self.ask_received()?;
            if self.sent_bytes != end {
                return Err(self.lost());
            }
        }
    }

    /// Sends everything in one request; another upload is begun where that failed.
    fn finish_whole(&mut self, all: &Bytes, digest: &str) -> Result<(), RegistryError> {
        let mut tried = 0;
        loop {
            let error = match self.put(all.clone(), digest) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tried += 1;
            // Who was busy has not looked at the upload, which is still good.
            let is_good = matches!(error, RegistryError::Busy { .. });
            match error {
                RegistryError::Absent { .. } if tried <= MAX_RESTARTS => {}
                error => self.repository.wait(error, tried)?,
            }
            if is_good {
                continue;
            }
            // The answer may have been lost after the blob was kept.
            if self.repository.has_blob(digest, &self.what)? {
                return Ok(());
            }
            match self.repository.begin_upload(None, &self.what)? {
                Begun::Upload(upload) => self.location = upload.location,
                Begun::Mounted => return Ok(()),
            }
        }
    }

    fn put(&self, bytes: Bytes, digest: &str) -> Result<(), RegistryError> {
        self.repository
            .put_blob(self.location.clone(), bytes, digest, &self.what)
    }

    /// Sends bytes once, and learns how many the registry has then.
    fn patch(&mut self, bytes: Bytes) -> Result<(), RegistryError> {
        let length = bytes.len() as u64;
        let mut request = Request::new(Method::PATCH, self.location.clone());
        request.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        let last = self.sent_bytes.saturating_add(length).saturating_sub(1);
        let range = format!("{}-{last}", self.sent_bytes);
        if let Ok(range) = HeaderValue::from_str(&range) {
            request.headers.insert(CONTENT_RANGE, range);
        }
        request.body = Some(bytes);
        let answer = self.repository.send(&request, Scope::Push, &self.what)?;
        match answer.status {
            202 | 204 => {}
            404 | 410 => return Err(self.lost()),
            _ => return Err(RegistryError::from_answer(&self.what, &answer)),
        }
        if let Some(location) = self.repository.location(&request.url, &answer) {
            self.location = location;
        }
        let end = self.sent_bytes.saturating_add(length);
        match received(&answer.headers) {
            Some(found) if found > end => return Err(self.no_answer("has more than was sent")),
            Some(found) => self.sent_bytes = found,
            None => self.sent_bytes = end,
        }
        Ok(())
    }

    /// Waits after a failure that may pass, and asks how far the upload came.
    fn recover(&mut self, error: RegistryError, tried: u32) -> Result<(), RegistryError> {
        match error {
            // The registry expects another place of the blob next, and says which.
            RegistryError::Refused { code: 416, .. } if tried < MAX_RESTARTS => {}
            error => self.repository.wait(error, tried)?,
        }
        self.ask_received()
    }

    fn ask_received(&mut self) -> Result<(), RegistryError> {
        let request = Request::new(Method::GET, self.location.clone());
        let answer = self.repository.retried(|| {
            let answer = self.repository.send(&request, Scope::Push, &self.what)?;
            match answer.status {
                200..=299 => Ok(answer),
                // Some registries drop an upload whose place they do not know for sure, and say that it is invalid.
                400 | 404 | 410 | 416 => Err(self.lost()),
                _ => Err(RegistryError::from_answer(&self.what, &answer)),
            }
        })?;
        if let Some(location) = self.repository.location(&request.url, &answer) {
            self.location = location;
        }
        self.sent_bytes = match received(&answer.headers) {
            // This is how registries say that they have nothing. No upload stops after one byte.
            Some(1) | None => 0,
            Some(found) => found,
        };
        Ok(())
    }

    fn lost(&self) -> RegistryError {
        RegistryError::Lost {
            what: self.what.clone(),
        }
    }

    fn no_answer(&self, problem: &'static str) -> RegistryError {
        RegistryError::Answer {
            what: self.what.clone(),
            problem,
        }
    }
}
