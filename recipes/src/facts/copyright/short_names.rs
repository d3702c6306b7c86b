//! What one short name of Debian is in SPDX.
//!
//! In this order: what the file's own text for the name is word by word, Debian's own names, the GNU family by its rule, the names of SPDX. A name that several
//! licenses go by is in no table, so that it stays a name of this file alone.

use crate::facts::license::whole_license;

/// Names that SPDX writes in another way, in lower case; each stands for exactly one license, for the reason beside it.
const NAMES: &[(&str, &str)] = &[
    // DEP-5: the license of Expat, SPDX's MIT.
    ("expat", "MIT"),
    // Versions without `.0` are common in DEP-5 files.
    ("apache-2", "Apache-2.0"),
    // DEP-5: the license of Perl 5, which common-licenses has.
    ("artistic", "Artistic-1.0-Perl"),
    // Common-licenses has that of Perl 5 alone.
    ("artistic-1", "Artistic-1.0-Perl"),
    // DEP-5: the same terms as Perl 5.
    ("perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    // No other license has three clauses of Berkeley.
    ("bsd-3", "BSD-3-Clause"),
    // There is one version.
    ("cc0", "CC0-1.0"),
    // SPDX abbreviates.
    ("openldap-2.8", "OLDAP-2.8"),
    // SPDX abbreviates.
    ("openldap-public-2.8", "OLDAP-2.8"),
    // There is one version.
    ("boost", "BSL-1.0"),
    // SPDX abbreviates.
    ("boost-1.0", "BSL-1.0"),
    // Version 2 of the license of the Python Software Foundation.
    ("psf-2", "PSF-2.0"),
    // There is no other version.
    ("psf", "PSF-2.0"),
    // DEP-5: the license of the Python Software Foundation, version 2.
    ("python-2.0", "PSF-2.0"),
    // SPDX: the name under which OSI lists it.
    ("zlib/libpng", "Zlib"),
    // SPDX abbreviates.
    ("freetype", "FTL"),
    // SPDX has version 2 under this name.
    ("wtfpl-2", "WTFPL"),
    // SPDX has given its own name for it up for this one.
    ("bsd-2-clause-netbsd", "BSD-2-Clause"),
    // PCRE2 alone uses it, and SPDX has the exemption as an exception.
    (
        "bsd-3-clause-cambridge with binary library-like packages exception",
        "BSD-3-Clause WITH PCRE2-exception",
    ),
    // SPDX: the Eclipse Distribution License is that.
    ("edl-1.0", "BSD-3-Clause"),
];

/// Exceptions, in lower case without the word itself, and SPDX's for the license before them.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("gcc", "GPL-3.0-or-later", "GCC-exception-3.1"),
    (
        "gcc-runtime-library",
        "GPL-3.0-or-later",
        "GCC-exception-3.1",
    ),
    ("gcc-runtime", "GPL-3.0-or-later", "GCC-exception-3.1"),
    ("libtool", "GPL-2.0-or-later", "Libtool-exception"),
    ("bison", "GPL-3.0-or-later", "Bison-exception-2.2"),
    ("bison", "GPL-2.0-or-later", "Bison-exception-1.24"),
    ("font", "GPL-2.0-or-later", "Font-exception-2.0"),
    ("classpath", "GPL-2.0-only", "Classpath-exception-2.0"),
    ("classpath", "GPL-2.0-or-later", "Classpath-exception-2.0"),
    ("linux-syscall-note", "GPL-2.0-only", "Linux-syscall-note"),
    (
        "linux-syscall-note",
        "GPL-2.0-or-later",
        "Linux-syscall-note",
    ),
    ("texinfo", "GPL-2.0-or-later", "Texinfo-exception"),
    ("texinfo", "GPL-3.0-or-later", "Texinfo-exception"),
    ("llvm", "Apache-2.0", "LLVM-exception"),
];

/// Returns the license of SPDX that a name stands for, which the file may have a text for; else a `LicenseRef-Debian-…`.
pub(super) fn license(name: &str, text: Option<&str>) -> String {
    let lower = name.to_ascii_lowercase();
    let of_text = text.and_then(whole_license).filter(|known| !is_gnu(known));
    of_text
        .or_else(|| find_name(&lower))
        .or_else(|| with_exception(&lower))
        .unwrap_or_else(|| reference(name))
}

fn find_name(lower: &str) -> Option<String> {
    if let Some((_, spdx)) = NAMES.iter().find(|(name, _)| *name == lower) {
        return Some((*spdx).to_owned());
    }
    gnu(lower).or_else(|| spdx_name(lower))
}

