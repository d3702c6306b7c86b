//! A repository of an OCI registry; what lies where in it is written in `../FORMAT.md`, "In a registry".
//!
//! Every file is a tagged artifact (OCI image-spec 1.1, "Guidelines for Artifact Usage"): a small one inside its manifest, so that it costs one request to read
//! and one to write; a larger one as the manifest's only layer, of which parts can be read.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};

use super::{
    Backend, BackendError, BackendOptions, CacheUrl, Corruption, FileKind, ListedFile, Need,
    address::Repository as Place,
    http::{ask_for, is_there, part, whole},
    oci_manifest::{
        Content, EMPTY_BLOB, EMPTY_DIGEST, Layer, MANIFEST_TYPE, MAX_INLINE, MAX_MANIFEST, decode,
        encode, tag,
    },
};
use crate::{
    cache::format::CacheName,
    net::{Answer, Request},
    registry::{RegistryError, RegistryOptions, RegistryProfile, Repository, Scope, sha256},
};

/// Packs whose place is remembered; each costs some 150 bytes.
const MAX_REMEMBERED: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Oci {
    url: CacheUrl,
    repository: Repository,
    /// Where packs lie, which never changes.
    packs: Mutex<BTreeMap<CacheName, Layer>>,
    /// Whether the blob that every manifest names is known to be there.
    has_empty_blob: Mutex<bool>,
}

impl Oci {
    pub(super) fn open(
        url: &CacheUrl,
        place: &Place,
        options: &BackendOptions,
    ) -> Result<Self, BackendError> {
        let registry = RegistryOptions {
            net: options.net.clone(),
            answer: options.answer,
            stored: options.stored,
            credentials: options
                .credentials
                .clone()
                .or_else(|| url.credentials.clone()),
            plaintext: options.plaintext,
            profile: RegistryProfile::default(),
        };
        let repository = Repository::open(&place.registry, &place.name, &registry)
            .map_err(|error| backend_error(url, error))?;
        Ok(Self {
            url: url.clone(),
            repository,
            packs: Mutex::default(),
            has_empty_blob: Mutex::default(),
        })
    }

    fn file(&self, name: &CacheName) -> String {
        format!("{}/{name}", self.url)
    }

    fn manifest_request(&self, method: Method, reference: &str) -> Request {
        self.repository
            .manifest_request(method, reference, MANIFEST_TYPE)
    }

    /// Sends a request; when the registry wants to know who asks, once more with that.
    fn send(&self, request: &Request, scope: Scope, file: &str) -> Result<Answer, BackendError> {
        let answer = self.repository.send(request, scope, file);
        answer.map_err(|error| backend_error(&self.url, error))
    }

    /// Reads the manifest of a file.
    fn content(&self, name: &CacheName) -> Result<Content, BackendError> {
        if let Some(layer) = self.packs().get(name) {
            return Ok(Content::Layer(layer.clone()));
        }
        let file = self.file(name);
        let request = self.manifest_request(Method::GET, &tag(name));
        let answer = self.send(&request, Scope::Pull, &file)?;
        let bytes = whole(answer, MAX_MANIFEST, file.clone())?;
        let content = decode(&bytes, name).map_err(|reason| BackendError::Corrupt {
            file,
            problem: Corruption::Manifest { reason },
        })?;
        if let (Content::Layer(layer), CacheName::Pack(_)) = (&content, name) {
            let mut packs = self.packs();
            if packs.len() < MAX_REMEMBERED {
                packs.insert(name.clone(), layer.clone());
            }
        }
        Ok(content)
    }

    fn packs(&self) -> MutexGuard<'_, BTreeMap<CacheName, Layer>> {
        self.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure of a blob: begins an upload and ends it with all of the bytes.
    fn upload(&self, bytes: Bytes, digest: &str, file: &str) -> Result<(), BackendError> {
        let uploaded = self.repository.upload_once(bytes, digest, file);
        uploaded.map_err(|error| match error {
            // A repository that is not there is made by writing to it, so 404 is no way to say that a file is absent.
            RegistryError::Absent { .. } => self.unsupported("be written to"),
            RegistryError::Refused {
                code: 405 | 501, ..
            } => self.unsupported("be written to"),
            error => backend_error(&self.url, error),
        })
    }

