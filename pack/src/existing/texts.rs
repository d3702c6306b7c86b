//! A few files of an image with their contents, layers put together.

use std::collections::BTreeMap;

use super::{
    ExistingError, ExistingImage,
    overlay::{Files, clean, put_on},
};
use crate::oci::Digest;

/// How much of a file is read.
const MAX_BYTES: u64 = 1 << 20;
/// How much of all of them.
const MAX_TOTAL_BYTES: u64 = 256 << 20;

/// What is at a place.
enum Content {
    Directory,
    File(Vec<u8>),
    Other,
}

impl ExistingImage<'_> {
    /// Returns the regular files of the image with this manifest whose paths, without a slash at their beginning, are `wanted`: their first megabyte, by path.
    /// Reads all layers.
    pub fn read_texts(
        &self,
        manifest: Digest,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vec<u8>>, ExistingError> {
        let documents = self.documents(None)?;
        let mut images = documents.manifests.iter();
        let found = images.find(|one| one.entry.digest == manifest);
        let mut files = Files::new();
        let mut room = MAX_TOTAL_BYTES;
        for layer in found.iter().flat_map(|one| &one.manifest.layers) {
            let mut reader = self.open_layer(layer)?;
            let mut own = Vec::new();
            while let Some(member) = reader.next_member()? {
                let path = clean(&member.path);
                let is_wanted = str::from_utf8(&path).is_ok_and(wanted);
                let content = match member.flag {
                    b'5' => Content::Directory,
                    b'0' | 0 if is_wanted => {
                        let bytes = reader.read_contents(MAX_BYTES.min(room))?;
                        room -= bytes.len() as u64;
                        Content::File(bytes)
                    }
                    _ => Content::Other,
                };
                own.push((path, content));
            }
            put_on(&mut files, own, |one| matches!(one, Content::Directory));
        }
        let texts = files
            .into_iter()
            .filter_map(|(path, content)| match content {
                Content::File(bytes) => Some((String::from_utf8(path).ok()?, bytes)),
                Content::Directory | Content::Other => None,
            });
        Ok(texts.collect())
    }
}
