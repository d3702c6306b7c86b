//! The server's socket, and what comes in there.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use futures_util::future::{Either, select};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{ServerEvent, Service, pace::Paced, service::answer};

/// Threads that read, write and check files, and those that wait for what a service has made.
const BLOCKING_THREADS: usize = 32 + WAITING_THREADS;
/// Threads that may wait for long; who lets more do so stops the server.
pub const WAITING_THREADS: usize = 256;
/// How long nothing is accepted after the system said that it has no room for a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How long threads get to end what they are writing after the last connection is gone.
const LAST: Duration = Duration::from_secs(10);
/// Bytes of the head of a request at most, and of what is read ahead of a body.
const MAX_BUFFER: usize = 64 << 10;

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the threads of the server")]
    Threads(#[source] io::Error),
}

/// A server that listens, and answers while it [runs](Self::run).
#[derive(Debug)]
pub struct Server<S> {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<S>,
    stop: watch::Sender<bool>,
}

/// Stops a server from any thread.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    stop: watch::Sender<bool>,
}

impl ServerHandle {
    /// Makes the server accept nothing more, answer what it has been asked, and end. May be called at any time and any number of times.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
    }
}

impl<S: Service> Server<S> {
    /// Listens for a service. Port 0 is any that is free.
    pub fn bind(address: SocketAddr, service: S) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            service: Arc::new(service),
            stop: watch::Sender::new(false),
        })
    }

    /// Returns where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what stops the server.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            stop: self.stop.clone(),
        }
    }

    /// Answers until it is stopped, on threads of its own. What is being asked then is answered, within
    /// [`grace`](super::ServerLimits::grace); files that were received whole are written in any case.
    pub fn run(self) -> Result<(), ListenError> {
        let runtime = runtime().map_err(ListenError::Threads)?;
        let address = self.address;
        let result = runtime.block_on(self.accept());
        runtime.shutdown_timeout(LAST);
        result.map_err(|source| ListenError::Listen { address, source })
    }

    async fn accept(self) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let service = self.service;
        let gate = service.gate();
        let limits = gate.limits();
        let slots = Arc::new(Semaphore::new(
            limits.connections.min(Semaphore::MAX_PERMITS),
        ));
        let graceful = GracefulShutdown::new();
        let mut stop = self.stop.subscribe();
        let mut stopped = pin!(stop.wait_for(|stop| *stop));
        loop {
            let next = pin!(next(&listener, &slots));
            let (accepted, slot) = match select(stopped.as_mut(), next).await {
                Either::Left(_) => break,
                Either::Right((next, _)) => next,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    gate.tell(&ServerEvent::NotAccepting { error: &error });
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let client = peer.ip().to_canonical();
            if !gate.connections.open(client, limits.connections_per_client) {
                gate.metrics().refused_connections.fetch_add(1, Relaxed);
                continue;
            }
            serve(Arc::clone(&service), stream, client, slot, &graceful);
        }
        drop(listener);
        drop(timeout(limits.grace, graceful.shutdown()).await);
        Ok(())
    }
}

/// Waits for room, and then for a client.
async fn next(
    listener: &tokio::net::TcpListener,
    slots: &Arc<Semaphore>,
) -> (
    io::Result<(TcpStream, SocketAddr)>,
    Option<OwnedSemaphorePermit>,
) {
    // Nobody closes the semaphore.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    (listener.accept().await, slot)
}

/// Answers the requests of one connection in the background.
fn serve<S: Service>(
    service: Arc<S>,
    stream: TcpStream,
    client: IpAddr,
    slot: Option<OwnedSemaphorePermit>,
    graceful: &GracefulShutdown,
) {
    // Small answers must not wait for more to send; where it cannot be set they do.
    let _set: io::Result<()> = stream.set_nodelay(true);
    let limits = *service.gate().limits();
    let stream = Paced::new(stream, limits.stall, limits.min_bytes);
    let answering = Arc::clone(&service);
    let function = service_fn(move |request| {
        let service = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(answer(service, client, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), function);
    let connection = graceful.watch(connection);
    let metrics = service.gate().metrics();
    metrics.connections.fetch_add(1, Relaxed);
    tokio::spawn(async move {
        // How a connection ends is its client's affair.
        let _ended: Result<(), hyper::Error> = connection.await;
        let gate = service.gate();
        gate.metrics().connections.fetch_sub(1, Relaxed);
        gate.connections.close(client);
        drop(slot);
    });
}

fn runtime() -> io::Result<Runtime> {
    let threads = thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8));
    Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("pith-serve")
        .enable_all()
        .build()
}
