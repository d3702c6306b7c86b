//! An image at hand, as a registry of this machine for as long as something runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use store::{
    serve::{
        Gate, GateOptions, ListenError, ReadAccess, Scopes, Server, ServerHandle, ServerLimits,
        TokenEntry, TokenError,
    },
    trust::TrustError,
};
use zeroize::Zeroizing;

use super::{
    one_image::{Asked, OneImage},
    part::{PartSender, Stop},
};
use crate::{
    Event, Image, SinkError,
    image::ImageError,
    layer::{Encoded, Layer},
    oci::Digest,
};

/// What the token is called.
const CLIENT: &str = "engine";
/// How long a client may take nothing of what it has asked for: an engine on a slow disk writes for long.
const STALL: Duration = Duration::from_secs(600);
/// How long answers get to end when nobody needs them any more.
const GRACE: Duration = Duration::from_secs(1);

/// Why an image was not served.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    /// A layer that was never made before cannot be.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A layer cannot be made while it is sent.
    #[error(transparent)]
    Layer(#[from] SinkError),
    /// Nobody can be asked.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token cannot be named.
    #[error(transparent)]
    Name(#[from] TrustError),
    /// What is known of the token cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where an image can be had, and by whom.
pub struct Loopback {
    /// Where the registry listens: on the loopback interface, which all users of this machine reach.
    pub address: SocketAddr,
    /// What a client says as its password, whatever its name: nobody else gets anything.
    pub token: Zeroizing<String>,
    /// The digest of the image's manifest.
    pub manifest: Digest,
    /// The digest of its configuration, by which engines know it.
    pub config: Digest,
    sent_layers: AtomicUsize,
}

impl Loopback {
    /// Returns how many layers were asked for until now, those of a base too; the others the client has already, or does not want.
    pub fn sent_layers(&self) -> usize {
        self.sent_layers.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("address", &self.address)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Image<'_> {
    /// Is a registry that has this image alone, under its name, until `work` returns. Nothing is written to a disk but the digest of a token.
    ///
    /// Layers that were never made before are made for their digests first, and all that are asked for once more while they are sent: one after another, the
    /// lowest first, so that a client unpacks while it still fetches. An error of making them comes before what `work` returns.
    pub fn serve_while<T>(&self, work: impl FnOnce(&Loopback) -> T) -> Result<T, LoopbackError> {
        let documents = self.assembled()?;
        let (entry, token) = TokenEntry::generate(CLIENT.parse()?, Scopes::Read)?;
        let directory = tempfile::tempdir().map_err(writing(std::env::temp_dir()))?;
        let tokens = directory.path().join("tokens");
        fs::write(&tokens, format!("{entry}\n")).map_err(writing(tokens.clone()))?;
        let (manifest, config) = (
            documents.manifest_descriptor.digest,
            documents.config_descriptor.digest,
        );
        let sizes = documents.layers.iter().map(|layer| layer.size_bytes);
        let sizes: Vec<u64> = sizes.collect();
        let (maker, asked) = mpsc::channel();
        let service = OneImage {
            gate: gate(tokens)?,
            name: self.name().clone(),
            documents,
            maker,
        };
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), service)?;
        let loopback = Loopback {
            address: server.address(),
            token,
            manifest,
            config,
            sent_layers: AtomicUsize::new(0),
        };
        let end = EndOnDrop(server.handle());
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.run());
            let making = scope.spawn(|| self.hand_over(&sizes, asked, &loopback.sent_layers));
            let done = work(&loopback);
            drop(end);
            // A panic of theirs is passed on when the scope ends.
            let (served, made) = (serving.join(), making.join());
            if let Ok(Err(error)) = made {
                return Err(error.into());
            }
            if let Ok(Err(error)) = served {
                return Err(error.into());
            }
            Ok(done)
        })
    }

    /// Makes the layers that are asked for, until nobody asks any more or one cannot be made.
    fn hand_over(
        &self,
        sizes: &[u64],
        asked: Receiver<Asked>,
        sent_layers: &AtomicUsize,
    ) -> Result<(), SinkError> {
        let mut queue = Queue::new(asked);
        let mut sent = BTreeSet::new();
        while let Some(next) = queue.next() {
            if sent.is_empty() {
                self.tell_sending();
            }
            sent.insert(next.layer);
            sent_layers.store(sent.len(), Ordering::Relaxed);
            let size_bytes = sizes.get(next.layer).copied().unwrap_or_default();
            match self.send_layer(&next, size_bytes) {
                Ok(()) | Err(Stop::Enough) => {}
                Err(Stop::Failed(error)) => {
                    next.fail(io::Error::other(error.to_string()));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Says that layers go out: which ones, only the client knows.
    fn tell_sending(&self) {
        let objects = self.layers().iter().flat_map(Layer::objects);
        (self.events)(Event::Sending {
            name: &self.name().to_string(),
            layers: self.layers().len(),
            file_bytes: objects.map(|object| object.size_bytes).sum(),
        });
    }

    fn send_layer(&self, asked: &Asked, size_bytes: u64) -> Result<(), Stop> {
        let mut part = PartSender::new(asked.part.clone(), size_bytes, &asked.body);
        let base = self.below.as_ref().map(|below| &below.base);
        let layers_below = base.map_or(0, |base| base.layers().len());
        let Some(own) = asked.layer.checked_sub(layers_below) else {
            if let Some((base, layer)) = base.zip(base.and_then(|b| b.layers().get(asked.layer))) {
                base.image()
                    .read_blob(layer, &mut |bytes| part.receive(bytes))?;
            }
            return part.end();
        };
        self.encode_with(
            &self.encoder(self.options.compression),
            &[own],
            &mut self.find_layers(),
            &mut |encoded| match encoded {
                Encoded::Begin(_) => Ok(()),
                Encoded::Bytes(bytes) => part.receive(bytes),
                Encoded::End(..) => part.end(),
            },
        )
    }
}

fn gate(tokens: PathBuf) -> Result<Gate, TokenError> {
    Gate::new(GateOptions {
        read: ReadAccess::Tokens,
        public_write: false,
        tokens: Some(tokens),
        limits: ServerLimits {
            requests_per_second: 0,
            stall: STALL,
            grace: GRACE,
            ..ServerLimits::default()
        },
        on_event: None,
        counters: "loopback",
    })
}

fn writing(path: PathBuf) -> impl FnOnce(io::Error) -> LoopbackError {
    move |source| LoopbackError::Write { path, source }
}

/// Ends a server, also when whoever needed it panics.
struct EndOnDrop(ServerHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// What clients wait for, the lowest layer first.
struct Queue {
    asked: Receiver<Asked>,
    waiting: BTreeMap<(usize, u64), Asked>,
    count: u64,
}

impl Queue {
    const fn new(asked: Receiver<Asked>) -> Self {
        Self {
            asked,
            waiting: BTreeMap::new(),
            count: 0,
        }
    }

    /// Returns what is to be made next, after waiting for it if need be; `None` when nobody asks any more.
    fn next(&mut self) -> Option<Asked> {
        if self.waiting.is_empty() {
            let first = self.asked.recv().ok()?;
            self.add(first);
        }
        while let Ok(more) = self.asked.try_recv() {
            self.add(more);
        }
        self.waiting.pop_first().map(|(_, next)| next)
    }

    fn add(&mut self, asked: Asked) {
        self.waiting.insert((asked.layer, self.count), asked);
        self.count += 1;
    }
}
