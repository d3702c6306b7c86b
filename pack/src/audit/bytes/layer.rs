//! One layer, byte by byte: headers, contents, padding and what comes last.

use std::{
    cell::RefCell,
    io::{self, Read},
};

use crate::{
    layer::{
        Compression, Dialect, Entry, EntryKind, Member, Stamp, TarError, TarReader, append_stamped,
        padding,
    },
    oci::{Digest, DigestWriter},
};

/// After so many problems a layer is bad enough.
const MAX_PROBLEMS: usize = 20;
/// The two blocks of zeros at the end of an archive.
const END_BYTES: u64 = 1024;

/// One entry as it lies in a layer.
pub(crate) struct Seen<'a> {
    pub(crate) member: &'a Member,
    /// Where its first header begins.
    pub(crate) offset: u64,
}

impl Seen<'_> {
    /// Returns its path, without the slash at the end.
    pub(crate) fn path(&self) -> &[u8] {
        let path = &self.member.path;
        path.strip_suffix(b"/").unwrap_or(path)
    }
}

/// What a layer is made of. The four sums of bytes are the size of its tar.
#[derive(Debug, Default)]
pub(crate) struct LayerSums {
    pub(crate) digest: Option<Digest>,
    pub(crate) diff_id: Option<Digest>,
    /// As it is, compressed or not.
    pub(crate) size_bytes: u64,
    pub(crate) tar_bytes: u64,
    pub(crate) entries: u64,
    pub(crate) header_bytes: u64,
    pub(crate) content_bytes: u64,
    pub(crate) padding_bytes: u64,
    pub(crate) end_bytes: u64,
    /// Bytes that no writer of layers writes: where and what.
    pub(crate) problems: Vec<(Option<u64>, String)>,
}

impl LayerSums {
    fn report(&mut self, offset: u64, problem: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push((Some(offset), problem.into()));
        }
    }
}

/// What went by: all is counted and hashed, and kept while it is no contents.
struct Tape {
    hasher: DigestWriter,
    is_kept: bool,
    kept: Vec<u8>,
}

struct Recorder<'t, R> {
    inner: R,
    tape: &'t RefCell<Tape>,
}

impl<R: Read> Read for Recorder<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut tape = self.tape.borrow_mut();
        tape.hasher.update(&buffer[..count]);
        if tape.is_kept {
            tape.kept.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

/// What is done with each entry.
type Visit<'v, E> = dyn FnMut(&Seen<'_>, &mut dyn Read) -> Result<(), Stop<E>> + 'v;

/// Why a layer was not read to its end.
pub(crate) enum Stop<E> {
    /// It is no layer.
    Tar(TarError),
    /// Who looks at the entries cannot go on.
    Visit(E),
}

impl<E> From<TarError> for Stop<E> {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl<E> From<io::Error> for Stop<E> {
    fn from(error: io::Error) -> Self {
        Self::Tar(TarError::Read(error))
    }
}

/// Reads a whole layer and hands each entry with its contents to `visit`.
///
/// With [`Dialect::Ours`] each header must be the one that this crate writes for its entry, and padding must be zeros. Fails only where `visit` does, and inside
/// where `blob` cannot be read; bytes that are no layer are a problem of the layer.
pub(crate) fn read_layer<E>(
    blob: impl Read,
    compression: Compression,
    dialect: Dialect,
    visit: &mut Visit<'_, E>,
) -> Result<io::Result<LayerSums>, E> {
    let mut sums = LayerSums::default();
    let outer = RefCell::new(Tape::new());
    let mut blob = Recorder {
        inner: blob,
        tape: &outer,
    };
    let inner = RefCell::new(Tape::new());
    let result = match compression.decode(&mut blob) {
        Ok(decoded) => {
            let recorder = Recorder {
                inner: decoded,
                tape: &inner,
            };
            read_entries(recorder, dialect, &mut sums, visit)
        }
        Err(error) => Err(Stop::from(error)),
    };
    match result {
        Ok(()) => {}
        Err(Stop::Visit(error)) => return Err(error),
        Err(Stop::Tar(error)) => {
            let reason = std::error::Error::source(&error)
                .map_or_else(String::new, |source| format!(": {source}"));
            sums.problems
                .push((None, format!("cannot be read: {error}{reason}")));
        }
    }
    if let Err(error) = io::copy(&mut blob, &mut io::sink()) {
        return Ok(Err(error));
    }
    let (outer, inner) = (outer.into_inner().hasher, inner.into_inner().hasher);
    sums.size_bytes = outer.size_bytes();
    sums.digest = Some(outer.finish());
    sums.tar_bytes = inner.size_bytes();
    sums.diff_id = Some(inner.finish());
    Ok(Ok(sums))
}

fn read_entries<R: Read, E>(
    mut recorder: Recorder<'_, R>,
    dialect: Dialect,
    sums: &mut LayerSums,
    visit: &mut Visit<'_, E>,
) -> Result<(), Stop<E>> {
    let tape = recorder.tape;
    let mut reader = TarReader::of(&mut recorder, dialect);
    // Where the next bytes lie, and how many of them fill the last block of the entry before.
    let (mut offset, mut filled) = (0, 0);
    loop {
        let member = reader.next_member()?;
        let kept = tape.borrow_mut().stop();
        let (fill, header) = kept.split_at(filled.min(kept.len()));
        sums.padding_bytes += fill.len() as u64;
        if fill.iter().any(|byte| *byte != 0) {
            sums.report(offset, "has something behind a file where zeros should be");
        }
        offset += fill.len() as u64;
        let Some(member) = member else {
            // What is left are the two blocks of zeros.
            sums.end_bytes += header.len() as u64;
            break;
        };
        sums.entries += 1;
        sums.header_bytes += header.len() as u64;
        if dialect == Dialect::Ours && !is_ours(&member, header) {
            let path = String::from_utf8_lossy(&member.path);
            let problem = format!("has a header of `{path}` that pith does not write so");
            sums.report(offset, problem);
        }
        let seen = Seen {
            member: &member,
            offset,
        };
        visit(&seen, &mut reader)?;
        io::copy(&mut reader, &mut io::sink())?;
        sums.content_bytes += member.size_bytes;
        offset += header.len() as u64 + member.size_bytes;
        filled = padding(member.size_bytes);
        tape.borrow_mut().is_kept = true;
    }
    let mut rest = [0; 8192];
    loop {
        let count = recorder.read(&mut rest)?;
        if count == 0 {
            break;
        }
        let is_zero = rest[..count].iter().all(|byte| *byte == 0);
        if !is_zero || dialect == Dialect::Ours {
            sums.report(offset + END_BYTES, "goes on after its end");
        }
        sums.end_bytes += count as u64;
    }
    Ok(())
}

impl Tape {
    fn new() -> Self {
        Self {
            hasher: DigestWriter::default(),
            is_kept: true,
            kept: Vec::new(),
        }
    }

