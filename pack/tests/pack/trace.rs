//! From a file of an image back to its store path.

use std::fs;

use pack::{
    Compression, Format, PackOptions,
    audit::trace::{TraceError, Wanted, find},
    existing::ExistingImage,
    layer::TarReader,
    oci::Digest,
};

use crate::fixture::{Fixture, TestResult, unchecked};

#[test]
fn a_link_is_followed_to_its_file_and_the_offset_is_that_of_the_header() -> TestResult {
    let fixture = Fixture::new()?;
    for stable_paths in [false, true] {
        let layout = fixture.place(&format!("layout-{stable_paths}"));
        let options = PackOptions {
            compression: Compression::None,
            stable_paths,
            ..unchecked()
        };
        fixture.pack(
            &[&fixture.hello],
            &fixture.spec(),
            &options,
            Format::Oci,
            &layout,
        )?;
        let image = ExistingImage::open(&layout, None)?;
        let found = find(&image, &Wanted::Path(b"/bin/../bin/hello".to_vec()))?;
        let [found] = found.as_slice() else {
            return Err(format!("{found:?}").into());
        };
        assert_eq!(found.links, ["/bin/hello"]);
        assert_eq!(found.object.as_ref(), Some(&fixture.hello.path));
        assert_eq!(found.file.as_deref(), Some("bin/hello"));
        let blob = layout.join("blobs/sha256").join(found.layer.to_hex());
        let tar = fs::read(blob)?;
        let at = usize::try_from(found.offset)?;
        let member = TarReader::new(&tar[at..])
            .next_member()?
            .ok_or("no header")?;
        assert!(member.path.ends_with(b"bin/hello"));
        let contents = usize::try_from(found.contents_offset)?;
        let contents = &tar[contents..contents + usize::try_from(found.size_bytes)?];
        assert_eq!(Digest::of(contents).to_hex(), found.sha256);
        let by_digest = find(&image, &Wanted::Contents(Digest::of(contents)))?;
        assert_eq!(by_digest[0].path, found.path);
        assert_eq!(by_digest[0].object, found.object);
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_said_not_to_be_there() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    let mut spec = fixture.spec();
    let links = [("/a", "/b"), ("/b", "/a"), ("/bin/hello", "/gone")];
    let links = links.map(|(path, target)| (path.to_owned(), target.to_owned()));
    spec.links = Some(links.into_iter().collect());
    fixture.pack(&[&fixture.hello], &spec, &unchecked(), Format::Oci, &layout)?;
    let image = ExistingImage::open(&layout, None)?;
    let find = |path: &str| find(&image, &Wanted::Path(path.into()));
    for circle in ["/a", "/bin/hello"] {
        assert!(
            matches!(find(circle), Err(TraceError::Dangling { .. })),
            "{circle}"
        );
    }
    for absent in ["/bin/none", "/none", "/bin/hello/x"] {
        assert!(find(absent).is_err(), "{absent}");
    }
    assert!(matches!(find("/none"), Err(TraceError::NotThere { .. })));
    let etc = find("/etc/passwd")?;
    assert_eq!(etc[0].object, None);
    Ok(())
}
