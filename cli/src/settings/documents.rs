//! `[sbom]`: who answers for bills of materials and who passes the software on.

use pack::attest::Party;
use serde::Deserialize;

use crate::party::NamedParty;

/// What a settings file says of documents.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DocumentsTable {
    /// Who answers for the documents.
    pub(super) author: Option<NamedParty>,
    /// Who passes the software on; the author, unless it is said.
    pub(super) supplier: Option<NamedParty>,
}

impl DocumentsTable {
    /// Takes what an earlier file did not say from a later one.
    pub(super) fn or(self, later: Self) -> Self {
        Self {
            author: self.author.or(later.author),
            supplier: self.supplier.or(later.supplier),
        }
    }

    /// Who answers for the documents, if somebody does.
    pub(crate) fn author(&self) -> Option<Party> {
        self.author.as_ref().map(|party| party.0.clone())
    }

    /// Who passes the software on, if somebody is known to.
    pub(crate) fn supplier(&self) -> Option<Party> {
        let supplier = self.supplier.as_ref().or(self.author.as_ref());
        supplier.map(|party| party.0.clone())
    }
}
