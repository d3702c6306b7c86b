//! An OCI layout directory. OCI image-spec 1.1, image-layout.md.
//!
//! A new layout is filled beside its place and renamed. In a layout that is there, the image is put beside the others: blobs that are there with the right
//! size are not made again, each new one appears complete under its name, and `index.json` is replaced last. An image of the same tag is replaced; the
//! blobs that it alone needed are removed, so that packing again and again does not fill the disk.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::Path,
};

use super::{
    SinkError, Written,
    archive::{BLOBS, blob_path},
    index::Entry,
    place::{NewDirectory, NewFile, Place, look_at, write_file},
};
use crate::{
    Image,
    image::KnownLayers,
    layer::Encoded,
    oci::{
        Descriptor, Digest, Index, LayoutMarker, Manifest, annotation, media_type,
        to_canonical_json,
    },
};

const INDEX: &str = "index.json";
const MARKER: &str = "oci-layout";

pub(super) fn write(
    image: &Image<'_>,
    others: &[Image<'_>],
    path: &Path,
) -> Result<Written, SinkError> {
    if look_at(path)? == Place::Directory {
        let index = read_index(path)?;
        return add_to(image, others, path, path, &index);
    }
    let new = NewDirectory::beside(path)?;
    let written = add_to(image, others, new.path(), path, &Index::new(Vec::new()))
        .map_err(|error| error.moved(new.path(), path))?;
    new.finish()?;
    Ok(written)
}

/// Puts the image into the layout at `directory`, which is or will be at `path` and has the given index.
fn add_to(
    image: &Image<'_>,
    others: &[Image<'_>],
    directory: &Path,
    path: &Path,
    index: &Index,
) -> Result<Written, SinkError> {
    let blobs = directory.join(BLOBS);
    fs::create_dir_all(&blobs).map_err(SinkError::writing(path))?;
    let mut manifests = Vec::with_capacity(1 + others.len());
    let mut encoded_bytes = 0;
    let mut is_new = false;
    for one in [image].into_iter().chain(others) {
        let mut known = one.find_layers();
        let wanted: Vec<usize> = known
            .iter()
            .enumerate()
            .filter(|(_, known)| {
                !known.is_some_and(|layer| has_blob(directory, &layer.digest, layer.size_bytes))
            })
            .map(|(index, _)| index)
            .collect();
        is_new |= write_base(one, directory)?;
        encoded_bytes += write_layers(one, directory, &wanted, &mut known)?;
        let digests: Vec<_> = known.into_iter().flatten().collect();
        let assembled = one.assemble(&digests);
        is_new |= !wanted.is_empty();
        for (descriptor, bytes) in [
            (&assembled.config_descriptor, &assembled.config),
            (&assembled.manifest_descriptor, &assembled.manifest),
        ] {
            is_new |= write_document(directory, descriptor, bytes)?;
        }
        manifests.push(assembled.manifest_descriptor);
    }

    let entry = Entry::new(image, others, &manifests);
    if let Some(index) = &entry.index {
        is_new |= write_document(directory, &entry.descriptor, index)?;
    }
    let entry = entry.descriptor;
    let digest = entry.digest;
    let (replaced, mut entries): (Vec<_>, Vec<_>) =
        (index.manifests.iter().cloned()).partition(|other| tag(other) == tag(&entry));
    let is_there = replaced == [entry.clone()];
    entries.push(entry);
    let unchanged = is_there && !is_new;
    if !unchanged {
        let marker = to_canonical_json(&LayoutMarker::default());
        write_file(&directory.join(MARKER), &marker)?;
        let index = Index::new(entries);
        write_file(&directory.join(INDEX), &to_canonical_json(&index))?;
        remove_unused(directory, &replaced, &index);
    }
    Ok(Written {
        path: path.to_path_buf(),
        manifest_digest: Some(digest),
        encoded_bytes,
        unchanged,
    })
}

/// Copies the layers of the base that are not there. Returns whether any was not.
fn write_base(image: &Image<'_>, directory: &Path) -> Result<bool, SinkError> {
    let mut is_new = false;
    let below = image.below.iter();
    for (base, layer) in
        below.flat_map(|below| below.base.layers().iter().map(|l| (&below.base, l)))
    {
        if has_blob(directory, &layer.digest, layer.size_bytes) {
            continue;
        }
        is_new = true;
        let place = directory.join(blob_path(&layer.digest));
        let mut new = NewFile::beside(&place)?;
        base.image().read_blob(layer, &mut |bytes| {
            let written = new.file().write_all(bytes);
            written.map_err(SinkError::writing(&place))
        })?;
        new.finish()?;
    }
    Ok(is_new)
}

/// Makes the wanted layers, each in a file of its own. Returns how much tar that was.
fn write_layers(
    image: &Image<'_>,
    directory: &Path,
    wanted: &[usize],
    known: &mut KnownLayers,
) -> Result<u64, SinkError> {
    let blobs = directory.join(BLOBS);
    let mut current: Option<NewFile> = None;
    let mut encoded_bytes = 0;
    image.encode(wanted, known, &mut |encoded| match encoded {
        Encoded::Begin(index) => {
            // Renamed to its digest as soon as that is known.
            current = Some(NewFile::beside(&blobs.join(format!("layer-{index}")))?);
            Ok(())
        }
        Encoded::Bytes(bytes) => match &mut current {
            Some(new) => {
                let error = SinkError::writing(&blobs);
                new.file().write_all(bytes).map_err(error)
            }
            None => Ok(()),
        },
        Encoded::End(_, digests) => {
            encoded_bytes += digests.tar_size_bytes;
            match current.take() {
                Some(new) => new.finish_as(&directory.join(blob_path(&digests.digest))),
                None => Ok(()),
            }
        }
    })?;
    Ok(encoded_bytes)
}

/// Writes a document where it is not there. Returns whether it was not.
fn write_document(
    directory: &Path,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<bool, SinkError> {
    let is_there = has_blob(directory, &descriptor.digest, descriptor.size_bytes);
    if !is_there {
        write_file(&directory.join(blob_path(&descriptor.digest)), bytes)?;
    }
    Ok(!is_there)
}

fn has_blob(directory: &Path, digest: &Digest, size_bytes: u64) -> bool {
    fs::symlink_metadata(directory.join(blob_path(digest)))
        .is_ok_and(|found| found.is_file() && found.len() == size_bytes)
}

fn tag(entry: &Descriptor) -> Option<&str> {
    entry
        .annotations
        .get(annotation::REF_NAME)
        .map(String::as_str)
}

/// Reads the index of a directory that has something in it, which must be a layout then.
fn read_index(directory: &Path) -> Result<Index, SinkError> {
    let marker = directory.join(MARKER);
    match fs::read(&marker) {
        Ok(bytes) => {
            serde_json::from_slice::<LayoutMarker>(&bytes).map_err(|source| {
                SinkError::Document {
                    path: marker,
                    source,
                }
            })?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SinkError::Occupied {
                path: directory.to_path_buf(),
                found: "a directory with other things in it",
                wanted: "an OCI layout",
            });
        }
        Err(source) => return Err(SinkError::reading(marker)(source)),
    }
    let path = directory.join(INDEX);
    let bytes = fs::read(&path).map_err(SinkError::reading(&path))?;
    serde_json::from_slice(&bytes).map_err(|source| SinkError::Document { path, source })
}

/// Removes the blobs of replaced manifests that no other manifest of the layout needs. Where anything cannot be understood, nothing is removed.
fn remove_unused(directory: &Path, replaced: &[Descriptor], index: &Index) {
    let (Some(old), Some(needed)) = (
        reachable(directory, replaced),
        reachable(directory, &index.manifests),
    ) else {
        return;
    };
    for digest in old.difference(&needed) {
        // What cannot be removed only takes space.
        fs::remove_file(directory.join(blob_path(digest))).ok();
    }
}

/// Returns the digests of manifests and of all that they name, those of an index included; `None` where one is something else.
fn reachable(directory: &Path, manifests: &[Descriptor]) -> Option<BTreeSet<Digest>> {
    let mut digests = BTreeSet::new();
    let mut pending = manifests.to_vec();
    while let Some(descriptor) = pending.pop() {
        if !digests.insert(descriptor.digest) {
            continue;
        }
        let bytes = fs::read(directory.join(blob_path(&descriptor.digest))).ok()?;
        if [media_type::INDEX, media_type::DOCKER_INDEX].contains(&descriptor.media_type.as_str()) {
            let index: Index = serde_json::from_slice(&bytes).ok()?;
            pending.extend(index.manifests);
            continue;
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
        digests.insert(manifest.config.digest);
        digests.extend(manifest.layers.iter().map(|layer| layer.digest));
    }
    Some(digests)
}
