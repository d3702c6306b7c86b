//! `pith image verify`: everything of an image again, from its bytes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clap::Args;
use pack::existing::ExistingImage;
use pack::sign::{AttestationCheck, SignatureCheck, verify_bundle};
use pack::{MismatchKind, Validation, validate_image};
use serde::Serialize;
use thiserror::Error;

use super::place::ImagePlace;
use super::sign::beside;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::read_image_key;
use crate::output::plural;
use crate::registry::RegistryArgs;

/// Read all of an image, and compare every digest in it with what is found
///
/// Of images that pith made, what lies at each store path is compared with the path, which is its digest, and any other file is named that does not belong there.
/// Exit status 4 says that the image is damaged, 3 that it is whole and has something in it that pith did not put there, or is not signed by the key.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// An archive, a layout directory, or a name in a registry; `PATH:TAG` is one of several images
    #[arg(value_name = "IMAGE")]
    image: String,
    /// A file or directory that belongs to the image beside its packages, such as `files` of `image(…)` has; may be repeated
    #[arg(long = "allow", value_name = "PATH")]
    allowed: Vec<String>,
    /// Have it be signed by this key too: a file with a public key of pith, or in PEM, as cosign has it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The signature of a file, if it is not FILE.sigstore.json
    #[arg(long, value_name = "FILE", requires = "key")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    image: &'a str,
    #[serde(flatten)]
    found: &'a Validation,
    /// The name of the key by which it is signed; null if that was not asked for, or is not so.
    signed_by: Option<String>,
    /// What is kept beside it; null of an image that is in no registry.
    attached: Option<&'a AttestationCheck>,
}

/// An image is not what it says, or not what it should be.
#[derive(Debug, Error)]
enum Wrong {
    #[error("`{image}` is not what it says: {problems}")]
    Damaged { image: String, problems: String },
    #[error("`{image}` has something in it that pith did not put there: {problems}")]
    Contents { image: String, problems: String },
    #[error("`{image}` is not signed by the key `{key}`: {reason}")]
    Unsigned {
        image: String,
        key: String,
        reason: String,
    },
    #[error("{ANOTHER_IMAGES}: `{document}`, which is attached to `{image}`, {problem}")]
    Attached {
        image: String,
        document: String,
        problem: String,
    },
}

/// The code of documents that do not belong to their image.
const ANOTHER_IMAGES: &str = "I102";

/// Runs the command.
pub(super) fn verify(args: &VerifyArgs, context: &Context) -> Result<(), CommandError> {
    let place = ImagePlace::of_existing(&args.image, &args.registry, context)?;
    let image = place.open()?;
    let allowed: BTreeSet<Vec<u8>> = (args.allowed.iter())
        .map(|path| path.trim_matches('/').as_bytes().to_vec())
        .collect();
    let found = validate_image(&image, &allowed)?;
    let signature = match &args.key {
        Some(key) => Some(check_signature(args, &place, &image, key, context)?),
        None => None,
    };
    let attached = match &place {
        ImagePlace::Registry(registry) => {
            let key = args.key.as_ref();
            let key = key.map(|key| read_image_key(&context.directory().join(key)));
            let key = key.transpose()?;
            Some(image.check_attestations(&registry.1, key.as_ref())?)
        }
        ImagePlace::File(..) => None,
    };
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            image: image.name(),
            found: &found,
            signed_by: signature
                .as_ref()
                .and_then(|result| result.as_ref().ok().cloned()),
            attached: attached.as_ref(),
        })?;
    } else {
        for mismatch in &found.mismatches {
            printer.result(&mismatch.to_string().replace(is_unsafe, "?"))?;
        }
        tell(&found, context);
        if let Some(Ok(key)) = &signature {
            printer.note(&format!("signed by the key `{key}`"));
        }
        if let Some(attached) = &attached {
            tell_attached(attached, context);
        }
    }
    judge(image.name(), &found)?;
    if let Some(wrong) = attached.iter().flat_map(|attached| &attached.wrong).next() {
        let wrong = Wrong::Attached {
            image: image.name().to_owned(),
            document: wrong.referrer.to_string(),
            problem: wrong.problem.clone(),
        };
        return Err(CommandError::new(ExitStatus::Damaged, wrong));
    }
    match signature {
        Some(Err(wrong)) => Err(CommandError::new(ExitStatus::No, wrong)),
        _ => Ok(()),
    }
}