    /// Makes sure of the empty object that stands in the place of a config. Registries refuse manifests that name what they do not have.
    fn make_empty_blob(&self, file: &str) -> Result<(), BackendError> {
        let mut is_there_already = self
            .has_empty_blob
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *is_there_already {
            return Ok(());
        }
        let found = self.repository.find_blob(EMPTY_DIGEST, file);
        if !found.map_err(|error| backend_error(&self.url, error))? {
            self.upload(Bytes::from_static(EMPTY_BLOB), EMPTY_DIGEST, file)?;
        }
        *is_there_already = true;
        Ok(())
    }

    fn refused(&self, answer: &Answer, file: &str, action: &'static str) -> BackendError {
        match answer.status {
            404 | 405 | 501 => self.unsupported(action),
            code => BackendError::from_status(file.to_owned(), code, &answer.headers),
        }
    }

    fn unsupported(&self, action: &'static str) -> BackendError {
        BackendError::Unsupported {
            cache: self.url.to_string(),
            action,
        }
    }

    fn blob(&self, layer: &Layer, range: Option<&Range<u64>>) -> Request {
        let mut request =
            Request::new(Method::GET, self.repository.address("blobs", &layer.digest));
        if let Some(range) = range {
            ask_for(&mut request, range);
        }
        request
    }

