//! What nothing needs any more goes out of a cache, and the command says what.

use std::error::Error;
use std::path::Path;

use store::cache::testing::find_cache_faults;
use store::testing::{add_tree, memory_tree, open};
use store::{MemoryNode, PathInfo};
use tests::TestEnv;

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A cache with two programs that need one library.
struct Pushed {
    env: TestEnv,
    cache: String,
    programs: [String; 2],
}

impl Pushed {
    fn new() -> TestResult<Self> {
        let env = TestEnv::new();
        let store = open(env.store())?;
        let library = add_tree(&store, "library-1", MemoryNode::file(vec![7; 9000]), &[])?;
        let add = |version: &str| -> TestResult<PathInfo> {
            let text = format!("{version} needs {}", library.path.to_logical());
            let tree = memory_tree(&[("bin/program", MemoryNode::program(text))]);
            Ok(add_tree(
                &store,
                &format!("program-{version}"),
                tree,
                &[&library],
            )?)
        };
        let programs = [add("1")?, add("2")?].map(|info| info.path.to_logical());
        drop(store);
        let cache = env
            .path("cache")
            .to_str()
            .ok_or("a path of text")?
            .to_owned();
        for program in &programs {
            env.pith(&["cache", "push", &cache, program])
                .expect_success();
        }
        Ok(Self {
            env,
            cache,
            programs,
        })
    }

    fn gc(&self, arguments: &[&str]) -> tests::Finished {
        let command = [&["cache", "gc", &self.cache], arguments].concat();
        self.env.pith(&command)
    }

    fn check(&self) {
        assert_eq!(find_cache_faults(Path::new(&self.cache)), [""; 0]);
    }
}

#[test]
fn what_nothing_keeps_is_condemned_first_and_goes_later() -> TestResult {
    let pushed = Pushed::new()?;
    let keep = ["--keep", &pushed.programs[1]];
    // Everything is younger than a day.
    let said = pushed.gc(&keep).expect_success().stdout;
    let expected = format!(
        "freed 0 B (0 objects, 0 packs, 0 files); 3 objects stay in {}\n",
        pushed.cache
    );
    assert_eq!(said, expected);
    let dry = [&keep[..], &["--grace", "0", "--dry-run", "--json"]].concat();
    let told = pushed.gc(&dry).expect_success().json();
    assert_eq!(told["condemned"]["objects"], 1, "{told}");
    pushed.check();
    let now = [&keep[..], &["--grace", "0", "--json"]].concat();
    let done = pushed.gc(&now).expect_success().json();
    assert_eq!(done["removed"], told["condemned"]);
    assert_eq!(done["kept_objects"], 2);
    pushed.check();
    let again = pushed.gc(&now).expect_success().json();
    assert_eq!(again["removed"]["files"], 0, "{again}");
    // What is there is not sent again, and what is gone is.
    let push = [
        "cache",
        "push",
        &pushed.cache,
        &pushed.programs[0],
        "--json",
    ];
    let sent = pushed.env.pith(&push).expect_success().json();
    assert_eq!(
        (&sent["objects"], &sent["new_objects"]),
        (&2.into(), &1.into())
    );
    pushed.check();
    Ok(())
}

#[test]
fn what_is_pinned_stays_without_being_named_again() -> TestResult {
    let pushed = Pushed::new()?;
    let [first, second] = &pushed.programs;
    let done = pushed.gc(&["--pin", first, "--grace", "0", "--json"]);
    assert_eq!(done.expect_success().json()["kept_objects"], 2);
    let done = pushed.gc(&["--grace", "0", "--json"]);
    assert_eq!(done.expect_success().json()["kept_objects"], 2);
    let done = pushed.gc(&["--unpin", first, "--keep", second, "--grace", "0"]);
    let said = done.expect_success().stdout;
    assert!(
        said.contains("program-2 is to stay, but is not in the cache\n"),
        "{said}"
    );
    assert!(said.contains("; 0 objects stay in "), "{said}");
    pushed.check();
    Ok(())
}

#[test]
fn a_collection_that_makes_no_sense_says_why_and_what_to_do() -> TestResult {
    let pushed = Pushed::new()?;
    let refused = pushed.gc(&["--grace", "0"]).expect_status(1);
    let expected = format!(
        "error: nothing says what stays in `{}`\nhint: `--keep TARGET`, `--pin TARGET` or `--older-than DAYS` says it\n",
        pushed.cache
    );
    assert_eq!(refused.stderr, expected);
    for (cache, expected) in [
        (
            "https://cache.example/x",
            "error: the cache `https://cache.example/x` cannot be collected: a web server does not list its files\n\
             hint: collect the directory or the bucket that the server takes its files from\n",
        ),
        (
            "oci://cache.example/x",
            "error: the cache `oci://cache.example/x` cannot be collected: a registry does not tell when its files were written\n\
             hint: push what is needed into another repository, and delete this one\n",
        ),
    ] {
        let command = ["cache", "gc", cache, "--older-than", "9"];
        assert_eq!(pushed.env.pith(&command).expect_status(1).stderr, expected);
    }
    let nothing = pushed.env.path("nothing");
    let nothing = nothing.to_str().ok_or("a path of text")?;
    let absent = pushed
        .env
        .pith(&["cache", "gc", nothing, "--older-than", "9"]);
    let absent = absent.expect_status(1).stderr;
    assert!(absent.contains(nothing), "{absent}");
    assert!(!Path::new(nothing).exists());
    Ok(())
}
