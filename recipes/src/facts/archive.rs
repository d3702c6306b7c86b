//! The files in archives and trees of sources.
//!
//! Whoever made an archive may want to do harm: what is unpacked in total, the number of files and the length of their names are bounded, nothing is written
//! anywhere, and what cannot be read ends the visit with a reason.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::source::deb::{DebError, DebFile, open_files};

/// Bytes that an archive may unpack to; the largest source of the collection, a compiler, has a tenth.
const MAX_BYTES: u64 = 16 << 30;
/// Files that it may have.
const MAX_FILES: u64 = 2_000_000;
/// How long the path of a file may be; longer ones are passed over.
const MAX_PATH: usize = 4096;
/// Memory that a decompressor may ask for.
const MAX_XZ_MEMORY: u64 = 256 << 20;
const MAX_ZSTD_WINDOW_LOG: u32 = 27;
const BUFFER_BYTES: usize = 128 << 10;
/// How much of a file is looked at to tell what it is: the magic number of tar stands behind the first name.
const HEAD_BYTES: usize = 512;

/// What a visit has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Visited {
    /// The number of regular files.
    pub(super) files: u64,
    /// The sum of their sizes.
    pub(super) bytes: u64,
    /// Why not everything was seen.
    pub(super) unread: Option<String>,
}

/// Who visits: the path of each file, with slashes, its size, and its bytes, of which as much is read as is wanted.
pub(super) type Visitor<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> io::Result<()> + 'a;

/// Shows each regular file of an archive, of a tree, or the file itself where it is neither. `name` is what a file that is no archive is called.
///
/// # Errors
/// When `path` cannot be read at all. What is wrong inside is told by [`Visited::unread`].
pub(super) fn visit(path: &Path, name: &str, visitor: &mut Visitor<'_>) -> io::Result<Visited> {
    let mut visit = Visit {
        visited: Visited::default(),
        visitor,
    };
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        visit.tree(path, String::new())?;
        return Ok(visit.visited);
    }
    if !metadata.is_file() {
        return Ok(visit.visited);
    }
    let mut file = File::open(path)?;
    let head = read_head(&mut file)?;
    file.rewind()?;
    let done = if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        visit.zip(file)
    } else if head.starts_with(b"!<arch>\n") && name.ends_with(".deb") {
        visit.deb(path, name)
    } else {
        match decompressed(&head, BufReader::with_capacity(BUFFER_BYTES, file)) {
            Ok(Some(reader)) => visit.stream(reader, plain_name(name), Packed::Yes),
            Ok(None) => visit.stream(Box::new(File::open(path)?), name, Packed::No),
            Err(error) => Err(error),
        }
    };
    if let Err(error) = done {
        visit.visited.unread.get_or_insert(error.to_string());
    }
    Ok(visit.visited)
}

/// Whether a stream came out of a decompressor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packed {
    Yes,
    No,
}

struct Visit<'a, 'v> {
    visited: Visited,
    visitor: &'a mut Visitor<'v>,
}

