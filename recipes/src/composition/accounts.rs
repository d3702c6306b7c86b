//! Numbers for the system users that packages want.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Users that Debian gives the same number everywhere (package `base-passwd`), as far as packages use them.
const FIXED: &[(&str, u32, &str)] = &[("www-data", 33, "/var/www")];
/// Names that every image has anyway.
const PRESENT: [&str; 3] = ["root", "nobody", "nonroot"];
/// Debian's range for system users is 100 to 999; the end is left to others.
const FIRST: u32 = 100;
const COUNT: u32 = 800;

/// A system user, with a group of the same name and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// A further group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
}

/// Gives each name a number that depends on the name, so that it stays when other packages come and go, and files in
/// volumes keep their owner. Where two names would have one number, the later in the alphabet takes the next.
pub(super) fn assign(
    users: &BTreeMap<String, String>,
    groups: &BTreeSet<String>,
) -> (Vec<Account>, Vec<Group>) {
    let mut taken = BTreeSet::new();
    let mut number = |name: &str| {
        let mut id = FIRST + fnv(name) % COUNT;
        while !taken.insert(id) {
            id = FIRST + (id - FIRST + 1) % COUNT;
        }
        id
    };
    let mut accounts: Vec<Account> = FIXED
        .iter()
        .map(|(name, id, home)| Account {
            name: (*name).to_owned(),
            uid: *id,
            gid: *id,
            home: (*home).to_owned(),
        })
        .collect();
    let known =
        |name: &str| PRESENT.contains(&name) || FIXED.iter().any(|(fixed, ..)| *fixed == name);
    for (name, home) in users
        .iter()
        .filter(|(name, _)| !known(name))
        .take(COUNT as usize / 2)
    {
        let id = number(name);
        accounts.push(Account {
            name: name.clone(),
            uid: id,
            gid: id,
            home: home.clone(),
        });
    }
    let further = groups
        .iter()
        .filter(|name| !known(name) && !users.contains_key(*name));
    let groups = further.take(COUNT as usize / 4).map(|name| Group {
        name: name.clone(),
        gid: number(name),
    });
    let groups = groups.collect();
    (accounts, groups)
}

/// FNV-1a, 32 bits: part of the format, because volumes remember the numbers.
fn fnv(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> BTreeMap<String, u32> {
        let users = names
            .iter()
            .map(|name| ((*name).to_owned(), "/x".to_owned()))
            .collect();
        let (accounts, _) = assign(&users, &BTreeSet::new());
        accounts
            .into_iter()
            .map(|account| (account.name, account.uid))
            .collect()
    }

    #[test]
    fn a_user_keeps_its_number_when_others_come() {
        let alone = ids(&["postgres"]);
        let among = ids(&["postgres", "redis", "www-data", "root"]);
        assert_eq!(alone["postgres"], among["postgres"]);
        assert_eq!((among["www-data"], among.contains_key("root")), (33, false));
        assert_eq!((alone["postgres"], among["redis"]), (530, 120));
    }

    #[test]
    fn no_two_have_one_number() {
        let names: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
        let ids = ids(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let numbers: BTreeSet<u32> = ids.values().copied().collect();
        assert_eq!(numbers.len(), ids.len());
        assert!(
            numbers
                .iter()
                .all(|id| *id == 33 || (100..900).contains(id))
        );
    }
}
