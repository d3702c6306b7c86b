//! The name of an entry in a directory.

use std::fmt;

use super::{MAX_NAME, TreeError};

/// The name of an entry in a directory: 1 to 255 bytes, none of them `/` or NUL, and neither `.` nor `..`.
///
/// Bytes, not text: ordered and compared as bytes, printed with escapes where they are not UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Box<[u8]>);

impl EntryName {
    /// Takes bytes for a name if they obey the rules.
    pub fn new(bytes: &[u8]) -> Result<Self, TreeError> {
        let refuse = |reason| {
            Err(TreeError::Name {
                name: bytes.escape_ascii().to_string(),
                reason,
            })
        };
        match bytes {
            b"" => refuse("it is empty"),
            b"." | b".." => refuse("it is a name of the directory itself"),
            _ if bytes.len() > MAX_NAME => refuse("it has more than 255 bytes"),
            _ if bytes.contains(&b'/') => refuse("it has a slash"),
            _ if bytes.contains(&0) => refuse("it has a NUL byte"),
            _ => Ok(Self(bytes.into())),
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryName({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_or_break_a_directory_are_refused() {
        for bytes in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", &[b'a'; 256]] {
            assert!(EntryName::new(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [&b"a"[..], b"...", b"-rf", b"\xff\n", &[b'a'; 255]] {
            assert_eq!(EntryName::new(bytes).unwrap().as_bytes(), bytes);
        }
    }
}
