//! One build step with all it may depend on, and nothing else.
//!
//! A [`Derivation`] cannot be wrong: [`Derivation::new`] refuses what no build could mean. It is immutable and shared
//! (`Arc`), so that its digests are computed once, however many others need it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::ids::{DERIVATION_ID, DerivationId, PLACEHOLDER};
use super::{Builder, Limits, Location, Metadata, ModelError, Source, Text};
use store::{PathDigest, PlanDigest, StoreName, StorePath};

/// The longest chain of derivations that need each other; what is deeper is a loop in a recipe gone wrong.
pub const MAX_DEPTH: u32 = 1024;

/// The name of the output that a derivation has when it names none.
pub const DEFAULT_OUTPUT: &str = "out";

/// The longest name of an output.
const MAX_OUTPUT_NAME: usize = 32;

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
    pub(super) plan: OnceLock<Option<PlanDigest>>,
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
}

/// One output of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    name: String,
    store_name: StoreName,
    placeholder: StorePath,
}

impl Output {
    /// Returns the output's name, `out`, `dev`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name that its store object will have.
    pub fn store_name(&self) -> &StoreName {
        &self.store_name
    }

    /// Returns the path that stands for it until it is realised.
    pub fn placeholder(&self) -> &StorePath {
        &self.placeholder
    }
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
        } = spec;
        check_outputs(&name, &outputs)?;
        check_builder(&outputs, &builder)?;
        let inputs = find_inputs(&builder);
        let mut derivation = Self {
            id: DerivationId::from_bytes([0; 32]),
            outputs: outputs
                .iter()
                .enumerate()
                .map(|(index, output)| {
                    let store_name = output_store_name(&name, index, output)?;
                    let placeholder =
                        StorePath::new(PathDigest::from_bytes([0; 25]), store_name.clone());
                    Ok(Output {
                        name: output.clone(),
                        store_name,
                        placeholder,
                    })
                })
                .collect::<Result<_, ModelError>>()?,
            builder,
            inputs,
            depth: 0,
            limits,
            metadata,
            origin,
            plan: OnceLock::new(),
        };
        derivation.depth = 1 + derivation
            .dependencies()
            .map(|input| input.derivation.depth)
            .max()
            .unwrap_or(0);
        if derivation.depth > MAX_DEPTH {
            return Err(ModelError::TooDeep {
                name: name.to_string(),
            });
        }
        derivation.id = DerivationId::from_bytes(derivation.literal_form().digest(DERIVATION_ID));
        for output in &mut derivation.outputs {
            let digest = placeholder_digest(&derivation.id, &output.name);
            output.placeholder = StorePath::new(digest, output.store_name.clone());
        }
        Ok(Arc::new(derivation))
    }

    /// Returns the digest of everything that was written.
    pub fn id(&self) -> DerivationId {
        self.id
    }

    /// Returns the store name of the default output, `<name>-<version>`: how messages call the derivation.
    pub fn name(&self) -> &StoreName {
        &self.default_output().store_name
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
        self.outputs.iter().find(|output| output.name == name)
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

    /// Returns the fetches the package is made of: those the recipe lists, else those among the direct inputs.
    pub fn sources(&self) -> Vec<&OutputRef> {
        let is_fetch = |input: &&OutputRef| matches!(input.derivation.builder, Builder::Fetch(_));
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

/// One output of a derivation; ordered by derivation id, then by the output's name.
#[derive(Clone)]
pub struct OutputRef {
    derivation: Arc<Derivation>,
    index: usize,
}

impl OutputRef {
    /// Returns the output of `derivation` with this name.
    pub fn new(derivation: Arc<Derivation>, output: &str) -> Result<Self, ModelError> {
        match derivation
            .outputs
            .iter()
            .position(|known| known.name == output)
        {
            Some(index) => Ok(Self { derivation, index }),
            None => Err(ModelError::UnknownOutput {
                derivation: derivation.name().to_string(),
                output: output.to_owned(),
                known: derivation
                    .outputs
                    .iter()
                    .map(|output| output.name.clone())
                    .collect(),
            }),
        }
    }

    /// Returns the default output of `derivation`.
    pub fn default_of(derivation: Arc<Derivation>) -> Self {
        Self {
            derivation,
            index: 0,
        }
    }

    /// Returns the derivation.
    pub fn derivation(&self) -> &Arc<Derivation> {
        &self.derivation
    }

    /// Returns the output's name, `out`, `dev`.
    pub fn output(&self) -> &str {
        &self.as_output().name
    }

    /// Returns the name that its store object will have.
    pub fn store_name(&self) -> &StoreName {
        &self.as_output().store_name
    }

    /// Returns, as text, the path that stands for it until it is realised.
    pub fn placeholder(&self) -> String {
        self.as_output().placeholder.to_logical()
    }

    fn as_output(&self) -> &Output {
        self.derivation
            .outputs
            .get(self.index)
            .expect("an `OutputRef` is only made of an output that is there")
    }

    fn key(&self) -> (DerivationId, &str) {
        (self.derivation.id, self.output())
    }
}

impl fmt::Debug for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^{}", self.derivation.name(), self.output())
    }
}

