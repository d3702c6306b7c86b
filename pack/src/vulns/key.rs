//! The names by which a database and a bill of materials mean the same software. Pure.

use std::fmt;

use super::Purl;

/// A register of names, as OSV calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// Rust's crates.
    CratesIo,
    /// JavaScript's packages.
    Npm,
    /// Python's packages.
    PyPi,
    /// Go's modules.
    Go,
    /// Debian's source packages.
    Debian,
    /// One whose order of versions is not known here: only versions that a record lists can be found in it.
    Other(String),
}

/// What a record is about, and by what software is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A package of a register.
    Package {
        /// The register.
        ecosystem: Ecosystem,
        /// Its name there, in the register's normal form.
        name: String,
    },
    /// Software without a register, by `pkg:generic/NAME`.
    Generic(String),
    /// A repository of source code: host and path, for instance `github.com/madler/zlib`.
    Repository(String),
    /// A product in a CPE name.
    Cpe {
        /// Who makes it.
        vendor: String,
        /// What it is called.
        product: String,
    },
}

impl Ecosystem {
    /// Returns the register that OSV calls so, and the release that stands behind a colon.
    #[must_use]
    pub fn of_osv(text: &str) -> (Self, Option<&str>) {
        let (base, release) = match text.split_once(':') {
            Some((base, release)) => (base, Some(release)),
            None => (text, None),
        };
        let ecosystem = match base {
            "crates.io" => Self::CratesIo,
            "npm" => Self::Npm,
            "PyPI" => Self::PyPi,
            "Go" => Self::Go,
            "Debian" => Self::Debian,
            other => Self::Other(other.to_owned()),
        };
        (ecosystem, release)
    }

    /// Returns the normal form of a package's name.
    #[must_use]
    pub fn normal_name(&self, name: &str) -> String {
        match self {
            // PEP 503.
            Self::PyPi => {
                let mut normal = String::with_capacity(name.len());
                for character in name.chars() {
                    match character {
                        '-' | '_' | '.' if normal.ends_with('-') => {}
                        '-' | '_' | '.' => normal.push('-'),
                        other => normal.push(other.to_ascii_lowercase()),
                    }
                }
                normal
            }
            _ => name.to_owned(),
        }
    }

    fn of_purl(kind: &str) -> Option<Self> {
        Some(match kind {
            "cargo" => Self::CratesIo,
            "npm" => Self::Npm,
            "pypi" => Self::PyPi,
            "golang" => Self::Go,
            "maven" => Self::Other("Maven".to_owned()),
            "gem" => Self::Other("RubyGems".to_owned()),
            "nuget" => Self::Other("NuGet".to_owned()),
            "composer" => Self::Other("Packagist".to_owned()),
            "hex" => Self::Other("Hex".to_owned()),
            "pub" => Self::Other("Pub".to_owned()),
            "apk" => Self::Other("Alpine".to_owned()),
            _ => return None,
        })
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CratesIo => "crates.io",
            Self::Npm => "npm",
            Self::PyPi => "PyPI",
            Self::Go => "Go",
            Self::Debian => "Debian",
            Self::Other(name) => name,
        })
    }
}

impl Key {
    /// Returns what a package URL names; none for Debian's packages, which are known by their source package, and where no database knows the type or the name.
    #[must_use]
    pub fn of_purl(purl: &Purl) -> Option<Self> {
        let name = purl.full_name();
        match purl.kind.as_str() {
            _ if purl.is_own() => None,
            // The libraries of Rust and Go themselves, which the databases have under these names.
            "generic" if name == "rust-std" => Some(Self::package(Ecosystem::CratesIo, "std")),
            "golang" if name == "std" => Some(Self::package(Ecosystem::Go, "stdlib")),
            "generic" => Some(Self::Generic(name.to_lowercase())),
            "github" => Some(Self::Repository(format!(
                "github.com/{}",
                name.to_lowercase()
            ))),
            "gitlab" => Some(Self::Repository(format!(
                "gitlab.com/{}",
                name.to_lowercase()
            ))),
            "maven" => Some(Self::package(
                Ecosystem::Other("Maven".to_owned()),
                &name.replace('/', ":"),
            )),
            kind => Ecosystem::of_purl(kind).map(|ecosystem| Self::package(ecosystem, &name)),
        }
    }

    /// Returns a package of a register.
    #[must_use]
    pub fn package(ecosystem: Ecosystem, name: &str) -> Self {
        Self::Package {
            name: ecosystem.normal_name(name),
            ecosystem,
        }
    }

    /// Returns the product in a CPE name: `cpe:2.3:a:haxx:curl:…`, `cpe:/a:haxx:curl`, or `haxx:curl` alone.
    #[must_use]
    pub fn of_cpe(text: &str) -> Option<Self> {
        let fields = cpe_fields(text)?;
        let [vendor, product] = [fields.first()?, fields.get(1)?].map(|text| text.to_lowercase());
        let is_one = |text: &str| !text.is_empty() && text != "*" && text != "-";
        (is_one(&vendor) && is_one(&product)).then_some(Self::Cpe { vendor, product })
    }

