//! What was built here goes into a cache, once.

use std::error::Error;
use std::path::Path;
use std::thread;

use store::cache::testing::find_cache_faults;
use store::testing::{add_tree, memory_tree, open};
use store::{MemoryNode, Realisation, ResolvedDigest};
use tests::TestEnv;

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A store with a program that names a library and was built in a sandbox, and a key in the user's settings.
struct Built {
    env: TestEnv,
    program: String,
    library: String,
}

impl Built {
    fn new(sandbox: &str) -> TestResult<Self> {
        let env = TestEnv::new();
        let store = open(env.store())?;
        let library = add_tree(
            &store,
            "library-1.0",
            MemoryNode::file(vec![7; 100_000]),
            &[],
        )?;
        let text = format!("needs {}", library.path.to_logical());
        let tree = memory_tree(&[("bin/program", MemoryNode::program(text))]);
        let program = add_tree(&store, "program-2.0", tree, &[&library])?;
        store.add_realisations(&[Realisation {
            resolved: ResolvedDigest::from_bytes([7; 32]),
            output: "out".into(),
            object: program.id,
            path: program.path.clone(),
            sandbox: sandbox.into(),
            built_at: 1,
            duration_ms: 1,
        }])?;
        let key = env.path("builder-1");
        let key = key.to_str().ok_or("a path of text")?;
        env.pith(&["key", "generate", "-q", "-o", key])
            .expect_success();
        env.write(
            "home/.config/pith/config.toml",
            &format!("signing-key = '{key}'\n"),
        );
        Ok(Self {
            env,
            program: program.path.to_logical(),
            library: library.path.to_logical(),
        })
    }

    fn cache(&self) -> TestResult<String> {
        let cache = self.env.path("cache");
        Ok(cache.to_str().ok_or("a path of text")?.to_owned())
    }
}

#[test]
fn a_target_goes_out_once_and_the_cache_is_whole() -> TestResult {
    let built = Built::new("full")?;
    let cache = built.cache()?;
    let push = ["cache", "push", &cache, &built.program, "--json"];
    let first = built.env.pith(&push).expect_success().json();
    assert_eq!(find_cache_faults(Path::new(&cache)), [""; 0]);
    for (field, count) in [
        ("objects", 2),
        ("new_objects", 2),
        ("packs", 1),
        ("realisations", 1),
    ] {
        assert_eq!(first[field], count, "{field} in {first}");
    }
    assert_eq!(first["key"], "builder-1");
    let again = built.env.pith(&push[..4]).expect_success();
    assert_eq!(again.stdout, "");
    assert_eq!(
        again.stderr,
        format!("2 objects already there, nothing sent to {cache}\n")
    );
    let info = built
        .env
        .pith(&["cache", "info", &cache, "--json"])
        .expect_success()
        .json();
    let info = &info["caches"][0];
    assert_eq!(info["store_dir"], "/pith/store");
    assert_eq!(info["contents"]["objects"], 2);
    let key = built.env.pith(&["key", "show"]).expect_success();
    assert_eq!(info["keys"][0], key.line());
    Ok(())
}

#[test]
fn processes_that_push_at_once_do_not_disturb_each_other() -> TestResult {
    let built = Built::new("full")?;
    let cache = built.cache()?;
    thread::scope(|scope| {
        for target in [
            &built.program,
            &built.library,
            &built.program,
            &built.library,
        ] {
            let (env, cache) = (&built.env, &cache);
            scope.spawn(move || env.pith(&["cache", "push", cache, target]).expect_success());
        }
    });
    assert_eq!(find_cache_faults(Path::new(&cache)), [""; 0]);
    for target in [&built.program, &built.library] {
        let push = ["cache", "push", &cache, target, "--json"];
        let again = built.env.pith(&push).expect_success().json();
        assert_eq!(again["sent_bytes"], 0, "{again}");
    }
    Ok(())
}

#[test]
fn a_build_in_a_weak_sandbox_is_pushed_only_by_name() -> TestResult {
    let built = Built::new("no-proc")?;
    let cache = built.cache()?;
    let push = ["cache", "push", &cache, &built.program];
    let refused = built.env.pith(&push).expect_status(3);
    assert_eq!(
        refused.stderr,
        format!(
            "error: `{}` was built in the weak sandbox `no-proc`\nhint: `--allow-sandbox no-proc` pushes it nevertheless\n",
            built.program.trim_start_matches("/pith/store/")
        )
    );
    assert!(!Path::new(&cache).exists());
    let allowed = ["--allow-sandbox", "no-proc"];
    built
        .env
        .pith(&[&push[..], &allowed].concat())
        .expect_success();
    assert_eq!(find_cache_faults(Path::new(&cache)), [""; 0]);
    Ok(())
}

#[test]
fn a_project_does_not_choose_the_key() -> TestResult {
    let built = Built::new("full")?;
    built.env.write("project/pith.star", "");
    built
        .env
        .write("project/pith.toml", "signing-key = 'theirs'\n");
    let refused = built
        .env
        .pith(&["cache", "info", &built.cache()?])
        .expect_status(2);
    assert!(
        refused
            .stderr
            .contains("sets `signing-key`, which is not for a project to decide"),
        "{}",
        refused.stderr
    );
    Ok(())
}
