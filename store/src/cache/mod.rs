//! The binary cache: objects and realisations shared between machines as static files. What is read from a cache is hostile input.
//!
//! * [`trust`]: keys, signatures, and what is believed because of them

pub mod trust;
