//! What must be true of every output before it may enter the store: it needs nothing that is not there with it.
//!
//! A program or library that asks for an interpreter, a library or a script's interpreter outside of the store would run
//! on the machine that built it, with its seed, and nowhere else; and no scan for references could tell. So each such
//! request is an error, with the file and what to do about it.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Seek};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use rayon::prelude::*;
use store::elf::{self, Requests};

use super::listing::{Entry, Listing, shown};
use super::space::{Found, Space};

const STORE_PREFIX: &[u8] = b"/pith/store/";
/// Longest line by which a script names its interpreter (`BINPRM_BUF_SIZE` of Linux).
const SCRIPT_HEAD: u64 = 256;
/// Directories that exist while something is built and not where it runs.
const BUILD_ONLY: [&[u8]; 8] = [
    b"/usr",
    b"/bin",
    b"/sbin",
    b"/lib",
    b"/lib64",
    b"/build",
    b"/tmp",
    b"/homeless",
];

/// A file that asks for something outside of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The output.
    pub output: String,
    /// The path below it.
    pub file: String,
    /// What it asks for.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` of output `{}` {}",
            self.file, self.output, self.problem
        )
    }
}

/// What is wrong with a file. The message says how it is put right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// A program whose loader is outside of the store.
    #[error(
        "has the interpreter `{interpreter}`, which is not in the store; link it through the linker wrapper, or set it with patchelf"
    )]
    Interpreter {
        /// The interpreter.
        interpreter: String,
    },
    /// A loader that is named, and not there.
    #[error("has the interpreter `{interpreter}`, which is neither in an input nor in an output")]
    InterpreterMissing {
        /// The interpreter.
        interpreter: String,
    },
    /// A program or library that looks for libraries outside of the store.
    #[error(
        "looks for libraries in `{directory}`, which is not in the store; shrink its rpath in the fixup phase"
    )]
    SearchPath {
        /// The entry of the rpath.
        directory: String,
    },
    /// A library that will not be found.
    #[error(
        "needs `{library}`, which is in none of the directories of its rpath ({searched}); make the package that has it an input, and link with its directory in the rpath"
    )]
    Library {
        /// The library.
        library: String,
        /// Where it was looked for.
        searched: String,
    },
    /// A script whose interpreter is outside of the store.
    #[error(
        "begins with `#!{interpreter}`, which is not in the store; patch it in the fixup phase, or remove its executable bit"
    )]
    Script {
        /// The interpreter.
        interpreter: String,
    },
    /// A script whose interpreter is named, and not there.
    #[error("begins with `#!{interpreter}`, which is neither in an input nor in an output")]
    ScriptMissing {
        /// The interpreter.
        interpreter: String,
    },
    /// A link to what only exists during the build, or an output that is a link out of the store.
    #[error("is a symbolic link to `{target}`, which is not in the store")]
    Link {
        /// The target.
        target: String,
    },
    /// The file could not be read.
    #[error("cannot be read: {message}")]
    Unreadable {
        /// The system's reason.
        message: String,
    },
}

/// The file in the build directory by which a builder says that its outputs are sources, which only other builds use.
const SOURCES: &str = ".pith-sources";

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// Links alone: programs and scripts among sources are as their authors published them, and run where a build has what they need.
    Links,
}

