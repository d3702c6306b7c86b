//! What commands that write documents about closures have in common.

use std::str::FromStr;

use clap::Args;
use pack::attest::{BillOptions, FileDetail, Party};
use pack::oci::Timestamp;
use thiserror::Error;

use crate::context::Context;
use crate::date::claimed_time;
use crate::error::CommandError;

/// What a bill says beside what is recorded.
#[derive(Debug, Args)]
pub(crate) struct DocumentArgs {
    /// Which files to list: none, linked (programs and libraries of which it is known what they were linked of) or all
    #[arg(long, value_name = "WHICH", default_value = "none")]
    files: FileDetail,
    /// When the document claims to be made, 2026-11-22T10:00:00Z or seconds since 1970; $SOURCE_DATE_EPOCH or 1 by default
    #[arg(long, value_name = "TIME")]
    date: Option<Timestamp>,
    /// Who answers for the document, `NAME <EMAIL>` or `NAME <URL>`; `author` of `[sbom]` in the settings by default
    #[arg(long, value_name = "WHO")]
    author: Option<NamedParty>,
    /// Who passes the software on; `supplier` of `[sbom]`, else the author, by default
    #[arg(long, value_name = "WHO")]
    supplier: Option<NamedParty>,
}

impl DocumentArgs {
    /// Decides what the flags leave to the settings.
    pub(crate) fn options(&self, context: &Context) -> Result<BillOptions, CommandError> {
        let mut options = configured(context, self.files, self.date)?;
        let named = |party: &Option<NamedParty>| party.as_ref().map(|party| party.0.clone());
        if let Some(author) = named(&self.author) {
            options.supplier.get_or_insert_with(|| author.clone());
            options.author = Some(author);
        }
        options.supplier = named(&self.supplier).or(options.supplier);
        Ok(options)
    }
}

/// What a bill says where no flag says otherwise.
pub(crate) fn configured(
    context: &Context,
    files: FileDetail,
    date: Option<Timestamp>,
) -> Result<BillOptions, CommandError> {
    let documents = &context.settings().documents;
    Ok(BillOptions {
        created: claimed_time(date, context)?,
        author: documents.author(),
        supplier: documents.supplier(),
        files,
        ..BillOptions::default()
    })
}

/// A person or an organization, as on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedParty(Party);

/// The text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` names nobody: it must be `NAME`, `NAME <EMAIL>` or `NAME <URL>`")]
struct BadParty {
    text: String,
}

impl FromStr for NamedParty {
    type Err = BadParty;

    fn from_str(text: &str) -> Result<Self, BadParty> {
        let bad = || BadParty {
            text: text.to_owned(),
        };
        let (name, contact) = match text.split_once('<') {
            Some((name, rest)) => (name, Some(rest.strip_suffix('>').ok_or_else(bad)?)),
            None => (text, None),
        };
        let contact = contact.map(|contact| contact.trim().to_owned());
        let is_url = |contact: &String| contact.contains("://");
        let is_mail = |contact: &String| contact.contains('@') && !contact.contains(' ');
        let name = name.trim();
        let is_wrong = contact
            .as_ref()
            .is_some_and(|one| !is_url(one) && !is_mail(one));
        if name.is_empty() || is_wrong {
            return Err(bad());
        }
        Ok(Self(Party {
            name: name.to_owned(),
            email: contact.clone().filter(|contact| !is_url(contact)),
            url: contact.filter(is_url),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_has_a_name_and_perhaps_a_contact() {
        let party = |text: &str| {
            let NamedParty(party) = text.parse().ok()?;
            Some((party.name, party.email, party.url))
        };
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("Example", Some(("Example".to_owned(), None, None))),
            (
                "A B <a@b.example>",
                Some(("A B".to_owned(), some("a@b.example"), None)),
            ),
            (
                "A <https://a.example>",
                Some(("A".to_owned(), None, some("https://a.example"))),
            ),
            ("", None),
            ("<a@b.example>", None),
            ("A <a@b.example", None),
            ("A <nothing>", None),
        ] {
            assert_eq!(party(text), expected, "{text}");
        }
    }
}
