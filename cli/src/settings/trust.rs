//! The table `[trust]` of settings files: whose signatures are believed.
//!
//! Believing a key fills the store that all projects of a user share, so it is for the user and for whoever runs the machine to say, in their files or by a flag. A
//! project's own file comes with the project: keys in it are only offered, and it may revoke.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;

use sandbox::Level;
use serde::Deserialize;
use store::trust::{
    Date, Group, KeyName, Policy, PolicyRules, PublicKey, Revocation, TrustError, TrustedKey,
};
use thiserror::Error;

/// What one file says of trust.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TrustTable {
    /// Keys whose signatures count.
    #[serde(default)]
    keys: Vec<KeyEntry>,
    /// How many of them must agree.
    need: Option<NonZero<usize>>,
    /// In place of `need`: one of these groups must agree.
    #[serde(default)]
    groups: Vec<GroupEntry>,
    /// What never counts: names, or keys.
    #[serde(default)]
    revoked: Vec<RevokedEntry>,
    /// How builds must have been confined.
    sandbox: Option<Vec<SandboxEntry>>,
}

/// Why a table cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TrustTableError {
    /// A project decides what is believed.
    #[error("`{}` sets `{key}` of `[trust]`, which is not for a project to decide", path.display())]
    Project {
        /// The project's file.
        path: PathBuf,
        /// What it sets.
        key: &'static str,
    },
    /// Two ways of counting.
    #[error("`[trust]` has both `need` and `groups`")]
    NeedAndGroups,
    /// A group can never agree.
    #[error("a group of `[trust]` needs {need} of {members} keys")]
    GroupTooSmall {
        /// How many must sign.
        need: usize,
        /// How many there are.
        members: usize,
    },
}

/// Everything that settings files say of trust, joined.
#[derive(Debug, Default, Clone)]
pub(crate) struct TrustSettings {
    rules: PolicyRules,
    /// Keys that the project would like to be trusted.
    pub(crate) offered: Vec<PublicKey>,
}

impl TrustSettings {
    /// Joins the tables: of the project, with its file, and of the user and the system, in that order. All keys of the latter two count; of
    /// everything else the first to say something decides. `flags` are keys that count for this command.
    pub(crate) fn join(
        project: Option<(PathBuf, TrustTable)>,
        machine: Vec<TrustTable>,
        flags: &[PublicKey],
    ) -> Result<Self, TrustTableError> {
        let mut settings = Self::default();
        if let Some((path, table)) = project {
            let sets = [
                ("need", table.need.is_some()),
                ("groups", !table.groups.is_empty()),
                ("sandbox", table.sandbox.is_some()),
            ];
            if let Some((key, _)) = sets.into_iter().find(|(_, set)| *set) {
                return Err(TrustTableError::Project { path, key });
            }
            settings.offered = table.keys.into_iter().map(|entry| entry.0.key).collect();
            settings.revoke(table.revoked);
        }
        let mut counted = false;
        let mut confined = false;
        for table in machine {
            if table.need.is_some() && !table.groups.is_empty() {
                return Err(TrustTableError::NeedAndGroups);
            }
            let counts = table.need.is_some() || !table.groups.is_empty();
            let rules = &mut settings.rules;
            rules
                .keys
                .extend(table.keys.into_iter().map(|entry| entry.0));
            if counts && !counted {
                rules.need = table.need.unwrap_or(rules.need);
                rules.groups = groups(table.groups)?;
                counted = true;
            }
            if let (Some(levels), false) = (table.sandbox, confined) {
                rules.sandbox = levels
                    .into_iter()
                    .map(|level| level.0.to_string())
                    .collect();
                confined = true;
            }
            settings.revoke(table.revoked);
        }
        settings
            .rules
            .keys
            .extend(flags.iter().map(|key| TrustedKey {
                key: key.clone(),
                until: None,
            }));
        Ok(settings)
    }

