//! Bytes to forms: the strict inverse of encoding, for bytes from anywhere.
//!
//! Accepts the one canonical encoding of a form and nothing else, reads no length before it is there, and allocates no
//! more than a small multiple of the input.

use std::collections::BTreeMap;

use super::ContentDigest;
use super::encode::VERSION;
use super::form::{BuilderForm, Form, PieceForm, Reference};

/// Why bytes are no canonical encoding of a derivation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The encoding ends too early.
    #[error("the encoding ends at byte {offset} inside {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where the bytes ended.
        offset: usize,
    },
    /// Bytes follow the encoding.
    #[error("{count} bytes follow the encoding")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The encoding has a version that this program does not know.
    #[error("the encoding has version {found}, not {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A tag, flag or count has a value without a meaning.
    #[error("{what} at byte {offset} is {found}, which has no meaning")]
    Tag {
        /// What was being read.
        what: &'static str,
        /// The value.
        found: u32,
        /// Where it is.
        offset: usize,
    },
    /// A text is not UTF-8.
    #[error("the text at byte {offset} is not UTF-8")]
    NotUtf8 {
        /// Where the text starts.
        offset: usize,
    },
    /// Keys, references or pieces are not in their one order.
    #[error("{what} at byte {offset} is out of order, twice or empty")]
    NotCanonical {
        /// What was being read.
        what: &'static str,
        /// Where it ends.
        offset: usize,
    },
}

impl Form {
    /// Returns the form of which `bytes` is the canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader { bytes, offset: 0 };
        let found = reader.byte("the version")?;
        if found != VERSION {
            return Err(DecodeError::Version { found });
        }
        let form = Self {
            name: reader.text()?,
            outputs: reader.list(Reader::text)?,
            builder: reader.builder()?,
        };
        match bytes.len() - reader.offset {
            0 => Ok(form),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let end = self.offset.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.offset..end));
        let taken = taken.ok_or(DecodeError::Truncated {
            what,
            offset: self.bytes.len(),
        })?;
        self.offset += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let offset = self.bytes.len();
        self.take(N, what)?
            .try_into()
            .map_err(|_| DecodeError::Truncated { what, offset })
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn count(&mut self) -> Result<usize, DecodeError> {
        let count = u32::from_le_bytes(self.array("a count")?);
        usize::try_from(count).map_err(|_| self.bad_tag("a count", count, 4))
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.byte("a flag")? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.bad_tag("a flag", other.into(), 1)),
        }
    }

    fn bad_tag(&self, what: &'static str, found: u32, width: usize) -> DecodeError {
        DecodeError::Tag {
            what,
            found,
            offset: self.offset - width,
        }
    }

    fn not_canonical(&self, what: &'static str) -> DecodeError {
        DecodeError::NotCanonical {
            what,
            offset: self.offset,
        }
    }

    fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        let length = self.count()?;
        self.take(length, "bytes").map(<[u8]>::to_vec)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let length = self.count()?;
        let offset = self.offset;
        let bytes = self.take(length, "a text")?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| DecodeError::NotUtf8 { offset })
    }

    /// Reads a list without trusting its count: every element takes at least one byte, so a false count ends in
    /// `Truncated` before memory does.
    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    fn map<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<BTreeMap<String, T>, DecodeError> {
        let count = self.count()?;
        let mut map = BTreeMap::new();
        for _ in 0..count {
            let key = self.text()?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(self.not_canonical("a key"));
            }
            let value = read(self)?;
            map.insert(key, value);
        }
        Ok(map)
    }

    fn set(&mut self) -> Result<Vec<Reference>, DecodeError> {
        let list = self.list(Self::reference)?;
        if list.is_sorted_by(|a, b| a < b) {
            Ok(list)
        } else {
            Err(self.not_canonical("a set of references"))
        }
    }

    fn reference(&mut self) -> Result<Reference, DecodeError> {
        Ok(Reference {
            digest: self.array("a digest")?,
            output: self.text()?,
        })
    }

    fn pieces(&mut self) -> Result<Vec<PieceForm>, DecodeError> {
        let mut after_literal = false;
        self.list(|reader| match reader.byte("a piece")? {
            0 => {
                let text = reader.text()?;
                if text.is_empty() || after_literal {
                    return Err(reader.not_canonical("a literal piece"));
                }
                after_literal = true;
                Ok(PieceForm::Literal(text))
            }
            1 => {
                after_literal = false;
                reader.reference().map(PieceForm::Output)
            }
            other => Err(reader.bad_tag("a piece", other.into(), 1)),
        })
    }

    fn builder(&mut self) -> Result<BuilderForm, DecodeError> {
        match self.byte("a builder")? {
            0 => self.program(),
            1 => Ok(BuilderForm::Fetch {
                urls: self.list(Self::text)?,
                digest: match self.byte("a digest algorithm")? {
                    0 => ContentDigest::Sha256(self.array("a digest")?),
                    1 => ContentDigest::Blake3(self.array("a digest")?),
                    2 => ContentDigest::Sha512(self.array("a digest")?),
                    other => return Err(self.bad_tag("a digest algorithm", other.into(), 1)),
                },
                executable: self.flag()?,
            }),
            2 => Ok(BuilderForm::Content {
                digest: self.array("a digest")?,
            }),
            3 => Ok(BuilderForm::Local {
                project: self.bytes()?,
                path: self.text()?,
                exclude: self.list(Self::text)?,
                allow_secrets: self.list(Self::text)?,
            }),
            4 => Ok(BuilderForm::DebTree {
                debs: self.list(Self::reference)?,
                links: self.map(Self::text)?,
                drop: self.list(Self::text)?,
                include: self.list(Self::text)?,
            }),
            5 => Ok(BuilderForm::Deb {
                deb: self.reference()?,
                drop: self.list(Self::text)?,
                keep: self.list(Self::text)?,
            }),
            6 => Ok(BuilderForm::DebSet {
                members: self.list(Self::reference)?,
                requested: self.list(Self::text)?,
                release: self.text()?,
                tree: self.flag()?,
                rules: u32::from_le_bytes(self.array("the version of rules")?),
            }),
            other => Err(self.bad_tag("a builder", other.into(), 1)),
        }
    }

    fn program(&mut self) -> Result<BuilderForm, DecodeError> {
        let argv = self.list(Self::pieces)?;
        let env = self.map(Self::pieces)?;
        let platform = self.text()?;
        let mut seed = self.list(Self::reference)?;
        if seed.len() > 1 {
            return Err(self.not_canonical("a seed"));
        }
        Ok(BuilderForm::Program {
            argv,
            env,
            platform,
            seed: seed.pop(),
            inputs: self.set()?,
            forbidden: self.set()?,
            extra_references: self.set()?,
        })
    }
}
