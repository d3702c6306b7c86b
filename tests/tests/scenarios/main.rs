//! One scenario for each promise to a user, through the binary, on real input.

mod apps;
mod bad_builders;
mod bad_recipes;
mod bad_sources;
mod cache_push;
mod cache_questions;
mod commands;
mod concurrency;
mod crowd;
mod disk_usage;
mod early_cutoff;
mod engines;
mod full_disk;
mod image_content;
mod keys;
mod profile;
mod read_only_store;
mod reproducible;
mod sandbox_levels;
mod streams;
mod trust;
mod upkeep;
