//! What is audited: a closure in the store, or an image by what its bill says.

use pack::audit::inventory::{BuildTool, Inventory, Relation};
use pack::audit::{Diagnostic, Gathered, policy::Policy};
use pack::existing::ImageFacts;
use recipes::build::Builder;
use store::{LocalStore, StorePath};
use thiserror::Error;

use super::image::{Evidence, ImageQuestion, load_image};
use super::policy::load_policy;
use crate::build_options::{RealiseOptions, build_options};
use crate::commands::image::describe_base;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::facts::ensure;
use crate::platform::refuse_platform;
use crate::realise::{Realised, goals, realise};
use crate::registry::RegistryArgs;
use crate::select::{Want, select};
use crate::selection::Selection;

/// What is judged.
pub(crate) struct Audited {
    /// The components.
    pub(crate) inventory: Inventory,
    /// What is wrong with what an image came with.
    pub(crate) wrong: Vec<Diagnostic>,
}

/// A key was given for something that nobody signs.
#[derive(Debug, Error)]
#[error("`--key` is about what is kept beside an image, and `{subject}` is a target")]
struct KeyOfNoImage {
    subject: String,
}

/// A closure whose facts were read. Its paths are kept while this lives.
struct Found {
    /// What is recorded of it.
    gathered: Gathered,
    /// What was asked for.
    roots: Vec<StorePath>,
    selections: Vec<Selection>,
    /// What lies below, where it is an image that declares that.
    base: Option<ImageFacts>,
    _realised: Realised,
}

impl Found {
    /// Makes a target valid and reads what is recorded of its closure.
    fn load(
        text: &str,
        registry: &RegistryArgs,
        store: &LocalStore,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let evaluator = context.evaluator();
        let selections = vec![select(context, &evaluator, text, Want::Image)?];
        let base = describe_base(&selections, registry, evaluator.platform(), context)?;
        let realised = realise(context, store, &selections, &RealiseOptions::default())?;
        let roots = realised.paths.clone();
        let mut gathered = Gathered::load(store, &roots)?;
        if ensure(context, store, &gathered)? > 0 {
            gathered = Gathered::load(store, &roots)?;
        }
        Ok(Self {
            gathered,
            roots,
            selections,
            base,
            _realised: realised,
        })
    }

    /// The components.
    fn inventory(&self) -> Inventory {
        let inventory = Inventory::of_closure(&self.gathered, &self.roots);
        match &self.base {
            Some(base) => inventory.on_base(base),
            None => inventory,
        }
    }

    /// What its objects were built with, as far as that is recorded.
    fn tools(&self, store: &LocalStore, context: &Context) -> Result<Vec<BuildTool>, CommandError> {
        let builder = Builder::new(store, build_options(context, &RealiseOptions::default())?);
        let built = builder.given(&goals(&self.selections))?.into_iter();
        let tools = built.flat_map(|(object, tools)| {
            tools.into_iter().map(move |tool| BuildTool {
                object: object.clone(),
                tool: tool.path,
                component: tool.component,
            })
        });
        Ok(tools.collect())
    }
}

impl Audited {
    /// Looks `text` up: an image where it can be one, else a target, which is built if it has to be.
    pub(super) fn load(
        text: &str,
        question: &ImageQuestion<'_>,
        policy: &Policy,
        context: &Context,
    ) -> Result<Self, CommandError> {
        if is_image(text, context) {
            return load_image(text, question, policy, context);
        }
        if question.key.is_some() {
            let subject = text.to_owned();
            return Err(CommandError::new(
                ExitStatus::Usage,
                KeyOfNoImage { subject },
            ));
        }
        refuse_platform(text, question.platform, context.evaluator().platform())?;
        let store = context.open_store()?;
        let found = Found::load(text, question.registry, &store, context)?;
        let mut inventory = found.inventory();
        if policy.sandbox.is_some() {
            inventory.add_sandboxes(&store, &found.gathered)?;
        }
        if policy.rule_about(Relation::Build).is_some() {
            inventory = inventory.with_builds(found.tools(&store, context)?);
        }
        Ok(Self {
            inventory,
            wrong: Vec::new(),
        })
    }
}

/// Reads the components of a target or an image, in the ways of an audit.
pub(crate) fn load_inventory(
    text: &str,
    registry: &RegistryArgs,
    context: &Context,
) -> Result<Inventory, CommandError> {
    let question = ImageQuestion {
        platform: None,
        registry,
        key: None,
        sbom: None,
        evidence: Evidence::Store,
    };
    let policy = load_policy(None, context)?;
    let audited = Audited::load(text, &question, &policy, context)?;
    Ok(audited.inventory)
}

/// Whether `text` names an image rather than a target: a file, a layout, or a name with a registry before it.
fn is_image(text: &str, context: &Context) -> bool {
    const PREFIXES: [&str; 4] = ["docker://", "oci-archive:", "docker-archive:", "oci:"];
    if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || text.ends_with(".tar") {
        return true;
    }
    let is_one = |text: &str| {
        let path = context.directory().join(text);
        path.is_file() || path.join("oci-layout").is_file()
    };
    let without_tag = text.rsplit_once(':').map(|(path, _)| path);
    if is_one(text) || without_tag.is_some_and(is_one) {
        return true;
    }
    let is_directory = |text: &str| context.directory().join(text).is_dir();
    if text.starts_with(['/', '.']) || is_directory(text) || without_tag.is_some_and(is_directory) {
        return false;
    }
    let host = text.split_once('/').map(|(host, _)| host);
    host.is_some_and(|host| host == "localhost" || host.contains(['.', ':']))
}
