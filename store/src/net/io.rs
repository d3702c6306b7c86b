//! The bridge from synchronous callers to what is async inside.

use std::fmt;

use tokio::runtime::{Builder, Runtime};

use super::{NetError, chain};

/// Threads that wait for the network. They only pass bytes on; decoding and hashing are done by the callers.
const THREADS: usize = 2;

/// Drives the network for callers that block. Many threads may use one at once, but none that drives async code itself.
pub(crate) struct Io {
    runtime: Option<Runtime>,
}

impl Io {
    pub(crate) fn new() -> Result<Self, NetError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("pith-net")
            .enable_all()
            .build()
            .map_err(|error| NetError::Client {
                message: chain(&error),
            })?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Waits for a future, which has its own time limit.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .as_ref()
            .expect("the runtime is taken when dropped alone")
            .block_on(future)
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io")
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // A name server that does not answer must not hold up the end of the command.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
