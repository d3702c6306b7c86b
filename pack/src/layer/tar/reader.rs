//! Bytes to entries, strictly: the second half of [`validate`](crate::validate).
//!
//! It reads ustar and PAX from any writer as far as an image needs it, streams, and keeps at most one header in memory. It is written for hostile input:
//! every length is checked before it is used.

use std::io::{self, Read};

use super::{
    TarError,
    header::{BLOCK, padding},
};

/// The longest extended header that is read; twice the longest path and target together.
const MAX_PAX_BYTES: u64 = 64 << 10;

/// One entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The path, with the slash at the end if it had one.
    pub path: Vec<u8>,
    /// The type flag: `0` file, `2` symbolic link, `5` directory, others as in POSIX.
    pub flag: u8,
    /// The target of a link.
    pub target: Vec<u8>,
    /// The permission bits.
    pub mode: u64,
    /// The owner.
    pub uid: u64,
    /// The owning group.
    pub gid: u64,
    /// The modification time.
    pub mtime: u64,
    /// The size of the contents.
    pub size_bytes: u64,
    /// Where the contents start.
    pub offset: u64,
}

/// Reads an archive entry by entry.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    offset: u64,
    /// What is left of the contents of the last entry, and the padding after it.
    contents: u64,
    padding: u64,
    done: bool,
}

/// What extended headers said about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size_bytes: Option<u64>,
}

impl<R: Read> TarReader<R> {
    /// Starts at the beginning of an archive.
    pub const fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            contents: 0,
            padding: 0,
            done: false,
        }
    }

    /// Returns the next entry, or `None` after the two zero blocks. What was not read of the contents of the last one is skipped.
    pub fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        if self.done {
            return Ok(None);
        }
        self.skip_contents()?;
        let mut extended = Extended::default();
        loop {
            let at = self.offset;
            let mut block = [0; BLOCK];
            self.read_exact(&mut block, at)?;
            if block.iter().all(|&byte| byte == 0) {
                self.read_exact(&mut block, at)?;
                if block.iter().any(|&byte| byte != 0) {
                    return Err(header_error(at, "a zero block is not followed by another"));
                }
                self.done = true;
                return Ok(None);
            }
            let header = parse_block(&block, at)?;
            if header.flag != b'x' {
                let member = apply(header, extended, self.offset);
                self.contents = member.size_bytes;
                self.padding = padding(member.size_bytes) as u64;
                return Ok(Some(member));
            }
            if header.size_bytes > MAX_PAX_BYTES {
                return Err(header_error(at, "the extended header is too long"));
            }
            let length = usize::try_from(header.size_bytes)
                .map_err(|_| header_error(at, "the extended header is too long"))?;
            let mut records = vec![0; length + padding(header.size_bytes)];
            self.read_exact(&mut records, at)?;
            parse_records(&records[..length], &mut extended, at)?;
        }
    }

    /// Reads on after the end of the archive and fails where there is anything but zeros, which writers may add to fill a record.
    pub fn finish(mut self) -> Result<(), TarError> {
        let mut buffer = [0; 8192];
        loop {
            let count = read_some(&mut self.inner, &mut buffer).map_err(TarError::Read)?;
            if count == 0 {
                return Ok(());
            }
            if buffer[..count].iter().any(|&byte| byte != 0) {
                return Err(TarError::Trailing {
                    offset: self.offset,
                });
            }
            self.offset += count as u64;
        }
    }

    fn skip_contents(&mut self) -> Result<(), TarError> {
        let at = self.offset;
        let rest = self
            .contents
            .checked_add(self.padding)
            .ok_or_else(|| header_error(at, "the size is impossible"))?;
        let skipped =
            io::copy(&mut (&mut self.inner).take(rest), &mut io::sink()).map_err(TarError::Read)?;
        self.offset += skipped;
        if skipped < rest {
            return Err(TarError::Truncated { offset: at });
        }
        (self.contents, self.padding) = (0, 0);
        Ok(())
    }

    fn read_exact(&mut self, buffer: &mut [u8], at: u64) -> Result<(), TarError> {
        self.inner
            .read_exact(buffer)
            .map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof => TarError::Truncated { offset: at },
                _ => TarError::Read(source),
            })?;
        self.offset += buffer.len() as u64;
        Ok(())
    }
}

