//! One file into staging: read, hashed, scanned and written in one pass.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::{
    buffer::{is_large, with_buffer},
    draft::FileDraft,
};
use crate::{
    scan::{Container, Needles, Scanner, scan_members},
    sys::{
        change::write_all,
        files::{seal_file, unseal_file},
    },
};

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    /// The stream has more bytes than are allowed.
    TooLarge,
}

/// Copies a stream into a new file, and returns what it is.
///
/// A file with scratch digits stays writable, for they will be replaced; all others get their final mode and time here.
pub(super) fn copy(
    source: &mut dyn Read,
    expected_bytes: u64,
    limit_bytes: u64,
    target: &mut File,
    executable: bool,
    needles: &Needles,
) -> Result<FileDraft, CopyError> {
    with_buffer(expected_bytes, |buffer| {
        copy_through(
            buffer,
            source,
            expected_bytes,
            limit_bytes,
            target,
            executable,
            needles,
        )
    })
}

fn copy_through(
    buffer: &mut [u8],
    source: &mut dyn Read,
    expected_bytes: u64,
    limit_bytes: u64,
    target: &mut File,
    executable: bool,
    needles: &Needles,
) -> Result<FileDraft, CopyError> {
    let large = is_large(expected_bytes);
    let mut hasher = blake3::Hasher::new();
    let mut scanner = Scanner::new(needles);
    let mut edges = Edges::default();
    let mut size = 0u64;
    loop {
        let count = match source.read(buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        let block = &buffer[..count];
        size += u64::try_from(count).map_err(|_| CopyError::TooLarge)?;
        if size > limit_bytes {
            return Err(CopyError::TooLarge);
        }
        if large {
            rayon::join(|| hasher.update_rayon(block), || scanner.update(block));
        } else {
            hasher.update(block);
            scanner.update(block);
        }
        edges.update(block);
        write_all(target, block).map_err(CopyError::Write)?;
    }
    let mut findings = scanner.finish();
    if !needles.is_empty()
        && let Some(container) = Container::detect(&edges.head, &edges.tail)
    {
        target.seek(SeekFrom::Start(0)).map_err(CopyError::Write)?;
        scan_members(needles, container, target, &mut findings);
    }
    let sealed = if findings.occurrences.is_empty() {
        seal_file(&*target, executable)
    } else {
        unseal_file(&*target)
    };
    sealed.map_err(|error| CopyError::Write(error.into()))?;
    Ok(FileDraft {
        blob: *hasher.finalize().as_bytes(),
        size,
        executable,
        findings,
        modulo: None,
    })
}

/// The first and last bytes of a stream.
#[derive(Default)]
struct Edges {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Edges {
    fn update(&mut self, block: &[u8]) {
        let wanted = Container::HEAD
            .saturating_sub(self.head.len())
            .min(block.len());
        self.head.extend_from_slice(&block[..wanted]);
        let kept = block.len().min(Container::TAIL);
        self.tail.extend_from_slice(&block[block.len() - kept..]);
        self.tail
            .drain(..self.tail.len().saturating_sub(Container::TAIL));
    }
}
