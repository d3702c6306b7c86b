//! Who reads what of pith's own registry: OCI's manifests or docker's, indices or single images.

use std::{error::Error, fs, process::Command};

use pack::{
    existing::{ExistingImage, ImageReference},
    registry::open_repository,
    sign::ImageSecretKey,
};
use serde_json::{Value, json};

use crate::{
    TestResult, registry_options,
    serving::{Answer, Registry, Source, manifest_of, sha256},
};

/// What a client says that it reads.
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The answer to who asks for what a tag stands for and reads only these types, one header for each.
fn asked_by(registry: &Registry, path: &str, types: &[&str]) -> TestResult<Answer> {
    let headers: Vec<(&str, &str)> = types.iter().map(|one| ("Accept", *one)).collect();
    let answer = registry.send(&format!("GET {path}"), &headers, &[])?;
    assert_eq!(answer.status, 200, "{types:?}");
    assert_eq!(answer.header("docker-content-digest"), sha256(&answer.body));
    assert_eq!(answer.header("content-type"), answer.json()?["mediaType"]);
    Ok(answer)
}

#[test]
fn a_client_gets_the_first_form_that_it_reads() -> TestResult {
    let (one, several) = (&["linux/amd64"][..], &["linux/amd64", "linux/arm64"][..]);
    for (platforms, types, expected) in [
        (one, &[][..], OCI),
        (one, &["*/*"], OCI),
        (one, &[DOCKER, DOCKER_LIST, OCI_INDEX, OCI], OCI),
        (one, &[DOCKER, DOCKER_LIST], DOCKER),
        // It says less than it reads, or nothing can be done for it.
        (one, &[OCI_INDEX], OCI),
        (one, &["application/json"], OCI),
        (several, &[], OCI_INDEX),
        (several, &["application/*"], OCI_INDEX),
        (several, &[DOCKER, DOCKER_LIST, OCI_INDEX, OCI], OCI_INDEX),
        (several, &[DOCKER, DOCKER_LIST], DOCKER_LIST),
        (several, &[OCI, DOCKER_LIST], DOCKER_LIST),
        (several, &[OCI], OCI),
        (several, &[DOCKER], DOCKER),
        (several, &["text/html"], OCI_INDEX),
    ] {
        let registry = Registry::start(&Source::new(platforms)?, None)?;
        let answer = asked_by(&registry, "/v2/hello/manifests/latest", types)?;
        assert_eq!(answer.header("content-type"), expected, "{types:?}");
        assert_eq!(answer.header("vary"), "accept");
        // By its digest it is that for everybody.
        let path = format!("/v2/hello/manifests/{}", sha256(&answer.body));
        let again = asked_by(&registry, &path, &["text/html"])?;
        assert_eq!((&again.body, again.header("vary")), (&answer.body, ""));
    }
    Ok(())
}

#[test]
fn every_form_names_the_same_blobs_and_of_a_platform_it_is_the_usual_one() -> TestResult {
    let registry = Registry::start(&Source::new(&["linux/amd64", "linux/arm64"])?, None)?;
    let tag = "/v2/hello/manifests/latest";
    let one = |form: &str| asked_by(&registry, tag, &[form])?.json();
    let blobs = |manifest: &Value| -> Vec<Value> {
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let all = layers.iter().chain([&manifest["config"]]);
        all.map(|blob| blob["digest"].clone()).collect()
    };
    let (oci, docker) = (one(OCI)?, one(DOCKER)?);
    assert_eq!(blobs(&oci), blobs(&docker));
    assert_eq!(
        docker["config"]["mediaType"],
        "application/vnd.docker.container.image.v1+json"
    );
    let config = oci["config"]["digest"].as_str().ok_or("no digest")?;
    let config = registry.get(&format!("/v2/hello/blobs/{config}"))?.json()?;
    assert_eq!(config["architecture"], "amd64");
    for (list, manifest) in [(OCI_INDEX, OCI), (DOCKER_LIST, DOCKER)] {
        for entry in one(list)?["manifests"].as_array().ok_or("no list")? {
            assert_eq!(entry["mediaType"], manifest);
            let digest = entry["digest"].as_str().ok_or("no digest")?;
            let path = format!("/v2/hello/manifests/{digest}");
            assert_eq!(registry.get(&path)?.header("content-type"), manifest);
        }
    }
    // Copied by a client that reads everything, in docker's words, with all blobs.
    let place = tempfile::tempdir()?;
    let digest = sha256(&asked_by(&registry, tag, &[DOCKER])?.body);
    let copied = Command::new("skopeo")
        .args(["copy", "-q", "--src-tls-verify=false"])
        .arg(format!("docker://{}/hello@{digest}", registry.address))
        .arg(format!("dir:{}", place.path().display()))
        .output()?;
    assert!(copied.status.success(), "{copied:?}");
    let manifest = fs::read(place.path().join("manifest.json"))?;
    assert_eq!(sha256(&manifest), digest);
    Ok(())
}

#[test]
fn what_is_made_in_other_words_is_signed_too() -> TestResult {
    let source = Source::new(&["linux/amd64"])?;
    let key = ImageSecretKey::generate_p256("test".parse()?)?;
    let public = key.public();
    let registry = Registry::signing(&source, key)?;
    let docker = asked_by(&registry, "/v2/hello/manifests/latest", &[DOCKER])?;
    let digest = sha256(&docker.body);
    let reference: ImageReference = format!("{}/hello@{digest}", registry.address).parse()?;
    let repository = open_repository(reference.name(), &registry_options())?;
    let image = ExistingImage::fetch(&reference, &repository)?;
    assert_eq!(image.check_signatures(&repository, &public)?.result, Ok(()));
    Ok(())
}

#[test]
fn of_an_index_that_was_pushed_a_client_without_indices_gets_the_usual_image() -> TestResult {
    let depot = tempfile::tempdir()?;
    let registry = Registry::start(&Source::new(&["linux/amd64"])?, Some(depot.path()))?;
    let config = b"{}";
    assert_eq!(registry.push("team/app", config)?.status, 201);
    let mut entries = Vec::new();
    for architecture in ["arm64", "amd64"] {
        let layer = architecture.as_bytes();
        assert_eq!(registry.push("team/app", layer)?.status, 201);
        let manifest = manifest_of(config, &[layer], None);
        let bytes = manifest.to_string();
        let digest = sha256(bytes.as_bytes());
        assert_eq!(
            registry
                .put_manifest("team/app", &digest, &manifest)?
                .status,
            201
        );
        entries.push(json!({
            "mediaType": OCI, "digest": digest, "size": bytes.len(),
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let usual = entries[1]["digest"].clone();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    assert_eq!(registry.put_manifest("team/app", "1", &index)?.status, 201);
    let path = "/v2/team/app/manifests/1";
    let got =
        |types: &[&str]| Ok::<_, Box<dyn Error>>(sha256(&asked_by(&registry, path, types)?.body));
    let whole = sha256(index.to_string().as_bytes());
    assert_eq!(got(&[OCI])?, usual.as_str().unwrap_or_default());
    // What was pushed is in nobody else's words.
    for types in [&[][..], &[OCI, OCI_INDEX], &[DOCKER]] {
        assert_eq!(got(types)?, whole, "{types:?}");
    }
    Ok(())
}