impl PartialEq for OutputRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OutputRef {}

impl PartialOrd for OutputRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OutputRef {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for OutputRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

fn placeholder_digest(id: &DerivationId, output: &str) -> PathDigest {
    let mut hasher = blake3::Hasher::new_derive_key(PLACEHOLDER);
    hasher.update(id.as_bytes());
    hasher.update(output.as_bytes());
    let mut digest = [0; 25];
    hasher.finalize_xof().fill(&mut digest);
    PathDigest::from_bytes(digest)
}

fn output_store_name(
    name: &StoreName,
    index: usize,
    output: &str,
) -> Result<StoreName, ModelError> {
    if index == 0 {
        return Ok(name.clone());
    }
    let text = format!("{name}-{output}");
    text.parse()
        .map_err(|source| ModelError::StoreName { name: text, source })
}

fn check_outputs(name: &StoreName, outputs: &[String]) -> Result<(), ModelError> {
    if outputs.is_empty() {
        return Err(ModelError::NoOutputs {
            name: name.to_string(),
        });
    }
    let mut seen = BTreeSet::new();
    for output in outputs {
        let letters = output
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let first = output
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase());
        if !letters || !first || output.len() > MAX_OUTPUT_NAME {
            return Err(ModelError::OutputName {
                name: output.clone(),
            });
        }
        if !seen.insert(output) {
            return Err(ModelError::DuplicateOutput {
                name: output.clone(),
            });
        }
    }
    Ok(())
}

fn check_builder(outputs: &[String], builder: &Builder) -> Result<(), ModelError> {
    match builder {
        Builder::Program(program) => {
            if program
                .argv
                .first()
                .is_none_or(|program| program.pieces().is_empty())
            {
                return Err(ModelError::NoProgram);
            }
            check_environment(outputs, &program.env)?;
            program
                .argv
                .iter()
                .try_for_each(|text| check_no_nul("builder", text))
        }
        Builder::Fetch(fetch) if fetch.urls.is_empty() => Err(ModelError::NoUrls),
        Builder::Source(Source::Local(local)) if !stays_below(&local.path) => {
            Err(ModelError::PathEscape {
                path: local.path.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn check_environment(outputs: &[String], env: &BTreeMap<String, Text>) -> Result<(), ModelError> {
    for (name, value) in env {
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !letters || name.bytes().next().is_none_or(|b| b.is_ascii_digit()) {
            return Err(ModelError::VariableName { name: name.clone() });
        }
        if outputs.contains(name) {
            return Err(ModelError::VariableIsOutput { name: name.clone() });
        }
        check_no_nul(name, value)?;
    }
    Ok(())
}

fn check_no_nul(field: &str, text: &Text) -> Result<(), ModelError> {
    let has_nul =
        |piece: &super::Piece| matches!(piece, super::Piece::Literal(text) if text.contains('\0'));
    if text.pieces().iter().any(has_nul) {
        return Err(ModelError::Nul {
            field: field.to_owned(),
        });
    }
    Ok(())
}

/// Returns whether a path names something below the directory it is relative to, by its text alone.
fn stays_below(path: &str) -> bool {
    path == "."
        || path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\0'))
}

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
        Builder::Fetch(_) | Builder::Source(_) => Vec::new(),
    };
    inputs.sort();
    inputs.dedup();
    inputs
}
