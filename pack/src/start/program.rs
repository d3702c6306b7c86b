//! The program of an image, and what starts it.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use store::elf::{self, Requests};

use super::{
    StartError,
    libraries::Libraries,
    view::{Bytes, Thing, View},
};
use crate::oci::{Architecture, Platform};

/// How many interpreters of interpreters Linux follows.
const MAX_INTERPRETERS: usize = 5;
/// Longest line by which a script names its interpreter (`BINPRM_BUF_SIZE` of Linux).
const SCRIPT_HEAD: u64 = 256;

/// What an image is started with.
pub(crate) struct Start<'a> {
    /// What is in the image.
    pub(crate) view: View<'a>,
    /// The variables.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Where the program starts.
    pub(crate) working_directory: &'a str,
    /// What the image is for.
    pub(crate) platform: &'a Platform,
}

/// A file that may be executed.
pub(super) struct Executable<'a> {
    /// Where it is once links are followed.
    pub(super) path: PathBuf,
    bytes: Bytes<'a>,
}

/// How a program is started: what the kernel and the loader will have found. All paths are without links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The program that is executed: for a script, its interpreter.
    pub(crate) program: PathBuf,
    /// What comes before the arguments: for a script, the interpreter's own argument and the script.
    pub(crate) arguments: Vec<String>,
    /// The loader of the program; a static one has none.
    pub(crate) loader: Option<PathBuf>,
    /// The directories in which its libraries were found, each once.
    pub(crate) libraries: Vec<PathBuf>,
}

impl Start<'_> {
    /// Checks a program, its interpreter, and all libraries that the loader will look for. Returns how it is started.
    pub(crate) fn check(&self, program: &str) -> Result<Launch, StartError> {
        self.check_program(&self.find(program)?, 0)
    }

    /// Returns where a path of the image leads; `None` where that is nothing.
    pub(crate) fn resolve(&self, path: &str) -> Option<PathBuf> {
        self.view.resolve(Path::new(path)).map(|(path, _)| path)
    }

    /// Finds a program as `execvp` does.
    pub(crate) fn find(&self, program: &str) -> Result<PathBuf, StartError> {
        if program.contains('/') {
            return Ok(Path::new(self.working_directory).join(program));
        }
        let path = self.env.get("PATH").map_or("", String::as_str);
        let candidates = path.split(':').map(|directory| {
            Path::new(self.working_directory)
                .join(directory)
                .join(program)
        });
        candidates
            .into_iter()
            .find(|candidate| self.executable(candidate).is_ok())
            .ok_or_else(|| StartError::NotOnPath {
                program: program.to_owned(),
                path: path.to_owned(),
            })
    }

    fn executable(&self, path: &Path) -> Result<Executable<'_>, StartError> {
        let program = path.display().to_string();
        match self.view.resolve(path) {
            None => Err(StartError::Missing { program }),
            Some((_, Thing::Directory | Thing::Link(_))) => Err(StartError::Directory { program }),
            Some((_, Thing::File { executable, .. })) if !executable => {
                Err(StartError::NotExecutable { program })
            }
            Some((path, Thing::File { bytes, .. })) => Ok(Executable { path, bytes }),
        }
    }

    fn check_program(&self, path: &Path, depth: usize) -> Result<Launch, StartError> {
        let program = || path.display().to_string();
        if depth > MAX_INTERPRETERS {
            return Err(StartError::Endless { program: program() });
        }
        let file = self.executable(path)?;
        if matches!(file.bytes, Bytes::Base) {
            return Ok(Launch {
                program: file.path,
                arguments: Vec::new(),
                loader: None,
                libraries: Vec::new(),
            });
        }
        let mut head = Vec::new();
        let mut reader = file.bytes.open()?.take(SCRIPT_HEAD);
        let read = reader.read_to_end(&mut head);
        read.map_err(|source| file.bytes.error(source))?;
        if let Some(line) = head.strip_prefix(b"#!") {
            return self.check_script(path, &file.path, line, depth);
        }
        let requests = head
            .starts_with(&elf::MAGIC)
            .then(|| file.bytes.open().map(elf::read_file))
            .transpose()?
            .flatten();
        let Some(requests) = requests else {
            return Err(StartError::Unknown { program: program() });
        };
        self.check_machine(&program(), &requests)?;
        let interpreter = requests.interpreter.as_deref().map(text);
        let loader = interpreter
            .as_deref()
            .map(|interpreter| {
                let found = self.executable(&Path::new("/").join(interpreter));
                found.map_err(|error| broken(path, interpreter, error))
            })
            .transpose()?;
        let loader = loader.map(|loader| loader.path);
        let program = file.path.clone();
        Ok(Launch {
            libraries: Libraries::new(self, loader.clone()).check(file.path, requests)?,
            program,
            arguments: Vec::new(),
            loader,
        })
    }

    fn check_script(
        &self,
        script: &Path,
        real: &Path,
        line: &[u8],
        depth: usize,
    ) -> Result<Launch, StartError> {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or(line);
        let line = text(line);
        let line = line.trim();
        let (interpreter, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let error = |error| broken(script, interpreter, error);
        let path = Path::new(self.working_directory).join(interpreter);
        let mut launch = self.check_program(&path, depth + 1).map_err(error)?;
        // Linux hands on the rest of the line as one argument.
        let mut own: Vec<String> = Some(rest.trim().to_owned()).into_iter().collect();
        own.retain(|argument| !argument.is_empty());
        // `env` looks for the program itself.
        if path.file_name().is_some_and(|name| name == "env") {
            let mut words = rest.split_ascii_whitespace();
            let program = words.find(|word| !word.starts_with('-') && !word.contains('='));
            let found = program.map(|program| self.find(program)).transpose();
            if let Some(program) = found.map_err(error)? {
                launch = self.check_program(&program, depth + 1).map_err(error)?;
                own = words.map(str::to_owned).collect();
            }
        }
        own.push(real.display().to_string());
        launch.arguments.extend(own);
        Ok(launch)
    }

    fn check_machine(&self, program: &str, requests: &Requests) -> Result<(), StartError> {
        if runs(self.platform, requests.machine) {
            return Ok(());
        }
        Err(StartError::Foreign {
            program: program.to_owned(),
            found: machine_name(requests.machine),
            platform: self.platform.to_string(),
        })
    }
}

fn broken(program: &Path, interpreter: &str, source: StartError) -> StartError {
    StartError::Interpreter {
        program: program.display().to_string(),
        interpreter: interpreter.to_owned(),
        source: Box::new(source),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a processor runs the programs of an ELF machine, its own 32-bit ones included.
pub(crate) const fn runs(platform: &Platform, machine: u16) -> bool {
    match platform.architecture {
        Architecture::Amd64 => matches!(machine, 62 | 3),
        Architecture::Arm64 => matches!(machine, 183 | 40),
    }
}

/// What an ELF machine is called in images.
pub(crate) const fn machine_name(machine: u16) -> &'static str {
    match machine {
        3 => "386",
        40 => "arm",
        62 => "amd64",
        183 => "arm64",
        _ => "another processor",
    }
}
