//! The facts of what was built, beside the outputs.
//!
//! **Invariant.** Where a program's outputs are known for what they were built from, so are their facts: they are recorded in between, so that a process
//! which dies before leaves a build to do again and no output without facts.

use store::{AddBatch, AddObject, Component, ContainedComponent, StorePath, facts::FactsObject};

use super::error::StepError;
use super::perform::Job;
use crate::facts::Observer;
use crate::model::{Builder, Derivation, ResolvedDerivation, Source};
use crate::plan::{Outputs, find_valid};

impl Job<'_> {
    /// Looks at outputs that are valid and at what they were built from, and records what is seen.
    pub(super) fn record_facts(
        &self,
        resolved: &ResolvedDerivation,
        outputs: &Outputs,
        contains: &[ContainedComponent],
    ) -> Result<(), StepError> {
        let observer = Observer {
            store: self.store(),
        };
        let place = |source: &Derivation| self.place_of(source, resolved);
        let observed = observer.observe(self.derivation, contains, &place)?;
        let objects = outputs
            .iter()
            .map(|output| observer.object(&observed, &output.path))
            .collect::<Result<Vec<AddObject<'_>>, _>>()?;
        let batch = AddBatch {
            objects,
            lease: Some(self.lease),
            ..AddBatch::default()
        };
        let facts = self.store().add(batch)?;
        let mut components: Vec<(StorePath, Component)> = Vec::with_capacity(outputs.len());
        for (output, facts) in outputs.iter().zip(facts) {
            let known = self.store().path_info(&output.path);
            let Some(info) = known.map_err(store::AddError::Db)? else {
                continue;
            };
            let facts = Some(FactsObject {
                path: facts.path,
                id: facts.id,
            });
            let component = info.component.unwrap_or_default();
            components.push((output.path.clone(), Component { facts, ..component }));
        }
        self.store().set_components(&components)?;
        Ok(())
    }

    /// Finds what a source became.
    fn place_of(&self, source: &Derivation, resolved: &ResolvedDerivation) -> Option<StorePath> {
        if let Builder::Source(Source::Local(_)) = source.builder() {
            // Only reading told what it is, and what has its name among the inputs is that.
            let mut inputs = resolved.inputs.iter().map(|(path, _)| path);
            return inputs.find(|path| path.name() == source.name()).cloned();
        }
        let resolved = source.resolve(&|_| None).ok()?;
        let outputs = find_valid(self.store(), source, &resolved).ok()??;
        outputs.into_iter().next().map(|output| output.path)
    }
}
