//! The files of `/etc` that the C library reads, made again to be compared.

use crate::rootfs::{RootSet, User, etc_files};

/// Whether `contents` are those that the rule makes of `path` for an image that runs as `user`, `uid:gid`, with the users of `sets`.
pub(super) fn are_accounts(path: &[u8], contents: &[u8], user: &str, sets: &[RootSet]) -> bool {
    let Ok(user) = user.parse::<User>() else {
        return false;
    };
    let users: Vec<_> = sets.iter().flat_map(|set| &set.users).collect();
    let groups: Vec<_> = sets.iter().flat_map(|set| &set.groups).collect();
    // An image says its user's number, and only this file the name.
    let text = String::from_utf8_lossy(contents);
    let names = text.lines().filter_map(|line| line.split(':').next());
    let names = names.chain([user.name()]);
    names.into_iter().any(|name| {
        let named = User::system(name, user.uid(), user.gid());
        let files = etc_files(&named, &users, &groups);
        files
            .iter()
            .any(|(at, made)| at.as_bytes()[1..] == *path && made.as_bytes() == contents)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rule_makes_is_known_and_a_second_root_is_not() {
        let [(_, passwd), (_, group), ..] =
            etc_files(&User::system("web", 10_001, 10_001), &[], &[]);
        let is = |path: &[u8], text: &str| are_accounts(path, text.as_bytes(), "10001:10001", &[]);
        assert!(is(b"etc/passwd", &passwd));
        assert!(is(b"etc/group", &group));
        assert!(!is(b"etc/group", &passwd));
        assert!(!is(
            b"etc/passwd",
            &format!("{passwd}toor:x:0:0::/:/bin/sh\n")
        ));
        assert!(!is(
            b"etc/passwd",
            &passwd.replace("/sbin/nologin", "/bin/sh")
        ));
        assert!(!are_accounts(b"etc/passwd", passwd.as_bytes(), "0:0", &[]));
    }
}
