//! The arguments of `pith audit` and its answer.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pack::audit::{
    Audit, Code, ListBy, Verdict, judge,
    policy::Day,
    report::{Summary, to_html, to_junit, to_sarif, to_text},
};
use pack::existing::AnyPlatform;
use serde::Serialize;

use super::bytes::{BytesArgs, account_bytes};
use super::diff::diff;
use super::explain::explain;
use super::list::show_list;
use super::policy::{audit_day, load_policy, print_policy};
use super::subject::Audited;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::registry::RegistryArgs;
use crate::whole_file::write_whole;

/// Say whether a target or an image may be shipped
///
/// A policy (`[audit]` in pith.toml, `--policy`, or the built-in one) judges the license of every component and how it is used: linked statically or
/// dynamically, vendored, run. An image that is a file or in a registry is judged by the bill of materials in it.
///
/// Exit status: 0 it may, 3 it may not, 4 something is damaged, 5 facts are missing or contradict each other.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// A target, or an image: an archive, a layout directory, or a name in a registry
    #[arg(value_name = "TARGET|IMAGE", required_unless_present_any = ["explain", "diff", "print_policy"])]
    subject: Option<String>,
    /// Judge by FILE instead of the project's settings
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the policy that would judge, and nothing else
    #[arg(long, conflicts_with_all = ["explain", "diff", "list"])]
    print_policy: bool,
    /// The day on which exceptions are looked at; by default that of $SOURCE_DATE_EPOCH, else today
    #[arg(long, value_name = "DAY")]
    date: Option<Day>,
    /// How the answer is written; `markdown` is for `--diff`
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the answer to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show what is inside instead of judging it
    #[arg(long, conflicts_with_all = ["explain", "diff"])]
    list: bool,
    /// By what the list is: license, component, source, file
    #[arg(long, value_name = "WHAT", requires = "list", default_value_t)]
    by: ListBy,
    /// Show what differs between two targets or images: components, licenses, license texts, sources, ways of use, findings
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["explain", "subject"])]
    diff: Vec<String>,
    /// Say what a code such as L120 means and what may be done about it
    #[arg(long, value_name = "CODE", conflicts_with = "subject")]
    explain: Option<Code>,
    /// Of an image for several platforms, judge what is for this one
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    /// Account for every byte of an image instead: 3 is a byte without an origin, 4 one that is not what it should be
    #[arg(long, requires = "subject", conflicts_with_all = ["explain", "diff", "list", "print_policy", "policy", "output"])]
    bytes: bool,
    #[command(flatten)]
    of_bytes: BytesArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// All that is known
    Json,
    /// For code hosts
    Sarif,
    /// For build servers
    Junit,
    /// One page that needs nothing else
    Html,
    /// For comments
    Markdown,
}

#[derive(Serialize)]
struct Report<'a> {
    subject: &'a str,
    summary: Summary,
    #[serde(flatten)]
    audit: &'a Audit,
}

/// Runs the command; the result is the exit status that is the answer.
pub(crate) fn audit(args: &AuditArgs, context: &Context) -> Result<u8, CommandError> {
    if let Some(code) = args.explain {
        return explain(code, context).map(|()| 0);
    }
    if args.print_policy {
        return print_policy(args.policy.as_deref(), context).map(|()| 0);
    }
    if args.bytes {
        let subject = args.subject.as_deref().unwrap_or_default();
        return account_bytes(&args.of_bytes, subject, &args.registry, context).map(|()| 0);
    }
    let policy = load_policy(args.policy.as_deref(), context)?;
    let today = audit_day(args.date, context)?;
    let load = |text: &str| {
        Audited::load(
            text,
            args.platform.as_ref(),
            &args.registry,
            &policy,
            context,
        )
    };
    if let [old, new] = args.diff.as_slice() {
        let (old, new) = (load(old)?, load(new)?);
        let drift = diff(&old, &new, &policy, today);
        let text = match args.format() {
            Format::Markdown => drift.to_markdown(),
            _ => drift.to_text(),
        };
        if args.is_json(context) && args.output.is_none() {
            context.printer().json(&drift)?;
        } else {
            args.write(context, &text)?;
        }
        return Ok(0);
    }
    let subject = args.subject.as_deref().unwrap_or_default();
    let audited = load(subject)?;
    let inventory = &audited.inventory;
    let audit = judge(inventory, &policy, today);
    if args.list {
        return show_list(inventory, &audit, args.by, context).map(|()| 0);
    }
    let report = Report {
        subject,
        summary: Summary::of(&audit),
        audit: &audit,
    };
    if args.is_json(context) && args.output.is_none() {
        context.printer().json(&report)?;
    } else {
        let text = match args.format() {
            Format::Json => as_json(&report)?,
            Format::Sarif => as_json(&to_sarif(&audit))?,
            Format::Junit => to_junit(&audit),
            Format::Html => to_html(&audit, inventory, subject),
            Format::Table | Format::Markdown => to_text(&audit),
        };
        args.write(context, &text)?;
    }
    Ok(match audit.verdict {
        Verdict::Clean => 0,
        Verdict::Denied => ExitStatus::No as u8,
        Verdict::Damaged => ExitStatus::Damaged as u8,
        Verdict::Undecided => ExitStatus::Undecided as u8,
    })
}

impl AuditArgs {
    const fn format(&self) -> Format {
        self.format
    }

    fn is_json(&self, context: &Context) -> bool {
        self.format == Format::Json || (context.printer().is_json() && self.format == Format::Table)
    }

    fn write(&self, context: &Context, text: &str) -> Result<(), CommandError> {
        match &self.output {
            Some(path) => write_whole(&context.directory().join(path), text),
            None => Ok(context.printer().result(text)?),
        }
    }
}

fn as_json(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(CommandError::failed)?;
    Ok(text + "\n")
}
