//! `pith key show`: the public key of a key file.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use store::trust::{KeyName, PublicKey};
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::read_public;

/// Show the public key of a file made by `pith key generate`; without FILE, of the key that signs what is pushed
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
    public: PublicKey,
    pem: String,
}

/// Runs the command.
pub(super) fn show(args: &ShowArgs, context: &Context) -> Result<(), CommandError> {
    let configured = context.settings().caches.signing_key.as_ref();
    let Some(file) = args.file.as_ref().or(configured) else {
        return Err(CommandError::new(ExitStatus::Usage, NoKey)
            .hint("`signing-key = \"FILE\"` in your settings names one"));
    };
    let key = read_public(file)?;
    if args.pem && !context.printer().is_json() {
        context.printer().result(&key.to_pem())?;
        return Ok(());
    }
    print_public(&key, context)
}

/// Prints a public key, which whoever shall trust it puts into their settings.
pub(super) fn print_public(key: &PublicKey, context: &Context) -> Result<(), CommandError> {
    if context.printer().is_json() {
        context.printer().json(&KeyReport {
            name: key.name().clone(),
            public: key.clone(),
            pem: key.to_pem(),
        })?;
    } else {
        context.printer().result(&key.to_string())?;
    }
    Ok(())
}
