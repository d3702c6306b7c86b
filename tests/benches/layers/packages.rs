//! The packages, and how they change.

use std::collections::BTreeMap;

use pack::layer::{PlanPath, Renames};
use store::{PathDigest, StorePath};
use tests::Random;

/// Origin stated in its head.
const TABLE: &str = include_str!("packages.tsv");
/// From one version to the next, a size differs by less than one part in so many.
const SIZE_CHANGE: u64 = 30;

/// How often something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Toolchain,
    Exposed,
    Released,
    Data,
    Library,
    App,
}

impl Kind {
    /// Days from one update to the next: Debian's stable release has about four updates of libc in a year and three of what is attacked; most libraries
    /// have one in four years. Whoever develops an app packs it weekly or oftener.
    pub(crate) const fn days(self) -> u32 {
        match self {
            Self::Toolchain => 90,
            Self::Exposed | Self::Released => 120,
            Self::Data => 150,
            Self::Library => 1400,
            Self::App => 7,
        }
    }
}

/// One package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) kind: Kind,
    installed_bytes: u64,
    compressed_bytes: u64,
    /// By number, each less than its own.
    pub(crate) references: Vec<usize>,
}

/// Reads the table.
pub(crate) fn packages() -> Vec<Package> {
    let mut numbers = BTreeMap::new();
    let mut packages: Vec<Package> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let mut field = || fields.next().unwrap();
        let (name, origin) = (field(), field());
        let kind = match field() {
            "toolchain" => Kind::Toolchain,
            "exposed" => Kind::Exposed,
            "released" => Kind::Released,
            "data" => Kind::Data,
            "library" => Kind::Library,
            "app" => Kind::App,
            other => panic!("no kind: {other}"),
        };
        let (installed, compressed): (u64, u64) =
            (field().parse().unwrap(), field().parse().unwrap());
        let references = field()
            .split_whitespace()
            .map(|name| numbers[name])
            .collect();
        numbers.insert(name, packages.len());
        packages.push(Package {
            name,
            origin,
            kind,
            installed_bytes: installed << 10,
            compressed_bytes: compressed << 10,
            references,
        });
    }
    packages
}

/// Returns the numbers of all that a package needs, itself included, ascending.
pub(crate) fn closure(packages: &[Package], root: usize) -> Vec<usize> {
    let mut wanted = vec![false; packages.len()];
    wanted[root] = true;
    // Each refers only to those before it.
    for number in (0..=root).rev() {
        if wanted[number] {
            for &below in &packages[number].references {
                wanted[below] = true;
            }
        }
    }
    (0..packages.len())
        .filter(|&number| wanted[number])
        .collect()
}

/// The origins that change in each week, beginning with the second one: the same for every planner.
pub(crate) fn updates(packages: &[Package], weeks: usize) -> Vec<Vec<&'static str>> {
    let kinds: BTreeMap<&str, Kind> = packages.iter().map(|p| (p.origin, p.kind)).collect();
    let mut random = Random::new(52);
    let mut week = || {
        let due = kinds.iter().filter(|(_, kind)| {
            let days = usize::try_from(kind.days()).unwrap();
            random.below(days) < 7
        });
        due.map(|(origin, _)| *origin).collect()
    };
    (1..weeks).map(|_| week()).collect()
}

/// All packages in one week.
pub(crate) struct Release {
    /// As the planner sees them, by number.
    pub(crate) paths: Vec<PlanPath>,
    /// What a registry holds of each.
    pub(crate) compressed_bytes: Vec<u64>,
}

impl Release {
    /// `versions` says how often each origin has changed.
    pub(crate) fn new(
        packages: &[Package],
        versions: &BTreeMap<&str, u64>,
        renames: Renames,
    ) -> Self {
        let mut release = Self {
            paths: Vec::with_capacity(packages.len()),
            compressed_bytes: Vec::with_capacity(packages.len()),
        };
        for package in packages {
            let version = versions.get(package.origin).copied().unwrap_or_default();
            let references: Vec<StorePath> = package
                .references
                .iter()
                .map(|&below| release.paths[below].path.clone())
                .collect();
            let mut hasher = blake3::Hasher::new();
            hasher.update(package.name.as_bytes());
            hasher.update(&version.to_le_bytes());
            let own = hasher.finalize();
            for reference in &references {
                match renames {
                    Renames::Cascade => hasher.update(reference.to_string().as_bytes()),
                    Renames::Stable => hasher.update(reference.name().as_str().as_bytes()),
                };
            }
            let digest = hasher.finalize().as_bytes()[..25].try_into().unwrap();
            let is_new_release = matches!(package.kind, Kind::Released | Kind::Data | Kind::App);
            let release_number = if is_new_release { version } else { 0 };
            let jitter = u64::from(own.as_bytes()[0]);
            let scale = |bytes: u64| bytes + bytes / SIZE_CHANGE * jitter / 256;
            let name = format!("{}-{release_number}", package.name);
            release
                .compressed_bytes
                .push(scale(package.compressed_bytes));
            release.paths.push(PlanPath {
                path: StorePath::new(PathDigest::from_bytes(digest), name.parse().unwrap()),
                size_bytes: scale(package.installed_bytes),
                references,
                requested: package.kind == Kind::App,
                origin: package.origin.to_owned(),
            });
        }
        release
    }
}
