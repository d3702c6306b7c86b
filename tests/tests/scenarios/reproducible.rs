//! The same bits wherever, whenever and by whomever they are built.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tests::{TestEnv, is_full, run};

/// The recipes that are compared in CI, since they take seconds. `tests/run --full` compares the whole collection, which takes hours.
const QUICK: [&str; 6] = ["hello", "zlib", "lua", "oniguruma", "jq", "ca-certificates"];

fn targets(env: &TestEnv) -> Vec<String> {
    if !is_full() {
        return QUICK.map(str::to_owned).to_vec();
    }
    let found = env.pith(&["search", "", "--json"]).expect_success().json();
    let packages = found["packages"].as_array().expect("a list").iter();
    packages
        .map(|package| package["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// What `pith` says, with another umask where there are variables.
fn say(env: &TestEnv, arguments: &[&str], flags: &[&str], variables: &[(&str, &str)]) -> String {
    let arguments = [arguments, flags].concat();
    let mask = if variables.is_empty() { "022" } else { "077" };
    let with_mask = ["sh", "-c", "umask \"$1\"; shift; exec \"$@\"", "sh", mask];
    let mut command = env.command_under(&with_mask, &arguments);
    command.envs(variables.iter().copied());
    run(&mut command).expect_success().stdout
}

const FORMATS: [&str; 9] = [
    "archive",
    "docker-archive",
    "oci",
    "tar",
    "dir",
    "bundle",
    "squashfs",
    "run",
    "initramfs",
];

/// Paths, modes, and targets or contents of all that an output has.
type Entries = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// What `hello` and `jq` in one image are in each format.
fn outputs(env: &TestEnv, flags: &[&str], variables: &[(&str, &str)]) -> Vec<Entries> {
    let pack = |format: &&str| {
        let place = env.path("home").join(format);
        let output = place.to_str().expect("temporary paths are UTF-8");
        let arguments = ["pack", "hello", "jq", "-q", "-f", format, "-o", output];
        say(env, &arguments, flags, variables);
        let mut entries = Entries::new();
        read(&place, &place, &mut entries).expect("it was written");
        // It says whose user namespace the program is started in: that of who packs.
        entries.remove(Path::new("config.json"));
        entries
    };
    FORMATS.iter().map(pack).collect()
}

fn read(top: &Path, place: &Path, entries: &mut Entries) -> io::Result<()> {
    let found = place.symlink_metadata()?;
    let contents = if found.is_symlink() {
        fs::read_link(place)?.into_os_string().into_encoded_bytes()
    } else if found.is_file() {
        fs::read(place)?
    } else {
        for entry in fs::read_dir(place)? {
            read(top, &entry?.path(), entries)?;
        }
        Vec::new()
    };
    let name = place.strip_prefix(top).expect("it is below");
    // What a file or directory is called by its owner's umask is no part of it; what is in a root file system is.
    let mode = match name.as_os_str().is_empty() || top.join("oci-layout").exists() {
        true => 0,
        false => found.permissions().mode(),
    };
    entries.insert(name.to_path_buf(), (mode, contents));
    Ok(())
}

/// Store paths of `targets`, in order, and the manifest digest of each one's image.
fn results(
    env: &TestEnv,
    targets: &[String],
    flags: &[&str],
    variables: &[(&str, &str)],
) -> Vec<(String, String)> {
    let say = |arguments: &[&str]| say(env, arguments, flags, variables);
    targets
        .iter()
        .map(|target| {
            let path = say(&["build", target, "-q"]);
            let archive = env.path("home/image.tar");
            let report = say(&[
                "pack",
                target,
                "-q",
                "--json",
                "-o",
                archive.to_str().expect("UTF-8"),
            ]);
            let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
            fs::remove_file(archive).expect("it was written");
            (
                path,
                report["manifest"].as_str().expect("a digest").to_owned(),
            )
        })
        .collect()
}

#[test]
fn another_store_user_machine_load_and_environment_give_the_same_bits() {
    let here = TestEnv::with_shared_store();
    let targets = targets(&here);
    let here = results(&here, &targets, &[], &[]);
    let elsewhere = TestEnv::new();
    let elsewhere = if tests::is_root() {
        elsewhere.as_user(23_456)
    } else {
        elsewhere
    }
    .with_lasting_store();
    let variables = [
        ("LC_ALL", "de_DE.UTF-8"),
        ("LANG", "tr_TR.UTF-8"),
        ("TZ", "Asia/Kathmandu"),
        ("USER", "somebody"),
    ];
    let there = results(
        &elsewhere,
        &targets,
        &["-j", "1", "--cores", "1"],
        &variables,
    );
    let pairs = targets.iter().zip(here.iter().zip(&there));
    let differing: Vec<_> = pairs.filter(|(_, (here, there))| here != there).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    let here = outputs(&TestEnv::with_shared_store(), &[], &[]);
    let there = outputs(&elsewhere, &["-j", "1", "--cores", "1"], &variables);
    for (format, (here, there)) in FORMATS.iter().zip(here.iter().zip(&there)) {
        let names = |entries: &Entries| entries.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(here), names(there), "{format}");
        let differing: Vec<_> = here
            .keys()
            .filter(|name| here[*name] != there[*name])
            .collect();
        assert!(differing.is_empty(), "{format}: {differing:?}");
    }
    // That user runs what they built as well.
    let said = elsewhere.pith(&["run", "-q", "hello"]).expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    elsewhere
        .pith(&["profile", "install", "-q", "hello"])
        .expect_success();
    let launcher = elsewhere.store().join("var/profiles/default/bin/hello");
    let said = run(&mut elsewhere.program(&launcher)).expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
}

#[test]
fn two_rounds_agree() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "zlib", "--rounds", "2", "-q"])
        .expect_success();
}

#[test]
fn a_difference_between_rounds_is_shown_with_file_and_offset() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        "load(\"//seed/recipe.star\", \"base\")\n\
         app = derivation(name = \"app\", seed = base, builder = [\"/usr/bin/bash\", \"-ec\",\n\
         \x20   \"mkdir $out; echo same > $out/same; echo \\\"1234 $(cat /proc/sys/kernel/random/uuid)\\\" > $out/differs\"])\n",
    );
    let finished = env
        .pith(&["build", "app", "--rounds", "2", "-q"])
        .expect_status(104);
    assert!(finished.stderr.contains("differs"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("`same`"), "{}", finished.stderr);
    assert!(
        finished
            .stderr
            .contains("`differs` of output `out` differs from byte "),
        "{}",
        finished.stderr
    );
}
