//! Which files look like secrets, by what is in them and, where that does not tell, by their names.
//!
//! A secret that gets into a store goes on into caches and images, and cannot be called back. So what looks like one stops
//! the build, once, until somebody has decided. It is a net for mistakes; what is hidden from it on purpose gets through.

use std::fmt;
use std::str;

use store::trust::SecretKey;

/// How much of a file tells what it is: keys and settings are shorter.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// The longest list of secrets that a message shows.
const SHOWN: usize = 10;

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// It sets variables, as `.env` does.
    Settings,
    /// It has a private key in one of the known forms.
    PrivateKey,
    /// It is what tools keep private keys in.
    KeyStore,
    /// Tools find tokens or passwords there.
    Credentials,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "settings of one machine",
            Self::PrivateKey => "a private key",
            Self::KeyStore => "a key store",
            Self::Credentials => "credentials",
        })
    }
}

/// What tells that a file of a suspicious name is a secret.
enum Mark {
    /// It is not empty.
    Bytes,
    /// It has a line that is no comment.
    Lines,
    /// It has a private key anywhere, not only at its beginning.
    PrivateKey,
    /// All of these are in it.
    Texts(&'static [&'static str]),
    /// It gives one of these a value, which is no reference to a variable.
    Values(&'static [&'static str]),
}

/// Patterns of lower-case names, or of the last parts of paths; `*` stands at one end only.
const SUSPECTS: &[(&str, Secret, Mark)] = &[
    (".env", Secret::Settings, Mark::Lines),
    (".env.*", Secret::Settings, Mark::Lines),
    ("*.pem", Secret::PrivateKey, Mark::PrivateKey),
    ("*.key", Secret::PrivateKey, Mark::PrivateKey),
    ("*.crt", Secret::PrivateKey, Mark::PrivateKey),
    ("*.p12", Secret::KeyStore, Mark::Bytes),
    ("*.pfx", Secret::KeyStore, Mark::Bytes),
    ("*.jks", Secret::KeyStore, Mark::Bytes),
    ("*.kdbx", Secret::KeyStore, Mark::Bytes),
    (".git-credentials", Secret::Credentials, Mark::Lines),
    (".netrc", Secret::Credentials, Mark::Lines),
    (".pgpass", Secret::Credentials, Mark::Lines),
    (".aws/credentials", Secret::Credentials, Mark::Lines),
    (".cargo/credentials", Secret::Credentials, Mark::Lines),
    (".cargo/credentials.toml", Secret::Credentials, Mark::Lines),
    (".kube/config", Secret::Credentials, Mark::Lines),
    (
        ".docker/config.json",
        Secret::Credentials,
        Mark::Values(&["\"auth\""]),
    ),
    (
        ".npmrc",
        Secret::Credentials,
        Mark::Values(&["_authToken", "_auth", "_password"]),
    ),
    (
        ".yarnrc.yml",
        Secret::Credentials,
        Mark::Values(&["npmAuthToken", "npmAuthIdent"]),
    ),
    (".pypirc", Secret::Credentials, Mark::Values(&["password"])),
    (
        "*.json",
        Secret::Credentials,
        Mark::Texts(&["\"private_key\"", "-----BEGIN PRIVATE KEY-----"]),
    ),
];

/// Endings of names that say that a file is a template, which projects publish.
const TEMPLATES: &[&str] = &[".defaults", ".dist", ".example", ".sample", ".template"];

/// The first lines of other forms of private keys.
const FIRST_LINES: &[&[u8]] = &[b"PuTTY-User-Key-File-", b"AGE-SECRET-KEY-"];

/// Returns what the file at `path` in its project looks like, if that is a secret; `head` is its beginning.
pub(super) fn recognise(path: &str, head: &[u8]) -> Option<Secret> {
    let path = path.to_ascii_lowercase();
    if TEMPLATES.iter().any(|ending| path.ends_with(ending)) {
        return None;
    }
    if is_private_key(head) {
        return Some(Secret::PrivateKey);
    }
    SUSPECTS.iter().find_map(|(pattern, secret, mark)| {
        (matches(pattern, &path) && shows(mark, head)).then_some(*secret)
    })
}

/// Compares a pattern with as many last parts of a path as it has.
fn matches(pattern: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let wanted = pattern.split('/').count();
    let Some(last) = parts.len().checked_sub(wanted) else {
        return false;
    };
    let name = parts.get(last..).unwrap_or_default().join("/");
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(ending), _) => name.ends_with(ending),
        (None, Some(beginning)) => name.starts_with(beginning),
        (None, None) => name == pattern,
    }
}

