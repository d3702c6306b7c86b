//! A segment to pieces: tar bytes, cut every 4 MiB.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use super::{
    Entry, EntryKind, LayerError, ObjectPlace, PIECE_BYTES, Segment, StoredObject, WalkKind,
    append_end, append_entry, padding,
    recipe::store_parents,
    slots::{Patches, patch},
};

/// The mode of the directories above the store in an image.
const PARENT_MODE: u32 = 0o755;

/// How names begin that delete what a lower layer has. OCI image-spec 1.1, layer.md, "Whiteouts".
const WHITEOUT: &[u8] = b".wh.";

/// Why a segment is not written to its end.
pub(super) enum Halt {
    /// The store could not be read.
    Failed(LayerError),
    /// Nobody wants the bytes any more.
    Stopped,
}

impl From<LayerError> for Halt {
    fn from(error: LayerError) -> Self {
        Self::Failed(error)
    }
}

fn is_whiteout(name: &OsStr) -> bool {
    name.as_bytes().starts_with(WHITEOUT)
}

/// Collects the bytes of one segment and hands them on in pieces of exactly [`PIECE_BYTES`], the last one shorter.
///
/// `exchange` takes a full buffer and gives an empty one with room for a piece, so the same few buffers are used for a whole image.
pub(super) struct PieceWriter<'a> {
    buffer: Vec<u8>,
    exchange: &'a mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>, Halt>,
}

impl<'a> PieceWriter<'a> {
    pub(super) fn new(
        buffer: Vec<u8>,
        exchange: &'a mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>, Halt>,
    ) -> Self {
        Self { buffer, exchange }
    }

    /// Writes a whole segment and ends its last piece. Returns an empty buffer.
    pub(super) fn write_segment(mut self, segment: &Segment) -> Result<Vec<u8>, Halt> {
        match segment {
            Segment::Parents => {
                for path in store_parents() {
                    self.write_entry(&Entry {
                        path: path.as_bytes(),
                        mode: PARENT_MODE,
                        kind: EntryKind::Directory,
                    })?;
                }
            }
            Segment::Object(object) => self.write_object(object)?,
            Segment::Directories(tar) | Segment::Generated(tar) => self.write(tar)?,
            Segment::End => {
                let mut end = Vec::new();
                append_end(&mut end);
                self.write(&end)?;
            }
        }
        if self.buffer.is_empty() {
            return Ok(self.buffer);
        }
        (self.exchange)(self.buffer)
    }

    /// Writes a store object, and compares it with what is registered about it.
    fn write_object(&mut self, object: &StoredObject) -> Result<(), Halt> {
        object.walk(&mut |entry| {
            let mode = object.mode(&entry);
            let is_shared =
                object.place != ObjectPlace::Store && matches!(entry.kind, WalkKind::Directory);
            let path = object.path_in_image(&entry.path).filter(|_| !is_shared);
            let Some(path) = path else {
                return Ok(());
            };
            if entry.real.file_name().is_some_and(is_whiteout) {
                return Err(LayerError::Whiteout { path: entry.real }.into());
            }
            let link;
            let kind = match &entry.kind {
                WalkKind::Directory => EntryKind::Directory,
                WalkKind::Symlink { target } => {
                    link = object.target_in_image(&entry.real, target)?;
                    EntryKind::Symlink { target: &link }
                }
                WalkKind::File { size_bytes, .. } => EntryKind::File {
                    size_bytes: *size_bytes,
                },
            };
            self.write_entry(&Entry { path, mode, kind })?;
            if let WalkKind::File { size_bytes, .. } = entry.kind {
                let patches = object.patches_of(&entry.real)?;
                self.write_file(&entry.real, size_bytes, &patches)?;
            }
            Ok::<_, Halt>(())
        })
    }

    fn write_entry(&mut self, entry: &Entry<'_>) -> Result<(), Halt> {
        let mut header = Vec::with_capacity(512);
        append_entry(&mut header, entry);
        self.write(&header)
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Halt> {
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(now);
            self.exchange_if_full()?;
            bytes = later;
        }
        Ok(())
    }

    /// Reads a file straight into the pieces, with other digits where they are replaced, and the zeros after it.
    fn write_file(&mut self, path: &Path, size_bytes: u64, patches: &Patches) -> Result<(), Halt> {
        let error = |source: io::Error| LayerError::Read {
            path: path.to_path_buf(),
            source,
        };
        let resized = || LayerError::Resized {
            path: path.to_path_buf(),
        };
        let mut file = File::open(path).map_err(error)?;
        let mut rest = size_bytes;
        while rest > 0 {
            let room = (PIECE_BYTES - self.buffer.len()) as u64;
            let wanted = room.min(rest);
            let (start, place) = (size_bytes - rest, self.buffer.len());
            let count = (&mut file)
                .take(wanted)
                .read_to_end(&mut self.buffer)
                .map_err(error)? as u64;
            if count < wanted {
                return Err(resized().into());
            }
            rest -= count;
            let first = patches.partition_point(|(offset, _)| offset + 40 <= start);
            let here = patches[first..].iter();
            for (offset, digits) in here.take_while(|(offset, _)| *offset < start + count) {
                patch(&mut self.buffer[place..], start, *offset, digits);
            }
            self.exchange_if_full()?;
        }
        if file.read(&mut [0]).map_err(error)? != 0 {
            return Err(resized().into());
        }
        self.write(&[0; 512][..padding(size_bytes)])
    }

    fn exchange_if_full(&mut self) -> Result<(), Halt> {
        if self.buffer.len() == PIECE_BYTES {
            self.buffer = (self.exchange)(std::mem::take(&mut self.buffer))?;
        }
        Ok(())
    }
}
