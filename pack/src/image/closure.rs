//! From a store to an image.

use store::{LocalStore, StorePath};

use super::{Image, ImageError, ImageSpec, PackOptions, image::ClosureParts};
use crate::{Base, Event};

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
        Self::of(store, roots, spec, options, events, None)
    }

    /// Plans the same image on a base: its layers lie below those of the closure, and where `spec` is silent the image is run as the base is. A user, a program and
    /// a working directory other than `/` are what `spec` says.
    pub fn on_base(
        store: &LocalStore,
        roots: &[StorePath],
        spec: &ImageSpec,
        options: &PackOptions,
        events: &'a (dyn Fn(Event<'_>) + Sync),
        base: Base<'a>,
    ) -> Result<Self, ImageError> {
        Self::of(store, roots, spec, options, events, Some(base))
    }

    fn of(
        store: &LocalStore,
        roots: &[StorePath],
        spec: &ImageSpec,
        options: &PackOptions,
        events: &'a (dyn Fn(Event<'_>) + Sync),
        base: Option<Base<'a>>,
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
        let mut image = Self::from_closure(parts, spec, options, events, base)?;
        image.lease = Some(lease);
        Ok(image)
    }
}
