//! The files that an image has, layers put together.

use std::io::{self, Read};

use super::{
    Entry, ExistingError, ExistingImage,
    overlay::{Files, clean, put_on},
};
use crate::layer::Member;

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 64 << 10;
/// What every store path in a file begins with.
const STORE: &[u8] = b"/pith/store/";
/// Digits of a digest in a store path.
const DIGITS: usize = 40;
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
        let mut reader = self.open_layer(layer)?;
        let mut files = Vec::new();
        while let Some(member) = reader.next_member()? {
            let digest = hash(&mut reader).map_err(|source| reader.unread(source))?;
            files.push((clean(&member.path), facts(member, digest)));
        }
        Ok(files)
    }
}

/// Puts layers on one another, the lowest first.
pub(super) fn union<'l>(layers: impl IntoIterator<Item = &'l LayerFiles>) -> Files<FileFacts> {
    let mut files = Files::new();
    for layer in layers {
        put_on(&mut files, layer.iter().cloned(), FileFacts::is_directory);
    }
    files
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
