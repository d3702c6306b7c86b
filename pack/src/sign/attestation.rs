//! Documents beside images: bills of materials and provenance, plain for those who look for them, and signed for those who verify.

use serde::Serialize;
use serde_json::Value;
use store::registry::Repository;

use super::{
    ImageKey, ImageSecretKey, SOURCES, SignError,
    bundle::{self, BUNDLE, SIGNED},
    referrer::{AttachedDocument, PREDICATE_TYPE, Referrer, about, attach, fetch_layer},
    referrers::Referrers,
};
use crate::{
    Image,
    attest::{
        Bill, BillFault, DocumentFormat, PROVENANCE, Provenance, bill_subjects, document_subjects,
    },
    existing::{AnyPlatform, BillPackage, Entry, ExistingError, ExistingImage, packages_of},
    oci::{Descriptor, Digest, ImageName},
    vulns::{Purl, VexError, read_vex},
};

/// The media type of a statement without a signature.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The media type of statements about vulnerabilities in OpenVEX, as scanners look for them.
const VEX: &str = "application/vnd.openvex+json";
/// What a statement with such a document in it is called.
const VEX_PREDICATE: &str = "https://openvex.dev/ns/v0.2.0";
/// Documents of one image that are looked at.
const MAX_DOCUMENTS: usize = 100;
/// Bytes of a document that are read at most: a bill of 60 000 files has some 40 million.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// A document that is to be kept beside an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The media type of the plain document; of a statement, none.
    media_type: Option<&'static str>,
    predicate_type: &'static str,
    predicate: Value,
    /// The plain document.
    bytes: Vec<u8>,
}

impl Attachment {
    /// A bill, in a format that is JSON.
    pub fn bill(bill: &Bill, format: DocumentFormat) -> Result<Self, BillFault> {
        let bytes = bill.write(format)?;
        Ok(Self {
            media_type: Some(format.media_type()),
            predicate_type: format.predicate_type(),
            // Tags and values are a text, which is a predicate, too.
            predicate: serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
            bytes,
        })
    }

    /// Statements about vulnerabilities in OpenVEX.
    pub fn vex(bytes: Vec<u8>) -> Result<Self, VexError> {
        read_vex(&bytes, "")?;
        Ok(Self {
            media_type: Some(VEX),
            predicate_type: VEX_PREDICATE,
            predicate: serde_json::from_slice(&bytes)?,
            bytes,
        })
    }

    /// Returns the products that statements about vulnerabilities are about, where none of these is an image with this digest and bill or anything in it. Of
    /// other documents, and where one is, nothing.
    #[must_use]
    pub fn products_of_others(&self, image: Digest, bill: &Bill) -> Vec<String> {
        if self.media_type != Some(VEX) {
            return Vec::new();
        }
        let products = vex_products(&self.predicate);
        let is_inside = |product: &String| {
            product.contains(&image.to_hex()) || names_a_component(product, bill)
        };
        match products.iter().any(is_inside) {
            true => Vec::new(),
            false => products,
        }
    }

    /// How an image was made.
    #[must_use]
    pub fn provenance(provenance: &Provenance) -> Self {
        Self {
            media_type: None,
            predicate_type: PROVENANCE,
            predicate: provenance.predicate(),
            bytes: Vec::new(),
        }
    }
}

/// What is attached to an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AttestationCheck {
    /// How many bills were looked at, plain and signed ones.
    pub bills: usize,
    /// How many statements say how the image was made.
    pub provenances: usize,
    /// How many OpenVEX documents say which vulnerabilities do no harm, plain and signed ones.
    pub vex: usize,
    /// How many bundles of sources there are. What is in them is not looked at.
    pub sources: usize,
    /// How many of all of these are signed by the key that was asked for.
    pub signed: usize,
    /// Bills that do not say which image they are of: those of others.
    pub unnamed: usize,
    /// What is attached to this image and is about another one, or signed by a stranger and changed.
    pub wrong: Vec<WrongAttestation>,
}

/// A document that does not belong to the image that it is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongAttestation {
    /// The digest of its manifest.
    pub referrer: Digest,
    /// What it is.
    pub kind: String,
    /// What is wrong with it, as the rest of a sentence.
    pub problem: String,
}

