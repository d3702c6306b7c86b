//! A file of the store as it is in the image.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::rewrite::{Patches, patch};

/// Reads a file with other digits in it.
#[derive(Debug)]
pub(crate) struct Patched {
    file: File,
    patches: Patches,
    position: u64,
}

impl Patched {
    /// Reads `file`, which has to be at its start.
    pub(crate) const fn new(file: File, patches: Patches) -> Self {
        Self {
            file,
            patches,
            position: 0,
        }
    }
}

impl Read for Patched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let start = self.position;
        // A length in memory fits.
        self.position += u64::try_from(count).unwrap_or_default();
        let first = self
            .patches
            .partition_point(|(offset, _)| offset + 40 <= start);
        let patches = self.patches[first..].iter();
        for (offset, digits) in patches.take_while(|(offset, _)| *offset < self.position) {
            patch(&mut buffer[..count], start, *offset, digits);
        }
        Ok(count)
    }
}

impl Seek for Patched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn every_way_of_reading_gives_the_same_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        let plain: Vec<u8> = (0..300_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
        file.write_all(&plain).unwrap();
        let patches = vec![(3, [b'a'; 40]), (43, [b'b'; 40]), (260, [b'c'; 40])];
        let mut expected = plain;
        for (offset, digits) in &patches {
            patch(&mut expected, 0, *offset, digits);
        }
        for step in [1, 7, 40, 41, 300] {
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut reader = Patched::new(file.try_clone().unwrap(), patches.clone());
            let mut found = Vec::new();
            let mut block = vec![0; step];
            loop {
                let count = reader.read(&mut block).unwrap();
                if count == 0 {
                    break;
                }
                found.extend_from_slice(&block[..count]);
            }
            assert_eq!(found, expected, "{step}");
            reader.seek(SeekFrom::Start(50)).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, expected[50..]);
        }
    }
}
