//! The bytes of an answer, as they come, from servers of which nothing is believed.

use std::{
    fmt,
    io::{self, Read},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};

use super::{Io, NetError, Patience};

/// What delivers the pieces of a body.
pub(crate) trait Pieces: Send + 'static {
    /// The next piece, `None` at the end. Nothing is lost when the future is dropped.
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Bytes>, NetError>> + Send + '_>>;
}

impl Pieces for reqwest::Response {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Bytes>, NetError>> + Send + '_>> {
        Box::pin(async { Ok(self.chunk().await?) })
    }
}

/// Reads the body of an answer; fails when too little comes for too long. Its errors hold a [`NetError`].
pub(crate) struct Body {
    io: Arc<Io>,
    pieces: Box<dyn Pieces>,
    piece: Bytes,
    ended: bool,
    meter: Meter,
}

impl Body {
    pub(crate) fn new(io: Arc<Io>, pieces: impl Pieces, patience: Patience) -> Self {
        Self {
            io,
            pieces: Box::new(pieces),
            piece: Bytes::new(),
            ended: false,
            meter: Meter::new(patience),
        }
    }

    fn fill(&mut self) -> Result<(), NetError> {
        while self.piece.is_empty() && !self.ended {
            let begun = Instant::now();
            let next = self.pieces.next();
            let limit = self.meter.left();
            let result = self
                .io
                .wait(async { tokio::time::timeout(limit, next).await });
            let received = match result {
                Err(_elapsed) => 0,
                Ok(Err(error)) => return Err(error),
                Ok(Ok(None)) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(Ok(Some(piece))) => {
                    self.piece = piece;
                    self.piece.len()
                }
            };
            self.meter.count(begun.elapsed(), received as u64)?;
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.fill().map_err(io::Error::other)?;
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// Counts what came in the time that was spent on waiting, so that a slow reader is not taken for a slow server.
struct Meter {
    patience: Patience,
    waited: Duration,
    received: u64,
}

impl Meter {
    const fn new(patience: Patience) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// How long may be waited until the next judgement.
    fn left(&self) -> Duration {
        // Never nothing: a piece that is there already must be taken.
        self.patience
            .stall
            .saturating_sub(self.waited)
            .max(Duration::from_millis(1))
    }

    fn count(&mut self, waited: Duration, received: u64) -> Result<(), NetError> {
        self.waited += waited;
        self.received += received;
        if self.waited < self.patience.stall {
            return Ok(());
        }
        if self.received < self.patience.min_bytes {
            return Err(NetError::Stalled {
                min_bytes: self.patience.min_bytes,
                period: self.patience.stall,
            });
        }
        *self = Self::new(self.patience);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_a_stall_and_a_slow_stream_is_none() {
        let patience = Patience {
            stall: Duration::from_secs(15),
            min_bytes: 150,
            ..Patience::default()
        };
        let second = Duration::from_secs(1);
        let run = |bytes| {
            let mut meter = Meter::new(patience);
            (0..60).try_for_each(|_| meter.count(second, bytes))
        };
        assert_eq!(run(10), Ok(()));
        assert_eq!(
            run(9),
            Err(NetError::Stalled {
                min_bytes: 150,
                period: Duration::from_secs(15)
            })
        );
    }
}
