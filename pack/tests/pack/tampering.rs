//! `validate` finds what is wrong, whatever it is.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use pack::{
    Compression, Format, MismatchKind, PackOptions,
    existing::ExistingImage,
    layer::{EntryKind, append_end, append_entry},
    oci::Digest,
    validate, validate_image,
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TestResult, list_tar, unchecked};

#[test]
fn a_flipped_bit_in_any_blob_or_document_is_found() -> TestResult {
    let fixture = Fixture::new()?;
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let layout = fixture.place(&format!("layout-{compression}"));
        let options = PackOptions {
            compression,
            ..unchecked()
        };
        fixture.pack(
            &[&fixture.other],
            &fixture.spec(),
            &options,
            Format::Oci,
            &layout,
        )?;
        for entry in fs::read_dir(layout.join("blobs/sha256"))? {
            let path = entry?.path();
            let good = fs::read(&path)?;
            for at in [0, good.len() / 3, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                fs::write(&path, &bad)?;
                assert!(
                    !validate(&layout)?.mismatches.is_empty(),
                    "{} at {at}",
                    path.display()
                );
            }
            for bad in [&good[..good.len() - 1], &[&good[..], b"x"].concat()] {
                fs::write(&path, bad)?;
                assert!(!validate(&layout)?.mismatches.is_empty());
            }
            fs::remove_file(&path)?;
            assert!(!validate(&layout)?.mismatches.is_empty());
            fs::write(&path, &good)?;
        }
        assert_eq!(validate(&layout)?.mismatches, []);
    }
    Ok(())
}

#[test]
fn a_truncated_archive_is_refused() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("a.tar");
    fixture.pack(
        &[&fixture.other],
        &fixture.spec(),
        &unchecked(),
        Format::Archive,
        &archive,
    )?;
    let good = fs::read(&archive)?;
    for length in (0..good.len()).step_by(512) {
        fs::write(&archive, &good[..length])?;
        assert!(validate(&archive).is_err(), "{length}");
    }
    Ok(())
}

#[test]
fn a_layer_with_a_decompression_bomb_is_streamed_and_refused() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    fixture.pack(
        &[&fixture.other],
        &fixture.spec(),
        &unchecked(),
        Format::Oci,
        &layout,
    )?;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), 64 << 20),
        &mut bomb,
    )?;
    let bomb = bomb.finish()?;
    for entry in fs::read_dir(layout.join("blobs/sha256"))? {
        let path = entry?.path();
        if fs::read(&path)?.starts_with(&[0x1f, 0x8b]) {
            fs::write(&path, &bomb)?;
        }
    }
    assert!(!validate(&layout)?.mismatches.is_empty());
    Ok(())
}

/// Changes the only layer of a layout by `change`, and every digest that depends on it: another image, whole in itself.
pub(crate) fn forge(layout: &Path, change: impl FnOnce(Vec<Entry>) -> Vec<Entry>) -> TestResult {
    let read = |name: &str| fs::read(layout.join(name));
    let parse =
        |name: &str| -> Result<Value, Box<dyn Error>> { Ok(serde_json::from_slice(&read(name)?)?) };
    let place = |digest: &Value| {
        let digest = digest.as_str().unwrap_or_default();
        format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"))
    };
    let store = |bytes: &[u8]| -> Result<(String, usize), Box<dyn Error>> {
        let digest = Digest::of(bytes);
        fs::write(layout.join("blobs/sha256").join(digest.to_hex()), bytes)?;
        Ok((digest.to_string(), bytes.len()))
    };
    let mut index = parse("index.json")?;
    let entry = &mut index["manifests"][0];
    let mut manifest = parse(&place(&entry["digest"]))?;
    let mut config = parse(&place(&manifest["config"]["digest"]))?;
    let layer = read(&place(&manifest["layers"][0]["digest"]))?;
    let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(&layer[..]));
    let mut entries = Vec::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        let path = String::from_utf8(entry.path_bytes().into_owned())?;
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let flag = entry.header().entry_type().as_byte();
        entries.push((path, entry.header().mode()?, flag, target, contents));
    }
    let mut tar = Vec::new();
    for (path, mode, flag, target, contents) in change(entries) {
        let size_bytes = contents.len() as u64;
        let kind = match flag {
            b'5' => EntryKind::Directory,
            b'2' => EntryKind::Symlink { target: &target },
            _ => EntryKind::File { size_bytes },
        };
        let path = path.trim_end_matches('/').as_bytes();
        append_entry(&mut tar, &pack::layer::Entry { path, mode, kind });
        tar.extend_from_slice(&contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    append_end(&mut tar);
    config["rootfs"]["diff_ids"][0] = json!(Digest::of(&tar).to_string());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&tar)?;
    let (digest, size) = store(&encoder.finish()?)?;
    manifest["layers"][0]["digest"] = json!(digest);
    manifest["layers"][0]["size"] = json!(size);
    let (digest, size) = store(config.to_string().as_bytes())?;
    manifest["config"]["digest"] = json!(digest);
    manifest["config"]["size"] = json!(size);
    let (digest, size) = store(manifest.to_string().as_bytes())?;
    entry["digest"] = json!(digest);
    entry["size"] = json!(size);
    fs::write(layout.join("index.json"), index.to_string())?;
    Ok(())
}

