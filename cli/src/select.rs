//! Looks targets up: from what the user wrote to packages, images and store paths.

use std::path::{Path, PathBuf};

use recipes::lang::{Evaluator, Package, Project};
use recipes::model::{ImageDeclaration, OutputRef};

use crate::contents::is_image;
use crate::context::Context;
use crate::debian_lock::DebianLock;
use crate::error::CommandError;
use crate::selection::{SelectError, Selection};
use crate::target::{Subject, Target};

/// Whether an image may be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A package or a store path; of an image, its one package.
    Objects,
    /// An image where one has the name, otherwise as [`Want::Objects`].
    Image,
}

/// Looks `text` up.
pub(crate) fn select(
    context: &Context,
    evaluator: &Evaluator,
    text: &str,
    want: Want,
) -> Result<Selection, CommandError> {
    let target: Target = text.parse()?;
    let output = target.output.as_deref();
    match target.subject {
        Subject::Path(path) => match output {
            None => Ok(Selection::Path(path)),
            Some(output) => Err(SelectError::NoOutputs(path.to_string(), output.into()).into()),
        },
        Subject::Debian(names) => match output {
            None => {
                let platform = evaluator.platform();
                DebianLock::of(context, &names, platform)?.select(&names, platform)
            }
            Some(output) => Err(SelectError::NoOutputs(text.into(), output.into()).into()),
        },
        Subject::Project { directory, name } => {
            if let (None, Want::Image) = (&name, want)
                && !context.directory().join(&directory).is_dir()
                && let Some(image) =
                    declared_image(context, evaluator, &directory.to_string_lossy())?
            {
                return image_itself(&image, output);
            }
            // Messages say `/home/me/app/pith.star` where the target is `.`.
            let directory: PathBuf = context.directory().join(directory).components().collect();
            let project = evaluator.evaluate_project(&directory)?;
            match name {
                Some(name) => in_project(&project, &name, output, want)?
                    .ok_or_else(|| not_in_project(&project, &name)),
                None => only_one(&project, output, want),
            }
        }
        Subject::Name(name) => {
            if let Some(directory) = &context.settings().project {
                let project = evaluator.evaluate_project(directory)?;
                if let Some(found) = in_project(&project, &name, output, want)? {
                    return Ok(found);
                }
            }
            let found = evaluator.evaluate_package(&name);
            let found = found.map_err(|error| {
                let error = CommandError::from(error);
                match is_image(text, context.directory()) {
                    true => error.hint(format!(
                        "`{text}` is an image, and this is asked about what an image is packed from: name the package or the image of `pith.star`"
                    )),
                    false => error,
                }
            });
            package(found?, output, want)
        }
    }
}

/// Looks up a package of the project in `directory`, or of the collection when there is none, whatever the working directory is.
pub(crate) fn select_package(
    evaluator: &Evaluator,
    directory: Option<&Path>,
    name: &str,
    output: Option<&str>,
) -> Result<Selection, CommandError> {
    match directory {
        Some(directory) => {
            let project = evaluator.evaluate_project(directory)?;
            in_project(&project, name, output, Want::Objects)?
                .ok_or_else(|| not_in_project(&project, name))
        }
        None => package(evaluator.evaluate_package(name)?, output, Want::Objects),
    }
}

/// Looks up an image or a package of the project in `directory`, then of the collection, whatever the working directory is.
pub(crate) fn select_image(
    evaluator: &Evaluator,
    directory: Option<&Path>,
    name: &str,
) -> Result<Selection, CommandError> {
    if let Some(directory) = directory {
        let project = evaluator.evaluate_project(directory)?;
        if let Some(found) = in_project(&project, name, None, Want::Image)? {
            return Ok(found);
        }
    }
    package(evaluator.evaluate_package(name)?, None, Want::Image)
}

/// Looks every text up, in order.
pub(crate) fn select_all(
    context: &Context,
    evaluator: &Evaluator,
    texts: &[String],
    want: Want,
) -> Result<Vec<Selection>, CommandError> {
    texts
        .iter()
        .map(|text| select(context, evaluator, text, want))
        .collect()
}

/// Looks up an image that the project declares by this name, such as `team/web`, which looks like a directory.
pub(crate) fn declared_image(
    context: &Context,
    evaluator: &Evaluator,
    name: &str,
) -> Result<Option<ImageDeclaration>, CommandError> {
    let Some(directory) = &context.settings().project else {
        return Ok(None);
    };
    let project = evaluator.evaluate_project(directory)?;
    let mut images = project.images.into_iter();
    Ok(images.find(|image| image.name == name))
}

fn in_project(
    project: &Project,
    name: &str,
    output: Option<&str>,
    want: Want,
) -> Result<Option<Selection>, CommandError> {
    let image = project.images.iter().find(|image| image.name == name);
    let found = project.packages.iter().find(|package| package.name == name);
    match (image, found, want) {
        (Some(image), _, Want::Image) => image_itself(image, output).map(Some),
        (_, Some(found), _) => package(found.clone(), output, want).map(Some),
        (Some(image), None, Want::Objects) => Err(CommandError::failed(SelectError::IsImage(
            image.name.clone(),
        ))
        .hint(format!("`pith pack {name}` packs it"))),
        (None, None, _) => Ok(None),
    }
}

fn only_one(
    project: &Project,
    output: Option<&str>,
    want: Want,
) -> Result<Selection, CommandError> {
    match (project.images.as_slice(), project.packages.as_slice(), want) {
        ([image], _, Want::Image) => image_itself(image, output),
        ([], [one], Want::Image) | (_, [one], Want::Objects) => package(one.clone(), output, want),
        ([], [], _) => Err(SelectError::EmptyProject {
            file: project.label.clone(),
        }
        .into()),
        _ => {
            let error = SelectError::Ambiguous {
                file: project.label.clone(),
            };
            Err(CommandError::failed(error).hint(names(project)))
        }
    }
}

fn image_itself(image: &ImageDeclaration, output: Option<&str>) -> Result<Selection, CommandError> {
    match output {
        None => Ok(Selection::Image(Box::new(image.clone()))),
        Some(output) => Err(SelectError::NoOutputs(image.name.clone(), output.into()).into()),
    }
}

fn package(package: Package, output: Option<&str>, want: Want) -> Result<Selection, CommandError> {
    if let (Want::Image, None, [image]) = (want, output, package.images.as_slice()) {
        return Ok(Selection::Image(Box::new(image.clone())));
    }
    let output = match output {
        None => OutputRef::default_of(package.derivation.clone()),
        Some(output) => OutputRef::new(package.derivation.clone(), output)?,
    };
    Ok(Selection::Output { package, output })
}

fn not_in_project(project: &Project, name: &str) -> CommandError {
    let error = SelectError::NotInProject {
        file: project.label.clone(),
        name: name.into(),
    };
    CommandError::failed(error).hint(names(project))
}

fn names(project: &Project) -> String {
    let images = project.images.iter().map(|image| image.name.as_str());
    let packages = project.packages.iter().map(|package| package.name.as_str());
    let mut names: Vec<_> = images
        .chain(packages)
        .map(|name| format!("`{name}`"))
        .collect();
    names.sort();
    names.dedup();
    format!("it defines {}", names.join(", "))
}
