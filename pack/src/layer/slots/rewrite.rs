//! Digits for digits, in the bytes of one object.

use std::{fs::File, io, io::Read as _, path::Path};

use store::{
    PathDigest,
    scan::{Findings, Needles, Scanner, scan_bytes},
};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// Which digests are replaced, and by what.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pairs: Vec<(PathDigest, PathDigest)>,
    needles: Needles,
}

/// Where digits are replaced, and by which; ascending, never overlapping.
pub(crate) type Patches = Vec<(u64, [u8; 40])>;

/// A digest is there in a form that cannot be replaced.
#[derive(Debug)]
pub(crate) struct LeftOver;

impl Rewrite {
    /// Replaces the first of each pair by the second.
    pub(crate) fn new(mut pairs: Vec<(PathDigest, PathDigest)>) -> Self {
        pairs.sort_unstable();
        let old: Vec<PathDigest> = pairs.iter().map(|(old, _)| *old).collect();
        Self {
            needles: Needles::new(&[], &old),
            pairs,
        }
    }

    /// Returns the pairs, ascending.
    pub(crate) fn pairs(&self) -> &[(PathDigest, PathDigest)] {
        &self.pairs
    }

    /// Returns what has to be replaced in a file. Reads it whole.
    pub(crate) fn patches_of(&self, path: &Path) -> io::Result<Result<Patches, LeftOver>> {
        let mut scanner = Scanner::new(&self.needles);
        let mut file = File::open(path)?;
        let mut block = vec![0; BLOCK];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(self.patches(&scanner.finish())),
                count => scanner.update(&block[..count]),
            }
        }
    }

    /// Replaces digits in bytes that lie in memory.
    pub(crate) fn apply(&self, bytes: &mut [u8]) -> Result<(), LeftOver> {
        for (offset, digits) in self.patches(&scan_bytes(&self.needles, bytes))? {
            patch(bytes, 0, offset, &digits);
        }
        Ok(())
    }

    fn patches(&self, findings: &Findings) -> Result<Patches, LeftOver> {
        if findings.residue.is_some() {
            return Err(LeftOver);
        }
        let occurrences = findings.occurrences.iter();
        Ok(occurrences
            .map(|found| (found.offset, self.pairs[found.scratch].1.to_digits()))
            .collect())
    }
}

/// Writes what of `digits`, which belong at `offset` of a file, falls into `bytes`, which lie at `start` of it.
pub(crate) fn patch(bytes: &mut [u8], start: u64, offset: u64, digits: &[u8; 40]) {
    for (place, digit) in (offset..).zip(digits) {
        let index = place.checked_sub(start).map(usize::try_from);
        if let Some(Ok(index)) = index
            && let Some(byte) = bytes.get_mut(index)
        {
            *byte = *digit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> PathDigest {
        PathDigest::from_bytes([byte; 25])
    }

    #[test]
    fn digits_are_replaced_wherever_they_are_and_nothing_else() {
        let rewrite = Rewrite::new(vec![
            (digest(0xa5), digest(0x11)),
            (digest(0x3c), digest(0x22)),
        ]);
        let mut bytes = format!("x{}y{}{}z", digest(0x3c), digest(0xa5), digest(0x77)).into_bytes();
        rewrite.apply(&mut bytes).unwrap();
        let expected = format!("x{}y{}{}z", digest(0x22), digest(0x11), digest(0x77));
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn digits_that_cannot_be_replaced_are_no_success() {
        let rewrite = Rewrite::new(vec![(digest(0xa5), digest(0x11))]);
        let text = digest(0xa5).to_string();
        let mut part = text.as_bytes()[..20].to_vec();
        assert!(rewrite.apply(&mut part).is_err());
        let mut wide: Vec<u8> = text.bytes().flat_map(|byte| [byte, 0]).collect();
        assert!(rewrite.apply(&mut wide).is_err());
    }

    #[test]
    fn a_patch_may_be_cut_by_either_end() {
        let digits = [b'd'; 40];
        for start in 0..60_u64 {
            let mut bytes = [b'.'; 20];
            patch(&mut bytes, start, 10, &digits);
            for (place, byte) in (start..).zip(bytes) {
                let expected = if (10..50).contains(&place) {
                    b'd'
                } else {
                    b'.'
                };
                assert_eq!(byte, expected);
            }
        }
    }
}
