//! Names of store objects, until crate `store` has them.

use std::fmt;
use std::str::FromStr;

pub const STORE_DIR: &str = "/pith/store";
const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreName(String);
impl StoreName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad name `{0}`")]
pub struct NameError(String);
impl FromStr for StoreName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = !text.is_empty()
            && text.len() <= 200
            && !text.starts_with('.')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathDigest([u8; 25]);
impl PathDigest {
    pub const fn from_bytes(bytes: [u8; 25]) -> Self {
        Self(bytes)
    }
    pub const fn as_bytes(&self) -> &[u8; 25] {
        &self.0
    }
}
impl fmt::Display for PathDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(40);
        for chunk in self.0.chunks_exact(5) {
            let mut n = chunk.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) << 24;
            for _ in 0..8 {
                text.push(ALPHABET[(n >> 59) as usize] as char);
                n <<= 5;
            }
        }
        f.write_str(&text)
    }
}
impl fmt::Debug for PathDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for PathDigest {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let err = || NameError(text.to_owned());
        if text.len() != 40 {
            return Err(err());
        }
        let mut bytes = [0; 25];
        for (out, chunk) in bytes
            .chunks_exact_mut(5)
            .zip(text.as_bytes().chunks_exact(8))
        {
            let mut n = 0u64;
            for b in chunk {
                n = n << 5 | ALPHABET.iter().position(|a| a == b).ok_or_else(err)? as u64;
            }
            out.copy_from_slice(&n.to_be_bytes()[3..]);
        }
        Ok(Self(bytes))
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StorePath {
    digest: PathDigest,
    name: StoreName,
}
impl StorePath {
    pub fn new(digest: PathDigest, name: StoreName) -> Self {
        Self { digest, name }
    }
    pub fn digest(&self) -> &PathDigest {
        &self.digest
    }
    pub fn name(&self) -> &StoreName {
        &self.name
    }
    pub fn to_logical(&self) -> String {
        format!("{STORE_DIR}/{self}")
    }
}
impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.digest, self.name)
    }
}

macro_rules! digest {
    ($name:ident) => {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name([u8; 32]);
        impl $name {
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }
    };
}
digest!(ObjectId);
digest!(PlanDigest);
digest!(ResolvedDigest);
