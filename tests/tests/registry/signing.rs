//! Signatures in Debian's registry, whose lists the writers keep, and in one that keeps them itself.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use pack::{
    existing::{ExistingImage, ImageReference},
    oci::Digest,
    registry::open_repository,
    sign::{
        ImageSecretKey, SignError, SignatureCheck, SignatureForms, Unsigned, sign_bundle,
        verify_bundle,
    },
};
use serde_json::{Value, json};
use store::{registry::Repository, trust::SecretKey};
use tests::{
    http_server::{Asked, HttpServer, Reply, pass_on},
    other_servers::Registry,
};

use crate::{TestResult, before, existing::Places, read, registry_options};

fn key(seed: u8) -> ImageSecretKey {
    SecretKey::from_seed("test".parse().expect("a name"), &[seed; 32]).into()
}

fn open(reference: &str) -> TestResult<(ImageReference, Repository)> {
    let reference: ImageReference = reference.parse()?;
    let repository = open_repository(reference.name(), &registry_options())?;
    Ok((reference, repository))
}

/// Signs the image at `reference`.
fn sign(reference: &str, key: &ImageSecretKey) -> Result<usize, Box<dyn std::error::Error>> {
    let (reference, repository) = open(reference)?;
    let image = ExistingImage::fetch(&reference, &repository)?;
    Ok(image
        .sign(&repository, key, SignatureForms::Bundle)?
        .manifests)
}

fn check(reference: &str, key: &ImageSecretKey) -> TestResult<SignatureCheck> {
    let (reference, repository) = open(reference)?;
    let image = ExistingImage::fetch(&reference, &repository)?;
    Ok(image.check_signatures(&repository, &key.public())?)
}

/// What refers to a manifest, by the tag of Debian's registry.
fn listed(registry: &Registry, digest: Digest) -> TestResult<Vec<Value>> {
    let tag = digest.to_string().replace(':', "-");
    let list = read(registry, &format!("/v2/app/manifests/{tag}"));
    let list: Value = serde_json::from_slice(&list.body)?;
    Ok(list["manifests"].as_array().cloned().unwrap_or_default())
}

#[test]
fn a_signature_is_found_by_its_key_alone_and_those_of_others_stay() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let pushed = places.push(&registry.address, "app:1", &["linux/amd64"])?;
    let reference = format!("{}/app:1", registry.address);
    assert_eq!(
        check(&reference, &key(1))?,
        SignatureCheck {
            found: 0,
            result: Err(None)
        }
    );
    for seed in [1, 2, 1] {
        assert_eq!(sign(&reference, &key(seed))?, 1);
    }
    let listed = listed(&registry, pushed)?;
    assert_eq!(listed.len(), 2, "a signature is made once");
    for entry in &listed {
        assert_eq!(
            entry["artifactType"],
            "application/vnd.dev.sigstore.bundle.v0.3+json"
        );
        assert_eq!(
            entry["annotations"]["dev.sigstore.bundle.content"],
            "dsse-envelope"
        );
        let digest = entry["digest"].as_str().ok_or("no digest")?;
        let manifest = read(&registry, &format!("/v2/app/manifests/{digest}"));
        let manifest: Value = serde_json::from_slice(&manifest.body)?;
        assert_eq!(manifest["subject"]["digest"], pushed.to_string());
    }
    for seed in [1, 2] {
        assert_eq!(check(&reference, &key(seed))?.result, Ok(()));
    }
    let other = check(&reference, &key(3))?;
    assert_eq!((other.found, other.result), (2, Err(Some(Unsigned::Key))));
    // Another image of the same repository has nothing of it.
    places.push(&registry.address, "app:2", &["linux/arm64"])?;
    let other = check(&format!("{}/app:2", registry.address), &key(1))?;
    assert_eq!(other.found, 0);
    Ok(())
}

#[test]
fn of_an_index_each_image_is_signed_too() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    places.push(&registry.address, "app:1", &["linux/amd64", "linux/arm64"])?;
    let reference = format!("{}/app:1", registry.address);
    assert_eq!(sign(&reference, &key(1))?, 3);
    let (name, repository) = open(&reference)?;
    let image = ExistingImage::fetch(&name, &repository)?;
    for facts in image.inspect(None)?.images {
        let by_digest = format!("{}/app@{}", registry.address, facts.manifest);
        assert_eq!(check(&by_digest, &key(1))?.result, Ok(()));
    }
    Ok(())
}

#[test]
fn what_somebody_else_enters_meanwhile_stays_and_what_they_lose_is_entered_again() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let pushed = places.push(&registry.address, "app:1", &["linux/amd64"])?;
    let tag = pushed.to_string().replace(':', "-");
    // Debian's registry wants what an index names to be there.
    let other = places.push(&registry.address, "app:2", &["linux/arm64"])?;
    let size = read(&registry, "/v2/app/manifests/2").body.len();
    let theirs = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": other.to_string(),
        "size": size,
        "artifactType": "application/x",
        "urls": ["https://r.example/x"],
    });
    // Somebody who has read the list before we wrote it replaces ours, once.
    let address = registry.address.clone();
    let their_list = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [theirs.clone()],
    });
    let done = Mutex::new(false);
    let server = before(&registry, move |asked, ask| {
        if asked.method != "PUT" || !asked.path.ends_with(&tag) {
            return None;
        }
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut done, true) {
            return None;
        }
        let reply = ask();
        let body = their_list.to_string().into_bytes();
        let mut replacing = Asked {
            body,
            ..asked.clone()
        };
        let length = replacing.body.len().to_string();
        replacing
            .headers
            .insert("content-length".to_owned(), length);
        assert_eq!(pass_on(&address, &replacing).status, 201);
        Some(reply)
    });
    sign(&format!("{}/app:1", server.address()), &key(1))?;
    let listed = listed(&registry, pushed)?;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], theirs);
    let check = check(&format!("{}/app:1", registry.address), &key(1))?;
    assert_eq!(check.result, Ok(()));
    Ok(())
}

