//! What a builder says about the software of others that is in its outputs: crates, modules, wheels.
//!
//! Only a build knows what came to be part of a result: a lock file also names what is for other systems and for tests. So a
//! builder may leave a file [`FILE`] in its build directory with an object of JSON on each line, the fields being those of
//! [`ContainedComponent`]. It is recorded with every output, shown in SBOMs, and never part of an identity.
//!
//! The file is a builder's, so nothing in it is believed to have a sensible size or shape. Not responsible for: whether
//! what it says is true.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use store::ContainedComponent;

/// The name of the file in the build directory.
pub(super) const FILE: &str = ".pith-components";

/// The largest file that is read; a component takes about 200 bytes.
const MAX_BYTES: u64 = 4 << 20;
/// More components than any one program has.
const MAX_COMPONENTS: usize = 20_000;
/// The longest value of a field.
const MAX_TEXT: usize = 1000;

/// Why the file of components cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContainedError {
    /// It cannot be read.
    #[error("cannot read `{FILE}` of the build directory")]
    Io {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no regular file.
    #[error("`{FILE}` of the build directory is no regular file")]
    NotAFile,
    /// It is larger than it may be.
    #[error("`{FILE}` of the build directory has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// It has more lines than it may.
    #[error("`{FILE}` of the build directory names more than {MAX_COMPONENTS} components")]
    TooMany,
    /// A line is no object of JSON with the fields of a component.
    #[error("line {line} of `{FILE}` is no component: {message}")]
    Line {
        /// The line; counts from one.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A field has a value that it cannot have.
    #[error("line {line} of `{FILE}`: `{field}` {problem}")]
    Field {
        /// The line; counts from one.
        line: usize,
        /// The field.
        field: &'static str,
        /// What is wrong, as the rest of a sentence.
        problem: &'static str,
    },
}

/// Reads the components from the build directory `work`, all of whose processes are dead. None if the builder left no file.
pub(super) fn load(work: BorrowedFd<'_>) -> Result<Vec<ContainedComponent>, ContainedError> {
    let failed = |source| ContainedError::Io { source };
    // A builder may have put anything there: nothing is followed, and opening a fifo does not wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(work.as_fd(), FILE, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(nix::errno::Errno::ENOENT) => return Ok(Vec::new()),
        Err(nix::errno::Errno::ELOOP) => return Err(ContainedError::NotAFile),
        Err(errno) => return Err(failed(errno.into())),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ContainedError::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ContainedError::TooLarge);
    }
    parse(&bytes)
}

/// Parses the lines; the result is sorted and without duplicates.
fn parse(bytes: &[u8]) -> Result<Vec<ContainedComponent>, ContainedError> {
    let mut components = Vec::new();
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let line = index + 1;
        let component = serde_json::from_slice(text).map_err(|error| ContainedError::Line {
            line,
            message: error.to_string(),
        })?;
        check(line, &component)?;
        components.push(component);
        if components.len() > MAX_COMPONENTS {
            return Err(ContainedError::TooMany);
        }
    }
    components.sort();
    components.dedup();
    Ok(components)
}

fn check(line: usize, component: &ContainedComponent) -> Result<(), ContainedError> {
    let ContainedComponent {
        name,
        version,
        purl,
        license,
        homepage,
        digest,
    } = component;
    let wrong = |field, problem| ContainedError::Field {
        line,
        field,
        problem,
    };
    let fields = [
        ("name", Some(name)),
        ("version", version.as_ref()),
        ("purl", Some(purl)),
        ("license", license.as_ref()),
        ("homepage", homepage.as_ref()),
        ("digest", digest.as_ref()),
    ];
    for (field, text) in fields {
        let Some(text) = text else { continue };
        if text.is_empty() {
            return Err(wrong(field, "is empty"));
        }
        if text.len() > MAX_TEXT {
            return Err(wrong(field, "is longer than 1000 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong(field, "has a control character"));
        }
    }
    if !purl.starts_with("pkg:") || purl.contains(' ') {
        return Err(wrong("purl", "is no package URL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn load_from(directory: &std::path::Path) -> Result<Vec<ContainedComponent>, String> {
        let work = File::open(directory).unwrap();
        load(work.as_fd()).map_err(|error| error.to_string())
    }

    #[test]
    fn components_are_sorted_and_each_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(load_from(directory.path()), Ok(Vec::new()));
        let b = r#"{"name":"b","purl":"pkg:cargo/b@1","version":"1","license":"MIT"}"#;
        let a = r#"{"purl":"pkg:cargo/a@2","name":"a"}"#;
        fs::write(directory.path().join(FILE), format!("{b}\n\n{a}\n{b}\n")).unwrap();
        let named = |name: &str, version: Option<&str>, purl: &str, license: Option<&str>| {
            ContainedComponent {
                name: name.to_owned(),
                version: version.map(str::to_owned),
                purl: purl.to_owned(),
                license: license.map(str::to_owned),
                ..ContainedComponent::default()
            }
        };
        assert_eq!(
            load_from(directory.path()),
            Ok(vec![
                named("a", None, "pkg:cargo/a@2", None),
                named("b", Some("1"), "pkg:cargo/b@1", Some("MIT")),
            ])
        );
    }

    #[test]
    fn lines_that_are_no_components_are_refused() {
        let long = format!(r#"{{"name":"{}","purl":"pkg:a/a"}}"#, "a".repeat(1001));
        for (text, expected) in [
            (
                "\n{",
                "line 2 of `.pith-components` is no component: EOF while parsing an object at line 1 column 1",
            ),
            (
                r#"{"name":"a"}"#,
                "line 1 of `.pith-components` is no component: missing field `purl` at line 1 column 12",
            ),
            (
                r#"{"name":"a","purl":"pkg:a/a","path":"/etc"}"#,
                "line 1 of `.pith-components` is no component: unknown field `path`, expected one of `name`, `version`, `purl`, `license`, `homepage`, `digest` at line 1 column 35",
            ),
            (
                r#"{"name":"a\u001b[2J","purl":"pkg:a/a"}"#,
                "line 1 of `.pith-components`: `name` has a control character",
            ),
            (
                r#"{"name":"","purl":"pkg:a/a"}"#,
                "line 1 of `.pith-components`: `name` is empty",
            ),
            (
                r#"{"name":"a","purl":"https://a"}"#,
                "line 1 of `.pith-components`: `purl` is no package URL",
            ),
            (
                &long,
                "line 1 of `.pith-components`: `name` is longer than 1000 bytes",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_huge_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join(FILE)).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(
            load_from(directory.path()).unwrap_err(),
            "`.pith-components` of the build directory has more than 4194304 bytes"
        );
    }

    #[test]
    fn a_link_or_fifo_in_its_place_is_not_read() {
        let refused = "`.pith-components` of the build directory is no regular file";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        symlink("/etc/passwd", &file).unwrap();
        assert_eq!(load_from(directory.path()).unwrap_err(), refused);
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, Mode::S_IRWXU).unwrap();
        assert_eq!(load_from(directory.path()).unwrap_err(), refused);
    }
}
