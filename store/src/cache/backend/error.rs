//! What an answer or a failure means for the file that was asked for.

use std::{fmt, io, path::PathBuf};

use reqwest::header::HeaderMap;

use super::BackendError;
use crate::{
    net::{NetError, is_failing, log_in_scheme, retry_after},
    sys::FileError,
};

/// What a cache wants before it does what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// To know who asks (401).
    Credentials {
        /// How one says so, as the server names it: `Bearer`, `Basic` ….
        scheme: Option<String>,
    },
    /// That this user be allowed to (403).
    Permission,
    /// Permission of the file system.
    FileAccess,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials { scheme: None } => f.write_str("the server wants credentials"),
            Self::Credentials {
                scheme: Some(scheme),
            } => write!(f, "the server wants credentials ({scheme})"),
            Self::Permission => f.write_str("the server does not allow it"),
            Self::FileAccess => f.write_str("the file system does not allow it"),
        }
    }
}

/// The kinds of failures, for counting and for deciding what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The cache does not have it.
    Absent,
    /// Credentials or rights are missing.
    Denied,
    /// The server wants to be asked later.
    Busy,
    /// The server failed by itself.
    Failing,
    /// There was no answer.
    Unreachable,
    /// The answer is none to the question.
    Corrupt,
    /// The server does not accept the question.
    Refused,
    /// Caches of this kind cannot do it.
    Unsupported,
    /// What is configured does not fit.
    Settings,
    /// A file operation failed.
    File,
}

impl ErrorClass {
    /// Whether there is a working cache behind it.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        !matches!(
            self,
            Self::Busy | Self::Failing | Self::Unreachable | Self::File
        )
    }
}

/// In what an answer differs from what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// It has more bytes than such a file may have.
    TooLarge {
        /// How many it may have.
        limit_bytes: u64,
    },
    /// It has another number of bytes.
    Length {
        /// How many were promised or asked for.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// It goes on behind its end.
    Overlong {
        /// How many bytes were asked for.
        expected: u64,
    },
    /// It is another part of the file, or says not which.
    Range {
        /// The first byte that was asked for, and the one behind the last.
        expected: (u64, u64),
        /// What the answer says it is.
        found: Option<(u64, u64)>,
    },
    /// The file is no regular file.
    Kind,
    /// The registry's manifest of the file cannot be understood.
    Manifest {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit_bytes } => write!(f, "it has more than {limit_bytes} bytes"),
            Self::Length { expected, found } => {
                write!(f, "it has {found} bytes and not {expected}")
            }
            Self::Overlong { expected } => write!(f, "it goes on after {expected} bytes"),
            Self::Range {
                expected: (start, end),
                found: Some((from, to)),
            } => write!(f, "it has bytes {from} to {to} and not {start} to {end}"),
            Self::Range {
                expected: (start, end),
                found: None,
            } => write!(f, "it does not say that it has bytes {start} to {end}"),
            Self::Kind => f.write_str("it is no regular file"),
            Self::Manifest { reason } => write!(f, "its manifest {reason}"),
        }
    }
}

impl BackendError {
    /// Returns the error that a reader of [`open_range`](super::Backend::open_range) failed with. `file` names what was read, for errors of other readers.
    #[must_use]
    pub fn from_read(error: io::Error, file: &str) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(error) => return error,
            Err(error) => error,
        };
        match error.downcast::<NetError>() {
            Ok(source) => Self::Unreachable {
                file: file.to_owned(),
                source,
            },
            Err(source) => Self::File(FileError {
                action: "read",
                path: PathBuf::from(file),
                source,
            }),
        }
    }

    /// Returns what kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Absent { .. } => ErrorClass::Absent,
            Self::Denied { .. } => ErrorClass::Denied,
            Self::Busy { .. } => ErrorClass::Busy,
            Self::Unreachable { .. } => ErrorClass::Unreachable,
            Self::Corrupt { .. } => ErrorClass::Corrupt,
            Self::Refused { code, .. } if is_failing(*code) => ErrorClass::Failing,
            Self::Refused { .. } => ErrorClass::Refused,
            Self::Unsupported { .. } => ErrorClass::Unsupported,
            Self::Plaintext { .. } | Self::Settings { .. } => ErrorClass::Settings,
            Self::File(_) => ErrorClass::File,
        }
    }

    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Unreachable { source, .. } => source.is_transient(),
            Self::Refused { code, .. } => is_failing(*code),
            _ => false,
        }
    }

    /// What a status that is no success means.
    pub(super) fn from_status(file: String, code: u16, headers: &HeaderMap) -> Self {
        match code {
            404 | 410 => Self::Absent { file },
            401 => Self::Denied {
                file,
                need: Need::Credentials {
                    scheme: log_in_scheme(headers),
                },
            },
            403 => Self::Denied {
                file,
                need: Need::Permission,
            },
            429 | 503 => Self::Busy {
                file,
                code,
                retry_after: retry_after(headers),
            },
            code => Self::Refused { file, code },
        }
    }

    /// What a failed file operation means.
    pub(super) fn from_file(error: FileError) -> Self {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        if matches!(error.source.kind(), PermissionDenied | ReadOnlyFilesystem) {
            return Self::Denied {
                file: error.path.display().to_string(),
                need: Need::FileAccess,
            };
        }
        Self::File(error)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::WWW_AUTHENTICATE;

    use super::*;

    #[test]
    fn a_status_says_what_can_be_done() {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, "Bearer realm=\"x\"".parse().unwrap());
        headers.insert("retry-after", "7".parse().unwrap());
        let messages: Vec<_> = [401, 403, 404, 410, 429, 503, 500, 418]
            .map(|code| {
                let error = BackendError::from_status("F".to_owned(), code, &headers);
                format!("{error} {}", error.is_transient())
            })
            .into();
        assert_eq!(
            messages,
            [
                "`F` is denied: the server wants credentials (Bearer) false",
                "`F` is denied: the server does not allow it false",
                "`F` is not in the cache false",
                "`F` is not in the cache false",
                "the server of `F` is busy (429) true",
                "the server of `F` is busy (503) true",
                "the server of `F` answered 500 true",
                "the server of `F` answered 418 false",
            ]
        );
    }
}
