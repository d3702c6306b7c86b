//! Which packages of the collection a build script asks for, by the names that compilers, pkg-config and CMake have for them.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::names::{quoted, string_at};

/// A package, what it is called after `-l`, by pkg-config, and by CMake's `find_package`.
struct Known {
    package: &'static str,
    libraries: &'static [&'static str],
    modules: &'static [&'static str],
    cmake: &'static str,
}

const fn known(
    package: &'static str,
    libraries: &'static [&'static str],
    modules: &'static [&'static str],
    cmake: &'static str,
) -> Known {
    Known {
        package,
        libraries,
        modules,
        cmake,
    }
}

const KNOWN: [Known; 22] = [
    known(
        "brotli",
        &["brotlidec", "brotlienc"],
        &["libbrotlidec", "libbrotlienc"],
        "",
    ),
    known("bzip2", &["bz2"], &["bzip2"], "BZip2"),
    known("c-ares", &["cares"], &["libcares"], "c-ares"),
    known("cjson", &["cjson"], &["libcjson"], "cJSON"),
    known("curl", &["curl"], &["libcurl"], "CURL"),
    known("expat", &["expat"], &["expat"], "EXPAT"),
    known("gmp", &["gmp"], &["gmp"], ""),
    known(
        "libevent",
        &["event", "event_core"],
        &["libevent"],
        "Libevent",
    ),
    known("libffi", &["ffi"], &["libffi"], ""),
    known("libuv", &["uv"], &["libuv"], "libuv"),
    known("libxml2", &["xml2"], &["libxml-2.0"], "LibXml2"),
    known("libyaml", &["yaml"], &["yaml-0.1"], ""),
    known("lz4", &["lz4"], &["liblz4"], ""),
    known(
        "ncurses",
        &["ncurses", "ncursesw"],
        &["ncurses", "ncursesw"],
        "Curses",
    ),
    known("nghttp2", &["nghttp2"], &["libnghttp2"], ""),
    known(
        "openssl",
        &["ssl", "crypto"],
        &["openssl", "libssl", "libcrypto"],
        "OpenSSL",
    ),
    known("pcre2", &["pcre2-8"], &["libpcre2-8"], "PCRE2"),
    known("readline", &["readline"], &["readline"], ""),
    known("sqlite", &["sqlite3"], &["sqlite3"], "SQLite3"),
    known("xz", &["lzma"], &["liblzma"], "LibLZMA"),
    known("zlib", &["z"], &["zlib"], "ZLIB"),
    known("zstd", &["zstd"], &["libzstd"], "zstd"),
];

/// The places in a text where a library is asked for.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// `-lNAME`, and names of pkg-config behind that word.
    Makefile,
    /// `find_package(NAME)` and `pkg_check_modules(PREFIX NAME…)`.
    Cmake,
    /// `dependency('NAME')`.
    Meson,
}

/// Adds what a build script asks for to the facts; `file` is its name.
pub(super) fn add(facts: &mut Facts, file: &str, text: &str, style: Style) {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "()'\",;`".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let after = |marks: &[&str], length: usize| -> BTreeSet<&str> {
        let places = words.iter().enumerate();
        let marked = places.filter(|(_, word)| marks.contains(&word.to_ascii_lowercase().as_str()));
        marked
            .flat_map(|(index, _)| words.iter().skip(index + 1).take(length).copied())
            .collect()
    };
    let asked = |entry: &Known| match style {
        Style::Makefile => {
            let modules = after(&["pkg-config", "$(pkg_config)"], 6);
            let is_library = |name: &&str| words.contains(&format!("-l{name}").as_str());
            entry.libraries.iter().any(is_library)
                || entry.modules.iter().any(|name| modules.contains(name))
        }
        Style::Cmake => {
            let modules = after(&["pkg_check_modules", "pkg_search_module"], 6);
            after(&["find_package"], 1).contains(entry.cmake)
                || entry.modules.iter().any(|name| modules.contains(name))
        }
        Style::Meson => {
            let named = after(&["dependency"], 1);
            entry.modules.iter().any(|name| named.contains(name))
        }
    };
    let packages: Vec<&str> = KNOWN
        .iter()
        .filter(|entry| asked(entry))
        .map(|entry| entry.package)
        .collect();
    add_packages(facts, file, &packages);
}

