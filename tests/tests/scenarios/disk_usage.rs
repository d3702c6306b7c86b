//! What uses the disk, as `pith store du` says it.

use tests::TestEnv;

#[test]
fn du_says_what_each_root_frees_and_what_sharing_saves() {
    let env = TestEnv::with_shared_store();
    let path = env
        .pith(&["build", "-q", "jq", "-o", "jq"])
        .expect_success();
    env.pith(&["build", "-q", "hello", "-o", "hello"])
        .expect_success();
    let usage = env.pith(&["store", "du", "--json"]).expect_success().json();
    let number = |key: &str| usage[key].as_u64().expect("a number");
    assert!(number("size_bytes") > 0 && number("disk_bytes") > 0);
    assert!(number("unkept_bytes") < number("size_bytes"));
    let name = env.path("project/jq");
    let jq = usage["keepers"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|keeper| keeper["name"] == name.to_str().expect("UTF-8"))
        .expect("the link is a root");
    let closure = env.pith(&["size", path.line(), "--json"]).expect_success();
    // What was observed of the closure stays with it.
    assert!(jq["size_bytes"].as_u64() >= closure.json()["size_bytes"].as_u64());
    assert!(jq["unique_bytes"].as_u64() <= jq["size_bytes"].as_u64());

    let target = env
        .pith(&["store", "du", "jq", "--json"])
        .expect_success()
        .json();
    let target = &target["targets"][0];
    assert_eq!(target["path"], path.line());
    assert_eq!(target["size_bytes"], jq["size_bytes"]);
    let part = |key: &str| target[key].as_u64().expect("a number");
    assert_eq!(
        part("unique_bytes") + part("shared_bytes"),
        part("size_bytes")
    );
    assert!(part("freed_bytes") <= part("disk_bytes"));

    let text = env.pith(&["store", "du"]).expect_success().stdout;
    assert!(
        text.contains("saved") && text.contains("project/jq"),
        "{text}"
    );
    let text = env.pith(&["store", "du", "jq"]).expect_success().stdout;
    assert!(text.starts_with(path.line()), "{text}");
    env.pith(&["store", "du", "nothing-is-called-this"])
        .expect_status(1);
}
