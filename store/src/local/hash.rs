//! A file that lies on disk, read and hashed.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
};

use super::buffer::{is_large, with_buffer};
use crate::{
    object::{ModuloHasher, ModuloNode},
    scan::{Needles, Scanner},
    sys::files::read_full,
    tree::{BlobDigest, BlobHasher},
};

/// What a file on disk is.
#[derive(Debug)]
pub(super) struct HashedFile {
    pub(super) digest: BlobDigest,
    /// Its node with the digits that were looked for taken out; `None` if they do not occur.
    pub(super) modulo: Option<ModuloNode>,
}

/// Reads a file of about `size` bytes from its beginning, looking for the digits in `own`; `on_read` is told of all bytes.
pub(super) fn hash_file(
    file: &mut File,
    size: u64,
    executable: bool,
    own: &Needles,
    on_read: &(dyn Fn(u64) + Sync),
) -> io::Result<HashedFile> {
    let parallel = is_large(size);
    with_buffer(size, |buffer| {
        let mut hasher = BlobHasher::new();
        let mut scanner = Scanner::new(own);
        loop {
            let count = read_full(file, buffer)?;
            let bytes = &buffer[..count];
            if parallel {
                hasher.update_parallel(bytes);
            } else {
                hasher.update(bytes);
            }
            if !own.is_empty() {
                scanner.update(bytes);
            }
            on_read(count as u64);
            if count < buffer.len() {
                break;
            }
        }
        let digest = hasher.finish();
        let offsets: Vec<u64> = scanner
            .finish()
            .occurrences
            .iter()
            .map(|occurrence| occurrence.offset)
            .collect();
        if offsets.is_empty() {
            return Ok(HashedFile {
                digest,
                modulo: None,
            });
        }
        file.seek(SeekFrom::Start(0))?;
        let mut modulo = ModuloHasher::new(&offsets);
        loop {
            let count = read_full(file, buffer)?;
            modulo.update(&mut buffer[..count]);
            if count < buffer.len() {
                break;
            }
        }
        Ok(HashedFile {
            digest,
            modulo: Some(modulo.finish(executable)),
        })
    })
}
