//! Blobs to packs.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Read,
    mem,
    sync::Arc,
};

use super::{
    BlobCheck, Chunker, PackError,
    compression::{Compressed, Compression, Draft},
};
use crate::{
    cache::format::{BlobPart, FRAME_TARGET, Frame, MAX_CHUNK, MAX_PACK, PACK_MAGIC},
    id::{BlobId, PackDigest},
};

/// Frames that a cache has already, by the digest of what they hold.
pub type KnownFrames = BTreeMap<BlobId, Frame>;

/// A blob and where its bytes come from.
#[derive(Debug)]
pub struct BlobSource<R> {
    /// The blob.
    pub id: BlobId,
    /// How many bytes it has.
    pub size: u64,
    /// Its bytes. Read when their turn comes, and dropped before the next blob is asked for.
    pub reader: R,
}

/// A pack that is to be written to `p/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name: the BLAKE3 of its bytes.
    pub digest: PackDigest,
    /// Its bytes, at most [`MAX_PACK`].
    pub bytes: Vec<u8>,
}

/// What [`PackWriter::step`] did.
#[derive(Debug)]
pub enum Step {
    /// There may be more of the next pack.
    Filled,
    /// A pack is full, or the last one.
    Pack(Pack),
    /// There are no more packs.
    End,
}

/// Packs blobs: small ones share frames, large ones are cut, frames are compressed on all cores.
///
/// Blobs should come in tree order, so that what is read together lies together. Empty blobs, and blobs that came before, take no room. A frame whose
/// content the cache has is not written again; so the unchanged chunks of a large blob cost nothing. The bytes of each blob are compared with its digest.
///
/// At most one pack, 8 MiB of frames and what those are compressed to are in memory at once, besides some 100 bytes for each blob.
#[derive(Debug)]
pub struct PackWriter<I, R> {
    blobs: I,
    compression: Compression,
    large: Option<Large<R>>,
    /// The frame of small blobs that is being filled; frames of chunks may be given while it is.
    group: Option<Draft>,
    is_at_end: bool,
    places: BTreeMap<BlobId, Vec<Place>>,
    /// Where each frame lies, by number, once it is compressed.
    slots: Vec<Option<Slot>>,
    made: BTreeMap<BlobId, Slot>,
    /// The pack that is being filled; empty before its first frame.
    bytes: Vec<u8>,
    /// Of those bytes. As they come: they are in the processor's caches then, and the last pack waits for nothing but its last frame.
    hasher: blake3::Hasher,
    ready: VecDeque<Pack>,
    packs: Vec<PackDigest>,
}

/// A large blob that is being cut.
#[derive(Debug)]
struct Large<R> {
    id: BlobId,
    size: u64,
    chunker: Chunker<R>,
    check: BlobCheck,
    found: u64,
    places: Vec<Place>,
}

/// Where a part of a blob lies, its frame by number.
#[derive(Debug, Clone, Copy)]
struct Place {
    frame: usize,
    offset: u32,
    length: u32,
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy)]
enum Slot {
    /// In a pack that the cache has.
    Known(Frame),
    /// In a pack of this writer, by number, since it has no digest before it is full.
    Made {
        pack: usize,
        offset: u32,
        compressed_length: u32,
        length: u32,
        content: BlobId,
    },
}

