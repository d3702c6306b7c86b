//! What keeps objects, in words and in reports.

use serde::Serialize;
use store::{Keeper, KeeperSize, RootKind};

/// A keeper in a report: what it is, its name or its process.
#[derive(Debug, Serialize)]
pub(super) struct KeeperReport {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alone_bytes: Option<u64>,
}

impl KeeperReport {
    pub(super) fn of(keeper: &Keeper) -> Self {
        let (kind, name, process) = match keeper {
            Keeper::Root { name, .. } => ("root", Some(name.clone()), None),
            Keeper::Lease { process } => ("lease", None, Some(*process)),
            Keeper::Process { id, name } => ("process", Some(name.clone()), Some(*id)),
        };
        Self {
            kind,
            name,
            process,
            alone_bytes: None,
        }
    }

    pub(super) fn of_size(size: &KeeperSize) -> Self {
        Self {
            alone_bytes: Some(size.alone_bytes),
            ..Self::of(&size.keeper)
        }
    }
}

/// A keeper in words.
pub(super) fn describe(keeper: &Keeper) -> String {
    match keeper {
        Keeper::Root { name, kind } => format!("root {name} ({})", kind_name(*kind)),
        Keeper::Lease { process } => format!("pith, process {process}, which is at work with it"),
        Keeper::Process { id, name } => format!("process {id} ({name}), which uses it"),
    }
}

/// The name of a kind of root, as reports have it.
pub(super) const fn kind_name(kind: RootKind) -> &'static str {
    match kind {
        RootKind::Explicit => "explicit",
        RootKind::BuildResult => "build",
        RootKind::Profile => "profile",
    }
}
