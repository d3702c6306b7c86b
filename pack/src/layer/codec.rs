//! Compression of one piece of a layer.
//!
//! The bytes of a piece depend on the piece and the [`Compression`] alone: a compressor that was used before gives the same bytes as a new one.

use std::{
    fmt,
    io::{self, BufReader, Read},
    num::NonZero,
    str::FromStr,
    thread,
};

use libdeflater::{CompressionLvl, Compressor};

use super::{LayerError, buffers::Packed};
use crate::oci::{ManifestType, media_type};

/// libdeflate level 3: on programs and libraries 3 % more bytes than its level 6 in 0.6 of the time, and about the size of what buildah sends.
const GZIP_LEVEL: i32 = 3;
/// zstd level 3: smaller than gzip and more than twice as fast.
pub(crate) const ZSTD_LEVEL: i32 = 3;

/// How the layers of an image are compressed. Printed and parsed as `gzip`, `zstd` and `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// gzip members of [`PIECE_BYTES`](super::PIECE_BYTES), by libdeflate level 3. Every client reads it.
    #[default]
    Gzip,
    /// zstd frames of [`PIECE_BYTES`](super::PIECE_BYTES), level 3. Smaller and faster; docker before 23 and umoci before 0.5 do not read it.
    Zstd,
    /// The tar as it is.
    None,
}

impl Compression {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::None];

    /// Returns the media type of a layer compressed so.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => media_type::LAYER_GZIP,
            Self::Zstd => media_type::LAYER_ZSTD,
            Self::None => media_type::LAYER,
        }
    }

    /// Returns the media type of a layer compressed so in a manifest of this type; `None` where such manifests cannot have it.
    pub const fn media_type_in(self, manifest_type: ManifestType) -> Option<&'static str> {
        match (manifest_type, self) {
            (ManifestType::Oci, _) => Some(self.media_type()),
            (ManifestType::Docker, Self::Gzip) => Some(media_type::DOCKER_LAYER_GZIP),
            (ManifestType::Docker, Self::None) => Some(media_type::DOCKER_LAYER),
            (ManifestType::Docker, Self::Zstd) => None,
        }
    }

    /// Returns the compression of layers of `media_type`, docker's own types included.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => Some(Self::Gzip),
            media_type::LAYER_ZSTD => Some(Self::Zstd),
            media_type::LAYER | media_type::DOCKER_LAYER => Some(Self::None),
            _ => None,
        }
    }

    /// Returns what was compressed so, as a stream.
    pub(crate) fn decode<'r>(self, blob: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(blob)),
            Self::Zstd => Box::new(zstd::Decoder::new(blob)?),
            Self::None => Box::new(BufReader::new(blob)),
        })
    }

    /// Returns how many threads make layers: as many as were asked for, else as there are processors, and no more than one that reads can feed, since each
    /// takes memory.
    pub(crate) fn threads(self, asked: Option<NonZero<usize>>) -> NonZero<usize> {
        let most = match self {
            Self::Gzip => 8,
            Self::Zstd => 4,
            Self::None => 2,
        };
        let asked = asked.or_else(|| thread::available_parallelism().ok());
        let threads = asked.map_or(1, NonZero::get).min(most);
        NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::None => "none",
        })
    }
}

/// The text names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a compression; known are `gzip`, `zstd` and `none`")]
pub struct UnknownCompression {
    /// The text.
    pub text: String,
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, UnknownCompression> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            "none" => Ok(Self::None),
            _ => Err(UnknownCompression {
                text: text.to_owned(),
            }),
        }
    }
}

/// Compresses pieces one after the other; one for each thread.
pub(super) struct PieceCompressor {
    compression: Compression,
    state: State,
}

enum State {
    Gzip(Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl PieceCompressor {
    pub(super) fn new(compression: Compression) -> Result<Self, LayerError> {
        let error = || LayerError::Compress { compression };
        let state = match compression {
            Compression::Gzip => {
                let level = CompressionLvl::new(GZIP_LEVEL).map_err(|_| error())?;
                State::Gzip(Compressor::new(level))
            }
            Compression::Zstd => {
                State::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|_| error())?)
            }
            Compression::None => State::None,
        };
        Ok(Self { compression, state })
    }

    /// Replaces the contents of `out` by the compressed `piece`.
    pub(super) fn compress(&mut self, piece: &[u8], out: &mut Packed) -> Result<(), LayerError> {
        let compression = self.compression;
        let error = || LayerError::Compress { compression };
        match &mut self.state {
            State::Gzip(compressor) => {
                let most = compressor.gzip_compress_bound(piece.len());
                out.fill(most, |room| {
                    compressor.gzip_compress(piece, room).map_err(|_| error())
                })
            }
            State::Zstd(compressor) => {
                let most = zstd::zstd_safe::compress_bound(piece.len());
                out.fill(most, |room| {
                    let size = compressor.compress_to_buffer(piece, room);
                    size.map_err(|_| error())
                })
            }
            State::None => out.fill(piece.len(), |room| {
                room[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compress(compressor: &mut PieceCompressor, piece: &[u8]) -> Vec<u8> {
        let mut out = Packed::default();
        compressor.compress(piece, &mut out).unwrap();
        out.to_vec()
    }

    #[test]
    fn the_gzip_header_holds_no_time_name_or_system() {
        let mut compressor = PieceCompressor::new(Compression::Gzip).unwrap();
        let member = compress(&mut compressor, b"hello");
        assert_eq!(member[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn names_print_and_parse_back() {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            assert_eq!(compression.to_string().parse(), Ok(compression));
            assert_eq!(
                Compression::from_media_type(compression.media_type()),
                Some(compression)
            );
        }
        assert!("lzma".parse::<Compression>().is_err());
    }

    proptest! {
        #[test]
        fn a_used_compressor_gives_the_bytes_of_a_new_one(
            before in proptest::collection::vec(any::<u8>(), 0..9000),
            piece in proptest::collection::vec(0_u8..4, 0..9000),
        ) {
            for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
                let mut used = PieceCompressor::new(compression).unwrap();
                compress(&mut used, &before);
                compress(&mut used, &piece);
                let again = compress(&mut used, &piece);
                let mut new = PieceCompressor::new(compression).unwrap();
                prop_assert_eq!(&again, &compress(&mut new, &piece));

                let mut read = Vec::new();
                match compression {
                    Compression::Gzip => { flate2::read::GzDecoder::new(&again[..]).read_to_end(&mut read).unwrap(); }
                    Compression::Zstd => { zstd::Decoder::new(&again[..]).unwrap().read_to_end(&mut read).unwrap(); }
                    Compression::None => read = again,
                }
                prop_assert_eq!(&read, &piece);
            }
        }
    }
}