/// A registry that keeps lists of referrers itself, for one image.
#[derive(Default)]
struct Modern {
    blobs: Mutex<BTreeMap<String, Vec<u8>>>,
    manifests: Mutex<BTreeMap<String, Vec<u8>>>,
    upload: Mutex<Vec<u8>>,
}

impl Modern {
    fn answer(&self, asked: &Asked) -> Reply {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let (above, last) = path.rsplit_once('/').unwrap_or_default();
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut manifests = self
            .manifests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut upload = self.upload.lock().unwrap_or_else(PoisonError::into_inner);
        let or_404 = |found: Option<&Vec<u8>>| match found {
            Some(bytes) => Reply::new(200, bytes.clone())
                .with("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
            None => Reply::new(404, ""),
        };
        match (asked.method.as_str(), above.rsplit('/').next()) {
            ("GET" | "HEAD", Some("manifests")) => or_404(manifests.get(last)),
            ("GET", Some("referrers")) => {
                let refers = |bytes: &&Vec<u8>| {
                    let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
                    manifest["subject"]["digest"] == last
                };
                let entries: Vec<Value> = (manifests.values().filter(refers))
                    .map(|bytes| {
                        json!({
                            "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "digest": Digest::of(bytes).to_string(),
                            "size": bytes.len(),
                        })
                    })
                    .collect();
                Reply::new(
                    200,
                    json!({"schemaVersion": 2, "manifests": entries}).to_string(),
                )
            }
            ("GET" | "HEAD", Some("blobs")) => or_404(blobs.get(last)),
            ("PUT", Some("manifests")) => {
                let digest = Digest::of(&asked.body).to_string();
                manifests.insert(digest, asked.body.clone());
                manifests.insert(last.to_owned(), asked.body.clone());
                let manifest: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
                let reply = Reply::new(201, "");
                match manifest["subject"]["digest"].as_str() {
                    Some(subject) => reply.with("OCI-Subject", subject),
                    None => reply,
                }
            }
            ("POST", _) => {
                upload.clear();
                Reply::new(202, "").with("Location", "/v2/app/blobs/uploads/1")
            }
            ("PATCH", _) => {
                upload.extend(&asked.body);
                Reply::new(202, "").with("Location", "/v2/app/blobs/uploads/1")
            }
            ("PUT", _) if query.starts_with("digest=") => {
                upload.extend(&asked.body);
                let bytes = std::mem::take(&mut *upload);
                blobs.insert(Digest::of(&bytes).to_string(), bytes);
                Reply::new(201, "")
            }
            _ => Reply::new(404, ""),
        }
    }
}

#[test]
fn a_registry_that_keeps_the_list_is_left_to_it() -> TestResult {
    let places = Places::new()?;
    let registry = Modern::default();
    let server = HttpServer::start(move |asked| Some(registry.answer(asked)));
    let address = server.address().to_string();
    places.push(&address, "app:1", &["linux/amd64"])?;
    let reference = format!("{address}/app:1");
    sign(&reference, &key(1))?;
    assert_eq!(check(&reference, &key(1))?.result, Ok(()));
    assert_eq!(check(&reference, &key(2))?.result, Err(Some(Unsigned::Key)));
    let asked = server.asked();
    assert!(asked.iter().any(|one| one.path.contains("/referrers/")));
    assert!(
        !asked
            .iter()
            .any(|one| one.path.contains("manifests/sha256-") && !one.path.ends_with(".sig"))
    );
    Ok(())
}

#[test]
fn a_list_that_is_something_else_is_not_replaced() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let pushed = places.push(&registry.address, "app:1", &["linux/amd64"])?;
    let tag = pushed.to_string().replace(':', "-");
    places.push(&registry.address, &format!("app:{tag}"), &["linux/arm64"])?;
    let before = read(&registry, &format!("/v2/app/manifests/{tag}")).body;
    let error = sign(&format!("{}/app:1", registry.address), &key(1)).expect_err("a list is there");
    assert!(
        matches!(error.downcast_ref(), Some(SignError::List { .. })),
        "{error:?}"
    );
    assert_eq!(
        read(&registry, &format!("/v2/app/manifests/{tag}")).body,
        before
    );
    Ok(())
}

#[test]
fn a_bundle_beside_a_file_is_good_for_that_file_alone() -> TestResult {
    let places = Places::new()?;
    let (one, two) = (
        places.archive(&["linux/amd64"])?,
        places.archive(&["linux/amd64", "linux/arm64"])?,
    );
    let (one, two) = (
        ExistingImage::open(&one, None)?,
        ExistingImage::open(&two, None)?,
    );
    let bundle = sign_bundle(&one, &key(1))?;
    let public = key(1).public();
    assert_eq!(verify_bundle(&one, &bundle, &public)?.result, Ok(()));
    assert_eq!(
        verify_bundle(&two, &bundle, &public)?.result,
        Err(Some(Unsigned::Subject))
    );
    Ok(())
}
