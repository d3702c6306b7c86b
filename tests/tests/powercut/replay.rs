//! From the log of a disk to what may be on it after a power cut.
//!
//! What was written before the last flush is on the disk. Of what was written after it, any part may be, sector by sector: the cache of a disk keeps no order.
//! Of several writes to one sector any may be the one that counts. So a state is given by the place in the log where the power goes and by which
//! sectors of the unflushed writes before that place are left out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::image::Image;
use crate::ledger::{Event, Ledger};
use ::tests::Random;

/// One thing that happened to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Write { offset: u64, bytes: Arc<[u8]> },
    Flush,
    Event(Event),
}

/// A disk, what the store on it had promised, and what happened since.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    pub(crate) image: Image,
    pub(crate) ledger: Ledger,
    pub(crate) log: Vec<Entry>,
}

/// What of the unflushed writes is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survival {
    Nothing,
    Everything,
    /// Everything but the n-th write.
    AllBut(usize),
    /// The n-th write alone.
    Only(usize),
    /// Each write with a chance of `chance` in 8, whole or not at all.
    Writes {
        seed: u64,
        chance: usize,
    },
    /// Each sector of each write with a chance of `chance` in 8.
    Sectors {
        seed: u64,
        chance: usize,
    },
}

/// A power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The power goes before this entry of the log.
    pub(crate) at: usize,
    pub(crate) survival: Survival,
}

/// How many writes, flushes and promises a log has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) writes: usize,
    pub(crate) bytes: usize,
    pub(crate) flushes: usize,
    pub(crate) promises: usize,
}

impl Recording {
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.log {
            match entry {
                Entry::Write { bytes, .. } => {
                    counts.writes += 1;
                    counts.bytes += bytes.len();
                }
                Entry::Flush => counts.flushes += 1,
                Entry::Event(Event::Promise(_)) => counts.promises += 1,
                Entry::Event(
                    Event::WithdrawRoot(_) | Event::WithdrawCurrent | Event::WithdrawObject(_),
                ) => {}
            }
        }
        counts
    }

    /// The parts of the log between two flushes.
    fn epochs(&self) -> Vec<Range<usize>> {
        let mut epochs = Vec::new();
        let mut start = 0;
        for (index, entry) in self.log.iter().enumerate() {
            if *entry == Entry::Flush {
                epochs.push(start..index);
                start = index + 1;
            }
        }
        epochs.push(start..self.log.len());
        epochs
    }

    /// The places of the writes in a part of the log.
    fn writes(&self, part: Range<usize>) -> Vec<usize> {
        part.filter(|index| matches!(self.log[*index], Entry::Write { .. }))
            .collect()
    }

    /// Chooses power cuts, by their place in the log.
    ///
    /// First one for each flush, with nothing that came after it on the disk although the power went just before the next one: that is when
    /// most is promised and least is written. Then `variants` for each two flushes with something written between them.
    pub(crate) fn plan(&self, random: &mut Random, variants: usize) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for epoch in self.epochs() {
            let quiet = epoch.is_empty() && epoch.start > 0;
            if !quiet {
                cuts.push(Cut {
                    at: epoch.end,
                    survival: Survival::Nothing,
                });
            }
            let writes = self.writes(epoch.clone());
            if writes.is_empty() {
                continue;
            }
            for _ in 0..variants {
                let first = writes[0] + 1;
                let at = first + random.below(epoch.end - first + 1);
                let before = writes.iter().filter(|write| **write < at).count();
                let (seed, chance) = (random.next(), [1, 4, 7][random.below(3)]);
                let survival = match random.below(6) {
                    0 => Survival::Everything,
                    1 => Survival::AllBut(random.below(before)),
                    2 => Survival::Only(random.below(before)),
                    3 => Survival::Writes { seed, chance },
                    _ => Survival::Sectors { seed, chance },
                };
                let cut = Cut { at, survival };
                if !cuts.contains(&cut) {
                    cuts.push(cut);
                }
            }
        }
        cuts.sort_by_key(|cut| cut.at);
        cuts
    }
}

