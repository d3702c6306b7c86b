//! An image that is audited: by its bill, and by what the store has recorded of the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use pack::audit::bytes::compare;
use pack::audit::inventory::{Inventory, Unit, UnitText, copyright_owner};
use pack::audit::{Code, Diagnostic, Severity, policy::Policy};
use pack::existing::{AnyPlatform, BillPackage, Depth, ExistingError, ExistingImage, ImageFacts};
use pack::sign::ImageKey;
use recipes::facts::read_file_texts;
use store::facts::Finding;
use store::registry::Repository;
use thiserror::Error;

use super::subject::Audited;
use crate::commands::image::place::ImagePlace;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::facts::gather;
use crate::key_file::read_image_key;
use crate::registry::RegistryArgs;

/// Which image is meant, and whom to believe.
pub(super) struct ImageQuestion<'a> {
    pub(super) platform: Option<&'a AnyPlatform>,
    pub(super) registry: &'a RegistryArgs,
    /// The key by which documents that are kept beside an image are signed.
    pub(super) key: Option<&'a Path>,
    /// A bill that goes before the one in the image.
    pub(super) sbom: Option<&'a Path>,
    pub(super) evidence: Evidence,
}

/// What is taken for known of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// What it says of itself.
    Image,
    /// Also what this machine's store has of the same bytes.
    Store,
}

/// No bill is larger: one package has some kilobytes.
const MAX_BILL_BYTES: u64 = 1 << 30;

#[derive(Debug, Error)]
#[error("cannot read `{}`", path.display())]
struct UnreadBill {
    path: PathBuf,
    source: io::Error,
}

/// Nobody answers for what an image says of itself.
#[derive(Debug, Error)]
#[error("nothing that is kept beside `{image}` is signed by the key `{key}`")]
struct Unsigned {
    image: String,
    key: String,
}

/// A key was given for an image beside which nothing is kept.
#[derive(Debug, Error)]
#[error(
    "`--key` is about what is kept beside an image in a registry, and `{image}` is a file or directory"
)]
struct KeyOfFile {
    image: String,
}

/// Reads what is known of an image for one platform.
pub(super) fn load_image(
    text: &str,
    question: &ImageQuestion<'_>,
    policy: &Policy,
    context: &Context,
) -> Result<Audited, CommandError> {
    let place = ImagePlace::of_existing(text, question.registry, context)?;
    if let (Some(_), ImagePlace::File(..)) = (question.key, &place) {
        let image = text.to_owned();
        return Err(
            CommandError::new(ExitStatus::Usage, KeyOfFile { image }).hint(format!(
                "`pith image verify {text} --key FILE` checks the signature of the image itself"
            )),
        );
    }
    let image = place.open()?;
    let key = question.key.map(|key| context.directory().join(key));
    let key = key.map(|key| read_image_key(&key)).transpose()?;
    let repository = match &place {
        ImagePlace::Registry(registry) => Some(&registry.1),
        ImagePlace::File(..) => None,
    };
    let mut wrong = match repository {
        Some(repository) => wrong_documents(&image, repository, key.as_ref())?,
        None => Vec::new(),
    };
    // Of an image in a registry all layers would have to be fetched.
    let depth = match repository {
        Some(_) => Depth::ToBill,
        None => Depth::All,
    };
    let mut facts = only_image(text, &image, question.platform, depth)?;
    if let Some(path) = question.sbom {
        facts.set_packages(given_bill(&image, &facts, path, context)?);
    } else if let Some(repository) = repository
        // A bill that somebody answers for goes before the one in the image, and any before none.
        && (key.is_some() || facts.packages.is_none())
        && let Some(packages) = image.attached_packages(repository, key.as_ref())?
    {
        let printer = context.printer();
        printer.note("judged by the bill that is attached to the image");
        facts.set_packages(packages);
    }
    let mut inventory = Inventory::of_image(&facts);
    if inventory.units.iter().any(Unit::is_debian) {
        inventory.add_copyrights(&copyrights(&image, &facts)?);
    }
    if repository.is_none() && question.evidence == Evidence::Store {
        let damage;
        (inventory, damage) = with_recorded(inventory, &image, &facts, policy, context)?;
        wrong.extend(damage);
    }
    Ok(Audited { inventory, wrong })
}

