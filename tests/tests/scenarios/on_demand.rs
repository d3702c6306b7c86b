//! `pith serve --registry`: other programs pull what nobody has packed.

use tests::{OnDemand, PodmanTurn, TestEnv};

#[test]
fn an_image_that_the_project_calls_with_a_slash_is_served_by_that_name() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"image(name = "team/web", packages = [package("hello")], labels = {"a": "b"})"#,
    );
    let served = OnDemand::start(&env, &[]);
    let place = format!("docker://{}/team/web", served.host);
    let inspect = ["inspect", "--tls-verify=false", &place];
    let inspected = env.tool("skopeo", &inspect).expect_success().json();
    assert_eq!(inspected["Labels"]["a"], "b");
    let packed = env.pith(&["pack", "team/web", "--json"]).expect_success();
    assert_eq!(inspected["Digest"], packed.json()["manifest"]);
}

#[test]
fn a_name_is_built_packed_and_run_when_it_is_pulled() {
    let env = TestEnv::with_shared_store();
    let served = OnDemand::start(&env, &[]);
    let reference = format!("{}/hello/jq", served.host);
    let pull = ["pull", "-q", "--tls-verify=false", &reference];
    let turn = PodmanTurn::take();
    env.podman(&pull).expect_success();
    let said = env.podman_run(&["--network=none", &reference]);
    assert_eq!(said.expect_success().stdout, "Hello, world!\n");
    let jq = [
        "--network=none",
        "--entrypoint=/bin/jq",
        &reference,
        "--version",
    ];
    let said = env.podman_run(&jq).expect_success();
    assert!(said.stdout.starts_with("jq-1."), "{}", said.stdout);
    env.remove_image(&reference);
    drop(turn);

    // The same bits as `pith pack`.
    let place = format!("docker://{reference}");
    let inspect = ["inspect", "--tls-verify=false", &place];
    let inspected = env.tool("skopeo", &inspect).expect_success().json();
    let pack = ["pack", "hello", "jq", "--json", "-o", "hello.tar"];
    let packed = env.pith(&pack).expect_success().json();
    assert_eq!(inspected["Digest"], packed["manifest"]);
    // And what a push attaches: bills of materials and provenance, about this very image.
    let verified = env.pith(&["image", "verify", &reference, "--json"]);
    let attached = &verified.expect_success().json()["attached"];
    assert_eq!(attached["bills"], 2, "{attached}");
    assert_eq!(attached["provenances"], 1, "{attached}");
    assert_eq!(attached["wrong"], serde_json::json!([]));
    let bill = ["pack", "hello", "jq", "-q", "-o", "hello.tar"];
    let as_file = ["--sbom", "bill.json", "--sbom-format", "cyclonedx"];
    env.pith(&[&bill[..], &as_file].concat()).expect_success();
    let own = std::fs::read_to_string(env.path("project/bill.json")).expect("it was written");
    let fetched = env.pith(&["sbom", "-q", &place]).expect_success();
    assert_eq!(fetched.stdout.trim_end(), own.trim_end());
    let nobody = format!("docker://{}/nobody", served.host);
    let refused = env.tool("skopeo", &["inspect", "--tls-verify=false", &nobody]);
    assert!(
        refused.stderr.contains("there is no package `nobody`"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_project_is_packed_anew_when_it_has_changed_and_pushes_are_kept() {
    let env = TestEnv::with_shared_store();
    let recipe = |text: &str| {
        let files = format!("{{\"/greeting\": \"{text}\"}}");
        let image = "image(name = \"app\", packages = [package(\"hello\")], files = ";
        env.write("pith.star", &format!("{image}{files})\n"));
    };
    recipe("one");
    let served = OnDemand::start(&env, &["--allow-push", "kept"]);
    let place = format!("docker://{}/app", served.host);
    let digest = |place: &str| {
        let inspected = env.tool("skopeo", &["inspect", "--tls-verify=false", place]);
        inspected.expect_success().json()["Digest"].clone()
    };
    let one = digest(&place);
    recipe("two");
    let two = digest(&place);
    assert_ne!(one, two);

    let kept = format!("docker://{}/team/app:2", served.host);
    let copy = [
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &place,
        &kept,
    ];
    env.tool("skopeo", &copy).expect_success();
    // Also into the name itself, where most of what the image has is made here.
    let own = format!("docker://{}/app:2", served.host);
    let into_itself = [&copy[..5], &[own.as_str()]].concat();
    env.tool("skopeo", &into_itself).expect_success();
    assert_eq!(digest(&own), two);
    recipe("three");
    assert_eq!(digest(&own), two);
    assert_eq!(digest(&kept), two);
    assert_ne!(digest(&place), two);
}
