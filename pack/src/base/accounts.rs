//! The lists of accounts of a base: who is in them, and how the user of an image is added.

use super::BaseTree;
use crate::rootfs::{GROUP_FILE, HOME, PASSWD_FILE, SHELL, User};

/// The accounts of a base, as far as their lists can be read. What is no line of such a list is passed over, as the C library does.
pub(crate) struct Accounts<'t> {
    passwd: Option<&'t [u8]>,
    group: Option<&'t [u8]>,
}

impl<'t> Accounts<'t> {
    pub(crate) fn of(tree: &'t BaseTree) -> Self {
        Self {
            passwd: tree.text(PASSWD_FILE.as_bytes()),
            group: tree.text(GROUP_FILE.as_bytes()),
        }
    }

    /// Returns who a configuration means by `user`, `user:group`, each a name or a number, as runtimes do; `None` where a name is in no list.
    pub(crate) fn resolve(&self, text: &str) -> Option<User> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let known = lines(self.passwd).find(|line| is_called(line, user));
        let known = known.and_then(|line| Some((name(line)?, id(line, 2)?, id(line, 3)?)));
        let (name, uid, own_group) = match (known, user.parse()) {
            (Some(known), _) => known,
            (None, Ok(uid)) => match self.user(uid) {
                Some((name, gid)) => (name, uid, gid),
                None => ("app", uid, 0),
            },
            (None, Err(_)) => return None,
        };
        let gid = match group {
            None => own_group,
            Some(group) => {
                let known = lines(self.group).find(|line| is_called(line, group));
                let known = known.and_then(|line| id(line, 2));
                known.or_else(|| group.parse().ok())?
            }
        };
        Some(User::system(name, uid, gid))
    }

    /// Returns the number that a name has in the base.
    pub(crate) fn named(&self, user: &str) -> Option<User> {
        lines(self.passwd)
            .any(|line| is_called(line, user))
            .then(|| self.resolve(user))
            .flatten()
    }

    /// Returns the list of users with `user` in it, where it is not.
    pub(crate) fn passwd_with(&self, user: &User) -> Option<Vec<u8>> {
        let passwd = self.passwd?;
        if self.user(user.uid()).is_some() {
            return None;
        }
        let (uid, gid) = (user.uid(), user.gid());
        let name = free_name(self.passwd, user.name(), uid);
        Some(with_line(
            passwd,
            &format!("{name}:x:{uid}:{gid}:{name}:{HOME}:{SHELL}\n"),
        ))
    }

    /// Returns the list of groups with that of `user` in it, where it is not.
    pub(crate) fn group_with(&self, user: &User) -> Option<Vec<u8>> {
        let group = self.group?;
        let gid = user.gid();
        if lines(self.group).any(|line| id(line, 2) == Some(gid)) {
            return None;
        }
        let name = free_name(self.group, user.name(), gid);
        Some(with_line(group, &format!("{name}:x:{gid}:\n")))
    }

    fn user(&self, uid: u32) -> Option<(&'t str, u32)> {
        let line = lines(self.passwd).find(|line| id(line, 2) == Some(uid))?;
        Some((name(line)?, id(line, 3)?))
    }
}

fn lines(list: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    let list = list.unwrap_or_default();
    list.split(|byte| *byte == b'\n')
}

fn field(line: &[u8], index: usize) -> Option<&str> {
    let field = line.split(|byte| *byte == b':').nth(index)?;
    str::from_utf8(field).ok()
}

fn name(line: &[u8]) -> Option<&str> {
    field(line, 0)
}

fn id(line: &[u8], index: usize) -> Option<u32> {
    field(line, index)?.parse().ok()
}

fn is_called(line: &[u8], wanted: &str) -> bool {
    !wanted.is_empty() && name(line) == Some(wanted)
}

/// A name that the list does not have: two numbers of one name would be one person to some programs.
fn free_name(list: Option<&[u8]>, name: &str, id: u32) -> String {
    if lines(list).any(|line| is_called(line, name)) {
        format!("{name}-{id}")
    } else {
        name.to_owned()
    }
}

fn with_line(list: &[u8], line: &str) -> Vec<u8> {
    let mut list = list.to_vec();
    if !list.is_empty() && !list.ends_with(b"\n") {
        list.push(b'\n');
    }
    list.extend_from_slice(line.as_bytes());
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\nwww:x:33:34:www:/var/www:/bin/sh\n#\napp:x:1000:1000::/:";
    const GROUP: &[u8] = b"root:x:0:\nstaff:x:50:\nwww:x:34:\n";

    fn accounts() -> Accounts<'static> {
        Accounts {
            passwd: Some(PASSWD),
            group: Some(GROUP),
        }
    }

    #[test]
    fn users_of_a_base_are_who_runtimes_take_them_for() {
        for (text, expected) in [
            ("www", Some("33:34")),
            ("www:staff", Some("33:50")),
            ("33", Some("33:34")),
            ("33:7", Some("33:7")),
            ("4711", Some("4711:0")),
            ("4711:www", Some("4711:34")),
            ("nobody", None),
            ("www:nobody", None),
            ("", None),
        ] {
            let found = accounts().resolve(text).map(|user| user.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_user_is_added_only_where_the_base_has_none_of_that_number() {
        let accounts = accounts();
        assert_eq!(accounts.passwd_with(&User::system("x", 33, 9)), None);
        assert_eq!(accounts.group_with(&User::system("x", 9, 50)), None);
        let user: User = "app".parse().unwrap();
        let passwd = accounts.passwd_with(&user).unwrap();
        assert_eq!(
            String::from_utf8(passwd[PASSWD.len()..].to_vec()).unwrap(),
            "\napp-10001:x:10001:10001:app-10001:/:/sbin/nologin\n"
        );
        let group = accounts.group_with(&user).unwrap();
        assert_eq!(group[GROUP.len()..], *b"app:x:10001:\n");
        assert_eq!(accounts.named("app").unwrap().uid(), 1000);
        assert_eq!(accounts.named("1000"), None);
    }
}
