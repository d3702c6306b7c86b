//! Digests that are replaced, so that layers do not change with what is below them.

use std::{collections::BTreeMap, io::Write as _};

use pack::layer::SlotMap;
use pack::oci::Digest;
use pack::{Format, Image, ImageSpec, PackOptions, SinkError, validate};
use serde_json::{Value, json};
use store::testing::TempStore;
use store::{MemoryNode, PathInfo, StorePath};

use crate::fixture::{Listed, TestResult, list_layers};

type Failure = Box<dyn std::error::Error>;

fn add(
    store: &TempStore,
    name: &str,
    files: Vec<(&str, MemoryNode)>,
    references: &[&PathInfo],
) -> Result<PathInfo, Failure> {
    let mut tree = MemoryNode::directory();
    for (path, node) in files {
        tree.insert(path, node)?;
    }
    Ok(store.add_tree(name, tree, references)?)
}

/// A library with `contents`, and a program that names it in its text, in a link and in binary; the program refers to data, too.
fn closure(store: &TempStore, contents: &str) -> Result<[PathInfo; 2], Failure> {
    let libc = add(
        store,
        "libc-1.0",
        vec![("lib/libc.so", MemoryNode::program(contents))],
        &[],
    )?;
    let data = add(
        store,
        "data-1",
        vec![("data", MemoryNode::file("data"))],
        &[],
    )?;
    let (library, data_path) = (libc.path.to_logical(), data.path.to_logical());
    let mut large = vec![7; 5 << 20];
    // Across the end of a piece.
    large.extend_from_slice(library.as_bytes());
    large.splice((4 << 20) - 600..(4 << 20) - 600, data_path.bytes());
    let hello = add(
        store,
        "hello-2.10",
        vec![
            (
                "bin/hello",
                MemoryNode::program(format!("#!{library}/lib/libc.so\n")),
            ),
            (
                "lib/libc.so",
                MemoryNode::symlink(format!("{library}/lib/libc.so"))?,
            ),
            ("lib/large", MemoryNode::file(large)),
        ],
        &[&libc, &data],
    )?;
    Ok([libc, hello])
}

fn options() -> PackOptions {
    PackOptions {
        stable_paths: true,
        check_start: false,
        ..PackOptions::default()
    }
}

fn image<'a>(
    store: &TempStore,
    root: &PathInfo,
    options: &PackOptions,
) -> Result<Image<'a>, Failure> {
    let mut spec = ImageSpec::new("hello".parse()?);
    let library = root.references.first().ok_or("no reference")?;
    spec.env
        .insert("LIBRARY".to_owned(), library.path.to_logical());
    let roots = std::slice::from_ref(&root.path);
    Ok(Image::new(store, roots, &spec, options, &|_| ())?)
}

/// The diff id of the layer with each requested or required path, by its name.
fn diff_ids(image: &Image<'_>) -> Result<Vec<(String, String)>, Failure> {
    image.manifest_digest()?;
    let mut found = Vec::new();
    for layer in image.report().layers {
        for path in &layer.paths {
            let diff_id = layer.diff_id.ok_or("no diff id")?;
            found.push((path.path.name().to_string(), format!("{diff_id:?}")));
        }
    }
    found.sort();
    Ok(found)
}

