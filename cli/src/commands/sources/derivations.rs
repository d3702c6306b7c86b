//! The evaluated build steps of a bundle, as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use pack::oci::to_canonical_json;
use recipes::model::{Builder, Derivation, OutputRef, Source, Text};
use serde::Serialize;

/// The version of [`Derivations`].
const VERSION: u32 = 1;

/// The document `derivations.json`.
#[derive(Debug, Serialize)]
pub(super) struct Derivations {
    version: u32,
    /// What is used comes before what uses it.
    derivations: Vec<Described>,
}

/// One step. Texts have a placeholder where the path of an output will be, as the environment of the builder names it.
#[derive(Debug, Serialize)]
struct Described {
    id: String,
    name: String,
    outputs: Vec<DescribedOutput>,
    builder: DescribedBuilder,
    /// What the builder sees, sorted by placeholder.
    inputs: Vec<Input>,
    /// What it sees at `/usr`.
    seed: Option<Input>,
}

#[derive(Debug, Serialize)]
struct DescribedOutput {
    name: String,
    placeholder: String,
}

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Input {
    placeholder: String,
    derivation: String,
    output: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum DescribedBuilder {
    Program {
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        platform: String,
        forbidden: Vec<String>,
        extra_references: Vec<String>,
    },
    Fetch {
        urls: Vec<String>,
        digest: String,
        executable: bool,
    },
    /// Files of the collection, which are among the recipes.
    Files { paths: Vec<String> },
    /// Files of the project, which are in the bundle where they lie in the project.
    Project { path: String, exclude: Vec<String> },
    DebTree {
        links: BTreeMap<String, String>,
        drop: Vec<String>,
        include: Vec<String>,
    },
    Deb {
        drop: Vec<String>,
        keep: Vec<String>,
    },
    DebSet {
        requested: Vec<String>,
        release: String,
        rules: u32,
    },
}

impl Derivations {
    /// Describes steps, in their order.
    pub(super) fn of<'a>(derivations: impl IntoIterator<Item = &'a Arc<Derivation>>) -> Self {
        Self {
            version: VERSION,
            derivations: derivations.into_iter().map(|one| described(one)).collect(),
        }
    }

    /// Returns the document; always the same bytes.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut document = to_canonical_json(self);
        document.push(b'\n');
        document
    }
}

fn described(derivation: &Derivation) -> Described {
    let outputs = derivation.outputs().iter();
    let mut inputs: Vec<Input> = derivation.inputs().iter().map(input).collect();
    inputs.sort();
    Described {
        id: derivation.id().to_string(),
        name: derivation.name().to_string(),
        outputs: outputs
            .map(|output| DescribedOutput {
                name: output.name().to_owned(),
                placeholder: output.placeholder().to_logical(),
            })
            .collect(),
        builder: builder(derivation.builder()),
        inputs,
        seed: derivation.seed().map(input),
    }
}

fn input(output: &OutputRef) -> Input {
    Input {
        placeholder: output.placeholder(),
        derivation: output.derivation().id().to_string(),
        output: output.output().to_owned(),
    }
}

fn builder(builder: &Builder) -> DescribedBuilder {
    let placeholders = |outputs: &[OutputRef]| outputs.iter().map(OutputRef::placeholder).collect();
    match builder {
        Builder::Program(program) => DescribedBuilder::Program {
            argv: program.argv.iter().map(Text::to_string).collect(),
            env: (program.env.iter())
                .map(|(name, text)| (name.clone(), text.to_string()))
                .collect(),
            platform: program.platform.system().to_owned(),
            forbidden: placeholders(&program.forbidden),
            extra_references: placeholders(&program.extra_references),
        },
        Builder::Fetch(fetch) => DescribedBuilder::Fetch {
            urls: fetch.urls.clone(),
            digest: fetch.digest.to_string(),
            executable: fetch.executable,
        },
        Builder::Source(Source::Embedded(source)) => DescribedBuilder::Files {
            paths: source
                .files()
                .iter()
                .map(|file| file.path.clone())
                .collect(),
        },
        Builder::Source(Source::Local(source)) => DescribedBuilder::Project {
            path: source.path.clone(),
            exclude: source.exclude.clone(),
        },
        Builder::DebTree(tree) => DescribedBuilder::DebTree {
            links: tree.links.clone(),
            drop: tree.drop.clone(),
            include: tree.include.clone(),
        },
        Builder::Deb(deb) => DescribedBuilder::Deb {
            drop: deb.drop.clone(),
            keep: deb.keep.clone(),
        },
        Builder::DebSet(set) => DescribedBuilder::DebSet {
            requested: set.requested.clone(),
            release: set.release.clone(),
            rules: set.rules,
        },
    }
}
