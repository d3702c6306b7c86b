//! An image that exists, and how what it names is read.

use std::{collections::BTreeSet, fmt, io::Read, path::Path};

use serde::de::DeserializeOwned;
use store::registry::Repository;

use super::{
    AnyConfig, AnyIndex, AnyManifest, Entry, ExistingError, ImageReference, MAX_DOCUMENT_BYTES,
    Source, SourceError, blob_name, rebased::Rebased,
};
use crate::{
    Event,
    oci::{Digest, DigestWriter, ImageName, annotation},
};

/// How much of a blob is in memory.
const BUFFER_BYTES: usize = 64 << 10;

/// An image that exists: in an archive, a layout or a registry.
pub struct ExistingImage<'a> {
    name: String,
    tag: Option<String>,
    pub(crate) source: Source<'a>,
    pub(super) events: &'a (dyn Fn(Event<'_>) + Sync),
}

impl fmt::Debug for ExistingImage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExistingImage")
            .field("name", &self.name)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

impl<'a> ExistingImage<'a> {
    /// Opens an archive or a layout; `tag` chooses one of several images in it.
    pub fn open(path: &Path, tag: Option<&str>) -> Result<Self, SourceError> {
        let mut name = path.display().to_string();
        if let Some(tag) = tag {
            name = format!("{name}:{tag}");
        }
        Ok(Self {
            name,
            tag: tag.map(str::to_owned),
            source: Source::open(path)?,
            events: &|_| (),
        })
    }

    /// Reads what the name of an image in a registry stands for. `repository` is that of `image`.
    pub fn fetch(image: &ImageReference, repository: &'a Repository) -> Result<Self, SourceError> {
        Ok(Self {
            name: image.to_string(),
            tag: None,
            source: Source::fetch(image, repository)?,
            events: &|_| (),
        })
    }

    /// An image that is made of two others.
    pub(crate) fn of_rebased(name: String, rebased: Rebased<'a>) -> Self {
        Self {
            name,
            tag: None,
            source: Source::Rebased(Box::new(rebased)),
            events: &|_| (),
        }
    }

