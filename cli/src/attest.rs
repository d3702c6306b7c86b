//! What is kept beside an image that is pushed: bills of materials and how it was made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use pack::attest::{
    AttestError, Bill, BillOptions, DocumentFormat, FileDetail, Parameters, Provenance,
    SandboxLevels,
};
use pack::audit::policy::Policy;
use pack::oci::{Digest, Timestamp};
use pack::sign::{Attachment, ImageSecretKey};
use pack::vulns::VexError;
use pack::{Image, ImageName};
use recipes::model::Platform;
use store::registry::Repository;
use store::{LocalStore, StorePath};
use thiserror::Error;

use crate::commands::audit::load_policy;
use crate::commands::sources::write_sources;
use crate::context::Context;
use crate::documents::configured;
use crate::error::{CommandError, ExitStatus};
use crate::facts::gather;
use crate::key_file::read_image_secret;

/// The formats of bills that are attached: the two that scanners look for.
const FORMATS: [DocumentFormat; 2] = [DocumentFormat::CycloneDx17, DocumentFormat::Spdx2];
/// Changes when the documents say something else of the same image: what was attached before is attached anew then.
const DOCUMENTS_VERSION: u32 = 4;
/// Who made an image where nobody signs for it.
const UNNAMED_BUILDER: &str = "urn:pith:builder:unnamed";

/// Sources were asked for of more than one image.
#[derive(Debug, Error)]
#[error("`--sources` is for one target and one platform")]
struct OneImage;

/// A file is no OpenVEX document.
#[derive(Debug, Error)]
#[error("`{}` cannot be attached", path.display())]
struct BadVex {
    path: PathBuf,
    source: VexError,
}

/// Statements about vulnerabilities are about something else than the image that they are to be attached to.
#[derive(Debug, Error)]
#[error("the statements about vulnerabilities are about `{}`, and nothing in the image", products.join("`, `"))]
struct OtherVex {
    products: Vec<String>,
}

/// A file cannot be read.
#[derive(Debug, Error)]
#[error("cannot read `{}`", path.display())]
struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// What is attached to an image in a registry.
#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    /// Attach no bill of materials and no provenance to what is pushed
    #[arg(long)]
    no_attest: bool,
    /// Sign what is attached with the secret key in FILE, so that `cosign verify-attestation` can tell whose it is
    #[arg(long = "attest-key", value_name = "FILE", conflicts_with = "no_attest")]
    key: Option<PathBuf>,
    /// Attach statements about vulnerabilities to what is pushed, in OpenVEX, as `pith vulns --vex` writes them; may be repeated
    #[arg(
        long,
        value_name = "FILE",
        requires = "pushes",
        conflicts_with = "no_attest"
    )]
    vex: Vec<PathBuf>,
    /// Attach the corresponding source to what is pushed, as `pith sources` bundles it
    #[arg(long, requires = "pushes", conflicts_with = "no_attest")]
    sources: bool,
}

/// Attaches documents to images; all decided before anything is built.
pub(crate) struct Attester {
    key: Option<ImageSecretKey>,
    vex: Vec<Attachment>,
    /// What the sources are of, where they are attached.
    sources: Option<(String, Platform)>,
    options: BillOptions,
    /// What concludes licenses, as in an audit.
    policy: Policy,
    parameters: Parameters,
    is_on: bool,
}

impl AttestArgs {
    /// Reads the key and the settings.
    pub(crate) fn attester(
        &self,
        parameters: Parameters,
        platforms: &[Platform],
        created: Timestamp,
        context: &Context,
    ) -> Result<Attester, CommandError> {
        let sources = match (parameters.targets.as_slice(), platforms) {
            _ if !self.sources => None,
            ([target], [platform]) => Some((target.clone(), *platform)),
            _ => return Err(CommandError::new(ExitStatus::Usage, OneImage)),
        };
        let vex = self.vex.iter();
        let vex = vex.map(|file| read_vex(&context.directory().join(file)));
        let key = self.key.as_ref();
        let key = key.map(|file| read_image_secret(&context.directory().join(file)));
        Ok(Attester {
            key: key.transpose()?,
            vex: vex.collect::<Result<_, _>>()?,
            sources,
            options: configured(context, FileDetail::None, Some(created))?,
            policy: load_policy(None, context)?,
            parameters,
            is_on: !self.no_attest,
        })
    }
}