fn archive(image: &Image<'_>) -> Result<(Vec<Listed>, tempfile::TempDir), Failure> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    image.write(Format::Archive, &archive)?;
    Ok((list_layers(&archive)?, directory))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// The digits of a path in the store, and those that it has in the image.
fn digits(image: &Image<'_>, path: &StorePath) -> (String, String) {
    let slots = image.slots().map(|slots: &SlotMap| slots.in_image(path));
    let slot = slots.unwrap_or(path);
    (path.digest().to_string(), slot.digest().to_string())
}

#[test]
fn a_rebuild_of_a_library_changes_its_own_layer_only() -> TestResult {
    let store = TempStore::new();
    let [_, one] = closure(&store, "one")?;
    let [_, two] = closure(&store, "two")?;
    assert_ne!(one.path, two.path);
    let per_path = PackOptions {
        layers: pack::layer::LayerMode::PerPath,
        ..options()
    };
    let changed = |options: &PackOptions| -> Result<Vec<String>, Failure> {
        let before = diff_ids(&image(&store, &one, options)?)?;
        let after = diff_ids(&image(&store, &two, options)?)?;
        let pairs = before.into_iter().zip(after);
        let changed = pairs.filter(|(before, after)| before != after);
        Ok(changed.map(|((name, _), _)| name).collect())
    };
    assert_eq!(changed(&per_path)?, ["libc-1.0"]);
    let plain = PackOptions {
        stable_paths: false,
        ..per_path
    };
    assert_eq!(changed(&plain)?, ["hello-2.10", "libc-1.0"]);
    Ok(())
}

#[test]
fn nothing_in_the_image_has_a_digest_that_was_replaced_and_all_is_what_it_was() -> TestResult {
    let store = TempStore::new();
    let [_, hello] = closure(&store, "one")?;
    let image = image(&store, &hello, &options())?;
    let (entries, directory) = archive(&image)?;
    let closure = store.closure(std::slice::from_ref(&hello.path))?;
    assert_eq!(image.slots().map(SlotMap::len), Some(3));
    for info in closure.infos() {
        let (original, slot) = digits(&image, &info.path);
        assert_ne!(original, slot);
        let is_bill = |path: &str| path.ends_with(".spdx.json");
        for (path, _, contents) in entries.iter().filter(|(path, ..)| !is_bill(path)) {
            assert!(!path.contains(&original), "{path}");
            assert!(!contains(contents, &original), "{path}");
        }
        let named = |(path, _, contents): &Listed| !is_bill(path) && contains(contents, &slot);
        // The program itself is named by its link in `/bin`.
        assert!(entries.iter().any(named), "{}", info.path);
    }
    let found = validate(&directory.path().join("image.tar"))?;
    assert_eq!(found.mismatches, []);
    assert_eq!(found.objects, 3);
    Ok(())
}

#[test]
fn a_changed_byte_of_an_object_is_found_in_spite_of_slots() -> TestResult {
    let store = TempStore::new();
    let [libc, hello] = closure(&store, "a library")?;
    let plain = PackOptions {
        compression: pack::Compression::None,
        ..options()
    };
    let image = image(&store, &hello, &plain)?;
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    image.write(Format::Archive, &archive)?;
    let mut bytes = std::fs::read(&archive)?;
    let windows = bytes.windows(9);
    let at = windows
        .into_iter()
        .position(|window| window == b"a library");
    bytes[at.ok_or("no library")?] = b'A';
    std::fs::write(&archive, bytes)?;
    let found = validate(&archive)?.mismatches;
    let place = libc.path.to_logical();
    assert!(found.iter().any(|one| one.place == place), "{found:?}");
    Ok(())
}

#[test]
fn slots_that_are_not_those_of_the_names_are_found() -> TestResult {
    let store = TempStore::new();
    let [libc, hello] = closure(&store, "one")?;
    let image = image(&store, &hello, &options())?;
    let directory = tempfile::tempdir()?;
    let layout = directory.path().join("layout");
    let digest = image.write(Format::Oci, &layout)?.manifest_digest;
    let place = |digest: &Digest| layout.join("blobs/sha256").join(digest.to_hex());
    let manifest = std::fs::read(place(&digest.ok_or("a digest")?))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let slots = manifest["annotations"]["pith.pack.slots"].as_str();
    let slots: BTreeMap<StorePath, StorePath> = serde_json::from_str(slots.ok_or("slots")?)?;
    let found = |change: &dyn Fn(&mut BTreeMap<StorePath, StorePath>)| {
        let (mut slots, mut manifest) = (slots.clone(), manifest.clone());
        change(&mut slots);
        manifest["annotations"]["pith.pack.slots"] = json!(serde_json::to_string(&slots)?);
        let manifest = manifest.to_string();
        let digest = Digest::of(manifest.as_bytes());
        std::fs::write(place(&digest), &manifest)?;
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest.to_string(), "size": manifest.len(),
        }]});
        std::fs::write(layout.join("index.json"), index.to_string())?;
        let found = validate(&layout)?.mismatches.into_iter();
        let all: Vec<(String, String)> = found.map(|one| (one.place, one.problem)).collect();
        Ok::<_, Failure>((format!("blobs/sha256/{}", digest.to_hex()), all))
    };
    assert_eq!(found(&|_| ())?.1, []);
    // Digits that are exchanged although they are no slot.
    let more: StorePath = format!("{}-libc-1.0", "0".repeat(40)).parse()?;
    let (place, problems) = found(&|slots| drop(slots.insert(more.clone(), libc.path.clone())))?;
    let wrong = "its annotation `pith.pack.slots` does not name the slots of store paths";
    assert!(
        problems.contains(&(place, wrong.to_owned())),
        "{problems:?}"
    );
    // A path that is not in the image.
    let extra = add(&store, "extra-1", vec![("a", MemoryNode::file("a"))], &[])?;
    let other = Image::new(
        &store,
        std::slice::from_ref(&extra.path),
        &ImageSpec::new("extra".parse()?),
        &options(),
        &|_| (),
    )?;
    let slot = other.slots().ok_or("slots")?.in_image(&extra.path);
    let (_, problems) = found(&|slots| drop(slots.insert(slot.clone(), extra.path.clone())))?;
    let absent = "its digest is said to be replaced, and it is not in the image";
    assert_eq!(problems, [(extra.path.to_logical(), absent.to_owned())]);
    Ok(())
}

