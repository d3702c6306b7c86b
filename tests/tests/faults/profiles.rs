//! Changes of a profile: a switch to a new generation, to an old one, and the removal of generations.

use store::{
    LocalStore, MemoryNode, StorePath,
    profile::{Generation, InstalledPackage, Manifest, Origin, Profile, ProfileName, find_launch},
    testing::{add_tree, memory_tree},
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "profile-first",
        prepare: |store| add_package(store, "a-1"),
        act: |store| install(store, &["a-1"]),
        is_done: |store| is_current(store, 1, &["a-1"]),
        is_undone: |store| match profile(store).current()? {
            None => Ok(()),
            Some(generation) => Err(format!("{generation:?} is current").into()),
        },
    },
    Operation {
        name: "profile-install",
        prepare: |store| {
            for name in ["a-1", "a-2", "b-1"] {
                add_package(store, name)?;
            }
            install(store, &["a-1"])
        },
        act: |store| install(store, &["a-2", "b-1"]),
        is_done: |store| is_current(store, 2, &["a-2", "b-1"]),
        is_undone: |store| expect_current(store, 1, &["a-1"]),
    },
    Operation {
        name: "profile-rollback",
        prepare: three_generations,
        act: |store| {
            profile(store).lock(&|| {})?.switch_to(1)?;
            Ok(())
        },
        is_done: |store| is_current(store, 1, &["a-1"]),
        is_undone: |store| expect_current(store, 3, &["a-3"]),
    },
    Operation {
        name: "profile-forget",
        prepare: three_generations,
        act: |store| {
            profile(store).lock(&|| {})?.remove_generations(&[1, 2])?;
            Ok(())
        },
        is_done: |store| {
            let (generations, roots) = (profile(store).generations()?, profile(store).roots()?);
            let numbers: Vec<_> = generations.iter().map(number).collect();
            let kept: Vec<_> = roots.iter().map(|(number, _)| *number).collect();
            Ok(numbers == [3] && kept == [3] && is_current(store, 3, &["a-3"])?)
        },
        // Each generation is whole or gone; that every link has its root is checked of all stores.
        is_undone: |store| expect_current(store, 3, &["a-3"]),
    },
];

fn profile(store: &LocalStore) -> Profile<'_> {
    Profile::named(store, &ProfileName::default())
}

/// Adds a package of one program, called by the letter that the package's name begins with.
fn add_package(store: &LocalStore, name: &str) -> TestResult {
    let program = MemoryNode::program(name);
    let tree = memory_tree(&[(&format!("bin/{}", &name[..1]), program)]);
    add_tree(store, name, tree, &[])?;
    Ok(())
}

/// Packages that were added, which costs no operation worth failing.
fn manifest(store: &LocalStore, names: &[&str]) -> TestResult<Manifest> {
    let mut paths = store.find_by_prefix("")?;
    paths.retain(|path| names.contains(&path.name().as_str()));
    let installed = |path: StorePath| {
        let package = InstalledPackage {
            target: path.to_logical(),
            origin: Origin::Path,
            collection: None,
            output: None,
            version: None,
            priority: 5,
            path: path.clone(),
        };
        (path.name().to_string(), package)
    };
    Ok(Manifest {
        packages: paths.into_iter().map(installed).collect(),
    })
}

fn install(store: &LocalStore, names: &[&str]) -> TestResult {
    let profile = profile(store);
    let locked = profile.lock(&|| {})?;
    locked.set_starter("/bin/false".as_ref())?;
    locked.install(&manifest(store, names)?)?;
    Ok(())
}

fn three_generations(store: &LocalStore) -> TestResult {
    ["a-1", "a-2", "a-3"].iter().try_for_each(|name| {
        add_package(store, name)?;
        install(store, &[name])
    })
}

fn number(generation: &Generation) -> u64 {
    generation.number
}

/// Tells whether that generation is the current one, wholly: its manifest, and what its launchers lead to.
fn is_current(store: &LocalStore, number: u64, names: &[&str]) -> TestResult<bool> {
    let profile = profile(store);
    let current = profile.current()?;
    if current.as_ref().map(|current| current.number) != Some(number) {
        return Ok(false);
    }
    if profile.current_manifest()? != manifest(store, names)? {
        return Err(format!("generation {number} has other packages").into());
    }
    let launch = find_launch(&profile.programs_dir().join("a"))?;
    let path = current.ok_or("it was there")?.path.to_logical();
    Ok(launch.program.starts_with(path))
}

fn expect_current(store: &LocalStore, number: u64, names: &[&str]) -> TestResult {
    if is_current(store, number, names)? {
        Ok(())
    } else {
        Err(format!("generation {number} is not the current one").into())
    }
}
