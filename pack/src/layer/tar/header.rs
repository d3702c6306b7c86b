//! Entries to bytes.

use super::{Entry, EntryKind, Stamp};

/// The unit of a tar archive.
pub(crate) const BLOCK: usize = 512;
/// The name of every extended header. Readers do not show it; a constant cannot leak anything.
const PAX_NAME: &[u8] = b"PaxHeaders";
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
/// The largest size that eleven octal digits hold, 8 GiB − 1.
const MAX_USTAR_SIZE: u64 = 0o77_777_777_777;
/// The largest number of an owner that seven octal digits hold.
const MAX_USTAR_ID: u64 = 0o7_777_777;

/// Appends the header of `entry` to `out`: one block, after an extended header where the path, the link's target or the size does not fit into it.
pub fn append_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    append_stamped(out, entry, Stamp::OURS);
}

/// Appends the header of an entry that belongs to somebody, and was changed at another time than everything of ours.
pub(crate) fn append_stamped(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: Stamp) {
    let mut path = entry.path.to_vec();
    let (flag, target, size) = match entry.kind {
        EntryKind::Directory => {
            path.push(b'/');
            (b'5', &[][..], 0)
        }
        EntryKind::File { size_bytes } => (b'0', &[][..], size_bytes),
        EntryKind::Symlink { target } => (b'2', target, 0),
    };
    let split = split_path(&path);

    // Sorted by key, and only what does not fit.
    let too_large = |value: u64, most: u64| (value > most).then(|| value.to_string().into_bytes());
    let wanted = [
        ("gid", too_large(stamp.gid, MAX_USTAR_ID)),
        (
            "linkpath",
            (target.len() > NAME_BYTES).then(|| target.to_vec()),
        ),
        ("mtime", too_large(stamp.mtime, MAX_USTAR_SIZE)),
        ("path", split.is_none().then(|| path.clone())),
        ("size", too_large(size, MAX_USTAR_SIZE)),
        ("uid", too_large(stamp.uid, MAX_USTAR_ID)),
    ];
    let mut records = Vec::new();
    for (key, value) in wanted {
        if let Some(value) = value {
            append_record(&mut records, key, &value);
        }
    }
    if !records.is_empty() {
        let header = Block {
            name: PAX_NAME,
            mode: 0o644,
            size: records.len() as u64,
            flag: b'x',
            ..Block::default()
        };
        header.append(out);
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
    }

    let (prefix, name) = split.unwrap_or((&[], truncated(&path)));
    // What an extended header says is 0 here.
    let fitting = |value: u64, most: u64| if value > most { 0 } else { value };
    let block = Block {
        prefix,
        name,
        mode: entry.mode,
        size: fitting(size, MAX_USTAR_SIZE),
        flag,
        target: truncated(target),
        stamp: Stamp {
            uid: fitting(stamp.uid, MAX_USTAR_ID),
            gid: fitting(stamp.gid, MAX_USTAR_ID),
            mtime: fitting(stamp.mtime, MAX_USTAR_SIZE),
        },
    };
    block.append(out);
}

/// Appends the end of an archive: two zero blocks, and nothing to fill a record of 20 of them.
pub fn append_end(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}

/// Returns how many zero bytes follow `size_bytes` bytes of contents.
pub(crate) const fn padding(size_bytes: u64) -> usize {
    // Below 512, so the cast cannot lose anything.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is below 512"
    )]
    let rest = (size_bytes % BLOCK as u64) as usize;
    (BLOCK - rest) % BLOCK
}

fn truncated(field: &[u8]) -> &[u8] {
    &field[..field.len().min(NAME_BYTES)]
}

/// Splits a path into ustar's prefix and name: whole in the name where it fits, else at the last slash that leaves a prefix of at most 155 bytes.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_BYTES {
        return Some((&[], path));
    }
    // The slash at the end of a directory is part of its name.
    let last = path.len().min(PREFIX_BYTES + 2) - 1;
    let slash = path[..last].iter().rposition(|&byte| byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && name.len() <= NAME_BYTES).then_some((prefix, name))
}

/// Appends `<length> <key>=<value>\n`, where the length counts its own digits.
fn append_record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The fields of one header.
#[derive(Default)]
struct Block<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    mode: u32,
    size: u64,
    flag: u8,
    target: &'a [u8],
    stamp: Stamp,
}

