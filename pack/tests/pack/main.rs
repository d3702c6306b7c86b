//! The public API on a real store in a temporary directory.

mod awkward;
mod base;
mod bytes;
mod claims;
mod emit;
mod existing;
mod fixture;
mod golden;
mod large;
mod loopback;
mod outputs;
mod own_base;
mod plan;
mod platforms;
mod repeated;
mod root;
mod stable;
mod start;
mod tampering;
mod trace;
mod vulns;
