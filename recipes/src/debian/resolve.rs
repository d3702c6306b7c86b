//! From names to a complete set of packages.
//!
//! `Depends` and `Pre-Depends` are followed, never `Recommends`. What leaves no choice is taken first, then the first open
//! choice is decided: an alternative that is chosen already, else the first one, by its own name before by what provides
//! it. A choice that leads to a contradiction is undone. Nothing depends on the order of hash maps or of the request.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::companions::companions;
use super::lock::{Lock, LockedPackage, LockedSuite};
use super::relation::{Alternatives, Relation, to_text};
use super::universe::{IndexError, Universe};

/// After so many undone choices the first contradiction is reported; Debian's own releases need none.
const MAX_UNDONE: u32 = 500;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The packages to have.
    pub packages: BTreeSet<String>,
    /// The packages that count as present although they are left out, unless they are asked for.
    pub prune: BTreeSet<String>,
}

/// Why there is no such set of packages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolutionError {
    /// No index has a package of that name, and none provides it.
    #[error("Debian has no package `{name}` in {suites}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The suites that were searched.
        suites: String,
        /// The known name that is nearest.
        nearest: Option<String>,
    },
    /// The name stands for several packages.
    #[error("`{name}` is no package of its own; it is provided by {}", providers.join(", "))]
    Virtual {
        /// The name that was asked for.
        name: String,
        /// Who provides it, sorted.
        providers: Vec<String>,
    },
    /// A dependency cannot be satisfied.
    #[error("nothing satisfies `{wanted}`: {problem}\n  needed by {}", chain.join(" → "))]
    Unsatisfiable {
        /// The dependency as it is written.
        wanted: String,
        /// What there is instead.
        problem: String,
        /// From the requested package to the one that has the dependency.
        chain: Vec<String>,
    },
    /// Two packages exclude each other.
    #[error(
        "`{package}` excludes `{other}` ({relation})\n  {package} is needed by {}\n  {other} is needed by {}",
        chain.join(" → "),
        other_chain.join(" → ")
    )]
    Conflict {
        /// The one that says so.
        package: String,
        /// The other one.
        other: String,
        /// What it says.
        relation: String,
        /// From a requested package to the one.
        chain: Vec<String>,
        /// From a requested package to the other one.
        other_chain: Vec<String>,
    },
    /// An index is damaged.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Chooses the packages of a request. `suites` describes the indexes of the universe, in their order.
pub fn resolve(
    universe: &Universe<'_>,
    request: &Request,
    suites: Vec<LockedSuite>,
) -> Result<Lock, ResolutionError> {
    let solver = Solver {
        universe,
        request,
        undone: Cell::new(0),
    };
    let mut state = State::default();
    for name in &request.packages {
        let number = solver.requested(name)?;
        solver.choose(&mut state, number, None)?;
    }
    let state = solver.solve(state)?;
    solver.lock(&state, suites)
}

/// One dependency that is not decided.
#[derive(Clone, Debug)]
struct Open {
    by: usize,
    group: Alternatives,
}

#[derive(Clone, Debug, Default)]
struct State<'a> {
    /// By name, the chosen version and who needed it first.
    chosen: BTreeMap<&'a str, (usize, Option<usize>)>,
    open: VecDeque<Open>,
    /// What was left out, and for whom it was wanted first.
    pruned: BTreeMap<String, String>,
}

struct Solver<'u, 'a> {
    universe: &'u Universe<'a>,
    request: &'u Request,
    undone: Cell<u32>,
}

