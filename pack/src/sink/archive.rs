//! The archive: one tar file that is an OCI layout and has docker's `manifest.json`.
//!
//! docker, podman, containerd, skopeo (as `oci-archive:` and as `docker-archive:`) and, unpacked, umoci read it. Two details matter: without
//! `manifest.json` no docker before containerd's image store loads it, and without entries for the directories some readers do not find the blobs.
//!
//! The layers come first, in order, because the documents need their digests. A layer's own header needs them as well: where they are not known, its place is
//! left free and filled in when the layer is complete, so nothing is written twice and there is no temporary file besides the archive itself. Layers that may be
//! larger than a header of one block can say are made twice, the first time for their size. A reader at the
//! other end of a pipe cannot be given a header later: for it, what is not known of a layer is found out first, by making the layer once more.

use std::{
    collections::HashSet,
    fs::File,
    io::{ErrorKind, Seek, SeekFrom, Write},
    path::Path,
};

use super::{
    Format, SinkError, Written, index::Entry as IndexEntry, place::NewFile, receipt::Receipts,
};
use crate::{
    Image,
    image::missing,
    layer::{
        BLOCK, Encoded, Entry, EntryKind, Layer, LayerDigests, RecipeDigest, append_end,
        append_entry, padding,
    },
    oci::{Digest, DockerManifest, Index, LayoutMarker, to_canonical_json},
};

/// The directory of blobs in a layout.
pub(super) const BLOBS: &str = "blobs/sha256";
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
/// A header of one block says sizes up to 8 GiB.
const SURELY_SMALL: u64 = 7 << 30;
/// The blocks of one entry: its header, the extended one with a path and a target of 4 KiB each, and what fills the last block.
const MOST_BESIDE: u64 = 12 << 10;

pub(super) fn write(
    image: &Image<'_>,
    others: &[Image<'_>],
    path: &Path,
) -> Result<Written, SinkError> {
    let receipts = Receipts::new(image, others, path, Format::Archive);
    if let Some(written) = receipts.find(path) {
        return Ok(written);
    }
    let mut new = NewFile::beside(path)?;
    let target = new.target().to_path_buf();
    let archive = Archive::begin(new.file(), &target)?;
    let (digest, encoded_bytes) = write_members(archive, image, others)?;
    receipts.finish(new, path, Some(digest), encoded_bytes)
}

impl Image<'_> {
    /// Writes the image as an archive to a reader that takes it as it comes, such as `podman load`. Returns the digest of the manifest.
    ///
    /// A layer of which nothing is remembered is made twice, because its header comes before it.
    pub fn stream(&self, out: &mut dyn Write) -> Result<Digest, SinkError> {
        stream(self, &[], out)
    }
}

/// Writes the images to a reader that takes the archive as it comes.
pub(super) fn stream(
    image: &Image<'_>,
    others: &[Image<'_>],
    out: &mut dyn Write,
) -> Result<Digest, SinkError> {
    for one in [image].into_iter().chain(others) {
        let mut known = one.find_layers();
        let missing = missing(&known);
        one.encode(&missing, &mut known, &mut |_| Ok::<_, SinkError>(()))?;
    }
    let archive = Archive::begin_at(Out::Stream(out))?;
    let (digest, _) = write_members(archive, image, others)?;
    Ok(digest)
}

/// Writes the whole archive. Returns the digest of the manifest, or of the index of several, and how much tar was made.
fn write_members(
    mut archive: Archive<'_>,
    image: &Image<'_>,
    others: &[Image<'_>],
) -> Result<(Digest, u64), SinkError> {
    let mut manifests = Vec::with_capacity(1 + others.len());
    let mut docker = Vec::new();
    let mut encoded_bytes = 0;
    for one in [image].into_iter().chain(others) {
        archive.append_base(one)?;
        let (digests, bytes) = archive.append_layers(one)?;
        encoded_bytes += bytes;
        let assembled = one.assemble(&digests);
        let config_path = blob_path(&assembled.config_descriptor.digest);
        archive.append_file(&config_path, &assembled.config)?;
        let manifest = assembled.manifest_descriptor;
        archive.append_file(&blob_path(&manifest.digest), &assembled.manifest)?;
        manifests.push(manifest);
        docker.push(DockerManifest {
            config: config_path,
            repo_tags: vec![one.name().to_familiar()],
            layers: (assembled.layers.iter())
                .map(|layer| blob_path(&layer.digest))
                .collect(),
        });
    }
    let entry = IndexEntry::new(image, others, &manifests);
    let digest = entry.descriptor.digest;
    if let Some(index) = &entry.index {
        archive.append_file(&blob_path(&digest), index)?;
    }
    let index = Index::new(vec![entry.descriptor]);
    archive.append_file("index.json", &to_canonical_json(&index))?;
    // Of several images with one name, docker's list would mean the last one, whatever it runs on.
    if others.is_empty() {
        archive.append_file("manifest.json", &to_canonical_json(&docker))?;
    }
    let marker = to_canonical_json(&LayoutMarker::default());
    archive.append_file("oci-layout", &marker)?;
    archive.end()?;
    Ok((digest, encoded_bytes))
}

/// Returns the path of a blob in a layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.to_hex())
}

/// Whether a layer may be so large that its header needs more than the one block that is left free for it.
///
/// A compressed layer is hardly ever larger than its tar, and what is here is far more than a tar has beside the files.
fn may_be_large(layer: &Layer) -> bool {
    let sizes = layer.objects().map(|object| {
        let beside = object.nodes.saturating_mul(MOST_BESIDE);
        object.size_bytes.saturating_add(beside)
    });
    sizes.fold(0, u64::saturating_add) >= SURELY_SMALL
}

fn layer_header(layer: &LayerDigests) -> Vec<u8> {
    file_header(&blob_path(&layer.digest), layer.size_bytes)
}

fn file_header(path: &str, size_bytes: u64) -> Vec<u8> {
    let mut header = Vec::new();
    let entry = Entry {
        path: path.as_bytes(),
        mode: FILE_MODE,
        kind: EntryKind::File { size_bytes },
    };
    append_entry(&mut header, &entry);
    header
}

/// Where an archive goes.
enum Out<'a> {
    File {
        file: &'a mut File,
        target: &'a Path,
    },
    Stream(&'a mut dyn Write),
}

/// The archive that is being written.
pub(crate) struct Archive<'a> {
    out: Out<'a>,
    position: u64,
    /// The recipes of the layers that are in it.
    layers: HashSet<RecipeDigest>,
    /// The layers of bases that are in it.
    base_layers: HashSet<Digest>,
}