#[test]
fn a_path_whose_digest_cannot_be_replaced_everywhere_keeps_it_everywhere() -> TestResult {
    let store = TempStore::new();
    let gzip = |text: &str| -> Result<Vec<u8>, Failure> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes())?;
        Ok(encoder.finish()?)
    };
    type Hide = dyn Fn(&str) -> Result<(String, MemoryNode), Failure>;
    let cases: [(&str, Box<Hide>); 4] = [
        (
            "`/share/page.gz` has it compressed",
            Box::new(move |path| Ok(("share/page.gz".to_owned(), MemoryNode::file(gzip(path)?)))),
        ),
        (
            "`/share/wide` has it in UTF-16",
            Box::new(|path| {
                let wide: Vec<u8> = path.bytes().flat_map(|byte| [byte, 0]).collect();
                Ok(("share/wide".to_owned(), MemoryNode::file(wide)))
            }),
        ),
        (
            "`/share/part` has it in part, or in a name",
            Box::new(|path| {
                let part = path.trim_start_matches("/pith/store/")[..20].to_owned();
                Ok(("share/part".to_owned(), MemoryNode::file(part)))
            }),
        ),
        (
            "has it in part, or in a name",
            Box::new(|path| {
                let name = path.trim_start_matches("/pith/store/");
                Ok((format!("share/{name}"), MemoryNode::file("")))
            }),
        ),
    ];
    for (number, (reason, hide)) in cases.iter().enumerate() {
        let name = format!("lib{number}-1");
        let library = add(&store, &name, vec![("lib", MemoryNode::file("lib"))], &[])?;
        let path = library.path.to_logical();
        let (place, node) = hide(&path)?;
        let app = add(
            &store,
            &format!("app{number}-1"),
            vec![
                ("text", MemoryNode::file(path.clone())),
                (place.as_str(), node),
            ],
            &[&library],
        )?;
        let image = image(&store, &app, &options())?;
        let slots = image.slots().ok_or("no slots")?;
        assert_eq!(slots.in_image(&library.path), &library.path);
        assert_ne!(slots.in_image(&app.path), &app.path);
        let [kept] = slots.kept() else {
            return Err(format!("{:?}", slots.kept()).into());
        };
        assert!(kept.reason.contains(reason), "{}", kept.reason);
        let (entries, directory) = archive(&image)?;
        let text = entries.iter().find(|(path, ..)| path.ends_with("/text"));
        assert_eq!(text.ok_or("no text")?.2, path.as_bytes());
        assert_eq!(
            validate(&directory.path().join("image.tar"))?.mismatches,
            []
        );
    }
    Ok(())
}

#[test]
fn two_paths_of_one_name_keep_their_digests() -> TestResult {
    let store = TempStore::new();
    let one = add(&store, "lib-1", vec![("a", MemoryNode::file("one"))], &[])?;
    let two = add(&store, "lib-1", vec![("a", MemoryNode::file("two"))], &[])?;
    let text = format!("{} {}", one.path.to_logical(), two.path.to_logical());
    let app = add(
        &store,
        "app-1",
        vec![("text", MemoryNode::file(text))],
        &[&one, &two],
    )?;
    let image = image(&store, &app, &options())?;
    let kept: Vec<&str> = (image.slots().ok_or("no slots")?.kept().iter())
        .map(|kept| kept.reason.as_str())
        .collect();
    assert_eq!(kept, ["another path of the image has the same name"; 2]);
    Ok(())
}

#[test]
fn what_is_made_of_files_of_the_store_is_refused() -> TestResult {
    let store = TempStore::new();
    let [_, hello] = closure(&store, "one")?;
    let image = image(&store, &hello, &options())?;
    let directory = tempfile::tempdir()?;
    for format in [Format::Directory, Format::Bundle] {
        let refused = image.write(format, &directory.path().join("out"));
        assert!(matches!(refused, Err(SinkError::StablePaths { .. })));
    }
    Ok(())
}
