//! Registries as commands use them: an image's name with the credentials that are at hand for it.

use pack::ImageName;
use pack::oci::OciError;
use pack::registry::open_repository;
use store::net::{NetOptions, Plaintext};
use store::registry::{RegistryOptions, Repository, is_on_this_machine};
use thiserror::Error;

use crate::caches::{proxies, registry_credentials};
use crate::context::Context;
use crate::error::CommandError;

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
    let options = RegistryOptions {
        net: NetOptions {
            proxies: proxies(variables),
            ..RegistryOptions::default().net
        },
        credentials: registry_credentials(&place, variables),
        plaintext,
        ..RegistryOptions::default()
    };
    open_repository(name, &options).map_err(CommandError::failed)
}
