//! What is found out about an app of any kind.

/// The argument that says what the app's function calls its program; by default like the app.
pub(super) const PROGRAM: &str = "program";

/// An app, as its manifests describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What it calls itself, as it is written there.
    pub(super) name: Option<String>,
    /// The programs that it has, sorted; the first of [`Facts::preferred`] or the only one is run.
    pub(super) programs: Vec<Program>,
    /// The license that a manifest states, and the file that does.
    pub(super) license: Option<(String, &'static str)>,
    /// What else was recognised, a sentence each.
    pub(super) notes: Vec<String>,
    /// Whether it expects to be started in the directory of its files, as npm starts scripts.
    pub(super) in_directory: bool,
    /// Arguments that the app's function needs whatever program is run: name and Starlark value.
    pub(super) arguments: Vec<(&'static str, String)>,
}

/// One program of an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Program {
    /// Its name in `bin`.
    pub(super) name: String,
    /// Why it is one.
    pub(super) reason: String,
    /// Arguments that the app's function needs to make it: name and Starlark value.
    pub(super) arguments: Vec<(&'static str, String)>,
    /// What a Dockerfile starts it with; `None` where none says that this is the program.
    pub(super) command: Option<Vec<String>>,
}

impl Program {
    /// A program that the app's function makes without being told.
    pub(super) fn new(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            reason: reason.into(),
            arguments: Vec::new(),
            command: None,
        }
    }

    /// The same with one more argument.
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.arguments.push((name, value));
        self
    }

    /// The same, started with these arguments by a Dockerfile.
    pub(super) fn started_with(mut self, command: &[String]) -> Self {
        self.command = Some(command.to_vec());
        self
    }
}
