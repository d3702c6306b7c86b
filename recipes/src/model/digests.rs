//! The three digests of a derivation, each by filling in the references of one [`Form`].

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use super::form::{BuilderForm, Form, PieceForm, Reference};
use super::ids::{PLAN_DIGEST, RESOLVED_DIGEST};
use super::{Builder, Derivation, LocalSource, OutputRef, Piece, ResolveError, Source, Text};
use store::{ObjectId, PlanDigest, ResolvedDigest, StorePath};

/// A derivation whose inputs are objects: what a builder is given, and the key under which its result is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedDerivation {
    /// The program and its arguments, with real store paths; empty for pith's own builders.
    pub argv: Vec<String>,
    /// The environment, with real store paths.
    pub env: BTreeMap<String, String>,
    /// The objects that the builder sees, with their closures; sorted by path, no duplicates.
    pub inputs: Vec<(StorePath, ObjectId)>,
    /// The object whose `usr` is mounted at `/usr`.
    pub seed: Option<(StorePath, ObjectId)>,
    /// Objects to which no output may refer; sorted by path, no duplicates.
    pub forbidden: Vec<(StorePath, ObjectId)>,
    /// Objects that count as referenced; sorted by path, no duplicates.
    pub extra_references: Vec<(StorePath, ObjectId)>,
    /// The key of its realisations.
    pub digest: ResolvedDigest,
}

/// How the references and texts of a form are filled in.
struct Filling<'a, E> {
    reference: &'a dyn Fn(&OutputRef) -> Result<Reference, E>,
    local: &'a dyn Fn(&LocalSource) -> Result<BuilderForm, E>,
    urls: Urls,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Urls {
    Included,
    Left,
}

