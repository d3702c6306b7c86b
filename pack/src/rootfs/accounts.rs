//! `/etc/passwd` and its neighbours.

use super::{SetGroup, SetUser, User};

/// The list of users, relative to the root.
pub(crate) const PASSWD_FILE: &str = "etc/passwd";
/// The list of groups, relative to the root.
pub(crate) const GROUP_FILE: &str = "etc/group";

/// Where the accounts of an image live: they own no directory, and a program that looks for its settings there finds none.
pub(crate) const HOME: &str = "/";
/// No account has a shell, and there is none.
pub(crate) const SHELL: &str = "/sbin/nologin";

/// Returns the files of `/etc` that the C library reads: path and contents. The accounts are root, nobody, nonroot, those of sets of packages, and
/// `user` if it is none of these.
pub(crate) fn etc_files(
    user: &User,
    users: &[&SetUser],
    groups: &[&SetGroup],
) -> [(&'static str, String); 4] {
    let mut accounts = vec![
        ("root", 0, 0, "/root"),
        ("nonroot", User::NONROOT_ID, User::NONROOT_ID, HOME),
        ("nobody", 65_534, 65_534, HOME),
    ];
    for one in users {
        if !accounts.iter().any(|(name, ..)| *name == one.name) {
            accounts.push((&one.name, one.uid, one.gid, &one.home));
        }
    }
    if !accounts.iter().any(|(_, uid, ..)| *uid == user.uid()) {
        accounts.push((user.name(), user.uid(), user.gid(), HOME));
    }
    let mut passwd = String::new();
    let mut group = String::new();
    for (name, uid, gid, home) in &accounts {
        passwd.push_str(
            &[
                name,
                ":x:",
                &uid.to_string(),
                ":",
                &gid.to_string(),
                ":",
                name,
                ":",
                home,
                ":",
                SHELL,
                "\n",
            ]
            .concat(),
        );
    }
    let further = groups.iter().map(|one| (one.name.as_str(), one.gid));
    let mut groups: Vec<(&str, u32)> = accounts
        .iter()
        .map(|(name, _, gid, _)| {
            if *name == "nobody" {
                ("nogroup", *gid)
            } else {
                (*name, *gid)
            }
        })
        .collect();
    groups.dedup_by_key(|(_, gid)| *gid);
    for (name, gid) in further {
        if !groups.iter().any(|(known, _)| *known == name) {
            groups.push((name, gid));
        }
    }
    for (name, gid) in groups {
        group.push_str(&[name, ":x:", &gid.to_string(), ":\n"].concat());
    }
    [
        ("/etc/passwd", passwd),
        ("/etc/group", group),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
        ),
        (
            "/etc/hosts",
            "127.0.0.1 localhost\n::1 localhost\n".to_owned(),
        ),
    ]
}

/// What an image has by itself in `/etc`.
pub(crate) const ETC_FILES: [&[u8]; 4] = [
    b"etc/passwd",
    b"etc/group",
    b"etc/nsswitch.conf",
    b"etc/hosts",
];

/// Whether an image has a file by itself: one of those above, or a bill of materials.
pub(crate) fn is_generated(path: &[u8]) -> bool {
    ETC_FILES.contains(&path) || is_bill(path)
}

/// Whether a file of an image is a bill of materials.
pub(crate) fn is_bill(path: &[u8]) -> bool {
    let name = path.strip_prefix(b"usr/share/sbom/");
    name.is_some_and(|name| name.ends_with(b".spdx.json") && !name.contains(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_accounts_are_there_and_a_further_user_is_added() {
        let [(_, passwd), (_, group), ..] = etc_files(&"app".parse().unwrap(), &[], &[]);
        assert_eq!(
            passwd,
            "root:x:0:0:root:/root:/sbin/nologin\n\
             nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n\
             nobody:x:65534:65534:nobody:/:/sbin/nologin\n\
             app:x:10001:10001:app:/:/sbin/nologin\n"
        );
        assert_eq!(
            group,
            "root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\napp:x:10001:\n"
        );
    }

    #[test]
    fn a_user_who_is_there_anyway_is_not_there_twice() {
        let [(_, passwd), ..] = etc_files(&User::default(), &[], &[]);
        assert_eq!(passwd.lines().count(), 3);
    }

    #[test]
    fn users_of_packages_keep_their_homes_and_bring_groups() {
        let redis = SetUser {
            name: "redis".into(),
            uid: 562,
            gid: 562,
            home: "/var/lib/redis".into(),
        };
        let extra = SetGroup {
            name: "extra".into(),
            gid: 700,
        };
        let user = User::system("redis", 562, 562);
        let [(_, passwd), (_, group), ..] = etc_files(&user, &[&redis], &[&extra]);
        assert!(passwd.ends_with("redis:x:562:562:redis:/var/lib/redis:/sbin/nologin\n"));
        assert_eq!(passwd.matches("redis:x").count(), 1);
        assert!(group.ends_with("redis:x:562:\nextra:x:700:\n"));
    }
}
