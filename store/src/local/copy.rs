//! One file into staging: read, hashed, scanned and written in one pass.
//!
//! A file that fits into the buffer is hashed before it is written, and not written at all if it can be linked to known bytes; a longer one is
//! written block by block, and a link takes its place.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::BorrowedFd,
};

use super::{
    buffer::{is_large, with_buffer},
    draft::FileDraft,
    share::Sharing,
};
use crate::{
    pool::Found,
    scan::{Container, Needles, Scanner, scan_members},
    sys::{
        change::write_all,
        files::{create_file_at, seal_file, unseal_file},
    },
    tree::BlobHasher,
};

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    /// The stream has more bytes than are allowed.
    TooLarge,
}

/// Where a file goes.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// The directory in staging.
    pub(super) parent: BorrowedFd<'a>,
    /// The name in it.
    pub(super) name: &'a OsStr,
    /// The same place, from the staging directory.
    pub(super) staged: Vec<u8>,
    pub(super) executable: bool,
}

/// What is common to all files of an object.
#[derive(Debug)]
pub(super) struct Copier<'a> {
    pub(super) needles: &'a Needles,
    pub(super) sharing: &'a Sharing<'a>,
    pub(super) limit_bytes: u64,
}

impl Copier<'_> {
    /// Copies a stream into a new file, or links to a file of the same bytes, and returns what it is.
    ///
    /// A file with scratch digits stays writable and by itself, for they will be replaced; all others get their final mode and time here.
    pub(super) fn copy(
        &self,
        source: &mut dyn Read,
        expected_bytes: u64,
        target: &Target<'_>,
    ) -> Result<FileDraft, CopyError> {
        with_buffer(expected_bytes, |buffer| {
            let first = fill(source, buffer)?;
            if first < buffer.len() {
                return self.whole(&buffer[..first], target);
            }
            self.stream(source, is_large(expected_bytes), target, buffer)
        })
    }

    /// Writes a file whose bytes are all known, unless it can be linked.
    fn whole(&self, bytes: &[u8], target: &Target<'_>) -> Result<FileDraft, CopyError> {
        let size = u64::try_from(bytes.len()).map_err(|_| CopyError::TooLarge)?;
        self.check_size(size)?;
        let mut scanner = Scanner::new(self.needles);
        scanner.update(bytes);
        let mut findings = scanner.finish();
        let head = &bytes[..bytes.len().min(Container::HEAD)];
        let tail = &bytes[bytes.len().saturating_sub(Container::TAIL)..];
        if !self.needles.is_empty()
            && let Some(container) = Container::detect(head, tail)
        {
            scan_members(self.needles, container, &mut &*bytes, &mut findings);
        }
        let mut hasher = BlobHasher::new();
        hasher.update(bytes);
        let draft = FileDraft {
            digest: hasher.finish(),
            executable: target.executable,
            findings,
            modulo: None,
        };
        self.put(bytes, &draft, target)?;
        Ok(draft)
    }

    /// Writes bytes that are hashed already, unless the file can be linked.
    pub(super) fn put(
        &self,
        bytes: &[u8],
        draft: &FileDraft,
        target: &Target<'_>,
    ) -> Result<(), CopyError> {
        let found = if draft.is_final() {
            self.sharing.link(draft, target.parent, target.name)
        } else {
            Found::Absent
        };
        if found != Found::Linked {
            let file = create(target)?;
            write_all(&file, bytes).map_err(CopyError::Write)?;
            seal(&file, draft)?;
            if draft.is_final() && !self.sharing.remember(draft, &target.staged, found) {
                self.sharing.settle(draft, &target.staged);
            }
        }
        Ok(())
    }

    /// Writes a file block by block; the buffer holds the first one.
    fn stream(
        &self,
        source: &mut dyn Read,
        large: bool,
        target: &Target<'_>,
        buffer: &mut [u8],
    ) -> Result<FileDraft, CopyError> {
        let mut file = create(target)?;
        let mut hasher = BlobHasher::new();
        let mut scanner = Scanner::new(self.needles);
        let mut edges = Edges::default();
        let mut size = 0u64;
        let mut count = buffer.len();
        while count > 0 {
            let block = &buffer[..count];
            size += u64::try_from(count).map_err(|_| CopyError::TooLarge)?;
            self.check_size(size)?;
            if large {
                rayon::join(|| hasher.update_parallel(block), || scanner.update(block));
            } else {
                hasher.update(block);
                scanner.update(block);
            }
            edges.update(block);
            write_all(&file, block).map_err(CopyError::Write)?;
            count = fill(source, buffer)?;
        }
        let mut findings = scanner.finish();
        if !self.needles.is_empty()
            && let Some(container) = Container::detect(&edges.head, &edges.tail)
        {
            file.seek(SeekFrom::Start(0)).map_err(CopyError::Write)?;
            scan_members(self.needles, container, &mut file, &mut findings);
        }
        let draft = FileDraft {
            digest: hasher.finish(),
            executable: target.executable,
            findings,
            modulo: None,
        };
        seal(&file, &draft)?;
        if draft.is_final() {
            self.sharing.settle(&draft, &target.staged);
        }
        Ok(draft)
    }

    fn check_size(&self, size: u64) -> Result<(), CopyError> {
        if size > self.limit_bytes {
            Err(CopyError::TooLarge)
        } else {
            Ok(())
        }
    }
}

fn create(target: &Target<'_>) -> Result<File, CopyError> {
    create_file_at(target.parent, target.name, target.executable)
        .map_err(|error| CopyError::Write(error.into()))
}

fn seal(file: &File, draft: &FileDraft) -> Result<(), CopyError> {
    let sealed = if draft.is_final() {
        seal_file(file, draft.executable)
    } else {
        unseal_file(file)
    };
    sealed.map_err(|error| CopyError::Write(error.into()))
}

/// Reads until the buffer is full or the stream ends, and returns how many bytes there are.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, CopyError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
    Ok(filled)
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
