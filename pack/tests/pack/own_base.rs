//! Images on images of this crate: whose bill speaks of what, and what is not packed again.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use pack::{
    Base, Compression, Format, Image, ImageReport, PackOptions, Validation,
    audit::bytes::{Accounting, ByteCode, ByteOrigin, LayerAccount, account, compare},
    audit::inventory::Inventory,
    existing::{
        BaseLayer, BillPackage, Depth, ExistingError, ExistingImage, FileKind, ImageFacts,
        LayerFacts,
    },
    oci::{Digest, ManifestType},
    validate,
};
use serde_json::{Value, json};
use store::{PathInfo, StorePath};

use crate::{
    fixture::{Fixture, TestResult, unchecked},
    tampering::forge,
};

/// Packs `root` as an image of this name on the image at `base`.
fn pack_on(
    fixture: &Fixture,
    base: &Path,
    root: &PathInfo,
    name: &str,
    options: &PackOptions,
) -> Result<(PathBuf, ImageReport), Box<dyn Error>> {
    let mut spec = fixture.spec();
    spec.name = name.parse()?;
    let existing = ExistingImage::open(base, None)?;
    let base = Base::recall(&existing, &spec.platform, &fixture.store)?;
    let roots = [root.path.clone()];
    let image = Image::on_base(&fixture.store, &roots, &spec, options, &|_| (), base)?;
    let place = fixture.place(name);
    image.write(Format::Oci, &place)?;
    Ok((place, image.report()))
}

/// Packs `root` as an image of this name in one layer.
fn pack_alone(fixture: &Fixture, root: &PathInfo, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut spec = fixture.spec();
    spec.name = name.parse()?;
    let options = PackOptions {
        max_layers: 1,
        ..unchecked()
    };
    let place = fixture.place(name);
    fixture.pack(&[root], &spec, &options, Format::Oci, &place)?;
    Ok(place)
}

fn facts(layout: &Path) -> Result<ImageFacts, Box<dyn Error>> {
    let image = ExistingImage::open(layout, None)?;
    let mut inspected = image.inspect_layers(None, Depth::All)?.images;
    Ok(inspected.pop().ok_or("no image")?)
}

/// The store paths in the bill of an image by their names, each with whether a base has it.
fn packages(layout: &Path) -> Result<BTreeMap<String, bool>, Box<dyn Error>> {
    let packages = facts(layout)?.packages.ok_or("no bill")?;
    let packages = packages.into_iter();
    Ok(packages
        .map(|package| (package.path.name().to_string(), package.in_base))
        .collect())
}

fn accounting(fixture: &Fixture, layout: &Path) -> Result<Accounting, Box<dyn Error>> {
    let image = ExistingImage::open(layout, None)?;
    let mut accounts = account(&image, Some(&fixture.store), &BTreeSet::new())?;
    Ok(accounts.pop().ok_or("no image")?)
}

fn is_open(origin: &ByteOrigin) -> bool {
    use ByteOrigin::{Base, Unknown, Untold};
    matches!(origin, Base | Untold | Unknown)
}

fn validated(layout: &Path) -> Result<Validation, Box<dyn Error>> {
    let found = validate(layout)?;
    assert_eq!(found.mismatches, []);
    Ok(found)
}

/// Adds a layer of somebody else to an image: an empty file at each of these paths.
fn add_layer(layout: &Path, paths: &[&str]) -> TestResult {
    let mut builder = tar::Builder::new(Vec::new());
    for path in paths {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, &[][..])?;
    }
    let layer = builder.into_inner()?;
    let mut documents = documents(layout)?;
    let [_, manifest, config] = &mut documents;
    let mut entry = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar"});
    put(layout, &mut entry, &layer)?;
    let push = |list: &mut Value, one: Value| -> TestResult {
        list.as_array_mut().ok_or("a list")?.push(one);
        Ok(())
    };
    push(&mut manifest["layers"], entry)?;
    push(&mut config["rootfs"]["diff_ids"], json!(Digest::of(&layer)))?;
    push(&mut config["history"], json!({"created_by": "somebody"}))?;
    put_documents(layout, &mut documents)
}

