//! Images that exist already are copied and shown as they are, whoever made them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use pack::{
    Format, ImageName,
    existing::{ChangeKind, ExistingError, ExistingImage, FileKind, SourceError},
    oci::Digest,
    validate,
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TestResult, list_tar, unchecked};

fn name() -> ImageName {
    "r.example/copy:2".parse().expect("a legal name")
}

/// The blobs of a layout, by name.
fn blobs(layout: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Box<dyn std::error::Error>> {
    let mut blobs = BTreeMap::new();
    for entry in fs::read_dir(layout.join("blobs/sha256"))? {
        let path = entry?.path();
        blobs.insert(path.file_name().ok_or("a name")?.into(), fs::read(&path)?);
    }
    Ok(blobs)
}

/// Writes an index of two platforms.
fn pack_two(fixture: &Fixture, format: Format, place: &Path) -> TestResult {
    use pack::{Image, ImageSpec};
    let mut images = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let mut spec = ImageSpec::new("hello".parse()?);
        spec.platform = platform.parse()?;
        let roots = [fixture.hello.path.clone()];
        images.push(Image::new(
            &fixture.store,
            &roots,
            &spec,
            &unchecked(),
            &|_| (),
        )?);
    }
    let (first, others) = images.split_first().ok_or("two")?;
    first.write_with(others, format, place)?;
    Ok(())
}

#[test]
fn a_copy_has_every_byte_and_the_digest_wherever_it_goes() -> TestResult {
    let fixture = Fixture::new()?;
    let original = fixture.place("original");
    let written = fixture.pack_hello(Format::Oci, &original)?;
    let archive = fixture.place("copy.tar");
    let layout = fixture.place("copy");
    let image = ExistingImage::open(&original, None)?;
    let copied = image.copy(None, FileKind::Archive, &name(), &archive)?;
    assert_eq!(Some(copied.manifest_digest), written.manifest_digest);
    let image = ExistingImage::open(&archive, None)?;
    assert_eq!(image.image_name()?, Some(name()));
    image.copy(None, FileKind::Layout, &name(), &layout)?;
    assert_eq!(blobs(&layout)?, blobs(&original)?);
    for place in [&archive, &layout] {
        let found = validate(place)?;
        assert_eq!(found.mismatches, [], "{}", place.display());
        assert_eq!(found.objects, 2);
    }
    let members = list_tar(fs::File::open(&archive)?)?;
    let docker = members.iter().find(|(path, ..)| path == "manifest.json");
    let docker: Value = serde_json::from_slice(&docker.ok_or("no list")?.2)?;
    assert_eq!(docker[0]["RepoTags"], json!(["r.example/copy:2"]));
    assert_eq!(fixture.left_overs()?, Vec::<PathBuf>::new());
    Ok(())
}

#[test]
fn an_index_is_copied_with_all_platforms_or_one() -> TestResult {
    let fixture = Fixture::new()?;
    let original = fixture.place("original");
    pack_two(&fixture, Format::Oci, &original)?;
    let archive = fixture.place("copy.tar");
    let image = ExistingImage::open(&original, None)?;
    let copied = image.copy(None, FileKind::Archive, &name(), &archive)?;
    assert_eq!(copied.manifest_digest, image.digest()?);
    assert_eq!(validate(&archive)?.manifests.len(), 2);

    let one = fixture.place("one");
    let arm = "linux/arm64".parse()?;
    image.copy(Some(&arm), FileKind::Layout, &name(), &one)?;
    let one = ExistingImage::open(&one, None)?;
    let inspection = one.inspect(None)?;
    let platforms: Vec<&str> = (inspection.images.iter())
        .map(|facts| facts.platform.as_str())
        .collect();
    assert_eq!(platforms, ["linux/arm64/v8"]);
    let missing = image.copy(
        Some(&"linux/s390x".parse()?),
        FileKind::Archive,
        &name(),
        &archive,
    );
    assert_eq!(
        missing.expect_err("it is not there").to_string(),
        format!(
            "`{}` is not for `linux/s390x`, but for linux/amd64, linux/arm64/v8",
            original.display()
        )
    );
    // The archive is still the one before.
    assert_eq!(validate(&archive)?.mismatches, []);
    Ok(())
}

