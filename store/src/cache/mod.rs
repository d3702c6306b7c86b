//! The binary cache: objects and realisations shared between machines as static files. What is read from a cache is hostile input.
//!
//! What is believed because of which signatures is decided in [`trust`].

pub use crate::trust;
