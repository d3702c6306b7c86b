//! Which source package of Debian software is of. Pure.

use super::{DebianSource, Purl};

/// The release of which nothing else is known.
const UNSTABLE: &str = "sid";

/// Debian's releases by their numbers.
const RELEASES: [(&str, &str); 7] = [
    ("10", "buster"),
    ("11", "bullseye"),
    ("12", "bookworm"),
    ("13", "trixie"),
    ("14", "forky"),
    ("15", "duke"),
    ("unstable", UNSTABLE),
];

/// Returns the code name of a release that is named by it, by its number, or as `debian-12`.
pub(crate) fn release_name(text: &str) -> String {
    let text = text.strip_prefix("debian-").unwrap_or(text);
    let number = text.split('.').next().unwrap_or(text);
    let known = RELEASES.iter().find(|(of, _)| *of == number);
    // `bookworm-security` and `bookworm-updates` are of bookworm.
    let base = text.split('-').next().unwrap_or(text);
    known.map_or(base, |(_, name)| name).to_owned()
}

/// Returns what a package URL of type `deb` says: the qualifiers `upstream` and `distro` (purl-spec, `deb`). Without the former, the place in Debian's archive where
/// the package was fetched tells of which source it is.
pub(super) fn source_of_purl(purl: &Purl, urls: &[String]) -> Option<DebianSource> {
    if purl.kind != "deb" || purl.namespace.as_deref() != Some("debian") {
        return None;
    }
    let version = purl.version.clone()?;
    let upstream = purl.qualifiers.get("upstream");
    let (name, version) = match upstream.map(|text| text.split_once('@').unwrap_or((text, ""))) {
        Some((name, "")) => (name.to_owned(), without_rebuild(&version)),
        Some((name, version)) => (name.to_owned(), version.to_owned()),
        None if purl
            .qualifiers
            .get("arch")
            .is_some_and(|arch| arch == "source") =>
        {
            (purl.name.clone(), version)
        }
        None => {
            let mut fetched = urls.iter().filter_map(|url| pool_package(url));
            let found = fetched.find(|(_, package, _)| *package == purl.name);
            let source = found.map_or(purl.name.as_str(), |(source, _, _)| source);
            (source.to_owned(), without_rebuild(&version))
        }
    };
    let release = purl.qualifiers.get("distro").map(|text| release_name(text));
    let release = release.unwrap_or_else(|| release_of(&version));
    Some(DebianSource {
        name,
        version,
        release,
    })
}

/// A binary package that was built again without a change of its sources has `+b1` behind its version (Developer's Reference 5.10.2.1).
fn without_rebuild(version: &str) -> String {
    match version.rsplit_once("+b") {
        Some((source, count)) if count.bytes().all(|b| b.is_ascii_digit()) && !count.is_empty() => {
            source.to_owned()
        }
        _ => version.to_owned(),
    }
}

