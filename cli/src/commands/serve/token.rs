//! `pith serve token`: lets somebody in.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use store::serve::{Scopes, TokenEntry};
use store::trust::KeyName;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// Make a token and add what the server is to know of it to FILE
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// What the token is called in the server's reports
    #[arg(value_name = "NAME")]
    name: KeyName,
    /// The file of tokens: a line each, with a digest in the place of the token; who takes a line out takes the token back
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// What it is good for: `read`, `write` or `read,write`
    #[arg(long, value_name = "SCOPES", default_value = "read,write")]
    scopes: Scopes,
}

/// Why no line was added.
#[derive(Debug, Error)]
enum TokenFileError {
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{}` has a token `{name}` already", path.display())]
    Exists { path: PathBuf, name: KeyName },
}

#[derive(Debug, Serialize)]
struct TokenReport<'a> {
    name: &'a KeyName,
    scopes: String,
    token: &'a str,
}

/// Runs the command.
pub(super) fn token(args: &TokenArgs, context: &Context) -> Result<(), CommandError> {
    let made = TokenEntry::generate(args.name.clone(), args.scopes);
    let (entry, token) = made.map_err(CommandError::failed)?;
    add(&args.tokens, &entry).map_err(|error| {
        let status = match error {
            TokenFileError::Write { .. } => ExitStatus::Failed,
            TokenFileError::Exists { .. } => ExitStatus::No,
        };
        CommandError::new(status, error)
    })?;
    context
        .printer()
        .note("this is the only time that the token is shown");
    if context.printer().is_json() {
        context.printer().json(&TokenReport {
            name: &entry.name,
            scopes: entry.scopes.to_string(),
            token: &token,
        })?;
    } else {
        context.printer().result(&token)?;
    }
    Ok(())
}

/// Adds a line to a file, which is made for its owner's eyes if it is not there. Names stay different, so that one can be taken back by its name.
fn add(path: &Path, entry: &TokenEntry) -> Result<(), TokenFileError> {
    let failed = |source| TokenFileError::Write {
        path: path.to_path_buf(),
        source,
    };
    let mut file = open(path).map_err(failed)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let is_taken = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .any(|line| line.split_ascii_whitespace().next() == Some(entry.name.as_str()));
    if is_taken {
        return Err(TokenFileError::Exists {
            path: path.to_path_buf(),
            name: entry.name.clone(),
        });
    }
    let separator = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    // One write, so that a server that reads meanwhile sees the line or not.
    let line = format!("{separator}{entry}\n");
    file.seek(io::SeekFrom::End(0))
        .and_then(|_| file.write_all(line.as_bytes()))
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let file = options.open(path)?;
    // Two that add a token at once do it one after the other.
    file.lock()?;
    Ok(file)
}
