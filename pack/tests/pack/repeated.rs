//! What is not done twice.

use std::{fs, os::unix::fs::PermissionsExt};

use pack::{Compression, Format, PackOptions};

use crate::fixture::{Fixture, TestResult, unchecked};

const FORMATS: [Format; 4] = [Format::Archive, Format::Oci, Format::Tar, Format::Directory];

#[test]
fn a_second_pack_reads_no_file_of_the_store() -> TestResult {
    let fixture = Fixture::new()?;
    let place = |format: Format| fixture.place(&format.to_string());
    for format in FORMATS {
        assert!(!fixture.pack_hello(format, &place(format))?.unchanged);
    }
    fixture.take_encoded();
    for format in FORMATS {
        let again = fixture.pack_hello(format, &place(format))?;
        assert!(again.unchanged, "{format}");
        assert_eq!(
            (again.encoded_bytes, fixture.take_encoded()),
            (0, 0),
            "{format}"
        );
    }
    Ok(())
}

#[test]
fn an_output_that_was_touched_or_removed_is_made_again() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("hello.tar");
    fixture.pack_hello(Format::Archive, &archive)?;
    let good = fs::read(&archive)?;
    let mut bad = good.clone();
    bad[2000] ^= 1;
    fs::write(&archive, &bad)?;
    assert!(!fixture.pack_hello(Format::Archive, &archive)?.unchanged);
    assert!(fs::read(&archive)? == good);
    fs::remove_file(&archive)?;
    assert!(!fixture.pack_hello(Format::Archive, &archive)?.unchanged);
    assert!(fs::read(&archive)? == good);
    Ok(())
}

#[test]
fn another_image_at_the_same_place_is_not_taken_for_the_first() -> TestResult {
    let fixture = Fixture::new()?;
    let archive = fixture.place("hello.tar");
    let first = fixture.pack_hello(Format::Archive, &archive)?;
    let mut spec = fixture.spec();
    spec.cmd.push("--help".to_owned());
    let options = unchecked();
    let second = fixture.pack(
        &[&fixture.hello],
        &spec,
        &options,
        Format::Archive,
        &archive,
    )?;
    assert!(!second.unchanged);
    assert_ne!(first.manifest_digest, second.manifest_digest);
    let options = PackOptions {
        compression: Compression::Zstd,
        ..options
    };
    let third = fixture.pack(
        &[&fixture.hello],
        &spec,
        &options,
        Format::Archive,
        &archive,
    )?;
    assert!(!third.unchanged);
    Ok(())
}

#[test]
fn a_layout_gets_only_the_layers_that_it_lacks() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    let all = fixture.pack_hello(Format::Oci, &layout)?.encoded_bytes;
    let largest = fs::read_dir(layout.join("blobs/sha256"))?
        .filter_map(Result::ok)
        .min_by_key(|entry| {
            entry
                .metadata()
                .map(|found| found.len() < 1 << 20)
                .unwrap_or(true)
        })
        .ok_or("no blob")?;
    fs::remove_file(largest.path())?;
    let again = fixture.pack_hello(Format::Oci, &layout)?;
    assert!(0 < again.encoded_bytes && again.encoded_bytes < all);
    assert!(largest.path().exists());
    Ok(())
}

#[test]
fn a_changed_store_is_noticed_when_its_layers_are_made_again() -> TestResult {
    let fixture = Fixture::new()?;
    fixture.pack_hello(Format::Archive, &fixture.place("a.tar"))?;
    let text = fixture
        .store
        .real_path(&fixture.hello.path)
        .join("share/text");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o644))?;
    fs::write(&text, "TEXT")?;
    let error = fixture
        .pack_hello(Format::Archive, &fixture.place("b.tar"))
        .expect_err("a file has other bytes");
    assert!(
        error
            .to_string()
            .contains("has other bytes than when it was last made"),
        "{error}"
    );
    assert!(!fixture.place("b.tar").exists());
    Ok(())
}
