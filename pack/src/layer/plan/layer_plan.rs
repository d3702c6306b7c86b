//! The plan.

use store::StorePath;

use super::{Chance, LayerReason, PlanError, PlanOptions, PlanPath, planner};

/// A partition of store paths into layers, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPlan {
    layers: Vec<PlannedLayer>,
}

/// One layer of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLayer {
    /// The store paths in it, ascending; never empty.
    pub paths: Vec<StorePath>,
    /// Why they are together.
    pub reason: LayerReason,
    /// How likely the layer is another one after a week.
    pub chance: Chance,
}

impl LayerPlan {
    /// Plans. The last layer of an image is for the generated files of the root; it is not part of the plan unless it is the only one
    /// ([`PlanOptions::is_single`]).
    pub fn new(paths: &[PlanPath], options: &PlanOptions) -> Result<Self, PlanError> {
        let layers = planner::plan(paths, options)?;
        Ok(Self { layers })
    }

    /// Returns the layers, the lowest first. None is empty.
    pub fn layers(&self) -> &[PlannedLayer] {
        &self.layers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::{PathDigest, StoreName};

    use super::*;
    use crate::layer::plan::{
        LayerMode, LayerRule, PlanFile, Renames, bundle::Bundle, cost::LAYER_BYTES, graph::Graph,
        popularity::by_popularity,
    };

    const MEGABYTE: u64 = 1 << 20;

    fn path(seed: u8, name: &str) -> StorePath {
        let name: StoreName = name.parse().unwrap();
        StorePath::new(PathDigest::from_bytes([seed; 25]), name)
    }

    /// A graph of at most 40 paths of at most 12 origins, each path referring only to earlier ones.
    fn graph() -> impl Strategy<Value = Vec<PlanPath>> {
        let node = (
            prop_oneof![0..MEGABYTE, MEGABYTE..100 * MEGABYTE],
            proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
            prop::bool::weighted(0.1),
            0_u8..12,
        );
        proptest::collection::vec(node, 1..40).prop_map(|nodes| {
            let names: Vec<_> = (0..nodes.len())
                .map(|i| path(u8::try_from(i).unwrap(), &format!("n{}", i % 7)))
                .collect();
            let paths = nodes.into_iter().enumerate();
            let paths = paths.map(
                |(i, (size_bytes, references, requested, origin))| PlanPath {
                    path: names[i].clone(),
                    size_bytes,
                    references: references
                        .iter()
                        .filter(|_| i > 0)
                        .map(|index| names[index.index(i)].clone())
                        .collect(),
                    requested,
                    origin: format!("o{origin}"),
                },
            );
            paths.collect()
        })
    }

    fn modes() -> impl Strategy<Value = (LayerMode, Renames)> {
        (
            prop_oneof![
                4 => Just(LayerMode::Auto),
                1 => Just(LayerMode::PerPath),
                1 => Just(LayerMode::Single),
            ],
            prop_oneof![Just(Renames::Cascade), Just(Renames::Stable)],
        )
    }

    fn options(max_layers: usize, (mode, renames): (LayerMode, Renames)) -> PlanOptions {
        PlanOptions {
            mode,
            renames,
            image: ("library/app".to_owned(), "linux/amd64".to_owned()),
            ..PlanOptions::new(max_layers)
        }
    }

    fn plan(paths: &[PlanPath], options: &PlanOptions) -> LayerPlan {
        LayerPlan::new(paths, options).unwrap()
    }

    fn paths_of(plan: &LayerPlan) -> Vec<Vec<StorePath>> {
        let layers = plan.layers().iter();
        layers.map(|layer| layer.paths.clone()).collect()
    }

    /// A history that has the plan of one image.
    fn history(options: &PlanOptions, plan: &LayerPlan) -> PlanFile {
        let mut file = options.history.clone();
        let (repository, platform) = &options.image;
        file.record(repository, platform, plan, None);
        file
    }

    fn check_partition(paths: &[PlanPath], options: &PlanOptions, plan: &LayerPlan) {
        let mut planned: Vec<_> = paths_of(plan).into_iter().flatten().collect();
        planned.sort();
        let mut given: Vec<_> = paths.iter().map(|p| p.path.clone()).collect();
        given.sort();
        assert_eq!(planned, given);
        assert!(plan.layers().len() <= (options.max_layers - 1).max(1));
        for layer in plan.layers() {
            assert!(!layer.paths.is_empty() && layer.paths.is_sorted());
        }
    }

    /// What a client is expected to fetch in a week.
    fn weekly(paths: &[PlanPath], plan: &LayerPlan) -> u64 {
        let layers = plan.layers().iter().map(|layer| {
            let members = paths.iter().filter(|path| layer.paths.contains(&path.path));
            layer
                .chance
                .of_bytes(members.map(|path| path.size_bytes).sum())
        });
        layers.sum()
    }

    proptest! {
        #[test]
        fn every_path_is_in_exactly_one_layer_and_the_budget_is_kept(paths in graph(), max in 1_usize..20, modes in modes()) {
            let options = options(max, modes);
            check_partition(&paths, &options, &plan(&paths, &options));
        }

        #[test]
        fn so_it_is_with_a_history_of_something_else(before in graph(), paths in graph(), max in 1_usize..20, modes in modes()) {
            let mut options = options(max, modes);
            options.history = history(&options, &plan(&before, &options));
            check_partition(&paths, &options, &plan(&paths, &options));
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(paths in graph().prop_flat_map(|paths| (Just(paths.clone()), Just(paths).prop_shuffle())), max in 1_usize..20, modes in modes()) {
            let (paths, shuffled) = paths;
            let options = options(max, modes);
            prop_assert_eq!(plan(&paths, &options), plan(&shuffled, &options));
        }

        #[test]
        fn a_client_fetches_no_more_than_with_one_layer_or_by_popularity(paths in graph(), max in 2_usize..20, renames in modes()) {
            let auto = options(max, (LayerMode::Auto, renames.1));
            let found = weekly(&paths, &plan(&paths, &auto));
            let single = options(max, (LayerMode::Single, renames.1));
            prop_assert!(found <= weekly(&paths, &plan(&paths, &single)));
            let graph = Graph::new(&paths, &auto);
            let left = vec![true; graph.paths.len()];
            let popular = by_popularity(&graph, &left, max - 1);
            prop_assert!(popular.len() < max);
            let layers = u64::try_from(plan(&paths, &auto).layers().len()).unwrap();
            let price = popular.iter().map(Bundle::price).sum::<u64>();
            prop_assert!(found + layers * LAYER_BYTES <= price);
        }

        #[test]
        fn an_image_that_is_in_the_history_has_the_layers_that_it_had(paths in graph(), max in 2_usize..20, renames in modes()) {
            let mut options = options(max, (LayerMode::Auto, renames.1));
            let before = plan(&paths, &options);
            options.history = history(&options, &before);
            prop_assert_eq!(paths_of(&plan(&paths, &options)), paths_of(&before));
        }
    }

    fn sized(seed: u8, name: &str, size_bytes: u64, references: &[&PlanPath]) -> PlanPath {
        let origin = name.split('-').next().unwrap_or_default().to_owned();
        PlanPath {
            path: path(seed, name),
            size_bytes,
            references: references.iter().map(|to| to.path.clone()).collect(),
            requested: false,
            origin,
        }
    }

    /// An app, what it needs, and nothing that is large but libc and data.
    fn closure() -> Vec<PlanPath> {
        let libc = sized(9, "glibc-2.36", 10 * MEGABYTE, &[]);
        let locale = sized(8, "glibc-2.36-locale", 3 * MEGABYTE, &[&libc]);
        let zlib = sized(1, "zlib-1.3", 100_000, &[&libc]);
        let ssl = sized(2, "openssl-3.0", 5 * MEGABYTE, &[&libc, &zlib]);
        let data = sized(3, "tzdata-2024", 400_000, &[]);
        let mut app = sized(4, "app-1", 50_000, &[&zlib, &ssl, &data]);
        app.requested = true;
        vec![libc, locale, zlib, ssl, data, app]
    }

    fn names(plan: &LayerPlan) -> Vec<(Vec<&str>, String)> {
        let layers = plan.layers().iter().map(|layer| {
            let mut names: Vec<&str> = layer
                .paths
                .iter()
                .map(|path| path.name().as_str())
                .collect();
            names.sort_unstable();
            (names, layer.reason.to_string())
        });
        layers.collect()
    }

    fn named(list: &[(&[&'static str], &str)]) -> Vec<(Vec<&'static str>, String)> {
        let list = list.iter();
        list.map(|(names, reason)| (names.to_vec(), (*reason).to_owned()))
            .collect()
    }

    #[test]
    fn a_plan_of_this_format_version_is_this_one() {
        assert_eq!(
            crate::layer::FORMAT_VERSION,
            6,
            "a new version needs a new plan"
        );
        let paths = closure();
        let found = plan(&paths, &PlanOptions::new(16));
        let expected = named(&[
            (&["glibc-2.36", "glibc-2.36-locale"], "all of `glibc`"),
            (&["openssl-3.0"], "all of `openssl`"),
            (
                &["tzdata-2024", "zlib-1.3"],
                "2 origins that cost least together",
            ),
            (&["app-1"], "all of `app`"),
        ]);
        assert_eq!(names(&found), expected);
        let small = plan(&paths, &PlanOptions::new(4));
        let expected = named(&[
            (&["glibc-2.36", "glibc-2.36-locale"], "all of `glibc`"),
            (
                &["openssl-3.0", "tzdata-2024", "zlib-1.3"],
                "3 origins that cost least together",
            ),
            (&["app-1"], "all of `app`"),
        ]);
        assert_eq!(names(&small), expected);
    }

    #[test]
    fn rules_come_first_and_need_room() {
        let paths = closure();
        let rule = |name: &str, patterns: &[&str]| LayerRule {
            name: name.to_owned(),
            patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        };
        let mut options = PlanOptions::new(4);
        options.rules = vec![
            rule("base", &["glibc", "zlib-*"]),
            rule("nothing", &["absent"]),
            rule("data", &["tz*", "glibc*"]),
        ];
        let found = plan(&paths, &options);
        let expected = named(&[
            (&["tzdata-2024"], "rule `data`"),
            (
                &["glibc-2.36", "glibc-2.36-locale", "zlib-1.3"],
                "rule `base`",
            ),
            (
                &["app-1", "openssl-3.0"],
                "2 origins that cost least together",
            ),
        ]);
        assert_eq!(names(&found), expected);
        options.max_layers = 3;
        let refused = LayerPlan::new(&paths, &options);
        let expected = PlanError::Rules {
            rules: 2,
            needed: 4,
            max: 3,
        };
        assert_eq!(refused.unwrap_err().to_string(), expected.to_string());
    }

    #[test]
    fn what_changes_often_by_the_plan_file_is_apart_and_late() {
        let text = r#"{"version": 1, "days_between_changes": {"tzdata": 3, "app": 9000}}"#;
        let mut options = PlanOptions::new(5);
        options.history = PlanFile::parse(text).unwrap();
        let paths = closure();
        let found = plan(&paths, &options);
        let position = |name: &str| {
            let mut layers = found.layers().iter();
            layers.position(|layer| layer.paths.iter().any(|path| path.name().as_str() == name))
        };
        assert!(position("tzdata-2024") > position("openssl-3.0"));
        assert_eq!(position("app-1"), Some(found.layers().len() - 1));
    }

    #[test]
    fn layers_of_other_images_are_used_again_but_not_those_that_tie_what_changes_to_what_does_not()
    {
        let paths = closure();
        let mut options = PlanOptions::new(16);
        let other = |members: &[usize]| {
            let members: Vec<PlanPath> = members.iter().map(|&m| paths[m].clone()).collect();
            plan(&members, &PlanOptions::new(1))
        };
        let mut file = PlanFile::default();
        file.record("library/base", "linux/amd64", &other(&[2, 3]), None);
        file.record("library/bad", "linux/amd64", &other(&[0, 1, 4]), None);
        options.history = file;
        let found = plan(&paths, &options);
        assert!(names(&found).contains(&(
            vec!["openssl-3.0", "zlib-1.3"],
            "published before".to_owned()
        )));
        assert!(names(&found).contains(&(
            vec!["glibc-2.36", "glibc-2.36-locale"],
            "all of `glibc`".to_owned()
        )));
    }

    #[test]
    fn another_version_of_a_package_goes_where_the_last_one_was() {
        let mut options = PlanOptions::new(3);
        options.image = ("library/app".to_owned(), "linux/amd64".to_owned());
        let before = plan(&closure(), &options);
        options.history = history(&options, &before);
        let mut paths = closure();
        // Large enough to be planned otherwise, were it not for the past.
        paths[4] = sized(77, "tzdata-2025", 450_000, &[]);
        let found = plan(&paths, &options);
        let stems = |plan: &LayerPlan| {
            let layers = names(plan).into_iter().map(|(names, _)| {
                let names = names.into_iter().map(|name| name.split('-').next());
                names.map(|name| name.map(str::to_owned)).collect()
            });
            layers.collect::<Vec<Vec<_>>>()
        };
        assert_eq!(stems(&found), stems(&before));
        let reasons: Vec<String> = names(&found).into_iter().map(|(_, why)| why).collect();
        assert!(reasons.contains(&"kept from the last plan".to_owned()));
        assert!(reasons.contains(&"published before".to_owned()));
    }

    #[test]
    fn a_cycle_and_a_reference_to_itself_do_not_hang() {
        let mut a = sized(1, "a", 1, &[]);
        let b = sized(2, "b", 1, &[&a]);
        a.references = vec![a.path.clone(), b.path.clone()];
        assert_eq!(plan(&[a, b], &PlanOptions::new(2)).layers().len(), 1);
    }

    #[test]
    fn thousands_of_paths_are_planned_within_the_budget() {
        let mut paths: Vec<PlanPath> = Vec::new();
        for number in 0..2_000_u64 {
            let name = format!("p{number}-1");
            let mut digest = [0; 25];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            let below = usize::try_from(number / 2).unwrap();
            let references = paths.get(below).map(|path| path.path.clone());
            paths.push(PlanPath {
                path: StorePath::new(PathDigest::from_bytes(digest), name.parse().unwrap()),
                size_bytes: 1000 + number * 37 % 5000,
                references: references.into_iter().collect(),
                requested: number % 100 == 99,
                origin: name,
            });
        }
        let options = PlanOptions::new(16);
        let found = plan(&paths, &options);
        check_partition(&paths, &options, &found);
        assert_eq!(found.layers().len(), 15);
    }

    #[test]
    fn a_number_of_layers_out_of_range_is_refused() {
        for asked in [0, 101] {
            let refused = LayerPlan::new(&[], &PlanOptions::new(asked));
            assert!(
                matches!(refused, Err(PlanError::LayerCount { asked: found }) if found == asked)
            );
        }
        assert!(plan(&[], &PlanOptions::new(1)).layers().is_empty());
    }
}