/// Makes the states of a disk, in the order of their places in the log.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    recording: &'a Recording,
    sector: usize,
    /// What is on the disk for sure, and what is promised, before this entry of the log.
    flushed: usize,
    image: Image,
    ledger: Ledger,
}

impl<'a> Replay<'a> {
    /// `sector` is how many bytes the disk writes as a whole or not at all.
    pub(crate) fn new(recording: &'a Recording, sector: usize) -> Self {
        Self {
            recording,
            sector,
            flushed: 0,
            image: recording.image.clone(),
            ledger: recording.ledger.clone(),
        }
    }

    /// Returns what is on the disk after a cut, and what must be there.
    ///
    /// # Panics
    /// When a cut before one that came earlier is asked for.
    pub(crate) fn state(&mut self, cut: Cut) -> (Image, Ledger) {
        let log = &self.recording.log;
        let flushed = log[..cut.at]
            .iter()
            .rposition(|entry| *entry == Entry::Flush)
            .map_or(0, |flush| flush + 1);
        assert!(self.flushed <= flushed, "cuts come in order");
        apply(&log[self.flushed..flushed], &mut self.ledger, |write| {
            self.image.write(write.offset, write.bytes);
        });
        self.flushed = flushed;
        let (mut image, mut ledger) = (self.image.clone(), self.ledger.clone());
        let mut survivors = Survivors::new(cut.survival);
        apply(&log[flushed..cut.at], &mut ledger, |write| {
            survivors.write(write, self.sector, &mut image);
        });
        (image, ledger)
    }
}

/// A write in the log.
#[derive(Debug, Clone, Copy)]
struct Write<'a> {
    offset: u64,
    bytes: &'a [u8],
}

