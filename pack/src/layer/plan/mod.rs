//! Which store paths go into which layer.
//!
//! A pure function of the set of paths, their sizes, references and origins, the options, and the history that is given: never of the clock, this machine
//! or what was packed here before. What it aims at, with few layers, because every client spends 70 to 110 ms on each:
//!
//! 1. A layer that a registry has is used again where all of it is in the image ([`PlanFile`]), unless it ties together what is better apart.
//! 2. What changes together stays together: everything of one origin ([`origin_of`]), such as the outputs of one recipe.
//! 3. These groups are merged, two at a time, until there are few enough layers, always the two whose merging costs least. The cost of a layer is what a
//!    client is expected to fetch of it in a week, and a share of its size for images that could have shared a part of it. So large groups stay alone.
//! 4. Requested packages stay apart from their dependencies, because they change most often.
//! 5. The plan that the image had before is kept unless another is clearly better, because each change of plan is a change of layers.
//! 6. What changes least comes first. The order of two layers depends on what is in them, so that images with the same dependencies have the same lowest layers.
//!
//! Store paths have digests of what they refer to in them, so a layer changes whenever anything changes that something in it depends on: this is the chance
//! that is counted, unless digests are replaced in the image ([`Renames::Stable`]).
//!
//! The layers do not overlap, so their order is never a matter of correctness.
//!
//! Not responsible for bytes: what a layer becomes is a matter of the [layer format](super).

mod bundle;
mod cost;
mod file;
mod graph;
mod keep;
mod layer_plan;
mod merge;
mod options;
mod origin;
mod path;
mod pattern;
mod planner;
mod popularity;
mod reason;
mod reuse;
mod sources;

use thiserror::Error;

pub use cost::Chance;
pub use file::PlanFile;
pub use layer_plan::{LayerPlan, PlannedLayer};
pub use options::{LayerMode, LayerRule, PlanOptions, Renames};
pub use origin::origin_of;
pub use path::PlanPath;
pub use reason::LayerReason;

/// Clients stop at 125 (docker) and 128 (podman) layers, and bases of later images count too.
pub(super) const MAX_LAYERS: usize = 100;

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The number of layers is out of range.
    #[error("an image has 1 to {MAX_LAYERS} layers, not {asked}")]
    LayerCount {
        /// What was asked for.
        asked: usize,
    },
    /// The text is no way to plan.
    #[error("`{text}` is no way to make layers: it must be auto, single or per-path")]
    Mode {
        /// The text.
        text: String,
    },
    /// The rules alone need more layers than there are.
    #[error(
        "{rules} rules for layers need {needed} layers with what they leave over, and the image has {max}"
    )]
    Rules {
        /// How many rules match something.
        rules: usize,
        /// How many layers that makes, with those for the rest.
        needed: usize,
        /// How many there are.
        max: usize,
    },
    /// The text is no plan file.
    #[error("line {line}, column {column}: not a plan file")]
    File {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
}