    fn revoke(&mut self, entries: Vec<RevokedEntry>) {
        let entries = entries.into_iter().map(|entry| entry.0);
        self.rules.revoked.extend(entries);
    }

    /// Returns what is believed.
    pub(crate) fn policy(&self) -> Policy {
        Policy::new(self.rules.clone())
    }
}

fn groups(entries: Vec<GroupEntry>) -> Result<Vec<Group>, TrustTableError> {
    entries
        .into_iter()
        .map(|entry| {
            let (need, members) = (entry.need.get(), entry.keys.len());
            if need > members {
                return Err(TrustTableError::GroupTooSmall { need, members });
            }
            Ok(Group {
                need: entry.need,
                members: entry.keys,
            })
        })
        .collect()
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GroupEntry {
    need: NonZero<usize>,
    keys: BTreeSet<KeyName>,
}

/// `"name:base64"`, or `{ key = "name:base64", until = "2027-01-01" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawKey")]
struct KeyEntry(TrustedKey);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawKey {
    Text(String),
    Table(RawKeyTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeyTable {
    key: String,
    until: Option<RawDate>,
}

/// A day, with or without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawDate {
    Text(String),
    Date(toml::value::Datetime),
}

impl TryFrom<RawKey> for KeyEntry {
    type Error = TrustError;

    fn try_from(raw: RawKey) -> Result<Self, TrustError> {
        let (key, until) = match raw {
            RawKey::Text(key) => (key, None),
            RawKey::Table(table) => (table.key, table.until),
        };
        let until = until.map(|date| match date {
            RawDate::Text(text) => text.parse::<Date>(),
            RawDate::Date(date) => date.to_string().parse(),
        });
        Ok(Self(TrustedKey {
            key: key.parse()?,
            until: until.transpose()?,
        }))
    }
}

/// A name, or a key with its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct RevokedEntry(Revocation);

impl TryFrom<String> for RevokedEntry {
    type Error = TrustError;

    fn try_from(text: String) -> Result<Self, TrustError> {
        let revoked = if text.contains(':') {
            Revocation::Key(text.parse()?)
        } else {
            Revocation::Name(text.parse()?)
        };
        Ok(Self(revoked))
    }
}

/// The name of a level.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct SandboxEntry(Level);

impl TryFrom<String> for SandboxEntry {
    type Error = sandbox::UnknownLevel;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use store::trust::SecretKey;

    use super::*;

    /// 2027-01-01, noon.
    const NOW: u64 = 1_798_804_800;

    fn key(name: &str) -> PublicKey {
        SecretKey::from_seed(name.parse().unwrap(), &[name.as_bytes()[0]; 32]).public()
    }

    fn parse(text: &str) -> Result<TrustTable, toml::de::Error> {
        let text = ["a", "b", "c"].iter().fold(text.to_owned(), |text, name| {
            text.replace(&format!("<{name}>"), &key(name).to_string())
        });
        toml::from_str(&text)
    }

    fn join(project: &str, machine: &[&str]) -> Result<PolicyRules, TrustTableError> {
        let project = (PathBuf::from("pith.toml"), parse(project).unwrap());
        let machine = machine.iter().map(|text| parse(text).unwrap()).collect();
        TrustSettings::join(Some(project), machine, &[]).map(|settings| settings.rules)
    }

    fn names(rules: &PolicyRules) -> Vec<&str> {
        rules
            .keys
            .iter()
            .map(|trusted| trusted.key.name().as_str())
            .collect()
    }

    #[test]
    fn every_form_of_an_entry_is_understood() {
        let table = parse(
            "keys = ['<a>', { key = '<b>', until = '2027-01-01' }, { key = '<c>', until = 2027-01-01 }]
             need = 2
             revoked = ['old-1', '<c>']
             sandbox = ['full', 'no-proc']",
        )
        .unwrap();
        let rules = TrustSettings::join(None, vec![table], &[]).unwrap().rules;
        let until = rules.keys.iter().map(|trusted| trusted.until);
        let day = "2027-01-01".parse().ok();
        assert_eq!(until.collect::<Vec<_>>(), [None, day, day]);
        assert_eq!(names(&rules), ["a", "b", "c"]);
        assert_eq!(rules.need.get(), 2);
        assert_eq!(
            rules.revoked,
            [
                Revocation::Name("old-1".parse().unwrap()),
                Revocation::Key(key("c"))
            ]
        );
        assert_eq!(Vec::from_iter(&rules.sandbox), ["full", "no-proc"]);
    }

    #[test]
    fn mistakes_are_refused_for_their_reason() {
        for (text, reason) in [
            ("keys = ['AAAA']", "the text is no public key"),
            ("keys = ['a:AAAA']", "the public key `a` has 3 bytes"),
            (
                "keys = [{ key = '<a>', until = '2027-1-1' }]",
                "`2027-1-1` is no day",
            ),
            (
                "keys = [{ key = '<a>', until = 2027-01-01T10:00:00 }]",
                "is no day",
            ),
            ("revoked = ['a b']", "the character ' '"),
            ("sandbox = ['none']", "`none` is no level of the sandbox"),
            ("need = 0", "nonzero"),
            ("kyes = []", "unknown field `kyes`"),
            (
                "groups = [{ need = 1, members = ['a'] }]",
                "unknown field `members`",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_users_file_beats_the_systems_but_both_keys_count() {
        let rules = join(
            "",
            &[
                "keys = ['<a>']\nneed = 2",
                "keys = ['<b>']\nsandbox = ['no-proc']\nrevoked = ['x']\ngroups = [{ need = 1, keys = ['b'] }]",
            ],
        )
        .unwrap();
        assert_eq!(names(&rules), ["a", "b"]);
        assert_eq!((rules.need.get(), rules.groups.len()), (2, 0));
        assert_eq!(Vec::from_iter(&rules.sandbox), ["no-proc"]);
        assert_eq!(rules.revoked.len(), 1);
    }

    #[test]
    fn a_project_may_revoke_and_offer_but_not_decide() {
        let rules = join("keys = ['<c>']\nrevoked = ['a']", &["keys = ['<a>']"]).unwrap();
        assert_eq!(names(&rules), ["a"]);
        assert_eq!(rules.revoked.len(), 1);
        for (text, key) in [
            ("need = 1", "need"),
            ("sandbox = ['no-proc']", "sandbox"),
            ("groups = [{ need = 1, keys = ['c'] }]", "groups"),
        ] {
            let error = join(text, &[]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "`pith.toml` sets `{key}` of `[trust]`, which is not for a project to decide"
                )
            );
        }
    }

    #[test]
    fn counts_that_can_never_be_reached_or_contradict_are_refused() {
        let error = join("", &["groups = [{ need = 2, keys = ['a'] }]"]).unwrap_err();
        assert_eq!(error.to_string(), "a group of `[trust]` needs 2 of 1 keys");
        let error = join("", &["need = 1\ngroups = [{ need = 1, keys = ['a'] }]"]).unwrap_err();
        assert_eq!(error.to_string(), "`[trust]` has both `need` and `groups`");
    }

    #[test]
    fn a_flag_adds_a_key_and_never_prolongs_one() {
        let table = parse("keys = [{ key = '<a>', until = '2026-12-31' }]").unwrap();
        let object = store::ObjectId::from_bytes([1; 32]);
        let judge = |name: &str| {
            let key = SecretKey::from_seed(name.parse().unwrap(), &[name.as_bytes()[0]; 32]);
            let statement = store::trust::Statement::component(&object, "{}");
            let signed = store::trust::SignatureSet::new([key.sign(&statement)]).unwrap();
            let settings = TrustSettings::join(None, vec![table.clone()], &[key.public()]).unwrap();
            let policy = settings.policy();
            policy
                .judge_component(&object, "{}", &signed, NOW)
                .is_accepted()
        };
        assert!(judge("b"));
        assert!(!judge("a"));
    }
}
