//! One JSON value of version 1 from bytes that nobody has checked, and to bytes.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{FormatError, VERSION};

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Parses a value of this version. Unknown keys are ignored; the version is looked at before anything else is asked for.
pub(super) fn parse<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<T, FormatError> {
    if bytes.len() > limit {
        return Err(FormatError::TooLarge {
            what,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::Malformed {
        what,
        rule: "it is UTF-8",
    })?;
    let json = |source| FormatError::Json { what, source };
    // Lists would do for objects otherwise.
    if !text.trim_start().starts_with('{') {
        return Err(FormatError::Malformed {
            what,
            rule: "it is a JSON object",
        });
    }
    let Versioned { version } = serde_json::from_str(text).map_err(json)?;
    if version != VERSION {
        return Err(FormatError::Version {
            what,
            found: version,
        });
    }
    serde_json::from_str(text).map_err(json)
}

/// Prints a value on one line that ends.
pub(super) fn print<T: Serialize>(
    what: &'static str,
    value: &T,
    limit: usize,
) -> Result<Vec<u8>, FormatError> {
    let mut bytes =
        serde_json::to_vec(value).map_err(|source| FormatError::Json { what, source })?;
    bytes.push(b'\n');
    if bytes.len() > limit {
        return Err(FormatError::TooLarge {
            what,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
        });
    }
    Ok(bytes)
}
