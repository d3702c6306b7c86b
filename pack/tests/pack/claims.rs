//! What an image says of itself: when it was made, and in whose words.

use std::{fs, io::Read as _};

use pack::{
    Compression, Format, Image, ImageError, ImageSpec, PackOptions,
    oci::{ManifestType, media_type},
    validate,
};
use serde_json::Value;

use crate::fixture::{Fixture, TestResult, list_tar, unchecked};

fn image<'a>(
    fixture: &Fixture,
    spec: &ImageSpec,
    options: &PackOptions,
) -> Result<Image<'a>, ImageError> {
    let roots = [fixture.hello.path.clone()];
    Image::new(&fixture.store, &roots, spec, options, &|_| ())
}

fn docker() -> PackOptions {
    PackOptions {
        manifest_type: ManifestType::Docker,
        ..unchecked()
    }
}

/// A document of a layout by its digest, as another has it.
fn blob(layout: &std::path::Path, digest: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    let (_, hex) = digest
        .as_str()
        .and_then(|digest| digest.split_once(':'))
        .ok_or("no digest")?;
    let bytes = fs::read(layout.join("blobs/sha256").join(hex))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn documents(layout: &std::path::Path) -> Result<[Value; 3], Box<dyn std::error::Error>> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = blob(layout, &index["manifests"][0]["digest"])?;
    let config = blob(layout, &manifest["config"]["digest"])?;
    Ok([index, manifest, config])
}

#[test]
fn a_time_changes_what_the_image_claims_and_no_layer() -> TestResult {
    let fixture = Fixture::new()?;
    let write = |created: &str| -> Result<[Value; 3], Box<dyn std::error::Error>> {
        let mut spec = fixture.spec();
        spec.created = created.parse()?;
        let layout = fixture.place(created);
        image(&fixture, &spec, &unchecked())?.write(Format::Oci, &layout)?;
        documents(&layout)
    };
    let [_, default_manifest, default_config] = write("1")?;
    assert_eq!(default_config["created"], "1970-01-01T00:00:01Z");
    let plain = fixture.place("plain");
    fixture.pack_hello(Format::Oci, &plain)?;
    assert_eq!(documents(&plain)?[1], default_manifest);

    let [_, manifest, config] = write("2026-11-22T10:00:00Z")?;
    assert_eq!(config["created"], "2026-11-22T10:00:00Z");
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.created"],
        "2026-11-22T10:00:00Z"
    );
    assert_eq!(manifest["layers"], default_manifest["layers"]);
    assert_eq!(config["rootfs"], default_config["rootfs"]);
    assert_eq!(config["history"], default_config["history"]);
    Ok(())
}

#[test]
fn dockers_words_are_around_the_same_layers() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("docker");
    let spec = fixture.spec();
    let written = image(&fixture, &spec, &docker())?.write(Format::Oci, &layout)?;
    let [index, manifest, config] = documents(&layout)?;
    assert_eq!(index["mediaType"], media_type::INDEX);
    assert_eq!(
        index["manifests"][0]["mediaType"],
        media_type::DOCKER_MANIFEST
    );
    assert_eq!(manifest["mediaType"], media_type::DOCKER_MANIFEST);
    assert_eq!(manifest["config"]["mediaType"], media_type::DOCKER_CONFIG);
    assert_eq!(manifest["annotations"], Value::Null);
    let plain = fixture.place("oci");
    fixture.pack_hello(Format::Oci, &plain)?;
    let [_, oci, oci_config] = documents(&plain)?;
    assert_eq!(config, oci_config);
    let digests = |manifest: &Value| -> Vec<Value> {
        let layers = manifest["layers"].as_array().into_iter().flatten();
        layers.map(|layer| layer["digest"].clone()).collect()
    };
    assert_eq!(digests(&manifest), digests(&oci));
    for layer in manifest["layers"].as_array().ok_or("no layers")? {
        assert_eq!(layer["mediaType"], media_type::DOCKER_LAYER_GZIP);
    }
    assert_eq!(validate(&layout)?.mismatches, []);
    // Replacing it removes what only it had.
    let blobs = fs::read_dir(layout.join("blobs/sha256"))?.count();
    let again = image(&fixture, &spec, &unchecked())?.write(Format::Oci, &layout)?;
    assert_ne!(again.manifest_digest, written.manifest_digest);
    assert_eq!(fs::read_dir(layout.join("blobs/sha256"))?.count(), blobs);
    Ok(())
}

#[test]
fn dockers_list_of_platforms_is_valid() -> TestResult {
    let fixture = Fixture::new()?;
    let mut spec = fixture.spec();
    let first = image(&fixture, &spec, &docker())?;
    spec.platform = "linux/arm64".parse()?;
    let other = [image(&fixture, &spec, &docker())?];
    let layout = fixture.place("layout");
    first.write_with(&other, Format::Oci, &layout)?;
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    assert_eq!(index["manifests"][0]["mediaType"], media_type::DOCKER_INDEX);
    let found = validate(&layout)?;
    assert_eq!((found.mismatches, found.manifests.len()), (Vec::new(), 2));
    Ok(())
}

#[test]
fn docker_has_no_layers_in_zstd() -> TestResult {
    let fixture = Fixture::new()?;
    let options = PackOptions {
        compression: Compression::Zstd,
        ..docker()
    };
    let error = image(&fixture, &fixture.spec(), &options).expect_err("no media type");
    assert_eq!(
        error.to_string(),
        "manifests of type `docker` have no layers in `zstd`"
    );
    Ok(())
}

#[test]
fn a_stream_is_a_valid_archive_of_the_same_image() -> TestResult {
    let fixture = Fixture::new()?;
    let place = fixture.place("stream.tar");
    let image = image(&fixture, &fixture.spec(), &unchecked())?;
    let mut streams = Vec::new();
    // At first nothing is known of the layers, then everything.
    for _ in 0..2 {
        let mut bytes = Vec::new();
        let digest = image.stream(&mut bytes)?;
        assert_eq!(digest, image.manifest_digest()?);
        streams.push(bytes);
    }
    assert!(streams[0] == streams[1]);
    fs::write(&place, &streams[0])?;
    assert_eq!(validate(&place)?.mismatches, []);
    let archive = fixture.place("archive.tar");
    image.write(Format::Archive, &archive)?;
    assert!(fs::read(&archive)? == streams[0]);
    Ok(())
}

#[test]
fn a_reader_who_stops_is_an_error() -> TestResult {
    let fixture = Fixture::new()?;
    let (mut reader, mut writer) = std::io::pipe()?;
    let image = image(&fixture, &fixture.spec(), &unchecked())?;
    image.manifest_digest()?;
    let error = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut start = [0; 512];
            drop(reader.read_exact(&mut start));
        });
        image.stream(&mut writer).expect_err("nobody reads")
    });
    assert_eq!(error.to_string(), "cannot hand the image on");
    Ok(())
}

#[test]
fn the_bill_of_materials_is_that_of_the_image() -> TestResult {
    let fixture = Fixture::new()?;
    let image = image(&fixture, &fixture.spec(), &unchecked())?;
    let (tar, sbom) = (fixture.place("root.tar"), fixture.place("sbom.json"));
    image.write(Format::Tar, &tar)?;
    image.write_sbom(&sbom)?;
    let inside = list_tar(fs::File::open(&tar)?)?
        .into_iter()
        .find(|(path, ..)| path == "usr/share/sbom/hello.spdx.json")
        .ok_or("no bill")?;
    assert_eq!(fs::read(&sbom)?, inside.2);
    let document: Value = serde_json::from_slice(&inside.2)?;
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    Ok(())
}