/// Reads the contents of the entry that was returned last.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit =
            usize::try_from(self.contents).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        let count = self.inner.read(&mut buffer[..limit])?;
        if count == 0 && limit > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.contents -= count as u64;
        self.offset += count as u64;
        Ok(count)
    }
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

const fn header_error(offset: u64, problem: &'static str) -> TarError {
    TarError::Header { offset, problem }
}

fn apply(mut member: Member, extended: Extended, offset: u64) -> Member {
    if let Some(path) = extended.path {
        member.path = path;
    }
    if let Some(target) = extended.target {
        member.target = target;
    }
    if let Some(size_bytes) = extended.size_bytes {
        member.size_bytes = size_bytes;
    }
    member.offset = offset;
    member
}

fn parse_block(block: &[u8; BLOCK], at: u64) -> Result<Member, TarError> {
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(index, &byte)| {
            if (148..156).contains(&index) {
                u64::from(b' ')
            } else {
                u64::from(byte)
            }
        })
        .sum();
    let number = |range: std::ops::Range<usize>| {
        octal(&block[range])
            .ok_or_else(|| header_error(at, "a number is not written in octal digits"))
    };
    if number(148..156)? != sum {
        return Err(TarError::Checksum { offset: at });
    }
    if block[257..263] != *b"ustar\0" {
        return Err(header_error(at, "it is not ustar"));
    }
    let prefix = text(&block[345..500]);
    let name = text(&block[..100]);
    let path = if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    };
    Ok(Member {
        path,
        flag: block[156],
        target: text(&block[157..257]).to_vec(),
        mode: number(100..108)?,
        uid: number(108..116)?,
        gid: number(116..124)?,
        mtime: number(136..148)?,
        size_bytes: number(124..136)?,
        offset: 0,
    })
}

/// Returns the bytes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Parses octal digits between optional spaces and a NUL or space. At most twelve digits, so it cannot overflow.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = text(field).trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0, |value: u64, &digit| {
        (b'0'..=b'7')
            .contains(&digit)
            .then(|| value << 3 | u64::from(digit - b'0'))
    })
}

