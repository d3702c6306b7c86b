//! What is wrong with bytes of an image.

use std::fmt;

use serde::Serialize;

use crate::oci::Digest;

/// The code of a finding, which stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ByteCode {
    /// Something is not what its digest, its store path or its rule says: the image is damaged or was changed.
    B101,
    /// Something has no origin that is known.
    B102,
}

impl fmt::Display for ByteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::B101 => "B101",
            Self::B102 => "B102",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByteFinding {
    /// What kind of thing.
    pub code: ByteCode,
    /// The layer that it is in.
    pub layer: Digest,
    /// Where in the layer's tar; none where the whole layer or a whole object is meant.
    pub offset: Option<u64>,
    /// The path in the image, or the store path; empty for the layer itself.
    pub path: String,
    /// What is wrong with it, as the end of a sentence that begins with the path.
    pub problem: String,
}

impl fmt::Display for ByteFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, problem) = (self.code, &self.problem);
        if self.path.is_empty() {
            write!(f, "{code}: the layer {problem}")?;
        } else {
            write!(
                f,
                "{code}: `/{}` {problem}",
                self.path.trim_start_matches('/')
            )?;
        }
        write!(f, "\n  in {}", self.layer)?;
        match self.offset {
            Some(offset) => write!(f, ", at byte {offset}"),
            None => Ok(()),
        }
    }
}
