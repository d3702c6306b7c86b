//! `pith sbom`: the bill of materials of targets or of an image.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pack::Base;
use pack::attest::{AttestError, Bill, DocumentFormat, Subject, SubjectBase};
use pack::existing::{AnyPlatform, Depth, ExistingError, ExistingImage};

use super::audit::load_policy;
use super::image::{ImagePlace, find_base};
use crate::build_options::RealiseOptions;
use crate::contents::is_image;
use crate::context::Context;
use crate::documents::DocumentArgs;
use crate::error::{CommandError, ExitStatus};
use crate::facts::gather;
use crate::platform::{image_platform, refuse_platform};
use crate::realise::realise;
use crate::registry::RegistryArgs;
use crate::select::{Want, select_all};
use crate::selection::Selection;

/// Write what is in targets and all that they need: CycloneDX or SPDX
///
/// What is written is checked first: a license that is none, or a reference to nothing, ends with exit status 4 and no document.
/// Of an image it is the bill that is attached to it, or else the one in it, which is SPDX 2.3.
#[derive(Debug, Args)]
pub(crate) struct SbomArgs {
    /// Packages, images that the project declares, store paths; or one image: a file, or `docker://NAME` in a registry
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// cyclonedx (1.7), spdx3 (3.0.1), spdx (2.3, JSON) or spdx-tv (2.3, tags and values)
    #[arg(short, long, value_name = "FORMAT", default_value = "cyclonedx")]
    format: DocumentFormat,
    /// The version of CycloneDX, for tools that do not read the newest
    #[arg(long, value_name = "VERSION")]
    spec: Option<CycloneDxSpec>,
    /// Conclude licenses by FILE, as `pith audit --policy` does; by default by `[audit]` of the settings
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Of an image for several platforms, the one whose bill is meant
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A version of CycloneDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CycloneDxSpec {
    /// 1.6
    #[value(name = "1.6")]
    V1_6,
    /// 1.7
    #[value(name = "1.7")]
    V1_7,
}

/// A version makes no sense for a format.
#[derive(Debug, thiserror::Error)]
#[error("`--spec` is for `-f cyclonedx`, not for `-f {0}`")]
struct NoSpec(DocumentFormat);

/// An image came without what was asked for.
#[derive(Debug, thiserror::Error)]
enum NoBill {
    #[error("no bill of materials is attached to `{image}` or in it")]
    None { image: String },
    #[error("no bill of materials of the format `{format}` is attached to `{image}`")]
    Format {
        image: String,
        format: DocumentFormat,
    },
}

/// Runs the command.
pub(crate) fn sbom(args: &SbomArgs, context: &Context) -> Result<(), CommandError> {
    let format = args.format()?;
    if let [target] = args.targets.as_slice()
        && is_image(target, context.directory())
    {
        let place = ImagePlace::of_existing(target, &args.registry, context)?;
        let document = of_image(&place, format, args.platform.as_ref(), context)?;
        return args.deliver(&document, context);
    }
    let evaluator = context.evaluator();
    let targets = args.targets.join(" ");
    refuse_platform(&targets, args.platform.as_ref(), evaluator.platform())?;
    let mut options = args.document.options(context)?;
    let policy = load_policy(args.policy.as_deref(), context)?;
    let selections = select_all(context, &evaluator, &args.targets, Want::Image)?;
    let store = context.open_store()?;
    let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
    let closure = store.closure(&realised.paths)?;
    let gathered = gather(context, &store, closure.infos())?;
    options.conclude(&gathered, &realised.paths, &policy);
    let mut subject = match selections.as_slice() {
        [only] => Subject::closure(&only.title(), version_of(only)),
        several => {
            let titles: Vec<String> = several.iter().map(Selection::title).collect();
            Subject::closure(&titles.join("+"), None)
        }
    };
    if let Some(place) = find_base(None, &selections, &args.registry, context)? {
        let base = place.open()?;
        let platform = image_platform(evaluator.platform());
        let base = Base::recall(&base, &platform, &store)?;
        subject.base = Some(SubjectBase {
            name: base.name().and_then(|name| name.parse().ok()),
            digest: base.digest(),
        });
    }
    let bill = Bill::load(&store, gathered, &subject, &realised.paths, &options)?;
    let document = bill.write(format).map_err(AttestError::from)?;
    args.deliver(&document, context)
}

/// Reads the bill that came with an image, and says which it is.
fn of_image(
    place: &ImagePlace,
    format: DocumentFormat,
    platform: Option<&AnyPlatform>,
    context: &Context,
) -> Result<Vec<u8>, CommandError> {
    let image = place.open()?;
    check_only(&image, platform)?;
    let printer = context.printer();
    if let ImagePlace::Registry(registry) = place
        && let Some(document) = image.fetch_bill(&registry.1, platform, format)?
    {
        printer.note(&format!("the bill that is attached to `{}`", image.name()));
        return Ok(document);
    }
    let name = image.name().to_owned();
    let bills = image.bills(platform, Depth::ToBill)?.into_iter();
    let mut bills = bills.filter_map(|bill| bill.bytes);
    let Some(document) = bills.next() else {
        return Err(CommandError::new(
            ExitStatus::No,
            NoBill::None { image: name },
        ));
    };
    if format != DocumentFormat::Spdx2 {
        let error = CommandError::new(
            ExitStatus::No,
            NoBill::Format {
                image: name,
                format,
            },
        );
        return Err(error.hint("`-f spdx` writes the one that is in it"));
    }
    printer.note(&format!(
        "the bill in `{}`; none of the format is attached",
        image.name()
    ));
    Ok(document)
}

/// Fails where an image is for several platforms: each has a bill of its own.
fn check_only(
    image: &ExistingImage<'_>,
    platform: Option<&AnyPlatform>,
) -> Result<(), CommandError> {
    let found = image.inspect(platform)?.images;
    if found.len() < 2 {
        return Ok(());
    }
    let error = ExistingError::Platforms {
        image: image.name().to_owned(),
        found: found.into_iter().map(|one| one.platform).collect(),
    };
    Err(CommandError::new(ExitStatus::Usage, error).hint("`--platform` chooses one"))
}

impl SbomArgs {
    fn format(&self) -> Result<DocumentFormat, CommandError> {
        match (self.format, self.spec) {
            (DocumentFormat::CycloneDx17, Some(CycloneDxSpec::V1_6)) => {
                Ok(DocumentFormat::CycloneDx16)
            }
            (format @ DocumentFormat::CycloneDx17, _) | (format, None) => Ok(format),
            (format, Some(_)) => Err(CommandError::new(ExitStatus::Usage, NoSpec(format))),
        }
    }

    fn deliver(&self, document: &[u8], context: &Context) -> Result<(), CommandError> {
        match &self.output {
            Some(output) => {
                let output = context.directory().join(output);
                pack::write_file(&output, document)?;
                context
                    .printer()
                    .note(&format!("wrote `{}`", output.display()));
                Ok(())
            }
            None => {
                let text = String::from_utf8_lossy(document);
                Ok(context.printer().result(text.trim_end_matches('\n'))?)
            }
        }
    }
}

fn version_of(selection: &Selection) -> Option<&str> {
    match selection {
        Selection::Output { package, .. } => package.derivation.metadata().version.as_deref(),
        Selection::Image(_) | Selection::Path(_) => None,
    }
}
