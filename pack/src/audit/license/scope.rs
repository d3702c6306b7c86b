//! Which files of a source can be in what is shipped. What is said in others is no license of the program.

/// Directories whose files are made for building, testing, packaging or reading.
const DIRECTORIES: [&str; 38] = [
    ".circleci",
    ".github",
    "autoconf",
    "bench",
    "benches",
    "benchmark",
    "benchmarks",
    "build-aux",
    "ci",
    "cmake",
    "contrib",
    "debian",
    "demo",
    "demos",
    "doc",
    "docs",
    "documentation",
    "example",
    "examples",
    "fuzz",
    "fuzzing",
    "gnulib-tests",
    "m4",
    "man",
    "packaging",
    "po",
    "redhat",
    "rpm",
    "sample",
    "samples",
    "scripts",
    "spec",
    "test",
    "testdata",
    "testing",
    "tests",
    "testsuite",
    "win32",
];

/// Files that the GNU build tools put into sources.
const FILES: [&str; 17] = [
    "ABOUT-NLS",
    "INSTALL",
    "ar-lib",
    "compile",
    "config.guess",
    "config.rpath",
    "config.sub",
    "configure",
    "depcomp",
    "install-sh",
    "ltmain.sh",
    "makefile.in",
    "mdate-sh",
    "missing",
    "mkinstalldirs",
    "test-driver",
    "ylwrap",
];

/// Endings of files that are never compiled or installed as part of a program.
const ENDINGS: [&str; 12] = [
    ".m4", ".ac", ".am", ".in", ".po", ".pot", ".texi", ".texinfo", ".cmake", ".vcxproj", ".spec",
    ".1",
];

/// Returns whether a file of a source, by its path there, can be part of what is shipped: no test, no documentation, nothing of the build tools.
///
/// In doubt it is.
#[must_use]
pub fn is_shipped(path: &str) -> bool {
    let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_aside = |directory: &str| {
        DIRECTORIES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(directory))
    };
    if directories.split('/').any(is_aside) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    !FILES.iter().any(|known| known.eq_ignore_ascii_case(name))
        && !ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_documents_and_build_tools_are_not_shipped() {
        for path in [
            "tests/a.c",
            "lib/t/../tests/x",
            "configure",
            "build-aux/compile",
            "m4/x.m4",
            "debian/rules",
            "doc/hello.texi",
            "lib/Makefile.in",
        ] {
            assert!(!is_shipped(path), "{path}");
        }
        for path in [
            "COPYING",
            "src/main.c",
            "lib/contest.c",
            "LICENSE.txt",
            "vendor/zlib/zlib.h",
            "",
        ] {
            assert!(is_shipped(path), "{path}");
        }
    }
}
