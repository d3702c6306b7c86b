//! From what is asked for and what is registered to what the planner of layers wants to know.

use std::{collections::BTreeSet, sync::Arc};

use store::{PathInfo, StorePath};

use super::{ImageSpec, PackOptions};
use crate::{
    layer::{Layer, LayerPlan, PlanOptions, PlanPath, Renames, StoredObject, origin_of},
    oci::Digest,
};

/// Returns what the planner is to keep to.
pub(super) fn plan_options(spec: &ImageSpec, options: &PackOptions) -> PlanOptions {
    PlanOptions {
        mode: options.layers,
        rules: spec.layer_rules.clone(),
        history: options.plan.clone().unwrap_or_default(),
        image: (spec.name.repository().to_owned(), spec.platform.to_string()),
        renames: if options.stable_paths {
            Renames::Stable
        } else {
            Renames::Cascade
        },
        ..PlanOptions::new(options.max_layers)
    }
}

/// Returns the digest of the plan file that the layers come from.
pub(super) fn plan_digest(
    spec: &ImageSpec,
    options: &PackOptions,
    plan: &LayerPlan,
) -> Option<Digest> {
    let file = options.plan.as_ref()?;
    file.digest_for(spec.name.repository(), &spec.platform.to_string(), plan)
}

/// Returns what the planner divides: the closure, without what is there already.
pub(super) fn plan_paths(
    infos: &[PathInfo],
    requested: &[StorePath],
    there: &BTreeSet<StorePath>,
) -> Vec<PlanPath> {
    let infos = infos.iter().filter(|info| !there.contains(&info.path));
    infos
        .map(|info| PlanPath {
            path: info.path.clone(),
            size_bytes: info.size_bytes,
            references: (info.references.iter())
                .map(|reference| reference.path.clone())
                .collect(),
            requested: requested.contains(&info.path),
            origin: origin_of(info),
        })
        .collect()
}

/// Returns the layers of groups of objects, and of the generated files: `top`, the last one or the only one.
pub(super) fn layers_of(
    mut groups: Vec<Vec<Arc<StoredObject>>>,
    top: &dyn Fn(Vec<Arc<StoredObject>>) -> Layer,
    is_single: bool,
) -> Vec<Layer> {
    let shared = if is_single {
        groups.pop().unwrap_or_default()
    } else {
        Vec::new()
    };
    let own = groups.into_iter().map(|group| Layer::new(group, None));
    own.chain([top(shared)]).collect()
}
