//! Pushes by a machine that has made no layer, and was told by another one what they became.

use pack::{
    Image, ImageName, ImageSpec, PackOptions,
    layer::share_layers,
    oci::Digest,
    registry::{PushOptions, Pushed, open_repository},
};
use store::ResolvedDigest;
use tests::{http_server::Asked, other_servers::Registry};

use crate::{Fixture, TestResult, before, check_image, registry_options};

fn image(fixture: &Fixture) -> TestResult<Image<'static>> {
    let spec = ImageSpec::new("hello".parse()?);
    let options = PackOptions {
        // Nobody starts it.
        check_start: false,
        ..PackOptions::default()
    };
    let roots = [fixture.hello.clone()];
    Ok(Image::new(
        &fixture.store,
        &roots,
        &spec,
        &options,
        &|_| (),
    )?)
}

fn push(image: &Image<'_>, reference: &str) -> TestResult<Pushed> {
    let name: ImageName = reference.parse()?;
    let repository = open_repository(&name, &registry_options())?;
    Ok(image.push_with(&[], &name, &repository, &PushOptions::default())?)
}

/// What the store of one machine says of the layers of its images, by their keys.
fn told_by(fixture: &Fixture, keys: &[ResolvedDigest]) -> TestResult<Vec<Vec<u8>>> {
    let lease = fixture.store.lease()?;
    let shared = share_layers(
        &fixture.store,
        std::slice::from_ref(&fixture.hello),
        &lease,
        1,
    )?;
    assert_eq!(shared.len(), keys.len());
    let mut told = Vec::new();
    for key in keys {
        let known = fixture.store.find_realisations(key)?;
        let known = known.first().ok_or("it is not known")?;
        assert_eq!(known.output, "layer");
        told.push(std::fs::read(fixture.store.real_path(&known.path))?);
    }
    Ok(told)
}

fn is_question(asked: &Asked) -> bool {
    asked.method == "HEAD"
}

#[test]
fn who_was_told_pushes_what_is_there_without_reading_a_file() -> TestResult {
    let registry = Registry::start("")?;
    let server = before(&registry, |_, _| None);
    let reference = |tag: &str| format!("{}/app:{tag}", server.address());
    let (first, second) = (Fixture::new()?, Fixture::new()?);
    let pushed = push(&image(&first)?, &reference("1"))?;

    let mut image = image(&second)?;
    let keys = image.unknown_layers();
    assert_eq!(keys.len(), image.layers().len());
    for (key, record) in keys.iter().zip(told_by(&first, &keys)?) {
        assert!(image.tell_layer(key, &record));
    }
    assert_eq!(image.unknown_layers(), []);
    let before = server.asked().len();
    let again = push(&image, &reference("1"))?;
    assert!(again.unchanged);
    assert_eq!(again.manifest_digest, pushed.manifest_digest);
    assert_eq!((again.sent_bytes, again.encoded_bytes), (0, 0));
    let asked = server.asked();
    assert_eq!(asked[before..].len(), 1, "{:?}", &asked[before..]);

    let other = push(&image, &reference("2"))?;
    assert_eq!((other.sent_bytes, other.encoded_bytes), (0, 0));
    assert!(!other.unchanged && other.present_blobs == keys.len() + 1);
    let asked = server.asked();
    let (last, questions) = asked[before + 1..]
        .split_last()
        .ok_or("nothing was asked")?;
    assert!(questions.iter().all(is_question) && last.method == "PUT");
    Ok(())
}

#[test]
fn what_the_registry_lacks_is_made_whatever_was_told_of_it() -> TestResult {
    let registry = Registry::start("")?;
    let (first, second) = (Fixture::new()?, Fixture::new()?);
    let right = image(&first)?.manifest_digest()?;
    let mut image = image(&second)?;
    let keys = image.unknown_layers();
    for (key, record) in keys.iter().zip(told_by(&first, &keys)?) {
        let mut record: serde_json::Value = serde_json::from_slice(&record)?;
        record["digest"] = Digest::of(b"another layer").to_string().into();
        assert!(image.tell_layer(key, record.to_string().as_bytes()));
    }
    assert!(!image.tell_layer(&keys[0], b"{}"), "that says nothing");
    let pushed = push(&image, &format!("{}/app:1", registry.address))?;
    assert_eq!(pushed.manifest_digest, right);
    assert!(pushed.encoded_bytes > 300_000);
    check_image(&registry, "app", "1", right)
}
