//! What is looked up: the closure of a target, an image's own bill, or a bill that is a file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use pack::existing::{AnyPlatform, Depth, ExistingImage, ImageBill};
use pack::vulns::{Bill, BillError, Subject, read_bill, subjects_of_closure};
use store::LocalStore;
use thiserror::Error;

use crate::build_options::RealiseOptions;
use crate::commands::image::{ImagePlace, any_platform, find_base};
use crate::contents::is_image;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::facts::gather;
use crate::platform::refuse_platform;
use crate::realise::realise;
use crate::registry::RegistryArgs;
use crate::select::{Want, select_all};

/// No bill is larger: one package has some kilobytes.
const MAX_BILL_BYTES: u64 = 1 << 30;

/// What was asked about.
#[derive(Default)]
pub(super) struct Looked {
    /// A package URL or another IRI for all of it.
    pub(super) product: String,
    /// The software in it.
    pub(super) subjects: Vec<Subject>,
    /// What is in it beside that, and nobody has described.
    pub(super) undescribed: BTreeSet<String>,
}

#[derive(Debug, Error)]
enum PlaceError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{name}` is no bill of materials that is understood")]
    Bill { name: String, source: BillError },
    #[error("`{0}` has no bill of materials in it: it cannot be told what is in the image")]
    NoBill(String),
}

/// Finds out what `target` is, and what software is in it.
pub(super) fn look(
    target: &str,
    platform: Option<&AnyPlatform>,
    registry: &RegistryArgs,
    context: &Context,
) -> Result<Looked, CommandError> {
    let path = context.directory().join(target);
    if is_document(&path)? {
        let bytes = read_bounded(&path)?;
        return of_bill(target, &bytes);
    }
    if is_image(target, context.directory()) {
        let place = ImagePlace::of_existing(target, registry, context)?;
        return of_image(&place.open()?, platform, place.depth());
    }
    refuse_platform(target, platform, context.evaluator().platform())?;
    of_target(target, registry, context)
}

/// Whether a path is a file that begins like a JSON document.
fn is_document(path: &Path) -> Result<bool, CommandError> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut head = [0; 64];
    let count = File::open(path).and_then(|mut file| file.read(&mut head));
    let count = count.map_err(|source| unreadable(path, source))?;
    let head = head.get(..count).unwrap_or_default();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    Ok(head.trim_ascii_start().starts_with(b"{"))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BILL_BYTES).read_to_end(&mut bytes))
        .map_err(|source| unreadable(path, source))?;
    Ok(bytes)
}

fn unreadable(path: &Path, source: io::Error) -> CommandError {
    let path = path.to_path_buf();
    CommandError::failed(PlaceError::Read { path, source })
}

/// Reads a file that the command line names.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    fs::read(path).map_err(|source| unreadable(path, source))
}

fn of_bill(name: &str, bytes: &[u8]) -> Result<Looked, CommandError> {
    let bill = parse(name, bytes)?;
    let product = bill.product;
    let images = bill.images.into_iter();
    Ok(Looked {
        product: product.map_or_else(|| generic(name), |product| iri(&product)),
        subjects: bill.subjects,
        undescribed: images
            .map(|image| format!("the image `{image}`, which the bill only names"))
            .collect(),
    })
}

fn parse(name: &str, bytes: &[u8]) -> Result<Bill, CommandError> {
    read_bill(bytes).map_err(|source| {
        let name = name.to_owned();
        CommandError::new(ExitStatus::Undecided, PlaceError::Bill { name, source })
    })
}

fn of_image(
    image: &ExistingImage<'_>,
    platform: Option<&AnyPlatform>,
    depth: Depth,
) -> Result<Looked, CommandError> {
    let mut subjects = Vec::new();
    let mut undescribed = BTreeSet::new();
    for bill in image.bills(platform, depth)? {
        undescribed.extend(
            bill.base
                .map(|base| format!("the layers of `{base}`, the base image")),
        );
        let foreign = bill.foreign.iter();
        undescribed
            .extend(foreign.map(|layer| format!("the layer {layer}, which pith did not write")));
        let Some(bytes) = bill.bytes else {
            let error = PlaceError::NoBill(image.name().to_owned());
            return Err(CommandError::new(ExitStatus::Undecided, error).hint(
                "of an image that pith did not make, give the bill of materials that came with it, as a file",
            ));
        };
        subjects.extend(parse(image.name(), &bytes)?.subjects);
    }
    // An image for several platforms has most of its software in each.
    sort(&mut subjects);
    let name = image.image_name()?;
    let name = name.map(|name| {
        name.repository()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    let name = name.unwrap_or_else(|| "image".to_owned());
    Ok(Looked {
        product: format!("pkg:oci/{name}@{}", image.digest()?),
        subjects,
        undescribed,
    })
}

fn of_target(
    target: &str,
    registry: &RegistryArgs,
    context: &Context,
) -> Result<Looked, CommandError> {
    let targets = [target.to_owned()];
    let evaluator = context.evaluator();
    let selections = select_all(context, &evaluator, &targets, Want::Image)?;
    let base = match find_base(None, &selections, registry, context)? {
        Some(place) => of_base(&place, &any_platform(evaluator.platform())?)?,
        None => Looked::default(),
    };
    let store = context.open_store()?;
    let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
    let closure = store.closure(&realised.paths)?;
    let gathered = gather(context, &store, closure.infos())?;
    let mut component_of = |base: &str| recorded(&store, base);
    let mut subjects = subjects_of_closure(&gathered, &mut component_of);
    subjects.extend(base.subjects);
    sort(&mut subjects);
    let root = realised.paths.first();
    let root = gathered
        .parts
        .iter()
        .find(|part| Some(&part.info.path) == root);
    let component = root.and_then(|part| part.info.component.as_ref());
    let product = match component {
        Some(component) => match (&component.purl, &component.version) {
            (Some(purl), _) => purl.clone(),
            (None, Some(version)) => generic(&format!("{}@{version}", component.name)),
            (None, None) => generic(&component.name),
        },
        None => generic(target),
    };
    Ok(Looked {
        product,
        subjects,
        undescribed: base.undescribed,
    })
}

/// Finds out what is below an image that is declared. An image without a bill is not described.
fn of_base(place: &ImagePlace, platform: &AnyPlatform) -> Result<Looked, CommandError> {
    let image = place.open()?;
    let has_bill = |bill: &ImageBill| bill.bytes.is_some();
    if image
        .bills(Some(platform), Depth::ToBill)?
        .iter()
        .all(has_bill)
    {
        return of_image(&image, Some(platform), place.depth());
    }
    let undescribed = format!("the layers of `{}`, the base image", image.name());
    Ok(Looked {
        undescribed: BTreeSet::from([undescribed]),
        ..Looked::default()
    })
}

/// Software that is in several parts of an image is told once.
fn sort(subjects: &mut Vec<Subject>) {
    subjects.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    subjects.dedup();
}

/// What the store knows of a path that is not in the closure.
fn recorded(store: &LocalStore, base: &str) -> Option<store::Component> {
    let path = base.parse().ok()?;
    // Whatever is not known of it makes it a component without a name that databases know.
    store.path_info(&path).ok()??.component
}

/// A package URL for what has none.
fn generic(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~@".contains(c);
    let name: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    format!("pkg:generic/{}", name.trim_matches('-'))
}

/// The name of a product as an IRI.
fn iri(product: &str) -> String {
    if product.starts_with("pkg:") {
        product.to_owned()
    } else {
        generic(&product.replace(' ', "@"))
    }
}
