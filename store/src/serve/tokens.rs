//! Who may do what: bearer tokens, and the file that lists them by their digests.
//!
//! A token is 32 random bytes, so a fast digest is enough to keep it secret from who reads the file: there is nothing to guess. One line a token:
//! `<name> <scopes> <64 hexadecimal digits>`, the scopes joined by commas; empty lines and lines that begin with `#` are skipped.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use zeroize::Zeroizing;

use super::TokenError;
use crate::trust::KeyName;

/// What every token begins with, so that one that got somewhere by mistake is recognised.
const PREFIX: &str = "pith-cache-";
/// What is hashed with the token, so that its digest is of no use anywhere else.
const CONTEXT: &str = "pith 2026 bearer token of a binary cache v1";
/// Bytes of a file of tokens at most: some ten thousand.
const MAX_FILE: u64 = 1 << 20;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// Reading files.
    Read,
    /// Writing files.
    Write,
    /// Both.
    ReadWrite,
}

impl Scopes {
    /// Whether files may be read.
    #[must_use]
    pub const fn can_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether files may be written.
    #[must_use]
    pub const fn can_write(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read,write",
        })
    }
}

impl FromStr for Scopes {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "read,write" => Ok(Self::ReadWrite),
            _ => Err(TokenError::Scopes {
                text: text.to_owned(),
            }),
        }
    }
}

/// A line of a file of tokens: everything about a token but the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// What the token is called in reports.
    pub name: KeyName,
    /// What it is good for.
    pub scopes: Scopes,
    digest: [u8; 32],
}

impl TokenEntry {
    /// Makes a token. It is returned once, beside what the file is to know of it.
    pub fn generate(
        name: KeyName,
        scopes: Scopes,
    ) -> Result<(Self, Zeroizing<String>), TokenError> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).map_err(TokenError::Randomness)?;
        // Reserved at once: a text that grows leaves copies of a secret behind.
        let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + 64));
        token.push_str(PREFIX);
        push_hex(&mut token, &random[..]);
        let digest = digest_of(&token);
        Ok((
            Self {
                name,
                scopes,
                digest,
            },
            token,
        ))
    }
}

impl fmt::Display for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digest = String::with_capacity(64);
        push_hex(&mut digest, &self.digest);
        write!(f, "{} {} {digest}", self.name, self.scopes)
    }
}

impl FromStr for TokenEntry {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(name), Some(scopes), Some(digest), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(TokenError::Shape);
        };
        Ok(Self {
            name: name.parse().map_err(TokenError::Name)?,
            scopes: scopes.parse()?,
            digest: parse_hex(digest).ok_or(TokenError::Shape)?,
        })
    }
}

/// All tokens of a file.
#[derive(Debug, Default)]
pub(super) struct TokenSet(BTreeMap<[u8; 32], Arc<TokenEntry>>);

impl TokenSet {
    /// Finds what is known of a token. What is compared are digests, so the time it takes tells nothing of the token.
    pub(super) fn find(&self, token: &str) -> Option<Arc<TokenEntry>> {
        self.0.get(&digest_of(token)).cloned()
    }
}

impl FromStr for TokenSet {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut entries = BTreeMap::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry: TokenEntry = line.parse().map_err(|source| TokenError::Line {
                number,
                source: Box::new(source),
            })?;
            if entries.insert(entry.digest, Arc::new(entry)).is_some() {
                return Err(TokenError::Line {
                    number,
                    source: Box::new(TokenError::Twice),
                });
            }
        }
        Ok(Self(entries))
    }
}

/// A file of tokens that is read again when it changes, so that a line that is taken out counts for nothing at once.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stamp: Option<Stamp>,
    tokens: TokenSet,
}

/// What changes when a file does.
type Stamp = (u64, u64, u64, i64, i64);