impl<I, R> PackWriter<I, R>
where
    I: Iterator<Item = std::io::Result<BlobSource<R>>>,
    R: Read,
{
    /// Takes blobs, and the frames that the cache has already. Reads nothing yet.
    pub fn new(blobs: I, known: Arc<KnownFrames>) -> Self {
        Self {
            blobs,
            compression: Compression::new(known),
            large: None,
            group: None,
            is_at_end: false,
            places: BTreeMap::new(),
            slots: Vec::new(),
            made: BTreeMap::new(),
            bytes: Vec::new(),
            hasher: blake3::Hasher::new(),
            ready: VecDeque::new(),
            packs: Vec::new(),
        }
    }

    /// Returns the next pack; `None` after the last. After an error the writer is of no more use.
    pub fn next_pack(&mut self) -> Result<Option<Pack>, PackError> {
        loop {
            match self.step()? {
                Step::Filled => {}
                Step::Pack(pack) => return Ok(Some(pack)),
                Step::End => return Ok(None),
            }
        }
    }

    /// Reads or compresses a little, for who does something with the bytes of [`Self::filling`] before their pack is full. After an error the writer is of no
    /// more use.
    pub fn step(&mut self) -> Result<Step, PackError> {
        if let Some(pack) = self.ready.pop_front() {
            return Ok(Step::Pack(pack));
        }
        if !self.is_at_end && !self.compression.is_full() {
            self.read_some()?;
        } else if let Some(frame) = self.compression.pop() {
            self.append(frame?);
        } else if self.bytes.is_empty() {
            return Ok(Step::End);
        } else {
            self.seal();
        }
        Ok(Step::Filled)
    }

    /// Returns what is there of the next pack that [`Self::step`] returns. It only grows until then.
    pub fn filling(&self) -> &[u8] {
        self.ready.front().map_or(&self.bytes, |pack| &pack.bytes)
    }

    /// Returns where each blob lies, once [`Self::next_pack`] has returned `None`. Empty blobs lie nowhere.
    pub fn finish(self) -> Result<BTreeMap<BlobId, Vec<BlobPart>>, PackError> {
        let frames: Option<Vec<Frame>> = self
            .slots
            .iter()
            .map(|slot| slot.as_ref()?.resolve(&self.packs))
            .collect();
        match frames {
            Some(frames) if self.is_at_end => {
                let part = |place: &Place| BlobPart {
                    frame: frames[place.frame],
                    offset: place.offset,
                    length: place.length,
                };
                let locate =
                    |(id, places): (BlobId, Vec<Place>)| (id, places.iter().map(part).collect());
                Ok(self.places.into_iter().map(locate).collect())
            }
            _ => Err(PackError::Unfinished),
        }
    }

    /// Reads the next chunk or the next small blob.
    fn read_some(&mut self) -> Result<(), PackError> {
        if let Some(large) = self.large.take() {
            return self.read_chunk(large);
        }
        let Some(blob) = self.blobs.next() else {
            if let Some(group) = self.group.take() {
                self.compression.push(group);
            }
            self.is_at_end = true;
            return Ok(());
        };
        let blob = blob.map_err(PackError::Open)?;
        if blob.size == 0 || self.places.contains_key(&blob.id) {
            return Ok(());
        }
        match usize::try_from(blob.size) {
            Ok(size) if size <= MAX_CHUNK => self.read_small(blob, size),
            _ => {
                self.large = Some(Large {
                    id: blob.id,
                    size: blob.size,
                    chunker: Chunker::new(blob.reader),
                    check: BlobCheck::new(blob.id),
                    found: 0,
                    places: Vec::new(),
                });
                Ok(())
            }
        }
    }

    fn read_small(&mut self, blob: BlobSource<R>, size: usize) -> Result<(), PackError> {
        let id = blob.id;
        let mut group = match self.group.take() {
            Some(group) if group.content.len() + size <= FRAME_TARGET => group,
            full => {
                if let Some(full) = full {
                    self.compression.push(full);
                }
                Draft::new(self.next_frame())
            }
        };
        let start = group.content.len();
        // One byte more than there should be, so that a longer one is noticed.
        blob.reader
            .take(blob.size + 1)
            .read_to_end(&mut group.content)
            .map_err(|source| PackError::Read { blob: id, source })?;
        let end = group.content.len();
        if end - start != size {
            return Err(PackError::Blob { blob: id });
        }
        group.blobs.push((id, start..end));
        let place = Place {
            frame: group.number,
            offset: in_frame(start),
            length: in_frame(size),
        };
        self.places.insert(id, vec![place]);
        self.group = Some(group);
        Ok(())
    }

    fn read_chunk(&mut self, mut large: Large<R>) -> Result<(), PackError> {
        let blob = large.id;
        let chunk = large
            .chunker
            .next_chunk()
            .map_err(|source| PackError::Read { blob, source })?;
        let Some(chunk) = chunk else {
            if large.found != large.size {
                return Err(PackError::Blob { blob });
            }
            self.places.insert(blob, large.places);
            return large.check.finish();
        };
        large.check.update(chunk);
        large.found += u64::from(in_frame(chunk.len()));
        if large.found > large.size {
            return Err(PackError::Blob { blob });
        }
        let mut draft = Draft::new(self.next_frame());
        draft.content.extend_from_slice(chunk);
        large.places.push(Place {
            frame: draft.number,
            offset: 0,
            length: in_frame(chunk.len()),
        });
        self.compression.push(draft);
        self.large = Some(large);
        Ok(())
    }
}

impl<I, R> PackWriter<I, R> {
    /// Returns the number of a new frame.
    fn next_frame(&mut self) -> usize {
        self.slots.push(None);
        self.slots.len() - 1
    }

    /// Puts a frame into the pack, unless it lies somewhere already.
    fn append(&mut self, frame: Compressed) {
        let slot = match (self.compression.known(&frame.content), frame.bytes) {
            (Some(known), _) => Slot::Known(*known),
            (None, Some(bytes)) => match self.made.get(&frame.content) {
                Some(slot) => *slot,
                None => self.write(frame.content, frame.length, &bytes),
            },
            // Only known frames come without bytes.
            (None, None) => return,
        };
        if let Some(place) = self.slots.get_mut(frame.number) {
            *place = Some(slot);
        }
    }

    fn write(&mut self, content: BlobId, length: usize, bytes: &[u8]) -> Slot {
        if self.bytes.len() + bytes.len() > MAX_PACK {
            self.seal();
        }
        if self.bytes.is_empty() {
            // At once: growing by doubling leaves holes of the smaller sizes behind, some 20 MB of them. What is not used is never touched.
            self.bytes.reserve_exact(MAX_PACK);
            self.extend(PACK_MAGIC);
        }
        let slot = Slot::Made {
            pack: self.packs.len(),
            offset: in_frame(self.bytes.len()),
            compressed_length: in_frame(bytes.len()),
            length: in_frame(length),
            content,
        };
        self.extend(bytes);
        self.made.insert(content, slot);
        slot
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.hasher.update(bytes);
    }

    /// Ends the pack that is being filled.
    fn seal(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        let digest = PackDigest::from_bytes(*self.hasher.finalize().as_bytes());
        self.hasher.reset();
        self.packs.push(digest);
        self.ready.push_back(Pack { digest, bytes });
    }
}

impl Slot {
    /// Returns the frame; `None` before its pack is full.
    fn resolve(&self, packs: &[PackDigest]) -> Option<Frame> {
        match *self {
            Self::Known(frame) => Some(frame),
            Self::Made {
                pack,
                offset,
                compressed_length,
                length,
                content,
            } => Some(Frame {
                pack: *packs.get(pack)?,
                offset,
                compressed_length,
                length,
                content,
            }),
        }
    }
}

/// A length or an offset in a frame or a pack.
fn in_frame(length: usize) -> u32 {
    u32::try_from(length).expect("packs have 32 MiB at most, and frames less")
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
