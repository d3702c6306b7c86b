//! Bytes to entries, strictly: the second half of [`validate`](crate::validate).
//!
//! It reads ustar and PAX from any writer as far as an image needs it, streams, and keeps at most one header in memory. It is written for hostile input:
//! every length is checked before it is used. [`Dialect::Any`] is for archives of others, which have extensions of GNU, numbers in base 256 and facts
//! about files that are of no interest here.

use std::io::{self, Read, Seek};

use super::{
    Stamp, TarError,
    header::{BLOCK, padding},
};

/// The longest extended header that is read; twice the longest path and target together.
const MAX_PAX_BYTES: u64 = 64 << 10;

/// What an archive may have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// What this crate writes.
    Ours,
    /// What any tar writes.
    Any,
}

/// One entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The path, with the slash at the end if it had one.
    pub path: Vec<u8>,
    /// The type flag: `0` file, `2` symbolic link, `5` directory, others as in POSIX; `S`, of GNU, a file that is there without its holes.
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

impl Member {
    /// Returns whose it is, and when it was changed.
    pub(crate) const fn stamp(&self) -> Stamp {
        Stamp {
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
        }
    }
}

/// Reads an archive entry by entry.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    dialect: Dialect,
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
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
    /// Whether the contents are without their holes; then GNU has the name elsewhere, too.
    is_sparse: bool,
    /// The type flags of those headers.
    flags: Vec<u8>,
}

impl Extended {
    /// Takes the type flag of a further header. Which of two of one kind, or of POSIX and GNU, is believed differs from reader to reader, and some forget what was
    /// said of the next entry when something is said of all.
    fn enter(&mut self, flag: u8, at: u64) -> Result<(), TarError> {
        let is_other =
            |other: &u8| *other == flag || *other == b'x' || flag != b'L' && flag != b'K';
        if self.flags.iter().any(is_other) {
            let problem = "an entry has extended headers that contradict one another";
            return Err(header_error(at, problem));
        }
        self.flags.extend((flag != b'g').then_some(flag));
        Ok(())
    }
}

impl<R: Read> TarReader<R> {
    /// Starts at the beginning of an archive like those of this crate.
    pub const fn new(inner: R) -> Self {
        Self::of(inner, Dialect::Ours)
    }