fn shows(mark: &Mark, head: &[u8]) -> bool {
    let is_written = |line: &[u8]| !line.is_empty() && !line.starts_with(b"#");
    match mark {
        Mark::Bytes => !head.is_empty(),
        Mark::Lines => lines(head).any(is_written),
        Mark::PrivateKey => lines(head).any(begins_key),
        Mark::Texts(texts) => texts
            .iter()
            .all(|text| memchr::memmem::find(head, text.as_bytes()).is_some()),
        Mark::Values(names) => lines(head)
            .filter(|line| is_written(line))
            .any(|line| names.iter().any(|name| has_value(line, name))),
    }
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

/// Returns whether a file is a key whatever its name: sources that only speak of keys do not begin with one.
fn is_private_key(head: &[u8]) -> bool {
    let first = lines(head).find(|line| !line.is_empty());
    let is_key =
        |line: &[u8]| begins_key(line) || FIRST_LINES.iter().any(|begin| line.starts_with(begin));
    first.is_some_and(is_key) || is_signing_key(head)
}

/// The first line of a key in PEM or in OpenPGP's form of it.
fn begins_key(line: &[u8]) -> bool {
    line.starts_with(b"-----BEGIN ")
        && (line.ends_with(b"PRIVATE KEY-----") || line.ends_with(b"PRIVATE KEY BLOCK-----"))
}

/// What `pith key generate` writes.
fn is_signing_key(head: &[u8]) -> bool {
    let text = str::from_utf8(head).unwrap_or_default().trim();
    text.parse::<SecretKey>().is_ok()
}

/// Returns whether a line gives `name` a value that is not empty and not a variable.
fn has_value(line: &[u8], name: &str) -> bool {
    let line = String::from_utf8_lossy(line);
    let Some((_, after)) = line.split_once(name) else {
        return false;
    };
    let Some(value) = after.trim_start().strip_prefix(['=', ':']) else {
        return false;
    };
    let value = value.trim_matches([' ', '\t', '"', '\'', ',']);
    !value.is_empty() && !value.starts_with('$')
}

/// Returns the files as a message lists them.
pub(super) fn list(files: &[(String, Secret)]) -> String {
    let shown: Vec<String> = files
        .iter()
        .take(SHOWN)
        .map(|(file, secret)| format!("`{}` ({secret})", file.escape_debug()))
        .collect();
    match files.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_what_only_has_a_similar_name() {
        let pith = SecretKey::from_seed("builder-1".parse().unwrap(), &[7; 32]);
        let public = pith.public().to_string();
        let pith = format!("{}\n", pith.to_text().as_str());
        let key = "-----BEGIN EC PRIVATE KEY-----\n";
        let chain = "-----BEGIN CERTIFICATE-----\nx\n-----BEGIN PRIVATE KEY-----\n";
        let json = r#"{"private_key": "-----BEGIN PRIVATE KEY-----\n"}"#;
        for (path, text, expected) in [
            (".env", "A=1\n", Some(Secret::Settings)),
            ("deploy/.env.production", "A=1\n", Some(Secret::Settings)),
            (".env", "# nothing yet\n\n", None),
            (".env.example", "A=1\n", None),
            ("environment", "A=1\n", None),
            ("src/env.rs", "A=1\n", None),
            ("keys/id_ed25519", key, Some(Secret::PrivateKey)),
            ("keys/id_ed25519.pub", "ssh-ed25519 AAAA\n", None),
            ("keys/id_rsa", "#!/bin/sh\n", None),
            ("deploy", key, Some(Secret::PrivateKey)),
            (
                "src/pem.rs",
                "const A: &str = \"-----BEGIN PRIVATE KEY-----\";",
                None,
            ),
            ("server.pem", chain, Some(Secret::PrivateKey)),
            ("server.pem", "-----BEGIN CERTIFICATE-----\n", None),
            ("README", chain, None),
            ("a/TLS.KEY", key, Some(Secret::PrivateKey)),
            ("translation.key", "hello=Hallo\n", None),
            ("builder-1", &pith, Some(Secret::PrivateKey)),
            ("builder-1.pub", &public, None),
            (
                "a.ppk",
                "PuTTY-User-Key-File-3: ssh\n",
                Some(Secret::PrivateKey),
            ),
            ("store.P12", "\u{1}", Some(Secret::KeyStore)),
            (
                ".npmrc",
                "//r.example/:_authToken=abc\n",
                Some(Secret::Credentials),
            ),
            (".npmrc", "//r.example/:_authToken=${TOKEN}\n", None),
            (".npmrc", "fund=false\n", None),
            (".pypirc", "password: x\n", Some(Secret::Credentials)),
            ("home/.aws/credentials", "x\n", Some(Secret::Credentials)),
            ("credentials", "x\n", None),
            ("aws/credentials", "x\n", None),
            ("account.json", json, Some(Secret::Credentials)),
            ("package.json", "{}", None),
        ] {
            assert_eq!(recognise(path, text.as_bytes()), expected, "{path}: {text}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let files: Vec<(String, Secret)> = (10..22)
            .map(|number| (number.to_string(), Secret::KeyStore))
            .collect();
        let list = list(&files);
        assert!(
            list.starts_with("`10` (a key store), `11` (a key store), "),
            "{list}"
        );
        assert!(list.ends_with(", `19` (a key store) and 2 more"), "{list}");
    }
}