impl<'a> Solver<'_, 'a> {
    fn requested(&self, name: &str) -> Result<usize, ResolutionError> {
        if let Some(number) = self.universe.versions(name).first() {
            return Ok(*number);
        }
        let providers: Vec<usize> = self
            .universe
            .providers(name)
            .iter()
            .map(|(number, _)| *number)
            .collect();
        match providers.as_slice() {
            [] => {
                let names = self.universe.names();
                Err(ResolutionError::Unknown {
                    name: name.to_owned(),
                    suites: self
                        .universe
                        .indexes
                        .iter()
                        .map(|index| index.suite.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                    nearest: crate::suggest::nearest(name, names).map(str::to_owned),
                })
            }
            [only] => Ok(*only),
            several => Err(ResolutionError::Virtual {
                name: name.to_owned(),
                providers: several
                    .iter()
                    .map(|number| self.name(*number).to_owned())
                    .collect(),
            }),
        }
    }

    fn name(&self, number: usize) -> &'a str {
        self.universe.record(number).name
    }

    /// Returns what a package needs: its dependencies, and its companions as far as there are such packages.
    fn needs(&self, number: usize) -> Result<Vec<Alternatives>, ResolutionError> {
        let mut needs = self.universe.relations(number, "Pre-Depends")?;
        needs.extend(self.universe.relations(number, "Depends")?);
        let known =
            companions(self.name(number)).filter(|name| !self.universe.versions(name).is_empty());
        needs.extend(known.map(|name| vec![Relation::to(name)]));
        Ok(needs)
    }

    /// Takes a package and opens what it needs.
    fn choose(
        &self,
        state: &mut State<'a>,
        number: usize,
        by: Option<usize>,
    ) -> Result<(), ResolutionError> {
        if state.chosen.contains_key(self.name(number)) {
            return Ok(());
        }
        state.chosen.insert(self.name(number), (number, by));
        let groups = self.needs(number)?.into_iter();
        state
            .open
            .extend(groups.map(|group| Open { by: number, group }));
        Ok(())
    }

    fn solve(&self, mut state: State<'a>) -> Result<State<'a>, ResolutionError> {
        let Some((open, choices)) = self.next(&mut state)? else {
            self.check_conflicts(&state)?;
            return Ok(state);
        };
        let mut first = None;
        for choice in choices {
            let mut attempt = state.clone();
            self.choose(&mut attempt, choice, Some(open.by))?;
            match self.solve(attempt) {
                Ok(solved) => return Ok(solved),
                Err(error) => {
                    self.undone.set(self.undone.get() + 1);
                    first.get_or_insert(error);
                }
            }
            if self.undone.get() > MAX_UNDONE {
                break;
            }
        }
        Err(first.unwrap_or_else(|| self.unsatisfiable(&state, &open)))
    }

    /// Takes all that leaves no choice, and returns the first dependency that does, with its choices.
    fn next(&self, state: &mut State<'a>) -> Result<Option<(Open, Vec<usize>)>, ResolutionError> {
        let mut undecided = VecDeque::new();
        while let Some(open) = state.open.pop_front() {
            if self.is_satisfied(state, &open) {
                continue;
            }
            let choices = self.choices(state, &open.group);
            match choices.as_slice() {
                [] => return Err(self.unsatisfiable(state, &open)),
                [only] => self.choose(state, *only, Some(open.by))?,
                _ => undecided.push_back(open),
            }
        }
        // What was chosen meanwhile may have decided some of them.
        while let Some(open) = undecided.pop_front() {
            if self.is_satisfied(state, &open) {
                continue;
            }
            let choices = self.choices(state, &open.group);
            state.open = undecided;
            return Ok(Some((open, choices)));
        }
        Ok(None)
    }

    fn is_satisfied(&self, state: &mut State<'a>, open: &Open) -> bool {
        let chosen = |relation: &Relation| {
            let by_name = state.chosen.get(relation.name.as_str());
            if by_name.is_some_and(|(number, _)| self.universe.satisfies(*number, relation)) {
                return true;
            }
            let mut providers = self.universe.providers(&relation.name).iter();
            providers.any(|(number, _)| {
                let same = state
                    .chosen
                    .get(self.name(*number))
                    .is_some_and(|(known, _)| known == number);
                same && self.universe.satisfies(*number, relation)
            })
        };
        if open.group.iter().any(chosen) {
            return true;
        }
        let is_pruned = |relation: &&Relation| {
            self.request.prune.contains(&relation.name)
                && !self.request.packages.contains(&relation.name)
        };
        match open.group.iter().find(is_pruned) {
            Some(relation) => {
                let by = self.name(open.by).to_owned();
                state.pruned.entry(relation.name.clone()).or_insert(by);
                true
            }
            None => false,
        }
    }

    /// Returns the packages that would satisfy a dependency and are not excluded by another version's being chosen; those
    /// of one name once, in the latest fitting version.
    fn choices(&self, state: &State<'a>, group: &[Relation]) -> Vec<usize> {
        let mut names = BTreeSet::new();
        let candidates = group
            .iter()
            .flat_map(|relation| self.universe.candidates(relation));
        candidates
            .filter(|number| {
                !state.chosen.contains_key(self.name(*number)) && names.insert(self.name(*number))
            })
            .collect()
    }

    fn unsatisfiable(&self, state: &State<'a>, open: &Open) -> ResolutionError {
        let problems: Vec<String> = open
            .group
            .iter()
            .map(|relation| {
                let name = &relation.name;
                if let Some((number, _)) = state.chosen.get(name.as_str()) {
                    return format!(
                        "`{name}` is chosen in version {}",
                        self.universe.record(*number).version
                    );
                }
                match self.universe.versions(name).first() {
                    Some(number) => format!(
                        "the latest `{name}` is {}",
                        self.universe.record(*number).version
                    ),
                    None if self.universe.providers(name).is_empty() => {
                        format!("there is no `{name}`")
                    }
                    None => format!("no fitting package provides `{name}`"),
                }
            })
            .collect();
        ResolutionError::Unsatisfiable {
            wanted: to_text(&open.group),
            problem: problems.join(", "),
            chain: self.chain(state, open.by),
        }
    }

    /// Returns the way from a requested package to this one.
    fn chain(&self, state: &State<'a>, number: usize) -> Vec<String> {
        let mut chain = vec![self.name(number).to_owned()];
        let mut at = number;
        while let Some((_, Some(by))) = state.chosen.get(self.name(at)) {
            if chain.len() > state.chosen.len() {
                break;
            }
            chain.push(self.name(*by).to_owned());
            at = *by;
        }
        chain.reverse();
        chain
    }

    fn check_conflicts(&self, state: &State<'a>) -> Result<(), ResolutionError> {
        for (number, _) in state.chosen.values() {
            for field in ["Conflicts", "Breaks"] {
                for relation in self.universe.relations(*number, field)?.iter().flatten() {
                    let others = state.chosen.values().map(|(other, _)| *other);
                    let hit = others
                        .filter(|other| other != number)
                        .find(|other| self.universe.satisfies(*other, relation));
                    if let Some(other) = hit {
                        return Err(ResolutionError::Conflict {
                            package: self.name(*number).to_owned(),
                            other: self.name(other).to_owned(),
                            relation: format!("{field}: {relation}"),
                            chain: self.chain(state, *number),
                            other_chain: self.chain(state, other),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn lock(&self, state: &State<'a>, suites: Vec<LockedSuite>) -> Result<Lock, ResolutionError> {
        let mut packages = Vec::with_capacity(state.chosen.len());
        for (number, _) in state.chosen.values() {
            packages.push(self.locked(state, *number, &suites)?);
        }
        Ok(Lock {
            architecture: self.universe.architecture.to_owned(),
            request: self
                .request
                .packages
                .iter()
                .map(|name| {
                    self.requested(name)
                        .map(|number| self.name(number).to_owned())
                })
                .collect::<Result<_, _>>()?,
            prune: self.request.prune.clone(),
            pruned: state.pruned.clone(),
            suites,
            packages,
        })
    }

    fn locked(
        &self,
        state: &State<'a>,
        number: usize,
        suites: &[LockedSuite],
    ) -> Result<LockedPackage, ResolutionError> {
        let record = self.universe.record(number);
        let (path, sha256, size_bytes) = self.universe.file(number)?;
        let mut depends = BTreeSet::new();
        for group in self.needs(number)? {
            let chosen = state.chosen.values().map(|(other, _)| *other);
            let mut by_group = group.iter().flat_map(|relation| {
                chosen
                    .clone()
                    .filter(|other| self.universe.satisfies(*other, relation))
            });
            if let Some(other) = by_group.next() {
                depends.insert(self.name(other).to_owned());
            }
        }
        depends.remove(record.name);
        let source = self.universe.field(number, "Source").unwrap_or(record.name);
        Ok(LockedPackage {
            name: record.name.to_owned(),
            version: record.version.clone(),
            architecture: record.architecture.to_owned(),
            source: source
                .split_whitespace()
                .next()
                .unwrap_or(record.name)
                .to_owned(),
            mirror: suites.get(record.index).map_or_else(
                || self.universe.indexes[record.index].mirror.clone(),
                |suite| suite.mirror.clone(),
            ),
            path: path.to_owned(),
            sha256,
            size_bytes,
            depends,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::super::universe::IndexText;
    use super::*;

    fn index(suite: &str, packages: &[(&str, &str, &str)]) -> IndexText {
        let mut text = String::new();
        for (name, version, fields) in packages {
            writeln!(
                text,
                "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}Filename: pool/{name}_{version}.deb\nSize: 1\nSHA256: {}\n",
                "0".repeat(64)
            )
            .unwrap();
        }
        IndexText {
            suite: suite.to_owned(),
            mirror: "debian".to_owned(),
            text,
        }
    }

    fn solve(
        indexes: &[IndexText],
        names: &[&str],
        prune: &[&str],
    ) -> Result<Vec<String>, ResolutionError> {
        let universe = Universe::new(indexes, "amd64").unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let request = Request {
            packages: set(names),
            prune: set(prune),
        };
        let lock = resolve(&universe, &request, Vec::new())?;
        Ok(lock
            .packages
            .iter()
            .map(|package| format!("{} {}", package.name, package.version))
            .collect())
    }

    #[test]
    fn the_latest_version_of_all_suites_is_taken() {
        let indexes = [
            index("main", &[("a", "1.0", "")]),
            index("security", &[("a", "1.0+deb12u1", ""), ("a", "0.9", "")]),
        ];
        assert_eq!(solve(&indexes, &["a"], &[]).unwrap(), ["a 1.0+deb12u1"]);
    }

    #[test]
    fn an_alternative_that_is_needed_anyway_is_taken_whatever_comes_first() {
        let all = [
            ("a", "1", "Depends: x | y, b\n"),
            ("b", "1", "Depends: y\n"),
            ("x", "1", ""),
            ("y", "1", ""),
        ];
        assert_eq!(
            solve(&[index("main", &all)], &["a"], &[]).unwrap(),
            ["a 1", "b 1", "y 1"]
        );
        let only = [
            ("a", "1", "Depends: x | y\n"),
            ("x", "1", ""),
            ("y", "1", ""),
        ];
        assert_eq!(
            solve(&[index("main", &only)], &["a"], &[]).unwrap(),
            ["a 1", "x 1"]
        );
    }

    #[test]
    fn a_choice_that_contradicts_another_is_undone() {
        let all = [
            ("a", "1", "Depends: x | y, b\n"),
            ("b", "1", "Conflicts: x\n"),
            ("x", "1", ""),
            ("y", "1", ""),
        ];
        assert_eq!(
            solve(&[index("main", &all)], &["a"], &[]).unwrap(),
            ["a 1", "b 1", "y 1"]
        );
    }

    #[test]
    fn what_is_provided_counts_with_its_version_only() {
        let all = [
            ("a", "1", "Depends: api (>= 2)\n"),
            ("p", "1", "Provides: api\n"),
            ("q", "1", "Provides: api (= 2.1)\n"),
        ];
        assert_eq!(
            solve(&[index("main", &all)], &["a"], &[]).unwrap(),
            ["a 1", "q 1"]
        );
    }

    #[test]
    fn any_architecture_is_meant_only_by_packages_that_allow_it() {
        let allowed = [
            ("a", "1", "Depends: p:any\n"),
            ("p", "1", "Multi-Arch: allowed\n"),
        ];
        assert_eq!(
            solve(&[index("main", &allowed)], &["a"], &[])
                .unwrap()
                .len(),
            2
        );
        let not = [("a", "1", "Depends: p:any\n"), ("p", "1", "")];
        assert!(solve(&[index("main", &not)], &["a"], &[]).is_err());
    }

    #[test]
    fn a_cycle_ends_and_what_is_pruned_counts_as_present_unless_it_is_asked_for() {
        let all = [
            ("a", "1", "Depends: b, c\n"),
            ("b", "1", "Pre-Depends: a\n"),
            ("c", "1", "Depends: nowhere\n"),
        ];
        assert_eq!(
            solve(&[index("main", &all)], &["a"], &["c"]).unwrap(),
            ["a 1", "b 1"]
        );
        let error = solve(&[index("main", &all)], &["a", "c"], &["c"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nothing satisfies `nowhere`: there is no `nowhere`\n  needed by c"
        );
    }

    proptest! {
        #[test]
        fn a_result_is_complete_and_does_not_depend_on_the_order_of_the_index(
            edges in proptest::collection::vec((0_usize..8, 0_usize..8, 0_usize..8), 0..12),
            start in 0_usize..8,
            swap in 0_usize..8,
        ) {
            let name = |number: usize| format!("p{number}");
            let mut packages: Vec<(String, String)> = (0..8)
                .map(|number| {
                    let groups: Vec<String> = edges
                        .iter()
                        .filter(|(from, ..)| *from == number)
                        .map(|(_, first, second)| format!("{} | {}", name(*first), name(*second)))
                        .collect();
                    (name(number), format!("Depends: {}\n", groups.join(", ")))
                })
                .collect();
            let run = |packages: &[(String, String)]| {
                let rows: Vec<(&str, &str, &str)> = packages.iter().map(|(name, fields)| (name.as_str(), "1", fields.as_str())).collect();
                solve(&[index("main", &rows)], &[&name(start)], &[]).unwrap()
            };
            let found = run(&packages);
            for (from, first, second) in &edges {
                let has = |number: usize| found.contains(&format!("p{number} 1"));
                prop_assert!(!has(*from) || has(*first) || has(*second));
            }
            packages.rotate_left(swap);
            prop_assert_eq!(run(&packages), found);
        }
    }
}
