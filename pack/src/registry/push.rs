//! A push: what is asked and sent, and in which order.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use store::registry::{Begun, RegistryError, Repository};

use super::{PushError, PushOptions, Pushed, places};
use crate::{
    Event, Image,
    image::{Assembled, KnownLayers},
    layer::BufferPool,
    oci::{Digest, ImageName},
    sink::IndexEntry,
};

impl Image<'_> {
    /// Pushes the image, and the same for other platforms as one index, as `name`, which lies in `repository`.
    ///
    /// When the tag stands for this image already, that costs one request. Else each blob that the registry does not have is taken from another of its
    /// repositories or sent; the manifests come last. `others` are as for [`write_with`](Self::write_with).
    pub fn push_with(
        &self,
        others: &[Self],
        name: &ImageName,
        repository: &Repository,
        options: &PushOptions,
    ) -> Result<Pushed, PushError> {
        let push = Push {
            first: self,
            others,
            name,
            what: name.to_string(),
            repository,
            options,
            present: Mutex::default(),
            sent_bytes: AtomicU64::new(0),
            sent_blobs: AtomicUsize::new(0),
            encoded_bytes: AtomicU64::new(0),
            mounted_blobs: AtomicUsize::new(0),
            present_bytes: AtomicU64::new(0),
            present_blobs: AtomicUsize::new(0),
            chunk_bytes: AtomicUsize::new(0),
            buffers: BufferPool::default(),
        };
        let pushed = push.run()?;
        (self.events)(Event::Pushed {
            name: &pushed.name,
            unchanged: pushed.unchanged,
        });
        Ok(pushed)
    }
}

/// One push.
pub(super) struct Push<'a, 'i> {
    first: &'a Image<'i>,
    others: &'a [Image<'i>],
    pub(super) name: &'a ImageName,
    /// The whole name, for errors.
    pub(super) what: String,
    pub(super) repository: &'a Repository,
    pub(super) options: &'a PushOptions,
    /// Blobs that are known to be in the repository.
    present: Mutex<HashSet<Digest>>,
    pub(super) sent_bytes: AtomicU64,
    pub(super) sent_blobs: AtomicUsize,
    pub(super) encoded_bytes: AtomicU64,
    pub(super) mounted_blobs: AtomicUsize,
    present_bytes: AtomicU64,
    present_blobs: AtomicUsize,
    pub(super) chunk_bytes: AtomicUsize,
    /// What its layers are made in.
    pub(super) buffers: BufferPool,
}

/// The document that the tag stands for.
struct Top {
    media_type: &'static str,
    digest: Digest,
    bytes: Vec<u8>,
}