    /// Starts at the beginning of an archive.
    pub const fn of(inner: R, dialect: Dialect) -> Self {
        Self {
            inner,
            dialect,
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
            let header = parse_block(&block, self.dialect, at)?;
            let is_extended = match self.dialect {
                Dialect::Ours => header.flag == b'x',
                Dialect::Any => matches!(header.flag, b'x' | b'g' | b'L' | b'K'),
            };
            if !is_extended {
                let member = apply(header, extended, self.offset);
                self.contents = member.size_bytes;
                self.padding = padding(member.size_bytes) as u64;
                return Ok(Some(member));
            }
            extended.enter(header.flag, at)?;
            if header.size_bytes > MAX_PAX_BYTES {
                return Err(header_error(at, "the extended header is too long"));
            }
            let length = usize::try_from(header.size_bytes)
                .map_err(|_| header_error(at, "the extended header is too long"))?;
            let mut records = vec![0; length + padding(header.size_bytes)];
            self.read_exact(&mut records, at)?;
            let records = &records[..length];
            match header.flag {
                b'x' => parse_records(records, self.dialect, &mut extended, at)?,
                b'L' => extended.path = Some(text(records).to_vec()),
                b'K' => extended.target = Some(text(records).to_vec()),
                // What is said of all that follow is nothing that is read here.
                _ => {}
            }
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

impl<R: Read + Seek> TarReader<R> {
    /// As [`next_member`](Self::next_member), but does not read what it skips.
    pub fn seek_member(&mut self) -> Result<Option<Member>, TarError> {
        let rest = self.contents.checked_add(self.padding);
        if let Some(distance) = rest.and_then(|rest| i64::try_from(rest).ok()) {
            self.inner.seek_relative(distance).map_err(TarError::Read)?;
            self.offset = self.offset.saturating_add(distance.unsigned_abs());
            (self.contents, self.padding) = (0, 0);
        }
        // Who went beyond the end finds no header there.
        self.next_member()
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
    member.uid = extended.uid.unwrap_or(member.uid);
    member.gid = extended.gid.unwrap_or(member.gid);
    member.mtime = extended.mtime.unwrap_or(member.mtime);
    if extended.is_sparse {
        member.flag = b'S';
    }
    member.offset = offset;
    member
}

fn parse_block(block: &[u8; BLOCK], dialect: Dialect, at: u64) -> Result<Member, TarError> {
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
        let number = match dialect {
            Dialect::Ours => octal(&block[range]),
            Dialect::Any => any_number(&block[range]),
        };
        number.ok_or_else(|| header_error(at, "a number is not written in octal digits"))
    };
    if number(148..156)? != sum {
        return Err(TarError::Checksum { offset: at });
    }
    let is_ustar = block[257..263] == *b"ustar\0";
    if !is_ustar && dialect == Dialect::Ours {
        return Err(header_error(at, "it is not ustar"));
    }
    if is_ustar && block[508..] == *b"tar\0" {
        return Err(header_error(at, "it is of star, whose names are shorter"));
    }
    // Elsewhere other things are in this place.
    let prefix = if is_ustar {
        text(&block[345..500])
    } else {
        &[]
    };
    let name = text(&block[..100]);
    let path = if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    };
    Ok(Member {
        path,
        flag: match (block[156], dialect) {
            // Tar before POSIX.
            (0, Dialect::Any) => b'0',
            (flag, _) => flag,
        },
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

/// Parses octal digits, nothing at all, or what GNU tar has for larger numbers: a byte with the highest bit, then the number in base 256.
fn any_number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if *first == 0x80 {
        return rest.iter().try_fold(0_u64, |value, &byte| {
            Some(value.checked_mul(256)? | u64::from(byte))
        });
    }
    if *first == 0xff {
        // Negative: a time before 1970, or nonsense.
        return Some(0);
    }
    if text(field).trim_ascii().is_empty() {
        // Behind a NUL, some find a number still.
        let is_empty = field.iter().all(|byte| matches!(byte, 0 | b' '));
        return is_empty.then_some(0);
    }
    octal(field)
}

fn parse_records(
    mut rest: &[u8],
    dialect: Dialect,
    extended: &mut Extended,
    at: u64,
) -> Result<(), TarError> {
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
            // An empty one takes back what was said before, for some.
            b"path" | b"linkpath" if value.is_empty() || value.contains(&0) => {
                return Err(error());
            }
            b"path" => extended.path = Some(value.to_vec()),
            b"linkpath" => extended.target = Some(value.to_vec()),
            b"size" => extended.size_bytes = Some(decimal(value).ok_or_else(error)?),
            b"uid" => extended.uid = Some(decimal(value).ok_or_else(error)?),
            b"gid" => extended.gid = Some(decimal(value).ok_or_else(error)?),
            b"mtime" => extended.mtime = seconds(value, dialect).ok_or_else(error)?,
            _ if dialect == Dialect::Any => {
                extended.is_sparse |= key.starts_with(b"GNU.sparse.");
            }
            _ => {
                return Err(header_error(
                    at,
                    "an extended record other than path, linkpath, size, uid, gid and mtime",
                ));
            }
        }
        rest = &rest[length..];
    }
    Ok(())
}

/// Parses a time. Others write fractions of seconds, and times before 1970, which count for nothing here.
fn seconds(value: &[u8], dialect: Dialect) -> Option<Option<u64>> {
    let whole = value.split(|byte| *byte == b'.').next();
    match dialect {
        Dialect::Ours => decimal(value).map(Some),
        Dialect::Any => Some(whole.and_then(decimal)),
    }
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
    fn archives_of_others_are_read_and_their_contents_may_be_skipped() {
        let long = format!("{}/x", "d".repeat(300));
        let mut builder = ::tar::Builder::new(Vec::new());
        for (path, bytes) in [("short", &[1; 700][..]), (&long, b"contents")] {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // More than octal digits hold.
            header.set_uid(1 << 40);
            builder.append_data(&mut header, path, bytes).unwrap();
        }
        let archive = builder.into_inner().unwrap();
        assert!(TarReader::new(&archive[..]).next_member().is_err());
        let mut reader = TarReader::of(io::Cursor::new(&archive), Dialect::Any);
        let short = reader.seek_member().unwrap().unwrap();
        assert_eq!((&short.path[..], short.uid), (&b"short"[..], 1 << 40));
        let found = reader.seek_member().unwrap().unwrap();
        assert_eq!(found.path, long.as_bytes());
        let mut contents = Vec::new();
        reader.read_to_end(&mut contents).unwrap();
        assert_eq!(contents, b"contents");
        assert!(reader.seek_member().unwrap().is_none());
        for length in (0..archive.len()).step_by(BLOCK) {
            let mut reader = TarReader::of(io::Cursor::new(&archive[..length]), Dialect::Any);
            let result = std::iter::from_fn(|| reader.seek_member().transpose())
                .collect::<Result<Vec<_>, _>>();
            assert!(result.is_err(), "{length}");
        }
    }

    /// Writes headers with their contents, the last one of a file `file`, changed by `change` before its sum is made.
    fn headers(extended: &[(u8, &[u8])], change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
        let mut builder = ::tar::Builder::new(Vec::new());
        for (flag, contents) in extended {
            let mut header = ::tar::Header::new_ustar();
            header.set_path("extended").unwrap();
            header.set_entry_type(::tar::EntryType::new(*flag));
            header.set_size(contents.len() as u64);
            header.set_cksum();
            builder.append(&header, *contents).unwrap();
        }
        let mut header = ::tar::Header::new_ustar();
        header.set_path("file").unwrap();
        header.set_size(0);
        change(header.as_mut_bytes());
        header.set_cksum();
        builder.append(&header, &[][..]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn what_readers_understand_differently_is_refused_or_no_plain_file() {
        let read = |archive: &[u8]| {
            let member = TarReader::of(archive, Dialect::Any).next_member();
            let member = member.ok()?.expect("a member");
            Some((String::from_utf8(member.path).unwrap(), member.flag))
        };
        let (path, long, link) = (
            b"10 path=a\n".as_slice(),
            b"b\0".as_slice(),
            b"c\0".as_slice(),
        );
        let empty = b"8 path=\n".as_slice();
        let sparse = b"29 GNU.sparse.name=evil.json\n".as_slice();
        for (extended, expected) in [
            (vec![], Some(("file", b'0'))),
            (vec![(b'x', path)], Some(("a", b'0'))),
            (
                vec![(b'g', empty), (b'g', empty), (b'x', path)],
                Some(("a", b'0')),
            ),
            (vec![(b'L', long), (b'K', link)], Some(("b", b'0'))),
            (vec![(b'x', path), (b'x', path)], None),
            (vec![(b'x', path), (b'g', empty)], None),
            (vec![(b'L', long), (b'g', empty)], None),
            (vec![(b'x', path), (b'L', long)], None),
            (vec![(b'L', long), (b'x', path)], None),
            (vec![(b'L', long), (b'L', long)], None),
            (vec![(b'x', empty)], None),
            (vec![(b'x', sparse)], Some(("file", b'S'))),
        ] {
            let found = read(&headers(&extended, |_| ()));
            let expected = expected.map(|(path, flag)| (path.to_owned(), flag));
            assert_eq!(found, expected, "{extended:?}");
        }
        // A size behind a NUL, and names that end where those of POSIX do not.
        let hidden = headers(&[], |block| {
            block[124..136].copy_from_slice(b"\x0000000001000");
        });
        let star = headers(&[], |block| block[508..].copy_from_slice(b"tar\0"));
        assert_eq!((read(&hidden), read(&star)), (None, None));
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