fn apply(entries: &[Entry], ledger: &mut Ledger, mut write: impl FnMut(Write<'_>)) {
    for entry in entries {
        match entry {
            Entry::Write { offset, bytes } => write(Write {
                offset: *offset,
                bytes,
            }),
            Entry::Flush => {}
            Entry::Event(event) => ledger.apply(event),
        }
    }
}

/// Decides about one unflushed write after another.
struct Survivors {
    survival: Survival,
    number: usize,
    random: Random,
}

impl Survivors {
    const fn new(survival: Survival) -> Self {
        let seed = match survival {
            Survival::Writes { seed, .. } | Survival::Sectors { seed, .. } => seed,
            _ => 0,
        };
        Self {
            survival,
            number: 0,
            random: Random::new(seed),
        }
    }

    fn write(&mut self, write: Write<'_>, sector: usize, image: &mut Image) {
        let whole = match self.survival {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::AllBut(number) => number != self.number,
            Survival::Only(number) => number == self.number,
            Survival::Writes { chance, .. } => self.random.below(8) < chance,
            Survival::Sectors { chance, .. } => {
                let mut offset = write.offset;
                for bytes in write.bytes.chunks(sector) {
                    if self.random.below(8) < chance {
                        image.write(offset, bytes);
                    }
                    offset += u64::try_from(bytes.len()).expect("a sector is small");
                }
                false
            }
        };
        if whole {
            image.write(write.offset, write.bytes);
        }
        self.number += 1;
    }
}

/// Tells which kinds of survival a plan has, for the report.
pub(crate) fn kinds(cuts: &[Cut]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for cut in cuts {
        let kind = match cut.survival {
            Survival::Nothing => "unflushed writes lost",
            Survival::Everything => "between flushes",
            Survival::AllBut(_) | Survival::Only(_) | Survival::Writes { .. } => "some writes lost",
            Survival::Sectors { .. } => "some sectors lost",
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Fact;

    const SECTOR: usize = 512;

    fn write(sector: u64, fill: u8, sectors: usize) -> Entry {
        Entry::Write {
            offset: sector * 512,
            bytes: vec![fill; sectors * SECTOR].into(),
        }
    }

    fn promise(name: &str) -> Entry {
        Entry::Event(Event::Promise(fact(name)))
    }

    fn fact(name: &str) -> Fact {
        let path = "0000000000000000000000000000000000000000-x";
        Fact::Root(name.into(), path.parse().unwrap())
    }

    /// Two writes, a flush, a promise, two writes to one sector and one of three sectors, a promise, a flush.
    fn recording() -> Recording {
        Recording {
            image: Image::empty(1 << 20),
            ledger: Ledger::default(),
            log: vec![
                write(0, 1, 1),
                write(1, 2, 1),
                Entry::Flush,
                promise("a"),
                write(0, 3, 1),
                write(0, 4, 1),
                write(2, 5, 3),
                promise("b"),
                Entry::Flush,
            ],
        }
    }

    /// The first byte of each of the first five sectors.
    fn sectors(image: &Image) -> [u8; 5] {
        std::array::from_fn(|sector| image.read(u64::try_from(sector * SECTOR).unwrap(), 1)[0])
    }

    fn state(at: usize, survival: Survival) -> ([u8; 5], Ledger) {
        let recording = recording();
        let (image, ledger) = Replay::new(&recording, SECTOR).state(Cut { at, survival });
        (sectors(&image), ledger)
    }

    #[test]
    fn flushed_writes_are_kept_and_promises_count_from_their_place() {
        assert_eq!(
            state(3, Survival::Nothing),
            ([1, 2, 0, 0, 0], Ledger::default())
        );
        assert_eq!(
            state(7, Survival::Nothing),
            ([1, 2, 0, 0, 0], Ledger::from_iter([fact("a")]))
        );
        assert_eq!(
            state(8, Survival::Nothing),
            ([1, 2, 0, 0, 0], Ledger::from_iter([fact("a"), fact("b")]))
        );
        assert_eq!(state(9, Survival::Nothing).0, [4, 2, 5, 5, 5]);
    }

    #[test]
    fn unflushed_writes_are_kept_as_far_as_they_survive() {
        assert_eq!(state(2, Survival::Nothing).0, [0; 5]);
        assert_eq!(state(1, Survival::Everything).0, [1, 0, 0, 0, 0]);
        assert_eq!(state(8, Survival::Everything).0, [4, 2, 5, 5, 5]);
        assert_eq!(state(8, Survival::AllBut(1)).0, [3, 2, 5, 5, 5]);
        assert_eq!(state(8, Survival::Only(2)).0, [1, 2, 5, 5, 5]);
    }

    #[test]
    fn a_write_of_several_sectors_can_be_torn_and_every_combination_comes_up() {
        let mut torn = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let (sectors, _) = state(8, Survival::Sectors { seed, chance: 4 });
            assert!([1, 3, 4].contains(&sectors[0]));
            assert_eq!(sectors[1], 2, "what was flushed stays");
            torn.insert(sectors);
        }
        assert_eq!(torn.len(), 3 * 8);
    }

    #[test]
    fn whole_writes_are_never_torn() {
        for seed in 0..50 {
            let (sectors, _) = state(8, Survival::Writes { seed, chance: 4 });
            assert!(matches!(sectors[2..], [0, 0, 0] | [5, 5, 5]));
        }
    }

    #[test]
    fn one_replay_gives_the_same_states_as_many() {
        let recording = recording();
        let cuts = recording.plan(&mut Random::new(7), 20);
        let mut replay = Replay::new(&recording, SECTOR);
        for cut in cuts {
            let (image, ledger) = replay.state(cut);
            assert_eq!((sectors(&image), ledger), state(cut.at, cut.survival));
        }
    }

    #[test]
    fn a_plan_has_every_flush_and_stays_in_the_log() {
        let recording = recording();
        let cuts = recording.plan(&mut Random::new(1), 5);
        let losing: Vec<usize> = cuts
            .iter()
            .filter(|cut| cut.survival == Survival::Nothing)
            .map(|cut| cut.at)
            .collect();
        assert_eq!(losing, [2, 8]);
        assert!(cuts.iter().all(|cut| cut.at <= recording.log.len()));
        assert_eq!(cuts, recording.plan(&mut Random::new(1), 5));
    }

    #[test]
    fn counts_are_of_the_whole_log() {
        let counts = recording().counts();
        assert_eq!(
            (counts.writes, counts.bytes, counts.flushes, counts.promises),
            (5, 7 * SECTOR, 2, 2)
        );
    }
}