impl Visit<'_, '_> {
    fn tree(&mut self, directory: &Path, below: String) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.push(entry?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let path = directory.join(&name);
            let shown = String::from_utf8_lossy(name.as_bytes()).into_owned();
            let inner = if below.is_empty() {
                shown
            } else {
                format!("{below}/{shown}")
            };
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                self.tree(&path, inner)?;
            } else if metadata.is_file() {
                self.file(&inner, metadata.len(), &mut File::open(&path)?)?;
            }
        }
        Ok(())
    }

    fn zip(&mut self, file: File) -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(BufReader::with_capacity(BUFFER_BYTES, file))
            .map_err(io::Error::other)?;
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).map_err(io::Error::other)?;
            if !member.is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(member.name_raw()).into_owned();
            let size = member.size();
            self.file(&path, size, &mut member)?;
        }
        Ok(())
    }

    fn deb(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let deb = DebFile {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        let reader = open_files(&deb).map_err(|error| match error {
            DebError::Read { source, .. } => source,
            other => io::Error::other(other.to_string()),
        })?;
        self.tar(reader)
    }

    fn stream(
        &mut self,
        mut reader: Box<dyn Read + '_>,
        name: &str,
        packed: Packed,
    ) -> io::Result<()> {
        let head = read_head(&mut reader)?;
        if is_tar(&head) {
            return self.tar(io::Cursor::new(head).chain(reader));
        }
        let size = match packed {
            // Nobody knows before the end.
            Packed::Yes => 0,
            Packed::No => head.len() as u64,
        };
        self.file(name, size, &mut io::Cursor::new(head).chain(reader))
    }

    fn tar(&mut self, reader: impl Read) -> io::Result<()> {
        // What is passed over is unpacked as well, so the bound is on everything.
        let bounded = Bounded {
            reader,
            left: MAX_BYTES,
        };
        let mut archive = tar::Archive::new(bounded);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size = entry.size();
            self.file(&path, size, &mut entry)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, size: u64, bytes: &mut dyn Read) -> io::Result<()> {
        self.visited.files += 1;
        self.visited.bytes = self.visited.bytes.saturating_add(size);
        if self.visited.files > MAX_FILES {
            return Err(io::Error::other(format!(
                "it has more than {MAX_FILES} files"
            )));
        }
        if self.visited.bytes > MAX_BYTES {
            return Err(too_large());
        }
        let path = path.trim_start_matches("./");
        if path.len() > MAX_PATH {
            return Ok(());
        }
        (self.visitor)(path, size, bytes)
    }
}

/// A reader that fails when more comes than may.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(too_large)?;
        Ok(count)
    }
}

fn too_large() -> io::Error {
    io::Error::other(format!("it unpacks to more than {} GiB", MAX_BYTES >> 30))
}

/// Returns the decompressed stream of what is compressed.
fn decompressed<'a>(
    head: &[u8],
    reader: impl io::BufRead + 'a,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    Ok(Some(if head.starts_with(b"\x1f\x8b") {
        Box::new(flate2::bufread::MultiGzDecoder::new(reader))
    } else if head.starts_with(b"\xfd7zXZ\0") {
        let stream = liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY, 0)?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
    } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
        decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
        Box::new(decoder)
    } else if head.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(reader))
    } else {
        return Ok(None);
    }))
}

fn read_head(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether this is the first block of an archive of tar: the checksum of its header fits (POSIX, "ustar Interchange Format"; older ones have it as well).
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else {
        return false;
    };
    let stated = block.get(148..156).unwrap_or_default();
    let stated = String::from_utf8_lossy(stated);
    let stated = stated.trim_matches(|c: char| c == ' ' || c == '\0');
    let Ok(stated) = u32::from_str_radix(stated, 8) else {
        return false;
    };
    let counted = block.iter().enumerate().map(|(place, byte)| match place {
        148..156 => u32::from(b' '),
        _ => u32::from(*byte),
    });
    counted.sum::<u32>() == stated
}

