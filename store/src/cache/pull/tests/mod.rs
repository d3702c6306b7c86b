//! Pulling from caches that are directories.

mod behaviour;
mod fixture;
mod hostile;
mod trusted;