/// Reads what the image for the platform says of itself.
fn only_image(
    text: &str,
    image: &ExistingImage<'_>,
    platform: Option<&AnyPlatform>,
    depth: Depth,
) -> Result<ImageFacts, CommandError> {
    let mut images = image.inspect_layers(platform, depth)?.images;
    if images.len() == 1 {
        return Ok(images.remove(0));
    }
    let images = images.into_iter();
    let error = ExistingError::Platforms {
        image: text.to_owned(),
        found: images.map(|one| one.platform).collect(),
    };
    Err(CommandError::new(ExitStatus::Usage, error).hint("`--platform` chooses one"))
}

/// Reads the bill at `path`, which has to be that of the image.
fn given_bill(
    image: &ExistingImage<'_>,
    facts: &ImageFacts,
    path: &Path,
    context: &Context,
) -> Result<Vec<BillPackage>, CommandError> {
    let mut bytes = Vec::new();
    let place = context.directory().join(path);
    File::open(&place)
        .and_then(|file| file.take(MAX_BILL_BYTES).read_to_end(&mut bytes))
        .map_err(|source| {
            CommandError::failed(UnreadBill {
                path: place,
                source,
            })
        })?;
    let name = path.display().to_string();
    Ok(image.read_given_bill(facts.manifest, &name, &bytes)?)
}

/// Takes what the store recorded of the store paths whose very bytes are in the image for what the bill says of these; and says what of the image is damaged.
fn with_recorded(
    inventory: Inventory,
    image: &ExistingImage<'_>,
    facts: &ImageFacts,
    policy: &Policy,
    context: &Context,
) -> Result<(Inventory, Vec<Diagnostic>), CommandError> {
    let bill = facts.packages.as_deref().unwrap_or_default();
    if bill.is_empty() || !context.has_store() {
        return Ok((inventory, Vec::new()));
    }
    let store = context.open_store()?;
    let compared = compare(image, facts.manifest, bill, &store)?;
    let damage = compared.damage.iter().map(|one| {
        let path = one.path.trim_start_matches('/');
        let what = if path.is_empty() {
            "the layer".to_owned()
        } else {
            format!("`/{path}`")
        };
        let mut diagnostic = Diagnostic::new(
            Code::B101,
            Severity::Damaged,
            format!("{what} {}", one.problem),
        );
        diagnostic
            .evidence
            .push(format!("in the layer {}", one.layer));
        diagnostic
    });
    let damage = damage.collect();
    if compared.same.is_empty() {
        return Ok((inventory, damage));
    }
    let gathered = gather(context, &store, &compared.same)?;
    let mut inventory = inventory.with_recorded(&gathered);
    if policy.sandbox.is_some() {
        inventory.add_sandboxes(&store, &gathered)?;
    }
    context.printer().detail(&format!(
        "the store has recorded {} of the {} store paths in the image",
        compared.same.len(),
        bill.len()
    ));
    Ok((inventory, damage))
}

/// What the copyright file of a package says.
type Copyright = (Vec<Finding>, Vec<UnitText>);

/// Reads the copyright files in an image, as they were read when its packages were unpacked.
fn copyrights(
    image: &ExistingImage<'_>,
    facts: &ImageFacts,
) -> Result<BTreeMap<String, Copyright>, CommandError> {
    let is_wanted = |path: &str| copyright_owner(path).is_some();
    let files = image.read_texts(facts.manifest, &is_wanted)?;
    let read = files.iter().filter_map(|(path, bytes)| {
        let found = read_file_texts(path, bytes);
        let texts = found.texts.into_iter();
        let texts = texts.map(|(path, normal)| UnitText { path, normal });
        Some((
            copyright_owner(path)?.to_owned(),
            (found.findings, texts.collect()),
        ))
    });
    Ok(read.collect())
}

/// Looks at the documents that are kept beside an image: one that is about another image is damage, whoever put it there.
fn wrong_documents(
    image: &ExistingImage<'_>,
    repository: &Repository,
    key: Option<&ImageKey>,
) -> Result<Vec<Diagnostic>, CommandError> {
    let check = image.check_attestations(repository, key)?;
    if let Some(key) = key
        && check.signed == 0
    {
        let (image, key) = (image.name().to_owned(), key.name().to_string());
        return Err(CommandError::new(
            ExitStatus::Damaged,
            Unsigned { image, key },
        ));
    }
    let wrong = check.wrong.into_iter().map(|wrong| {
        let message = format!("`{}`, which is attached, {}", wrong.referrer, wrong.problem);
        let mut diagnostic = Diagnostic::new(Code::I102, Severity::Damaged, message);
        diagnostic
            .evidence
            .push(format!("a document of the kind `{}`", wrong.kind));
        diagnostic
    });
    Ok(wrong.collect())
}
