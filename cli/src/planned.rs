//! The image that `pith pack TARGET` makes with every default, for what is asked about it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use pack::{Base, Format, Image, ImageSpec, PackOptions};
use recipes::lang::Evaluator;
use store::LocalStore;
use tempfile::TempDir;

use crate::build_options::RealiseOptions;
use crate::commands::image::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
use crate::image::spec_of;
use crate::realise::{Realised, realise};
use crate::select::{Want, select};
use crate::selection::Selection;

/// An image that can be made: its packages are valid, and kept while this lives.
#[derive(Debug)]
pub(crate) struct PlannedImage {
    /// What it is called.
    pub(crate) title: String,
    /// What was selected.
    pub(crate) selection: Selection,
    /// Its packages.
    pub(crate) realised: Realised,
    /// What is wanted of it.
    pub(crate) spec: ImageSpec,
}

/// An image in a directory that goes when this does.
#[derive(Debug)]
pub(crate) struct TemporaryImage {
    _directory: TempDir,
    /// Its layout.
    pub(crate) layout: PathBuf,
}

impl PlannedImage {
    /// Makes the packages of a target valid.
    pub(crate) fn realise(
        context: &Context,
        store: &LocalStore,
        evaluator: &Evaluator,
        target: &str,
    ) -> Result<Self, CommandError> {
        let selection = select(context, evaluator, target, Want::Image)?;
        Self::of(context, store, evaluator, selection)
    }

    /// Makes the packages of what was selected valid.
    pub(crate) fn of(
        context: &Context,
        store: &LocalStore,
        evaluator: &Evaluator,
        selection: Selection,
    ) -> Result<Self, CommandError> {
        let selections = std::slice::from_ref(&selection);
        let realised = realise(context, store, selections, &RealiseOptions::default())?;
        let title = selection.title();
        let platform = evaluator.platform();
        let spec = spec_of(selections, &title, platform, &realised.paths)?;
        Ok(Self {
            title,
            selection,
            realised,
            spec,
        })
    }

    /// Plans the layers. What cannot start can be asked about all the same.
    pub(crate) fn image(&self, store: &LocalStore) -> Result<Image<'static>, CommandError> {
        let (paths, options) = (&self.realised.paths, Self::options());
        Ok(Image::new(store, paths, &self.spec, &options, &|_| ())?)
    }

    fn options() -> PackOptions {
        PackOptions {
            check_start: false,
            ..PackOptions::default()
        }
    }

    /// Writes it where it can be read as any image can, with what is below it.
    pub(crate) fn write(
        &self,
        store: &LocalStore,
        base: Option<&ImagePlace>,
    ) -> Result<TemporaryImage, CommandError> {
        let directory = tempfile::tempdir().map_err(CommandError::failed)?;
        let layout = directory.path().join("image");
        match base {
            None => {
                self.image(store)?.write(Format::Oci, &layout)?;
            }
            Some(place) => {
                let base = place.open()?;
                let base = Base::recall(&base, &self.spec.platform, store)?;
                let paths = &self.realised.paths;
                let options = Self::options();
                let image = Image::on_base(store, paths, &self.spec, &options, &|_| (), base)?;
                image.write(Format::Oci, &layout)?;
            }
        }
        Ok(TemporaryImage {
            _directory: directory,
            layout,
        })
    }

    /// The image that is declared to lie below it, as the recipe names that.
    pub(crate) fn base(&self) -> Option<&str> {
        match &self.selection {
            Selection::Image(image) => image.base.as_deref(),
            Selection::Output { .. } | Selection::Path(_) => None,
        }
    }

    /// The files and directories that its specification asks for, without a slash first.
    pub(crate) fn asked_for(&self) -> BTreeSet<Vec<u8>> {
        let links = self.spec.links.iter().flatten().map(|(path, _)| path);
        let paths = self
            .spec
            .files
            .keys()
            .chain(links)
            .chain(&self.spec.volumes);
        paths.map(|path| path.trim_matches('/').into()).collect()
    }
}
