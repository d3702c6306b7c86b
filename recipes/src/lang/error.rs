//! One error for everything that can be wrong with a recipe, with the place where it is.

use std::fmt;

use super::ReadError;
use super::label::LabelError;
use super::locks::LockError;
use crate::model::{
    DigestTextError, Location, ModelError, RewriteError, UndeclaredInput, UnknownPlatform,
};
use crate::suggest;

/// Why a recipe has no value, where, and what may have been meant.
///
/// Prints as `file:line:column: message`, followed by the line of the recipe and, where functions of other files stand
/// between it and the recipe, by the calls that led there. [`LangError::hint`] is apart.
#[derive(Debug)]
pub struct LangError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    problem: Problem,
    place: Option<Place>,
    /// The argument at fault, where the problem itself does not name it.
    field: Option<&'static str>,
    calls: Vec<Location>,
    hint: Option<String>,
}

/// A range of one line of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where the range starts.
    pub location: Location,
    /// The line, or of a very long one the part around the place.
    pub line: String,
    /// Where the range starts in [`Place::line`]; counts from one.
    pub shown_column: u32,
    /// How many characters the range has; at least one.
    pub width: usize,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The text is not Starlark.
    #[error("{message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// The evaluation went wrong: a wrong operation, an unknown name, a wrong call.
    #[error("{message}")]
    Evaluation {
        /// What the evaluator says.
        message: String,
    },
    /// The recipe called `fail`.
    #[error("{message}")]
    Fail {
        /// What it said.
        message: String,
    },
    /// A function has no such argument.
    #[error("`{function}` has no field `{field}`")]
    UnknownField {
        /// The function.
        function: String,
        /// The argument.
        field: String,
        /// The arguments it has.
        known: Vec<String>,
    },
    /// A function lacks an argument.
    #[error("`{function}` needs the field `{field}`")]
    MissingField {
        /// The function.
        function: String,
        /// The argument.
        field: String,
    },
    /// A function has more arguments without name than it takes.
    #[error(
        "at most {most} of the arguments of `{function}` may stand without a name, but {found} do"
    )]
    TooManyArguments {
        /// The function.
        function: String,
        /// How many it takes.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// An argument is given twice.
    #[error("`{function}` is given `{field}` twice")]
    RepeatedField {
        /// The function.
        function: String,
        /// The argument.
        field: String,
    },
    /// An argument has a value of the wrong type.
    #[error("`{field}` of `{function}` must be {expected}, not {found}")]
    WrongType {
        /// The function.
        function: String,
        /// The argument.
        field: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// An argument has a value that means nothing.
    #[error("`{field}` of `{function}` {problem}")]
    BadValue {
        /// The function.
        function: String,
        /// The argument.
        field: String,
        /// What is wrong, as the rest of a sentence.
        problem: String,
    },
    /// A fetch states no digest.
    #[error(
        "`fetch` needs the digest of what it fetches: `sha256`, `sha512`, `blake3` or `integrity`"
    )]
    NoDigest,
    /// A fetch states two digests.
    #[error("`fetch` takes one digest, not both `{first}` and `{second}`")]
    TwoDigests {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A digest is none.
    #[error(transparent)]
    Digest(#[from] DigestTextError),
    /// A platform is unknown.
    #[error(transparent)]
    Platform(#[from] UnknownPlatform),
    /// A text names a store path that is no input.
    #[error(transparent)]
    UndeclaredInput(#[from] UndeclaredInput),
    /// There is no such derivation.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Packages cannot be exchanged.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// A package cannot be overridden, because nothing says which call makes it.
    #[error("`{name}` cannot be changed: {reason}")]
    CannotChange {
        /// The package.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A package cannot be had for the machine that builds.
    #[error("no recipe makes `{name}`, so there is no other one for the machine that builds")]
    NotNative {
        /// The package.
        name: String,
    },
    /// A label is none.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A lock file of another package manager cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file is not there.
    #[error("there is no file `{label}`")]
    UnknownFile {
        /// The file.
        label: String,
    },
    /// The collection has no such package.
    #[error("there is no package `{name}`")]
    UnknownPackage {
        /// The package.
        name: String,
        /// The packages there are.
        known: Vec<String>,
    },
    /// A package's recipe defines no package of that name.
    #[error("`{label}` defines no package named `{name}`")]
    PackageNotDefined {
        /// The package.
        name: String,
        /// The recipe.
        label: String,
        /// The packages that it does define.
        known: Vec<String>,
    },
    /// A package's recipe defines two packages of one name.
    #[error("`{label}` defines two different packages named `{name}`")]
    AmbiguousPackage {
        /// The package.
        name: String,
        /// The recipe.
        label: String,
    },
    /// Files need each other.
    #[error("{} needs itself: {}", chain.first().map_or("a file", String::as_str), chain.join(" → "))]
    Cycle {
        /// The files from the first to itself again.
        chain: Vec<String>,
    },
    /// A bound was reached.
    #[error("{0}")]
    Limit(Limit),
    /// The evaluator itself is at fault.
    #[error("the evaluator failed: {message}")]
    Internal {
        /// What it said.
        message: String,
    },
}

/// A bound on evaluation that a recipe reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Too many calls and loop rounds.
    #[error("the recipe takes more than {0} steps; is there an endless loop?")]
    Steps(u64),
    /// Too much memory.
    #[error("the recipe takes more than {0} bytes of memory")]
    Heap(usize),
    /// Too many calls inside calls.
    #[error("the recipe calls functions more than {0} deep; is there an endless recursion?")]
    CallDepth(usize),
    /// Too many files that need each other.
    #[error("more than {0} files need each other in a chain")]
    FileDepth(usize),
    /// Brackets, operators or branches too deep.
    #[error("the expression is nested more than {0} deep")]
    Nesting(usize),
    /// A range too long.
    #[error("the range has more than {0} elements")]
    Range(u32),
    /// A value too deep to be written.
    #[error("the value is nested more than {0} deep")]
    ValueDepth(usize),
    /// A value too large to be written.
    #[error("the value holds more than {0} values")]
    Values(usize),
    /// A product too long.
    #[error("the product has more than {0} elements")]
    Product(usize),
}

impl LangError {
    /// Makes an error whose place is not known yet.
    pub(super) fn new(problem: impl Into<Problem>) -> Self {
        let problem = problem.into();
        let hint = problem.hint();
        Self(Box::new(Inner {
            problem,
            place: None,
            field: None,
            calls: Vec::new(),
            hint,
        }))
    }

    /// Says where the error is, unless that is known.
    pub(super) fn at(mut self, place: Option<Place>) -> Self {
        if self.0.place.is_none() {
            self.0.place = place;
        }
        self
    }

    /// Says which argument is at fault, unless that is known.
    pub(super) fn in_field(mut self, field: &'static str) -> Self {
        self.0.field = self.0.field.or(Some(field));
        self
    }

    /// Returns the argument that is at fault, so that the message can point at it.
    pub(super) fn field(&self) -> Option<&str> {
        self.0.problem.field().or(self.0.field)
    }

    /// Adds the calls that led to the place, the nearest first.
    pub(super) fn called_from(mut self, calls: impl IntoIterator<Item = Location>) -> Self {
        self.0.calls.extend(calls);
        self
    }

    /// Says what may have been meant, unless that is known.
    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        if self.0.hint.is_none() {
            self.0.hint = hint;
        }
        self
    }

    /// Returns what is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Returns where it is; `None` when no recipe is at fault.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// Returns the calls that led to the place, the nearest first.
    pub fn calls(&self) -> &[Location] {
        &self.0.calls
    }

    /// Returns what may help: "did you mean `license`?"
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for LangError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            problem,
            place,
            calls,
            ..
        } = &*self.0;
        // What a recipe says reaches a terminal only here.
        let message = without_controls(&problem.to_string());
        let Some(place) = place else {
            return f.write_str(&message);
        };
        write!(f, "{}: {message}", place.location)?;
        let number = place.location.line.to_string();
        let blank = " ".repeat(number.len());
        let indent = " ".repeat(
            usize::try_from(place.shown_column)
                .unwrap_or(1)
                .saturating_sub(1),
        );
        write!(f, "\n  {number} | {}", place.line)?;
        write!(f, "\n  {blank} | {indent}{}", "^".repeat(place.width))?;
        calls
            .iter()
            .try_for_each(|call| write!(f, "\n  called from {call}"))
    }
}

