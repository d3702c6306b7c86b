//! Registries as commands use them: an image's name with the credentials that are at hand for it.

use std::fmt::Write as _;

use clap::Args;
use pack::existing::ImageReference;
use pack::oci::{Digest, OciError};
use pack::registry::{Pushed, open_repository};
use pack::{Compression, ImageName};
use store::net::{NetOptions, Plaintext};
use store::registry::{RegistryOptions, Repository, is_on_this_machine};
use thiserror::Error;

use crate::caches::{proxies, registry_credentials};
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Printer, human_bytes, plural};

/// How registries are asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct RegistryArgs {
    /// Speak http to registries elsewhere too: everybody on the way can read and change what is sent
    #[arg(long)]
    insecure: bool,
}

impl RegistryArgs {
    /// What may cross the network unencrypted.
    pub(crate) const fn plaintext(&self) -> Plaintext {
        if self.insecure {
            Plaintext::Allowed
        } else {
            Plaintext::Denied
        }
    }
}

/// Why a registry is not asked.
#[derive(Debug, Error)]
enum RegistryUseError {
    /// Only what is on this machine may be used.
    #[error("the registry of `{0}` is not on this machine, and `--offline` was asked for")]
    Offline(ImageName),
}

/// Reads the name of an image in a registry, also as skopeo has it.
pub(crate) fn parse_reference(text: &str) -> Result<ImageName, OciError> {
    text.strip_prefix("docker://").unwrap_or(text).parse()
}

/// Reads the name of an image that is in a registry, also as skopeo has it; it may have a digest.
pub(crate) fn parse_existing(text: &str) -> Result<ImageReference, OciError> {
    text.strip_prefix("docker://").unwrap_or(text).parse()
}

/// Makes ready to speak to the registry of `name`. Asks nobody.
pub(crate) fn open_registry(
    context: &Context,
    name: &ImageName,
    plaintext: Plaintext,
) -> Result<Repository, CommandError> {
    let settings = context.settings();
    if settings.offline && !is_on_this_machine(name.registry()) {
        return Err(CommandError::failed(RegistryUseError::Offline(
            name.clone(),
        )));
    }
    let variables = &settings.variables;
    let place = format!("{}/{}", name.registry(), name.repository());
    let known = settings.registries.of(name.registry());
    let options = RegistryOptions {
        profile: known.profile(),
        net: NetOptions {
            proxies: proxies(variables),
            ..RegistryOptions::default().net
        },
        credentials: registry_credentials(&place, variables)?,
        plaintext,
        ..RegistryOptions::default()
    };
    open_repository(name, &options).map_err(CommandError::failed)
}

/// How layers are compressed that go to these registries and nowhere else: in the way that settings say of each of them, and otherwise so that every client
/// reads them.
pub(crate) fn usual_compression(context: &Context, names: &[ImageName]) -> Compression {
    let registries = &context.settings().registries;
    let mut wanted = names.iter().map(|name| {
        registries
            .of(name.registry())
            .compression
            .unwrap_or_default()
    });
    let first = wanted.next().unwrap_or_default();
    if wanted.all(|other| other == first) {
        first
    } else {
        Compression::default()
    }
}

/// Says what a push cost, and prints by which name the image is never another one.
pub(crate) fn tell_pushed(
    printer: &Printer,
    name: &ImageName,
    pushed: &Pushed,
) -> Result<(), CommandError> {
    note_pushed(printer, pushed);
    Ok(printer.result(&digest_reference(name, pushed.manifest_digest))?)
}

/// The image in a registry by its digest, which stands for the same bytes for ever.
pub(crate) fn digest_reference(name: &ImageName, digest: Digest) -> String {
    let place = format!("{}/{}", name.registry(), name.repository());
    format!("{place}@{digest}")
}

/// Says what a push cost, and with `-v` how it was done.
pub(crate) fn note_pushed(printer: &Printer, pushed: &Pushed) {
    printer.note(&pushed_note(pushed));
    let name = &pushed.name;
    match pushed.chunk_bytes {
        0 => {}
        usize::MAX => printer.detail(&format!("`{name}`: each blob in one request")),
        bytes => printer.detail(&format!(
            "`{name}`: in chunks of {}",
            human_bytes(bytes as u64)
        )),
    }
}

/// What a push cost.
fn pushed_note(pushed: &Pushed) -> String {
    let name = &pushed.name;
    if pushed.unchanged {
        return format!("`{name}` is this image already");
    }
    let mut text = format!(
        "`{name}`: sent {}, {}",
        plural(pushed.sent_blobs, "blob"),
        human_bytes(pushed.sent_bytes)
    );
    if pushed.present_blobs > 0 {
        let present = human_bytes(pushed.present_bytes);
        let _ = write!(text, "; it had {}, {present}", pushed.present_blobs);
    }
    if pushed.mounted_blobs > 0 {
        let _ = write!(text, "; {} from other repositories", pushed.mounted_blobs);
    }
    text
}
