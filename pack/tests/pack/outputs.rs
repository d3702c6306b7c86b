//! What each format holds, and what happens to what is there already.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use pack::{Compression, Format, PackOptions, validate};

use crate::fixture::{Fixture, TestResult, list_layers, list_tar, unchecked};

#[test]
fn an_image_holds_the_closure_and_the_generated_files_and_nothing_else() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("hello.tar");
    fixture.pack_hello(Format::Archive, &archive)?;
    let paths: BTreeSet<String> = list_layers(&archive)?
        .into_iter()
        .map(|(path, ..)| path)
        .collect();
    let hello = &fixture.hello.path.to_logical()[1..];
    let libc = &fixture.libc.path.to_logical()[1..];
    let expected: BTreeSet<String> = [
        "bin/",
        "bin/hello",
        "etc/",
        "etc/group",
        "etc/hosts",
        "etc/nsswitch.conf",
        "etc/passwd",
        "pith/",
        "pith/store/",
        "tmp/",
        "usr/",
        "usr/share/",
        "usr/share/sbom/",
        "usr/share/sbom/hello.spdx.json",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["/", "/bin/", "/bin/hello", "/share/", "/share/text"].map(|p| format!("{hello}{p}")))
    .chain(["/", "/lib/", "/lib/libc.so", "/lib/libc.so.6"].map(|p| format!("{libc}{p}")))
    .collect();
    assert_eq!(paths, expected);
    Ok(())
}

#[test]
fn every_compression_and_number_of_layers_gives_a_valid_image_of_the_same_tree() -> TestResult {
    let fixture = Fixture::new()?;
    let tar = fixture.place("root.tar");
    fixture.pack_hello(Format::Tar, &tar)?;
    let mut expected = list_tar(fs::File::open(&tar)?)?;
    expected.sort();
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        for max_layers in [1, 2, 3, 16, 100] {
            let options = PackOptions {
                compression,
                max_layers,
                ..unchecked()
            };
            let archive = fixture.place(&format!("{compression}-{max_layers}.tar"));
            fixture.pack(
                &[&fixture.hello],
                &fixture.spec(),
                &options,
                Format::Archive,
                &archive,
            )?;
            let found = validate(&archive)?;
            assert_eq!(found.mismatches, [], "{compression} {max_layers}");
            assert!(found.layers <= max_layers);
            if compression == Compression::Gzip {
                let mut entries = list_layers(&archive)?;
                entries.sort();
                entries.dedup();
                assert_eq!(entries, expected, "{max_layers}");
            }
        }
    }
    Ok(())
}

#[test]
fn archive_and_layout_have_the_same_manifest_and_both_are_valid() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.pack_hello(Format::Archive, &fixture.place("a.tar"))?;
    let layout = fixture.pack_hello(Format::Oci, &fixture.place("layout"))?;
    assert!(archive.manifest_digest.is_some());
    assert_eq!(archive.manifest_digest, layout.manifest_digest);
    for place in [archive.path, layout.path] {
        assert_eq!(validate(&place)?.mismatches, []);
    }
    assert_eq!(fixture.left_overs()?, [""; 0].map(std::path::PathBuf::from));
    Ok(())
}

#[test]
fn two_stores_at_different_places_give_the_same_archive() -> TestResult {
    let mut archives = Vec::new();
    for threads in [1, 5] {
        let fixture = Fixture::new()?;
        let options = PackOptions {
            threads: std::num::NonZero::new(threads),
            ..unchecked()
        };
        let place = fixture.place("hello.tar");
        fixture.pack(
            &[&fixture.hello, &fixture.certificates],
            &fixture.spec(),
            &options,
            Format::Archive,
            &place,
        )?;
        archives.push(fs::read(&place)?);
    }
    assert!(archives[0] == archives[1]);
    Ok(())
}

#[test]
fn a_directory_has_the_modes_and_times_of_the_image() -> TestResult {
    let fixture = Fixture::new()?;
    let root = fixture.place("root");
    fixture.pack_hello(Format::Directory, &root)?;
    let mode = |path: &str| -> std::io::Result<u32> {
        Ok(fs::symlink_metadata(root.join(path))?.permissions().mode() & 0o7777)
    };
    let hello = &fixture.hello.path.to_logical()[1..];
    assert_eq!(mode("tmp")?, 0o1777);
    assert_eq!(mode("etc/passwd")?, 0o644);
    assert_eq!(mode(hello)?, 0o555);
    assert_eq!(mode(&format!("{hello}/bin/hello"))?, 0o555);
    assert_eq!(mode(&format!("{hello}/share/text"))?, 0o444);
    let modified = fs::metadata(root.join(hello))?.modified()?;
    assert_eq!(modified.duration_since(std::time::UNIX_EPOCH)?.as_secs(), 1);
    Ok(())
}

