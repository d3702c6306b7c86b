//! A store that something has happened to: found, named, and put right by one command.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tests::{FileServer, Finished, TestEnv};

/// Where an object lies that a command has printed the path of.
fn real_path(env: &TestEnv, path: &str) -> PathBuf {
    let name = path.trim_end().strip_prefix("/pith/store/");
    env.store().join("store").join(name.expect("a store path"))
}

/// Flips a bit of a file in the store; its mode and time stay, as when a disk forgets.
fn flip(file: &Path, offset: u64) {
    let metadata = fs::metadata(file).expect("it is there");
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("the store is ours");
    let opened = fs::File::options()
        .read(true)
        .write(true)
        .open(file)
        .expect("the store is ours");
    let mut byte = [0];
    opened
        .read_exact_at(&mut byte, offset)
        .expect("it is long enough");
    opened
        .write_all_at(&[byte[0] ^ 0x10], offset)
        .expect("the disk has room");
    opened
        .set_modified(metadata.modified().expect("Linux has times"))
        .expect("the store is ours");
    fs::set_permissions(file, metadata.permissions()).expect("the store is ours");
}

fn strings<'a>(list: &'a serde_json::Value, key: &str) -> Vec<&'a str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|one| one[key].as_str().expect("a text")).collect()
}

/// A store of its own with what was built from a file, and that file.
struct Place {
    env: TestEnv,
    server: Option<FileServer>,
    /// What was built; the link `kept` keeps it.
    app: String,
    /// What was fetched; `app` refers to it.
    source: String,
}

impl Place {
    fn new() -> Self {
        let env = TestEnv::with_seed();
        let bytes = "0123456789\n".repeat(30_000).into_bytes();
        let server = FileServer::start(&[("/source", &bytes)]);
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let url = server.url("/source");
        env.write(
            "project/pith.star",
            &format!(
                "load(\"//seed/recipe.star\", \"base\")\n\
                 source = fetch(name = \"source\", urls = [{url:?}], sha256 = \"{digest}\")\n\
                 app = derivation(name = \"app\", seed = base, env = {{\"source\": source}},\n\
                 \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir $out; echo $source > $out/source; seq 1 90000 > $out/data\"])\n"
            ),
        );
        let built = env
            .pith(&["build", "app", "-q", "-o", "kept"])
            .expect_success();
        let app = built.line().to_owned();
        let source = fs::read_to_string(real_path(&env, &app).join("source"));
        Self {
            source: source.expect("it was built").trim_end().to_owned(),
            app,
            server: Some(server),
            env,
        }
    }

    fn real(&self, path: &str) -> PathBuf {
        real_path(&self.env, path)
    }

    fn store(&self, arguments: &[&str]) -> Finished {
        self.env.pith(&[&["store"], arguments].concat())
    }

    /// What the store knows, as documents.
    fn known(&self) -> [serde_json::Value; 3] {
        let mut known = [
            self.store(&["info", "--json"]),
            self.store(&["path-info", "--json", &self.app, &self.source]),
            self.store(&["roots", "--json"]),
        ]
        .map(|finished| finished.expect_success().json());
        for root in known[2]["roots"].as_array_mut().expect("a list") {
            // Builders of other scenarios may use objects of the same name at this moment.
            root["alone_bytes"].take();
        }
        known
    }
}

#[test]
fn a_flipped_bit_in_what_was_built_is_named_by_file_and_block_and_built_again() {
    let here = Place::new();
    let data = here.real(&here.app).join("data");
    let good = fs::read(&data).expect("it was built");
    here.store(&["verify", "--contents"]).expect_success();
    flip(&data, 300_000);
    here.store(&["verify"]).expect_success();
    let found = here.store(&["verify", "--contents"]).expect_status(4);
    let name = here.app.trim_start_matches("/pith/store/");
    let block = format!("{name}: `data` has wrong bytes in the block at offset 262144\n");
    assert!(found.stdout.starts_with(&block), "{}", found.stdout);
    assert!(
        found.stderr.contains("pith store repair"),
        "{}",
        found.stderr
    );
    // Nobody uses it any more.
    let report = here
        .store(&["verify", &here.app, "--json"])
        .expect_status(4)
        .json();
    assert_eq!(strings(&report["findings"], "problem"), ["damaged"]);
    here.env.pith(&["tree", &here.app]).expect_status(1);

    let repaired = here.store(&["repair"]).expect_success();
    assert!(
        repaired.stderr.contains("built again"),
        "{}",
        repaired.stderr
    );
    assert_eq!(repaired.stdout, "");
    assert_eq!(fs::read(&data).expect("it is there"), good);
    here.store(&["verify", "--contents"]).expect_success();
    here.env.pith(&["tree", &here.app]).expect_success();
}

#[test]
fn what_was_fetched_is_fetched_again_and_what_cannot_be_is_named_with_what_needs_it() {
    let mut here = Place::new();
    let source = here.real(&here.source);
    flip(&source, 66_000);
    let found = here
        .store(&["verify", "--contents", "--json"])
        .expect_status(4)
        .json();
    assert_eq!(strings(&found["findings"], "problem"), ["bytes"]);

    let left = here.store(&["repair", "--offline"]).expect_status(4);
    for part in ["cannot be repaired", "needed by", "kept", "offset 65536"] {
        assert!(
            left.stdout.contains(part),
            "`{part}` is not in\n{}",
            left.stdout
        );
    }
    let repaired = here.store(&["repair", "--json"]).expect_success().json();
    assert_eq!(strings(&repaired["repaired"], "how"), ["restored"]);
    here.store(&["verify", "--contents"]).expect_success();

    // Gone altogether, and nobody to ask.
    fs::remove_file(&source).expect("the store is ours");
    here.server = None;
    let left = here.store(&["repair", "--contents"]).expect_status(4);
    assert!(
        left.stdout.contains("cannot be made again"),
        "{}",
        left.stdout
    );
}

#[test]
fn the_database_is_made_again_as_it_was() {
    let here = Place::new();
    let before = here.known();
    let database = here.env.store().join("var/db.sqlite");
    fs::write(&database, vec![b'x'; 100_000]).expect("the store is ours");
    let error = here.store(&["info"]).expect_status(1).stderr;
    assert!(error.contains("pith store rebuild-db"), "{error}");
    here.store(&["rebuild-db"]).expect_success();
    assert_eq!(here.known(), before);
    // A database that is gone needs no command.
    fs::remove_file(&database).expect("the store is ours");
    assert_eq!(here.known(), before);
    here.store(&["verify", "--contents"]).expect_success();
}
