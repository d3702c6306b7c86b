//! Under which licenses steps are, as far as a bundle has to know.

use std::collections::BTreeMap;

use pack::audit::inventory::Inventory;
use pack::audit::{Gathered, conclusions};
use recipes::model::Derivation;
use store::StoreName;

use crate::commands::audit::load_policy;
use crate::context::Context;
use crate::error::CommandError;

/// The licenses of what no recipe states one of: packages of Debian, which say theirs themselves.
#[derive(Debug, Default)]
pub(super) struct Licenses(BTreeMap<StoreName, String>);

impl Licenses {
    /// Takes what packages declare, and what is concluded of them by the policies in effect.
    pub(super) fn of(
        gathered: &Gathered,
        inventory: &Inventory,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let concluded = conclusions(inventory, &load_policy(None, context)?);
        let known = gathered.parts.iter().filter_map(|part| {
            let concluded = concluded.get(&part.info.path.to_logical());
            let declared = part.info.component.as_ref()?.license.clone();
            let license = concluded.map(ToString::to_string).or(declared)?;
            Some((part.info.path.name().clone(), license))
        });
        Ok(Self(known.collect()))
    }

    /// Returns the license of a step: what its recipe declares, else what is known of what it made.
    pub(super) fn of_step<'a>(&'a self, derivation: &'a Derivation) -> Option<&'a str> {
        let declared = derivation.metadata().license.as_deref();
        let mut outputs = derivation.outputs().iter();
        declared.or_else(|| {
            let known = outputs.find_map(|output| self.0.get(output.store_name()));
            known.map(String::as_str)
        })
    }
}
