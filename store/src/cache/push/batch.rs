//! Objects that go out together: their blobs in packs, then their manifests.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, TrySendError, sync_channel},
    },
    thread,
};

use bytes::Bytes;

use super::{
    PushError, PushEvent,
    blobs::{BlobReader, Material, WantedFile, explain, wanted_files},
    gate::packs_of_blobs,
    known::Known,
    session::Session,
};
use crate::{
    BlobId, PathDigest, PathInfo,
    cache::{
        format::{BlobPart, CacheName, Manifest},
        pack::{BlobSource, KnownFrames, Pack, PackError, PackWriter, Step},
        source::SourceWriter,
    },
};

/// Bytes of objects after which a batch ends. About one pack when compressed: more would be lost when the push is killed, less would make small packs.
const BATCH: u64 = 128 << 20;
/// Bytes of a pack that are written at once: few calls, and in less time than the frames that are being compressed meanwhile take.
const PIECE: usize = 1 << 20;
/// Bytes of packs after which what is written begins to go to disk: enough that this costs little beside compressing them.
const WORTH_SYNCING: usize = 8 << 20;

/// Where the blobs of the closure lie, as far as is known.
pub(super) struct Places {
    blobs: BTreeMap<BlobId, Vec<BlobPart>>,
    frames: Arc<KnownFrames>,
}

impl From<Known> for Places {
    fn from(known: Known) -> Self {
        Self {
            blobs: known.blobs,
            frames: known.frames,
        }
    }
}

/// Divides objects into batches, in their order. What is left of the objects after the first batches is divided in the same way, so that whoever goes on
/// where another push ended makes the same packs.
pub(super) fn batches<'a>(objects: &[&'a PathInfo]) -> Vec<Vec<&'a PathInfo>> {
    let mut batches: Vec<Vec<&PathInfo>> = Vec::new();
    let mut size = 0u64;
    for object in objects {
        match batches.last_mut() {
            Some(batch) if size < BATCH => batch.push(object),
            _ => {
                batches.push(vec![object]);
                size = 0;
            }
        }
        size = size.saturating_add(object.size_bytes);
    }
    batches
}