/// Path, mode, type, target, contents.
pub(crate) type Entry = (String, u32, u8, Vec<u8>, Vec<u8>);

/// Forges an image of `hello` in one layer, and returns what is found: places and problems.
fn found_in_forged(
    change: impl FnOnce(Vec<Entry>) -> Vec<Entry>,
) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    let options = PackOptions {
        max_layers: 1,
        ..unchecked()
    };
    let spec = fixture.spec();
    fixture.pack(&[&fixture.hello], &spec, &options, Format::Oci, &layout)?;
    forge(&layout, change)?;
    let found = validate(&layout)?;
    let mismatches = found.mismatches.into_iter();
    let hello = fixture.hello.path.to_logical();
    Ok(mismatches
        .map(|one| (one.place.replace(&hello, "HELLO"), one.problem))
        .collect())
}

#[test]
fn a_forged_image_is_whole_and_told_apart_by_what_is_in_it() -> TestResult {
    assert_eq!(found_in_forged(|entries| entries)?, []);
    let is_hello = |entry: &&mut Entry| entry.0.ends_with("bin/hello") && entry.2 == b'0';

    let changed = found_in_forged(|mut entries| {
        let program = entries.iter_mut().find(is_hello);
        program.expect("it is there").4.push(b'x');
        entries
    })?;
    let [(place, problem)] = changed.as_slice() else {
        return Err(format!("{changed:?}").into());
    };
    assert_eq!(place, "HELLO");
    assert!(problem.starts_with("its contents are not those that its name is the digest of"));

    let executable = found_in_forged(|mut entries| {
        let program = entries.iter_mut().find(is_hello);
        program.expect("it is there").1 = 0o444;
        entries
    })?;
    assert_eq!(executable.len(), 1, "{executable:?}");

    let planted = found_in_forged(|mut entries| {
        entries.push(("etc/cron".into(), 0o644, b'0', vec![], b"evil".to_vec()));
        entries.push(("evil".into(), 0o777, b'2', b"/proc/1/root".to_vec(), vec![]));
        entries
    })?;
    assert_eq!(
        planted,
        [
            (
                "etc/cron".to_owned(),
                "belongs to no store path, and no image has such a file by itself".to_owned()
            ),
            (
                "evil".to_owned(),
                "leads to nothing that is in the image".to_owned()
            ),
        ]
    );

    let object = format!("pith/store/{}-evil", "0".repeat(40));
    let planted = found_in_forged(|mut entries| {
        entries.push((object.clone(), 0o444, b'0', vec![], b"evil".to_vec()));
        entries
    })?;
    assert_eq!(
        planted,
        [(
            format!("/{object}"),
            "it is not in the bill of materials".to_owned()
        )]
    );

    let moved = found_in_forged(|mut entries| {
        entries.retain(|(path, ..)| !path.contains("sbom/hello"));
        entries
    })?;
    assert_eq!(
        moved,
        [(
            "usr/share/sbom".to_owned(),
            "there is no bill of materials".to_owned()
        )]
    );
    Ok(())
}

#[test]
fn what_only_looks_like_a_file_that_every_image_has_is_told_apart() -> TestResult {
    let is_bill = |entry: &&Entry| entry.0.starts_with("usr/share/sbom/hello");
    let several = "is one of several bills of materials, and an image has one by itself";
    let not_plain = "is no plain file, and so no bill of materials";
    let second = found_in_forged(|mut entries| {
        let mut bill = entries.iter().find(is_bill).expect("it is there").clone();
        bill.0 = "usr/share/sbom/other.spdx.json".to_owned();
        entries.push(bill);
        entries
    })?;
    let place = |name: &str| format!("usr/share/sbom/{name}.spdx.json");
    assert_eq!(
        second,
        ["hello", "other"].map(|name| (place(name), several.to_owned()))
    );
    let executable = found_in_forged(|mut entries| {
        let bill = entries.iter_mut().find(|entry| is_bill(&&**entry));
        bill.expect("it is there").1 = 0o755;
        entries
    })?;
    assert_eq!(executable, [(place("hello"), not_plain.to_owned())]);
    let replaced = found_in_forged(|mut entries| {
        for (path, mode, flag, target, contents) in &mut entries {
            match path.as_str() {
                "etc/passwd" => *mode = 0o755,
                "etc/group" => {
                    (*flag, *target, *contents) = (b'2', b"/proc/1/root".to_vec(), vec![]);
                }
                _ => {}
            }
        }
        entries
    })?;
    let replaced: Vec<&str> = replaced.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(replaced, ["etc/group", "etc/passwd"]);
    Ok(())
}

