//! One build step with all it may depend on, and nothing else.
//!
//! A [`Derivation`] cannot be wrong: [`Derivation::new`] refuses what no build could mean. It is immutable and shared
//! (`Arc`), so that its digests are computed once, however many others need it.

use std::sync::{Arc, OnceLock};

use store::{PlanDigest, StoreName};

use super::check::{check_builder, check_outputs};
use super::ids::{DERIVATION_ID, DerivationId};
use super::{
    Builder, Limits, Location, Metadata, ModelError, Output, OutputRef, RecipeText, RecipeTexts,
    Text,
};

/// The longest chain of derivations that need each other; what is deeper is a loop in a recipe gone wrong.
pub const MAX_DEPTH: u32 = 1024;

/// The name of the output that a derivation has when it names none.
pub const DEFAULT_OUTPUT: &str = "out";

/// One fully evaluated build step.
///
/// Compared by [`DerivationId`]; two equal ones may differ in metadata, limits and origin.
#[derive(Debug)]
pub struct Derivation {
    id: DerivationId,
    outputs: Vec<Output>,
    builder: Builder,
    inputs: Vec<OutputRef>,
    depth: u32,
    limits: Limits,
    metadata: Metadata,
    origin: Location,
    recipe: RecipeTexts,
    pub(super) plan: OnceLock<PlanDigest>,
}

/// What a derivation is made from.
#[derive(Debug, Clone)]
pub struct DerivationSpec {
    /// The store name of the first output: `<name>-<version>`, or `<name>` without a version.
    pub name: StoreName,
    /// The names of the outputs; the first is the default one.
    pub outputs: Vec<String>,
    /// How they are made.
    pub builder: Builder,
    /// Bounds on the build.
    pub limits: Limits,
    /// Facts about the package.
    pub metadata: Metadata,
    /// Where the recipe makes it.
    pub origin: Location,
    /// The files of the recipe.
    pub recipe: RecipeTexts,
}

impl Derivation {
    /// Makes a derivation.
    pub fn new(spec: DerivationSpec) -> Result<Arc<Self>, ModelError> {
        let DerivationSpec {
            name,
            outputs,
            builder,
            limits,
            metadata,
            origin,
            recipe,
        } = spec;
        check_outputs(&name, &outputs)?;
        check_builder(&outputs, &builder)?;
        let inputs = find_inputs(&builder);
        let mut derivation = Self {
            id: DerivationId::from_bytes([0; 32]),
            outputs: outputs
                .into_iter()
                .enumerate()
                .map(|(index, output)| Output::new(&name, index, output))
                .collect::<Result<_, _>>()?,
            builder,
            inputs,
            depth: 0,
            limits,
            metadata,
            origin,
            recipe,
            plan: OnceLock::new(),
        };
        derivation.depth = 1 + derivation
            .dependencies()
            .map(|input| input.derivation().depth)
            .max()
            .unwrap_or(0);
        if derivation.depth > MAX_DEPTH {
            return Err(ModelError::TooDeep {
                name: name.to_string(),
            });
        }
        derivation.id = DerivationId::from_bytes(derivation.literal_form().digest(DERIVATION_ID));
        for output in &mut derivation.outputs {
            output.place(&derivation.id);
        }
        Ok(Arc::new(derivation))
    }

    /// Returns the digest of everything that was written.
    pub fn id(&self) -> DerivationId {
        self.id
    }

    /// Returns the store name of the default output, `<name>-<version>`: how messages call the derivation.
    pub fn name(&self) -> &StoreName {
        self.default_output().store_name()
    }

    /// Returns the outputs, the default one first; never empty.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Returns the first output.
    pub fn default_output(&self) -> &Output {
        self.outputs
            .first()
            .expect("`Derivation::new` refuses a derivation without outputs")
    }

    /// Returns the output with this name.
    pub fn find_output(&self, name: &str) -> Option<&Output> {
        self.outputs.iter().find(|output| output.name() == name)
    }

    /// Returns how the outputs are made.
    pub fn builder(&self) -> &Builder {
        &self.builder
    }

    /// Returns the outputs that the builder sees, found in texts or listed; sorted, no duplicates, without the seed.
    pub fn inputs(&self) -> &[OutputRef] {
        &self.inputs
    }

    /// Returns the seed, which the builder sees at `/usr`.
    pub fn seed(&self) -> Option<&OutputRef> {
        match &self.builder {
            Builder::Program(program) => program.seed.as_ref(),
            _ => None,
        }
    }

    /// Returns the outputs to which no output may refer.
    pub fn forbidden(&self) -> &[OutputRef] {
        match &self.builder {
            Builder::Program(program) => &program.forbidden,
            _ => &[],
        }
    }

    /// Returns the outputs that count as referenced although no byte names them.
    pub fn extra_references(&self) -> &[OutputRef] {
        match &self.builder {
            Builder::Program(program) => &program.extra_references,
            _ => &[],
        }
    }

    /// Returns everything that must be realised before this one can be resolved: inputs, seed, forbidden outputs and
    /// extra references, with duplicates.
    pub fn dependencies(&self) -> impl Iterator<Item = &OutputRef> {
        self.inputs
            .iter()
            .chain(self.seed())
            .chain(self.forbidden())
            .chain(self.extra_references())
    }

    /// Returns the bounds on the build.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the facts about the package.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns where the recipe makes it.
    pub fn origin(&self) -> &Location {
        &self.origin
    }

    /// Returns where the recipe makes it as every checkout calls it: the file's label and the line, of a project the path in that; none where no recipe does.
    pub fn recipe_line(&self) -> Option<String> {
        let Location { file, line, .. } = &self.origin;
        let own = self.recipe.first().filter(|_| !file.starts_with("//"));
        let label = own.map_or(file, |recipe| &recipe.label);
        (!file.is_empty()).then(|| format!("{label}:{line}"))
    }

    /// Returns the files of the recipe: the one that makes it, then what that loads, by label; empty where no recipe does.
    pub fn recipe(&self) -> &[RecipeText] {
        &self.recipe
    }

    /// Returns the fetches the package is made of: those the recipe lists, else those among the direct inputs.
    pub fn sources(&self) -> Vec<&OutputRef> {
        let is_fetch = |input: &&OutputRef| matches!(input.derivation().builder, Builder::Fetch(_));
        if self.metadata.sources.is_empty() {
            self.inputs.iter().filter(is_fetch).collect()
        } else {
            self.metadata.sources.iter().collect()
        }
    }
}

impl PartialEq for Derivation {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Derivation {}

fn find_inputs(builder: &Builder) -> Vec<OutputRef> {
    let mut inputs: Vec<OutputRef> = match builder {
        Builder::Program(program) => {
            let texts = program.argv.iter().chain(program.env.values());
            texts
                .flat_map(Text::outputs)
                .chain(&program.inputs)
                .cloned()
                .collect()
        }
        Builder::DebTree(tree) => tree.debs.clone(),
        Builder::Deb(deb) => vec![deb.deb.clone()],
        Builder::DebSet(set) => set.members.clone(),
        Builder::Fetch(_) | Builder::Source(_) => Vec::new(),
    };
    inputs.sort();
    inputs.dedup();
    inputs
}
