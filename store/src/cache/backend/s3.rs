//! A bucket of any server that speaks S3.
//!
//! What several writers add to is written under the condition that it is still what it was, so that nobody's addition is lost. Some servers ignore that
//! silently, so nothing else rests on it. The crate `object_store` signs and speaks the protocol; which bytes an answer
//! has, how large it may be and what its status means is looked at here, below that crate, and it retries nothing.

use std::{
    error::Error,
    io::{self, Read},
    ops::Range,
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{
    Error as StoreError, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt as _,
    PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
};

use super::{
    Backend, BackendError, BackendOptions, Before, CacheUrl, Corruption, FileKind, ListedFile,
    Replaced,
    address::Bucket,
    exact::{After, Exact},
    http::{skip, unreachable},
    s3_wire::{Connector, Seen},
};
use crate::{
    cache::format::CacheName,
    net::{Body, Io, NetError, Patience, Pieces, chain},
};

/// Statuses by which servers say that a file is not what a condition says: not modified (of some servers), conflict of two conditions, precondition failed.
const OVERTAKEN: [u16; 3] = [304, 409, 412];

#[derive(Debug)]
pub(super) struct S3 {
    url: CacheUrl,
    address: String,
    prefix: String,
    store: AmazonS3,
    io: Arc<Io>,
    patience: Patience,
    is_anonymous: bool,
}

impl S3 {
    pub(super) fn open(
        url: &CacheUrl,
        bucket: &Bucket,
        options: &BackendOptions,
    ) -> Result<Self, BackendError> {
        let patience = options.patience();
        let failed = |source| unreachable(url.to_string(), source);
        let io = Arc::new(Io::new().map_err(failed)?);
        let connector = Connector::new(&options.net, patience).map_err(failed)?;
        let mut builder = AmazonS3Builder::new().with_bucket_name(&bucket.name);
        for (key, value) in options.s3.values() {
            builder = builder.with_config(key, value);
        }
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        let is_anonymous = !options.s3.has_credentials();
        if is_anonymous {
            builder = builder.with_skip_signature(true);
        }
        let store = builder
            .with_http_connector(connector)
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            })
            .build()
            .map_err(|error| BackendError::Settings {
                cache: url.to_string(),
                reason: chain(&error),
            })?;
        // Everything of the address but the server, which is no part of a file's name.
        let address = url.to_string();
        let address = address.split('?').next().unwrap_or_default().to_owned();
        Ok(Self {
            url: url.clone(),
            address,
            prefix: bucket.prefix.clone(),
            store,
            io,
            patience,
            is_anonymous,
        })
    }

    fn file(&self, name: &CacheName) -> String {
        format!("{}/{name}", self.address)
    }

    fn path(&self, name: &str) -> Result<Path, BackendError> {
        let text = match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        Path::parse(text).map_err(|error| BackendError::Settings {
            cache: self.url.to_string(),
            reason: chain(&error),
        })
    }

    fn get(&self, name: &CacheName, range: Option<&Range<u64>>) -> Result<GetResult, StoreFailure> {
        let path = self.path(&name.to_string())?;
        let options = GetOptions {
            range: range.map(|range| GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        Ok(self.io.wait(self.store.get_opts(&path, options))?)
    }

    fn body(&self, result: GetResult) -> Body {
        let pieces = StorePieces(result.into_stream());
        Body::new(Arc::clone(&self.io), pieces, self.patience)
    }

    /// What a failure means for a file.
    fn explain(&self, failure: StoreFailure, name: &CacheName) -> BackendError {
        match failure {
            StoreFailure::Ours(error) => error,
            StoreFailure::Theirs(error) => self.meaning(&error, self.file(name)),
        }
    }

    fn meaning(&self, error: &StoreError, file: String) -> BackendError {
        match find_seen(error) {
            Some(Seen::Status { code, headers }) => BackendError::from_status(file, *code, headers),
            Some(Seen::Net(source)) => unreachable(file, source.clone()),
            Some(Seen::Range { expected, found }) => BackendError::Corrupt {
                file,
                problem: Corruption::Range {
                    expected: *expected,
                    found: *found,
                },
            },
            Some(Seen::Whole) => BackendError::Corrupt {
                file,
                problem: Corruption::Overlong { expected: 0 },
            },
            Some(Seen::TooLarge { limit_bytes }) => BackendError::Corrupt {
                file,
                problem: Corruption::TooLarge {
                    limit_bytes: *limit_bytes,
                },
            },
            None => match find_net(error) {
                Some(source) => unreachable(file, source),
                // What is left is said before anything was sent, or about a listing.
                None => BackendError::Settings {
                    cache: self.url.to_string(),
                    reason: chain(error),
                },
            },
        }
    }
}

impl Backend for S3 {
    fn url(&self) -> &CacheUrl {
        &self.url
    }

    fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, BackendError> {
        Ok(self.read_marked(name, limit)?.0)
    }

    fn read_marked(&self, name: &CacheName, limit: u64) -> Result<(Vec<u8>, Before), BackendError> {
        let result = self
            .get(name, None)
            .map_err(|failure| self.explain(failure, name))?;
        let size = result.meta.size;
        // A weak mark may be that of other bytes, and no condition can be made of it.
        let mark = result.meta.e_tag.clone();
        let mark = mark.filter(|mark| !mark.starts_with("W/"));
        let too_large = || BackendError::Corrupt {
            file: self.file(name),
            problem: Corruption::TooLarge { limit_bytes: limit },
        };
        if size > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        Exact::new(self.body(result), size, After::End, self.file(name))
            .read_to_end(&mut bytes)
            .map_err(|error| BackendError::from_read(error, &self.file(name)))?;
        Ok((bytes, mark.map_or(Before::Unknown, Before::Marked)))
    }

    fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        if range.is_empty() {
            return Ok(Box::new(io::empty()));
        }
        let length = range.end - range.start;
        let file = self.file(name);
        let failure = match self.get(name, Some(&range)) {
            Ok(result) => {
                let body = self.body(result);
                return Ok(Box::new(Exact::new(body, length, After::End, file)));
            }
            Err(failure) => failure,
        };
        if failure.is_behind_the_end() {
            return Err(BackendError::Corrupt {
                file,
                problem: Corruption::Length {
                    expected: range.end,
                    found: 0,
                },
            });
        }
        if !failure.is_whole() {
            return Err(self.explain(failure, name));
        }
        // A server without ranges.
        let result = self
            .get(name, None)
            .map_err(|failure| self.explain(failure, name))?;
        let size = result.meta.size;
        if size < range.end {
            return Err(BackendError::Corrupt {
                file,
                problem: Corruption::Length {
                    expected: range.end,
                    found: size,
                },
            });
        }
        skip(self.body(result), &range, file)
    }

    fn exists(&self, name: &CacheName) -> Result<bool, BackendError> {
        let path = self.path(&name.to_string())?;
        match self.io.wait(self.store.head(&path)) {
            Ok(_) => Ok(true),
            Err(error) => match self.meaning(&error, self.file(name)) {
                BackendError::Absent { .. } => Ok(false),
                error => Err(error),
            },
        }
    }

    fn write(&self, name: &CacheName, bytes: Bytes) -> Result<(), BackendError> {
        let path = self.path(&name.to_string())?;
        match self.io.wait(self.store.put(&path, PutPayload::from(bytes))) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.meaning(&error, self.file(name))),
        }
    }

    fn replace(
        &self,
        name: &CacheName,
        bytes: Bytes,
        before: &Before,
    ) -> Result<Replaced, BackendError> {
        let mode = match before {
            Before::Absent => PutMode::Create,
            Before::Marked(mark) => PutMode::Update(UpdateVersion {
                e_tag: Some(mark.clone()),
                version: None,
            }),
            Before::Unknown => {
                self.write(name, bytes)?;
                return Ok(Replaced::Written);
            }
        };
        let path = self.path(&name.to_string())?;
        let payload = PutPayload::from(bytes.clone());
        let put = self.store.put_opts(&path, payload, PutOptions::from(mode));
        let Err(error) = self.io.wait(put) else {
            return Ok(Replaced::Written);
        };
        match (find_seen(&error), before) {
            (Some(Seen::Status { code, .. }), _) if OVERTAKEN.contains(code) => {
                Ok(Replaced::Overtaken)
            }
            (Some(Seen::Status { code: 404, .. }), Before::Marked(_)) => Ok(Replaced::Overtaken),
            (Some(Seen::Status { code: 501, .. }), _) => {
                self.write(name, bytes)?;
                Ok(Replaced::Written)
            }
            _ => Err(self.meaning(&error, self.file(name))),
        }
    }

    fn flush(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove(&self, name: &CacheName) -> Result<(), BackendError> {
        let path = self.path(&name.to_string())?;
        match self.io.wait(self.store.delete(&path)) {
            Ok(()) => Ok(()),
            Err(error) => match self.meaning(&error, self.file(name)) {
                BackendError::Absent { .. } => Ok(()),
                error => Err(error),
            },
        }
    }

    fn list(&self, kind: FileKind, found: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        let folder = self.path(kind.folder())?;
        let mut files = self.store.list(Some(&folder));
        let skipped = match self.prefix.len() {
            0 => 0,
            length => length + 1,
        };
        loop {
            // Every page has its own time limit below.
            let meta = match self.io.wait(files.next()) {
                None => return Ok(()),
                Some(Ok(meta)) => meta,
                Some(Err(error)) => {
                    return Err(self.meaning(&error, format!("{}/{}", self.address, kind.folder())));
                }
            };
            let name = meta.location.as_ref().get(skipped..);
            if let Some(name) = name.and_then(|name| name.parse().ok()) {
                found(ListedFile {
                    name,
                    size_bytes: meta.size,
                    modified: meta.last_modified.into(),
                });
            }
        }
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        Ok(!self.is_anonymous)
    }
}

