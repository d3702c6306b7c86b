//! What this machine is set up to use: its apt sources, pip, npm and cargo settings as mirrors.
//!
//! The parsers take texts and return a [`MirrorTable`](super::MirrorTable); none of them fails, because a line that pith cannot use is not
//! pith's to complain about. Which files there are is the caller's business: [`MachinePaths`] names them and
//! [`MachineFiles::load`] reads them. Where none of them names a registry, [`Tools`] asks npm and pip which one they use. Signatures, suites and trust settings are not looked at: a fetch is trusted for its
//! digest alone.

mod apt;
mod cargo;
mod files;
mod ini;
mod npm;
mod pip;
mod tools;

pub use files::{MachineFiles, MachinePaths};
pub use tools::Tools;
