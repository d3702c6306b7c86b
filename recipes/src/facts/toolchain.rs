//! Which packages of the seed brought what a result has of the toolchain: the C library, the compiler's helpers, the standard libraries of languages. Pure.

use std::sync::Arc;

use crate::model::{Builder, Derivation, OutputRef};

/// Parts of the toolchain that a linker names by files: the package without the suffix of cross compilers, and the license of what is linked in of it, which
/// the package says in prose. The libraries of the compiler are under its runtime exception; those of glibc under the LGPL.
const LIBRARIES: &[(&str, &str)] = &[
    ("libc6-dev", "LGPL-2.1-or-later"),
    ("libgcc-12-dev", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    (
        "libstdc++-12-dev",
        "GPL-3.0-or-later WITH GCC-exception-3.1",
    ),
];
/// Standard libraries that builders name as components: the beginning of the package URL, and those of the packages that have it.
const STANDARD_LIBRARIES: &[(&str, &[&str])] = &[(
    "pkg:generic/rust-std@",
    &["libstd-rust-web-dev", "libstd-rust-dev"],
)];
/// What the names of a cross compiler's packages end with.
const CROSS: &str = "-arm64-cross";

/// A package of the seed.
#[derive(Debug, Clone)]
pub(super) struct Package {
    /// The download.
    pub(super) derivation: Arc<Derivation>,
    /// Its package URL.
    pub(super) purl: String,
    /// The license of what results have of it, where that is known.
    pub(super) license: Option<&'static str>,
}

impl Package {
    /// Finds the package of this name in the seed of `derivation`.
    pub(super) fn find(derivation: &Derivation, name: &str) -> Option<Self> {
        let seed = derivation.seed()?.derivation();
        let Builder::DebTree(tree) = seed.builder() else {
            return None;
        };
        let debs = tree.debs.iter().map(OutputRef::derivation);
        let (derivation, purl) = debs
            .filter_map(|deb| Some((deb, purl_of(file_name(deb)?, name)?)))
            .next()?;
        let plain = name.strip_suffix(CROSS).unwrap_or(name);
        let known = LIBRARIES.iter().find(|(library, _)| *library == plain);
        Some(Self {
            derivation: Arc::clone(derivation),
            purl,
            license: known.map(|(_, license)| *license),
        })
    }

    /// Finds the package that has the standard library of this package URL.
    pub(super) fn find_standard_library(derivation: &Derivation, purl: &str) -> Option<Self> {
        let known = STANDARD_LIBRARIES.iter();
        let (_, names) = known
            .clone()
            .find(|(beginning, _)| purl.starts_with(beginning))?;
        names.iter().find_map(|name| Self::find(derivation, name))
    }
}

/// The name of a package's file as the archive has it: that of the store object lacks characters that no store path may have.
fn file_name(deb: &Derivation) -> Option<&str> {
    let Builder::Fetch(fetch) = deb.builder() else {
        return None;
    };
    fetch.urls.first()?.rsplit('/').next()
}

/// Returns the package URL of a file `NAME_VERSION_ARCHITECTURE.deb` if it is the package `name`.
fn purl_of(file: &str, name: &str) -> Option<String> {
    let mut parts = file.strip_suffix(".deb")?.split('_');
    let (package, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
    (package == name && parts.next().is_none()).then(|| {
        // purl-spec, "Character encoding": `+` and `:` of a version are written in percent; a file's name has `%3a` for the latter.
        let version = version.replace('+', "%2B").replace("%3a", "%3A");
        format!("pkg:deb/debian/{package}@{version}?arch={architecture}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_which_package_it_is() {
        for (file, name, expected) in [
            (
                "libc6-dev_2.36-9+deb12u14_amd64.deb",
                "libc6-dev",
                Some("pkg:deb/debian/libc6-dev@2.36-9%2Bdeb12u14?arch=amd64"),
            ),
            (
                "libstd-rust-web-dev_1.85.0+dfsg3-1~deb12u3_amd64.deb",
                "libstd-rust-web-dev",
                Some("pkg:deb/debian/libstd-rust-web-dev@1.85.0%2Bdfsg3-1~deb12u3?arch=amd64"),
            ),
            ("libc6_2.36-9_amd64.deb", "libc6-dev", None),
            ("libc6-dev.deb", "libc6-dev", None),
            ("a_b_c_d.deb", "a", None),
            ("hello-2.10.tar.gz", "hello", None),
        ] {
            assert_eq!(purl_of(file, name).as_deref(), expected, "{file}");
        }
    }
}
