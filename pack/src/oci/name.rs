//! Image names: `registry/repository:tag`.
//!
//! The grammar and the defaults are those of the `reference` package of the distribution project: `hello` means
//! `docker.io/library/hello:latest`. A digest (`@sha256:…`) is not part of a name that one gives to a new image, and is refused.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::OciError;

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_REGISTRY_HOST: &str = "registry-1.docker.io";
const DEFAULT_NAMESPACE: &str = "library";
const DEFAULT_TAG: &str = "latest";
/// Limits of the grammar.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// A normalised image name. Printed in full; parsed from any form that docker takes.
///
/// ```
/// use pack::oci::ImageName;
///
/// let name: ImageName = "hello:2.10".parse()?;
/// assert_eq!(name.to_string(), "docker.io/library/hello:2.10");
/// assert_eq!(name.to_familiar(), "hello:2.10");
/// assert_eq!(name.base_name(), "hello");
/// # Ok::<(), pack::oci::OciError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: String,
}

impl ImageName {
    /// Returns the registry's host, with the port if there is one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns where the registry is: for docker.io, which is a web site, the host of its registry.
    pub fn registry_host(&self) -> &str {
        match self.registry.as_str() {
            DEFAULT_REGISTRY => DEFAULT_REGISTRY_HOST,
            host => host,
        }
    }

    /// Returns the repository, all components.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns the last component of the repository: what a person calls the image.
    pub fn base_name(&self) -> &str {
        self.repository
            .rsplit('/')
            .next()
            .unwrap_or(&self.repository)
    }

    /// Returns the short form that docker prints: without the default registry and namespace.
    pub fn to_familiar(&self) -> String {
        let Self {
            registry,
            repository,
            tag,
        } = self;
        if registry != DEFAULT_REGISTRY {
            return self.to_string();
        }
        let short = repository
            .strip_prefix(DEFAULT_NAMESPACE)
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|rest| !rest.contains('/'))
            .unwrap_or(repository);
        format!("{short}:{tag}")
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl FromStr for ImageName {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let error = |problem| OciError::Name {
            text: text.to_owned(),
            problem,
        };
        if text.contains('@') {
            return Err(error("a digest cannot be given to a new image"));
        }
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        // A first component is a host only where it could not be part of a repository name.
        let is_host = first.contains(['.', ':'])
            || first == "localhost"
            || first.contains(|c: char| c.is_ascii_uppercase());
        let (registry, path) = if is_host {
            (first, rest)
        } else {
            (DEFAULT_REGISTRY, text)
        };
        let (path, tag) = path.rsplit_once(':').unwrap_or((path, DEFAULT_TAG));
        if !is_valid_host(registry) {
            return Err(error(
                "the registry is not a host name with an optional port",
            ));
        }
        if path.is_empty() || path.len() > MAX_REPOSITORY {
            return Err(error("the repository must have 1 to 255 characters"));
        }
        if !path.split('/').all(is_valid_component) {
            return Err(error(
                "a repository consists of `a-z`, `0-9` and, between them, `.`, `_`, `__` or `-`",
            ));
        }
        if !is_valid_tag(tag) {
            return Err(error(
                "a tag has 1 to 128 of `A-Z`, `a-z`, `0-9`, `_`, `.`, `-` and does not start with `.` or `-`",
            ));
        }
        // docker.io is also known by the name of its old index.
        let registry = if registry == "index.docker.io" {
            DEFAULT_REGISTRY
        } else {
            registry
        };
        let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("{DEFAULT_NAMESPACE}/{path}")
        } else {
            path.to_owned()
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.to_owned(),
        })
    }
}

/// `host[:port]`: labels of letters, digits and inner dashes between dots, or an IPv6 address in brackets.
fn is_valid_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_ok = port
        .is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let host_ok = match host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
    {
        Some(inner) => {
            !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    };
    port_ok && host_ok
}

/// Runs of `a-z0-9`, joined by one of `.`, `_`, `__` or any number of `-`.
fn is_valid_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let mut seen_word = false;
    for byte in text.bytes() {
        if is_word(byte) {
            let separator_ok = separator.is_empty()
                || seen_word
                    && (matches!(separator.as_str(), "." | "_" | "__")
                        || separator.bytes().all(|b| b == b'-'));
            if !separator_ok {
                return false;
            }
            separator.clear();
            seen_word = true;
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(char::from(byte));
        } else {
            return false;
        }
    }
    seen_word && separator.is_empty()
}

fn is_valid_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_TAG).contains(&text.len())
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for ImageName {
    type Error = OciError;

    fn try_from(text: String) -> Result<Self, OciError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_normalised_as_docker_does() {
        for (text, full, familiar) in [
            ("hello", "docker.io/library/hello:latest", "hello:latest"),
            ("library/hello:1", "docker.io/library/hello:1", "hello:1"),
            ("me/app:v1.0", "docker.io/me/app:v1.0", "me/app:v1.0"),
            (
                "index.docker.io/hello",
                "docker.io/library/hello:latest",
                "hello:latest",
            ),
            (
                "localhost/app",
                "localhost/app:latest",
                "localhost/app:latest",
            ),
            (
                "registry.example:5000/a/b_c/d--e:T_1",
                "registry.example:5000/a/b_c/d--e:T_1",
                "registry.example:5000/a/b_c/d--e:T_1",
            ),
            ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!(name.to_string(), full);
            assert_eq!(name.to_familiar(), familiar);
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for text in [
            "",
            "Hello",
            "hello:",
            "hello:-x",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a b",
            "a:b:c",
            "hello@sha256:00",
            "host:/x",
            "host:123456/x",
            "-h.example/x",
            "../x",
            "é",
        ] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_prints_and_parses_back(text in "[a-zA-Z0-9./:_@\\[\\]-]{0,40}") {
            if let Ok(name) = text.parse::<ImageName>() {
                prop_assert_eq!(&name.to_string().parse::<ImageName>().unwrap(), &name);
                prop_assert_eq!(&name.to_familiar().parse::<ImageName>().unwrap(), &name);
            }
        }
    }
}