impl Attester {
    /// Makes documents that nobody signs.
    pub(crate) fn unsigned(
        parameters: Parameters,
        created: Timestamp,
        context: &Context,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            key: None,
            vex: Vec::new(),
            sources: None,
            options: configured(context, FileDetail::None, Some(created))?,
            policy: load_policy(None, context)?,
            parameters,
            is_on: true,
        })
    }

    /// Attaches what belongs to an image of the closure of `paths` that was pushed as `name`, unless this store knows that it is there. Returns how many
    /// documents were written.
    pub(crate) fn attach(
        &self,
        context: &Context,
        store: &LocalStore,
        image: &Image<'_>,
        paths: &[StorePath],
        (name, repository): (&ImageName, &Repository),
    ) -> Result<usize, CommandError> {
        let wanted = self.fingerprint();
        if !self.is_on || image.is_attached(name, wanted) {
            return Ok(0);
        }
        let attachments = self.attachments(context, store, image, paths, Some(name))?;
        let count = image.attach(name, repository, &attachments, self.key.as_ref())?;
        let count = count + self.attach_sources(context, image, (name, repository))?;
        image.note_attached(name, wanted);
        Ok(count)
    }

    /// Makes what belongs to an image of the closure of `paths`; `place` is where it is pulled.
    pub(crate) fn attachments(
        &self,
        context: &Context,
        store: &LocalStore,
        image: &Image<'_>,
        paths: &[StorePath],
        place: Option<&ImageName>,
    ) -> Result<Vec<Attachment>, CommandError> {
        let closure = store.closure(paths)?;
        let gathered = gather(context, store, closure.infos())?;
        let builder = match &self.key {
            Some(key) => format!("urn:pith:builder:{}", key.name()),
            None => UNNAMED_BUILDER.to_owned(),
        };
        let mut levels = SandboxLevels::new();
        for info in closure.infos() {
            let builds = store.find_realisations_of(&info.id)?.into_iter();
            let builds = builds.map(|build| build.sandbox);
            levels.entry(info.id).or_default().extend(builds);
        }
        levels.retain(|_, levels| !levels.is_empty());
        let parameters = self.parameters.clone();
        let provenance = Provenance::new(image, &gathered, &levels, parameters, &builder);
        let subject = image.subject(place)?;
        let mut options = self.options.clone();
        options.conclude(&gathered, paths, &self.policy);
        let bill = Bill::load(store, gathered, &subject, paths, &options)?;
        let mut attachments = vec![Attachment::provenance(&provenance)];
        for format in FORMATS {
            attachments.push(Attachment::bill(&bill, format).map_err(AttestError::from)?);
        }
        for vex in &self.vex {
            let products = vex.products_of_others(image.manifest_digest()?, &bill);
            if !products.is_empty() {
                let error = CommandError::new(ExitStatus::Damaged, OtherVex { products });
                return Err(error.hint("`pith vulns IMAGE --vex FILE` states what is in an image"));
            }
        }
        attachments.extend_from_slice(&self.vex);
        Ok(attachments)
    }

    /// Bundles the source of an image, where it is wanted, and attaches it. Returns how many bundles there are.
    fn attach_sources(
        &self,
        context: &Context,
        image: &Image<'_>,
        (name, repository): (&ImageName, &Repository),
    ) -> Result<usize, CommandError> {
        let Some((target, platform)) = &self.sources else {
            return Ok(0);
        };
        let directory = tempfile::tempdir().map_err(CommandError::failed)?;
        let file = directory.path().join("sources.tar");
        let bundled = write_sources(context, target, *platform, self.key.as_ref(), &file)?;
        if bundled != image.manifest_digest()?.to_string() {
            let note = format!(
                "the sources become the image {bundled}, which has these packages and is packed as `pith pack {target}` does it"
            );
            context.printer().note(&note);
        }
        image.attach_sources(name, repository, &file)?;
        Ok(1)
    }

    /// Returns the bill of an image of the closure of `paths`, as a document.
    pub(crate) fn bill(
        &self,
        context: &Context,
        store: &LocalStore,
        image: &Image<'_>,
        paths: &[StorePath],
        format: DocumentFormat,
    ) -> Result<Vec<u8>, CommandError> {
        let closure = store.closure(paths)?;
        let gathered = gather(context, store, closure.infos())?;
        let subject = image.subject(None)?;
        let mut options = self.options.clone();
        options.conclude(&gathered, paths, &self.policy);
        let bill = Bill::load(store, gathered, &subject, paths, &options)?;
        Ok(bill.write(format).map_err(AttestError::from)?)
    }

    /// What there is among the documents.
    pub(crate) fn kinds(&self) -> String {
        let mut kinds = "bills of materials and provenance".to_owned();
        if !self.vex.is_empty() {
            kinds.push_str(", statements about vulnerabilities");
        }
        if self.sources.is_some() {
            kinds.push_str(", sources");
        }
        kinds
    }

    /// Tells apart what would be written for one image.
    fn fingerprint(&self) -> Digest {
        let key = self.key.as_ref().map(ImageSecretKey::public);
        let said = (
            DOCUMENTS_VERSION,
            (&self.options, &self.policy),
            &self.parameters,
            key,
            FORMATS,
            (&self.vex, &self.sources),
        );
        Digest::of(format!("{said:?}").as_bytes())
    }
}

fn read_vex(path: &Path) -> Result<Attachment, CommandError> {
    let bytes = fs::read(path).map_err(|source| {
        CommandError::failed(ReadError {
            path: path.to_path_buf(),
            source,
        })
    })?;
    Attachment::vex(bytes).map_err(|source| {
        let path = path.to_path_buf();
        CommandError::new(ExitStatus::Damaged, BadVex { path, source })
    })
}
