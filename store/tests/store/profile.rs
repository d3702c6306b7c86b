//! Profiles on a real store: generations, switches, conflicts, launchers, and what a crash leaves.

use std::{
    error::Error,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::AtomicBool,
};

use store::{
    LocalStore, MemoryNode, PathInfo, RootKind,
    gc::GcOptions,
    profile::{
        Change, Generation, InstalledPackage, Manifest, Origin, Outcome, Profile, ProfileError,
        ProfileName, find_launch,
    },
    testing::{StoreDirectory, TempStore, memory_tree, open},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// Adds a package of one program that says its version.
fn package(store: &TempStore, name: &str, version: &str) -> TestResult<PathInfo> {
    let program = MemoryNode::program(format!("#!/bin/sh\necho {name} {version}\n"));
    let tree = memory_tree(&[
        (&format!("bin/{name}"), program),
        (
            &format!("share/doc/{name}/readme"),
            MemoryNode::file(version),
        ),
    ]);
    Ok(store.add_tree(&format!("{name}-{version}"), tree, &[])?)
}

fn manifest(packages: &[&PathInfo]) -> Manifest {
    let installed = |info: &&PathInfo| {
        let (name, version) = info
            .path
            .name()
            .as_str()
            .rsplit_once('-')
            .unwrap_or(("x", "0"));
        let package = InstalledPackage {
            target: name.to_owned(),
            origin: Origin::Path,
            collection: None,
            output: None,
            version: Some(version.to_owned()),
            priority: 5,
            path: info.path.clone(),
        };
        (name.to_owned(), package)
    };
    Manifest {
        packages: packages.iter().map(installed).collect(),
    }
}

fn default_profile(store: &LocalStore) -> Profile<'_> {
    Profile::named(store, &ProfileName::default())
}

fn install(profile: &Profile<'_>, packages: &[&PathInfo]) -> TestResult<Outcome> {
    Ok(profile.lock(&|| {})?.install(&manifest(packages))?)
}

fn numbers(profile: &Profile<'_>) -> TestResult<Vec<u64>> {
    Ok(profile
        .generations()?
        .iter()
        .map(|generation| generation.number)
        .collect())
}

fn current(profile: &Profile<'_>) -> TestResult<u64> {
    Ok(profile
        .current()?
        .ok_or("there is a current generation")?
        .number)
}

#[test]
fn a_generation_is_the_union_of_its_packages_and_keeps_them() -> TestResult {
    let store = TempStore::new();
    let (a, b) = (package(&store, "a", "1")?, package(&store, "b", "1")?);
    let profile = default_profile(&store);
    assert_eq!(profile.current()?, None);
    install(&profile, &[&a, &b])?;

    let generation = profile.current()?.ok_or("it was installed")?;
    assert_eq!(generation.number, 1);
    let info = store.path_info(&generation.path)?.ok_or("it is valid")?;
    let mut packages = [a.path.clone(), b.path.clone()];
    packages.sort();
    let references: Vec<_> = info.references.iter().map(|one| one.path.clone()).collect();
    assert_eq!(references, packages);
    let bin = profile.directory().join("current/bin");
    assert_eq!(
        fs::read_link(bin.join("a"))?,
        Path::new(&a.path.to_logical()).join("bin/a")
    );
    assert_eq!(profile.current_manifest()?, manifest(&[&b, &a]));
    let roots = store.list_roots()?;
    let root = roots.first().ok_or("a root keeps it")?;
    assert_eq!(
        (root.name.as_str(), root.kind, &root.path),
        (
            "var/profiles/default/1",
            RootKind::Profile,
            &generation.path
        )
    );
    Ok(())
}

#[test]
fn the_same_packages_are_the_same_path_in_every_profile_and_store() -> TestResult {
    let (one, other) = (TempStore::new(), TempStore::new());
    let path = |store: &TempStore, name: &str| -> TestResult<_> {
        let (a, b) = (package(store, "a", "1")?, package(store, "b", "1")?);
        let profile = Profile::named(store, &name.parse()?);
        install(&profile, &[&b, &a])?;
        Ok(profile.current()?.ok_or("it was installed")?.path)
    };
    assert_eq!(path(&one, "x")?, path(&one, "y")?);
    assert_eq!(path(&one, "x")?, path(&other, "z")?);
    Ok(())
}