impl TokenFile {
    pub(super) fn open(path: &Path) -> Result<Self, TokenError> {
        let (stamp, tokens) = read(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            state: Mutex::new(State {
                stamp: Some(stamp),
                tokens,
            }),
        })
    }

    /// Finds what is known of a token now. While the file cannot be read, or is none, no token is good.
    pub(super) fn find(&self, token: &str) -> Result<Option<Arc<TokenEntry>>, TokenError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fs::metadata(&self.path)
            .map(|metadata| stamp(&metadata))
            .ok();
        if now.is_none() || now != state.stamp {
            state.stamp = None;
            state.tokens = TokenSet::default();
            let (stamp, tokens) = read(&self.path)?;
            *state = State {
                stamp: Some(stamp),
                tokens,
            };
        }
        Ok(state.tokens.find(token))
    }
}

fn read(path: &Path) -> Result<(Stamp, TokenSet), TokenError> {
    let failed = |source| TokenError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let stamp = stamp(&file.metadata().map_err(failed)?);
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(TokenError::TooLong {
            path: path.to_path_buf(),
            limit: MAX_FILE,
        });
    }
    let tokens = text.parse().map_err(|source| TokenError::File {
        path: path.to_path_buf(),
        source: Box::new(source),
    })?;
    Ok((stamp, tokens))
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

fn digest_of(token: &str) -> [u8; 32] {
    blake3::derive_key(CONTEXT, token.as_bytes())
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(is_lower_hex) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, scopes: Scopes) -> (TokenEntry, Zeroizing<String>) {
        TokenEntry::generate(name.parse().unwrap(), scopes).unwrap()
    }

    #[test]
    fn a_line_has_everything_but_the_token() {
        let (made, token) = entry("ci", Scopes::ReadWrite);
        let line = made.to_string();
        assert_eq!(line.parse::<TokenEntry>().unwrap(), made);
        assert!(line.starts_with("ci read,write "), "{line}");
        assert!(token.starts_with(PREFIX) && token.len() == PREFIX.len() + 64);
        assert!(!line.contains(&token[PREFIX.len()..]));
        let set: TokenSet = format!("# who\n\n  {line}  \n").parse().unwrap();
        assert_eq!(set.find(&token).unwrap().name.as_str(), "ci");
        assert!(set.find(&token[1..]).is_none());
        assert!(set.find("").is_none());
    }

    #[test]
    fn two_tokens_are_never_the_same() {
        let (one, token) = entry("a", Scopes::Read);
        let (two, other) = entry("a", Scopes::Read);
        assert_ne!(*token, *other);
        assert_ne!(one.digest, two.digest);
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let hex = "0".repeat(64);
        for line in [
            "ci".to_owned(),
            "ci read".to_owned(),
            format!("ci admin {hex}"),
            format!("ci write,read {hex}"),
            format!("c/i read {hex}"),
            format!("ci read {hex} more"),
            format!("ci read {}", &hex[1..]),
            format!("ci read {}", hex.replace('0', "A")),
        ] {
            let error = format!("\n{line}\n").parse::<TokenSet>().unwrap_err();
            assert!(
                matches!(error, TokenError::Line { number: 2, .. }),
                "{line}: {error}"
            );
        }
        let twice = format!("a read {hex}\nb write {hex}\n");
        assert!(twice.parse::<TokenSet>().is_err());
    }

    #[test]
    fn a_line_that_is_taken_out_counts_for_nothing_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        let (one, token) = entry("one", Scopes::Read);
        let (two, other) = entry("two", Scopes::Write);
        fs::write(&path, format!("{one}\n{two}\n")).unwrap();
        let file = TokenFile::open(&path).unwrap();
        let name = |token: &str| {
            let found = file.find(token).ok().flatten();
            found.map(|entry| entry.name.to_string())
        };
        assert_eq!(name(&token).as_deref(), Some("one"));
        assert_eq!(name(&other).as_deref(), Some("two"));
        fs::write(&path, format!("{two}\n")).unwrap();
        assert_eq!(name(&token), None);
        assert_eq!(name(&other).as_deref(), Some("two"));
        fs::write(&path, "nonsense").unwrap();
        assert_eq!(name(&other), None);
        assert!(file.find(&other).is_err());
        fs::remove_file(&path).unwrap();
        assert!(file.find(&other).is_err());
        fs::write(&path, format!("{two}\n")).unwrap();
        assert_eq!(name(&other).as_deref(), Some("two"));
    }
}
