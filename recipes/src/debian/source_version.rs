//! The version of the source package that a package was built from, where it is another one than the package's own.
//!
//! Debian's security tracker speaks of source packages: `dmsetup 2:1.02.185-2` is built from `lvm2 2.03.16-2`. Only the package itself says so, in the field
//! `Source` of its control file (Debian Policy 5.6.1).

use super::control::stanzas;
use super::packages::encode;

/// The qualifier that names the source package.
const UPSTREAM: &str = "upstream=";

/// Returns a package URL of type `deb` with the version of the source package in its qualifier `upstream`; none where `control` names no version of its own.
pub(crate) fn with_source_version(purl: &str, control: &str) -> Option<String> {
    let source = stanzas(control).next()?.field("Source")?;
    let (name, version) = source.trim().split_once(" (")?;
    let version = version.strip_suffix(')')?;
    let upstream = format!("{UPSTREAM}{}%40{}", encode(name), encode(version));
    Some(with_upstream(purl, upstream))
}

/// Returns a package URL of type `deb` with the version of the source package that another one of the same package has; none where that has none.
pub(crate) fn keep_source_version(purl: &str, known: &str) -> Option<String> {
    let (place, qualifiers) = known.split_once('?')?;
    let mut qualifiers = qualifiers.split('&');
    let upstream = qualifiers.find(|one| one.starts_with(UPSTREAM) && one.contains("%40"))?;
    let is_same = purl.split('?').next() == Some(place);
    is_same.then(|| with_upstream(purl, upstream.to_owned()))
}

fn with_upstream(purl: &str, upstream: String) -> String {
    let (place, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let mut kept: Vec<String> = qualifiers
        .split('&')
        .filter(|qualifier| !qualifier.is_empty() && !qualifier.starts_with(UPSTREAM))
        .map(str::to_owned)
        .collect();
    kept.push(upstream);
    format!("{place}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_with_a_version_of_its_own_is_named_with_it() {
        let purl = "pkg:deb/debian/dmsetup@2%3A1.02.185-2?arch=amd64&distro=bookworm&upstream=lvm2";
        for (control, expected) in [
            (
                "Package: dmsetup\nSource: lvm2 (2.03.16-2)\nVersion: 2:1.02.185-2\n",
                Some(
                    "pkg:deb/debian/dmsetup@2%3A1.02.185-2?arch=amd64&distro=bookworm&upstream=lvm2%402.03.16-2",
                ),
            ),
            ("Package: dmsetup\nSource: lvm2\n", None),
            ("Package: dmsetup\n", None),
            ("Package: dmsetup\nSource: lvm2 (2\n", None),
            ("", None),
        ] {
            assert_eq!(
                with_source_version(purl, control).as_deref(),
                expected,
                "{control}"
            );
        }
    }

    #[test]
    fn a_version_that_was_read_is_kept_for_the_same_package_alone() {
        let known = "pkg:deb/debian/dmsetup@2?arch=amd64&upstream=lvm2%402.03";
        for (purl, known, expected) in [
            (
                "pkg:deb/debian/dmsetup@2?upstream=lvm2&distro=trixie",
                known,
                Some("pkg:deb/debian/dmsetup@2?distro=trixie&upstream=lvm2%402.03"),
            ),
            ("pkg:deb/debian/dmsetup@3?upstream=lvm2", known, None),
            (known, "pkg:deb/debian/dmsetup@2?upstream=lvm2", None),
            (known, "pkg:deb/debian/dmsetup@2", None),
        ] {
            assert_eq!(keep_source_version(purl, known).as_deref(), expected);
        }
    }
}
