//! Small documents by which an image is deployed: for `docker compose`, Kubernetes and systemd.
//!
//! Each runs the image with what an image of this crate can always do without: a root that cannot be written to, no capabilities, no way to get privileges, no
//! user but its own number. `/tmp` is in memory, volumes are kept. Everything comes from the image's configuration; nothing from the machine or the clock.

mod compose;
mod deployment;
mod document;
mod kubernetes;
mod systemd;
mod yaml;

pub use document::{Emit, UnknownEmit};
