//! `pith audit --bytes`: where every byte of an image comes from.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use pack::audit::bytes::{Accounting, ByteCode, ByteOrigin, account};
use serde::Serialize;
use thiserror::Error;

use super::image::Evidence;
use crate::contents::Contents;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{human_bytes, plural};
use crate::registry::RegistryArgs;

/// What `--bytes` takes.
#[derive(Debug, Args)]
pub(super) struct BytesArgs {
    /// With `--bytes`, a file or directory that the image's specification asks for; may be repeated
    #[arg(long = "allow", value_name = "PATH")]
    allowed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    image: &'a str,
    accounts: &'a [Accounting],
}

/// Why the answer is not that all is well.
#[derive(Debug, Error)]
enum NotAccounted {
    #[error("{count} in `{image}` not what the store or the image itself says")]
    Damaged { image: String, count: String },
    #[error("{count} in `{image}` of unknown origin")]
    Unknown { image: String, count: String },
    #[error("nobody describes {size} in {entries} of `{image}`: {layers}")]
    Undecided {
        image: String,
        size: String,
        entries: String,
        layers: String,
    },
}

/// Accounts for the image that `subject` is or would be packed into, and says what is wrong.
pub(super) fn account_bytes(
    args: &BytesArgs,
    evidence: Evidence,
    subject: &str,
    registry: &RegistryArgs,
    context: &Context,
) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let contents = Contents::find(subject, registry, context, &store)?;
    let image = contents.open()?;
    let mut allowed: BTreeSet<Vec<u8>> = contents.asked_for();
    let given = args.allowed.iter();
    allowed.extend(given.map(|path| path.trim_matches('/').as_bytes().to_vec()));
    let known = (evidence == Evidence::Store).then_some(&store);
    let accounts = account(&image, known, &allowed)?;
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            image: subject,
            accounts: &accounts,
        })?;
    } else {
        for account in &accounts {
            printer.result(&text(account))?;
        }
    }
    judge(subject, &accounts)
}

fn text(account: &Accounting) -> String {
    let mut text = format!("{} for {}\n", account.manifest, account.platform);
    // Writing to a String cannot fail.
    for layer in &account.layers {
        let _ = writeln!(
            text,
            "{} ({} of tar)",
            layer.digest,
            human_bytes(layer.tar_bytes)
        );
        for share in &layer.shares {
            let entries = entries(share.entries);
            let _ = writeln!(text, "{:>14}  {} in {entries}", share.bytes, share.origin);
        }
        for (bytes, what) in [
            (layer.header_bytes, "headers"),
            (layer.padding_bytes, "padding"),
            (layer.end_bytes, "ends"),
        ] {
            let _ = writeln!(text, "{bytes:>14}  {what}");
        }
        let rest = if layer.is_exact() { "= all of" } else { "of" };
        let _ = writeln!(text, "{:>14}  {rest} the layer", layer.tar_bytes);
    }
    for finding in &account.findings {
        let finding = finding.to_string();
        let _ = writeln!(
            text,
            "{}",
            finding.replace(|c: char| c.is_control() && c != '\n', "?")
        );
    }
    text
}

fn judge(image: &str, accounts: &[Accounting]) -> Result<(), CommandError> {
    let findings = || accounts.iter().flat_map(|account| &account.findings);
    let count = |code| findings().filter(|finding| finding.code == code).count();
    let (damaged, unknown) = (count(ByteCode::B101), count(ByteCode::B102));
    let are = |count: usize| {
        let verb = if count == 1 { "is" } else { "are" };
        format!("{} {verb}", plural(count, "thing"))
    };
    let image = image.to_owned();
    if damaged > 0 {
        let count = are(damaged);
        let error = NotAccounted::Damaged { image, count };
        return Err(CommandError::new(ExitStatus::Damaged, error));
    }
    if unknown > 0 {
        let count = are(unknown);
        let error = NotAccounted::Unknown { image, count };
        let error = CommandError::new(ExitStatus::No, error);
        return Err(
            error.hint("`--allow PATH` says of a file that the image's specification asks for it")
        );
    }
    let is_open = |origin: &ByteOrigin| matches!(origin, ByteOrigin::Base | ByteOrigin::Untold);
    let totals = accounts.iter().map(|account| account.total(is_open));
    let (count, bytes) = totals.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    if count == 0 {
        return Ok(());
    }
    let layers = accounts.iter().flat_map(|account| &account.layers);
    let layers: Vec<String> = layers
        .filter(|layer| layer.shares.iter().any(|share| is_open(&share.origin)))
        .map(|layer| layer.digest.to_string())
        .collect();
    let error = NotAccounted::Undecided {
        image,
        size: human_bytes(bytes),
        entries: entries(count),
        layers: layers.join(", "),
    };
    Err(CommandError::new(ExitStatus::Undecided, error))
}

fn entries(count: u64) -> String {
    if count == 1 {
        "1 entry".to_owned()
    } else {
        format!("{count} entries")
    }
}
