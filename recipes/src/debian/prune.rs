//! What images do without although packages depend on it.
//!
//! Debian's dependencies describe a machine that is installed and administered. An image is neither: configuration
//! happens when it is composed, no maintainer script runs in it, nobody logs in. So what only installs, asks, adds users or
//! supervises is left out unless it is asked for by name. The list stands in each lock file, where it may be edited; it was
//! measured with eight packages that do their work without (nginx, redis, python, node, postgresql, curl, git, openjdk).
//!
//! What other packages have their copyright file in stays (Debian Policy 12.5): `gcc-12-base` has that of `libgcc-s1` and `libstdc++6`, and nearly nothing else
//! of it is in an image.

/// Names of packages that are left out unless they are requested; sorted.
const DEFAULT: &[&str] = &[
    "adduser",
    "base-files",
    "ca-certificates-java",
    "cdebconf",
    "debconf",
    "debconf-2.0",
    "debianutils",
    "dpkg",
    "findutils",
    "git-man",
    "init-system-helpers",
    "install-info",
    "iproute2",
    "java-common",
    "liberror-perl",
    "libpam-modules",
    "libpam-modules-bin",
    "libpam-runtime",
    "locales",
    "login",
    "logsave",
    "lsb-base",
    "mailcap",
    "media-types",
    "netbase",
    "openssl",
    "passwd",
    "perl",
    "perl-base",
    "postgresql-client-common",
    "postgresql-common",
    "procps",
    "readline-common",
    "sensible-utils",
    "ssl-cert",
    "sysvinit-utils",
    "tar",
    "ucf",
];

/// Returns the packages that are left out of images unless they are requested; sorted.
pub fn default_prune() -> impl Iterator<Item = &'static str> {
    DEFAULT.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_names_packages() {
        assert!(DEFAULT.is_sorted());
        assert!(default_prune().all(super::super::is_name));
    }
}