/// Returns the name of the key by which an image is signed, or why it is not.
fn check_signature(
    args: &VerifyArgs,
    place: &ImagePlace,
    image: &ExistingImage<'_>,
    key: &Path,
    context: &Context,
) -> Result<Result<String, Wrong>, CommandError> {
    let key = read_image_key(&context.directory().join(key))?;
    let check = match place {
        ImagePlace::Registry(registry) => image.check_signatures(&registry.1, &key)?,
        ImagePlace::File(path, _) => {
            let file = match &args.bundle {
                Some(file) => context.directory().join(file),
                None => beside(path),
            };
            match fs::read(&file) {
                Ok(bundle) => verify_bundle(image, &bundle, &key)?,
                Err(error) if error.kind() == ErrorKind::NotFound => SignatureCheck {
                    found: 0,
                    result: Err(None),
                },
                Err(source) => return Err(CommandError::failed(ReadError { path: file, source })),
            }
        }
    };
    let name = key.name().to_string();
    Ok(match check.result {
        Ok(()) => Ok(name),
        Err(reason) => Err(Wrong::Unsigned {
            image: image.name().to_owned(),
            key: name,
            reason: match reason {
                None => "there is no signature".to_owned(),
                Some(reason) => match check.found {
                    1 => reason.to_string(),
                    count => format!("there are {count}, and of the last one {reason}"),
                },
            },
        }),
    })
}

/// A signature cannot be read.
#[derive(Debug, Error)]
#[error("cannot read `{}`", path.display())]
struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// A character that does something to a terminal.
fn is_unsafe(character: char) -> bool {
    character.is_control() && character != '\n'
}

/// Says what is kept beside the image.
fn tell_attached(attached: &AttestationCheck, context: &Context) {
    let AttestationCheck {
        bills,
        provenances,
        vex,
        sources,
        signed,
        unnamed,
        ..
    } = attached;
    let kinds = [
        (*bills, "bill of materials", "bills of materials"),
        (*provenances, "provenance", "provenances"),
        (*vex, "OpenVEX document", "OpenVEX documents"),
        (*sources, "bundle of sources", "bundles of sources"),
    ];
    let found: Vec<String> = (kinds.into_iter())
        .filter_map(|(count, one, several)| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {several}")),
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let unnamed = match unnamed {
        0 => String::new(),
        count => format!("; {count} do not say which image they are of"),
    };
    context.printer().note(&format!(
        "attached: {}; {signed} of them signed by the key{unnamed}",
        found.join(", "),
    ));
}

/// Says what was compared, and what could not be.
fn tell(found: &Validation, context: &Context) {
    let printer = context.printer();
    let layers = plural(found.layers, "layer");
    let objects = plural(found.objects, "store path");
    printer.note(&format!(
        "read {layers} with {} entries; {objects} are what they are called",
        found.entries
    ));
    if found.of_others > 0 {
        let images = plural(found.of_others, "image");
        printer.note(&format!(
            "{images} not made by pith: of these only digests were compared"
        ));
    }
    if !found.base_layers.is_empty() {
        let layers = plural(found.base_layers.len(), "layer");
        let read = match found.described_base_layers {
            0 => "of these only digests were compared".to_owned(),
            read if read == found.base_layers.len() => "all of them made by pith".to_owned(),
            read => format!("{read} made by pith; of the others only digests were compared"),
        };
        printer.note(&format!("{layers} of a base image: {read}"));
        for digest in &found.base_layers {
            printer.note(&format!("  {digest}"));
        }
    }
    if found.unattributed > 0 {
        printer.note(&format!(
            "{} files lie at the root, where packages of a distribution do, and were not compared with anything but digests",
            found.unattributed
        ));
    }
}

fn judge(image: &str, found: &Validation) -> Result<(), CommandError> {
    if found.mismatches.is_empty() {
        return Ok(());
    }
    let count = found.mismatches.len();
    let problems = if count == 1 {
        "1 mismatch".to_owned()
    } else {
        format!("{count} mismatches")
    };
    let image = image.to_owned();
    let kinds = || found.mismatches.iter().map(|mismatch| mismatch.kind);
    Err(if kinds().any(|kind| kind == MismatchKind::Damage) {
        CommandError::new(ExitStatus::Damaged, Wrong::Damaged { image, problems })
    } else {
        CommandError::new(ExitStatus::No, Wrong::Contents { image, problems })
            .hint("`--allow PATH` says of a file that it belongs to the image")
    })
}
