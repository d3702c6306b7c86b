//! A layer of an image, as a tar of which nothing is believed before all of its blob is.

use std::{
    cell::RefCell,
    io::{self, Read},
    rc::Rc,
};

use super::{Entry, ExistingError, ExistingImage, blob_name};
use crate::{
    layer::{Compression, Dialect, Member, TarError, TarReader},
    oci::DigestWriter,
};

/// A blob that is hashed on its way to whoever decodes it.
struct Hashed<'a> {
    blob: Box<dyn Read + 'a>,
    hasher: DigestWriter,
}

/// The decoder's hand on a blob: what the decoder leaves of it is read by the other hand.
struct Shared<'a>(Rc<RefCell<Hashed<'a>>>);

impl Read for Shared<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut hashed = self.0.borrow_mut();
        let count = hashed.blob.read(buffer)?;
        hashed.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// The entries of a layer. Whoever read them to the end, or [finished](Self::finish), knows that they are those of the layer that the manifest names.
pub(crate) struct LayerReader<'a> {
    image: &'a ExistingImage<'a>,
    layer: &'a Entry,
    blob: Rc<RefCell<Hashed<'a>>>,
    tar: TarReader<Box<dyn Read + 'a>>,
}

impl<'a> LayerReader<'a> {
    fn open(image: &'a ExistingImage<'a>, layer: &'a Entry) -> Result<Self, ExistingError> {
        let Some(compression) = Compression::from_media_type(&layer.media_type) else {
            return Err(ExistingError::LayerType {
                image: image.name().to_owned(),
                media_type: layer.media_type.clone(),
            });
        };
        let blob = image.source.blob(layer)?;
        let blob = blob.ok_or_else(|| image.missing(&blob_name(&layer.digest)))?;
        let hasher = DigestWriter::default();
        let blob = Rc::new(RefCell::new(Hashed { blob, hasher }));
        let decoded = compression.decode(Shared(Rc::clone(&blob)));
        let decoded =
            decoded.map_err(|source| failure(image, layer, &blob, TarError::Read(source)))?;
        Ok(Self {
            image,
            layer,
            blob,
            tar: TarReader::of(decoded, Dialect::Any),
        })
    }

    /// Returns the next entry, or `None` at the end of a layer that is what its digest says.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, ExistingError> {
        match self.tar.next_member() {
            Ok(Some(member)) => Ok(Some(member)),
            Ok(None) => self.finish().map(|()| None),
            Err(source) => Err(failure(self.image, self.layer, &self.blob, source)),
        }
    }

    /// Reads the first `limit` bytes of the contents of the entry that was returned last.
    pub(crate) fn read_contents(&mut self, limit: u64) -> Result<Vec<u8>, ExistingError> {
        let mut bytes = Vec::new();
        let read = self.tar.by_ref().take(limit).read_to_end(&mut bytes);
        read.map_err(|source| self.unread(source))?;
        Ok(bytes)
    }

    /// Returns why the contents of the entry that was returned last cannot be read.
    pub(crate) fn unread(&self, source: io::Error) -> ExistingError {
        failure(self.image, self.layer, &self.blob, TarError::Read(source))
    }

    /// Reads what is left of the blob, and fails if all of it is not what the manifest names.
    pub(crate) fn finish(&self) -> Result<(), ExistingError> {
        finish(self.image, self.layer, &self.blob)
    }
}

impl Read for LayerReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read(buffer)
    }
}

fn finish(
    image: &ExistingImage<'_>,
    layer: &Entry,
    blob: &RefCell<Hashed<'_>>,
) -> Result<(), ExistingError> {
    let hashed = &mut *blob.borrow_mut();
    // One byte more tells that it goes on.
    let left = layer.size_bytes.saturating_add(1);
    let left = left.saturating_sub(hashed.hasher.size_bytes());
    io::copy(&mut hashed.blob.by_ref().take(left), &mut hashed.hasher)
        .map_err(|source| image.source.error(&blob_name(&layer.digest), source))?;
    let hasher = hashed.hasher.clone();
    let size_bytes = hasher.size_bytes();
    image.check(layer, hasher.finish(), size_bytes)
}

/// Returns why a layer cannot be read: because it is another one than it should be, where that is so.
fn failure(
    image: &ExistingImage<'_>,
    layer: &Entry,
    blob: &RefCell<Hashed<'_>>,
    source: TarError,
) -> ExistingError {
    match finish(image, layer, blob) {
        Err(error) => error,
        Ok(()) => ExistingError::Layer {
            image: image.name().to_owned(),
            layer: layer.digest,
            source,
        },
    }
}

impl ExistingImage<'_> {
    /// Opens a layer as a tar, of whichever writer.
    pub(crate) fn open_layer<'s>(
        &'s self,
        layer: &'s Entry,
    ) -> Result<LayerReader<'s>, ExistingError> {
        LayerReader::open(self, layer)
    }
}
