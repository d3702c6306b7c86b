//! The command: reads, has it judged, tells.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate};
use clap::Args;
use pack::existing::AnyPlatform;
use pack::vulns::{
    Database, DatabaseError, Expectation, Options, Outcome, Policy, PolicyError, Report, Severity,
    VexDocument, VexError, Wanted, check, parse_age, read_vex, write_vex,
};
use serde::Serialize;
use thiserror::Error;

use super::place::{look, read_file};
use super::remembered::{records_before, remember};
use super::text;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::registry::RegistryArgs;
use crate::whole_file::write_whole;

/// For how many days a database is relied on if nobody says otherwise.
const MAX_AGE_DAYS: u64 = 14;

/// Show which known vulnerabilities are in a closure, an image, or what a bill of materials names
///
/// Databases are files: a directory or zip archive of OSV records, RustSec's directory, the JSON of Debian's tracker. Nothing is fetched.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 nothing is denied, 3 something is, 5 it cannot be told: a database is empty, old,
partly unreadable or has lost records, none speaks of a register that components are of, or a
version cannot be compared. What is there is decided by the version, never by a name alone.")]
pub(crate) struct VulnsArgs {
    /// A target, an image (a file, or docker://NAME), or a file with a bill in CycloneDX's or SPDX's JSON
    #[arg(value_name = "TARGET|IMAGE|BILL")]
    target: String,
    /// A database; may be repeated
    #[arg(long = "db", required = true, value_name = "PATH")]
    databases: Vec<PathBuf>,
    /// The records that a database must have at least four fifths of, in the databases' order, instead of those that it had before; may be repeated
    #[arg(long = "expect", value_name = "N")]
    expected: Vec<u64>,
    /// Rely on a database for so long after its newest record, 14d by default
    #[arg(long, value_name = "DAYS", value_parser = age)]
    max_age: Option<u64>,
    /// Deny only what is at least so bad: low, medium, high or critical; what nobody has rated is always denied
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// Do without records of this register, such as `npm` or `upstream`; may be repeated
    #[arg(long = "not-covered", value_name = "REGISTER")]
    not_covered: Vec<String>,
    /// A file with a table `[vulnerabilities]`, instead of `[audit.vulnerabilities]` in the project's pith.toml
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Statements of others in OpenVEX; may be repeated
    #[arg(long = "vex-in", value_name = "FILE")]
    statements: Vec<PathBuf>,
    /// Write what is stated, and what is found, in OpenVEX
    #[arg(long, value_name = "FILE")]
    vex: Option<PathBuf>,
    /// Who states it
    #[arg(long, value_name = "NAME", default_value = "pith", requires = "vex")]
    vex_author: String,
    /// The day of the report, 2026-11-22; of $SOURCE_DATE_EPOCH or today by default
    #[arg(long, value_name = "DAY")]
    date: Option<NaiveDate>,
    /// Of an image for several platforms, look at this one alone
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    /// Show what is settled too: fixed, stated to be harmless, or a clue only
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// The answer, if it is not the one that was hoped for.
#[derive(Debug, Error)]
enum Answer {
    #[error("`{target}` has {count} that must not be shipped")]
    Denied { target: String, count: String },
    #[error("it cannot be told whether `{0}` has known vulnerabilities")]
    Undecided(String),
}

#[derive(Debug, Error)]
enum VulnsError {
    #[error("`SOURCE_DATE_EPOCH` is not a number of seconds")]
    Epoch,
    #[error("`{}` is no VEX document that is understood", path.display())]
    Vex { path: PathBuf, source: VexError },
    #[error("cannot find `{}`", path.display())]
    NoDatabase {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    target: &'a str,
    product: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

fn age(text: &str) -> Result<u64, String> {
    parse_age(text).ok_or_else(|| "it must be a number of days, such as `14d`".to_owned())
}

/// What is known of a target.
pub(crate) struct LookedUp {
    /// What was found.
    pub(crate) report: Report,
    product: String,
}

/// What others who compare targets ask.
pub(crate) struct Question<'a> {
    pub(crate) databases: &'a [PathBuf],
    pub(crate) date: NaiveDate,
    pub(crate) policy: Option<&'a Path>,
    pub(crate) platform: Option<&'a AnyPlatform>,
    pub(crate) registry: &'a RegistryArgs,
}

impl Question<'_> {
    /// Looks a target up.
    pub(crate) fn ask(&self, target: &str, context: &Context) -> Result<Report, CommandError> {
        let args = VulnsArgs {
            target: target.to_owned(),
            databases: self.databases.to_vec(),
            expected: Vec::new(),
            max_age: None,
            fail_on: None,
            not_covered: Vec::new(),
            policy: self.policy.map(Path::to_path_buf),
            statements: Vec::new(),
            vex: None,
            vex_author: String::new(),
            date: Some(self.date),
            platform: self.platform.cloned(),
            all: false,
            registry: self.registry.clone(),
        };
        Ok(look_up(&args, context)?.report)
    }
}

/// Runs the command; the result is the exit status of an answer that was given.
pub(crate) fn vulns(args: &VulnsArgs, context: &Context) -> Result<(), CommandError> {
    let LookedUp { report, product } = look_up(args, context)?;
    write_statements(args, &report, &product, context)?;
    tell(args, &report, &product, context)?;
    answer(args, &report)
}

/// Reads the databases, and what they say of the target.
fn look_up(args: &VulnsArgs, context: &Context) -> Result<LookedUp, CommandError> {
    let date = day(args.date, context)?;
    let policy = policy(args, context)?;
    let paths = databases(args, context)?;
    let mut waivers = policy.waivers;
    for path in &args.statements {
        let path = context.directory().join(path);
        let origin = path.display().to_string();
        let statements = read_vex(&read_file(&path)?, &origin);
        waivers.extend(
            statements.map_err(|source| CommandError::failed(VulnsError::Vex { path, source }))?,
        );
    }
    let looked = look(
        &args.target,
        args.platform.as_ref(),
        &args.registry,
        context,
    )?;
    let wanted = Wanted::of(&looked.subjects);
    let database = Database::load(&paths, &wanted).map_err(unreadable)?;
    let store_root = &context.settings().store_root;
    let mut records = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        records.push(match args.expected.get(index) {
            Some(expected) => Some(*expected),
            None => records_before(store_root, path)?,
        });
    }
    let options = Options {
        date,
        max_age_days: Some(args.max_age.or(policy.max_age_days).unwrap_or(MAX_AGE_DAYS)),
        remembered: records,
        fail_on: args.fail_on.or(policy.fail_on),
        not_covered: policy
            .not_covered
            .into_iter()
            .chain(args.not_covered.iter().cloned())
            .collect::<BTreeSet<_>>(),
        undescribed: looked.undescribed,
        waivers,
    };
    let report = check(&looked.subjects, &database, &options);
    for (snapshot, records) in database.snapshots.iter().zip(&options.remembered) {
        let expected = Expectation {
            records: *records,
            max_age_days: None,
            date,
        };
        if snapshot.problems(&expected).is_empty() {
            remember(store_root, snapshot, context.printer())?;
        }
    }
    let product = looked.product;
    Ok(LookedUp { report, product })
}