#[test]
fn installing_what_is_there_makes_no_generation() -> TestResult {
    let store = TempStore::new();
    let profile = default_profile(&store);
    assert_eq!(install(&profile, &[])?, Outcome::Unchanged(None));
    let a = package(&store, "a", "1")?;
    install(&profile, &[&a])?;
    assert!(matches!(
        install(&profile, &[&a])?,
        Outcome::Unchanged(Some(_))
    ));
    assert_eq!(numbers(&profile)?, [1]);
    Ok(())
}

#[test]
fn going_back_and_forth_makes_no_generation_and_what_comes_after_is_numbered_on() -> TestResult {
    let store = TempStore::new();
    let (old, new, other) = (
        package(&store, "a", "1")?,
        package(&store, "a", "2")?,
        package(&store, "b", "1")?,
    );
    let profile = default_profile(&store);
    install(&profile, &[&old])?;
    install(&profile, &[&new])?;
    profile.lock(&|| {})?.switch_to(1)?;
    assert_eq!(current(&profile)?, 1);
    assert_eq!(profile.current_manifest()?, manifest(&[&old]));
    // The newest generation is made again: it is gone to.
    install(&profile, &[&new])?;
    assert_eq!((current(&profile)?, numbers(&profile)?), (2, vec![1, 2]));
    profile.lock(&|| {})?.switch_to(1)?;
    install(&profile, &[&old, &other])?;
    assert_eq!((current(&profile)?, numbers(&profile)?), (3, vec![1, 2, 3]));
    let missing = profile.lock(&|| {})?.switch_to(7);
    assert!(matches!(
        missing,
        Err(ProfileError::NoGeneration { number: 7, .. })
    ));
    let changes = Change::between(&manifest(&[&old]), &profile.current_manifest()?);
    assert_eq!(changes.len(), 1);
    Ok(())
}

#[test]
fn a_conflict_names_both_packages_and_changes_nothing() -> TestResult {
    let store = TempStore::new();
    let a = package(&store, "a", "1")?;
    let tree = memory_tree(&[("bin/a", MemoryNode::program("another"))]);
    let imposter = store.add_tree("imposter-1", tree, &[])?;
    let profile = default_profile(&store);
    install(&profile, &[&a])?;
    let error = profile.lock(&|| {})?.install(&manifest(&[&a, &imposter]));
    let Err(ProfileError::Conflict(conflict)) = error else {
        return Err(format!("no conflict: {error:?}").into());
    };
    assert_eq!(
        conflict.to_string(),
        format!(
            "`bin/a` is both in `a` and in `imposter`\n  {}\n  {}",
            a.path.to_logical(),
            imposter.path.to_logical()
        )
    );
    assert_eq!(numbers(&profile)?, [1]);
    assert_eq!(store.list_roots()?.len(), 1);

    let mut resolved = manifest(&[&a, &imposter]);
    if let Some(package) = resolved.packages.get_mut("imposter") {
        package.priority = 4;
    }
    profile.lock(&|| {})?.install(&resolved)?;
    assert_eq!(
        fs::read_link(profile.directory().join("current/bin/a"))?,
        Path::new(&imposter.path.to_logical()).join("bin/a")
    );
    Ok(())
}

#[test]
fn equal_files_of_two_packages_do_not_conflict() -> TestResult {
    let store = TempStore::new();
    let large = vec![7; 200_000];
    let with = |name: &str, bytes: &[u8]| {
        let tree = memory_tree(&[
            ("share/data", MemoryNode::file(bytes)),
            ("lib64", MemoryNode::symlink("lib")?),
        ]);
        Ok::<_, Box<dyn Error>>(store.add_tree(name, tree, &[])?)
    };
    let (a, b) = (with("a-1", &large)?, with("b-1", &large)?);
    let profile = default_profile(&store);
    install(&profile, &[&a, &b])?;
    assert_eq!(
        fs::read_link(profile.directory().join("current/lib64"))?,
        Path::new("lib")
    );

    let mut other = large;
    if let Some(last) = other.last_mut() {
        *last = 8;
    }
    let d = with("d-1", &other)?;
    assert!(install(&profile, &[&a, &d]).is_err());
    Ok(())
}

#[test]
fn a_package_that_is_a_file_is_refused_by_name() -> TestResult {
    let store = TempStore::new();
    let file = store.add_tree("notes-1", MemoryNode::file("text"), &[])?;
    let error = default_profile(&store)
        .lock(&|| {})?
        .install(&manifest(&[&file]));
    assert!(
        matches!(error, Err(ProfileError::NotADirectory { package, .. }) if package == "notes")
    );
    Ok(())
}

