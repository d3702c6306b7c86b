//! From an image to the file.

use std::{collections::BTreeMap, io::Write, path::Path};

use super::{
    cpio::{Cpio, padding},
    init::{Start, init},
};
use crate::{
    Event, Format, Image,
    sink::{
        SinkError, Written,
        directory::{Wanted, wanted},
        place::NewFile,
        receipt::Receipts,
        stream::{Stream, copy_contents, size_of},
    },
};

/// The first program that a kernel starts.
const INIT: &[u8] = b"init";
const PROGRAM_MODE: u32 = 0o755;
const DIRECTORY_MODE: u32 = 0o755;
/// What is mounted on.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "sys"];
/// Where the first program finds its terminal, before anything is mounted.
const CONSOLE: (&[u8], (u8, u8)) = (b"dev/console", (5, 1));

pub(in crate::sink) fn write(image: &Image<'_>, path: &Path) -> Result<Written, SinkError> {
    let receipts = Receipts::new(image, &[], path, Format::Initramfs);
    if let Some(written) = receipts.find(path) {
        return Ok(written);
    }
    let mut new = NewFile::beside(path)?;
    let target = new.target().to_path_buf();
    let read_bytes = write_to(image, new.file(), &target)?;
    receipts.finish(new, path, None, read_bytes)
}

/// Writes it to a reader that takes it as it comes, such as one who puts further files behind it.
pub(in crate::sink) fn stream(image: &Image<'_>, out: &mut dyn Write) -> Result<(), SinkError> {
    let written = write_to(image, &mut *out, Path::new("-"));
    written.map_err(|error| match error {
        SinkError::Write { source, .. } | SinkError::Full { source, .. } => {
            SinkError::Stream(source)
        }
        error => error,
    })?;
    out.flush().map_err(SinkError::Stream)
}

/// Writes it to `out`, which goes to `target`. Returns how many bytes came from the store.
fn write_to(image: &Image<'_>, out: impl Write, target: &Path) -> Result<u64, SinkError> {
    let init = start(image)?;
    image.tell_one_started();
    let mut tree = wanted(image)?;
    for name in MOUNT_POINTS {
        let mode = DIRECTORY_MODE;
        tree.entry(name.into())
            .or_insert(Wanted::Directory { mode });
    }
    tree.entry(INIT.to_vec()).or_insert(Wanted::Generated {
        contents: &init,
        mode: PROGRAM_MODE,
    });
    let too_large = tree
        .iter()
        .find(|(_, entry)| size_of(entry) > Some(Cpio::LARGEST));
    if let Some((file, _)) = too_large {
        return Err(SinkError::FileTooLarge {
            file: String::from_utf8_lossy(file).into_owned(),
            format: Format::Initramfs,
            largest_bytes: Cpio::LARGEST,
        });
    }
    let error = || SinkError::writing(target);
    let mut stream = Stream::new(image.options.compression, out).map_err(error())?;
    let read_bytes = std::cell::Cell::new(0);
    let read = |bytes| {
        read_bytes.set(read_bytes.get() + bytes);
        (image.events)(Event::Encoded { tar_bytes: bytes });
    };
    let mut cpio = Cpio::default();
    for (path, entry) in &tree {
        let header = cpio
            .header(path, entry)
            .ok_or_else(|| SinkError::TooLarge {
                path: target.to_path_buf(),
                format: Format::Initramfs,
            })?;
        stream.write_all(&header).map_err(error())?;
        copy_contents(entry, &mut stream, target, &read)?;
        let rest = padding(size_of(entry).unwrap_or_default());
        stream.write_all(&[0; 4][..rest]).map_err(error())?;
    }
    let (console, numbers) = CONSOLE;
    if !tree.contains_key(console) {
        let device = cpio.device(console, numbers);
        stream.write_all(&device).map_err(error())?;
    }
    stream.write_all(&cpio.end()).map_err(error())?;
    stream.finish().map_err(error())?;
    Ok(read_bytes.get())
}

/// Returns the first program, which starts that of the image.
fn start(image: &Image<'_>) -> Result<Vec<u8>, SinkError> {
    let run = &image.config().config;
    let variables: BTreeMap<String, String> = (run.env.iter())
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let start = image.start(&variables);
    let words: Vec<&String> = run.entrypoint.iter().chain(&run.cmd).collect();
    let name = words.first().ok_or(SinkError::NoProgram)?;
    let program = start.find(name)?;
    Ok(init(&Start {
        architecture: image.platform().architecture,
        program: program.as_os_str().as_encoded_bytes(),
        arguments: words.iter().map(|word| word.as_bytes()).collect(),
        env: run.env.iter().map(String::as_bytes).collect(),
        directory: match run.working_dir.as_str() {
            "" => b"/",
            directory => directory.as_bytes(),
        },
        uid: image.user.uid(),
        gid: image.user.gid(),
    }))
}