#[test]
fn a_file_that_somebody_puts_there_is_allowed_by_name() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    let (spec, roots) = (fixture.spec(), [&fixture.hello]);
    let options = PackOptions {
        max_layers: 1,
        ..unchecked()
    };
    fixture.pack(&roots, &spec, &options, Format::Oci, &layout)?;
    forge(&layout, |mut entries| {
        let contents = b"key = 1".to_vec();
        entries.push(("etc/app/".into(), 0o755, b'5', vec![], vec![]));
        entries.push(("etc/app/settings".into(), 0o644, b'0', vec![], contents));
        entries
    })?;
    let found = validate(&layout)?;
    assert_eq!(found.mismatches.len(), 1);
    assert_eq!(found.mismatches[0].place, "etc/app/settings");
    assert_eq!(found.mismatches[0].kind, MismatchKind::Contents);
    let image = ExistingImage::open(&layout, None)?;
    for allowed in ["etc/app/settings", "etc/app", "etc"] {
        let allowed = BTreeSet::from([allowed.as_bytes().to_vec()]);
        assert_eq!(validate_image(&image, &allowed)?.mismatches, []);
    }
    let other = BTreeSet::from([b"etc/ap".to_vec()]);
    assert_eq!(validate_image(&image, &other)?.mismatches.len(), 1);
    Ok(())
}

/// Writes the members of an archive again, with `change` made to its list of docker's and with more members: name, contents.
fn repack(archive: &Path, change: impl FnOnce(&mut Value), more: &[(&str, &[u8])]) -> TestResult {
    let mut members = Vec::new();
    let mut list = Value::Null;
    for (name, _, contents) in list_tar(fs::File::open(archive)?)? {
        if name == "manifest.json" {
            list = serde_json::from_slice(&contents)?;
        } else {
            members.push((name, contents));
        }
    }
    change(&mut list);
    members.push(("manifest.json".to_owned(), list.to_string().into_bytes()));
    members.extend((more.iter()).map(|(name, contents)| ((*name).to_owned(), contents.to_vec())));
    let mut tar = Vec::new();
    for (name, contents) in &members {
        let (path, size_bytes) = (name.as_bytes(), contents.len() as u64);
        let kind = EntryKind::File { size_bytes };
        append_entry(
            &mut tar,
            &pack::layer::Entry {
                path,
                mode: 0o644,
                kind,
            },
        );
        tar.extend_from_slice(contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    append_end(&mut tar);
    Ok(fs::write(archive, tar)?)
}

/// What is found in the image `tag` of an archive: places and problems.
fn found_in(archive: &Path, tag: Option<&str>) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let image = ExistingImage::open(archive, tag)?;
    let found = validate_image(&image, &BTreeSet::new())?.mismatches;
    Ok(found
        .into_iter()
        .map(|one| (one.place, one.problem))
        .collect())
}

#[test]
fn another_list_for_docker_is_found_whichever_image_is_chosen() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("a.tar");
    for (names, tag, is_found) in [
        (json!(["hello:latest"]), None, true),
        (json!(["hello:latest"]), Some("latest"), true),
        (
            json!(["hello:latest"]),
            Some("docker.io/library/hello:latest"),
            true,
        ),
        (json!(["hello:1", "hello"]), Some("latest"), true),
        (Value::Null, Some("latest"), true),
        (json!([]), Some("latest"), true),
        (json!(["hello:1"]), Some("latest"), false),
        (json!(["hello:1"]), None, true),
    ] {
        fixture.pack_hello(Format::Archive, &archive)?;
        let evil = b"evil".as_slice();
        let change = |list: &mut Value| {
            let entry = json!({"Config": "evil", "RepoTags": names, "Layers": []});
            list.as_array_mut().expect("a list").push(entry);
        };
        repack(&archive, change, &[("evil", evil)])?;
        let expected = (
            "manifest.json".to_owned(),
            "the image with config `evil` is no manifest's".to_owned(),
        );
        let found = found_in(&archive, tag)?;
        assert_eq!(
            found,
            Vec::from_iter(is_found.then_some(expected)),
            "{names} {tag:?}"
        );
        fs::remove_file(&archive)?;
    }
    Ok(())
}

#[test]
fn an_image_that_was_saved_by_its_id_has_no_names() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("a.tar");
    fixture.pack_hello(Format::Archive, &archive)?;
    repack(&archive, |list| list[0]["RepoTags"] = Value::Null, &[])?;
    assert_eq!(found_in(&archive, None)?, []);
    Ok(())
}

#[test]
fn a_member_that_takes_the_place_of_another_when_it_is_unpacked_is_found() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("a.tar");
    for name in [
        "manifest.json",
        "././manifest.json",
        "/manifest.json",
        "x/../manifest.json",
    ] {
        fixture.pack_hello(Format::Archive, &archive)?;
        let good = {
            let members = list_tar(fs::File::open(&archive)?)?;
            let list = members
                .into_iter()
                .find(|(name, ..)| name == "manifest.json");
            list.ok_or("a list")?.2
        };
        repack(&archive, |_| (), &[(name, &good)])?;
        let expected = (
            "manifest.json".to_owned(),
            "is in the archive more than once".to_owned(),
        );
        assert_eq!(found_in(&archive, Some("latest"))?, [expected], "{name}");
        fs::remove_file(&archive)?;
    }
    Ok(())
}