/// The day of the command line, else of the environment, else today.
fn day(asked: Option<NaiveDate>, context: &Context) -> Result<NaiveDate, CommandError> {
    if let Some(day) = asked {
        return Ok(day);
    }
    let seconds = match &context.settings().variables.source_date_epoch {
        Some(epoch) => epoch.to_string_lossy().parse().ok(),
        None => i64::try_from(seconds_now()).ok(),
    };
    let time = seconds.and_then(DateTime::from_timestamp_secs);
    let time = time.ok_or_else(|| CommandError::new(ExitStatus::Usage, VulnsError::Epoch))?;
    Ok(time.date_naive())
}

fn policy(args: &VulnsArgs, context: &Context) -> Result<Policy, CommandError> {
    let settings = context.settings();
    let path = match (&args.policy, &settings.project_file) {
        (Some(path), _) => context.directory().join(path),
        (None, Some(file)) if file.is_file() => file.clone(),
        (None, _) => return Ok(Policy::default()),
    };
    let bytes = read_file(&path)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = short(&path, context.directory());
    Policy::parse(&text, &name)
        .map_err(|error: PolicyError| CommandError::new(ExitStatus::Usage, error))
}

/// A path as one would write it here.
fn short(path: &Path, directory: &Path) -> String {
    let path = path.strip_prefix(directory).unwrap_or(path);
    path.display().to_string()
}

/// The databases, each by the path that it always has.
fn databases(args: &VulnsArgs, context: &Context) -> Result<Vec<PathBuf>, CommandError> {
    let canonical = |path: &PathBuf| {
        let path = context.directory().join(path);
        fs::canonicalize(&path).map_err(|source| {
            CommandError::new(
                ExitStatus::Undecided,
                VulnsError::NoDatabase { path, source },
            )
        })
    };
    args.databases.iter().map(canonical).collect()
}

/// A database that cannot be read is no reason to call anything clean.
fn unreadable(error: DatabaseError) -> CommandError {
    CommandError::new(ExitStatus::Undecided, error)
}

fn write_statements(
    args: &VulnsArgs,
    report: &Report,
    product: &str,
    context: &Context,
) -> Result<(), CommandError> {
    let Some(path) = &args.vex else {
        return Ok(());
    };
    let about = VexDocument {
        product,
        author: &args.vex_author,
    };
    match write_vex(report, &about) {
        Some(text) => write_whole(&context.directory().join(path), &text),
        None => {
            let path = path.display();
            context.printer().note(&format!(
                "there is nothing to state, and a VEX document must state something: `{path}` is not written"
            ));
            Ok(())
        }
    }
}

fn tell(
    args: &VulnsArgs,
    report: &Report,
    product: &str,
    context: &Context,
) -> Result<(), CommandError> {
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Document {
            target: &args.target,
            product,
            report,
        })?;
        return Ok(());
    }
    let table = text::table(report, args.all);
    if !table.is_empty() {
        printer.result(&table)?;
    }
    for problem in &report.warnings {
        printer.note(&format!("warning[{}]: {}", problem.code, problem.message));
    }
    for problem in &report.undecided {
        printer.always(&format!("undecided[{}]: {}", problem.code, problem.message));
    }
    printer.note(&text::summary(report));
    Ok(())
}

fn answer(args: &VulnsArgs, report: &Report) -> Result<(), CommandError> {
    let target = args.target.clone();
    match report.outcome {
        Outcome::Clean => Ok(()),
        Outcome::Undecided => Err(CommandError::new(
            ExitStatus::Undecided,
            Answer::Undecided(target),
        )),
        Outcome::Denied => {
            let count = match report.summary.denied {
                1 => "1 vulnerability".to_owned(),
                count => format!("{count} vulnerabilities"),
            };
            let error = CommandError::new(ExitStatus::No, Answer::Denied { target, count });
            Err(error.hint("`[[vulnerabilities.ignore]]` of a policy states, with a reason and until when, that one does no harm"))
        }
    }
}
