//! The generated root and the configuration.

use std::{collections::BTreeMap, fs};

use pack::oci::HealthCheck;
use pack::{FileSpec, Format, Image};
use serde_json::Value;
use store::{Component, ContainedComponent};

use crate::fixture::{Fixture, TestResult, unchecked};

/// The manifest and the configuration.
fn documents(
    fixture: &Fixture,
    spec: &pack::ImageSpec,
    roots: &[&store::PathInfo],
) -> Result<(Value, Value), Box<dyn std::error::Error>> {
    let layout = tempfile::tempdir()?;
    fixture.pack(roots, spec, &unchecked(), Format::Oci, layout.path())?;
    let read = |name: &str| -> Result<Value, Box<dyn std::error::Error>> {
        Ok(serde_json::from_slice(&fs::read(
            layout.path().join(name),
        )?)?)
    };
    let blob =
        |digest: &Value| format!("blobs/sha256/{}", &digest.as_str().unwrap_or_default()[7..]);
    let manifest = read(&blob(&read("index.json")?["manifests"][0]["digest"]))?;
    let config = read(&blob(&manifest["config"]["digest"]))?;
    Ok((manifest, config))
}

fn config(
    fixture: &Fixture,
    spec: &pack::ImageSpec,
    roots: &[&store::PathInfo],
) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(documents(fixture, spec, roots)?.1)
}

#[test]
fn a_health_check_and_annotations_are_passed_on() -> TestResult {
    let fixture = Fixture::new()?;
    let mut spec = fixture.spec();
    spec.health_check = Some(HealthCheck {
        test: vec!["CMD".to_owned(), "/bin/hello".to_owned()],
        interval: Some(30_000_000_000),
        timeout: None,
        start_period: None,
        retries: Some(2),
    });
    for (key, value) in [
        ("org.example.team", "web"),
        ("org.opencontainers.image.title", "mine"),
        ("pith.pack.format-version", "0"),
    ] {
        spec.annotations.insert(key.to_owned(), value.to_owned());
    }
    let (manifest, config) = documents(&fixture, &spec, &[&fixture.hello])?;
    assert_eq!(
        config["config"]["Healthcheck"],
        serde_json::json!({"Test": ["CMD", "/bin/hello"], "Interval": 30_000_000_000_u64, "Retries": 2})
    );
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.example.team"], "web");
    assert_eq!(annotations["org.opencontainers.image.title"], "mine");
    assert_ne!(annotations["pith.pack.format-version"], "0");
    Ok(())
}

