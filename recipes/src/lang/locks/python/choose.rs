//! From releases with files to one file for each.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::wheel::fit;
use super::{Target, poetry, pylock, requirements, uv};
use crate::lang::locks::{LockError, LockProblem, line_at};
use crate::model::ContentDigest;

/// One file of a release that an app needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct PythonPackage {
    /// The name as indexes spell it: lower case, with `-`.
    pub(in crate::lang) name: String,
    pub(in crate::lang) version: String,
    /// The name of the wheel, where the lock file says it.
    pub(in crate::lang) file: Option<String>,
    pub(in crate::lang) url: Option<String>,
    pub(in crate::lang) digest: ContentDigest,
    pub(in crate::lang) line: usize,
}

/// A release as a lock file has it.
pub(super) struct Release {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) files: Vec<File>,
    pub(super) line: usize,
}

/// A file of a release.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct File {
    /// Its name, or its address when that is all there is.
    #[serde(alias = "file")]
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
    hash: Option<String>,
    pub(super) hashes: BTreeMap<String, String>,
}

impl File {
    /// The name, which an address ends in.
    fn name(&self) -> Option<&str> {
        let from_url = || self.url.as_deref()?.rsplit('/').next();
        self.name.as_deref().or_else(from_url)
    }

    fn digest(&self, package: &str) -> Result<ContentDigest, LockProblem> {
        let sha256 = self.hashes.get("sha256").map(|hex| format!("sha256:{hex}"));
        let Some(text) = sha256.as_ref().or(self.hash.as_ref()) else {
            return Err(LockProblem::NoDigest {
                package: package.to_owned(),
                field: "sha256",
            });
        };
        text.parse().map_err(|source| LockProblem::Digest {
            package: package.to_owned(),
            source,
        })
    }
}

/// Checks that a `requirements.txt` says which files it means, as the newest Python would read it.
pub(crate) fn check_requirements(file: &str, text: &str) -> Result<(), LockError> {
    let newest = Target {
        python: "3.99".to_owned(),
        machine: "x86_64",
    };
    python_lock(file, text, &newest).map(drop)
}

/// Reads a lock file of Python; its name says its format.
///
/// The result is sorted by name, no duplicates; it has what an app needs to run on `target`.
pub(in crate::lang) fn python_lock(
    file: &str,
    text: &str,
    target: &Target,
) -> Result<Vec<PythonPackage>, LockError> {
    let base = file.rsplit('/').next().unwrap_or_default();
    let is_pylock = base.starts_with("pylock.") && base.ends_with(".toml");
    let located = |(line, problem)| LockError {
        file: file.to_owned(),
        line,
        problem,
    };
    let mut packages = match base {
        "uv.lock" => chosen(uv::releases(text, target).map_err(located)?, target),
        "poetry.lock" => chosen(poetry::releases(text, target).map_err(located)?, target),
        _ if is_pylock => chosen(pylock::releases(text, target).map_err(located)?, target),
        _ => requirements::packages(text, target),
    }
    .map_err(located)?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in packages.windows(2) {
        if let [a, b] = pair
            && a.name == b.name
        {
            return Err(located((
                b.line.max(a.line),
                LockProblem::Duplicate {
                    package: format!("{} {}", b.name, b.version),
                    first: a.line.min(b.line),
                },
            )));
        }
    }
    Ok(packages)
}

/// A problem and the line where it is.
pub(super) type Located<T> = Result<T, (usize, LockProblem)>;

fn chosen(releases: Vec<Release>, target: &Target) -> Located<Vec<PythonPackage>> {
    releases
        .into_iter()
        .map(|release| {
            let line = release.line;
            choose(release, target).map_err(|problem| (line, problem))
        })
        .collect()
}

