//! What is audited: a closure in the store, or an image by what its bill says.

use std::collections::BTreeMap;
use std::path::Path;

use pack::audit::inventory::{Inventory, Unit, UnitText, copyright_owner};
use pack::audit::{Code, Diagnostic, Gathered, Severity, policy::Policy};
use pack::existing::{AnyPlatform, ExistingError, ExistingImage, ImageFacts};
use pack::sign::ImageKey;
use recipes::facts::read_file_texts;
use store::facts::Finding;
use store::registry::Repository;
use store::{LocalStore, StorePath};

use crate::build_options::RealiseOptions;
use crate::commands::image::place::ImagePlace;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::facts::ensure;
use crate::key_file::read_image_key;
use crate::realise::{Realised, realise};
use crate::registry::RegistryArgs;
use crate::select::{Want, select};

/// What is judged.
pub(crate) struct Audited {
    /// The components.
    pub(crate) inventory: Inventory,
    /// What is wrong with what an image came with.
    pub(crate) wrong: Vec<Diagnostic>,
}

/// Which image is meant, and whom to believe.
pub(super) struct ImageQuestion<'a> {
    pub(super) platform: Option<&'a AnyPlatform>,
    pub(super) registry: &'a RegistryArgs,
    /// The key by which documents that are kept beside an image are signed.
    pub(super) key: Option<&'a Path>,
}

/// A closure whose facts were read. Its paths are kept while this lives.
pub(crate) struct Found {
    /// What is recorded of it.
    pub(crate) gathered: Gathered,
    /// What was asked for.
    pub(crate) roots: Vec<StorePath>,
    _realised: Realised,
}

impl Found {
    /// Makes a target valid and reads what is recorded of its closure.
    pub(crate) fn load(
        text: &str,
        store: &LocalStore,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let selection = select(context, &context.evaluator(), text, Want::Image)?;
        let realised = realise(context, store, &[selection], &RealiseOptions::default())?;
        let roots = realised.paths.clone();
        let mut gathered = Gathered::load(store, &roots)?;
        if ensure(context, store, &gathered)? > 0 {
            gathered = Gathered::load(store, &roots)?;
        }
        Ok(Self {
            gathered,
            roots,
            _realised: realised,
        })
    }

    /// The components.
    pub(crate) fn inventory(&self) -> Inventory {
        Inventory::of_closure(&self.gathered, &self.roots)
    }
}

impl Audited {
    /// Looks `text` up: an image where it can be one, else a target, which is built if it has to be.
    pub(super) fn load(
        text: &str,
        question: &ImageQuestion<'_>,
        policy: &Policy,
        context: &Context,
    ) -> Result<Self, CommandError> {
        if is_image(text, context) {
            return Self::of_image(text, question, context);
        }
        let store = context.open_store()?;
        let found = Found::load(text, &store, context)?;
        let mut inventory = found.inventory();
        if policy.sandbox.is_some() {
            inventory.add_sandboxes(&store, &found.gathered)?;
        }
        Ok(Self {
            inventory,
            wrong: Vec::new(),
        })
    }

    fn of_image(
        text: &str,
        question: &ImageQuestion<'_>,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let place = ImagePlace::of_existing(text, question.registry, context)?;
        let image = place.open()?;
        let key = question.key.map(|key| context.directory().join(key));
        let key = key.map(|key| read_image_key(&key)).transpose()?;
        let repository = match &place {
            ImagePlace::Registry(registry) => Some(&registry.1),
            ImagePlace::File(..) => None,
        };
        let wrong = match repository {
            Some(repository) => wrong_documents(&image, repository, key.as_ref(), context)?,
            None => Vec::new(),
        };
        let mut inspection = image.inspect(question.platform)?;
        match inspection.images.len() {
            1 => {
                let mut facts = inspection.images.remove(0);
                // A bill that somebody answers for goes before the one in the image, and any before none.
                if let Some(repository) = repository
                    && (key.is_some() || facts.packages.is_none())
                    && let Some(packages) = image.attached_packages(repository, key.as_ref())?
                {
                    let printer = context.printer();
                    printer.note("judged by the bill that is attached to the image");
                    facts.packages = Some(packages);
                }
                let mut inventory = Inventory::of_image(&facts);
                if inventory.units.iter().any(Unit::is_debian) {
                    inventory.add_copyrights(&copyrights(&image, &facts)?);
                }
                Ok(Self { inventory, wrong })
            }
            _ => {
                let found = inspection
                    .images
                    .into_iter()
                    .map(|one| one.platform)
                    .collect();
                let error = ExistingError::Platforms {
                    image: text.to_owned(),
                    found,
                };
                Err(CommandError::new(ExitStatus::Usage, error).hint("`--platform` chooses one"))
            }
        }
    }
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
    context: &Context,
) -> Result<Vec<Diagnostic>, CommandError> {
    let check = image.check_attestations(repository, key)?;
    if key.is_some() && check.signed == 0 {
        context
            .printer()
            .note("nothing that is kept beside the image is signed by the key");
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

/// Whether `text` names an image rather than a target: a file, a layout, or a name with a registry before it.
fn is_image(text: &str, context: &Context) -> bool {
    const PREFIXES: [&str; 4] = ["docker://", "oci-archive:", "docker-archive:", "oci:"];
    if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || text.ends_with(".tar") {
        return true;
    }
    let is_one = |text: &str| {
        let path = context.directory().join(text);
        path.is_file() || path.join("oci-layout").is_file()
    };
    let without_tag = text.rsplit_once(':').map(|(path, _)| path);
    if is_one(text) || without_tag.is_some_and(is_one) {
        return true;
    }
    let is_directory = |text: &str| context.directory().join(text).is_dir();
    if text.starts_with(['/', '.']) || is_directory(text) || without_tag.is_some_and(is_directory) {
        return false;
    }
    let host = text.split_once('/').map(|(host, _)| host);
    host.is_some_and(|host| host == "localhost" || host.contains(['.', ':']))
}
