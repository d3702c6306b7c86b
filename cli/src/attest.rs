//! What is kept beside an image that is pushed: bills of materials and how it was made.

use std::path::PathBuf;

use clap::Args;
use pack::attest::{
    AttestError, Bill, BillOptions, DocumentFormat, FileDetail, Parameters, Provenance,
};
use pack::oci::{Digest, Timestamp};
use pack::sign::Attachment;
use pack::{Image, ImageName};
use store::registry::Repository;
use store::trust::SecretKey;
use store::{LocalStore, StorePath};

use crate::context::Context;
use crate::documents::configured;
use crate::error::CommandError;
use crate::facts::gather;
use crate::key_file::read_secret;

/// The formats of bills that are attached: the two that scanners look for.
const FORMATS: [DocumentFormat; 2] = [DocumentFormat::CycloneDx17, DocumentFormat::Spdx2];
/// Changes when the documents say something else of the same image: what was attached before is attached anew then.
const DOCUMENTS_VERSION: u32 = 2;
/// Who made an image where nobody signs for it.
const UNNAMED_BUILDER: &str = "urn:pith:builder:unnamed";

/// What is attached to an image in a registry.
#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    /// Attach no bill of materials and no provenance to what is pushed
    #[arg(long)]
    no_attest: bool,
    /// Sign what is attached with the secret key in FILE, so that `cosign verify-attestation` can tell whose it is
    #[arg(long = "attest-key", value_name = "FILE", conflicts_with = "no_attest")]
    key: Option<PathBuf>,
}

/// Attaches documents to images; all decided before anything is built.
pub(crate) struct Attester {
    key: Option<SecretKey>,
    options: BillOptions,
    parameters: Parameters,
    is_on: bool,
}

impl AttestArgs {
    /// Reads the key and the settings.
    pub(crate) fn attester(
        &self,
        parameters: Parameters,
        created: Timestamp,
        context: &Context,
    ) -> Result<Attester, CommandError> {
        let key = self.key.as_ref();
        let key = key.map(|file| read_secret(&context.directory().join(file)));
        Ok(Attester {
            key: key.transpose()?,
            options: configured(context, FileDetail::None, Some(created))?,
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
            options: configured(context, FileDetail::None, Some(created))?,
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
            Some(key) => format!("urn:pith:builder:{}", key.public().name()),
            None => UNNAMED_BUILDER.to_owned(),
        };
        let provenance = Provenance::new(&gathered, self.parameters.clone(), &builder);
        let subject = image.subject(place)?;
        let bill = Bill::load(store, gathered, &subject, paths, &self.options)?;
        let mut attachments = vec![Attachment::provenance(&provenance)];
        for format in FORMATS {
            attachments.push(Attachment::bill(&bill, format).map_err(AttestError::from)?);
        }
        Ok(attachments)
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
        let bill = Bill::load(store, gathered, &subject, paths, &self.options)?;
        Ok(bill.write(format).map_err(AttestError::from)?)
    }

    /// Tells apart what would be written for one image.
    fn fingerprint(&self) -> Digest {
        let key = self.key.as_ref().map(SecretKey::public);
        let said = (
            DOCUMENTS_VERSION,
            &self.options,
            &self.parameters,
            key,
            FORMATS,
        );
        Digest::of(format!("{said:?}").as_bytes())
    }
}
