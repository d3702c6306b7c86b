//! What clients fetch and registries hold in a year of weekly updates, by how images are divided into layers.
//!
//! `cargo bench -p tests --bench layers` simulates ten apps on some four hundred real packages and prints a table; it takes seconds and gives the same figures everywhere.
//! It protects the claim that of the ways with few layers ours makes clients fetch least and registries hold least: where another one is better, it fails.
//!
//! Each week some packages get an update; the apps are packed again; each app has a client that fetched it a week ago and fetches the layers that it does not
//! have; the registry deletes nothing. Sizes are those of compressed packages.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

mod packages;
mod planners;

use std::collections::{BTreeMap, BTreeSet};

use pack::layer::Renames;
use packages::{Kind, Package, Release, closure, packages, updates};
use planners::{ALL, FEW, Planner, Subject, rates};

const YEAR: usize = 52;
/// So many when the benchmark is run as a test, without optimisation.
const SHORT: usize = 8;

fn main() {
    let weeks = if std::env::args().any(|argument| argument == "--bench") {
        YEAR
    } else {
        SHORT
    };
    let packages = packages();
    let apps: Vec<(usize, Vec<usize>)> = (0..packages.len())
        .filter(|&number| packages[number].kind == Kind::App)
        .map(|number| (number, closure(&packages, number)))
        .collect();
    let updates = updates(&packages, weeks);
    println!(
        "{} apps on {} packages, {weeks} weeks, {} updates",
        apps.len(),
        packages.len() - apps.len(),
        updates.iter().map(Vec::len).sum::<usize>()
    );
    let world = World {
        packages,
        apps,
        updates,
    };
    for (renames, what) in [
        (
            Renames::Cascade,
            "a package is renamed when what it refers to changes",
        ),
        (
            Renames::Stable,
            "with --stable-paths: a package changes by itself, and when what it refers to gets another name",
        ),
    ] {
        println!("\n{what}");
        println!(
            "| layers | at most | fetched a week | of the images | registry after it all | registry, first week |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: |");
        let all: Vec<(Planner, Figures)> = ALL
            .iter()
            .map(|(planner, name)| {
                let figures = world.simulate(*planner, renames);
                figures.print(name);
                (*planner, figures)
            })
            .collect();
        check(&all);
    }
}

/// Fails where a way with as few layers does better.
fn check(all: &[(Planner, Figures)]) {
    let of = |wanted: Planner| all.iter().find(|(planner, _)| *planner == wanted).unwrap();
    for ours in [Planner::Ours, Planner::OursWithPlan] {
        let (_, ours) = of(ours);
        assert!(ours.most_layers <= FEW);
        for other in [Planner::Single, Planner::Popularity, Planner::Origins] {
            let (_, figures) = of(other);
            assert!(ours.fetched_bytes < figures.fetched_bytes, "{other:?}");
            assert!(ours.registry_bytes < figures.registry_bytes, "{other:?}");
        }
    }
}

struct World {
    packages: Vec<Package>,
    /// Each with its closure.
    apps: Vec<(usize, Vec<usize>)>,
    updates: Vec<Vec<&'static str>>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Figures {
    most_layers: usize,
    /// By all clients, after the first week.
    fetched_bytes: u64,
    /// Of all images of these weeks.
    image_bytes: u64,
    registry_bytes: u64,
    first_registry_bytes: u64,
    weeks: u64,
}

impl Figures {
    fn print(&self, name: &str) {
        let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
        let per_mille = self.fetched_bytes * 1000 / self.image_bytes.max(1);
        println!(
            "| {name} | {} | {} | {}.{} % | {} | {} |",
            self.most_layers,
            megabytes(self.fetched_bytes / self.weeks.max(1)),
            per_mille / 10,
            per_mille % 10,
            megabytes(self.registry_bytes),
            megabytes(self.first_registry_bytes),
        );
    }
}

impl World {
    fn simulate(&self, planner: Planner, renames: Renames) -> Figures {
        let mut figures = Figures::default();
        let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
        let mut registry = BTreeSet::new();
        let mut clients: Vec<BTreeSet<[u8; 32]>> = vec![BTreeSet::new(); self.apps.len()];
        let mut plan = rates(&self.packages);
        for week in 0..=self.updates.len() {
            for origin in week
                .checked_sub(1)
                .iter()
                .flat_map(|&last| &self.updates[last])
            {
                *versions.entry(origin).or_default() += 1;
            }
            let release = Release::new(&self.packages, &versions, renames);
            for ((app, closure), client) in self.apps.iter().zip(&mut clients) {
                let subject = Subject {
                    packages: &self.packages,
                    paths: &release.paths,
                    closure,
                    app: self.packages[*app].name,
                    renames,
                };
                let layers = planner.layers(&subject, &mut plan);
                figures.most_layers = figures.most_layers.max(layers.len());
                let mut has = BTreeSet::new();
                for layer in &layers {
                    let size_bytes: u64 = layer.iter().map(|&n| release.compressed_bytes[n]).sum();
                    let digest = digest(&release, layer);
                    if registry.insert(digest) {
                        figures.registry_bytes += size_bytes;
                    }
                    if week > 0 {
                        figures.image_bytes += size_bytes;
                        if !client.contains(&digest) {
                            figures.fetched_bytes += size_bytes;
                        }
                    }
                    has.insert(digest);
                }
                *client = has;
            }
            if week == 0 {
                figures.first_registry_bytes = figures.registry_bytes;
            } else {
                figures.weeks += 1;
            }
        }
        figures
    }
}

/// A layer is what is in it.
fn digest(release: &Release, layer: &[usize]) -> [u8; 32] {
    let paths: BTreeSet<String> = layer
        .iter()
        .map(|&number| release.paths[number].path.to_string())
        .collect();
    let mut hasher = blake3::Hasher::new();
    for path in paths {
        hasher.update(path.as_bytes());
    }
    hasher.finalize().into()
}