impl Image<'_> {
    /// Keeps documents beside this image, which was pushed as `name`; with a key, signed ones too. Returns how many.
    pub fn attach(
        &self,
        name: &ImageName,
        repository: &Repository,
        attachments: &[Attachment],
        key: Option<&ImageSecretKey>,
    ) -> Result<usize, SignError> {
        let subject = subject_of(&self.manifest_descriptor()?);
        let what = name.to_string();
        let referrers = Referrers {
            repository,
            what: &what,
        };
        let mut count = 0;
        for attachment in attachments {
            for referrer in referrers_of(attachment, subject.digest, key) {
                attach(&referrers, &subject, referrer)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Whether what has this digest was attached to this image in that repository, as far as this store knows.
    pub fn is_attached(&self, name: &ImageName, what: Digest) -> bool {
        let Some(record) = self.attached_record(name) else {
            return false;
        };
        self.memo.read::<Digest>(&record) == Some(what)
    }

    /// Remembers that.
    pub fn note_attached(&self, name: &ImageName, what: Digest) {
        if let Some(record) = self.attached_record(name) {
            self.memo.write(&record, &what);
        }
    }

    fn attached_record(&self, name: &ImageName) -> Option<String> {
        let place = format!("{}/{}", name.registry(), name.repository());
        let manifest = self.manifest_descriptor().ok()?.digest;
        let place = Digest::of(place.as_bytes()).to_hex();
        Some(format!("{}-{}.attached", manifest.to_hex(), &place[..16]))
    }
}

/// Makes documents about the manifest with this descriptor, to be answered rather than kept. With a key they are signed, and so is the manifest.
pub(crate) fn documents_about(
    manifest: &Descriptor,
    attachments: &[Attachment],
    key: Option<&ImageSecretKey>,
) -> Vec<AttachedDocument> {
    let subject = subject_of(manifest);
    let signature = key.map(|key| Referrer::bundle(bundle::sign(key, subject.digest), SIGNED));
    let referrers = attachments
        .iter()
        .flat_map(|attachment| referrers_of(attachment, subject.digest, key));
    referrers
        .chain(signature)
        .map(|referrer| about(&subject, referrer))
        .collect()
}

pub(super) fn subject_of(manifest: &Descriptor) -> Entry {
    Entry {
        media_type: manifest.media_type.clone(),
        digest: manifest.digest,
        size_bytes: manifest.size_bytes,
        artifact_type: None,
        annotations: Default::default(),
        platform: None,
    }
}

/// Returns the manifests that one document is kept in.
fn referrers_of<'a>(
    attachment: &'a Attachment,
    subject: Digest,
    key: Option<&ImageSecretKey>,
) -> Vec<Referrer<'a>> {
    let (kind, predicate) = (attachment.predicate_type, &attachment.predicate);
    let plain = match attachment.media_type {
        Some(media_type) => Some(Referrer {
            media_type,
            bytes: attachment.bytes.clone(),
            annotations: Default::default(),
        }),
        // A statement is kept once: signed, if somebody signs.
        None if key.is_none() => Some(Referrer {
            media_type: STATEMENT,
            bytes: bundle::statement(subject, kind, predicate),
            annotations: [(PREDICATE_TYPE, kind)].into(),
        }),
        None => None,
    };
    let signed =
        key.map(|key| Referrer::bundle(bundle::attest(key, subject, kind, predicate), kind));
    plain.into_iter().chain(signed).collect()
}

impl ExistingImage<'_> {
    /// Looks at the documents that are kept beside an image in `repository`: whether they are about it, and whose they are.
    pub fn check_attestations(
        &self,
        repository: &Repository,
        key: Option<&ImageKey>,
    ) -> Result<AttestationCheck, SignError> {
        let mut check = AttestationCheck::default();
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        for document in self.documents(None)?.manifests {
            let subject = document.entry.digest;
            let listed = referrers.list(subject)?.into_iter();
            for entry in listed.take(MAX_DOCUMENTS) {
                if let Some(statement) =
                    read_statement(&mut check, &referrers, &entry, subject, key)?
                {
                    count(&mut check, &entry, subject, &statement);
                }
            }
        }
        Ok(check)
    }

    /// Reads how an image was made: the predicate of the provenance that is kept beside it in `repository`, the last one of several. Whoever signed it is
    /// believed.
    pub fn fetch_provenance(&self, repository: &Repository) -> Result<Option<Value>, SignError> {
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        let mut found = None;
        for document in self.documents(None)?.manifests {
            let subject = document.entry.digest;
            let listed = referrers.list(subject)?.into_iter();
            let is_one = |entry: &Entry| {
                entry.annotations.get(PREDICATE_TYPE).map(String::as_str) == Some(PROVENANCE)
            };
            for entry in listed.filter(is_one).take(MAX_DOCUMENTS) {
                let kind = entry.artifact_type.as_deref().unwrap_or_default();
                let bytes = fetch_layer(&referrers, &entry, kind, MAX_DOCUMENT_BYTES)?;
                let statement = bytes.and_then(|bytes| match kind {
                    BUNDLE => bundle::payload(&bytes),
                    _ => serde_json::from_slice(&bytes).ok(),
                });
                let statement = statement.filter(|it| bundle::is_about(it, subject));
                found = statement.map(|it| it["predicate"].clone()).or(found);
            }
        }
        Ok(found)
    }

    /// Reads the bill of this format that is kept beside an image in `repository`, for one platform or all, the last one of several. Fails if one of them says that it is of another image, and
    /// if none says that it is of this one: whoever may push can put there what he likes.
    pub fn fetch_bill(
        &self,
        repository: &Repository,
        platform: Option<&AnyPlatform>,
        format: DocumentFormat,
    ) -> Result<Option<Vec<u8>>, SignError> {
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        let wanted = format.media_type();
        let mut found = None;
        let mut unnamed = None;
        for document in self.documents(platform)?.manifests {
            let image = document.entry.digest;
            let other = |entry: &Entry, found: Vec<String>| {
                SignError::Image(ExistingError::OtherBill {
                    image: self.name().to_owned(),
                    document: entry.digest.to_string(),
                    expected: image,
                    found,
                })
            };
            let listed = referrers.list(image)?.into_iter();
            let bills = listed.filter(|entry| entry.artifact_type.as_deref() == Some(wanted));
            for entry in bills.take(MAX_DOCUMENTS) {
                let bytes = fetch_layer(&referrers, &entry, wanted, MAX_DOCUMENT_BYTES)?;
                let Some(bytes) = bytes else { continue };
                let named = document_subjects(&bytes);
                if named.is_empty() {
                    unnamed = Some(other(&entry, named));
                } else if named.contains(&image.to_hex()) {
                    found = Some(bytes);
                } else {
                    return Err(other(&entry, named));
                }
            }
        }
        match (found, unnamed) {
            (None, Some(unnamed)) => Err(unnamed),
            (found, _) => Ok(found),
        }
    }
}