impl<'a> Archive<'a> {
    /// Begins an archive with its directories.
    pub(crate) fn begin(file: &'a mut File, target: &'a Path) -> Result<Self, SinkError> {
        Self::begin_at(Out::File { file, target })
    }

    fn begin_at(out: Out<'a>) -> Result<Self, SinkError> {
        let mut archive = Self {
            out,
            position: 0,
            layers: HashSet::new(),
            base_layers: HashSet::new(),
        };
        for directory in ["blobs", BLOBS] {
            archive.append_directory(directory)?;
        }
        Ok(archive)
    }

    /// Ends the archive.
    pub(crate) fn end(mut self) -> Result<(), SinkError> {
        let mut end = Vec::new();
        append_end(&mut end);
        self.append(&end)?;
        match self.out {
            Out::File { .. } => Ok(()),
            Out::Stream(out) => out.flush().map_err(SinkError::Stream),
        }
    }

    /// Begins a file of so many bytes, which are appended next.
    pub(crate) fn begin_file(&mut self, path: &str, size_bytes: u64) -> Result<(), SinkError> {
        self.append(&file_header(path, size_bytes))
    }

    /// Ends the file.
    pub(crate) fn end_file(&mut self, size_bytes: u64) -> Result<(), SinkError> {
        self.append(&[0; BLOCK][..padding(size_bytes)])
    }

    /// Appends the layers of the base that are not there, as they are.
    fn append_base(&mut self, image: &Image<'_>) -> Result<(), SinkError> {
        let Some(below) = &image.below else {
            return Ok(());
        };
        for layer in below.base.layers() {
            if !self.base_layers.insert(layer.digest) {
                continue;
            }
            self.begin_file(&blob_path(&layer.digest), layer.size_bytes)?;
            let source = below.base.image();
            source.read_blob(layer, &mut |bytes| self.append(bytes))?;
            self.end_file(layer.size_bytes)?;
        }
        Ok(())
    }

