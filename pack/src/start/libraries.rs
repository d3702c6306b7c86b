//! The libraries of a program, looked for as `ld.so` does.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsStr,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use store::elf::{self, Requests};

use super::{
    StartError,
    program::Start,
    view::{Bytes, Thing},
};

/// Where loaders look last. Debian's has a directory for each architecture.
const USUAL: [&str; 8] = [
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];
/// What `ldconfig` has found.
const CACHE: &str = "/etc/ld.so.cache";

/// Where a library is once links are followed, and what it needs itself.
type Library = (PathBuf, Requests);

/// One walk over the libraries of a program.
pub(super) struct Libraries<'a> {
    start: &'a Start<'a>,
    /// Where the loader is, if the program has one.
    loader: Option<PathBuf>,
    /// The names that were found.
    found: BTreeSet<Vec<u8>>,
    /// Directories that serve whatever is needed by libraries, too.
    inherited: Vec<PathBuf>,
    /// The directories in which something was found, without links.
    directories: Vec<PathBuf>,
    /// The bytes of the loader's cache, once they were wanted.
    cache: Option<Vec<u8>>,
}

impl<'a> Libraries<'a> {
    pub(super) fn new(start: &'a Start<'a>, loader: Option<PathBuf>) -> Self {
        Self {
            start,
            loader,
            found: BTreeSet::new(),
            inherited: Vec::new(),
            directories: Vec::new(),
            cache: None,
        }
    }

    /// Looks for what `program` needs, and what that needs in turn. Returns the directories in which it was found, each once.
    pub(super) fn check(
        mut self,
        program: PathBuf,
        requests: Requests,
    ) -> Result<Vec<PathBuf>, StartError> {
        let variable = self.start.env.get("LD_LIBRARY_PATH");
        let listed = variable.into_iter().flat_map(|list| list.split(':'));
        self.inherited = listed.map(PathBuf::from).collect();
        let mut rest = VecDeque::from([(program, requests)]);
        while let Some((path, requests)) = rest.pop_front() {
            let own = directories(&path, &requests);
            if requests.search_path_is_inherited {
                self.inherited.extend(own.iter().cloned());
            }
            for name in &requests.needed {
                if self.is_loader(name) || !self.found.insert(name.clone()) {
                    continue;
                }
                let found = self.find(name, &own, requests.machine)?;
                let found = found.ok_or_else(|| StartError::Library {
                    library: String::from_utf8_lossy(name).into_owned(),
                    needed_by: path.display().to_string(),
                })?;
                rest.push_back(found);
            }
        }
        Ok(self.directories)
    }

    /// Whether the loader itself is what is needed: glibc's is a library, and musl's is its C library.
    fn is_loader(&self, name: &[u8]) -> bool {
        let loader = self.loader.as_deref().and_then(Path::file_name);
        loader.is_some_and(|loader| {
            let loader = loader.as_bytes();
            loader == name
                || (name.starts_with(b"libc.")
                    && (loader.starts_with(b"ld-musl") || loader == b"libc.so"))
        })
    }

    /// Finds a library for `machine`, with what it needs itself. One for another machine is passed over, as the loader does.
    fn find(
        &mut self,
        name: &[u8],
        own: &[PathBuf],
        machine: u16,
    ) -> Result<Option<Library>, StartError> {
        let name = Path::new(OsStr::from_bytes(name));
        let Some((place, found)) = self.look_for(name, own, machine)? else {
            return Ok(None);
        };
        let directory = place.parent().unwrap_or(&place);
        if let Some((directory, _)) = self.start.view.resolve(directory)
            && !self.directories.contains(&directory)
        {
            self.directories.push(directory);
        }
        Ok(Some(found))
    }

    /// Returns where the library was found, and what it is.
    fn look_for(
        &mut self,
        name: &Path,
        own: &[PathBuf],
        machine: u16,
    ) -> Result<Option<(PathBuf, Library)>, StartError> {
        if name.parent().is_some_and(|parent| parent != Path::new("")) {
            let found = self.load(name, machine)?;
            return Ok(found.map(|found| (name.to_path_buf(), found)));
        }
        let loader = self.loader.as_deref().and_then(Path::parent);
        let places = own
            .iter()
            .chain(&self.inherited)
            .map(PathBuf::as_path)
            .chain(loader)
            .chain(USUAL.iter().map(Path::new));
        for directory in places {
            let place = directory.join(name);
            if let Some(found) = self.load(&place, machine)? {
                return Ok(Some((place, found)));
            }
        }
        let cached = self.cached(name.as_os_str().as_bytes())?;
        for path in cached {
            if let Some(found) = self.load(&path, machine)? {
                return Ok(Some((path, found)));
            }
        }
        Ok(None)
    }

    fn load(&self, path: &Path, machine: u16) -> Result<Option<Library>, StartError> {
        let Some((real, Thing::File { bytes, .. })) = self.start.view.resolve(path) else {
            return Ok(None);
        };
        if matches!(bytes, Bytes::Base) {
            return Ok(Some((real, Requests::default())));
        }
        let requests = elf::read_file(bytes.open()?);
        let requests = requests.filter(|requests| requests.machine == machine);
        Ok(requests.map(|requests| (real, requests)))
    }

    /// The files of that name in the loader's cache: it holds their paths, each ended by a zero, in all its versions.
    fn cached(&mut self, name: &[u8]) -> Result<Vec<PathBuf>, StartError> {
        if self.cache.is_none() {
            let mut cache = Vec::new();
            if let Some((_, Thing::File { bytes, .. })) = self.start.view.resolve(Path::new(CACHE))
            {
                let read = bytes.open()?.read_to_end(&mut cache);
                read.map_err(|source| bytes.error(source))?;
            }
            self.cache = Some(cache);
        }
        let cache = self.cache.as_deref().unwrap_or_default();
        let strings = cache.split(|byte| *byte == 0);
        let paths = strings
            .filter(|string| string.starts_with(b"/"))
            .map(|string| Path::new(OsStr::from_bytes(string)));
        let named = paths.filter(|path| path.file_name().is_some_and(|n| n.as_bytes() == name));
        Ok(named.map(Path::to_path_buf).collect())
    }
}

/// The directories that a file names itself, with `$ORIGIN` put in. What else begins with `$` is known to loaders only.
fn directories(file: &Path, requests: &Requests) -> Vec<PathBuf> {
    let origin = file.parent().unwrap_or(Path::new("/"));
    let own = requests.search_path.iter().filter(|path| !path.is_empty());
    own.map(|path| {
        let text = String::from_utf8_lossy(path);
        let rest = (text.strip_prefix("$ORIGIN")).or_else(|| text.strip_prefix("${ORIGIN}"));
        match rest {
            Some(rest) => origin.join(rest.trim_start_matches('/')),
            None => PathBuf::from(OsStr::from_bytes(path)),
        }
    })
    .collect()
}
