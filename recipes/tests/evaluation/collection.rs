//! The collection that is compiled into this program keeps the rules of its README.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::sync::Arc;

use recipes::lang::{Collection, Evaluator, Package};
use recipes::model::{Builder, Derivation, Fetch};

type TestResult = Result<(), Box<dyn Error>>;

/// The one package without version and license of its own: it is many, and no result has it.
const SEED: &str = "seed";

fn packages() -> Result<Vec<Package>, Box<dyn Error>> {
    let evaluator = Evaluator::new(Collection::embedded(), None);
    let entries = evaluator.evaluate_collection()?;
    entries
        .into_iter()
        .map(|(_, package)| Ok(package?))
        .collect()
}

/// Returns everything that `roots` are built from, themselves included, each once.
fn all_derivations(roots: &[Package]) -> Vec<Arc<Derivation>> {
    let mut seen = BTreeMap::new();
    let mut waiting: Vec<_> = roots
        .iter()
        .map(|package| Arc::clone(&package.derivation))
        .collect();
    while let Some(derivation) = waiting.pop() {
        if seen
            .insert(derivation.id().to_string(), Arc::clone(&derivation))
            .is_none()
        {
            waiting.extend(
                derivation
                    .dependencies()
                    .map(|input| Arc::clone(input.derivation())),
            );
        }
    }
    seen.into_values().collect()
}

fn fetches(derivations: &[Arc<Derivation>]) -> impl Iterator<Item = &Fetch> + Clone {
    derivations
        .iter()
        .filter_map(|derivation| match derivation.builder() {
            Builder::Fetch(fetch) => Some(fetch),
            _ => None,
        })
}

#[test]
fn every_package_says_what_it_is_and_under_which_license() -> TestResult {
    for package in packages()? {
        let metadata = package.derivation.metadata();
        assert!(
            metadata.description.is_some(),
            "{} has no description",
            package.label
        );
        if package.name != SEED {
            assert!(
                metadata.version.is_some(),
                "{} has no version",
                package.label
            );
            assert!(
                metadata.license.is_some(),
                "{} has no license",
                package.label
            );
            assert!(
                metadata.homepage.is_some(),
                "{} has no homepage",
                package.label
            );
            assert!(
                !metadata.sources.is_empty(),
                "{} has no sources",
                package.label
            );
        }
    }
    Ok(())
}

/// The only hosts that recipes name: upstream's own, which have no registry or archive behind them that a machine has a mirror of.
const UPSTREAM: [&str; 12] = [
    "busybox.net",
    "c-ares.org",
    "curl.se",
    "download.lighttpd.net",
    "ftp.postgresql.org",
    "github.com",
    "musl.libc.org",
    "nginx.org",
    "sourceware.org",
    "thekelleys.org.uk",
    "www.lua.org",
    "www.openssl.org",
];

#[test]
fn urls_name_mirrors_and_the_hosts_of_upstream_alone() -> TestResult {
    let derivations = all_derivations(&packages()?);
    let mut hosts = BTreeSet::new();
    for url in fetches(&derivations).flat_map(|fetch| &fetch.urls) {
        let url = url.strip_prefix("index+").unwrap_or(url);
        if url.starts_with("mirror://") {
            continue;
        }
        assert!(url.starts_with("https://"), "{url}");
        hosts.extend(url.split('/').nth(2));
    }
    assert_eq!(hosts, BTreeSet::from(UPSTREAM));
    Ok(())
}

#[test]
fn results_run_with_the_libc_that_they_are_linked_against() -> TestResult {
    let derivations = all_derivations(&packages()?);
    let file_names =
        fetches(&derivations).filter_map(|fetch| fetch.urls.first()?.rsplit('/').next());
    let versions = |package: &str| -> BTreeSet<&str> {
        let of_package = |name: &'_ str| {
            name.split_once('_')
                .is_some_and(|(found, _)| found == package)
        };
        file_names
            .clone()
            .filter(|name| of_package(name))
            .filter_map(|name| name.split('_').nth(1))
            .collect()
    };
    for (run_time, build_time) in [
        ("libc6", "libc6-dev"),
        ("libgcc-s1", "gcc-12"),
        ("libstdc++6", "libstdc++-12-dev"),
    ] {
        assert_eq!(versions(run_time).len(), 1, "{run_time}");
        assert_eq!(
            versions(run_time),
            versions(build_time),
            "{run_time} and {build_time}"
        );
    }
    Ok(())
}

/// The names of what an app in Python is built with, whose manifest has these lines.
fn inputs_of_an_app(manifest: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let place = directory.path();
    fs::write(place.join("main.py"), "print(1)\n")?;
    fs::write(place.join("pyproject.toml"), manifest)?;
    fs::write(
        place.join("pith.star"),
        "load(\"//lib/python.star\", \"python_app\")\n\
         app = python_app(name = \"app\", src = source(\".\"), main = \"main.py\")\n",
    )?;
    let project = Evaluator::new(Collection::embedded(), None).evaluate_project(place)?;
    let app = project.packages.first().ok_or("there is an app")?;
    let inputs = app.derivation.inputs().iter();
    Ok(inputs
        .map(|input| input.derivation().name().to_string())
        .collect())
}

#[test]
fn an_app_gets_the_oldest_python_that_it_runs_with() -> TestResult {
    for (manifest, expected) in [
        ("[project]\nname = \"app\"\n", "python3-3.11.2"),
        ("[project]\nrequires-python = \">=3.9\"\n", "python3-3.11.2"),
        (
            "[project]\nrequires-python = \">=3.12\"\n",
            "python313-3.13.5",
        ),
        (
            "[tool.poetry.dependencies]\npython = \"^3.12\"\n",
            "python313-3.13.5",
        ),
    ] {
        let inputs = inputs_of_an_app(manifest)?;
        let pythons: Vec<&String> = inputs
            .iter()
            .filter(|name| name.starts_with("python3"))
            .collect();
        assert_eq!(pythons, [expected], "{manifest}");
    }
    let error = inputs_of_an_app("[project]\nrequires-python = \">=3.99\"\n").err();
    let error = error.map(|error| error.to_string()).unwrap_or_default();
    let expected =
        "pyproject.toml:2: the app asks for Python `>=3.99`, and there are 3.11.2 and 3.13.5";
    assert!(error.contains(expected), "{error}");
    Ok(())
}
