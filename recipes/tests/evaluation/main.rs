//! Recipes become derivations: what they may say, what it becomes, and what a user reads about what is wrong.

mod collection;
mod digests;
mod errors;
mod forms;
mod hostile;
mod lint;
mod overrides;
mod packages;
mod project_files;
mod support;
