//! Archives, layouts and registries, seen alike: the documents at the top, manifests, blobs.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use store::registry::{RegistryError, Repository};

use super::{
    ImageReference, MAX_DOCUMENT_BYTES, SourceError, archive::ArchiveIndex, docker,
    document::Entry, rebased::Rebased,
};
use crate::oci::{
    Descriptor, Digest, ImageName, Index, LayoutMarker, index_entry, to_canonical_json,
};

/// Where an image is read from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A layout.
    Directory(PathBuf),
    /// An archive.
    Archive(ArchiveSource),
    /// A registry.
    Registry(RegistrySource<'a>),
    /// An image that is made of two others.
    Rebased(Box<Rebased<'a>>),
}

/// An archive, and what is where in it.
#[derive(Debug)]
pub(crate) struct ArchiveSource {
    path: PathBuf,
    pub(crate) index: ArchiveIndex,
    /// What a layout would have, for an archive that is none.
    documents: BTreeMap<String, Vec<u8>>,
}

/// An image in a registry.
#[derive(Debug)]
pub(crate) struct RegistrySource<'a> {
    repository: &'a Repository,
    /// The registry, as its images' names have it.
    registry: String,
    /// The whole name of the image.
    name: String,
    /// What a layout would have at its top.
    top: BTreeMap<String, Vec<u8>>,
    /// The manifest or index that the name stands for.
    first: (Digest, Vec<u8>),
}

/// What there is to read, if anything.
type Found<'s> = Result<Option<Box<dyn Read + 's>>, SourceError>;

impl<'a> Source<'a> {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let metadata = std::fs::metadata(path).map_err(|source| SourceError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        if metadata.is_dir() {
            if !path.join("index.json").is_file() {
                return Err(SourceError::NoImage {
                    path: path.to_path_buf(),
                    missing: "no `index.json`",
                });
            }
            return Ok(Self::Directory(path.to_path_buf()));
        }
        let mut index = ArchiveIndex::read(path)?;
        let documents = if index.find("index.json").is_some() {
            BTreeMap::new()
        } else {
            docker::to_layout(path, &mut index)?
        };
        Ok(Self::Archive(ArchiveSource {
            path: path.to_path_buf(),
            index,
            documents,
        }))
    }

    /// Reads what the name of an image in a registry stands for.
    pub(super) fn fetch(
        image: &ImageReference,
        repository: &'a Repository,
    ) -> Result<Self, SourceError> {
        let name = image.to_string();
        let first = repository
            .fetch_manifest(&image.target(), &name)
            .map_err(|source| SourceError::Registry {
                name: name.clone(),
                source,
            })?;
        let descriptor = Descriptor::of(&first.media_type, &first.bytes);
        let index = Index::new(vec![index_entry(&descriptor, None, image.name())]);
        let marker = to_canonical_json(&LayoutMarker::default());
        Ok(Self::Registry(RegistrySource {
            repository,
            registry: image.name().registry().to_owned(),
            name,
            top: BTreeMap::from([
                ("oci-layout".to_owned(), marker),
                ("index.json".to_owned(), to_canonical_json(&index)),
            ]),
            first: (descriptor.digest, first.bytes),
        }))
    }

    /// Whether its documents are really there, and not made of docker's list.
    pub(crate) fn is_layout(&self) -> bool {
        match self {
            Self::Directory(_) => true,
            Self::Archive(archive) => archive.documents.is_empty(),
            Self::Registry(_) | Self::Rebased(_) => false,
        }
    }

    /// Returns the repository that the image is in, if it is another one of the registry of `name`.
    pub(super) fn repository_beside(&self, name: &ImageName) -> Option<&str> {
        let Self::Registry(registry) = self else {
            return None;
        };
        let repository = registry.repository.name();
        let is_beside = registry.registry == name.registry() && repository != name.repository();
        is_beside.then_some(repository)
    }