/// Crates that look for a library of the system, the package that has it, and what they depend on when they compile one of their own instead.
const CRATES: [(&str, &str, &str); 3] = [
    ("libsqlite3-sys", "sqlite", "cc"),
    ("openssl-sys", "openssl", "openssl-src"),
    ("pq-sys", "postgresql", "pq-src"),
];

/// Adds what the crates of a `Cargo.lock` look for.
pub(super) fn add_crates(facts: &mut Facts, file: &str, lock: &toml::Table) {
    let crates = lock.get("package").and_then(toml::Value::as_array);
    let crates: Vec<&toml::Table> = crates
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
        .collect();
    let looks = |name: &str, own: &str| {
        let found = crates
            .iter()
            .find(|entry| string_at(entry, &["name"]) == Some(name))?;
        let parts = found.get("dependencies").and_then(toml::Value::as_array);
        let mut parts = parts.into_iter().flatten().filter_map(toml::Value::as_str);
        (!parts.any(|part| part.split(' ').next() == Some(own))).then_some(())
    };
    let packages: Vec<&str> = CRATES
        .iter()
        .filter(|(name, _, own)| looks(name, own).is_some())
        .map(|(_, package, _)| *package)
        .collect();
    add_packages(facts, file, &packages);
}

fn add_packages(facts: &mut Facts, file: &str, packages: &[&str]) {
    if packages.is_empty() {
        return;
    }
    facts
        .notes
        .push(format!("needs {}, by {file}", packages.join(", ")));
    let list: Vec<String> = packages
        .iter()
        .map(|package| format!("package({})", quoted(package)))
        .collect();
    facts
        .arguments
        .push(("deps", format!("[{}]", list.join(", "))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deps(text: &str, style: Style) -> String {
        let mut facts = Facts::default();
        add(&mut facts, "x", text, style);
        facts
            .arguments
            .pop()
            .map_or_else(String::new, |(_, value)| value)
    }

    #[test]
    fn crates_look_for_libraries_unless_they_compile_their_own() {
        let deps = |text: &str| {
            let mut facts = Facts::default();
            add_crates(&mut facts, "Cargo.lock", &text.parse().unwrap());
            facts.arguments.pop().map(|(_, value)| value)
        };
        let entry = |name: &str, parts: &str| {
            format!("[[package]]\nname = '{name}'\nversion = '1.0.0'\ndependencies = [{parts}]\n")
        };
        let looking = entry("openssl-sys", "'cc', 'libc'") + &entry("libsqlite3-sys", "'cc 1.0.0'");
        assert_eq!(deps(&looking).unwrap(), r#"[package("openssl")]"#);
        assert_eq!(deps(&entry("openssl-sys", "'cc', 'openssl-src'")), None);
        assert_eq!(
            deps(&entry("libsqlite3-sys", "'pkg-config'")).unwrap(),
            r#"[package("sqlite")]"#
        );
        assert_eq!(deps(""), None);
    }

    #[test]
    fn libraries_are_known_by_the_names_that_build_scripts_have_for_them() {
        let cases = [
            (
                Style::Makefile,
                "cc -o x x.c -lsqlite3 -lm",
                r#"[package("sqlite")]"#,
            ),
            (
                Style::Makefile,
                "L = $(shell pkg-config --libs zlib libcurl)",
                r#"[package("curl"), package("zlib")]"#,
            ),
            (Style::Makefile, "cc -o x x.c -lzzz zlib.c", ""),
            (
                Style::Cmake,
                "find_package(ZLIB REQUIRED)\nfind_package( OpenSSL COMPONENTS Crypto)",
                r#"[package("openssl"), package("zlib")]"#,
            ),
            (
                Style::Cmake,
                "pkg_check_modules(XML REQUIRED IMPORTED_TARGET libxml-2.0)",
                r#"[package("libxml2")]"#,
            ),
            (
                Style::Cmake,
                "project(zlib)\nadd_executable(openssl zstd.c)",
                "",
            ),
            (
                Style::Meson,
                "z = dependency('zlib', version: '>=1')",
                r#"[package("zlib")]"#,
            ),
        ];
        for (style, text, expected) in cases {
            assert_eq!(deps(text, style), expected, "{text}");
        }
    }
}
