//! Signatures in the form that cosign had before version 3, under a tag beside the image, in Debian's registry.

use pack::{
    existing::{ExistingImage, ImageReference},
    oci::Digest,
    registry::open_repository,
    sign::{ImageSecretKey, SignError, SignatureCheck, SignatureForms, Unsigned},
};
use serde_json::Value;
use store::trust::SecretKey;
use tests::other_servers::Registry;

use crate::{TestResult, check_image, existing::Places, read, registry_options};

fn key(seed: u8) -> ImageSecretKey {
    SecretKey::from_seed("test".parse().expect("a name"), &[seed; 32]).into()
}

fn with<T>(
    reference: &str,
    work: impl FnOnce(&ExistingImage<'_>, &store::registry::Repository) -> Result<T, SignError>,
) -> TestResult<T> {
    let reference: ImageReference = reference.parse()?;
    let repository = open_repository(reference.name(), &registry_options())?;
    let image = ExistingImage::fetch(&reference, &repository)?;
    Ok(work(&image, &repository)?)
}

fn sign(reference: &str, seed: u8, forms: SignatureForms) -> TestResult<usize> {
    with(reference, |image, repository| {
        Ok(image.sign(repository, &key(seed), forms)?.manifests)
    })
}

fn check(reference: &str, seed: u8) -> TestResult<SignatureCheck> {
    with(reference, |image, repository| {
        image.check_signatures(repository, &key(seed).public())
    })
}

fn tag(subject: Digest) -> String {
    format!("sha256-{}.sig", subject.to_hex())
}

/// What stands under the tag of an image's signatures.
fn signatures(registry: &Registry, subject: Digest) -> TestResult<Value> {
    let manifest = read(registry, &format!("/v2/app/manifests/{}", tag(subject)));
    assert_eq!(manifest.status, 200);
    Ok(serde_json::from_slice(&manifest.body)?)
}

#[test]
fn signatures_of_several_keys_stand_under_one_tag_and_each_is_made_once() -> TestResult {
    let places = Places::new()?;
    let registry = Registry::start("")?;
    let pushed = places.push(&registry.address, "app:1", &["linux/amd64"])?;
    let reference = format!("{}/app:1", registry.address);
    for seed in [1, 2, 1] {
        assert_eq!(sign(&reference, seed, SignatureForms::BundleAndLegacy)?, 1);
    }
    let manifest = signatures(&registry, pushed)?;
    let layers = manifest["layers"].as_array().ok_or("no layers")?;
    assert_eq!(layers.len(), 2);
    for layer in layers {
        assert_eq!(
            layer["mediaType"],
            "application/vnd.dev.cosign.simplesigning.v1+json"
        );
        let digest = layer["digest"].as_str().ok_or("no digest")?;
        let payload = read(&registry, &format!("/v2/app/blobs/{digest}"));
        let payload: Value = serde_json::from_slice(&payload.body)?;
        let critical = &payload["critical"];
        assert_eq!(
            critical["image"]["docker-manifest-digest"],
            pushed.to_string()
        );
        let known_as = format!("{}/app", registry.address);
        assert_eq!(critical["identity"]["docker-reference"], known_as);
    }
    let bytes = read(&registry, &format!("/v2/app/manifests/{}", tag(pushed))).body;
    check_image(&registry, "app", &tag(pushed), Digest::of(&bytes))
}

#[test]
fn the_old_form_alone_is_verified_and_is_good_for_its_key_and_image_alone() -> TestResult {
    let (places, registry) = (Places::new()?, Registry::start("")?);
    let pushed = places.push(&registry.address, "app:1", &["linux/amd64"])?;
    let reference = format!("{}/app:1", registry.address);
    sign(&reference, 1, SignatureForms::BundleAndLegacy)?;
    // Debian's registry has the bundles listed under a tag of their own, which another repository gets none of.
    let manifest = read(&registry, &format!("/v2/app/manifests/{}", tag(pushed)));
    places.push(&registry.address, "old:1", &["linux/amd64"])?;
    let old: ImageReference = format!("{}/app:{}", registry.address, tag(pushed)).parse()?;
    let from = open_repository(old.name(), &registry_options())?;
    let signatures = ExistingImage::fetch(&old, &from)?;
    let to = format!("{}/old:{}", registry.address, tag(pushed)).parse()?;
    let repository = open_repository(&to, &registry_options())?;
    signatures.push(None, &to, &repository, &Default::default())?;
    let copied = read(&registry, &format!("/v2/old/manifests/{}", tag(pushed)));
    assert_eq!(copied.body, manifest.body);

    let old = format!("{}/old:1", registry.address);
    let found = check(&old, 1)?;
    assert_eq!((found.found, found.result), (1, Ok(())));
    let found = check(&old, 2)?;
    assert_eq!((found.found, found.result), (1, Err(Some(Unsigned::Key))));
    // Somebody has the signature of one image stand under the tag of another.
    let other = places.push(&registry.address, "old:2", &["linux/arm64"])?;
    let to = format!("{}/old:{}", registry.address, tag(other)).parse()?;
    signatures.push(None, &to, &repository, &Default::default())?;
    let found = check(&format!("{}/old:2", registry.address), 1)?;
    assert_eq!(found.result, Err(Some(Unsigned::Subject)));
    Ok(())
}

#[test]
fn of_an_index_each_image_has_a_tag_of_signatures() -> TestResult {
    let (places, registry) = (Places::new()?, Registry::start("")?);
    places.push(&registry.address, "app:1", &["linux/amd64", "linux/arm64"])?;
    let reference = format!("{}/app:1", registry.address);
    assert_eq!(sign(&reference, 1, SignatureForms::BundleAndLegacy)?, 3);
    let images = with(&reference, |image, _| Ok(image.inspect(None)?.images))?;
    for facts in images {
        let signed = signatures(&registry, facts.manifest)?;
        assert_eq!(signed["layers"].as_array().map(Vec::len), Some(1));
    }
    Ok(())
}

#[test]
fn an_image_that_stands_where_signatures_belong_is_not_replaced() -> TestResult {
    let (places, registry) = (Places::new()?, Registry::start("")?);
    let pushed = places.push(&registry.address, "app:1", &["linux/amd64"])?;
    let name = format!("app:{}", tag(pushed));
    let theirs = places.push(&registry.address, &name, &["linux/arm64"])?;
    let reference = format!("{}/app:1", registry.address);
    let signed = sign(&reference, 1, SignatureForms::BundleAndLegacy);
    let error = signed.expect_err("an image is there");
    assert!(
        matches!(error.downcast_ref(), Some(SignError::List { .. })),
        "{error:?}"
    );
    check_image(&registry, "app", &tag(pushed), theirs)
}
