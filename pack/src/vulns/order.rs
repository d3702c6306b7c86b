//! Which of two versions is the newer one: each register has its own rules. Pure.

use std::cmp::Ordering;

use store::DebVersion;

use super::Ecosystem;

/// A rule by which versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Semantic Versioning 2.0.0, clause 11; what stands behind `+` does not count.
    SemVer,
    /// Python's, PEP 440.
    Pep440,
    /// Debian's, deb-version(7).
    Debian,
    /// Debian's for versions that were read from names of files, which have no epoch: those that they are compared with lose theirs.
    DebianFile,
    /// That of software without a register: numbers by value, letters behind them, `alpha`, `beta`, `rc` and the like before the release.
    Upstream,
    /// Not known here.
    Unknown,
}

impl Order {
    /// Returns the order of a register's versions.
    #[must_use]
    pub fn of(ecosystem: &Ecosystem) -> Self {
        match ecosystem {
            Ecosystem::CratesIo | Ecosystem::Npm | Ecosystem::Go => Self::SemVer,
            Ecosystem::PyPi => Self::Pep440,
            Ecosystem::Debian => Self::Debian,
            Ecosystem::Other(_) => Self::Unknown,
        }
    }

    /// Compares two versions; none if one of them is no version by this rule.
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        match self {
            Self::SemVer => {
                let (a, b) = (semantic(a)?, semantic(b)?);
                Some(a.cmp_precedence(&b))
            }
            Self::Pep440 => {
                let parse = |text: &str| text.parse::<pep440_rs::Version>().ok();
                Some(parse(a)?.cmp(&parse(b)?))
            }
            Self::Debian => {
                let parse = |text: &str| text.parse::<DebVersion>().ok();
                Some(parse(a)?.cmp(&parse(b)?))
            }
            Self::DebianFile => {
                let parse = |text: &str| without_epoch(text).parse::<DebVersion>().ok();
                Some(parse(a)?.cmp(&parse(b)?))
            }
            Self::Upstream => Some(parts(a)?.cmp(&parts(b)?)),
            Self::Unknown => None,
        }
    }
}

fn without_epoch(text: &str) -> &str {
    match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => text,
    }
}

/// Parses a version, also with fewer than three numbers, as npm and Go's databases have them, and with Go's `v`.
pub(super) fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = semver::Version::parse(text) {
        return Some(version);
    }
    // Go writes a release of itself as 1.21rc2 and 1.22.
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (numbers, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start_matches('-');
    let mut numbers: Vec<u64> = numbers
        .split('.')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    if numbers.len() > 3 {
        return None;
    }
    numbers.resize(3, 0);
    let [major, minor, patch] = <[u64; 3]>::try_from(numbers).ok()?;
    let mut version = semver::Version::new(major, minor, patch);
    let (pre, _) = rest.split_once('+').unwrap_or((rest, ""));
    if !pre.is_empty() {
        version.pre = semver::Prerelease::new(pre).ok()?;
    }
    Some(version)
}

/// One part of a version of software without a register; in the order of their ages.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// What comes before the release; then what kind it is.
    Before(u8),
    /// Where the version ends.
    End,
    /// Letters: `1.1.1k`, `9.9p1`.
    Letters(String),
    /// A number without its leading zeros: its length, then its digits.
    Number(usize, String),
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut found = Vec::new();
    let mut rest = text;
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        if !first.is_ascii_alphanumeric() {
            rest = rest.get(first.len_utf8()..)?;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() || c.is_ascii_digit() != is_digit);
        let (part, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail;
        if is_digit {
            let digits = part.trim_start_matches('0');
            found.push(Part::Number(digits.len(), digits.to_owned()));
        } else {
            let letters = part.to_ascii_lowercase();
            drop_zeros(&mut found);
            found.push(match letters.as_str() {
                "dev" | "snapshot" => Part::Before(0),
                "alpha" => Part::Before(1),
                "beta" => Part::Before(2),
                "pre" | "preview" => Part::Before(3),
                "rc" => Part::Before(4),
                _ => Part::Letters(letters),
            });
        }
    }
    drop_zeros(&mut found);
    found.push(Part::End);
    Some(found)
}

/// 1.0 is 1.0.0, and 1.0-rc1 is before both.
fn drop_zeros(found: &mut Vec<Part>) {
    while found.len() > 1 && matches!(found.last(), Some(Part::Number(0, _))) {
        found.pop();
    }
}