/// Why something cannot be read: found out here, or said by `object_store`.
enum StoreFailure {
    Ours(BackendError),
    Theirs(StoreError),
}

impl StoreFailure {
    fn is_whole(&self) -> bool {
        matches!(self, Self::Theirs(error) if matches!(find_seen(error), Some(Seen::Whole)))
    }

    /// Whether the server says that the file has not so many bytes.
    fn is_behind_the_end(&self) -> bool {
        let Self::Theirs(error) = self else {
            return false;
        };
        matches!(find_seen(error), Some(Seen::Status { code: 416, .. }))
    }
}

impl From<BackendError> for StoreFailure {
    fn from(error: BackendError) -> Self {
        Self::Ours(error)
    }
}

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        Self::Theirs(error)
    }
}

/// The causes of an error, itself first.
fn causes<'a>(error: &'a StoreError) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: &'a (dyn Error + 'static) = error;
    std::iter::successors(Some(first), |&error| error.source())
}

fn find_seen(error: &StoreError) -> Option<&Seen> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn find_net(error: &StoreError) -> Option<NetError> {
    causes(error).find_map(|cause| cause.downcast_ref().map(NetError::of))
}

struct StorePieces(BoxStream<'static, object_store::Result<Bytes>>);

impl Pieces for StorePieces {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Bytes>, NetError>> + Send + '_>> {
        Box::pin(async {
            match self.0.next().await {
                None => Ok(None),
                Some(Ok(piece)) => Ok(Some(piece)),
                Some(Err(error)) => Err(find_net(&error).unwrap_or_else(|| NetError::Connection {
                    message: chain(&error),
                })),
            }
        })
    }
}