impl Scope {
    /// What the builder wants that worked in the directory `work`.
    pub(super) fn of_builder(work: BorrowedFd<'_>) -> io::Result<Self> {
        match fstatat(work, SOURCES, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(Self::Links),
            Err(Errno::ENOENT) => Ok(Self::All),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Checks every file of every output; sorted, empty when all is well.
pub(super) fn lint(outputs: &[(String, Listing)], space: &Space<'_>, scope: Scope) -> Vec<Finding> {
    let own_names: BTreeSet<&[u8]> = outputs
        .iter()
        .flat_map(|(_, listing)| listing.entries.keys())
        .map(|path| base_name(path))
        .collect();
    let files: Vec<(usize, &[u8], &Entry)> = outputs
        .iter()
        .enumerate()
        .flat_map(|(index, (_, listing))| {
            listing
                .entries
                .iter()
                .map(move |(path, entry)| (index, path.as_slice(), entry))
        })
        .collect();
    let mut findings: Vec<Finding> = files
        .par_iter()
        .flat_map_iter(|&(index, path, entry)| {
            let check = Check {
                outputs,
                index,
                path,
                space,
                own_names: &own_names,
                scope,
            };
            let output = outputs
                .get(index)
                .map(|(name, _)| name.clone())
                .unwrap_or_default();
            check.run(entry).into_iter().map(move |problem| Finding {
                output: output.clone(),
                file: shown(path),
                problem,
            })
        })
        .collect();
    findings.sort();
    findings
}

struct Check<'a> {
    outputs: &'a [(String, Listing)],
    index: usize,
    path: &'a [u8],
    space: &'a Space<'a>,
    own_names: &'a BTreeSet<&'a [u8]>,
    scope: Scope,
}

impl Check<'_> {
    fn run(&self, entry: &Entry) -> Vec<Problem> {
        match entry {
            Entry::Directory => Vec::new(),
            Entry::Symlink { target } => self.link(target).into_iter().collect(),
            Entry::File { size, executable } => {
                if *size < 4 || self.scope == Scope::Links {
                    return Vec::new();
                }
                self.file(*executable).unwrap_or_else(|error| {
                    vec![Problem::Unreadable {
                        message: error.to_string(),
                    }]
                })
            }
        }
    }

    fn link(&self, target: &[u8]) -> Option<Problem> {
        let absolute = target.starts_with(b"/");
        let build_only = BUILD_ONLY.iter().any(|top| is_below(target, top));
        let leaves_as_output = self.path.is_empty() && !target.starts_with(STORE_PREFIX);
        let bad = (absolute && build_only) || leaves_as_output;
        bad.then(|| Problem::Link {
            target: text(target),
        })
    }

    fn file(&self, executable: bool) -> io::Result<Vec<Problem>> {
        let Some((_, listing)) = self.outputs.get(self.index) else {
            return Ok(Vec::new());
        };
        let mut file = listing.open(self.path)?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic)?;
        if magic == elf::MAGIC {
            return Ok(elf::read_file(file).map_or(Vec::new(), |requests| self.requests(&requests)));
        }
        if executable && magic.starts_with(b"#!") {
            file.rewind()?;
            let mut head = Vec::new();
            file.take(SCRIPT_HEAD).read_to_end(&mut head)?;
            return Ok(self.script(&head).into_iter().collect());
        }
        Ok(Vec::new())
    }

    fn script(&self, head: &[u8]) -> Option<Problem> {
        let line = head.get(2..)?.split(|byte| *byte == b'\n').next()?;
        let mut words = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let interpreter = words.next().unwrap_or_default();
        match self.space.find(interpreter) {
            Found::Yes => None,
            Found::Outside => Some(Problem::Script {
                interpreter: text(interpreter),
            }),
            Found::No => Some(Problem::ScriptMissing {
                interpreter: text(interpreter),
            }),
        }
    }

    fn requests(&self, requests: &Requests) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(interpreter) = &requests.interpreter {
            match self.space.find(interpreter) {
                Found::Yes => {}
                Found::Outside => problems.push(Problem::Interpreter {
                    interpreter: text(interpreter),
                }),
                Found::No => problems.push(Problem::InterpreterMissing {
                    interpreter: text(interpreter),
                }),
            }
        }
        let mut directories = Vec::new();
        for entry in &requests.search_path {
            let directory = self.expand_origin(entry);
            if self.space.is_inside(&directory) {
                directories.push(directory);
            } else {
                problems.push(Problem::SearchPath {
                    directory: text(entry),
                });
            }
        }
        let interpreter = requests.interpreter.as_deref().map(base_name);
        for library in &requests.needed {
            let found = if library.contains(&b'/') {
                self.space.find(library) == Found::Yes
            } else {
                interpreter == Some(library.as_slice())
                    || directories
                        .iter()
                        .any(|directory| self.space.find(&join(directory, library)) == Found::Yes)
                    || self.comes_with_its_program(requests, library)
            };
            if !found {
                let searched: Vec<String> = requests
                    .search_path
                    .iter()
                    .map(|entry| text(entry))
                    .collect();
                let searched = if searched.is_empty() {
                    "it has none".to_owned()
                } else {
                    searched.join(", ")
                };
                problems.push(Problem::Library {
                    library: text(library),
                    searched,
                });
            }
        }
        problems
    }

    /// The libraries of a C library need each other without a path: whatever loads one has loaded the others already.
    fn comes_with_its_program(&self, requests: &Requests, library: &[u8]) -> bool {
        requests.interpreter.is_none()
            && requests.search_path.is_empty()
            && self.own_names.contains(library)
    }

    /// Puts the file's own directory in the place of `$ORIGIN` (ld.so(8)).
    fn expand_origin(&self, entry: &[u8]) -> Vec<u8> {
        for mark in [b"$ORIGIN".as_slice(), b"${ORIGIN}"] {
            if let Some(rest) = entry.strip_prefix(mark) {
                let own = self.space.output_path(self.index);
                let directory = self
                    .path
                    .rsplitn(2, |byte| *byte == b'/')
                    .nth(1)
                    .unwrap_or_default();
                let mut expanded = own;
                if !directory.is_empty() {
                    expanded.push(b'/');
                    expanded.extend_from_slice(directory);
                }
                expanded.extend_from_slice(rest);
                return expanded;
            }
        }
        entry.to_vec()
    }
}

fn is_below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, name].join(&b'/')
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
