//! Messages between the caller, the helper, the supervisor and the first process: framing and byte strings.
//!
//! A message is JSON behind its length. Paths and other byte strings are written one character per byte (Latin-1), which loses
//! nothing. Both ends are the same binary, so the format has no versions.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::outcome::Level;

/// The longest message: a specification with tens of thousands of mounts is far below.
const MAX_MESSAGE_BYTES: u32 = 256 << 20;

/// What process 1 says to the supervisor, and the supervisor to the caller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// From process 1 only: the sandbox stands, at this level.
    Started(Level),
    /// From process 1 only: the builder ended.
    Ended(BuilderEnd),
    /// A step failed; if it was one of the builder's own, an end follows.
    Failed(StepError),
    /// From the supervisor only: everything is dead. No end when the caller ordered the death before the builder's.
    Dead {
        end: Option<BuilderEnd>,
        level: Level,
    },
}

/// How the builder's own process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BuilderEnd {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// By process 1, because the read-write mounts held too much.
    DiskLimit,
}

/// One end of a socket pair, written to without the signal that a closed other end would send.
#[derive(Debug)]
pub(crate) struct Channel<'a>(pub(crate) &'a UnixStream);

impl Write for Channel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(
            self.0,
            bytes,
            rustix::net::SendFlags::NOSIGNAL,
        )?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one message.
pub(crate) fn send<T: Serialize>(to: &UnixStream, message: &T) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| io::ErrorKind::InvalidInput)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Channel(to).write_all(&frame)
}

/// Reads one message; `None` when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_MESSAGE_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Byte strings that are not always UTF-8.
pub(crate) trait Bytes: Sized {
    /// Returns the bytes.
    fn to_bytes(&self) -> &[u8];
    /// Takes them back.
    fn from_bytes(bytes: Vec<u8>) -> Self;
}

impl Bytes for Vec<u8> {
    fn to_bytes(&self) -> &[u8] {
        self
    }
    fn from_bytes(bytes: Vec<u8>) -> Self {
        bytes
    }
}

impl Bytes for std::ffi::OsString {
    fn to_bytes(&self) -> &[u8] {
        std::os::unix::ffi::OsStrExt::as_bytes(self.as_os_str())
    }
    fn from_bytes(bytes: Vec<u8>) -> Self {
        std::os::unix::ffi::OsStringExt::from_vec(bytes)
    }
}

impl Bytes for std::path::PathBuf {
    fn to_bytes(&self) -> &[u8] {
        std::os::unix::ffi::OsStrExt::as_bytes(self.as_os_str())
    }
    fn from_bytes(bytes: Vec<u8>) -> Self {
        std::ffi::OsString::from_bytes(bytes).into()
    }
}

fn to_text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn from_text<E: serde::de::Error>(text: &str) -> Result<Vec<u8>, E> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)))
        .collect::<Result<_, _>>()
        .map_err(|_| E::custom("a byte string holds a character above U+00FF"))
}

/// For one byte string.
pub(crate) mod latin1 {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Bytes, from_text, to_text};

    pub(crate) fn serialize<T: Bytes, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&to_text(value.to_bytes()))
    }

    pub(crate) fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        from_text(&text).map(T::from_bytes)
    }
}

/// For a list of byte strings.
pub(crate) mod latin1_list {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Bytes, from_text, to_text};

    pub(crate) fn serialize<T: Bytes, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|value| to_text(value.to_bytes())))
    }

    pub(crate) fn deserialize<'de, T: Bytes, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .iter()
            .map(|text| from_text(text).map(T::from_bytes))
            .collect()
    }
}

/// For a map from byte strings to byte strings.
pub(crate) mod latin1_map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Bytes, from_text, to_text};

    pub(crate) fn serialize<T: Bytes, S: Serializer>(
        map: &BTreeMap<T, T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            map.iter()
                .map(|(key, value)| (to_text(key.to_bytes()), to_text(value.to_bytes()))),
        )
    }

    pub(crate) fn deserialize<'de, T: Bytes + Ord, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<T, T>, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(from)?;
        pairs
            .iter()
            .map(|(key, value)| {
                Ok((
                    T::from_bytes(from_text(key)?),
                    T::from_bytes(from_text(value)?),
                ))
            })
            .collect()
    }
}
