//! Which store paths are in which layer, and what a plan file has to do with it.

use pack::layer::{LayerMode, LayerRule, PlanFile};
use pack::{Image, PackOptions};
use store::StorePath;

use crate::fixture::{Fixture, TestResult, unchecked};

fn image(fixture: &Fixture, options: &PackOptions) -> Result<Image<'static>, pack::ImageError> {
    Image::new(
        &fixture.store,
        std::slice::from_ref(&fixture.hello.path),
        &fixture.spec(),
        options,
        &|_| (),
    )
}

fn layers(image: &Image<'_>) -> Vec<Vec<StorePath>> {
    let layers = image.layers().iter();
    layers
        .map(|layer| layer.paths().cloned().collect())
        .collect()
}

fn plan_annotation(
    image: &Image<'_>,
    fixture: &Fixture,
) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let output = fixture.place("plan.oci");
    std::fs::remove_dir_all(&output).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let written = image.write(pack::Format::Oci, &output)?;
    let digest = written.manifest_digest.ok_or("no manifest")?;
    let blob = output.join("blobs/sha256").join(digest.to_hex());
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(blob)?)?;
    let annotation = manifest["annotations"]["pith.pack.plan"].as_str();
    Ok(annotation.map(str::to_owned))
}

#[test]
fn the_way_of_dividing_is_as_asked_for() -> TestResult {
    let fixture = Fixture::new()?;
    let (libc, hello) = (fixture.libc.path.clone(), fixture.hello.path.clone());
    let apart = vec![vec![libc.clone()], vec![hello.clone()], vec![]];
    let mut together = vec![libc, hello];
    together.sort();
    for (mode, expected) in [
        (LayerMode::Auto, apart.clone()),
        (LayerMode::PerPath, apart),
        (LayerMode::Single, vec![together]),
    ] {
        let options = PackOptions {
            layers: mode,
            ..unchecked()
        };
        assert_eq!(layers(&image(&fixture, &options)?), expected, "{mode}");
    }
    Ok(())
}

#[test]
fn a_rule_makes_a_layer_and_says_so() -> TestResult {
    let fixture = Fixture::new()?;
    let mut spec = fixture.spec();
    spec.layer_rules = vec![LayerRule {
        name: "all".to_owned(),
        patterns: vec!["libc*".to_owned(), "hello-*".to_owned()],
    }];
    let roots = [fixture.hello.path.clone()];
    let image = Image::new(&fixture.store, &roots, &spec, &unchecked(), &|_| ())?;
    let report = image.report();
    assert_eq!(report.layers.len(), 2);
    assert_eq!(report.layers[0].reason.as_deref(), Some("rule `all`"));
    assert_eq!(report.layers[1].reason, None);
    Ok(())
}

#[test]
fn an_image_names_its_plan_file_and_does_not_change_when_its_layers_are_put_into_it() -> TestResult
{
    let fixture = Fixture::new()?;
    let plain = image(&fixture, &unchecked())?;
    assert_eq!(plan_annotation(&plain, &fixture)?, None);
    let with = |plan: &PlanFile| {
        let plan = Some(plan.clone());
        image(
            &fixture,
            &PackOptions {
                plan,
                ..unchecked()
            },
        )
    };
    let text = r#"{"version": 1, "days_between_changes": {"libc-1.0": 3}}"#;
    let mut plan = PlanFile::parse(text)?;
    let planned = with(&plan)?;
    let digest = pack::oci::Digest::of(text.as_bytes()).to_string();
    assert_eq!(plan_annotation(&planned, &fixture)?, Some(digest));
    planned.record_plan(&mut plan);
    let plan = PlanFile::parse(&plan.to_text())?;
    let again = with(&plan)?;
    assert_eq!(again.manifest_digest()?, planned.manifest_digest()?);
    assert!(
        again.report().layers.iter().all(|layer| {
            layer.generated || layer.reason.as_deref() == Some("published before")
        })
    );
    // What was packed without a file stays as it was with one that has nothing but it.
    let mut only = PlanFile::default();
    plain.record_plan(&mut only);
    let only = PlanFile::parse(&only.to_text())?;
    assert_eq!(with(&only)?.manifest_digest()?, plain.manifest_digest()?);
    Ok(())
}