/// Returns the name of what comes out of a compressed file.
fn plain_name(name: &str) -> &str {
    let suffixes = [".gz", ".xz", ".zst", ".bz2"];
    let plain = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    plain.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

    /// An archive with files of these names, each with its own name as content.
    fn tar_of(names: &[&str]) -> io::Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(name.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, name.as_bytes())?;
        }
        builder.into_inner()
    }

    fn deb_of(data: &[u8]) -> Vec<u8> {
        let mut deb = b"!<arch>\n".to_vec();
        for (name, bytes) in [
            ("debian-binary", b"2.0\n".as_slice()),
            ("data.tar.zst", data),
        ] {
            let size = bytes.len();
            let head = format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                0, 0, 0, 100_644
            );
            deb.extend([head.as_bytes(), bytes].concat());
            deb.extend(vec![b'\n'; size % 2]);
        }
        deb
    }

    fn seen(name: &str, bytes: &[u8]) -> TestResult<(Vec<(String, String)>, Visited)> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join(name);
        fs::write(&path, bytes)?;
        let mut seen = Vec::new();
        let visited = visit(&path, name, &mut |path, _, bytes| {
            let text = io::read_to_string(bytes)?;
            seen.push((path.to_owned(), text));
            Ok(())
        })?;
        Ok((seen, visited))
    }

    fn pair(text: &str) -> (String, String) {
        (text.to_owned(), text.to_owned())
    }

    #[test]
    fn every_compression_shows_the_same_files() -> TestResult {
        let names = ["top/a.c", "top/sub/b.c"];
        let expected: Vec<_> = names.iter().map(|name| pair(name)).collect();
        let plain = tar_of(&names)?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain)?;
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain)?;
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&plain)?;
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(name, zip::write::SimpleFileOptions::default())?;
            zip.write_all(name.as_bytes())?;
        }
        for (name, bytes) in [
            ("a.tar", plain.clone()),
            ("a.tar.gz", gzip.finish()?),
            ("a.tar.xz", xz.finish()?),
            ("a.tar.zst", zstd::encode_all(plain.as_slice(), 1)?),
            ("a.tar.bz2", bzip2.finish()?),
            ("a.whl", zip.finish()?.into_inner()),
            ("a.deb", deb_of(&zstd::encode_all(plain.as_slice(), 1)?)),
        ] {
            let (files, visited) = seen(name, &bytes)?;
            assert_eq!(files, expected, "{name}");
            assert_eq!((visited.files, visited.unread), (2, None), "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_file_that_is_no_archive_is_itself() -> TestResult {
        let (files, visited) = seen("fix.patch", b"--- a\n")?;
        assert_eq!(files, [("fix.patch".to_owned(), "--- a\n".to_owned())]);
        assert_eq!(visited.files, 1);
        let packed = zstd::encode_all(&b"text"[..], 1)?;
        let (files, _) = seen("notes.zst", &packed)?;
        assert_eq!(files, [("notes".to_owned(), "text".to_owned())]);
        assert_eq!(seen("empty", b"")?.1.files, 1);
        Ok(())
    }

    #[test]
    fn a_truncated_archive_shows_its_beginning_and_says_so() -> TestResult {
        let whole = tar_of(&["a", "b", "c"])?;
        let (files, visited) = seen("a.tar", whole.get(..1100).ok_or("it is longer")?)?;
        assert_eq!(files.first(), Some(&pair("a")));
        assert!(visited.unread.is_some());
        let packed = zstd::encode_all(whole.as_slice(), 1)?;
        let (_, visited) = seen("a.tar.zst", packed.get(..20).ok_or("it is longer")?)?;
        assert!(visited.unread.is_some());
        let (_, visited) = seen("a.zip", b"PK\x03\x04 and nothing more")?;
        assert!(visited.unread.is_some());
        Ok(())
    }

    #[test]
    fn links_in_a_tree_are_not_followed() -> TestResult {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("file"), "x")?;
        symlink("/etc", directory.path().join("outside"))?;
        symlink(".", directory.path().join("loop"))?;
        let mut seen = Vec::new();
        let visited = visit(directory.path(), "", &mut |path, _, _| {
            seen.push(path.to_owned());
            Ok(())
        })?;
        assert_eq!(seen, ["file"]);
        assert_eq!((visited.files, visited.bytes), (1, 1));
        Ok(())
    }

    #[test]
    fn a_decompression_bomb_ends_at_the_bound() {
        let mut bomb = Bounded {
            reader: io::repeat(0),
            left: 1 << 20,
        };
        let mut total = 0;
        let mut buffer = [0; 4096];
        let error = loop {
            match bomb.read(&mut buffer) {
                Ok(count) => total += count,
                Err(error) => break error,
            }
        };
        assert_eq!(total, 1 << 20);
        assert!(error.to_string().contains("unpacks to more"), "{error}");
    }
}
