#![doc = include_str!("FORMAT.md")]

use std::collections::BTreeMap;

use super::ContentDigest;

/// What is the same whether an input is named by derivation id, by plan digest or by object id: the record that is
/// encoded and hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The store name of the first output.
    pub name: String,
    /// The names of the outputs; the first is the default one.
    pub outputs: Vec<String>,
    /// How the outputs are made.
    pub builder: BuilderForm,
}

/// The [`Form`] of a builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuilderForm {
    /// A program in the sandbox.
    Program {
        /// The program and its arguments.
        argv: Vec<Vec<PieceForm>>,
        /// The environment.
        env: BTreeMap<String, Vec<PieceForm>>,
        /// The name of the platform.
        platform: String,
        /// The seed.
        seed: Option<Reference>,
        /// All inputs; strictly sorted.
        inputs: Vec<Reference>,
        /// Forbidden outputs; strictly sorted.
        forbidden: Vec<Reference>,
        /// Extra references; strictly sorted.
        extra_references: Vec<Reference>,
    },
    /// A download.
    Fetch {
        /// The URLs; empty in the forms that do not depend on them.
        urls: Vec<String>,
        /// The promised digest.
        digest: ContentDigest,
        /// Whether the file is executable.
        executable: bool,
    },
    /// Files whose content has this digest.
    Content {
        /// The digest.
        digest: [u8; 32],
    },
    /// Files of a project that have not been read; only in the literal form.
    Local {
        /// The project's directory, as bytes.
        project: Vec<u8>,
        /// The place below the project.
        path: String,
        /// Patterns of what is left out.
        exclude: Vec<String>,
        /// Patterns of what may look like a secret.
        allow_secrets: Vec<String>,
    },
    /// Debian packages unpacked into one tree.
    DebTree {
        /// The packages, in order.
        debs: Vec<Reference>,
        /// Links to add.
        links: BTreeMap<String, String>,
        /// Patterns left out.
        drop: Vec<String>,
        /// Patterns kept.
        include: Vec<String>,
    },
    /// One Debian package, unpacked.
    Deb {
        /// The package.
        deb: Reference,
        /// Patterns left out.
        drop: Vec<String>,
        /// Patterns that stay all the same.
        keep: Vec<String>,
    },
    /// Unpacked Debian packages, put together.
    DebSet {
        /// The packages, in order.
        members: Vec<Reference>,
        /// The names that were asked for.
        requested: Vec<String>,
        /// The codename of the release.
        release: String,
        /// Whether it is one tree.
        tree: bool,
        /// The version of the rules.
        rules: u32,
    },
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceForm {
    /// Characters that mean themselves.
    Literal(String),
    /// The path of an output.
    Output(Reference),
}

/// One output of a derivation, or an object, by digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// A derivation id, a plan digest or an object id, depending on the form.
    pub digest: [u8; 32],
    /// The output's name; empty for an object id, which is one output already.
    pub output: String,
}
