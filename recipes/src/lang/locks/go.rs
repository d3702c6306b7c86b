//! `go.mod` and `vendor/modules.txt` (Go Modules Reference, "go.mod files" and "Vendoring").
//!
//! `go.sum` has digests of modules' trees, not of files that could be fetched, so modules come from the folder that
//! `go mod vendor` makes and the project keeps. Here is only found out whether that folder is needed and there.

use std::collections::BTreeMap;

use super::{LockError, LockProblem};

/// What `go.mod` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct GoModule {
    /// The module's path.
    pub(in crate::lang) path: String,
    /// The oldest version of Go that it is written for, if it says so.
    pub(in crate::lang) go: Option<String>,
    /// The modules that it needs, in the file's order.
    pub(in crate::lang) requires: Vec<GoRequire>,
}

/// A module that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct GoRequire {
    pub(in crate::lang) path: String,
    pub(in crate::lang) version: String,
    pub(in crate::lang) line: usize,
}

/// Reads the text of a `go.mod`, which messages call `file`.
pub(in crate::lang) fn go_mod(file: &str, text: &str) -> Result<GoModule, LockError> {
    let mut module = None;
    let mut go = None;
    let mut requires = Vec::new();
    let mut block: Option<(String, usize)> = None;
    for (index, whole) in text.lines().enumerate() {
        let line = index + 1;
        let at = |problem| LockError {
            file: file.to_owned(),
            line,
            problem,
        };
        let code = whole.split("//").next().unwrap_or_default();
        let words: Vec<&str> = code.split_whitespace().map(unquoted).collect();
        let (verb, rest) = match (&block, words.as_slice()) {
            (_, []) => continue,
            (Some(_), [")"]) => {
                block = None;
                continue;
            }
            (Some((verb, _)), rest) => (verb.clone(), rest),
            (None, [verb, "("]) => {
                block = Some(((*verb).to_owned(), line));
                continue;
            }
            (None, [verb, rest @ ..]) => ((*verb).to_owned(), rest),
        };
        match (verb.as_str(), rest) {
            ("module", [path]) => module = Some((*path).to_owned()),
            ("go", [version]) => go = Some((*version).to_owned()),
            ("require", [path, version]) => requires.push(GoRequire {
                path: (*path).to_owned(),
                version: (*version).to_owned(),
                line,
            }),
            ("module" | "go" | "require", _) => {
                let message = format!("this is no `{verb}` line");
                return Err(at(LockProblem::Syntax { message }));
            }
            _ => {}
        }
    }
    let at = |line, message: &str| LockError {
        file: file.to_owned(),
        line,
        problem: LockProblem::Syntax {
            message: message.to_owned(),
        },
    };
    if let Some((verb, line)) = block {
        return Err(at(line, &format!("the `(` of `{verb}` is never closed")));
    }
    let path = module.ok_or_else(|| at(1, "the file names no `module`"))?;
    Ok(GoModule { path, go, requires })
}

/// Checks that the folder `vendor` has what `module`, read from `file`, needs; `text` is that of its `modules.txt`.
pub(in crate::lang) fn check_vendored(
    file: &str,
    module: &GoModule,
    text: Option<&str>,
) -> Result<(), LockError> {
    let vendored: Option<BTreeMap<&str, &str>> = text.map(|text| {
        text.lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?, words.next().unwrap_or_default()))
            })
            .collect()
    });
    for require in &module.requires {
        let found = vendored
            .as_ref()
            .and_then(|vendored| vendored.get(require.path.as_str()));
        if found.is_some_and(|version| *version == require.version || *version == "=>") {
            continue;
        }
        return Err(LockError {
            file: file.to_owned(),
            line: require.line,
            problem: LockProblem::NotVendored {
                package: format!("{} {}", require.path, require.version),
                found: found.map(|version| (*version).to_owned()),
            },
        });
    }
    Ok(())
}

fn unquoted(word: &str) -> &str {
    word.strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'))
        .unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "// by hand\nmodule \"example.org/app\" // ours\n\ngo 1.22\n\nrequire example.org/a v1.0.0\nrequire (\n\texample.org/b v0.2.0 // indirect\n)\nreplace example.org/b => ../b\n";

    #[test]
    fn single_lines_and_blocks_are_read() {
        let module = go_mod("go.mod", TEXT).unwrap();
        let require = |path: &str, version: &str, line| GoRequire {
            path: path.to_owned(),
            version: version.to_owned(),
            line,
        };
        assert_eq!(module.path, "example.org/app");
        assert_eq!(module.go.as_deref(), Some("1.22"));
        assert_eq!(
            module.requires,
            [
                require("example.org/a", "v1.0.0", 6),
                require("example.org/b", "v0.2.0", 8),
            ]
        );
    }

    #[test]
    fn what_is_no_go_mod_is_refused_with_its_line() {
        for (text, expected) in [
            ("", "go.mod:1: the file names no `module`"),
            (
                "module a\nrequire (\n",
                "go.mod:2: the `(` of `require` is never closed",
            ),
            (
                "module a\nrequire b\n",
                "go.mod:2: this is no `require` line",
            ),
        ] {
            assert_eq!(go_mod("go.mod", text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn modules_that_are_not_vendored_are_named_with_their_line() {
        let module = go_mod("go.mod", TEXT).unwrap();
        let check = |text: Option<&str>| {
            check_vendored("go.mod", &module, text).map_err(|error| error.to_string())
        };
        let whole =
            "# example.org/a v1.0.0\n## explicit\nexample.org/a\n# example.org/b v0.2.0 => ../b\n";
        assert_eq!(check(Some(whole)), Ok(()));
        assert_eq!(
            check(None).unwrap_err(),
            "go.mod:6: `example.org/a v1.0.0` is not in `vendor`"
        );
        assert_eq!(
            check(Some("# example.org/a v0.9.0\n")).unwrap_err(),
            "go.mod:6: `example.org/a v1.0.0` is in `vendor` as v0.9.0"
        );
    }
}
