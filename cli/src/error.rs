//! What a command fails with: the exit status, the chain of causes and the hints.
//!
//! Libraries say what could not be done and why. Only this program knows its flags, so hints and
//! exit statuses are decided here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt::Write as _;

use pack::attest::AttestError;
use pack::audit::GatherError;
use pack::audit::bytes::BytesError;
use pack::existing::ExistingError;
use pack::layer::LayerError;
use recipes::build::{BuildError, FailureKind, StepError};
use recipes::plan::Goal;

use crate::caches::CredentialError;
use crate::hint;
use sandbox::{Missing, SandboxError};
use store::profile::ProfileError;

/// The exit statuses of `pith`; scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitStatus {
    /// Network, I/O, an unknown target: the world is not as the command needs it.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The question was answered with no.
    No = 3,
    /// Something is damaged: an object, the store.
    Damaged = 4,
    /// The facts are missing, so that nobody can tell.
    Undecided = 5,
    /// A bug of `pith` itself.
    Bug = 70,
    /// A build failed.
    BuildFailed = 100,
    /// A fixed digest did not match.
    DigestMismatch = 102,
    /// Two builds of the same thing differ.
    NotReproducible = 104,
    /// The user interrupted the command.
    Interrupted = 130,
}

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct CommandError {
    status: ExitStatus,
    cause: Box<dyn StdError + Send + Sync>,
    notes: Vec<String>,
    hints: Vec<String>,
}

impl CommandError {
    /// Wraps `cause`, which ends the program with `status`.
    pub(crate) fn new(
        status: ExitStatus,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            status,
            cause: cause.into(),
            notes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// An error of kind [`ExitStatus::Failed`].
    pub(crate) fn failed(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ExitStatus::Failed, cause)
    }

    /// Adds what a reader needs to see beside the causes, such as the end of a log.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The status that the program ends with.
    pub(crate) fn status(&self) -> ExitStatus {
        self.status
    }

    /// The whole message: the error, each cause on a line of its own, then notes and hints.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}", self.cause);
        let mut source = self.cause.source();
        while let Some(cause) = source {
            let message = cause.to_string();
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  caused by: {}", message.replace('\n', "\n  "));
            source = cause.source();
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}");
        }
        let found = hint::find(&*self.cause).map(Cow::into_owned);
        for hint in self.hints.iter().chain(&found) {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }
}

/// Errors of the libraries that need no more than their status.
macro_rules! statuses {
    ($($error:ty => $status:ident),+ $(,)?) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::new(ExitStatus::$status, error)
            }
        }
    )+};
}

statuses! {
    crate::output::OutputError => Failed,
    pack::existing::SourceError => Failed,
    pack::oci::OciError => Usage,
    crate::selection::SelectError => Failed,
    crate::settings::SettingsError => Usage,
    crate::target::TargetError => Usage,
    recipes::model::ModelError => Failed,
    crate::program::ProgramError => Failed,
    crate::key_file::KeyFileError => Failed,
    SandboxError => Failed,
    store::DbError => Failed,
    store::GcError => Failed,
    store::LeaseError => Failed,
    store::OpenError => Failed,
    store::RebuildError => Failed,
    store::RepairError => Failed,
    store::RootError => Failed,
    store::VerifyError => Failed,
    store::serve::ListenError => Failed,
}

impl From<CredentialError> for CommandError {
    fn from(error: CredentialError) -> Self {
        let hint = match &error {
            CredentialError::HelperName { .. } | CredentialError::HelperStart { .. } => {
                "`credHelpers` and `credsStore` in `~/.docker/config.json` name the programs that are asked"
            }
            _ => return Self::failed(error),
        };
        Self::failed(error).hint(hint)
    }
}

impl From<LayerError> for CommandError {
    /// Layers are made of store objects, which may be damaged.
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Damaged { .. } | LayerError::Changed { .. } => {
                let error = Self::new(ExitStatus::Damaged, error);
                error.hint("`pith store repair` puts right what is damaged")
            }
            error => Self::failed(error),
        }
    }
}

impl From<pack::ImageError> for CommandError {
    fn from(error: pack::ImageError) -> Self {
        match error {
            pack::ImageError::Layer(error) => error.into(),
            pack::ImageError::Base(error) => (*error).into(),
            error => Self::failed(error),
        }
    }
}

impl From<pack::SinkError> for CommandError {
    fn from(error: pack::SinkError) -> Self {
        match error {
            pack::SinkError::Layer(error) => error.into(),
            pack::SinkError::Base(ref source) => Self::new(image_status(source), error),
            error => Self::failed(error),
        }
    }
}