#[test]
fn a_directory_or_layout_with_other_things_in_it_is_left_alone() -> TestResult {
    let fixture = Fixture::new()?;
    for format in [Format::Directory, Format::Oci] {
        let place = fixture.place("home");
        fs::create_dir_all(&place)?;
        fs::write(place.join("letter"), "dear")?;
        let error = fixture
            .pack_hello(format, &place)
            .expect_err("it is not ours");
        assert_eq!(
            error.to_string().split_once("` is ").map(|(_, rest)| rest),
            Some(match format {
                Format::Oci =>
                    "a directory with other things in it; it is not replaced by an OCI layout",
                _ =>
                    "a directory with other things in it; it is not replaced by a root file system",
            })
        );
        assert_eq!(fs::read_dir(&place)?.count(), 1);
    }
    Ok(())
}

#[test]
fn a_pipe_or_directory_is_never_replaced_by_an_archive() -> TestResult {
    let fixture = Fixture::new()?;
    let pipe = fixture.place("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU)?;
    for format in [Format::Archive, Format::Tar] {
        assert!(fixture.pack_hello(format, &pipe).is_err());
        assert!(fixture.pack_hello(format, fixture.outputs.path()).is_err());
    }
    assert!(!fs::metadata(&pipe)?.is_file());
    Ok(())
}

#[test]
fn a_link_to_an_archive_stays_a_link() -> TestResult {
    let fixture = Fixture::new()?;
    let (link, real) = (fixture.place("link.tar"), fixture.place("real.tar"));
    fs::write(&real, "old")?;
    std::os::unix::fs::symlink(&real, &link)?;
    fixture.pack_hello(Format::Archive, &link)?;
    assert!(fs::symlink_metadata(&link)?.is_symlink());
    assert_eq!(validate(&real)?.mismatches, []);
    Ok(())
}

#[test]
fn a_layout_keeps_other_tags_and_loses_what_a_replaced_one_held_alone() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    let options = unchecked();
    let mut tagged = fixture.spec();
    tagged.name = "hello:old".parse()?;
    fixture.pack(&[&fixture.hello], &tagged, &options, Format::Oci, &layout)?;
    fixture.pack(
        &[&fixture.other],
        &fixture.spec(),
        &options,
        Format::Oci,
        &layout,
    )?;
    let two = fs::read_dir(layout.join("blobs/sha256"))?.count();
    assert_eq!(validate(&layout)?.manifests.len(), 2);
    assert_eq!(validate(&layout)?.mismatches, []);

    let mut changed = fixture.spec();
    changed.labels.insert("a".to_owned(), "b".to_owned());
    fixture.pack(&[&fixture.other], &changed, &options, Format::Oci, &layout)?;
    assert_eq!(validate(&layout)?.manifests.len(), 2);
    assert_eq!(validate(&layout)?.mismatches, []);
    // Configuration and manifest are new, the old ones are gone, the layers are shared.
    assert_eq!(fs::read_dir(layout.join("blobs/sha256"))?.count(), two);
    Ok(())
}

#[test]
fn a_failure_leaves_the_old_archive_and_nothing_else() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("hello.tar");
    fs::write(&archive, "old")?;
    fixture.damage_hello()?;
    for format in [Format::Archive, Format::Tar] {
        let error = fixture
            .pack_hello(format, &archive)
            .expect_err("a file is gone");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
    assert!(
        fixture
            .pack_hello(Format::Oci, &fixture.place("layout"))
            .is_err()
    );
    assert_eq!(fs::read(&archive)?, b"old");
    assert_eq!(fs::read_dir(fixture.outputs.path())?.count(), 1);
    Ok(())
}

#[test]
fn a_bundle_is_the_root_and_how_it_is_run() -> TestResult {
    let fixture = Fixture::new()?;
    let (root, bundle) = (fixture.place("root"), fixture.place("bundle"));
    fixture.pack_hello(Format::Directory, &root)?;
    assert!(!fixture.pack_hello(Format::Bundle, &bundle)?.unchanged);
    assert!(fixture.pack_hello(Format::Bundle, &bundle)?.unchanged);
    let names = |directory: &std::path::Path| -> Result<BTreeSet<_>, std::io::Error> {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    };
    let mut expected = names(&root)?;
    expected.extend(["dev", "proc", "sys"].map(Into::into));
    assert_eq!(names(&bundle.join("rootfs"))?, expected);
    let config = fs::read(bundle.join("config.json"))?;
    let config: serde_json::Value = serde_json::from_slice(&config)?;
    assert_eq!(config["process"]["args"], serde_json::json!(["/bin/hello"]));
    assert_eq!(config["process"]["env"], serde_json::json!(["PATH=/bin"]));
    let uid = &config["process"]["user"]["uid"];
    let mapping = &config["linux"]["uidMappings"];
    if nix::unistd::geteuid().is_root() {
        assert_eq!((uid, mapping.is_null()), (&65532.into(), true));
    } else {
        let caller = nix::unistd::geteuid().as_raw();
        assert_eq!((uid, &mapping[0]["hostID"]), (&0.into(), &caller.into()));
    }
    // A runtime's own file would be lost: what is there with anything else in it is not replaced.
    fs::write(bundle.join("other"), "")?;
    assert!(fixture.pack_hello(Format::Bundle, &bundle).is_err());
    assert!(bundle.join("other").exists());
    Ok(())
}
