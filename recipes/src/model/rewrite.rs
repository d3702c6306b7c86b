//! Exchanges derivations everywhere in what is made from them. Pure.
//!
//! **Invariant.** Nothing of the result depends on a derivation that was replaced: what the replacements themselves are made from is
//! rewritten too. What does not depend on a replaced derivation is returned as it is, the same `Arc`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{
    Builder, Deb, DebSet, DebTree, Derivation, DerivationId, DerivationSpec, ImageDeclaration,
    Metadata, ModelError, OutputRef, Program, Text,
};

/// One derivation in place of another.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The name by which it was asked for, for messages.
    pub name: String,
    /// What is replaced.
    pub from: DerivationId,
    /// What takes its place; it must have the outputs that are used of the other.
    pub to: Arc<Derivation>,
}

/// Why nothing could be exchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// A replacement is made from what it replaces.
    #[error("a replacement is made from what it replaces: {}", chain.join(" → "))]
    Cycle {
        /// The names, from the first to itself again.
        chain: Vec<String>,
    },
    /// A replacement lacks an output.
    #[error(
        "the replacement of `{name}` has no output `{output}`, which `{user}` uses; it has {}",
        known.join(", ")
    )]
    NoOutput {
        /// What is replaced.
        name: String,
        /// The output.
        output: String,
        /// What uses it.
        user: String,
        /// The outputs there are.
        known: Vec<String>,
    },
    /// A changed derivation is none.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Makes the derivations of the result, so that whoever asked knows them.
type Make<'a> = &'a dyn Fn(DerivationSpec) -> Result<Arc<Derivation>, ModelError>;

/// A rewriting of any number of graphs by the same replacements; what they share is rewritten once.
pub struct Rewriter<'a> {
    replacements: &'a [Replacement],
    make: Make<'a>,
    /// By address: two derivations with one id may differ in metadata. The originals are kept, so that no address is used again.
    done: HashMap<usize, (Arc<Derivation>, Arc<Derivation>)>,
    /// The names of the replacements that are being rewritten, the outermost first.
    open: Vec<String>,
}

impl fmt::Debug for Rewriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewriter")
            .field("replacements", &self.replacements)
            .finish_non_exhaustive()
    }
}

impl<'a> Rewriter<'a> {
    /// Prepares a rewriting; `make` makes every changed derivation.
    pub fn new(replacements: &'a [Replacement], make: Make<'a>) -> Self {
        Self {
            replacements,
            make,
            done: HashMap::new(),
            open: Vec::new(),
        }
    }

    /// Returns what `derivation` becomes.
    pub fn derivation(
        &mut self,
        derivation: &Arc<Derivation>,
    ) -> Result<Arc<Derivation>, RewriteError> {
        if let Some((_, done)) = self.done.get(&address(derivation)) {
            return Ok(Arc::clone(done));
        }
        let replacement = self
            .replacements
            .iter()
            .find(|one| one.from == derivation.id() && one.to.id() != derivation.id());
        let Some(replacement) = replacement else {
            return self.made_anew(derivation);
        };
        if let Some(from) = self.open.iter().position(|name| *name == replacement.name) {
            let chain = self.open.iter().skip(from);
            return Err(RewriteError::Cycle {
                chain: chain.chain([&replacement.name]).cloned().collect(),
            });
        }
        self.open.push(replacement.name.clone());
        let done = self.made_anew(&replacement.to);
        self.open.pop();
        let done = done?;
        self.remember(derivation, &done);
        Ok(done)
    }

    /// Returns what an image becomes.
    pub fn image(&mut self, image: &ImageDeclaration) -> Result<ImageDeclaration, RewriteError> {
        let user = &image.name;
        let mut changed = image.clone();
        changed.packages = self.outputs(&image.packages, user)?;
        for text in changed
            .entrypoint
            .iter_mut()
            .flatten()
            .chain(&mut changed.cmd)
        {
            *text = self.text(text, user)?;
        }
        let links = changed
            .links
            .iter_mut()
            .flat_map(|links| links.values_mut());
        for text in changed
            .env
            .values_mut()
            .chain(links)
            .chain(changed.files.values_mut())
        {
            *text = self.text(text, user)?;
        }
        Ok(changed)
    }