impl From<pack::registry::PushError> for CommandError {
    fn from(error: pack::registry::PushError) -> Self {
        match error {
            pack::registry::PushError::Layer(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

/// Returns the status of a command that cannot go on because of an image.
pub(crate) const fn image_status(error: &ExistingError) -> ExitStatus {
    match error {
        ExistingError::Damaged { .. }
        | ExistingError::Missing { .. }
        | ExistingError::Layer { .. }
        | ExistingError::OtherBill { .. }
        | ExistingError::ForeignBill { .. }
        | ExistingError::Document { .. } => ExitStatus::Damaged,
        _ => ExitStatus::Failed,
    }
}

impl From<pack::BaseError> for CommandError {
    fn from(error: pack::BaseError) -> Self {
        let status = match &error {
            pack::BaseError::Existing(error) => image_status(error),
            _ => ExitStatus::Failed,
        };
        Self::new(status, error)
    }
}

impl From<pack::sign::SignError> for CommandError {
    fn from(error: pack::sign::SignError) -> Self {
        let status = match &error {
            pack::sign::SignError::Image(error) => image_status(error),
            _ => ExitStatus::Failed,
        };
        Self::new(status, error)
    }
}

impl From<BytesError> for CommandError {
    fn from(error: BytesError) -> Self {
        let status = match &error {
            BytesError::Image(error) => image_status(error),
            _ => ExitStatus::Failed,
        };
        Self::new(status, error)
    }
}

impl From<ExistingError> for CommandError {
    fn from(error: ExistingError) -> Self {
        let status = image_status(&error);
        let hint = match &error {
            ExistingError::Choice { .. } => Some("`PATH:TAG` is the one with that tag"),
            ExistingError::OtherBill { .. } => Some(
                "`pith pack -o IMAGE --sbom FILE --sbom-format spdx` writes an image and its bill",
            ),
            _ => None,
        };
        let error = Self::new(status, error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<GatherError> for CommandError {
    fn from(error: GatherError) -> Self {
        match error {
            GatherError::Closure(error) => error.into(),
            GatherError::Facts { .. } => Self::new(ExitStatus::Damaged, error),
            error => Self::failed(error),
        }
    }
}

impl From<AttestError> for CommandError {
    fn from(error: AttestError) -> Self {
        let status = match error {
            AttestError::Fault(_) | AttestError::Gather(GatherError::Facts { .. }) => {
                ExitStatus::Damaged
            }
            _ => ExitStatus::Failed,
        };
        Self::new(status, error)
    }
}

impl From<ProfileError> for CommandError {
    fn from(error: ProfileError) -> Self {
        match &error {
            ProfileError::Name { .. } => Self::new(ExitStatus::Usage, error)
                .hint("a profile elsewhere is named by its directory, with a slash"),
            ProfileError::NoGeneration { .. } => {
                Self::failed(error).hint("`pith profile history` shows them")
            }
            _ => Self::failed(error),
        }
    }
}

impl From<recipes::lang::LangError> for CommandError {
    fn from(error: recipes::lang::LangError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let error = Self::failed(error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<store::ClosureError> for CommandError {
    fn from(error: store::ClosureError) -> Self {
        match error {
            store::ClosureError::Dangling { .. } => Self::new(ExitStatus::Damaged, error),
            error => Self::failed(error),
        }
    }
}

impl From<BuildError> for CommandError {
    fn from(error: BuildError) -> Self {
        build_failed(error, &[])
    }
}

/// A failed build of `goals`, with the end of each log and how to see the rest.
pub(crate) fn build_failed(error: BuildError, goals: &[Goal]) -> CommandError {
    let status = match error.kind() {
        FailureKind::Build => ExitStatus::BuildFailed,
        FailureKind::WrongDigest => ExitStatus::DigestMismatch,
        FailureKind::NotReproducible => ExitStatus::NotReproducible,
        FailureKind::Interrupted => ExitStatus::Interrupted,
        FailureKind::Other => ExitStatus::Failed,
    };
    let mut notes = Vec::new();
    let mut hints = Vec::new();
    if let BuildError::Several { failures } = &error {
        // Of one failure alone, the chain of causes leads to the hint.
        let found = failures.iter().filter_map(|step| hint::find(&step.error));
        hints.extend(found.map(Cow::into_owned).collect::<BTreeSet<_>>());
    }
    for step in error.failed_steps() {
        if let StepError::Sandbox(error) = &step.error
            && let SandboxError::Forbidden {
                missing: Missing::FreshProc,
                ..
            } = **error
        {
            hints.push("`--sandbox no-proc` builds without `/proc`, and records that".to_owned());
            continue;
        }
        if let Some(log) = &step.log {
            if !log.tail.is_empty() {
                notes.push(format!(
                    "last lines of the log of `{}`:\n  {}",
                    step.name,
                    log.tail.join("\n  ")
                ));
            }
            let target = find_package(goals, &step.name).unwrap_or_else(|| step.name.clone());
            hints.push(format!("the whole log is shown by `pith log {target}`; `--keep-failed` keeps the build directory"));
        }
        if let Some(kept) = &step.kept {
            notes.push(format!(
                "the build directory of `{}` is `{}`",
                step.name,
                kept.display()
            ));
        }
    }
    let error = CommandError::new(status, error);
    let error = notes.into_iter().fold(error, CommandError::note);
    hints.into_iter().fold(error, CommandError::hint)
}

/// The name by which the derivation `full_name` below `goals` is asked for, without its version.
fn find_package(goals: &[Goal], full_name: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut pending: Vec<_> = goals.iter().map(|goal| goal.derivation.clone()).collect();
    while let Some(derivation) = pending.pop() {
        if derivation.name().as_str() == full_name {
            return Some(derivation.metadata().name.clone());
        }
        if seen.insert(derivation.id()) {
            pending.extend(
                derivation
                    .dependencies()
                    .map(|input| input.derivation().clone()),
            );
        }
    }
    None
}
