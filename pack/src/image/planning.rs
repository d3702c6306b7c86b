//! From what is asked for and what is registered to what the planner of layers wants to know.

use store::{PathInfo, StorePath};

use super::{ImageSpec, PackOptions};
use crate::{
    layer::{LayerPlan, PlanOptions, PlanPath, Renames, origin_of},
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

/// Returns what the planner divides: the closure.
pub(super) fn plan_paths(infos: &[PathInfo], requested: &[StorePath]) -> Vec<PlanPath> {
    infos
        .iter()
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
