//! What the end-to-end scenarios share: a place of their own on disk and the `pith` binary in it.

mod apps;
pub mod debian_repository;
pub mod engines;
mod env;
pub mod http_server;
mod large_closure;
mod machine_files;
pub mod measure;
mod on_demand;
pub mod other_servers;
mod podman;
mod random;
mod server;

pub use env::{Finished, TestEnv, binary, follow, is_full, is_root, run, shared_store};
pub use large_closure::large_closure;
pub use machine_files::machine_files;
pub use on_demand::OnDemand;
pub use podman::PodmanTurn;
pub use random::Random;
pub use server::FileServer;