/// The wheel that fits best; of equals, the one whose name comes first.
fn choose(release: Release, target: &Target) -> Result<PythonPackage, LockProblem> {
    let package = format!("{} {}", release.name, release.version);
    check_name(&release.name)?;
    check_version(&release.version)?;
    let mut best = None;
    for file in &release.files {
        let Some(name) = file.name() else { continue };
        if let Some(fit) = fit(name, target) {
            let better =
                best.is_none_or(|(known, other, _)| fit > known || (fit == known && name < other));
            if better {
                best = Some((fit, name, file));
            }
        }
    }
    let Some((_, name, file)) = best else {
        return Err(LockProblem::NoWheel {
            package,
            python: format!("3.{}", target.minor()),
            machine: target.machine,
        });
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._!".contains(&b);
    if !name.bytes().all(plain) {
        return Err(LockProblem::Name {
            text: name.escape_debug().to_string(),
            what: "name of a wheel",
        });
    }
    Ok(PythonPackage {
        digest: file.digest(&package)?,
        file: Some(name.to_owned()),
        url: file.url.clone().filter(|url| url.contains("://")),
        name: release.name,
        version: release.version,
        line: release.line,
    })
}

/// Returns a name as indexes spell it (PyPA, "Names and normalization").
pub(super) fn normal_name(name: &str) -> String {
    let mut normal = String::new();
    for character in name.chars() {
        match character {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.push(other.to_ascii_lowercase()),
        }
    }
    normal
}

pub(super) fn check_name(name: &str) -> Result<(), LockProblem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(plain) {
        return Ok(());
    }
    Err(LockProblem::Name {
        text: name.escape_debug().to_string(),
        what: "name of a project",
    })
}

pub(super) fn check_version(version: &str) -> Result<(), LockProblem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._!".contains(&b);
    let starts = version.bytes().next().is_some_and(|b| b.is_ascii_digit());
    if starts && version.len() <= 128 && version.bytes().all(plain) {
        return Ok(());
    }
    Err(LockProblem::Name {
        text: version.escape_debug().to_string(),
        what: "version of a project",
    })
}

/// Parses TOML into `T`.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Located<T> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().to_owned();
        (line_at(text, offset), LockProblem::Syntax { message })
    })
}

