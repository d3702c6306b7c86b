//! The archive that Linux unpacks: `newc`.

use std::fmt::Write as _;

use crate::sink::{directory::Wanted, stream::size_of};

/// The types of files in a mode.
const DIRECTORY: u32 = 0o040_000;
const DEVICE: u32 = 0o020_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
/// The time of everything in an image.
const MTIME: u32 = 1;
const TRAILER: &[u8] = b"TRAILER!!!";

/// Writes the headers of one archive.
#[derive(Debug, Default)]
pub(super) struct Cpio {
    inodes: u32,
}

impl Cpio {
    /// The longest file that the format holds, in bytes.
    pub(super) const LARGEST: u64 = u32::MAX as u64;

    /// Returns what stands before the contents of an entry, a link's target included; `None` for a file that the format cannot hold.
    pub(super) fn header(&mut self, path: &[u8], entry: &Wanted<'_>) -> Option<Vec<u8>> {
        let size = u32::try_from(size_of(entry).unwrap_or_default()).ok()?;
        Some(match entry {
            Wanted::Directory { mode } => self.entry(path, DIRECTORY | mode, 0, 0),
            Wanted::Generated { mode, .. } | Wanted::Stored { mode, .. } => {
                self.entry(path, FILE | mode, size, 0)
            }
            Wanted::Symlink { target } => {
                let length = u32::try_from(target.len()).ok()?;
                let mut bytes = self.entry(path, SYMLINK | 0o777, length, 0);
                bytes.extend_from_slice(target);
                pad(&mut bytes);
                bytes
            }
        })
    }

    /// Returns a device of characters that root has.
    pub(super) fn device(&mut self, path: &[u8], numbers: (u8, u8)) -> Vec<u8> {
        let (major, minor) = numbers;
        let numbers = u32::from(major) << 8 | u32::from(minor);
        self.entry(path, DEVICE | 0o600, 0, numbers)
    }

    /// Returns the end of the archive.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.inodes = 0;
        let mut end = self.fields(0, 0, 0, 1, TRAILER.len());
        end.extend_from_slice(TRAILER);
        end.push(0);
        pad(&mut end);
        end
    }

    fn entry(&mut self, path: &[u8], mode: u32, size: u32, device: u32) -> Vec<u8> {
        self.inodes += 1;
        let mut header = self.fields(mode, size, device, 1, path.len());
        header.extend_from_slice(path);
        header.push(0);
        pad(&mut header);
        header
    }

    fn fields(&self, mode: u32, size: u32, device: u32, links: u32, name: usize) -> Vec<u8> {
        // Root is owner and group, and no check sum is used.
        let time = if mode == 0 { 0 } else { MTIME };
        let name = u32::try_from(name + 1).unwrap_or(u32::MAX);
        let (major, minor) = (device >> 8, device & 0xff);
        let mut text = "070701".to_owned();
        for field in [
            self.inodes,
            mode,
            0,
            0,
            links,
            time,
            size,
            0,
            0,
            major,
            minor,
            name,
            0,
        ] {
            // Writing to a String cannot fail.
            let _ = write!(text, "{field:08X}");
        }
        text.into_bytes()
    }
}

/// How many bytes follow so many, up to a multiple of four.
pub(super) fn padding(size_bytes: u64) -> usize {
    usize::try_from(size_bytes.wrapping_neg() % 4).unwrap_or_default()
}

fn pad(bytes: &mut Vec<u8>) {
    let rest = padding(bytes.len() as u64);
    bytes.resize(bytes.len() + rest, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_size_has_more_than_32_bits_has_no_header() {
        let header = |size_bytes| {
            let file = Wanted::Stored {
                real: "/nowhere".into(),
                size_bytes,
                mode: 0o444,
            };
            Cpio::default().header(b"large", &file)
        };
        let largest = header(u64::from(u32::MAX)).unwrap();
        assert_eq!(&largest[54..62], b"FFFFFFFF");
        assert_eq!(header(1 << 32), None);
    }
}
