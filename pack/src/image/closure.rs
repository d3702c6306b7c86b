//! From a store to an image.

use store::{LocalStore, StorePath};

use super::{Image, ImageError, ImageSpec, PackOptions, image::ClosureParts};
use crate::Event;

impl<'a> Image<'a> {
    /// Plans an image of the closure of `roots`, the requested packages in order of importance.
    ///
    /// Reads the database, the `bin` directories of the packages and the first bytes of the programs, and no other file of the store. The closure is protected from collection as long as the
    /// image lives. `events` is called from several threads.
    pub fn new(
        store: &LocalStore,
        roots: &[StorePath],
        spec: &ImageSpec,
        options: &PackOptions,
        events: &'a (dyn Fn(Event<'_>) + Sync),
    ) -> Result<Self, ImageError> {
        let lease = store.lease()?;
        // A path that is held keeps all that it refers to.
        store.hold(&lease, roots)?;
        let closure = store.closure(roots)?;
        let parts = ClosureParts {
            infos: closure.infos().to_vec(),
            requested: roots,
            real_path: &|path| store.real_path(path),
            layers_dir: &store.layers_dir(),
        };
        let mut image = Self::from_closure(parts, spec, options, events)?;
        image.lease = Some(lease);
        Ok(image)
    }
}
