//! Which Pythons an app runs with: `requires-python` of a manifest or a lock file (PyPA, "Version specifiers"), or what Poetry writes in its place.

use serde::Deserialize;
use toml::Spanned;

use super::choose::parse;
use super::marker::matches_version;
use crate::lang::locks::{LockError, LockProblem, line_at};

/// Where the formats have it: lock files on top, except Poetry's, and manifests in a table.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    requires_python: Option<Spanned<String>>,
    project: Option<Project>,
    tool: Option<Tool>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    requires_python: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct Tool {
    poetry: Option<Poetry>,
}

#[derive(Deserialize)]
struct Poetry {
    dependencies: Option<Dependencies>,
}

#[derive(Deserialize)]
struct Dependencies {
    python: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    python_versions: Option<Spanned<String>>,
}

impl Raw {
    fn requirement(self) -> Option<Spanned<String>> {
        let project = self.project.and_then(|project| project.requires_python);
        let poetry = self.tool.and_then(|tool| tool.poetry);
        let poetry = poetry.and_then(|poetry| poetry.dependencies?.python);
        let locked = self.metadata.and_then(|metadata| metadata.python_versions);
        self.requires_python.or(project).or(poetry).or(locked)
    }
}

/// Returns the first of `versions` that an app runs with by what `text`, a manifest or a lock file, says; `None` if it says nothing.
pub(in crate::lang) fn python_version<'a>(
    file: &str,
    text: &str,
    versions: &[&'a str],
) -> Result<Option<&'a str>, LockError> {
    let located = |line, problem| LockError {
        file: file.to_owned(),
        line,
        problem,
    };
    // Requirements files are no TOML, and have no word for it.
    if !file.ends_with(".toml") && !file.ends_with(".lock") {
        return Ok(None);
    }
    let raw: Raw = parse(text).map_err(|(line, problem)| located(line, problem))?;
    let Some(requirement) = raw.requirement() else {
        return Ok(None);
    };
    let line = line_at(text, requirement.span().start);
    let requires = requirement.into_inner();
    for version in versions {
        let allowed = allows(&requires, version)
            .map_err(|message| located(line, LockProblem::Syntax { message }))?;
        if allowed {
            return Ok(Some(version));
        }
    }
    let known = versions.join(" and ");
    Err(located(line, LockProblem::NoPython { requires, known }))
}

/// Whether one of the alternatives, which are Poetry's alone, has only parts that hold.
fn allows(requires: &str, version: &str) -> Result<bool, String> {
    for alternative in requires.split("||") {
        let mut all = true;
        for part in alternative.split(',') {
            all &= holds(part.trim(), version)?;
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds(part: &str, version: &str) -> Result<bool, String> {
    let number = part.trim_start_matches(|c| "<>=!~^".contains(c));
    let (operator, _) = part.split_at(part.len() - number.len());
    let number = number.trim();
    if part.is_empty() || part == "*" {
        return Ok(true);
    }
    let is_number = |c: char| c.is_ascii_alphanumeric() || ".*+-".contains(c);
    if !number.starts_with(|c: char| c.is_ascii_digit()) || !number.chars().all(is_number) {
        return Err(format!("`{part}` is no version of Python"));
    }
    let compare = |operator: &str, number: &str| matches_version(version, operator, number);
    match operator {
        // Poetry's: the same major version, and the same minor one where that is said.
        "^" => {
            let major = number.split('.').next().unwrap_or_default();
            Ok(compare(">=", number)? && compare("==", &format!("{major}.*"))?)
        }
        "~" => {
            let series: Vec<&str> = number.split('.').take(2).collect();
            let series = format!("{}.*", series.join("."));
            Ok(compare(">=", number)? && compare("==", &series)?)
        }
        "" => compare("==", number),
        "===" => Ok(version == number),
        _ => compare(operator, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["3.11.2", "3.13.5"];

    fn chosen(file: &str, text: &str) -> Result<Option<&'static str>, String> {
        python_version(file, text, &KNOWN).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_python_that_is_allowed_is_taken() {
        for (requires, expected) in [
            (">=3.8", "3.11.2"),
            (">= 3.11.3", "3.13.5"),
            (">=3.12,<4", "3.13.5"),
            (">=3.9, !=3.11.*", "3.13.5"),
            ("~=3.11", "3.11.2"),
            ("~=3.12", "3.13.5"),
            ("==3.13.*", "3.13.5"),
            ("===3.13.5", "3.13.5"),
            ("^3.12", "3.13.5"),
            ("^3.9", "3.11.2"),
            ("~3.13", "3.13.5"),
            ("~3.11.1", "3.11.2"),
            ("3.13.*", "3.13.5"),
            ("<3.8 || >=3.13", "3.13.5"),
            ("*", "3.11.2"),
            ("", "3.11.2"),
        ] {
            let text = format!("[project]\nrequires-python = \"{requires}\"\n");
            let found = chosen("pyproject.toml", &text);
            assert_eq!(found, Ok(Some(expected)), "{requires}");
        }
    }

    #[test]
    fn each_format_says_it_in_its_place() {
        for (file, text) in [
            ("uv.lock", "version = 1\nrequires-python = \">=3.12\"\n"),
            ("pylock.toml", "requires-python = \">=3.12\"\n"),
            (
                "poetry.lock",
                "[metadata]\npython-versions = \"^3.12\"\nlock-version = \"2.1\"\n",
            ),
            (
                "pyproject.toml",
                "[tool.poetry.dependencies]\npython = \"^3.12\"\nflask = \"*\"\n",
            ),
            (
                "pyproject.toml",
                "[project]\nname = \"a\"\nrequires-python = \">=3.12\"\n",
            ),
        ] {
            assert_eq!(chosen(file, text), Ok(Some("3.13.5")), "{file}");
        }
        for (file, text) in [
            ("pyproject.toml", "[project]\nname = \"a\"\n"),
            ("uv.lock", "version = 1\n"),
            ("requirements.txt", "flask==3 --hash=sha256:0\n"),
        ] {
            assert_eq!(chosen(file, text), Ok(None), "{file}");
        }
    }

    #[test]
    fn what_no_python_is_allowed_by_is_said_with_its_line() {
        for (requires, message) in [
            (
                ">=3.14",
                "the app asks for Python `>=3.14`, and there are 3.11.2 and 3.13.5",
            ),
            (
                "==3.12.*",
                "the app asks for Python `==3.12.*`, and there are 3.11.2 and 3.13.5",
            ),
            ("three", "`three` is no version of Python"),
            (">=3.9 <4", "`>=3.9 <4` is no version of Python"),
        ] {
            let text = format!("[project]\nname = \"a\"\nrequires-python = \"{requires}\"\n");
            let expected = Err(format!("pyproject.toml:3: {message}"));
            assert_eq!(chosen("pyproject.toml", &text), expected, "{requires}");
        }
    }
}
