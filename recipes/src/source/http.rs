//! One transfer from one address, without retries: the head of the answer, then its bytes in pieces.
//!
//! Every transfer runs on a thread of its own that only passes on what comes. The caller therefore never waits longer than
//! it wants to, for a name server as little as for a silent peer, and can leave at any time: a thread nobody listens to
//! ends by itself with its next piece or its time limit.
//!
//! TLS, proxies and certificates are those of [`store::net`]. A redirect to another host takes no credentials with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use reqwest::blocking as web;
use reqwest::header::{ACCEPT_ENCODING, RANGE};
use store::net::{
    NetError, NetOptions, chain, client_builder, content_range, percent_decode, retry_after,
};

use super::{Address, AttemptError};

/// Hops after which a chain of redirects is given up.
const MAX_REDIRECTS: usize = 10;
/// Pieces that may wait between the network and the disk.
const PIECES_IN_FLIGHT: usize = 16;
const PIECE_BYTES: usize = 64 << 10;

/// What a transfer tells its caller, in this order: one head, pieces, and a last message of the other two.
pub(super) enum Message {
    /// The server has the file.
    Head {
        /// Where the first piece belongs in the file.
        start: u64,
        /// Size of the whole file.
        total: Option<u64>,
    },
    Piece(Vec<u8>),
    End,
    Failed(AttemptError),
}

/// Opens transfers. Connections are kept and shared between them.
pub(super) struct Http {
    options: NetOptions,
    clients: Mutex<BTreeMap<Option<String>, web::Client>>,
}

impl Http {
    pub(super) fn new(options: NetOptions) -> Self {
        Self {
            options,
            clients: Mutex::default(),
        }
    }

    /// Starts a transfer of what lies behind the first `offset` bytes; the server may nevertheless begin at 0.
    pub(super) fn open(&self, address: &Address, offset: u64) -> Receiver<Message> {
        let (sender, receiver) = sync_channel(PIECES_IN_FLIGHT);
        if let Some(path) = address.url.strip_prefix("file://") {
            // What is not well escaped is a name as it stands.
            let path = percent_decode(path).unwrap_or_else(|| path.to_owned());
            thread::spawn(move || finish(&sender, read_file(&path, offset, &sender)));
            return receiver;
        }
        match self.client(address.proxy.as_deref()) {
            Ok(client) => {
                let url = address.url.clone();
                thread::spawn(move || finish(&sender, request(&client, &url, offset, &sender)));
            }
            Err(error) => finish(&sender, Err(error)),
        }
        receiver
    }

    fn client(&self, proxy: Option<&str>) -> Result<web::Client, AttemptError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&proxy.map(str::to_owned)) {
            return Ok(client.clone());
        }
        let client = self.make_client(proxy)?;
        clients.insert(proxy.map(str::to_owned), client.clone());
        Ok(client)
    }

    fn make_client(&self, proxy: Option<&str>) -> Result<web::Client, AttemptError> {
        web::ClientBuilder::from(client_builder(&self.options, proxy)?)
            .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
            // Only ends threads that nobody listens to any more; the caller's own limit is shorter.
            .timeout(self.options.timeouts.stall.saturating_mul(4))
            .build()
            .map_err(|error| NetError::from(error).into())
    }
}

fn finish(sender: &SyncSender<Message>, result: Result<(), AttemptError>) {
    let last = match result {
        Ok(()) => Message::End,
        Err(error) => Message::Failed(error),
    };
    // Nobody listens any more when the caller gave up.
    drop(sender.send(last));
}

fn request(
    client: &web::Client,
    url: &str,
    offset: u64,
    sender: &SyncSender<Message>,
) -> Result<(), AttemptError> {
    let mut request = client.get(url).header(ACCEPT_ENCODING, "identity");
    if offset > 0 {
        request = request.header(RANGE, format!("bytes={offset}-"));
    }
    let mut response = request.send().map_err(NetError::from)?;
    let code = response.status().as_u16();
    let (start, total) = match code {
        200 => (0, response.content_length()),
        206 => content_range(response.headers())
            .map_or((u64::MAX, None), |range| (range.start, range.total)),
        _ => {
            return Err(AttemptError::Status {
                code,
                retry_after: retry_after(response.headers()),
            });
        }
    };
    if sender.send(Message::Head { start, total }).is_err() {
        return Ok(());
    }
    pass_on(&mut response, sender).map_err(|error| AttemptError::Connection {
        message: chain(&error),
    })
}

fn read_file(path: &str, offset: u64, sender: &SyncSender<Message>) -> Result<(), AttemptError> {
    let failed = |error: io::Error| AttemptError::File {
        message: error.to_string(),
    };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(AttemptError::File {
            message: "it is no regular file".to_owned(),
        });
    }
    let start = if offset <= metadata.len() { offset } else { 0 };
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    if sender
        .send(Message::Head {
            start,
            total: Some(metadata.len()),
        })
        .is_err()
    {
        return Ok(());
    }
    pass_on(&mut file, sender).map_err(failed)
}

fn pass_on(from: &mut impl Read, sender: &SyncSender<Message>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        piece.truncate(count);
        if sender.send(Message::Piece(piece)).is_err() {
            return Ok(());
        }
    }
}
