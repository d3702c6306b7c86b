//! Connections to clients that must take what they are sent.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// A connection that fails when a client does not take `min_bytes` in `stall` although there is something for it.
///
/// What a client sends is watched where it is read: a connection that waits for nothing may be silent for long.
pub(super) struct Paced {
    stream: TcpStream,
    stall: Duration,
    min_bytes: u64,
    /// Since something has been waiting to go out.
    waiting: Option<Waiting>,
}

struct Waiting {
    limit: Pin<Box<Sleep>>,
    moved: u64,
}

impl Paced {
    pub(super) const fn new(stream: TcpStream, stall: Duration, min_bytes: u64) -> Self {
        Self {
            stream,
            stall,
            min_bytes,
            waiting: None,
        }
    }

    /// Looks at the clock after every attempt to write.
    fn watch(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.moved += count as u64;
                    if waiting.moved >= self.min_bytes {
                        self.waiting = None;
                    }
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let waiting = self.waiting.get_or_insert_with(|| Waiting {
                    limit: Box::pin(sleep(self.stall)),
                    moved: 0,
                });
                ready!(waiting.limit.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything that was there has gone out; the next piece has its own time.
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Tells whether a sender that must move `min_bytes` in `stall` does.
#[derive(Debug)]
pub(super) struct Progress {
    stall: Duration,
    min_bytes: u64,
    until: Instant,
    moved: u64,
}

impl Progress {
    pub(super) fn new(stall: Duration, min_bytes: u64) -> Self {
        Self {
            stall,
            min_bytes,
            until: Instant::now() + stall,
            moved: 0,
        }
    }

    /// By when the next bytes have to be there.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
        if self.moved >= self.min_bytes {
            self.moved = 0;
            self.until = Instant::now() + self.stall;
        }
    }
}
