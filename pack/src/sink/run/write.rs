//! From an image to the file.

use std::{
    collections::BTreeMap,
    fs::{File, Permissions},
    io::{self, Seek as _, SeekFrom, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::script::{Facts, LoaderFacts, Word, script};
use crate::{
    Event, Image,
    layer::{Entry, EntryKind, append_end, append_entry, padding},
    oci::{Architecture, DigestWriter},
    rootfs::RootEntry,
    sink::{
        Format, SinkError, Written,
        directory::{Wanted, wanted},
        place::NewFile,
        receipt::Receipts,
        stream::{Stream, copy_contents, size_of},
    },
    start::Launch,
};

/// Who unpacked the tree can delete it.
const DIRECTORY_MODE: u32 = 0o755;
/// The mode of directories for data.
const STICKY: u32 = 0o1777;
/// Where the host's own is shown, so there must be something.
const RESOLVER: &[u8] = b"etc/resolv.conf";
/// What no umask forbids.
const PROGRAM_MODE: u32 = 0o755;

pub(in crate::sink) fn write(image: &Image<'_>, path: &Path) -> Result<Written, SinkError> {
    let receipts = Receipts::new(image, &[], path, Format::Run);
    if let Some(written) = receipts.find(path) {
        return Ok(written);
    }
    let mut facts = facts(image)?;
    image.tell_one_started();
    let mut tree = wanted(image)?;
    for directory in tree.values_mut() {
        if let Wanted::Directory { mode } = directory {
            *mode = DIRECTORY_MODE;
        }
    }
    let empty = Wanted::Generated {
        contents: &[],
        mode: 0o644,
    };
    tree.entry(RESOLVER.to_vec()).or_insert(empty);
    facts.entries = lines(tree.keys());
    let mut new = NewFile::beside(path)?;
    let target = new.target().to_path_buf();
    let error = || SinkError::writing(&target);
    let (script, digest_at) = script(&facts);
    new.file().write_all(&script).map_err(error())?;
    let out = Hashed {
        file: new.file(),
        digest: DigestWriter::default(),
    };
    let mut stream = Stream::new(facts.compression, out).map_err(error())?;
    let read_bytes = write_tree(&mut stream, &tree, &target, image.events)?;
    let digest = stream.finish().map_err(error())?.digest.finish();
    let file = new.file();
    file.seek(SeekFrom::Start(digest_at as u64))
        .and_then(|_| file.write_all(digest.to_hex().as_bytes()))
        .and_then(|()| file.set_permissions(Permissions::from_mode(PROGRAM_MODE)))
        .map_err(error())?;
    receipts.finish(new, path, None, read_bytes)
}

/// How many lines there are of a tree and what is in it: one for each, and more for names of several lines.
fn lines<'p>(paths: impl Iterator<Item = &'p Vec<u8>>) -> usize {
    let lines = paths.map(|path| 1 + path.iter().filter(|byte| **byte == b'\n').count());
    1 + lines.sum::<usize>()
}

/// Writes the tree as tar. Returns how many bytes came from the store.
fn write_tree(
    stream: &mut Stream<Hashed<'_>>,
    tree: &BTreeMap<Vec<u8>, Wanted<'_>>,
    target: &Path,
    events: &(dyn Fn(Event<'_>) + Sync),
) -> Result<u64, SinkError> {
    let read_bytes = std::cell::Cell::new(0);
    let read = |bytes| {
        read_bytes.set(read_bytes.get() + bytes);
        events(Event::Encoded { tar_bytes: bytes });
    };
    let mut header = Vec::new();
    for (path, entry) in tree {
        header.clear();
        let (mode, kind) = match entry {
            Wanted::Directory { mode } => (*mode, EntryKind::Directory),
            Wanted::Symlink { target } => (0o777, EntryKind::Symlink { target }),
            Wanted::Generated { mode, .. } | Wanted::Stored { mode, .. } => {
                let size_bytes = size_of(entry).unwrap_or_default();
                (*mode, EntryKind::File { size_bytes })
            }
        };
        append_entry(&mut header, &Entry { path, mode, kind });
        let error = || SinkError::writing(target);
        stream.write_all(&header).map_err(error())?;
        copy_contents(entry, stream, target, &read)?;
        let rest = padding(size_of(entry).unwrap_or_default());
        stream.write_all(&[0; 512][..rest]).map_err(error())?;
    }
    header.clear();
    append_end(&mut header);
    stream
        .write_all(&header)
        .map_err(SinkError::writing(target))?;
    Ok(read_bytes.get())
}

/// Hashes what goes to the file.
struct Hashed<'a> {
    file: &'a mut File,
    digest: DigestWriter,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether a shell can set a variable of this name.
fn is_shell_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(is_letter)
        && name
            .bytes()
            .all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// What a program is told that it is called: by that, some find the rest of what they need, and some know which of several they are.
///
/// The name is that under which it is started, and the directory the one that it lies in. An interpreter is told what the kernel tells it: its own path.
fn called(launch: &Launch, program: &str) -> PathBuf {
    let name = Path::new(program).file_name();
    match name.filter(|_| launch.arguments.is_empty()) {
        Some(name) => launch.program.with_file_name(name),
        None => launch.program.clone(),
    }
}

/// What Linux and qemu call a processor.
const fn name_of(processor: Architecture) -> &'static str {
    match processor {
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

/// What the script has to know of an image.
fn facts(image: &Image<'_>) -> Result<Facts, SinkError> {
    let run = &image.config().config;
    let variables: BTreeMap<String, String> = (run.env.iter())
        .filter_map(|variable| variable.split_once('='))
        .filter(|(name, _)| is_shell_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let start = image.start(&variables);
    let mut words = run.entrypoint.clone();
    let mut cmd = run.cmd.clone();
    if words.is_empty() && !cmd.is_empty() {
        words.push(cmd.remove(0));
    }
    let (program, fixed) = words.split_first().ok_or(SinkError::NoProgram)?;
    let launch = start.check(program)?;
    let in_tree = |path: &Path| path.to_string_lossy().into_owned();
    // A word that is a path of the image is one of the tree, wherever that is.
    let word = |word: &String| {
        let path = word.starts_with('/').then(|| start.resolve(word)).flatten();
        path.map_or_else(
            || Word::Plain(word.clone()),
            |path| Word::InTree(in_tree(&path)),
        )
    };
    let mut first = Vec::new();
    let mut libraries: Vec<String> = launch.libraries.iter().map(|one| in_tree(one)).collect();
    if let Some(loader) = &launch.loader {
        // What is loaded later is looked for in the libraries of all packages.
        for object in &image.objects {
            let directory = format!("{}/lib", object.path.to_logical());
            if !libraries.contains(&directory) && start.resolve(&directory).is_some() {
                libraries.push(directory);
            }
        }
        first.push(Word::InTree(in_tree(loader)));
        first.push(Word::Plain("--argv0".to_owned()));
        first.push(Word::InTree(in_tree(&called(&launch, program))));
        first.push(Word::Plain("--library-path".to_owned()));
        first.push(Word::Libraries);
    }
    first.push(Word::InTree(in_tree(&launch.program)));
    first.extend(launch.arguments.iter().map(word));
    first.extend(fixed.iter().map(word));
    let directory =
        Some(&run.working_dir).filter(|directory| !matches!(directory.as_str(), "" | "/"));
    // The programs that PATH leads to would not find their libraries.
    let others = variables.iter().filter(|(name, _)| *name != "PATH");
    let loader = LoaderFacts {
        directory: directory
            .and_then(|directory| start.resolve(directory))
            .map(|path| in_tree(&path)),
        env: others
            .map(|(name, value)| (name.clone(), word(value)))
            .collect(),
        start: first,
        libraries,
        cmd: cmd.iter().map(word).collect(),
    };
    let volumes = image.root.iter().filter_map(|(path, entry)| match entry {
        RootEntry::Directory { mode: STICKY } if path.as_bytes() != b"tmp" => {
            Some(format!("/{path}"))
        }
        _ => None,
    });
    Ok(Facts {
        name: image.name().base_name().to_owned(),
        platform: image.platform().to_string(),
        processor: name_of(image.platform().architecture),
        entries: 0,
        compression: image.options.compression,
        directory: directory.cloned(),
        volumes: volumes.collect(),
        entrypoint: words.clone(),
        cmd,
        loader,
        env: variables.clone().into_iter().collect(),
    })
}
