//! The version of the source package that a package was built from, where it is another one than the package's own.
//!
//! Debian's security tracker speaks of source packages: `dmsetup 2:1.02.185-2` is built from `lvm2 2.03.16-2`. Only the package itself says so, in the field
//! `Source` of its control file (Debian Policy 5.6.1).

use super::control::stanzas;
use super::packages::encode;

/// Returns a package URL of type `deb` with the version of the source package in its qualifier `upstream`; none where `control` names no version of its own.
pub(crate) fn with_source_version(purl: &str, control: &str) -> Option<String> {
    let source = stanzas(control).next()?.field("Source")?;
    let (name, version) = source.trim().split_once(" (")?;
    let version = version.strip_suffix(')')?;
    let (place, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let mut kept: Vec<String> = qualifiers
        .split('&')
        .filter(|qualifier| !qualifier.is_empty() && !qualifier.starts_with("upstream="))
        .map(str::to_owned)
        .collect();
    kept.push(format!("upstream={}%40{}", encode(name), encode(version)));
    Some(format!("{place}?{}", kept.join("&")))
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
}