/// A license with an exception. Of an exception to a license of the GNU family that SPDX has not, nothing is left but the license: exceptions are permissions
/// beside it, which nobody has to make use of (GPL 3, section 7).
fn with_exception(lower: &str) -> Option<String> {
    let (license, exception) = lower.split_once(" with ")?;
    let exception = exception.strip_suffix("exception").unwrap_or(exception);
    let exception = exception.trim_matches([' ', '-']);
    let license = find_name(license.trim())?;
    let known = EXCEPTIONS
        .iter()
        .find(|(name, of, _)| *name == exception && *of == license);
    match known {
        Some((.., known)) => Some(format!("{license} WITH {known}")),
        None => is_gnu(&license).then_some(license),
    }
}

fn is_gnu(license: &str) -> bool {
    let families = ["GPL-", "LGPL-", "AGPL-", "GFDL-"];
    families.iter().any(|family| license.starts_with(family))
}

/// `gpl-2+` is `GPL-2.0-or-later`, `gfdl-niv-1.3` is `GFDL-1.3-no-invariants-only`.
fn gnu(lower: &str) -> Option<String> {
    let (version, suffix) = match lower.strip_suffix('+') {
        Some(version) => (version, "or-later"),
        None => (lower, "only"),
    };
    let (family, version) = match version.strip_prefix("gfdl-niv-") {
        Some(version) => ("gfdl", version),
        None => version.split_once('-')?,
    };
    let family = match family {
        "gpl" => "GPL",
        "lgpl" => "LGPL",
        "agpl" => "AGPL",
        "gfdl" => "GFDL",
        _ => return None,
    };
    let version = match version {
        "1" => "1.0",
        "2" => "2.0",
        "3" => "3.0",
        version => version,
    };
    let invariants = if lower.starts_with("gfdl-niv-") {
        "-no-invariants"
    } else {
        ""
    };
    spdx_name(&format!("{family}-{version}{invariants}-{suffix}").to_ascii_lowercase())
}

/// The license that SPDX has under this name, whatever its case, unless that was given up.
fn spdx_name(lower: &str) -> Option<String> {
    let mut known = spdx::identifiers::LICENSES
        .iter()
        .map(|license| license.name);
    let name = known.find(|known| known.eq_ignore_ascii_case(lower))?;
    let is_current = spdx::license_id(name).is_some_and(|id| !id.is_deprecated());
    is_current.then(|| name.to_owned())
}

fn reference(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("LicenseRef-Debian-{}", plain.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::license::is_expression;

    #[test]
    fn every_row_is_needed_and_leads_to_spdx() {
        for (name, spdx) in NAMES {
            assert!(is_expression(spdx), "{spdx}");
            assert_eq!(*name, name.to_ascii_lowercase());
            assert_ne!(spdx_name(name).as_deref(), Some(*spdx), "SPDX has it");
        }
        for (name, license, exception) in EXCEPTIONS {
            let expression = format!("{license} WITH {exception}");
            assert!(is_expression(&expression), "{name}: {expression}");
        }
    }

    #[test]
    fn names_become_those_of_spdx() {
        for (name, expected) in [
            ("Expat", "MIT"),
            ("X11", "X11"),
            ("CC-BY-3.0", "CC-BY-3.0"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("LGPL-2.1", "LGPL-2.1-only"),
            ("GPL-1+", "GPL-1.0-or-later"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            (
                "GPL-3+ with GCC exception",
                "GPL-3.0-or-later WITH GCC-exception-3.1",
            ),
            (
                "Apache-2.0 with LLVM exception",
                "Apache-2.0 WITH LLVM-exception",
            ),
            ("GPL-2+ with OpenSSL exception", "GPL-2.0-or-later"),
            (
                "BSD-3-clause-Cambridge with BINARY LIBRARY-LIKE PACKAGES exception",
                "BSD-3-Clause WITH PCRE2-exception",
            ),
        ] {
            assert_eq!(license(name, None), expected);
        }
    }

    #[test]
    fn names_of_several_licenses_stay_what_they_are() {
        for (name, expected) in [
            ("GPL", "LicenseRef-Debian-GPL"),
            ("LPGL-2.1+", "LicenseRef-Debian-LPGL-2.1"),
            ("MIT/X11", "LicenseRef-Debian-MIT-X11"),
            ("GPL-9", "LicenseRef-Debian-GPL-9"),
            ("Odd with strings", "LicenseRef-Debian-Odd-with-strings"),
            ("public-domain", "LicenseRef-Debian-public-domain"),
        ] {
            assert_eq!(license(name, None), expected);
        }
    }
}
