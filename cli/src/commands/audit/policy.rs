//! Which policy judges, and as of which day.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pack::audit::policy::{Day, Layer, Policy, PolicyError};
use thiserror::Error;

use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// Why there is no policy to judge by.
#[derive(Debug, Error)]
enum PolicyFileError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no policy.
    #[error("the policy cannot be read: {0}")]
    Policy(PolicyError),
    /// The variable is no time.
    #[error("`SOURCE_DATE_EPOCH` is `{0}`, which is not a number of seconds")]
    Epoch(String),
}

/// What judges: the policies of the system and the user, and that of the project, or of `file` in its place.
pub(crate) fn load_policy(file: Option<&Path>, context: &Context) -> Result<Policy, CommandError> {
    let parsed = |error| {
        CommandError::new(ExitStatus::Usage, PolicyFileError::Policy(error))
            .hint("`pith audit --print-policy` shows one that can be read")
    };
    let settings = context.settings();
    let mut layers = Vec::new();
    // Those that go before others in settings are those that may only tighten here.
    for path in settings.files.iter().rev() {
        if file.is_some() && settings.project_file.as_ref() == Some(path) {
            continue;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(CommandError::failed(PolicyFileError::Read {
                    path: path.clone(),
                    source,
                }));
            }
        };
        // As every checkout calls it.
        let project = settings.project_file.clone();
        let project = project.as_deref().and_then(Path::parent);
        let shown = project.and_then(|project| path.strip_prefix(project).ok());
        let shown = shown.unwrap_or(path);
        let shown = shown.display().to_string();
        check_vulnerabilities(&text, &shown)?;
        layers.extend(Layer::find(&shown, &text).map_err(parsed)?);
    }
    if let Some(file) = file {
        let path = context.directory().join(file);
        let text = fs::read_to_string(&path)
            .map_err(|source| CommandError::failed(PolicyFileError::Read { path, source }))?;
        let shown = file.display().to_string();
        check_vulnerabilities(&text, &shown)?;
        layers.push(Layer::parse(&shown, &text).map_err(parsed)?);
    }
    let built_in = Layer::built_in().map_err(|error| CommandError::new(ExitStatus::Bug, error))?;
    Ok(Policy::join(&layers, &built_in))
}

/// Refuses a file whose table for `pith vulns` cannot be read: whoever writes it finds out with the first verb that reads the file.
fn check_vulnerabilities(text: &str, file: &str) -> Result<(), CommandError> {
    match pack::vulns::Policy::parse(text, file) {
        Ok(_) => Ok(()),
        Err(error) => Err(CommandError::new(ExitStatus::Usage, error)),
    }
}

/// Prints what judges, each value with the line that it is from.
pub(super) fn print_policy(
    file: Option<&Path>,
    is_json: bool,
    context: &Context,
) -> Result<(), CommandError> {
    let policy = load_policy(file, context)?;
    if is_json {
        context.printer().json(&policy.to_json())?;
    } else {
        context.printer().result(&policy.to_text())?;
    }
    Ok(())
}

/// The day on which exceptions are looked at.
pub(super) fn audit_day(asked: Option<Day>, context: &Context) -> Result<Day, CommandError> {
    if let Some(day) = asked {
        return Ok(day);
    }
    let seconds = match &context.settings().variables.source_date_epoch {
        Some(text) => {
            let text = text.to_string_lossy();
            text.parse().map_err(|_| {
                let error = PolicyFileError::Epoch(text.into_owned());
                CommandError::new(ExitStatus::Usage, error)
            })?
        }
        None => seconds_now(),
    };
    Ok(Day::of_seconds(seconds))
}
