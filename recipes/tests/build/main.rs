//! Derivations built in real sandboxes, into a real store, as whoever runs the tests.

mod bad_builders;
mod builtin;
mod caches;
mod fixture;
mod processes;
mod realise;
mod server;
mod smoke;
mod tls;
mod transfers;
