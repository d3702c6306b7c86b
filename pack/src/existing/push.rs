//! An image that exists to a registry.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use store::registry::{Begun, RegistryError, Repository, Upload};

use super::{AnyPlatform, Entry, ExistingError, ExistingImage};
use crate::{
    Event,
    oci::ImageName,
    registry::{Chunks, Halt, MAX_RESTARTS, PushOptions, Pushed, for_each},
};

impl ExistingImage<'_> {
    /// Pushes the image as it is, or what of it is for `platform`, as `name`, which lies in `repository`.
    ///
    /// Blobs that the repository has are not sent, and those of an image in the same registry are taken from there by the registry. Manifests come last.
    pub fn push(
        &self,
        platform: Option<&AnyPlatform>,
        name: &ImageName,
        repository: &Repository,
        options: &PushOptions,
    ) -> Result<Pushed, ExistingError> {
        Push::new(self, name, repository, options).run(platform)
    }
}

impl ExistingImage<'_> {
    /// Sends blobs of the image to the repository of another one, `name`, as far as it does not have them.
    pub(crate) fn push_blobs(
        &self,
        blobs: &[Entry],
        name: &ImageName,
        repository: &Repository,
        options: &PushOptions,
    ) -> Result<Counts, ExistingError> {
        let push = Push::new(self, name, repository, options);
        push.send_all(&blobs.iter().collect::<Vec<_>>())?;
        let counts = push.pushed.into_inner();
        Ok(counts.unwrap_or_else(PoisonError::into_inner))
    }
}

/// One push.
struct Push<'a, 's> {
    image: &'a ExistingImage<'s>,
    repository: &'a Repository,
    tag: &'a str,
    /// The repository that the image comes from, if it is another of the same registry.
    mount_from: Option<&'a str>,
    /// The whole name, for errors.
    what: String,
    options: &'a PushOptions,
    pushed: Mutex<Counts>,
}

/// What was sent, and what the registry took from elsewhere or had.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent_bytes: u64,
    pub(crate) sent_blobs: usize,
    pub(crate) mounted_blobs: usize,
    pub(crate) present_bytes: u64,
    pub(crate) present_blobs: usize,
    pub(crate) chunk_bytes: usize,
}

impl<'a, 's> Push<'a, 's> {
    fn new(
        image: &'a ExistingImage<'s>,
        name: &'a ImageName,
        repository: &'a Repository,
        options: &'a PushOptions,
    ) -> Self {
        Self {
            image,
            repository,
            tag: name.tag(),
            mount_from: image.source.repository_beside(name),
            what: name.to_string(),
            options,
            pushed: Mutex::default(),
        }
    }

    fn send_all(&self, blobs: &[&Entry]) -> Result<(), ExistingError> {
        self.repository
            .add_sources(self.mount_from.map(str::to_owned));
        self.image.tell_copying(&self.what, blobs);
        for_each::<_, ExistingError>(blobs, self.options.uploads, &|blob, stop| {
            self.send(blob, stop)
        })
    }

