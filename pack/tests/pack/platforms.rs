//! One image for several platforms, and programs that are for none of them.

use std::fs;

use pack::{Format, Image, ImageError, ImageSpec, SinkError, validate};
use store::{MemoryNode, PathInfo};

use crate::fixture::{Fixture, TestResult, unchecked};

fn for_platform(fixture: &Fixture, platform: &str) -> ImageSpec {
    ImageSpec {
        platform: platform.parse().expect("it is known"),
        ..fixture.spec()
    }
}

fn image<'a>(fixture: &Fixture, of: &PathInfo, platform: &str) -> Result<Image<'a>, ImageError> {
    let spec = for_platform(fixture, platform);
    let roots = [of.path.clone()];
    Image::new(&fixture.store, &roots, &spec, &unchecked(), &|_| ())
}

#[test]
fn an_index_is_valid_and_holds_equal_layers_once() -> TestResult {
    let fixture = Fixture::new()?;
    let amd64 = image(&fixture, &fixture.hello, "linux/amd64")?;
    let arm64 = [image(&fixture, &fixture.hello, "linux/arm64")?];
    let mut digests = Vec::new();
    for (format, name) in [(Format::Archive, "hello.tar"), (Format::Oci, "layout")] {
        let place = fixture.place(name);
        let written = amd64.write_with(&arm64, format, &place)?;
        let found = validate(&place)?;
        assert_eq!(found.mismatches, []);
        assert_eq!(
            found.manifests,
            [amd64.manifest_digest()?, arm64[0].manifest_digest()?]
        );
        digests.push(written.manifest_digest);
        let again = amd64.write_with(&arm64, format, &place)?;
        assert!(again.unchanged);
        // Of one platform it is another output.
        assert!(!amd64.write(format, &place)?.unchanged);
    }
    assert_eq!(digests[0], digests[1]);
    Ok(())
}

#[test]
fn an_index_with_a_platform_twice_is_a_mismatch() -> TestResult {
    let fixture = Fixture::new()?;
    let first = image(&fixture, &fixture.hello, "linux/amd64")?;
    let place = fixture.place("hello.tar");
    let second = [image(&fixture, &fixture.other, "linux/amd64")?];
    first.write_with(&second, Format::Archive, &place)?;
    let found = validate(&place)?;
    assert_eq!(found.mismatches.len(), 1, "{:?}", found.mismatches);
    assert_eq!(
        found.mismatches[0].problem,
        "two manifests are for `linux/amd64`"
    );
    Ok(())
}

#[test]
fn a_format_for_one_platform_refuses_several_and_writes_nothing() -> TestResult {
    let fixture = Fixture::new()?;
    let amd64 = image(&fixture, &fixture.hello, "linux/amd64")?;
    let arm64 = [image(&fixture, &fixture.hello, "linux/arm64")?];
    for format in [
        Format::DockerArchive,
        Format::Tar,
        Format::Directory,
        Format::Bundle,
    ] {
        let place = fixture.place("output");
        let error = amd64.write_with(&arm64, format, &place);
        assert!(matches!(error, Err(SinkError::OnePlatform { .. })));
        assert!(fs::symlink_metadata(&place).is_err());
    }
    Ok(())
}

#[test]
fn a_program_for_another_processor_is_refused() -> TestResult {
    let fixture = Fixture::new()?;
    // ELF, 64 bits, little endian, version 1, and a type; then the machine.
    let program = |machine: u16| {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3, 0]);
        bytes.extend(machine.to_le_bytes());
        bytes
    };
    for (machine, name, fits) in [
        (62, "amd64", "linux/amd64"),
        (183, "arm64", "linux/arm64"),
        (243, "another processor", ""),
    ] {
        let mut tree = MemoryNode::directory();
        tree.insert("bin/tool", MemoryNode::program(program(machine)))?;
        tree.insert("bin/link", MemoryNode::symlink("tool")?)?;
        let tool = fixture.store.add_tree("tool-1", tree, &[])?;
        for platform in ["linux/amd64", "linux/arm64"] {
            let found = image(&fixture, &tool, platform).map(drop);
            let found = found.map_err(|error| error.to_string());
            let path = tool.path.to_logical();
            let refused =
                format!("`{path}/bin/tool` is for {name}, and the image is for {platform}");
            let expected = if platform == fits {
                Ok(())
            } else {
                Err(refused)
            };
            assert_eq!(found, expected);
        }
    }
    Ok(())
}
