//! One scenario for each promise to a user, through the binary, on real input.

mod apps;
mod bad_builders;
mod bad_recipes;
mod bad_sources;
mod cache_push;
mod cache_questions;
mod checks;
mod commands;
mod concurrency;
mod crowd;
mod debian;
mod disk_usage;
mod early_cutoff;
mod engines;
mod full_disk;
mod image_content;
mod inspect;
mod keys;
mod profile;
mod read_only_store;
mod reproducible;
mod sandbox_levels;
mod shell;
mod streams;
mod trust;
mod upkeep;