impl<'i> Push<'_, 'i> {
    fn run(&self) -> Result<Pushed, PushError> {
        let images = || [self.first].into_iter().chain(self.others);
        let known: Vec<KnownLayers> = images().map(Image::expected_layers).collect();
        let all: Option<Vec<Assembled>> = images()
            .zip(&known)
            .map(|(image, known)| {
                let layers: Option<Vec<_>> = known.iter().copied().collect();
                Some(image.assemble(&layers?))
            })
            .collect();
        if let Some(assembled) = all {
            let top = self.top(&assembled);
            let is_there =
                self.repository
                    .has_manifest(self.name.tag(), &top.digest.to_string(), &self.what);
            if is_there.map_err(|source| self.failed(source))? {
                return Ok(self.pushed(&top, true));
            }
        }
        self.add_sources(&known);
        let mut assembled = Vec::with_capacity(known.len());
        for image in images() {
            // What the image before had made is known now.
            self.send_base(image)?;
            let layers = self.send_layers(image, image.expected_layers())?;
            let documents = image.assemble(&layers);
            self.send_config(&documents)?;
            assembled.push(documents);
        }
        let top = self.top(&assembled);
        let manifest_type = self.first.manifest_type();
        if !self.others.is_empty() {
            for documents in &assembled {
                let digest = documents.manifest_descriptor.digest;
                self.put_manifest(
                    &digest.to_string(),
                    manifest_type.manifest(),
                    &documents.manifest,
                    digest,
                )?;
            }
        }
        self.put_manifest(self.name.tag(), top.media_type, &top.bytes, top.digest)?;
        Ok(self.pushed(&top, false))
    }

    fn top(&self, assembled: &[Assembled]) -> Top {
        if let [only] = assembled {
            return Top {
                media_type: self.first.manifest_type().manifest(),
                digest: only.manifest_descriptor.digest,
                bytes: only.manifest.clone(),
            };
        }
        let manifests: Vec<_> = assembled
            .iter()
            .map(|documents| documents.manifest_descriptor.clone())
            .collect();
        let entry = IndexEntry::new(self.first, self.others, &manifests);
        Top {
            media_type: self.first.manifest_type().index(),
            digest: entry.descriptor.digest,
            bytes: entry.index.unwrap_or_default(),
        }
    }

    fn pushed(&self, top: &Top, unchanged: bool) -> Pushed {
        Pushed {
            name: self.what.clone(),
            manifest_digest: top.digest,
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            sent_blobs: self.sent_blobs.load(Ordering::Relaxed),
            present_bytes: self.present_bytes.load(Ordering::Relaxed),
            present_blobs: self.present_blobs.load(Ordering::Relaxed),
            chunk_bytes: self.chunk_bytes.load(Ordering::Relaxed),
            encoded_bytes: self.encoded_bytes.load(Ordering::Relaxed),
            mounted_blobs: self.mounted_blobs.load(Ordering::Relaxed),
            unchanged,
        }
    }

    /// Has the registry be asked for the right to read what may be mounted.
    fn add_sources(&self, known: &[KnownLayers]) {
        let blobs = known.iter().flatten().flatten();
        let sources =
            blobs.flat_map(|layer| places::find(&self.first.memo, &layer.digest, self.name));
        self.repository.add_sources(sources);
    }

    fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<(), PushError> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.repository
            .put_manifest(
                reference,
                media_type,
                &bytes,
                &digest.to_string(),
                &self.what,
            )
            .map_err(|source| self.failed(source))
    }

    /// Makes sure that the repository has the layers of the base.
    fn send_base(&self, image: &Image<'_>) -> Result<(), PushError> {
        let Some(below) = &image.below else {
            return Ok(());
        };
        let (base, layers) = (below.base.image(), below.base.layers());
        let sent = base.push_blobs(layers, self.name, self.repository, self.options);
        let sent = sent.map_err(|error| PushError::Base(Box::new(error)))?;
        for layer in layers {
            self.note_present(&layer.digest);
        }
        (self.sent_bytes).fetch_add(sent.sent_bytes, Ordering::Relaxed);
        (self.sent_blobs).fetch_add(sent.sent_blobs, Ordering::Relaxed);
        (self.mounted_blobs).fetch_add(sent.mounted_blobs, Ordering::Relaxed);
        (self.present_blobs).fetch_add(sent.present_blobs, Ordering::Relaxed);
        (self.present_bytes).fetch_add(sent.present_bytes, Ordering::Relaxed);
        (self.chunk_bytes).fetch_max(sent.chunk_bytes, Ordering::Relaxed);
        Ok(())
    }

    fn send_config(&self, documents: &Assembled) -> Result<(), PushError> {
        let digest = documents.config_descriptor.digest;
        if self.is_present(&digest, documents.config.len() as u64)? {
            return Ok(());
        }
        let text = digest.to_string();
        let sent = match self.repository.begin_upload(None, &self.what) {
            Ok(Begun::Upload(upload)) => {
                upload.finish(Bytes::copy_from_slice(&documents.config), &text)
            }
            Ok(Begun::Mounted) => Ok(()),
            Err(error) => Err(error),
        };
        sent.map_err(|source| self.failed(source))?;
        self.count_sent(documents.config.len() as u64);
        self.note_present(&digest);
        Ok(())
    }

    /// Tells whether the repository has a blob, asking at most once for each.
    pub(super) fn is_present(&self, digest: &Digest, size_bytes: u64) -> Result<bool, PushError> {
        if self.present().contains(digest) {
            return Ok(true);
        }
        let found = self.repository.has_blob(&digest.to_string(), &self.what);
        let found = found.map_err(|source| self.failed(source))?;
        if found {
            self.present_bytes.fetch_add(size_bytes, Ordering::Relaxed);
            self.present_blobs.fetch_add(1, Ordering::Relaxed);
            self.note_present(digest);
        }
        Ok(found)
    }

    /// Remembers that the repository has a blob, for this push and for others.
    pub(super) fn note_present(&self, digest: &Digest) {
        if self.present().insert(*digest) {
            places::record(&self.first.memo, digest, self.name);
        }
    }

    pub(super) fn count_sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sent_blobs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn present(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, source: RegistryError) -> PushError {
        PushError::Registry {
            name: self.what.clone(),
            source,
        }
    }
}
