//! Garbage collection on a real store: what goes, what stays and why, and what happens when it is disturbed.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    slice::from_ref,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use store::{
    Component, GcError, GcEvent, GcMode, GcOptions, GcReport, Keeper, LocalStore, MemoryNode,
    PathInfo, RootKind, RootState, StorePath,
    facts::FactsObject,
    testing::{StoreDirectory, TEST_TIME, TempStore, add_tree, find_faults, open},
};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const NONE: Vec<String> = Vec::new();
const DAY: u64 = 24 * 60 * 60;

/// Adds a file of `size` bytes that refers to others.
fn add(
    store: &LocalStore,
    name: &str,
    size: usize,
    references: &[&PathInfo],
) -> TestResult<PathInfo> {
    let mut text = vec![b'.'; size];
    for reference in references {
        text.extend(reference.path.to_logical().bytes());
        text.push(b'\n');
    }
    Ok(add_tree(store, name, MemoryNode::file(text), references)?)
}

fn collect(store: &LocalStore, options: &GcOptions) -> Result<GcReport, GcError> {
    store.collect_garbage(options, &|_| {}, &AtomicBool::new(false))
}

fn names(report: &GcReport) -> Vec<&str> {
    report
        .collected
        .iter()
        .map(|one| one.path.name().as_str())
        .collect()
}