#[test]
fn a_layout_keeps_its_other_images_and_what_others_wrote_about_them() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    fixture.pack_hello(Format::Oci, &layout)?;
    let index = layout.join("index.json");
    let mut before: Value = serde_json::from_slice(&fs::read(&index)?)?;
    before["manifests"][0]["artifactType"] = json!("application/x");
    before["manifests"][0]["platform"] = json!({"os": "linux", "architecture": "s390x"});
    fs::write(&index, before.to_string())?;
    let archive = fixture.place("other.tar");
    fixture.pack(
        &[&fixture.other],
        &fixture.spec(),
        &unchecked(),
        Format::Archive,
        &archive,
    )?;
    let other = ExistingImage::open(&archive, None)?;
    for _ in 0..2 {
        other.copy(None, FileKind::Layout, &name(), &layout)?;
    }
    let after: Value = serde_json::from_slice(&fs::read(&index)?)?;
    assert_eq!(after["manifests"][0], before["manifests"][0]);
    assert_eq!(after["manifests"].as_array().map(Vec::len), Some(2));
    let refused = ExistingImage::open(&layout, None)?.digest();
    assert!(
        matches!(&refused, Err(ExistingError::Choice { tags, .. }) if tags == &["latest", "2"]),
        "{refused:?}"
    );
    let chosen = ExistingImage::open(&layout, Some("2"))?;
    assert_eq!(chosen.digest()?, other.digest()?);
    assert!(ExistingImage::open(&layout, Some("3"))?.digest().is_err());
    Ok(())
}

#[test]
fn a_damaged_blob_is_not_copied_and_leaves_nothing() -> TestResult {
    let fixture = Fixture::new()?;
    let original = fixture.place("original");
    fixture.pack_hello(Format::Oci, &original)?;
    for (name_of_blob, good) in blobs(&original)? {
        let path = original.join("blobs/sha256").join(name_of_blob);
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [
            &flipped,
            &good[..good.len() - 1],
            &[&good[..], b"x"].concat(),
        ] {
            fs::write(&path, bad)?;
            let image = ExistingImage::open(&original, None)?;
            for (kind, place) in [(FileKind::Archive, "a.tar"), (FileKind::Layout, "layout")] {
                let place = fixture.place(place);
                let result = image.copy(None, kind, &name(), &place);
                assert!(
                    matches!(result, Err(ExistingError::Damaged { .. })),
                    "{result:?}"
                );
                assert!(!place.exists());
            }
        }
        fs::remove_file(&path)?;
        let image = ExistingImage::open(&original, None)?;
        let result = image.copy(None, FileKind::Archive, &name(), &fixture.place("a.tar"));
        assert!(matches!(result, Err(ExistingError::Missing { .. })));
        fs::write(&path, good)?;
    }
    assert_eq!(fixture.left_overs()?, Vec::<PathBuf>::new());
    Ok(())
}

#[test]
fn nothing_is_believed_that_a_damaged_blob_says() -> TestResult {
    let fixture = Fixture::new()?;
    let original = fixture.place("original");
    fixture.pack_hello(Format::Oci, &original)?;
    let manifest = ExistingImage::open(&original, None)?.digest()?;
    let mut uninspected = 0;
    for (name_of_blob, good) in blobs(&original)? {
        let path = original.join("blobs/sha256").join(name_of_blob);
        for at in [4, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad)?;
            let image = ExistingImage::open(&original, None)?;
            let inspected = image.inspect(None).map(|_| ());
            let read = image.read_texts(manifest, &|_| true).map(|_| ());
            let is_damaged =
                |result: &Result<(), _>| matches!(result, Err(ExistingError::Damaged { .. }));
            uninspected += u32::from(is_damaged(&inspected));
            assert!(is_damaged(&inspected) || is_damaged(&read), "{read:?}");
            assert!(inspected.is_ok() || is_damaged(&inspected), "{inspected:?}");
            assert!(read.is_ok() || is_damaged(&read), "{read:?}");
        }
        fs::write(&path, good)?;
    }
    // The manifest, the configuration and the layer with the bill.
    assert_eq!(uninspected, 9);
    Ok(())
}