impl std::error::Error for LangError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}

impl Problem {
    fn field(&self) -> Option<&str> {
        match self {
            Self::UnknownField { field, .. }
            | Self::RepeatedField { field, .. }
            | Self::WrongType { field, .. }
            | Self::BadValue { field, .. } => Some(field),
            Self::TwoDigests { second, .. } => Some(second),
            Self::Digest(DigestTextError::Integrity { .. } | DigestTextError::Sha1 { .. }) => {
                Some("integrity")
            }
            Self::Digest(
                DigestTextError::Length { algorithm, .. }
                | DigestTextError::Digit { algorithm, .. },
            ) => Some(algorithm),
            Self::Platform(_) => Some("platform"),
            Self::Model(ModelError::NoProgram) => Some("builder"),
            Self::Model(ModelError::Nul { field }) if field == "builder" => Some("builder"),
            Self::Model(ModelError::Nul { .. }) => Some("env"),
            Self::Model(ModelError::NoUrls) => Some("urls"),
            Self::Model(
                ModelError::NoOutputs { .. }
                | ModelError::OutputName { .. }
                | ModelError::DuplicateOutput { .. },
            ) => Some("outputs"),
            Self::Model(ModelError::VariableName { .. } | ModelError::VariableIsOutput { .. }) => {
                Some("env")
            }
            Self::Model(ModelError::StoreName { .. }) => Some("name"),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let did_you_mean = |name: &str, known: &[String]| {
            suggest::nearest(name, known.iter().map(String::as_str))
                .map(|near| format!("did you mean `{near}`?"))
        };
        match self {
            Self::UnknownField { field, known, .. } => did_you_mean(field, known),
            Self::UnknownPackage { name, known } => did_you_mean(name, known),
            Self::PackageNotDefined { name, known, .. } => {
                did_you_mean(name, known).or_else(|| {
                    (!known.is_empty()).then(|| format!("it defines {}", quoted_list(known)))
                })
            }
            Self::UndeclaredInput(_) => Some(
                "use the value of the package instead: `package(\"…\")`, or one of its outputs"
                    .to_owned(),
            ),
            Self::NoDigest => Some(
                "`sha256sum FILE` prints it; take it from the publisher where there is one"
                    .to_owned(),
            ),
            Self::Rewrite(RewriteError::Cycle { .. }) => {
                Some("`.override` changes a package without being made from it".to_owned())
            }
            Self::AmbiguousPackage { .. } => Some(
                "give one of them another name, or keep it private with a leading `_`".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Returns the text with control characters other than line ends escaped.
fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            clean.extend(character.escape_debug());
        } else {
            clean.push(character);
        }
    }
    clean
}

fn quoted_list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