    fn run(&self, platform: Option<&AnyPlatform>) -> Result<Pushed, ExistingError> {
        let documents = self.image.documents(platform)?;
        let top = &documents.top().entry;
        let (repository, tag) = (self.repository, self.tag);
        let is_there = repository.has_manifest(tag, &top.digest.to_string(), &self.what);
        let unchanged = is_there.map_err(|source| self.failed(source))?;
        if !unchanged {
            self.send_all(&documents.blobs())?;
            for document in &documents.all {
                let digest = document.entry.digest;
                let text = digest.to_string();
                let is_top = digest == top.digest;
                repository
                    .put_manifest(
                        if is_top { tag } else { &text },
                        &document.entry.media_type,
                        &Bytes::copy_from_slice(&document.bytes),
                        &text,
                        &self.what,
                    )
                    .map_err(|source| self.failed(source))?;
            }
        }
        (self.image.events)(Event::Pushed {
            name: &self.what,
            unchanged,
        });
        let counts = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Pushed {
            name: self.what.clone(),
            manifest_digest: top.digest,
            sent_bytes: counts.sent_bytes,
            sent_blobs: counts.sent_blobs,
            present_bytes: counts.present_bytes,
            present_blobs: counts.present_blobs,
            chunk_bytes: counts.chunk_bytes,
            encoded_bytes: 0,
            mounted_blobs: counts.mounted_blobs,
            unchanged,
        })
    }

    /// Makes sure that the repository has a blob.
    fn send(&self, blob: &Entry, stop: &AtomicBool) -> Result<(), Halt<ExistingError>> {
        let repository = self.repository;
        let digest = blob.digest.to_string();
        let found = repository.has_blob(&digest, &self.what);
        if found.map_err(|source| self.failed(source))? {
            self.count(|counts| {
                counts.present_blobs += 1;
                counts.present_bytes = counts.present_bytes.saturating_add(blob.size_bytes);
            });
            self.tell_present(blob);
            return Ok(());
        }
        let mut begun = self.mount(&digest)?;
        let mut restarts = 0;
        loop {
            let upload = match begun.take() {
                Some(Begun::Mounted) => {
                    self.count(|counts| counts.mounted_blobs += 1);
                    self.tell_present(blob);
                    return Ok(());
                }
                Some(Begun::Upload(upload)) => upload,
                None => {
                    let begun = repository.begin_upload(None, &self.what);
                    match begun.map_err(|source| self.failed(source))? {
                        Begun::Upload(upload) => upload,
                        Begun::Mounted => continue,
                    }
                }
            };
            match self.stream(blob, upload, stop) {
                Err(Halt::Failed(ExistingError::Push {
                    source: RegistryError::Lost { .. },
                    ..
                })) if restarts < MAX_RESTARTS => restarts += 1,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.count(|counts| {
                        counts.sent_blobs += 1;
                        counts.sent_bytes = counts.sent_bytes.saturating_add(blob.size_bytes);
                    });
                    return Ok(());
                }
            }
        }
    }

    /// Asks the registry to take a blob from where the image comes from, if that is in it.
    fn mount(&self, digest: &str) -> Result<Option<Begun<'a>>, ExistingError> {
        let Some(from) = self.mount_from else {
            return Ok(None);
        };
        let repository = self.repository;
        match repository.begin_upload(Some((digest, from)), &self.what) {
            Ok(begun) => Ok(Some(begun)),
            // Whoever may not read there may still write here.
            Err(error) if !error.is_transient() => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn stream(
        &self,
        blob: &Entry,
        mut upload: Upload<'_>,
        stop: &AtomicBool,
    ) -> Result<(), Halt<ExistingError>> {
        let chunk_bytes = upload.chunk_bytes(self.options.chunk_bytes);
        self.count(|counts| counts.chunk_bytes = counts.chunk_bytes.max(chunk_bytes));
        let mut chunks = Chunks::new(chunk_bytes);
        let events = self.image.events;
        let tell_sent = |chunk: &Bytes| {
            let bytes = chunk.len() as u64;
            events(Event::Sent { bytes });
        };
        self.image.read_blob(blob, &mut |bytes| {
            if stop.load(Ordering::Relaxed) {
                return Err(Halt::Stopped);
            }
            chunks.add::<Halt<ExistingError>>(bytes, &mut |chunk| {
                let sent = upload.append(&chunk);
                sent.map_err(|source| Halt::Failed(self.failed(source)))?;
                tell_sent(&chunk);
                Ok(())
            })
        })?;
        let rest = chunks.rest();
        upload
            .finish(rest.clone(), &blob.digest.to_string())
            .map_err(|source| self.failed(source))?;
        tell_sent(&rest);
        Ok(())
    }

    fn tell_present(&self, blob: &Entry) {
        (self.image.events)(Event::Present {
            bytes: blob.size_bytes,
        });
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.pushed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn failed(&self, source: RegistryError) -> ExistingError {
        ExistingError::Push {
            name: self.what.clone(),
            source,
        }
    }
}
