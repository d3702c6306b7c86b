//! How `pith pack` divides an image into layers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::RangedU64ValueParser;
use pack::layer::{LayerMode, LayerRule, PlanError, PlanFile, origin_of};
use pack::{Image, PackOptions};
use recipes::nearest;
use store::Closure;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::whole_file::write_whole;

/// The most layers that there may be: what a layer for each path needs.
const MOST_LAYERS: usize = 100;

/// Says which patterns of declared layers mean nothing in any of the images, whose closures these are: an image for one platform may lack what that for another has.
pub(crate) fn tell_unmatched(rules: &[LayerRule], closures: &[Closure], context: &Context) {
    let infos = || closures.iter().flat_map(Closure::infos);
    for rule in rules {
        let mut unmatched = rule.unmatched(closures.first().map_or(&[], Closure::infos));
        for closure in closures {
            let here = rule.unmatched(closure.infos());
            unmatched.retain(|pattern| here.contains(pattern));
        }
        for pattern in unmatched {
            let origins: BTreeSet<String> = infos().map(origin_of).collect();
            let plain = pattern.replace('*', "");
            let near = nearest(&plain, origins.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            context.printer().always(&format!(
                "warning: the pattern `{pattern}` of the layer `{}` means nothing that is in the image{near}",
                rule.name
            ));
        }
    }
}

fn layer_count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=MOST_LAYERS as u64)
}

/// The flags.
#[derive(Debug, Args)]
pub(crate) struct LayerArgs {
    /// At most N layers, 1 to 100; 16 by default, and 100 with `--layers per-path`
    #[arg(long, value_name = "N", value_parser = layer_count())]
    max_layers: Option<usize>,
    /// How store paths are divided into layers: auto, single or per-path
    #[arg(long, value_name = "MODE", default_value_t)]
    layers: LayerMode,
    /// Replace the digests of store paths by what depends on their names alone, so that a rebuild of a library changes its own layer only
    ///
    /// For archives, layouts, tars and registries. Paths where that would not be complete keep theirs, which is said. What a program computes over files with paths in them, such as
    /// signatures, does not hold any more.
    #[arg(long)]
    stable_paths: bool,
    /// Plan layers with what FILE says of change rates and of the layers that are published already
    ///
    /// The digest of FILE is written into the image, so that the same command with the same file gives the same image everywhere.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Put the layers of this image into FILE, for `--plan` of the next one; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    write_plan: Option<PathBuf>,
}

/// A plan file cannot be read.
#[derive(Debug, Error)]
#[error("cannot read the plan file `{}`", path.display())]
struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// A plan file is none.
#[derive(Debug, Error)]
#[error("cannot use the plan file `{}`", path.display())]
struct BadPlanFile {
    path: PathBuf,
    source: PlanError,
}

impl LayerArgs {
    /// Returns `options` with what the flags say. Reads the plan files, so that nothing is built in vain.
    pub(crate) fn apply(
        &self,
        context: &Context,
        options: PackOptions,
    ) -> Result<PackOptions, CommandError> {
        self.plan_to_write(context)?;
        let most = match self.layers {
            LayerMode::PerPath => MOST_LAYERS,
            LayerMode::Auto | LayerMode::Single => options.max_layers,
        };
        let plan = self.plan.as_deref();
        let plan = plan.map(|path| read(&context.directory().join(path)));
        Ok(PackOptions {
            max_layers: self.max_layers.unwrap_or(most),
            layers: self.layers,
            plan: plan.transpose()?,
            stable_paths: self.stable_paths,
            ..options
        })
    }

    /// Writes the plan file that is asked for.
    pub(crate) fn write_plan(
        &self,
        context: &Context,
        images: &[Image<'_>],
    ) -> Result<(), CommandError> {
        let Some((path, mut plan)) = self.plan_to_write(context)? else {
            return Ok(());
        };
        for image in images {
            image.record_plan(&mut plan);
        }
        write_whole(&path, &plan.to_text())
    }

    /// Returns the plan file to write as it is now, and where it is.
    fn plan_to_write(
        &self,
        context: &Context,
    ) -> Result<Option<(PathBuf, PlanFile)>, CommandError> {
        let Some(path) = &self.write_plan else {
            return Ok(None);
        };
        let path = context.directory().join(path);
        let is_there = path.try_exists();
        let plan = match is_there {
            Ok(false) => PlanFile::default(),
            Ok(true) | Err(_) => read(&path)?,
        };
        Ok(Some((path, plan)))
    }
}

fn read(path: &Path) -> Result<PlanFile, CommandError> {
    let text = fs::read_to_string(path).map_err(|source| {
        let status = match source.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidData => ExitStatus::Usage,
            _ => ExitStatus::Failed,
        };
        let path = path.to_path_buf();
        CommandError::new(status, ReadError { path, source })
    })?;
    PlanFile::parse(&text).map_err(|source| {
        let path = path.to_path_buf();
        CommandError::new(ExitStatus::Usage, BadPlanFile { path, source })
    })
}