impl ExistingImage<'_> {
    /// Reads which store paths are in an image from a bill in SPDX 2.3 that is kept beside it in `repository`. With a key, only one is believed that is signed by
    /// it; without, the plain one. None where there is no such bill, or it is about another image.
    pub fn attached_packages(
        &self,
        repository: &Repository,
        key: Option<&ImageKey>,
    ) -> Result<Option<Vec<BillPackage>>, SignError> {
        const FORMAT: DocumentFormat = DocumentFormat::Spdx2;
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        for document in self.documents(None)?.manifests {
            let subject = document.entry.digest;
            for entry in referrers.list(subject)?.into_iter().take(MAX_DOCUMENTS) {
                let kind = entry.artifact_type.as_deref();
                let says = entry.annotations.get(PREDICATE_TYPE).map(String::as_str);
                let bill = match key {
                    Some(key) if kind == Some(BUNDLE) && says == Some(FORMAT.predicate_type()) => {
                        let bytes = fetch_layer(&referrers, &entry, BUNDLE, MAX_DOCUMENT_BYTES)?;
                        let opened = bytes.and_then(|bytes| bundle::open(&bytes, key).ok());
                        let statement = opened.filter(|one| bundle::is_about(one, subject));
                        statement.map(|mut statement| statement["predicate"].take())
                    }
                    None if kind == Some(FORMAT.media_type()) => {
                        let media_type = FORMAT.media_type();
                        let bytes =
                            fetch_layer(&referrers, &entry, media_type, MAX_DOCUMENT_BYTES)?;
                        let bill = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                        bill.filter(|bill| bill_subjects(bill).contains(&subject.to_hex()))
                    }
                    _ => None,
                };
                let packages = bill.and_then(|bill: Value| packages_of(bill).ok());
                if packages.is_some() {
                    return Ok(packages);
                }
            }
        }
        Ok(None)
    }
}