#[test]
fn removed_generations_lose_their_roots_and_the_current_one_stays() -> TestResult {
    let store = TempStore::new();
    let profile = default_profile(&store);
    for version in ["1", "2", "3"] {
        install(&profile, &[&package(&store, "a", version)?])?;
    }
    let removed = profile.lock(&|| {})?.remove_generations(&[1, 2, 3, 9])?;
    let removed: Vec<_> = removed.iter().map(|generation| generation.number).collect();
    assert_eq!(removed, [1, 2]);
    assert_eq!(numbers(&profile)?, [3]);
    let roots = profile.roots()?;
    assert_eq!(roots.len(), 1);
    assert_eq!(roots.first().map(|(number, _)| *number), Some(3));
    // Numbers are not used again.
    install(&profile, &[])?;
    assert_eq!(numbers(&profile)?, [3, 4]);
    assert_eq!(profile.current_manifest()?, Manifest::default());
    Ok(())
}

#[test]
fn what_generations_need_is_collected_once_they_are_forgotten() -> TestResult {
    let (store, elsewhere) = (TempStore::new(), StoreDirectory::new());
    let (old, new) = (package(&store, "a", "1")?, package(&store, "a", "2")?);
    let here = default_profile(&store);
    let there = Profile::at(&store, elsewhere.path().join("there"));
    for profile in [&here, &there] {
        install(profile, &[&old])?;
        install(profile, &[&new])?;
    }
    let collect = || store.collect_garbage(&GcOptions::default(), &|_| {}, &AtomicBool::new(false));
    let is_valid =
        |info: &PathInfo| Ok::<_, Box<dyn Error>>(store.path_info(&info.path)?.is_some());
    collect()?;
    assert!(is_valid(&old)? && is_valid(&new)?);

    here.lock(&|| {})?.remove_generations(&[1])?;
    collect()?;
    assert!(is_valid(&old)?, "another profile has it");
    there.lock(&|| {})?.remove_generations(&[1])?;
    collect()?;
    assert!(!is_valid(&old)? && is_valid(&new)?);
    assert_eq!(here.current_manifest()?, manifest(&[&new]));

    // A profile that was removed by hand keeps nothing.
    fs::remove_dir_all(there.directory())?;
    fs::remove_dir_all(here.directory())?;
    collect()?;
    assert!(!is_valid(&new)?);
    assert_eq!(store.find_by_prefix("")?, []);
    Ok(())
}

#[test]
fn what_a_crash_left_is_put_right_by_the_next_change() -> TestResult {
    let store = TempStore::new();
    let profile = default_profile(&store);
    let a = package(&store, "a", "1")?;
    install(&profile, &[&a])?;
    let Generation { path, .. } = profile.current()?.ok_or("it was installed")?;
    // Killed after the root, before the link; killed with a link that has no name yet; a database that was lost.
    store.add_root("var/profiles/default/2", &path, RootKind::Profile)?;
    store.add_root("var/profiles/other/2", &path, RootKind::Profile)?;
    symlink("1", profile.directory().join(".new"))?;
    store.remove_root("var/profiles/default/1")?;
    drop(profile.lock(&|| {})?);
    let names: Vec<_> = store
        .list_roots()?
        .into_iter()
        .map(|root| root.name)
        .collect();
    assert_eq!(names, ["var/profiles/default/1", "var/profiles/other/2"]);
    assert!(profile.directory().join(".new").symlink_metadata().is_err());
    Ok(())
}

#[test]
fn a_profile_may_lie_in_any_directory() -> TestResult {
    let (store, elsewhere) = (TempStore::new(), StoreDirectory::new());
    let directory = elsewhere.path().join("deep/project");
    let profile = Profile::at(&store, directory.clone());
    install(&profile, &[&package(&store, "a", "1")?])?;
    let roots = store.list_roots()?;
    let names: Vec<_> = roots.iter().map(|root| PathBuf::from(&root.name)).collect();
    assert_eq!(names, [directory.join("1")]);
    let generation = profile.current()?.ok_or("it was installed")?;
    assert_eq!(
        fs::read_link(directory.join("1"))?,
        store.real_path(&generation.path)
    );
    Ok(())
}

