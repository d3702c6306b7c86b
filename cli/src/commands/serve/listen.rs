//! What all servers are told: where they listen, and who may use them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::Args;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use store::serve::{OnEvent, Server, ServerEvent, ServerLimits, Service};

use crate::error::CommandError;
use crate::output::Printer;

#[derive(Debug, Args)]
pub(super) struct ListenArgs {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8417")]
    pub(super) listen: SocketAddr,
    /// Let everybody read, although there are tokens
    #[arg(long)]
    pub(super) public_read: bool,
    /// Who may read and write, as `pith serve token` writes it; changes count at once
    #[arg(long, value_name = "FILE")]
    pub(super) tokens: Option<PathBuf>,
    /// How many requests a second one client may ask; 0 for any number
    #[arg(long, value_name = "N", default_value = "2000")]
    rate: u32,
}

/// The report of a server that listens.
#[derive(Debug, Serialize)]
struct ServeReport {
    address: String,
}

impl ListenArgs {
    /// How much of the machine clients get.
    pub(super) fn limits(&self) -> ServerLimits {
        ServerLimits {
            requests_per_second: self.rate,
            burst: self.rate.saturating_mul(5),
            ..ServerLimits::default()
        }
    }

    /// Listens, and ends when a signal comes.
    pub(super) fn bind<S: Service>(&self, service: S) -> Result<Server<S>, CommandError> {
        let server = Server::bind(self.listen, service)?;
        stop_on_signals(&server)?;
        Ok(server)
    }

    /// Says where it listens.
    pub(super) fn announce<S: Service>(
        &self,
        server: &Server<S>,
        printer: &Printer,
    ) -> Result<(), CommandError> {
        if !self.listen.ip().is_loopback() {
            printer.note("tokens and files go unencrypted; put a proxy that does TLS before it");
        }
        let address = format!("http://{}", server.address());
        if printer.is_json() {
            printer.json(&ServeReport { address })?;
        } else {
            printer.result(&address)?;
        }
        Ok(())
    }
}

/// The first signal lets requests end; `main` makes the second one end everything.
fn stop_on_signals<S: Service>(server: &Server<S>) -> Result<(), CommandError> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(CommandError::failed)?;
    let handle = server.handle();
    thread::spawn(move || {
        for _signal in &mut signals {
            handle.shutdown();
        }
    });
    Ok(())
}

/// Tells what happens.
pub(super) fn teller(printer: &Printer) -> OnEvent {
    let printer = printer.clone();
    Arc::new(move |event| tell(event, &printer))
}

fn tell(event: &ServerEvent<'_>, printer: &Printer) {
    match event {
        ServerEvent::Answered {
            client,
            token,
            method,
            path,
            status,
            refusal,
            took,
        } => {
            let who = match token {
                Some(token) => format!("{client} ({token})"),
                None => client.to_string(),
            };
            // What clients made up must not reach a terminal as it is.
            let (method, path) = (method.escape_debug(), path.escape_debug());
            let line = format!("{who}: {method} {path}: {status}");
            match refusal {
                // What is absent is asked for all the time.
                Some(why) if *status != 404 => printer.note(&format!("{line}: {why}")),
                _ => printer.detail(&format!("{line} in {} ms", took.as_millis())),
            }
        }
        ServerEvent::TokensUnreadable { error } => {
            printer.always(&format!("warning: no token is good: {error}"));
        }
        ServerEvent::NotAccepting { error } => {
            printer.always(&format!("warning: cannot accept a connection: {error}"));
        }
    }
}
