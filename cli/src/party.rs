//! Who answers for documents, as people write it: `Example Ltd <sbom@example.org>`, or a table of a settings file.

use std::str::FromStr;

use pack::attest::Party;
use serde::Deserialize;
use thiserror::Error;

/// A person or an organization that can be reached: BSI TR-03183-2 (5.2.1, 5.2.2) asks for an address of mail or of a page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct NamedParty(pub(crate) Party);

/// How it is written in a settings file.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "it must be \"NAME <EMAIL>\", \"NAME <URL>\", or a table with `name` and `email` or `url`"
)]
enum Written {
    Line(String),
    Table(Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    email: Option<String>,
    url: Option<String>,
}

/// The text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BadParty {
    /// It has another form.
    #[error("`{0}` names nobody who can be reached: it must be `NAME <EMAIL>` or `NAME <URL>`")]
    Form(String),
    /// There is no name.
    #[error("who answers for documents must have a name")]
    NoName,
    /// There is neither an address of mail nor one of a page.
    #[error("`{0}` cannot be reached: `email` or `url` must be said")]
    NoContact(String),
    /// Mail cannot be sent there.
    #[error("`{0}` is no address of mail")]
    Email(String),
    /// There can be no page.
    #[error("`{0}` is no address of a page: it must begin with `https://` or `http://`")]
    Url(String),
}

impl FromStr for NamedParty {
    type Err = BadParty;

    fn from_str(text: &str) -> Result<Self, BadParty> {
        let bad = || BadParty::Form(text.to_owned());
        let (name, rest) = text.split_once('<').ok_or_else(bad)?;
        let contact = rest.strip_suffix('>').ok_or_else(bad)?.trim().to_owned();
        let (email, url) = match contact.contains("://") {
            true => (None, Some(contact)),
            false => (Some(contact), None),
        };
        let name = name.trim().to_owned();
        Table { name, email, url }.try_into()
    }
}

impl TryFrom<Written> for NamedParty {
    type Error = BadParty;

    fn try_from(written: Written) -> Result<Self, BadParty> {
        match written {
            Written::Line(line) => line.parse(),
            Written::Table(table) => table.try_into(),
        }
    }
}

impl TryFrom<Table> for NamedParty {
    type Error = BadParty;

    fn try_from(Table { name, email, url }: Table) -> Result<Self, BadParty> {
        if name.trim().is_empty() {
            return Err(BadParty::NoName);
        }
        if email.is_none() && url.is_none() {
            return Err(BadParty::NoContact(name));
        }
        if let Some(email) = email.as_ref().filter(|email| !is_email(email)) {
            return Err(BadParty::Email(email.clone()));
        }
        if let Some(url) = url.as_ref().filter(|url| !is_url(url)) {
            return Err(BadParty::Url(url.clone()));
        }
        Ok(Self(Party { name, email, url }))
    }
}

/// Whether mail can be sent there: something, `@`, and a host with a domain. What else RFC 5322 allows, nobody has.
fn is_email(text: &str) -> bool {
    let Some((mailbox, host)) = text.rsplit_once('@') else {
        return false;
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"@".contains(c);
    let labels: Vec<&str> = host.split('.').collect();
    !mailbox.is_empty()
        && !text.replacen('@', "", 1).contains(is_odd)
        && labels.len() > 1
        && labels.iter().all(|label| is_label(label))
}

/// Whether it is a part of the name of a host (RFC 1123, 2.1), perhaps with letters of other scripts.
fn is_label(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || c == '-';
    !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let rest = rest.or_else(|| text.strip_prefix("http://"));
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c);
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
        !rest.contains(is_odd) && host.split('.').all(is_label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_has_a_name_and_can_be_reached() {
        let party = |text: &str| {
            let NamedParty(party) = text.parse().ok()?;
            Some((party.name, party.email.or(party.url)?))
        };
        for (text, expected) in [
            ("A B <a@b.example>", Some(("A B", "a@b.example"))),
            (
                "A <https://a.example/x>",
                Some(("A", "https://a.example/x")),
            ),
            (
                "A <http://localhost:80>",
                Some(("A", "http://localhost:80")),
            ),
            ("", None),
            ("Example", None),
            ("<a@b.example>", None),
            ("A <a@b.example", None),
            ("A <nothing>", None),
            ("A <@>", None),
            ("A <a@localhost>", None),
            ("A <a@b@c.example>", None),
            ("A <a b@c.example>", None),
            ("A <ftp://a.example>", None),
            ("A <https://>", None),
        ] {
            let expected = expected.map(|(name, contact)| (name.to_owned(), contact.to_owned()));
            assert_eq!(party(text), expected, "{text}");
        }
    }

    #[test]
    fn settings_name_it_in_a_line_or_a_table_and_say_what_is_wrong() {
        #[derive(Debug, Deserialize)]
        struct File {
            author: NamedParty,
        }
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.author.0);
        let line = read("author = 'A <a@b.example>'").unwrap();
        let table = read("author = {name = 'A', email = 'a@b.example'}").unwrap();
        assert_eq!(line, table);
        for (text, expected) in [
            ("author = 'A'", "`A` names nobody who can be reached"),
            ("author = {name = 'A'}", "`A` cannot be reached"),
            (
                "author = {name = 'A', email = 'b'}",
                "`b` is no address of mail",
            ),
            (
                "author = {name = 'A', url = 'b'}",
                "`b` is no address of a page",
            ),
            ("author = {name = ' ', url = 'b'}", "must have a name"),
            (
                "author = {name = 'A', mail = 'a@b.example'}",
                "it must be \"NAME <EMAIL>\"",
            ),
            ("author = 1", "it must be \"NAME <EMAIL>\""),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
