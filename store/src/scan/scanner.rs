//! The scanner over the bytes of one file.
//!
//! Most bytes are never looked at. A candidate does not fit where a byte at distance 40 is not a digit, so the search steps by whole runs and
//! reads from their right end, as Boyer and Moore do. For scratch digests, of which any 8 digits matter, it looks at 4 bytes of each 5.

use std::collections::BTreeMap;

use super::needles::{DIGITS, GRAM, GRAM_STEP, Needle, Needles, WINDOW, key_at};
use crate::id::is_digit;

/// Bytes that must follow a start before it can be judged: a candidate in UTF-16 takes 80, and what an occurrence right after a residue
/// hides takes 47.
const LOOKAHEAD: usize = 2 * DIGITS;

/// One whole scratch digest in plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// Where its first digit is.
    pub offset: u64,
    /// Which scratch digest.
    pub scratch: usize,
}

/// A part of a scratch digest that cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residue {
    /// Which scratch digest.
    pub scratch: usize,
    /// Where; in a compressed file, the offset in the uncompressed bytes.
    pub offset: u64,
    /// In which form.
    pub form: ResidueForm,
}

/// Why a [`Residue`] cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResidueForm {
    /// Some of the digits, but not all: something has split the path.
    Partial,
    /// Digits as UTF-16.
    Utf16,
    /// Digits inside a compressed member.
    Compressed,
}

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The first offset of each candidate that occurs, by its index.
    pub candidates: BTreeMap<usize, u64>,
    /// The places where scratch digests can be replaced, ascending, never overlapping.
    pub occurrences: Vec<Occurrence>,
    /// The first thing that cannot be replaced.
    pub residue: Option<Residue>,
}

impl Findings {
    /// Adds what was found inside a compressed member, where nothing can be replaced.
    pub(super) fn absorb_member(&mut self, member: &Self) {
        for (candidate, offset) in &member.candidates {
            self.candidates.entry(*candidate).or_insert(*offset);
        }
        let scratch = member
            .residue
            .map(|residue| (residue.offset, residue.scratch));
        let whole = member
            .occurrences
            .first()
            .map(|occurrence| (occurrence.offset, occurrence.scratch));
        if let Some((offset, scratch)) = [scratch, whole].into_iter().flatten().min() {
            self.residue.get_or_insert(Residue {
                scratch,
                offset,
                form: ResidueForm::Compressed,
            });
        }
    }
}

/// Scans the bytes of one file as they pass, in chunks of any size.
#[derive(Debug)]
pub struct Scanner<'a> {
    needles: &'a Needles,
    findings: Findings,
    /// Bytes given but not yet judged, and where they begin in the file.
    carry: Vec<u8>,
    position: u64,
    /// Where the last occurrence ends.
    covered: u64,
}

/// Scans bytes that lie in memory as a whole.
#[must_use]
pub fn scan_bytes(needles: &Needles, bytes: &[u8]) -> Findings {
    let mut scanner = Scanner::new(needles);
    scanner.update(bytes);
    scanner.finish()
}

impl<'a> Scanner<'a> {
    /// Begins a file.
    #[must_use]
    pub fn new(needles: &'a Needles) -> Self {
        Self {
            needles,
            findings: Findings::default(),
            carry: Vec::new(),
            position: 0,
            covered: 0,
        }
    }

