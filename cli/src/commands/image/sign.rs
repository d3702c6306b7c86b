//! `pith image sign`: a signature that cosign reads too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use pack::sign::{SignatureForms, Signed, sign_bundle};
use serde::Serialize;

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::read_image_secret;
use crate::output::plural;
use crate::registry::RegistryArgs;

/// What the name of a signature beside a file ends with.
const SUFFIX: &str = ".sigstore.json";

/// Sign an image: in a registry beside it, of a file into FILE.sigstore.json
///
/// `cosign verify --key KEY.pem --insecure-ignore-tlog` of cosign 3 reads it; `pith key show --pem` writes such a key. The same image and key always give the same
/// signature, with ECDSA too (RFC 6979).
#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// An archive, a layout directory, or a name in a registry; `PATH:TAG` is one of several images
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The secret key: made by `pith key generate`, or ed25519 or ECDSA P-256 in PEM as openssl writes it, not encrypted
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the signature of a file goes
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the signature in the registry also as cosign 2 and podman's policies look for it: under the tag `sha256-DIGEST.sig`
    #[arg(long, conflicts_with = "output")]
    legacy_sig: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    image: &'a str,
    /// Where the signature of a file is.
    output: Option<String>,
    #[serde(flatten)]
    signed: Signed,
}

/// An option makes no sense for an image in a registry.
#[derive(Debug, thiserror::Error)]
#[error("the signature of an image in a registry is kept there, not in a file")]
struct NoFile;

/// An option makes no sense for an image in a file.
#[derive(Debug, thiserror::Error)]
#[error(
    "`--legacy-sig` is for images in registries: `{image}` is a file, which has no tags beside it"
)]
struct NoTag {
    image: String,
}

/// Runs the command.
pub(super) fn sign(args: &SignArgs, context: &Context) -> Result<(), CommandError> {
    let key = read_image_secret(&context.directory().join(&args.key))?;
    let place = ImagePlace::of_existing(&args.image, &args.registry, context)?;
    let image = place.open()?;
    let (signed, output) = match &place {
        ImagePlace::Registry(registry) => {
            if args.output.is_some() {
                return Err(CommandError::new(ExitStatus::Usage, NoFile));
            }
            let forms = match args.legacy_sig {
                true => SignatureForms::BundleAndLegacy,
                false => SignatureForms::Bundle,
            };
            (image.sign(&registry.1, &key, forms)?, None)
        }
        ImagePlace::File(..) if args.legacy_sig => {
            let image = args.image.clone();
            return Err(CommandError::new(ExitStatus::Usage, NoTag { image }));
        }
        ImagePlace::File(path, _) => {
            let output = match &args.output {
                Some(output) => context.directory().join(output),
                None => beside(path),
            };
            let bundle = sign_bundle(&image, &key)?;
            pack::write_file(&output, &bundle)?;
            let digest = image.digest()?;
            let manifests = 1;
            (Signed { digest, manifests }, Some(output))
        }
    };
    let printer = context.printer();
    let output = output.map(|output| output.display().to_string());
    if printer.is_json() {
        printer.json(&Report {
            image: image.name(),
            output,
            signed,
        })?;
        return Ok(());
    }
    let manifests = plural(signed.manifests, "manifest");
    let name = key.name().to_string();
    printer.note(&format!("signed {manifests} with the key `{name}`"));
    printer.result(&output.unwrap_or_else(|| signed.digest.to_string()))?;
    Ok(())
}

/// Where the signature of a file is looked for.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(SUFFIX);
    name.into()
}