    /// Returns what was kept, and keeps nothing more.
    fn stop(&mut self) -> Vec<u8> {
        self.is_kept = false;
        std::mem::take(&mut self.kept)
    }
}

/// Whether the header of an entry has not one bit that this crate would not have written. Whose a directory is and since when, it writes as a base has it.
fn is_ours(member: &Member, header: &[u8]) -> bool {
    let path = member.path.strip_suffix(b"/").unwrap_or(&member.path);
    let kind = match member.flag {
        b'0' => EntryKind::File {
            size_bytes: member.size_bytes,
        },
        b'2' => EntryKind::Symlink {
            target: &member.target,
        },
        b'5' => EntryKind::Directory,
        _ => return false,
    };
    let Ok(mode) = u32::try_from(member.mode) else {
        return false;
    };
    let mut wanted = Vec::with_capacity(header.len());
    let stamp = match member.flag {
        b'5' => member.stamp(),
        _ => Stamp::OURS,
    };
    append_stamped(&mut wanted, &Entry { path, mode, kind }, stamp);
    wanted == header
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::layer::{append_end, append_entry};

    fn archive() -> Vec<u8> {
        let mut tar = Vec::new();
        let long = [b'x'; 300];
        for (path, contents) in [(&b"a"[..], &b"contents"[..]), (&long, &[7; 512])] {
            let kind = EntryKind::File {
                size_bytes: contents.len() as u64,
            };
            let mode = 0o444;
            append_entry(&mut tar, &Entry { path, mode, kind });
            tar.extend_from_slice(contents);
            tar.resize(tar.len() + padding(contents.len() as u64), 0);
        }
        append_end(&mut tar);
        tar
    }

    /// Whether there are problems, and the paths.
    fn read(tar: &[u8]) -> (bool, Vec<Vec<u8>>) {
        let mut paths = Vec::new();
        let mut visit = |seen: &Seen<'_>, _: &mut dyn Read| {
            paths.push(seen.path().to_vec());
            Ok(())
        };
        let sums = read_layer::<Infallible>(tar, Compression::None, Dialect::Ours, &mut visit);
        (!sums.unwrap().unwrap().problems.is_empty(), paths)
    }

    #[test]
    fn the_sums_are_the_size_and_offsets_are_those_of_headers() {
        let tar = archive();
        let mut found = Vec::new();
        let mut visit = |seen: &Seen<'_>, contents: &mut dyn Read| {
            let mut bytes = Vec::new();
            contents.read_to_end(&mut bytes)?;
            found.push((seen.offset, bytes.len()));
            Ok(())
        };
        let sums = read_layer::<Infallible>(&tar[..], Compression::None, Dialect::Ours, &mut visit);
        let sums = sums.unwrap().unwrap();
        assert_eq!(sums.problems, []);
        // The second one has an extended header of two blocks before its own.
        assert_eq!(found, [(0, 8), (1024, 512)]);
        assert_eq!(
            (
                sums.header_bytes,
                sums.content_bytes,
                sums.padding_bytes,
                sums.end_bytes
            ),
            (4 * 512, 520, 504, 1024)
        );
        assert_eq!(sums.tar_bytes, tar.len() as u64);
        assert_eq!(sums.diff_id, Some(Digest::of(&tar)));
    }

    #[test]
    fn no_byte_outside_of_contents_can_be_changed_unseen() {
        let tar = archive();
        for at in (0..tar.len()).filter(|at| !(512..520).contains(at) && !(2560..3072).contains(at))
        {
            let mut bad = tar.clone();
            bad[at] ^= 1;
            // The end of a long name has no checksum; that it is another one, its place tells.
            let (is_wrong, paths) = read(&bad);
            assert!(is_wrong || paths != read(&tar).1, "byte {at}");
        }
        let mut long = tar;
        long.extend_from_slice(&[0; 512]);
        assert!(read(&long).0);
    }
}
