//! What a program or script needs at run time, as the file itself says.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::Path;

use store::elf::{self, Requests};
use store::facts::{LinkInput, LinkKind};
use store::{LocalStore, STORE_DIR, StorePath};

use super::inputs::resolve;

/// The longest line by which a script names its interpreter (`BINPRM_BUF_SIZE` of Linux).
const SCRIPT_HEAD: u64 = 256;

/// What a file says of itself.
pub(super) enum Needs {
    /// A program or library: what it needs, and the digest of its machine code.
    Linked(Vec<LinkInput>, Option<[u8; 32]>),
    /// A script, and its interpreter.
    Script(LinkInput),
    /// Anything else.
    Nothing,
}

/// Reads the file `path` of the valid object `output`, which refers to `references`.
pub(super) fn needs(
    store: &LocalStore,
    output: &StorePath,
    references: &[StorePath],
    path: &str,
    is_executable: bool,
) -> io::Result<Needs> {
    let real = store.real_path(output);
    let real = if path.is_empty() {
        real
    } else {
        real.join(path)
    };
    let mut file = File::open(real)?;
    let mut head = Vec::new();
    file.by_ref().take(SCRIPT_HEAD).read_to_end(&mut head)?;
    if head.starts_with(&elf::MAGIC) {
        file.rewind()?;
        let Some(requests) = elf::read_file(&file) else {
            return Ok(Needs::Nothing);
        };
        let inputs = Search {
            store,
            output,
            path,
            requests: &requests,
            references,
        };
        file.rewind()?;
        return Ok(Needs::Linked(inputs.inputs(), elf::code_digest(&file)));
    }
    let line = head.strip_prefix(b"#!").filter(|_| is_executable);
    let line = line.and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    let Some(line) = line else {
        return Ok(Needs::Nothing);
    };
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    Ok(if interpreter.is_empty() {
        Needs::Nothing
    } else {
        Needs::Script(named(store, LinkKind::Interpreter, interpreter))
    })
}

struct Search<'a> {
    store: &'a LocalStore,
    output: &'a StorePath,
    path: &'a str,
    requests: &'a Requests,
    /// What the object refers to.
    references: &'a [StorePath],
}

impl Search<'_> {
    fn inputs(&self) -> Vec<LinkInput> {
        let mut inputs = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let interpreter = self.requests.interpreter.as_deref().map(text);
        if let Some(interpreter) = &interpreter {
            inputs.push(named(self.store, LinkKind::Interpreter, interpreter));
        }
        for library in &self.requests.needed {
            let library = text(library);
            let is_loader = interpreter.as_ref().is_some_and(|interpreter| {
                interpreter.rsplit('/').next() == Some(library.as_str())
            });
            if !is_loader {
                inputs.push(self.library(&library));
            }
        }
        for names in &self.requests.loaded {
            // Where there is none of them, the program does without.
            inputs.extend(names.iter().find_map(|name| self.on_demand(name)));
        }
        inputs.sort();
        inputs.dedup();
        inputs
    }

    fn library(&self, library: &str) -> LinkInput {
        if library.contains('/') {
            return named(self.store, LinkKind::Needed, library);
        }
        let found = self.search(LinkKind::Needed, library);
        found.unwrap_or_else(|| LinkInput {
            kind: LinkKind::Needed,
            object: None,
            component: None,
            file: library.to_owned(),
            members: Vec::new(),
        })
    }

    /// Finds a library that the program opens by itself: where the loader would, or in an object that it refers to.
    fn on_demand(&self, library: &str) -> Option<LinkInput> {
        let kind = LinkKind::Dlopen;
        if library.contains('/') {
            return self.stored(kind, library);
        }
        let below = |object: &StorePath| {
            let path = format!("{}/lib/{library}", object.to_logical());
            self.stored(kind, &path)
        };
        let found = self.search(kind, library);
        found.or_else(|| self.references.iter().find_map(below))
    }

    /// Finds a library where the loader will: in the directories of the run path.
    fn search(&self, kind: LinkKind, library: &str) -> Option<LinkInput> {
        self.requests.search_path.iter().find_map(|directory| {
            let directory = self.expand(&String::from_utf8_lossy(directory));
            self.stored(kind, &format!("{directory}/{library}"))
        })
    }

    /// Returns a file by its path, if it is one of the store.
    fn stored(&self, kind: LinkKind, path: &str) -> Option<LinkInput> {
        let found = named(self.store, kind, path);
        let object: StorePath = found.object.as_ref()?.parse().ok()?;
        let is_there = self.store.real_path(&object).join(&found.file).is_file();
        is_there.then_some(found)
    }

    /// Puts the file's own directory in the place of `$ORIGIN` (ld.so(8)).
    fn expand(&self, directory: &str) -> String {
        let own = Path::new(self.path).parent().unwrap_or(Path::new(""));
        let own = format!("{}/{}", self.output.to_logical(), own.display());
        let own = own.trim_end_matches('/');
        directory.replace("${ORIGIN}", own).replace("$ORIGIN", own)
    }
}

/// A file by its path, with its object where it lies in the store.
fn named(store: &LocalStore, kind: LinkKind, path: &str) -> LinkInput {
    let path = super::record::absolute("/", path);
    let below = path
        .strip_prefix(STORE_DIR)
        .and_then(|rest| rest.strip_prefix('/'));
    let parsed = below.and_then(|below| {
        let (object, rest) = below.split_once('/').unwrap_or((below, ""));
        Some((object.parse::<StorePath>().ok()?, rest))
    });
    let (object, file) = match parsed {
        Some((object, rest)) => {
            let (object, file) = resolve(store, &object, rest);
            (Some(object.to_string()), file)
        }
        None => (None, path),
    };
    LinkInput {
        kind,
        object,
        component: None,
        file,
        members: Vec::new(),
    }
}