#[test]
fn what_the_base_has_is_not_packed_again_and_everything_is_described() -> TestResult {
    let fixture = Fixture::new()?;
    for manifest_type in [ManifestType::Oci, ManifestType::Docker] {
        let options = PackOptions {
            manifest_type,
            ..unchecked()
        };
        let base = pack_alone(&fixture, &fixture.libc, "base")?;
        let (app, report) = pack_on(&fixture, &base, &fixture.hello, "app", &options)?;
        let below = report.base.ok_or("it lies on one")?;
        assert_eq!(below.shared, std::slice::from_ref(&fixture.libc.path));
        let own: Vec<&StorePath> = (report.layers.iter())
            .flat_map(|layer| layer.paths.iter().map(|one| &one.path))
            .collect();
        assert_eq!(own, [&fixture.hello.path]);

        let found = validated(&app)?;
        assert_eq!((found.objects, found.unattributed), (2, 0));
        assert_eq!(
            (found.base_layers.len(), found.described_base_layers),
            (1, 1)
        );
        let expected = [("hello-2.10", false), ("libc-1.0", true)];
        let expected = expected.map(|(name, in_base)| (name.to_owned(), in_base));
        assert_eq!(packages(&app)?, expected.into());
        let facts = facts(&app)?;
        let of_base = |layer: &LayerFacts| layer.base;
        let layers: Vec<_> = facts.layers.iter().filter_map(of_base).collect();
        assert_eq!(layers, [BaseLayer::Described]);
        assert_eq!(Inventory::of_image(&facts).undescribed, []);
        let image = ExistingImage::open(&app, None)?;
        let bill = image.bills(None, Depth::All)?.pop().ok_or("a bill")?;
        assert_eq!((bill.base, bill.foreign), (None, Vec::new()));

        let found = accounting(&fixture, &app)?;
        assert_eq!(found.findings, []);
        assert!(found.layers.iter().all(LayerAccount::is_exact));
        assert_eq!(found.total(is_open), (0, 0));
        let bill = facts.packages.unwrap_or_default();
        let compared = compare(&image, facts.manifest, &bill, &fixture.store)?;
        assert_eq!((compared.same.len(), compared.damage.len()), (2, 0));
    }
    Ok(())
}

#[test]
fn the_same_comes_of_a_base_that_was_read_before() -> TestResult {
    let fixture = Fixture::new()?;
    let base = pack_alone(&fixture, &fixture.libc, "base")?;
    let pack = |name| pack_on(&fixture, &base, &fixture.hello, name, &unchecked());
    let ((first, _), (again, report)) = (pack("app")?, pack("app")?);
    assert_eq!(first, again);
    let shared = report.base.map(|base| base.shared);
    assert_eq!(shared, Some(vec![fixture.libc.path.clone()]));
    let digest = report.manifest_digest;
    fs::remove_dir_all(fixture.store.layers_dir())?;
    let (_, report) = pack("app")?;
    assert_eq!(report.manifest_digest, digest);
    Ok(())
}

#[test]
fn an_image_with_nothing_of_its_own_still_has_its_own_bill() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("layout");
    fixture.pack_hello(Format::Oci, &base)?;
    let (app, report) = pack_on(&fixture, &base, &fixture.hello, "hello", &unchecked())?;
    assert_eq!(report.layers.len(), 1);
    assert_eq!(report.base.map(|base| base.shared.len()), Some(2));
    validated(&app)?;
    let all = packages(&app)?;
    assert!(all.len() == 2 && all.values().all(|in_base| *in_base));
    assert_eq!(accounting(&fixture, &app)?.findings, []);
    Ok(())
}

#[test]
fn every_image_below_has_its_say() -> TestResult {
    let fixture = Fixture::new()?;
    let lowest = pack_alone(&fixture, &fixture.libc, "lowest")?;
    let (middle, _) = pack_on(
        &fixture,
        &lowest,
        &fixture.certificates,
        "middle",
        &unchecked(),
    )?;
    let (app, report) = pack_on(&fixture, &middle, &fixture.hello, "app", &unchecked())?;
    assert_eq!(report.base.map(|base| base.shared.len()), Some(1));
    validated(&app)?;
    let names: Vec<String> = packages(&app)?.into_keys().collect();
    assert_eq!(names, ["certificates-1", "hello-2.10", "libc-1.0"]);
    let found = accounting(&fixture, &app)?;
    assert_eq!(found.findings, []);
    assert_eq!(found.total(is_open), (0, 0));
    Ok(())
}

