//! The files of `/etc` that the C library reads, made again to be compared.

use crate::{
    base::{Accounts, BaseTree},
    rootfs::{GROUP_FILE, PASSWD_FILE, RootSet, User, etc_files},
};

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

/// Whether `contents` are those of a list of a base with the user of an image in it, `uid:gid`.
pub(super) fn are_extended(path: &[u8], contents: &[u8], user: &str, base: &BaseTree) -> bool {
    let Ok(user) = user.parse::<User>() else {
        return false;
    };
    let accounts = Accounts::of(base);
    let text = String::from_utf8_lossy(contents);
    let names = text.lines().filter_map(|line| line.split(':').next());
    names.into_iter().any(|name| {
        let named = User::system(name, user.uid(), user.gid());
        let lists = [
            (PASSWD_FILE, accounts.passwd_with(&named)),
            (GROUP_FILE, accounts.group_with(&named)),
        ];
        let mut lists = lists.into_iter();
        lists.any(|(at, made)| at.as_bytes() == path && made.as_deref() == Some(contents))
    })
}

/// Returns who a list of users or groups may have been made for, each `uid:gid`: whoever is in it, and root, of whom each has a line. Where it is none of these
/// lists, whoever it was made for is not in it.
pub(super) fn users_of(contents: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(contents);
    let numbers = text.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let first: u32 = fields.next()?.parse().ok()?;
        // A group has its members there.
        let second = fields.next().and_then(|field| field.parse().ok());
        Some((first, second.unwrap_or(first)))
    });
    let others = numbers.filter(|(uid, _)| *uid != 0);
    let all = [(0, 0)].into_iter().chain(others);
    all.map(|(uid, gid)| format!("{uid}:{gid}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_a_list_was_made_for_is_in_it_and_a_second_root_is_nobody() {
        for (uid, gid) in [(10_001, 10_002), (0, 0), (65_532, 65_532), (7, 7)] {
            let user = User::system("web", uid, gid);
            for (path, made) in etc_files(&user, &[], &[]) {
                let path = &path.as_bytes()[1..];
                let is = |text: &str| {
                    let users = users_of(text.as_bytes());
                    let mut users = users.iter();
                    users.any(|user| are_accounts(path, text.as_bytes(), user, &[]))
                };
                assert!(is(&made), "{uid} {made}");
                assert!(!is(&format!("{made}toor:x:0:0::/:/bin/sh\n")), "{uid}");
                assert!(!is(&format!("{made}a:x:9:9:a:/:/bin/sh\n")), "{uid}");
            }
        }
    }

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

    #[test]
    fn a_list_of_a_base_may_have_the_user_of_the_image_in_it_and_nobody_else() {
        let base = BaseTree::with_accounts(
            "root:x:0:0::/root:/bin/sh\nweb:x:1:1::/:/bin/sh",
            "root:x:0:\n",
        );
        let is = |text: &str| are_extended(b"etc/passwd", text.as_bytes(), "10001:10001", &base);
        let list = "root:x:0:0::/root:/bin/sh\nweb:x:1:1::/:/bin/sh\n";
        assert!(is(&format!(
            "{list}app:x:10001:10001:app:/:/sbin/nologin\n"
        )));
        // Another one has the name, so there is a number behind it.
        assert!(is(&format!(
            "{list}web-10001:x:10001:10001:web-10001:/:/sbin/nologin\n"
        )));
        assert!(!is(list));
        assert!(!is(&format!("{list}app:x:10001:10001:app:/:/bin/sh\n")));
        assert!(!is(&format!(
            "{list}app:x:10002:10001:app:/:/sbin/nologin\n"
        )));
        assert!(!is(&format!(
            "toor:x:0:0::/:/bin/sh\n{list}app:x:10001:10001:app:/:/sbin/nologin\n"
        )));
    }
}
