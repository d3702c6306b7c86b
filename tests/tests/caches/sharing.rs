//! What one machine has built is a download on another, through each back end: two stores of two users with two homes.

use std::{fs, thread, time::Duration};

use tests::{TestEnv, http_server::FileTree, is_root, other_servers::Registry};

use crate::{
    TestResult,
    s3::make_bucket,
    serve_command::{self, token},
    servers::{Moto, Nginx},
};

/// Whoever pulls, when root can choose.
const OTHER_USER: u32 = 23_456;
/// Built by the scenarios of every run, with a closure of several packages.
const PACKAGE: &str = "curl";

/// A machine that has built, and its key.
struct Publisher {
    env: TestEnv,
    key: String,
}

impl Publisher {
    fn new() -> Self {
        let env = TestEnv::with_shared_store();
        env.pith(&["key", "generate", "-o", "signing"])
            .expect_success();
        let key = fs::read_to_string(env.path("project/signing.pub")).expect("the key was written");
        let key = key.trim().to_owned();
        Self { env, key }
    }

    fn push(&self, cache: &str) -> serde_json::Value {
        self.push_target(cache, PACKAGE)
    }

    fn push_target(&self, cache: &str, target: &str) -> serde_json::Value {
        self.env.pith(&["build", target]).expect_success();
        let pushed = ["cache", "push", cache, target, "--key", "signing", "--json"];
        self.env.pith(&pushed).expect_success().json()
    }
}

/// A machine that trusts the key of another and has nothing.
fn consumer(settings: &str, key: &str) -> TestEnv {
    let env = TestEnv::new();
    let trust = format!("{settings}\n[trust]\nkeys = [\"{key}\"]\n");
    env.write("home/.config/pith/config.toml", &trust);
    env.write("home/.aws/credentials", CREDENTIALS);
    if is_root() {
        env.as_user(OTHER_USER)
    } else {
        env
    }
}

const CREDENTIALS: &str = "[default]\naws_access_key_id = key\naws_secret_access_key = secret\n";

/// Builds on the other machine, and sees that nothing was made there and that it is the same, down to the image.
fn takes_what_was_built(publisher: &Publisher, consumer: &TestEnv) {
    let there = consumer
        .pith(&["build", PACKAGE, "--json"])
        .expect_success();
    let here = publisher
        .env
        .pith(&["build", PACKAGE, "--json"])
        .expect_success();
    let said = there.json();
    assert_eq!(said["outputs"], here.json()["outputs"]);
    for made in ["built", "fetched"] {
        assert_eq!(
            said[made],
            serde_json::json!([]),
            "{made}: {}",
            there.stderr
        );
    }
    let images = [&publisher.env, consumer].map(|env| {
        let image = env.path("project/image.tar");
        let packed = ["pack", PACKAGE, "-o", "image.tar"];
        env.pith(&packed).expect_success();
        fs::read(image).expect("the image was written")
    });
    assert!(images[0] == images[1], "the images differ");
    // Without the cache, nothing is left to do.
    let again = consumer.pith(&["build", PACKAGE, "--json", "--no-cache", "--offline"]);
    assert_eq!(again.expect_success().json()["outputs"], said["outputs"]);
    let verified = consumer.pith(&["store", "verify", "--contents"]);
    verified.expect_success();
}

#[test]
fn a_directory_shares_what_was_built() {
    let publisher = Publisher::new();
    let cache = publisher.env.path("cache");
    let address = cache.to_str().expect("UTF-8");
    let first = publisher.push(address);
    let consumer = consumer(&format!("caches = [\"{address}\"]"), &publisher.key);
    takes_what_was_built(&publisher, &consumer);
    assert!(first["sent_bytes"].as_u64() > Some(0), "{first}");
}

#[test]
fn what_layers_became_goes_along_and_then_there_is_nothing_to_send() {
    // No other test has this package: the signatures of all who push from one store are sent.
    const OWN: &str = "pushed-again";
    let publisher = Publisher::new();
    publisher.env.write(
        "project/pith.star",
        "load(\"//seed/recipe.star\", \"base\")\n\
         own = derivation(name = \"pushed-again\", version = \"1\", seed = base,\n\
         \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir -p $out/share; echo again >$out/share/text\"])\n",
    );
    let cache = publisher.env.path("cache");
    let address = cache.to_str().expect("UTF-8");
    let first = publisher.push_target(address, OWN);
    assert!(first["sent_bytes"].as_u64() > Some(0), "{first}");
    let packed = ["pack", OWN, "-q", "-o", "image.tar"];
    publisher.env.pith(&packed).expect_success();
    let second = publisher.push_target(address, OWN);
    assert!(second["sent_bytes"].as_u64() < Some(65_536), "{second}");
    // In another second: what says when it was pushed would be sent again.
    thread::sleep(Duration::from_millis(1_100));
    let third = publisher.push_target(address, OWN);
    assert_eq!(third["sent_bytes"], 0, "{third}");
}

#[test]
fn a_static_server_shares_what_was_built() -> TestResult {
    let publisher = Publisher::new();
    let cache = publisher.env.path("cache");
    publisher.push(cache.to_str().ok_or("UTF-8")?);
    let nginx = Nginx::start(&cache)?;
    let consumer = consumer(&format!("caches = [\"{}\"]", nginx.url), &publisher.key);
    takes_what_was_built(&publisher, &consumer);
    Ok(())
}