    /// Appends the layers that are not there. Returns what the layers are, and how much tar was made.
    fn append_layers(&mut self, image: &Image<'_>) -> Result<(Vec<LayerDigests>, u64), SinkError> {
        let mut known = image.find_layers();
        let wanted: Vec<usize> = (image.layers().iter().zip(&known).enumerate())
            .filter(|(_, (layer, known))| match known {
                None => true,
                Some(known) => {
                    !self.layers.contains(&layer.recipe())
                        && !self.base_layers.contains(&known.digest)
                }
            })
            .map(|(index, _)| index)
            .collect();
        let large: Vec<usize> = (wanted.iter().copied())
            .filter(|&index| known[index].is_none() && may_be_large(&image.layers()[index]))
            .collect();
        image.encode(&large, &mut known, &mut |_| Ok::<_, SinkError>(()))?;
        let before = known.clone();
        let mut start = 0;
        let mut encoded_bytes = 0;
        image.encode(&wanted, &mut known, &mut |encoded| match encoded {
            Encoded::Begin(index) => {
                start = self.position;
                match &before[index] {
                    Some(known) => self.append(&layer_header(known)),
                    None => self.append(&[0; BLOCK]),
                }
            }
            Encoded::Bytes(bytes) => self.append(bytes),
            Encoded::End(index, digests) => {
                encoded_bytes += digests.tar_size_bytes;
                if self.base_layers.contains(&digests.digest) {
                    return self.take_back(start);
                }
                self.append(&[0; BLOCK][..padding(digests.size_bytes)])?;
                match &before[index] {
                    Some(_) => Ok(()),
                    None => self.fill_in(start, &layer_header(&digests)),
                }
            }
        })?;
        self.layers.extend(image.layers().iter().map(Layer::recipe));
        Ok((known.into_iter().flatten().collect(), encoded_bytes))
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        match &mut self.out {
            Out::File { file, target } => {
                file.write_all(bytes).map_err(SinkError::writing(*target))
            }
            Out::Stream(out) => out.write_all(bytes).map_err(SinkError::Stream),
        }?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn append_directory(&mut self, path: &str) -> Result<(), SinkError> {
        let mut header = Vec::new();
        let entry = Entry {
            path: path.as_bytes(),
            mode: DIRECTORY_MODE,
            kind: EntryKind::Directory,
        };
        append_entry(&mut header, &entry);
        self.append(&header)
    }

    pub(crate) fn append_file(&mut self, path: &str, contents: &[u8]) -> Result<(), SinkError> {
        let size_bytes = contents.len() as u64;
        self.begin_file(path, size_bytes)?;
        self.append(contents)?;
        self.end_file(size_bytes)
    }

    /// Removes everything from `start` on: a layer that the base has, too.
    fn take_back(&mut self, start: u64) -> Result<(), SinkError> {
        self.position = start;
        match &mut self.out {
            Out::File { file, target } => file
                .set_len(start)
                .and_then(|()| file.seek(SeekFrom::Start(start)))
                .map(drop)
                .map_err(SinkError::writing(*target)),
            Out::Stream(_) => Err(SinkError::Stream(ErrorKind::NotSeekable.into())),
        }
    }

    /// Fills in a header whose place was left free, and comes back to the end.
    fn fill_in(&mut self, start: u64, bytes: &[u8]) -> Result<(), SinkError> {
        if bytes.len() != BLOCK {
            let error = ErrorKind::FileTooLarge.into();
            return Err(match &self.out {
                Out::File { target, .. } => SinkError::writing(*target)(error),
                Out::Stream(_) => SinkError::Stream(error),
            });
        }
        match &mut self.out {
            Out::File { file, target } => file
                .seek(SeekFrom::Start(start))
                .and_then(|_| file.write_all(bytes))
                .and_then(|()| file.seek(SeekFrom::Start(self.position)))
                .map(drop)
                .map_err(SinkError::writing(*target)),
            Out::Stream(_) => Err(SinkError::Stream(ErrorKind::NotSeekable.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{PathDigest, StorePath};

    use super::*;
    use crate::layer::{ObjectPlace, StoredObject};

    /// A layer of one object that is only said to have these sizes.
    fn layer(size_bytes: u64, nodes: u64) -> Layer {
        let object = StoredObject {
            path: StorePath::new(PathDigest::from_bytes([1; 25]), "virtual".parse().unwrap()),
            real: "/nowhere".into(),
            size_bytes,
            nodes,
            place: ObjectPlace::Store,
            slot: None,
        };
        Layer::new(vec![Arc::new(object)], None)
    }

    #[test]
    fn only_layers_that_surely_fit_have_their_header_filled_in_later() {
        for (size_bytes, nodes, expected) in [
            (0, 1, false),
            (6 << 30, 10, false),
            (7 << 30, 1, true),
            (u64::MAX, u64::MAX, true),
            // Headers count, too.
            (0, 1 << 20, true),
        ] {
            let found = may_be_large(&layer(size_bytes, nodes));
            assert_eq!(found, expected, "{size_bytes} {nodes}");
        }
    }

    #[test]
    fn a_header_that_needs_more_than_its_place_is_an_error_and_overwrites_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        let mut archive = Archive::begin(&mut file, Path::new("x.tar")).unwrap();
        let start = archive.position;
        archive.append(&[0; BLOCK]).unwrap();
        archive.append(b"layer").unwrap();
        let digests = LayerDigests {
            diff_id: crate::oci::DiffId(Digest::of(b"")),
            tar_size_bytes: 9 << 30,
            digest: Digest::of(b"layer"),
            size_bytes: 9 << 30,
        };
        let header = layer_header(&digests);
        assert_eq!(header.len(), 3 * BLOCK);
        assert!(archive.fill_in(start, &header).is_err());
        let small = layer_header(&LayerDigests {
            size_bytes: 5,
            ..digests
        });
        archive.fill_in(start, &small).unwrap();
        archive.append(&[0; BLOCK - 5]).unwrap();
        archive.end().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut read = tar::Archive::new(file);
        let last = read.entries().unwrap().last().unwrap().unwrap();
        assert_eq!(last.size(), 5);
    }
}
