//! `validate` finds what is wrong, whatever it is.

use std::fs;

use pack::{Compression, Format, PackOptions, validate};

use crate::fixture::{Fixture, TestResult, unchecked};

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