/// Returns the version in the name of a tag, with dots, without the project's name: `curl-7_88_1`, `v1.2.3`, `OpenSSL_1_1_1k`.
#[must_use]
pub(super) fn version_of_tag(tag: &str) -> &str {
    let tag = tag.strip_prefix("refs/tags/").unwrap_or(tag);
    let mut previous = None;
    for (index, character) in tag.char_indices() {
        // A digit in a name (`libxml2-2.9`, `bzip2-1.0`) begins no version.
        let begins =
            !previous.is_some_and(|c: char| c.is_ascii_alphanumeric() && c != 'v' && c != 'V');
        if character.is_ascii_digit() && begins {
            return tag.get(index..).unwrap_or_default();
        }
        previous = Some(character);
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_orders(order: Order, rows: &[(&str, &str, &str)]) {
        for (a, sign, b) in rows {
            let expected = match *sign {
                "<" => Some(Ordering::Less),
                "=" => Some(Ordering::Equal),
                ">" => Some(Ordering::Greater),
                _ => None,
            };
            assert_eq!(order.compare(a, b), expected, "{a} {sign} {b}");
            assert_eq!(
                order.compare(b, a),
                expected.map(Ordering::reverse),
                "{b} {a}"
            );
        }
    }

    #[test]
    fn semantic_versions_have_prereleases_before_the_release() {
        assert_orders(
            Order::SemVer,
            &[
                ("1.0.0-alpha", "<", "1.0.0-alpha.1"),
                ("1.0.0-alpha.1", "<", "1.0.0-alpha.beta"),
                ("1.0.0-beta.2", "<", "1.0.0-beta.11"),
                ("1.0.0-rc.1", "<", "1.0.0"),
                ("1.0.0+a", "=", "1.0.0+b"),
                ("1.10.0", ">", "1.9.0"),
                ("v1.2.3", "=", "1.2.3"),
                ("1.22", "=", "1.22.0"),
                ("1.21rc2", "<", "1.21.0"),
                ("0", "<", "0.0.1"),
                (
                    "0.0.0-20200101000000-abcdef012345",
                    "<",
                    "0.0.0-20210101000000-abcdef012345",
                ),
                ("1.2.3.4", "?", "1.2.3"),
                ("latest", "?", "1.2.3"),
            ],
        );
    }

    #[test]
    fn pythons_versions_have_epochs_posts_and_developments() {
        assert_orders(
            Order::Pep440,
            &[
                ("1.0.dev1", "<", "1.0a1"),
                ("1.0a1", "<", "1.0b1"),
                ("1.0rc1", "<", "1.0"),
                ("1.0", "=", "1.0.0"),
                ("1.0", "<", "1.0.post1"),
                ("1.0+local", ">", "1.0"),
                ("1!0.1", ">", "2.0"),
                ("1.10", ">", "1.9"),
                ("2024.2.2", "<", "2024.12.14"),
                ("1.0-final", "?", "1.0"),
            ],
        );
    }

    #[test]
    fn debians_versions_have_epochs_revisions_and_tildes() {
        assert_orders(
            Order::Debian,
            &[
                ("7.88.1-10+deb12u5", "<", "7.88.1-10+deb12u14"),
                ("1:1.2.13.dfsg-1", ">", "1.3-1"),
                ("2.0~rc1-1", "<", "2.0-1"),
                ("0", "<", "0.1"),
                ("1.0_x", "?", "1.0"),
            ],
        );
        assert_orders(
            Order::DebianFile,
            &[
                ("1.2.13.dfsg-1", "=", "1:1.2.13.dfsg-1"),
                ("1.2.13.dfsg-1", "<", "1:1.2.13.dfsg-2"),
            ],
        );
    }

    #[test]
    fn versions_without_a_register_have_letters_behind_numbers() {
        assert_orders(
            Order::Upstream,
            &[
                ("1.1.1", "<", "1.1.1a"),
                ("1.1.1k", "<", "1.1.1w"),
                ("1.1.1w", "<", "1.1.2"),
                ("7.88.1", "<", "7.88.10"),
                ("7_88_1", "=", "7.88.1"),
                ("3.0.0-alpha2", "<", "3.0.0"),
                ("3.0.0-beta1", ">", "3.0.0-alpha9"),
                ("9.9p1", ">", "9.9"),
                ("9.9p1", "<", "9.10"),
                ("1.0", "=", "1.0.0"),
                ("1.0.0.1", ">", "1.0"),
                ("1.0-rc0", "<", "1.0-rc1"),
                ("1.0.1-rc1", ">", "1.0"),
                ("0.0", "=", "0"),
                ("v1.2", "=", "1.2"),
                ("1.2.13", "=", "01.2.013"),
                ("", "?", "1"),
                ("trunk", "?", "1"),
            ],
        );
    }

    #[test]
    fn tags_have_their_version_behind_the_projects_name() {
        for (tag, version) in [
            ("v1.2.13", "1.2.13"),
            ("curl-7_88_1", "7_88_1"),
            ("OpenSSL_1_1_1k", "1_1_1k"),
            ("libxml2-2.9.14", "2.9.14"),
            ("refs/tags/jq-1.7", "1.7"),
            ("bzip2-1.0.8", "1.0.8"),
            ("3.45.1", "3.45.1"),
            ("master", ""),
        ] {
            assert_eq!(version_of_tag(tag), version, "{tag}");
        }
    }
}
