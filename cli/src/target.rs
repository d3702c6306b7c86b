//! What a user names on the command line: `hello`, `./dir:app`, a store path, `zlib^dev`.

use std::path::PathBuf;
use std::str::FromStr;

use store::{STORE_DIR, StorePath};
use thiserror::Error;

/// A target as it was written, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What it names.
    pub(crate) subject: Subject,
    /// The output after `^`; the default output when absent.
    pub(crate) output: Option<String>,
}

/// The part of a target before `^`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A package or image by name: the project's first, then the collection's.
    Name(String),
    /// `name` in the `pith.star` of `directory`; its only image or package when `name` is absent.
    Project {
        /// Where the `pith.star` lies.
        directory: PathBuf,
        /// A package or image in it.
        name: Option<String>,
    },
    /// Packages of Debian by name, the first one the most important.
    Debian(Vec<String>),
    /// A store object that is already there.
    Path(StorePath),
}

/// Why a text is no target.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TargetError {
    /// Nothing was named.
    #[error("a target is empty")]
    Empty,
    /// `^` without an output.
    #[error("target `{0}` ends with `^` but names no output")]
    NoOutput(String),
    /// The text starts like a store path and is none.
    #[error("`{0}` is not a store path")]
    NotAStorePath(String),
    /// The text behind `debian:` names no packages.
    #[error(
        "target `{0}` names no packages of Debian: it must be `debian:NAME`, or several with commas"
    )]
    Debian(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (subject, output) = match text.rsplit_once('^') {
            Some((_, "")) => return Err(TargetError::NoOutput(text.into())),
            Some((subject, output)) => (subject, Some(output.to_owned())),
            None => (text, None),
        };
        if subject.is_empty() {
            return Err(TargetError::Empty);
        }
        let subject = if let Some(rest) = subject.strip_prefix(STORE_DIR) {
            let name = rest.strip_prefix('/').unwrap_or(rest).trim_end_matches('/');
            let path = name
                .parse()
                .map_err(|_| TargetError::NotAStorePath(subject.into()))?;
            Subject::Path(path)
        } else if let Ok(path) = subject.parse() {
            Subject::Path(path)
        } else if let Some(names) = subject.strip_prefix("debian:") {
            let names: Vec<String> = names.split(',').map(str::to_owned).collect();
            if !names.iter().all(|name| recipes::debian::is_name(name)) {
                return Err(TargetError::Debian(subject.into()));
            }
            Subject::Debian(names)
        } else if let Some((directory, name)) = subject.rsplit_once(':') {
            let name = (!name.is_empty()).then(|| name.to_owned());
            Subject::Project {
                directory: directory.into(),
                name,
            }
        } else if subject.contains('/') || subject == "." || subject == ".." {
            Subject::Project {
                directory: subject.into(),
                name: None,
            }
        } else {
            Subject::Name(subject.to_owned())
        };
        Ok(Self { subject, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, TargetError> {
        text.parse()
    }

    #[test]
    fn an_output_follows_the_last_circumflex() {
        let target = parse("zlib^dev").unwrap();
        assert_eq!(target.subject, Subject::Name("zlib".into()));
        assert_eq!(target.output.as_deref(), Some("dev"));
        assert_eq!(parse("zlib^"), Err(TargetError::NoOutput("zlib^".into())));
        assert_eq!(parse("^dev"), Err(TargetError::Empty));
    }

    #[test]
    fn a_directory_may_name_its_app() {
        for (text, directory, name) in [
            ("./web:app", "./web", Some("app")),
            (".", ".", None),
            ("./web", "./web", None),
            ("web:", "web", None),
        ] {
            assert_eq!(
                parse(text).unwrap().subject,
                Subject::Project {
                    directory: directory.into(),
                    name: name.map(str::to_owned)
                }
            );
        }
    }

    #[test]
    fn packages_of_debian_are_named_with_commas() {
        let names = ["nginx", "libstdc++6"].map(str::to_owned).to_vec();
        let target = parse("debian:nginx,libstdc++6").unwrap();
        assert_eq!(target.subject, Subject::Debian(names));
        for text in ["debian:", "debian:a,", "debian:a/b"] {
            assert_eq!(parse(text), Err(TargetError::Debian(text.into())));
        }
    }

    #[test]
    fn a_store_path_is_one_with_or_without_its_directory() {
        let name = format!("{}-hello-2.10", "0".repeat(40));
        let path = Subject::Path(name.parse().unwrap());
        assert_eq!(parse(&name).unwrap().subject, path);
        assert_eq!(parse(&format!("{STORE_DIR}/{name}")).unwrap().subject, path);
        assert_eq!(
            parse("/pith/store/hello"),
            Err(TargetError::NotAStorePath("/pith/store/hello".into()))
        );
    }
}