/// Reads the statement that an entry has or stands for; `None` for what is none of ours, or is wrong, which is noted.
fn read_statement(
    check: &mut AttestationCheck,
    referrers: &Referrers<'_>,
    entry: &Entry,
    subject: Digest,
    key: Option<&ImageKey>,
) -> Result<Option<Value>, SignError> {
    let kind = entry.artifact_type.as_deref().unwrap_or_default();
    let says = entry.annotations.get(PREDICATE_TYPE).map(String::as_str);
    let mut wrong = |kind: &str, problem: String| {
        check.wrong.push(WrongAttestation {
            referrer: entry.digest,
            kind: kind.to_owned(),
            problem,
        });
    };
    let statement = match (kind, says) {
        (BUNDLE, Some(SIGNED)) => return Ok(None),
        (BUNDLE, says) => {
            let Some(key) = key else {
                return Ok(None);
            };
            let bytes = fetch_layer(referrers, entry, BUNDLE, MAX_DOCUMENT_BYTES)?;
            let Some(bytes) = bytes else { return Ok(None) };
            match bundle::open(&bytes, key) {
                Ok(statement) if bundle::is_about(&statement, subject) => {
                    check.signed += 1;
                    statement
                }
                Ok(_) => {
                    wrong(says.unwrap_or(kind), "is about another image".to_owned());
                    return Ok(None);
                }
                // Others may sign what they like.
                Err(_) => return Ok(None),
            }
        }
        (STATEMENT, _) => {
            let bytes = fetch_layer(referrers, entry, STATEMENT, MAX_DOCUMENT_BYTES)?;
            let statement: Option<Value> =
                bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            match statement {
                Some(statement) if bundle::is_about(&statement, subject) => statement,
                Some(_) => {
                    wrong(says.unwrap_or(kind), "is about another image".to_owned());
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
        (SOURCES, _) => {
            check.sources += 1;
            return Ok(None);
        }
        (kind, _) => {
            let is_bill = kind == VEX
                || kind.starts_with("application/spdx+json")
                || kind == DocumentFormat::CycloneDx17.media_type();
            if !is_bill {
                return Ok(None);
            }
            let bytes = fetch_layer(referrers, entry, kind, MAX_DOCUMENT_BYTES)?;
            let document: Option<Value> =
                bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let Some(document) = document else {
                wrong(kind, "cannot be read".to_owned());
                return Ok(None);
            };
            let predicate_type = if kind == VEX { VEX_PREDICATE } else { "" };
            serde_json::json!({"predicateType": predicate_type, "predicate": document})
        }
    };
    Ok(Some(statement))
}

/// Counts a statement as what it is, and notes one about another image.
fn count(check: &mut AttestationCheck, entry: &Entry, subject: Digest, statement: &Value) {
    let kind = entry.artifact_type.as_deref().unwrap_or_default();
    if statement["predicateType"] == PROVENANCE {
        check.provenances += 1;
        return;
    }
    if statement["predicateType"] == VEX_PREDICATE {
        check.vex += 1;
        let named = vex_images(&statement["predicate"]);
        if !named.is_empty() && !named.iter().any(|id| id.contains(&subject.to_hex())) {
            check.wrong.push(WrongAttestation {
                referrer: entry.digest,
                kind: kind.to_owned(),
                problem: format!("is about {}, and not about this image", named.join(", ")),
            });
        }
        return;
    }
    check.bills += 1;
    let named = bill_subjects(&statement["predicate"]);
    if named.is_empty() {
        check.unnamed += 1;
    } else if !named.contains(&subject.to_hex()) {
        let problem = format!(
            "is the bill of materials of the image sha256:{}",
            named.join(", ")
        );
        check.wrong.push(WrongAttestation {
            referrer: entry.digest,
            kind: kind.to_owned(),
            problem,
        });
    }
}

/// The products and parts of products that an OpenVEX document is about, sorted.
fn vex_products(document: &Value) -> Vec<String> {
    let statements = document["statements"].as_array().into_iter().flatten();
    let mut pending: Vec<&Value> = statements
        .flat_map(|one| one["products"].as_array().into_iter().flatten())
        .collect();
    let mut found = Vec::new();
    while let Some(product) = pending.pop() {
        let names = [&product["@id"], &product["identifiers"]["purl"]];
        let names = names.into_iter().filter_map(Value::as_str);
        found.extend(names.map(str::to_owned));
        pending.extend(product["subcomponents"].as_array().into_iter().flatten());
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a product is a component of a bill, in whichever version: by its package URL, or by its name where it has no register.
fn names_a_component(product: &str, bill: &Bill) -> bool {
    let Ok(product) = product.parse::<Purl>() else {
        return false;
    };
    let name = product.full_name();
    // An image with a version is one with that digest, which has been looked for.
    if product.kind == "oci" && product.version.is_some() {
        return false;
    }
    let is_nameless = matches!(product.kind.as_str(), "generic" | "oci");
    bill.components.iter().any(|component| {
        let own: Option<Purl> = component.purl.as_ref().and_then(|purl| purl.parse().ok());
        let is_same = |own: Purl| own.kind == product.kind && own.full_name() == name;
        own.is_some_and(is_same) || (is_nameless && component.name.eq_ignore_ascii_case(&name))
    })
}

/// The images that an OpenVEX document says it is about, by package URLs with a digest; most are about software, and none.
fn vex_images(document: &Value) -> Vec<&str> {
    let statements = document["statements"].as_array().into_iter().flatten();
    let products = statements.flat_map(|one| one["products"].as_array().into_iter().flatten());
    let ids = products.filter_map(|product| product["@id"].as_str());
    let mut images: Vec<&str> = ids.filter(|id| id.starts_with("pkg:oci/")).collect();
    images.sort_unstable();
    images.dedup();
    images
}
