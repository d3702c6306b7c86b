//! Everything that a store does, on real directories and a real database.
//!
//! What arms faults, which are those of the whole process, is a test program of its own beside this one.

mod add;
mod cache_gc;
mod cache_golden;
mod cache_push;
mod cache_source;
mod crash;
mod export;
mod export_golden;
mod gc;
mod golden;
mod hostile;
mod identity;
mod pool;
mod profile;
mod read_only;
mod rebuild;
mod repair;
mod signatures;
mod space;
mod trust;
mod usage;
mod verify;
