//! Addresses of caches.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;
use zeroize::Zeroizing;

use crate::net::{Credentials, is_loopback, percent_decode, without_credentials};

/// Where a cache is. Printed without credentials; parsing what was printed gives the same address without them.
///
/// | text | what |
/// | --- | --- |
/// | `/srv/cache`, `./cache`, `file:///srv/cache` | a directory |
/// | `https://[user:password@]host[:port]/path`, `http://…` | any HTTP server |
/// | `s3://bucket[/prefix][?endpoint=URL][&region=NAME]` | an S3 bucket |
/// | `oci://[user:password@]registry[:port]/repository` | a repository of an OCI registry |
#[derive(Clone, PartialEq, Eq)]
pub struct CacheUrl {
    pub(super) place: Place,
    pub(super) credentials: Option<Credentials>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Directory(PathBuf),
    /// The path ends with a slash; no credentials, no query.
    Http(Url),
    S3(Bucket),
    Oci(Repository),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) name: String,
    /// Without slashes at its ends; may be empty.
    pub(super) prefix: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    /// Host and perhaps port.
    pub(super) registry: String,
    pub(super) name: String,
    pub(super) is_loopback: bool,
}

/// Why a text is no address of a cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a cache: {reason}")]
pub struct CacheUrlError {
    /// The text, without credentials.
    pub text: String,
    /// Why.
    pub reason: &'static str,
}

impl CacheUrl {
    /// Returns the scheme: `file`, `http`, `https`, `s3` or `oci`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match &self.place {
            Place::Directory(_) => "file",
            Place::Http(url) => url.scheme(),
            Place::S3(_) => "s3",
            Place::Oci(_) => "oci",
        }
    }

    /// Returns the host that is asked; `None` for a directory and for a bucket whose provider is in the settings.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Http(url) => url.host_str(),
            Place::Oci(repository) => Some(&repository.registry),
            Place::Directory(_) | Place::S3(_) => None,
        }
    }
}

impl fmt::Display for CacheUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Directory(path) => write!(f, "{}", path.display()),
            Place::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Place::S3(bucket) => bucket.fmt(f),
            Place::Oci(Repository { registry, name, .. }) => write!(f, "oci://{registry}/{name}"),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        let mut separator = '?';
        for (key, value) in [("endpoint", &self.endpoint), ("region", &self.region)] {
            if let Some(value) = value {
                write!(f, "{separator}{key}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CacheUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheUrl({self})")
    }
}

impl FromStr for CacheUrl {
    type Err = CacheUrlError;

    fn from_str(text: &str) -> Result<Self, CacheUrlError> {
        parse(text).map_err(|reason| CacheUrlError {
            text: shown(text),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<CacheUrl, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    if ["/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start))
        || [".", ".."].contains(&text)
    {
        return Ok(directory(PathBuf::from(text)));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("it is neither a path that begins with `/` or `./` nor has it a scheme");
    };
    match scheme {
        "file" => {
            let url = Url::parse(text).map_err(|_| "it cannot be parsed")?;
            let path = url.to_file_path();
            Ok(directory(path.map_err(|()| "it names another machine")?))
        }
        "http" | "https" => http(text),
        "s3" => Ok(CacheUrl {
            place: Place::S3(bucket(rest)?),
            credentials: None,
        }),
        "oci" => oci(rest),
        _ => Err("its scheme is none of `file`, `http`, `https`, `s3` and `oci`"),
    }
}

const fn directory(path: PathBuf) -> CacheUrl {
    CacheUrl {
        place: Place::Directory(path),
        credentials: None,
    }
}

fn http(text: &str) -> Result<CacheUrl, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "it cannot be parsed")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    let credentials = take_credentials(&mut url)?;
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(CacheUrl {
        place: Place::Http(url),
        credentials,
    })
}

fn bucket(rest: &str) -> Result<Bucket, &'static str> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err("its bucket is no name of one");
    }
    let prefix = prefix.trim_matches('/');
    let fits = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.chars().all(|c| is_plain(c) || c == '=')
    };
    if !prefix.is_empty() && !prefix.split('/').all(fits) {
        return Err("its prefix has other characters than `A-Za-z0-9._=-` between slashes");
    }
    let mut bucket = Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: None,
        region: None,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("endpoint", value)) => bucket.endpoint = Some(endpoint(value)?),
            Some(("region", value)) if !value.is_empty() && value.chars().all(is_plain) => {
                bucket.region = Some(value.to_owned());
            }
            _ => return Err("its query is more than `endpoint=URL` and `region=NAME`"),
        }
    }
    Ok(bucket)
}

/// A server that speaks S3; a name without a scheme means `https`.
fn endpoint(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "its endpoint is no address of a server";
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&text).map_err(|_| WRONG)?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain || text.contains('&') {
        return Err(WRONG);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn oci(rest: &str) -> Result<CacheUrl, &'static str> {
    // Slashes before the host are skipped by the parser, which takes backslashes for slashes.
    if rest.starts_with('/') || rest.contains('\\') {
        return Err("it has no host");
    }
    // Any scheme with hosts will do to take the authority apart.
    let mut url = Url::parse(&format!("https://{rest}")).map_err(|_| "it cannot be parsed")?;
    let credentials = take_credentials(&mut url)?;
    let name = rest.split_once('/').map_or("", |(_, name)| name);
    if name.is_empty() || !name.split('/').all(is_repository_part) || name.len() > 200 {
        return Err("its repository is no name of one");
    }
    let host = url.host_str().ok_or("it has no host")?;
    // What is the default of `https` is not that of `http`, so it is not left out.
    let authority = rest
        .split_once('/')
        .map_or(rest, |(authority, _)| authority);
    let has_443 = authority.ends_with(":443");
    let port = url.port().or(has_443.then_some(443));
    Ok(CacheUrl {
        place: Place::Oci(Repository {
            registry: port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            name: name.to_owned(),
            is_loopback: is_loopback(&url),
        }),
        credentials,
    })
}