    /// The digest of a file's manifest, by which it is removed; `None` if there is none.
    fn manifest_digest(
        &self,
        name: &CacheName,
        file: &str,
    ) -> Result<Option<String>, BackendError> {
        let request = self.manifest_request(Method::GET, &tag(name));
        let answer = self.send(&request, Scope::Push, file)?;
        match whole(answer, MAX_MANIFEST, file.to_owned()) {
            Ok(bytes) => Ok(Some(sha256(&bytes))),
            Err(BackendError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Backend for Oci {
    fn url(&self) -> &CacheUrl {
        &self.url
    }

    fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, BackendError> {
        let file = self.file(name);
        let content = self.content(name)?;
        if content.len() > limit {
            return Err(BackendError::Corrupt {
                file,
                problem: Corruption::TooLarge { limit_bytes: limit },
            });
        }
        let layer = match content {
            Content::Inline(bytes) => return Ok(bytes),
            Content::Layer(layer) => layer,
        };
        let answer = self.send(&self.blob(&layer, None), Scope::Pull, &file)?;
        let bytes = whole(answer, layer.size, file.clone())?;
        if bytes.len() as u64 != layer.size {
            return Err(BackendError::Corrupt {
                file,
                problem: Corruption::Length {
                    expected: layer.size,
                    found: bytes.len() as u64,
                },
            });
        }
        if sha256(&bytes) != layer.digest {
            return Err(BackendError::Corrupt {
                file,
                problem: Corruption::Manifest {
                    reason: "names another digest than that of the bytes",
                },
            });
        }
        Ok(bytes)
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        if range.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        let file = self.file(name);
        let content = self.content(name)?;
        if content.len() < range.end {
            return Err(BackendError::Corrupt {
                file,
                problem: Corruption::Length {
                    expected: range.end,
                    found: content.len(),
                },
            });
        }
        match content {
            Content::Inline(mut bytes) => {
                // Both fit into `usize`, being no more than the length.
                bytes.truncate(usize::try_from(range.end).unwrap_or(usize::MAX));
                let mut reader = Cursor::new(bytes);
                reader.set_position(range.start);
                Ok(Box::new(reader))
            }
            Content::Layer(layer) => {
                let request = self.blob(&layer, Some(&range));
                let answer = self.send(&request, Scope::Pull, &file)?;
                part(answer, &range, file)
            }
        }
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        let file = self.file(name);
        let request = self.manifest_request(Method::HEAD, &tag(name));
        let answer = self.send(&request, Scope::Pull, &file)?;
        is_there(&answer, file)
    }

    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError> {
        let file = self.file(name);
        self.make_empty_blob(&file)?;
        let content = if bytes.len() <= MAX_INLINE {
            Content::Inline(bytes.to_vec())
        } else {
            let layer = Layer {
                digest: sha256(&bytes),
                size: bytes.len() as u64,
            };
            self.upload(bytes, &layer.digest, &file)?;
            Content::Layer(layer)
        };
        let mut request = self.manifest_request(Method::PUT, &tag(name));
        request
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(MANIFEST_TYPE));
        request.body = Some(Bytes::from(encode(&content, name)));
        let answer = self.send(&request, Scope::Push, &file)?;
        match answer.status {
            200..=202 => Ok(()),
            _ => Err(self.refused(&answer, &file, "be written to")),
        }
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove(&self, name: &CacheName) -> Result<(), BackendError> {
        let file = self.file(name);
        self.packs().remove(name);
        let Some(digest) = self.manifest_digest(name, &file)? else {
            return Ok(());
        };
        let request = self.manifest_request(Method::DELETE, &digest);
        let answer = self.send(&request, Scope::Push, &file)?;
        match answer.status {
            200 | 202 | 204 | 404 => Ok(()),
            _ => Err(self.refused(&answer, &file, "remove files")),
        }
    }

    fn list(&self, _: FileKind, _: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        Err(BackendError::Unsupported {
            cache: self.url.to_string(),
            action: "list its files with their sizes and times",
        })
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        let file = self.url.to_string();
        let address = self.repository.address("blobs", "uploads/");
        let mut request = Request::new(Method::POST, address);
        request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let answer = self.send(&request, Scope::Push, &file)?;
        if let Some(location) = self.repository.location(&request.url, &answer) {
            // An upload that is not taken back expires.
            let request = Request::new(Method::DELETE, location);
            drop(self.send(&request, Scope::Push, &file));
        }
        match answer.status {
            202 => Ok(true),
            401 | 403 | 404 | 405 => Ok(false),
            code => Err(BackendError::from_status(file, code, &answer.headers)),
        }
    }
}

/// What a registry's failure is for the cache.
fn backend_error(url: &CacheUrl, error: RegistryError) -> BackendError {
    let manifest = |file, reason| BackendError::Corrupt {
        file,
        problem: Corruption::Manifest { reason },
    };
    match error {
        RegistryError::Absent { what } => BackendError::Absent { file: what },
        RegistryError::LogIn { what, scheme } => BackendError::Denied {
            file: what,
            need: Need::Credentials { scheme },
        },
        RegistryError::Forbidden { what, .. } => BackendError::Denied {
            file: what,
            need: Need::Permission,
        },
        RegistryError::TooLarge { what } => BackendError::Refused {
            file: what,
            code: 413,
        },
        RegistryError::Busy {
            what,
            code,
            retry_after,
        } => BackendError::Busy {
            file: what,
            code,
            retry_after,
        },
        RegistryError::Unreachable { what, source } => {
            BackendError::Unreachable { file: what, source }
        }
        RegistryError::Refused { what, code, .. } => BackendError::Refused { file: what, code },
        RegistryError::Answer { what, problem } => manifest(what, problem),
        RegistryError::Digest { what, .. } => {
            manifest(what, "names another digest than that of the bytes")
        }
        RegistryError::Lost { what } => manifest(what, "has lost its upload"),
        RegistryError::Plaintext { .. } => BackendError::Plaintext {
            cache: url.to_string(),
        },
        RegistryError::Settings { reason, .. } => BackendError::Settings {
            cache: url.to_string(),
            reason: reason.to_owned(),
        },
    }
}