#[test]
fn a_blob_of_a_layout_that_is_not_what_it_is_called_is_written_again() -> TestResult {
    let fixture = Fixture::new()?;
    let (archive, layout) = (fixture.place("a.tar"), fixture.place("layout"));
    fixture.pack_hello(Format::Archive, &archive)?;
    let image = ExistingImage::open(&archive, None)?;
    image.copy(None, FileKind::Layout, &name(), &layout)?;
    let before = blobs(&layout)?;
    for (name_of_blob, good) in &before {
        let evil = vec![b'x'; good.len()];
        fs::write(layout.join("blobs/sha256").join(name_of_blob), evil)?;
    }
    image.copy(None, FileKind::Layout, &name(), &layout)?;
    assert!(blobs(&layout)? == before);
    Ok(())
}

/// Writes an archive as docker did before it had indexes, with a layer that is a link to another. Returns the digest of its layer.
fn docker_archive(place: &Path) -> Result<Digest, Box<dyn std::error::Error>> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_uid(1000);
    header.set_mode(0o644);
    layer.append_data(&mut header, "etc/motd", &b"hello"[..])?;
    let layer = layer.into_inner()?;
    let diff_id = Digest::of(&layer);
    let config = json!({
        "architecture": "s390x", "os": "linux",
        "config": {"Env": null, "Cmd": ["/bin/sh"], "Entrypoint": null, "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string(), diff_id.to_string()]},
        "history": [{"created_by": "one"}, {"created_by": "nothing", "empty_layer": true}, {"created_by": "two"}],
    });
    let list = json!([{
        "Config": "config.json", "RepoTags": ["app:1"], "Layers": ["a/layer.tar", "b/layer.tar"],
    }]);
    let mut archive = tar::Builder::new(fs::File::create(place)?);
    for (path, bytes) in [
        ("./a/layer.tar", layer),
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", list.to_string().into_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, &bytes[..])?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "b/layer.tar", "../a/layer.tar")?;
    archive.finish()?;
    Ok(diff_id)
}

#[test]
fn an_archive_of_docker_alone_is_an_image_with_the_same_blobs() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("docker.tar");
    let layer = docker_archive(&archive)?;
    let image = ExistingImage::open(&archive, None)?;
    let inspection = image.inspect(None)?;
    let [facts] = inspection.images.as_slice() else {
        return Err("one image".into());
    };
    assert_eq!(facts.platform, "linux/s390x");
    assert_eq!(facts.config.exposed_ports, ["80/tcp"]);
    assert_eq!(facts.packages, None);
    let made_by = facts.layers.iter().map(|layer| layer.made_by.as_deref());
    assert_eq!(made_by.collect::<Vec<_>>(), [Some("one"), Some("two")]);
    assert!(facts.layers.iter().all(|found| found.digest == layer));
    let layout = fixture.place("layout");
    let copied = image.copy(None, FileKind::Layout, &name(), &layout)?;
    assert_eq!(copied.manifest_digest, image.digest()?);
    for place in [&archive, &layout] {
        let found = validate(place)?;
        assert_eq!((found.mismatches, found.of_others), (vec![], 1));
    }
    // Its layer is not what the configuration says.
    let mut bytes = fs::read(&archive)?;
    let at = bytes
        .windows(5)
        .position(|five| five == b"hello")
        .ok_or("hello")?;
    bytes[at] ^= 1;
    fs::write(&archive, bytes)?;
    assert!(!validate(&archive)?.mismatches.is_empty());
    let image = ExistingImage::open(&archive, None)?;
    let place = fixture.place("damaged");
    assert!(image.copy(None, FileKind::Layout, &name(), &place).is_err());
    assert!(!place.exists());
    Ok(())
}