/// OCI distribution-spec 1.1, "Pulling manifests": `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_repository_part(part: &str) -> bool {
    let mut rest = part;
    loop {
        let word = rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()));
        let (word, after) = rest.split_at(word.unwrap_or(rest.len()));
        if word.is_empty() {
            return false;
        }
        if after.is_empty() {
            return true;
        }
        let letters = after.find(|c: char| c.is_ascii_alphanumeric());
        let (separator, next) = after.split_at(letters.unwrap_or(after.len()));
        if !matches!(separator, "." | "_" | "__") && separator.chars().any(|c| c != '-') {
            return false;
        }
        rest = next;
    }
}

/// Takes user and password out of an address.
fn take_credentials(url: &mut Url) -> Result<Option<Credentials>, &'static str> {
    const WRONG: &str = "its user or password is not well escaped";
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let user = percent_decode(url.username()).ok_or(WRONG)?;
    let password = percent_decode(url.password().unwrap_or_default()).ok_or(WRONG)?;
    url.set_username("").map_err(|()| WRONG)?;
    url.set_password(None).map_err(|()| WRONG)?;
    Ok(Some(Credentials::Basic {
        user,
        password: Zeroizing::new(password),
    }))
}

/// What may be shown of a text that could not be parsed.
fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => without_credentials(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> CacheUrl {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_printed_in_one_way() {
        for (text, printed) in [
            ("/srv/cache", "/srv/cache"),
            ("./cache", "./cache"),
            ("..", ".."),
            ("file:///srv/a%20b", "/srv/a b"),
            ("http://h", "http://h"),
            ("HTTP://h".to_lowercase().as_str(), "http://h"),
            ("https://h:443/a/b//", "https://h/a/b"),
            ("https://u:p@h.example:8443/x", "https://h.example:8443/x"),
            ("http://[::1]:80/x", "http://[::1]/x"),
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            (
                "s3://b/p?endpoint=127.0.0.1:9&region=garage",
                "s3://b/p?endpoint=https://127.0.0.1:9&region=garage",
            ),
            (
                "s3://b?region=r&endpoint=http://h/",
                "s3://b?endpoint=http://h&region=r",
            ),
            ("oci://h.example/a/b-c__d", "oci://h.example/a/b-c__d"),
            ("oci://u:p@h:443/a", "oci://h:443/a"),
            ("oci://127.0.0.1:5000/a", "oci://127.0.0.1:5000/a"),
        ] {
            assert_eq!(parsed(text).to_string(), printed, "{text}");
            assert_eq!(parsed(printed).to_string(), printed);
            assert_eq!(parsed(printed).place, parsed(text).place, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_address_are_refused() {
        for text in [
            "",
            "cache",
            "cache/x",
            "file://other/x",
            "ftp://h/x",
            "http://",
            "http://h/?a",
            "http://h/#a",
            "https://h/\n",
            "s3://",
            "s3:///x",
            "s3://b/../c",
            "s3://b/a//c",
            "s3://b/a b",
            "s3://b?key=secret",
            "s3://b?endpoint=ftp://h",
            "s3://b?endpoint=http://u:p@h",
            "s3://b?region=",
            "oci://h",
            "oci://h/",
            "oci://h/A",
            "oci://h/a:tag",
            "oci://h/a@sha256:00",
            "oci://h/a/../b",
            "oci://h/a_-b",
            "oci://h/a-",
            "oci://h/a?x",
            "oci:///a",
            "oci:///a/b",
            "oci://h\\a/b",
        ] {
            assert!(text.parse::<CacheUrl>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn credentials_are_taken_and_never_shown() {
        let url = parsed("https://us%65r:s%3Acret@h/x");
        let Some(Credentials::Basic { user, password }) = &url.credentials else {
            panic!("no credentials");
        };
        assert_eq!((user.as_str(), password.as_str()), ("user", "s:cret"));
        assert_eq!(
            format!("{url} {url:?}"),
            "https://h/x CacheUrl(https://h/x)"
        );
        for text in [
            "ftp://u:secret@h/x",
            "https://u:secret@[h/x",
            "oci://u:secret@h/A",
        ] {
            let error = text.parse::<CacheUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(
            text in "(/[a-z/ %.]{0,9})|(\\./[a-z]{1,5})|(https?://[a-z]{1,5}(:[1-9]{1,4})?(/[a-z%]{1,4}){0,2})|\
                (s3://[a-z0-9-]{1,5}(/[a-z=]{1,4}){0,2}(\\?region=[a-z]{1,3})?)|(oci://[a-z]{1,5}(:[1-9]{1,4})?/[a-z0-9._/-]{1,9})",
        ) {
            if let Ok(url) = text.parse::<CacheUrl>() {
                prop_assert_eq!(url.to_string().parse::<CacheUrl>().unwrap(), url);
            }
        }
    }
}