fn valid(store: &LocalStore) -> TestResult<BTreeSet<String>> {
    let paths = store.find_by_prefix("")?;
    Ok(paths
        .iter()
        .map(|path| path.name().as_str().to_owned())
        .collect())
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// base ← lib ← app, and tool alone.
fn family(store: &LocalStore) -> TestResult<[PathInfo; 4]> {
    let base = add(store, "base", 1000, &[])?;
    let lib = add(store, "lib", 2000, &[&base])?;
    let app = add(store, "app", 3000, &[&lib, &base])?;
    let tool = add(store, "tool", 4000, &[])?;
    Ok([base, lib, app, tool])
}

/// Says when an object was last used.
fn use_at(store: &LocalStore, path: &StorePath, time: u64) -> TestResult {
    let digest = path.digest().to_string();
    let record = store
        .root()
        .join("var/meta")
        .join(&digest[..2])
        .join(&digest);
    // Records may not be written to; whose they are may set their times.
    let file = fs::File::open(record)?;
    file.set_modified(UNIX_EPOCH + Duration::from_secs(time))?;
    Ok(())
}

#[test]
fn what_nothing_keeps_goes_with_everything_about_it() -> TestResult {
    let store = TempStore::new();
    family(&store)?;
    let report = collect(&store, &GcOptions::default())?;
    assert_eq!(
        (report.alive, report.dead, report.collected.len()),
        (0, 4, 4)
    );
    assert_eq!(report.freed_bytes, report.dead_bytes);
    assert_eq!(valid(&store)?, set([]));
    assert_eq!(find_faults(&store), NONE);
    let files = |name: &str| -> TestResult<usize> {
        let mut count = 0;
        for shard in fs::read_dir(store.root().join(name))? {
            count += fs::read_dir(shard?.path())?.count();
        }
        Ok(count)
    };
    assert_eq!(files("var/meta")?, 0);
    // The same objects can come back.
    family(&store)?;
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn referrers_go_first() -> TestResult {
    let store = TempStore::new();
    family(&store)?;
    let report = collect(&store, &GcOptions::default())?;
    let place = |name| names(&report).iter().position(|other| *other == name);
    assert!(
        place("app") < place("lib") && place("lib") < place("base"),
        "{report:?}"
    );
    Ok(())
}

#[test]
fn a_root_keeps_its_closure_until_it_is_removed() -> TestResult {
    let store = TempStore::new();
    let [_, lib, ..] = family(&store)?;
    store.add_root("mine", &lib.path, RootKind::Explicit)?;
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set(["base", "lib"]));
    assert!(store.remove_root("mine")?);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set([]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_lease_keeps_the_closure_of_what_it_names() -> TestResult {
    let store = TempStore::new();
    let [_, lib, ..] = family(&store)?;
    let lease = store.lease()?;
    assert_eq!(store.hold(&lease, from_ref(&lib.path))?, []);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set(["base", "lib"]));
    let why = store.why_alive(&lib.path)?.ok_or("it is leased")?;
    let process = std::process::id();
    assert_eq!(why.keeper, Keeper::Lease { process });
    drop(lease);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set([]));
    Ok(())
}

/// Adds an object with what was observed of it.
fn add_with_facts(store: &LocalStore, name: &str, below: &[&PathInfo]) -> TestResult<PathInfo> {
    let facts = add(store, &format!("{name}-facts"), 50, &[])?;
    let info = add(store, name, 100, below)?;
    let component = Component {
        name: name.to_owned(),
        facts: Some(FactsObject {
            path: facts.path,
            id: facts.id,
        }),
        ..Component::default()
    };
    store.set_components(&[(info.path.clone(), component)])?;
    Ok(info)
}

#[test]
fn facts_live_as_long_as_what_they_are_of() -> TestResult {
    let store = TempStore::new();
    let lib = add_with_facts(&store, "lib", &[])?;
    let app = add_with_facts(&store, "app", &[&lib])?;
    add_with_facts(&store, "tool", &[])?;
    // An object may be called so and be nobody's facts.
    add(&store, "lost-facts", 10, &[])?;
    store.add_root("mine", &app.path, RootKind::Explicit)?;
    collect(&store, &GcOptions::default())?;
    let kept = set(["app", "app-facts", "lib", "lib-facts"]);
    assert_eq!(valid(&store)?, kept);
    let facts = store.find_by_prefix("")?;
    let facts = facts
        .iter()
        .find(|path| path.name().as_str() == "lib-facts");
    let why = store.why_alive(facts.ok_or("it was kept")?)?;
    let chain = why.ok_or("it is kept")?.chain;
    let chain: Vec<_> = chain.iter().map(|path| path.name().as_str()).collect();
    assert_eq!(chain, ["app", "lib", "lib-facts"]);
    assert!(store.remove_root("mine")?);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set([]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn facts_that_get_an_owner_while_it_runs_stay() -> TestResult {
    let store = TempStore::new();
    let facts = add(&store, "app-facts", 50, &[])?;
    let app = add(&store, "app", 10, &[])?;
    store.add_root("mine", &app.path, RootKind::Explicit)?;
    let events = |event| {
        if let GcEvent::Marked { .. } = event {
            let component = Component {
                facts: Some(FactsObject {
                    path: facts.path.clone(),
                    id: facts.id,
                }),
                ..Component::default()
            };
            let known = [(app.path.clone(), component)];
            assert_eq!(store.set_components(&known).unwrap(), 1);
        }
    };
    store.collect_garbage(&GcOptions::default(), &events, &AtomicBool::new(false))?;
    assert_eq!(valid(&store)?, set(["app", "app-facts"]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_lease_taken_while_it_runs_keeps_what_is_left() -> TestResult {
    let store = TempStore::new();
    let [base, lib, ..] = family(&store)?;
    let lease = store.lease()?;
    // Marked comes after the reading of leases and before the first deletion.
    let events = |event| {
        if let GcEvent::Marked { .. } = event {
            assert_eq!(store.hold(&lease, from_ref(&lib.path)).unwrap(), []);
        }
    };
    store.collect_garbage(&GcOptions::default(), &events, &AtomicBool::new(false))?;
    assert_eq!(valid(&store)?, set(["base", "lib"]));
    assert!(store.real_path(&base.path).exists());
    assert_eq!(
        find_faults(&store)
            .iter()
            .filter(|fault| !fault.contains("var/leases"))
            .count(),
        0
    );
    Ok(())
}

#[test]
fn a_root_and_an_object_made_while_it_runs_stay() -> TestResult {
    let store = TempStore::new();
    let [base, lib, ..] = family(&store)?;
    let events = |event| {
        if let GcEvent::Marked { .. } = event {
            store
                .add_root("late", &lib.path, RootKind::Explicit)
                .unwrap();
            add(&store, "newer", 10, &[&base]).unwrap();
        }
    };
    store.collect_garbage(&GcOptions::default(), &events, &AtomicBool::new(false))?;
    assert_eq!(valid(&store)?, set(["base", "lib", "newer"]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_link_is_a_root_as_long_as_it_leads_to_the_object() -> TestResult {
    let store = TempStore::new();
    let place = tempfile::tempdir()?;
    let [base, lib, app, tool] = family(&store)?;
    for (name, info) in [("gone", &base), ("elsewhere", &tool), ("good", &lib)] {
        let link = place.path().join(name);
        symlink(store.real_path(&info.path), &link)?;
        store.add_root(&link.to_string_lossy(), &info.path, RootKind::BuildResult)?;
    }
    fs::remove_file(place.path().join("gone"))?;
    fs::remove_file(place.path().join("elsewhere"))?;
    symlink(store.real_path(&app.path), place.path().join("elsewhere"))?;
    let states: Vec<_> = store
        .report_roots()?
        .iter()
        .map(|report| report.state)
        .collect();
    assert_eq!(
        states,
        [RootState::Stale, RootState::Stale, RootState::Live]
    );
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set(["base", "lib"]));
    let left: Vec<_> = store
        .list_roots()?
        .into_iter()
        .map(|root| root.path)
        .collect();
    assert_eq!(
        left,
        [base.path, lib.path],
        "a stale root goes with its object"
    );
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_root_that_cannot_be_read_stops_it_before_anything_is_deleted() -> TestResult {
    let store = TempStore::new();
    let place = tempfile::tempdir()?;
    let [.., tool] = family(&store)?;
    symlink("loop", place.path().join("loop"))?;
    let name = place
        .path()
        .join("loop/result")
        .to_string_lossy()
        .into_owned();
    store.add_root(&name, &tool.path, RootKind::BuildResult)?;
    let error = collect(&store, &GcOptions::default())
        .err()
        .ok_or("it cannot know")?;
    assert!(error.to_string().contains(&name), "{error}");
    assert_eq!(valid(&store)?.len(), 4);
    Ok(())
}

#[test]
fn a_file_that_a_process_has_open_keeps_its_object() -> TestResult {
    let store = TempStore::new();
    let [.., tool] = family(&store)?;
    let file = fs::File::open(store.real_path(&tool.path))?;
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set(["tool"]));
    let why = store.why_alive(&tool.path)?.ok_or("it is open")?;
    assert!(matches!(why.keeper, Keeper::Process { id, .. } if id == std::process::id()));
    drop(file);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set([]));
    Ok(())
}

#[test]
fn a_dry_run_says_what_would_go_and_deletes_nothing() -> TestResult {
    let store = TempStore::new();
    let [_, lib, ..] = family(&store)?;
    store.add_root("mine", &lib.path, RootKind::Explicit)?;
    let dry = GcOptions {
        mode: GcMode::DryRun,
        ..GcOptions::default()
    };
    let said = collect(&store, &dry)?;
    assert_eq!(valid(&store)?.len(), 4);
    assert_eq!(collect(&store, &GcOptions::default())?, said);
    assert_eq!(names(&said), ["app", "tool"]);
    Ok(())
}

#[test]
fn it_stops_when_enough_is_free_and_keeps_what_was_used_last() -> TestResult {
    let store = TempStore::new();
    let [base, lib, app, tool] = family(&store)?;
    for (info, days) in [(&base, 90), (&lib, 90), (&app, 1), (&tool, 30)] {
        use_at(&store, &info.path, TEST_TIME - days * DAY)?;
    }
    let free = |bytes| GcOptions {
        free_bytes: Some(bytes),
        ..GcOptions::default()
    };
    // base and lib were used when app was.
    assert_eq!(names(&collect(&store, &free(1))?), ["tool"]);
    assert_eq!(names(&collect(&store, &free(4000))?), ["app", "lib"]);
    assert_eq!(valid(&store)?, set(["base"]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn what_was_used_lately_stays_if_asked_for() -> TestResult {
    let store = TempStore::new();
    let [base, lib, app, tool] = family(&store)?;
    for (info, days) in [(&base, 90), (&lib, 5), (&app, 40), (&tool, 30)] {
        use_at(&store, &info.path, TEST_TIME - days * DAY)?;
    }
    let older = |days: u64| GcOptions {
        keep_seconds: Some(days * DAY),
        ..GcOptions::default()
    };
    assert_eq!(names(&collect(&store, &older(50))?), [""; 0]);
    assert_eq!(names(&collect(&store, &older(35))?), ["app"]);
    assert_eq!(names(&collect(&store, &older(7))?), ["tool"]);
    assert_eq!(valid(&store)?, set(["base", "lib"]));
    Ok(())
}

#[test]
fn a_lease_sets_the_time_of_the_last_use() -> TestResult {
    let store = TempStore::new();
    let [base, ..] = family(&store)?;
    use_at(&store, &base.path, 1)?;
    store.lease()?.protect(&[*base.path.digest()])?;
    let older = GcOptions {
        keep_seconds: Some(DAY),
        ..GcOptions::default()
    };
    // The clock of the test stands still in the past, so whatever was used now was used after it.
    collect(&store, &older)?;
    assert!(valid(&store)?.contains("base"));
    Ok(())
}

#[test]
fn what_keeps_the_rest_is_named_when_not_enough_can_be_freed() -> TestResult {
    let store = TempStore::new();
    let [base, lib, app, _] = family(&store)?;
    store.add_root("small", &base.path, RootKind::Explicit)?;
    store.add_root("app", &app.path, RootKind::Explicit)?;
    let options = GcOptions {
        free_bytes: Some(1 << 40),
        ..GcOptions::default()
    };
    let report = collect(&store, &options)?;
    assert_eq!(names(&report), ["tool"]);
    let named: Vec<_> = report
        .keepers
        .iter()
        .map(|kept| (kept.keeper.clone(), kept.alone_bytes))
        .collect();
    let root = |name: &str| Keeper::Root {
        name: name.into(),
        kind: RootKind::Explicit,
    };
    assert_eq!(
        named,
        [
            (root("app"), app.size_bytes + lib.size_bytes),
            (root("small"), 0)
        ]
    );
    Ok(())
}

#[test]
fn why_shows_the_shortest_chain() -> TestResult {
    let store = TempStore::new();
    let [base, _, app, tool] = family(&store)?;
    store.add_root("app", &app.path, RootKind::Explicit)?;
    let why = store.why_alive(&base.path)?.ok_or("the root keeps it")?;
    assert_eq!(why.chain, [app.path, base.path]);
    assert_eq!(store.why_alive(&tool.path)?, None);
    collect(&store, &GcOptions::default())?;
    assert!(matches!(
        store.why_alive(&tool.path),
        Err(GcError::NotValid { .. })
    ));
    Ok(())
}

#[test]
fn a_second_collector_waits_and_says_so() -> TestResult {
    let store = TempStore::new();
    family(&store)?;
    let (cancel, told) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    // The first one is still at work when the second begins, which gives up once it has said that it waits.
    let events = |event| {
        if !matches!(event, GcEvent::Marked { .. }) {
            return;
        }
        let second = |event| {
            told.lock().unwrap().push(event);
            cancel.store(true, Ordering::Relaxed);
        };
        let result = store.collect_garbage(&GcOptions::default(), &second, &cancel);
        assert!(matches!(result, Err(GcError::Interrupted)));
    };
    store.collect_garbage(&GcOptions::default(), &events, &AtomicBool::new(false))?;
    assert_eq!(*told.lock().unwrap(), [GcEvent::WaitingForCollector]);
    assert_eq!(valid(&store)?, set([]));
    Ok(())
}

#[test]
fn many_batches_go_while_others_add() -> TestResult {
    let store = TempStore::new();
    let mut last = add(&store, "n0", 10, &[])?;
    for index in 1..300 {
        last = add(&store, &format!("n{index}"), 10, &[&last])?;
    }
    std::thread::scope(|scope| {
        let adders: Vec<_> = (0..3)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    for index in 0..40 {
                        // Some are the very objects that are being deleted.
                        let name = format!("n{}", (index * 7 + thread) % 10);
                        add(store, &name, 10, &[]).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            collect(&store, &GcOptions::default()).unwrap();
        }
        adders.into_iter().for_each(|adder| adder.join().unwrap());
    });
    assert_eq!(find_faults(&store), NONE);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set([]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

#[test]
fn a_damaged_object_goes_as_well_and_keeps_what_it_refers_to_while_it_is_rooted() -> TestResult {
    let directory = StoreDirectory::new();
    let store = open(directory.path())?;
    let [base, lib, ..] = family(&store)?;
    store.add_root("lib", &lib.path, RootKind::Explicit)?;
    let store = damage_in_a_crash(store, &lib)?;
    assert_eq!(store.path_info(&lib.path)?, None);
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set(["base"]));
    // Repair is possible: what it refers to is there.
    assert_eq!(add(&store, "lib", 2000, &[&base])?, lib);
    let store = damage_in_a_crash(store, &lib)?;
    store.remove_root("lib")?;
    collect(&store, &GcOptions::default())?;
    assert_eq!(valid(&store)?, set([]));
    assert_eq!(find_faults(&store), NONE);
    Ok(())
}

/// Closes a store, changes an object on disk, and opens the store as after a crash of the machine.
fn damage_in_a_crash(store: LocalStore, info: &PathInfo) -> TestResult<LocalStore> {
    let (root, file) = (store.root().to_owned(), store.real_path(&info.path));
    drop(store);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
    fs::write(&file, "cut off")?;
    fs::set_permissions(&file, PermissionsExt::from_mode(0o444))?;
    fs::write(root.join("var/unclean"), "another boot")?;
    Ok(open(&root)?)
}