    /// Opens a document by the name that it has in a layout or in docker's archives.
    pub(crate) fn document(&self, name: &str) -> Found<'_> {
        match self {
            Self::Registry(registry) => Ok(registry.top.get(name).map(in_memory)),
            _ => self.file(name),
        }
    }

    /// Opens a manifest or an index.
    pub(crate) fn manifest(&self, entry: &Entry) -> Found<'_> {
        let Self::Registry(registry) = self else {
            return self.file(&blob_name(&entry.digest));
        };
        let (digest, bytes) = &registry.first;
        if *digest == entry.digest {
            return Ok(Some(in_memory(bytes)));
        }
        let digest = entry.digest.to_string();
        let fetched = registry.repository.fetch_manifest(&digest, &registry.name);
        let fetched = fetched.map(|one| Box::new(io::Cursor::new(one.bytes)) as Box<dyn Read>);
        registry.unless_absent(fetched)
    }

    /// Opens a blob.
    pub(crate) fn blob(&self, entry: &Entry) -> Found<'_> {
        let name = blob_name(&entry.digest);
        let registry = match self {
            Self::Registry(registry) => registry,
            Self::Rebased(rebased) if !rebased.documents.contains_key(&name) => {
                return rebased.source(entry).blob(entry);
            }
            _ => return self.file(&name),
        };
        let digest = entry.digest.to_string();
        let opened = (registry.repository).open_blob(&digest, entry.size_bytes, &registry.name);
        registry.unless_absent(opened.map(|reader| Box::new(reader) as Box<dyn Read>))
    }

    fn file(&self, name: &str) -> Found<'_> {
        let opened = match self {
            Self::Directory(root) => open_regular(&root.join(name)).map(|file| file.map(boxed)),
            Self::Archive(archive) => {
                if let Some(document) = archive.documents.get(name) {
                    return Ok(Some(in_memory(document)));
                }
                let Some(place) = archive.index.find(name) else {
                    return Ok(None);
                };
                place.open(&archive.path).map(|file| Some(boxed(file)))
            }
            Self::Registry(_) => return Ok(None),
            Self::Rebased(rebased) => return Ok(rebased.documents.get(name).map(in_memory)),
        };
        opened.map_err(|source| self.error(name, source))
    }

    /// Reads what was opened, if it is no longer than any document should be: else one byte more than that.
    pub(crate) fn read(
        &self,
        name: &str,
        reader: Box<dyn Read + '_>,
    ) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        reader
            .take(MAX_DOCUMENT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.error(name, source))?;
        Ok(bytes)
    }

    /// Returns an error about reading a blob or document.
    pub(crate) fn error(&self, name: &str, source: io::Error) -> SourceError {
        let path = match self {
            Self::Directory(root) => root.join(name),
            Self::Archive(archive) => archive.path.clone(),
            Self::Rebased(_) => PathBuf::from(name),
            // What the registry did is the cause, not that it was read through a reader.
            Self::Registry(registry) => match source.downcast::<RegistryError>() {
                Ok(source) => return registry.failed(source),
                Err(source) => {
                    let path = PathBuf::from(format!("{}: {name}", registry.name));
                    return SourceError::Read { path, source };
                }
            },
        };
        SourceError::Read { path, source }
    }
}

impl RegistrySource<'_> {
    fn unless_absent<'s>(&self, found: Result<Box<dyn Read + 's>, RegistryError>) -> Found<'s> {
        match found {
            Ok(reader) => Ok(Some(reader)),
            Err(RegistryError::Absent { .. }) => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn failed(&self, source: RegistryError) -> SourceError {
        SourceError::Registry {
            name: self.name.clone(),
            source,
        }
    }
}

fn boxed<'s>(reader: impl Read + 's) -> Box<dyn Read + 's> {
    Box::new(reader)
}

fn in_memory(bytes: &Vec<u8>) -> Box<dyn Read + '_> {
    Box::new(bytes.as_slice())
}

/// Opens a file; `None` where there is nothing, or something whose opening may never end.
fn open_regular(path: &Path) -> io::Result<Option<File>> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => File::open(path).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the name of a blob in a layout.
pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.to_hex())
}
