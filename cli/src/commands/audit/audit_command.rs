//! The arguments of `pith audit` and its answer.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pack::audit::{
    Audit, Code, Diagnostic, Drift, ListBy, Verdict, judge,
    policy::Day,
    report::{Summary, to_html, to_junit, to_sarif, to_text},
};
use pack::existing::AnyPlatform;
use pack::vulns::VulnerabilityDrift;
use serde::Serialize;
use thiserror::Error;

use super::bytes::{BytesArgs, account_bytes};
use super::diff::{Difference, diff, diff_vulnerabilities};
use super::explain::explain;
use super::image::{Evidence, ImageQuestion};
use super::list::show_list;
use super::policy::{audit_day, load_policy, print_policy};
use super::subject::Audited;
use crate::commands::vulns::Question;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::registry::RegistryArgs;
use crate::whole_file::write_whole;

/// Say whether a target or an image may be shipped
///
/// A policy judges the license of every component and how it is used: linked statically or dynamically, vendored, run. It is joined of `[audit]` in the
/// system's and the user's settings and of that in pith.toml or FILE of `--policy`, which may only tighten what those say. An image that is a file or in a registry is judged by the bill of materials in it;
/// of one that is a file, what the store has recorded of the same bytes counts before that.
///
/// Exit status: 0 it may, 3 it may not, 4 something is damaged, 5 facts are missing or contradict each other.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// A target, or an image: an archive, a layout directory, or a name in a registry
    #[arg(value_name = "TARGET|IMAGE", required_unless_present_any = ["explain", "diff", "print_policy"])]
    subject: Option<String>,
    /// Join FILE instead of the project's settings with the policies of the system and the user
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the joined policy that would judge, each value with its file and line, and nothing else
    #[arg(long, conflicts_with_all = ["explain", "diff", "list"])]
    print_policy: bool,
    /// The day on which exceptions are looked at; by default that of $SOURCE_DATE_EPOCH, else today
    #[arg(long, value_name = "DAY")]
    date: Option<Day>,
    /// How the answer is written; `markdown` is for `--diff`
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the answer to FILE instead of standard output
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["explain", "list", "print_policy"])]
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
    /// With `--diff`, also show which known vulnerabilities were fixed, came, or are still there, by a database as of `pith vulns`; may be repeated
    #[arg(long = "db", value_name = "PATH", requires = "diff")]
    databases: Vec<PathBuf>,
    /// Say what a code such as L120 means and what may be done about it
    #[arg(long, value_name = "CODE", conflicts_with = "subject")]
    explain: Option<Code>,
    /// Exit with the sum of what findings are about instead: 1 licenses, 2 what is not known, 4 bytes, 8 vulnerabilities, 16 sources and texts, 32 the policy itself, 64 documents
    #[arg(long, conflicts_with_all = ["explain", "diff", "list", "print_policy", "bytes"])]
    exit_bits: bool,
    /// Of an image for several platforms, judge what is for this one
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    /// Of an image in a registry, go by the bill beside it that is signed by this key, before the one in it: a file with a public key of pith, or in PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Account for every byte of an image instead: 3 is a byte without an origin, 4 one that is not what it should be
    #[arg(long, requires = "subject", conflicts_with_all = ["explain", "diff", "list", "print_policy", "policy", "output"])]
    bytes: bool,
    /// Go by this bill of the image before the one in it: SPDX 2.3 in JSON that names the image's digest, as `pith pack --sbom FILE --sbom-format spdx` writes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["explain", "diff", "bytes", "key"])]
    sbom: Option<PathBuf>,
    /// Of an image, use what it says of itself alone, and not what the store has of the same store paths
    #[arg(long, conflicts_with_all = ["explain", "diff"])]
    no_store: bool,
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

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Html => "html",
            Self::Markdown => "markdown",
        })
    }
}