#[test]
fn the_configuration_has_what_the_packages_and_the_specification_say() -> TestResult {
    let fixture = Fixture::new()?;
    let mut spec = fixture.spec();
    spec.ports.insert("8080".parse()?);
    spec.volumes.insert("/data".to_owned());
    let found = config(&fixture, &spec, &[&fixture.hello, &fixture.certificates])?;
    assert_eq!(
        found["config"],
        serde_json::json!({
            "Entrypoint": ["/bin/hello"],
            "Env": ["PATH=/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
            "ExposedPorts": {"8080/tcp": {}},
            "User": "65532:65532",
            "Volumes": {"/data": {}},
            "WorkingDir": "/",
        })
    );
    assert_eq!(found["created"], "1970-01-01T00:00:01Z");
    assert_eq!(found["os"], "linux");
    Ok(())
}

#[test]
fn the_layers_do_not_depend_on_the_order_of_the_packages() -> TestResult {
    let fixture = Fixture::new()?;
    let forth = config(
        &fixture,
        &fixture.spec(),
        &[&fixture.hello, &fixture.certificates],
    )?;
    let back = config(
        &fixture,
        &fixture.spec(),
        &[&fixture.certificates, &fixture.hello],
    )?;
    assert_eq!(forth["rootfs"], back["rootfs"]);
    Ok(())
}

#[test]
fn two_packages_with_one_program_are_both_named() -> TestResult {
    let fixture = Fixture::new()?;
    let roots = [fixture.hello.path.clone(), fixture.other.path.clone()];
    let error = Image::new(
        &fixture.store,
        &roots,
        &fixture.spec(),
        &unchecked(),
        &|_| (),
    )
    .expect_err("two owners");
    assert_eq!(
        error.to_string(),
        format!(
            "`/bin/hello` of the image has two owners: `{}` and `{}`",
            roots[0], roots[1]
        )
    );
    Ok(())
}

#[test]
fn links_replace_the_generated_ones_and_must_lead_somewhere() -> TestResult {
    let fixture = Fixture::new()?;
    let root = fixture.place("root");
    let mut spec = fixture.spec();
    let target = format!("{}/bin/hello", fixture.hello.path.to_logical());
    spec.links = Some(BTreeMap::from([("/usr/bin/hi".to_owned(), target.clone())]));
    let file = FileSpec {
        contents: b"1.2.3.4 x\n".to_vec(),
        executable: false,
    };
    spec.files.insert("/etc/hosts".to_owned(), file);
    let options = unchecked();
    fixture.pack(&[&fixture.hello], &spec, &options, Format::Directory, &root)?;
    assert!(!root.join("bin").exists());
    assert_eq!(
        fs::read_link(root.join("usr/bin/hi"))?.to_str(),
        Some(target.as_str())
    );
    assert_eq!(fs::read(root.join("etc/hosts"))?, b"1.2.3.4 x\n");

    let outside = format!("{}/bin/hello", fixture.other.path.to_logical());
    spec.links = Some(BTreeMap::from([("/usr/bin/hi".to_owned(), outside)]));
    let error = fixture.pack(
        &[&fixture.hello],
        &spec,
        &options,
        Format::Directory,
        &fixture.place("x"),
    );
    assert!(
        error
            .expect_err("not in the closure")
            .to_string()
            .contains("which is not in the image")
    );
    Ok(())
}

#[test]
fn a_specification_cannot_write_outside_the_root_or_into_the_store() -> TestResult {
    let fixture = Fixture::new()?;
    for path in ["../x", "/a/../../x", "/pith/store/x", "/etc//x", "/.wh.etc"] {
        let mut spec = fixture.spec();
        let file = FileSpec {
            contents: Vec::new(),
            executable: false,
        };
        spec.files.insert(path.to_owned(), file);
        let roots = [fixture.hello.path.clone()];
        assert!(
            Image::new(&fixture.store, &roots, &spec, &unchecked(), &|_| ()).is_err(),
            "{path}"
        );
    }
    Ok(())
}

#[test]
fn the_bill_of_materials_names_every_path_and_every_reference() -> TestResult {
    let fixture = Fixture::new()?;
    let root = fixture.place("root");
    fixture.pack_hello(Format::Directory, &root)?;
    let text = fs::read(root.join("usr/share/sbom/hello.spdx.json"))?;
    let document: Value = serde_json::from_slice(&text)?;
    let mut files: Vec<_> = (document["packages"].as_array().ok_or("no packages")?.iter())
        .filter_map(|package| package["packageFileName"].as_str())
        .collect();
    files.sort_unstable();
    let mut expected = [
        fixture.hello.path.to_logical(),
        fixture.libc.path.to_logical(),
    ];
    expected.sort();
    assert_eq!(files, expected);
    let edge = serde_json::json!({
        "spdxElementId": format!("SPDXRef-{}", fixture.hello.path.digest()),
        "relationshipType": "DEPENDS_ON",
        "relatedSpdxElement": format!("SPDXRef-{}", fixture.libc.path.digest()),
    });
    assert!(
        document["relationships"]
            .as_array()
            .ok_or("none")?
            .contains(&edge)
    );
    Ok(())
}

#[test]
fn the_bill_of_materials_names_what_a_path_contains() -> TestResult {
    let fixture = Fixture::new()?;
    let path = fixture.hello.path.clone();
    let component = Component {
        name: "hello".to_owned(),
        contains: vec![ContainedComponent {
            name: "serde".to_owned(),
            version: Some("1.0.2".to_owned()),
            purl: "pkg:cargo/serde@1.0.2".to_owned(),
            license: Some("MIT OR Apache-2.0".to_owned()),
            homepage: Some("https://serde.rs".to_owned()),
            digest: Some(format!("sha256:{}", "ab".repeat(32))),
        }],
        ..Component::default()
    };
    fixture.store.set_components(&[(path.clone(), component)])?;
    let root = fixture.place("root");
    fixture.pack_hello(Format::Directory, &root)?;
    let text = fs::read(root.join("usr/share/sbom/hello.spdx.json"))?;
    let document: Value = serde_json::from_slice(&text)?;
    let id = format!("SPDXRef-{}-0", path.digest());
    let package = serde_json::json!({
        "SPDXID": id,
        "name": "serde",
        "versionInfo": "1.0.2",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "homepage": "https://serde.rs",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "MIT OR Apache-2.0",
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": "ab".repeat(32)}],
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": "pkg:cargo/serde@1.0.2",
        }],
    });
    let edge = serde_json::json!({
        "spdxElementId": format!("SPDXRef-{}", path.digest()),
        "relationshipType": "CONTAINS",
        "relatedSpdxElement": id,
    });
    let has =
        |list: &Value, wanted: &Value| list.as_array().is_some_and(|list| list.contains(wanted));
    assert!(has(&document["packages"], &package), "{document}");
    assert!(has(&document["relationships"], &edge), "{document}");
    Ok(())
}
