//! What commands that write documents about closures have in common.

use clap::Args;
use pack::attest::{BillOptions, FileDetail};
use pack::oci::Timestamp;

use crate::context::Context;
use crate::date::claimed_time;
use crate::error::CommandError;
use crate::party::NamedParty;

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
