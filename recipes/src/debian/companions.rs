//! What packages need in an image although Debian does not say so.
//!
//! Debian's essential packages (a shell, coreutils) are on every machine, so nothing depends on them; certificates are
//! only recommended, because a machine has them anyway. In an image they are there only if somebody says that they are
//! needed. Each line here was found by a program that did not do its work without.

/// Packages by name, where `*` stands for a number, and what they need.
const COMPANIONS: &[(&str, &[&str])] = &[
    // Nothing that is fetched over TLS is trusted without certificates.
    ("curl", &["ca-certificates"]),
    ("wget", &["ca-certificates"]),
    ("nodejs", &["ca-certificates"]),
    ("openjdk-*-jre-headless", &["ca-certificates"]),
    // Aliases and hooks are run by a shell.
    ("git", &["ca-certificates", "dash"]),
    // `initdb` starts the server by popen(3), which needs /bin/sh.
    ("postgresql-1*", &["dash"]),
];

/// Returns what a package needs beside its dependencies.
pub(super) fn companions(name: &str) -> impl Iterator<Item = &'static str> {
    let fits = move |pattern: &str| match pattern.split_once('*') {
        Some((head, tail)) => {
            name.len() > head.len() + tail.len()
                && name.starts_with(head)
                && name.ends_with(tail)
                && name
                    .get(head.len()..name.len() - tail.len())
                    .is_some_and(|middle| middle.bytes().all(|b| b.is_ascii_digit()))
        }
        None => name == pattern,
    };
    let found = COMPANIONS.iter().filter(move |(pattern, _)| fits(pattern));
    found.flat_map(|(_, names)| names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::companions;

    #[test]
    fn a_star_stands_for_a_number() {
        let of = |name| companions(name).collect::<Vec<_>>();
        assert_eq!(of("openjdk-17-jre-headless"), ["ca-certificates"]);
        assert_eq!(of("postgresql-15"), ["dash"]);
        assert!(of("postgresql-15-postgis").is_empty());
        assert!(of("openjdk--jre-headless").is_empty());
        assert!(of("openjdk-x-jre-headless").is_empty());
    }
}