#[test]
fn a_base_with_other_contents_than_its_bill_says_is_not_relied_on() -> TestResult {
    let fixture = Fixture::new()?;
    let base = pack_alone(&fixture, &fixture.libc, "base")?;
    forge(&base, |mut entries| {
        for entry in &mut entries {
            if entry.0.ends_with("lib/libc.so") {
                entry.4[0] ^= 1;
            }
        }
        entries
    })?;
    let (app, report) = pack_on(&fixture, &base, &fixture.hello, "app", &unchecked())?;
    assert_eq!(report.base.map(|base| base.shared), Some(Vec::new()));
    let found = validate(&app)?.mismatches;
    assert_eq!(found.len(), 1, "{found:?}");
    let found = accounting(&fixture, &app)?.findings;
    assert_eq!(found.first().map(|one| one.code), Some(ByteCode::B101));
    Ok(())
}

#[test]
fn layers_of_others_in_a_base_are_nobodys_and_what_they_touch_is_packed_again() -> TestResult {
    let fixture = Fixture::new()?;
    let libc = fixture.libc.path.to_string();
    for (paths, shared) in [
        (vec!["usr/evil".to_owned()], 1),
        (vec![format!("pith/store/{libc}/lib/new")], 0),
        (vec![format!("pith/store/.wh.{libc}")], 0),
    ] {
        let base = pack_alone(&fixture, &fixture.libc, "base")?;
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        add_layer(&base, &paths)?;
        let (app, report) = pack_on(&fixture, &base, &fixture.hello, "app", &unchecked())?;
        let found = report.base.map(|base| base.shared.len());
        assert_eq!(found, Some(shared), "{paths:?}");
        let facts = facts(&app)?;
        let undescribed = Inventory::of_image(&facts).undescribed;
        assert_eq!(undescribed.len(), 1, "{paths:?}");
        let image = ExistingImage::open(&app, None)?;
        let bill = image.bills(None, Depth::All)?.pop().ok_or("a bill")?;
        assert!(bill.base.is_some());
        let found = accounting(&fixture, &app)?;
        let is_base = |origin: &ByteOrigin| *origin == ByteOrigin::Base;
        assert_eq!(found.total(is_base).0, 1);
        assert_eq!(found.findings, []);
        fs::remove_dir_all(base)?;
        fs::remove_dir_all(app)?;
    }
    // One that hides the bill of the base takes all of it away.
    let base = pack_alone(&fixture, &fixture.libc, "base")?;
    add_layer(&base, &["usr/share/sbom/other.spdx.json"])?;
    let (app, report) = pack_on(&fixture, &base, &fixture.hello, "app", &unchecked())?;
    assert_eq!(report.base.map(|base| base.shared.len()), Some(0));
    assert_eq!(Inventory::of_image(&facts(&app)?).undescribed.len(), 2);
    Ok(())
}

#[test]
fn replaced_digests_are_left_to_nobody() -> TestResult {
    let fixture = Fixture::new()?;
    let stable = PackOptions {
        stable_paths: true,
        compression: Compression::None,
        ..unchecked()
    };
    let base = pack_alone(&fixture, &fixture.libc, "base")?;
    let (app, report) = pack_on(&fixture, &base, &fixture.hello, "app", &stable)?;
    assert_eq!(report.base.map(|base| base.shared.len()), Some(0));
    validated(&app)?;
    // Nor is anything taken from a base that has them.
    let base = fixture.place("stable");
    let spec = fixture.spec();
    fixture.pack(&[&fixture.libc], &spec, &stable, Format::Oci, &base)?;
    let (app, report) = pack_on(&fixture, &base, &fixture.hello, "on-stable", &unchecked())?;
    assert_eq!(report.base.map(|base| base.shared.len()), Some(0));
    validated(&app)?;
    assert_eq!(accounting(&fixture, &app)?.findings, []);
    Ok(())
}

