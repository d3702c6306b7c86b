//! A part of a blob as the body of an answer, whose bytes come while it is sent.

use std::{io, ops::Range};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use store::serve::Body;
use tokio::sync::mpsc;

use crate::{SinkError, existing::ExistingError, layer::LayerError};

/// Pieces that wait for the client; each has up to 4 MiB.
const WAITING: usize = 1;

/// Where the pieces of a body go.
pub(super) type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Why no more is made.
pub(super) enum Stop {
    /// Everything that is wanted has been sent, or the client is gone.
    Enough,
    /// It cannot be made.
    Failed(SinkError),
}

impl From<LayerError> for Stop {
    fn from(error: LayerError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ExistingError> for Stop {
    fn from(error: ExistingError) -> Self {
        Self::Failed(error.into())
    }
}

/// Returns where the pieces of a body go, and from where they come.
pub(super) fn pieces() -> (Pieces, mpsc::Receiver<io::Result<Bytes>>) {
    mpsc::channel(WAITING)
}

/// Returns the body that has what comes.
pub(super) fn body_of(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    let pieces = stream::unfold(receiver, |mut receiver| async {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Sends one part of a blob, all of whose bytes it is given in order.
pub(super) struct PartSender<'a> {
    part: Range<u64>,
    size_bytes: u64,
    at: u64,
    /// The last piece waits until the digest of everything is known to be right.
    held: Option<Bytes>,
    pieces: &'a Pieces,
}

impl<'a> PartSender<'a> {
    /// Begins with a part of a blob of so many bytes.
    pub(super) const fn new(part: Range<u64>, size_bytes: u64, pieces: &'a Pieces) -> Self {
        Self {
            part,
            size_bytes,
            at: 0,
            held: None,
            pieces,
        }
    }

    /// Takes the next bytes. Blocks while the client takes none.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let piece = cut(bytes, self.at, &self.part);
        self.at += bytes.len() as u64;
        if !piece.is_empty()
            && let Some(before) = self.held.replace(Bytes::copy_from_slice(piece))
        {
            self.send(before)?;
        }
        if self.at >= self.part.end && self.part.end < self.size_bytes {
            self.end()?;
            return Err(Stop::Enough);
        }
        Ok(())
    }

    /// Sends what was held back: the bytes were those of the digest.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        self.held.take().map_or(Ok(()), |last| self.send(last))
    }

    fn send(&self, bytes: Bytes) -> Result<(), Stop> {
        let sent = self.pieces.blocking_send(Ok(bytes));
        sent.map_err(|_| Stop::Enough)
    }
}

/// Returns what of `bytes`, which begin at `at`, lies in `part`.
fn cut<'a>(bytes: &'a [u8], at: u64, part: &Range<u64>) -> &'a [u8] {
    let end = at + bytes.len() as u64;
    let (first, last) = (part.start.clamp(at, end), part.end.clamp(at, end));
    // Both lie within the slice.
    let index = |offset: u64| usize::try_from(offset - at).unwrap_or(bytes.len());
    &bytes[index(first)..index(last).max(index(first))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_across_pieces() {
        let all = b"0123456789";
        for start in 0..=10_u64 {
            for end in start..=10 {
                let mut found = Vec::new();
                for (at, piece) in [(0, &all[..4]), (4, &all[4..5]), (5, &all[5..])] {
                    found.extend_from_slice(cut(piece, at, &(start..end)));
                }
                let expected = &all[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
                assert_eq!(found, expected, "{start}..{end}");
            }
        }
    }

    #[test]
    fn the_last_piece_of_a_whole_waits_for_its_end() {
        let (sender, mut receiver) = mpsc::channel(10);
        let mut part = PartSender::new(0..6, 6, &sender);
        assert!(part.receive(b"abc").is_ok());
        assert!(part.receive(b"def").is_ok());
        assert_eq!(receiver.try_recv().unwrap().unwrap(), "abc");
        assert!(receiver.try_recv().is_err());
        assert!(part.end().is_ok());
        assert_eq!(receiver.try_recv().unwrap().unwrap(), "def");
    }
}
