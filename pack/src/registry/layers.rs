//! The layers of one image, several at once, each sent while it is made.

use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use store::registry::{Begun, RegistryError, Upload};

use super::{
    Chunks, PushError,
    parallel::{Halt, for_each},
    places,
    push::Push,
};
use crate::{
    Event, Image,
    image::KnownLayers,
    layer::{Encoded, Encoder, LayerDigests},
};

/// Pairs of buffers that making layers may take; for each layer there are at most two more than threads.
const PAIRS: usize = 9;
/// Questions to a registry at the same time; they cost nothing but their way.
const QUESTIONS: usize = 8;
/// How often a layer is sent again from its beginning after the registry lost it.
pub(crate) const MAX_RESTARTS: u32 = 3;

impl Push<'_, '_> {
    /// Makes sure that the repository has the layers of `image`, of which `known` is known. Returns what they are.
    pub(super) fn send_layers(
        &self,
        image: &Image<'_>,
        known: KnownLayers,
    ) -> Result<Vec<LayerDigests>, PushError> {
        let missing = self.find_missing(&known)?;
        let mut known = known;
        for &index in &missing {
            // What others told of a layer that has to be made need not be right: making it tells.
            known[index] = image.find_layer(index);
        }
        let objects = missing
            .iter()
            .flat_map(|&index| image.layers()[index].objects());
        let file_bytes = objects.map(|object| object.size_bytes).sum();
        if !missing.is_empty() {
            (image.events)(Event::Sending {
                name: &self.what,
                layers: missing.len(),
                file_bytes,
            });
        }
        let processors = image.options.compression.threads(image.options.threads);
        let processors = processors.get();
        // More at once than there are processors would only take memory.
        let most = missing.len().min(processors).max(1);
        let workers = self.options.uploads.clamp(1, most);
        let threads = (processors / workers).min((PAIRS / workers).saturating_sub(2));
        let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
        let layers = Mutex::new(known);
        for_each::<_, PushError>(&missing, workers, &|&index, stop| {
            let known = lock(&layers).clone();
            let layer = LayerToSend {
                push: self,
                image,
                index,
                threads,
                stop,
            };
            let digests = layer.send(known)?;
            lock(&layers)[index] = Some(digests);
            self.note_present(&digests.digest);
            Ok(())
        })?;
        let layers = layers.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(layers.into_iter().flatten().collect())
    }

    /// Returns the indices of the layers that the repository does not have, or of which nothing is known.
    fn find_missing(&self, known: &KnownLayers) -> Result<Vec<usize>, PushError> {
        let asked: Vec<LayerDigests> = known.iter().flatten().copied().collect();
        for_each::<_, PushError>(&asked, QUESTIONS, &|layer, _| {
            self.is_present(&layer.digest, layer.size_bytes)?;
            Ok(())
        })?;
        let present = self.present();
        let is_missing = |known: &Option<LayerDigests>| {
            known.is_none_or(|layer| !present.contains(&layer.digest))
        };
        let indices = known.iter().enumerate();
        Ok(indices
            .filter(|(_, known)| is_missing(known))
            .map(|(index, _)| index)
            .collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A layer that the repository does not have.
struct LayerToSend<'a, 'i> {
    push: &'a Push<'a, 'i>,
    image: &'a Image<'i>,
    index: usize,
    threads: NonZero<usize>,
    /// Whether something else has failed.
    stop: &'a AtomicBool,
}

impl<'a> LayerToSend<'a, '_> {
    fn send(&self, known: KnownLayers) -> Result<LayerDigests, Halt<PushError>> {
        let mut begun = match known[self.index] {
            Some(layer) => self.mount(&layer)?,
            None => None,
        };
        let mut restarts = 0;
        loop {
            let upload = match begun.take() {
                Some(Begun::Mounted) => {
                    if let Some(layer) = known[self.index] {
                        self.push.mounted_blobs.fetch_add(1, Ordering::Relaxed);
                        return Ok(layer);
                    }
                    continue;
                }
                Some(Begun::Upload(upload)) => upload,
                None => match self.begin(None)? {
                    Begun::Upload(upload) => upload,
                    Begun::Mounted => continue,
                },
            };
            match self.stream(upload, known.clone()) {
                Err(Halt::Failed(PushError::Registry {
                    source: RegistryError::Lost { .. },
                    ..
                })) if restarts < MAX_RESTARTS => restarts += 1,
                result => return result,
            }
        }
    }

    /// Asks the registry to take the layer from where it was seen before; `None` if that is nowhere.
    fn mount(&self, layer: &LayerDigests) -> Result<Option<Begun<'a>>, Halt<PushError>> {
        let push = self.push;
        let sources = places::find(&self.image.memo, &layer.digest, push.name);
        let Some(source) = sources.first() else {
            return Ok(None);
        };
        let digest = layer.digest.to_string();
        match self.begin(Some((&digest, source))) {
            Ok(begun) => Ok(Some(begun)),
            // Whoever may not read there may still write here.
            Err(Halt::Failed(PushError::Registry { source, .. })) if !source.is_transient() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn begin(&self, mount: Option<(&str, &str)>) -> Result<Begun<'a>, Halt<PushError>> {
        let push = self.push;
        let begun = push.repository.begin_upload(mount, &push.what);
        begun.map_err(|source| push.failed(source).into())
    }

    /// Makes the layer and sends it meanwhile.
    fn stream(
        &self,
        upload: Upload<'a>,
        mut known: KnownLayers,
    ) -> Result<LayerDigests, Halt<PushError>> {
        let push = self.push;
        let failed = |source| Halt::from(push.failed(source));
        let chunk_bytes = upload.chunk_bytes(push.options.chunk_bytes);
        push.chunk_bytes.fetch_max(chunk_bytes, Ordering::Relaxed);
        let mut upload = Some(upload);
        let mut chunks = Chunks::new(chunk_bytes);
        let sent = |bytes: &Bytes| {
            (self.image.events)(Event::Sent {
                bytes: bytes.len() as u64,
            });
        };
        let mut result = None;
        let mut receive = |encoded: Encoded<'_>| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Halt::Stopped);
            }
            match (encoded, &mut upload) {
                (Encoded::Bytes(bytes), Some(upload)) => {
                    chunks.add::<Halt<PushError>>(bytes, &mut |chunk| {
                        upload.append(&chunk).map_err(failed)?;
                        sent(&chunk);
                        Ok(())
                    })?;
                }
                (Encoded::End(_, digests), _) => {
                    if let Some(upload) = upload.take() {
                        let digest = digests.digest.to_string();
                        let rest = chunks.rest();
                        upload.finish(rest.clone(), &digest).map_err(failed)?;
                        sent(&rest);
                    }
                    push.count_sent(digests.size_bytes);
                    push.encoded_bytes
                        .fetch_add(digests.tar_size_bytes, Ordering::Relaxed);
                    result = Some(digests);
                }
                _ => {}
            }
            Ok(())
        };
        let encoder = Encoder {
            threads: Some(self.threads),
            buffers: push.buffers.clone(),
            ..self.image.encoder(self.image.options.compression)
        };
        self.image
            .encode_with(&encoder, &[self.index], &mut known, &mut receive)?;
        result.ok_or(Halt::Stopped)
    }
}