#[test]
fn what_is_no_image_is_told_so() -> TestResult {
    let fixture = Fixture::new()?;
    let (empty, text, lone) = (
        fixture.place("empty"),
        fixture.place("text"),
        fixture.place("lone.tar"),
    );
    fs::create_dir(&empty)?;
    fs::write(&text, "text")?;
    fs::write(&lone, [0; 1024])?;
    let error = |path: &Path| ExistingImage::open(path, None).err();
    assert!(matches!(error(&empty), Some(SourceError::NoImage { .. })));
    assert!(matches!(error(&text), Some(SourceError::Archive { .. })));
    assert!(matches!(error(&lone), Some(SourceError::NoImage { .. })));
    assert!(matches!(
        error(&fixture.place("nothing")),
        Some(SourceError::Read { .. })
    ));
    Ok(())
}

#[test]
fn the_store_paths_of_our_images_are_shown_with_what_is_known_of_them() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("a.tar");
    fixture.pack_hello(Format::Archive, &archive)?;
    let inspection = ExistingImage::open(&archive, None)?.inspect(None)?;
    let packages = inspection.images[0].packages.as_ref().ok_or("a bill")?;
    let mut expected = [&fixture.hello, &fixture.libc];
    expected.sort_by(|a, b| a.path.cmp(&b.path));
    for (package, info) in packages.iter().zip(expected) {
        assert_eq!((&package.path, package.id), (&info.path, info.id));
    }
    let hello = packages.iter().find(|one| one.path == fixture.hello.path);
    let hello = hello.ok_or("hello")?;
    assert_eq!(hello.references, std::slice::from_ref(&fixture.libc.path));
    Ok(())
}

#[test]
fn a_difference_names_packages_files_and_bytes() -> TestResult {
    let fixture = Fixture::new()?;
    let (old, new) = (fixture.place("old.tar"), fixture.place("new.tar"));
    fixture.pack_hello(Format::Archive, &old)?;
    // A new library of the same name, so the program refers to another path and is otherwise the same.
    let mut library = store::MemoryNode::directory();
    library.insert("lib/libc.so", store::MemoryNode::file("new"))?;
    library.insert("lib/libc.so.6", store::MemoryNode::symlink("libc.so")?)?;
    let library = fixture.store.add_tree("libc-1.0", library, &[])?;
    let mut hello = store::MemoryNode::directory();
    let program = format!("#!{}/lib/libc.so\n", library.path.to_logical());
    hello.insert("bin/hello", store::MemoryNode::program(program))?;
    hello.insert("share/text", store::MemoryNode::file("text"))?;
    hello.insert("share/more", store::MemoryNode::file("more"))?;
    let hello = fixture.store.add_tree("hello-2.10", hello, &[&library])?;
    let mut spec = fixture.spec();
    spec.cmd = vec!["--help".to_owned()];
    let roots = [&hello, &fixture.certificates];
    fixture.pack(&roots, &spec, &unchecked(), Format::Archive, &new)?;

    let (old, new) = (
        ExistingImage::open(&old, None)?,
        ExistingImage::open(&new, None)?,
    );
    let diff = old.diff(&new, None)?;
    let packages: Vec<_> = (diff.packages.iter())
        .map(|one| (one.name.as_str(), one.old.is_some(), one.new.is_some()))
        .collect();
    assert_eq!(
        packages,
        [
            ("certificates-1", false, true),
            ("hello-2.10", true, true),
            ("libc-1.0", true, true)
        ]
    );
    let files: Vec<(&str, ChangeKind)> = (diff.files.iter())
        .map(|one| (one.path.as_str(), one.change))
        .filter(|(path, _)| {
            path.starts_with("pith/store/hello") || path.starts_with("pith/store/libc")
        })
        .collect();
    assert_eq!(
        files,
        [
            ("pith/store/hello-2.10/share/more", ChangeKind::Added),
            ("pith/store/libc-1.0/lib/libc.so", ChangeKind::Changed),
        ]
    );
    let fields: Vec<&str> = diff.config.iter().map(|change| change.field).collect();
    assert_eq!(fields, ["cmd", "env"]);
    assert_eq!(diff.shared_layers, 0);
    assert!(!diff.is_same());
    assert_eq!(diff.pull_bytes, diff.new_size_bytes);

    let same = old.diff(&old, None)?;
    assert!(same.is_same());
    assert_eq!(
        (same.pull_bytes, same.files, same.packages),
        (0, vec![], vec![])
    );
    let s390x = fixture.place("docker.tar");
    docker_archive(&s390x)?;
    let other = ExistingImage::open(&s390x, None)?.diff(&old, None);
    assert!(matches!(other, Err(ExistingError::Platform { .. })));
    Ok(())
}