impl Block<'_> {
    fn append(&self, out: &mut Vec<u8>) {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, self.name);
        put(100, format!("{:07o}", self.mode).as_bytes());
        put(108, format!("{:07o}", self.stamp.uid).as_bytes());
        put(116, format!("{:07o}", self.stamp.gid).as_bytes());
        put(124, format!("{:011o}", self.size).as_bytes());
        put(136, format!("{:011o}", self.stamp.mtime).as_bytes());
        put(148, b"        "); // the checksum counts itself as spaces
        put(156, &[self.flag]);
        put(157, self.target);
        put(257, b"ustar\x0000");
        // Empty user and group names.
        put(329, b"0000000"); // device numbers
        put(337, b"0000000");
        put(345, self.prefix);
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &[u8], size_bytes: u64) -> Vec<u8> {
        let mut out = Vec::new();
        append_entry(
            &mut out,
            &Entry {
                path,
                mode: 0o444,
                kind: EntryKind::File { size_bytes },
            },
        );
        out
    }

    #[test]
    fn a_short_path_takes_one_block() {
        assert_eq!(file(b"a", 0).len(), BLOCK);
        assert_eq!(file(&[b'a'; 100], 0).len(), BLOCK);
    }

    #[test]
    fn a_path_of_up_to_256_bytes_is_split_at_a_slash() {
        let path = [&[b'd'; 155][..], b"/", &[b'f'; 100]].concat();
        let header = file(&path, 0);
        assert_eq!(header.len(), BLOCK);
        assert_eq!(header[..100], [b'f'; 100]);
        assert_eq!(header[345..500], [b'd'; 155]);
    }

    #[test]
    fn the_slash_at_the_end_of_a_directory_is_never_the_place_of_the_split() {
        let mut header = Vec::new();
        let path = [&[b'p'; 50][..], b"/", &[b'd'; 99]].concat();
        append_entry(
            &mut header,
            &Entry {
                path: &path,
                mode: 0o555,
                kind: EntryKind::Directory,
            },
        );
        assert_eq!(header.len(), BLOCK);
        assert_eq!(header[99], b'/');
        assert_eq!(header[345..395], [b'p'; 50]);
    }

    #[test]
    fn a_path_that_cannot_be_split_has_one_extended_record() {
        let path = [b'x'; 200];
        let header = file(&path, 3);
        assert_eq!(header.len(), 3 * BLOCK);
        assert_eq!(header[156], b'x');
        let record = [b"210 path=", &path[..], b"\n"].concat();
        assert_eq!(header[BLOCK..BLOCK + record.len()], record);
        assert_eq!(header[2 * BLOCK + 156], b'0');
    }

    #[test]
    fn a_size_of_8_gib_needs_an_extended_record_and_one_byte_less_does_not() {
        assert_eq!(file(b"a", MAX_USTAR_SIZE).len(), BLOCK);
        let header = file(b"a", MAX_USTAR_SIZE + 1);
        assert_eq!(header.len(), 3 * BLOCK);
        assert_eq!(header[BLOCK..BLOCK + 19], *b"19 size=8589934592\n");
    }

    #[test]
    fn an_owner_and_a_time_are_kept_however_large_they_are() {
        for (uid, records) in [(70_000, 0), (MAX_USTAR_ID + 1, 2)] {
            let mut header = Vec::new();
            let entry = Entry {
                path: b"home/me",
                mode: 0o700,
                kind: EntryKind::Directory,
            };
            let (gid, mtime) = (5, 1_700_000_000);
            append_stamped(&mut header, &entry, Stamp { uid, gid, mtime });
            assert_eq!(header.len(), (1 + records) * BLOCK);
            append_end(&mut header);
            let member = super::super::TarReader::new(&header[..]).next_member();
            let member = member.unwrap().unwrap();
            assert_eq!((member.uid, member.gid, member.mtime), (uid, gid, mtime));
        }
    }

    #[test]
    fn a_record_length_counts_its_own_digits_at_every_step() {
        for size in [1, 80, 90, 91, 92, 93, 94, 988, 989, 990, 991, 4095] {
            let mut record = Vec::new();
            append_record(&mut record, "path", &vec![b'x'; size]);
            let text = String::from_utf8(record.clone()).unwrap();
            let length: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, record.len());
        }
    }
}
