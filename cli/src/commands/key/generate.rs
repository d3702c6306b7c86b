//! `pith key generate`: a new key pair.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pack::sign::ImageSecretKey;
use store::trust::{KeyName, SecretKey, TrustError};
use thiserror::Error;

use super::show::print_public;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file;

/// Make a key pair: the secret key in FILE, the public key in FILE.pub
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// Where the secret key goes, readable by you alone; nothing is ever replaced
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// What the key is called in signatures and settings; without it, the name of FILE
    #[arg(long, value_name = "NAME")]
    name: Option<KeyName>,
    /// The kind of the key
    #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
    kind: KeyType,
}

/// What a key signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeyType {
    /// Signs images and what goes into caches
    Ed25519,
    /// ECDSA on P-256 with SHA-256, in PEM as openssl reads it: signs images alone, and is what cosign and others' policies expect
    P256,
}

/// A name was given to a key that is written without one.
#[derive(Debug, Error)]
#[error("a key in PEM has no name: it is called as its file")]
struct NoName;

/// Runs the command.
pub(super) fn generate(args: &GenerateArgs, context: &Context) -> Result<(), CommandError> {
    let key = match args.kind {
        KeyType::Ed25519 => generate_ed25519(args)?,
        KeyType::P256 if args.name.is_some() => {
            return Err(CommandError::new(ExitStatus::Usage, NoName));
        }
        KeyType::P256 => {
            let name = key_file::pem_name(&args.output).map_err(CommandError::failed)?;
            ImageSecretKey::generate_p256(name).map_err(CommandError::failed)?
        }
    };
    key_file::write(&args.output, &key)?;
    context.printer().note(&format!(
        "wrote the secret key to `{}` and the public key to `{}`",
        args.output.display(),
        key_file::public_path(&args.output).display()
    ));
    print_public(&key.public(), context)
}

fn generate_ed25519(args: &GenerateArgs) -> Result<ImageSecretKey, CommandError> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(&args.output).map_err(|error| {
            CommandError::new(ExitStatus::Usage, error)
                .hint("`--name NAME` gives the key another name than its file's")
        })?,
    };
    let key = SecretKey::generate(name).map_err(CommandError::failed)?;
    Ok(key.into())
}

/// The name of the file, as the name of the key in it.
fn name_of(path: &Path) -> Result<KeyName, TrustError> {
    path.file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default()
        .parse()
}
