//! What is pushed to Pith's own registry into the name of an image that it makes itself.

use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::{
    TestResult,
    serving::{Registry, Source, sha256},
};

/// Pushes a manifest as somebody does who sends only what is not there, and returns the status.
fn push_manifest(registry: &Registry, reference: &str, bytes: &[u8]) -> TestResult<u16> {
    let manifest: Value = serde_json::from_slice(bytes)?;
    let blobs = manifest["layers"].as_array().into_iter().flatten();
    for blob in blobs.chain([&manifest["config"]]) {
        if let Some(digest) = blob["digest"].as_str() {
            let said = registry.ask(&format!("HEAD /v2/hello/blobs/{digest}"))?;
            assert_eq!(said.status, 200, "{digest}");
        }
    }
    let media_type = manifest["mediaType"].as_str().unwrap_or_default();
    let put = format!("PUT /v2/hello/manifests/{reference}");
    let said = registry.send(&put, &[("Content-Type", media_type)], bytes)?;
    Ok(said.status)
}

/// Reads a manifest and everything below it, and compares all digests.
fn read_all(registry: &Registry, digest: &str) -> TestResult<usize> {
    let manifest = registry.get(&format!("/v2/hello/manifests/{digest}"))?;
    assert_eq!(
        (manifest.status, sha256(&manifest.body)),
        (200, digest.to_owned())
    );
    let manifest: Value = serde_json::from_slice(&manifest.body)?;
    let mut count = 0;
    for one in manifest["manifests"].as_array().into_iter().flatten() {
        count += read_all(registry, one["digest"].as_str().ok_or("no digest")?)?;
    }
    let blobs = manifest["layers"].as_array().into_iter().flatten();
    for blob in blobs.chain(manifest.get("config")) {
        let digest = blob["digest"].as_str().ok_or("no digest")?;
        let found = registry.get(&format!("/v2/hello/blobs/{digest}"))?;
        assert_eq!(
            (found.status, sha256(&found.body)),
            (200, digest.to_owned())
        );
        count += 1;
    }
    Ok(count)
}

#[test]
fn what_is_pushed_into_the_name_of_a_made_image_is_kept_whole() -> TestResult {
    for platforms in [&["linux/amd64"][..], &["linux/amd64", "linux/arm64"]] {
        let source = Source::new(platforms)?;
        let directory = tempfile::tempdir()?;
        let made = {
            let registry = Registry::start(&source, Some(directory.path()))?;
            let made = registry.get("/v2/hello/manifests/latest")?.body;
            assert_eq!(push_manifest(&registry, "x", &made)?, 201);
            made
        };
        let offers = source.offers.load(Ordering::Relaxed);
        // A server that has made nothing since it began.
        let registry = Registry::start(&source, Some(directory.path()))?;
        let tagged = registry.get("/v2/hello/manifests/x")?;
        assert_eq!(tagged.body, made);
        assert!(read_all(&registry, &sha256(&made))? > platforms.len());
        assert_eq!(source.offers.load(Ordering::Relaxed), offers);
    }
    Ok(())
}

#[test]
fn a_manifest_whose_blobs_are_nowhere_is_refused_beside_a_made_image() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let directory = tempfile::tempdir()?;
    let registry = Registry::start(&source, Some(directory.path()))?;
    let made = registry.get("/v2/hello/manifests/latest")?.body;
    let mut manifest: Value = serde_json::from_slice(&made)?;
    manifest["config"]["digest"] = sha256(b"nowhere").into();
    let media_type = manifest["mediaType"].as_str().unwrap_or_default();
    let said = registry.send(
        "PUT /v2/hello/manifests/x",
        &[("Content-Type", media_type)],
        manifest.to_string().as_bytes(),
    )?;
    assert_eq!(said.status, 404);
    assert_eq!(registry.get("/v2/hello/manifests/x")?.status, 404);
    Ok(())
}