    /// Takes the next bytes of the file. Free when there are no needles.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.needles.is_empty() {
            return;
        }
        if !self.carry.is_empty() {
            let carried = self.carry.len();
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(&bytes[..bytes.len().min(LOOKAHEAD)]);
            if bytes.len() < LOOKAHEAD {
                let judged = joined.len().saturating_sub(LOOKAHEAD);
                self.judge(&joined, judged);
                joined.drain(..judged);
                self.carry = joined;
                return;
            }
            self.judge(&joined, carried);
        }
        let judged = bytes.len().saturating_sub(LOOKAHEAD);
        self.judge(bytes, judged);
        self.carry.extend_from_slice(&bytes[judged..]);
    }

    /// Ends the file.
    #[must_use]
    pub fn finish(mut self) -> Findings {
        let rest = std::mem::take(&mut self.carry);
        self.judge(&rest, rest.len());
        self.findings
    }

    /// Finds what starts before `until` in `bytes`, which lie at `self.position` of the file, and moves on to `until`.
    fn judge(&mut self, bytes: &[u8], until: usize) {
        if !self.needles.candidates.is_empty() {
            self.find_candidates(bytes, until);
        }
        if !self.needles.scratches.is_empty() {
            self.find_scratches(bytes, until);
        }
        self.find_utf16(bytes, until);
        self.position += as_u64(until);
    }

    fn find_candidates(&mut self, bytes: &[u8], until: usize) {
        let mut start = 0;
        while start < until && start + DIGITS <= bytes.len() {
            // The right-most byte that is no digit ends every run that would begin before it.
            if let Some(gap) = bytes[start..start + DIGITS]
                .iter()
                .rposition(|byte| !is_digit(*byte))
            {
                start += gap + 1;
                continue;
            }
            loop {
                self.probe_candidate(bytes, start);
                start += 1;
                if start >= until || start + DIGITS > bytes.len() {
                    return;
                }
                if !is_digit(bytes[start + DIGITS - 1]) {
                    start += DIGITS;
                    break;
                }
            }
        }
    }

    fn probe_candidate(&mut self, bytes: &[u8], start: usize) {
        let needles = self.needles;
        for needle in needles.probe(key_at(bytes, start)) {
            if let Needle::Candidate(index) = *needle
                && bytes[start..].starts_with(&needles.candidates[index])
            {
                self.findings
                    .candidates
                    .entry(index)
                    .or_insert(self.position + as_u64(start));
            }
        }
    }

    /// Looks at one gram in each [`GRAM_STEP`] bytes. A window that begins up to so many bytes before it has it, so each start belongs to one gram.
    fn find_scratches(&mut self, bytes: &[u8], until: usize) {
        let mut place = 0;
        while place < until + GRAM_STEP - 1 && place + GRAM <= bytes.len() {
            if self.needles.may_have_gram(bytes, place) {
                for start in (place + 1).saturating_sub(GRAM_STEP)..=place {
                    if start < until && start + WINDOW <= bytes.len() {
                        self.probe_scratch(bytes, start);
                    }
                }
            }
            place += GRAM_STEP;
        }
    }

    fn probe_scratch(&mut self, bytes: &[u8], start: usize) {
        let needles = self.needles;
        let offset = self.position + as_u64(start);
        if offset < self.covered {
            return;
        }
        let mut partial = None;
        for needle in needles.probe(key_at(bytes, start)) {
            let Needle::Scratch { scratch, from } = *needle else {
                continue;
            };
            if from == 0 && bytes[start..].starts_with(&needles.scratches[scratch]) {
                self.findings
                    .occurrences
                    .push(Occurrence { offset, scratch });
                self.covered = offset + as_u64(DIGITS);
                return;
            }
            partial.get_or_insert(scratch);
        }
        if let Some(scratch) = partial
            && self.findings.residue.is_none()
            && !self.occurrence_follows(bytes, start)
        {
            self.findings.residue = Some(Residue {
                scratch,
                offset,
                form: ResidueForm::Partial,
            });
        }
    }

    /// Tells whether an occurrence begins within the window at `start`, so that replacing it destroys the window.
    fn occurrence_follows(&self, bytes: &[u8], start: usize) -> bool {
        (start + 1..start + WINDOW)
            .filter_map(|place| bytes.get(place..place + DIGITS))
            .any(|digits| {
                self.needles
                    .scratches
                    .iter()
                    .any(|scratch| digits == scratch)
            })
    }

    fn find_utf16(&mut self, bytes: &[u8], until: usize) {
        let run = self.needles.shortest_run();
        // Whatever starts at `o` has a whole pair at each of `o .. o + 2 * run - 1`, so one of these pairs is looked at.
        let stride = 2 * run - 1;
        let mut place = 0;
        while place < until + stride && place + 1 < bytes.len() {
            let digit = match (bytes[place], bytes[place + 1]) {
                (digit, 0) if is_digit(digit) => place,
                (0, digit) if is_digit(digit) && bytes.get(place + 2) == Some(&0) => place + 1,
                _ => {
                    place += stride;
                    continue;
                }
            };
            let is_pair =
                |at: usize| matches!(bytes.get(at..at + 2), Some([digit, 0]) if is_digit(*digit));
            let mut first = digit;
            while first >= 2 && is_pair(first - 2) {
                first -= 2;
            }
            let mut end = digit + 2;
            while is_pair(end) {
                end += 2;
            }
            if end - first >= 2 * run {
                self.probe_utf16(bytes, first, end, until);
            }
            place = end.max(place + stride);
        }
    }

    /// Judges a run of UTF-16 digits that lies at `first .. end`.
    fn probe_utf16(&mut self, bytes: &[u8], first: usize, end: usize, until: usize) {
        let needles = self.needles;
        let digits: Vec<u8> = bytes[first..end].iter().step_by(2).copied().collect();
        for from in 0..=digits.len() - WINDOW {
            let start = first + 2 * from;
            if start >= until {
                return;
            }
            let offset = self.position + as_u64(start);
            for needle in needles.probe(key_at(&digits, from)) {
                match *needle {
                    Needle::Candidate(index) => {
                        if digits[from..].starts_with(&needles.candidates[index]) {
                            let known = self.findings.candidates.entry(index).or_insert(offset);
                            *known = offset.min(*known);
                        }
                    }
                    Needle::Scratch { scratch, .. } => {
                        self.findings.residue.get_or_insert(Residue {
                            scratch,
                            offset,
                            form: ResidueForm::Utf16,
                        });
                    }
                }
            }
        }
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).expect("a length in memory fits 64 bits")
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