#[test]
fn an_image_moves_to_a_base_only_if_that_has_what_it_lacks() -> TestResult {
    let fixture = Fixture::new()?;
    let old = pack_alone(&fixture, &fixture.libc, "old")?;
    let (app, _) = pack_on(&fixture, &old, &fixture.hello, "app", &unchecked())?;
    let (newer, _) = pack_on(&fixture, &old, &fixture.certificates, "newer", &unchecked())?;
    let lacking = pack_alone(&fixture, &fixture.certificates, "lacking")?;
    let open = |path: &Path| ExistingImage::open(path, None);
    let (image, old, newer, lacking) = (open(&app)?, open(&old)?, open(&newer)?, open(&lacking)?);
    let rebased = image.rebase(None, &old, &newer)?;
    let out = fixture.place("rebased");
    rebased.copy(None, FileKind::Layout, &"hello".parse()?, &out)?;
    validated(&out)?;
    let names: Vec<String> = packages(&out)?.into_keys().collect();
    assert_eq!(names, ["certificates-1", "hello-2.10", "libc-1.0"]);
    assert_eq!(accounting(&fixture, &out)?.total(is_open), (0, 0));
    let refused = image.rebase(None, &old, &lacking);
    let libc = &fixture.libc.path;
    assert!(
        matches!(refused, Err(ExistingError::NotInBase { ref path, .. }) if path == libc),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn an_object_that_is_nowhere_is_missed() -> TestResult {
    let fixture = Fixture::new()?;
    let old = pack_alone(&fixture, &fixture.libc, "old")?;
    let (app, _) = pack_on(&fixture, &old, &fixture.hello, "app", &unchecked())?;
    // Whoever swaps the layers of a base by hand asks nobody.
    let other = pack_alone(&fixture, &fixture.certificates, "other")?;
    swap_layer(&app, &other)?;
    let found = validate(&app)?.mismatches;
    let libc = fixture.libc.path.to_logical();
    assert!(found.iter().any(|one| one.place == libc), "{found:?}");
    let lost: Vec<BillPackage> = facts(&app)?.packages.unwrap_or_default();
    assert!(
        lost.iter()
            .any(|one| one.path == fixture.libc.path && !one.in_base)
    );
    Ok(())
}

/// The index, the manifest and the configuration of a layout.
fn documents(layout: &Path) -> Result<[Value; 3], Box<dyn Error>> {
    let read = |entry: &Value| -> Result<Value, Box<dyn Error>> {
        let digest: Digest = entry["digest"].as_str().ok_or("a digest")?.parse()?;
        let place = layout.join("blobs/sha256").join(digest.to_hex());
        Ok(serde_json::from_slice(&fs::read(place)?)?)
    };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = read(&index["manifests"][0])?;
    let config = read(&manifest["config"])?;
    Ok([index, manifest, config])
}

/// Writes a blob and says in `entry` which it is.
fn put(layout: &Path, entry: &mut Value, bytes: &[u8]) -> TestResult {
    let digest = Digest::of(bytes);
    entry["digest"] = json!(digest);
    entry["size"] = json!(bytes.len());
    let place = layout.join("blobs/sha256").join(digest.to_hex());
    Ok(fs::write(place, bytes)?)
}

/// Writes the documents of a layout that was changed.
fn put_documents(layout: &Path, [index, manifest, config]: &mut [Value; 3]) -> TestResult {
    put(
        layout,
        &mut manifest["config"],
        config.to_string().as_bytes(),
    )?;
    put(
        layout,
        &mut index["manifests"][0],
        manifest.to_string().as_bytes(),
    )?;
    Ok(fs::write(layout.join("index.json"), index.to_string())?)
}

/// Puts the lowest layer of another image in the place of that of an image.
fn swap_layer(layout: &Path, other: &Path) -> TestResult {
    let mut own = documents(layout)?;
    let [_, manifest, config] = documents(other)?;
    let layer: Digest = manifest["layers"][0]["digest"]
        .as_str()
        .ok_or("a digest")?
        .parse()?;
    let name = Path::new("blobs/sha256").join(layer.to_hex());
    fs::copy(other.join(&name), layout.join(&name))?;
    own[1]["layers"][0] = manifest["layers"][0].clone();
    own[2]["rootfs"]["diff_ids"][0] = config["rootfs"]["diff_ids"][0].clone();
    put_documents(layout, &mut own)
}