#[test]
fn a_link_that_no_profile_makes_is_an_error_with_its_name() -> TestResult {
    let store = TempStore::new();
    let profile = default_profile(&store);
    install(&profile, &[&package(&store, "a", "1")?])?;
    symlink("/etc/passwd", profile.directory().join("2"))?;
    let error = profile
        .generations()
        .err()
        .ok_or("the link is bad")?
        .to_string();
    assert!(
        error.contains("default/2") && error.contains("/etc/passwd"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_store_that_was_moved_has_its_profiles() -> TestResult {
    let (here, there) = (StoreDirectory::new(), StoreDirectory::new());
    let directory = here.path().join("store-root");
    let store = open(&directory)?;
    let tree = memory_tree(&[("bin/a", MemoryNode::program("a"))]);
    let a = store::testing::add_tree(&store, "a-1", tree, &[])?;
    install(&default_profile(&store), &[&a])?;
    drop(store);
    let moved = there.path().join("moved");
    fs::rename(&directory, &moved)?;
    let store = open(&moved)?;
    let profile = default_profile(&store);
    assert_eq!(profile.current_manifest()?, manifest(&[&a]));
    assert!(profile.directory().join("current/bin").is_dir());
    Ok(())
}

#[test]
fn two_threads_that_install_at_once_both_find_their_package() -> TestResult {
    let store = TempStore::new();
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let packages = names
        .iter()
        .map(|name| package(&store, name, "1"))
        .collect::<TestResult<Vec<_>>>()?;
    let install_one = |info: &PathInfo| -> Result<(), String> {
        let profile = default_profile(&store);
        let locked = profile.lock(&|| {}).map_err(|error| error.to_string())?;
        let mut wanted = profile
            .current_manifest()
            .map_err(|error| error.to_string())?;
        wanted.packages.extend(manifest(&[info]).packages);
        locked
            .install(&wanted)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = packages
            .iter()
            .map(|info| scope.spawn(move || install_one(info)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "it panicked".to_owned())?)
    })?;
    let profile = default_profile(&store);
    assert_eq!(
        profile.current_manifest()?,
        manifest(&packages.iter().collect::<Vec<_>>())
    );
    assert_eq!(numbers(&profile)?, (1..=8).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_launcher_hands_its_path_and_arguments_to_the_starter() -> TestResult {
    let store = TempStore::new();
    let profile = default_profile(&store);
    let a = package(&store, "a", "1")?;
    install(&profile, &[&a])?;
    let starter = store.root().join("starter");
    fs::write(&starter, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")?;
    fs::set_permissions(
        &starter,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    profile.lock(&|| {})?.set_starter(&starter)?;
    let launcher = profile.programs_dir().join("a");
    let output = Command::new(&launcher)
        .args(["two words", "", "-x"])
        .output()?;
    assert_eq!(
        String::from_utf8(output.stdout)?,
        format!("--launch\n{}\ntwo words\n\n-x\n", launcher.display())
    );
    Ok(())
}

#[test]
fn a_launcher_is_found_through_symlinks_and_leads_to_the_current_generation() -> TestResult {
    let (store, elsewhere) = (TempStore::new(), StoreDirectory::new());
    let profile = default_profile(&store);
    let a = package(&store, "a", "1")?;
    install(&profile, &[&a])?;
    let generation = profile.current()?.ok_or("it was installed")?;
    let launcher = profile.programs_dir().join("a");
    let launch = find_launch(&launcher)?;
    assert_eq!(
        launch.program,
        Path::new(&generation.path.to_logical()).join("bin/a")
    );
    assert_eq!(
        fs::canonicalize(&launch.store_directory)?,
        fs::canonicalize(store.store_directory())?
    );
    let (one, two) = (elsewhere.path().join("one"), elsewhere.path().join("two"));
    symlink(&launcher, &one)?;
    symlink("one", &two)?;
    assert_eq!(find_launch(&two)?, launch);

    let gone = find_launch(&profile.programs_dir().join("b"));
    assert!(matches!(gone, Err(ProfileError::NoProgram { program, .. }) if program == "b"));
    symlink("loop", elsewhere.path().join("loop"))?;
    for stranger in ["loop", "none", "."] {
        let found = find_launch(&elsewhere.path().join(stranger));
        assert!(
            matches!(found, Err(ProfileError::NotALauncher { .. })),
            "{stranger}: {found:?}"
        );
    }
    Ok(())
}