    /// Calls it `name`, where the file that it lies in means nothing to a reader.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Has `events` be told, from several threads, what becomes of copies of the image.
    #[must_use]
    pub fn with_events(self, events: &'a (dyn Fn(Event<'_>) + Sync)) -> Self {
        Self { events, ..self }
    }

    /// Says that blobs are about to be copied to `name`.
    pub(super) fn tell_copying(&self, name: &str, blobs: &[&Entry]) {
        let sizes = blobs.iter().map(|blob| blob.size_bytes);
        (self.events)(Event::Copying {
            name,
            blobs: blobs.len(),
            bytes: sizes.fold(0, u64::saturating_add),
        });
    }

    /// Returns where it is: a path, or a whole name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the digest of what the name stands for: of a manifest, or of an index.
    pub fn digest(&self) -> Result<Digest, ExistingError> {
        Ok(self.entry()?.digest)
    }

    /// Returns what an archive, a layout or a registry says that its image is called.
    pub fn image_name(&self) -> Result<Option<ImageName>, ExistingError> {
        let annotations = self.entry()?.annotations;
        let names = [annotation::CONTAINERD_NAME, annotation::REF_NAME];
        let mut names = names.iter().filter_map(|key| annotations.get(*key));
        // Some tools have a whole name where others have a tag.
        Ok(names.find_map(|name| name.contains(['/', ':']).then(|| name.parse().ok())?))
    }

    /// Whether docker's names of an image leave it open that it is the one that was chosen, if one was.
    pub(crate) fn may_be_chosen(&self, names: &[String]) -> bool {
        let Some(tag) = &self.tag else {
            return true;
        };
        // What has no name, or none that is understood, is loaded all the same.
        names.is_empty() || names.iter().any(|name| may_be_called(name, tag))
    }

    /// Whether an entry of `index.json` is the image that was chosen, if one was.
    pub(crate) fn is_chosen(&self, entry: &Entry) -> bool {
        self.tag.as_ref().is_none_or(|tag| is_called(entry, tag))
    }

    /// Returns what the images in an archive or a layout are called there, or which digests they have; sorted, no duplicates.
    pub fn tags(&self) -> Result<Vec<String>, ExistingError> {
        let images = self.chosen_entries()?;
        let tags = images.iter().map(|entry| {
            let tag = tag_of(entry).map(str::to_owned);
            tag.unwrap_or_else(|| entry.digest.to_string())
        });
        let tags: BTreeSet<String> = tags.collect();
        Ok(tags.into_iter().collect())
    }

    /// Reads which images there are, and returns those that may be meant.
    fn chosen_entries(&self) -> Result<Vec<Entry>, ExistingError> {
        let name = "index.json";
        let reader = self.source.document(name)?;
        let reader = reader.ok_or_else(|| self.missing(name))?;
        let index: AnyIndex = self.parse(name, &self.bounded(name, reader)?)?;
        let mut images = index.manifests;
        images.retain(|entry| self.is_chosen(entry));
        Ok(images)
    }

    /// Reads which images there are, and returns the one that was chosen or the only one.
    pub(crate) fn entry(&self) -> Result<Entry, ExistingError> {
        let mut images = self.chosen_entries()?;
        // One image may have several names.
        let mut seen = BTreeSet::new();
        images.retain(|entry| seen.insert(entry.digest));
        match <[Entry; 1]>::try_from(images) {
            Ok([entry]) => Ok(entry),
            Err(images) => Err(ExistingError::Choice {
                image: self.name.clone(),
                tags: images
                    .iter()
                    .map(|entry| tag_of(entry).unwrap_or("an image without a tag").to_owned())
                    .collect(),
            }),
        }
    }

    pub(super) fn read_manifest(&self, entry: &Entry) -> Result<Vec<u8>, ExistingError> {
        let name = blob_name(&entry.digest);
        let reader = self.source.manifest(entry)?;
        let reader = reader.ok_or_else(|| self.missing(&name))?;
        let bytes = self.bounded(&name, reader)?;
        self.check(entry, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    pub(crate) fn read_config(&self, manifest: &AnyManifest) -> Result<AnyConfig, ExistingError> {
        let bytes = self.read_small_blob(&manifest.config)?;
        self.parse(&manifest.config.digest.to_string(), &bytes)
    }

    /// Reads a blob that is a document.
    pub(crate) fn read_small_blob(&self, entry: &Entry) -> Result<Vec<u8>, ExistingError> {
        let name = blob_name(&entry.digest);
        let reader = self.source.blob(entry)?;
        let reader = reader.ok_or_else(|| self.missing(&name))?;
        let bytes = self.bounded(&name, reader)?;
        self.check(entry, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    pub(crate) fn parse<T: DeserializeOwned>(
        &self,
        document: &str,
        bytes: &[u8],
    ) -> Result<T, ExistingError> {
        serde_json::from_slice(bytes).map_err(|source| ExistingError::Document {
            image: self.name.clone(),
            document: document.to_owned(),
            source,
        })
    }

    fn bounded(&self, name: &str, reader: Box<dyn Read + '_>) -> Result<Vec<u8>, ExistingError> {
        let bytes = self.source.read(name, reader)?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(ExistingError::TooLarge {
                image: self.name.clone(),
                problem: "a document is longer than 4 MiB",
            });
        }
        Ok(bytes)
    }

    pub(crate) fn missing(&self, what: &str) -> ExistingError {
        ExistingError::Missing {
            image: self.name.clone(),
            what: what.to_owned(),
        }
    }

    /// Hands the bytes of a blob to `receive`, and fails at their end if they are not those that the descriptor names.
    pub(crate) fn read_blob<E: From<ExistingError>>(
        &self,
        entry: &Entry,
        receive: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = blob_name(&entry.digest);
        let reader = self.source.blob(entry).map_err(ExistingError::from)?;
        let reader = reader.ok_or_else(|| self.missing(&name))?;
        // One byte more tells that it goes on.
        let mut reader = reader.take(entry.size_bytes.saturating_add(1));
        let mut hasher = DigestWriter::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = reader
                .read(&mut buffer)
                .map_err(|source| ExistingError::from(self.source.error(&name, source)))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            if hasher.size_bytes() <= entry.size_bytes {
                receive(&buffer[..count])?;
            }
        }
        let size_bytes = hasher.size_bytes();
        self.check(entry, hasher.finish(), size_bytes)?;
        Ok(())
    }

    /// Fails if something is not what its descriptor names.
    pub(crate) fn check(
        &self,
        entry: &Entry,
        found: Digest,
        found_bytes: u64,
    ) -> Result<(), ExistingError> {
        if found == entry.digest && found_bytes == entry.size_bytes {
            return Ok(());
        }
        Err(ExistingError::Damaged {
            image: self.name.clone(),
            expected: entry.digest,
            expected_bytes: entry.size_bytes,
            found,
            found_bytes,
        })
    }
}

/// Returns what an image in a layout is called.
pub(crate) fn tag_of(entry: &Entry) -> Option<&str> {
    let annotations = &entry.annotations;
    annotations
        .get(annotation::REF_NAME)
        .or_else(|| annotations.get(annotation::CONTAINERD_NAME))
        .map(String::as_str)
}

/// Whether an image has a name: as it stands there, or as its tag.
fn is_called(entry: &Entry, name: &str) -> bool {
    let keys = [annotation::REF_NAME, annotation::CONTAINERD_NAME];
    let mut names = keys.iter().filter_map(|key| entry.annotations.get(*key));
    names.any(|found| ends_with_name(found, name))
}

fn ends_with_name(whole: &str, name: &str) -> bool {
    let rest = whole.strip_suffix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(':'))
}

/// Whether a name of docker's may be `chosen`, a tag or a name in any form.
fn may_be_called(name: &str, chosen: &str) -> bool {
    let Ok(whole) = name.parse::<ImageName>() else {
        return true;
    };
    let chosen_whole = chosen.contains(['/', ':']).then(|| chosen.parse());
    ends_with_name(name, chosen)
        || ends_with_name(&whole.to_string(), chosen)
        || chosen_whole.is_some_and(|chosen| chosen.is_ok_and(|chosen: ImageName| chosen == whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_docker_is_another_one_only_where_that_is_sure() {
        for (name, chosen, expected) in [
            ("greet:1.0", "1.0", true),
            ("greet:1.0", "greet:1.0", true),
            ("greet:1.0", "docker.io/library/greet:1.0", true),
            ("docker.io/library/greet:1.0", "greet:1.0", true),
            ("r.example/a/greet:1.0", "r.example/a/greet:1.0", true),
            ("greet", "latest", true),
            ("what is this", "1.0", true),
            ("greet:2.0", "1.0", false),
            ("greet:11.0", "1.0", false),
            ("greet:1.0", "other:1.0", false),
        ] {
            assert_eq!(may_be_called(name, chosen), expected, "{name} {chosen}");
        }
    }
}
