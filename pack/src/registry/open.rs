//! From an image's name to the repository that it lies in.

use store::{
    net::Plaintext,
    registry::{RegistryError, RegistryOptions, Repository, is_on_this_machine},
};

use crate::oci::ImageName;

/// Makes ready to speak to the registry of `name`. Asks nobody.
///
/// A registry on this very machine is spoken to over `http`, as all clients of registries do it; others only if the options allow it.
pub fn open_repository(
    name: &ImageName,
    options: &RegistryOptions,
) -> Result<Repository, RegistryError> {
    let mut options = options.clone();
    if is_on_this_machine(name.registry()) {
        options.plaintext = Plaintext::Allowed;
    }
    Repository::open(name.registry_host(), name.repository(), &options)
}
