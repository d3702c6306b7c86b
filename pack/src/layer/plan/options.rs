//! How a plan is wanted.

use std::{fmt, str::FromStr};

use store::PathInfo;

use super::{PlanError, PlanFile, origin_of, pattern::matches};

/// How store paths are divided into layers. Parsed from and printed as `auto`, `single`, `per-path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LayerMode {
    /// By expected cost.
    #[default]
    Auto,
    /// Everything in one layer, the generated files too.
    Single,
    /// Each store path in a layer of its own, the largest ones where there are too many.
    PerPath,
}

impl fmt::Display for LayerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Single => "single",
            Self::PerPath => "per-path",
        })
    }
}

impl FromStr for LayerMode {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        match text {
            "auto" => Ok(Self::Auto),
            "single" => Ok(Self::Single),
            "per-path" => Ok(Self::PerPath),
            _ => Err(PlanError::Mode {
                text: text.to_owned(),
            }),
        }
    }
}

/// A layer that somebody asks for: all paths whose name or origin matches a pattern, in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRule {
    /// What the layer is called in reports.
    pub name: String,
    /// The patterns.
    pub patterns: Vec<String>,
}

impl LayerRule {
    /// Returns the patterns by which nothing in a closure is meant, in their order.
    pub fn unmatched(&self, closure: &[PathInfo]) -> Vec<&str> {
        let names: Vec<(&str, String)> = (closure.iter())
            .map(|info| (info.path.name().as_str(), origin_of(info)))
            .collect();
        let is_unmatched = |pattern: &&str| {
            let mut names = names.iter();
            !names.any(|(name, origin)| is_meant(pattern, name, origin))
        };
        let patterns = self.patterns.iter().map(String::as_str);
        patterns.filter(is_unmatched).collect()
    }
}

/// Whether a pattern means a path of this name and origin.
pub(super) fn is_meant(pattern: &str, name: &str, origin: &str) -> bool {
    matches(pattern, name) || matches(pattern, origin)
}

/// What a change of one path does to those that refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renames {
    /// They change too: its digest is in them.
    #[default]
    Cascade,
    /// They stay as they are: digests are replaced by what does not change.
    Stable,
}

/// How a plan is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOptions {
    /// The largest number of layers, 1 to 100, with the one for the generated files.
    pub max_layers: usize,
    /// How paths are divided.
    pub mode: LayerMode,
    /// Layers that are asked for, each before all others; a path goes where the first rule wants it.
    pub rules: Vec<LayerRule>,
    /// What a change does to those that depend on it.
    pub renames: Renames,
    /// Change rates, and layers of earlier images.
    pub history: PlanFile,
    /// Which image of the history this one follows: the repository and the platform.
    pub image: (String, String),
}

impl PlanOptions {
    /// At most so many layers, by expected cost, without history.
    pub fn new(max_layers: usize) -> Self {
        Self {
            max_layers,
            mode: LayerMode::default(),
            rules: Vec::new(),
            renames: Renames::default(),
            history: PlanFile::default(),
            image: (String::new(), String::new()),
        }
    }

    /// Returns how many layers there may be beside the one of the generated files; one where both share it.
    pub(super) fn budget(&self) -> usize {
        match self.mode {
            LayerMode::Single => 1,
            LayerMode::Auto | LayerMode::PerPath => (self.max_layers.saturating_sub(1)).max(1),
        }
    }

    /// Returns whether the generated files are in the same layer as everything else.
    pub fn is_single(&self) -> bool {
        self.max_layers == 1 || self.mode == LayerMode::Single
    }
}