    /// Rewrites what a derivation is made from. Never deeper than a chain of derivations may be.
    fn made_anew(&mut self, derivation: &Arc<Derivation>) -> Result<Arc<Derivation>, RewriteError> {
        if let Some((_, done)) = self.done.get(&address(derivation)) {
            return Ok(Arc::clone(done));
        }
        let mut is_changed = false;
        for input in derivation.dependencies() {
            is_changed |= !Arc::ptr_eq(&self.derivation(input.derivation())?, input.derivation());
        }
        let done = if is_changed {
            let user = derivation.metadata().name.clone();
            let spec = DerivationSpec {
                name: derivation.name().clone(),
                outputs: derivation
                    .outputs()
                    .iter()
                    .map(|output| output.name().to_owned())
                    .collect(),
                builder: self.builder(derivation.builder(), &user)?,
                limits: derivation.limits(),
                metadata: Metadata {
                    sources: self.outputs(&derivation.metadata().sources, &user)?,
                    ..derivation.metadata().clone()
                },
                origin: derivation.origin().clone(),
                recipe: derivation.recipe().into(),
            };
            (self.make)(spec)?
        } else {
            Arc::clone(derivation)
        };
        self.remember(derivation, &done);
        Ok(done)
    }

    fn remember(&mut self, derivation: &Arc<Derivation>, done: &Arc<Derivation>) {
        self.done.insert(
            address(derivation),
            (Arc::clone(derivation), Arc::clone(done)),
        );
    }

    fn builder(&mut self, builder: &Builder, user: &str) -> Result<Builder, RewriteError> {
        Ok(match builder {
            Builder::Program(program) => Builder::Program(Program {
                argv: program
                    .argv
                    .iter()
                    .map(|text| self.text(text, user))
                    .collect::<Result<_, _>>()?,
                env: program
                    .env
                    .iter()
                    .map(|(name, text)| Ok((name.clone(), self.text(text, user)?)))
                    .collect::<Result<_, RewriteError>>()?,
                platform: program.platform,
                seed: program
                    .seed
                    .as_ref()
                    .map(|seed| self.output(seed, user))
                    .transpose()?,
                inputs: self.outputs(&program.inputs, user)?,
                forbidden: self.outputs(&program.forbidden, user)?,
                extra_references: self.outputs(&program.extra_references, user)?,
            }),
            Builder::DebTree(tree) => Builder::DebTree(DebTree {
                debs: self.outputs(&tree.debs, user)?,
                ..tree.clone()
            }),
            Builder::Deb(deb) => Builder::Deb(Deb {
                deb: self.output(&deb.deb, user)?,
                ..deb.clone()
            }),
            Builder::DebSet(set) => Builder::DebSet(DebSet {
                members: self.outputs(&set.members, user)?,
                ..set.clone()
            }),
            Builder::Fetch(_) | Builder::Source(_) => builder.clone(),
        })
    }

    fn text(&mut self, text: &Text, user: &str) -> Result<Text, RewriteError> {
        text.try_map(|output| self.output(output, user))
    }

    fn outputs(
        &mut self,
        outputs: &[OutputRef],
        user: &str,
    ) -> Result<Vec<OutputRef>, RewriteError> {
        outputs
            .iter()
            .map(|output| self.output(output, user))
            .collect()
    }

    fn output(&mut self, output: &OutputRef, user: &str) -> Result<OutputRef, RewriteError> {
        let derivation = self.derivation(output.derivation())?;
        OutputRef::new(derivation, output.output()).map_err(|error| match error {
            ModelError::UnknownOutput {
                output: name,
                known,
                ..
            } => RewriteError::NoOutput {
                name: output.derivation().metadata().name.clone(),
                output: name,
                user: user.to_owned(),
                known,
            },
            error => error.into(),
        })
    }
}

fn address(derivation: &Arc<Derivation>) -> usize {
    Arc::as_ptr(derivation).addr()
}
