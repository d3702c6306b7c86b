//! From an image back to the store: the original digits in place of slots.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use store::StorePath;

use super::slot_map::slot_of;

/// Digits of a digest.
const DIGITS: usize = 40;
/// Bytes that are looked at at once.
const BLOCK: usize = 64 << 10;

/// What was replaced in an image, as its manifest says ([`SlotMap::to_text`](super::SlotMap::to_text)).
#[derive(Debug)]
pub(crate) struct Originals {
    /// The original digits by those of the slot.
    digits: BTreeMap<[u8; DIGITS], [u8; DIGITS]>,
    /// The paths whose digits those are.
    paths: Vec<StorePath>,
}

impl Originals {
    /// Reads the annotation; `None` where it is not understood, or where a path has another slot than its name gives it: who may choose the slots can have
    /// any digits taken for those of a path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let slots: BTreeMap<StorePath, StorePath> = serde_json::from_str(text).ok()?;
        if slots.iter().any(|(slot, path)| *slot != slot_of(path)) {
            return None;
        }
        let pairs = slots.iter();
        let pairs =
            pairs.map(|(slot, path)| (slot.digest().to_digits(), path.digest().to_digits()));
        Some(Self {
            digits: pairs.collect(),
            paths: slots.into_values().collect(),
        })
    }

    /// Returns the paths whose digits were replaced.
    pub(crate) fn paths(&self) -> &[StorePath] {
        &self.paths
    }

    /// Puts the original digits in place of slots.
    pub(crate) fn restore(&self, bytes: &mut [u8]) {
        let mut start = 0;
        while let Some(window) = bytes.get_mut(start..start + DIGITS) {
            // The right-most byte that is no digit ends every run that would begin before it.
            if let Some(gap) = window.iter().rposition(|byte| !may_be_digit(*byte)) {
                start += gap + 1;
                continue;
            }
            let original = <&[u8; DIGITS]>::try_from(&*window);
            match original.ok().and_then(|digits| self.digits.get(digits)) {
                Some(original) => {
                    window.copy_from_slice(original);
                    start += DIGITS;
                }
                None => start += 1,
            }
        }
    }

    /// Reads what `inner` has, with the original digits.
    pub(crate) fn reader<'r>(&'r self, inner: &'r mut dyn Read) -> Restored<'r> {
        Restored {
            originals: self,
            inner,
            buffer: Vec::new(),
            ready: 0,
            given: 0,
        }
    }
}

/// All digits are among these.
const fn may_be_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_lowercase()
}

/// Reads with the original digits.
pub(crate) struct Restored<'r> {
    originals: &'r Originals,
    inner: &'r mut dyn Read,
    buffer: Vec<u8>,
    /// So many bytes of the buffer cannot be the beginning of a slot that is not read to its end yet.
    ready: usize,
    /// So many bytes of it were given away.
    given: usize,
}

impl Restored<'_> {
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.given);
        self.given = 0;
        self.ready = 0;
        let wanted = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        while self.ready == 0 {
            let count = (&mut *self.inner)
                .take(wanted)
                .read_to_end(&mut self.buffer)?;
            self.originals.restore(&mut self.buffer);
            if count == 0 {
                self.ready = self.buffer.len();
                break;
            }
            self.ready = self.buffer.len().saturating_sub(DIGITS - 1);
        }
        Ok(())
    }
}

impl Read for Restored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.ready {
            self.fill()?;
        }
        let rest = &self.buffer[self.given..self.ready.max(self.given)];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use store::PathDigest;

    use super::*;

    #[test]
    fn slots_become_originals_wherever_they_are_and_however_it_is_read() {
        let path = |byte: u8| {
            let digest = PathDigest::from_bytes([byte; 25]);
            StorePath::new(digest, "a".parse().unwrap())
        };
        let slot = slot_of(&path(0x33));
        let text = format!("{{\"{slot}\":\"{}\"}}", path(0x33));
        let originals = Originals::parse(&text).unwrap();
        assert_eq!(originals.paths(), [path(0x33)]);
        let (slot, original) = (slot.digest().to_string(), path(0x33).digest().to_string());
        let text = |digits: &str| {
            let filler = ".".repeat(BLOCK - 20);
            format!("{digits}z{filler}{digits}{digits}{}", &digits[..39])
        };
        // What is not whole stays.
        let expected = format!("{}{}", &text(&original)[..BLOCK + 101], &slot[..39]);
        let long = text(&slot);
        for (step, given, expected) in [1, 39, 4096, 3 * BLOCK]
            .map(|step| (step, long.as_str(), expected.as_str()))
            .into_iter()
            .chain([(7, "", ""), (7, "one", "one"), (7, &slot, &original)])
        {
            let mut inner = given.as_bytes();
            let mut reader = originals.reader(&mut inner);
            let mut found = Vec::new();
            let mut block = vec![0; step];
            loop {
                let count = reader.read(&mut block).unwrap();
                if count == 0 {
                    break;
                }
                found.extend_from_slice(&block[..count]);
            }
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn what_is_no_map_is_none() {
        for text in ["", "[]", "{\"a\":\"b\"}"] {
            assert!(Originals::parse(text).is_none());
        }
        // The slot of another name, and digits that are no slot.
        let path = |digest: [u8; 25], name: &str| {
            StorePath::new(PathDigest::from_bytes(digest), name.parse().unwrap())
        };
        let (one, other) = (path([1; 25], "one"), path([1; 25], "other"));
        for (slot, is_right) in [
            (slot_of(&one), true),
            (slot_of(&other), false),
            (path([2; 25], "one"), false),
        ] {
            let text = format!("{{\"{slot}\":\"{one}\"}}");
            assert_eq!(Originals::parse(&text).is_some(), is_right, "{text}");
        }
    }
}
