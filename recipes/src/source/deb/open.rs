//! The two archives inside of a package: its files, and what it says about itself.

use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::os::fd::BorrowedFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::ar::{self, Problem};
use super::members::{Kind, read_members};
use super::tree::write_error;
use super::{DebError, DebFile, path};

/// Memory that a decompressor may ask for; Debian's packages need 64 MiB (`xz -9`) and 8 MiB (`zstd -19`).
const MAX_XZ_MEMORY: u64 = 256 << 20;
const MAX_ZSTD_WINDOW_LOG: u32 = 27;
const BUFFER_BYTES: usize = 128 << 10;
/// What a single file that is read into memory may have: the largest maintainer scripts and `md5sums` have a megabyte.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Opens the archive of a package whose name starts with `wanted`, decompressed.
pub(super) fn open(deb: &DebFile, wanted: &str) -> Result<Box<dyn Read>, DebError> {
    let read_error = |source| DebError::Read {
        deb: deb.name.clone(),
        source,
    };
    let format = |problem| DebError::Format {
        deb: deb.name.clone(),
        problem,
    };
    let file = File::open(&deb.path).map_err(read_error)?;
    let found = ar::find(BufReader::with_capacity(BUFFER_BYTES, file), wanted);
    let (name, data) = found.map_err(|problem| match problem {
        Problem::Format(problem) => format(problem),
        Problem::Read(source) => read_error(source),
    })?;
    Ok(match name.strip_prefix(wanted).unwrap_or_default() {
        "" => Box::new(data),
        ".gz" => Box::new(flate2::read::GzDecoder::new(data)),
        ".xz" => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY, 0)
                .map_err(|error| read_error(error.into()))?;
            Box::new(liblzma::read::XzDecoder::new_stream(data, stream))
        }
        ".zst" => {
            let mut decoder = zstd::stream::read::Decoder::new(data).map_err(read_error)?;
            decoder
                .window_log_max(MAX_ZSTD_WINDOW_LOG)
                .map_err(read_error)?;
            Box::new(decoder)
        }
        other => {
            return Err(format(format!(
                "its data is compressed as `{other}`, which is not known"
            )));
        }
    })
}

/// Opens the files of a package, as an archive of tar.
pub(crate) fn open_files(deb: &DebFile) -> Result<Box<dyn Read>, DebError> {
    open(deb, "data.tar")
}

/// Unpacks what a package says about itself (`control`, `postinst`, `conffiles`, …) into the empty, private directory
/// `root`: regular files at the top, none of them executable, and nothing else.
pub fn unpack_control(deb: &DebFile, root: BorrowedFd<'_>) -> Result<(), DebError> {
    let reader = open(deb, "control.tar")?;
    read_members(&deb.name, reader, &mut |member, bytes| {
        if !matches!(member.kind, Kind::File { .. }) {
            return Ok(());
        }
        let Some(place) = path::place(&member.name).filter(|place| !place.contains('/')) else {
            return Err(DebError::UnsafeName {
                deb: deb.name.clone(),
                member: String::from_utf8_lossy(&member.name)
                    .escape_default()
                    .to_string(),
            });
        };
        let contents = read_bounded(deb, bytes)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(root, place.as_str(), flags, Mode::from_bits_truncate(0o644));
        let mut file = file.map(File::from).map_err(write_error(&place))?;
        file.write_all(&contents).map_err(write_error(&place))
    })
}

/// Returns the file in which a package says what it is and what it was built from, `control`; `None` when it has none.
pub fn read_control(deb: &DebFile) -> Result<Option<Vec<u8>>, DebError> {
    let mut found = None;
    let reader = open(deb, "control.tar")?;
    read_members(&deb.name, reader, &mut |member, bytes| {
        let is_file = matches!(member.kind, Kind::File { .. });
        if is_file && path::place(&member.name).as_deref() == Some("control") {
            found = Some(read_bounded(deb, bytes)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Returns the bytes of one regular file of a package, by its path in the tree (`usr/share/x`); `None` when it has none.
pub fn read_file(deb: &DebFile, wanted: &str) -> Result<Option<Vec<u8>>, DebError> {
    let mut found = None;
    read_members(&deb.name, open(deb, "data.tar")?, &mut |member, bytes| {
        let is_file = matches!(member.kind, Kind::File { .. });
        if is_file && path::place(&member.name).as_deref() == Some(wanted) {
            found = Some(read_bounded(deb, bytes)?);
        }
        Ok(())
    })?;
    Ok(found)
}

fn read_bounded(deb: &DebFile, bytes: &mut dyn Read) -> Result<Vec<u8>, DebError> {
    let mut contents = Vec::new();
    let read = bytes.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents);
    read.map_err(|source| DebError::Read {
        deb: deb.name.clone(),
        source,
    })?;
    if contents.len() as u64 > MAX_FILE_BYTES {
        return Err(DebError::TooLarge {
            deb: deb.name.clone(),
            what: "bytes in one file",
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(contents)
}
