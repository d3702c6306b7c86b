//! The system call filter, the second wall.
//!
//! Namespaces and dropped capabilities already make most of what it refuses harmless; the filter keeps the kernel's rarely used
//! code out of reach, and keeps things out of the outputs that the store cannot hold (set-id bits, attributes).
//! [`table`] says what is refused and why, [`program`] compiles that to the kernel's classic BPF. The same for every run.

mod program;
mod table;

pub(crate) use program::Filter;
