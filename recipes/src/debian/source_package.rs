//! Source packages: what a package of binaries was built from, and the files that this consists of.
//!
//! A binary package names its source in its own `control`; a source package is described by a `.dsc`, or by a paragraph of a suite's
//! index `Sources`, which promises the same files and the `.dsc` too. Formats: Debian Policy 5.4 and 5.6; Debian repository format, "Sources Indices".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::control::{Stanza, stanzas};
use super::packages::{encode, plain, store_name};
use super::universe::IndexText;
use crate::model::{
    Builder, ContentDigest, DEFAULT_OUTPUT, Derivation, DerivationSpec, Fetch, Limits, Location,
    Metadata, ModelError, OutputRef, RecipeTexts,
};

/// The mirror of security updates, and that of the archive.
const SECURITY: &str = "debian-security";
const MAIN: &str = "debian";

/// One version of a source package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch.
    pub version: String,
}

/// The files of a source package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePackage {
    /// Which it is.
    pub name: SourceName,
    /// Where they lie below the mirror; a `.dsc` does not say.
    pub directory: Option<String>,
    /// The files, in the order in which they are listed. A `.dsc` does not list itself.
    pub files: Vec<SourceFile>,
}

/// One file of a source package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name.
    pub name: String,
    /// Its SHA-256.
    pub digest: ContentDigest,
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Returns what a package of binaries was built from, as its `control` says; `None` where that is no `control`.
#[must_use]
pub fn source_of(control: &str) -> Option<SourceName> {
    let stanza = stanzas(control).next()?;
    let own = stanza.field("Version")?;
    let source = stanza.field("Source");
    let source = source.map_or_else(|| stanza.field("Package"), Some)?;
    let (name, version) = match source.split_once('(') {
        Some((name, version)) => (name.trim(), version.trim_end().strip_suffix(')')?.trim()),
        None => (source, own),
    };
    Some(SourceName {
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

/// Returns the source packages of which something is in a package of binaries, beside its own: `Built-Using` and `Static-Built-Using` of its `control` (Debian
/// Policy 7.8). Sorted, without duplicates.
#[must_use]
pub fn built_using(control: &str) -> BTreeSet<SourceName> {
    let Some(stanza) = stanzas(control).next() else {
        return BTreeSet::new();
    };
    let fields = ["Built-Using", "Static-Built-Using"].into_iter();
    let all = fields.filter_map(|name| stanza.field(name));
    let all = all.flat_map(|value| value.split(','));
    let named = all.filter_map(|one| {
        let (name, version) = one.trim().split_once('(')?;
        let version = version.trim_end().strip_suffix(')')?.trim();
        Some(SourceName {
            name: name.trim().to_owned(),
            version: version.strip_prefix('=')?.trim().to_owned(),
        })
    });
    named.collect()
}

/// Reads a `.dsc`, signed or not; `None` where the text is none. Whose signature it is does not matter: the caller knows its digest.
#[must_use]
pub fn source_package(dsc: &str) -> Option<SourcePackage> {
    let stanza = stanzas(dsc).find(|stanza| stanza.field("Checksums-Sha256").is_some())?;
    read(&stanza, stanza.field("Source")?)
}

/// Finds source packages in indexes. Returns each with the mirror that has it; what no index has is left out.
#[must_use]
pub fn find_sources(
    indexes: &[IndexText],
    wanted: &BTreeSet<SourceName>,
) -> BTreeMap<SourceName, (String, SourcePackage)> {
    let names: BTreeSet<&str> = wanted.iter().map(|one| one.name.as_str()).collect();
    let mut found = BTreeMap::new();
    for index in indexes {
        for stanza in stanzas(&index.text) {
            let Some(name) = stanza.field("Package").filter(|name| names.contains(name)) else {
                continue;
            };
            if let Some(source) = read(&stanza, name).filter(|one| wanted.contains(&one.name)) {
                let known = found.entry(source.name.clone());
                known.or_insert_with(|| (index.mirror.clone(), source));
            }
        }
    }
    found
}

fn read(stanza: &Stanza<'_>, name: &str) -> Option<SourcePackage> {
    let files = stanza.field("Checksums-Sha256")?.lines();
    let files = files.filter(|line| !line.trim().is_empty());
    let files: Option<Vec<SourceFile>> = files.map(file).collect();
    let directory = stanza.field("Directory").map(str::to_owned);
    Some(SourcePackage {
        name: SourceName {
            name: name.to_owned(),
            version: stanza.field("Version")?.to_owned(),
        },
        directory: directory.filter(|path| is_plain(path)),
        files: files?,
    })
}

/// Reads `DIGEST SIZE NAME`.
fn file(line: &str) -> Option<SourceFile> {
    let mut words = line.split_whitespace();
    let digest = ContentDigest::sha256_from_hex(words.next()?).ok()?;
    let name = words.nth(1)?;
    (is_plain(name) && !name.contains('/')).then(|| SourceFile {
        name: name.to_owned(),
        digest,
    })
}

fn is_plain(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "" | "." | ".."))
}

impl SourceName {
    /// Returns its package URL, `pkg:deb/debian/glibc@2.36-9?arch=source` (purl-spec, type `deb`).
    #[must_use]
    pub fn purl(&self) -> String {
        let (name, version) = (encode(&self.name), encode(&self.version));
        format!("pkg:deb/debian/{name}@{version}?arch=source")
    }
}

impl SourcePackage {
    /// Returns a fetch of each file from a mirror; none where it is not known where they lie.
    pub fn fetches(&self, mirror: &str) -> Result<Vec<OutputRef>, ModelError> {
        let Some(directory) = &self.directory else {
            return Ok(Vec::new());
        };
        // What a security update brought comes to the archive itself with the next point release, at the same place but for this.
        let later = (mirror == SECURITY)
            .then(|| directory.replacen("pool/updates/", "pool/", 1))
            .filter(|later| later != directory);
        let fetch = |file: &SourceFile| {
            let mut urls = vec![format!("mirror://{mirror}/{directory}/{}", file.name)];
            urls.extend(
                (later.iter()).map(|later| format!("mirror://{MAIN}/{later}/{}", file.name)),
            );
            let spec = DerivationSpec {
                name: store_name(&plain(&file.name), None, "")?,
                outputs: vec![DEFAULT_OUTPUT.to_owned()],
                builder: Builder::Fetch(Fetch {
                    urls,
                    digest: file.digest,
                    executable: false,
                }),
                limits: Limits::default(),
                metadata: Metadata {
                    name: file.name.clone(),
                    ..Metadata::default()
                },
                origin: Location::default(),
                recipe: RecipeTexts::default(),
            };
            Ok(OutputRef::default_of(Derivation::new(spec)?))
        };
        self.files.iter().map(fetch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn named(name: &str, version: &str) -> SourceName {
        SourceName {
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    #[test]
    fn a_package_names_its_source_or_is_called_as_it() {
        for (control, expected) in [
            (
                "Package: libc6\nSource: glibc\nVersion: 2.36-9\n",
                Some(named("glibc", "2.36-9")),
            ),
            (
                "Package: libcrypt1\nSource: libxcrypt (1:4.4.33-2)\nVersion: 1:4.4.33-2+b1\n",
                Some(named("libxcrypt", "1:4.4.33-2")),
            ),
            (
                "Package: nginx\nVersion: 1.22.1-9\n",
                Some(named("nginx", "1.22.1-9")),
            ),
            ("Package: nginx\n", None),
            ("Package: a\nSource: b (1\nVersion: 2\n", None),
            ("", None),
        ] {
            assert_eq!(source_of(control), expected, "{control}");
        }
    }

    #[test]
    fn a_signed_description_lists_files_by_digest() {
        let dsc = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nFormat: 3.0 (quilt)\nSource: glibc\nVersion: 2.36-9\nChecksums-Sha256:\n {A} 12 glibc_2.36.orig.tar.xz\n {B} 3 glibc_2.36-9.debian.tar.xz\nFiles:\n 00 1 x\n\n-----BEGIN PGP SIGNATURE-----\n"
        );
        let source = source_package(&dsc).expect("it is one");
        assert_eq!(source.name, named("glibc", "2.36-9"));
        assert_eq!(source.directory, None);
        let names: Vec<&str> = source.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["glibc_2.36.orig.tar.xz", "glibc_2.36-9.debian.tar.xz"]
        );
        for wrong in ["../x", "a/b", ""] {
            let dsc =
                format!("Source: a\nVersion: 1\nChecksums-Sha256:\n {A} 1 a.tar\n {B} 3 {wrong}\n");
            assert_eq!(source_package(&dsc), None, "{wrong}");
        }
        assert_eq!(source_package("Source: a\nVersion: 1\n"), None);
    }

    #[test]
    fn an_index_is_asked_for_one_version_and_the_first_that_has_it_answers() {
        let paragraph = |version: &str, directory: &str| {
            format!(
                "Package: a\nVersion: {version}\nDirectory: {directory}\nChecksums-Sha256:\n {A} 1 a_{version}.dsc\n\n"
            )
        };
        let index = |mirror: &str, text: String| IndexText {
            suite: "s".to_owned(),
            mirror: mirror.to_owned(),
            text,
        };
        let indexes = [
            index(
                "debian",
                paragraph("1", "pool/a") + &paragraph("2", "pool/a"),
            ),
            index("debian-security", paragraph("2", "pool/updates/a")),
        ];
        let wanted = BTreeSet::from([named("a", "2"), named("a", "3"), named("b", "1")]);
        let found = find_sources(&indexes, &wanted);
        let [(name, (mirror, source))] = &found.iter().collect::<Vec<_>>()[..] else {
            panic!("{found:?}");
        };
        assert_eq!((*name, mirror.as_str()), (&named("a", "2"), "debian"));
        let fetches = source.fetches(mirror).expect("it can be named");
        let [fetch] = &fetches[..] else {
            panic!("{fetches:?}");
        };
        let Builder::Fetch(fetch) = fetch.derivation().builder() else {
            panic!("it is a fetch");
        };
        assert_eq!(fetch.urls, ["mirror://debian/pool/a/a_2.dsc"]);
    }

    #[test]
    fn what_is_built_in_is_named_with_its_version() {
        let control = "Package: busybox-static\nBuilt-Using: glibc (= 2.36-9+deb12u3),\n libxcrypt (= 1:4.4.33-2)\nStatic-Built-Using: glibc (= 2.36-9+deb12u3), odd, vague (>= 1)\n";
        let found: Vec<String> = built_using(control)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["glibc 2.36-9+deb12u3", "libxcrypt 1:4.4.33-2"]);
        assert_eq!(built_using("Package: jq\n"), BTreeSet::new());
    }

    #[test]
    fn a_security_update_is_looked_for_in_the_archive_too() -> Result<(), ModelError> {
        let package = SourcePackage {
            name: named("jq", "1.6-2"),
            directory: Some("pool/updates/main/j/jq".to_owned()),
            files: vec![SourceFile {
                name: "jq_1.6-2.dsc".to_owned(),
                digest: ContentDigest::Sha256([7; 32]),
            }],
        };
        for (mirror, expected) in [
            (
                "debian-security",
                vec![
                    "mirror://debian-security/pool/updates/main/j/jq/jq_1.6-2.dsc",
                    "mirror://debian/pool/main/j/jq/jq_1.6-2.dsc",
                ],
            ),
            (
                "other",
                vec!["mirror://other/pool/updates/main/j/jq/jq_1.6-2.dsc"],
            ),
        ] {
            let fetches = package.fetches(mirror)?;
            let [fetch] = fetches.as_slice() else {
                panic!("{fetches:?}")
            };
            let Builder::Fetch(fetch) = fetch.derivation().builder() else {
                panic!("{fetch:?}")
            };
            assert_eq!(fetch.urls, expected);
        }
        Ok(())
    }
}