impl Session<'_> {
    /// Sends the blobs of some objects that the cache lacks, and then their manifests; returns those. All of it is durable in the end.
    pub(super) fn send_batch(
        &self,
        objects: &[&PathInfo],
        places: &mut Places,
    ) -> Result<Vec<(PathDigest, Vec<u8>)>, PushError> {
        let materials = objects
            .iter()
            .map(|info| Material::load(self.store, info))
            .collect::<Result<Vec<_>, _>>()?;
        let files = wanted_files(&materials, |blob| !places.blobs.contains_key(blob));
        let found = self.send_packs(&materials, &files, &places.frames)?;
        places.blobs.extend(found);
        self.pass_gate(|| packs_of_blobs(&places.blobs).collect())?;
        let mut manifests = Vec::with_capacity(objects.len());
        for material in materials {
            let digest = *material.info.path.digest();
            let name = CacheName::Manifest(digest);
            let manifest = Manifest::new(&material.info.root, material.trees, &places.blobs)
                .and_then(|manifest| manifest.encode())
                .map_err(|error| self.format_error(&name, error))?;
            manifests.push((digest, manifest));
        }
        self.for_each(&manifests, |(digest, manifest)| {
            self.write(&CacheName::Manifest(*digest), manifest.clone())
        })?;
        self.flush()?;
        Ok(manifests)
    }

    fn send_packs(
        &self,
        materials: &[Material<'_>],
        files: &[WantedFile],
        frames: &Arc<KnownFrames>,
    ) -> Result<BTreeMap<BlobId, Vec<BlobPart>>, PushError> {
        let told = |bytes| (self.events)(PushEvent::Read { bytes });
        let blobs = BlobReader::new(self.store, materials, files, &told);
        let mut writer = PackWriter::new(blobs, Arc::clone(frames));
        let explained = |error| explain(error, materials, files);
        if self.is_local() {
            self.write_while_packing(&mut writer, explained)?;
        } else {
            self.send_while_packing(|| {
                self.check_cancelled()?;
                writer.next_pack().map_err(explained)
            })?;
        }
        Ok(writer.finish()?)
    }

    /// Writes packs as they are filled, so that the disk has most of one when it is full. No second pack has to be held for it.
    fn write_while_packing<I, R>(
        &self,
        writer: &mut PackWriter<I, R>,
        explained: impl Fn(PackError) -> PushError,
    ) -> Result<(), PushError>
    where
        I: Iterator<Item = io::Result<BlobSource<R>>>,
        R: Read,
    {
        // One that waits is enough: it brings all there is to disk.
        let (sender, written) = sync_channel(1);
        thread::scope(move |scope| {
            scope.spawn(move || written.iter().for_each(|()| self.cache.write_back()));
            let mut file = None;
            let mut unsynced = 0;
            loop {
                self.check_cancelled()?;
                match writer.step().map_err(&explained)? {
                    Step::Filled => unsynced += self.grow(&mut file, writer.filling(), PIECE)?,
                    Step::Pack(pack) => {
                        unsynced += self.grow(&mut file, &pack.bytes, 1)?;
                        self.end_pack(pack, file.take())?;
                    }
                    Step::End => return Ok(()),
                }
                if unsynced >= WORTH_SYNCING {
                    unsynced = 0;
                    let _one_waits: Result<(), TrySendError<()>> = sender.try_send(());
                }
            }
        })
    }

    /// Adds to a file what it has not of these bytes, if that is as much as `least`. Returns how much that was.
    fn grow<'s>(
        &'s self,
        file: &mut Option<SourceWriter<'s>>,
        bytes: &[u8],
        least: usize,
    ) -> Result<usize, PushError> {
        let there = file.as_ref().map_or(0, SourceWriter::length);
        let rest = bytes.get(usize::try_from(there).unwrap_or(usize::MAX)..);
        let Some(rest) = rest.filter(|rest| rest.len() >= least) else {
            return Ok(0);
        };
        if file.is_none() {
            *file = self.cache.begin_file()?;
        }
        let Some(file) = file else { return Ok(0) };
        file.append(rest)?;
        Ok(rest.len())
    }

    /// Sends one pack while the next one is filled.
    fn send_while_packing(
        &self,
        mut next: impl FnMut() -> Result<Option<Pack>, PushError>,
    ) -> Result<(), PushError> {
        // Nothing waits in the channel: what it held would be one more pack in memory, and so would a second one on its way. 744 MB to a server took 144 MB so.
        let (sender, packs) = sync_channel::<Pack>(0);
        thread::scope(|scope| {
            let upload = scope.spawn(move || self.upload(&packs));
            let packed = loop {
                match next() {
                    Ok(Some(pack)) => {
                        // When sending has failed, nobody takes it.
                        if sender.send(pack).is_err() {
                            break Ok(());
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            drop(sender);
            match upload.join() {
                Ok(sent) => sent.and(packed),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Sends packs until there are no more, or one cannot be sent.
    fn upload(&self, packs: &Receiver<Pack>) -> Result<(), PushError> {
        packs.iter().try_for_each(|pack| self.send_pack(pack))
    }

    /// Sends a pack, unless an earlier push has done so.
    fn send_pack(&self, pack: Pack) -> Result<(), PushError> {
        self.end_pack(pack, None)
    }

    /// Sends a pack, unless an earlier push has done so. `file` has its bytes already.
    fn end_pack(&self, pack: Pack, file: Option<SourceWriter<'_>>) -> Result<(), PushError> {
        let name = CacheName::Pack(pack.digest);
        let bytes = pack.bytes.len() as u64;
        let was_there = self.cache.exists(&name)?;
        if !was_there {
            match file {
                Some(file) => file.finish(&name)?,
                None => self.cache.write(&name, &Bytes::from(pack.bytes))?,
            }
            self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.packs.fetch_add(1, Ordering::Relaxed);
        }
        (self.events)(PushEvent::Pack { bytes, was_there });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Node, ObjectId, StorePath};

    fn object(size_bytes: u64, number: u8) -> PathInfo {
        let id = ObjectId::from_bytes([number; 32]);
        PathInfo {
            path: StorePath::new(id.path_digest(), "a".parse().unwrap()),
            id,
            root: Node::File {
                blob: BlobId::from_bytes([number; 32]),
                size: size_bytes,
                executable: false,
            },
            references: Vec::new(),
            self_reference: false,
            size_bytes,
            nodes: 1,
            registered: 0,
            component: None,
        }
    }

    #[test]
    fn a_batch_ends_when_it_is_large_and_the_rest_is_divided_alike() {
        let sizes = [1, BATCH, 5, BATCH - 6, 1, 7, 3 * BATCH, 2];
        let objects: Vec<_> = sizes
            .into_iter()
            .zip(0..)
            .map(|(size, number)| object(size, number))
            .collect();
        let objects: Vec<&PathInfo> = objects.iter().collect();
        let all = batches(&objects);
        let lengths: Vec<_> = all.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 3, 2, 1]);
        assert_eq!(batches(&objects[2..]), all[1..]);
        assert!(batches(&[]).is_empty());
    }
}