impl Derivation {
    /// Returns the form whose digest is the derivation id: everything as it was written.
    pub fn literal_form(&self) -> Form {
        let filling: Filling<'_, std::convert::Infallible> = Filling {
            reference: &|input| {
                Ok(Reference {
                    digest: *input.derivation().id().as_bytes(),
                    output: input.output().to_owned(),
                })
            },
            local: &|local| {
                Ok(BuilderForm::Local {
                    project: local.project.as_os_str().as_bytes().to_vec(),
                    path: local.path.clone(),
                    exclude: local.exclude.clone(),
                    allow_secrets: local.allow_secrets.clone(),
                })
            },
            urls: Urls::Included,
        };
        match self.form(&filling) {
            Ok(form) => form,
            Err(never) => match never {},
        }
    }

    /// Returns the digest of what is going to be built: downloads and files by their content, other inputs by their
    /// own plan digests.
    ///
    /// `content` gives the object that local files are; where it gives none there is no plan digest. The digest is
    /// computed once; `content` must always say the same.
    pub fn plan_digest(
        &self,
        content: &dyn Fn(&LocalSource) -> Option<ObjectId>,
    ) -> Option<PlanDigest> {
        if let Some(known) = self.plan.get() {
            return Some(*known);
        }
        let filling: Filling<'_, ()> = Filling {
            reference: &|input: &OutputRef| {
                let digest = input.derivation().plan_digest(content).ok_or(())?;
                Ok(Reference {
                    digest: *digest.as_bytes(),
                    output: input.output().to_owned(),
                })
            },
            local: &|local: &LocalSource| {
                let digest = *content(local).ok_or(())?.as_bytes();
                Ok(BuilderForm::Content { digest })
            },
            urls: Urls::Left,
        };
        let plan = PlanDigest::from_bytes(self.form(&filling).ok()?.digest(PLAN_DIGEST));
        Some(*self.plan.get_or_init(|| plan))
    }

    /// Puts the objects that its inputs became in the place of their placeholders.
    ///
    /// `find` is asked for every dependency, see [`Derivation::dependencies`]. Two derivations whose inputs became the
    /// same objects, and that are otherwise written alike, have one digest: that is early cutoff.
    pub fn resolve(
        &self,
        find: &dyn Fn(&OutputRef) -> Option<(StorePath, ObjectId)>,
    ) -> Result<ResolvedDerivation, ResolveError> {
        let realised = |input: &OutputRef| {
            find(input).ok_or_else(|| ResolveError::NotRealised {
                output: input.clone(),
            })
        };
        let filling = Filling {
            reference: &|input: &OutputRef| {
                Ok(Reference {
                    digest: *realised(input)?.1.as_bytes(),
                    output: String::new(),
                })
            },
            local: &|local: &LocalSource| {
                Err(ResolveError::LocalSource {
                    path: local.path.clone(),
                })
            },
            urls: Urls::Left,
        };
        let digest = ResolvedDigest::from_bytes(self.form(&filling)?.digest(RESOLVED_DIGEST));
        let objects = |outputs: &[OutputRef]| {
            let mut objects = outputs
                .iter()
                .map(realised)
                .collect::<Result<Vec<_>, _>>()?;
            objects.sort();
            objects.dedup();
            Ok::<_, ResolveError>(objects)
        };
        let fill = |text: &Text| fill_text(text, realised);
        let (argv, env) = match self.builder() {
            Builder::Program(program) => (
                program.argv.iter().map(fill).collect::<Result<_, _>>()?,
                program
                    .env
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), fill(value)?)))
                    .collect::<Result<_, ResolveError>>()?,
            ),
            _ => (Vec::new(), BTreeMap::new()),
        };
        Ok(ResolvedDerivation {
            argv,
            env,
            inputs: objects(self.inputs())?,
            seed: self.seed().map(realised).transpose()?,
            forbidden: objects(self.forbidden())?,
            extra_references: objects(self.extra_references())?,
            digest,
        })
    }

    fn form<E>(&self, filling: &Filling<'_, E>) -> Result<Form, E> {
        Ok(Form {
            name: self.name().to_string(),
            outputs: self
                .outputs()
                .iter()
                .map(|output| output.name().to_owned())
                .collect(),
            builder: self.builder_form(filling)?,
        })
    }

    fn builder_form<E>(&self, filling: &Filling<'_, E>) -> Result<BuilderForm, E> {
        let references = |outputs: &[OutputRef]| {
            let mut references = outputs
                .iter()
                .map(filling.reference)
                .collect::<Result<Vec<_>, E>>()?;
            references.sort();
            references.dedup();
            Ok(references)
        };
        Ok(match self.builder() {
            Builder::Program(program) => BuilderForm::Program {
                argv: program
                    .argv
                    .iter()
                    .map(|text| pieces(text, filling))
                    .collect::<Result<_, E>>()?,
                env: program
                    .env
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), pieces(value, filling)?)))
                    .collect::<Result<_, E>>()?,
                platform: program.platform.system().to_owned(),
                seed: program.seed.as_ref().map(filling.reference).transpose()?,
                inputs: references(self.inputs())?,
                forbidden: references(&program.forbidden)?,
                extra_references: references(&program.extra_references)?,
            },
            Builder::Fetch(fetch) => BuilderForm::Fetch {
                urls: match filling.urls {
                    Urls::Included => fetch.urls.clone(),
                    Urls::Left => Vec::new(),
                },
                digest: fetch.digest,
                executable: fetch.executable,
            },
            Builder::Source(Source::Embedded(source)) => BuilderForm::Content {
                digest: *source.content(),
            },
            Builder::Source(Source::Local(local)) => (filling.local)(local)?,
            Builder::DebTree(tree) => BuilderForm::DebTree {
                debs: tree
                    .debs
                    .iter()
                    .map(filling.reference)
                    .collect::<Result<_, E>>()?,
                links: tree.links.clone(),
                drop: tree.drop.clone(),
                include: tree.include.clone(),
            },
            Builder::Deb(deb) => BuilderForm::Deb {
                deb: (filling.reference)(&deb.deb)?,
                drop: deb.drop.clone(),
                keep: deb.keep.clone(),
            },
            Builder::DebSet(set) => BuilderForm::DebSet {
                members: set
                    .members
                    .iter()
                    .map(filling.reference)
                    .collect::<Result<_, E>>()?,
                requested: set.requested.clone(),
                release: set.release.clone(),
                tree: set.tree,
                rules: set.rules,
            },
        })
    }
}

fn pieces<E>(text: &Text, filling: &Filling<'_, E>) -> Result<Vec<PieceForm>, E> {
    text.pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Literal(literal) => Ok(PieceForm::Literal(literal.clone())),
            Piece::Output(output) => (filling.reference)(output).map(PieceForm::Output),
        })
        .collect()
}

fn fill_text(
    text: &Text,
    realised: impl Fn(&OutputRef) -> Result<(StorePath, ObjectId), ResolveError>,
) -> Result<String, ResolveError> {
    let mut filled = String::new();
    for piece in text.pieces() {
        match piece {
            Piece::Literal(literal) => filled.push_str(literal),
            Piece::Output(output) => filled.push_str(&realised(output)?.0.to_logical()),
        }
    }
    Ok(filled)
}
