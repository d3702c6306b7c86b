//! Trees as one stream: what goes through a compressor, and what of it comes from the store.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::{SinkError, directory::Wanted};
use crate::layer::{Compression, LayerError, ZSTD_LEVEL};

/// A layer is unpacked once; a self-extracting file and an initramfs at each start, so that their size is worth more than the time to make them.
const GZIP_LEVEL: u32 = 6;
/// How much of a file is in memory at a time.
const CHUNK: u64 = 1 << 20;

/// One compressed stream, for readers who do not read several in a row. Its bytes depend on what is written alone, not on how it is cut.
pub(super) enum Stream<W: Write> {
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    None(W),
}

impl<W: Write> Stream<W> {
    pub(super) fn new(compression: Compression, out: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(flate2::write::GzEncoder::new(out, level))
            }
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
            Compression::None => Self::None(out),
        })
    }

    /// Ends the stream.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::None(out) => Ok(out),
        }
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::None(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::None(out) => out.flush(),
        }
    }
}

/// Returns the size of a file of a tree; `None` for what is no file.
pub(super) fn size_of(entry: &Wanted<'_>) -> Option<u64> {
    match entry {
        Wanted::Generated { contents, .. } => Some(contents.len() as u64),
        Wanted::Stored { size_bytes, .. } => Some(*size_bytes),
        Wanted::Directory { .. } | Wanted::Symlink { .. } => None,
    }
}

/// Writes the bytes of a file of a tree to `out`, which goes to `target`, and tells how many of them came from the store.
pub(super) fn copy_contents(
    entry: &Wanted<'_>,
    out: &mut dyn Write,
    target: &Path,
    read: &dyn Fn(u64),
) -> Result<(), SinkError> {
    let (real, size_bytes) = match entry {
        Wanted::Directory { .. } | Wanted::Symlink { .. } => return Ok(()),
        Wanted::Generated { contents, .. } => {
            return out.write_all(contents).map_err(SinkError::writing(target));
        }
        Wanted::Stored {
            real, size_bytes, ..
        } => (real, *size_bytes),
    };
    let error = |source| LayerError::Read {
        path: real.clone(),
        source,
    };
    let mut file = File::open(real).map_err(error)?;
    let mut chunk = Vec::new();
    let mut found = 0;
    loop {
        chunk.clear();
        let mut part = (&mut file).take(CHUNK);
        let length = part.read_to_end(&mut chunk).map_err(error)? as u64;
        found += length;
        if found > size_bytes || (length == 0 && found < size_bytes) {
            let path = real.clone();
            return Err(LayerError::Resized { path }.into());
        }
        if length == 0 {
            return Ok(());
        }
        out.write_all(&chunk).map_err(SinkError::writing(target))?;
        read(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_does_not_depend_on_how_it_is_cut() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let [whole, cut] = [bytes.len(), 777].map(|length| {
                let mut stream = Stream::new(compression, Vec::new()).unwrap();
                for part in bytes.chunks(length) {
                    stream.write_all(part).unwrap();
                }
                stream.finish().unwrap()
            });
            assert!(whole == cut, "{compression}");
        }
    }
}