fn parse_records(mut rest: &[u8], extended: &mut Extended, at: u64) -> Result<(), TarError> {
    let error = || header_error(at, "an extended record is malformed");
    while !rest.is_empty() {
        let space = rest.iter().position(|&b| b == b' ').ok_or_else(error)?;
        let length = decimal(&rest[..space]).ok_or_else(error)?;
        let length = usize::try_from(length).map_err(|_| error())?;
        let record = rest.get(space + 1..length).ok_or_else(error)?;
        let record = record.strip_suffix(b"\n").ok_or_else(error)?;
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(error)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" | b"linkpath" if value.contains(&0) => return Err(error()),
            b"path" => extended.path = Some(value.to_vec()),
            b"linkpath" => extended.target = Some(value.to_vec()),
            b"size" => extended.size_bytes = Some(decimal(value).ok_or_else(error)?),
            _ => {
                return Err(header_error(
                    at,
                    "an extended record other than path, linkpath and size",
                ));
            }
        }
        rest = &rest[length..];
    }
    Ok(())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Entry, EntryKind, append_end, append_entry};
    use super::*;

    /// Entries as values: path, mode, and what it is.
    #[derive(Debug, Clone)]
    enum Kind {
        Directory,
        File(Vec<u8>),
        Symlink(Vec<u8>),
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            any::<u8>().prop_filter("no NUL, no slash", |b| *b != 0 && *b != b'/'),
            1..130,
        )
    }

    fn path() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(name(), 1..6).prop_map(|names| names.join(&b'/'))
    }

    fn entry() -> impl Strategy<Value = (Vec<u8>, u32, Kind)> {
        let kind = prop_oneof![
            Just(Kind::Directory),
            proptest::collection::vec(any::<u8>(), 0..1500).prop_map(Kind::File),
            path().prop_map(Kind::Symlink),
        ];
        (path(), 0_u32..0o7777, kind)
    }

    fn write(entries: &[(Vec<u8>, u32, Kind)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, mode, kind) in entries {
            let (path, mode) = (path.as_slice(), *mode);
            let (kind, contents) = match kind {
                Kind::Directory => (EntryKind::Directory, &[][..]),
                Kind::File(bytes) => {
                    let size_bytes = bytes.len() as u64;
                    (EntryKind::File { size_bytes }, bytes.as_slice())
                }
                Kind::Symlink(target) => (EntryKind::Symlink { target }, &[][..]),
            };
            append_entry(&mut out, &Entry { path, mode, kind });
            out.extend_from_slice(contents);
            out.resize(out.len() + padding(contents.len() as u64), 0);
        }
        append_end(&mut out);
        out
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_by_us_and_by_another_reader(entry in entry()) {
            let archive = write(std::slice::from_ref(&entry));
            prop_assert_eq!(archive.len() % BLOCK, 0);
            let (path, mode, kind) = entry;

            let mut reader = TarReader::new(&archive[..]);
            let member = reader.next_member().unwrap().unwrap();
            let mut contents = Vec::new();
            reader.read_to_end(&mut contents).unwrap();
            prop_assert!(reader.next_member().unwrap().is_none());
            reader.finish().unwrap();
            prop_assert_eq!(member.mode, u64::from(mode));
            prop_assert_eq!((member.uid, member.gid, member.mtime), (0, 0, 1));

            // The other reader ends an extended record at the first newline, whatever the record's length says.
            if archive.contains(&b'\n') && archive.len() > 2 * BLOCK && archive[156] == b'x' {
                return Ok(());
            }
            let mut other = ::tar::Archive::new(&archive[..]);
            let mut other = other.entries().unwrap().next().unwrap().unwrap();
            prop_assert_eq!(other.path_bytes().to_vec(), member.path.clone());
            prop_assert_eq!(other.header().mode().unwrap(), mode);
            prop_assert_eq!(other.header().mtime().unwrap(), 1);
            match kind {
                Kind::Directory => {
                    prop_assert_eq!(member.path, [&path[..], b"/"].concat());
                    prop_assert!(other.header().entry_type().is_dir());
                }
                Kind::File(bytes) => {
                    prop_assert_eq!(member.path, path);
                    prop_assert_eq!(&contents, &bytes);
                    let mut read = Vec::new();
                    other.read_to_end(&mut read).unwrap();
                    prop_assert_eq!(read, bytes);
                }
                Kind::Symlink(target) => {
                    prop_assert_eq!(member.path, path);
                    prop_assert_eq!(&other.link_name_bytes().unwrap()[..], &target[..]);
                    prop_assert_eq!(member.target, target);
                }
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000), entry in entry(), at in any::<prop::sample::Index>()) {
            let mut archive = write(&[entry]);
            let at = at.index(archive.len());
            archive[at] ^= 1;
            bytes.extend_from_slice(&archive);
            for input in [&bytes[..], &archive[..]] {
                let mut reader = TarReader::new(input);
                while let Ok(Some(_)) = reader.next_member() {}
            }
        }
    }

    #[test]
    fn a_truncated_archive_is_refused_at_every_length() {
        let archive = write(&[(b"a".to_vec(), 0o444, Kind::File(vec![1; 700]))]);
        for length in 0..archive.len() {
            let mut reader = TarReader::new(&archive[..length]);
            let result = std::iter::from_fn(|| reader.next_member().transpose())
                .collect::<Result<Vec<_>, _>>();
            assert!(result.is_err(), "{length}");
        }
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        let mut archive = write(&[]);
        archive.push(1);
        let mut reader = TarReader::new(&archive[..]);
        assert!(reader.next_member().unwrap().is_none());
        assert!(matches!(reader.finish(), Err(TarError::Trailing { .. })));
    }

    #[test]
    fn a_huge_extended_header_is_refused_before_it_is_read() {
        let mut archive = Vec::new();
        append_entry(
            &mut archive,
            &Entry {
                path: b"PaxHeaders",
                mode: 0o644,
                kind: EntryKind::File {
                    size_bytes: 1 << 32,
                },
            },
        );
        archive[156] = b'x';
        let sum: u32 = (archive.iter().enumerate())
            .map(|(i, &b)| {
                if (148..156).contains(&i) {
                    32
                } else {
                    u32::from(b)
                }
            })
            .sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(matches!(
            TarReader::new(&archive[..]).next_member(),
            Err(TarError::Header { .. })
        ));
    }
}