#[test]
fn layers_that_both_have_are_neither_pulled_nor_read_twice() -> TestResult {
    let fixture = Fixture::new()?;
    let (old, new) = (fixture.place("old.tar"), fixture.place("new.tar"));
    fixture.pack_hello(Format::Archive, &old)?;
    let mut spec = fixture.spec();
    spec.env.insert("X".to_owned(), "1".to_owned());
    fixture.pack(
        &[&fixture.hello],
        &spec,
        &unchecked(),
        Format::Archive,
        &new,
    )?;
    let (old, new) = (
        ExistingImage::open(&old, None)?,
        ExistingImage::open(&new, None)?,
    );
    let diff = old.diff(&new, None)?;
    assert_eq!(
        (diff.new_layers, diff.files.len(), diff.packages.len()),
        (0, 0, 0)
    );
    assert!(diff.shared_layers > 0);
    // The configuration and the manifest.
    assert!(
        diff.pull_bytes > 0 && diff.pull_bytes < 5000,
        "{}",
        diff.pull_bytes
    );
    assert_eq!(diff.config[0].new, format!("{} X=1", diff.config[0].old));
    Ok(())
}

/// Writes an archive as docker does, with one file in each layer.
fn layered(place: &Path, command: &str, files: &[(&str, &str)]) -> TestResult {
    let mut archive = tar::Builder::new(fs::File::create(place)?);
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, bytes)
    };
    let (mut diff_ids, mut names, mut history) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in files {
        let mut layer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        layer.append_data(&mut header, path, text.as_bytes())?;
        let layer = layer.into_inner()?;
        let digest = Digest::of(&layer);
        let name = format!("{}.tar", digest.to_hex());
        add(&name, &layer)?;
        diff_ids.push(digest.to_string());
        names.push(name);
        history.push(json!({"created_by": path}));
    }
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": [command], "StopSignal": "SIGQUIT"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history, "extension": {"kept": true},
    });
    add("config.json", config.to_string().as_bytes())?;
    let list = json!([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": names}]);
    add("manifest.json", list.to_string().as_bytes())?;
    archive.finish()?;
    Ok(())
}

#[test]
fn another_base_comes_below_and_everything_else_stays() -> TestResult {
    let fixture = Fixture::new()?;
    let places = ["old", "new", "app", "stranger"].map(|name| fixture.place(name));
    let [old, new, app, stranger] = &places;
    layered(old, "/bin/sh", &[("etc/old", "1")])?;
    layered(new, "/bin/new", &[("etc/new", "2"), ("etc/more", "3")])?;
    layered(app, "/bin/app", &[("etc/old", "1"), ("bin/app", "4")])?;
    layered(stranger, "/bin/sh", &[("bin/app", "4")])?;
    let open = |place: &Path| ExistingImage::open(place, None);
    let (old, new, app) = (open(old)?, open(new)?, open(app)?);
    let rebased = app.rebase(None, &old, &new)?;
    let layout = fixture.place("layout");
    let copied = rebased.copy(None, FileKind::Layout, &name(), &layout)?;
    let found = validate(&layout)?;
    assert_eq!((found.mismatches, found.layers), (vec![], 3));
    let image = open(&layout)?;
    let inspection = image.inspect(None)?;
    let [facts] = inspection.images.as_slice() else {
        return Err("one image".into());
    };
    assert_eq!(facts.config.cmd, ["/bin/app"]);
    let made_by = facts.layers.iter().map(|layer| layer.made_by.as_deref());
    assert_eq!(
        made_by.collect::<Vec<_>>(),
        [Some("etc/new"), Some("etc/more"), Some("bin/app")]
    );
    let base = facts
        .annotations
        .get("org.opencontainers.image.base.digest");
    assert_eq!(base, Some(&new.digest()?.to_string()));
    let config = blobs(&layout)?.into_values().find_map(|blob| {
        let config: Value = serde_json::from_slice(&blob).ok()?;
        config.get("rootfs").is_some().then_some(config)
    });
    assert_eq!(config.ok_or("a configuration")?["extension"]["kept"], true);
    // The way back is the image that it was, but for what it says about its base.
    let back = image.rebase(None, &new, &old)?;
    assert_eq!(back.diff(&app, None)?.files, []);
    assert_ne!(back.digest()?, copied.manifest_digest);

    for (image, base) in [(&old, &new), (&app, &open(stranger)?)] {
        let refused = image.rebase(None, base, &new);
        assert!(matches!(refused, Err(ExistingError::NotItsBase { .. })));
    }
    Ok(())
}

#[test]
fn an_image_whose_documents_are_lists_is_no_base_and_on_none() -> TestResult {
    let fixture = Fixture::new()?;
    let [old, new, app] = ["old", "new", "app"].map(|name| fixture.place(name));
    layered(&old, "/bin/sh", &[("etc/old", "1")])?;
    layered(&new, "/bin/new", &[("etc/new", "2")])?;
    layered(&app, "/bin/app", &[("etc/old", "1"), ("bin/app", "4")])?;
    let open = |place: &Path| ExistingImage::open(place, None);
    let (old, new, app) = (open(&old)?, open(&new)?, open(&app)?);
    let layout = fixture.place("layout");
    let place = |digest: &Value| {
        let digest = digest.as_str().unwrap_or_default();
        layout
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"))
    };
    type Change = fn(&mut Value);
    let changes: [(Change, Change); 3] = [
        (
            |_| (),
            |manifest| {
                let config = &manifest["config"];
                manifest["config"] = json!([config["mediaType"], config["digest"], config["size"]]);
            },
        ),
        (
            |_| (),
            |manifest| {
                let (config, layers) = (&manifest["config"], &manifest["layers"]);
                *manifest = json!([config, layers]);
            },
        ),
        (
            |config| config["rootfs"] = json!([config["rootfs"]["diff_ids"]]),
            |_| (),
        ),
    ];
    for (change_config, change_manifest) in changes {
        app.copy(None, FileKind::Layout, &name(), &layout)?;
        let mut index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
        let entry = &mut index["manifests"][0];
        let mut manifest: Value = serde_json::from_slice(&fs::read(place(&entry["digest"]))?)?;
        let write = |document: &Value, descriptor: &mut Value| -> TestResult {
            let bytes = document.to_string();
            let digest = json!(Digest::of(bytes.as_bytes()).to_string());
            fs::write(place(&digest), &bytes)?;
            descriptor["size"] = json!(bytes.len());
            descriptor["digest"] = digest;
            Ok(())
        };
        let mut config: Value =
            serde_json::from_slice(&fs::read(place(&manifest["config"]["digest"]))?)?;
        change_config(&mut config);
        write(&config, &mut manifest["config"])?;
        change_manifest(&mut manifest);
        write(&manifest, entry)?;
        fs::write(layout.join("index.json"), index.to_string())?;
        let forged = open(&layout)?;
        for refused in [
            forged.rebase(None, &old, &new),
            app.rebase(None, &forged, &new),
            app.rebase(None, &old, &forged),
        ] {
            assert!(
                matches!(refused, Err(ExistingError::Document { .. })),
                "{refused:?}"
            );
        }
        fs::remove_dir_all(&layout)?;
    }
    Ok(())
}
