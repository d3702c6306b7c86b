//! `pith key show`: the public key of a key file.

use std::path::PathBuf;

use clap::Args;
use pack::sign::ImageKey;
use serde::Serialize;
use store::trust::KeyName;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::read_image_key;

/// Show the public key of a file that has a secret or public one, made by `pith key generate` or others; without FILE, of the key that signs what is pushed
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A file with a secret or a public key
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// In PEM, as cosign and openssl read it; the name is left out
    #[arg(long)]
    pem: bool,
}

/// No file was named.
#[derive(Debug, Error)]
#[error("no file was named, and no key signs what is pushed")]
struct NoKey;

/// The report of `key show` and `key generate`.
#[derive(Debug, Serialize)]
struct KeyReport {
    name: KeyName,
    /// As settings have it; of a key in PEM, the same as `pem`.
    public: String,
    pem: String,
}

/// Runs the command.
pub(super) fn show(args: &ShowArgs, context: &Context) -> Result<(), CommandError> {
    let configured = context.settings().caches.signing_key.as_ref();
    let Some(file) = args.file.as_ref().or(configured) else {
        return Err(CommandError::new(ExitStatus::Usage, NoKey)
            .hint("`signing-key = \"FILE\"` in your settings names one"));
    };
    let key = read_image_key(file)?;
    if args.pem && !context.printer().is_json() {
        context.printer().result(&key.to_pem())?;
        return Ok(());
    }
    print_public(&key, context)
}

/// Prints a public key, which whoever shall trust it puts into their settings.
pub(super) fn print_public(key: &ImageKey, context: &Context) -> Result<(), CommandError> {
    if context.printer().is_json() {
        context.printer().json(&KeyReport {
            name: key.name().clone(),
            public: key.to_text(),
            pem: key.to_pem(),
        })?;
    } else {
        context.printer().result(&key.to_text())?;
    }
    Ok(())
}
