//! Ways to divide an image into layers: ours, and what others do, in our words.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pack::layer::{LayerMode, LayerPlan, PlanFile, PlanOptions, PlanPath, Renames};

use store::StorePath;

use crate::packages::{Kind, Package};

/// Layers of images that have few; one more is for generated files.
pub(crate) const FEW: usize = 15;
/// As many as clients bear.
const MANY: usize = 99;

/// A way to divide an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planner {
    /// What most tools do.
    Single,
    /// The bound: the largest paths alone.
    PerPath,
    /// nixpkgs' `closure-graph.py`: the paths to which most ways lead are alone, the others together.
    Popularity,
    /// apko's "origin" layering: packages of one source together, the largest groups alone, the others together.
    Origins,
    /// Ours without any file.
    Ours,
    /// Ours with a plan file that knows change rates and all images of the registry.
    OursWithPlan,
}

pub(crate) const ALL: [(Planner, &str); 6] = [
    (Planner::Single, "one layer"),
    (Planner::PerPath, "one per path, at most 99"),
    (Planner::Popularity, "popularity (nixpkgs)"),
    (Planner::Origins, "origin groups (apko)"),
    (Planner::Ours, "pith"),
    (Planner::OursWithPlan, "pith --plan"),
];

/// One image in one week.
pub(crate) struct Subject<'a> {
    pub(crate) packages: &'a [Package],
    /// All packages.
    pub(crate) paths: &'a [PlanPath],
    /// The numbers of those in the image, ascending.
    pub(crate) closure: &'a [usize],
    pub(crate) app: &'a str,
    pub(crate) renames: Renames,
}

impl Planner {
    /// Returns the layers, by the numbers of the packages. `plan` is the file that is kept from image to image.
    pub(crate) fn layers(self, subject: &Subject<'_>, plan: &mut PlanFile) -> Vec<Vec<usize>> {
        match self {
            Self::Single => vec![subject.closure.to_vec()],
            Self::PerPath => ours(subject, LayerMode::PerPath, MANY + 1, None),
            Self::Popularity => popularity(subject),
            Self::Origins => origins(subject),
            Self::Ours => ours(subject, LayerMode::Auto, FEW + 1, None),
            Self::OursWithPlan => ours(subject, LayerMode::Auto, FEW + 1, Some(plan)),
        }
    }
}

/// A plan file that knows how often things change, and no image.
pub(crate) fn rates(packages: &[Package]) -> PlanFile {
    let days: BTreeMap<&str, u32> = packages
        .iter()
        .filter(|package| package.kind != Kind::Library)
        .map(|package| (package.origin, package.kind.days()))
        .collect();
    let text = serde_json::json!({"version": 1, "days_between_changes": days}).to_string();
    PlanFile::parse(&text).unwrap()
}

fn ours(
    subject: &Subject<'_>,
    mode: LayerMode,
    max_layers: usize,
    mut plan: Option<&mut PlanFile>,
) -> Vec<Vec<usize>> {
    let wanted = subject.closure.iter();
    let paths: Vec<PlanPath> = wanted
        .map(|&number| subject.paths[number].clone())
        .collect();
    let options = PlanOptions {
        mode,
        renames: subject.renames,
        history: plan.as_deref().cloned().unwrap_or_default(),
        image: (subject.app.to_owned(), "linux/amd64".to_owned()),
        ..PlanOptions::new(max_layers)
    };
    let made = LayerPlan::new(&paths, &options).unwrap();
    if let Some(plan) = &mut plan {
        plan.record(subject.app, "linux/amd64", &made, None);
    }
    let number_of = |path: &StorePath| {
        let mut closure = subject.closure.iter();
        *closure
            .find(|&&number| subject.paths[number].path == *path)
            .unwrap()
    };
    let layers = made.layers().iter();
    layers
        .map(|layer| layer.paths.iter().map(number_of).collect())
        .collect()
}

fn popularity(subject: &Subject<'_>) -> Vec<Vec<usize>> {
    let mut ways = vec![0_u64; subject.packages.len()];
    for &number in subject.closure.iter().rev() {
        ways[number] += 1;
        for &below in &subject.packages[number].references {
            ways[below] = ways[below].saturating_add(ways[number]);
        }
    }
    let mut numbers = subject.closure.to_vec();
    numbers.sort_by_key(|&number| (Reverse(ways[number]), subject.packages[number].name));
    first_alone(numbers.into_iter().map(|number| vec![number]).collect())
}

fn origins(subject: &Subject<'_>) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &number in subject.closure {
        let origin = subject.packages[number].origin;
        groups.entry(origin).or_default().push(number);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_by_key(|group| {
        let sizes = group.iter().map(|&number| subject.paths[number].size_bytes);
        Reverse(sizes.sum::<u64>())
    });
    first_alone(groups)
}

/// The first groups alone, all others in the last layer.
fn first_alone(mut groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    if groups.len() > FEW {
        let rest = groups.split_off(FEW - 1).concat();
        groups.push(rest);
    }
    groups
}
