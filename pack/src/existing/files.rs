//! The files that an image has, layers put together.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use super::{Entry, ExistingError, ExistingImage, blob_name};
use crate::layer::{Compression, Dialect, Member, TarError, TarReader};

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 64 << 10;
/// What every store path in a file begins with.
const STORE: &[u8] = b"/pith/store/";
/// Digits of a digest in a store path.
const DIGITS: usize = 40;
/// Deletes a file of a lower layer. OCI image-spec 1.1, layer.md, "Whiteouts".
const WHITEOUT: &[u8] = b".wh.";
/// Deletes everything that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What is at a place of an image. Times are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileFacts {
    flag: u8,
    mode: u64,
    owner: (u64, u64),
    target: Vec<u8>,
    size_bytes: u64,
    /// The digest of its contents, the digits of store paths left out: they change whenever anything below does.
    digest: [u8; 32],
}

impl FileFacts {
    pub(super) const fn is_directory(&self) -> bool {
        self.flag == b'5'
    }
}

/// Everything that one layer has, in its order.
pub(super) type LayerFiles = Vec<(Vec<u8>, FileFacts)>;

impl ExistingImage<'_> {
    /// Reads a layer.
    pub(super) fn read_files(&self, layer: &Entry) -> Result<LayerFiles, ExistingError> {
        let name = blob_name(&layer.digest);
        let not_read = |source| ExistingError::Layer {
            image: self.name().to_owned(),
            layer: layer.digest,
            source,
        };
        let Some(compression) = Compression::from_media_type(&layer.media_type) else {
            return Err(ExistingError::LayerType {
                image: self.name().to_owned(),
                media_type: layer.media_type.clone(),
            });
        };
        let blob = self.source.blob(layer)?;
        let blob = blob.ok_or_else(|| self.missing(&name))?;
        let decoded = compression.decode(blob).map_err(TarError::Read);
        let mut reader = TarReader::of(decoded.map_err(not_read)?, Dialect::Any);
        let mut files = Vec::new();
        while let Some(member) = reader.next_member().map_err(not_read)? {
            let digest = hash(&mut reader).map_err(|source| not_read(TarError::Read(source)))?;
            files.push((clean(&member.path), facts(member, digest)));
        }
        Ok(files)
    }
}

/// Puts layers on one another, the lowest first.
pub(super) fn union<'l>(
    layers: impl IntoIterator<Item = &'l LayerFiles>,
) -> BTreeMap<Vec<u8>, FileFacts> {
    let mut files = BTreeMap::new();
    for layer in layers {
        for (path, facts) in layer {
            let (directory, name) = split(path);
            if name == OPAQUE {
                remove_below(&mut files, directory);
            } else if let Some(deleted) = name.strip_prefix(WHITEOUT) {
                let deleted = join(directory, deleted);
                files.remove(&deleted);
                remove_below(&mut files, &deleted);
            } else {
                if facts.flag != b'5' {
                    remove_below(&mut files, path);
                }
                files.insert(path.clone(), facts.clone());
            }
        }
    }
    files
}

fn remove_below(files: &mut BTreeMap<Vec<u8>, FileFacts>, directory: &[u8]) {
    let start = join(directory, b"");
    let below: Vec<Vec<u8>> = files
        .range(start.clone()..)
        .take_while(|(path, _)| path.starts_with(&start))
        .map(|(path, _)| path.clone())
        .collect();
    for path in below {
        files.remove(&path);
    }
}

fn facts(member: Member, digest: [u8; 32]) -> FileFacts {
    FileFacts {
        flag: member.flag,
        mode: member.mode & 0o7777,
        owner: (member.uid, member.gid),
        target: without_digests(&member.target),
        size_bytes: member.size_bytes,
        digest,
    }
}

/// A path without what does not count in it.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    parts.retain(|part| !part.is_empty() && *part != b".");
    parts.join(&b'/')
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, b"/", name].concat()
}

fn without_digests(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    remove_digests(&mut bytes);
    bytes
}

/// Zeroes the digits of each store path that is whole.
fn remove_digests(bytes: &mut [u8]) {
    let length = STORE.len() + DIGITS;
    let mut from = 0;
    while let Some(at) = bytes[from..]
        .windows(length)
        .position(|window| window[0] == b'/' && window.starts_with(STORE))
    {
        let digits = from + at + STORE.len();
        bytes[digits..digits + DIGITS].fill(0);
        from = digits;
    }
}

/// Hashes what is read, without the digits of store paths.
fn hash(reader: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut held = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            hasher.update(&held);
            return Ok(*hasher.finalize().as_bytes());
        }
        held.extend_from_slice(&buffer[..count]);
        remove_digests(&mut held);
        // A store path may begin in what stays.
        let settled = held.len().saturating_sub(STORE.len() + DIGITS - 1);
        hasher.update(&held[..settled]);
        held.drain(..settled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, u8, u8)]) -> LayerFiles {
        let file = |flag, digest| FileFacts {
            flag,
            mode: 0,
            owner: (0, 0),
            target: Vec::new(),
            size_bytes: 0,
            digest: [digest; 32],
        };
        let entries = entries.iter();
        entries
            .map(|(path, flag, digest)| (clean(path.as_bytes()), file(*flag, *digest)))
            .collect()
    }

    #[test]
    fn upper_layers_replace_and_delete() {
        let lower = layer(&[
            ("a/", b'5', 0),
            ("a/x", b'0', 1),
            ("a/y", b'0', 1),
            ("b/", b'5', 0),
            ("b/z", b'0', 1),
            ("c/", b'5', 0),
            ("c/d", b'0', 1),
            ("cc", b'0', 1),
        ]);
        let upper = layer(&[
            ("./a/.wh.x", b'0', 0),
            ("a/y", b'0', 2),
            ("b/.wh..wh..opq", b'0', 0),
            ("b/new", b'0', 2),
            ("c", b'2', 0),
        ]);
        let files = union([&lower, &upper]);
        let found: Vec<String> = files
            .iter()
            .map(|(path, facts)| {
                let path = String::from_utf8_lossy(path);
                format!("{path} {}", facts.digest[0])
            })
            .collect();
        assert_eq!(found, ["a 0", "a/y 2", "b 0", "b/new 2", "c 0", "cc 1"]);
    }

    #[test]
    fn contents_that_differ_in_store_paths_alone_are_equal_wherever_they_are_read() {
        let text = |digit: char| {
            let path = format!("/pith/store/{}-x/lib", digit.to_string().repeat(DIGITS));
            format!("{}{path}:{path}", "a".repeat(BUFFER_BYTES - 20)).into_bytes()
        };
        let hashed = |bytes: Vec<u8>| hash(&mut &bytes[..]).unwrap();
        assert_eq!(hashed(text('0')), hashed(text('1')));
        let mut other = text('0');
        if let Some(last) = other.last_mut() {
            *last = b'x';
        }
        assert_ne!(hashed(other), hashed(text('0')));
    }
}