/// An answer that there is not in the format.
#[derive(Debug, Error)]
#[error("{question} is not written as `{format}`")]
struct OtherFormat {
    question: &'static str,
    format: Format,
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
    args.check_format()?;
    let is_json = args.is_json(context);
    if let Some(code) = args.explain {
        return explain(code, is_json, context).map(|()| 0);
    }
    if args.print_policy {
        return print_policy(args.policy.as_deref(), is_json, context).map(|()| 0);
    }
    if args.bytes {
        let subject = args.subject.as_deref().unwrap_or_default();
        return account_bytes(
            &args.of_bytes,
            args.evidence(),
            subject,
            &args.registry,
            context,
        )
        .map(|()| 0);
    }
    let policy = load_policy(args.policy.as_deref(), context)?;
    let today = audit_day(args.date, context)?;
    let load = |text: &str| {
        let question = ImageQuestion {
            platform: args.platform.as_ref(),
            registry: &args.registry,
            key: args.key.as_deref(),
            sbom: args.sbom.as_deref(),
            evidence: args.evidence(),
        };
        Audited::load(text, &question, &policy, context)
    };
    if let [old, new] = args.diff.as_slice() {
        let drift = diff(&load(old)?, &load(new)?, &policy, today);
        let question = Question {
            databases: &args.databases,
            date: today.date(),
            policy: args.policy.as_deref(),
            platform: args.platform.as_ref(),
            registry: &args.registry,
        };
        let vulnerabilities = diff_vulnerabilities(&question, old, new, context)?;
        return args.show_diff(&drift, vulnerabilities.as_ref(), context);
    }
    let subject = args.subject.as_deref().unwrap_or_default();
    let audited = load(subject)?;
    let inventory = &audited.inventory;
    let audit = judge(inventory, &policy, today).with(audited.wrong.iter().cloned());
    if args.list {
        return show_list(inventory, &audit, args.by, is_json, context).map(|()| 0);
    }
    let report = Report {
        subject,
        summary: Summary::of(&audit),
        audit: &audit,
    };
    let is_unsaid = |one: &Diagnostic| one.code == Code::L102;
    if inventory.is_bill && args.sbom.is_none() && audit.diagnostics.iter().any(is_unsaid) {
        tell_of_bill(subject, context);
    }
    if is_json && args.output.is_none() {
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
    if args.exit_bits {
        return Ok(report.summary.bits);
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

    /// Shows what differs. A difference is no answer, but one that nobody can rely on is undecided.
    fn show_diff(
        &self,
        drift: &Drift,
        vulnerabilities: Option<&VulnerabilityDrift>,
        context: &Context,
    ) -> Result<u8, CommandError> {
        let difference = Difference {
            drift,
            vulnerabilities,
        };
        if self.is_json(context) && self.output.is_none() {
            context.printer().json(&difference)?;
        } else {
            let text = match self.format() {
                Format::Json => as_json(&difference)?,
                Format::Markdown => difference.to_markdown(),
                _ => difference.to_text(),
            };
            self.write(context, &text)?;
        }
        Ok(match vulnerabilities {
            Some(drift) if !drift.undecided.is_empty() => ExitStatus::Undecided as u8,
            _ => 0,
        })
    }

    /// Two images are compared by their bills, so that it makes no difference which of them this machine knows.
    const fn evidence(&self) -> Evidence {
        match self.no_store || !self.diff.is_empty() {
            true => Evidence::Image,
            false => Evidence::Store,
        }
    }

    /// Refuses a way of writing that the answer to another question has.
    fn check_format(&self) -> Result<(), CommandError> {
        let (question, known): (_, &[Format]) = if self.list {
            ("--list", &[Format::Table, Format::Json])
        } else if self.explain.is_some() {
            ("--explain", &[Format::Table, Format::Json])
        } else if self.print_policy {
            ("--print-policy", &[Format::Table, Format::Json])
        } else if !self.diff.is_empty() {
            ("--diff", &[Format::Table, Format::Json, Format::Markdown])
        } else if self.format == Format::Markdown {
            ("a verdict", &[])
        } else {
            return Ok(());
        };
        if known.contains(&self.format) {
            return Ok(());
        }
        let error = OtherFormat {
            question,
            format: self.format,
        };
        let known: Vec<String> = known.iter().map(Format::to_string).collect();
        let hint = match known.as_slice() {
            [] => "`markdown` is for `--diff`".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        Err(CommandError::new(ExitStatus::Usage, error).hint(hint))
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

/// The bill in an image is a function of its store paths, and has nothing of what was only observed of them.
fn tell_of_bill(subject: &str, context: &Context) {
    context.printer().note(&format!(
        "hint: the bill in an image does not say all that is known where it was packed: `pith pack TARGET -o IMAGE --sbom FILE --sbom-format spdx` writes that there, \
         and `pith audit {subject} --sbom FILE` goes by it"
    ));
}

fn as_json(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(CommandError::failed)?;
    Ok(text + "\n")
}
