//! A layer as the body of an answer: made while it is sent.

use std::{io, num::NonZero, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use store::serve::Body;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{layer_turns::LayerTurn, packed::Packed};
use crate::layer::{Encoded, Encoder, LayerError};

/// Pieces that wait for the client; each has up to 4 MiB.
const WAITING: usize = 1;

/// Which bytes of which layer.
#[derive(Clone, Debug)]
pub(super) struct LayerPart {
    pub(super) image: usize,
    pub(super) layer: usize,
    pub(super) part: Range<u64>,
    pub(super) size_bytes: u64,
}

/// Why no more is made.
enum Stop {
    /// Everything that is wanted has been sent, or the client is gone.
    Enough,
    Failed(LayerError),
}

impl From<LayerError> for Stop {
    fn from(error: LayerError) -> Self {
        Self::Failed(error)
    }
}

/// Returns the body that is a part of a layer. `turn` is given back when it ends. Bytes before the part are made and left out.
pub(super) fn layer_body(packed: Arc<Packed>, wanted: LayerPart, turn: LayerTurn) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    spawn_blocking(move || {
        let failure = match make(&packed, &wanted, &sender) {
            Ok(()) | Err(Stop::Enough) => None,
            Err(Stop::Failed(error)) => Some(io::Error::other(error)),
        };
        if let Some(error) = failure {
            // Who is gone needs no reason.
            sender.blocking_send(Err(error)).ok();
        }
        drop(turn);
    });
    let pieces = stream::unfold(receiver, |mut receiver| async {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn make(
    packed: &Packed,
    wanted: &LayerPart,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), Stop> {
    let Some(one) = packed.image(wanted.image) else {
        return Ok(());
    };
    let send = |bytes: Bytes| {
        let sent = sender.blocking_send(Ok(bytes));
        sent.map_err(|_| Stop::Enough)
    };
    let mut at = 0_u64;
    // The last piece waits until the digest of everything is known to be right.
    let mut held: Option<Bytes> = None;
    let mut known = one.layers.clone();
    let mut receive = |encoded: Encoded<'_>| {
        match encoded {
            Encoded::Begin(_) => {}
            Encoded::Bytes(bytes) => {
                let piece = cut(bytes, at, &wanted.part);
                at += bytes.len() as u64;
                if !piece.is_empty()
                    && let Some(before) = held.replace(Bytes::copy_from_slice(piece))
                {
                    send(before)?;
                }
                if at >= wanted.part.end && wanted.part.end < wanted.size_bytes {
                    held.take().map_or(Ok(()), send)?;
                    return Err(Stop::Enough);
                }
            }
            Encoded::End(..) => held.take().map_or(Ok(()), send)?,
        }
        Ok(())
    };
    // Several clients are answered at once; each layer needs no more than one processor.
    let encoder = Encoder {
        threads: Some(NonZero::<usize>::MIN),
        ..one.image.encoder(one.image.options.compression)
    };
    one.image
        .encode_with(&encoder, &[wanted.layer], &mut known, &mut receive)
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
}
