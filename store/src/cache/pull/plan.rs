//! From what is missing to the parts of packs that have it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::{
    BlobId, PackDigest,
    cache::format::{Frame, Manifest},
};

/// Compressed bytes between two wanted frames that are read and not skipped: a request costs more.
const GAP: u64 = 64 << 10;

/// A piece of a missing content that a frame has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) blob: BlobId,
    /// Where it begins in what the frame holds.
    pub(super) offset: u32,
    pub(super) length: u32,
    /// Where it begins in the content.
    pub(super) at: u64,
    /// How many pieces the content has.
    pub(super) pieces: usize,
}

/// A frame that is needed, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) frame: Frame,
    pub(super) pieces: Vec<Piece>,
}

impl Job {
    /// Whether all that is wanted of the frame are whole contents. Each is compared with its own digest before it is written, so that of the frame says nothing more,
    /// unless one is wrong and it matters who is to blame.
    pub(super) fn is_of_whole_contents(&self) -> bool {
        self.pieces.iter().all(|piece| piece.pieces == 1)
    }
}

/// Frames of a pack that are read one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) pack: PackDigest,
    /// Bytes of the pack.
    pub(super) range: Range<u64>,
    pub(super) jobs: Vec<Job>,
}

/// Chooses a place for each missing content, the first manifest's that has one, and returns the frames that are needed: ascending, each once.
pub(super) fn choose<'a>(
    manifests: impl Iterator<Item = &'a Manifest>,
    missing: &BTreeSet<BlobId>,
) -> Vec<Job> {
    let mut chosen = BTreeSet::new();
    let mut jobs: BTreeMap<Frame, Vec<Piece>> = BTreeMap::new();
    for manifest in manifests {
        for blob in manifest.blobs() {
            if !missing.contains(&blob.id) || !chosen.insert(blob.id) {
                continue;
            }
            let mut at = 0;
            for part in blob.parts {
                let Some(frame) = manifest.frames().get(part.frame as usize) else {
                    continue;
                };
                jobs.entry(*frame).or_default().push(Piece {
                    blob: blob.id,
                    offset: part.offset,
                    length: part.length,
                    at,
                    pieces: blob.parts.len(),
                });
                at += u64::from(part.length);
            }
        }
    }
    jobs.into_iter()
        .map(|(frame, pieces)| Job { frame, pieces })
        .collect()
}

/// Groups frames, ascending, into ranges of packs. Frames that overlap, which only hostile manifests have, are of different ranges.
pub(super) fn coalesce(jobs: Vec<Job>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for job in jobs {
        let start = u64::from(job.frame.offset);
        let end = start + u64::from(job.frame.compressed_length);
        match runs.last_mut() {
            Some(run)
                if run.pack == job.frame.pack
                    && run.range.end <= start
                    && start - run.range.end <= GAP =>
            {
                run.range.end = end;
                run.jobs.push(job);
            }
            _ => runs.push(Run {
                pack: job.frame.pack,
                range: start..end,
                jobs: vec![job],
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pack: u8, offset: u32, compressed_length: u32) -> Job {
        Job {
            frame: Frame {
                pack: PackDigest::from_bytes([pack; 32]),
                offset,
                compressed_length,
                length: 1,
                content: BlobId::from_bytes([0; 32]),
            },
            pieces: Vec::new(),
        }
    }

    fn ranges(jobs: Vec<Job>) -> Vec<(u8, Range<u64>)> {
        let runs = coalesce(jobs).into_iter();
        runs.map(|run| (run.pack.as_bytes()[0], run.range))
            .collect()
    }

    #[test]
    fn neighbours_are_read_at_once_and_others_are_not() {
        let far = 100 + (64 << 10);
        assert_eq!(
            ranges(vec![
                job(1, 8, 92),
                job(1, 100, 10),
                job(1, 150, 10),
                job(1, 150 + far, 5),
                job(2, 155 + far, 5),
            ]),
            [
                (1, 8..160),
                (1, 150 + u64::from(far)..155 + u64::from(far)),
                (2, 155 + u64::from(far)..160 + u64::from(far)),
            ]
        );
    }

    #[test]
    fn overlapping_frames_are_read_apart() {
        assert_eq!(
            ranges(vec![job(1, 8, 100), job(1, 50, 100)]),
            [(1, 8..108), (1, 50..150)]
        );
    }
}