#[test]
fn a_server_that_takes_files_shares_what_was_built() {
    let tree = FileTree::start(None);
    let url = tree.url("/cache");
    let publisher = Publisher::new();
    publisher.push(&url);
    let consumer = consumer(&format!("caches = [\"{url}\"]"), &publisher.key);
    takes_what_was_built(&publisher, &consumer);
}

#[test]
fn a_bucket_shares_what_was_built() -> TestResult {
    let moto = Moto::start()?;
    make_bucket(&moto.endpoint)?;
    let url = format!(
        "s3://bucket/team?endpoint={}&region=us-east-1",
        moto.endpoint
    );
    let publisher = Publisher::new();
    publisher.env.write("home/.aws/credentials", CREDENTIALS);
    publisher.push(&url);
    let consumer = consumer(&format!("caches = [\"{url}\"]"), &publisher.key);
    takes_what_was_built(&publisher, &consumer);
    Ok(())
}

#[test]
fn a_registry_shares_what_was_built() -> TestResult {
    let registry = Registry::start("")?;
    let settings = format!(
        "caches = [{{ url = \"oci://{}/team/cache\", plaintext = true }}]",
        registry.address
    );
    let publisher = Publisher::new();
    publisher
        .env
        .write("home/.config/pith/config.toml", &settings);
    publisher.push(&format!("oci://{}/team/cache", registry.address));
    let consumer = consumer(&settings, &publisher.key);
    takes_what_was_built(&publisher, &consumer);
    Ok(())
}

#[test]
fn piths_own_server_shares_what_was_built() -> TestResult {
    let publisher = Publisher::new();
    let env = TestEnv::new();
    let (writer, reader) = (
        token(&env, "builder", "read,write"),
        token(&env, "laptop", "read"),
    );
    let options = ["--tokens", "tokens", "--require-signatures", "--key"];
    let options = [&options[..], &[publisher.key.as_str()]].concat();
    let mut server = serve_command::Command::start(&env, &options)?;
    let url = server.url.clone();
    let settings = |env: &TestEnv, token: &str| {
        env.write("token", token);
        let file = env.path("token");
        format!(
            "caches = [{{ url = \"{url}\", credentials = {{ token-file = \"{}\" }} }}]",
            file.display()
        )
    };
    let there = settings(&publisher.env, &writer);
    publisher.env.write("home/.config/pith/config.toml", &there);
    publisher.push(&url);
    // Its token file lies with the server's, since the place of the consumer is not there yet.
    let consumer = consumer(&settings(&env, &reader), &publisher.key);
    takes_what_was_built(&publisher, &consumer);
    let (status, said) = server.stop()?;
    assert_eq!(status, Some(0), "{said}");
    Ok(())
}

#[test]
fn what_an_unknown_key_has_signed_is_not_taken() {
    let publisher = Publisher::new();
    let cache = publisher.env.path("cache");
    let address = cache.to_str().expect("UTF-8");
    publisher.push(address);
    let other = Publisher::new();
    let consumer = consumer(&format!("caches = [\"{address}\"]"), &other.key);
    let refused = consumer
        .pith(&["build", PACKAGE, "--cache-only"])
        .expect_status(1);
    assert!(
        refused.stderr.contains("no cache has"),
        "{}",
        refused.stderr
    );
    let trusted = consumer.pith(&["build", PACKAGE, "--cache-only", "--trust", &publisher.key]);
    trusted.expect_success();
}

#[test]
fn a_damaged_object_is_repaired_from_the_cache() -> TestResult {
    let publisher = Publisher::new();
    let cache = publisher.env.path("cache");
    let address = cache.to_str().ok_or("UTF-8")?;
    publisher.push(address);
    let consumer = consumer(&format!("caches = [\"{address}\"]"), &publisher.key);
    let built = consumer.pith(&["build", PACKAGE]).expect_success();
    let path = built.line().to_owned();
    let program = consumer
        .store()
        .join("store")
        .join(path.trim_start_matches("/pith/store/"));
    let program = program.join("bin/curl");
    let mut bytes = fs::read(&program)?;
    let good = bytes.clone();
    bytes[5000] ^= 1;
    fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    fs::write(&program, bytes)?;
    let found = consumer
        .pith(&["store", "verify", "--contents"])
        .expect_status(4);
    assert!(
        found.stdout.contains("bin/curl"),
        "{}{}",
        found.stdout,
        found.stderr
    );
    let repaired = consumer.pith(&["store", "repair"]).expect_success();
    assert!(!repaired.stderr.contains("building"), "{}", repaired.stderr);
    assert!(fs::read(&program)? == good, "the file is not what it was");
    consumer
        .pith(&["store", "verify", "--contents"])
        .expect_success();
    Ok(())
}

#[test]
fn what_was_pushed_since_is_seen_at_once_by_who_asks_the_cache_alone() -> TestResult {
    let publisher = Publisher::new();
    let cache = publisher.env.path("cache");
    let address = cache.to_str().ok_or("UTF-8")?;
    publisher.env.pith(&["build", "zlib"]).expect_success();
    let pushed = ["cache", "push", address, "zlib", "--key", "signing"];
    publisher.env.pith(&pushed).expect_success();
    let consumer = consumer(&format!("caches = [\"{address}\"]"), &publisher.key);
    let only = ["build", PACKAGE, "--cache-only"];
    let missed = consumer.pith(&only).expect_status(1);
    assert!(
        missed.stderr.contains("no cache has `curl"),
        "{}",
        missed.stderr
    );
    publisher.push(address);
    consumer.pith(&only).expect_success();
    Ok(())
}
