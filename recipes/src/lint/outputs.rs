//! What lies in the outputs of a package.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;

use super::Rule;

/// Outputs that are only used while something is built, or read by people.
const NOT_RUN: [&str; 4] = ["dev", "doc", "man", "info"];
/// Texts that mean something on no other machine: the seed's compiler, and the directory of the build.
const TOOLCHAIN: [&str; 3] = ["/usr/lib/gcc/", "/usr/bin/gcc", "/build/source"];
/// Directories of documents below `share`.
const DOCUMENTS: [&str; 4] = ["doc", "info", "man", "gtk-doc"];
/// Letters of a kernel's release at least, to be looked for: `6.1.0-18` is, `6.1` is not.
const SHORTEST: usize = 8;
/// How much of a file is in memory at a time.
const CHUNK: usize = 1 << 20;

/// A text that must not occur, the rule that says so, and what finds it.
type Search<'a> = (Rule, &'a str, Finder<'a>);

/// A file of an output that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// The rule.
    pub rule: Rule,
    /// The path below the output.
    pub file: String,
    /// What stands in the file, where that is the problem.
    pub text: Option<String>,
}

/// Looks at every file of an output that is really at `root`; sorted. Links are not followed.
///
/// `kernel` is the release of the kernel on which it may have been built, as `uname -r` prints it: a sandbox cannot hide it.
pub fn check_files(
    output: &str,
    root: &Path,
    kernel: &str,
) -> Result<Vec<FileProblem>, (PathBuf, io::Error)> {
    if NOT_RUN.contains(&output) {
        return Ok(Vec::new());
    }
    let toolchain = TOOLCHAIN.iter().map(|text| (Rule::ToolchainPath, *text));
    // A short one would be found by chance.
    let kernel = Some(kernel).filter(|text| text.len() >= SHORTEST);
    let kernel = kernel.map(|text| (Rule::KernelRelease, text));
    let finders: Vec<Search<'_>> = toolchain
        .chain(kernel)
        .map(|(rule, text)| (rule, text, Finder::new(text.as_bytes())))
        .collect();
    let mut problems = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let path = if below.as_os_str().is_empty() {
            root.to_owned()
        } else {
            root.join(&below)
        };
        let failed = |error| (path.clone(), error);
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                pending.push(below.join(entry.map_err(failed)?.file_name()));
            }
            continue;
        }
        let file = below.to_string_lossy().into_owned();
        if let Some(rule) = misplaced(&file) {
            problems.push(FileProblem {
                rule,
                file,
                text: None,
            });
        } else if metadata.is_file()
            && let Some((rule, text)) = search(&path, &finders).map_err(failed)?
        {
            problems.push(FileProblem {
                rule,
                file,
                text: Some(text.to_owned()),
            });
        }
    }
    problems.sort();
    Ok(problems)
}

/// The rule that a file breaks by its place alone. Pure.
fn misplaced(file: &str) -> Option<Rule> {
    let parts: Vec<&str> = file.split('/').collect();
    let name = parts.last()?;
    match parts.as_slice() {
        ["include", ..] => Some(Rule::HeadersInOut),
        [.., "pkgconfig", _] if name.ends_with(".pc") => Some(Rule::HeadersInOut),
        ["share", directory, ..] if DOCUMENTS.contains(directory) => Some(Rule::DocsInOut),
        ["man" | "doc" | "info", _, ..] => Some(Rule::DocsInOut),
        _ if name.ends_with(".a") || name.ends_with(".la") => Some(Rule::StaticInOut),
        _ => None,
    }
}

/// Returns the first of the texts that the file at `path` has in it, and the rule that it breaks.
fn search<'a>(path: &Path, finders: &[Search<'a>]) -> io::Result<Option<(Rule, &'a str)>> {
    let longest = finders
        .iter()
        .map(|(_, text, _)| text.len())
        .max()
        .unwrap_or(1);
    let mut file = File::open(path)?;
    let mut chunk = Vec::with_capacity(CHUNK + longest);
    loop {
        // The end of one chunk stays, so that a text across the border is found.
        let kept = chunk.len().min(longest - 1);
        chunk.drain(..chunk.len() - kept);
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
        let found = finders
            .iter()
            .find(|(.., finder)| finder.find(&chunk).is_some());
        if let Some((rule, text, _)) = found {
            return Ok(Some((*rule, text)));
        }
        if read == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_need_is_known_by_its_place() {
        for (file, rule) in [
            ("include/zlib.h", Some(Rule::HeadersInOut)),
            ("lib/pkgconfig/zlib.pc", Some(Rule::HeadersInOut)),
            ("lib/libz.a", Some(Rule::StaticInOut)),
            ("share/man/man1/x.1", Some(Rule::DocsInOut)),
            ("share/terminfo/x", None),
            ("lib/libz.so.1", None),
            ("bin/man", None),
            ("lib/python3/include.py", None),
        ] {
            assert_eq!(misplaced(file), rule, "{file}");
        }
    }

    #[test]
    fn a_text_is_found_across_chunks() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for (name, before) in [("a", 10), ("b", CHUNK - 5), ("c", CHUNK)] {
            let mut bytes = vec![b'x'; before];
            bytes.extend_from_slice(b"/usr/lib/gcc/x");
            fs::write(root.join(name), bytes).unwrap();
        }
        fs::write(root.join("d"), vec![b'/'; 2 * CHUNK]).unwrap();
        let found = check_files("out", root, "6.1").unwrap();
        let files: Vec<&str> = found.iter().map(|one| one.file.as_str()).collect();
        assert_eq!(files, ["a", "b", "c"]);
        assert!(check_files("dev", root, "6.1").unwrap().is_empty());
        assert_eq!(check_files("out", &root.join("a"), "6.1").unwrap().len(), 1);
    }

    #[test]
    fn the_kernel_of_the_build_is_found() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("config"), "osvers='6.1.0-18-amd64'").unwrap();
        let rules = |kernel| -> Vec<Rule> {
            let found = check_files("out", place.path(), kernel).unwrap();
            found.iter().map(|one| one.rule).collect()
        };
        assert_eq!(rules("6.1.0-18-amd64"), [Rule::KernelRelease]);
        assert!(rules("6.1.0-21-amd64").is_empty());
        assert!(rules("6.1.0").is_empty());
    }
}
