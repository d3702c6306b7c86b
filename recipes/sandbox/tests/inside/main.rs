//! What a program inside the sandbox can and cannot do: one test for each restriction, tried from inside by `probe.c`.
//!
//! They hold for root and for an ordinary user alike. A kernel feature that is missing fails the test with its name.

mod caller;
mod files;
mod fixture;
mod identity;
mod kernel;
mod life;
mod limits;
mod machine;
mod network;
mod requests;