/// Returns the source packages that files of Debian's archive are of: the sources themselves, else each package that was unpacked.
pub(super) fn sources_of_urls(urls: &[String]) -> Vec<DebianSource> {
    if let Some(source) = source_of_urls(urls) {
        return vec![source];
    }
    let unpacked = urls.iter().filter_map(|url| pool_package(url));
    let mut found: Vec<DebianSource> = unpacked
        .map(|(source, _, version)| DebianSource {
            name: source.to_owned(),
            version: without_rebuild(&version),
            release: release_of(&version),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The source, the name and the version of a package in the archive: `pool/main/g/glibc/libc6_2.36-9+deb12u14_amd64.deb`, where the folder is called like the source.
fn pool_package(url: &str) -> Option<(&str, &str, String)> {
    let (_, path) = url.split_once("/pool/")?;
    let mut parts = path.rsplit('/');
    let (file, source) = (parts.next()?, parts.next()?);
    let mut words = file.strip_suffix(".deb")?.split('_');
    let (package, version) = (words.next()?, words.next()?);
    let version = version
        .replace("%2B", "+")
        .replace("%7E", "~")
        .replace("%3a", ":");
    Some((source, package, version))
}

/// Returns what the files of a source package are named for: `pool/main/c/curl/curl_7.88.1-10+deb12u15.debian.tar.xz` beside `curl_7.88.1.orig.tar.gz`.
///
/// Only where both are there is Debian's revision of the software what was built; the file with the epoch's version is not named for the epoch.
fn source_of_urls(urls: &[String]) -> Option<DebianSource> {
    let files = || urls.iter().filter_map(|url| pool_file(url));
    let (name, rest) = files().find(|(_, rest)| rest.contains(".debian.tar."))?;
    files().find(|(of, rest)| *of == name && rest.contains(".orig.tar."))?;
    let (version, _) = rest.split_once(".debian.tar.")?;
    let version = version.replace("%2B", "+").replace("%7E", "~");
    Some(DebianSource {
        release: release_of(&version),
        name: name.to_owned(),
        version,
    })
}

fn pool_file(url: &str) -> Option<(&str, &str)> {
    let (_, path) = url.split_once("/pool/")?;
    path.rsplit('/').next()?.split_once('_')
}

/// Returns the release for which a version was made, by `deb12u5` or `~bpo12`: what has neither is of unstable first.
fn release_of(version: &str) -> String {
    let mark = version.rfind("deb").map(|at| at + 3);
    let number = mark.and_then(|at| version.get(at..)).unwrap_or_default();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let number = number.get(..end).unwrap_or_default();
    let known = RELEASES.iter().find(|(of, _)| *of == number);
    known.map_or(UNSTABLE, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_url_leads_to_the_source_package() {
        for (purl, expected) in [
            (
                "pkg:deb/debian/libcurl4@7.88.1-10%2Bdeb12u14?arch=amd64&distro=bookworm&upstream=curl",
                Some("curl 7.88.1-10+deb12u14 bookworm"),
            ),
            (
                "pkg:deb/debian/dmsetup@2:1.02.185-2?distro=debian-12&upstream=lvm2%402.03.16-2",
                Some("lvm2 2.03.16-2 bookworm"),
            ),
            (
                "pkg:deb/debian/bash@5.2.15-2%2Bb7",
                Some("bash 5.2.15-2 sid"),
            ),
            (
                "pkg:deb/debian/bash@5.2.15-2?distro=13",
                Some("bash 5.2.15-2 trixie"),
            ),
            (
                "pkg:deb/debian/a@1?distro=bookworm-security",
                Some("a 1 bookworm"),
            ),
            ("pkg:deb/ubuntu/bash@5.2.15-2", None),
            ("pkg:deb/debian/bash", None),
            ("pkg:cargo/bash@1", None),
        ] {
            let source = source_of_purl(&purl.parse().unwrap(), &[]);
            let text = source
                .map(|source| format!("{} {} {}", source.name, source.version, source.release));
            assert_eq!(text.as_deref(), expected, "{purl}");
        }
    }

    #[test]
    fn sources_with_debians_revision_are_debians() {
        let orig = "mirror://debian/pool/main/c/curl/curl_7.88.1.orig.tar.gz";
        let revision = "mirror://debian/pool/main/c/curl/curl_7.88.1-10+deb12u15.debian.tar.xz";
        assert_eq!(
            found(&[orig, revision]),
            ["curl 7.88.1-10+deb12u15 bookworm"]
        );
        let other = "mirror://debian/pool/main/z/zlib/zlib_1.2.13.orig.tar.gz";
        for incomplete in [&[orig][..], &[revision], &[other, revision]] {
            assert_eq!(found(incomplete), [""; 0], "{incomplete:?}");
        }
    }

    fn found(urls: &[&str]) -> Vec<String> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let sources = sources_of_urls(&urls);
        let shown = sources.iter();
        shown
            .map(|source| format!("{} {} {}", source.name, source.version, source.release))
            .collect()
    }

    #[test]
    fn packages_that_were_unpacked_are_of_the_sources_whose_folders_they_lay_in() {
        let libc = "mirror://debian/pool/main/g/glibc/libc6_2.36-9+deb12u14_amd64.deb";
        let more = "mirror://debian/pool/main/g/glibc/libc-bin_2.36-9%2Bdeb12u14_amd64.deb";
        let gcc = "mirror://debian/pool/main/g/gcc-12/libgcc-s1_12.2.0-14+deb12u1+b2_amd64.deb";
        assert_eq!(
            found(&[libc, more, gcc]),
            [
                "gcc-12 12.2.0-14+deb12u1 bookworm",
                "glibc 2.36-9+deb12u14 bookworm"
            ]
        );
        // A package whose name says nothing of its source.
        let linked = "pkg:deb/debian/libc6-dev@2.36-9%2Bdeb12u14?arch=amd64";
        let linked = linked.parse().unwrap();
        let url = "mirror://debian/pool/main/g/glibc/libc6-dev_2.36-9+deb12u14_amd64.deb";
        let of = |urls: &[String]| source_of_purl(&linked, urls).map(|source| source.name);
        assert_eq!(of(&[url.to_owned()]).as_deref(), Some("glibc"));
        assert_eq!(of(&[gcc.to_owned()]).as_deref(), Some("libc6-dev"));
    }
}