    /// Returns the repository that a URL lies in; none if it is not the form of a host that keeps repositories.
    #[must_use]
    pub fn of_repository(url: &str) -> Option<Self> {
        let rest = ["https://", "http://", "git://", "git+https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))?;
        let rest = rest.trim_end_matches('/');
        let (host, path) = rest.split_once('/')?;
        let path = match host {
            // Files of a repository lie below its first two names.
            "github.com" | "gitlab.com" | "codeberg.org" => {
                let mut names = path.splitn(3, '/');
                format!("{}/{}", names.next()?, names.next()?)
            }
            _ => path.to_owned(),
        };
        let path = path.strip_suffix(".git").unwrap_or(&path);
        Some(Self::Repository(format!("{host}/{path}").to_lowercase()))
    }

    /// Whether it is a place or a product that stands for one piece of software alone.
    pub(super) const fn is_place(&self) -> bool {
        matches!(self, Self::Repository(_) | Self::Cpe { .. })
    }

    /// Returns what part of a database would have to speak of it.
    #[must_use]
    pub fn domain(&self) -> String {
        match self {
            Self::Package { ecosystem, .. } => ecosystem.to_string(),
            _ => UPSTREAM.to_owned(),
        }
    }
}

/// The domain of software that no register has: most of what is written in C.
pub(crate) const UPSTREAM: &str = "upstream";

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { ecosystem, name } => write!(f, "{ecosystem} {name}"),
            Self::Generic(name) => write!(f, "pkg:generic/{name}"),
            Self::Repository(place) => f.write_str(place),
            Self::Cpe { vendor, product } => write!(f, "cpe {vendor}:{product}"),
        }
    }
}

/// Returns the fields of a CPE name from the vendor on, without their quoting.
pub(super) fn cpe_fields(text: &str) -> Option<Vec<String>> {
    let rest = if let Some(rest) = text.strip_prefix("cpe:2.3:") {
        rest.get(2..)?
    } else if let Some(rest) = text.strip_prefix("cpe:/") {
        rest.get(2..)?
    } else {
        text
    };
    let mut fields = vec![String::new()];
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(characters.next()),
            other => fields.last_mut()?.push(other),
        }
    }
    (fields.len() >= 2).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_lead_to_the_registers_names() {
        for (purl, expected) in [
            ("pkg:cargo/serde@1", Some("crates.io serde")),
            ("pkg:pypi/Jinja2@3", Some("PyPI jinja2")),
            ("pkg:pypi/zope._interface", Some("PyPI zope-interface")),
            ("pkg:npm/%40types/node@1", Some("npm @types/node")),
            ("pkg:golang/github.com/A/b@1", Some("Go github.com/A/b")),
            ("pkg:golang/std@1.22.1", Some("Go stdlib")),
            ("pkg:generic/rust-std@1.90.0", Some("crates.io std")),
            ("pkg:github/Madler/zlib@1", Some("github.com/madler/zlib")),
            ("pkg:generic/JQ@1.7", Some("pkg:generic/jq")),
            ("pkg:generic/pith/jq@1.7?checksum=sha256:00", None),
            ("pkg:maven/org.a/b@1", Some("Maven org.a:b")),
            ("pkg:deb/debian/curl@7", None),
            ("pkg:oci/hello@1", None),
        ] {
            let key = Key::of_purl(&purl.parse().unwrap());
            assert_eq!(
                key.map(|key| key.to_string()).as_deref(),
                expected,
                "{purl}"
            );
        }
    }

    #[test]
    fn products_are_read_from_each_form_of_cpe() {
        for (text, expected) in [
            ("haxx:curl", Some("cpe haxx:curl")),
            ("cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*", Some("cpe haxx:curl")),
            ("cpe:/a:haxx:curl:7.1", Some("cpe haxx:curl")),
            (
                r"cpe:2.3:a:lib\:x:y\.z:1:*:*:*:*:*:*:*",
                Some("cpe lib:x:y.z"),
            ),
            ("cpe:2.3:a:*:curl:*", None),
            ("curl", None),
            ("", None),
        ] {
            let key = Key::of_cpe(text);
            assert_eq!(
                key.map(|key| key.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn files_of_a_repository_lead_to_it() {
        for (url, expected) in [
            (
                "https://github.com/Madler/zlib.git",
                Some("github.com/madler/zlib"),
            ),
            (
                "https://github.com/madler/zlib/releases/download/v1.3/zlib-1.3.tar.gz",
                Some("github.com/madler/zlib"),
            ),
            (
                "git://git.openssl.org/openssl.git",
                Some("git.openssl.org/openssl"),
            ),
            ("mirror://debian/pool/main/z/zlib/zlib_1.orig.tar.gz", None),
            ("https://github.com/madler", None),
        ] {
            let key = Key::of_repository(url);
            assert_eq!(key.map(|key| key.to_string()).as_deref(), expected, "{url}");
        }
    }
}
