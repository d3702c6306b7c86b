//! Reading: manifests, blobs, tags.

use std::{
    fmt,
    io::{self, Read},
};

use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderValue, LINK, RANGE},
};
use serde::Deserialize;
use url::Url;

use super::{
    RegistryError, Repository, Scope,
    answer::{content_digest, whole},
    digest::sha256,
    manifests::ANY,
};
use crate::net::{Body, NetError, Request, content_range};

/// Bytes of a manifest that are read at most: what registries take at most.
const MAX_MANIFEST: u64 = 4 << 20;
/// Bytes of one page of a list at most.
pub(super) const MAX_PAGE: u64 = 4 << 20;
/// Pages of a list after which a registry is taken to go round in circles.
pub(super) const MAX_PAGES: usize = 1000;

/// A manifest as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// What the registry says that it is.
    pub media_type: String,
    /// The digest of the bytes, `sha256:` and 64 digits.
    pub digest: String,
    /// The manifest.
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct TagsAnswer {
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Reads the manifest at `reference`, a tag or a digest. Its digest is that of its bytes, and the one that was asked for.
    pub fn fetch_manifest(
        &self,
        reference: &str,
        what: &str,
    ) -> Result<FetchedManifest, RegistryError> {
        let request = self.manifest_request(Method::GET, reference, ANY);
        self.retried(|| {
            let answer = self.send(&request, Scope::Pull, what)?;
            let media_type = answer.headers.get(CONTENT_TYPE);
            let media_type = media_type.and_then(|text| text.to_str().ok());
            let media_type = media_type.and_then(|text| text.split(';').next());
            let media_type = media_type.unwrap_or_default().trim().to_owned();
            let named = content_digest(&answer.headers).map(str::to_owned);
            let bytes = whole(answer, MAX_MANIFEST, what)?;
            let digest = sha256(&bytes);
            let asked = reference.starts_with("sha256:").then_some(reference);
            for expected in asked.into_iter().chain(named.as_deref()) {
                if expected != digest {
                    return Err(RegistryError::Digest {
                        what: what.to_owned(),
                        expected: expected.escape_debug().take(100).collect(),
                        found: digest,
                    });
                }
            }
            Ok(FetchedManifest {
                media_type,
                digest,
                bytes,
            })
        })
    }

    /// Opens a blob, whose bytes the caller has to compare with `digest`. When the connection breaks, the rest is asked for.
    ///
    /// The reader ends after `size_bytes` or fails; its errors hold a [`RegistryError`].
    pub fn open_blob(
        &self,
        digest: &str,
        size_bytes: u64,
        what: &str,
    ) -> Result<BlobReader<'_>, RegistryError> {
        let mut reader = BlobReader {
            repository: self,
            url: self.address("blobs", digest),
            what: what.to_owned(),
            size_bytes,
            read_bytes: 0,
            tried: 0,
            body: None,
        };
        let body = self.retried(|| reader.open())?;
        reader.body = Some(body);
        Ok(reader)
    }

    /// Returns the tags of the repository, in the registry's order.
    pub fn fetch_tags(&self, what: &str) -> Result<Vec<String>, RegistryError> {
        let mut url = self.address("tags", "list");
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let request = Request::new(Method::GET, url.clone());
            let (next, page) = self.retried(|| {
                let answer = self.send(&request, Scope::Pull, what)?;
                let next = answer
                    .headers
                    .get(LINK)
                    .and_then(|link| next_page(&url, link));
                Ok((next, whole(answer, MAX_PAGE, what)?))
            })?;
            let page: TagsAnswer =
                serde_json::from_slice(&page).map_err(|_| RegistryError::Answer {
                    what: what.to_owned(),
                    problem: "is no list of tags",
                })?;
            tags.extend(page.tags.unwrap_or_default());
            match next.filter(|next| next.origin() == url.origin()) {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Ok(tags)
    }
}

/// Reads `Link: </v2/…?last=x>; rel="next"` (RFC 8288).
pub(super) fn next_page(from: &Url, link: &HeaderValue) -> Option<Url> {
    let (target, rest) = link.to_str().ok()?.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| from.join(target).ok())?
}

/// Reads a blob.
pub struct BlobReader<'a> {
    repository: &'a Repository,
    url: Url,
    what: String,
    size_bytes: u64,
    read_bytes: u64,
    /// Failures since the last byte.
    tried: u32,
    body: Option<Body>,
}

impl fmt::Debug for BlobReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobReader")
    }
}

impl BlobReader<'_> {
    /// Asks for what was not read yet.
    fn open(&self) -> Result<Body, RegistryError> {
        let mut request = Request::new(Method::GET, self.url.clone());
        if self.read_bytes > 0 {
            let text = format!("bytes={}-", self.read_bytes);
            if let Ok(range) = HeaderValue::from_str(&text) {
                request.headers.insert(RANGE, range);
            }
        }
        let answer = self.repository.send(&request, Scope::Pull, &self.what)?;
        let found = content_range(&answer.headers).map(|range| range.start);
        match (answer.status, self.read_bytes) {
            (200, 0) => Ok(answer.body),
            (206, start) if start > 0 && found == Some(start) => Ok(answer.body),
            (200 | 206, _) => Err(RegistryError::Answer {
                what: self.what.clone(),
                problem: "is another part of a blob than was asked for",
            }),
            _ => Err(RegistryError::from_answer(&self.what, &answer)),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        let left = self.size_bytes - self.read_bytes;
        let limit = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if limit == 0 {
            return Ok(0);
        }
        loop {
            let error = match self.read_body(&mut buffer[..limit]) {
                Ok(count) => {
                    self.tried = 0;
                    self.read_bytes += count as u64;
                    return Ok(count);
                }
                Err(error) => error,
            };
            self.body = None;
            self.tried += 1;
            self.repository.wait(error, self.tried)?;
        }
    }

    /// Reads at least one byte.
    fn read_body(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.open()?;
                self.body.insert(body)
            }
        };
        let message = match body.read(buffer) {
            Ok(0) => "it ended early".to_owned(),
            Ok(count) => return Ok(count),
            Err(error) => error.to_string(),
        };
        Err(RegistryError::Unreachable {
            what: self.what.clone(),
            source: NetError::Connection { message },
        })
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(io::Error::other)
    }
}