/// Whether a marker holds; one that cannot be understood is an error.
pub(super) fn holds(marker: &str, target: &Target, line: usize) -> Located<bool> {
    target.holds(marker).map_err(|reason| {
        let message = format!("the marker `{marker}` cannot be understood: {reason}");
        (line, LockProblem::Syntax { message })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn read(file: &str, text: &str) -> Result<Vec<String>, String> {
        let target = Target {
            python: "3.11.2".to_owned(),
            machine: "x86_64",
        };
        let text = text.replace("AAA", A).replace("BBB", B);
        let shown = |package: PythonPackage| {
            let file = package.file.unwrap_or_else(|| "?".to_owned());
            let digest = package.digest.to_string();
            let digest = digest.get(7..8).unwrap_or_default();
            format!(
                "{} {} {file} {digest} {}",
                package.name, package.version, package.line
            )
        };
        python_lock(file, &text, &target)
            .map(|packages| packages.into_iter().map(shown).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn requirements_have_one_digest_each() {
        let text = "# by hand\n--index-url https://i.example\nFlask[async]==3.0.3 \\\n    --hash=sha256:AAA  # why\nwin.thing==1 ; sys_platform == 'win32' --hash=sha256:BBB\n";
        assert_eq!(
            read("requirements.txt", text).unwrap(),
            ["flask 3.0.3 ? a 3"]
        );
        for (line, message) in [
            (
                "a==1",
                "`a 1` has no --hash, so nothing would tell whether the right bytes come",
            ),
            (
                "a>=1 --hash=sha256:AAA",
                "`a>=1` is not pinned to one version with `==`",
            ),
            (
                "a==1 --hash=sha256:AAA --hash=sha256:BBB",
                "`a 1` has 2 digests, and nothing says of which files they are",
            ),
            (
                "a @ git+https://h.example/a.git",
                "`a` comes from `git+https://h.example/a.git`, of which the lock file has no digest",
            ),
            ("-r other.txt", "the option `-r` is not supported"),
            (
                "a==1 --hash=sha256:abc",
                "`a 1`: `sha256` has 3 characters instead of 64 hexadecimal digits: `abc`",
            ),
            (
                "a==1 ; nonsense == '1' --hash=sha256:AAA",
                "the marker `nonsense == '1'` cannot be understood: `nonsense` is no variable",
            ),
            ("../a==1 --hash=sha256:AAA", "`-/a` is no name of a project"),
        ] {
            let error = read("requirements.txt", &format!("\n{line}\n")).unwrap_err();
            assert_eq!(error, format!("requirements.txt:2: {message}"), "{line}");
        }
    }

    #[test]
    fn poetry_says_groups_and_markers() {
        let head = "[[package]]\nname = \"A_b\"\nversion = \"1.0\"\n";
        let files = "files = [\n{file = \"a_b-1.0.tar.gz\", hash = \"sha256:BBB\"},\n{file = \"a_b-1.0-py3-none-any.whl\", hash = \"sha256:AAA\"},\n]\n";
        let end = "[metadata]\nlock-version = \"2.1\"\n";
        let with =
            |middle: &str, files: &str| read("poetry.lock", &format!("{head}{middle}{files}{end}"));
        let main = "groups = [\"main\"]\n";
        assert_eq!(
            with(main, files).unwrap(),
            ["a-b 1.0 a_b-1.0-py3-none-any.whl a 2"]
        );
        for middle in [
            "groups = [\"dev\"]\n",
            "groups = [\"main\"]\noptional = true\n",
            "groups = [\"main\"]\nmarkers = \"os_name == 'nt'\"\n",
            "groups = [\"main\", \"dev\"]\nmarkers = {main = \"os_name == 'nt'\"}\n",
        ] {
            assert_eq!(with(middle, files), Ok(vec![]), "{middle}");
        }
        let no_wheel = "poetry.lock:2: `a-b 1.0` has no wheel for Python 3.11 on x86_64";
        assert_eq!(with(main, "").unwrap_err(), no_wheel);
        let git = "[package.source]\ntype = \"git\"\nurl = \"https://h.example/a\"\n";
        let error = with(main, &format!("{files}{git}")).unwrap_err();
        assert_eq!(
            error,
            "poetry.lock:2: `a-b 1.0` comes from `https://h.example/a`, of which the lock file has no digest"
        );
        let old = read("poetry.lock", "[metadata]\nlock-version = \"1.1\"\n").unwrap_err();
        assert_eq!(
            old,
            "poetry.lock:2: this is version 1.1 of the lock file's format; known are 2.1"
        );
    }

    #[test]
    fn uv_has_a_graph_from_the_project() {
        let text = "version = 1\n[[package]]\nname = \"app\"\nversion = \"0\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"a\", extra = [\"x\"] }, { name = \"w\", marker = \"sys_platform == 'win32'\" }]\n\
            [[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"r\" }\nwheels = [{ url = \"https://f.example/a-1-py3-none-any.whl\", hash = \"sha256:AAA\" }]\n[package.optional-dependencies]\nx = [{ name = \"b\" }]\n\
            [[package]]\nname = \"b\"\nversion = \"2\"\nsource = { registry = \"r\" }\nwheels = [{ url = \"https://f.example/b-2-cp311-cp311-win_amd64.whl\", hash = \"sha256:AAA\" }, { url = \"https://f.example/b-2-cp311-cp311-manylinux_2_17_x86_64.whl\", hash = \"sha256:BBB\" }]\n\
            [[package]]\nname = \"unused\"\nversion = \"2\"\nsource = { git = \"https://h.example\" }\n";
        assert_eq!(
            read("uv.lock", text).unwrap(),
            [
                "a 1 a-1-py3-none-any.whl a 8",
                "b 2 b-2-cp311-cp311-manylinux_2_17_x86_64.whl b 15"
            ]
        );
        let cut = text.split("[[package]]\nname = \"b\"").next().unwrap();
        assert_eq!(
            read("uv.lock", cut).unwrap_err(),
            "uv.lock:8: `a` needs `b`, which is not in the file"
        );
        assert_eq!(
            read("uv.lock", "version = 2\n").unwrap_err(),
            "uv.lock:1: this is version 2 of the lock file's format; known are 1"
        );
    }

    #[test]
    fn pylock_lists_wheels_by_name() {
        let text = "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1\"\n[[packages.wheels]]\nname = \"a-1-py3-none-any.whl\"\nhashes = { sha256 = \"AAA\" }\n";
        assert_eq!(
            read("pylock.toml", text).unwrap(),
            ["a 1 a-1-py3-none-any.whl a 3"]
        );
        assert_eq!(read("sub/pylock.web.toml", text).unwrap().len(), 1);
        let without = text.replace("hashes = { sha256 = \"AAA\" }\n", "");
        assert_eq!(
            read("pylock.toml", &without).unwrap_err(),
            "pylock.toml:3: `a 1` has no sha256, so nothing would tell whether the right bytes come"
        );
        let twice = format!("{text}{}", text.replace("lock-version = \"1.0\"\n", ""));
        assert_eq!(
            read("pylock.toml", &twice).unwrap_err(),
            "pylock.toml:9: `a 1` stands in the file twice; first in line 3"
        );
    }
}
