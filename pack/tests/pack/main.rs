//! The public API on a real store in a temporary directory.

mod fixture;
mod outputs;
mod platforms;
mod repeated;
mod root;
mod start;
mod tampering;
